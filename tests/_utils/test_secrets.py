"""A key, however it was given, is in nothing that a run leaves: a marked one is looked for in all.

Every way to give one is tried with every way for a run to end. What is looked through: the frames
of the live view, the still picture, the terminal's text, tables and timeline, the recording, saved
state, `repr` and `str` of all that a user can hold, the log at DEBUG, and tracebacks, those that
print the locals of our own frames (IPython's ``%xmode Verbose``, rich) among them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pickle
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI

import agentstream
from agentstream import (
    Agent,
    HostedMCPTool,
    ModelRetrySettings,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIProvider,
    OpenAIResponsesModel,
    RunConfig,
    RunContextWrapper,
    Runner,
    UserError,
    function_tool,
    load_run,
    recording,
    set_default_openai_client,
    set_default_openai_key,
    show,
)
from agentstream._utils import redaction
from agentstream.mcp import MCPServerSse, MCPServerStdio, MCPServerStreamableHttp
from agentstream.models.http import credentials
from agentstream.models.http.server_error import api_error, no_answer
from agentstream.notebook.live.dom import VirtualDom
from agentstream.notebook.live.trace_renderer import TraceRenderer
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.recordings.masking import Secrets
from agentstream.testing import (
    ScriptedModel,
    ScriptedServer,
    call,
    cut,
    fail,
    http_error,
    raw,
    reset,
    stall,
    turn,
)

KEY = "sk-MARKED-0123456789abcdef"
OURS = str(Path(agentstream.__file__).parent)
ONCE = ModelRetrySettings(max_retries=0)


@function_tool(failure_error_function=None)
def break_down(city: str) -> str:
    """Fail."""
    raise RuntimeError(f"no {city} here")


# -- every way to give a key --

Way = Callable[[str, pytest.MonkeyPatch], tuple[dict[str, Any], RunConfig]]


_opened: list[AsyncOpenAI] = []


def client(url: str, **options: Any) -> AsyncOpenAI:
    _opened.append(AsyncOpenAI(**{"base_url": url, "max_retries": 0, "api_key": KEY, **options}))
    return _opened[-1]


def by_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    return {"model": "m"}, RunConfig()


def by_default_key(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    set_default_openai_key(KEY)
    return {"model": "m"}, RunConfig()


def by_default_client(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    set_default_openai_client(client(url))
    return {"model": "m"}, RunConfig()


def by_provider(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    return {"model": "m"}, RunConfig(model_provider=OpenAIProvider(api_key=KEY, base_url=url))


def by_responses_model(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    return {"model": OpenAIResponsesModel("m", client(url))}, RunConfig()


def by_chat_model(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    return {"model": OpenAIChatCompletionsModel("m", client(url))}, RunConfig()


def by_azure(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    azure = AsyncAzureOpenAI(base_url=url, api_key=KEY, api_version="2025-01-01", max_retries=0)
    _opened.append(azure)
    return {"model": OpenAIChatCompletionsModel("m", azure)}, RunConfig()


def by_headers(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    settings = ModelSettings(
        extra_headers={"Authorization": f"Bearer {KEY}", "x-api-key": KEY}, retry=ONCE
    )
    model = OpenAIResponsesModel("m", client(url, api_key="none"))
    return {"model": model, "model_settings": settings}, RunConfig()


def by_query(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    settings = ModelSettings(extra_query={"api-key": KEY}, retry=ONCE)
    model = OpenAIChatCompletionsModel("m", client(url, api_key="none"))
    return {"model": model, "model_settings": settings}, RunConfig()


def by_client_defaults(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    own = client(url, api_key="none", default_headers={"x-key": KEY}, default_query={"key": KEY})
    return {"model": OpenAIResponsesModel("m", own)}, RunConfig()


def by_address(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    with_password = url.replace("http://", f"http://user:{KEY}@")
    return {"model": OpenAIResponsesModel("m", client(with_password, api_key="none"))}, RunConfig()


def by_address_of_a_provider(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    address = url.replace("http://", f"http://user:{KEY}@")
    provider = OpenAIProvider(api_key="none", base_url=address)
    return {"model": "m"}, RunConfig(model_provider=provider)


def by_hosted_mcp(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    tool = HostedMCPTool(
        {
            "type": "mcp",
            "server_label": "docs",
            "server_url": "https://example.org/mcp",
            "authorization": KEY,
            "headers": {"x-key": KEY},
        }
    )
    model = OpenAIResponsesModel("m", client(url, api_key="none"))
    return {"model": model, "tools": [tool, break_down]}, RunConfig()


WAYS: list[Way] = [
    by_environment, by_default_key, by_default_client, by_provider, by_responses_model,
    by_chat_model, by_azure, by_headers, by_query, by_client_defaults, by_address,
    by_address_of_a_provider, by_hosted_mcp,
]  # fmt: skip

# -- every way for a run to end --

ENDINGS: dict[str, list[Any]] = {
    "an answer": [turn("All is well.")],
    "401": [turn(http_error(401))],
    "429": [turn(http_error(429, retry_after=0))],
    "500": [turn(http_error(500))],
    "a cut": [turn("Some words come, and then", cut(6))],
    "a reset": [turn("Some words come, and then", reset(6))],
    "a failure": [turn("Half", fail())],
    "no JSON": [raw(b"data: <html>\n\n")],
    "another page": [raw(b"<html></html>", content_type="text/html")],
    "a failing tool": [turn(call("break_down", city="Lisbon"))],
    "no turn left": [turn(call("break_down_never", city="x"))],
    "a time-out": [turn("Some words", stall())],
    "a stop": [turn("Some words", stall())],
    "nobody there": [],
    "no HTTP": [],
}


@pytest.fixture(autouse=True)
def defaults_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_defaults", credentials._Defaults())
    # The client's own attempts, where we cannot tell it otherwise, would take seconds each.
    monkeypatch.setattr("openai._base_client.DEFAULT_MAX_RETRIES", 0)


class Leavings:
    """Everything that a run left, as text, by what it is."""

    def __init__(self, secret: str = KEY) -> None:
        self.secret = secret
        self.found: dict[str, str] = {}

    def add(self, name: str, make: Callable[[], Any]) -> None:
        value = make()
        self.found[name] = value if isinstance(value, str) else repr(value)

    def with_the_key(self) -> list[str]:
        return [name for name, text in self.found.items() if self.secret in text]


def own_frames(error: BaseException) -> str:
    """The traceback with the locals of our own frames, as %xmode Verbose and rich print them."""
    stack = traceback.TracebackException.from_exception(error, capture_locals=True)
    lines: list[str] = []
    waiting: list[traceback.TracebackException | None] = [stack]
    while waiting:
        each = waiting.pop()
        if each is None:
            continue
        waiting += [each.__cause__, each.__context__]
        for frame in each.stack:
            if frame.filename.startswith(OURS):
                lines.append(f"{frame.filename}:{frame.lineno} {frame.name} {frame.locals}")
    return "\n".join(lines)


def other_frames(error: BaseException) -> str:
    """The locals of all frames beneath the caller's, in all that led to an error."""
    found: list[str] = []
    waiting: list[traceback.TracebackException | None] = [
        traceback.TracebackException.from_exception(error, capture_locals=True)
    ]
    while waiting:
        each = waiting.pop()
        if each is not None:
            waiting += [each.__cause__, each.__context__]
            found += [
                f"{f.filename}:{f.lineno} {f.name} {f.locals}"
                for f in each.stack
                if f.filename != __file__
            ]
    return "\n".join(found)


async def run_to_its_end(
    agent: Agent[Any], config: RunConfig, ending: str
) -> tuple[Any, BaseException | None]:
    turns = 1 if ending == "no turn left" else 5
    result = Runner.run_streamed(agent, "Go", run_config=config, max_turns=turns)
    try:
        async with asyncio.timeout(0.3 if ending == "a time-out" else 20):
            async for event in result.stream_events():
                text = getattr(getattr(event, "data", None), "delta", None)
                if ending == "a stop" and text:
                    result.cancel()
        return result, None
    except Exception as error:
        return result, error


def look_through(left: Leavings, agent: Agent[Any], result: Any, path: Path) -> None:
    board = VirtualDom()
    TraceRenderer(result.trace, board).update()
    left.add("live view", lambda: json.dumps(board.frame()))
    for kind, text in snapshot(result.trace, table=True, timeline=True).items():
        left.add(f"picture {kind}", lambda text=text: text)
    for table in ("items", "turns", "events", "spans"):
        left.add(f"table {table}", lambda table=table: result.to_frame(table).to_csv())
    left.add("timeline", lambda: result.timeline().svg())
    left.add("graph", lambda: agent.graph().svg())
    left.add("state", lambda: result.to_state().to_string())
    left.add("recording", lambda: path.read_text("utf-8") if path.exists() else "")
    if path.exists():
        left.add("loaded", lambda: load_run(path).to_frame("events").to_csv())
    for thing in (result, result.trace, agent, agent.model, agent.model_settings, *agent.tools):
        left.add(f"repr {type(thing).__name__}", lambda thing=thing: repr(thing))
        left.add(f"str {type(thing).__name__}", lambda thing=thing: str(thing))
    for thing in (result.new_items, result.raw_responses, result.trace, result):
        with suppress(Exception):
            left.add(f"pickle {type(thing).__name__}", lambda thing=thing: str(pickle.dumps(thing)))


@contextmanager
def mumbling() -> Iterator[str]:
    """A server that answers, but not in HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk() -> None:
            with suppress(OSError):
                while True:
                    with listening.accept()[0] as one:
                        one.recv(100_000)
                        one.sendall(b"\x00\xff mumble mumble\r\n\r\n")

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_key_is_in_nothing_that_a_run_leaves(
    way: Way,
    ending: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    path, left = tmp_path / "run.jsonl", Leavings()

    async def main(url: str) -> Any:
        options, config = way(url, monkeypatch)
        options.setdefault("tools", [break_down])
        options.setdefault("model_settings", ModelSettings(retry=ONCE))
        agent: Agent[Any] = Agent(name="Guide", **options)
        with recording(path):
            result, error = await run_to_its_end(agent, config, ending)
        with suppress(Exception):
            await show(result)
        while _opened:
            await _opened.pop().close()
        return agent, config, result, error

    with ScriptedServer(ENDINGS[ending] * 3) as server, ExitStack() as stack:
        url = server.base_url
        if ending == "nobody there":
            with socket.create_server(("127.0.0.1", 0)) as free:
                url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        if ending == "no HTTP":
            url = stack.enter_context(mumbling())
        agent, config, result, error = asyncio.run(main(url))
    assert (error is None) == (ending in ("an answer", "a stop")), error
    look_through(left, agent, result, path)
    left.add("run config", lambda: repr(config) + repr(vars(config)))
    if error is not None:
        left.add("error", lambda: "".join(traceback.format_exception(error)))
        left.add("error's repr", lambda: repr(error) + repr(getattr(error, "run_data", "")))
        left.add("locals of our frames", lambda: own_frames(error))
        left.add("locals of other frames", lambda: other_frames(error))
    left.add("log", lambda: "\n".join(f"{r.getMessage()} {r.exc_text}" for r in caplog.records))
    left.add("terminal", lambda: "".join(capsys.readouterr()))
    assert left.with_the_key() == []
    assert len(left.found) > 20


def test_the_search_finds_a_key_that_is_there() -> None:
    left = Leavings()
    left.add("leak", lambda: f"Bearer {KEY}")
    left.add("none", lambda: "Bearer ***")

    assert left.with_the_key() == ["leak"]
    with pytest.raises(Exception) as caught:
        Runner.run_sync(Agent(name=KEY), None)  # type: ignore[arg-type]
    assert KEY in own_frames(caught.value)


@pytest.mark.parametrize("key", [f"{KEY}\n{KEY}", f"{KEY}é"])
def test_a_key_that_is_none_is_refused_without_being_shown(key: str) -> None:
    set_default_openai_key(key)
    with pytest.raises(UserError) as caught:
        OpenAIProvider().get_model("m")
    assert KEY not in str(caught.value) + own_frames(caught.value)
    with pytest.raises(UserError) as caught:
        OpenAIProvider(api_key=KEY, openai_client=AsyncOpenAI(api_key=KEY))
    assert KEY not in str(caught.value) + own_frames(caught.value)


def test_no_repr_shows_a_key(tmp_path: Path) -> None:
    settings = ModelSettings(
        extra_headers={"x": KEY},
        extra_query={"x": KEY},
        extra_body={"api_key": KEY},
        extra_args={"more": [{"token": KEY}]},
    )
    url = f"https://user:{KEY}@example.org/mcp?key={KEY}"
    auth = httpx.BasicAuth("user", KEY)
    shown = [
        settings,
        Agent(name="A", model_settings=settings),
        RunConfig(model_settings=settings, model_provider=OpenAIProvider(api_key=KEY)),
        credentials.Account(KEY, f"https://user:{KEY}@example.org/v1?key={KEY}"),
        HostedMCPTool({"type": "mcp", "server_label": "d", "authorization": KEY}),  # type: ignore[typeddict-item]
        MCPServerSse({"url": url, "headers": {"x": KEY}, "auth": auth}),
        MCPServerStreamableHttp({"url": url, "headers": {"x": KEY}, "auth": auth}),
        MCPServerStdio({"command": "server", "args": [KEY], "env": {"KEY": KEY}}),
        OpenAIProvider(api_key=KEY),
        OpenAIResponsesModel("m", client(url)),
        OpenAIChatCompletionsModel("m", client(url)),
    ]
    assert [thing for thing in shown if KEY in repr(thing) + str(thing)] == []
    assert settings.extra_headers == {"x": KEY}
    assert settings.to_json_dict()["extra_headers"] == {"x": KEY}


@pytest.mark.parametrize("kind", [MCPServerSse, MCPServerStreamableHttp])
@pytest.mark.parametrize("status", [None, 401, 500])
async def test_an_mcp_server_that_fails_shows_no_key(
    kind: Any, status: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedServer([turn(http_error(status or 500))] * 5) as server:
        address = server.base_url.replace("http://", f"http://user:{KEY}@") + f"/mcp?key={KEY}"
        if status is None:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            address = f"http://user:{KEY}@127.0.0.1:{port}/mcp?key={KEY}"
        mcp = kind({"url": address, "headers": {"Authorization": f"Bearer {KEY}"}, "timeout": 2})
        with pytest.raises(Exception) as caught:
            await mcp.connect()
        await mcp.cleanup()
    told = "".join(traceback.format_exception(caught.value)) + own_frames(caught.value)
    told += "\n".join(f"{r.getMessage()} {r.exc_text}" for r in caplog.records)
    assert KEY not in told


# -- secrets that a server repeats --

SECRET = "zq7-MARKED-9f8e7d6c5b"


def _echoes() -> dict[str, Any]:
    said = f"Refused: {SECRET}."
    failed = {"id": "r", "object": "response", "output": [], "status": "failed",
              "error": {"code": "server_error", "message": said}}  # fmt: skip

    def sse(data: Any, name: str = "") -> bytes:
        event = f"event: {name}\n" if name else ""
        return f"{event}data: {json.dumps(data)}\n\n".encode()

    return {
        "error payload": raw(sse({"error": {"message": said, "param": SECRET}})),
        "error as a text": raw(sse({"error": said})),
        "object error": raw(sse({"object": "error", "message": said})),
        "detail": raw(sse({"detail": said})),
        "detail list": raw(sse({"detail": [{"msg": said}]})),
        "named event": raw(sse({"anything": said}, "error")),
        "error in a choice": raw(sse({"choices": [{"index": 0, "error": {"message": said}}]})),
        "no object": raw(sse([said])),
        "type error": raw(
            sse({"type": "error", "code": SECRET, "message": said, "param": None,
                 "sequence_number": 0}, "error")
        ),
        "response.failed": raw(
            sse({"type": "response.failed", "response": failed, "sequence_number": 0})
        ),
        "JSON error": raw(json.dumps({"error": said}).encode(), content_type="application/json"),
        "failed response": raw(json.dumps(failed).encode(), content_type="application/json"),
        "other JSON": raw(json.dumps({"x": said}).encode(), content_type="application/json"),
        "HTML": raw(f"<html>{said}</html>".encode(), content_type="text/html"),
        "cut in the middle": raw(
            f"<html>{'x' * 280}{SECRET}</html>".encode(), content_type="text/html"
        ),
        "401": turn(http_error(401, message=said)),
        "500": turn(http_error(500, message=said)),
    }  # fmt: skip


def _settings(**given: Any) -> dict[str, Any]:
    return {"settings": ModelSettings(retry=ONCE, **given)}


PLACES: dict[str, Callable[[], dict[str, Any]]] = {
    "the key": lambda: {"client": {"api_key": SECRET}},
    "a default header": lambda: {"client": {"default_headers": {"X-Goog-Api-Key": SECRET}}},
    "a cookie": lambda: {"client": {"default_headers": {"Cookie": f"a=b; session={SECRET}"}}},
    "a default query": lambda: {"client": {"default_query": {"key": SECRET}}},
    "an own header": lambda: _settings(extra_headers={"X-Mine": SECRET}),
    "a query": lambda: _settings(extra_query={"code": SECRET}),
    "extra_args": lambda: _settings(extra_args={"extra_headers": {"X-Mine": SECRET}}),
    "a body": lambda: _settings(extra_body={"provider": {"access_token": SECRET}}),
    "a query in the base URL": lambda: {"url": lambda url: f"{url}?key={SECRET}"},
    "a password in the base URL": lambda: {
        "url": lambda url: url.replace("http://", f"http://user:{SECRET}@")
    },
    "a hosted server's query": lambda: _hosted(server_url=f"https://h.example/mcp?key={SECRET}"),
    "a hosted server's password": lambda: _hosted(server_url=f"https://u:{SECRET}@h.example/mcp"),
    "a hosted server's headers": lambda: _hosted(headers={"X-Mine": SECRET}),
    "a hosted server's authorization": lambda: _hosted(authorization=f"Bearer {SECRET}"),
}


def _hosted(**given: Any) -> dict[str, Any]:
    config: Any = {"type": "mcp", "server_label": "d", "server_url": "https://h.example/mcp"}
    return {"tools": [HostedMCPTool(config | given)]}


def _sampled() -> list[Any]:
    """Places x echoes x APIs x streamed: one in 17, all with AGENTSTREAM_ALL_SECRETS."""
    apis = (OpenAIResponsesModel, OpenAIChatCompletionsModel)
    every = list(product(PLACES, _echoes(), apis, (True, False)))
    every = [each for each in every if "hosted" not in each[0] or each[2] is OpenAIResponsesModel]
    return every if os.environ.get("AGENTSTREAM_ALL_SECRETS") else every[::17]


@pytest.fixture
def nothing_remembered() -> None:
    redaction.forget_all()


@pytest.mark.parametrize(("place", "echo", "api", "streamed"), _sampled())
def test_a_secret_that_a_server_repeats_is_masked(
    place: str,
    echo: str,
    api: Any,
    streamed: bool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    nothing_remembered: None,
) -> None:
    caplog.set_level(logging.DEBUG)
    path, left = tmp_path / "run.jsonl", Leavings(SECRET)
    given = PLACES[place]()

    async def main(server: ScriptedServer) -> tuple[Any, Any, Any]:
        url = given.get("url", str)(server.base_url)
        async with client(url, **{"api_key": "none", **given.get("client", {})}) as own:
            _opened.clear()
            agent: Agent[Any] = Agent(
                name="Guide",
                model=api("m", own),
                model_settings=given.get("settings", ModelSettings(retry=ONCE)),
                tools=given.get("tools", []),
            )
            with recording(path):
                if streamed:
                    return agent, *await run_to_its_end(agent, RunConfig(), echo)
                try:
                    return agent, await Runner.run(agent, "Go"), None
                except Exception as error:
                    return agent, None, error

    with ScriptedServer([_echoes()[echo]] * 2) as server:
        agent, result, error = asyncio.run(main(server))
    if result is not None:
        look_through(left, agent, result, path)
    left.add("recording", lambda: path.read_text("utf-8") if path.exists() else "")
    left.add("agent", lambda: repr(agent))
    left.add("error", lambda: "".join(traceback.format_exception(error)) if error else "")
    left.add("error's parts", lambda: repr(error) + repr(getattr(error, "body", "")))
    left.add("locals of frames", lambda: other_frames(error) if error else "")
    left.add("log", lambda: "\n".join(f"{r.getMessage()} {r.exc_text}" for r in caplog.records))
    assert left.with_the_key() == []


# -- recordings, MCP servers, and words --


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("place", [place for place in PLACES if "query in the base" not in place])
async def test_a_secret_is_not_in_the_recording_of_a_call_that_succeeds(
    place: str, streamed: bool, tmp_path: Path, nothing_remembered: None
) -> None:
    path, given = tmp_path / "run.jsonl", PLACES[place]()
    with ScriptedServer([turn(f"Your key is {SECRET}, I think.")]) as server:
        url = given.get("url", str)(server.base_url)
        async with client(url, **{"api_key": "none", **given.get("client", {})}) as own:
            _opened.clear()
            agent: Agent[Any] = Agent(
                name="Guide",
                model=OpenAIResponsesModel("m", own),
                model_settings=given.get("settings", ModelSettings()),
                tools=given.get("tools", []),
            )
            with recording(path):
                if streamed:
                    await run_to_its_end(agent, RunConfig(), "")
                else:
                    await Runner.run(agent, "Go")
    assert '"call": 1' in path.read_text("utf-8")
    assert SECRET not in path.read_text("utf-8")


@pytest.mark.parametrize("place", PLACES)
async def test_no_secret_is_in_the_locals_of_our_frames_while_recording(
    place: str, tmp_path: Path
) -> None:
    given = PLACES[place]()
    with ScriptedServer([turn(http_error(401))]) as server:
        url = given.get("url", str)(server.base_url)
        async with client(url, **{"api_key": "none", **given.get("client", {})}) as own:
            _opened.clear()
            agent: Agent[Any] = Agent(
                name="Guide",
                model=OpenAIResponsesModel("m", own),
                model_settings=given.get("settings", ModelSettings(retry=ONCE)),
                tools=given.get("tools", []),
            )
            with recording(tmp_path / "run.jsonl"):
                _, error = await run_to_its_end(agent, RunConfig(), "")
    assert error is not None
    assert SECRET not in own_frames(error)


async def test_a_missing_command_of_an_mcp_server_shows_no_environment() -> None:
    mcp = MCPServerStdio(
        {
            "command": "no-such-command-here",
            "args": [f"--token={SECRET}", "--api-key", SECRET],
            "env": {"MY_TOKEN": SECRET, "PLAIN": SECRET},
        }
    )
    with pytest.raises(Exception, match="no command") as caught:
        await mcp.connect()
    await mcp.cleanup()
    assert SECRET not in "".join(
        traceback.TracebackException.from_exception(caught.value.__cause__).format()
        if caught.value.__cause__
        else ""
    )
    assert SECRET not in own_frames(caught.value) + repr(caught.value)


async def test_what_an_mcp_server_says_on_stderr_is_masked(nothing_remembered: None) -> None:
    script = "import os, sys; print('bad token', os.environ['MY_TOKEN'], file=sys.stderr)"
    mcp = MCPServerStdio(
        {"command": sys.executable, "args": ["-c", script], "env": {"MY_TOKEN": SECRET}}
    )
    with pytest.raises(Exception, match=r"bad token \*\*\*") as caught:
        await mcp.connect()
    await mcp.cleanup()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "word",
    ["lm-studio", "ollama", "none", "test", "EMPTY", "not-needed", "no-key-required", "sk-1234"],
)
def test_words_that_local_servers_take_for_keys_are_left_in_texts(
    word: str, nothing_remembered: None
) -> None:
    redaction.remember(word, under="api_key")
    assert redaction.redact(f"It says {word}.") == f"It says {word}."


def test_harmless_headers_and_names_are_left_in_texts(nothing_remembered: None) -> None:
    redaction.remember(
        {
            "extra_headers": {"User-Agent": "notebook/1.2.3", "Accept": "application/json"},
            "extra_query": {"api-version": "2024-10-21"},
            "max_tokens": "100000000",
            "schema": {"properties": {"token": {"description": "a token of 8 letters"}}},
        }
    )
    text = "notebook/1.2.3 application/json 2024-10-21 100000000 a token of 8 letters"
    assert redaction.redact(text) == text


def test_every_form_of_a_secret_is_masked(nothing_remembered: None) -> None:
    redaction.remember("p@ss/w0rd+9", under="password")
    assert redaction.redact("p@ss/w0rd+9 p%40ss%2Fw0rd%2B9 p%40ss/w0rd%2B9") == "*** *** ***"


def test_a_secret_that_a_repr_would_escape_is_masked_in_what_is_no_answer(
    nothing_remembered: None,
) -> None:
    password = 'it\'s "quoted" \\ back'
    redaction.remember(password, under="password")
    assert no_answer({"msg": [password], "detail": None}) == "{'msg': ['***']}"
    assert no_answer({"detail": [{"msg": password}]}) == "{'message': [{'msg': '***'}]}"
    assert api_error({"message": password, "code": [password]}).body == {
        "message": "***",
        "code": ["***"],
    }


def test_secrets_that_are_renewed_for_ever_do_not_fill_the_memory(nothing_remembered: None) -> None:
    for number in range(redaction._MOST + 10):
        redaction._values[f"old-{number}-secret"] = None
    redaction.remember("the-newest-0001", under="token")
    assert len(redaction._values) == redaction._MOST
    assert redaction.redact("the-newest-0001") == "***"


async def test_what_a_tool_context_holds_is_in_nothing_that_shows_a_run(tmp_path: Path) -> None:
    class Desk:
        """A context as a program makes one; what it prints is its own affair."""

        def __init__(self) -> None:
            self.api_key = SECRET

    seen: list[Any] = []

    @function_tool
    def work(ctx: RunContextWrapper[Desk]) -> str:
        seen.append(ctx.context.api_key)
        return "done"

    path, left = tmp_path / "run.jsonl", Leavings(SECRET)
    agent: Agent[Any] = Agent(name="A", model=ScriptedModel([call("work"), "Ok."]), tools=[work])
    with recording(path):
        result = Runner.run_streamed(agent, "Go", context=Desk())
        async for _ in result.stream_events():
            pass
    assert seen == [SECRET]
    board = VirtualDom()
    TraceRenderer(result.trace, board).update()
    left.add("live view", lambda: json.dumps(board.frame()))
    for kind, text in snapshot(result.trace, table=True, timeline=True).items():
        left.add(f"picture {kind}", lambda text=text: text)
    left.add("state", lambda: result.to_state().to_string())
    left.add("recording", path.read_text)
    for thing in (result, result.trace, agent, result.context_wrapper, *result.new_items):
        left.add(f"repr {type(thing).__name__}", lambda thing=thing: repr(thing) + str(thing))
    assert left.with_the_key() == []


def test_logs_of_libraries_are_masked_where_they_arise(
    caplog: pytest.LogCaptureFixture, nothing_remembered: None
) -> None:
    caplog.set_level(logging.DEBUG)
    late = logging.getLogger("httpcore.made_late")
    redaction.remember(SECRET, under="token")
    redaction.guard_logs()
    try:
        raise ValueError(f"refused {SECRET}")
    except ValueError:
        late.exception("It was %s at %d", f"https://h.example/?k={SECRET}", 3)
    logging.getLogger("mine").info("my own %s", SECRET)
    theirs, mine = caplog.records
    assert theirs.getMessage() == "It was https://h.example/?k=*** at 3"
    assert SECRET not in logging.Formatter().format(theirs)
    assert SECRET in mine.getMessage()


def test_thousands_of_secrets_do_not_slow_down_a_long_text(nothing_remembered: None) -> None:
    secrets = [f"{number:032x}"[::-1] for number in range(redaction._MOST - 10)]
    redaction.remember({"token": secrets})
    text = "The quick brown fox 0123456789abcdef jumps. " * 2_000 + secrets[7]
    began = time.process_time()
    assert redaction.redact(text) == text.replace(secrets[7], "***")
    assert Secrets(secrets).masked(text[:-32]) == text[:-32]
    assert time.process_time() - began < 2  # 0.05 s; with one pattern of all, and at 1 MB, seconds
