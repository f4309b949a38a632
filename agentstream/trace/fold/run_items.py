"""How the items of a run change a `Trace`: their order, outputs of tools, handoffs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..parts import Approval, Handoff, ItemRow, Part, Status, get
from .output_items import finish_call, last_search, whole_item

if TYPE_CHECKING:
    from ..state import TraceState

OUTPUTS = frozenset(
    {
        "tool_call_output_item",
        "handoff_output_item",
        "tool_search_output_item",
        "mcp_approval_response_item",
    }
)
"""Run items that answer a call."""


def fold_item(trace: TraceState, event: Any, t: float) -> Part | None:
    """Fold a ``run_item_stream_event``; return the part it is about."""
    item = event.item
    item_type = str(item.type)
    raw = get(item, "raw_item")
    if item_type in OUTPUTS:
        part = _output(trace, item, item_type, raw, t)
    elif item_type == "tool_approval_item":
        call_id = get(raw, "call_id") or get(raw, "id", "")
        return request_approval(trace, waiting_call(trace, call_id, None, t), t)
    else:
        part = _claim(trace, raw, t)
        if event.name == "handoff_requested" and part.kind != "handoff":
            part.kind = "handoff"
    agent = get(get(item, "agent"), "name", part.agent)
    trace.rows.append(ItemRow(part, item_type, agent, next(trace.sequence), t))
    trace.touch(part)
    return part


def _claim(trace: TraceState, raw: Any, t: float) -> Part:
    """Find the part of an item among those the model's stream announced, or begin one."""
    call_id, item_type = get(raw, "call_id"), get(raw, "type", "unknown")
    if call_id is not None:
        claimed = trace.index.unclaimed_call(call_id) or _renamed(trace, raw, call_id)
    else:
        claimed = trace.index.unclaimed(item_type, get(raw, "id"))
        claimed = claimed or trace.index.unclaimed(item_type, None)
    if claimed is not None:
        part = claimed
        if part.kind not in ("text", "reasoning", "refusal"):
            finish_call(trace, part, raw, t)
    else:
        part = _announce(trace, raw, t)
    for other in (part, *trace.siblings(part)):
        trace.unclaimed.pop(other.index, None)
    return part


def _renamed(trace: TraceState, raw: Any, call_id: str) -> Part | None:
    """The part of a call that the model sent without an id of its own, under its new id."""
    part = trace.index.unclaimed(get(raw, "type", "unknown"), get(raw, "id"))
    if part is not None:
        trace.name_call(part, call_id)
    return part


def _announce(trace: TraceState, raw: Any, t: float) -> Part:
    """Begin a part for an item that no stream announced, in the last turn or a made-up one."""
    streaming = trace.turn is not None
    if not streaming:
        if trace.fresh_turn_due or not trace.turns:
            trace.open_turn(trace.before)
        else:
            trace.turn = trace.turns[-1]
    part = whole_item(trace, raw, trace.places.fresh(), t)
    turn = trace.turn
    if not streaming and turn is not None:
        if turn.response_id is None:
            turn.ended, turn.status = t, "completed"
        trace.turn = None
    return part


def _output(trace: TraceState, item: Any, item_type: str, raw: Any, t: float) -> Part:
    trace.fresh_turn_due = True
    call_id = get(raw, "call_id") or get(raw, "approval_request_id")
    if item_type == "tool_search_output_item" and call_id is None:
        part = last_search(trace, raw) or _announce(trace, raw, t)
    elif item_type == "mcp_approval_response_item":
        part = _mcp_approval(trace, call_id, t)
    else:
        part = trace.find_call(str(call_id), name=get(raw, "name"), t=t)
    if item_type == "handoff_output_item":
        _handed_off(trace, part, item, t)
    output = get(item, "output")
    part.output = output if output is not None else get(raw, "output", get(raw, "tools"))
    part.has_output = True
    part.display, part.model_output = get(item, "display"), get(raw, "output")
    trace.index.note_answer(part)
    if item_type == "mcp_approval_response_item":
        approved = bool(get(raw, "approve", False))
        if part.approval is not None:
            part.approval.decided, part.approval.approved = t, approved
        part.output = "approved" if approved else "rejected"
        part.status, part.ended = ("completed" if approved else "rejected"), t
        return part
    status: Status = "failed" if part.error is not None else "completed"
    if part.status in ("failed", "rejected"):
        status = part.status
    if part.ended is None or part.is_open:
        part.ended = t
    part.status = status
    return part


def _mcp_approval(trace: TraceState, request_id: Any, t: float) -> Part:
    known = trace.index.approval(request_id)
    if known is not None:
        return known
    part = trace.new_part("mcp_approval", "mcp_approval_request", t)
    trace.identify(part, request_id)
    trace.unclaimed.pop(part.index, None)
    return part


def _handed_off(trace: TraceState, part: Part, item: Any, t: float) -> None:
    source = get(get(item, "source_agent"), "name", trace.agent)
    target = get(get(item, "target_agent"), "name")
    part.kind = "handoff"
    if target is None:
        return
    part.target = target
    trace.handoffs.append(Handoff(source, target, t, part.call_id))


def waiting_call(trace: TraceState, call_id: str, name: str | None, t: float) -> Part:
    """Return the newest call of this id without an output; begin it if need be."""
    return trace.index.newest_call(call_id) or trace.find_call(call_id, name=name, t=t)


def request_approval(trace: TraceState, part: Part, t: float, id: str | None = None) -> Part:
    """Let a call wait for a person."""
    if part.approval is None or part.approval.decided is not None:
        trace.ask_about(part, Approval(t))
    assert part.approval is not None
    part.approval.id = id or part.approval.id
    if part.approval.id is not None:
        trace.approval_parts[part.approval.id] = part
    trace.go_on(part, "awaiting_approval")
    trace.touch(part)
    return part
