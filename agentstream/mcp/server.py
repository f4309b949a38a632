"""What an MCP server is, whatever it is reached by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from .approval import RequireApprovalSetting, approval_policy

if TYPE_CHECKING:
    from mcp.types import (
        CallToolResult,
        GetPromptResult,
        ListPromptsResult,
        ListResourcesResult,
        ListResourceTemplatesResult,
        ReadResourceResult,
    )
    from mcp.types import Tool as MCPTool

    from ..agent import AgentBase
    from ..run_context import RunContextWrapper
    from ..tool_guardrails import ToolInputGuardrail, ToolOutputGuardrail
    from ..tools.function_tool import ToolErrorFunction


@dataclass
class MCPToolMetaContext:
    """The argument of a `tool_meta_resolver`: a call.

    Attributes
    ----------
    run_context : RunContextWrapper
        The run's context.
    server_name, tool_name : str
        The server and the tool, as the server calls it.
    arguments : dict or None
        The call's arguments.
    """

    run_context: RunContextWrapper[Any]
    server_name: str
    tool_name: str
    arguments: dict[str, Any] | None


@dataclass(frozen=True)
class MCPToolCustomDataContext:
    """The argument of a `custom_data_extractor`: a call and its result.

    Attributes
    ----------
    run_context : RunContextWrapper
        The run's context.
    server_name, tool_name, tool_display_name : str
        The server, the tool as the server calls it, and as the model does.
    arguments : Mapping
        The call's arguments.
    result_meta, structured_content : Mapping or None
        These parts of the server's result.
    is_error : bool or None
        Whether the server calls the result an error.
    tool_output
        What the model gets.
    """

    run_context: RunContextWrapper[Any]
    server_name: str
    tool_name: str
    tool_display_name: str
    arguments: Mapping[str, Any]
    result_meta: Mapping[str, Any] | None
    structured_content: Mapping[str, Any] | None
    is_error: bool | None
    tool_output: Any


MCPToolMetaResolver: TypeAlias = Callable[[MCPToolMetaContext], Any]
"""Gives the ``_meta`` of a call: a dict, None, or an awaitable of one."""

MCPToolCustomDataExtractor: TypeAlias = Callable[[MCPToolCustomDataContext], Any]
"""Gives data for the output item that the model does not see."""


class Unset:
    """The type of `UNSET`."""

    def __repr__(self) -> str:
        return "<unset>"


UNSET = Unset()
"""A server that leaves errors to the agent's `mcp_config`, as None means something there."""


class MCPServer(ABC):
    """A server of tools, prompts and resources.

    Parameters
    ----------
    use_structured_content : bool
        Send the model a result's structured content, as JSON, instead of its text.
    require_approval : "always", "never", bool, dict, function or None
        Which calls wait for a person: all, none, ``{tool: "always" | "never"}``,
        ``{"always": {"tool_names": [...]}, "never": {"tool_names": [...]}}``, or
        ``(run_context, agent, tool) -> bool``.
    failure_error_function : function or None
        ``(context, error) -> str`` for the model; None lets errors end the run. Left out, the
        agent's ``mcp_config["failure_error_function"]`` counts.
    tool_meta_resolver : function or None
        Gives the ``_meta`` of each call.
    custom_data_extractor : function or None
        Gives data for the output item that the model does not see.
    tool_input_guardrails, tool_output_guardrails : list or None
        Guardrails of every tool of the server.

    Examples
    --------
    Those that come with agentstream are used like this::

        async with MCPServerStdio({"command": "uvx", "args": ["mcp-server-time"]}) as server:
            agent = Agent(name="Clock", mcp_servers=[server])
    """

    def __init__(
        self,
        use_structured_content: bool = False,
        require_approval: RequireApprovalSetting = None,
        failure_error_function: ToolErrorFunction | Unset | None = UNSET,
        tool_meta_resolver: MCPToolMetaResolver | None = None,
        custom_data_extractor: MCPToolCustomDataExtractor | None = None,
        *,
        tool_input_guardrails: list[ToolInputGuardrail[Any]] | None = None,
        tool_output_guardrails: list[ToolOutputGuardrail[Any]] | None = None,
    ) -> None:
        self.use_structured_content = use_structured_content
        self.approval_policy = approval_policy(require_approval)
        self.failure_error_function = failure_error_function
        self.tool_meta_resolver = tool_meta_resolver
        self.custom_data_extractor = custom_data_extractor
        self.tool_input_guardrails = tool_input_guardrails
        self.tool_output_guardrails = tool_output_guardrails

    @property
    @abstractmethod
    def name(self) -> str:
        """A name for people."""

    @abstractmethod
    async def connect(self) -> None:
        """Start or reach the server; it stays connected until `cleanup`."""

    @abstractmethod
    async def cleanup(self) -> None:
        """Leave the server; one that was started here is ended."""

    @abstractmethod
    async def list_tools(
        self,
        run_context: RunContextWrapper[Any] | None = None,
        agent: AgentBase[Any] | None = None,
    ) -> list[MCPTool]:
        """Ask for the tools; `run_context` and `agent` are for a filter function."""

    @abstractmethod
    async def call_tool(
        self, tool_name: str, arguments: dict[str, Any] | None, meta: dict[str, Any] | None = None
    ) -> CallToolResult:
        """Call the tool `tool_name` with these `arguments`; `meta` goes along as ``_meta``."""

    @property
    def cached_tools(self) -> list[MCPTool] | None:
        """The tools as last listed; None where there are none."""
        return None

    @abstractmethod
    async def list_prompts(self) -> ListPromptsResult:
        """Ask for the prompts."""

    @abstractmethod
    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None
    ) -> GetPromptResult:
        """Ask for the prompt called `name`, filled in with `arguments`."""

    async def list_resources(self, cursor: str | None = None) -> ListResourcesResult:
        """Ask for a page of resources; `cursor` is the ``next_cursor`` of the page before.

        Raises
        ------
        NotImplementedError
            This kind of server has none.
        """
        raise NotImplementedError(f"MCP server {self.name!r} has no resources.")

    async def list_resource_templates(
        self, cursor: str | None = None
    ) -> ListResourceTemplatesResult:
        """Ask for a page of resource templates; `cursor` is the ``next_cursor`` of the page before.

        Raises
        ------
        NotImplementedError
            This kind of server has none.
        """
        raise NotImplementedError(f"MCP server {self.name!r} has no resource templates.")

    async def read_resource(self, uri: str) -> ReadResourceResult:
        """Ask for the contents of the resource at `uri`.

        Raises
        ------
        NotImplementedError
            This kind of server has none.
        """
        raise NotImplementedError(
            f"MCP server {self.name!r} has no resources: its class does not define read_resource()."
        )

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.cleanup()
