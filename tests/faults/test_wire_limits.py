"""Time limits: connecting, the first event, between events, each tool, the whole run."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import openai
import pytest

import agentstream
from agentstream import (
    Agent,
    ModelRetrySettings,
    ModelSettings,
    ModelStalledError,
    RunConfig,
    Runner,
    RunTimeoutError,
    TimeLimits,
    ToolTimeoutError,
    UserError,
    function_tool,
    retry_policies,
)
from agentstream.models.retry.attempts import stream_with_retry
from agentstream.notebook.live.dom import VirtualDom
from agentstream.notebook.live.trace_renderer import TraceRenderer
from agentstream.notebook.live.widget import AgentView
from agentstream.notebook.terminal import TerminalView
from agentstream.testing import Pace, ScriptedModel, call, say, stall, turn
from tests.faults.test_wire_retries import ANSWER
from tests.faults.wire import STALL, Wire

PATIENT = 20.0  # seconds; a bound for a busy machine


def start(model: Any, limits: TimeLimits, **options: Any) -> Any:
    agent = Agent(name="A", model=model, **options)
    return Runner.run_streamed(agent, "go", run_config=RunConfig(limits=limits))


def page(result: Any) -> str:
    board = VirtualDom()
    TraceRenderer(result.trace, board).update()
    return str(board.keyframe())


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENT):
        while not condition():
            await asyncio.sleep(0.002)


# --- silence


async def test_silence_is_shown_before_it_is_an_error() -> None:
    model = ScriptedModel([turn(say("One two three"), stall(after=6))])
    result = start(model, TimeLimits(notice=0.02, between_events=1.0))
    out = io.StringIO()
    terminal = TerminalView(result.trace, out)
    await until(lambda: result.trace.silence is not None)
    shown = page(result)
    terminal.update()
    assert "Waiting for the model" in shown and "given up after 1.00 s" in shown
    assert 'class="as-clock" role="timer" data-since=' in shown
    assert "[waiting for the model," in out.getvalue()
    with pytest.raises(ModelStalledError, match=r"between_events=\.\.\.") as caught:
        await result.wait()
    assert caught.value.timeout_seconds == 1.0
    assert "Waiting for the model" not in page(result)
    assert "ModelStalledError" in page(result)
    assert result.trace.status == "failed" and result.trace.silence is None
    assert result.trace.parts[0].text == "One" or result.trace.parts[0].text.startswith("One")
    assert result.raw_responses[-1].output[0].content[0].text == result.trace.parts[0].text


async def test_the_note_goes_when_the_model_speaks_again() -> None:
    model = ScriptedModel([turn(say("One two three"), stall(0.3, after=6))])
    result = start(model, TimeLimits(notice=0.02))
    await until(lambda: result.trace.silence is not None)
    await result.wait()
    assert result.final_output == "One two three"
    [silence] = result.trace.silences
    assert 0.1 < silence.ended - silence.started < PATIENT
    assert "Waiting for the model" not in page(result)
    kinds = list(result.to_frame("events")["type"])
    assert kinds.count("mark.model_silent") == kinds.count("mark.model_heard") == 1


async def test_the_page_is_told_of_a_silence_and_of_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(AgentView, "send", lambda self, message: sent.append(str(message["ops"])))
    model = ScriptedModel([turn(say("One two three"), stall(0.5, after=6))])
    result = start(model, TimeLimits(notice=0.02))
    view = AgentView(result.trace)
    result.observe(lambda event: view.nudge())
    await result.wait()
    view.close_run()
    waiting = [at for at, ops in enumerate(sent) if "Waiting for the model" in ops]
    assert len(waiting) == 1  # its clock ticks on the page, without further messages
    assert "as-waiting" not in str(view.keyframe["ops"])


async def test_the_first_event_has_a_limit_of_its_own() -> None:
    result = start(
        ScriptedModel([turn(stall(), say("x"))]),
        TimeLimits(first_event=0.05, between_events=None, notice=None),
    )
    with pytest.raises(ModelStalledError, match=r"first_event=\.\.\."):
        await result.wait()
    assert result.trace.silences == []


async def test_without_limits_a_silent_model_is_waited_for() -> None:
    model = ScriptedModel([turn(say("One two"), stall(0.1, after=5))])
    limits = TimeLimits(first_event=None, between_events=None, notice=None)
    result = start(model, limits)
    await result.wait()
    assert result.final_output == "One two"


async def test_stopping_a_silent_model_is_no_error() -> None:
    result = start(ScriptedModel([turn(stall(), say("x"))]), TimeLimits(notice=0.02))
    await until(lambda: result.trace.silence is not None)
    result.cancel()
    await result.wait()
    assert result.trace.status == "cancelled"
    assert "Waiting for the model" not in page(result)


class Slow(agentstream.Model):
    """Yields the events of a scripted answer, with pauses."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.closed = False

    async def get_response(self, *args: Any, **named: Any) -> Any:
        raise NotImplementedError

    async def stream_response(self, *args: Any, **named: Any) -> AsyncIterator[Any]:
        try:
            async for event in ScriptedModel(["One two three"]).ask("go"):
                await asyncio.sleep(self.seconds)
                yield event
        finally:
            self.closed = True


async def test_the_readers_time_is_not_the_models() -> None:
    model = Slow()
    limits = TimeLimits(first_event=0.03, between_events=0.03, notice=0.03)
    events = stream_with_retry(model.stream_response, ModelSettings(), model=model, limits=limits)
    count = 0
    async with aclosing(events):
        async for _ in events:
            count += 1
            if count in (1, 5):
                await asyncio.sleep(0.1)
    assert count > 5


async def test_a_blocked_loop_is_not_the_models_silence() -> None:
    loop = asyncio.get_running_loop()
    for delay in (0.01, 0.15, 0.3):
        loop.call_later(delay, time.sleep, 0.1)
    result = start(Slow(0.02), TimeLimits(first_event=0.09, between_events=0.09))
    await result.wait()
    assert result.final_output == "One two three"


async def test_a_model_of_ones_own_is_limited_and_closed() -> None:
    model = Slow(5)
    result = start(model, TimeLimits(first_event=0.03))
    with pytest.raises(ModelStalledError):
        await result.wait()
    assert model.closed


async def test_a_policy_may_try_a_silent_model_again() -> None:
    retry = ModelRetrySettings(
        max_retries=1, policy=retry_policies.network_error(), backoff={"initial_delay": 0.0}
    )
    model = ScriptedModel([turn(stall(), say("x")), "Here I am."])
    result = start(model, TimeLimits(first_event=0.05), model_settings=ModelSettings(retry=retry))
    await result.wait()
    assert result.final_output == "Here I am."
    [again] = result.trace.retries
    assert "ModelStalledError" in again.error


async def test_a_replay_may_pause_as_long_as_it_likes(tmp_path: Any) -> None:
    path = tmp_path / "run.jsonl"
    with agentstream.recording(path):
        await start(ScriptedModel(["One two"], pace=Pace(20, 0)), TimeLimits()).wait()
    with agentstream.recording(path, mode="replay", speed=1):
        again = start(ScriptedModel([]), TimeLimits(first_event=0.01, between_events=0.01))
        await again.wait()
    assert again.final_output == "One two"


# --- connecting


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_the_limits_reach_the_client(api: str) -> None:
    async def timeouts(limits: TimeLimits, **options: Any) -> dict[str, Any]:
        wire = Wire(scripts=[[STALL]])
        async with wire.client(**options) as client:
            kind = {
                "responses": agentstream.OpenAIResponsesModel,
                "chat": agentstream.OpenAIChatCompletionsModel,
            }[api]
            result = start(kind("m", client), limits)
            await until(lambda: wire.requests)
            result.cancel()
            await result.wait()
        found: dict[str, Any] = wire.requests[0].extensions["timeout"]
        return found

    default = await timeouts(TimeLimits())
    assert (default["connect"], default["read"]) == (5.0, 600)
    assert (await timeouts(TimeLimits(connect=2)))["connect"] == 2
    # openai's ten minutes give way to more patience; a timeout of the user's own does not.
    assert (await timeouts(TimeLimits(between_events=3000)))["read"] == 3000
    assert (await timeouts(TimeLimits(first_event=None)))["read"] is None
    assert (await timeouts(TimeLimits(between_events=3000), timeout=20))["read"] == 20


# --- tools and the whole run


async def test_a_run_that_takes_too_long_is_stopped_with_what_it_reached() -> None:
    cancelled = asyncio.Event()

    @function_tool
    async def dig() -> str:
        """Dig."""
        try:
            await asyncio.sleep(PATIENT)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return "found"

    model = ScriptedModel([turn(say("I dig."), call("dig"))])
    result = start(model, TimeLimits(run=0.2), tools=[dig])
    with pytest.raises(RunTimeoutError, match=r"longer than 0\.2 seconds") as caught:
        await result.wait()
    assert cancelled.is_set()
    assert caught.value.timeout_seconds == 0.2
    assert [item.type for item in caught.value.run_data.new_items] == [
        "message_output_item",
        "tool_call_item",
    ]
    assert result.trace.status == "failed"
    assert "RunTimeoutError" in page(result)


async def test_the_limit_of_a_run_holds_without_a_stream() -> None:
    agent = Agent(name="A", model=ScriptedModel([turn(stall(), say("x"))]))
    config = RunConfig(limits=TimeLimits(run=0.05))
    with pytest.raises(RunTimeoutError):
        await Runner.run(agent, "go", run_config=config)


async def test_a_timeout_of_somebody_elses_stays_what_it_is() -> None:
    result = start(ScriptedModel([turn(stall(), say("x"))]), TimeLimits(run=PATIENT))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await result.wait()
    await result.wait()
    assert result.trace.status == "cancelled"


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "in a thread"])
async def test_each_tool_has_a_limit_and_the_model_is_told(is_async: bool) -> None:
    @function_tool
    async def wait() -> str:
        """Wait."""
        await asyncio.sleep(PATIENT)
        return "late"

    @function_tool(name_override="wait")
    def block() -> str:
        """Wait."""
        time.sleep(1)
        return "late"

    model = ScriptedModel([turn(call("wait")), "Never mind."])
    result = start(model, TimeLimits(tool=0.05), tools=[wait if is_async else block])
    await result.wait()
    assert result.final_output == "Never mind."
    assert "timed out after 0.05 seconds" in result.new_items[1].output


async def test_a_tools_own_timeout_comes_first() -> None:
    @function_tool(timeout=0.05, timeout_behavior="raise_exception")
    async def wait() -> str:
        """Wait."""
        await asyncio.sleep(PATIENT)
        return "late"

    result = start(ScriptedModel([turn(call("wait"))]), TimeLimits(tool=PATIENT), tools=[wait])
    with pytest.raises(ToolTimeoutError, match=r"0\.05"):
        await result.wait()


async def test_an_agent_as_a_tool_has_the_limits_of_its_own_run() -> None:
    inner = Agent(name="Inner", model=ScriptedModel(["Slowly, slowly."], pace=Pace(20, 0)))
    model = ScriptedModel([turn(call("ask", input="?")), "Done."])
    result = start(model, TimeLimits(tool=0.01), tools=[inner.as_tool("ask", "Ask.")])
    await result.wait()
    assert result.new_items[1].output == "Slowly, slowly."


# --- the settings


def test_limits_are_checked_where_they_are_given() -> None:
    for wrong in (0, -1, float("nan"), float("inf"), "5", True):
        with pytest.raises(UserError, match=r"TimeLimits\.run must be a positive number"):
            TimeLimits(run=wrong)  # type: ignore[arg-type]
    assert RunConfig(limits={"run": 5}).limits == TimeLimits(run=5)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="a TimeLimits or a dict"):
        RunConfig(limits=5)  # type: ignore[arg-type]


async def test_the_limits_cost_a_stream_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    timers: list[float] = []
    later = loop.call_later

    def count(delay: float, *rest: Any, **named: Any) -> asyncio.TimerHandle:
        timers.append(delay)
        return later(delay, *rest, **named)

    monkeypatch.setattr(loop, "call_later", count)
    model = ScriptedModel(["word " * 500])
    events = stream_with_retry(
        lambda: model.ask("go"), ModelSettings(), model=model, limits=TimeLimits()
    )
    assert len([event async for event in events]) > 500
    assert timers == [5.0, 5.0]  # at its start, and when the answer began


async def test_a_stall_closes_the_connection() -> None:
    wire = Wire()
    async with wire.client() as client:
        model = agentstream.OpenAIResponsesModel("m", wire.plays(client, [STALL]))
        result = start(model, TimeLimits(first_event=0.03))
        with pytest.raises(ModelStalledError):
            await result.wait()
        assert wire.open == 0
        # And the client serves the next call.
        again = start(
            agentstream.OpenAIResponsesModel("m", wire.plays(client, ANSWER)), TimeLimits()
        )
        await again.wait()
    assert again.final_output == "Here I am."
    assert isinstance(client, openai.AsyncOpenAI)
