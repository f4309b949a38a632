"""The end of a run: its final output, checked, told and saved."""

from __future__ import annotations

from typing import Any

from .._utils.json import write_json
from ..agent import ToolsToFinalOutputResult
from ..agent_output import WRAPPER_KEY
from ..exceptions import (
    AgentsException,
    MaxTurnsExceeded,
    ModelBehaviorError,
    ModelRefusalError,
    OutputGuardrailTripwireTriggered,
    UserError,
)
from ..items import (
    ItemHelpers,
    MessageOutputItem,
    RunItem,
    ToolCallItem,
    ToolCallOutputItem,
    raw_field,
)
from ..run_config import RunErrorData, RunErrorHandlerInput, RunErrorHandlerResult
from ..tools.function_tool import FunctionToolResult
from .decide import Finish, Judge, Step
from .guardrails import check_output
from .model_call import find_settings, output_schema
from .options import LoopOptions, call, hook_context
from .session import compact, save, save_after
from .state.run_state import RunState
from .toolbox import Toolbox
from .withheld import withhold, withhold_answer


def ends_with_tools(step: Step) -> bool:
    """Whether the outputs of tools are the run's, or may be."""
    return isinstance(step, Judge) or (isinstance(step, Finish) and step.output is not None)


async def conclude(
    state: RunState[Any], options: LoopOptions, toolbox: Toolbox | None, step: Judge | Finish
) -> tuple[bool, Any]:
    """Whether the run ends with this step, and its final output if it does."""
    if options.recording is not None:
        withheld = options.recording.refusal() or options.recording.withheld()
        if withheld is not None:  # a replay: what would have been judged or read is not there
            return True, withheld.message
    if isinstance(step, Judge):
        try:
            return await _judged(state, toolbox, step)
        except BaseException as error:
            await save_after(error, state, options)  # the tools have run
            raise
    if step.output is not None:
        return True, _tool_output(state, step.output.output)
    try:
        return True, message_output(state, step.message)
    except ModelRefusalError as error:
        return True, await handled(state, options, "model_refusal", error)
    except ModelBehaviorError as error:
        return True, await handled(state, options, "invalid_final_output", error)


async def _judged(state: RunState[Any], toolbox: Toolbox | None, step: Judge) -> tuple[bool, Any]:
    results = [
        FunctionToolResult(tool=tool, output=item.output, run_item=item)
        for item in step.outputs
        if (tool := _tool_of(state, toolbox, item)) is not None
    ]
    behavior: Any = state.agent.tool_use_behavior
    verdict = await call(behavior, state.context, results)
    if not isinstance(verdict, ToolsToFinalOutputResult):
        raise UserError(
            "The tool_use_behavior callable must return ToolsToFinalOutputResult("
            f"is_final_output=...); that of agent {state.agent.name!r} returned "
            f"{type(verdict).__name__}."
        )
    if not verdict.is_final_output:
        return False, None
    return True, _tool_output(state, verdict.final_output)


def _tool_of(state: RunState[Any], toolbox: Toolbox | None, output: ToolCallOutputItem) -> Any:
    if toolbox is None:
        return None
    for item in reversed(state.new_items):
        raw = item.raw_item
        if not isinstance(item, ToolCallItem) or raw_field(raw, "type") != "function_call":
            continue
        if raw_field(raw, "call_id") == output.call_id:
            return toolbox.function(raw)
    return None


def _tool_output(state: RunState[Any], value: Any) -> Any:
    """A tool's output as the run's; text where the agent's output is text."""
    return str(value) if output_schema(state.agent) is None else value


def message_output(state: RunState[Any], message: MessageOutputItem | None) -> Any:
    """The final output in the model's last message.

    Raises
    ------
    ModelRefusalError
        If the model refused.
    ModelBehaviorError
        If the agent has an output type and the message does not fit it.
    """
    text = ItemHelpers.extract_text(message.raw_item) if message is not None else None
    refusal = ItemHelpers.extract_refusal(message.raw_item) if message is not None else None
    if refusal and not text:
        raise ModelRefusalError(refusal)
    schema = output_schema(state.agent)
    if schema is None or schema.is_plain_text():
        return text or ""
    if not text:
        raise ModelBehaviorError(
            f"The model ended its turn without the {schema.name()} that agent "
            f"{state.agent.name!r} must give; it wrote no text at all. Run it again, or say in the "
            "instructions that an answer is needed."
        )
    return schema.validate_json(text)


def out_of_turns(state: RunState[Any]) -> bool:
    """Whether the turn that is about to begin is one too many."""
    return state.max_turns is not None and state.turn > state.max_turns


async def give_up_turns(state: RunState[Any], options: LoopOptions) -> list[RunItem]:
    """End a run that has no turns left with the final output that its error handler gives.

    Raises
    ------
    MaxTurnsExceeded
        If there is no handler.
    """
    error = MaxTurnsExceeded(f"Max turns ({state.max_turns}) exceeded")
    before = len(state.new_items)
    output = await handled(state, options, "max_turns", error)
    state.turn -= 1  # the turn did not take place
    await finish(state, options, output)
    return state.new_items[before:]


async def handled(
    state: RunState[Any], options: LoopOptions, kind: str, error: AgentsException
) -> Any:
    """The final output that the run's handler for this error gives; without one, the error."""
    handler: Any = options.error_handlers.get(kind)
    if handler is None:
        raise error
    data = RunErrorData(
        input=state.input,
        new_items=list(state.new_items),
        history=list(state.history),
        output=[i.to_input_item() for i in state.new_items if i.type != "tool_approval_item"],
        raw_responses=list(state.responses),
        last_agent=state.agent,
    )
    result = await call(
        handler,
        RunErrorHandlerInput(error=error, context=state.context, run_data=data),  # type: ignore[arg-type]
    )
    if result is None:
        raise error
    if isinstance(result, dict) and "final_output" in result:
        result = RunErrorHandlerResult(**result)
    if not isinstance(result, RunErrorHandlerResult):
        result = RunErrorHandlerResult(final_output=result)
    output, text = _checked(state, kind, result.final_output)
    if result.include_in_history:
        state.add([_message(state, text)])
    return output


def _checked(state: RunState[Any], kind: str, output: Any) -> tuple[Any, str]:
    """What a handler gave, as the agent's output type, and the text in which a model writes that.

    Raises
    ------
    UserError
        It does not fit the output type.
    """
    schema = output_schema(state.agent)
    if schema is None or schema.is_plain_text():
        return output, output if isinstance(output, str) else write_json(output)
    is_wrapped = getattr(schema, "_is_wrapped", False)
    text = write_json({WRAPPER_KEY: output} if is_wrapped else output)
    try:
        return schema.validate_json(text), text
    except ModelBehaviorError as error:
        raise UserError(
            f"The error handler {kind!r} gave a final output that is no {schema.name()}, which "
            f"agent {state.agent.name!r} must give: {error}"
        ) from error


def _message(state: RunState[Any], text: str) -> MessageOutputItem:
    from openai.types.responses import ResponseOutputMessage, ResponseOutputText

    return MessageOutputItem(
        agent=state.agent,
        raw_item=ResponseOutputMessage(
            id="__fake_id__",
            type="message",
            role="assistant",
            status="completed",
            content=[
                ResponseOutputText(type="output_text", text=text, annotations=[], logprobs=[])
            ],
        ),
    )


async def finish(
    state: RunState[Any], options: LoopOptions, output: Any, step: Judge | Finish | None = None
) -> None:
    """Tell the hooks, check the output, save the session: the run is over.

    An output that a guardrail refuses is in no session; where it is that of tools, the session has
    to know that they ran, and has a message in its place.

    `step` is None where the output is neither the model's nor a tool's.
    """
    of_tools = step is not None and ends_with_tools(step)
    agent, results_before = state.agent, len(state.output_guardrail_results)
    try:
        await options.call_hooks(agent, "on_agent_end", hook_context(state.context), agent, output)
        await check_output(state, options, agent, output)
    except OutputGuardrailTripwireTriggered as error:
        if of_tools:
            withhold(state, options, error, results_before)
            await save_after(error, state, options)
        elif step is not None:
            withhold_answer(state, options, error)
        raise
    except BaseException as error:
        if of_tools or isinstance(error, Exception):
            await save_after(error, state, options)
        raise
    state.final_output = output
    await save(state, options)
    if options.session is not None:
        await compact(state, options, find_settings(agent, options.config, state).store)
