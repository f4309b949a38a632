"""A streamed run: it goes on by itself, and stops when its reader leaves."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from contextlib import aclosing
from typing import Any

import pytest
from openai import BadRequestError
from openai.types.responses import ResponseTextDeltaEvent

from agentstream import (
    Agent,
    ModelBehaviorError,
    Runner,
    RunResultStreaming,
    SQLiteSession,
    UserError,
    function_tool,
)
from agentstream.testing import (
    Pace,
    ScriptedModel,
    ScriptedServer,
    call,
    cut,
    fail,
    http_error,
    incomplete,
    say,
    stream_error,
    turn,
)

SLOW = Pace(tokens_per_second=50, first_token=0)


def agent(*turns: Any, pace: Pace | None = None, **more: Any) -> Agent[Any]:
    return Agent(name="A", model=ScriptedModel(list(turns), pace=pace), **more)


def text_of(events: list[Any]) -> str:
    return "".join(
        event.data.delta
        for event in events
        if event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent)
    )


async def settle(result: RunResultStreaming, within: float = 2.0) -> None:
    """Wait until the run's task has ended."""
    assert result.run_loop_task is not None
    await asyncio.wait([result.run_loop_task], timeout=within)
    assert result.run_loop_task.done()


class Watched:
    """A tool that tells when it starts and how it ends."""

    def __init__(self) -> None:
        self.story: list[str] = []

    def tool(self, name: str, seconds: float) -> Any:
        @function_tool(name_override=name)
        async def work() -> str:
            self.story.append(f"{name} starts")
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                self.story.append(f"{name} cancelled")
                raise
            self.story.append(f"{name} ends")
            return name

        return work


async def test_the_three_levels_of_events_come_in_order() -> None:
    result = Runner.run_streamed(agent("One two three."), "hi")
    events = [event async for event in result.stream_events()]
    assert events[0].type == "agent_updated_stream_event"
    assert [e.type for e in events[1:-1]] == ["raw_response_event"] * (len(events) - 2)
    assert events[-1].name == "message_output_created"
    assert text_of(events) == "One two three." == result.final_output
    assert result.is_complete
    assert result.current_turn == 1


async def test_the_run_does_not_wait_for_its_reader() -> None:
    result = Runner.run_streamed(agent("Nobody reads this yet."), "hi")
    await settle(result)
    assert result.final_output == "Nobody reads this yet."
    assert text_of([e async for e in result.stream_events()]) == "Nobody reads this yet."


async def test_break_stops_the_run_and_keeps_what_arrived() -> None:
    watched = Watched()
    tools = [watched.tool("first", 30), watched.tool("second", 30)]
    script = [turn(say("Wait."), call("first")), turn(call("second"))]
    result = Runner.run_streamed(agent(*script, tools=tools), "hi")
    async for event in result.stream_events():
        if event.type == "run_item_stream_event" and event.name == "tool_called":
            while not watched.story:
                await asyncio.sleep(0.001)
            break
    await settle(result)
    assert watched.story == ["first starts", "first cancelled"]
    assert [item.type for item in result.new_items] == ["message_output_item", "tool_call_item"]
    assert result.final_output is None
    assert result.is_complete


async def test_break_closes_the_connection_within_a_fifth_of_a_second() -> None:
    async with ScriptedServer(["word " * 500], pace=SLOW) as server:
        result = Runner.run_streamed(over(server), "hi")
        async for event in result.stream_events():
            if event.type == "raw_response_event" and event.data.type.endswith("text.delta"):
                left = time.monotonic()
                break
        call_ = server.calls[0]
        while call_.disconnected is None and time.monotonic() - left < 5:
            await asyncio.sleep(0.01)
        assert call_.disconnected is not None
        assert time.monotonic() - left < 1, "0.2 s, and room for a busy machine"


def over(server: ScriptedServer) -> Agent[Any]:
    from agentstream import OpenAIResponsesModel

    return Agent(name="A", model=OpenAIResponsesModel("m", server.client()))


async def test_an_error_in_the_readers_loop_stops_the_run() -> None:
    result = Runner.run_streamed(agent("word " * 500, pace=SLOW), "hi")
    with pytest.raises(ZeroDivisionError):
        async for _ in result.stream_events():
            raise ZeroDivisionError
    gc.collect()  # the traceback holds the frame that holds the stream
    await settle(result)
    assert result.final_output is None


async def test_async_with_stops_the_run_for_certain() -> None:
    async with Runner.run_streamed(agent("word " * 500, pace=SLOW), "hi") as result:
        events = result.stream_events()
        await anext(events)
    assert result.run_loop_task is not None
    assert result.run_loop_task.done()
    del events


async def test_aclosing_the_events_stops_the_run() -> None:
    result = Runner.run_streamed(agent("word " * 500, pace=SLOW), "hi")
    events: Any = result.stream_events()
    async with aclosing(events):
        await anext(events)
    assert result.run_loop_task is not None
    assert result.run_loop_task.done()


async def test_reading_to_the_end_leaves_a_finished_run_alone() -> None:
    async with Runner.run_streamed(agent("All of it."), "hi") as result:
        async for _ in result.stream_events():
            pass
    assert result.final_output == "All of it."


async def test_cancel_ends_the_stream_without_an_error() -> None:
    result = Runner.run_streamed(agent("word " * 500, pace=SLOW), "hi")
    count = 0
    async for _ in result.stream_events():
        count += 1
        if count == 8:
            result.cancel()
    assert count == 8
    assert result.is_complete
    await settle(result)


async def test_cancel_from_another_thread() -> None:
    result = Runner.run_streamed(agent("word " * 500, pace=SLOW), "hi")
    count = 0
    async for _ in result.stream_events():
        count += 1
        if count == 8:
            thread = threading.Thread(target=result.cancel)
            thread.start()
            thread.join()
    await settle(result)
    assert result.final_output is None


async def test_cancel_after_the_turn_finishes_the_turn_and_saves_it() -> None:
    watched, session = Watched(), SQLiteSession("s")
    script = [turn(call("work")), "never said"]
    result = Runner.run_streamed(
        agent(*script, tools=[watched.tool("work", 0.01)]), "hi", session=session
    )
    async for event in result.stream_events():
        if event.type == "run_item_stream_event" and event.name == "tool_called":
            result.cancel(mode="after_turn")
    assert watched.story == ["work starts", "work ends"]
    assert [item.type for item in result.new_items] == ["tool_call_item", "tool_call_output_item"]
    assert len(await session.get_items()) == 3
    assert result.final_output is None


def test_a_wrong_mode_of_cancel_is_told() -> None:
    result = Runner.run_streamed(agent("x"), "hi")
    with pytest.raises(UserError, match="after_turn"):
        result.cancel(mode="later")  # type: ignore[arg-type]


async def test_cancelling_the_reading_task_cancels_the_run() -> None:
    result = Runner.run_streamed(agent("word " * 500, pace=SLOW), "hi")

    async def read() -> None:
        async for _ in result.stream_events():
            pass

    reader = asyncio.create_task(read())
    await asyncio.sleep(0.05)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await settle(result)


async def test_cancelling_the_awaiting_task_cancels_run() -> None:
    watched = Watched()
    asked = agent(turn(call("work")), tools=[watched.tool("work", 30)])
    running = asyncio.create_task(Runner.run(asked, "hi"))
    while not watched.story:
        await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert watched.story == ["work starts", "work cancelled"], "cancelled and awaited"


async def test_a_failure_comes_after_the_events_before_it_with_the_runs_data() -> None:
    result = Runner.run_streamed(agent(turn(call("nothing"))), "hi")
    events = []
    with pytest.raises(ModelBehaviorError, match="nothing not found in agent A") as caught:
        async for event in result.stream_events():
            events.append(event)
    assert any(e.type == "raw_response_event" for e in events)
    assert caught.value.run_data is not None
    assert len(caught.value.run_data.raw_responses) == 1
    assert result.run_loop_exception is caught.value


async def test_a_failure_before_the_first_event_is_raised() -> None:
    result = Runner.run_streamed(agent(turn(http_error(400, "no line"))), "hi")
    with pytest.raises(BadRequestError, match="no line") as caught:
        async for _ in result.stream_events():
            pass
    assert caught.value.run_data.last_agent.name == "A"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (fail("bad luck"), "response.failed.*bad luck"),
        (stream_error("oops"), "terminal event `error`.*oops"),
        (incomplete(), "response.incomplete.*max_output_tokens"),
        (incomplete("content_filter"), "response.incomplete.*content_filter"),
        (cut(), "did not produce a final response"),
    ],
)
async def test_an_answer_that_is_not_whole_is_an_error_after_its_events(
    fault: Any, said: str
) -> None:
    result = Runner.run_streamed(agent(turn("Half an answer", fault)), "hi")
    events = []
    with pytest.raises(ModelBehaviorError, match=said):
        async for event in result.stream_events():
            events.append(event)
    assert text_of(events) == "Half an answer"
    assert result.final_output is None


async def test_a_failure_that_nobody_reads_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    result = Runner.run_streamed(agent(turn(fail("no line"))), "hi")
    await settle(result)
    del result
    gc.collect()
    assert "nobody read its error" in caplog.text


async def test_an_empty_reply_ends_the_run() -> None:
    result = Runner.run_streamed(agent(turn()), "hi")
    assert [e.type for e in [e async for e in result.stream_events()]]
    assert result.final_output == ""
    assert result.current_turn == 1


async def test_two_readers_share_the_events() -> None:
    result = Runner.run_streamed(agent("One two three four."), "hi")

    async def read() -> list[Any]:
        return [event async for event in result.stream_events()]

    first, second = await asyncio.gather(read(), read())
    assert text_of(first + second) != ""
    assert len(first) + len(second) == len({id(e) for e in first + second})


async def test_wait_ends_with_the_run_and_keeps_no_events() -> None:
    result = Runner.run_streamed(agent("One two three."), "hi")
    await result.wait()
    assert result.final_output == "One two three."
    with pytest.warns(UserWarning, match="none to come"):
        assert [event async for event in result.stream_events()] == []


async def test_wait_raises_what_the_run_failed_with() -> None:
    result = Runner.run_streamed(agent(turn(fail("no line"))), "hi")
    with pytest.raises(ModelBehaviorError, match="no line"):
        await result.wait()


async def test_cancelling_the_waiting_task_stops_the_run() -> None:
    result = Runner.run_streamed(agent("word " * 500, pace=SLOW), "hi")
    waiting = asyncio.create_task(result.wait())
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await settle(result)
