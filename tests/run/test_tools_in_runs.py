"""Tools within a run: concurrency, failures, cancellation, threads, and what ends a run."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import time
from contextlib import aclosing
from typing import Any

import pytest
from pydantic import BaseModel

from agentstream import (
    Agent,
    FunctionTool,
    FunctionToolResult,
    MaxTurnsExceeded,
    ModelBehaviorError,
    RunConfig,
    RunContextWrapper,
    Runner,
    StopAtTools,
    ToolOutputFileContent,
    ToolOutputImage,
    ToolOutputText,
    ToolsToFinalOutputResult,
    ToolTimeoutError,
    UserError,
    function_tool,
)
from agentstream.items import ToolCallOutputItem
from agentstream.run_config import ToolExecutionConfig
from agentstream.testing import ScriptedModel, call, turn
from agentstream.tool_context import ToolContext

FAILED = "An error occurred while running the tool. Please try again."
BOTH_WAYS = pytest.mark.parametrize("streamed", [False, True], ids=["run", "streamed"])


def agent(*turns: Any, tools: list[Any], **more: Any) -> Agent[Any]:
    return Agent(name="A", model=ScriptedModel(list(turns)), tools=tools, **more)


async def finish(agent: Agent[Any], streamed: bool = False, **options: Any) -> Any:
    """The result of a run, within bounded time."""

    async def drain() -> Any:
        if not streamed:
            return await Runner.run(agent, "Go", **options)
        result = Runner.run_streamed(agent, "Go", **options)
        async for _ in result.stream_events():
            pass
        return result

    return await asyncio.wait_for(drain(), 10)


def outputs(result: Any) -> list[Any]:
    """The outputs of a result's tools, in order."""
    return [item.output for item in result.new_items if isinstance(item, ToolCallOutputItem)]


def told(agent: Agent[Any]) -> list[Any]:
    """What the model was told of its calls, in its last request."""
    model: Any = agent.model
    return [
        item["output"]
        for item in model.requests[-1].input
        if item.get("type") == "function_call_output"
    ]


class Meeting:
    """A tool whose calls return when all of them have begun: they must run at the same time."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.names: list[str] = []
        self.full = asyncio.Event()

    def tool(self, name: str) -> FunctionTool:
        async def join() -> str:
            self.names.append(name)
            if len(self.names) == self.size:
                self.full.set()
            await asyncio.wait_for(self.full.wait(), 5)
            return name

        return function_tool(name_override=name)(join)


class Sleeper:
    """A tool that sleeps until it is cancelled, and tells."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.cancelled = False
        self.cleaned_up = False

    def tool(self, name: str = "sleep") -> FunctionTool:
        async def sleep() -> str:
            self.began.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled = True
                await asyncio.sleep(0)  # cleaning up takes a while
                self.cleaned_up = True
                raise
            return "slept"

        return function_tool(name_override=name)(sleep)


# ---- concurrency


@BOTH_WAYS
async def test_the_calls_of_a_turn_run_at_the_same_time_and_answer_in_order(streamed: bool) -> None:
    meeting = Meeting(3)
    names = ["c", "a", "b"]
    a = agent(
        turn(*[call(name) for name in names]), "Done.", tools=[meeting.tool(n) for n in names]
    )
    result = await finish(a, streamed)
    assert outputs(result) == names
    assert told(a) == names
    assert result.final_output == "Done."


async def test_one_tool_called_twice_runs_twice_at_the_same_time() -> None:
    meeting = Meeting(2)
    a = agent(turn(call("join"), call("join")), "Done.", tools=[meeting.tool("join")])
    assert outputs(await finish(a)) == ["join", "join"]


async def test_each_call_has_a_context_of_its_own() -> None:
    seen = []

    @function_tool
    async def look(ctx: ToolContext[Any], a: int) -> int:
        await asyncio.sleep(0)
        seen.append((ctx.tool_name, ctx.tool_call_id, ctx.tool_arguments, ctx.context))
        ctx.context.append(a)
        return a

    shared: list[int] = []
    a = agent(turn(call("look", a=1), call("look", a=2)), "Done.", tools=[look])
    await finish(a, context=shared)
    assert shared == [1, 2]
    assert [arguments for _, _, arguments, _ in seen] == ['{"a":1}', '{"a":2}']
    assert len({call_id for _, call_id, _, _ in seen}) == 2
    assert all(context is shared for *_, context in seen)


async def test_usage_is_shared_with_the_context_of_a_call() -> None:
    @function_tool
    def requests(ctx: RunContextWrapper[Any]) -> int:
        return ctx.usage.requests

    a = agent(call("requests"), call("requests"), "Done.", tools=[requests])
    assert outputs(await finish(a)) == [1, 2]


# ---- failures


@BOTH_WAYS
async def test_a_tool_that_fails_leaves_its_siblings_and_the_run_alone(streamed: bool) -> None:
    @function_tool
    def boom() -> None:
        raise ValueError("secret")

    @function_tool
    async def fine() -> str:
        return "fine"

    a = agent(turn(call("boom"), call("fine")), "Done.", tools=[boom, fine])
    assert outputs(await finish(a, streamed)) == [FAILED, "fine"]
    assert told(a) == [FAILED, "fine"]


@BOTH_WAYS
async def test_an_error_without_a_handler_ends_the_run_and_keeps_what_arrived(
    streamed: bool,
) -> None:
    sleeper = Sleeper()

    @function_tool(failure_error_function=None)
    async def boom() -> None:
        await sleeper.began.wait()
        raise ValueError("why")

    a = agent(turn("Wait.", call("sleep"), call("boom")), "Done.", tools=[sleeper.tool(), boom])
    with pytest.raises(UserError, match="boom: why") as caught:
        await finish(a, streamed)
    assert isinstance(caught.value.__cause__, ValueError)
    assert sleeper.cleaned_up
    assert caught.value.run_data is not None
    kinds = [item.type for item in caught.value.run_data.new_items]
    calls = ["tool_call_item", "tool_call_item"]
    assert kinds == ["message_output_item", *calls, "tool_call_output_item"]  # boom was at work


async def test_outputs_that_were_there_before_a_sibling_failed_are_kept() -> None:
    done = asyncio.Event()

    @function_tool
    async def first() -> str:
        done.set()
        return "kept"

    @function_tool(failure_error_function=None)
    async def boom() -> None:
        await done.wait()
        await asyncio.sleep(0.02)
        raise ValueError("why")

    a = agent(turn(call("first"), call("boom")), "Done.", tools=[first, boom])
    with pytest.raises(UserError) as caught:
        await finish(a)
    assert caught.value.run_data is not None
    failed = "An error occurred while running the tool. It may have done part of its work."
    assert outputs(caught.value.run_data) == ["kept", failed]


@BOTH_WAYS
async def test_a_tool_that_raises_cancelled_error_has_failed_and_nobody_cancelled_the_run(
    streamed: bool,
) -> None:
    @function_tool
    async def cancelled() -> None:
        raise asyncio.CancelledError

    @function_tool
    async def fine() -> str:
        return "fine"

    a = agent(
        turn(call("cancelled"), call("fine")), call("cancelled"), "Done.", tools=[cancelled, fine]
    )
    result = await finish(a, streamed)
    assert outputs(result) == [FAILED, "fine", FAILED]
    assert result.final_output == "Done."


@pytest.mark.parametrize("alone", [True, False])
async def test_a_tool_that_raises_keyboard_interrupt_ends_its_run_and_not_the_loop(
    alone: bool,
) -> None:
    """asyncio lets one out of the loop at once, whichever task it is from; in a kernel, its end."""
    sleeper = Sleeper()

    @function_tool
    async def interrupt() -> None:
        if not alone:
            await sleeper.began.wait()
        raise KeyboardInterrupt

    calls = [call("interrupt")] if alone else [call("sleep"), call("interrupt")]
    with pytest.raises(UserError, match="interrupt: it raised KeyboardInterrupt") as caught:
        await finish(agent(turn(*calls), "Never.", tools=[sleeper.tool(), interrupt]))
    assert caught.value.run_data is not None
    assert sleeper.cleaned_up is not alone


@pytest.mark.parametrize("threaded", [False, True], ids=["async", "in a thread"])
async def test_a_tool_that_exits_has_failed(threaded: bool) -> None:
    def leave() -> None:
        sys.exit(2)  # as argparse does

    async def leave_async() -> None:
        leave()

    tool = function_tool(leave if threaded else leave_async, name_override="leave")
    a = agent(turn(call("leave"), call("leave")), "Done.", tools=[tool])
    assert outputs(await finish(a)) == [FAILED, FAILED]


async def test_a_late_tool_may_end_the_run() -> None:
    sleeper = Sleeper()

    @function_tool(timeout=0.02, timeout_behavior="raise_exception")
    async def late() -> None:
        await asyncio.sleep(60)

    a = agent(turn(call("sleep"), call("late")), "Done.", tools=[sleeper.tool(), late])
    with pytest.raises(ToolTimeoutError) as caught:
        await finish(a)
    assert caught.value.tool_name == "late"
    assert caught.value.run_data is not None
    assert sleeper.cleaned_up


async def test_a_late_tool_tells_the_model_and_its_siblings_go_on() -> None:
    @function_tool(timeout=0.02)
    async def late() -> None:
        await asyncio.sleep(60)

    @function_tool
    async def fine() -> str:
        await asyncio.sleep(0.05)
        return "fine"

    a = agent(turn(call("late"), call("fine")), "Done.", tools=[late, fine])
    assert outputs(await finish(a)) == ["Tool 'late' timed out after 0.02 seconds.", "fine"]


async def test_wrong_arguments_are_told_to_the_model_which_may_try_again() -> None:
    @function_tool
    def add(a: int, b: int) -> int:
        return a + b

    a = agent(call("add", a="x"), call("add", a=1, b=2), "Done.", tools=[add])
    assert outputs(await finish(a)) == [FAILED, 3]


async def test_wrong_arguments_end_the_run_where_the_tool_says_so() -> None:
    @function_tool(failure_error_function=None)
    def add(a: int) -> int:
        return a

    with pytest.raises(ModelBehaviorError, match="Invalid JSON input for tool add: a: ") as caught:
        await finish(agent(call("add", a="x"), "Done.", tools=[add]))
    assert caught.value.run_data is not None


async def test_a_value_that_has_no_text_is_a_failure_like_any_other() -> None:
    class Mute:
        def __str__(self) -> str:
            raise ValueError("no text")

    def deep() -> Any:
        nested: list[Any] = []
        for _ in range(100_000):
            nested = [nested]
        return nested

    tools = [function_tool(Mute, name_override="mute"), function_tool(deep)]
    a = agent(turn(call("mute"), call("deep")), "Done.", tools=tools)
    await finish(a)
    assert told(a) == [FAILED, FAILED]
    raising = function_tool(Mute, name_override="mute", failure_error_function=None)
    with pytest.raises(UserError, match="mute: no text"):
        await finish(agent(call("mute"), "Done.", tools=[raising]))


# ---- leaving early


async def test_leaving_the_stream_cancels_running_tools_and_awaits_them() -> None:
    sleepers = [Sleeper(), Sleeper()]
    tools = [sleeper.tool(f"sleep{at}") for at, sleeper in enumerate(sleepers)]
    a = agent(turn(call("sleep0"), call("sleep1")), "Never.", tools=tools)
    result = Runner.run_streamed(a, "Go")
    async with aclosing(result.stream_events()) as events:
        async for event in events:
            if event.type == "run_item_stream_event":
                for sleeper in sleepers:
                    await asyncio.wait_for(sleeper.began.wait(), 5)
                break
    assert all(sleeper.cleaned_up for sleeper in sleepers)
    assert len(a.model.requests) == 1  # type: ignore[union-attr]
    assert [item.type for item in result.new_items] == ["tool_call_item", "tool_call_item"]


async def test_cancelling_the_task_that_awaits_a_run_cancels_its_tools() -> None:
    sleeper = Sleeper()
    task = asyncio.create_task(Runner.run(agent(call("sleep"), tools=[sleeper.tool()]), "Go"))
    await asyncio.wait_for(sleeper.began.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sleeper.cleaned_up


async def test_a_tool_is_not_begun_after_the_run_was_left() -> None:
    begun: list[str] = []

    @function_tool
    async def tool() -> str:
        begun.append("tool")
        return "ran"

    result = Runner.run_streamed(agent(call("tool"), "Never.", tools=[tool]), "Go")
    async for event in result.stream_events():
        if event.type == "raw_response_event":
            break
    await asyncio.sleep(0.05)
    assert begun == []


async def test_a_tool_in_a_thread_does_not_keep_a_run_that_was_left() -> None:
    began, go = threading.Event(), threading.Event()

    @function_tool
    def block() -> bool:
        began.set()
        return go.wait(10)

    result = Runner.run_streamed(agent(call("block"), "Never.", tools=[block]), "Go")
    try:
        async with aclosing(result.stream_events()) as events:
            async for event in events:
                if event.type == "run_item_stream_event":
                    await asyncio.to_thread(began.wait, 5)
                    break
        left = time.monotonic()
        assert result.run_loop_task is not None
        await asyncio.wait([result.run_loop_task], timeout=5)
        assert result.run_loop_task.done()
        assert time.monotonic() - left < 1
        assert not go.is_set()
    finally:
        go.set()


async def test_a_tool_that_will_not_be_cancelled_does_not_keep_its_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agentstream.run.streamed_result._CLOSING_TIME", 0.05)
    began, go = asyncio.Event(), asyncio.Event()

    @function_tool
    async def stubborn() -> str:
        began.set()
        while not go.is_set():
            try:
                await asyncio.wait_for(go.wait(), 10)
            except asyncio.CancelledError:
                continue
        return "at last"

    result = Runner.run_streamed(agent(call("stubborn"), "Never.", tools=[stubborn]), "Go")
    async with aclosing(result.stream_events()) as events:
        async for event in events:
            if event.type == "run_item_stream_event":
                await asyncio.wait_for(began.wait(), 5)
                break
    go.set()
    assert result.run_loop_task is not None
    await asyncio.wait([result.run_loop_task], timeout=5)
    assert result.run_loop_task.done()
    assert len(result.raw_responses) == 1


# ---- threads


async def test_sync_tools_run_in_threads_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=5)

    @function_tool
    def meet() -> str:
        meeting.wait()
        return "met"

    a = agent(turn(call("meet"), call("meet")), "Done.", tools=[meet])
    assert outputs(await finish(a)) == ["met", "met"]


async def test_a_sync_tool_does_not_keep_the_loop() -> None:
    meeting = threading.Event()

    @function_tool
    def wait() -> bool:
        return meeting.wait(5)

    async def ticks() -> None:
        meeting.set()

    task = asyncio.create_task(finish(agent(call("wait"), "Done.", tools=[wait])))
    await ticks()
    assert outputs(await task) == [True]


async def test_context_variables_reach_tools() -> None:
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user")
    user.set("Ada")

    @function_tool
    def sync() -> str:
        return user.get()

    @function_tool
    async def asynchronous() -> str:
        return user.get()

    a = agent(turn(call("sync"), call("asynchronous")), "Done.", tools=[sync, asynchronous])
    assert outputs(await finish(a, streamed=True)) == ["Ada", "Ada"]


async def test_a_sync_tool_may_run_an_agent_of_its_own() -> None:
    @function_tool
    def ask() -> str:
        inner = agent("From inside.", tools=[])
        return str(Runner.run_sync(inner, "Go").final_output)

    assert outputs(await finish(agent(call("ask"), "Done.", tools=[ask]))) == ["From inside."]


# ---- outputs


async def test_images_files_and_text_reach_the_model_as_content() -> None:
    parts = [
        ToolOutputText(text="see"),
        ToolOutputImage(image_url="data:image/png;base64,AA==", detail="low"),
        ToolOutputFileContent(file_data="AA==", filename="a.pdf"),
    ]
    a = agent(call("show"), "Done.", tools=[function_tool(name_override="show")(lambda: parts)])
    assert outputs(await finish(a)) == [parts]
    assert told(a) == [
        [
            {"type": "input_text", "text": "see"},
            {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
            {"type": "input_file", "file_data": "AA==", "filename": "a.pdf"},
        ]
    ]


class Answer(BaseModel):
    value: int


async def test_a_declared_output_reaches_the_model_as_json_and_a_failure_as_text() -> None:
    @function_tool(output_type=Answer)
    def good() -> dict[str, int]:
        return {"value": 1}

    @function_tool(output_type=Answer)
    def bad() -> dict[str, str]:
        return {"value": "x"}

    @function_tool(output_json_schema={"type": "object", "properties": {"k": {}}})
    def plain() -> dict[str, str]:
        return {"k": "v"}

    a = agent(turn(call("good"), call("bad"), call("plain")), "Done.", tools=[good, bad, plain])
    assert outputs(await finish(a)) == [Answer(value=1), FAILED, {"k": "v"}]
    assert told(a) == ['{"value":1}', FAILED, '{"k":"v"}']


async def test_data_of_a_tools_own_is_kept_with_its_output() -> None:
    def extract(context: Any) -> dict[str, Any]:
        return {"call": context.tool_context.tool_call_id, "seen": context.raw_item["output"]}

    tool = function_tool(name_override="t", custom_data_extractor=extract)(lambda: 3)
    a = agent(call("t"), "Done.", tools=[tool])
    [item] = [i for i in (await finish(a)).new_items if isinstance(i, ToolCallOutputItem)]
    assert item.custom_data == {"call": item.call_id, "seen": "3"}


async def test_data_of_a_tools_own_must_be_a_mapping() -> None:
    tool = function_tool(name_override="t", custom_data_extractor=lambda context: 5)(lambda: 3)  # type: ignore[arg-type, return-value]
    with pytest.raises(UserError, match="mapping or None"):
        await finish(agent(call("t"), "Done.", tools=[tool]))


# ---- what comes after tools


def answers(*names: str) -> list[FunctionTool]:
    """Tools that answer their name."""
    return [function_tool(name_override=name)(lambda name=name: f"from {name}") for name in names]


async def test_the_first_tool_output_may_end_the_run() -> None:
    a = agent(
        turn(call("a"), call("b")),
        "Never.",
        tools=answers("a", "b"),
        tool_use_behavior="stop_on_first_tool",
    )
    result = await finish(a)
    assert result.final_output == "from a"
    assert outputs(result) == ["from a", "from b"]


async def test_chosen_tools_end_the_run() -> None:
    a = agent(
        call("a"),
        turn(call("a"), call("b")),
        "Never.",
        tools=answers("a", "b"),
        tool_use_behavior=StopAtTools(stop_at_tool_names=["b"]),
    )
    result = await finish(a, streamed=True)
    assert result.final_output == "from b"
    assert outputs(result) == ["from a", "from a", "from b"]


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_a_function_decides_whether_outputs_end_the_run(asynchronous: bool) -> None:
    seen: list[list[Any]] = []

    def decide(
        ctx: RunContextWrapper[Any], results: list[FunctionToolResult]
    ) -> ToolsToFinalOutputResult:
        seen.append([(result.tool.name, result.output) for result in results])
        return ToolsToFinalOutputResult(len(seen) == 2, "over")

    async def decide_later(
        ctx: RunContextWrapper[Any], results: list[FunctionToolResult]
    ) -> ToolsToFinalOutputResult:
        return decide(ctx, results)

    behavior: Any = decide_later if asynchronous else decide
    a = agent(call("a"), call("b"), "Never.", tools=answers("a", "b"), tool_use_behavior=behavior)
    assert (await finish(a)).final_output == "over"
    assert seen == [[("a", "from a")], [("b", "from b")]]


async def test_a_run_whose_tools_never_end_stops_at_its_turns() -> None:
    a = Agent(name="A", model=ScriptedModel([call("a")], loop=True), tools=[*answers("a")])
    with pytest.raises(MaxTurnsExceeded) as caught:
        await finish(a, max_turns=3)
    assert caught.value.run_data is not None
    assert outputs(caught.value.run_data) == ["from a"] * 3


async def test_disabled_tools_are_not_shown_and_cannot_be_called() -> None:
    def enabled(ctx: RunContextWrapper[Any], agent: Any) -> bool:
        return bool(ctx.context["on"])

    tool = function_tool(name_override="t", is_enabled=enabled)(lambda: "ran")
    on = agent(call("t"), "Done.", tools=[tool])
    assert outputs(await finish(on, context={"on": True})) == ["ran"]
    off = agent(call("t"), "Done.", tools=[tool])
    with pytest.raises(ModelBehaviorError, match="t"):
        await finish(off, context={"on": False})
    assert [t.name for t in off.model.requests[0].tools] == []  # type: ignore[union-attr]


async def test_no_more_calls_run_at_the_same_time_than_the_run_allows() -> None:
    running = most = 0

    @function_tool
    async def count() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    a = agent(turn(*[call("count")] * 5), "Done.", tools=[count])
    config = RunConfig(tool_execution=ToolExecutionConfig(max_function_tool_concurrency=2))
    await finish(a, run_config=config)
    assert most == 2


@pytest.mark.parametrize("threaded", [False, True], ids=["async", "in a thread"])
async def test_a_tool_reports_how_far_it_is_before_it_has_finished(threaded: bool) -> None:
    def report(ctx: ToolContext[Any]) -> str:
        ctx.report_progress("reading", 0.25)
        ctx.report_progress("cleaning", 7)
        ctx.report_progress("nearly there")
        return "clean"

    async def report_async(ctx: ToolContext[Any]) -> str:
        return report(ctx)

    tool = function_tool(report if threaded else report_async, name_override="clean")
    agent = Agent(name="A", tools=[tool], model=ScriptedModel([call("clean"), "Done."]))
    seen: list[Any] = []
    result = Runner.run_streamed(agent, "Clean up")
    result.observe(seen.append)
    async for _ in result.stream_events():
        pass
    told = [mark for mark in seen if mark.type == "mark.tool_progressed"]
    assert [(mark.message, mark.fraction) for mark in told] == [
        ("reading", 0.25),
        ("cleaning", 1.0),
        ("nearly there", None),
    ]
    finished = next(at for at, mark in enumerate(seen) if mark.type == "mark.tool_finished")
    assert seen.index(told[-1]) < finished
    assert len({mark.call_id for mark in told}) == 1


async def test_a_report_that_comes_after_the_call_is_not_told() -> None:
    kept: list[ToolContext[Any]] = []

    @function_tool
    async def keep(ctx: ToolContext[Any]) -> str:
        kept.append(ctx)
        return "kept"

    agent = Agent(name="A", tools=[keep], model=ScriptedModel([call("keep"), "Done."]))
    result = Runner.run_streamed(agent, "Go")
    async for _ in result.stream_events():
        pass
    kept[0].report_progress("too late", 0.5)
    assert "mark.tool_progressed" not in set(result.to_frame("events")["type"])
    ToolContext(None).report_progress("no run at all")
