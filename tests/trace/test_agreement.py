"""Tables, timeline, usage and final output tell of the items that the run has, and of no others."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agentstream import Agent, Model, Runner, RunResultStreaming, function_tool
from agentstream.models.responses.events import responses_event

USAGE = {
    "input_tokens": 1,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 1,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 2,
}
Event = dict[str, Any]


def begins() -> Event:
    return {"type": "response.created", "response": {"id": "r", "output": []}}


def ends(*output: Any, name: str = "r") -> Event:
    response = {"id": name, "status": "completed", "output": list(output), "usage": USAGE}
    return {"type": "response.completed", "response": response}


def text(words: str, name: str = "m") -> Event:
    content = [{"type": "output_text", "text": words, "annotations": []}]
    return {"id": name, "type": "message", "role": "assistant", "content": content}


def call(call_id: str, name: str) -> Event:
    given = {"id": name, "call_id": call_id, "name": "look", "arguments": '{"n": 1}'}
    return given | {"type": "function_call"}


def reasoning(words: str, name: str) -> Event:
    return {"id": name, "type": "reasoning", "summary": [{"type": "summary_text", "text": words}]}


def added(item: Event, index: int = 0) -> Event:
    empty = {"arguments": ""} if "arguments" in item else {"content": [], "summary": []}
    return {"type": "response.output_item.added", "output_index": index, "item": item | empty}


def done(item: Event, index: int = 0) -> Event:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def piece(words: str, name: str = "m", index: int = 0) -> Event:
    kind = "response.output_text.delta"
    return {"type": kind, "item_id": name, "output_index": index, "delta": words}


class Streams(Model):
    """Streams these events, one list for each call."""

    def __init__(self, *calls: list[Event]) -> None:
        self._calls = iter(calls)

    async def get_response(self, *given: Any, **named: Any) -> Any:
        raise NotImplementedError

    async def stream_response(self, *given: Any, **named: Any) -> AsyncIterator[Any]:
        for number, event in enumerate(next(self._calls)):
            yield responses_event(event | {"sequence_number": number})


@function_tool
def look(n: int) -> str:
    return "seen"


async def ran(*calls: list[Event]) -> RunResultStreaming:
    result = Runner.run_streamed(Agent(name="a", model=Streams(*calls), tools=[look]), "x")
    async for _ in result.stream_events():
        pass
    return result


def agrees(result: RunResultStreaming, calls: int = 1) -> list[str]:
    """The texts of the items table, which has a row for each item; the usage is the run's."""
    table, turns = result.to_frame(), result.to_frame("turns")
    assert list(table["type"].astype(str)) == [item.type for item in result.new_items]
    assert len(turns) == calls == len(result.raw_responses)
    assert turns["total_tokens"].sum() == result.context_wrapper.usage.total_tokens
    return [str(words) for words in table["text"].dropna()]


A, B = call("c1", "f1"), call("c2", "f2")
M, N = text("One", "m1"), text("Two", "m2")
R, S = reasoning("Hm", "r1"), reasoning("Ah", "r2")
ANSWER = [done(text("Done")), ends(text("Done"))]


ORDERS = [
    o
    for o in itertools.permutations("aAbB")
    if o.index("a") < o.index("A") and o.index("b") < o.index("B")
]


@pytest.mark.parametrize("order", ORDERS, ids="".join)
async def test_calls_with_one_index_are_as_many_as_the_run_has(order: tuple[str, ...]) -> None:
    events = {"a": added(A), "A": done(A), "b": added(B), "B": done(B)}
    shuffled = [events[at] for at in order]
    result = await ran([begins(), *shuffled, ends(A, B)], ANSWER)
    agrees(result, 2)
    assert str(result.timeline()).count("2 tool calls") == 1


async def test_items_of_all_kinds_with_one_index_keep_their_texts() -> None:
    kinds = [R, M, S, N]
    told = [event for item in kinds for event in (added(item), done(item))]
    result = await ran([begins(), *told, ends(*kinds)])
    assert agrees(result) == ["Hm", "One", "Ah", "Two"]
    assert result.final_output == "Two"


async def test_deltas_with_one_index_go_to_the_item_that_began_last() -> None:
    told = [added(M), piece("On", "m1"), done(M), added(N), piece("T", "m2"), piece("wo", "m2")]
    result = await ran([begins(), *told, done(N), ends(M, N)])
    assert agrees(result) == ["One", "Two"]


async def test_items_told_only_as_done_with_one_index_stay_apart() -> None:
    assert agrees(await ran([begins(), done(M), done(N), ends(M, N)])) == ["One", "Two"]


async def test_an_item_whose_id_changes_is_one_item() -> None:
    told = [added(M), piece("One", "m1"), done(M | {"id": "m7"})]
    assert agrees(await ran([begins(), *told, ends(M | {"id": "m8"})])) == ["One"]


async def test_what_follows_the_answer_changes_nothing() -> None:
    late = [ends(M), piece("more", "m9", 4), done(N, 3), added(B, 5), begins(), ends(N)]
    result = await ran([begins(), done(M), ends(M), *late])
    assert agrees(result) == ["One"]
    assert result.final_output == "One"


async def test_text_that_was_only_streamed_is_the_answer_when_the_output_is_empty() -> None:
    result = await ran([begins(), added(M), piece("On"), piece("e"), ends()])
    assert agrees(result) == ["One"]
    assert result.final_output == "One"


async def test_what_was_streamed_and_is_not_in_the_answer_is_no_row() -> None:
    result = await ran([begins(), done(M, 0), done(N, 1), ends(N)])
    assert agrees(result) == ["Two"]
