"""Whatever a server sends: decoder and readers of both APIs end in events or a documented error."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import APIError
from openai.types.responses import Response

from agentstream import AgentsException
from agentstream.models.chat_completions.stream import ChatFold
from agentstream.models.http.sse import SSEReader, SSESplitter, event_data
from agentstream.models.responses.events import responses_events
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.recordings.event_lines import model_event_from_dict, model_event_to_dict
from agentstream.stream_events import RawResponsesStreamEvent
from agentstream.testing import (
    ScriptedModel,
    call,
    cite,
    refuse,
    run_code,
    say,
    think,
    turn,
    web_search,
)
from agentstream.testing.server.chat_chunks import ChatChunks
from agentstream.testing.server.responder import sse
from agentstream.trace import Trace
from agentstream.trace.dataframes import to_frame
from tests.fuzz.strange import ODD, change_a_value, change_bytes, examples, is_linear, nested

DOCUMENTED = (AgentsException, APIError, ValueError)
STREAMS = Path(__file__).resolve().parents[3] / "shared" / "streams"
needs_streams = pytest.mark.skipif(
    not STREAMS.exists(), reason=f"needs the recorded streams, not in the repository: {STREAMS}"
)


async def pieces(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def read_responses(body: bytes, size: int = 0) -> list[Any]:
    """The events of a body of the Responses API, that came before the error."""
    parts = [body[at : at + size] for at in range(0, len(body), size)] if size else [body]
    events: list[Any] = []

    async def read() -> None:
        async for event in responses_events(pieces(parts)):
            events.append(event)

    with suppress(*DOCUMENTED):
        asyncio.run(read())
    return events


def read_chat(chunks: Iterable[Any]) -> list[Any]:
    """The events of chunks of Chat Completions, that came before the error."""
    fold = ChatFold(Response.construct(id="r", model="m", output=[]), tool_names=frozenset({"f"}))
    events: list[Any] = []
    with suppress(*DOCUMENTED):
        for chunk in chunks:
            for event in fold.feed(chunk):
                events.append(event)
        for event in fold.finish(complete=True):
            events.append(event)
    return events


def read_chat_body(body: bytes) -> list[Any]:
    """The same of a body."""
    chunks: list[Any] = []
    reader = SSEReader()
    with suppress(*DOCUMENTED):
        chunks += [event_data(*event) for event in reader.feed(body)]
        chunks += [event_data(*event) for event in reader.finish()]
    return read_chat(chunks)


def use(events: list[Any]) -> None:
    """Do with the events what a run does: fold, show, tabulate, print and record them."""
    trace = Trace("fuzz")
    for number, event in enumerate(events):
        trace.add(RawResponsesStreamEvent(event), number / 100)
        repr(event)
        plain = model_event_to_dict(event)
        json.dumps(plain)
        model_event_from_dict(json.loads(json.dumps(plain)))
    for table in ("items", "turns", "events", "spans"):
        to_frame(trace, table)
    assert "<script" not in snapshot(trace)["text/html"].partition("</style>")[2]


@cache
def told() -> list[dict[str, Any]]:
    """Events of answers in which everything is said."""
    everything = turn(
        think("Hm."), say("Look", annotations=[cite("https://a.b", "A")]), web_search("trams"),
        run_code("1 + 1"), call("f", city="Lisbon"),
    )  # fmt: skip
    model = ScriptedModel([everything, turn("No.", refuse("I do not."))])

    async def ask() -> list[dict[str, Any]]:
        return [
            event.model_dump(mode="json", exclude_unset=True)
            for _ in range(2)
            async for event in model.ask("Go")
        ]

    return asyncio.run(ask())


def chunks() -> list[dict[str, Any]]:
    """The chunks that say the same, as far as Chat Completions can."""
    model = ScriptedModel([turn(think("Hm."), "Look", call("f", city="Lisbon"), refuse("No."))])

    async def ask() -> list[dict[str, Any]]:
        chat = ChatChunks("1", "m", with_usage=True)
        return [c async for e in model.ask("Go") for c in chat.chunks(e.model_dump(mode="json"))]

    return asyncio.run(ask())


def test_what_is_changed_below_is_whole() -> None:
    events = read_responses(b"".join(sse(event, event["type"]) for event in told()))
    assert len(events) == len(told()) > 40
    use(events)
    events = read_chat(chunks())
    assert events[-1].type == "response.completed"
    use(events)


@pytest.mark.slow
@examples(60)
@given(data=st.data())
def test_events_with_changed_values_are_read_shown_and_recorded(data: st.DataObject) -> None:
    changed = list(told())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at] = change_a_value(changed[at], data)
    names = [str(event.get("type")) for event in told()]
    body = b"".join(
        sse(event, name.encode("ascii", "replace").decode())
        for event, name in zip(changed, names, strict=True)
    )
    use(read_responses(body))


@pytest.mark.slow
@examples(40)
@given(data=st.data())
def test_events_with_changed_bytes_are_read_shown_and_recorded(data: st.DataObject) -> None:
    body = b"".join(sse(event, event["type"]) for event in told())
    use(read_responses(change_bytes(body, data), data.draw(st.sampled_from([0, 1, 7, 1000]))))


@pytest.mark.slow
@examples(60)
@given(data=st.data())
def test_chunks_with_changed_values_are_read_shown_and_recorded(data: st.DataObject) -> None:
    changed: list[Any] = chunks()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        if isinstance(changed[at], (dict, list)):
            changed[at] = change_a_value(changed[at], data)
    use(read_chat(changed))


@examples(40)
@given(data=st.data())
def test_chunks_with_changed_bytes_are_read_shown_and_recorded(data: st.DataObject) -> None:
    body = b"".join(sse(chunk) for chunk in chunks()) + b"data: [DONE]\n\n"
    use(read_chat_body(change_bytes(body, data)))


@examples(25)
@given(value=ODD, field=st.sampled_from(["content", "reasoning", "refusal", "tool_calls", "audio"]))
def test_odd_values_in_a_delta_are_read_or_refused(value: Any, field: str) -> None:
    use(read_chat([{"choices": [{"index": 0, "delta": {field: value}}]}]))


@pytest.mark.parametrize("key", [None, "text", "content"])
@pytest.mark.parametrize("field", ["content", "reasoning", "refusal", "reasoning_details"])
def test_parts_nested_as_deep_as_a_parser_goes_are_read(field: str, key: str | None) -> None:
    delta = {field: nested(10_000, "deepest", key)}
    events = read_chat([{"choices": [{"index": 0, "delta": delta}]}])
    assert any(getattr(event, "delta", None) == "deepest" for event in events)


# -- recorded streams of real providers --


@cache
def recorded(api: str) -> list[bytes]:
    found = []
    for path in sorted(STREAMS.glob("*.json")):
        conversation = json.loads(path.read_text("utf-8"))
        if conversation["api"] == api:
            found += [call["sse"].encode() for call in conversation["calls"]]
    return found


@needs_streams
def test_there_are_recorded_streams_of_both_apis() -> None:
    apis = {json.loads(path.read_text("utf-8"))["api"] for path in STREAMS.glob("*.json")}
    assert all(recorded(api) for api in apis)
    assert {"responses", "chat"} <= apis


@pytest.mark.slow
@needs_streams
@examples(25)
@given(data=st.data())
def test_recorded_streams_with_changed_bytes_are_read(data: st.DataObject) -> None:
    for api, read in (("responses", read_responses), ("chat", read_chat_body)):
        body = data.draw(st.sampled_from(recorded(api)))
        use(read(change_bytes(body[:20_000], data)))


# -- work is linear in the bytes --


def split(body: bytes, size: int) -> int:
    splitter = SSESplitter()
    count = sum(len(splitter.feed(body[at : at + size])) for at in range(0, len(body), size))
    return count + len(splitter.finish())


BODIES = {
    "one line without an end": lambda n: b"data: " + b"a" * n,
    "an event in many lines": lambda n: b"data: a\n" * (n // 8) + b"\n",
    "many events": lambda n: b"data: a\n\n" * (n // 9),
    "comments": lambda n: b":\n" * (n // 2),
    "line ends": lambda n: b"\r" * n,
    "blank lines": lambda n: b"\r\n" * (n // 2),
    "names": lambda n: b"event: a\n" * (n // 9),
    "colons": lambda n: b":" * n,
}


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 10, 100_000])
@pytest.mark.parametrize("kind", BODIES)
def test_splitting_takes_time_that_grows_as_the_bytes(kind: str, size: int) -> None:
    length = 5_000 if size == 1 else 100_000
    assert is_linear(lambda n: split(BODIES[kind](n), size), length)


def test_a_line_of_five_megabytes_in_small_pieces_is_read() -> None:
    delta = {"type": "response.output_text.delta", "delta": "a" * 5_000_000}
    (event,) = read_responses(sse(delta), 1_000)
    assert len(event.delta) == 5_000_000


def entry(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"tool_calls": [fields]}}]}


FLOODS = {
    "texts": lambda n: [{"choices": [{"delta": {"content": "a"}}]}] * n,
    "reasoning": lambda n: [{"choices": [{"delta": {"reasoning_content": "a"}}]}] * n,
    "turns of both": lambda n: [
        {"choices": [{"delta": {("content", "reasoning")[i % 2]: "a"}}]} for i in range(n)
    ],
    "thinking blocks": lambda n: [
        {"choices": [{"delta": {"thinking_blocks": [{"thinking": "a", "signature": "s"}]}}]}
    ] * n,
    "pieces of arguments": lambda n: [
        entry(index=0, id="a", function={"name": "f", "arguments": "["})
    ] + [entry(index=0, function={"arguments": '"a",'})] * n,
    "pieces of a name": lambda n: [entry(index=0, id="a", function={"name": "n"})] * n,
    "calls": lambda n: [
        entry(index=i, id=str(i), function={"name": "f", "arguments": "{}"}) for i in range(n)
    ],
    "one call again and again": lambda n: [
        entry(index=0, id="a", function={"name": "f", "arguments": json.dumps(["a"] * 2_000)})
    ] + [entry(index=0, id="a", function={"name": "f", "arguments": "{}"})] * n,
    "adjoining arguments": lambda n: [
        entry(index=0, id="a", function={"name": "f", "arguments": "{} " * n + '{"a": 1}'})
    ],
    "open arguments": lambda n: [
        entry(index=0, id="a", function={"name": "f", "arguments": "{}" + "[" * 10 * n})
    ],
    "citations": lambda n: [
        {"choices": [{"delta": {"content": "a", "annotations": [{"url_citation": {"url": "u"}}]}}]}
    ] * n,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", FLOODS)
def test_folding_chunks_takes_time_that_grows_as_their_number(kind: str) -> None:
    assert is_linear(lambda n: read_chat(FLOODS[kind](n)), 1_000)
