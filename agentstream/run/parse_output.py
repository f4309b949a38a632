"""Reads a model's answer: each output item becomes an item of the run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..exceptions import ModelBehaviorError
from ..items import (
    CompactionItem,
    HandoffCallItem,
    MCPApprovalRequestItem,
    MCPListToolsItem,
    MessageOutputItem,
    ReasoningItem,
    RunItem,
    ToolCallItem,
    ToolSearchCallItem,
    ToolSearchOutputItem,
    raw_field,
)
from ..run_config import ToolNotFoundBehavior
from ..stream_events import RunItemEventName
from ..tools.origin import ToolOrigin, ToolOriginType, origin_of
from .toolbox import Toolbox

if TYPE_CHECKING:
    from ..agent import Agent

logger = logging.getLogger("agentstream")

_HOSTED_CALLS = (
    "code_interpreter_call",
    "computer_call",
    "custom_tool_call",
    "file_search_call",
    "image_generation_call",
    "local_shell_call",
    "web_search_call",
)

_ITEMS: dict[str, Callable[[Agent[Any], Any], RunItem]] = {
    "message": MessageOutputItem,
    "reasoning": ReasoningItem,
    "mcp_list_tools": MCPListToolsItem,
    "mcp_approval_request": MCPApprovalRequestItem,
    "tool_search_call": ToolSearchCallItem,
    "tool_search_output": ToolSearchOutputItem,
    "compaction": CompactionItem,
    **dict.fromkeys(_HOSTED_CALLS, ToolCallItem),
    "mcp_call": lambda agent, raw: _hosted_mcp_call(agent, raw),
}

EVENT_NAMES: dict[str, RunItemEventName] = {
    "message_output_item": "message_output_created",
    "reasoning_item": "reasoning_item_created",
    "tool_call_item": "tool_called",
    "tool_call_output_item": "tool_output",
    "handoff_call_item": "handoff_requested",
    "handoff_output_item": "handoff_occured",
    "mcp_list_tools_item": "mcp_list_tools",
    "mcp_approval_request_item": "mcp_approval_requested",
    "mcp_approval_response_item": "mcp_approval_response",
    "tool_search_call_item": "tool_search_called",
    "tool_search_output_item": "tool_search_output_created",
}
"""The event each kind of item is told by; other kinds are told by none, as in the SDK."""


def read_output(
    output: list[Any], toolbox: Toolbox, tool_not_found: ToolNotFoundBehavior = "raise_error"
) -> list[RunItem]:
    """The run's items in a model's answer, in its order.

    Raises
    ------
    ModelBehaviorError
        If the model calls a tool that it was not offered.
    """
    items = (read_item(raw, toolbox, tool_not_found) for raw in output)
    return [item for item in items if item is not None]


def read_item(
    raw: Any, toolbox: Toolbox, tool_not_found: ToolNotFoundBehavior = "raise_error"
) -> RunItem | None:
    """The run's item for one output item; None for a kind that this version does not know."""
    kind = raw_field(raw, "type")
    if kind == "function_call":
        return _function_call(raw, toolbox, tool_not_found)
    if kind in ("computer_call", "local_shell_call"):
        _check_offered(kind, toolbox)
    make = _ITEMS.get(kind)
    if make is None:
        # It stays in raw_responses, and the server that sent it knows it.
        logger.warning("The model's output item of type %r is not known here; it is skipped.", kind)
        return None
    return make(toolbox.agent, raw)


def _function_call(raw: Any, toolbox: Toolbox, tool_not_found: ToolNotFoundBehavior) -> RunItem:
    agent = toolbox.agent
    if toolbox.handoff(raw) is not None:
        return HandoffCallItem(agent=agent, raw_item=raw)
    tool = toolbox.function(raw)
    if tool is None:
        if tool_not_found == "return_error_to_model":
            return ToolCallItem(agent=agent, raw_item=raw)
        raise not_found(raw_field(raw, "name"), toolbox)
    return ToolCallItem(
        agent=agent,
        raw_item=raw,
        description=tool.description,
        title=tool._mcp_title,
        tool_origin=origin_of(tool),
    )


def _hosted_mcp_call(agent: Agent[Any], raw: Any) -> ToolCallItem:
    server = raw_field(raw, "server_label")
    origin = ToolOrigin(ToolOriginType.MCP, mcp_server_name=server)
    return ToolCallItem(agent=agent, raw_item=raw, tool_origin=origin)


def not_found(name: str | None, toolbox: Toolbox) -> ModelBehaviorError:
    """The error for a call of a tool that the agent does not have."""
    offered = ", ".join([*toolbox.functions, *toolbox.transfers]) or "none"
    return ModelBehaviorError(
        f"Tool {name} not found in agent {toolbox.agent.name}. It was offered: {offered}. "
        "RunConfig(tool_not_found_behavior='return_error_to_model') lets the model try again."
    )


def _check_offered(kind: str, toolbox: Toolbox) -> None:
    offered = toolbox.computer() if kind == "computer_call" else toolbox.shell()
    if offered is None:
        tool = "ComputerTool" if kind == "computer_call" else "LocalShellTool"
        raise ModelBehaviorError(
            f"The model made a {kind} but agent {toolbox.agent.name!r} has no {tool}; add one to "
            "its tools."
        )
