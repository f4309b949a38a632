"""More places for a secret: set later, made by a function, added by a client, in what fails early.

`test_secrets.py` tries each way to give a key with each way for a run to end. Here are the places
that a second search found, each with an error of the server that repeats the secret.
"""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, DefaultAioHttpClient

from agentstream import (
    Agent,
    HostedMCPTool,
    ModelRetrySettings,
    ModelSettings,
    MultiProvider,
    OpenAIChatCompletionsModel,
    OpenAIProvider,
    OpenAIResponsesModel,
    RunConfig,
    RunContextWrapper,
    Runner,
    UserError,
    recording,
)
from agentstream._utils import redaction
from agentstream.mcp import (
    MCPConnectionError,
    MCPServerSse,
    MCPServerStdio,
    MCPServerStreamableHttp,
)
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.testing import ScriptedServer, http_error, raw, turn
from agentstream.tool_context import ToolContext
from tests._utils.test_secrets import other_frames

SECRET = "zq7-MARKED-9f8e7d6c5b"
ONCE = ModelRetrySettings(max_retries=0)
APIS = pytest.mark.parametrize("api", [OpenAIResponsesModel, OpenAIChatCompletionsModel])
ECHOES = pytest.mark.parametrize("echo", ["401", "payload", "answer"])


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    redaction.forget_all()


def echoes(echo: str) -> list[Any]:
    said = f"Refused: {SECRET}."
    return {
        "401": [turn(http_error(401, message=said))],
        "payload": [raw(f"data: {json.dumps({'error': {'message': said}})}\n\n".encode())],
        "answer": [turn(f"It is {SECRET}, I think.")],
    }[echo]


async def left_by(
    agent: Agent[Any], path: Path, *, answers: bool = False
) -> tuple[dict[str, str], BaseException | None]:
    """What a run leaves, by what it is; of one that is answered, the file and reprs alone."""
    error: BaseException | None = None
    with recording(path):
        result = Runner.run_streamed(agent, "Go")
        try:
            async for _ in result.stream_events():
                pass
        except Exception as raised:
            error = raised
    left = {"recording": path.read_text("utf-8") if path.exists() else "", "agent": repr(agent)}
    if not answers:
        for kind, text in snapshot(result.trace, table=True, timeline=True).items():
            left[kind] = text
        left["table"] = result.to_frame("events").to_csv() + result.to_frame("turns").to_csv()
        left["result"] = repr(result)
    if error is not None:
        left["error"] = "".join(traceback.format_exception(error))
        left["parts"] = repr(error) + repr(getattr(error, "body", ""))
        left["locals"] = other_frames(error)
    return left, error


def holding(left: dict[str, str]) -> list[str]:
    return [name for name, text in left.items() if SECRET in text]


# -- set or changed after the object was made --

LATER: dict[str, dict[str, Any]] = {
    "headers": {"extra_headers": {"X-Mine": SECRET}},
    "query": {"extra_query": {"code": SECRET}},
    "body": {"extra_body": {"provider": {"token": SECRET}}},
    "args": {"extra_args": {"extra_body": {"token": SECRET}}},
    "metadata": {"metadata": {"api_key": SECRET}},
}


@pytest.mark.pairwise
@APIS
@ECHOES
@pytest.mark.parametrize("mutated", [False, True])
@pytest.mark.parametrize("place", LATER)
async def test_a_secret_that_is_set_later_is_masked(
    place: str, mutated: bool, echo: str, api: Any, tmp_path: Path
) -> None:
    settings = ModelSettings(retry=ONCE, **({name: {} for name in LATER[place]} if mutated else {}))
    for name, value in LATER[place].items():
        if mutated:
            getattr(settings, name).update(value)
        else:
            setattr(settings, name, value)
    with ScriptedServer(echoes(echo)) as server:
        async with AsyncOpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
            agent: Agent[Any] = Agent(name="G", model=api("m", client), model_settings=settings)
            left, _ = await left_by(agent, tmp_path / "run.jsonl", answers=echo == "answer")
    assert holding(left) == []
    assert SECRET not in repr(settings)


@ECHOES
async def test_a_hosted_servers_key_that_is_set_later_is_masked(echo: str, tmp_path: Path) -> None:
    config: Any = {"type": "mcp", "server_label": "d", "server_url": "https://h.example/mcp"}
    tool = HostedMCPTool(config)
    tool.tool_config["authorization"] = SECRET
    with ScriptedServer(echoes(echo)) as server:
        async with AsyncOpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
            agent: Agent[Any] = Agent(
                name="G", model=OpenAIResponsesModel("m", client), tools=[tool]
            )
            left, _ = await left_by(agent, tmp_path / "run.jsonl", answers=echo == "answer")
    assert holding(left | {"tool": repr(tool)}) == []


# -- what clients add --


class _Signs(httpx2.Auth):
    def auth_flow(self, request: Any) -> Any:
        request.headers["X-Signed"] = SECRET
        yield request


async def _key() -> str:
    return SECRET


async def _hook(request: Any) -> None:
    request.headers["X-Hook"] = SECRET


def _over(http: Any) -> Callable[[str], AsyncOpenAI]:
    return lambda url: AsyncOpenAI(base_url=url, api_key="none", max_retries=0, http_client=http())


CLIENTS: dict[str, Callable[[str], AsyncOpenAI]] = {
    "a function for the key": lambda url: AsyncOpenAI(base_url=url, api_key=_key, max_retries=0),
    "an Azure token": lambda url: AsyncAzureOpenAI(
        base_url=url, azure_ad_token=SECRET, api_version="2025-01-01", max_retries=0
    ),
    "a function for it": lambda url: AsyncAzureOpenAI(
        base_url=url, azure_ad_token_provider=lambda: SECRET, api_version="2025-01-01",
        max_retries=0,
    ),
    "options": lambda url: AsyncOpenAI(base_url=url, api_key="none", max_retries=0).with_options(
        default_headers={"X-Own": SECRET}
    ),
    "the HTTP client's auth": _over(lambda: httpx2.AsyncClient(auth=_Signs())),
    "its password": _over(lambda: httpx2.AsyncClient(auth=("user", SECRET))),
    "its headers": _over(lambda: httpx2.AsyncClient(headers={"X-Own": SECRET})),
    "its query": _over(lambda: httpx2.AsyncClient(params={"k": SECRET})),
    "its cookies": _over(lambda: httpx2.AsyncClient(cookies={"s": SECRET})),
    "its hooks": _over(lambda: httpx2.AsyncClient(event_hooks={"request": [_hook]})),
}  # fmt: skip


@pytest.mark.pairwise
@APIS
@ECHOES
@pytest.mark.parametrize("way", CLIENTS)
async def test_what_a_client_adds_is_masked(
    way: str, echo: str, api: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with ScriptedServer(echoes(echo)) as server:
        async with CLIENTS[way](server.base_url) as client:
            agent: Agent[Any] = Agent(
                name="G", model=api("m", client), model_settings=ModelSettings(retry=ONCE)
            )
            left, _ = await left_by(agent, tmp_path / "run.jsonl", answers=echo == "answer")
    if echo != "answer":
        left["log"] = "\n".join(f"{r.getMessage()} {r.exc_text}" for r in caplog.records)
    assert holding(left) == []


@pytest.mark.parametrize("by", ["environment", "client"])
async def test_the_password_of_a_proxy_is_masked(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = [turn(http_error(407, message=f"The proxy refuses {SECRET}."))]
    with ScriptedServer(refused) as server:
        proxy = server.base_url.replace("http://", f"http://user:{SECRET}@").removesuffix("/v1")
        if by == "environment":
            monkeypatch.setenv("HTTP_PROXY", proxy)
            monkeypatch.delenv("NO_PROXY", raising=False)
            monkeypatch.delenv("no_proxy", raising=False)
            http = httpx2.AsyncClient()
        else:
            http = httpx2.AsyncClient(proxy=proxy)
        async with AsyncOpenAI(
            base_url="http://h.invalid/v1", api_key="none", max_retries=0, http_client=http
        ) as client:
            model = OpenAIResponsesModel("m", client)
            left, error = await left_by(Agent(name="G", model=model), tmp_path / "run.jsonl")
    assert "The proxy refuses ***" in str(error)
    assert holding(left) == []


# -- headers that are none --

GIVEN: dict[str, Callable[[str, str, Any], tuple[AsyncOpenAI, ModelSettings]]] = {
    "setting": lambda url, value, http: (
        AsyncOpenAI(base_url=url, api_key="none", max_retries=0, http_client=http),
        ModelSettings(extra_headers={"X-Mine": value}, retry=ONCE),
    ),
    "default": lambda url, value, http: (
        AsyncOpenAI(
            base_url=url, api_key="none", max_retries=0, default_headers={"X": value},
            http_client=http,
        ),
        ModelSettings(retry=ONCE),
    ),
    "key": lambda url, value, http: (
        AsyncOpenAI(base_url=url, api_key=value, max_retries=0, http_client=http),
        ModelSettings(retry=ONCE),
    ),
}  # fmt: skip


@pytest.mark.pairwise
@APIS
@pytest.mark.parametrize("transport", [httpx2.AsyncClient, DefaultAioHttpClient])
@pytest.mark.parametrize("end", ["\n", "\r\nX-Other: y", "\x00", "é"])
@pytest.mark.parametrize("place", GIVEN)
async def test_a_header_that_is_none_is_refused_without_being_shown(
    place: str,
    end: str,
    transport: Any,
    api: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    with ScriptedServer([turn("x")]) as server:
        client, settings = GIVEN[place](server.base_url, SECRET + end, transport())
        async with client:
            agent: Agent[Any] = Agent(name="G", model=api("m", client), model_settings=settings)
            left, error = await left_by(agent, tmp_path / "run.jsonl")
    assert error is not None
    left["log"] = "\n".join(f"{r.getMessage()} {r.exc_text}" for r in caplog.records)
    assert holding(left) == []
    if end == "é" and not (place == "setting" and isinstance(error, UnicodeEncodeError)):
        assert isinstance(error, UserError)
        assert "characters that no header has" in str(error)


# -- what fails while it is made --

URL = f"https://user:{SECRET}@h.example/mcp?key={SECRET}"
MISTAKES: dict[str, Callable[[], Any]] = {
    "text for headers": lambda: ModelSettings(extra_headers=f"Bearer {SECRET}"),  # type: ignore[arg-type]
    "list for a query": lambda: ModelSettings(extra_query=[("key", SECRET)]),  # type: ignore[arg-type]
    "a list in headers": lambda: ModelSettings(extra_headers={"x": [SECRET]}),  # type: ignore[dict-item]
    "unknown setting": lambda: ModelSettings(extra_headers={"x": SECRET}, temperatur=1),  # type: ignore[call-arg]
    "unknown in a dict": lambda: Agent(
        name="A", model_settings={"extra_headers": {"x": SECRET}, "temperatur": 1}  # type: ignore[arg-type]
    ),
    "unknown in a run's": lambda: RunConfig(
        model_settings={"extra_headers": {"x": SECRET}, "temperatur": 1}  # type: ignore[arg-type]
    ),
    "a client and an address": lambda: OpenAIProvider(
        openai_client=AsyncOpenAI(api_key="x"),
        websocket_base_url=URL,
        responses_websocket_options={"headers": {"x": SECRET}},
    ),
    "unknown to a provider": lambda: MultiProvider(
        openai_api_key=SECRET, openai_base_url=URL, nonsense=1  # type: ignore[call-arg]
    ),
    "no URL": lambda: MCPServerSse({"urll": URL}),  # type: ignore[typeddict-item, typeddict-unknown-key]
    "a time that is none": lambda: MCPServerStreamableHttp(
        {"url": URL, "headers": {"x": SECRET}}, client_session_timeout_seconds=-1
    ),
    "no command": lambda: MCPServerStdio({"args": [SECRET], "env": {"T": SECRET}}),  # type: ignore[typeddict-item]
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_error_of_what_is_made_holds_no_secret(mistake: str) -> None:
    with pytest.raises(Exception) as caught:
        MISTAKES[mistake]()
    said = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert SECRET not in said.replace(f'"{SECRET}"', "")  # not in its text; a line is the test's
    assert SECRET not in other_frames(caught.value)


def test_an_address_of_a_database_is_in_no_traceback() -> None:
    pytest.importorskip("sqlalchemy")
    from agentstream.extensions.memory import SQLAlchemySession

    with pytest.raises(Exception) as caught:
        SQLAlchemySession.from_url("s", url=f"nonsense://user:{SECRET}@h.example/db")
    assert SECRET not in str(caught.value) + other_frames(caught.value)
    assert redaction.redact(f"no password {SECRET}") == "no password ***"


def test_what_a_context_holds_is_not_printed_with_the_run() -> None:
    context = {"api_key": SECRET, "db": URL}
    shown = [
        RunContextWrapper(context=context),
        ToolContext(context, tool_name="t", tool_call_id="c", tool_arguments="{}"),
    ]
    assert [one for one in shown if SECRET in repr(one) + str(one)] == []
    assert "context=<dict>" in repr(shown[0])


def test_settings_of_a_run_that_have_no_effect_do_not_print_their_keys() -> None:
    config = RunConfig(tracing={"api_key": SECRET}, trace_metadata={"token": SECRET})
    assert SECRET not in repr(config)


# -- MCP servers --


@pytest.mark.parametrize(
    "args",
    [
        ["-e", f"GITHUB_PERSONAL_ACCESS_TOKEN={SECRET}"],
        ["--header", f"Authorization: Bearer {SECRET}"],
        [f"--header=X-Api-Key: {SECRET}"],
        ["--api-key", SECRET],
        [f"https://h.example/sse?key={SECRET}"],
    ],
)
def test_keys_among_the_arguments_of_a_command_are_masked(args: list[str]) -> None:
    MCPServerStdio({"command": "npx", "args": ["-y", "mcp-remote", *args]})
    assert redaction.redact(f"refused {SECRET}!") == "refused ***!"


def test_arguments_that_hold_no_key_are_left_in_texts() -> None:
    args = ["--max-tokens=100000000", "-m", "http.server-key: of the door", "tokens-are-here"]
    MCPServerStdio({"command": "npx", "args": args})
    text = "100000000 http.server-key: of the door tokens-are-here"
    assert redaction.redact(text) == text


@pytest.mark.parametrize("kind", [MCPServerSse, MCPServerStreamableHttp])
async def test_what_signs_the_requests_to_an_mcp_server_is_remembered(kind: Any) -> None:
    with ScriptedServer([turn(http_error(401))] * 3) as server:
        mcp = kind({"url": server.base_url, "auth": _Signs(), "timeout": 2})
        with pytest.raises(MCPConnectionError):
            await mcp.connect()
    assert redaction.redact(SECRET) == "***"


TOKEN = "ZjE0YmQ3YTAtNGQ2Ny00YjQ3"
UUID = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"


@pytest.mark.parametrize("token", [TOKEN, UUID, f"s:{TOKEN}"])
async def test_a_token_in_the_path_of_an_address_is_masked(token: str, tmp_path: Path) -> None:
    url = f"https://mcp.example.org/api/{token}/mcp"
    tool = HostedMCPTool({"type": "mcp", "server_label": "d", "server_url": url})
    mcp = MCPServerStreamableHttp({"url": url})
    path = tmp_path / "run.jsonl"
    with ScriptedServer([turn(f"I know {token}.")]) as server:
        async with AsyncOpenAI(base_url=server.base_url, api_key="none") as client:
            agent: Agent[Any] = Agent(
                name="G", model=OpenAIResponsesModel("m", client), tools=[tool], mcp_servers=[]
            )
            with recording(path):
                await Runner.run(agent, "Go")
    shown = path.read_text("utf-8") + repr(tool) + repr(mcp) + mcp.name + repr(agent)
    assert token not in shown
    assert mcp.name == "streamable_http: https://mcp.example.org/api/***/mcp"


@pytest.mark.parametrize(
    "path",
    ["v1/openai/deployments/gpt-4o-mini-2024-07-18", "accounts/fireworks/models/llama-v3p1-405b"],
)
def test_names_of_models_in_an_address_are_no_secrets(path: str) -> None:
    redaction.remember_url(f"https://h.example/{path}")
    assert redaction.redact(path) == path
    assert repr(redaction.remembered()) == "()"


def test_the_password_of_basic_authorization_is_masked_in_the_clear() -> None:
    packed = base64.b64encode(f"user:{SECRET}".encode()).decode()
    redaction.remember_sent({"Authorization": f"Basic {packed}"})
    assert redaction.redact(f"{packed} {SECRET} Basic ???") == "*** *** Basic ???"
    redaction.remember_sent({"Authorization": "Basic no base64 at all"})


def test_an_errors_causes_are_masked_too() -> None:
    redaction.remember(SECRET, under="key")
    inner = ValueError(f"inner {SECRET}")
    group = ExceptionGroup("several", [RuntimeError(SECRET)])
    outer = RuntimeError(f"outer {SECRET}")
    outer.__cause__, inner.__context__, group.__context__ = inner, group, outer
    redaction.redact_error(outer)
    assert SECRET not in "".join(traceback.format_exception(outer)) + repr(group.exceptions)
