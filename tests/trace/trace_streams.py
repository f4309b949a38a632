"""Streams for the tests of `agentstream.trace`: by hand, by the SDK, by providers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from openai._models import construct_type
from openai.types.responses import ResponseStreamEvent

from agentstream.trace import lifecycle

RECORDED = Path(__file__).parents[3] / "shared" / "streams"

Timed = tuple[float, Any]


def decoded(data: dict[str, Any]) -> Any:
    """Return an event of the model's stream as the official client types it."""
    return construct_type(type_=ResponseStreamEvent, value=data)


def raw(kind: str, **fields: Any) -> Any:
    """Return a ``raw_response_event``."""
    data = decoded({"type": kind, "sequence_number": 0} | fields)
    return SimpleNamespace(type="raw_response_event", data=data)


def run_item(name: str, item_type: str, raw_item: Any, agent: str, **fields: Any) -> Any:
    """Return a ``run_item_stream_event``."""
    item = SimpleNamespace(
        type=item_type, raw_item=raw_item, agent=SimpleNamespace(name=agent), **fields
    )
    return SimpleNamespace(type="run_item_stream_event", name=name, item=item)


def response(status: str, number: int, usage: tuple[int, int] | None = None) -> dict[str, Any]:
    """Return the ``response`` of a created or completed event."""
    told = None
    if usage is not None:
        told = {
            "input_tokens": usage[0],
            "output_tokens": usage[1],
            "total_tokens": sum(usage),
            "input_tokens_details": {"cached_tokens": usage[0] // 2},
            "output_tokens_details": {"reasoning_tokens": 1},
        }
    return {
        "id": f"resp_{number}",
        "created_at": 1_760_000_000,
        "model": "gpt-4o",
        "object": "response",
        "output": [],
        "status": status,
        "usage": told,
    }


class Script:
    """Writes a run's events with times, as a runner would emit them."""

    def __init__(self, agent: str | None = "Guide", *, with_marks: bool = True) -> None:
        self.events: list[Timed] = []
        self.now = 0.0
        self.marks = with_marks
        self.agent = agent
        self.turns = 0
        self.index = 0
        if agent is not None:
            self.enter(agent)

    def add(self, event: Any) -> Script:
        self.events.append((round(self.now, 6), event))
        return self

    def mark(self, kind: str, *args: Any, **fields: Any) -> Script:
        return self.add(getattr(lifecycle, kind)(*args, **fields)) if self.marks else self

    def wait(self, seconds: float) -> Script:
        self.now += seconds
        return self

    def enter(self, agent: str) -> Script:
        self.agent = agent
        new = SimpleNamespace(name=agent)
        return self.add(SimpleNamespace(type="agent_updated_stream_event", new_agent=new))

    def begin(self, latency: float = 0.4) -> Script:
        """Call the model; its first event comes ``latency`` seconds later."""
        self.turns += 1
        self.index = 0
        self.mark("ModelCalled", self.agent).wait(latency)
        return self.add(raw("response.created", response=response("in_progress", self.turns)))

    def end(self, usage: tuple[int, int] | None = (100, 20), kind: str = "completed") -> Script:
        told = response(kind, self.turns, usage)
        return self.add(raw(f"response.{kind}", response=told))

    def _item(self, item: dict[str, Any], deltas: Iterator[Any], pace: float) -> dict[str, Any]:
        at = {"output_index": self.index, "item_id": item["id"]}
        empty = item | {"status": "in_progress", "content": [], "arguments": "", "summary": []}
        begun = {key: empty[key] for key in item}
        self.add(raw("response.output_item.added", output_index=self.index, item=begun))
        for kind, fields in deltas:
            self.wait(pace).add(raw(kind, **at, **fields))
        self.add(raw("response.output_item.done", output_index=self.index, item=item))
        self.index += 1
        return item

    def say(self, text: str, pieces: int = 4, pace: float = 0.05) -> Script:
        part = {"type": "output_text", "text": text, "annotations": []}
        item = {
            "type": "message",
            "id": f"msg_{self.turns}_{self.index}",
            "role": "assistant",
            "status": "completed",
            "content": [part],
        }
        size = -(-len(text) // pieces)
        deltas = (
            ("response.output_text.delta", {"content_index": 0, "delta": text[at : at + size]})
            for at in range(0, len(text), size)
        )
        self._item(item, deltas, pace)
        return self.item("message_output_created", "message_output_item", item)

    def think(self, *paragraphs: str, pace: float = 0.05) -> Script:
        item = {
            "type": "reasoning",
            "id": f"rs_{self.turns}_{self.index}",
            "summary": [{"type": "summary_text", "text": text} for text in paragraphs],
        }
        deltas = (
            ("response.reasoning_summary_text.delta", {"summary_index": at, "delta": text})
            for at, text in enumerate(paragraphs)
        )
        self._item(item, deltas, pace)
        return self.item("reasoning_item_created", "reasoning_item", item)

    def call(
        self, name: str, arguments: Any, call_id: str, *, handoff: bool = False, pace: float = 0.03
    ) -> Script:
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        item = {
            "type": "function_call",
            "id": f"fc_{call_id}",
            "call_id": call_id,
            "name": name,
            "arguments": text,
            "status": "completed",
        }
        half = len(text) // 2
        deltas = (
            ("response.function_call_arguments.delta", {"delta": piece})
            for piece in (text[:half], text[half:])
        )
        self._item(item, deltas, pace)
        if handoff:
            return self.item("handoff_requested", "handoff_call_item", item)
        return self.item("tool_called", "tool_call_item", item)

    def item(self, name: str, item_type: str, raw_item: Any, **fields: Any) -> Script:
        assert self.agent is not None
        return self.add(run_item(name, item_type, decoded_item(raw_item), self.agent, **fields))

    def start(self, call_id: str, name: str | None = None) -> Script:
        return self.mark("ToolStarted", call_id, name)

    def result(self, call_id: str, output: Any, error: str | None = None) -> Script:
        answer = {"type": "function_call_output", "call_id": call_id, "output": str(output)}
        self.mark("ToolFinished", call_id, error)
        return self.item("tool_output", "tool_call_output_item", answer, output=output)

    def hand_over(self, target: str, call_id: str) -> Script:
        answer = {"type": "function_call_output", "call_id": call_id, "output": "{}"}
        agents = {
            "source_agent": SimpleNamespace(name=self.agent),
            "target_agent": SimpleNamespace(name=target),
        }
        self.item("handoff_occured", "handoff_output_item", answer, **agents)
        return self.enter(target)

    def nest(self, path: tuple[str, ...], inner: Script) -> Script:
        """Put a nested run's events into this one, from now on."""
        for time, event in inner.events:
            self.events.append((round(self.now + time, 6), lifecycle.Nested(path, event)))
        return self.wait(inner.now)

    def finish(self) -> Script:
        return self.mark("RunFinished")


def decoded_item(item: dict[str, Any]) -> Any:
    """Return calls and messages as the runner holds them: typed; outputs stay dicts."""
    if item["type"].endswith("_output"):
        return item
    return decoded({"type": "response.output_item.done", "item": item, "output_index": 0}).item


def chain(with_marks: bool = True) -> list[Timed]:
    """Return a run with reasoning, parallel tools, a handoff and an answer."""
    script = Script("Triage", with_marks=with_marks)
    script.mark("RunStarted", "Triage", "Is it warm in Lisbon?")
    script.begin().think("The user wants the weather.", "Two tools will do.")
    script.call("get_weather", {"city": "Lisbon"}, "c1").call("get_time", {}, "c2").end()
    script.start("c1").start("c2").wait(0.3).result("c2", "12:00").wait(0.5).result("c1", "21 °C")
    script.begin().call("transfer_to_writer", {}, "c3", handoff=True).end((180, 9))
    script.hand_over("Writer", "c3")
    script.begin(0.3).say("It is **21 °C** in Lisbon, at noon.", 8).end((220, 14))
    return script.finish().events


def recorded_calls(path: Path) -> Iterator[list[Any]]:
    """Yield the typed events of each call in a recorded file of the Responses API."""
    for call in json.loads(path.read_text(encoding="utf-8"))["calls"]:
        lines = [line[5:] for line in call["sse"].splitlines() if line.startswith("data:")]
        yield [decoded(json.loads(line)) for line in lines if line.strip() != "[DONE]"]


async def timed(events: AsyncIterator[Any], pace: float = 0.01) -> list[Timed]:
    """Collect a live stream with a made-up clock."""
    collected: list[Timed] = []
    async for event in events:
        collected.append((len(collected) * pace, event))
    return collected
