"""How a `Trace` forgets what a guardrail refuses: an answer, or an output and what led to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .parts import Part
    from .state import TraceState


def withhold_output(trace: TraceState, event: Any, _t: float) -> Part | None:
    """Fold the mark of an output that is withheld: of the last call with its id, or the answer."""
    if event.call_id is None:
        return _withhold_answer(trace, event.message)
    part = trace.index.last_call(event.call_id)
    if part is not None:
        _withhold(part, event.message)
        trace.touch(part)
    return part


def _withhold_answer(trace: TraceState, message: str) -> Part | None:
    """Put `message` in the place of what the model has said in its last call."""
    last = len(trace.turns)
    answer = None
    for part in reversed(trace.parts):
        if part.turn is not None and part.turn < last:
            break
        if part.kind in ("text", "reasoning", "refusal"):
            _forget_text(part, message)
            trace.touch(part)
            answer = part
    return answer


def _forget_text(part: Part, message: str) -> None:
    for text, instead in ((part.body, message), (part.input, "")):
        if text:
            text.replace(instead)
            part.rewrites += 1
    part.item, part.annotations = None, []


def _withhold(part: Part, message: str) -> None:
    """Put `message` in the place of what a tool gave; what it was asked stays."""
    part.output = part.model_output = message
    part.has_output = True
    part.display, part.printed, part.progress, part.image = [], [], None, None
    part.error = message if part.error else part.error
    part.traceback = None
    if part.nested is not None:
        _withhold_run(part.nested, message)


def _withhold_run(trace: TraceState, message: str) -> None:
    """Forget what the agent said that ran as the tool, what it asked of tools, and their outputs.

    What took how long, and how many tokens it cost, stays.
    """
    for part in trace.parts:
        _forget_text(part, message)
        had_output = part.has_output
        _withhold(part, message)
        if not had_output:
            part.output, part.model_output, part.has_output = None, None, False
        trace.touch(part)
    trace.error = message if trace.error else trace.error
    for turn in trace.turns:
        turn.error = message if turn.error else turn.error
    trace.touch()
