"""What a hostile server sends is bounded, and comes to an error that has a name."""

from __future__ import annotations

import asyncio
import pickle
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import httpx
import httpx2
import openai
import pytest
from openai import AsyncOpenAI, DefaultAioHttpClient

from agentstream import (
    Agent,
    AnswerTooLargeError,
    ModelRetrySettings,
    ModelSettings,
    ModelStalledError,
    ModelStreamError,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RedirectError,
    RunConfig,
    Runner,
    TimeLimits,
    UserError,
    retry_policies,
)
from agentstream.mcp import MCPConnectionError, MCPServerSse, MCPServerStreamableHttp
from agentstream.models.http import bounds
from agentstream.models.http.sse import SSESplitter
from tests.hostile_server import FAULTS, HostileServer, hostile_server

KIB = 1024
LIMITS = TimeLimits(event_bytes=256 * KIB, answer_bytes=1024 * KIB, error_bytes=64 * KIB)
ROOM = 16 * KIB * KIB
"""Bytes of Python memory that a run may take beyond what it has at its beginning."""
IN_FLIGHT = 32 * KIB * KIB
"""Bytes that the system and the HTTP libraries may hold between server and client."""


@pytest.fixture
async def server() -> AsyncIterator[HostileServer]:
    async with hostile_server() as server:
        yield server


def model(server: HostileServer, fault: str, api: str, transport: str, **how: Any) -> Any:
    http = DefaultAioHttpClient() if transport == "aiohttp" else None
    how = {"max_retries": 0, "timeout": 20} | how
    client = AsyncOpenAI(base_url=server.url(fault), api_key="none", http_client=http, **how)
    kinds = {"responses": OpenAIResponsesModel, "chat": OpenAIChatCompletionsModel}
    return kinds[api]("m", client)


async def failure(model: Any, *, stream: bool = True, limits: TimeLimits = LIMITS) -> Any:
    """The error of a run, its text, and the bytes of memory that it took at most."""
    config = RunConfig(limits=limits)
    agent = Agent(name="A", model=model)
    text = ""
    tracemalloc.start()
    try:
        with pytest.raises(Exception) as caught:
            if stream:
                result = Runner.run_streamed(agent, "go", run_config=config)
                try:
                    async for _ in result.stream_events():
                        pass
                finally:
                    text = "".join(part.text for part in result.trace.parts)
            else:
                await Runner.run(agent, "go", run_config=config)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        await model._client.close()
    return caught.value, text, peak


BOTH = pytest.mark.parametrize("api", ["responses", "chat"])
TRANSPORTS = pytest.mark.parametrize("transport", ["httpx2", "aiohttp"])


@pytest.mark.pairwise
@BOTH
@TRANSPORTS
@pytest.mark.parametrize(
    ("fault", "setting"),
    [
        ("endless-line", "event_bytes"),
        ("endless-event", "event_bytes"),
        ("endless-answer", "answer_bytes"),
        ("bomb-gzip", "event_bytes"),
        ("bomb-deflate", "event_bytes"),
        ("bomb-raw-deflate", "event_bytes"),
    ],
)
async def test_a_stream_is_bounded_and_what_came_before_is_kept(
    server: HostileServer, fault: str, setting: str, api: str, transport: str
) -> None:
    error, text, peak = await failure(model(server, fault, api, transport))
    assert type(error) is AnswerTooLargeError
    assert f"TimeLimits({setting}=...)" in str(error)
    assert error.limit == getattr(LIMITS, setting)
    assert text == "before"
    assert error.run_data is not None
    assert peak < ROOM
    assert server.sent < IN_FLIGHT
    assert len(server.requests) == 1


@pytest.mark.pairwise
@BOTH
@TRANSPORTS
@pytest.mark.parametrize("fault", ["bomb-error", "huge-error"])
@pytest.mark.parametrize("stream", [True, False])
async def test_the_body_of_an_error_is_read_so_far(
    server: HostileServer, fault: str, api: str, transport: str, stream: bool
) -> None:
    error, _, peak = await failure(model(server, fault, api, transport), stream=stream)
    assert type(error) is openai.BadRequestError
    assert error.status_code == 400
    assert len(error.response.content) == LIMITS.error_bytes
    assert peak < ROOM
    assert server.sent < IN_FLIGHT


@pytest.mark.pairwise
@BOTH
@TRANSPORTS
@pytest.mark.parametrize("fault", ["bomb-json", "huge-json"])
async def test_an_answer_in_one_piece_is_bounded_and_not_asked_for_again(
    server: HostileServer, fault: str, api: str, transport: str
) -> None:
    asked = model(server, fault, api, transport, max_retries=2)
    error, _, peak = await failure(asked, stream=False)
    assert type(error) is AnswerTooLargeError
    assert "TimeLimits(event_bytes=...)" in str(error)
    assert peak < ROOM
    assert len(server.requests) == 1


@pytest.mark.pairwise
@BOTH
@TRANSPORTS
@pytest.mark.parametrize("fault", ["bomb-tail", "bomb-empty"])
async def test_packed_bytes_that_mean_nothing_are_counted_too(
    server: HostileServer, fault: str, api: str, transport: str
) -> None:
    error, text, peak = await failure(model(server, fault, api, transport))
    assert type(error) is AnswerTooLargeError
    assert text == "before"
    assert peak < ROOM
    assert server.sent < IN_FLIGHT


@BOTH
@TRANSPORTS
async def test_an_error_of_packed_bytes_that_mean_nothing_ends(
    server: HostileServer, api: str, transport: str
) -> None:
    error, _, _ = await failure(model(server, "bomb-empty-error", api, transport))
    assert type(error) is openai.BadRequestError
    assert server.sent < IN_FLIGHT


@BOTH
@TRANSPORTS
async def test_a_thousand_encodings_in_one_another_are_refused(
    server: HostileServer, api: str, transport: str
) -> None:
    error, _, _ = await failure(model(server, "bomb-nested", api, transport))
    assert isinstance(error, openai.APIConnectionError)


@BOTH
async def test_models_by_name_are_bounded_too(
    server: HostileServer, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url("bomb-gzip"))
    from agentstream import OpenAIProvider

    named = OpenAIProvider(use_responses=api == "responses").get_model("m")
    error, text, _ = await failure(named)
    assert type(error) is AnswerTooLargeError
    assert text == "before"


async def test_only_what_can_be_bounded_is_asked_for(server: HostileServer) -> None:
    await failure(model(server, "digits", "responses", "httpx2"))
    assert server.accepted == ["gzip, deflate"]


async def test_a_client_that_the_program_uses_itself_is_left_as_it_is(
    server: HostileServer,
) -> None:
    asked = model(server, "bomb-error", "responses", "httpx2")
    client = asked._client._client
    seen: list[int] = []

    async def hook(response: Any) -> None:
        seen.append(response.status_code)

    client.event_hooks = {"response": [hook]}
    config = RunConfig(limits=LIMITS)
    for _ in range(3):
        with pytest.raises(openai.BadRequestError):
            await Runner.run(Agent(name="A", model=asked), "go", run_config=config)
    assert seen == [400] * 3
    assert len(client.event_hooks["response"]) == 2
    async with client.stream("POST", f"{server.url('huge-error')}/responses") as own:
        got = 0
        async for chunk in own.aiter_bytes():
            got += len(chunk)
            if got > 2 * (LIMITS.error_bytes or 0):
                break
    await asked._client.close()
    assert got > 2 * (LIMITS.error_bytes or 0)


@BOTH
async def test_a_slow_trickle_ends_by_the_time_limits(server: HostileServer, api: str) -> None:
    limits = TimeLimits(between_events=0.5)
    error, text, _ = await failure(model(server, "loris", api, "httpx2"), limits=limits)
    assert type(error) is ModelStalledError
    assert text == "before"


@BOTH
async def test_a_number_of_5000_digits_is_a_damaged_event(server: HostileServer, api: str) -> None:
    error, text, _ = await failure(model(server, "digits", api, "httpx2"))
    assert type(error) is ModelStreamError
    assert text == "before"


@pytest.mark.pairwise
@BOTH
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.startswith("retry-after")])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_wait_that_no_clock_can_show_comes_to_the_documented_error(
    server: HostileServer, fault: str, api: str, stream: bool
) -> None:
    error, _, _ = await failure(
        model(server, fault, api, "httpx2", max_retries=0), stream=stream, limits=LIMITS
    )
    assert type(error) is openai.RateLimitError


async def test_the_real_default_sizes_let_a_large_picture_through() -> None:
    limits = TimeLimits()
    splitter = SSESplitter(limits.event_bytes)
    picture = b"data: " + b"A" * 40 * 1024 * KIB
    for start in range(0, len(picture), 65_536):
        assert splitter.feed(picture[start : start + 65_536]) == []
    assert len(splitter.feed(b"\n\n")) == 1


def test_what_is_whole_comes_before_what_is_too_large() -> None:
    splitter = SSESplitter(100)
    assert len(splitter.feed(b"data: 1\n\ndata: 2\n\ndata: " + b"x" * 200 + b"\n")) == 2
    with pytest.raises(AnswerTooLargeError):
        splitter.feed(b"data: y\n")


def test_comments_without_end_are_no_event() -> None:
    splitter = SSESplitter(100)
    for _ in range(1_000):
        assert splitter.feed(b": still here\n\n: st") == []
        assert splitter.feed(b"ill\n\n") == []


def test_sizes_are_checked_and_the_error_can_be_pickled() -> None:
    with pytest.raises(UserError, match=r"event_bytes must be a positive number of bytes"):
        TimeLimits(event_bytes=0)
    error = pickle.loads(pickle.dumps(AnswerTooLargeError("much", 3)))
    assert (error.limit, error.message) == (3, "much")


async def test_without_limits_nothing_is_counted(server: HostileServer) -> None:
    limits = TimeLimits(event_bytes=None, answer_bytes=None, error_bytes=1 << 20)
    error, _, _ = await failure(model(server, "digits", "responses", "httpx2"), limits=limits)
    assert not isinstance(error, AnswerTooLargeError)
    await asyncio.sleep(0)


LEADS_ELSEWHERE = [
    fault
    for fault in FAULTS
    if fault.startswith("redirect") and fault not in ("redirect-within", "redirect-nowhere")
]


@pytest.mark.pairwise
@BOTH
@TRANSPORTS
@pytest.mark.parametrize("fault", LEADS_ELSEWHERE)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_redirect_to_another_origin_is_an_error_that_names_it_and_gets_nothing(
    server: HostileServer, fault: str, api: str, transport: str, stream: bool
) -> None:
    asked = model(server, fault, api, transport, max_retries=2)
    error, _, _ = await failure(asked, stream=stream)
    if fault == "redirect-file":
        assert isinstance(error, RedirectError | openai.APIConnectionError)
        return
    assert type(error) is RedirectError
    assert error.origin == f"http://127.0.0.1:{server.elsewhere}"
    assert f"redirect_origins=['{error.origin}']" in str(error)
    assert error.run_data is not None
    assert server.received == []
    assert len(server.requests) == (2 if fault == "redirect-twice" else 1)


@BOTH
@pytest.mark.parametrize("stream", [True, False])
async def test_a_redirect_is_no_network_error_to_a_retry_policy(
    server: HostileServer, api: str, stream: bool
) -> None:
    retry = ModelRetrySettings(max_retries=3, policy=retry_policies.network_error())
    agent = Agent(
        name="A",
        model=model(server, "redirect", api, "httpx2"),
        model_settings=ModelSettings(retry=retry),
    )
    with pytest.raises(RedirectError):
        if stream:
            async for _ in Runner.run_streamed(agent, "go").stream_events():
                pass
        else:
            await Runner.run(agent, "go")
    assert len(server.requests) == 1


@pytest.mark.pairwise
@BOTH
@TRANSPORTS
@pytest.mark.parametrize("fault", ["redirect", "redirect-twice"])
async def test_a_redirect_to_an_origin_that_is_allowed_is_followed(
    server: HostileServer, fault: str, api: str, transport: str
) -> None:
    allowed = TimeLimits(redirect_origins=[f"http://127.0.0.1:{server.elsewhere}/"])
    error, _, _ = await failure(model(server, fault, api, transport), limits=allowed)
    assert not isinstance(error, RedirectError)
    assert len(server.received) == 1


@BOTH
@TRANSPORTS
async def test_a_redirect_within_an_origin_is_followed(
    server: HostileServer, api: str, transport: str
) -> None:
    error, _, _ = await failure(model(server, "redirect-within", api, transport))
    assert type(error) is ModelStreamError
    assert len(server.requests) == 2


async def test_a_redirect_to_no_address_is_the_clients_error(server: HostileServer) -> None:
    error, _, _ = await failure(model(server, "redirect-nowhere", "chat", "httpx2"))
    assert type(error) is openai.APIConnectionError


def _redirect(given: str, place: str) -> httpx.Response:
    return httpx.Response(307, headers={"location": place}, request=httpx.Request("POST", given))


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("http://h.example/v1", "https://h.example/v2"),
        ("http://h.example/v1", "http://H.example:80/v2"),
        ("https://h.example/v1", "/v2"),
        ("https://h.example/v1", "https:///v2"),
        ("https://me:key@h.example/v1", "https://h.example:443/v2"),
        ("https://b\xfccher.example/v1", "https://xn--bcher-kva.example/v2"),
    ],
)
def test_these_are_one_origin(given: str, place: str) -> None:
    bounds._check_redirect(_redirect(given, place), TimeLimits())


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("https://h.example/v1", "http://h.example/v1"),
        ("https://h.example/v1", "https://h.example:8443/v1"),
        ("https://h.example/v1", "//h.example.evil.example/v1"),
        ("https://h.example/v1", "https://h.example@evil.example/v1"),
        ("http://h.example:8080/v1", "http://:9999/v1"),
        ("https://h.example/v1", "https://sub.h.example/v1"),
    ],
)
def test_these_are_two_origins(given: str, place: str) -> None:
    with pytest.raises(RedirectError):
        bounds._check_redirect(_redirect(given, place), TimeLimits())


@pytest.mark.parametrize("given", ["https://x.example", ["x.example"], [3], None, 5, [None]])
def test_origins_that_are_none_are_refused(given: Any) -> None:
    with pytest.raises(UserError, match="list of origins such as"):
        TimeLimits(redirect_origins=given)


def test_an_error_about_a_redirect_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(RedirectError("elsewhere", "https://b.example")))
    assert (error.origin, error.message) == ("https://b.example", "elsewhere")


MCP = pytest.mark.parametrize("kind", [MCPServerSse, MCPServerStreamableHttp])


def _following(**given: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(**given, follow_redirects=True)


@MCP
@pytest.mark.parametrize("fault", ["redirect", "redirect-twice", "redirect-302", "redirect-303"])
async def test_an_mcp_server_cannot_send_requests_to_another_origin(
    server: HostileServer, fault: str, kind: Any
) -> None:
    params = {"url": server.url(fault), "headers": {"X-Key": "abcdefgh-1"}}
    for more in ({}, {"httpx_client_factory": _following}):
        with pytest.raises(MCPConnectionError, match="redirects to http://127.0.0.1:") as caught:
            await kind({**params, **more}).connect()
        assert f":{server.elsewhere}, which was not followed" in str(caught.value)
    assert server.received == []


@MCP
@pytest.mark.parametrize(
    "fault", ["huge-json", "bomb-json", "huge-error", "bomb-error", "bomb-gzip", "endless-line"]
)
async def test_what_an_mcp_server_answers_over_http_is_bounded(
    server: HostileServer, fault: str, kind: Any
) -> None:
    most = 256 * KIB
    import mcp.client.sse
    import mcp.client.streamable_http  # noqa: F401

    asked = kind({"url": server.url(fault), "max_message_bytes": most})
    tracemalloc.start()
    try:
        with pytest.raises(MCPConnectionError) as caught:
            await asked.connect()
        assert tracemalloc.get_traced_memory()[1] < ROOM
    finally:
        tracemalloc.stop()
    assert server.sent < 2 * IN_FLIGHT
    expected = {
        "huge-json": "more than 262,144 bytes",
        "bomb-json": "more than 262,144 bytes",
        "bomb-gzip": "exceeded the 262144 byte limit",
        "endless-line": "exceeded the 262144 byte limit",
    }
    if kind is MCPServerStreamableHttp:
        assert expected.get(fault, "HTTP error 400") in str(caught.value)


@MCP
@pytest.mark.parametrize("given", [0, -1, "1", True, 1.5])
async def test_a_limit_of_messages_that_is_none_is_refused(kind: Any, given: Any) -> None:
    asked = kind({"url": "http://127.0.0.1:9/mcp", "max_message_bytes": given})
    with pytest.raises(UserError, match="max_message_bytes"):
        await asked.connect()
