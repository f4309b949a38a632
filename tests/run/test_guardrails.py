"""Guardrails beside a run: each trips at any moment, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import pytest

from agentstream import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrail,
    InputGuardrailTripwireTriggered,
    OutputGuardrail,
    RunConfig,
    Runner,
    UserError,
    function_tool,
    input_guardrail,
)
from agentstream.testing import ScriptedModel, call, http_error, turn, web_search


def tripping_after(steps: int) -> InputGuardrail[Any]:
    """A guardrail that trips after so many turns of the event loop."""

    @input_guardrail
    async def guard(context: Any, agent: Any, input: Any) -> GuardrailFunctionOutput:
        for _ in range(steps):
            await asyncio.sleep(0)
        return GuardrailFunctionOutput(steps, tripwire_triggered=True)

    return guard


@function_tool
def look() -> str:
    """Look."""
    return "seen"


def guarded(*guards: Any, turns: Any = ("Many words to stream. " * 10,), **more: Any) -> Agent[Any]:
    model = ScriptedModel(list(turns))
    return Agent(name="A", model=model, tools=[look], input_guardrails=list(guards), **more)


async def finished(agent: Agent[Any], streamed: bool) -> Any:
    if not streamed:
        return await Runner.run(agent, "hi")
    result = Runner.run_streamed(agent, "hi")
    async for _ in result.stream_events():
        pass
    return result


def others() -> set[Any]:
    return asyncio.all_tasks() - {asyncio.current_task()}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("turns", [("Many words to stream. " * 10,), (call("look"), "Done.")])
async def test_a_guardrail_that_trips_at_any_moment_is_told(streamed: bool, turns: Any) -> None:
    # In some of these the loop's generators are suspended when the cancellation arrives (PEP 789).
    for steps in range(90):
        with pytest.raises(InputGuardrailTripwireTriggered):
            await finished(guarded(tripping_after(steps), turns=turns), streamed)
        assert not others()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("steps", [0, 3, 40])
async def test_a_guardrail_that_raises_ends_the_run_with_its_error(
    streamed: bool, steps: int
) -> None:
    @input_guardrail
    async def broken(context: Any, agent: Any, input: Any) -> GuardrailFunctionOutput:
        for _ in range(steps):
            await asyncio.sleep(0)
        raise ZeroDivisionError("broken guard")

    with pytest.raises(ZeroDivisionError, match="broken guard"):
        await finished(guarded(broken), streamed)
    assert not others()


async def test_the_first_of_several_that_trips_ends_the_others() -> None:
    story: list[str] = []

    @input_guardrail
    async def slow(context: Any, agent: Any, input: Any) -> GuardrailFunctionOutput:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            story.append("slow is cancelled")
            raise
        return GuardrailFunctionOutput(None, tripwire_triggered=False)

    with pytest.raises(InputGuardrailTripwireTriggered) as caught:
        await Runner.run(guarded(slow, tripping_after(2)), "hi")
    assert caught.value.guardrail_result.output.output_info == 2
    assert story == ["slow is cancelled"]
    assert not others()


async def test_a_cancellation_at_the_moment_a_guardrail_trips_stays_one() -> None:
    result = Runner.run_streamed(guarded(tripping_after(3)), "hi")
    for _ in range(5):
        await asyncio.sleep(0)
    result.cancel()
    assert [event async for event in result.stream_events()] == []
    await asyncio.wait([result.run_loop_task])  # type: ignore[list-item]
    assert result.is_complete
    assert not others()


async def test_a_cancelled_caller_is_not_taken_for_a_tripwire() -> None:
    task = asyncio.create_task(Runner.run(guarded(tripping_after(10_000)), "hi"))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not others()


async def test_an_error_of_the_model_ends_a_guardrail_that_still_runs() -> None:
    agent = guarded(tripping_after(10_000), turns=[http_error(400, "too much")])
    with pytest.raises(Exception, match="too much"):
        await Runner.run(agent, "hi")
    assert not others()


async def test_an_answer_out_of_turns_waits_for_the_guardrails() -> None:
    turns = [turn(web_search("weather"))] * 3
    agent = guarded(tripping_after(500), turns=turns)
    with pytest.raises(InputGuardrailTripwireTriggered):
        await Runner.run(agent, "hi", max_turns=1, error_handlers={"max_turns": lambda _: "over"})


@pytest.mark.parametrize("found", [None, True, "yes"])
async def test_a_guardrail_must_say_what_it_found(found: Any) -> None:
    def guard(context: Any, agent: Any, value: Any) -> Any:
        return found

    with pytest.raises(UserError, match="guard.*GuardrailFunctionOutput"):
        await Runner.run(guarded(InputGuardrail(guard)), "hi")
    with pytest.raises(UserError, match="guard.*GuardrailFunctionOutput"):
        await Runner.run(guarded(output_guardrails=[OutputGuardrail(guard)]), "hi")


async def test_a_plain_function_is_no_guardrail() -> None:
    def check(context: Any, agent: Any, value: Any) -> Any:
        return GuardrailFunctionOutput(None, tripwire_triggered=False)

    with pytest.raises(UserError, match="input_guardrail"):
        await Runner.run(guarded(check), "hi")
    with pytest.raises(UserError, match="output_guardrail"):
        await Runner.run(guarded(output_guardrails=[check]), "hi")
    with pytest.raises(UserError, match="input_guardrail"):
        config = RunConfig(input_guardrails=[check])  # type: ignore[list-item]
        await Runner.run(guarded(), "hi", run_config=config)


def test_the_behaviours_of_tool_guardrails_are_imported_from_where_the_sdk_has_them() -> None:
    ours, sdk = (
        importlib.import_module(f"{it}.tool_guardrails") for it in ("agentstream", "agents")
    )
    for name in ("AllowBehavior", "RejectContentBehavior", "RaiseExceptionBehavior"):
        assert set(getattr(ours, name).__annotations__) == set(getattr(sdk, name).__annotations__)
