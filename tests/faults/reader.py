"""Runs an agent on a faulty wire, and checks what holds however a stream went."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import openai

import agentstream
from agentstream import Agent, AgentsException, ItemHelpers, ModelSettings, RunConfig, TimeLimits
from agentstream.notebook.live.dom import VirtualDom
from agentstream.notebook.live.trace_renderer import TraceRenderer
from tests.faults.wire import Played, Stream, Wire, calls, deltas
from tests.models.test_recorded_streams import tools

NAMED = (AgentsException, openai.OpenAIError)
_EVENTS_A_FRAME = 8
BOUND = 20.0  # seconds; a run takes milliseconds
PATIENCE = TimeLimits()
SILENCE = TimeLimits(first_event=0.03, between_events=0.03)
REST = "That is all."
LAST = {
    "responses": b'data: {"type":"response.completed","sequence_number":0,"response":{"id":"r",'
    b'"object":"response","created_at":0,"model":"m","status":"completed","output":[{"id":"i",'
    b'"type":"message","role":"assistant","status":"completed","content":[{"type":"output_text",'
    b'"text":"That is all.","annotations":[]}]}],"parallel_tool_calls":true,"tool_choice":"auto",'
    b'"tools":[]}}\n\n',
    "chat": b'data: {"id":"c","object":"chat.completion.chunk","created":0,"model":"m","choices":'
    b'[{"index":0,"delta":{"content":"That is all."},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n",
}
"""The answer to what follows the faulty one, such as the outputs of tools."""


@dataclass
class Seen:
    """A run, as its reader saw it."""

    result: Any
    error: BaseException | None = None
    deltas: list[str] = field(default_factory=list)
    board: VirtualDom = field(default_factory=VirtualDom)

    @property
    def is_whole(self) -> bool:
        return self.error is None

    @property
    def shown(self) -> str:
        """The texts of the first model call in the trace, without what was superseded."""
        trace = self.result.trace
        return "".join(
            part.text
            for part in trace.parts
            if part.kind == "text" and part.turn == 1 and part.status != "superseded"
        )

    @property
    def kept(self) -> str:
        """The text of the first model call in the result."""
        answers = self.result.raw_responses
        items = answers[0].output if answers else []
        return "".join(
            ItemHelpers.extract_text(item) or "" for item in items if item.type == "message"
        )

    @property
    def calls(self) -> list[str]:
        """The names of the tools that the first model call called, in the result."""
        answers = self.result.raw_responses
        items = answers[0].output if answers else []
        return [item.name for item in items if item.type == "function_call"]


async def play(
    stream: Stream,
    client: openai.AsyncOpenAI,
    settings: ModelSettings | None = None,
    *,
    limits: TimeLimits = PATIENCE,
) -> Seen:
    """Run an agent on what a client brings, and read all its events."""
    responses = stream.api == "responses"
    kind = agentstream.OpenAIResponsesModel if responses else agentstream.OpenAIChatCompletionsModel
    agent = Agent(
        name="Reader",
        model=kind("m", client),
        tools=tools(stream.name),
        model_settings=settings or ModelSettings(),
    )
    config = RunConfig(limits=limits)
    result = agentstream.Runner.run_streamed(agent, "Go on.", max_turns=3, run_config=config)
    seen = Seen(result)
    scene = TraceRenderer(result.trace, seen.board)
    count = 0
    try:
        async with asyncio.timeout(BOUND):
            async for event in result.stream_events():
                count += 1
                if count % _EVENTS_A_FRAME == 0:
                    scene.update()
                if event.type != "raw_response_event":
                    continue
                if event.data.type == "response.output_text.delta" and event.data.delta:
                    seen.deltas.append(event.data.delta)
    except Exception as error:
        seen.error = error
    scene.update()
    with suppress(Exception):  # it is in `seen`
        await result.wait()
    return seen


def opened() -> tuple[int, int]:
    """How many files, sockets among them, and threads are open."""
    files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    return files, threading.active_count()


async def check_left(wire: Wire | None, before: tuple[int, int]) -> None:
    """Nothing of a run is left open."""
    for _ in range(5):  # the HTTP library's generators are closed by the loop
        await asyncio.sleep(0)
    for _ in range(200):  # a thread ends a moment after its work
        if all(now <= then for now, then in zip(opened(), before, strict=True)):
            break
        await asyncio.sleep(0.005)
    assert wire is None or wire.open == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}
    files, threads = opened()
    assert files <= before[0] and threads <= before[1]


def check(stream: Stream, played: Played, seen: Seen) -> None:
    """What holds however a stream went."""
    assert seen.error is None or isinstance(seen.error, NAMED), repr(seen.error)
    arrived = deltas(played, stream.api)
    told = seen.deltas[:-1] if seen.deltas[-1:] == [REST] else seen.deltas
    assert told == arrived
    text = "".join(arrived)
    if seen.is_whole:
        assert seen.result.is_complete
        assert seen.result.final_output is not None
        assert seen.shown == seen.kept
    else:
        assert seen.result.trace.status == "failed"
        assert type(seen.error).__name__ in seen.result.trace.error
        assert seen.error.run_data.raw_responses == seen.result.raw_responses
        assert seen.shown == seen.kept == text
        assert seen.calls == calls(played, stream.api)
    fresh = VirtualDom()
    TraceRenderer(seen.result.trace, fresh).update()
    assert page(seen.board) == page(fresh)  # what was shown bit by bit is what is there


def page(board: VirtualDom) -> list[Any]:
    """All that a page shows, without the numbers in its header."""
    return [op for op in board.keyframe() if not str(op[1]).startswith("header")]
