"""The wire: bytes cut anywhere become the events that the official client yields."""

from __future__ import annotations

import asyncio
import itertools
import json
import pickle
import time
import warnings
from collections.abc import AsyncIterator, Iterable
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai import APIError, AsyncOpenAI, BaseModel, DefaultAsyncHttpx2Client
from openai.types.responses import (
    ResponseErrorEvent,
    ResponseStreamEvent,
    ResponseTextDeltaEvent,
)

from agentstream import AnswerTooLargeError
from agentstream.models.http.sse import SSEReader, SSESplitter, event_data, parse_json
from agentstream.models.output_items import read_calls
from agentstream.models.responses import events
from agentstream.models.responses.events import responses_event, responses_events

STREAMS = Path(__file__).parents[4] / "shared" / "streams"
CLASSES = {
    get_args(cls.model_fields["type"].annotation)[0]: cls
    for cls in get_args(get_args(ResponseStreamEvent)[0])
}
DELTA = {
    "type": "response.output_text.delta",
    "item_id": "msg_1",
    "output_index": 0,
    "content_index": 0,
    "delta": "Olá",
    "logprobs": [],
    "sequence_number": 4,
}


async def pieces(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def decode(*parts: bytes) -> list[Any]:
    return [event async for event in responses_events(pieces(parts))]


def client_for(body: bytes) -> AsyncOpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(
            200, headers={"content-type": "text/event-stream"}, content=body, request=request
        )

    http = DefaultAsyncHttpx2Client(transport=httpx2.MockTransport(answer))
    return AsyncOpenAI(api_key="none", base_url="http://localhost/v1", http_client=http)


async def decode_officially(body: bytes) -> list[Any]:
    async with client_for(body) as client:
        stream = await client.responses.create(model="m", input="x", stream=True)
        return [event async for event in stream]


def sse(*events: Any) -> bytes:
    """The bytes of events given as payloads."""
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)


def cut(body: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(places), len(body)]
    return [body[start:end] for start, end in itertools.pairwise(edges)]


def assert_equal_events(ours: Any, theirs: Any) -> None:
    assert type(ours) is type(theirs)
    assert ours == theirs
    assert repr(ours) == repr(theirs)
    assert ours.model_fields_set == theirs.model_fields_set
    assert ours.model_extra == theirs.model_extra
    assert list(ours.__dict__) == list(theirs.__dict__)
    with warnings.catch_warnings():  # both warn of values of a wrong type, once each
        warnings.simplefilter("ignore")
        assert ours.model_dump() == theirs.model_dump()
    assert pickle.loads(pickle.dumps(ours)) == theirs
    assert ours.model_copy() == theirs.model_copy()


# --- the splitter


def split(*parts: bytes) -> list[tuple[str | None, bytes]]:
    splitter = SSESplitter()
    events = [event for part in parts for event in splitter.feed(part)]
    return events + splitter.finish()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_end_in_lf_crlf_or_cr(end: bytes) -> None:
    body = end.join([b"event: a", b"data: 1", b"", b"data: 2", b"", b""])
    assert split(body) == [("a", b"1"), (None, b"2")]


def test_data_lines_are_joined_with_a_newline_and_lose_one_space() -> None:
    assert split(b"data: a\ndata:b\ndata:  c\n\n") == [(None, b"a\nb\n c")]


def test_comments_ids_retries_and_unknown_fields_are_no_events() -> None:
    assert split(b": ping\n\nid: 7\n\nretry: 3\n\nevent: lonely\n\ndata: 1\nfoo: x\n\n") == [
        (None, b"1")
    ]


def test_a_byte_order_mark_is_dropped_only_at_the_start() -> None:
    mark = "\N{ZERO WIDTH NO-BREAK SPACE}".encode()
    for parts in ([mark + b"data: 1\n\n"], [mark[:1], mark[1:], b"data: 1\n\n"]):
        assert split(*parts) == [(None, b"1")]
    assert split(b"data: 1\n\n" + mark + b"data: 2\n\n") == [(None, b"1")]


def test_a_last_event_without_its_blank_line_is_delivered() -> None:
    assert split(b"data: 1\n\ndata: 2") == [(None, b"1"), (None, b"2")]
    assert split(b"data: 1\n\ndata: 2\r") == [(None, b"1"), (None, b"2")]


def test_a_lone_data_field_is_an_empty_line_of_data() -> None:
    assert split(b"data\ndata: x\n\n") == [(None, b"\nx")]


LINE = st.sampled_from(
    [b"data: x", b"data:", b"data: \xc3\xa9", b"event: e", b"event:", b": c", b"id: 1", b"x", b""]
)
END = st.sampled_from([b"\n", b"\r\n", b"\r"])
BODIES = st.lists(st.tuples(LINE, END), max_size=20).map(lambda x: b"".join(a + b for a, b in x))


@given(body=BODIES, data=st.data())
def test_bytes_cut_at_any_points_split_into_the_same_events(body: bytes, data: Any) -> None:
    places = data.draw(st.lists(st.integers(0, len(body)), max_size=8))
    assert split(*cut(body, places)) == split(body)


@given(body=BODIES)
def test_every_byte_alone_splits_into_the_same_events(body: bytes) -> None:
    assert split(*(body[i : i + 1] for i in range(len(body)))) == split(body)


def test_a_line_of_20_mb_in_small_pieces_costs_linear_time() -> None:
    def seconds(megabytes: int) -> float:
        splitter, piece = SSESplitter(), b"x" * 1000
        start = time.process_time()
        splitter.feed(b"data: ")
        for _ in range(megabytes * 1000):
            splitter.feed(piece)
        [(_, data)] = splitter.feed(b"\n\n")
        assert len(data) == megabytes * 1_000_000
        return time.process_time() - start

    # A quadratic join would copy 200 GB here, which takes minutes.
    assert seconds(20) < 2


# --- JSON


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
))  # fmt: skip
def test_json_is_parsed_as_pythons_parser_does(value: Any) -> None:
    text = json.dumps(value)
    assert parse_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize("text", ['"\\ud800"', '{"delta": "a\\udc00b"}'])
def test_json_that_jiter_refuses_is_parsed_as_pythons_parser_does(text: str) -> None:
    assert parse_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize("depth", [201, 300, 100_000])
@pytest.mark.parametrize("leaf", ["1", '"\\ud800"'])
def test_json_nested_deeper_than_can_be_written_again_is_refused(depth: int, leaf: str) -> None:
    with pytest.raises(json.JSONDecodeError, match="deeper than 200 levels|Expecting"):
        parse_json(("[" * depth + leaf + "]" * depth).encode())
    assert parse_json(("[" * 199 + leaf + "]" * 199).encode())


async def test_data_that_is_not_json_raises_what_the_official_client_raises_with_a_hint() -> None:
    body = b"data: <html>\n\n"
    with pytest.raises(json.JSONDecodeError):
        await decode_officially(body)
    with pytest.raises(json.JSONDecodeError) as caught:
        await decode(body)
    assert "Check that the base URL" in caught.value.__notes__[0]


async def test_an_event_cut_off_by_the_end_of_the_stream_is_dropped() -> None:
    assert await decode(sse(DELTA), sse(DELTA)[:-20]) == await decode(sse(DELTA))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_body_is_read_up_to_done_however_it_is_cut(size: int) -> None:
    body = b'data: {"id": "c1", "choices": []}\n\ndata: [DONE]\n\ndata: {"id": "late"}\n\n'
    reader, events = SSEReader(), list[Any]()
    for at in range(0, len(body), size):
        if not reader.done:
            events += reader.feed(body[at : at + size])
    assert events == [(None, b'{"id": "c1", "choices": []}')]
    assert reader.done and reader.body == b""


def test_a_body_without_an_event_is_kept_and_bounded() -> None:
    reader = SSEReader(20)
    assert reader.feed(b' {"error": ') == reader.feed(b"1}\n") == reader.finish() == []
    assert reader.body == b'{"error": 1}'
    with pytest.raises(AnswerTooLargeError):
        reader.feed(b"x" * 10)


# --- typed events


@cache
def payloads(annotation: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """JSON values that the type of a field allows, as far as four levels down."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return payloads(args[0], depth)
    if origin is Literal:
        return st.sampled_from(args)
    if origin in (Union, UnionType):
        return st.one_of(*(payloads(arg, depth) for arg in args))
    if origin is list:
        return st.lists(payloads(args[0], depth), max_size=2 if depth < 4 else 0)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return fields_of(annotation, depth)
    simple: dict[Any, st.SearchStrategy[Any]] = {
        NoneType: st.none(),
        bool: st.booleans(),
        int: st.integers(0, 9),
        float: st.sampled_from([0.5, 1.0, 2]),
        str: st.text(max_size=5),
    }
    return simple.get(annotation, st.just({"key": "value"}))


def fields_of(cls: type[BaseModel], depth: int) -> st.SearchStrategy[dict[str, Any]]:
    needed, more = {}, {}
    for name, field in cls.model_fields.items():
        deferred = st.deferred(lambda a=field.annotation: payloads(a, depth + 1))
        if field.is_required():
            needed[field.alias or name] = deferred
        elif depth < 2:
            more[field.alias or name] = deferred
    return st.fixed_dictionaries(needed, optional=more)


def damage(payload: dict[str, Any], drop: set[int], spoil: dict[int, Any]) -> dict[str, Any]:
    """The payload without some fields, with wrong values in others, and with one more."""
    names = list(payload)
    kept = {
        name: spoil.get(i, payload[name])
        for i, name in enumerate(names)
        if i not in drop or name == "type"
    }
    return {**kept, "type": payload["type"], "obfuscation": "xyz"}


DAMAGE = st.tuples(
    st.sets(st.integers(0, 8), max_size=3),
    st.dictionaries(
        st.integers(0, 8), st.sampled_from([None, "7", 7, 1.5, [], {}, [{}], "x", True]), max_size=2
    ),
)


def named(body: bytes) -> bytes:
    """The same events, each with its ``event:`` line, as the API sends them."""

    def line(data: bytes) -> bytes:
        payload = json.loads(data.removeprefix(b"data: ")) if data.startswith(b"data: {") else {}
        kind = payload.get("type")
        return b"event: %b\n%b" % (kind.encode(), data) if isinstance(kind, str) else data

    return b"\n".join(map(line, body.split(b"\n")))


async def assert_decoded_as_officially(body: bytes) -> None:
    theirs = await decode_officially(body)
    for event in theirs:
        if isinstance(event, BaseModel):
            read_calls(event)  # the one difference: arguments that are no text become text
    # Deltas with a name take a path of their own.
    for sent in (body, body if b"event:" in body else named(body)):
        ours = await decode(sent)
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            assert_equal_events(mine, other)


@pytest.mark.parametrize("kind", CLASSES)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_event_type_is_built_as_the_official_client_builds_it(kind: str, data: Any) -> None:
    payload = data.draw(payloads(CLASSES[kind]))
    spoiled = damage(payload, *data.draw(DAMAGE))
    events = [e for e in (payload, spoiled) if not e.get("error")]
    asyncio.run(assert_decoded_as_officially(sse(*events)))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"obfuscation": "abc"},
        {"logprobs": [{"token": "a", "logprob": -1}]},
        {"logprobs": None},
        {"sequence_number": "12"},
        {"sequence_number": "twelve"},
        {"delta": "\ud800"},
        {"delta": {"text": "not a string"}},
        {"content_index": 1.0},
        {"content_index": 1.5},
    ],
)
async def test_a_text_delta_is_built_as_the_official_client_builds_it(change: Any) -> None:
    await assert_decoded_as_officially(sse({**DELTA, **change}))


@pytest.mark.parametrize("missing", [name for name in DELTA if name != "type"])
async def test_a_delta_of_a_server_that_leaves_out_a_field_is_built_the_same(missing: str) -> None:
    await assert_decoded_as_officially(
        sse({name: value for name, value in DELTA.items() if name != missing})
    )


async def test_an_event_of_an_unknown_type_is_passed_on_with_all_its_fields() -> None:
    body = sse({"type": "response.brand_new", "answer": 42, "nested": {"a": [1]}})
    [event] = await decode(body)
    assert (event.type, event.answer, event.nested) == ("response.brand_new", 42, {"a": [1]})
    await assert_decoded_as_officially(body)


@pytest.mark.parametrize("kind", [None, 3, ["list"], {"a": 1}, ""])
async def test_an_event_whose_type_is_no_text_is_passed_on(kind: Any) -> None:
    [event] = await decode(sse({"type": kind, "answer": 42}))
    assert event.answer == 42


async def test_an_event_without_a_type_is_passed_on() -> None:
    await assert_decoded_as_officially(sse({"answer": 42}))


@pytest.mark.parametrize("name", ["_fields_set", "_BaseModel__cls"])
def test_a_field_named_like_an_internal_of_pydantic_is_an_ordinary_field(name: str) -> None:
    event: Any = responses_event({"type": "response.brand_new", name: 3, "answer": 42})
    assert (event.type, event.answer, event.model_extra[name]) == ("response.brand_new", 42, 3)


@pytest.mark.parametrize("name", ["response.refusal.delta", "response.created", "ping"])
async def test_the_type_counts_not_the_name_of_the_event(name: str) -> None:
    body = b"event: %b\n" % name.encode() + sse(DELTA)
    assert await decode(body, body) == await decode(sse(DELTA, DELTA))


async def test_a_delta_that_lacks_a_field_does_not_change_those_after_it() -> None:
    lacking = {name: value for name, value in DELTA.items() if name != "logprobs"}
    await assert_decoded_as_officially(sse(DELTA, lacking, DELTA))


@pytest.mark.parametrize("data", [b"[DONE]", b'{"type": "response.output_text.delta", "delta'])
async def test_the_end_under_the_name_of_a_delta_is_the_end(data: bytes) -> None:
    body = named(sse(DELTA)) + b"event: response.output_text.delta\ndata: " + data
    assert await decode(body) == await decode(sse(DELTA))


async def test_an_error_under_the_name_of_a_delta_is_an_error() -> None:
    with pytest.raises(APIError, match="overloaded"):
        await decode(named(sse({**DELTA, "error": {"message": "overloaded"}})))


async def test_json_that_is_no_object_is_no_event() -> None:
    assert await decode(sse(None, 3, [DELTA], DELTA)) == await decode(sse(DELTA))


async def test_an_error_event_stays_typed() -> None:
    body = sse({"type": "error", "code": "c", "message": "m", "param": None, "sequence_number": 1})
    [event] = await decode(body)
    assert isinstance(event, ResponseErrorEvent)
    await assert_decoded_as_officially(body)


@pytest.mark.parametrize(
    "error",
    [{"message": "overloaded", "type": "server_error"}, {"code": 5}, {"message": 7}, "gone", [1]],
)
async def test_an_error_payload_raises_what_the_official_client_raises(error: Any) -> None:
    body = b"event: error\n" + sse({"error": error})
    with pytest.raises(APIError) as theirs:
        await decode_officially(body)
    request = httpx2.Request("POST", "http://localhost/v1/responses")
    with pytest.raises(APIError) as ours:
        await anext(responses_events(pieces([body]), request))
    assert type(ours.value) is type(theirs.value)
    # A bare text is the server's own words, which the client leaves out.
    assert str(ours.value) == (error if isinstance(error, str) else str(theirs.value))
    assert ours.value.body == theirs.value.body
    assert ours.value.code == theirs.value.code
    assert ours.value.request is request


async def test_events_before_an_error_payload_are_delivered() -> None:
    events = responses_events(pieces([sse(DELTA, {"error": "gone"})]))
    assert (await anext(events)).type == "response.output_text.delta"
    with pytest.raises(APIError):
        await anext(events)


def test_a_complete_and_an_incomplete_delta_are_of_one_type() -> None:
    complete = responses_event(DELTA)
    incomplete = responses_event({"type": DELTA["type"], "delta": "Olá"})
    assert type(complete) is type(incomplete) is ResponseTextDeltaEvent
    assert incomplete.delta == "Olá"
    assert incomplete.model_fields_set == {"type", "delta"}


@given(data=st.data())
def test_a_stream_cut_at_any_points_gives_the_same_typed_events(data: Any) -> None:
    body = b": hi\r\n\r\n" + sse(DELTA, {"type": "response.new", "x": "é"}, DELTA) + b"data: [DONE]"
    places = data.draw(st.lists(st.integers(0, len(body)), max_size=8))
    assert asyncio.run(decode(*cut(body, places))) == asyncio.run(decode(body))


def test_nearly_all_delta_types_can_be_copied_when_incomplete() -> None:
    deltas = {cls for kind, cls in CLASSES.items() if kind.endswith(".delta")}
    assert len(deltas & events._FLAT) >= len(deltas) - 2


# --- recorded streams


RECORDINGS = sorted(STREAMS.glob("*.json"))


@pytest.mark.skipif(not RECORDINGS, reason="needs the recorded streams in ../shared/streams")
async def test_every_recorded_responses_stream_is_decoded_as_by_the_official_client() -> None:
    count = 0
    for path in RECORDINGS:
        recording = json.loads(path.read_text("utf-8"))
        if recording["api"] == "responses":
            for call in recording["calls"]:
                await assert_decoded_as_officially(call["sse"].encode())
                count += 1
    assert count


@pytest.mark.skipif(not RECORDINGS, reason="needs the recorded streams in ../shared/streams")
async def test_every_recorded_chat_stream_gives_the_chunks_the_official_client_parses() -> None:
    count = 0
    for path in RECORDINGS:
        recording = json.loads(path.read_text("utf-8"))
        if recording["api"] == "chat":
            for call in recording["calls"]:
                body = call["sse"].encode()
                reader = SSEReader()
                ours = [event_data(*event) for event in [*reader.feed(body), *reader.finish()]]
                async with client_for(body) as client:
                    stream = await client.chat.completions.create(
                        model="m", messages=[], stream=True
                    )
                    try:
                        theirs = [chunk async for chunk in stream]
                    except APIError:
                        assert any(data.get("error") for data in ours)
                        continue
                assert len(ours) == len(theirs)
                for mine, other in zip(ours, theirs, strict=True):
                    assert type(other).construct(**mine) == other
                    count += 1
    assert count
