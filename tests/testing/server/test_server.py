"""The scripted server: both APIs, whole and streamed, with its faults and its records."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import httpx2
import openai
import pytest

from agentstream import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    UserError,
    function_tool,
    testing,
)
from agentstream.testing import (
    ScriptedServer,
    call,
    cut,
    fail,
    http_error,
    incomplete,
    raw,
    refuse,
    reset,
    stall,
    stand_in,
    stream_error,
    think,
    turn,
    web_search,
)

MIXED = turn(think("Hm."), "Let me look.", call("look", place="sea"), call("look", place="sky"))

# Early releases of the openai client let its HTTP library's error out of a stream.
BROKEN_OFF = (openai.APIConnectionError, httpx2.RemoteProtocolError, httpx2.ReadError)


def test_all_names_are_there_and_sorted() -> None:
    assert testing.__all__ == sorted(testing.__all__)
    for name in testing.__all__:
        assert getattr(testing, name).__doc__, name


async def test_responses_come_streamed_and_whole() -> None:
    async with ScriptedServer([MIXED, MIXED]) as server:
        client = server.client()
        stream = await client.responses.create(model="m", input="Hi", stream=True)
        events = [event async for event in stream]
        whole = await client.responses.create(model="m", input="Hi")
    streamed = events[-1].response  # type: ignore[union-attr]
    assert [one.type for one in streamed.output] == ["reasoning", "message", *["function_call"] * 2]
    assert [one.to_dict() for one in whole.output] == [
        json.loads(json.dumps(one.to_dict()).replace("_1_", "_2_")) for one in streamed.output
    ]


async def test_chat_completions_come_streamed_and_whole() -> None:
    asked: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    usage = {"include_usage": True}
    async with ScriptedServer([MIXED, MIXED]) as server:
        client = server.client()
        stream = await client.chat.completions.create(**asked, stream=True, stream_options=usage)
        chunks = [chunk async for chunk in stream]
        whole = await client.chat.completions.create(**asked)
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    message = whole.choices[0].message
    assert "".join(delta.content or "" for delta in deltas) == message.content == "Let me look."
    assert "".join(getattr(delta, "reasoning_content", "") for delta in deltas) == "Hm."
    arguments = {0: "", 1: ""}
    for delta in deltas:
        for piece in delta.tool_calls or ():
            assert piece.function is not None
            arguments[piece.index] += piece.function.arguments or ""
    assert message.tool_calls is not None
    assert list(arguments.values()) == [one.function.arguments for one in message.tool_calls]
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason == "tool_calls"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens  # type: ignore[union-attr]


async def test_usage_of_a_chat_stream_comes_only_when_asked_for() -> None:
    async with ScriptedServer(["Hello."]) as server:
        stream = await server.client().chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        assert [chunk.usage async for chunk in stream] == [None] * 4


@pytest.mark.parametrize(
    ("part", "reason"),
    [("x", "stop"), (incomplete(), "length"), (incomplete("content_filter"), "content_filter")],
)
async def test_chat_completions_tell_why_they_end(part: Any, reason: str) -> None:
    async with ScriptedServer([turn("Hello", part), turn(refuse("no"))]) as server:
        asked: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
        completion = await server.client().chat.completions.create(**asked)
        assert completion.choices[0].finish_reason == reason
        completion = await server.client().chat.completions.create(**asked)
        assert completion.choices[0].message.refusal == "no"


async def test_what_chat_completions_cannot_say_is_refused_in_words() -> None:
    async with ScriptedServer([web_search("x")] * 2) as server:
        client = server.client()
        messages: Any = [{"role": "user", "content": "Hi"}]
        with pytest.raises(openai.InternalServerError, match="web_search_call, which Chat"):
            await client.chat.completions.create(model="m", messages=messages)
        stream = await client.chat.completions.create(model="m", messages=messages, stream=True)
        with pytest.raises(BROKEN_OFF):
            async for _ in stream:
                pass


@pytest.mark.parametrize("kind", [OpenAIResponsesModel, OpenAIChatCompletionsModel])
async def test_an_agent_runs_against_it(kind: Any) -> None:
    @function_tool
    def look(place: str) -> str:
        """Look."""
        return f"seen {place}"

    async with ScriptedServer([call("look", place="sea"), "Seen."]) as server:
        agent = Agent(name="A", model=kind("m", server.client()), tools=[look])
        result = await Runner.run(agent, "Look")
        assert result.final_output == "Seen."
        assert [request.endpoint.split("/")[1] for request in server.requests] == ["v1", "v1"]
        assert "seen sea" in json.dumps(server.requests[1].body)


async def test_requests_are_kept_without_credentials() -> None:
    async with ScriptedServer(["Hello."]) as server:
        client = server.client(default_headers={"api-key": "secret-azure", "X-Lesson": "3"})
        await client.responses.create(model="m", input="Hi", extra_query={"version": "1"})
        request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/v1/responses?version=1")
    assert request.headers["x-lesson"] == "3"
    assert request.body == {"model": "m", "input": "Hi"}
    assert "scripted" not in repr(request.headers)
    assert "secret" not in repr(server.requests)


async def test_a_client_that_leaves_is_reported_with_its_time() -> None:
    async with ScriptedServer([turn("A long story.", stall(after=6))]) as server:
        stream = await server.client().responses.create(model="m", input="Tell", stream=True)
        async for event in stream:
            if event.type == "response.output_text.delta":
                break
        left = time.monotonic()
        await stream.close()
        gone = await server.calls[0].until_disconnected()
        assert left <= gone < left + 0.2
        assert server.calls[0].finished is None
        assert server.calls[0].events == 6


async def test_a_client_that_stays_to_the_end_is_not() -> None:
    async with ScriptedServer(["Hello."] * 2) as server:
        client = server.client()
        for _ in range(2):
            stream = await client.responses.create(model="m", input="Hi", stream=True)
            assert [event.type async for event in stream][-1] == "response.completed"
        with pytest.raises(TimeoutError):
            await server.calls[0].until_disconnected(0.02)
        for one in server.calls:
            assert one.finished is not None
            assert one.started <= one.finished
            assert one.disconnected is None


@pytest.mark.parametrize("stream", [True, False])
async def test_faults_reach_the_client(stream: bool) -> None:
    async def ask(fault: Any) -> list[str]:
        server.play([turn("Hello", fault)])
        answer: Any = await client.responses.create(model="m", input="Hi", stream=stream)
        return [event.type async for event in answer] if stream else [answer.status]

    async with ScriptedServer() as server:
        client = server.client()
        with pytest.raises(openai.RateLimitError) as caught:
            await ask(http_error(429, retry_after=2))
        assert caught.value.response.headers["retry-after"] == "2"
        with pytest.raises(BROKEN_OFF if stream else openai.APIConnectionError):
            await ask(reset())
        if stream:
            assert (await ask(cut()))[-1] == "response.output_item.done"
            assert await ask(cut(after=0)) == []
            assert (await ask(stream_error()))[-1] == "error"
            assert (await ask(fail()))[-1] == "response.failed"
            assert (await ask(incomplete()))[-1] == "response.incomplete"
        else:
            with pytest.raises(openai.APIConnectionError):
                await ask(cut())
            with pytest.raises(openai.InternalServerError):
                await ask(stream_error())
            assert await ask(fail()) == ["failed"]
            assert await ask(incomplete()) == ["incomplete"]


async def test_faults_of_chat_completions_reach_the_client() -> None:
    async def ask(fault: Any, stream: bool) -> list[Any]:
        server.play([turn("Hello", fault)])
        answer: Any = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Hi"}], stream=stream
        )
        return [chunk async for chunk in answer] if stream else [answer]

    async with ScriptedServer() as server:
        client = server.client()
        with pytest.raises(openai.APIError, match="broken"):
            await ask(fail("broken"), True)
        with pytest.raises(openai.InternalServerError, match="broken"):
            await ask(fail("broken"), False)
        assert [chunk.choices[0].finish_reason for chunk in await ask(cut(), True)] == [None, None]


async def test_a_client_may_try_again() -> None:
    async with ScriptedServer([http_error(503), "Hello."]) as server:
        client = server.client(max_retries=1)
        assert (await client.responses.create(model="m", input="Hi")).output_text == "Hello."
        assert len(server.calls) == 2


async def test_a_script_that_is_over_is_told_and_not_tried_again() -> None:
    async with ScriptedServer([lambda request: 1 / 0]) as server:
        client = server.client(max_retries=3)
        with pytest.raises(openai.InternalServerError, match="ZeroDivisionError"):
            await client.responses.create(model="m", input="Hi")
        with pytest.raises(openai.InternalServerError, match="The script is over"):
            await client.responses.create(model="m", input="Hi")
        assert len(server.calls) == 2


async def test_recorded_bytes_are_played_as_they_are_in_their_fragments() -> None:
    data = 'data: {"type":"response.output_text.delta","delta":"é"}\r\n\r\n'
    async with ScriptedServer([raw(data, size=1), raw([b"a", b"b"], content_type="x/y")]) as server:
        stream = await server.client().responses.create(model="m", input="Hi", stream=True)
        assert [event.delta async for event in stream] == ["é"]  # type: ignore[union-attr]
        assert server.calls[0].events == len(data.encode())
        async with httpx2.AsyncClient(trust_env=False) as http:
            answer = await http.post(f"{server.base_url}/responses", json={"stream": True})
        assert (answer.content, answer.headers["content-type"]) == (b"ab", "x/y")


def test_a_fragment_is_not_empty() -> None:
    with pytest.raises(UserError, match="at least one byte"):
        raw(b"x", size=0)


async def test_conversations_keep_their_items() -> None:
    async with ScriptedServer() as server:
        client = server.client()
        kept = await client.conversations.create(items=[{"role": "user", "content": "one"}])
        await client.conversations.items.create(
            kept.id,
            items=[{"role": "user", "content": str(number)} for number in range(2, 30)],
        )
        newest: Any = [one async for one in client.conversations.items.list(kept.id, limit=10)]
        assert [one.content[0].text for one in newest] == [
            *(str(number) for number in range(29, 1, -1)),
            "one",
        ]
        await client.conversations.items.delete(newest[0].id, conversation_id=kept.id)
        pages = client.conversations.items.list(kept.id, order="asc")
        assert len([one async for one in pages]) == 28
        assert (await client.conversations.retrieve(kept.id)).id == kept.id
        assert (await client.conversations.delete(kept.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await client.conversations.retrieve(kept.id)


async def test_other_requests_are_answered_with_what_it_speaks() -> None:
    async with ScriptedServer() as server:
        with pytest.raises(openai.NotFoundError, match="no GET /v1/models; it speaks POST"):
            await server.client().models.list()
        async with httpx2.AsyncClient(trust_env=False) as http:
            answer = await http.post(f"{server.base_url}/responses", content=b"not json")
            assert answer.status_code == 400
            chunked = await http.post(
                f"{server.base_url}/conversations", content=fragments(b'{"it', b'ems": []}')
            )
            assert chunked.json()["object"] == "conversation"


async def fragments(*parts: bytes) -> Any:
    for part in parts:
        yield part


def test_it_serves_a_program_without_a_loop() -> None:
    with ScriptedServer(["Hello."]) as server:
        body = {"model": "m", "input": "Hi"}
        with httpx2.Client(trust_env=False) as http:
            answer = http.post(f"{server.base_url}/responses", json=body).json()
    assert answer["output"][0]["content"][0]["text"] == "Hello."
    assert not any(thread.name == "scripted-server" for thread in threading.enumerate())


def test_it_has_no_address_before_it_starts() -> None:
    with pytest.raises(UserError, match="has not started"):
        _ = ScriptedServer(["Hello."]).base_url


async def test_closing_it_breaks_what_is_open() -> None:
    server = ScriptedServer([turn("x", stall(after=3))]).start()
    async with server.client() as client:
        stream = await client.responses.create(model="m", input="Hi", stream=True)
        reading = asyncio.create_task(collect(stream))
        while server.calls[0].events < 3:
            await asyncio.sleep(0.005)
        server.close()
        with pytest.raises((openai.APIConnectionError, httpx2.TransportError)):
            await reading
    server.close()  # twice is no harm


async def collect(stream: Any) -> list[Any]:
    return [event async for event in stream]


async def test_a_paced_stream_takes_its_time() -> None:
    async with ScriptedServer(["one two three"], pace=testing.Pace(50, 0.05)) as server:
        started = time.monotonic()
        stream = await server.client().responses.create(model="m", input="Hi", stream=True)
        await collect(stream)
        assert time.monotonic() - started >= 0.05 + 3 / 50


async def test_a_stand_in_plays_its_turns_again_and_again() -> None:
    agent = Agent(name="A", model=stand_in("One.", "Two.", pace=None, model="small"))
    said = [(await Runner.run(agent, "Go on")).final_output for _ in range(3)]
    assert said == ["One.", "Two.", "One."]


@pytest.mark.parametrize(
    ("live", "key", "asks"), [("1", "k", True), ("1", "", False), ("0", "k", False)]
)
async def test_a_stand_in_steps_aside_where_a_lesson_is_live_and_has_a_key(
    monkeypatch: pytest.MonkeyPatch, live: str, key: str, asks: bool
) -> None:
    monkeypatch.setenv("AGENTSTREAM_LIVE", live)
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with ScriptedServer(["From the service."]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        agent = Agent(name="A", model=stand_in("From the script.", pace=None))
        result = await Runner.run(agent, "Who are you?")
    assert result.final_output == ("From the service." if asks else "From the script.")
    assert len(server.requests) == asks
