"""Local MCP servers: real ones, over pipes and loopback, beside the SDK's."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import agentstream.mcp as ours
from agentstream.agent import Agent
from agentstream.exceptions import AgentsException, MCPToolCancellationError, UserError
from agentstream.handoffs import handoff
from agentstream.mcp import (
    MCPConnectionError,
    MCPServer,
    MCPServerSse,
    MCPServerStdio,
    MCPServerStreamableHttp,
    create_static_tool_filter,
    mcp_tools,
)
from agentstream.run_context import RunContextWrapper
from agentstream.tool_context import ToolContext

pytest.importorskip("mcp", reason="the mcp extra is not installed")

from mcp import Client, MCPError
from mcp.types import CallToolResult, TextContent, Tool

SERVER = str(Path(__file__).parents[1] / "data" / "mcp_server.py")
STDIO: Any = {"command": sys.executable, "args": [SERVER, "stdio"]}
CONTEXT: Any = RunContextWrapper(context=None)


@pytest.fixture
def oracle() -> Any:
    return pytest.importorskip("agents.mcp", reason="the OpenAI Agents SDK is the oracle here")


@contextlib.contextmanager
def http_server(transport: str) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, SERVER, transport], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    try:
        yield f"http://127.0.0.1:{port}/{'sse' if transport == 'sse' else 'mcp'}"
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def http_url() -> Iterator[str]:
    with http_server("streamable-http") as url:
        yield url


@pytest.fixture(scope="module")
def sse_url() -> Iterator[str]:
    with http_server("sse") as url:
        yield url


@pytest.fixture
async def stdio() -> AsyncIterator[MCPServerStdio]:
    async with MCPServerStdio(STDIO) as server:
        yield server


def call_context(name: str = "tool", arguments: str = "{}", call_id: str = "c1") -> Any:
    return ToolContext(None, tool_name=name, tool_call_id=call_id, tool_arguments=arguments)


async def tools_of(*servers: MCPServer, agent: Any = None, **config: Any) -> dict[str, Any]:
    agent = agent or Agent(name="Helper")
    tools = await mcp_tools(servers, run_context=CONTEXT, agent=agent, config=config)  # type: ignore[arg-type]
    return {tool.name: tool for tool in tools}


async def call(tool: Any, arguments: Any = None) -> Any:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    return await tool.on_invoke_tool(call_context(tool.name, text), text)


async def text_of(server: MCPServer, tool: str, /, **arguments: Any) -> str:
    result = await server.call_tool(tool, arguments)
    assert isinstance(result.content[0], TextContent)
    return result.content[0].text


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process nobody has waited for yet is dead all the same.
    return (
        " Z " not in f" {Path(f'/proc/{pid}/stat').read_text('utf-8')} "
        if Path("/proc").exists()
        else True
    )


async def gone(pid: int, seconds: float = 8) -> bool:
    for _ in range(int(seconds / 0.02)):
        if not is_running(pid):
            return True
        await asyncio.sleep(0.02)
    return False


class Answers(MCPServer):
    """A server of the user's own, which does what the test says."""

    def __init__(self, name: str = "own", tools: Any = (), **options: Any) -> None:
        super().__init__(**options)
        self._name, self.tools = name, list(tools)
        self.answer: Any = CallToolResult(content=[TextContent(text="fine")])

    @property
    def name(self) -> str:
        return self._name

    async def connect(self) -> None: ...

    async def cleanup(self) -> None: ...

    async def list_tools(self, run_context: Any = None, agent: Any = None) -> Any:
        return self.tools

    async def call_tool(self, tool_name: str, arguments: Any) -> Any:  # type: ignore[override]
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    async def list_prompts(self) -> Any: ...

    async def get_prompt(self, name: str, arguments: Any = None) -> Any: ...


def bare(name: str, schema: Any = None) -> Tool:
    return Tool(name=name, input_schema=schema or {"type": "object"})


# --- as in the SDK ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["MCPServerStdio", "MCPServerSse", "MCPServerStreamableHttp"])
def test_the_parameters_are_the_sdks(name: str, oracle: Any):
    def parameters(kind: Any) -> Any:
        signature = inspect.signature(kind).parameters.values()
        return [
            (p.name, p.kind, p.default if p.name != "failure_error_function" else "unset")
            for p in signature
        ]

    assert parameters(getattr(ours, name)) == parameters(getattr(oracle, name))


@pytest.mark.parametrize("strict", [False, True])
async def test_tools_are_described_to_the_model_as_by_the_sdk(
    strict: bool, stdio: MCPServerStdio, oracle: Any
):
    from agents import Agent as TheirAgent

    async with oracle.MCPServerStdio(STDIO) as theirs:
        expected = await oracle.MCPUtil.get_all_function_tools(
            [theirs], strict, CONTEXT, TheirAgent(name="Helper")
        )
    tools = await tools_of(stdio, convert_schemas_to_strict=strict)
    assert len(tools) >= 15

    def shown(tool: Any) -> Any:
        return (tool.name, tool.description, tool.params_json_schema, tool.strict_json_schema,
                tool._mcp_title)  # fmt: skip

    assert [shown(tool) for tool in tools.values()] == [shown(tool) for tool in expected]


TEXT = {"type": "string"}


def thing(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"type": "object", "additionalProperties": False},
        thing(a=TEXT, b=TEXT),
        {**thing(a=TEXT), "additionalProperties": True},
        {**thing(a=TEXT), "additionalProperties": TEXT},
        {**thing(a=TEXT), "additionalProperties": {}},
        {**thing(a=TEXT), "$defs": {"X": thing(a=TEXT)}},
        {**thing(a={"$ref": "#/$defs/X"}), "$defs": {"X": thing(a=TEXT)}},
        {**thing(a={"$ref": "#/$defs/X"}), "$defs": {"X": TEXT}},
        thing(a=thing(b=TEXT)),
        thing(a={"type": "object"}),
        thing(a={"type": "array", "items": thing(b=TEXT)}),
        thing(a={"type": "array", "items": {"type": "object"}}),
        thing(a={"anyOf": [thing(b=TEXT), {"type": "null"}], "default": None}),
        thing(a={"anyOf": [{"type": "object"}, {"type": "null"}]}),
        thing(a={"oneOf": [thing(b=TEXT), {"type": "null"}]}),
        thing(a={"allOf": [thing(b=TEXT)]}),
        thing(a={"type": ["object", "null"]}),
        thing(a={"type": ["object", "null"], "properties": {"b": TEXT}}),
        thing(a=True),
        thing(a={}),
        thing(type=TEXT, properties=TEXT),
        {"type": "object", "anyOf": [thing(b=TEXT)]},
        {"properties": {"a": TEXT}},
    ],
    ids=str,
)
def test_a_schema_becomes_strict_where_it_does_in_the_sdk(schema: Any, oracle: Any):
    from agentstream.mcp.convert import function_tool_of

    tool = bare("x")
    tool.input_schema = schema
    server = Answers()
    expected = oracle.MCPUtil.to_function_tool(tool, server_of_theirs(oracle), True)
    mine = function_tool_of(tool, server, convert_schemas_to_strict=True)
    assert (mine.params_json_schema, mine.strict_json_schema) == (
        expected.params_json_schema,
        expected.strict_json_schema,
    )


def server_of_theirs(oracle: Any, **options: Any) -> Any:
    return oracle.MCPServerStdio({"command": "never started"}, name="own", **options)


CALLS = [
    ("add", {"a": 1}),
    ("add", {"a": 1, "b": 2, "more": 3}),
    ("add", {"a": "one"}),
    ("add", {}),
    ("add", ""),
    ("add", "{"),
    ("add", "[1]"),
    ("add", "null"),
    ("echo", {"text": "é"}),
    ("weather", {"place": {"city": "Lisbon"}, "days": [1]}),
    ("nothing", ""),
    ("several", {}),
    ("picture", {}),
    ("sound", {}),
    ("failing", {"reason": "rain"}),
    ("refused", {}),
    ("both", {}),
]


@pytest.mark.parametrize("structured", [False, True])
async def test_calls_answer_the_model_as_in_the_sdk(
    structured: bool, stdio: MCPServerStdio, oracle: Any
):
    from agents import Agent as TheirAgent
    from agents.tool_context import ToolContext as TheirContext

    stdio.use_structured_content = structured
    told, expected = [], []
    mine = await tools_of(stdio)
    for name, arguments in CALLS:
        told.append((name, await call(mine[name], arguments)))
    async with oracle.MCPServerStdio(STDIO, use_structured_content=structured) as server:
        theirs = {
            tool.name: tool
            for tool in await oracle.MCPUtil.get_all_function_tools(
                [server], False, CONTEXT, TheirAgent(name="Helper")
            )
        }
        for name, arguments in CALLS:
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            context = TheirContext(None, tool_name=name, tool_call_id="c", tool_arguments=text)
            expected.append((name, await theirs[name].on_invoke_tool(context, text)))
    # An error is the text of a failed call, where the SDK makes a part of it.
    assert told == [(name, _text_of_error(name, answer)) for name, answer in expected]


SETTINGS: list[Any] = [
    None, "always", "never", True, False, {"add": "always", "echo": "never"}, {"add": True},
    {"always": {"tool_names": ["add"]}, "never": {"tool_names": ["echo"]}},
    {"always": {"tool_names": ["add"]}}, {"never": {"tool_names": ["add"]}},
    {"always": {"tool_names": ["add"]}, "never": {"tool_names": ["add"]}}, {},
    {"always": "always"}, {"always": {"tool_names": ["add"]}, "echo": "always"},
    {"add": "sometimes"}, "x", 5, {"always": ["add"]}, {"always": {"tool_names": "add"}},
    {"never": {"tool_names": ["add"]}, "always": True}, {"always": {}},
]  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_every_form_of_require_approval_means_what_it_does_in_the_sdk(setting: Any, oracle: Any):
    from agentstream.mcp.convert import function_tool_of

    def answers(make_server: Any, make_tool: Any) -> Any:
        try:
            server = make_server(setting)
        except Exception as error:
            return type(error).__name__
        return {
            name: make_tool(bare(name), server).needs_approval for name in ("add", "echo", "always")
        }

    expected = answers(
        lambda s: server_of_theirs(oracle, require_approval=s),
        lambda tool, server: oracle.MCPUtil.to_function_tool(tool, server, False),
    )
    assert answers(lambda s: Answers(require_approval=s), function_tool_of) == expected


async def test_a_misspelt_tool_that_is_to_be_approved_is_logged(caplog: pytest.LogCaptureFixture):
    policy: Any = {"ad": "always", "nothing_like_it": "never"}
    async with MCPServerStdio(STDIO, name="numbers", require_approval=policy) as server:
        await server.list_tools()
    assert [one.message for one in caplog.records if "require_approval" in one.message] == [
        "require_approval of MCP server 'numbers' names the tool 'ad', which the server does not "
        "offer. Did you mean 'add'?"
    ]


async def test_a_function_may_decide_about_approval():
    asked = []

    async def decide(run_context: Any, agent: Any, tool: Any) -> bool:
        asked.append((run_context, agent.name, tool.name))
        return bool(tool.name == "delete")

    server = Answers(tools=[bare("delete"), bare("read")], require_approval=decide)
    tools = await tools_of(server)
    assert await tools["delete"].needs_approval(CONTEXT, {}, "c1") is True
    assert await tools["read"].needs_approval(CONTEXT, {}, "c2") is False
    assert asked == [(CONTEXT, "Helper", "delete"), (CONTEXT, "Helper", "read")]


SERVERS = [
    [("a", ["x", "y"]), ("b", ["z"])],
    [("a", ["x", "y"]), ("a", ["x"])],
    [("a b", ["x"]), ("a_b", ["x", "z"])],
    [("ünï çödé", ["tøol", "tool-1", "a.b"])],
    [("!!!", ["???", "_x_"])],
    [("s" * 80, ["t" * 80, "u"])],
    [("s" * 28, ["t" * 30, "t" * 31])],
    [("taken", ["x"])],
]


@pytest.mark.parametrize("servers", SERVERS, ids=str)
async def test_names_with_the_server_are_the_sdks(servers: Any, oracle: Any):
    from agents import Agent as TheirAgent

    class Theirs(Answers, oracle.MCPServer):  # type: ignore[misc]
        def __init__(self, name: str, tools: Any) -> None:
            oracle.MCPServer.__init__(self)
            self._name, self.tools = name, tools

    from agentstream.tools.function_tool import FunctionTool

    taken = FunctionTool("mcp_taken__x", "", {}, None)  # type: ignore[arg-type]
    given = [(name, [bare(tool) for tool in tools]) for name, tools in servers]
    expected = await oracle.MCPUtil.get_all_function_tools(
        [Theirs(*one) for one in given], False, CONTEXT, TheirAgent(name="Helper"),
        include_server_in_tool_names=True, reserved_tool_names={"mcp_taken__x"},
    )  # fmt: skip
    mine = await tools_of(
        *[Answers(*one) for one in given],
        agent=Agent(name="Helper", tools=[taken]),
        include_server_in_tool_names=True,
    )
    assert list(mine) == [tool.name for tool in expected]


async def test_one_name_on_two_servers_is_an_error_that_says_what_to_do():
    servers = [Answers("one", [bare("x"), bare("y")]), Answers("two", [bare("y"), bare("x")])]
    with pytest.raises(UserError, match=r"Duplicate.*: 'x', 'y'\..*include_server_in_tool_names"):
        await tools_of(*servers)


async def test_an_agent_gives_its_servers_tools(stdio: MCPServerStdio):
    stdio.tool_filter = create_static_tool_filter(allowed_tool_names=["add"])
    agent = Agent(
        name="Helper",
        mcp_servers=[stdio, Answers("own", [bare("x")])],
        mcp_config={"include_server_in_tool_names": True, "convert_schemas_to_strict": True},
    )
    tools = await agent.get_mcp_tools(CONTEXT)
    assert [tool.name.split("__")[-1] for tool in tools] == ["add", "x"]
    assert tools[0].strict_json_schema is True  # type: ignore[union-attr]


# --- errors for the model, or for the program ---------------------------------------------------


async def test_who_says_what_the_model_is_told_of_a_failure():
    def agents_way(context: Any, error: Exception) -> str:
        return f"agent: {error}"

    async def servers_way(context: Any, error: Exception) -> str:
        return f"server: {error}"

    told = "Error invoking MCP tool x on server 'own': boom"
    server = Answers(tools=[bare("x")])
    server.answer = ValueError("boom")
    default = await call((await tools_of(server))["x"])
    assert "An error occurred" in default
    assert (
        await call((await tools_of(server, failure_error_function=agents_way))["x"])
        == f"agent: {told}"
    )
    server.failure_error_function = servers_way
    tool = (await tools_of(server, failure_error_function=agents_way))["x"]
    assert await call(tool) == f"server: {told}"
    server.failure_error_function = None
    tool = (await tools_of(server, failure_error_function=agents_way))["x"]
    with pytest.raises(AgentsException, match="boom") as caught:
        await call(tool)
    assert isinstance(caught.value.__cause__, ValueError)


async def test_errors_that_say_enough_are_passed_on_as_they_are():
    server = Answers(tools=[bare("x")], failure_error_function=None)
    tool = (await tools_of(server))["x"]
    for error in (UserError("u"), MCPError(-1, "m")):
        server.answer = error
        with pytest.raises(type(error)) as caught:
            await call(tool)
        assert caught.value is error


async def test_a_call_cancelled_by_its_server_is_an_error_and_no_cancelled_run():
    server = Answers(tools=[bare("x")], failure_error_function=None)
    server.answer = asyncio.CancelledError()
    tool = (await tools_of(server))["x"]
    with pytest.raises(MCPToolCancellationError, match="'x' on MCP server 'own'"):
        await call(tool)


async def test_cancelling_the_caller_cancels_the_call_and_the_server_serves_on(
    stdio: MCPServerStdio,
):
    tool = (await tools_of(stdio))["slow"]
    started = time.monotonic()
    calling = asyncio.ensure_future(call(tool, {"seconds": 30}))
    await asyncio.sleep(0.2)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert await text_of(stdio, "echo", text="still here") == "still here"
    assert time.monotonic() - started < 5


async def test_a_cancellation_before_the_call_is_not_mistaken_for_the_servers():
    class Waits(Answers):
        async def call_tool(self, tool_name: str, arguments: Any) -> Any:  # type: ignore[override]
            await asyncio.sleep(5)

    tool = (await tools_of(Waits(tools=[bare("x")])))["x"]

    async def cancelled_first() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await call(tool)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.ensure_future(cancelled_first())


async def test_a_call_that_the_server_cancels_is_its_failure_in_a_task_that_was_cancelled_before():
    class Breaks(Answers):
        async def call_tool(self, tool_name: str, arguments: Any) -> Any:  # type: ignore[override]
            raise asyncio.CancelledError

    async def goes_on() -> Any:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        return await ours.MCPUtil.invoke_mcp_tool(Breaks(), bare("x"), CONTEXT, "{}")

    with pytest.raises(MCPToolCancellationError):
        await asyncio.ensure_future(goes_on())


async def test_prefixed_names_leave_those_of_handoffs_alone():
    named = Answers(tools=[bare("search")])
    target = handoff(Agent(name="Other"), tool_name_override=f"mcp_{named.name}__search")
    agent = Agent(name="Helper", handoffs=[target, Agent(name="Third")])
    (name,) = await tools_of(named, agent=agent, include_server_in_tool_names=True)
    assert name.startswith(target.tool_name) and name != target.tool_name
    target.is_enabled = False
    assert [*await tools_of(named, agent=agent, include_server_in_tool_names=True)] == [
        target.tool_name
    ]


async def test_a_schema_that_is_too_deep_is_refused_and_not_walked():
    deep: Any = {"type": "object"}
    for _ in range(2000):
        deep = {"type": "object", "properties": {"a": deep}}
    for strict in (False, True):
        with pytest.raises(UserError, match="too deeply nested"):
            ours.MCPUtil.to_function_tool(
                Tool(name="x", input_schema=deep), Answers(), convert_schemas_to_strict=strict
            )


@pytest.mark.parametrize(
    ("value", "more", "is_strict"),
    [
        ({"$ref": "#/$defs/T", "description": "d"}, {"$defs": {"T": {"type": "string"}}}, True),
        ({"$ref": "#/$defs/T"}, {"$defs": {"T": {"type": "string"}}}, False),
        ({"$ref": "#/c/T", "title": "t"}, {"c": {"T": {"type": "object"}}}, False),
        ({"type": "array", "items": True}, {}, False),
    ],
)
def test_a_schema_with_references_is_strict_where_each_is_replaced(
    value: Any, more: Any, is_strict: bool
):
    schema = {"type": "object", "properties": {"value": value}, **more}
    tool = ours.MCPUtil.to_function_tool(
        Tool(name="x", input_schema=schema), Answers(), convert_schemas_to_strict=True
    )
    assert tool.strict_json_schema is is_strict
    if is_strict:
        assert tool.params_json_schema["properties"]["value"]["type"] == "string"


async def test_the_origin_of_a_call_has_nothing_of_an_address_that_lets_somebody_in():
    class Remote(Answers):
        @property
        def name(self) -> str:
            return "sse: https://ada:pw@mcp.example.org:8443/mcp?api_key=k3y#f"

    tool = (await tools_of(Remote(tools=[bare("x")])))["x"]
    assert tool._tool_origin.mcp_server_name == "sse: https://mcp.example.org:8443/mcp"


@pytest.mark.parametrize("pages", [True, 1.5, "2"])
def test_a_number_of_pages_that_is_no_integer_is_a_type_error(pages: Any):
    with pytest.raises(TypeError, match="max_list_pages must be a positive integer or None"):
        MCPServerStdio(STDIO, max_list_pages=pages)


async def test_missing_arguments_are_named_before_the_server_is_asked(stdio: MCPServerStdio):
    await stdio.list_tools()
    with pytest.raises(UserError, match="missing required parameters: a"):
        await stdio.call_tool("add", {"b": 1})


# --- filters, cache, pages, retries, meta -------------------------------------------------------


async def test_filters_by_name_and_by_function(stdio: MCPServerStdio):
    agent = Agent(name="Helper")

    async def names() -> list[str]:
        return [tool.name for tool in await stdio.list_tools(CONTEXT, agent)]

    assert create_static_tool_filter() is None
    stdio.tool_filter = create_static_tool_filter(["add", "echo"], ["echo"])
    assert await names() == ["add"]
    stdio.tool_filter = {"blocked_tool_names": ["add"]}
    assert "add" not in await names()
    told = []

    async def decide(context: Any, tool: Any) -> bool:
        told.append((context.server_name, context.agent.name, context.run_context))
        return bool(tool.name.startswith("e"))

    stdio.tool_filter = decide
    assert await names() == ["echo", "environment"]
    assert told[0] == (stdio.name, "Helper", CONTEXT)
    with pytest.raises(UserError, match="run_context and agent are required"):
        await stdio.list_tools()
    stdio.tool_filter = 5  # type: ignore[assignment]
    with pytest.raises(UserError, match="create_static_tool_filter"):
        await names()


async def test_a_filter_that_fails_lets_nothing_through_and_is_reported(
    stdio: MCPServerStdio, caplog: pytest.LogCaptureFixture
):
    def broken(context: Any, tool: Any) -> bool:
        if tool.name == "echo":
            raise ValueError("broken filter")
        return True

    stdio.tool_filter = broken
    names = [tool.name for tool in await stdio.list_tools(CONTEXT, Agent(name="Helper"))]
    assert "echo" not in names
    assert "add" in names
    assert "broken filter" in caplog.text


async def test_tools_are_asked_for_once_when_cached(monkeypatch: pytest.MonkeyPatch):
    asked = 0
    real = Client.list_tools

    async def counted(self: Any, **options: Any) -> Any:
        nonlocal asked
        asked += 1
        return await real(self, **options)

    monkeypatch.setattr(Client, "list_tools", counted)
    async with MCPServerStdio(STDIO, cache_tools_list=True) as server:
        assert server.cached_tools is None
        assert await server.list_tools() == await server.list_tools() == server.cached_tools
        assert asked == 1
        server.invalidate_tools_cache()
        await server.list_tools()
        assert asked == 2
        server.cache_tools_list = False
        await server.list_tools()
        assert asked == 3


def paged(count: int | None) -> Any:
    """A `Client.list_tools` of `count` pages; None gives the same page for ever."""

    async def list_tools(self: Any, cursor: str | None = None) -> Any:
        from mcp.types import ListToolsResult

        page = int(cursor or 0)
        more = "1" if count is None else str(page + 1) if page + 1 < count else None
        return ListToolsResult(tools=[bare(f"t{page}")], next_cursor=more)

    return list_tools


async def test_all_pages_are_read_up_to_the_limit(
    stdio: MCPServerStdio, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Client, "list_tools", paged(3))
    stdio.max_list_pages = 3
    assert [tool.name for tool in await stdio.list_tools()] == ["t0", "t1", "t2"]
    stdio.max_list_pages = 2
    with pytest.raises(UserError, match="more than max_list_pages=2 pages of tools"):
        await stdio.list_tools()
    monkeypatch.setattr(Client, "list_tools", paged(None))
    stdio.max_list_pages = None
    with pytest.raises(AgentsException, match="same page of tools again and again"):
        await asyncio.wait_for(stdio.list_tools(), 5)


async def test_a_server_that_has_no_last_page_comes_to_an_error(
    stdio: MCPServerStdio, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Client, "list_tools", paged(10**9))
    with pytest.raises(UserError, match="more than max_list_pages=1000 pages of tools"):
        await asyncio.wait_for(stdio.list_tools(), 30)


@pytest.mark.parametrize(
    ("attempts", "fails", "calls"), [(0, 1, 1), (2, 2, 3), (2, 3, 3), (-1, 6, 7)]
)
async def test_failed_calls_are_tried_again(
    attempts: int, fails: int, calls: int, monkeypatch: pytest.MonkeyPatch
):
    made = 0
    real = Client.call_tool

    async def flaky(self: Any, *args: Any, **options: Any) -> Any:
        nonlocal made
        made += 1
        if made <= fails:
            raise MCPError(-1, "busy")
        return await real(self, *args, **options)

    monkeypatch.setattr(Client, "call_tool", flaky)
    pauses: list[float] = []
    real_sleep = asyncio.sleep

    async def noted(seconds: float, *args: Any) -> Any:
        pauses.append(seconds)
        return await real_sleep(0)

    async with MCPServerStdio(
        STDIO, max_retry_attempts=attempts, retry_backoff_seconds_base=0.01,
        retry_backoff_seconds_max=0.05,
    ) as server:  # fmt: skip
        with monkeypatch.context() as patched:
            patched.setattr("agentstream.mcp.client.asyncio.sleep", noted)
            if calls > fails:
                assert await text_of(server, "echo", text="at last") == "at last"
            else:
                with pytest.raises(MCPError, match="busy"):
                    await server.call_tool("echo", {"text": "never"})
    assert made == calls
    assert [p for p in pauses if p in (0.01, 0.02, 0.04, 0.05)][: calls - 1] == (
        [0.01, 0.02, 0.04, 0.05, 0.05, 0.05][: calls - 1]
    )


async def test_meta_goes_with_each_call(stdio: MCPServerStdio):
    told = []

    def resolve(context: Any) -> dict[str, Any]:
        told.append((context.server_name, context.tool_name, context.arguments))
        return {"user": 7}

    tool = (await tools_of(stdio, failure_error_function=None))["meta"]
    assert await call(tool) == {"type": "text", "text": "{}"}
    stdio.tool_meta_resolver = resolve
    assert await call(tool) == {"type": "text", "text": "{'user': 7}"}
    assert told == [(stdio.name, "meta", {})]

    async def slowly(context: Any) -> None:
        return None

    stdio.tool_meta_resolver = slowly
    assert await call(tool) == {"type": "text", "text": "{}"}
    stdio.tool_meta_resolver = lambda context: 5
    with pytest.raises(UserError, match="Give a dict, or None"):
        await call(tool)
    result = await stdio.call_tool("meta", {}, {"own": 1})
    assert result.content[0].text == "{'own': 1}"  # type: ignore[union-attr]


async def test_custom_data_is_taken_from_the_result():
    seen = []

    def extract(context: Any) -> dict[str, Any]:
        seen.append(context)
        return {"kept": context.structured_content}

    server = Answers(tools=[bare("x")], custom_data_extractor=extract)
    server.answer = CallToolResult(
        content=[TextContent(text="fine")], structured_content={"n": 1}, is_error=False
    )
    from agentstream.tools.function_tool import FunctionToolCustomDataContext

    tool = (await tools_of(server))["x"]
    context = call_context("x", '{"a": 2}')
    output = await tool.on_invoke_tool(context, '{"a": 2}')
    about = FunctionToolCustomDataContext(context, tool, output, {})
    assert await tool.custom_data_extractor(about) == {"kept": {"n": 1}}
    assert await tool.custom_data_extractor(about) is None
    (told,) = seen
    assert (told.server_name, told.tool_name, told.arguments) == ("own", "x", {"a": 2})
    assert (told.is_error, told.tool_output) == (False, output)


# --- each transport -----------------------------------------------------------------------------


@pytest.fixture(params=["stdio", "sse", "streamable-http"])
async def connected(request: pytest.FixtureRequest) -> AsyncIterator[MCPServer]:
    kinds: Any = {"sse": MCPServerSse, "streamable-http": MCPServerStreamableHttp}
    if request.param == "stdio":
        server: Any = MCPServerStdio(STDIO)
    else:
        url = request.getfixturevalue("sse_url" if request.param == "sse" else "http_url")
        server = kinds[request.param]({"url": url})
    async with server:
        yield server


async def test_tools_prompts_and_resources_over_each_transport(connected: Any):
    assert "add" in [tool.name for tool in await connected.list_tools()]
    assert await text_of(connected, "add", a=1, b=2) == "3"
    assert [p.name for p in (await connected.list_prompts()).prompts] == ["greeting"]
    prompt = await connected.get_prompt("greeting", {"name": "Ana"})
    assert prompt.messages[0].content.text == "Hello Ana"
    assert [str(r.uri) for r in (await connected.list_resources()).resources] == ["note://one"]
    templates = (await connected.list_resource_templates()).resource_templates
    assert [t.uri_template for t in templates] == ["note://{number}/of/{topic}"]
    read = await connected.read_resource("note://7/of/tea")
    assert read.contents[0].text == "note 7 of tea"
    with pytest.raises(MCPError, match="Unknown resource"):
        await connected.read_resource("note://nowhere")


async def test_calls_run_at_once_over_each_transport(connected: Any):
    started = time.monotonic()
    await asyncio.gather(*(connected.call_tool("slow", {"seconds": 0.5}) for _ in range(6)))
    assert time.monotonic() - started < 2.5


async def test_a_call_that_takes_too_long_says_which_setting_counts(connected: Any):
    await connected.cleanup()
    connected.client_session_timeout_seconds = 0.5
    await connected.connect()
    with pytest.raises(MCPError, match="timed out") as caught:
        await connected.call_tool("slow", {"seconds": 20})
    assert "client_session_timeout_seconds" in caught.value.__notes__[0]
    assert await text_of(connected, "echo", text="on") == "on"


@pytest.mark.parametrize("transport", ["stdio", "sse", "streamable-http"])
async def test_a_server_that_dies_in_a_call_is_a_named_error_at_once(transport: str):
    with contextlib.ExitStack() as stack:
        server: Any = MCPServerStdio(STDIO)
        if transport != "stdio":
            url = stack.enter_context(http_server(transport))
            kind: Any = MCPServerSse if transport == "sse" else MCPServerStreamableHttp
            server = kind({"url": url})
        async with server:
            waiting = [
                asyncio.ensure_future(server.call_tool("slow", {"seconds": 4})) for _ in "ab"
            ]
            await asyncio.sleep(0.2)
            started = time.monotonic()
            with pytest.raises(MCPConnectionError, match=r"has ended; call connect\(\)"):
                await server.call_tool("die", {})
            for pending in waiting:
                with pytest.raises(MCPConnectionError):
                    await pending
            assert time.monotonic() - started < 2
            with pytest.raises(MCPConnectionError):
                await server.list_tools()
            if transport == "stdio":
                await server.connect()
                assert await text_of(server, "echo", text="again") == "again"


async def test_what_a_dying_server_said_is_in_the_error(stdio: MCPServerStdio):
    with pytest.raises(MCPConnectionError, match="the server is dying now"):
        await stdio.call_tool("die", {})


# --- the connection and its owner ---------------------------------------------------------------


@pytest.mark.slow
async def test_connect_and_cleanup_may_be_called_from_different_tasks():
    server = MCPServerStdio(STDIO)

    async def in_a_task(step: Any) -> Any:
        return await asyncio.ensure_future(step)

    await in_a_task(server.connect())
    pid = int(await in_a_task(text_of(server, "environment", name="PID")))
    await in_a_task(server.cleanup())
    assert not is_running(pid)
    await in_a_task(server.cleanup())
    with pytest.raises(UserError, match=r"call `connect\(\)` first"):
        await server.list_tools()
    await in_a_task(server.connect())
    assert await text_of(server, "echo", text="again") == "again"
    await server.cleanup()


async def test_several_connects_make_one_process():
    server = MCPServerStdio(STDIO)
    await asyncio.gather(*(server.connect() for _ in range(4)))
    pid = await text_of(server, "environment", name="PID")
    await server.connect()
    assert await text_of(server, "environment", name="PID") == pid
    await server.cleanup()


async def test_cleanup_in_the_middle_of_a_call_ends_the_call():
    server = MCPServerStdio(STDIO)
    await server.connect()
    pid = int(await text_of(server, "environment", name="PID"))
    calling = asyncio.ensure_future(server.call_tool("slow", {"seconds": 60}))
    await asyncio.sleep(0.2)
    await asyncio.wait_for(server.cleanup(), 10)
    with pytest.raises(MCPConnectionError, match="has ended"):
        await asyncio.wait_for(calling, 5)
    assert not is_running(pid)


async def test_a_command_that_is_not_there_is_named():
    server = MCPServerStdio({"command": "no-such-command-here"})
    with pytest.raises(MCPConnectionError, match="there is no command 'no-such-command-here'"):
        await server.connect()
    await server.cleanup()


async def test_what_a_server_said_before_it_failed_to_start_is_in_the_error():
    server = MCPServerStdio({"command": sys.executable, "args": [SERVER, "broken"]})
    with pytest.raises(MCPConnectionError, match=r"said on stderr:\nTraceback: no such module"):
        await server.connect()
    await server.cleanup()


@pytest.mark.slow
async def test_a_server_that_never_answers_is_given_up_and_ended(tmp_path: Path):
    note = tmp_path / "pid"
    script = f"import os, sys; open({str(note)!r}, 'w').write(str(os.getpid())); sys.stdin.read()"
    silent: Any = {"command": sys.executable, "args": ["-c", script]}
    server = MCPServerStdio(silent, client_session_timeout_seconds=0.5)
    with pytest.raises(MCPConnectionError, match=r"did not answer in 0\.5 s"):
        await server.connect()
    assert await gone(int(note.read_text("utf-8")))

    patient = MCPServerStdio(silent, client_session_timeout_seconds=None)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(patient.connect(), 1)  # as an interrupt would
    assert await gone(int(note.read_text("utf-8")))
    with pytest.raises(UserError, match="not initialized"):
        await patient.list_tools()


async def test_a_stderr_without_a_file_is_no_obstacle(monkeypatch: pytest.MonkeyPatch):
    class NotebookStream(io.StringIO):
        def fileno(self) -> int:
            raise io.UnsupportedOperation("fileno")

    monkeypatch.setattr(sys, "stderr", NotebookStream())
    async with MCPServerStdio(STDIO) as server:
        assert await text_of(server, "echo", text="fine") == "fine"


async def test_a_server_may_say_very_much_on_stderr(stdio: MCPServerStdio):
    for _ in range(3):
        assert await text_of(stdio, "chatter", lines=1500) == "done"
    assert stdio._stderr is not None
    size = os.fstat(stdio._stderr.file.fileno()).st_size
    assert size < 2_500_000
    await stdio.list_tools()
    assert os.fstat(stdio._stderr.file.fileno()).st_size == 0
    await text_of(stdio, "chatter", lines=2)
    assert stdio._stderr.tail().endswith("x" * 1000)
    assert os.fstat(stdio._stderr.file.fileno()).st_size < 10_000


async def test_params_reach_the_process(tmp_path: Path):
    params: Any = {**STDIO, "env": {"AGENTSTREAM_TEST": "7"}, "cwd": tmp_path}
    async with MCPServerStdio(params, name="mine") as server:
        assert server.name == "mine"
        assert await text_of(server, "environment", name="AGENTSTREAM_TEST") == "7"
        assert await text_of(server, "environment", name="PWD") == os.path.realpath(tmp_path)


@pytest.mark.slow
async def test_a_forgotten_server_ends_its_process():
    server = MCPServerStdio(STDIO)
    await server.connect()
    pid = int(await text_of(server, "environment", name="PID"))
    del server
    gc.collect()
    assert await gone(pid)


@pytest.mark.slow
def test_the_end_of_a_loop_ends_the_process_and_the_next_loop_says_so():
    server = MCPServerStdio(STDIO)

    async def connect() -> int:
        await server.connect()
        return int(await text_of(server, "environment", name="PID"))

    pid = asyncio.run(connect())
    assert not is_running(pid)
    with pytest.raises(MCPConnectionError, match=r"Call connect\(\)"):
        asyncio.run(server.call_tool("echo", {"text": "x"}))
    second = asyncio.run(connect())
    assert second != pid
    asyncio.run(server.cleanup())


async def test_calls_and_cleanup_may_come_from_a_loop_of_another_thread(stdio: MCPServerStdio):
    async def use() -> str:
        found = await text_of(stdio, "echo", text="from afar")
        await stdio.cleanup()
        return found

    assert await asyncio.to_thread(asyncio.run, use()) == "from afar"


async def test_messages_of_the_server_reach_the_handler(monkeypatch: pytest.MonkeyPatch):
    received: list[Any] = []

    async def handler(message: Any) -> None:
        received.append(message)

    noisy = (
        "import sys\n"
        "print('this is no JSON', flush=True)\n"
        "import runpy; sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    params: Any = {"command": sys.executable, "args": ["-c", noisy, SERVER, "stdio"]}
    async with MCPServerStdio(params, message_handler=handler) as server:
        assert await text_of(server, "echo", text="x") == "x"
    assert any(isinstance(message, Exception) for message in received)


# --- HTTP ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def answering(status: int) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_POST(self) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        do_GET = do_DELETE = do_POST

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://user:hidden@127.0.0.1:{server.server_port}/mcp?key=hidden"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("kind", [MCPServerSse, MCPServerStreamableHttp])
@pytest.mark.parametrize("status", [401, 404, 500])
async def test_a_refusing_server_is_named_without_its_secrets(kind: Any, status: int):
    with answering(status) as url:
        server = kind({"url": url})
        with pytest.raises(MCPConnectionError, match="Failed to connect to MCP server") as caught:
            await server.connect()
        await server.cleanup()
    assert "hidden" not in server.name + str(caught.value)
    assert f"HTTP error {status}" in str(caught.value)


@pytest.mark.parametrize("kind", [MCPServerSse, MCPServerStreamableHttp])
async def test_a_server_that_is_not_there_is_named(kind: Any):
    server = kind({"url": "http://127.0.0.1:9/mcp"})
    with pytest.raises(MCPConnectionError, match="Could not reach the server"):
        await server.connect()
    await server.cleanup()


async def test_http_options_reach_the_client(http_url: str):
    import httpx2
    from mcp.client.streamable_http import create_mcp_http_client

    made: list[Any] = []

    def factory(headers: Any = None, timeout: Any = None, auth: Any = None) -> Any:
        made.append((headers, timeout.connect, timeout.read, auth))
        return create_mcp_http_client(headers=headers, timeout=timeout, auth=auth)

    auth = httpx2.BasicAuth("user", "word")
    params: Any = {
        "url": http_url, "headers": {"x-test": "1"}, "timeout": 7, "sse_read_timeout": 8,
        "httpx_client_factory": factory, "auth": auth, "terminate_on_close": False,
    }  # fmt: skip
    async with MCPServerStreamableHttp(params) as server:
        assert await text_of(server, "echo", text="x") == "x"
        assert server.session_id is None  # a server of the 2026 protocol has no sessions
    assert made == [({"x-test": "1"}, 7, 8, auth)]


@contextlib.contextmanager
def older_server(initialized_status: int) -> Iterator[tuple[str, list[Any]]]:
    """A server of the protocol before 2026: a handshake, and a session with an id."""
    heard: list[Any] = []
    results = {
        "initialize": {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "older", "version": "1"},
        },
        "tools/list": {"tools": [{"name": "old", "inputSchema": {"type": "object"}}]},
    }

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def answer(self, status: int, body: Any = None) -> None:
            data = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.send_header("mcp-session-id", "session-1")
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["content-length"])))
            method = message["method"]
            heard.append((method, self.headers.get("mcp-session-id")))
            if "id" not in message:
                self.answer(initialized_status)
                return
            known = method in results
            told: Any = {"result": results[method]} if known else {
                "error": {"code": -32601, "message": "unknown method"}
            }  # fmt: skip
            self.answer(200, {"jsonrpc": "2.0", "id": message["id"], **told})

        def do_GET(self) -> None:
            self.answer(405)

        def do_DELETE(self) -> None:
            heard.append(("DELETE", self.headers.get("mcp-session-id")))
            self.answer(200)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mcp", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_the_session_of_an_older_server_is_known_and_ended():
    with older_server(202) as (url, heard):
        server = MCPServerStreamableHttp({"url": url})
        assert server.session_id is None
        async with server:
            assert server.session_id == "session-1"
            assert [tool.name for tool in await server.list_tools()] == ["old"]
        assert heard[-1] == ("DELETE", "session-1")


async def test_a_server_that_refuses_the_initialized_notification_can_be_used_all_the_same():
    with older_server(500) as (url, heard):
        async with MCPServerStreamableHttp(
            {"url": url, "ignore_initialized_notification_failure": True}
        ) as server:
            assert [tool.name for tool in await server.list_tools()] == ["old"]
    assert ("notifications/initialized", "session-1") in heard


# --- before anything is connected ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"client_session_timeout_seconds": -1}, "zero or a positive finite"),
        ({"client_session_timeout_seconds": float("nan")}, "zero or a positive finite"),
        ({"client_session_timeout_seconds": 1e-9}, "at least one microsecond"),
        ({"client_session_timeout_seconds": 1e30}, "fit in a datetime.timedelta"),
        ({"client_session_timeout_seconds": "5"}, "must be a number"),
        ({"client_session_timeout_seconds": True}, "must be a number"),
        ({"retry_backoff_seconds_max": -1}, "non-negative finite"),
        ({"max_list_pages": 0}, "positive integer"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused_as_in_the_sdk(options: Any, error: str, oracle: Any):
    for kind in (MCPServerStdio, oracle.MCPServerStdio):
        with pytest.raises((TypeError, ValueError), match=error):
            kind(STDIO, **options)


@pytest.mark.parametrize("params", [{}, {"command": ""}, None, "python server.py"], ids=str)
def test_params_without_a_command_are_refused(params: Any):
    with pytest.raises(UserError, match="'command'"):
        MCPServerStdio(params)


async def test_without_the_mcp_package_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setitem(sys.modules, "mcp", None)
    server = MCPServerStdio(STDIO)
    with pytest.raises(UserError, match=r"pip install 'jupyter-agentstream\[mcp\]'"):
        await server.connect()
    assert await mcp_tools([], run_context=CONTEXT, agent=Agent(name="Helper")) == []


def test_importing_the_module_does_not_load_mcp():
    code = "import sys, agentstream.mcp; sys.exit('mcp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert done.returncode == 0


def _text_of_error(name: str, answer: Any) -> Any:
    if name == "refused" and isinstance(answer, list):
        return "\n".join(part["text"] for part in answer)
    is_part = isinstance(answer, dict) and str(answer.get("text")).startswith("Error executing")
    return answer["text"] if is_part else answer
