"""What frames a run: its header, the lines at a change of agent, its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...trace.timeline.scale import length_label, running_label
from ..markdown.sanitise import escape
from .values import one_line

if TYPE_CHECKING:
    from ...trace.parts import Retry, Silence, Turn
    from ...trace.state import TraceState

__all__ = ["ending", "header", "retried", "retry_note", "speaker"]

_CHARACTERS_A_TOKEN = 4
# A rate over less is made of noise.
_SHORTEST = 0.02
_STATES = {
    "running": "running",
    "paused": "waiting for approval",
    "completed": "done",
    "cancelled": "stopped",
    "failed": "failed",
}


def header(trace: TraceState, *, live: bool) -> str:
    """Show who is at work, and with what effort.

    While the run is `live`, the clock ticks and there is a Stop button.
    """
    inside = header_inside(trace, live=live)
    stop = (
        f' <button type="button" class="as-stop">{STOP}</button>' if can_stop(trace, live) else ""
    )
    attributes = "".join(f' {name}="{value}"' for name, value in header_attributes(trace).items())
    return f"<div{attributes}>{inside}{stop}</div>"


STOP = "Stop"
"""What the button says that stops the run."""


def is_live(trace: TraceState, live: bool) -> bool:
    """Whether the run goes on before somebody's eyes."""
    return live and trace.status == "running"


def can_stop(trace: TraceState, live: bool) -> bool:
    """Whether there is a run to stop: also one that waits for an approval."""
    return live and trace.status in ("running", "paused")


def header_attributes(trace: TraceState) -> dict[str, str]:
    """The attributes of the header's element."""
    status = trace.status
    css = f"as-header as-is-{status}"
    return {"class": css, "data-status": status, "role": "group", "aria-label": "Run"}


def header_inside(trace: TraceState, *, live: bool) -> str:
    """The header without its button, which a page must not make again with each number."""
    ticks, live = can_stop(trace, live), is_live(trace, live)
    fields = [
        ("agent", f"<strong>{_agents(trace, live=live)}</strong>"),
        ("model", escape(_model(trace, live=live))),
        ("turn", _turns(trace, live=live)),
        ("clock", _elapsed(trace, live=ticks)),
        ("tokens", _tokens(trace, live=live)),
        ("rate", _rate(trace, live=live)),
    ]
    # The time that a run waits for an approval counts, as it does in its timeline.
    since = f' role="timer" data-since="{trace.started:.3f}"' if ticks else ""
    joined = '<span class="as-sep"> · </span>'.join(
        f'<span class="as-{kind}"{since if kind == "clock" else ""}>{html}</span>'
        for kind, html in fields
        if html and html != "<strong></strong>"
    )
    state = f'<span class="as-state">{_STATES[trace.status]}</span><span class="as-sep"> · </span>'
    return state + joined


def _agents(trace: TraceState, *, live: bool) -> str:
    if live or len(trace.agent_intervals) < 2:
        return f"<bdi>{escape(one_line(trace.agent or '', 60))}</bdi>" if trace.agent else ""
    names = [f"<bdi>{escape(one_line(name, 40))}</bdi>" for _, name in trace.agent_intervals[:5]]
    rest = [f"{len(trace.agent_intervals) - 5} more"] if len(trace.agent_intervals) > 5 else []
    return " → ".join(names + rest)


def _model(trace: TraceState, *, live: bool) -> str:
    if live:
        return next((one_line(turn.model, 40) for turn in reversed(trace.turns) if turn.model), "")
    models = list(dict.fromkeys(turn.model for turn in trace.turns if turn.model))
    first = models[:3]
    return ", ".join(one_line(model, 40) for model in first) + " …" * (len(models) > 3)


def _turns(trace: TraceState, *, live: bool) -> str:
    count = len(trace.turns)
    if not count:
        return ""
    return f"turn {count}" if live else f"{count} turn{'s' * (count != 1)}"


def _elapsed(trace: TraceState, *, live: bool) -> str:
    end = trace.now if trace.ended is None else trace.ended
    if not trace.timed or end <= trace.started:
        return ""
    return (running_label if live else length_label)(end - trace.started)


def _tokens(trace: TraceState, *, live: bool) -> str:
    used = trace.usage
    pending = _open_tokens(trace) if live else 0
    if not used["total"] and not pending:
        return ""
    about = "≈ " if pending else ""
    written = f"{about}{used['output'] + pending:,}"
    if not used["input"]:  # the provider tells at the end of a call
        return f"{written} tokens out"
    cached = f" ({used['cached']:,} cached)" if used["cached"] else ""
    return f"{used['input']:,} tokens in{cached}, {written} out"


def _open_tokens(trace: TraceState) -> int:
    """Estimate what the open model call wrote: the provider tells only at its end."""
    turn = trace.turn
    if turn is None or turn.usage is not None:
        return 0
    characters = 0
    for part in reversed(trace.parts):
        if part.turn != turn.index:
            break
        characters += part.body.length + part.input.length
    return -(-characters // _CHARACTERS_A_TOKEN)


def _rate(trace: TraceState, *, live: bool) -> str:
    """Return how fast the model writes: of the open call, else of all."""
    if not trace.timed:
        return ""
    turn = trace.turn
    if live and turn is not None:
        begin = turn.first_token
        pending = _open_tokens(trace)
        if begin is None or not pending or trace.now - begin < 5 * _SHORTEST:
            return ""
        return f"≈ {_number(pending / (trace.now - begin))} tokens/s"
    written, seconds = 0.0, 0.0
    for one in trace.turns:
        tokens, took = _pace(one)
        written, seconds = written + tokens, seconds + took
    return f"{_number(written / seconds)} tokens/s" if seconds >= _SHORTEST and written else ""


def _pace(turn: Turn) -> tuple[float, float]:
    """Return the tokens a model call wrote while it could be watched, and for how long."""
    if turn.usage is None or turn.first_token is None or turn.ended is None:
        return 0.0, 0.0
    took = turn.ended - turn.first_token
    hidden = 0 if turn.has_reasoning else turn.usage["reasoning"]
    return (turn.usage["output"] - hidden, took) if took >= _SHORTEST else (0.0, 0.0)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def speaker(name: str) -> str:
    """Show who speaks from here on."""
    return f'<div class="as-speaker"><strong><bdi>{escape(one_line(name, 80))}</bdi></strong></div>'


def retry_note(retry: Retry) -> str:
    """Say that a model call failed and is made again."""
    text = escape(retried(retry))
    return f'<p class="as-note as-retry" role="status" dir="auto"><em>{text}</em></p>'


def retried(retry: Retry) -> str:
    """Say what a retry is, plain text."""
    reason = f": {one_line(retry.error, 300)}" if retry.error else ""
    wait = f" after {length_label(retry.delay)}" if retry.delay > 0 else ""
    if retry.resumed:
        return f"The model's stream broke off{reason}. Read on from there{wait}."
    again = f"The model call failed{reason}. Tried again{wait}."
    if retry.lost:
        again += f" The {retry.lost:,} characters that it had written are replaced."
    return again


def ending(trace: TraceState, *, reason: bool = True) -> str:
    """Say how a run ended: stopped, failed, waiting; empty if it is complete or goes on.

    While it goes on: that the model has been silent for a while. Without the `reason` of a failure
    where that stands below, in a traceback.
    """
    if trace.status == "failed":
        kind, message = kind_and_message(trace.error or "")
        return _failed(kind, message if reason else "")
    if trace.status == "running" and trace.silence is not None:
        return _waiting(trace.silence)
    if trace.status == "cancelled" and trace.error:
        # Of a run that a person stopped the header says so, and when.
        return _line("stopped", f"<strong>Stopped</strong>: {escape(one_line(trace.error, 500))}")
    if trace.status == "paused":
        names = [one_line(part.name or part.kind, 60) for part in trace.waiting]
        names_html = ", ".join(f"<code>{escape(name)}</code>" for name in names[:10])
        over = f" and {len(names) - 10} more" if len(names) > 10 else ""
        return _line(
            "paused",
            f"<strong>Waiting for approval</strong> of {names_html}{over}"
            if names
            else "<strong>Waiting for approval</strong>",
        )
    last = trace.turns[-1] if trace.turns else None
    if trace.status == "completed" and last is not None and last.status == "incomplete":
        why = f": {escape(one_line(last.error, 200))}" if last.error else ""
        return _line("incomplete", f"<strong>The model's answer is incomplete</strong>{why}")
    return ""


def _waiting(silence: Silence) -> str:
    """Say that the model is silent, with a clock that ticks on the page."""
    clock_html = f'<span class="as-clock" role="timer" data-since="{silence.started:.3f}"></span>'
    if silence.reason:
        why = escape(one_line(silence.reason, 200))
        return _line("waiting", f"Waiting for the rate limit, {clock_html}: {why}")
    limit = "" if silence.limit is None else f" (given up after {length_label(silence.limit)})"
    return _line("waiting", f"Waiting for the model, {clock_html}{limit}")


def kind_and_message(error: str) -> tuple[str, str]:
    """The class of the error that a run failed with, empty where it is not known, and its message.

    The loop writes "Type: message"; another source may tell a message alone.
    """
    kind, colon, message = error.partition(": ")
    return (kind, message) if colon and kind.isidentifier() else ("", error)


def _failed(kind: str, message: str) -> str:
    excerpt = message[:2_000] + ("…" if len(message) > 2_000 else "")
    html = f"<strong>{escape(one_line(kind or 'Failed', 80))}</strong>"
    html += f': <span class="as-message" dir="auto">{escape(excerpt)}</span>' if excerpt else ""
    return _line("failed", html, role="alert")


def _line(kind: str, html: str, role: str = "status") -> str:
    return f'<div class="as-ending as-{kind}" role="{role}">{html}</div>'
