"""The shell of a card: name, state, clock; progress and approval inside it."""

from __future__ import annotations

from dataclasses import dataclass

from ...trace.parts import Part
from ...trace.timeline.scale import length_label, running_label
from ..markdown.sanitise import escape
from .values import one_line

__all__ = ["Body", "clock", "kind_label", "label_of", "line", "shell", "state_of"]

_LABELS = {
    "tool": "Tool",
    "handoff": "Handoff",
    "web_search": "Web search",
    "file_search": "File search",
    "code_interpreter": "Code",
    "image_generation": "Image",
    "mcp_call": "MCP",
    "mcp_list_tools": "MCP tools",
    "mcp_approval": "MCP approval",
    "tool_search": "Tool search",
    "computer": "Computer",
    "shell": "Shell",
    "apply_patch": "Patch",
    "compaction": "Compaction",
    "custom": "Item",
}
_NAMED = frozenset({"tool", "mcp_call", "mcp_list_tools", "mcp_approval", "custom"})
_STATES = {
    "in_progress": "working",
    "running": "running",
    "awaiting_approval": "waiting for approval",
    "completed": "done",
    "incomplete": "incomplete",
    "failed": "failed",
    "cancelled": "stopped",
    "rejected": "rejected",
    "superseded": "replaced",
}
_LONGEST_ID = 1_000  # ours have 32 characters; a recording may hold anything
_WRITTEN = frozenset({"tool", "mcp_call", "code_interpreter", "handoff"})


@dataclass(frozen=True, slots=True)
class Body:
    """What a kind of part shows.

    Attributes
    ----------
    html
        Inside the card.
    asked, got
        Plain text: what was asked and what came, in a few words.
    unfold
        Whether a finished card stays open: nobody should have to look for an image.
    """

    html: str
    brief_input: str = ""
    brief_output: str = ""
    unfold: bool = False


def kind_label(part: Part) -> str:
    """Return what kind of card it is, in words."""
    return _LABELS.get(part.kind, "Item")


def label_of(part: Part) -> str:
    """Return the card's name, plain text; hosted tools have none beside their kind."""
    if part.kind == "handoff":
        return part.target or (part.name or "").removeprefix("transfer_to_")
    return part.name or part.item_type if part.kind in _NAMED else ""


def state_of(part: Part) -> str:
    """Return what a part is doing, in a word or two, plain text."""
    if part.status == "in_progress":
        if part.stage and part.stage not in ("in_progress", "completed"):
            return one_line(part.stage, 40)
        if part.kind in _WRITTEN and part.called is None:
            return "writing"
    return _STATES.get(part.status, "working")


def clock(part: Part, now: float | None = None) -> str:
    """Return the card's clock: it ticks on the page while the part is open, then tells the time."""
    if part.is_open:
        begin = part.called if part.called is not None else part.started
        begin = part.run_started if part.run_started is not None else begin
        text = "" if now is None else running_label(now - begin)
        return f'<span class="as-clock" role="timer" data-since="{begin:.3f}">{text}</span>'
    took = duration(part)
    text = length_label(took) if took > 0 else ""
    return f'<span class="as-clock">{text}</span>'


def duration(part: Part) -> float:
    """Return how long a call's work took; without its writing, where that can be told."""
    begin = part.started
    if part.kind in ("tool", "computer", "shell", "apply_patch"):
        begin = part.called if part.called is not None else begin
        begin = part.run_started if part.run_started is not None else begin
    return max((part.ended or begin) - begin, 0.0)


def shell(part: Part, body: Body, *, live: bool, now: float | None = None) -> str:
    """Wrap a body into its card."""
    kind, name, state = kind_label(part), label_of(part), state_of(part)
    inside = body.html + _warnings(part) + _error(part) + _traceback(part) + _progress(part)
    inside += _approval(part, live=live)
    label = escape(one_line(f"{kind} {name}".strip(), 120) + f": {state}")
    opened = " open" if (live and part.is_open) or _is_urgent(part) or body.unfold else ""
    what = part.kind if part.kind in _LABELS else "custom"
    summary = f'<span class="as-kind">{kind}</span>'
    summary += f' <strong class="as-name" dir="auto">{escape(one_line(name, 80))}</strong>' * bool(
        name
    )
    summary += _brief(body)
    summary += f'<span class="as-sep"> · </span><span class="as-state">{escape(state)}</span>'
    summary += f'<span class="as-sep"> </span>{clock(part, now)}'
    head = f'class="as-card as-{what} as-is-{part.status}" data-status="{part.status}"'
    if not inside:
        row = f'<div class="as-row">{summary}</div>'
        return f'<div {head} role="group" aria-label="{label}">{row}</div>'
    return (
        f'<details {head} aria-label="{label}"{opened}><summary>{summary}</summary>'
        f'<div class="as-card-body">{inside}</div></details>'
    )


def _brief(body: Body) -> str:
    if not body.brief_input and not body.brief_output:
        return ""
    input_html = f'<bdi class="as-brief-input">{escape(one_line(body.brief_input, 100))}</bdi>'
    brief_output = f'<bdi class="as-brief-output">{escape(one_line(body.brief_output, 80))}</bdi>'
    html = (f"{input_html} " if body.brief_input else "") + (
        f"→ {brief_output}" if body.brief_output else ""
    )
    return f' <span class="as-brief">{html}</span>'


def line(part: Part, html: str) -> str:
    """A card that is one line: a handoff, a compaction."""
    return (
        f'<div class="as-card as-line as-{part.kind} as-is-{part.status}" '
        f'data-status="{part.status}">{html}</div>'
    )


def _is_urgent(part: Part) -> bool:
    return part.status in ("failed", "awaiting_approval")


def _error(part: Part) -> str:
    if part.error is None:
        return ""
    message = part.error.strip()
    # A tool's failure is an answer for the model, which mostly holds the error's own words.
    if isinstance(part.output, str) and message and message in part.output[:40_000]:
        return ""
    text = escape(message[:4_000] + ("…" if len(message) > 4_000 else ""))
    return f'<div class="as-error" dir="auto"><strong>Failed:</strong> {text}</div>'


def _traceback(part: Part) -> str:
    """The lines of the tool's author that led to its failure, folded."""
    if not part.traceback:
        return ""
    return (
        '<details class="as-fold"><summary>Traceback</summary>'
        f"<pre>{escape(part.traceback)}</pre></details>"
    )


def _warnings(part: Part) -> str:
    lines = (escape(one_line(message, 500)) for message in part.warnings[:10])
    return "".join(f'<p class="as-more" dir="auto">\N{WARNING SIGN} {text}</p>' for text in lines)


def _progress(part: Part) -> str:
    if part.progress is None or not part.is_open:
        return ""
    message, fraction = part.progress
    text = f'<span dir="auto">{escape(one_line(str(message), 200))}</span>' if message else ""
    bar = ""
    if isinstance(fraction, (int, float)) and fraction == fraction:
        percent = round(100 * min(max(float(fraction), 0.0), 1.0))
        bar = f'<progress value="{percent}" max="100" aria-label="Progress">{percent} %</progress> '
    return f'<div class="as-progress">{bar}{text}</div>'


def _approval(part: Part, *, live: bool) -> str:
    if part.status == "awaiting_approval":
        id = part.approval.id if part.approval is not None else None
        # Without an id nobody here can decide: a run of other code, or one that is not paused yet.
        if not live or not id or len(id) > _LONGEST_ID:
            return '<p class="as-approval">Waiting for approval</p>'
        name = escape(one_line(part.name or kind_label(part), 80))
        buttons = "".join(
            f'<button type="button" class="as-{word}" data-approval="{escape(id)}" '
            f'aria-label="{label} {name}">{label}</button>'
            for word, label in (
                ("approve", "Approve"),
                ("always", "Always approve"),
                ("reject", "Reject"),
            )
            if word != "always" or part.kind != "mcp_approval"
        )
        buttons += (
            '<input class="as-reason" type="text" '
            f'placeholder="Reason, if rejected" aria-label="Reason for rejecting {name}">'
        )
        return (
            f'<div class="as-approval" role="group" aria-label="Approval of {name}">'
            f"<span>Allow this call?</span> {buttons}</div>"
        )
    decision = part.approval
    if decision is None or decision.approved is None:
        return ""
    word = "Approved" if decision.approved else "Rejected"
    waited = (decision.decided or decision.requested) - decision.requested
    after = f" after {length_label(waited)}" if waited > 0 else ""
    return f'<p class="as-approval as-decided">{word}{after}</p>'
