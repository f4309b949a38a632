"""The OpenAI Agents SDK's own results, live and finished, become a `Trace` by shape."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from agentstream.trace import Trace
from agentstream.trace.dataframes import to_frame
from agentstream.trace.from_result import as_trace, fold
from agentstream.trace.timeline.spans import spans
from tests.trace.trace_streams import decoded, timed

agents = pytest.importorskip("agents", reason="openai-agents, the oracle, is not installed")


def message(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


def call(name: str, arguments: str, call_id: str) -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": f"fc_{call_id}",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": "completed",
    }


def stream_of(items: list[dict[str, Any]], number: int) -> list[Any]:
    """Return a response's events, its texts in two pieces."""
    answer = {
        "id": f"resp_{number}",
        "created_at": 0,
        "model": "gpt-4o",
        "object": "response",
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": answer | {"output": []}}
    ]
    for index, item in enumerate(items):
        at = {"output_index": index, "item_id": item["id"]}
        empty = item | ({"content": []} if item["type"] == "message" else {"arguments": ""})
        events.append({"type": "response.output_item.added", "output_index": index, "item": empty})
        if item["type"] == "message":
            text = item["content"][0]["text"]
            events += [
                {"type": "response.output_text.delta", "content_index": 0, "delta": half, **at}
                for half in (text[:3], text[3:])
            ]
        else:
            kind = "response.function_call_arguments.delta"
            events.append({"type": kind, "delta": item["arguments"], **at})
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    usage = {
        "input_tokens": 10,
        "output_tokens": 5,
        "total_tokens": 15,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    done = answer | {"output": items, "usage": usage}
    events.append({"type": "response.completed", "response": done})
    return [decoded(event | {"sequence_number": 0}) for event in events]


class Turns(agents.Model):  # type: ignore[misc, name-defined]
    """A model of the SDK that plays turns."""

    def __init__(self, *turns: list[dict[str, Any]]) -> None:
        self.turns = list(turns)
        self.count = 0

    def _next(self) -> list[Any]:
        self.count += 1
        return stream_of(self.turns.pop(0), self.count)

    async def get_response(self, *_args: Any, **_kwargs: Any) -> Any:
        final = self._next()[-1].response
        usage = agents.Usage(requests=1, input_tokens=10, output_tokens=5, total_tokens=15)
        return agents.ModelResponse(output=final.output, usage=usage, response_id=final.id)

    async def stream_response(self, *_args: Any, **_kwargs: Any) -> AsyncIterator[Any]:
        for event in self._next():
            yield event


def travel_agent() -> Any:
    agents.set_tracing_disabled(True)

    @agents.function_tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    writer = agents.Agent(name="Writer", model=Turns([message("Two and four.")]))
    return agents.Agent(
        name="Adder",
        tools=[add],
        handoffs=[writer],
        model=Turns(
            [
                message("Let me add."),
                call("add", '{"a": 1, "b": 1}', "c1"),
                call("add", '{"a": 2, "b": 2}', "c2"),
            ],
            [call("transfer_to_writer", "{}", "c3"), call("add", '{"a": 9, "b": 9}', "c4")],
        ),
    )


async def test_a_streamed_run_of_the_sdk_is_folded_whole() -> None:
    result = agents.Runner.run_streamed(travel_agent(), "Add.")
    trace = fold(await timed(result.stream_events()))
    assert [(part.kind, part.name) for part in trace] == [
        ("text", None),
        ("tool", "add"),
        ("tool", "add"),
        ("handoff", "transfer_to_writer"),
        ("tool", "add"),
        ("text", None),
    ]
    outputs = {part.call_id: part.output for part in trace if part.kind == "tool"}
    assert outputs == {"c1": 2, "c2": 4, "c4": 18}
    assert trace.agents == ["Adder", "Writer"]
    assert [turn.agent for turn in trace.turns] == ["Adder", "Adder", "Writer"]
    assert len(trace.handoffs) == 1
    assert trace.usage["total"] == 45
    frame = to_frame(trace)
    streamed = sorted(frame["type"])
    assert streamed == sorted(item.type for item in result.new_items)
    assert list(frame["text"].dropna()) == ["Let me add.", "Two and four."]
    assert all(span.started <= span.ended for span in spans(trace))


async def test_a_finished_result_of_the_sdk_is_read_without_times() -> None:
    result = await agents.Runner.run(travel_agent(), "Add.")
    trace = as_trace(result)
    assert trace.status == "completed"
    assert [turn.response_id for turn in trace.turns] == ["resp_1", "resp_2", "resp_1"]
    assert [turn.agent for turn in trace.turns] == ["Adder", "Adder", "Writer"]
    frame = to_frame(result)
    assert list(frame["type"]) == [item.type for item in result.new_items]
    assert frame["started_s"].isna().all()
    assert list(frame["turn"]) == [1, 1, 1, 1, 1, 2, 2, 2, 2, 3]
    turns = to_frame(result, "turns")
    assert list(turns["total_tokens"]) == [15, 15, 15]
    assert turns["duration_s"].isna().all()


async def test_following_a_live_stream_passes_every_event_on() -> None:
    result = agents.Runner.run_streamed(travel_agent(), "Add.")
    trace = Trace()
    types = [event.type async for event in trace.follow(result.stream_events())]
    assert types[0] == "agent_updated_stream_event"
    assert len(trace.log) == len(types)
    assert trace.now > 0
