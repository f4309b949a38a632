"""Tools at fault: each ends as an answer for the model, a warning, or an error with a name."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from openai.types.responses import ResponseComputerToolCall
from openai.types.responses.response_output_item import LocalShellCall
from pydantic import BaseModel

from agentstream import (
    Agent,
    Computer,
    ComputerTool,
    LocalShellTool,
    ModelResponse,
    RunConfig,
    Runner,
    ToolTimeoutError,
    Usage,
    UserError,
    function_tool,
    load_run,
    recording,
)
from agentstream.items import ToolCallOutputItem
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.run import blocking_monitor
from agentstream.testing import ScriptedModel, call, turn

FAILED = "An error occurred while running the tool. Please try again."


async def asked(*tools: Any, **config: Any) -> Any:
    """The result of a run that calls each of `tools` once; its model has the last word."""
    model = ScriptedModel([turn(*[call(tool.name) for tool in tools]), "Done."])
    agent = Agent(name="A", tools=list(tools), model=model)
    result = Runner.run_streamed(agent, "Go", run_config=RunConfig(**config))
    await asyncio.wait_for(result.wait(), 20)
    result.told = [
        item["output"]
        for item in model.requests[-1].input
        if item.get("type") == "function_call_output"
    ]
    return result


def outputs(result: Any) -> list[Any]:
    return [item.output for item in result.new_items if isinstance(item, ToolCallOutputItem)]


def warnings_of(result: Any) -> list[str]:
    return [text for part in result.trace.parts for text in part.warnings]


# --- exceptions and time-outs ------------------------------------------------------------------


class Odd(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "raised",
    [ValueError("secret"), StopIteration(3), asyncio.CancelledError(), SystemExit(2), Odd()],
    ids=lambda raised: type(raised).__name__,
)
@pytest.mark.parametrize("threaded", [False, True], ids=["async", "in a thread"])
async def test_the_model_is_told_that_a_tool_failed_and_not_how(
    raised: BaseException, threaded: bool
):
    def fail() -> str:
        raise raised

    async def fail_async() -> str:
        return fail()

    result = await asked(function_tool(fail if threaded else fail_async))
    assert (result.told, result.final_output) == ([FAILED], "Done.")
    shown = snapshot(result.trace)["text/html"]
    assert FAILED in shown
    assert f"{type(raised).__name__}" in shown, "whoever watches is told what went wrong"
    assert ("secret" in shown) == isinstance(raised, ValueError)


async def test_a_tool_that_raises_keyboard_interrupt_ends_its_run_with_a_name():
    @function_tool
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(UserError, match="tool stop: it raised KeyboardInterrupt") as caught:
        await asked(stop)
    assert caught.value.run_data is not None
    assert [item.type for item in caught.value.run_data.new_items] == ["tool_call_item"]


async def test_a_time_limit_is_told_to_the_model_or_ends_the_run():
    async def slow() -> None:
        await asyncio.sleep(60)

    result = await asked(function_tool(slow, timeout=0.02))  # type: ignore[call-overload]
    assert result.told == ["Tool 'slow' timed out after 0.02 seconds."]
    strict = function_tool(timeout=0.02, timeout_behavior="raise_exception")(slow)
    with pytest.raises(ToolTimeoutError, match="'slow' timed out after 0.02 seconds"):
        await asked(strict)


async def test_what_a_stopped_tool_cleans_up_is_not_cancelled_as_well():
    cleaned = list[str]()

    @function_tool
    async def saves() -> str:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.05)  # longer than the other takes to end
            cleaned.append("saves")
        return ""

    @function_tool
    async def other() -> str:
        await asyncio.sleep(3600)
        return ""

    model = ScriptedModel([turn(call("saves"), call("other"))])
    agent = Agent(name="A", tools=[saves, other], model=model)
    run = asyncio.ensure_future(Runner.run(agent, "Go"))
    await asyncio.sleep(0.05)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert cleaned == ["saves"]


@pytest.mark.parametrize("stopped", [False, True])
async def test_a_tool_that_ignores_its_cancellation_is_awaited(stopped: bool):
    """The run does not end before it: what it does after that, nobody would know of."""
    release, cancelled = asyncio.Event(), list[str]()

    @function_tool
    async def stubborn() -> str:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                cancelled.append("stubborn")
        return "late"

    @function_tool(failure_error_function=None)
    async def other() -> str:
        await asyncio.sleep(3600 if stopped else 0.01)
        raise ValueError("no")

    model = ScriptedModel([turn(call("stubborn"), call("other"))])
    agent = Agent(name="A", tools=[stubborn, other], model=model)
    run = asyncio.ensure_future(Runner.run(agent, "Go"))
    if stopped:
        await asyncio.sleep(0.05)
        run.cancel()
    cpu = time.process_time()
    done, _ = await asyncio.wait([run], timeout=0.5)
    used, often = time.process_time() - cpu, len(cancelled)
    release.set()
    assert (bool(done), often) == (False, 1)  # not cancelled again and again
    assert used < 0.4
    with pytest.raises(asyncio.CancelledError if stopped else UserError):
        await run


async def test_tools_that_hang_in_their_threads_keep_no_later_tool_waiting():
    """asyncio's own pool has a few threads, and a thread cannot be cancelled."""
    go = threading.Event()
    hanging = function_tool(go.wait, name_override="hang", use_docstring_info=False)
    quick = function_tool(lambda: "quick", name_override="quick")
    try:
        for _ in range(40):  # more than any pool of asyncio's has
            model = ScriptedModel([call("hang"), "Done."])
            run = Runner.run_streamed(Agent(name="A", tools=[hanging], model=model), "Go")
            await asyncio.sleep(0)
            while not any(one.run_started is not None for one in run.trace.parts):
                await asyncio.sleep(0.001)
            run.cancel()
            await run.wait()
        assert (await asked(quick)).told == ["quick"]
    finally:
        go.set()


# --- endless output ----------------------------------------------------------------------------


async def test_a_huge_output_is_whole_for_the_program_and_cut_for_the_model(
    caplog: pytest.LogCaptureFixture,
):
    @function_tool
    def read() -> str:
        return "begin" + "x" * 2_000_000 + "end"

    with caplog.at_level(logging.WARNING, "agentstream"):
        result = await asked(read)
    [told] = result.told
    assert told.startswith("beginxxx")
    assert told.endswith("xxxend")
    assert "[1,000,008 characters are left out here: the output has 2,000,008" in told
    assert len(told) < 1_000_200
    assert len(outputs(result)[0]) == 2_000_008
    [warned] = warnings_of(result)
    assert warned.startswith("gave 2,000,008 characters, of which the model gets 1,000,000;")
    assert "max_output_characters" in warned
    assert f"The tool 'read' {warned}." in caplog.text
    page = snapshot(result.trace)
    assert "of which the model gets 1,000,000" in page["text/html"]
    assert "more characters not shown" in page["text/html"]
    assert sum(map(len, page.values())) < 300_000


@pytest.mark.parametrize("most", [10, None])
async def test_the_bound_can_be_set_and_lifted(most: int | None):
    long = function_tool(lambda: "y" * 1_000_005, name_override="long")
    result = await asked(long, tool_execution={"max_output_characters": most})
    if most is None:
        assert result.told == ["y" * 1_000_005]
        assert warnings_of(result) == []
    else:
        assert len(result.told[0]) < 120


async def test_the_texts_among_content_parts_are_bounded_too():
    parts = [{"type": "text", "text": "z" * 100}, {"type": "image", "image_url": "data:x"}]
    result = await asked(
        function_tool(lambda: parts, name_override="parts"),
        tool_execution={"max_output_characters": 8},
    )
    [[text, image]] = result.told
    assert text["text"].startswith("zzzzzz\n[92 characters are left out")
    assert image["image_url"] == "data:x"
    assert outputs(result) == [parts]


def test_a_bound_that_is_none_is_refused():
    with pytest.raises(UserError, match="max_output_characters must be at least 1"):
        RunConfig(tool_execution={"max_output_characters": 0})  # type: ignore[arg-type]


@pytest.mark.parametrize("threaded", [False, True], ids=["async", "in a thread"])
async def test_an_endless_generator_is_stopped_and_closed(threaded: bool):
    closed = threading.Event()

    def count() -> Iterator[str]:
        try:
            while True:
                yield "more "
        finally:
            closed.set()

    async def count_async() -> AsyncIterator[str]:
        try:
            while True:
                yield "more "
        finally:
            closed.set()

    tool = function_tool(count if threaded else count_async, name_override="count")
    result = await asked(tool, tool_execution={"max_output_characters": 1_000})
    assert closed.is_set()
    assert "was stopped here: it gave more than 1,000 characters" in result.told[0]
    assert len(outputs(result)[0]) < 1_200
    assert any("gave more than 1,000 characters, and was stopped" in w for w in warnings_of(result))


async def test_what_a_generator_yields_is_its_output():
    def words() -> Iterator[str]:
        yield "one "
        yield "two"

    async def rows() -> AsyncIterator[dict[str, int]]:
        yield {"n": 1}
        yield {"n": 2}

    assert outputs(await asked(function_tool(words), function_tool(rows))) == [
        "one two",
        [{"n": 1}, {"n": 2}],
    ]


async def test_a_generator_whose_run_was_stopped_stops_at_its_next_piece():
    began, closed = threading.Event(), threading.Event()

    def drip() -> Iterator[str]:
        try:
            while True:
                began.set()
                time.sleep(0.005)
                yield "drop"
        finally:
            closed.set()

    model = ScriptedModel([call("drip"), "Done."])
    run = Runner.run_streamed(Agent(name="A", tools=[function_tool(drip)], model=model), "Go")
    while not began.is_set():
        await asyncio.sleep(0.001)
    run.cancel()
    await run.wait()
    assert await asyncio.to_thread(closed.wait, 5)


# --- results that are no text ------------------------------------------------------------------


class Mute:
    def __repr__(self) -> str:
        raise ValueError("no text")


def deep() -> Any:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    return nested


def within_itself() -> Any:
    itself: list[Any] = []
    itself.append(itself)
    return itself


class Model(BaseModel):
    model_config = {"arbitrary_types_allowed": True}
    field: object


@pytest.mark.parametrize("value", [Mute, lambda: [Mute()], deep], ids=["mute", "in a list", "deep"])
async def test_a_result_without_a_text_is_a_failure_and_shows_as_one(value: Any):
    result = await asked(function_tool(value, name_override="odd", use_docstring_info=False))
    assert (result.told, result.final_output) == ([FAILED], "Done.")
    assert FAILED in snapshot(result.trace)["text/html"]


@pytest.mark.parametrize(
    "value",
    [
        *(object(), {1, 2}, {"a": {3}}, b"\xff", float("nan"), {(1, 2): 3}, "half \ud800 a pair"),
        *(within_itself(), Model(field=object())),
    ],
    ids=[
        *("object", "set", "set inside", "bytes", "nan", "tuple key", "surrogate"),
        *("within itself", "model"),
    ],
)
async def test_a_result_that_is_no_json_is_told_as_text_and_leaves_the_run_readable(
    value: Any, tmp_path: Path
):
    with recording(tmp_path / "run.jsonl"):
        result = await asked(function_tool(lambda: value, name_override="odd"))
    assert load_run(tmp_path / "run.jsonl").final_output == "Done."
    assert result.told == [str(value)]
    assert result.final_output == "Done."
    assert len(result.to_frame()) == 3
    assert "odd" in snapshot(result.trace)["text/plain"]
    assert result.to_state().to_json()


class Ugly:
    """Fails wherever a page asks for something nicer than its text."""

    def __repr__(self) -> str:
        return "ugly"

    def _repr_png_(self) -> bytes:
        raise RuntimeError("no picture")

    def model_dump(self, **_: Any) -> Any:
        raise RuntimeError("no fields")


async def test_a_result_that_fails_to_be_drawn_is_shown_as_text():
    result = await asked(function_tool(Ugly, name_override="draw", use_docstring_info=False))
    assert result.told == [[{"type": "input_text", "text": "ugly"}]]
    assert "ugly" in snapshot(result.trace)["text/html"]
    assert "ugly" in snapshot(result.trace)["text/plain"]


# --- the loop is blocked -----------------------------------------------------------------------


async def test_a_tool_that_blocks_the_loop_is_named_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(blocking_monitor, "BLOCKED_SECONDS", 0.05)

    @function_tool
    async def fetch() -> str:
        time.sleep(0.2)
        await asyncio.sleep(0)
        time.sleep(0.1)
        return "fetched"

    with caplog.at_level(logging.WARNING, "agentstream"):
        result = await asked(fetch)
        await asked(fetch)
    assert result.told == ["fetched"]
    [warned] = warnings_of(result)
    assert warned.startswith("blocked the event loop for 0.")
    assert "Make it a plain `def`" in warned
    assert "asyncio.to_thread" in warned
    assert "blocked the event loop" in snapshot(result.trace)["text/html"]
    assert caplog.text.count("The tool 'fetch' blocked the event loop") == 1, "told once"


async def test_a_tool_that_waits_as_it_should_is_no_blocker(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(blocking_monitor, "BLOCKED_SECONDS", 0.5)

    @function_tool
    async def waits() -> str:
        await asyncio.sleep(0.7)
        return await asyncio.to_thread(lambda: time.sleep(0.7) or "waited")

    @function_tool
    def sleeps() -> str:
        time.sleep(0.7)
        return "slept"

    result = await asked(waits, sleeps)
    assert result.told == ["waited", "slept"]
    assert warnings_of(result) == []


def test_a_tool_that_never_gives_way_is_named_while_it_blocks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(blocking_monitor, "STUCK_SECONDS", 0.1)
    told = threading.Event()
    records: list[logging.LogRecord] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)
            told.set()

    @function_tool
    async def stuck() -> bool:
        return told.wait(20)  # blocks the loop until it has been said

    ear = Ear()
    logging.getLogger("agentstream").addHandler(ear)
    try:
        result = asyncio.run(asked(stuck))
    finally:
        logging.getLogger("agentstream").removeHandler(ear)
    assert result.told == ["True"]
    assert "'stuck' has blocked the event loop for" in records[0].getMessage()
    assert "and still does" in records[0].getMessage()


INTERRUPTED = """
import asyncio, sys, time
from agentstream import Agent, Runner, function_tool
from agentstream.testing import ScriptedModel, call

@function_tool
async def block() -> None:
    print("blocking", flush=True)
    time.sleep(60)

@function_tool
def hang() -> None:
    print("blocking", flush=True)
    time.sleep(60)

agent = Agent(name="A", tools=[block, hang], model=ScriptedModel([call(sys.argv[2]), "Done."]))

async def main():
    if sys.argv[1] == "sync":
        Runner.run_sync(agent, "Go")
    result = Runner.run_streamed(agent, "Go")
    try:
        async for _ in result.stream_events():
            pass
        await asyncio.sleep(1)  # the interrupt cancels this task in a moment
    finally:
        await result.wait()
        print(result.trace.status, result.trace.error, flush=True)

try:
    if sys.argv[1] == "script":
        Runner.run_sync(agent, "Go")
    else:
        asyncio.run(main())
except KeyboardInterrupt:
    sys.exit(7)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for a child process")
@pytest.mark.parametrize(
    ("how", "tool"),
    [("streamed", "block"), ("streamed", "hang"), ("sync", "block"), ("script", "block")],
)
def test_ctrl_c_reaches_a_tool_that_blocks_and_the_program_ends(how: str, tool: str):
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, how, tool],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "blocking\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert process.returncode == 7, err
        assert err == ""
        if how == "streamed":
            named = f"cancelled KeyboardInterrupt in the tool '{tool}'\n"
            # The other runs in a thread, and may be at work before its step on the loop has ended.
            assert out == named or (tool == "hang" and out == "cancelled None\n")
    finally:
        process.kill()
        process.communicate()


# --- computers and shells ----------------------------------------------------------------------


def called_item(kind: str) -> Any:
    """A call of a computer or of a local shell, as the API sends it."""
    if kind == "computer":
        return ResponseComputerToolCall(
            id="c", call_id="1", type="computer_call", status="completed",
            pending_safety_checks=[], action={"type": "wait"},
        )  # fmt: skip
    return LocalShellCall(
        id="c", call_id="1", type="local_shell_call", status="completed",
        action={"type": "exec", "command": ["ls"], "env": {}},
    )  # fmt: skip


class Playing(ScriptedModel):
    """Answers with one item first, and with words then."""

    def __init__(self, item: Any) -> None:
        super().__init__(["Done."])
        self._item: Any = item

    async def get_response(self, *args: Any, **kwargs: Any) -> Any:
        if self._item is None:
            return await super().get_response(*args, **kwargs)
        item, self._item = self._item, None
        return ModelResponse(output=[item], usage=Usage(), response_id=None)


def machine(kind: str, work: Any) -> Any:
    """A ComputerTool or a LocalShellTool that does `work` when it is called."""
    if kind == "shell":
        return LocalShellTool(executor=lambda request: work())
    methods = dict.fromkeys(["click", "double_click", "drag", "keypress", "move", "scroll", "type"])
    computer = type("Screen", (Computer,), {
        **{name: lambda self, *args: None for name in methods},
        "environment": "linux", "dimensions": (8, 6),
        "wait": lambda self: work(), "screenshot": lambda self: "AAAA",
    })  # fmt: skip
    return ComputerTool(computer())


KINDS = pytest.mark.parametrize("kind", ["computer", "shell"])


@KINDS
@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
async def test_a_machine_that_would_end_the_program_ends_its_run_with_a_name(
    raised: type[BaseException], kind: str
):
    def work() -> str:
        raise raised

    agent = Agent(name="A", tools=[machine(kind, work)], model=Playing(called_item(kind)))
    with pytest.raises(UserError, match=f"it raised {raised.__name__}") as caught:
        await Runner.run(agent, "Go")
    assert len(caught.value.run_data.new_items) == 1  # type: ignore[union-attr]


@KINDS
async def test_a_machine_that_blocks_the_loop_is_named(
    kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(blocking_monitor, "BLOCKED_SECONDS", 0.05)

    def work() -> str:
        time.sleep(0.1)
        return "done"

    agent = Agent(name="A", tools=[machine(kind, work)], model=Playing(called_item(kind)))
    with caplog.at_level(logging.WARNING, "agentstream"):
        result = await Runner.run(agent, "Go")
    assert result.final_output == "Done."
    assert "blocked the event loop for 0." in warnings_of(result)[0]
    assert "blocked the event loop for 0." in caplog.text
