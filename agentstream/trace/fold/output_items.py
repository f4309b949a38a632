"""Items as the provider sends them in the end, whole: they fill what deltas left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..parts import KIND_OF_ITEM, Part, PartKind, Status, Turn, get

if TYPE_CHECKING:
    from ..state import TraceState

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


def open_turn(trace: TraceState) -> Turn:
    """Return the open model call.

    Without a `ModelCalled` mark, the request left right after whatever came before its first event.
    """
    return trace.open_turn(trace.before)


def begin(trace: TraceState, item: Any, item_type: str, position: int, t: float) -> Part:
    """Append the part of an item that is not a text."""
    part = trace.new_part(KIND_OF_ITEM.get(item_type, "custom"), item_type, t)
    trace.places.add(part, position)
    part.item = item
    trace.identify(part, get(item, "id"))
    part.name = name_of(item, item_type)
    if part.kind == "tool_search":
        trace.index.note_search(part)
    call_id = get(item, "call_id")
    if call_id is not None:
        trace.name_call(part, call_id)
    arguments = get(item, "arguments") or get(item, "input") or get(item, "code")
    if isinstance(arguments, str):
        part.input.append(arguments)
    return part


def whole_item(trace: TraceState, item: Any, position: int, t: float) -> Part:
    """Take an item as the provider sent it in the end; it holds whatever deltas left out.

    Its position is that of `Trace.places`.
    """
    turn = open_turn(trace)
    if turn.first_token is None and not turn.whole:
        turn.first_token = t
    item_type = get(item, "type", "unknown")
    if item_type in LATE:
        return _whole_text(trace, item, item_type, position, t)
    if item_type == "tool_search_output" and (call := last_search(trace, item)) is not None:
        call.output, call.has_output = item, True
        trace.index.note_answer(call)
        trace.touch(call)
        return call
    part = next(iter(trace.places.parts.get(position, ())), None)
    if part is None:
        part = begin(trace, item, item_type, position, t)
    finish_call(trace, part, item, t)
    return part


def last_search(trace: TraceState, answer: Any = None) -> Part | None:
    """Return the tool search that still lacks its output, or has `answer` already."""
    return trace.index.search(answer)


def finish_call(trace: TraceState, part: Part, item: Any, t: float) -> None:
    """Fill a call from its whole item; a function call now waits for its function."""
    part.item = item
    trace.identify(part, get(item, "id", part.item_id))
    part.name = name_of(item, part.item_type) or part.name
    arguments = get(item, "arguments") or get(item, "input") or get(item, "code")
    if isinstance(arguments, str):
        set_input(part, arguments)
    error = get(item, "error")
    if error is not None:
        part.error = error if isinstance(error, str) else str(get(error, "message", error))
    if part.call_id is None and get(item, "call_id") is not None:
        trace.name_call(part, get(item, "call_id"))
    output = get(item, "output") or get(item, "outputs") or get(item, "result")
    if output is not None and part.kind != "tool":
        part.output, part.has_output = output, True
        trace.index.note_answer(part)
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


def _whole_text(trace: TraceState, item: Any, item_type: str, position: int, t: float) -> Part:
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
    parts: list[Part] = []
    for family, whole in texts:
        part = trace.places.text_at(position, family)
        if part is None and whole:
            part = _text_part(trace, family, position, t)
        if part is not None:
            parts.append(part)
            _finish_text(trace, part, item, whole, t)
    if not parts:  # an item without any text, such as encrypted reasoning
        parts = [_text_part(trace, texts[0][0], position, t)]
        _finish_text(trace, parts[0], item, "", t)
    return parts[0]


def _texts(parts: Any, name: str) -> list[str]:
    """The texts of this name in a list of parts; a server may have put anything in their place."""
    listed = parts if isinstance(parts, (list, tuple)) else []
    texts = [
        get(part, name, "")
        for part in listed
        if (get(part, "type") == "refusal") == (name == "refusal")
    ]
    return [text if isinstance(text, str) else str(text) for text in texts]


def _text_part(trace: TraceState, family: str, position: int, t: float) -> Part:
    part = trace.new_part(*KIND_OF_SLOT[family], t)
    trace.place(part, position, family)
    return part


def _finish_text(trace: TraceState, part: Part, item: Any, whole: str, t: float) -> None:
    part.item = item
    trace.identify(part, get(item, "id", part.item_id))
    if whole and part.text != whole:
        if whole.startswith(part.text):
            part.body.append(whole[part.body.length :])
        else:
            part.body.replace(whole)
            part.rewrites += 1
    if part.kind == "text":
        contents = get(item, "content", [])
        annotations = [get(one, "annotations", []) for one in contents if not isinstance(one, str)]
        part.annotations = [note for notes in annotations for note in notes] or part.annotations
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
