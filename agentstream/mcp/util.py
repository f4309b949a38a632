"""`MCPUtil`: the SDK's names for what `mcp_tools` does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..tools.function_tool import default_tool_error_function
from .convert import function_tool_of, invoke, mcp_tools
from .server import MCPServer

if TYPE_CHECKING:
    from mcp.types import Tool as MCPTool

    from ..agent import AgentBase
    from ..run_context import RunContextWrapper
    from ..tools.function_tool import FunctionTool, Tool, ToolErrorFunction


class MCPUtil:
    """The tools of MCP servers as function tools.

    Examples
    --------
    ::

        tools = await MCPUtil.get_function_tools(server, False, RunContextWrapper(None), agent)
    """

    @classmethod
    async def get_all_function_tools(
        cls,
        servers: list[MCPServer],
        convert_schemas_to_strict: bool,
        run_context: RunContextWrapper[Any],
        agent: AgentBase[Any],
        failure_error_function: ToolErrorFunction | None = default_tool_error_function,
        include_server_in_tool_names: bool = False,
        reserved_tool_names: set[str] | None = None,
    ) -> list[Tool]:
        """The tools of all servers, in their order.

        Parameters
        ----------
        servers : list of MCPServer
            The servers, connected.
        convert_schemas_to_strict : bool
            Whether to make schemas strict, where that admits no other arguments than before.
        run_context : RunContextWrapper
            The run's context, for tool filters.
        agent : AgentBase
            The agent, for tool filters and approvals.
        failure_error_function : function or None
            Makes the model's answer from an error; None lets errors end the run.
        include_server_in_tool_names : bool
            Whether to put the server's name before each tool's.
        reserved_tool_names : set of str, optional
            Names that no tool is given then.

        Raises
        ------
        UserError
            Two servers offer a tool of one name, or a server is not connected.
        """
        return [
            *await mcp_tools(
                servers,
                run_context=run_context,
                agent=agent,
                config={
                    "convert_schemas_to_strict": convert_schemas_to_strict,
                    "failure_error_function": failure_error_function,
                    "include_server_in_tool_names": include_server_in_tool_names,
                },
                reserved=reserved_tool_names or (),
            )
        ]

    @classmethod
    async def get_function_tools(
        cls,
        server: MCPServer,
        convert_schemas_to_strict: bool,
        run_context: RunContextWrapper[Any],
        agent: AgentBase[Any],
        failure_error_function: ToolErrorFunction | None = default_tool_error_function,
        include_server_in_tool_names: bool = False,
        tool_name_override: Callable[[MCPTool], str] | None = None,
        reserved_tool_names: set[str] | None = None,
    ) -> list[Tool]:
        """The tools of one server.

        Parameters
        ----------
        server : MCPServer
            The server, connected.
        tool_name_override : function, optional
            Gives the name that the model sees, from the server's description of the tool.
        convert_schemas_to_strict, run_context, agent, failure_error_function
            As in `get_all_function_tools`.
        include_server_in_tool_names, reserved_tool_names
            As in `get_all_function_tools`.
        """
        if tool_name_override is None:
            return await cls.get_all_function_tools(
                [server], convert_schemas_to_strict, run_context, agent, failure_error_function,
                include_server_in_tool_names, reserved_tool_names,
            )  # fmt: skip
        return [
            function_tool_of(
                tool,
                server,
                convert_schemas_to_strict=convert_schemas_to_strict,
                agent=agent,
                failure_error_function=failure_error_function,
                name=tool_name_override(tool),
            )
            for tool in await server.list_tools(run_context, agent)
        ]

    @classmethod
    def to_function_tool(
        cls,
        tool: MCPTool,
        server: MCPServer,
        convert_schemas_to_strict: bool,
        agent: AgentBase[Any] | None = None,
        failure_error_function: ToolErrorFunction | None = default_tool_error_function,
        tool_name_override: str | None = None,
    ) -> FunctionTool:
        """One tool of a server.

        Parameters
        ----------
        tool : mcp.types.Tool
            The tool as the server describes it.
        server : MCPServer
            The server of the tool.
        tool_name_override : str, optional
            The name that the model sees.
        convert_schemas_to_strict, agent, failure_error_function
            As in `get_all_function_tools`.
        """
        return function_tool_of(
            tool,
            server,
            convert_schemas_to_strict=convert_schemas_to_strict,
            agent=agent,
            failure_error_function=failure_error_function,
            name=tool_name_override,
        )

    @classmethod
    async def invoke_mcp_tool(
        cls,
        server: MCPServer,
        tool: MCPTool,
        context: RunContextWrapper[Any],
        input_json: str,
        *,
        meta: dict[str, Any] | None = None,
        tool_display_name: str | None = None,
    ) -> Any:
        """Call `tool` and give what the model would be given.

        Parameters
        ----------
        server : MCPServer
            The server of the tool.
        tool : mcp.types.Tool
            The tool as the server describes it.
        context : RunContextWrapper
            The run's context, for a `tool_meta_resolver`.
        input_json : str
            The arguments.
        meta : dict or None
            Goes along as ``_meta``, over what the resolver gives.
        tool_display_name : str or None
            The tool's name in errors.

        Raises
        ------
        AgentsException
            The call failed.
        ModelBehaviorError
            The arguments are no JSON object.
        """
        return await invoke(tool, server, context, input_json, meta, tool_display_name)
