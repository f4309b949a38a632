"""How the marks of a run change a `Trace`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..parts import Guardrail, Part, Retry, Silence, get
from ..withheld import withhold_output
from .run_items import request_approval, waiting_call
from .stream_events import usage_of

if TYPE_CHECKING:
    from ..state import TraceState


def _run_started(trace: TraceState, event: Any, _t: float) -> None:
    trace.status, trace.error, trace.ended = "running", None, None
    trace.input = event.input if event.input is not None else trace.input
    trace.question = get(event, "question") or trace.question
    if event.agent is not None:
        trace.set_agent(event.agent)
    trace.touch()


def _model_called(trace: TraceState, event: Any, t: float) -> None:
    if event.agent is not None:
        trace.set_agent(event.agent)
    if trace.turn is not None and trace.turn.response_id is not None:
        trace.close_turn(t, "failed")
    turn = trace.open_turn(t)
    turn.model = event.model or turn.model
    trace.touch()


def _model_answered(trace: TraceState, event: Any, t: float) -> None:
    turn = trace.open_turn(t)
    turn.response_id, turn.whole, turn.first_token = event.response_id, True, None
    trace.set_usage(turn, usage_of(event.usage) if event.usage is not None else None)
    trace.close_turn(t, "completed")


def _model_retried(trace: TraceState, event: Any, t: float) -> None:
    """Note a failed attempt: the turn stays open; what the attempt wrote is superseded."""
    if trace.turn is None and trace.turns and trace.turns[-1].status != "completed":
        # The attempt's last event told of its failure, and closed the turn.
        trace.turn = turn = trace.turns[-1]
        turn.ended, turn.status, turn.error = None, "in_progress", None
    turn = trace.open_turn(t)
    _end_silence(trace, t)
    resumed = get(event, "resumed", False)
    lost = 0 if resumed else trace.drop_attempt(t)
    trace.retries.append(
        Retry(t, turn.index, event.attempt, event.delay, event.error, resumed=resumed, lost=lost)
    )
    if not resumed:
        turn.response_id = turn.first_token = None
    trace.touch()


def _stream_stalled(trace: TraceState, event: Any, t: float) -> None:
    turn = trace.open_turn(t)
    silence, reason = trace.silence, get(event, "reason", "") or ""
    if silence is not None and silence.reason and reason:
        silence.reason = reason  # it waits for something else now
    else:
        started = max(t - event.seconds, turn.started)
        trace.silences.append(Silence(started, turn.index, event.limit, reason=reason))
    trace.touch()


def _stream_recovered(trace: TraceState, _event: Any, t: float) -> None:
    _end_silence(trace, t)
    trace.touch()


def _end_silence(trace: TraceState, t: float) -> None:
    silence = trace.silence
    if silence is not None:
        silence.ended = t


def _tool_started(trace: TraceState, event: Any, t: float) -> Part:
    part = trace.find_call(event.call_id, name=event.name, t=t)
    part.run_started = t
    trace.go_on(part, "running")
    trace.touch(part)
    return part


def _tool_progressed(trace: TraceState, event: Any, t: float) -> Part:
    part = trace.find_call(event.call_id, t=t)
    part.progress = (event.message, event.fraction)
    trace.touch(part)
    return part


def _tool_warned(trace: TraceState, event: Any, t: float) -> Part:
    part = trace.find_call(event.call_id, t=t)
    part.warnings.append(event.message)
    trace.touch(part)
    return part


def _tool_displayed(trace: TraceState, event: Any, t: float) -> Part:
    part = trace.find_call(event.call_id, t=t)
    if event.clears:
        part.printed = []
    for block in event.blocks:
        last = part.printed[-1] if part.printed else {}
        if block.get("type") == "stream" and last.get("name") == block.get("name"):
            last["text"] = f"{last.get('text')}{block.get('text')}"
            continue
        name = block.get("id")
        positions = (at for at, one in enumerate(part.printed) if name and one.get("id") == name)
        at = next(positions, len(part.printed))
        part.printed[at : at + 1] = [dict(block)]
    trace.touch(part)
    return part


def _tool_finished(trace: TraceState, event: Any, t: float) -> Part:
    part = trace.find_call(event.call_id, t=t)
    part.error, part.traceback = event.error, get(event, "traceback")
    if event.output is not None and not part.has_output:
        # The item with the output comes when all calls of the turn have ended.
        part.output, part.has_output, part.display = event.output, True, get(event, "display")
    if part.is_open:
        trace.end_part(part, t, "completed" if event.error is None else "failed")
    trace.touch(part)
    return part


def _guardrail_started(trace: TraceState, event: Any, t: float) -> None:
    agent = event.agent or trace.agent
    guardrail = Guardrail(event.name, event.stage, agent, t, call_id=event.call_id)
    trace.guardrails.append(guardrail)
    trace.open_guardrails[event.name, event.stage, event.call_id].append(guardrail)
    trace.touch()


def _guardrail_finished(trace: TraceState, event: Any, t: float) -> None:
    begun = trace.open_guardrails[event.name, event.stage, event.call_id]
    if begun:
        guardrail = begun.popleft()
    else:
        guardrail = Guardrail(
            event.name, event.stage, event.agent or trace.agent, t, call_id=event.call_id
        )
        trace.guardrails.append(guardrail)
    guardrail.ended, guardrail.tripped = t, event.tripped
    trace.touch()


def _approval_requested(trace: TraceState, event: Any, t: float) -> Part:
    part = waiting_call(trace, event.call_id, event.name, t)
    if not part.input and event.arguments:
        part.input.append(event.arguments)
    return request_approval(trace, part, t, event.approval_id)


def _approval_decided(trace: TraceState, event: Any, t: float) -> Part:
    part = trace.approval_parts.get(event.approval_id) if event.approval_id else None
    if part is None or part.approval is None or part.approval.id != event.approval_id:
        part = waiting_call(trace, event.call_id, None, t)
    if part.approval is None:
        request_approval(trace, part, t)
    assert part.approval is not None
    part.approval.decided, part.approval.approved = t, event.approved
    if event.approved:
        trace.go_on(part, "running")
    else:
        part.status, part.ended = "rejected", t
    trace.touch(part)
    return part


def _cancelled(trace: TraceState, event: Any, t: float) -> None:
    trace.finish(t, "cancelled", event.reason)


def _failed(trace: TraceState, event: Any, t: float) -> None:
    trace.finish(t, "failed", event.error)


def _finished(trace: TraceState, _event: Any, t: float) -> None:
    if trace.status == "running":
        trace.finish(t, "completed")


def _nested(trace: TraceState, event: Any, t: float) -> Part:
    """Fold an event of an agent that runs as a tool into the trace of that tool's part."""
    first, *rest = event.path
    part = trace.find_call(first, t=t)
    if part.nested is None:
        part.nested = type(trace)(part.name)
        part.nested.sequence = trace.sequence
        part.nested.started = part.nested.now = t
    before = part.nested.spent
    part.nested.add(type(event)(tuple(rest), event.event) if rest else event.event, t)
    if part.nested.spent is not before:
        trace.spend(part.nested.spent, instead_of=before)
    trace.touch(part)
    return part


LIFECYCLE_FOLDS: dict[str, Callable[[TraceState, Any, float], Part | None]] = {
    "mark.run_started": _run_started,
    "mark.model_called": _model_called,
    "mark.model_answered": _model_answered,
    "mark.model_retried": _model_retried,
    "mark.model_silent": _stream_stalled,
    "mark.model_heard": _stream_recovered,
    "mark.tool_started": _tool_started,
    "mark.tool_progressed": _tool_progressed,
    "mark.tool_warned": _tool_warned,
    "mark.tool_displayed": _tool_displayed,
    "mark.tool_finished": _tool_finished,
    "mark.output_withheld": withhold_output,
    "mark.guardrail_started": _guardrail_started,
    "mark.guardrail_finished": _guardrail_finished,
    "mark.approval_requested": _approval_requested,
    "mark.approval_decided": _approval_decided,
    "mark.run_cancelled": _cancelled,
    "mark.run_failed": _failed,
    "mark.run_finished": _finished,
    "mark.nested": _nested,
}
"""What each mark does; it returns the part it changed."""
