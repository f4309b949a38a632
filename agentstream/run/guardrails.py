"""Runs the guardrails of a run: on its input beside the first model call, on its output at the end.

A tripped input guardrail has to stop a model call that is under way. As `asyncio.timeout` does, it
cancels the task that runs the loop, and the loop turns that into the tripwire's error: nothing is
paid for each event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..exceptions import (
    InputGuardrailTripwireTriggered,
    OutputGuardrailTripwireTriggered,
    RecordingError,
    UserError,
)
from ..guardrails import (
    GuardrailFunctionOutput,
    InputGuardrail,
    InputGuardrailResult,
    OutputGuardrail,
    OutputGuardrailResult,
)
from ..items import ItemHelpers
from ..trace.lifecycle import GuardrailFinished, GuardrailStage, GuardrailStarted
from .options import LoopOptions
from .state.run_state import RunState

if TYPE_CHECKING:
    from ..agent import Agent


async def check_with_events(
    options: LoopOptions,
    stage: GuardrailStage,
    guard: InputGuardrail[Any] | OutputGuardrail[Any],
    agent: Agent[Any],
    check: Coroutine[Any, Any, Any],
) -> Any:
    """The result of a guardrail's check, with marks of its start and its end."""
    name = guard.get_name()
    options.emit(GuardrailStarted(name, stage, agent.name))
    result = await check
    options.emit(GuardrailFinished(name, result.output.tripwire_triggered, stage, agent.name))
    return result


async def until_tripped(checks: Sequence[Coroutine[Any, Any, Any]], results: list[Any]) -> Any:
    """Run checks at once; add their results in order of completion.

    Returns the first tripped result, with the other checks cancelled and awaited; None when none
    tripped.
    """
    tasks = [asyncio.ensure_future(check) for check in checks]
    try:
        for finished in asyncio.as_completed(tasks):
            result = await finished
            results.append(result)
            if result.output.tripwire_triggered:
                return result
        return None
    finally:
        await cancel_all(tasks)


_OTHER_KIND: Final[dict[str, type[Any]]] = {
    "input_guardrail": OutputGuardrail,
    "output_guardrail": InputGuardrail,
}


def _checked(guards: list[Any], decorator: str) -> list[Any]:
    """`guards`; by their shape, so that those written for the SDK serve, too."""
    for guard in guards:
        if not hasattr(guard, "guardrail_function"):
            name = getattr(guard, "__name__", type(guard).__name__)
            raise UserError(
                f"{name!r} is no guardrail; decorate the function with @{decorator} before giving "
                "it to the agent."
            )
        if isinstance(guard, _OTHER_KIND[decorator]):
            raise UserError(
                f"The guardrail {guard.get_name()!r} is made with another decorator than "
                f"@{decorator}, and stands in {decorator}s. Give it to the other list, or "
                "decorate it otherwise."
            )
    return guards


async def cancel_all(tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Cancel tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.gather(*tasks, return_exceptions=True)


class InputGuards:
    """The input guardrails of a run.

    Use as an async context manager around the loop: leaving it ends what still runs.
    """

    def __init__(self, state: RunState[Any], options: LoopOptions) -> None:
        self._state = state
        self._options = options
        guards = _checked(
            [*state.agent.input_guardrails, *(options.config.input_guardrails or [])],
            "input_guardrail",
        )
        self._before = [g for g in guards if not g.run_in_parallel]
        self._beside = [g for g in guards if g.run_in_parallel]
        self._task: asyncio.Task[InputGuardrailResult | None] | None = None
        self._interrupted: asyncio.Task[Any] | None = None
        self._cancelled_it = False
        self._begun = self._due = False

    async def __aenter__(self) -> InputGuards:
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._task is not None:
            self._interrupted = None
            await cancel_all([self._task])

    async def before(self) -> None:
        """Run the guardrails that the first model call waits for, unless the input has passed."""
        self._due = not (self._begun or self._state.input_checked)
        self._begun = True
        if self._due:
            # A run that was stopped before it knew begins its checks again.
            self._results().clear()
        if self._due and self._before:
            _raise_if_tripped(await until_tripped(self._runs(self._before), self._results()))

    def start(self) -> None:
        """Start the guardrails that run beside the first model call."""
        if self._due and self._beside:
            self._interrupted = asyncio.current_task()
            self._task = asyncio.create_task(self._check_beside(), name="input guardrails")
            self._task.add_done_callback(self._interrupt)

    async def _check_beside(self) -> InputGuardrailResult | None:
        # The checks are made in the task: it may be cancelled before it begins.
        tripped: InputGuardrailResult | None = await until_tripped(
            self._runs(self._beside), self._results()
        )
        return tripped

    def _runs(
        self, guards: list[InputGuardrail[Any]]
    ) -> list[Coroutine[Any, Any, InputGuardrailResult]]:
        agent, context, input = self._state.agent, self._state.context, self._state.input
        if self._options.streamed:
            # A list where the run is streamed, as in the SDK.
            input = ItemHelpers.input_to_new_input_list(input)
        return [
            check_with_events(
                self._options, "input", guard, agent, guard.run(agent, input, context)
            )
            for guard in guards
        ]

    def _results(self) -> list[InputGuardrailResult]:
        return self._state.input_guardrail_results

    def _interrupt(self, task: asyncio.Task[Any]) -> None:
        failed = not task.cancelled() and (task.exception() or task.result() is not None)
        if failed and self._interrupted is not None:
            self._cancelled_it = True
            self._interrupted.cancel("guardrail")

    def raise_if_interrupted(self) -> None:
        """Turn the cancellation that a guardrail caused into the guardrail's error.

        Call it when CancelledError has arrived in the loop; a cancellation from elsewhere stays.
        """
        if self._interrupted is None or self._task is None or not self._cancelled_it:
            return
        self._cancelled_it = False
        if self._interrupted.uncancel() == 0:
            self._interrupted = None
            _raise_if_tripped(self._task.result())

    async def passed(self) -> None:
        """Wait until all have passed; tools run and the run ends only after that."""
        if self._task is not None:
            # From here the result is read, no interruption needed.
            self._interrupted = None
            task, self._task = self._task, None
            _raise_if_tripped(await task)
        self._state.input_checked = self._state.input_checked or self._begun


def _raise_if_tripped(result: InputGuardrailResult | None) -> None:
    if result is not None:
        raise InputGuardrailTripwireTriggered(result)


async def check_output(
    state: RunState[Any], options: LoopOptions, agent: Agent[Any], output: Any
) -> None:
    """Run the output guardrails on the final output.

    Raises
    ------
    OutputGuardrailTripwireTriggered
        If one refuses it.
    """
    guards = _checked(
        [*agent.output_guardrails, *(options.config.output_guardrails or [])], "output_guardrail"
    )
    recording = options.recording
    refusal = None if recording is None else recording.refusal()
    if refusal is not None:
        refusing = [guard for guard in guards if guard.get_name() == refusal.guardrail][:1]
        checks = [(guard, _refuses(guard, agent, refusal.message)) for guard in refusing]
        if not checks:
            raise RecordingError(
                f"The recording has no answer here: the guardrail {refusal.guardrail!r} refused "
                f"it, and agent {agent.name!r} has no output guardrail of that name any more. To "
                "record anew, with a key: recording(..., mode='refresh')."
            )
    elif recording is not None and recording.withheld() is not None:
        return  # they let pass what is not there
    else:
        checks = [(guard, guard.run(state.context, agent, output)) for guard in guards]
    runs = [check_with_events(options, "output", guard, agent, check) for guard, check in checks]
    tripped: OutputGuardrailResult | None = await until_tripped(
        runs, state.output_guardrail_results
    )
    if tripped is not None:
        raise OutputGuardrailTripwireTriggered(tripped)


async def _refuses(
    guard: OutputGuardrail[Any], agent: Agent[Any], message: str
) -> OutputGuardrailResult:
    """What a guardrail found when the run that is replayed was recorded."""
    tripped = GuardrailFunctionOutput(output_info=None, tripwire_triggered=True)
    return OutputGuardrailResult(guardrail=guard, agent_output=message, agent=agent, output=tripped)
