"""A server reached through a connection: lists, calls, and the retries of both."""

from __future__ import annotations

import asyncio
import math
import weakref
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from .._utils.keywords import letting_go
from .._utils.redaction import guard_logs, remember
from ..exceptions import AgentsException, UserError
from .approval import RequireApprovalSetting, warn_about_unknown_names
from .connection import Connection, MCPConnectionError, require_mcp
from .filters import ToolFilter, filtered
from .server import (
    UNSET,
    MCPServer,
    MCPToolCustomDataExtractor,
    MCPToolMetaResolver,
    Unset,
)

if TYPE_CHECKING:
    from mcp import Client
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

T = TypeVar("T")

_MOST_PAGES: Final = 1_000  # of a list, where nothing else is said: a hostile server has no last

MessageHandler: TypeAlias = Callable[[Any], Awaitable[None]]


class MCPClientServer(MCPServer):
    """A server on one of mcp's transports; subclasses say which, in `create_streams`.

    Parameters
    ----------
    params : dict
        Where the server is, for the transport.
    cache_tools_list : bool
        Ask for the tools once, until `invalidate_tools_cache`; else whenever they are needed.
    name : str or None
        A name for people.
    client_session_timeout_seconds : float or None
        How long to wait for each answer, in seconds; None and 0 wait for ever.
    tool_filter : function, dict or None
        Which tools the agent sees.
    max_retry_attempts : int
        How often a failed `list_tools` or `call_tool` is tried again; -1 for ever. A connection
        that has ended is not tried again.
    retry_backoff_seconds_base, retry_backoff_seconds_max : float
        Seconds before the first repetition, doubled for each further one, up to the maximum.
    message_handler : function or None
        Receives the server's notifications and errors.
    max_list_pages : int or None
        Most pages one `list_tools` or `list_prompts` may take; 1,000 where not given.
    use_structured_content, require_approval, failure_error_function, tool_meta_resolver, \
custom_data_extractor, tool_input_guardrails, tool_output_guardrails
        See `MCPServer`.
    """

    @letting_go
    def __init__(
        self,
        params: Any,
        cache_tools_list: bool = False,
        name: str | None = None,
        client_session_timeout_seconds: float | None = 5,
        tool_filter: ToolFilter = None,
        use_structured_content: bool = False,
        max_retry_attempts: int = 0,
        retry_backoff_seconds_base: float = 1.0,
        message_handler: MessageHandler | None = None,
        require_approval: RequireApprovalSetting = None,
        failure_error_function: ToolErrorFunction | Unset | None = UNSET,
        tool_meta_resolver: MCPToolMetaResolver | None = None,
        custom_data_extractor: MCPToolCustomDataExtractor | None = None,
        retry_backoff_seconds_max: float | None = None,
        *,
        tool_input_guardrails: list[ToolInputGuardrail[Any]] | None = None,
        tool_output_guardrails: list[ToolOutputGuardrail[Any]] | None = None,
        max_list_pages: int | None = None,
    ) -> None:
        super().__init__(
            use_structured_content=use_structured_content,
            require_approval=require_approval,
            failure_error_function=failure_error_function,
            tool_meta_resolver=tool_meta_resolver,
            custom_data_extractor=custom_data_extractor,
            tool_input_guardrails=tool_input_guardrails,
            tool_output_guardrails=tool_output_guardrails,
        )
        _check_timeout(client_session_timeout_seconds)
        _check_backoff(retry_backoff_seconds_max)
        _check_pages(max_list_pages)
        remember(params)
        self.params = params
        self.cache_tools_list = cache_tools_list
        self.client_session_timeout_seconds = client_session_timeout_seconds
        self.tool_filter = tool_filter
        self.max_retry_attempts = max_retry_attempts
        self.retry_backoff_seconds_base = retry_backoff_seconds_base
        self.retry_backoff_seconds_max = retry_backoff_seconds_max
        self.message_handler = message_handler
        self.max_list_pages = max_list_pages
        self._name = name or self._default_name()
        self._connection: Connection | None = None
        self._tools: list[MCPTool] | None = None
        self._tools_are_stale = True

    @abstractmethod
    def create_streams(self) -> AbstractAsyncContextManager[Any]:
        """Make the streams of one connection, to be entered by its owner."""

    @abstractmethod
    def _default_name(self) -> str: ...

    @abstractmethod
    def _explain(self) -> Callable[[BaseException], str]:
        """Make the function that says why a connection failed or ended."""

    @property
    def name(self) -> str:
        """A name for people."""
        return self._name

    @property
    def cached_tools(self) -> list[MCPTool] | None:
        """The tools as last listed, before the filter; None before that."""
        return self._tools

    def invalidate_tools_cache(self) -> None:
        """Ask the server for its tools the next time they are needed."""
        self._tools_are_stale = True

    async def connect(self) -> None:
        """Start or reach the server; nothing happens if it is connected.

        Raises
        ------
        MCPConnectionError
            It cannot be reached; nothing is left of the attempt.
        UserError
            The ``mcp`` package is missing.
        """
        require_mcp()
        guard_logs()
        remember(self.params)  # they may have been changed
        if self._connection is None or self._connection.ended:
            self._tools_are_stale = True
            options = {
                "read_timeout_seconds": self.client_session_timeout_seconds or None,
                "message_handler": self.message_handler,
                "cache": None,  # cache_tools_list is the one that counts
            }
            self._connection = Connection(
                self.name, self.create_streams(), options, self._explain()
            )
            # A server object that is forgotten (a cell run twice) must not leave a process behind.
            weakref.finalize(self, self._connection.abandon).atexit = False
        connection = self._connection
        try:
            await connection.opened()
        except BaseException:
            if self._connection is connection:
                self._connection = None
            raise

    async def cleanup(self) -> None:
        """Leave the server, from any task; nothing happens if it is not connected."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _not_connected(self) -> UserError:
        return UserError(
            "Server not initialized. Make sure you call `connect()` first. It is MCP server "
            f"{self.name!r}: `await server.connect()`, or `async with` around the run."
        )

    async def _request(self, request: Callable[[Client], Awaitable[T]]) -> T:
        if self._connection is None:
            raise self._not_connected()
        return await self._connection.call(request)

    async def _with_retries(self, request: Callable[[Client], Awaitable[T]]) -> T:
        attempt = 0
        while True:
            try:
                return await self._request(request)
            except (AgentsException, MCPConnectionError):
                raise
            except Exception:
                attempt += 1
                if 0 <= self.max_retry_attempts < attempt:
                    raise
            pause = self.retry_backoff_seconds_base * 2 ** min(attempt - 1, 32)
            if self.retry_backoff_seconds_max is not None:
                pause = min(pause, self.retry_backoff_seconds_max)
            await asyncio.sleep(pause)

    async def _pages(
        self, kind: str, request: Callable[[Client, str | None], Awaitable[Any]]
    ) -> Any:
        """Ask for all pages; the last one, holding the items of all."""
        items: list[Any] = []
        seen: set[str | None] = set()
        cursor = None
        while True:
            seen.add(cursor)
            page = await self._with_retries(lambda client, at=cursor: request(client, at))  # type: ignore[misc]
            items += getattr(page, kind)
            cursor = page.next_cursor
            if cursor is None:
                return page.model_copy(update={kind: items})
            most = self.max_list_pages or _MOST_PAGES
            if len(seen) >= most:
                raise UserError(
                    f"MCP server {self.name!r} has more than max_list_pages={most} pages of "
                    f"{kind}. Raise the limit."
                )
            if cursor in seen:
                raise AgentsException(
                    f"MCP server {self.name!r} gives the same page of {kind} again and again "
                    f"(cursor {cursor!r}). This is a fault of the server."
                )

    async def list_tools(
        self,
        run_context: RunContextWrapper[Any] | None = None,
        agent: AgentBase[Any] | None = None,
    ) -> list[MCPTool]:
        """Ask for the tools that pass the filter.

        Raises
        ------
        UserError
            It is not connected.
        """
        if self._connection is None:
            raise self._not_connected()
        tools = self._tools
        if tools is None or self._tools_are_stale or not self.cache_tools_list:
            page = await self._pages("tools", lambda client, at: client.list_tools(cursor=at))
            tools = self._tools = page.tools
            self._tools_are_stale = False
            offered = [tool.name for tool in tools]
            warn_about_unknown_names(self.approval_policy, offered, self.name)
        return await filtered(tools, self.tool_filter, self.name, run_context, agent)

    async def call_tool(
        self, tool_name: str, arguments: dict[str, Any] | None, meta: dict[str, Any] | None = None
    ) -> CallToolResult:
        """Call a tool.

        Raises
        ------
        UserError
            A required argument is missing.
        MCPConnectionError
            The server goes away before it answers.
        """
        self._check_arguments(tool_name, arguments or {})
        return await self._with_retries(
            lambda client: client.call_tool(tool_name, arguments, meta=meta)  # type: ignore[arg-type]
        )

    def _check_arguments(self, tool_name: str, arguments: dict[str, Any]) -> None:
        for tool in self._tools or ():
            if tool.name != tool_name:
                continue
            required = tool.input_schema.get("required")
            names = required if isinstance(required, list) else []
            missing = [str(name) for name in names if name not in arguments]
            if missing:
                raise UserError(
                    f"Failed to call tool {tool_name!r} on MCP server {self.name!r}: "
                    f"missing required parameters: {', '.join(missing)}"
                )

    async def list_prompts(self) -> ListPromptsResult:
        """Ask for the prompts."""
        result: ListPromptsResult = await self._pages(
            "prompts", lambda client, at: client.list_prompts(cursor=at)
        )
        return result

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None
    ) -> GetPromptResult:
        """Ask for one prompt, filled in."""
        return await self._request(lambda client: client.get_prompt(name, arguments))

    async def list_resources(self, cursor: str | None = None) -> ListResourcesResult:
        """Ask for a page of resources; `cursor` is the ``next_cursor`` of the page before."""
        return await self._request(lambda client: client.list_resources(cursor=cursor))

    async def list_resource_templates(
        self, cursor: str | None = None
    ) -> ListResourceTemplatesResult:
        """Ask for a page of resource templates."""
        return await self._request(lambda client: client.list_resource_templates(cursor=cursor))

    async def read_resource(self, uri: str) -> ReadResourceResult:
        """Ask for a resource's contents."""
        return await self._request(lambda client: client.read_resource(uri))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_timeout(seconds: Any) -> None:
    name = "client_session_timeout_seconds"
    if seconds is None:
        return
    if not _is_number(seconds):
        raise TypeError(f"{name} must be a number of seconds or None.")
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"{name} must be zero or a positive finite value.")
    if 0 < seconds < 1e-6:
        raise ValueError(f"{name} must be zero or at least one microsecond.")
    try:
        timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError(f"{name} must fit in a datetime.timedelta.") from error


def _check_backoff(seconds: Any) -> None:
    if seconds is None or (_is_number(seconds) and math.isfinite(seconds) and seconds >= 0):
        return
    raise ValueError(
        "retry_backoff_seconds_max must be a non-negative finite number of seconds or None."
    )


def _check_pages(pages: Any) -> None:
    message = "max_list_pages must be a positive integer or None."
    if isinstance(pages, bool) or not isinstance(pages, int | None):
        raise TypeError(message)
    if pages is not None and pages <= 0:
        raise ValueError(message)
