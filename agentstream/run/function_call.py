"""One call of a function tool: approval, guardrails, hooks, the function, its output."""

from __future__ import annotations

import asyncio
import copy
import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

from .._approvals import call_key, nested_scope
from .._utils.tracebacks import user_frames
from ..displays import Displayed, is_displayed
from ..displays.captured_output import capturing
from ..exceptions import (
    AgentsException,
    ToolInputGuardrailTripwireTriggered,
    ToolOutputGuardrailTripwireTriggered,
    UserError,
)
from ..items import ItemHelpers, RunItem, ToolApprovalItem, ToolCallOutputItem
from ..run_config import ToolExecutionConfig
from ..tool_context import ToolContext
from ..tool_guardrails import (
    ToolInputGuardrailData,
    ToolInputGuardrailResult,
    ToolOutputGuardrailData,
    ToolOutputGuardrailResult,
)
from ..tools.approval_arguments import inspectable_arguments
from ..tools.function_tool import FunctionTool, FunctionToolCustomDataContext, invoke_function_tool
from ..tools.invoke import FailedContent, ToolFailure, failure_answer
from ..tools.origin import origin_of
from ..tools.output import MAX_CHARACTERS, RAISE_IT, displayed_output, shortened
from ..tools.worker_thread import BoundedOutput, in_thread
from ..trace.lifecycle import (
    ApprovalDecided,
    ApprovalRequested,
    GuardrailFinished,
    GuardrailStage,
    GuardrailStarted,
    OutputWithheld,
    ToolDisplayed,
    ToolFinished,
    ToolProgressed,
    ToolStarted,
    ToolWarned,
)
from .blocking_monitor import MonitoredCall
from .error_text import error_text
from .interrupts import contain_tool_exit, failed
from .options import LoopOptions, call, custom_data
from .state.run_state import RunState
from .withheld import repeats_withheld

logger = logging.getLogger("agentstream")

NOT_APPROVED = "Tool execution was not approved."

# What is on record for a tool that was at work where the run failed.
FAILED = "An error occurred while running the tool. It may have done part of its work."
WITHHELD = "The tool was run. Its output is withheld, because the run failed before it was checked."


DRAWING_SECONDS = 60.0
"""How long what a tool returned may take to be drawn."""


class NestedInterruption(BaseException):
    """An agent that runs as a tool waits for approvals; caught by its call.

    A BaseException, so that a tool's `failure_error_function` does not take it for a failure.
    """

    def __init__(self, state: RunState[Any]) -> None:
        super().__init__("An agent that runs as a tool waits for approvals.")
        self.state = state


class FunctionCall:
    """A call of `tool` that the model made, to be run once."""

    def __init__(
        self, state: RunState[Any], options: LoopOptions, tool: FunctionTool, item: RunItem
    ) -> None:
        self.state = state
        self.options = options
        self.tool = tool
        raw: Any = item.raw_item
        self.raw = raw
        self.agent = state.agent
        self.context: ToolContext[Any] = ToolContext.from_agent_context(
            state.context,
            raw.call_id,
            tool_call=raw,
            agent=state.agent,
            run_config=options.config,
        )
        self.item = item
        self.context.paused_run = state.nested.get(self.key) if state.nested else None
        self.context.nested_scope = lambda: nested_scope(self.waiting)
        self.context.observer = options.emit
        self.context.is_watched = options.streamed and bool(state.observers)
        self.context.progress_observer = self.progressed
        self.context.warning_observer = self.warned
        self._origin = (asyncio.get_running_loop(), threading.get_ident())
        self._over = False

    @cached_property
    def waiting(self) -> ToolApprovalItem:
        """What stands for this call while a person decides; it costs a walk over the run."""
        return self.state.waiting(self.item, self.context.tool_namespace)

    @property
    def key(self) -> str:
        """What tells this call from all others."""
        return call_key(self.waiting)

    def progressed(self, message: str, fraction: float | None) -> None:
        """Mark what the tool reports; a function that is not async does so from a thread."""
        share = None if fraction is None else min(max(float(fraction), 0.0), 1.0)
        self._emit(ToolProgressed(self.raw.call_id, str(message), share))

    def warned(self, message: str) -> None:
        """Mark what is wrong with the call, and tell it once where the tool's author looks."""
        self._emit(ToolWarned(self.raw.call_id, message))
        if not self.tool._has_warned:
            self.tool._has_warned = True
            logger.warning("The tool %r %s.", self.tool.name, message)

    def printed(self, blocks: list[dict[str, Any]], clears: bool) -> None:
        """Mark what the tool has printed and displayed."""
        self._emit_here(ToolDisplayed(self.raw.call_id, blocks, clears))

    def _emit(self, event: ToolProgressed | ToolWarned) -> None:
        loop, thread = self._origin
        if threading.get_ident() == thread:
            self._emit_here(event)
        elif not loop.is_closed():
            loop.call_soon_threadsafe(self._emit_here, event)

    def _emit_here(self, event: ToolProgressed | ToolWarned | ToolDisplayed) -> None:
        # A thread cannot be cancelled: it may go on after its call, and after the run.
        if not self._over:
            self.options.emit(event)

    async def run(
        self, keep: Callable[[ToolCallOutputItem], None]
    ) -> ToolCallOutputItem | list[ToolApprovalItem]:
        """The call's output, or the approvals it waits for.

        `keep` is given an output where the tool has been at work and something fails after that.

        Raises
        ------
        UserError
            If the tool, a hook or a guardrail of it fails and nothing makes an answer of that.
        AgentsException
            What they raise of agentstream's own.
        """
        try:
            with contain_tool_exit(self.tool.name):
                return await self._run(keep)
        except AgentsException:
            raise
        except Exception as error:
            why = str(error) or type(error).__name__
            self.options.emit(ToolFinished(self.raw.call_id, why, traceback=user_frames(error)))
            raise failed(self.tool.name, why) from error
        finally:
            self._over = True

    async def _run(
        self, keep: Callable[[ToolCallOutputItem], None]
    ) -> ToolCallOutputItem | list[ToolApprovalItem]:
        approved = await self.approved()
        if approved is None:
            how = self.options.config.tool_execution
            is_early = how is not None and how.pre_approval_tool_input_guardrails
            refusal = await self.check_input() if is_early else None
            return [self.waiting] if refusal is None else self.output(refusal)
        if not approved:
            return self.output(await self.rejection())
        hooks = self.options.call_hooks
        if self.context.paused_run is None:  # else an agent's run goes on that has begun
            if (refusal := await self.check_input()) is not None:
                return self.output(refusal)
            await hooks(self.agent, "on_tool_start", self.context, self.agent, self.tool)
        self.options.emit(ToolStarted(self.raw.call_id, self.tool.name))
        try:
            value, item = await self.called()
        except NestedInterruption as paused:
            self.state.nested[self.key] = paused.state
            return list(paused.state.interruptions)
        except Exception:
            self._forget_nested()
            keep(self.output(FAILED))
            raise
        self._forget_nested()
        keep(self.output(WITHHELD))  # until its guardrails have seen it
        failed = value.why if isinstance(value, (ToolFailure, FailedContent)) else None
        frames = value.traceback if isinstance(value, ToolFailure) else None
        finished = ToolFinished(self.raw.call_id, failed, value, item.display, frames)
        if self.tool.tool_output_guardrails:  # What they let pass comes with the item.
            finished = replace(finished, output=None, display=None)
        self.options.emit(finished)
        item = await self.answer(value, item)
        keep(item)
        await hooks(self.agent, "on_tool_end", self.context, self.agent, self.tool, item.output)
        return item

    def _forget_nested(self) -> None:
        """The run of an agent as this tool waits no longer."""
        if self.state.nested:  # else the call's key, which walks the run's items, is not needed
            self.state.nested.pop(self.key, None)

    async def called(self) -> tuple[Any, ToolCallOutputItem]:
        """What the tool returned, and the item that tells it; it is a failure if nothing can."""
        with capturing(self.printed, lambda: self.state.trace.has_view, nested=self.options.nested):
            invoked = invoke_function_tool(self.tool, self.context, self.raw.arguments)
            value = await MonitoredCall(invoked, self.tool.name, self.warned)
            value = await self.reworded(value)
            return await self.output_item(value)

    async def output_item(self, value: Any) -> tuple[Any, ToolCallOutputItem]:
        """What the tool returned, drawn where it is a figure, and the item that tells it."""
        try:
            return value, self.declared(value, await self.displayed(value))
        except UserError:
            raise  # It is not what its tool declares.
        except Exception as error:  # noqa: BLE001 - whatever the value's own __str__ raises
            value = await failure_answer(self.tool, self.context, error)
            return value, self.output(value)

    async def approved(self) -> bool | None:
        """True: run it, False: a person said no, None: a person has to be asked."""
        wanted, approvals = self.tool.needs_approval, self.state.context._approvals
        if wanted is False and not approvals.reject(self):  # the tool may have needed it before
            return True
        decision = approvals.of(self.waiting)
        decided = None if decision is None else decision.approved
        if decided is None and callable(wanted):
            arguments = inspectable_arguments(self.tool, self.raw.arguments)
            if arguments is None:
                return None
            before = self.tool.on_invoke_tool, self.raw.arguments
            wanted = await call(wanted, self.context, arguments, self.raw.call_id)
            if before != (self.tool.on_invoke_tool, self.raw.arguments):
                return None  # what would run is not what the function has decided on
            # The turn's other calls are asked about before the first tool is at work.
            await asyncio.sleep(0)
            if not wanted:
                return True
        return decided

    async def reworded(self, value: Any) -> Any:
        """`value`, or what the run's `tool_error_formatter` makes of a failure."""
        if isinstance(value, ToolFailure) and value.error is not None:
            return value.reworded(await self.worded("tool_exception", value, value.error))
        return value

    async def rejection(self) -> str:
        """What the model gets for a rejected call."""
        self._emit_rejection()
        decision = self.state.context._approvals.of(self.waiting)
        if decision is not None and decision.message is not None:
            return decision.message
        return await self.worded("approval_rejected", NOT_APPROVED)

    def _emit_rejection(self) -> None:
        """Say that an earlier decision rejects the call, for which nobody waited."""
        id = self.raw.call_id
        part = self.state.trace.index.call(id)
        if part is None or part.approval is None:
            self.options.emit(ApprovalRequested(id, self.tool.name, arguments=self.raw.arguments))
            self.options.emit(ApprovalDecided(id, False))

    async def worded(self, kind: Any, message: str, error: Exception | None = None) -> str:
        """`message`, or what the run's `tool_error_formatter` makes of it."""
        return await error_text(
            self.options,
            self.context,
            kind,
            message,
            tool_name=self.context.qualified_tool_name,
            call_id=self.raw.call_id,
            error=error,
        )

    async def checked(self, guardrail: Any, check: Awaitable[Any], stage: GuardrailStage) -> Any:
        """What a guardrail of the tool found, with marks of its start and its end."""
        name, agent, call_id = guardrail.get_name(), self.agent.name, self.raw.call_id
        self.options.emit(GuardrailStarted(name, stage, agent, call_id))
        result = await check
        tripped = result.behavior["type"] != "allow"
        self.options.emit(GuardrailFinished(name, tripped, stage, agent, call_id))
        return result

    async def check_input(self) -> str | None:
        """Run the tool's input guardrails; what the model gets in place of an output."""
        for guardrail in self.tool.tool_input_guardrails or []:
            data = ToolInputGuardrailData(self.context, self.agent)
            result = await self.checked(guardrail, guardrail.run(data), "tool_input")
            self.state.tool_input_guardrail_results.append(
                ToolInputGuardrailResult(guardrail=guardrail, output=result)
            )
            behavior = result.behavior
            if behavior["type"] == "raise_exception":
                raise ToolInputGuardrailTripwireTriggered(guardrail, result)
            if behavior["type"] == "reject_content":
                return behavior["message"]
        return None

    async def check_output(self, value: Any) -> Any:
        """Run the tool's output guardrails; the output, or what stands in for it."""
        recording = self.options.recording
        withheld = None if recording is None else recording.refusal(self.raw.call_id)
        for guardrail in self.tool.tool_output_guardrails or []:
            if withheld is not None and guardrail.get_name() != withheld.guardrail:
                continue  # a replay: it let pass what is not there
            data = ToolOutputGuardrailData(self.context, self.agent, value)
            check = guardrail.run(data) if withheld is None else repeats_withheld(withheld)
            result = await self.checked(guardrail, check, "tool_output")
            self.state.tool_output_guardrail_results.append(
                ToolOutputGuardrailResult(guardrail=guardrail, output=result)
            )
            behavior = result.behavior
            if behavior["type"] == "raise_exception":
                raise ToolOutputGuardrailTripwireTriggered(guardrail, result)
            if behavior["type"] == "reject_content":
                self._withheld(behavior["message"], guardrail.get_name(), raises=False)
                return behavior["message"]
        return value

    def _withheld(self, message: str, by: str | None = None, *, raises: bool = True) -> None:
        """Mark that a guardrail of the tool refuses its output."""
        self.options.emit(OutputWithheld(message, self.raw.call_id, by, "tool_output", raises))

    async def answer(self, value: Any, item: ToolCallOutputItem) -> ToolCallOutputItem:
        """The item with what the function returned, or what a guardrail put in its place."""
        tool = self.tool
        try:
            checked = await self.check_output(value)
        except BaseException as error:
            by = getattr(error, "guardrail", None)  # of one that tripped
            self._withheld(WITHHELD, by and by.get_name())
            raise
        if checked is not value:
            item = self.output(checked)
        self.shorten(item)
        if tool.custom_data_extractor is not None:
            raw = copy.deepcopy(item.raw_item)  # what it does with it is not for the model
            context = FunctionToolCustomDataContext(self.context, tool, checked, raw)
            item.custom_data = await custom_data(tool.custom_data_extractor, context)
        return item

    async def displayed(self, value: Any) -> Displayed | None:
        """What is shown of a figure or a frame; drawn in a thread, as it takes a while."""
        declares = self.tool.output_json_schema is not None or self.tool._output_type_adapter
        if declares or not is_displayed(value):
            return None
        limits = self.options.config.tool_execution or ToolExecutionConfig()
        try:
            async with asyncio.timeout(DRAWING_SECONDS):
                display: Displayed | None = await in_thread(
                    displayed_output, [value, limits.max_frame_characters], {}, BoundedOutput(None)
                )
        except TimeoutError:
            self.warned(f"returned what could not be drawn within {DRAWING_SECONDS:g} s")
            return Displayed([{"type": "input_text", "text": f"{type(value).__name__}: not drawn"}])
        if display is not None and not limits.send_images:
            display.parts = [part for part in display.parts if part["type"] != "input_image"]
        return display

    def declared(self, value: Any, display: Displayed | None) -> ToolCallOutputItem:
        """The item with what the function returned, in the form that its tool declares."""
        if isinstance(value, ToolFailure):
            item = self.output(value)
            item.traceback = value.traceback
            return item
        if display is not None:
            call_id, kind = self.raw.call_id, "function_call_output"
            raw = {"call_id": call_id, "output": display.parts, "type": kind}
            return ToolCallOutputItem(
                self.agent,
                raw,
                output=value,
                display=display.blocks,
                tool_origin=origin_of(self.tool),
            )
        schema, adapter = self.tool.output_json_schema, self.tool._output_type_adapter
        return self.output(value, output_json_schema=schema, output_type_adapter=adapter)

    def shorten(self, item: ToolCallOutputItem) -> None:
        """See that the model gets no more than the run allows; `item.output` stays whole."""
        execution = self.options.config.tool_execution
        limit = MAX_CHARACTERS if execution is None else execution.max_output_characters
        raw: Any = item.raw_item
        output = raw["output"]
        texts = [output] if isinstance(output, str) else [part.get("text", "") for part in output]
        longest = max(map(len, texts), default=0)
        if limit is None or longest <= limit:
            return
        if isinstance(output, str):
            raw["output"] = shortened(output, limit)
        else:
            raw["output"] = [
                {**part, "text": shortened(part["text"], limit)} if "text" in part else part
                for part in output
            ]
        self.warned(f"gave {longest:,} characters, of which the model gets {limit:,}; {RAISE_IT}")

    def output(self, value: Any, **declared: Any) -> ToolCallOutputItem:
        """The item with the output `value`; `declared` is what its tool says of its form."""
        return ToolCallOutputItem(
            agent=self.agent,
            raw_item=ItemHelpers.tool_call_output_item(self.raw, value, **declared),
            output=value,
            tool_origin=origin_of(self.tool),
        )
