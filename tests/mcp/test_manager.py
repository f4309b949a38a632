"""Several MCP servers, connected and left together; the SDK's names for their tools."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentstream import Agent, RunContextWrapper
from agentstream.exceptions import AgentsException, ModelBehaviorError
from agentstream.mcp import MCPServer, MCPServerManager, MCPUtil

types = pytest.importorskip("mcp.types")


class Server(MCPServer):
    """A server that must be left in the task that connected it, as anyio's scopes must."""

    def __init__(self, name: str = "s", fails: Any = None, times: int = 1, slow: bool = False):
        super().__init__()
        self._name, self.fails, self.times, self.slow = name, fails, times, slow
        self.log: list[str] = []
        self.task: Any = None
        self.cleanup_fails: Exception | None = None

    @property
    def name(self) -> str:
        return self._name

    async def connect(self) -> None:
        self.log.append("connect")
        self.task = asyncio.current_task()
        if self.slow:
            await asyncio.Event().wait()
        if self.fails is not None and self.times:
            self.times -= 1
            raise self.fails

    async def cleanup(self) -> None:
        assert asyncio.current_task() is self.task
        self.log.append("cleanup")
        if self.cleanup_fails is not None:
            raise self.cleanup_fails

    async def list_tools(self, run_context: Any = None, agent: Any = None) -> list[Any]:
        return [types.Tool(name="add", input_schema={"type": "object", "properties": {}})]

    async def call_tool(self, tool_name: str, arguments: Any, meta: Any = None) -> Any:
        text = f"{tool_name} {arguments} {meta}"
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)])

    async def list_prompts(self) -> Any:
        raise NotImplementedError

    async def get_prompt(self, name: str, arguments: Any = None) -> Any:
        raise NotImplementedError


both_ways = pytest.mark.parametrize("at_once", [False, True])


@both_ways
async def test_servers_that_fail_are_left_out_and_can_be_tried_again(at_once: bool) -> None:
    good, bad = Server("good"), Server("bad", fails=OSError("no"))
    async with MCPServerManager([bad, good, bad], connect_in_parallel=at_once) as manager:
        assert manager.all_servers == [bad, good]
        assert manager.active_servers == [good]
        assert manager.failed_servers == [bad]
        assert str(manager.errors[bad]) == "no"
        manager.errors.clear()
        manager.failed_servers.clear()
        assert await manager.reconnect() == [bad, good]
        assert manager.errors == {}
    assert good.log == ["connect", "cleanup"]
    assert bad.log == ["connect", "cleanup"] * 2
    assert manager.active_servers == []


async def test_all_servers_are_active_where_none_is_dropped() -> None:
    bad = Server(fails=OSError("no"))
    async with MCPServerManager([bad], drop_failed_servers=False) as manager:
        assert manager.active_servers == [bad]


@both_ways
async def test_a_strict_manager_raises_and_leaves_what_it_has_connected(at_once: bool) -> None:
    good, bad = Server("good"), Server("bad", fails=OSError("no"))
    manager = MCPServerManager([good, bad], strict=True, connect_in_parallel=at_once)
    with pytest.raises(OSError, match="no"):
        await manager.connect_all()
    assert good.log == bad.log == ["connect", "cleanup"]
    assert await manager.connect_all() == [good, bad]
    await manager.cleanup_all()


async def test_what_was_connected_before_outlives_a_strict_failure() -> None:
    good, bad = Server("good"), Server("bad", fails=OSError("no"), times=2)
    manager = MCPServerManager([good, bad])
    await manager.connect_all()
    manager.strict = True
    with pytest.raises(OSError, match="no"):
        await manager.connect_all()
    assert manager.active_servers == [good]
    await manager.cleanup_all()


async def test_everything_may_be_connected_anew() -> None:
    server = Server()
    async with MCPServerManager([server]) as manager:
        await manager.connect_all()
        await manager.reconnect(failed_only=False)
    assert server.log == ["connect", "cleanup"] * 2


async def test_a_server_that_takes_too_long_fails() -> None:
    server = Server(slow=True)
    async with MCPServerManager([server], connect_timeout_seconds=0.02) as manager:
        assert isinstance(manager.errors[server], TimeoutError)
    assert server.log == ["connect", "cleanup"]


@both_ways
async def test_the_callers_cancellation_leaves_every_server(at_once: bool) -> None:
    good, slow = Server("good"), Server("slow", slow=True)
    manager = MCPServerManager([good, slow], connect_in_parallel=at_once)
    task = asyncio.create_task(manager.connect_all())
    while not slow.log:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert good.log == slow.log == ["connect", "cleanup"]


@both_ways
async def test_a_cancellation_by_the_server_is_its_failure_unless_it_is_wanted(
    at_once: bool,
) -> None:
    server = Server(fails=asyncio.CancelledError(), times=2)
    manager = MCPServerManager([server], connect_in_parallel=at_once)
    await manager.connect_all()
    assert manager.failed_servers == [server]
    manager.suppress_cancelled_error = False
    with pytest.raises(asyncio.CancelledError):
        await manager.reconnect()


async def test_a_server_that_could_not_be_left_is_not_connected_again() -> None:
    server = Server(fails=OSError("no"))
    server.cleanup_fails = RuntimeError("stuck")
    manager = MCPServerManager([server])
    await manager.connect_all()
    assert "could not be left" in manager.errors[server].__notes__[0]
    await manager.reconnect()
    assert str(manager.errors[server]) == "stuck"
    assert server.log == ["connect", "cleanup"]


async def test_calls_on_a_manager_are_done_one_after_another() -> None:
    server = Server()
    manager = MCPServerManager([server])
    await asyncio.gather(manager.connect_all(), manager.cleanup_all(), manager.connect_all())
    assert server.log == ["connect", "cleanup", "connect"]
    await manager.cleanup_all()


@pytest.mark.parametrize("name", ["connect_timeout_seconds", "cleanup_timeout_seconds"])
@pytest.mark.parametrize("value", [True, "1", 0, -1, float("nan"), float("inf"), 10**400])
def test_a_timeout_that_is_none_is_refused(name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=name):
        MCPServerManager([], **{name: value})
    manager = MCPServerManager([])
    with pytest.raises((TypeError, ValueError), match=name):
        setattr(manager, name, value)
    assert getattr(manager, name) == 10.0


async def test_the_sdks_helper_gives_the_tools_of_servers() -> None:
    agent, context = Agent(name="A"), RunContextWrapper(None)
    servers: list[MCPServer] = [Server("one"), Server("two")]
    tools = await MCPUtil.get_all_function_tools(
        servers, False, context, agent, include_server_in_tool_names=True
    )
    assert len({tool.name for tool in tools}) == 2
    taken = {tools[0].name}
    other = await MCPUtil.get_all_function_tools(
        servers[:1], False, context, agent,
        include_server_in_tool_names=True, reserved_tool_names=taken,
    )  # fmt: skip
    assert {tool.name for tool in other}.isdisjoint(taken)
    (named,) = await MCPUtil.get_function_tools(
        servers[0], False, context, agent, tool_name_override=lambda tool: f"my_{tool.name}"
    )
    assert named.name == "my_add"


async def test_the_sdks_helper_calls_a_tool() -> None:
    server, context = Server(), RunContextWrapper(None)
    server.tool_meta_resolver = lambda _: {"a": 1, "b": 1}
    (tool,) = await server.list_tools()
    output = await MCPUtil.invoke_mcp_tool(server, tool, context, '{"x": 1}', meta={"b": 2})
    assert output == {"type": "text", "text": "add {'x': 1} {'a': 1, 'b': 2}"}
    with pytest.raises(ModelBehaviorError, match="Invalid JSON input for tool shown"):
        await MCPUtil.invoke_mcp_tool(server, tool, context, "[", tool_display_name="shown")

    async def fails(*_: Any, **__: Any) -> Any:
        raise OSError("gone")

    server.call_tool = fails  # type: ignore[method-assign]
    with pytest.raises(AgentsException, match="gone"):
        await MCPUtil.invoke_mcp_tool(server, tool, context, "{}")


def test_before_anything_is_connected_all_servers_are_for_agents() -> None:
    servers = [Server("a"), Server("b")]
    manager = MCPServerManager(iter(servers))
    assert manager.all_servers == manager.active_servers == servers


async def test_a_strict_manager_takes_a_suppressed_cancellation_for_a_failure_and_no_more() -> None:
    server = Server(fails=asyncio.CancelledError())
    for parallel in (False, True):
        server.times = 1
        manager = MCPServerManager([server], strict=True, connect_in_parallel=parallel)
        assert await manager.connect_all() == []
        assert manager.failed_servers == [server]
        await manager.cleanup_all()


async def test_a_cancellation_that_is_not_suppressed_goes_before_what_else_is_fatal() -> None:
    class Fatal(BaseException):
        pass

    servers = [Server("a", fails=Fatal()), Server("b", fails=asyncio.CancelledError())]
    manager = MCPServerManager(servers, connect_in_parallel=True, suppress_cancelled_error=False)
    with pytest.raises(asyncio.CancelledError):
        await manager.connect_all()
    await manager.cleanup_all()
