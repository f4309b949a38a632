"""Models that LiteLLM or any-llm asks: the library answers within this process."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx2
import pytest
from aiohttp import web
from openai import APIError, RateLimitError
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.shared import Reasoning

from agentstream import Agent, ModelSettings, MultiProvider, Runner, UserError, function_tool
from agentstream._utils.redaction import forget_all
from agentstream.models.library_models import AnyLLMModel, AnyLLMProvider, LitellmModel


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> ChatCompletionChunk:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    plain = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return ChatCompletionChunk.model_validate({**plain, "choices": [choice], **more})


KEY = "sk-s3cret-1"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1,"b":2}'}}
TURNS: list[Any] = [
    [chunk({"tool_calls": [{"index": 0, **CALL}]}), chunk({}, "tool_calls")],
    [chunk({"content": "It is "}), chunk({"content": "3."}), chunk({}, "stop", usage=USAGE)],
]


class Library(ModuleType):
    """A library in whose place nothing is installed; it plays turns and keeps what it was asked."""

    def __init__(self, name: str, turns: list[Any]) -> None:
        super().__init__(name)
        self.turns, self.asked, self.closed = list(turns), list[dict[str, Any]](), 0

    async def acompletion(self, **arguments: Any) -> Any:
        self.asked.append(arguments)
        turn = self.turns.pop(0)
        if isinstance(turn, Exception):
            raise turn
        return self.stream(turn) if arguments.get("stream") else _whole(turn)

    async def stream(self, turn: list[Any]) -> AsyncIterator[Any]:
        try:
            for one in turn:
                if isinstance(one, Exception):
                    raise one
                yield one
        finally:
            self.closed += 1


def _whole(turn: list[Any]) -> ChatCompletion:
    message: dict[str, Any] = {"role": "assistant", "content": None}
    for one in turn:
        delta = one.choices[0].delta.model_dump(exclude_none=True)
        if "content" in delta:
            message["content"] = (message["content"] or "") + delta["content"]
        message |= {"tool_calls": delta["tool_calls"]} if "tool_calls" in delta else {}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    plain = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE}
    return ChatCompletion.model_validate({**plain, "choices": [choice]})


@pytest.fixture(params=["litellm", "any_llm"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library(request.param, TURNS)
    monkeypatch.setitem(sys.modules, request.param, made)
    return made


def model_of(library: Library) -> Any:
    if library.__name__ == "litellm":
        return LitellmModel("anthropic/claude", base_url="http://b", api_key=KEY)
    return AnyLLMModel("mistral/small", base_url="http://b", api_key=KEY)


@function_tool
def add(a: int, b: int) -> int:
    return a + b


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_agent_runs_with_tools_on_a_model_that_a_library_asks(
    library: Library, streamed: bool
) -> None:
    agent = Agent(name="A", model=model_of(library), tools=[add])
    if streamed:
        result: Any = Runner.run_streamed(agent, "1 + 2?")
        kinds = [event.type async for event in result.stream_events()]
        assert kinds.count("raw_response_event") > 4
    else:
        result = await Runner.run(agent, "1 + 2?")
    assert result.final_output == "It is 3."
    assert result.context_wrapper.usage.total_tokens >= 5
    first, second = library.asked
    assert first["model"] in ("anthropic/claude", "mistral/small")
    assert first["messages"] == [{"role": "user", "content": "1 + 2?"}]
    assert first["tools"][0]["function"]["name"] == "add"
    assert second["messages"][-1]["content"] == "3"
    assert first["api_key"] == KEY
    assert "http://b" in (first.get("base_url"), first.get("api_base"))
    assert "extra_headers" not in first
    assert KEY not in repr(vars(agent.model._client._client._transport))


async def test_what_the_settings_say_beyond_openai_goes_to_the_library(library: Library) -> None:
    settings = ModelSettings(
        temperature=0.5,
        extra_headers={"anthropic-beta": "x", "Authorization": "Bearer mine", "User-Agent": "me"},
        extra_query={"version": "2"},
        extra_body={"cached_content": "c"},
        extra_args={"mock_response": "m", "metadata": {"a": "b"}, "timeout": httpx2.Timeout(5.0)},
    )
    library.turns = [TURNS[1]]
    await Runner.run(Agent(name="A", model=model_of(library), model_settings=settings), "Hi")
    asked = library.asked[0]
    headers = {"anthropic-beta": "x", "authorization": "Bearer mine", "user-agent": "me"}
    assert asked["extra_headers"] == headers
    assert (asked["extra_query"], asked["timeout"]) == ({"version": "2"}, 5.0)
    assert asked["extra_body"] == {"cached_content": "c"}
    assert (asked["mock_response"], asked["metadata"]) == ("m", {"a": "b"})
    assert asked["temperature"] == 0.5


async def test_a_program_may_wrap_what_the_library_is_asked_by(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, plain, seen = model_of(library), library.acompletion, list[str]()

    async def traced(**arguments: Any) -> Any:
        seen.append(arguments["model"])
        return await plain(**arguments)

    monkeypatch.setattr(library, "acompletion", traced, raising=False)
    library.turns = [TURNS[1]]
    await Runner.run(Agent(name="A", model=model), "Hi")
    assert len(seen) == 1


async def test_an_error_has_the_status_and_the_words_of_the_library(library: Library) -> None:
    error = RuntimeError("slow down")
    error.status_code = 429  # type: ignore[attr-defined]
    error.response = SimpleNamespace(headers={"retry-after-ms": "1"})  # type: ignore[attr-defined]
    library.turns = [error] * 3
    with pytest.raises(RateLimitError, match="slow down"):
        await Runner.run(Agent(name="A", model=model_of(library)), "Hi")
    assert len(library.asked) == 3  # the client's own retries


@pytest.mark.parametrize("in_a_stream", [False, True])
async def test_an_error_that_repeats_the_key_is_told_without_it(
    library: Library, in_a_stream: bool
) -> None:
    forget_all()
    error = RuntimeError(f"Incorrect API key provided: {KEY}.")
    library.turns = [[TURNS[1][0], error]] if in_a_stream else [error] * 3
    result = Runner.run_streamed(Agent(name="A", model=model_of(library)), "Hi")
    with pytest.raises(APIError, match=r"key provided: \*\*\*") as caught:
        await result.wait()
    assert KEY not in f"{caught.value.body} {result.trace.error}"


async def test_what_arrived_before_an_error_within_a_stream_is_kept(library: Library) -> None:
    library.turns = [[TURNS[1][0], RuntimeError("overloaded")]]
    result = Runner.run_streamed(Agent(name="A", model=model_of(library)), "Hi")
    with pytest.raises(Exception, match="overloaded"):
        await result.wait()
    assert "It is " in str(result.raw_responses)
    assert library.closed == 1


async def test_a_stream_is_closed_that_is_stopped_before_its_first_event(
    library: Library,
) -> None:
    class Stream:
        def __init__(self) -> None:
            self.waits, self.is_closed = asyncio.Event(), False

        def __aiter__(self) -> Stream:
            return self

        async def __anext__(self) -> Any:
            self.waits.set()
            await asyncio.Event().wait()

        async def aclose(self) -> None:
            self.is_closed = True

    stream = Stream()
    library.stream = lambda turn: stream  # type: ignore[method-assign, assignment, return-value]
    result = Runner.run_streamed(Agent(name="A", model=model_of(library)), "Hi")
    await stream.waits.wait()
    result.cancel()
    await result.wait()
    assert stream.is_closed


def test_a_prefix_of_the_name_finds_the_library(library: Library) -> None:
    prefix = library.__name__.replace("_", "-")
    assert MultiProvider().get_model(f"{prefix}/gemini/flash").model == "gemini/flash"  # type: ignore[attr-defined]


def test_without_the_package_an_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("litellm", "any_llm"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'jupyter-agentstream\[litellm\]'"):
        LitellmModel("m")
    with pytest.raises(ImportError, match=r"pip install 'jupyter-agentstream\[any-llm\]'"):
        AnyLLMProvider().get_model("m")


def test_any_llm_is_asked_for_chat_completions_alone() -> None:
    with pytest.raises(UserError, match="Leave api out"):
        AnyLLMModel("openai/m", api="responses")


ANTHROPIC: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 9, "output_tokens": 1},
        },
    },
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "thinking", "thinking": "", "signature": ""},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "thinking_delta", "thinking": "One and two."},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "signature_delta", "signature": "sig"},
    },
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "It is "}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "3."}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 12},
    },
    {"type": "message_stop"},
]


@pytest.mark.filterwarnings("ignore")  # LiteLLM's own
async def test_a_stream_of_anthropics_own_api_runs_through_litellm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it looks for one elsewhere
    pytest.importorskip("litellm")
    asked: list[Any] = []

    async def messages(request: web.Request) -> web.StreamResponse:
        asked.append((request.headers["x-api-key"], await request.json()))
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for event in ANTHROPIC:
            text = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
            await response.write(text.encode())
        return response

    server = web.Application()
    server.router.add_post("/v1/messages", messages)
    runner = web.AppRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        url = f"http://127.0.0.1:{port}"
        model = LitellmModel("anthropic/claude-sonnet-4-5", base_url=url, api_key="sk-test")
        result = Runner.run_streamed(Agent(name="A", model=model), "1 + 2?")
        await result.wait()
    finally:
        await runner.cleanup()
    assert result.final_output == "It is 3."
    assert [item.type for item in result.new_items] == ["reasoning_item", "message_output_item"]
    usage = result.context_wrapper.usage
    assert (usage.input_tokens, usage.output_tokens) == (9, 12)
    key, body = asked[0]
    assert (key, body["model"], body["stream"]) == ("sk-test", "claude-sonnet-4-5", True)


async def test_what_litellm_takes_otherwise_is_given_to_it_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    library = Library("litellm", [TURNS[1]] * 3)
    monkeypatch.setitem(sys.modules, "litellm", library)
    for settings in (
        ModelSettings(extra_body={"reasoning_effort": "none", "cached_content": "c"}),
        ModelSettings(extra_body={"reasoning_effort": "high"}, reasoning=Reasoning(effort="low")),
        ModelSettings(reasoning=Reasoning(effort="medium", summary="auto")),
    ):
        agent = Agent(name="A", model=model_of(library), model_settings=settings, tools=[add])
        await Runner.run(agent, "Hi")
    first, second, third = library.asked
    assert (first["reasoning_effort"], first["extra_body"]) == ("none", {"cached_content": "c"})
    assert (second["reasoning_effort"], "extra_body" in second) == ("low", False)
    assert third["reasoning_effort"] == "medium"
    # The tools are the program's own: those of a proxy's MCP servers are not looked for.
    assert all(asked["_skip_mcp_handler"] is True for asked in library.asked)
    assert caplog.text.count("does not forward Reasoning.summary") == 1
