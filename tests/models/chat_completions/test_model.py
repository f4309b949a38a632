"""The Chat Completions model over HTTP: whole answers, streams, failures, and early ends."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import httpx2
import openai
import pytest

import agentstream
from agentstream.exceptions import ModelBehaviorError, ModelStreamError
from agentstream.testing import ScriptedServer, call, http_error, raw, say, turn
from tests.models.chat_completions.chunks import USAGE, chunk, kinds, sse
from tests.models.chat_completions.chunks import call as called
from tests.models.chat_completions.client import COMPLETION, STREAM, Answer, Kept, ask


def model(client: openai.AsyncOpenAI, **options: Any) -> agentstream.OpenAIChatCompletionsModel:
    return agentstream.OpenAIChatCompletionsModel("m", client, **options)


async def streamed(body: bytes, **asked: Any) -> list[Any]:
    """The events of a stream of these bytes."""
    events: list[Any] = await ask(model(Kept(answering(body))), agentstream, stream=True, **asked)
    return events


def answering(body: bytes, status: int = 200, kind: str = "text/event-stream") -> Answer:
    return lambda _: httpx2.Response(status, content=body, headers={"content-type": kind})


def completion(message: Any, **fields: Any) -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return json.dumps({**COMPLETION, "choices": [choice], **fields}).encode()


TOOL_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
MESSAGES: dict[str, dict[str, Any]] = {
    "text": {"content": "Hello"},
    "calls": {"content": None, "tool_calls": [TOOL_CALL, {**TOOL_CALL, "id": "c2"}]},
    "text and a call": {"content": "Hm", "tool_calls": [TOOL_CALL]},
    "a refusal": {"content": None, "refusal": "no"},
    "text and a refusal": {"content": "x", "refusal": "no"},
    "nothing": {"content": None},
    "reasoning_content": {"content": "x", "reasoning_content": "th"},
    "reasoning": {"content": "x", "reasoning": "th"},
    "thinking blocks": {
        "content": "x",
        "reasoning_content": "th",
        "thinking_blocks": [{"type": "thinking", "thinking": "th", "signature": "s"}],
    },
    "a citation": {
        "content": "x",
        "annotations": [
            {
                "type": "url_citation",
                "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1},
            }
        ],
    },
    "a signed call": {
        "content": None,
        "tool_calls": [{**TOOL_CALL, "extra_content": {"google": {"thought_signature": "s"}}}],
    },
}


@pytest.fixture(scope="module")
def sdk() -> Any:
    return pytest.importorskip("agents", reason="openai-agents, the oracle, is not installed")


@pytest.mark.parametrize("name", MESSAGES)
async def test_a_whole_answer_is_read_as_the_sdk_reads_it(name: str, sdk: Any) -> None:
    body = completion({"role": "assistant", **MESSAGES[name]}, usage=USAGE)
    answer = answering(body, kind="application/json")
    settings = {"preserve_raw_usage": True}
    ours = await ask(model(Kept(answer)), agentstream, settings=settings)
    theirs = await ask(sdk.OpenAIChatCompletionsModel("m", Kept(answer)), sdk, settings=settings)
    assert [item.model_dump(exclude_unset=True) for item in ours.output] == [
        item.model_dump(exclude_unset=True) for item in theirs.output
    ]
    assert vars(ours.usage) == vars(theirs.usage)
    assert (ours.response_id, ours.raw_usage) == (theirs.response_id, theirs.raw_usage)


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "tool_calls": [{**TOOL_CALL, "id": None}]},
        {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
        {"content": None, "function_call": {"name": "f", "arguments": "{}"}},
    ],
)
async def test_a_whole_answer_with_an_odd_call_is_read(message: dict[str, Any]) -> None:
    body = completion({"role": "assistant", **message}, usage=None)
    answer = answering(body, kind="application/json")
    result = await ask(model(Kept(answer)), agentstream)
    (item,) = result.output
    assert (item.name, item.arguments) == ("f", "{}")
    assert item.call_id
    assert (result.usage.requests, result.usage.total_tokens) == (1, 0)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "overloaded"}}', "overloaded"),
        (b'{"choices": null}', "no choices"),
        (b"{}", "no choices"),
        (b'"hello"', "hello"),
    ],
)
async def test_what_is_no_completion_is_named(body: bytes, message: str) -> None:
    with pytest.raises(ModelBehaviorError, match=message):
        await ask(model(Kept(answering(body, kind="application/json"))), agentstream)


CHUNKS: dict[str, list[Any]] = {
    "text": [chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop")],
    "calls": [
        chunk({"role": "assistant", "content": None}),
        chunk(called(0, "a", "f", "")),
        chunk(called(0, None, None, '{"x"')),
        chunk(called(0, None, None, ":1}")),
        chunk(called(1, "b", "g", "{}")),
        chunk({}, "tool_calls"),
        chunk(choices=[], usage=USAGE),
    ],
    "text, then calls": [
        chunk({"content": "Hm"}),
        chunk(called(0, "a", "f", "{}")),
        chunk({"content": "!"}),
        chunk({}, "tool_calls"),
    ],
    "reasoning_content": [
        chunk({"reasoning_content": "th"}),
        chunk({"reasoning_content": "ink", "content": ""}),
        chunk({"content": "x"}),
        chunk({}, "stop"),
    ],
    "reasoning": [chunk({"reasoning": "th"}), chunk({"content": "x"}), chunk({}, "stop")],
    # Not the same text under two names, which the SDK tells twice: see conformance/differences.py.
    "thinking blocks": [
        chunk({"thinking_blocks": [{"type": "thinking", "thinking": "a", "signature": ""}]}),
        chunk({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "s1"}]}),
        chunk({"thinking_blocks": [{"type": "redacted_thinking", "data": "zz"}]}),
        chunk({"thinking_blocks": [{"type": "thinking", "thinking": "b", "signature": "s2"}]}),
        chunk({"content": "x"}),
        chunk({}, "stop"),
    ],
    "reasoning and a call": [
        chunk({"reasoning_content": "th"}),
        chunk(called(0, "a", "f", "{}")),
        chunk({"reasoning_content": "more"}),
        chunk({}, "tool_calls"),
    ],
    "refusal and text": [
        chunk({"refusal": "no"}),
        chunk({"content": "x"}),
        chunk({"refusal": "!"}),
        chunk({}, "stop"),
    ],
    "log probabilities": [
        chunk(
            choices=[
                {
                    "index": 0,
                    "delta": {"content": "x"},
                    "logprobs": {
                        "content": [
                            {"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": [
                                {"token": "y", "logprob": -1.0, "bytes": [121]}]}
                        ]
                    },
                }
            ]
        ),
        chunk({}, "stop"),
    ],
    "usage with every chunk": [
        chunk({"content": "x"}, usage=USAGE),
        chunk({}, "stop", usage={**USAGE, "prompt_tokens_details": {"cached_tokens": 2}}),
    ],
    "filtered whole": [chunk({}, "content_filter")],
    "no content": [chunk({"role": "assistant", "content": ""}), chunk({}, "stop")],
}  # fmt: skip


def plain(events: list[Any]) -> list[dict[str, Any]]:
    """Events as dicts, without the clock."""
    dumped = [event.model_dump(exclude_unset=True) for event in events]
    for event in dumped:
        if "response" in event:
            event["response"]["created_at"] = 0
            event["response"].pop("incomplete_details", None)  # ours: the finish_reason
    return dumped


@pytest.mark.parametrize("buffered", [False, True], ids=["", "buffered"])
@pytest.mark.parametrize("name", CHUNKS)
async def test_a_stream_becomes_the_sdks_events(name: str, buffered: bool, sdk: Any) -> None:
    answer = answering(sse(CHUNKS[name]))
    settings = {"temperature": 0.5, "tool_choice": "required", "reasoning": {"effort": "low"}}
    options = {"buffer_streamed_tool_calls": buffered}
    ours = model(Kept(answer), **options)
    theirs = sdk.OpenAIChatCompletionsModel("m", Kept(answer), **options)
    asked = {"stream": True, "settings": settings}
    assert plain(await ask(ours, agentstream, **asked)) == plain(
        await theirs_events(theirs, sdk, asked)
    )


async def theirs_events(model: Any, sdk: Any, asked: dict[str, Any]) -> list[Any]:
    """The SDK's events, each as it is when it arrives: it changes some of them later."""
    events = []
    arguments = {
        "system_instructions": None,
        "input": "hi",
        "model_settings": sdk.ModelSettings(**asked["settings"]),
        "tools": [],
        "output_schema": None,
        "handoffs": [],
        "tracing": sdk.ModelTracing.DISABLED,
    }
    async for event in model.stream_response(**arguments):
        events.append(event.model_copy(deep=True))
    return events


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_a_stream_in_any_fragments_is_the_same(size: int) -> None:
    body = sse(CHUNKS["calls"])
    async with ScriptedServer([raw(body, size=size)]) as server:
        events = await ask(model(server.client()), agentstream, stream=True)
    assert plain(events) == plain(await streamed(body))


async def test_the_request_id_and_the_raw_usage_are_at_hand() -> None:
    body = sse([chunk({"content": "x"}), chunk({}, "stop", usage={**USAGE, "cost": 0.1})])
    headers = {"content-type": "text/event-stream", "x-request-id": "req_1"}
    client = Kept(lambda _: httpx2.Response(200, content=body, headers=headers))
    settings = {"preserve_raw_usage": True}
    events = await ask(model(client), agentstream, stream=True, settings=settings)
    response = events[-1].response
    assert response._request_id == "req_1"
    assert response._raw_usage == {**USAGE, "cost": 0.1}
    assert response.usage.total_tokens == 7


@pytest.mark.parametrize("end", ["\n", "\n\n", ""], ids=["a line end", "a blank line", "nothing"])
async def test_done_is_seen_before(end: str) -> None:
    body = sse([chunk({"content": "x"})], done=False) + f"data: [DONE]{end}".encode()
    assert kinds(await streamed(body))[-1] == "completed"


async def test_a_last_chunk_without_its_blank_line_is_read() -> None:
    body = sse([chunk({"content": "x"}), chunk({"content": "y"}, "stop")], done=False)
    events = await streamed(body.rstrip())
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "xy"


async def test_a_stream_that_is_cut_within_a_chunk_keeps_what_came() -> None:
    body = sse([chunk({"content": "x"}), chunk({"content": "y"})], done=False)
    events: list[Any] = []
    stream = model(Kept(answering(body[:-20]))).stream_response(
        None,
        "hi",
        agentstream.ModelSettings(),
        [],
        None,
        [],
        agentstream.ModelTracing.DISABLED,
    )
    with pytest.raises(ModelStreamError, match="closed the connection"):
        async for event in stream:
            events.append(event)
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.output_text == "x"


async def test_an_error_within_the_stream_has_its_request() -> None:
    body = sse([chunk({"content": "x"}), {"error": {"message": "Tool call failed"}}])
    with pytest.raises(openai.APIError, match="Tool call failed") as caught:
        await streamed(body)
    assert caught.value.request.url.path == "/v1/chat/completions"


async def test_what_is_no_json_is_named() -> None:
    with pytest.raises(ModelStreamError, match="JSONDecodeError") as caught:
        await streamed(b"data: <html>\n\n")
    assert isinstance(caught.value.__cause__, json.JSONDecodeError)


async def test_an_empty_stream_is_an_error() -> None:
    with pytest.raises(ModelBehaviorError, match="without sending a single chunk"):
        await streamed(b"data: [DONE]\n\n")


def without_stream_options(status: int, message: str) -> Answer:
    """A server that refuses `stream_options`."""

    def answer(body: dict[str, Any]) -> httpx2.Response:
        if "stream_options" in body:
            return httpx2.Response(status, json={"error": {"message": message}})
        return httpx2.Response(200, content=STREAM, headers={"content-type": "text/event-stream"})

    return answer


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Unrecognized request argument supplied: stream_options"),
        (422, "body.stream_options: Extra inputs are not permitted"),
    ],
)
async def test_a_server_without_stream_options_is_asked_without_them(
    status: int, message: str
) -> None:
    client = Kept(without_stream_options(status, message))
    asking = model(client)
    for _ in range(2):
        events = await ask(asking, agentstream, stream=True)
        assert events[-1].response.output_text == "Hello"
    assert ["stream_options" in body for body in client.sent] == [True, False, False]


@pytest.mark.parametrize("wanted", [True, False])
async def test_stream_options_that_the_user_set_are_not_dropped(wanted: bool) -> None:
    client = Kept(without_stream_options(400, "no stream_options"))
    with pytest.raises(openai.BadRequestError):
        await ask(model(client), agentstream, stream=True, settings={"include_usage": wanted})
    assert len(client.sent) == 1


async def test_another_bad_request_is_not_asked_again() -> None:
    client = Kept(without_stream_options(400, "no such model"))
    with pytest.raises(openai.BadRequestError, match="no such model"):
        await ask(model(client), agentstream, stream=True)
    assert len(client.sent) == 1


async def test_usage_comes_with_a_stream() -> None:
    async with ScriptedServer([turn(say("Hello"))]) as server:
        events = await ask(model(server.client()), agentstream, stream=True)
    assert events[-1].response.usage.total_tokens > 0


async def test_closing_the_stream_closes_the_connection() -> None:
    body = sse([chunk({"content": "x"})] * 50, done=False)
    async with ScriptedServer([raw(body, size=200, seconds=0.05)]) as server:
        asking = model(server.client())
        stream = asking.stream_response(*ARGUMENTS)
        async with aclosing(stream):  # type: ignore[type-var]
            async for event in stream:
                if event.type == "response.output_text.delta":
                    break
        await server.calls[0].until_disconnected(1.0)


async def test_cancelling_the_reader_closes_the_connection() -> None:
    body = sse([chunk({"content": "x"})] * 50, done=False)
    async with ScriptedServer([raw(body, size=200, seconds=0.05)]) as server:
        asking = model(server.client())
        started = asyncio.Event()

        async def read() -> None:
            async for _ in asking.stream_response(*ARGUMENTS):
                started.set()

        task = asyncio.create_task(read())
        await asyncio.wait_for(started.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.calls[0].until_disconnected(1.0)


ARGUMENTS: tuple[Any, ...] = (
    None,
    "hi",
    agentstream.ModelSettings(),
    [],
    None,
    [],
    agentstream.ModelTracing.DISABLED,
)


async def test_an_http_error_is_raised_before_the_first_event() -> None:
    async with ScriptedServer([http_error(429, "slow down")]) as server:
        with pytest.raises(openai.RateLimitError, match="slow down"):
            await ask(model(server.client()), agentstream, stream=True)


async def test_a_run_calls_a_tool_and_answers() -> None:
    @agentstream.function_tool
    def add(a: int, b: int) -> int:
        return a + b

    turns = [turn(call("add", a=1, b=2)), turn(say("3"))]
    async with ScriptedServer(turns) as server:
        agent = agentstream.Agent(name="Sums", model=model(server.client()), tools=[add])
        result = agentstream.Runner.run_streamed(agent, "1 + 2?")
        seen = [event.type async for event in result.stream_events()]
    assert result.final_output == "3"
    assert "raw_response_event" in seen
    output = server.requests[1].body["messages"][-1]
    assert (output["role"], output["content"]) == ("tool", "3")


async def test_a_run_whose_stream_breaks_off_fails_and_keeps_what_came() -> None:
    body = sse([chunk({"content": "half "}), chunk({"content": "an answer"})], done=False)
    async with ScriptedServer([raw(body)]) as server:
        agent = agentstream.Agent(name="Cut", model=model(server.client()))
        result = agentstream.Runner.run_streamed(agent, "Go on.")
        told = ""
        with pytest.raises(ModelBehaviorError, match="closed the connection"):
            async for event in result.stream_events():
                if event.type == "raw_response_event" and event.data.type.endswith("text.delta"):
                    told += event.data.delta
    assert told == "half an answer"
    (kept,) = result.raw_responses
    assert kept.output[0].content[0].text == "half an answer"


async def test_a_run_has_the_usage_as_the_provider_sent_it() -> None:
    body = sse([chunk({"content": "x"}), chunk({}, "stop", usage={**USAGE, "cost": 0.1})])
    async with ScriptedServer([raw(body)]) as server:
        agent = agentstream.Agent(
            name="Spender",
            model=model(server.client()),
            model_settings=agentstream.ModelSettings(preserve_raw_usage=True),
        )
        result = agentstream.Runner.run_streamed(agent, "Go on.")
        async for _ in result.stream_events():
            pass
    assert result.context_wrapper.usage.total_tokens == 7
    assert result.raw_responses[0].raw_usage == {**USAGE, "cost": 0.1}
