"""What had arrived of an answer that broke off, as the items of the Responses API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputRefusal,
    ResponseOutputText,
    ResponseReasoningItem,
)
from openai.types.responses.response_reasoning_item import Content, Summary

if TYPE_CHECKING:
    from ..parts import Part
    from ..state import TraceState

__all__ = ["open_items", "streamed_items"]


def open_items(trace: TraceState) -> list[Any]:
    """Make items of what the last model call was writing, each with the status "incomplete"."""
    if not trace.turns:
        return []
    last = trace.turns[-1].index
    parts = [part for part in trace.parts if part.turn == last and part.status == "in_progress"]
    items = (_item(part, "incomplete") for part in parts)
    return [item for item in items if item is not None]


def streamed_items(trace: TraceState) -> list[Any]:
    """Make items of what the last model call streamed, where its whole answer has none of it."""
    last = trace.turns[-1].index if trace.turns else None
    parts = [part for part in trace.unclaimed.values() if part.turn == last and part.item is None]
    parts += [
        part
        for part in trace.unclaimed.values()
        if part.turn == last and part.item_type == "function_call" and part.called is None
    ]
    items = (_item(part, "completed") for part in sorted(parts, key=lambda part: part.index))
    return [item for item in items if item is not None]


def _item(part: Part, status: Literal["completed", "incomplete"]) -> Any:
    name = part.item_id or ""
    summed_up = part.family != "content"
    if part.kind in ("text", "refusal"):
        content: Any = (
            ResponseOutputText(type="output_text", text=part.text, annotations=[])
            if part.kind == "text"
            else ResponseOutputRefusal(type="refusal", refusal=part.text)
        )
        return ResponseOutputMessage(
            id=name, type="message", role="assistant", status=status, content=[content]
        )
    if part.kind == "reasoning":
        return ResponseReasoningItem(
            id=name,
            type="reasoning",
            status=status,
            summary=[Summary(type="summary_text", text=part.text)] if summed_up else [],
            content=None if summed_up else [Content(type="reasoning_text", text=part.text)],
        )
    if part.item_type == "function_call":
        return ResponseFunctionToolCall(
            id=part.item_id,
            call_id=part.call_id or "",
            name=part.name or "",
            arguments=part.arguments,
            type="function_call",
            status=status,
        )
    return part.item  # a hosted tool's, as it was announced
