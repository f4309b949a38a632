"""Input filters for handoffs: what of the conversation the next agent sees."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..handoffs import HandoffHistoryMapper, HandoffInputData
from ..items import (
    HandoffCallItem,
    HandoffOutputItem,
    ItemHelpers,
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

if TYPE_CHECKING:
    from ..items import RunItem, TResponseInputItem

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
    "custom_tool_call",
    "custom_tool_call_output",
    "file_search_call",
    "function_call",
    "function_call_output",
    "image_generation_call",
    "local_shell_call",
    "local_shell_call_output",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "reasoning",
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
    return handoff_input_data.clone(
        input_history=history,
        pre_handoff_items=_without_tools(handoff_input_data.pre_handoff_items),
        new_items=_without_tools(handoff_input_data.new_items),
    )


def _without_tools(items: tuple[RunItem, ...]) -> tuple[RunItem, ...]:
    return tuple(item for item in items if not isinstance(item, _TOOL_ITEMS))


def nest_handoff_history(
    handoff_input_data: HandoffInputData, *, history_mapper: HandoffHistoryMapper | None = None
) -> HandoffInputData:
    """Give the next agent the conversation so far as one message.

    Parameters
    ----------
    handoff_input_data : HandoffInputData
        The conversation at the handoff.
    history_mapper : callable, optional
        Makes the message of the items; `default_handoff_history_mapper` where not given.

    Returns
    -------
    HandoffInputData

    Examples
    --------
    >>> from agentstream import HandoffInputData
    >>> nest_handoff_history(HandoffInputData("Hello?", (), ())).input_history[0]["role"]
    'assistant'
    """
    items = [
        *ItemHelpers.input_to_new_input_list(_as_input(handoff_input_data.input_history)),
        *(i.to_input_item() for i in handoff_input_data.pre_handoff_items if _told(i)),
        *(i.to_input_item() for i in handoff_input_data.new_items if _told(i)),
    ]
    mapper = history_mapper or default_handoff_history_mapper
    return handoff_input_data.clone(
        input_history=tuple(mapper(items)), pre_handoff_items=(), input_items=()
    )


def _as_input(history: str | tuple[TResponseInputItem, ...]) -> str | list[TResponseInputItem]:
    return history if isinstance(history, str) else list(history)


def _told(item: RunItem) -> bool:
    return not isinstance(item, ToolApprovalItem)


def default_handoff_history_mapper(
    transcript: list[TResponseInputItem],
) -> list[TResponseInputItem]:
    """The conversation as one numbered list in one message.

    Parameters
    ----------
    transcript : list of dict
        The conversation's items.

    Returns
    -------
    list of dict
        That one message.

    Examples
    --------
    >>> print(default_handoff_history_mapper([{"role": "user", "content": "Hello?"}])[0]["content"])
    The conversation so far, between the user and the agent before you:
    <CONVERSATION HISTORY>
    1. user: Hello?
    </CONVERSATION HISTORY>
    """
    lines = [f"{n}. {_line(item)}" for n, item in enumerate(transcript, 1)] or ["(nothing yet)"]
    told = "\n".join(lines)
    text = (
        "The conversation so far, between the user and the agent before you:\n"
        f"<CONVERSATION HISTORY>\n{told}\n</CONVERSATION HISTORY>"
    )
    return [{"role": "assistant", "content": text}]


def _line(item: Any) -> str:
    if "role" in item and isinstance(item.get("content"), str):
        return f"{item['role']}: {item['content']}"
    return json.dumps(item, ensure_ascii=False, default=str)
