"""Which of a server's tools an agent sees."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NotRequired, TypeAlias

from typing_extensions import TypedDict

from .._utils.keywords import suggest, suggesting
from ..exceptions import UserError

if TYPE_CHECKING:
    from mcp.types import Tool as MCPTool

    from ..agent import AgentBase
    from ..run_context import RunContextWrapper

_log = logging.getLogger("agentstream.mcp")


@dataclass
class ToolFilterContext:
    """The context that a filter function gets, in addition to the tool.

    Attributes
    ----------
    run_context : RunContextWrapper
        The run's context.
    agent : AgentBase
        The agent that asks for the tools.
    server_name : str
        Name of the server that offers them.
    """

    run_context: RunContextWrapper[Any]
    agent: AgentBase[Any]
    server_name: str


class ToolFilterStatic(TypedDict):
    """A filter by name: only the allowed ones, and none of the blocked ones.

    Attributes
    ----------
    allowed_tool_names, blocked_tool_names : list of str
        Names as the server has them.
    """

    allowed_tool_names: NotRequired[list[str]]
    blocked_tool_names: NotRequired[list[str]]


ToolFilterCallable: TypeAlias = Callable[[ToolFilterContext, Any], Awaitable[bool] | bool]
"""``(context, tool) -> bool``, or an awaitable of it: whether the agent sees the tool."""

ToolFilter: TypeAlias = ToolFilterCallable | ToolFilterStatic | None


@suggesting
def create_static_tool_filter(
    allowed_tool_names: list[str] | None = None, blocked_tool_names: list[str] | None = None
) -> ToolFilterStatic | None:
    """Make a filter by name; None when there is nothing to filter.

    Parameters
    ----------
    allowed_tool_names, blocked_tool_names : list of str, optional
        Allow only these; block these.

    Returns
    -------
    dict or None
        For ``tool_filter=``.

    Raises
    ------
    UserError
        A string was passed instead of a list.

    Examples
    --------
    >>> create_static_tool_filter(allowed_tool_names=["read"])
    {'allowed_tool_names': ['read']}
    """
    chosen = ToolFilterStatic()
    if allowed_tool_names is not None:
        chosen["allowed_tool_names"] = allowed_tool_names
    if blocked_tool_names is not None:
        chosen["blocked_tool_names"] = blocked_tool_names
    _check_static(chosen)
    return chosen or None


def _check_static(by: ToolFilterStatic) -> None:
    """Refuse what would let pass more than was meant."""
    for name, tools in by.items():
        if name not in ToolFilterStatic.__annotations__:
            hint = suggest(name, ToolFilterStatic.__annotations__)
            raise UserError(f"tool_filter has no {name!r}.{hint}")
        if isinstance(tools, str):
            raise UserError(f"tool_filter {name} must be a list of names: write [{tools!r}].")


async def filtered(
    tools: list[MCPTool],
    by: ToolFilter,
    server_name: str,
    run_context: RunContextWrapper[Any] | None,
    agent: AgentBase[Any] | None,
) -> list[MCPTool]:
    """Keep the tools that pass the filter; one whose filter function fails is left out and logged.

    Raises
    ------
    UserError
        The filter is neither a dict nor a function, a dict with other keys, or a function without
        a run to ask it about.
    """
    if by is None:
        return tools
    if isinstance(by, dict):
        _check_static(by)
        allowed, blocked = by.get("allowed_tool_names"), by.get("blocked_tool_names") or ()
        return [
            tool
            for tool in tools
            if (allowed is None or tool.name in allowed) and tool.name not in blocked
        ]
    if not callable(by):
        raise UserError(
            f"tool_filter of MCP server {server_name!r} is {by!r}. Give a function "
            "(context, tool) -> bool, or create_static_tool_filter(...)."
        )
    if run_context is None or agent is None:
        raise UserError("run_context and agent are required for dynamic tool filtering")
    context = ToolFilterContext(run_context, agent, server_name)
    return [tool for tool in tools if await _passes(by, context, tool)]


async def _passes(by: ToolFilterCallable, context: ToolFilterContext, tool: MCPTool) -> bool:
    try:
        answer = by(context, tool)
        return bool(await answer if inspect.isawaitable(answer) else answer)
    except Exception:  # noqa: BLE001 - a filter is a guard; a broken guard lets nobody in
        _log.exception(
            "tool_filter failed for tool %r of MCP server %r; the agent does not get the tool",
            tool.name, context.server_name,
        )  # fmt: skip
        return False
