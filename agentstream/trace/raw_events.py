"""How the events of a model's stream change a `Trace`.

Names and fields are those of `openai.types.responses`. A part is found by its ``output_index``; ids
are not enough, because adapters of Chat Completions give one placeholder id to all items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .parts import KIND_OF_ITEM, Part, PartKind, Status, Turn, get
from .text import Text

if TYPE_CHECKING:
    from .trace import Trace

DELTAS: dict[str, str] = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.function_call_arguments.delta": "input",
    "response.mcp_call_arguments.delta": "input",
    "response.custom_tool_call_input.delta": "input",
    "response.code_interpreter_call_code.delta": "input",
}
"""Events that append text, and the slots that hold the part they belong to."""

_SECTIONS = {
    "response.reasoning_summary_text.delta": ("summary", "summary_index"),
    "response.reasoning_text.delta": ("content", "content_index"),
}
_KIND_OF_SLOT: dict[str, tuple[PartKind, str]] = {
    "text": ("text", "message"),
    "refusal": ("refusal", "message"),
    "summary": ("reasoning", "reasoning"),
    "content": ("reasoning", "reasoning"),
}
_KIND_OF_INPUT: dict[str, tuple[PartKind, str]] = {
    "response.function_call_arguments": ("tool", "function_call"),
    "response.mcp_call_arguments": ("mcp_call", "mcp_call"),
    "response.custom_tool_call_input": ("tool", "custom_tool_call"),
    "response.code_interpreter_call_code": ("code_interpreter", "code_interpreter_call"),
}
_STATUSES: dict[str, Status] = {
    "completed": "completed",
    "incomplete": "incomplete",
    "failed": "failed",
}
# Items whose content arrives in parts of its own; they get a part when that begins, so that its
# kind is known.
_LATE = frozenset({"message", "reasoning"})


def _turn(trace: Trace) -> Turn:
    # Without a `ModelCalled` mark, the request left right after whatever came before its first
    # event.
    return trace.open_turn(trace.before)


def _slot(trace: Trace, family: str, data: Any, t: float, kind: PartKind, item_type: str) -> Part:
    """Return the part that a piece belongs to, and let the next one find it in the slots."""
    turn = _turn(trace)
    if turn.first_token is None:
        turn.first_token = t
    index = get(data, "output_index", 0)
    slot = trace.slots[family].get(index)
    if slot is not None:
        return slot[0]
    part = trace.at.get(index) if family == "input" else None
    if part is None:
        part = trace.new_part(kind, item_type, t)
        part.item_id = get(data, "item_id")
        part.position = index
        if family == "input":
            trace.at[index] = part
    trace.slots[family][index] = (part, part.input if family == "input" else part.body)
    return part


def _delta(trace: Trace, data: Any, t: float) -> Part:
    family = DELTAS[data.type]
    if family == "input":
        kind, item_type = _KIND_OF_INPUT[data.type.removesuffix(".delta")]
    else:
        kind, item_type = _KIND_OF_SLOT[family]
    part = _slot(trace, family, data, t, kind, item_type)
    (part.input if family == "input" else part.body).append(data.delta or "")
    trace.touch(part)
    return part


def _section_delta(trace: Trace, data: Any, t: float) -> Part:
    """Append to a reasoning text, whose sections become paragraphs."""
    family, field = _SECTIONS[data.type]
    part = _slot(trace, family, data, t, *_KIND_OF_SLOT[family])
    section = get(data, field, 0)
    if section != part.section:
        part.section = section
        if part.body:
            part.body.append("\n\n")
    part.body.append(data.delta or "")
    trace.touch(part)
    return part


def _text_done(trace: Trace, data: Any, t: float) -> Part:
    """Take the whole text from a provider that sent no deltas."""
    family, field = {
        "response.output_text.done": ("text", "text"),
        "response.refusal.done": ("refusal", "refusal"),
        "response.reasoning_summary_text.done": ("summary", "text"),
        "response.reasoning_text.done": ("content", "text"),
    }[data.type]
    part = _slot(trace, family, data, t, *_KIND_OF_SLOT[family])
    if not part.body:
        part.body.append(get(data, field, ""))
    trace.touch(part)
    return part


def _input_done(trace: Trace, data: Any, t: float) -> Part:
    kind, item_type = _KIND_OF_INPUT[data.type.removesuffix(".done")]
    part = _slot(trace, "input", data, t, kind, item_type)
    whole = get(data, "arguments") or get(data, "input") or get(data, "code")
    if isinstance(whole, str):
        set_input(part, whole)
    trace.touch(part)
    return part


def _created(trace: Trace, data: Any, t: float) -> None:
    response = data.response
    turn = trace.turn
    if turn is not None and turn.response_id not in (None, get(response, "id")):
        # A stream broken off and begun anew: what the first one wrote is not part of the answer.
        trace.drop_attempt(t)
        trace.close_turn(t, "failed")
    turn = _turn(trace)
    _describe(turn, response)
    trace.touch()


def _describe(turn: Turn, response: Any) -> None:
    turn.response_id = get(response, "id", turn.response_id)
    turn.model = get(response, "model", turn.model)
    turn.created_at = get(response, "created_at", turn.created_at)
    turn.service_tier = get(response, "service_tier", turn.service_tier)
    usage = get(response, "usage")
    if usage is not None:
        turn.usage = usage_of(usage)


def usage_of(usage: Any) -> dict[str, int]:
    """Read a `Usage` or `ResponseUsage` as the five counts of a `Turn`."""
    read, written = get(usage, "input_tokens", 0), get(usage, "output_tokens", 0)
    return {
        "input": read,
        "cached": get(get(usage, "input_tokens_details"), "cached_tokens", 0),
        "output": written,
        "reasoning": get(get(usage, "output_tokens_details"), "reasoning_tokens", 0),
        "total": get(usage, "total_tokens", read + written),
    }


def _ended(trace: Trace, data: Any, t: float) -> None:
    response = data.response
    turn = _turn(trace)
    _describe(turn, response)
    for index, item in enumerate(get(response, "output", [])):
        whole_item(trace, item, index, t)
    status = _STATUSES.get(data.type.removeprefix("response."), "incomplete")
    problem = get(get(response, "error"), "message")
    trace.close_turn(t, status, problem or get(get(response, "incomplete_details"), "reason"))


def _error(trace: Trace, data: Any, t: float) -> None:
    _turn(trace)
    trace.close_turn(t, "failed", get(data, "message"))


def _item_added(trace: Trace, data: Any, t: float) -> Part | None:
    item = data.item
    turn = _turn(trace)
    item_type = get(item, "type", "unknown")
    index = get(data, "output_index", 0)
    trace.forget_slots(index)
    if item_type in _LATE:
        return None
    if turn.first_token is None:
        turn.first_token = t
    return _begin(trace, item, item_type, index, t)


def _begin(trace: Trace, item: Any, item_type: str, index: int, t: float) -> Part:
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


def _item_done(trace: Trace, data: Any, t: float) -> Part | None:
    _turn(trace)
    return whole_item(trace, data.item, get(data, "output_index", 0), t)


def whole_item(trace: Trace, item: Any, index: int, t: float) -> Part:
    """Take an item as the provider sent it in the end; it holds whatever deltas left out."""
    turn = _turn(trace)
    if turn.first_token is None:
        turn.first_token = t
    item_type = get(item, "type", "unknown")
    if item_type in _LATE:
        return _whole_text(trace, item, item_type, index, t)
    if item_type == "tool_search_output" and (call := last_search(trace)) is not None:
        call.output, call.has_output = item, True
        trace.touch(call)
        return call
    part = _at(trace, turn, index, item)
    if part is None:
        part = _begin(trace, item, item_type, index, t)
    finish_call(trace, part, item, t)
    return part


def last_search(trace: Trace) -> Part | None:
    """Return the tool search that still lacks its output."""
    for part in reversed(trace.parts):
        if part.kind == "tool_search" and not part.has_output:
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
            trace.end_part(part, t, _STATUSES.get(get(item, "status", ""), fallback))
    trace.touch(part)


def _whole_text(trace: Trace, item: Any, item_type: str, index: int, t: float) -> Part:
    texts: list[tuple[str, str]] = []
    contents = get(item, "content", [])
    if item_type == "reasoning":
        summary = "\n\n".join(get(one, "text", "") for one in get(item, "summary", []))
        content = "\n\n".join(get(one, "text", "") for one in contents)
        texts = [("summary", summary), ("content", content)]
    elif isinstance(contents, str):
        texts = [("text", contents), ("refusal", "")]
    else:
        written = [get(one, "text", "") for one in contents if get(one, "type") != "refusal"]
        refused = [get(one, "refusal", "") for one in contents if get(one, "type") == "refusal"]
        texts = [("text", "".join(written)), ("refusal", "".join(refused))]
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


def _text_slot(trace: Trace, family: str, index: int, t: float) -> tuple[Part, Text]:
    part = trace.new_part(*_KIND_OF_SLOT[family], t)
    part.position = index
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
    trace.end_part(part, t, _STATUSES.get(get(item, "status", ""), "completed"))
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
    return item_type.removesuffix("_call") if item_type not in _LATE else None


def _annotation(trace: Trace, data: Any, t: float) -> Part:
    part = _slot(trace, "text", data, t, "text", "message")
    part.annotations.append(data.annotation)
    trace.touch(part)
    return part


def _partial_image(trace: Trace, data: Any, t: float) -> Part | None:
    part = _hosted(trace, data, t)
    if part is not None:
        part.image = data.partial_image_b64
        trace.touch(part)
    return part


def _hosted(trace: Trace, data: Any, _t: float) -> Part | None:
    """Note a step of a hosted tool; the kind of step is the last word of the event's type."""
    _turn(trace)
    part = trace.at.get(get(data, "output_index", 0))
    if part is not None:
        part.stage = data.type.rpartition(".")[2]
        trace.touch(part)
    return part


_HOSTED = (
    "web_search_call.in_progress web_search_call.searching web_search_call.completed "
    "file_search_call.in_progress file_search_call.searching file_search_call.completed "
    "code_interpreter_call.in_progress code_interpreter_call.interpreting "
    "code_interpreter_call.completed image_generation_call.in_progress "
    "image_generation_call.generating image_generation_call.completed mcp_call.in_progress "
    "mcp_call.completed mcp_call.failed mcp_list_tools.in_progress mcp_list_tools.completed "
    "mcp_list_tools.failed compaction.compacting"
)

RAW: dict[str, Callable[[Trace, Any, float], Part | None]] = {
    "response.created": _created,
    "response.queued": _created,
    "response.in_progress": _created,
    "response.completed": _ended,
    "response.incomplete": _ended,
    "response.failed": _ended,
    "error": _error,
    "response.output_item.added": _item_added,
    "response.output_item.done": _item_done,
    "response.output_text.annotation.added": _annotation,
    "response.image_generation_call.partial_image": _partial_image,
    **dict.fromkeys(DELTAS, _delta),
    **dict.fromkeys(_SECTIONS, _section_delta),
    **dict.fromkeys(
        (
            "response.output_text.done",
            "response.refusal.done",
            "response.reasoning_summary_text.done",
            "response.reasoning_text.done",
        ),
        _text_done,
    ),
    **{f"{name}.done": _input_done for name in _KIND_OF_INPUT},
    **{f"response.{name}": _hosted for name in _HOSTED.split()},
}
"""What each event of the stream does; it returns the part it changed."""
