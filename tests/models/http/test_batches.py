"""Events that came together go on together, and none is lost on the way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from agentstream import Agent, Runner
from agentstream.models.base import Model
from agentstream.models.http.batches import BatchedStream, batches_of
from agentstream.models.responses.events import responses_batches, responses_event
from agentstream.testing import ScriptedModel, call

Batches = list[list[int]]


class Source:
    """Batches, and whether they were closed."""

    def __init__(self, batches: Batches) -> None:
        self.left = list(batches)
        self.closed = False

    async def __call__(self) -> AsyncGenerator[list[int], None]:
        try:
            while self.left:
                yield self.left.pop(0)
        finally:
            self.closed = True


async def test_one_by_one_they_are_in_order_and_empty_batches_are_nothing() -> None:
    stream = BatchedStream(Source([[], [1, 2], [], [3], []])())
    assert [number async for number in stream] == [1, 2, 3]


async def test_closed_in_a_batch_nothing_more_comes() -> None:
    source = Source([[1, 2], [3]])
    stream = BatchedStream(source())
    assert await anext(stream) == 1
    await stream.aclose()
    assert [number async for number in stream] == []
    assert source.closed


async def test_a_stream_that_knows_of_no_batches_has_one_event_in_each() -> None:
    async def single() -> AsyncIterator[int]:
        yield 1
        yield 2

    async with aclosing(batches_of(single())) as batches:
        assert [batch async for batch in batches] == [[1], [2]]
    stream = BatchedStream(Source([[1, 2], [3]])())
    async with aclosing(batches_of(stream)) as batches:
        assert [batch async for batch in batches] == [[1, 2], [3]]


def delta(number: int) -> bytes:
    return (
        b"event: response.output_text.delta\n"
        b'data: {"type":"response.output_text.delta","item_id":"m","output_index":0,'
        b'"content_index":0,"delta":"x","logprobs":[],"sequence_number":%d}\n\n' % number
    )


async def test_events_of_a_fragment_come_together_and_before_the_damage_behind_them() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield delta(0)
        yield delta(1) + delta(2) + delta(3)
        yield delta(4) + b"data: {no json\n\n" + delta(5)

    seen = []
    with pytest.raises(ValueError, match="Expecting property name"):
        async for batch in responses_batches(body()):
            seen.append([event.sequence_number for event in batch])
    assert seen == [[0], [1, 2, 3], [4]]


class Together(Model):
    """Another model, all of whose events come in one batch."""

    def __init__(self, inner: ScriptedModel) -> None:
        self.inner = inner

    async def get_response(self, *args: Any, **named: Any) -> Any:
        return await self.inner.get_response(*args, **named)

    def stream_response(self, *args: Any, **named: Any) -> BatchedStream[Any]:
        async def batches() -> AsyncGenerator[list[Any], None]:
            events = [event async for event in self.inner.stream_response(*args, **named)]
            yield [responses_event(event.model_dump()) for event in events]

        return BatchedStream(batches())


async def test_a_run_is_the_same_in_batches_as_one_by_one() -> None:
    def look() -> str:
        return "Sun."

    from agentstream import function_tool

    kinds = []
    frames = []
    for wrap in (lambda model: model, Together):
        model = wrap(ScriptedModel([call("look"), "It is sunny today."]))
        agent = Agent(name="Guide", tools=[function_tool(look)], model=model)
        result = Runner.run_streamed(agent, "How is it?")
        kinds.append(
            [
                event.data.type if event.type == "raw_response_event" else event.type
                async for event in result.stream_events()
            ]
        )
        columns = ["kind", "turn", "offset", "size"]
        frame = result.to_frame("events")
        frames.append(frame[[name for name in columns if name in frame]].to_dict("records"))
    assert kinds[0] == kinds[1]
    assert frames[0] == frames[1]
