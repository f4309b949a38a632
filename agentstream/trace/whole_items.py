"""Items as the provider sends them in the end, whole: they fill what deltas left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .parts import KIND_OF_ITEM, Part, PartKind, Status, Turn, get
from .text import Text

if TYPE_CHECKING:
    from .trace import Trace

KIND_OF_SLOT: dict[str, tuple[PartKind, str]] = {
    "text": ("text", "message"),
    "refusal": ("refusal", "message"),
    "summary": ("reasoning", "reasoning"),
    "content": ("reasoning", "reasoning"),
}
STATUSES: dict[str, Status] = {
    "completed": "completed",
    "incomplete": "incomplete",
    "failed": "failed",
}
# Items whose content arrives in parts of its own; they get a part when that begins, so that its
# kind is known.
LATE = frozenset({"message", "reasoning"})


def open_turn(trace: Trace) -> Turn:
    """Return the open model call.

    Without a `ModelCalled` mark, the request left right after whatever came before its first event.
    """
    return trace.open_turn(trace.before)


def begin(trace: Trace, item: Any, item_type: str, index: int, t: float) -> Part:
    """Append the part of an item that is not a text."""
    part = trace.new_part(KIND_OF_ITEM.get(item_type, "custom"), item_type, t)
    part.position = index
    trace.at[index] = part
    part.item = item
    part.item_id = get(item, "id")
    part.name = name_of(item, item_type)
    call_id = get(item, "call_id")
    if call_id is not None:
        part.call_id = call_id
        trace.calls.setdefault(call_id, []).append(part)
    given = get(item, "arguments") or get(item, "input") or get(item, "code")
    if isinstance(given, str):
        part.input.append(given)
    return part


def whole_item(trace: Trace, item: Any, index: int, t: float) -> Part:
    """Take an item as the provider sent it in the end; it holds whatever deltas left out."""
    turn = open_turn(trace)
    if turn.first_token is None and not turn.whole:
        turn.first_token = t
    item_type = get(item, "type", "unknown")
    if item_type in LATE:
        return _whole_text(trace, item, item_type, index, t)
    if item_type == "tool_search_output" and (call := last_search(trace, item)) is not None:
        call.output, call.has_output = item, True
        trace.touch(call)
        return call
    part = _at(trace, turn, index, item)
    if part is None:
        part = begin(trace, item, item_type, index, t)
    finish_call(trace, part, item, t)
    return part


def last_search(trace: Trace, answer: Any = None) -> Part | None:
    """Return the tool search that still lacks its output, or has `answer` already."""
    for part in reversed(trace.parts):
        if part.kind != "tool_search":
            continue
        known = get(answer, "id")
        if not part.has_output or (known is not None and get(part.output, "id") == known):
            return part
    return None


def _at(trace: Trace, turn: Turn, index: int, item: Any) -> Part | None:
    """Find the open turn's part for an item: by its ids, else at its index.

    Servers are known to change an item's id between its begin and its end, and to give all items
    one index.
    """
    item_type, item_id, call_id = get(item, "type"), get(item, "id"), get(item, "call_id")
    at_index = None
    for part in reversed(trace.parts):
        if part.turn != turn.index:
            break
        if part.item_type != item_type:
            continue
        if part.position == index and at_index is None:
            at_index = part
        if call_id is not None and part.call_id == call_id and part.position == index:
            return part
        if call_id is None and item_id and part.item_id == item_id and part.position == index:
            return part
    return at_index


def finish_call(trace: Trace, part: Part, item: Any, t: float) -> None:
    """Fill a call from its whole item; a function call now waits for its function."""
    part.item = item
    part.item_id = get(item, "id", part.item_id)
    part.name = name_of(item, part.item_type) or part.name
    given = get(item, "arguments") or get(item, "input") or get(item, "code")
    if isinstance(given, str):
        set_input(part, given)
    error = get(item, "error")
    if error is not None:
        part.error = error if isinstance(error, str) else str(get(error, "message", error))
    if part.call_id is None and get(item, "call_id") is not None:
        part.call_id = item_call = get(item, "call_id")
        trace.calls.setdefault(item_call, []).append(part)
    output = get(item, "output") or get(item, "outputs") or get(item, "result")
    if output is not None and part.kind != "tool":
        part.output, part.has_output = output, True
    if part.called is None:
        part.called = t
    if part.status == "in_progress":
        if part.kind in ("tool", "handoff", "computer", "shell", "apply_patch"):
            part.status = "running"
        elif part.kind == "mcp_approval":
            part.status = "awaiting_approval"
        else:
            fallback: Status = "failed" if part.error else "completed"
            trace.end_part(part, t, STATUSES.get(get(item, "status", ""), fallback))
    trace.touch(part)


def _whole_text(trace: Trace, item: Any, item_type: str, index: int, t: float) -> Part:
    texts: list[tuple[str, str]] = []
    contents = get(item, "content", [])
    if item_type == "reasoning":
        summary = "\n\n".join(_texts(get(item, "summary", []), "text"))
        content = "\n\n".join(_texts(contents, "text"))
        texts = [("summary", summary), ("content", content)]
    elif isinstance(contents, str):
        texts = [("text", contents), ("refusal", "")]
    else:
        kinds = ("text", "refusal")
        texts = [(kind, "".join(_texts(contents, kind))) for kind in kinds]
    found: list[Part] = []
    for family, whole in texts:
        slot = trace.slots[family].get(index)
        if slot is None and whole:
            slot = _text_slot(trace, family, index, t)
        if slot is not None:
            found.append(slot[0])
            _finish_text(trace, slot[0], item, whole, t)
    if not found:  # an item without any text, such as encrypted reasoning
        found = [_text_slot(trace, texts[0][0], index, t)[0]]
        _finish_text(trace, found[0], item, "", t)
    return found[0]


def _texts(parts: Any, name: str) -> list[str]:
    """The texts of this name in a list of parts; a server may have put anything in their place."""
    listed = parts if isinstance(parts, (list, tuple)) else []
    found = [
        get(part, name, "")
        for part in listed
        if (get(part, "type") == "refusal") == (name == "refusal")
    ]
    return [text if isinstance(text, str) else str(text) for text in found]


def _text_slot(trace: Trace, family: str, index: int, t: float) -> tuple[Part, Text]:
    part = trace.new_part(*KIND_OF_SLOT[family], t)
    trace.place(part, index)
    slot = trace.slots[family][index] = (part, part.body)
    return slot


def _finish_text(trace: Trace, part: Part, item: Any, whole: str, t: float) -> None:
    part.item = item
    part.item_id = get(item, "id", part.item_id)
    if whole and part.text != whole:
        if whole.startswith(part.text):
            part.body.append(whole[part.body.length :])
        else:
            part.body.replace(whole)
            part.rewrites += 1
    if part.kind == "text":
        contents = get(item, "content", [])
        found = [get(one, "annotations", []) for one in contents if not isinstance(one, str)]
        part.annotations = [note for notes in found for note in notes] or part.annotations
    trace.end_part(part, t, STATUSES.get(get(item, "status", ""), "completed"))
    trace.touch(part)


def set_input(part: Part, whole: str) -> None:
    """Make ``whole`` the part's arguments, as a continuation if it is one."""
    if part.arguments == whole:
        return
    if whole.startswith(part.arguments):
        part.input.append(whole[part.input.length :])
    else:
        part.input.replace(whole)
        part.rewrites += 1


def name_of(item: Any, item_type: str) -> str | None:
    """Return what a call is named: its function, or the hosted tool's own name."""
    name = get(item, "name")
    if name is not None:
        return str(name)
    label = get(item, "server_label")
    if label is not None:
        return str(label)
    return item_type.removesuffix("_call") if item_type not in LATE else None
