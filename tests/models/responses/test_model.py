"""The Responses model: it asks what the SDK asks, and reads what the official client reads."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from types import ModuleType
from typing import Any

import agents
import agents.model_settings
import httpx2
import pytest
from openai import (
    APIConnectionError,
    APIError,
    AsyncAzureOpenAI,
    AsyncOpenAI,
    DefaultAsyncHttpx2Client,
    InternalServerError,
)
from openai.types.responses import ResponseOutputMessage
from pydantic import BaseModel

import agentstream
import agentstream.model_settings
from agentstream.exceptions import ModelBehaviorError, UserError

RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "hi", "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 1},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 5,
    },
}
DELTA = {
    "type": "response.output_text.delta",
    "item_id": "msg_1",
    "output_index": 0,
    "content_index": 0,
    "delta": "hi",
    "logprobs": [],
    "sequence_number": 1,
}
COMPLETED = {"type": "response.completed", "response": RESPONSE, "sequence_number": 2}
CREATED = {"type": "response.created", "response": RESPONSE, "sequence_number": 0}


def sse(*events: Any) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)


class Server:
    """Answers in this process, and keeps the requests."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if isinstance(self.answer, httpx2.Response):
            return self.answer
        headers = {"x-request-id": "req_1"}
        if json.loads(request.content).get("stream"):
            events = self.answer or sse(CREATED, DELTA, COMPLETED)
            headers["content-type"] = "text/event-stream"
            return httpx2.Response(200, content=events, headers=headers)
        return httpx2.Response(200, json=self.answer or RESPONSE, headers=headers)

    def client(self, **options: Any) -> AsyncOpenAI:
        http = DefaultAsyncHttpx2Client(transport=httpx2.MockTransport(self))
        options = {"api_key": "none", "base_url": "http://localhost/v1", **options}
        return AsyncOpenAI(http_client=http, max_retries=0, **options)


def arguments(lib: ModuleType, **changes: Any) -> tuple[list[Any], dict[str, Any]]:
    given = {
        "system_instructions": "Be brief.",
        "input": "hello",
        "model_settings": lib.ModelSettings(),
        "tools": [],
        "output_schema": None,
        "handoffs": [],
        "tracing": lib.ModelTracing.DISABLED,
        "previous_response_id": None,
        "conversation_id": None,
        "prompt": None,
        **changes,
    }
    return list(given.values())[:7], dict(list(given.items())[7:])


async def ask(
    lib: ModuleType, case: Callable[[ModuleType], dict[str, Any]], *, stream: bool
) -> Any:
    """What was sent, or which error was raised."""
    server = Server()
    try:
        changes = case(lib)
        name = changes.pop("model", "gpt-x")
        explicit = changes.pop("model_is_explicit", True)
        model = lib.OpenAIResponsesModel(name, server.client(), model_is_explicit=explicit)
        positional, named = arguments(lib, **changes)
        if stream:
            async for _ in model.stream_response(*positional, **named):
                pass
        else:
            await model.get_response(*positional, **named)
    except Exception as error:
        return type(error).__name__, str(error)
    [request] = server.requests
    headers = {
        name: value
        for name, value in request.headers.items()
        if name not in ("user-agent", "content-length")
    }
    body = json.loads(request.content)
    body["include"].sort()  # the SDK collects them in a set
    return str(request.url), headers, body


# --- what is sent. Each case makes its arguments with the SDK's module or with ours.


class City(BaseModel):
    name: str
    people: int = 0


def f_tool(lib: Any) -> Any:
    @lib.function_tool
    def f(a: int) -> str:
        """Do f."""
        return str(a)

    return f


def loose_tool(lib: Any, **options: Any) -> Any:
    @lib.function_tool(strict_mode=False, **options)
    def loose(a: int = 3) -> str:
        """Do it.

        Args:
            a: How often.
        """
        return str(a)

    return loose


def deferred(lib: Any, name: str = "g") -> Any:
    @lib.function_tool(defer_loading=True, name_override=name)
    def g(city: str) -> str:
        """Do g."""
        return city

    return g


def named_tool(lib: Any, name: str) -> Any:
    @lib.function_tool(name_override=name)
    def any_name() -> None:
        """Do it."""

    return any_name


def computer(lib: Any, *, described: bool = True) -> Any:
    class Screen(lib.Computer):
        environment = "browser" if described else None
        dimensions = (640, 480) if described else None

        def screenshot(self) -> str:
            return ""

        def click(self, x: int, y: int, button: Any) -> None: ...
        def double_click(self, x: int, y: int) -> None: ...
        def scroll(self, x: int, y: int, scroll_x: int, scroll_y: int) -> None: ...
        def type(self, text: str) -> None: ...
        def wait(self) -> None: ...
        def move(self, x: int, y: int) -> None: ...
        def keypress(self, keys: list[str]) -> None: ...
        def drag(self, path: list[tuple[int, int]]) -> None: ...

    return lib.ComputerTool(computer=Screen())


def crm(lib: Any, *tools: Any, description: str = "the CRM") -> Any:
    return lib.tool_namespace(
        name="crm", description=description, tools=list(tools) or [f_tool(lib)]
    )


def handoff_to(lib: Any, name: str = "Spanish Agent", **options: Any) -> Any:
    return lib.handoff(lib.Agent(name=name, handoff_description="Speaks Spanish"), **options)


def mcp(**config: Any) -> Any:
    return {"type": "mcp", "server_label": "docs", "server_url": "http://x", **config}


SETTINGS: dict[str, dict[str, Any]] = {
    "temperature": {"temperature": 0.1},
    "zero_temperature": {"temperature": 0},
    "top_p": {"top_p": 0.2},
    "penalties": {"frequency_penalty": 0.3, "presence_penalty": 0.4},
    "truncation": {"truncation": "auto"},
    "max_tokens": {"max_tokens": 5},
    "reasoning": {"reasoning": {"effort": "low", "summary": "auto"}},
    "verbosity": {"verbosity": "low"},
    "metadata": {"metadata": {"a": "b"}},
    "store": {"store": True},
    "not_store": {"store": False},
    "prompt_cache_retention": {"prompt_cache_retention": "24h"},
    "prompt_cache_options": {"prompt_cache_options": {"mode": "explicit"}},
    "context_management": {
        "context_management": [{"type": "compaction", "compact_threshold": 5000}]
    },
    "include_usage": {"include_usage": True},
    "response_include": {"response_include": ["reasoning.encrypted_content"]},
    "empty_include": {"response_include": []},
    "top_logprobs": {"top_logprobs": 3},
    "no_logprobs": {"top_logprobs": 0},
    "logprobs_included_twice": {
        "top_logprobs": 3,
        "response_include": ["message.output_text.logprobs"],
    },
    "extra_query": {"extra_query": {"q": 1}},
    "extra_body": {"extra_body": {"zz": 1, "temperature": 9}},
    "extra_headers": {"extra_headers": {"X-A": "b", "X-Stainless-Lang": "snake"}},
    "extra_args": {"extra_args": {"service_tier": "flex", "prompt_cache_key": "k"}},
    "extra_args_set_nowhere_else": {"extra_args": {"temperature": 0.5, "text": {"a": 1}}},
    "unknown_extra_args": {"extra_args": {"nonsense": 1}},
    "extra_timeout": {"extra_args": {"timeout": 7}},
    "parallel_calls_without_tools": {"parallel_tool_calls": True},
    "preserve_raw_usage": {"preserve_raw_usage": True},
    "timeout": {"timeout": 30},
    "auto": {"tool_choice": "auto"},
    "required": {"tool_choice": "required"},
    "none": {"tool_choice": "none"},
    "named": {"tool_choice": "f"},
    "file_search": {"tool_choice": "file_search"},
    "web_search": {"tool_choice": "web_search"},
    "web_search_preview": {"tool_choice": "web_search_preview"},
    "code_interpreter": {"tool_choice": "code_interpreter"},
    "image_generation": {"tool_choice": "image_generation"},
    "computer_use_preview": {"tool_choice": "computer_use_preview"},
    "computer": {"tool_choice": "computer"},
    "mcp": {"tool_choice": "mcp"},
    "tool_search": {"tool_choice": "tool_search"},
    "local_shell": {"tool_choice": "local_shell"},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("prompt", [None, {"id": "pmpt_1", "variables": {"a": "b"}}])
async def test_every_setting_is_sent_as_the_sdk_sends_it(settings: Any, prompt: Any) -> None:
    def case(lib: Any) -> dict[str, Any]:
        return {"model_settings": lib.ModelSettings(**settings), "prompt": prompt}

    assert await ask(agentstream, case, stream=False) == await ask(agents, case, stream=False)


FAKE = "__fake_id__"
CASES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "plain": lambda lib: {},
    "no_instructions": lambda lib: {"system_instructions": None},
    "empty_instructions": lambda lib: {"system_instructions": ""},
    "items": lambda lib: {"input": [{"role": "user", "content": "x", "odd": 1}]},
    "no_items": lambda lib: {"input": []},
    "items_of_chat_models": lambda lib: {
        "input": [
            {"type": "reasoning", "id": FAKE, "summary": [], "provider_data": {"a": 1}},
            {"type": "reasoning", "id": FAKE, "summary": []},
            {"type": "message", "id": FAKE, "role": "assistant", "content": []},
            {
                "type": "function_call",
                "id": "fc",
                "call_id": "c",
                "name": "f",
                "arguments": "{}",
                "provider_data": {"model": "m"},
            },
            {"type": "function_call_output", "call_id": "c", "output": "x"},
        ]
    },
    "previous_response": lambda lib: {"previous_response_id": "resp_0"},
    "conversation": lambda lib: {"conversation_id": "conv_0"},
    "prompt": lambda lib: {"prompt": {"id": "p"}},
    "prompt_and_default_model": lambda lib: {"prompt": {"id": "p"}, "model_is_explicit": False},
    "default_model": lambda lib: {"model_is_explicit": False},
    "prompt_and_tools": lambda lib: {
        "prompt": {"id": "p"},
        "model_is_explicit": False,
        "tools": [f_tool(lib)],
        "model_settings": lib.ModelSettings(parallel_tool_calls=True, tool_choice="f"),
    },
    "functions": lambda lib: {"tools": [f_tool(lib), loose_tool(lib)]},
    "one_function_twice": lambda lib: {"tools": [f_tool(lib), f_tool(lib)]},
    "parallel_tool_calls": lambda lib: {
        "tools": [f_tool(lib)],
        "model_settings": lib.ModelSettings(parallel_tool_calls=True),
    },
    "no_parallel_tool_calls": lambda lib: {
        "tools": [f_tool(lib)],
        "model_settings": lib.ModelSettings(parallel_tool_calls=False),
    },
    "handoffs": lambda lib: {
        "tools": [f_tool(lib)],
        "handoffs": [
            handoff_to(lib),
            handoff_to(lib, "b", tool_name_override="zz", tool_description_override="yy"),
            handoff_to(lib, "c", input_type=City, on_handoff=lambda context, city: None),
        ],
        "model_settings": lib.ModelSettings(parallel_tool_calls=False, tool_choice="zz"),
    },
    "only_handoffs": lambda lib: {
        "handoffs": [handoff_to(lib)],
        "model_settings": lib.ModelSettings(parallel_tool_calls=False),
    },
    "output_schema": lambda lib: {"output_schema": lib.AgentOutputSchema(City)},
    "loose_output_schema": lambda lib: {
        "output_schema": lib.AgentOutputSchema(City, strict_json_schema=False)
    },
    "output_list": lambda lib: {
        "output_schema": lib.AgentOutputSchema(list[int]),
        "model_settings": lib.ModelSettings(verbosity="high"),
    },
    "output_text": lambda lib: {
        "output_schema": lib.AgentOutputSchema(str),
        "model_settings": lib.ModelSettings(verbosity="high"),
    },
    "web_search": lambda lib: {"tools": [lib.WebSearchTool()]},
    "web_search_with_options": lambda lib: {
        "tools": [
            lib.WebSearchTool(
                user_location={"type": "approximate", "city": "Lisbon"},
                filters={"allowed_domains": ["a.b"]},
                search_context_size="low",
                external_web_access=False,
            )
        ]
    },
    "web_search_with_images": lambda lib: {
        "tools": [
            lib.WebSearchTool(
                search_content_types=["text", "image"], image_settings={"max_results": 3}
            )
        ],
        "model_settings": lib.ModelSettings(response_include=["zz"], top_logprobs=1),
    },
    "file_search": lambda lib: {"tools": [lib.FileSearchTool(vector_store_ids=["v"])]},
    "file_search_with_options": lambda lib: {
        "tools": [
            lib.FileSearchTool(
                vector_store_ids=["v"],
                max_num_results=3,
                include_search_results=True,
                ranking_options={"ranker": "auto"},
                filters={"type": "eq", "key": "a", "value": 1},
            ),
            lib.WebSearchTool(search_content_types=["image"]),
        ],
        "model_settings": lib.ModelSettings(
            response_include=["file_search_call.results", "a"], top_logprobs=1
        ),
    },
    "file_search_of_no_results": lambda lib: {
        "tools": [lib.FileSearchTool(vector_store_ids=["v"], max_num_results=0)]
    },
    "code_interpreter": lambda lib: {
        "tools": [
            lib.CodeInterpreterTool(
                tool_config={"type": "code_interpreter", "container": {"type": "auto"}}
            )
        ]
    },
    "image_generation": lambda lib: {
        "tools": [
            lib.ImageGenerationTool(tool_config={"type": "image_generation", "quality": "low"})
        ]
    },
    "hosted_mcp": lambda lib: {"tools": [lib.HostedMCPTool(mcp(require_approval="never"))]},
    "mcp_choice": lambda lib: {
        "tools": [lib.HostedMCPTool(mcp())],
        "model_settings": lib.ModelSettings(
            tool_choice=lib.model_settings.MCPToolChoice(server_label="docs", name="n")
        ),
    },
    "mcp_choice_and_prompt": lambda lib: {
        "prompt": {"id": "p"},
        "model_settings": lib.ModelSettings(
            tool_choice=lib.model_settings.MCPToolChoice(server_label="docs", name="n")
        ),
    },
    "deferred_mcp": lambda lib: {
        "tools": [lib.HostedMCPTool(mcp(defer_loading=True)), lib.ToolSearchTool()]
    },
    "deferred_mcp_without_search": lambda lib: {
        "tools": [lib.HostedMCPTool(mcp(defer_loading=True))]
    },
    "local_shell": lambda lib: {"tools": [lib.LocalShellTool(executor=lambda request: "")]},
    "deferred": lambda lib: {"tools": [deferred(lib), lib.ToolSearchTool()]},
    "deferred_without_search": lambda lib: {"tools": [deferred(lib)]},
    "tool_search_with_options": lambda lib: {
        "tools": [
            deferred(lib),
            lib.ToolSearchTool(description="d", execution="client", parameters={"type": "object"}),
        ]
    },
    "tool_search_alone": lambda lib: {"tools": [lib.ToolSearchTool()]},
    "tool_search_and_prompt": lambda lib: {
        "tools": [lib.ToolSearchTool()],
        "prompt": {"id": "p"},
    },
    "two_tool_searches": lambda lib: {
        "tools": [lib.ToolSearchTool(), lib.ToolSearchTool(), deferred(lib)]
    },
    "namespace": lambda lib: {"tools": crm(lib)},
    "namespaces": lambda lib: {
        "tools": [
            loose_tool(lib),
            *crm(lib, f_tool(lib), deferred(lib)),
            lib.WebSearchTool(),
            *crm(lib, loose_tool(lib)),
            *lib.tool_namespace(name="b", description="other", tools=[loose_tool(lib)]),
            lib.ToolSearchTool(),
        ]
    },
    "namespace_described_twice": lambda lib: {
        "tools": [*crm(lib), *crm(lib, loose_tool(lib), description="other")]
    },
    "namespace_with_one_name_twice": lambda lib: {"tools": [*crm(lib), *crm(lib)]},
    "dotted_name": lambda lib: {"tools": [named_tool(lib, "crm.f"), *crm(lib)]},
    "two_computers": lambda lib: {"tools": [computer(lib), computer(lib)]},
    "undescribed_computer": lambda lib: {"tools": [computer(lib, described=False)]},
    "undescribed_preview_computer": lambda lib: {
        "tools": [computer(lib, described=False)],
        "model": "computer-use-preview",
    },
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_every_request_is_the_one_the_sdk_sends(case: Any, stream: bool) -> None:
    ours = await ask(agentstream, case, stream=stream)
    theirs = await ask(agents, case, stream=stream)
    assert ours == theirs


TOOL_SETS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "function": lambda lib: {"tools": [f_tool(lib)]},
    "deferred": lambda lib: {"tools": [f_tool(lib), deferred(lib), lib.ToolSearchTool()]},
    "namespace": lambda lib: {"tools": crm(lib)},
    "namespace_and_search": lambda lib: {
        "tools": [*crm(lib, f_tool(lib), deferred(lib)), lib.ToolSearchTool()]
    },
    "function_beside_namespace": lambda lib: {
        "tools": [f_tool(lib), named_tool(lib, "crm"), *crm(lib)]
    },
    "handoff": lambda lib: {"handoffs": [handoff_to(lib, tool_name_override="f")]},
    "handoff_beside_namespace": lambda lib: {
        "tools": crm(lib),
        "handoffs": [handoff_to(lib, tool_name_override="f")],
    },
    "function_named_like_a_tool": lambda lib: {
        "tools": [named_tool(lib, "tool_search"), named_tool(lib, "computer")]
    },
    "deferred_named_like_a_tool": lambda lib: {
        "tools": [deferred(lib, "tool_search"), lib.ToolSearchTool()]
    },
    "computer": lambda lib: {"tools": [computer(lib)]},
    "preview_computer": lambda lib: {
        "tools": [computer(lib)],
        "model": "computer-use-preview-2025-03-11",
    },
    "computer_and_prompt": lambda lib: {
        "tools": [computer(lib)],
        "prompt": {"id": "p"},
        "model_is_explicit": False,
    },
}
CHOICES = ["f", "g", "x", "crm", "crm.f", "crm.g", "tool_search", "web_search", "computer"]
CHOICES += ["computer_use", "computer_use_preview", "required", "auto", "none", ""]


@pytest.mark.parametrize("tools", TOOL_SETS.values(), ids=TOOL_SETS)
@pytest.mark.parametrize("choice", CHOICES)
async def test_every_tool_choice_is_sent_or_refused_as_by_the_sdk(tools: Any, choice: str) -> None:
    def case(lib: Any) -> dict[str, Any]:
        return {**tools(lib), "model_settings": lib.ModelSettings(tool_choice=choice)}

    assert await ask(agentstream, case, stream=False) == await ask(agents, case, stream=False)


async def test_an_argument_given_twice_is_refused_before_anything_is_sent() -> None:
    def case(lib: Any) -> dict[str, Any]:
        settings = lib.ModelSettings(temperature=0.1, extra_args={"temperature": 0.5})
        return {"model_settings": settings}

    ours = await ask(agentstream, case, stream=False)
    theirs = await ask(agents, case, stream=False)
    assert ours[0] == theirs[0] == "TypeError"
    assert ours[1].startswith(theirs[1])


async def test_stream_cannot_be_an_extra_argument() -> None:
    def case(lib: Any) -> dict[str, Any]:
        return {"model_settings": lib.ModelSettings(extra_args={"stream": True})}

    kind, message = await ask(agentstream, case, stream=False)
    assert kind == "UserError"
    assert "run_streamed" in message


async def test_an_object_that_is_no_tool_is_refused_with_what_to_give() -> None:
    class Hammer:
        name = "hammer"

    ours = await ask(agentstream, lambda lib: {"tools": [Hammer()]}, stream=False)
    assert ours[0] == "UserError"
    assert "@function_tool" in ours[1]


async def test_an_azure_client_works() -> None:
    server = Server()
    http = DefaultAsyncHttpx2Client(transport=httpx2.MockTransport(server))
    client = AsyncAzureOpenAI(
        api_key="none",
        azure_endpoint="https://name.openai.azure.com",
        api_version="2025-04-01-preview",
        http_client=http,
    )
    model = agentstream.OpenAIResponsesModel("my-deployment", client)
    positional, named = arguments(agentstream)
    events = [event.type async for event in model.stream_response(*positional, **named)]
    assert events[-1] == "response.completed"
    assert server.requests[0].url.host == "name.openai.azure.com"
    assert server.requests[0].url.params["api-version"] == "2025-04-01-preview"
    assert server.requests[0].headers["api-key"] == "none"


# --- what comes back


async def whole(lib: ModuleType, answer: Any, **settings: Any) -> Any:
    model = lib.OpenAIResponsesModel("m", Server(answer).client())
    positional, named = arguments(lib, model_settings=lib.ModelSettings(**settings))
    return await model.get_response(*positional, **named)


async def streamed(lib: ModuleType, answer: bytes | httpx2.Response) -> tuple[list[Any], Any]:
    """The events, and the error that ended them."""
    model = lib.OpenAIResponsesModel("m", Server(answer).client())
    positional, named = arguments(lib)
    events = []
    try:
        async for event in model.stream_response(*positional, **named):
            events.append(event)
    except Exception as error:
        return events, error
    return events, None


@pytest.mark.parametrize("usage", [RESPONSE["usage"], None, {"input_tokens": 1}])
@pytest.mark.parametrize("raw", [None, True])
async def test_a_whole_answer_is_read_as_by_the_sdk(usage: Any, raw: Any) -> None:
    answer = {**RESPONSE, "usage": usage}
    ours = await whole(agentstream, answer, preserve_raw_usage=raw)
    theirs = await whole(agents, answer, preserve_raw_usage=raw)
    assert isinstance(ours.output[0], ResponseOutputMessage)
    for name in ("output", "response_id", "request_id", "raw_usage"):
        assert getattr(ours, name) == getattr(theirs, name)
    for name in ("requests", "input_tokens", "output_tokens"):
        assert getattr(ours.usage, name) == getattr(theirs.usage, name)
    # A total that the server leaves out is the sum here, and 0 with the SDK: differences.py.
    said = (usage or {}).get("total_tokens", 0)
    assert (ours.usage.total_tokens, theirs.usage.total_tokens) == (
        said or ours.usage.input_tokens + ours.usage.output_tokens,
        said,
    )
    assert ours.usage.input_tokens_details.cached_tokens == (
        theirs.usage.input_tokens_details.cached_tokens
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "failed", "error": {"code": "server_error", "message": "boo"}},
        {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
    ],
)
async def test_a_failed_answer_raises_as_in_the_sdk_without_its_reprs(changes: Any) -> None:
    answer = {**RESPONSE, **changes}
    with pytest.raises(agents.ModelBehaviorError) as theirs:
        await whole(agents, answer)
    with pytest.raises(ModelBehaviorError) as ours:
        await whole(agentstream, answer)
    begins = "Responses stream ended with terminal event"
    assert str(ours.value).startswith(begins)
    assert str(theirs.value).startswith(begins)
    assert "(" not in str(ours.value)  # theirs: ResponseError(code='server_error', ...)
    for fact in ("server_error", "boo", "max_output_tokens", changes["status"]):
        assert (fact in str(ours.value)) == (fact in str(theirs.value))
    assert ours.value.__notes__


@pytest.mark.parametrize("answer", [{"detail": "Not Found"}, ["x"], {**RESPONSE, "output": None}])
async def test_an_answer_that_is_no_response_says_what_to_check(answer: Any) -> None:
    with pytest.raises(ModelBehaviorError, match="Check the base URL"):
        await whole(agentstream, answer)


FAILED = {"type": "response.failed", "sequence_number": 0}
STREAMS: dict[str, bytes] = {
    "complete": sse(CREATED, DELTA, COMPLETED),
    "events_after_the_end": sse(COMPLETED, {**DELTA, "sequence_number": 3}),
    "failed": sse({**FAILED, "response": {**RESPONSE, "status": "failed", "error": None}}),
    "failed_with_error": sse(
        {
            **FAILED,
            "response": {
                **RESPONSE,
                "status": "failed",
                "error": {"code": "server_error", "message": "boo"},
            },
        }
    ),
    "failed_without_response": sse(FAILED),
    "incomplete": sse(
        DELTA,
        {
            "type": "response.incomplete",
            "sequence_number": 0,
            "response": {
                **RESPONSE,
                "status": "incomplete",
                "incomplete_details": {"reason": "max_output_tokens"},
            },
        },
    ),
    "error_event": sse({"type": "error", "code": "c", "message": "m", "param": "p"}),
    "bare_error_event": sse({"type": "error", "code": None, "message": None}),
    "error_payload": sse(DELTA, {"error": {"message": "bad"}}),
    "unknown_event": sse({"type": "response.brand_new", "a": 1}, COMPLETED),
}


@pytest.mark.parametrize("body", STREAMS.values(), ids=STREAMS)
async def test_a_stream_is_told_as_by_the_sdk(body: bytes) -> None:
    ours, our_error = await streamed(agentstream, body)
    theirs, their_error = await streamed(agents, body)
    assert ours == theirs
    assert [type(event) for event in ours] == [type(event) for event in theirs]
    assert type(our_error).__name__ == type(their_error).__name__
    # Ours has "server_error: boo" for theirs "ResponseError(code='server_error', ...)".
    until = r" (error|incomplete_details)=\w.*"
    assert re.sub(until, "", str(our_error)) == re.sub(until, "", str(their_error))


async def test_the_responses_in_events_carry_the_request_id() -> None:
    events, _ = await streamed(agentstream, STREAMS["complete"])
    assert events[0].response._request_id == events[-1].response._request_id == "req_1"


@pytest.mark.parametrize("body", [b"", sse(CREATED, DELTA), b'{"message": "not a stream"}'])
async def test_a_stream_without_an_end_is_an_error(body: bytes) -> None:
    answer = httpx2.Response(200, content=body, headers={"content-type": "application/json"})
    _, error = await streamed(agentstream, answer)
    assert isinstance(error, ModelBehaviorError)
    assert ("not a stream" if b"not a" in body else "application/json") in str(error)


async def test_an_http_error_is_the_clients() -> None:
    answer = httpx2.Response(500, json={"error": {"message": "down"}})
    events, error = await streamed(agentstream, answer)
    assert events == []
    assert isinstance(error, InternalServerError)


# --- the connection


@asynccontextmanager
async def socket_server(
    events: list[bytes], *, then: str = "wait"
) -> AsyncIterator[tuple[AsyncOpenAI, asyncio.Event, list[int]]]:
    """Send events over a real connection; tell when it is closed, and how many there were."""
    closed, connections = asyncio.Event(), [0]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[0] += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                )
                await reader.readexactly(length)
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                    b"transfer-encoding: chunked\r\n\r\n"
                )
                for event in events:
                    writer.write(b"%x\r\n%b\r\n" % (len(event), event))
                await writer.drain()
                if then == "break":
                    break
                if then == "end":
                    writer.write(b"0\r\n\r\n")
                    continue
                assert await reader.read() == b""
                break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone, which is what is waited for
        closed.set()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1"
    async with AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as client:
        yield client, closed, connections
    listener.close()
    if connections[0]:
        await asyncio.wait_for(closed.wait(), 2)
    for _ in range(8):
        await asyncio.sleep(0)  # the server closes its connections


def model_stream(client: AsyncOpenAI) -> Any:
    positional, named = arguments(agentstream)
    return agentstream.OpenAIResponsesModel("m", client).stream_response(*positional, **named)


async def test_closing_the_stream_closes_the_connection_at_once() -> None:
    async with socket_server([sse(CREATED), sse(DELTA)]) as (client, closed, _):
        async with aclosing(model_stream(client)) as events:
            assert (await anext(events)).type == "response.created"
        await asyncio.wait_for(closed.wait(), 2)


async def test_cancelling_the_reader_closes_the_connection_at_once() -> None:
    async with socket_server([sse(CREATED)]) as (client, closed, _):
        started = asyncio.Event()

        async def read() -> None:
            async with aclosing(model_stream(client)) as events:
                async for _ in events:
                    started.set()

        task = asyncio.create_task(read())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(closed.wait(), 2)


async def test_a_stream_read_to_its_end_leaves_the_connection_to_the_next_request() -> None:
    body = [sse(CREATED, COMPLETED), b"data: [DONE]\n\n", b": bye\n\n"]
    async with socket_server(body, then="end") as (client, _, connections):
        for _ in range(3):
            assert [event.type async for event in model_stream(client)][-1] == "response.completed"
        assert connections == [1]


async def test_a_connection_that_breaks_raises_what_the_client_raises() -> None:
    async with socket_server([sse(CREATED)], then="break") as (client, _, _):
        events = model_stream(client)
        await anext(events)
        with pytest.raises(APIConnectionError) as caught:
            await anext(events)
        assert isinstance(caught.value, APIError)
        assert caught.value.__cause__ is not None


async def test_tools_are_checked_before_a_connection_is_opened() -> None:
    async with socket_server([]) as (client, _, connections):
        model = agentstream.OpenAIResponsesModel("m", client)
        positional, named = arguments(agentstream, tools=[agentstream.ToolSearchTool()])
        with pytest.raises(UserError, match="searchable"):
            await anext(model.stream_response(*positional, **named))
        assert connections == [0]


async def test_an_event_that_comes_after_the_end_although_it_was_before_is_left_out() -> None:
    """The SDK delivers it; but the last event holds the answer, and it would be there twice."""
    body = sse(CREATED, COMPLETED, DELTA, DELTA, {**DELTA, "sequence_number": 3})
    events, _ = await streamed(agentstream, body)
    assert [event.sequence_number for event in events] == [0, 2, 3]


async def test_an_answer_made_in_the_background_is_looked_for_as_it_was_asked_for() -> None:
    seen: list[Any] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        status = "queued" if request.method == "POST" else "completed"
        headers, seconds = request.headers, request.extensions["timeout"]["read"]
        seen.append((headers["x-gateway"], request.url.params["q"], seconds))
        return httpx2.Response(200, json={**RESPONSE, "status": status})

    transport = httpx2.MockTransport(answer)
    client = AsyncOpenAI(api_key="k", http_client=httpx2.AsyncClient(transport=transport))
    settings = agentstream.ModelSettings(
        extra_headers={"x-gateway": "g"},
        extra_query={"q": "1"},
        extra_body={"background": True},
        extra_args={"timeout": 7},
    )
    model = agentstream.OpenAIResponsesModel("m", client)
    agent = agentstream.Agent(name="A", model=model, model_settings=settings)
    assert (await agentstream.Runner.run(agent, "Hi")).final_output == "hi"
    assert seen == [("g", "1", 7)] * 2


async def test_the_raw_usage_of_a_streamed_answer_is_what_the_server_sent() -> None:
    usage = {"input_tokens": None, "output_tokens": 5, "total_tokens": 12, "cost": 0.1}
    event = {"type": "response.completed", "response": {**RESPONSE, "usage": usage}}
    sent = f"data: {json.dumps({**event, 'sequence_number': 0})}\n\n".encode()
    model = agentstream.OpenAIResponsesModel("m", Server(sent).client())
    settings = agentstream.ModelSettings(preserve_raw_usage=True)
    agent = agentstream.Agent(name="A", model=model, model_settings=settings)
    result = agentstream.Runner.run_streamed(agent, "hi")
    async for _ in result.stream_events():
        pass
    assert result.raw_responses[0].raw_usage == usage
