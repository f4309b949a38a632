"""Input filters for handoffs: what of the conversation the next agent sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..handoffs import HandoffInputData
from ..items import (
    HandoffCallItem,
    HandoffOutputItem,
    MCPApprovalRequestItem,
    MCPApprovalResponseItem,
    MCPListToolsItem,
    ReasoningItem,
    ToolApprovalItem,
    ToolCallItem,
    ToolCallOutputItem,
    ToolSearchCallItem,
    ToolSearchOutputItem,
    raw_field,
)
from .handoff_history import default_handoff_history_mapper, nest_handoff_history

if TYPE_CHECKING:
    from ..items import RunItem

__all__ = ["default_handoff_history_mapper", "nest_handoff_history", "remove_all_tools"]

_TOOL_ITEMS = (
    HandoffCallItem,
    HandoffOutputItem,
    MCPApprovalRequestItem,
    MCPApprovalResponseItem,
    MCPListToolsItem,
    # Reasoning belongs to the calls it led to; the API refuses it without them.
    ReasoningItem,
    ToolApprovalItem,
    ToolCallItem,
    ToolCallOutputItem,
    ToolSearchCallItem,
    ToolSearchOutputItem,
)

_TOOL_TYPES = {
    "code_interpreter_call",
    "computer_call",
    "computer_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "file_search_call",
    "function_call",
    "function_call_output",
    "hosted_tool_call",
    "image_generation_call",
    "local_shell_call",
    "local_shell_call_output",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "reasoning",
    "shell_call",
    "shell_call_output",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
}


def remove_all_tools(handoff_input_data: HandoffInputData) -> HandoffInputData:
    """Leave out all tool calls and their outputs, so that the next agent sees only messages.

    Parameters
    ----------
    handoff_input_data : HandoffInputData
        The conversation at the handoff.

    Returns
    -------
    HandoffInputData
        The same without tool items.

    Examples
    --------
    >>> call = {"type": "function_call", "name": "f", "call_id": "1", "arguments": "{}"}
    >>> remove_all_tools(HandoffInputData((call,), (), ())).input_history
    ()
    """
    history = handoff_input_data.input_history
    if not isinstance(history, str):
        history = tuple(item for item in history if raw_field(item, "type") not in _TOOL_TYPES)
    seen = handoff_input_data.input_items
    return handoff_input_data.clone(
        input_history=history,
        pre_handoff_items=_without_tools(handoff_input_data.pre_handoff_items),
        new_items=_without_tools(handoff_input_data.new_items),
        input_items=None if seen is None else _without_tools(seen),
    )


def _without_tools(items: tuple[RunItem, ...]) -> tuple[RunItem, ...]:
    return tuple(item for item in items if not isinstance(item, _TOOL_ITEMS))
