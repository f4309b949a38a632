"""How the events of a model's stream change a `Trace`.

Names and fields are those of `openai.types.responses`. A part is found by its ``output_index``; ids
are not enough, because adapters of Chat Completions give one placeholder id to all items. `Places`
keeps items apart that were given one index.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...usage import count
from ..parts import Part, PartKind, Turn, get
from .output_items import (
    KIND_OF_SLOT,
    LATE,
    STATUSES,
    begin,
    last_search,
    open_turn,
    set_input,
    whole_item,
)

if TYPE_CHECKING:
    from ..state import TraceState

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
_KIND_OF_INPUT: dict[str, tuple[PartKind, str]] = {
    "response.function_call_arguments": ("tool", "function_call"),
    "response.mcp_call_arguments": ("mcp_call", "mcp_call"),
    "response.custom_tool_call_input": ("tool", "custom_tool_call"),
    "response.code_interpreter_call_code": ("code_interpreter", "code_interpreter_call"),
}


def _slot(
    trace: TraceState, family: str, data: Any, t: float, kind: PartKind, item_type: str
) -> Part:
    """Return the part that a piece belongs to, and let the next one find it in the slots."""
    turn = open_turn(trace)
    if turn.first_token is None:
        turn.first_token = t
    index = get(data, "output_index", 0)
    slot = trace.slots[family].get(index)
    if slot is not None:
        return slot[0]
    position = trace.places.at(index)
    known = trace.places
    part = known.call_at(index) if family == "input" else known.text_at(position, family)
    if part is None:
        part = trace.new_part(kind, item_type, t)
        trace.identify(part, get(data, "item_id"))
        trace.place(part, position, family)
    trace.slots[family][index] = (part, part.input if family == "input" else part.body)
    return part


def _delta(trace: TraceState, data: Any, t: float) -> Part:
    family = DELTAS[data.type]
    if family == "input":
        kind, item_type = _KIND_OF_INPUT[data.type.removesuffix(".delta")]
    else:
        kind, item_type = KIND_OF_SLOT[family]
    part = _slot(trace, family, data, t, kind, item_type)
    (part.input if family == "input" else part.body).append(get(data, "delta", ""))
    trace.touch(part)
    return part


def _section_delta(trace: TraceState, data: Any, t: float) -> Part:
    """Append to a reasoning text, whose sections become paragraphs."""
    family, field = _SECTIONS[data.type]
    part = _slot(trace, family, data, t, *KIND_OF_SLOT[family])
    section = get(data, field, 0)
    if section != part.section:
        part.section = section
        if part.body:
            part.body.append("\n\n")
    part.body.append(get(data, "delta", ""))
    trace.touch(part)
    return part


def _text_done(trace: TraceState, data: Any, t: float) -> Part:
    """Take the whole text from a provider that sent no deltas."""
    family, field = {
        "response.output_text.done": ("text", "text"),
        "response.refusal.done": ("refusal", "refusal"),
        "response.reasoning_summary_text.done": ("summary", "text"),
        "response.reasoning_text.done": ("content", "text"),
    }[data.type]
    part = _slot(trace, family, data, t, *KIND_OF_SLOT[family])
    if not part.body:
        part.body.append(get(data, field, ""))
    trace.touch(part)
    return part


def _input_done(trace: TraceState, data: Any, t: float) -> Part:
    kind, item_type = _KIND_OF_INPUT[data.type.removesuffix(".done")]
    part = _slot(trace, "input", data, t, kind, item_type)
    whole = get(data, "arguments") or get(data, "input") or get(data, "code")
    if isinstance(whole, str):
        set_input(part, whole)
    trace.touch(part)
    return part


def _created(trace: TraceState, data: Any, t: float) -> None:
    response = get(data, "response")
    turn = trace.turn
    if turn is not None and turn.response_id not in (None, get(response, "id")):
        # A stream broken off and begun again: what the first one wrote is not part of the answer.
        trace.drop_attempt(t)
        trace.close_turn(t, "failed")
    turn = open_turn(trace)
    _describe(trace, turn, response)
    trace.touch()


def _describe(trace: TraceState, turn: Turn, response: Any) -> None:
    turn.response_id = get(response, "id", turn.response_id)
    turn.model = get(response, "model", turn.model)
    turn.created_at = get(response, "created_at", turn.created_at)
    turn.service_tier = get(response, "service_tier", turn.service_tier)
    usage = get(response, "usage")
    if usage is not None:
        trace.set_usage(turn, usage_of(usage))


def usage_of(usage: Any) -> dict[str, int]:
    """Read a `Usage` or `ResponseUsage` as the five counts of a `Turn`."""
    read, written = count(usage, "input_tokens"), count(usage, "output_tokens")
    return {
        "input": read,
        "cached": count(get(usage, "input_tokens_details"), "cached_tokens"),
        "output": written,
        "reasoning": count(get(usage, "output_tokens_details"), "reasoning_tokens"),
        "total": count(usage, "total_tokens") or read + written,
    }


def _ended(trace: TraceState, data: Any, t: float) -> None:
    response = get(data, "response")
    turn = open_turn(trace)
    _describe(trace, turn, response)
    output = list(get(response, "output", []) or ())
    positions = trace.places.match(output)
    if output and data.type == "response.completed":
        _give_up_others(trace, {*positions}, t)
    for position, item in zip(positions, output, strict=True):
        whole_item(trace, item, position, t)
    status = STATUSES.get(data.type.removeprefix("response."), "incomplete")
    problem = get(get(response, "error"), "message")
    trace.close_turn(t, status, problem or get(get(response, "incomplete_details"), "reason"))


def _give_up_others(trace: TraceState, positions: set[int], t: float) -> None:
    """Give up what was streamed and is not in the answer: the run goes by the answer."""
    for position, parts in trace.places.parts.items():
        for part in parts if position not in positions else ():
            if part.index in trace.unclaimed:
                trace.supersede(part, t)


def _error(trace: TraceState, data: Any, t: float) -> None:
    open_turn(trace)
    trace.close_turn(t, "failed", get(data, "message"))


def _item_added(trace: TraceState, data: Any, t: float) -> Part | None:
    item = get(data, "item")
    turn = open_turn(trace)
    item_type = get(item, "type", "unknown")
    index = get(data, "output_index", 0)
    trace.forget_slots(index)
    position = trace.places.begin(index)
    if item_type in LATE:
        return None
    if item_type == "tool_search_output" and (call := last_search(trace)) is not None:
        return call  # its whole item will be the call's output
    if turn.first_token is None:
        turn.first_token = t
    return begin(trace, item, item_type, position, t)


def _item_done(trace: TraceState, data: Any, t: float) -> Part | None:
    open_turn(trace)
    item = get(data, "item")
    return whole_item(trace, item, trace.places.settle(item, get(data, "output_index", 0)), t)


def _annotation(trace: TraceState, data: Any, t: float) -> Part:
    part = _slot(trace, "text", data, t, "text", "message")
    part.annotations.append(get(data, "annotation"))
    trace.touch(part)
    return part


def _partial_image(trace: TraceState, data: Any, t: float) -> Part | None:
    part = _hosted(trace, data, t)
    if part is not None:
        part.image = get(data, "partial_image_b64")
        trace.touch(part)
    return part


def _hosted(trace: TraceState, data: Any, _t: float) -> Part | None:
    """Note a step of a hosted tool; the kind of step is the last word of the event's type."""
    open_turn(trace)
    part = trace.places.call_at(get(data, "output_index", 0))
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

RAW: dict[str, Callable[[TraceState, Any, float], Part | None]] = {
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
