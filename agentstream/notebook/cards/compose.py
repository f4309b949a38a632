"""A part as a card, and the run of a nested agent inside one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ...trace.parts import Part
from ...trace.text import Text
from ..markdown.sanitise import escape
from .banner import ending, retry_note, speaker
from .bodies import body_of
from .prose import LONGEST_TEXT, prose
from .shell import Body, label_of, line, shell
from .values import LIMIT, more, one_line

if TYPE_CHECKING:
    from ...trace.state import TraceState

__all__ = ["card", "run_body"]

_PROSE = frozenset({"text", "refusal", "reasoning"})
_GROWING = '<pre class="as-arguments" dir="ltr"><code><span class="as-tail"></span></code></pre>'
_DEEPEST = 6
_MOST_PARTS = 500
_ALL_CALLS = 1_000_000
_ALL_TEXTS = 600_000
_LARGEST = 8_000_000


def card(
    part: Part,
    *,
    live: bool = True,
    nested: bool = True,
    limit: int = LIMIT,
    now: float | None = None,
    writing: bool = False,
) -> str:
    """Show a part: a call as a card, a text as a block.

    Parameters
    ----------
    part : Part
        Any part of a trace.
    live : bool
        Whether a person can act on it: then a waiting call has its buttons, and a working one is
        unfolded.
    nested : bool
        Whether the run of an agent that works as this tool is shown inside. False leaves an empty
        ``<div class="as-nested">`` for it.
    limit : int
        Characters of one value that are shown.
    now : float, optional
        Seconds since the start of the run, for clocks that nothing ticks.
    writing : bool
        Whether its arguments are still written: inside is a place for text that grows.
    """
    if writing:
        body = body_of(replace(part, input=Text()), limit)
        return shell(part, replace(body, html=body.html + _GROWING), live=live, now=now)
    return _card(part, live=live, nested=nested, limit=limit, now=now, depth=0)


def run_body(trace: TraceState, *, live: bool = False) -> str:
    """Show all parts of a run in order, with a line at each change of agent."""
    calls = sum(part.kind not in _PROSE for part in trace.parts) or 1
    limit = max(500, min(LIMIT, _ALL_CALLS // calls))
    return "".join(_parts(trace, live=live, limit=limit, depth=0))


def _nested(trace: TraceState, *, live: bool, limit: int, depth: int) -> str:
    if depth >= _DEEPEST:
        return more(len(trace.parts), "nested part")
    body = "".join(_parts(trace, live=live, limit=max(limit // 2, 500), depth=depth + 1))
    return body + ending(trace)


def _parts(trace: TraceState, *, live: bool, limit: int, depth: int) -> Iterator[str]:
    """Show a run's parts; when the page has become large, calls are one line each."""
    several = len(trace.agents) > 1 or depth > 0
    agent: str | None = None
    retries = list(trace.retries)
    size, left = 0, _ALL_TEXTS
    for part in trace.parts[:_MOST_PARTS]:
        while retries and retries[0].time <= part.started and retries[0].turn <= (part.turn or 0):
            yield retry_note(retries.pop(0))
        if part.status == "superseded":
            continue
        if several and part.agent is not None and part.agent != agent:
            agent = part.agent
            yield speaker(agent)
        if part.kind in _PROSE:
            yield prose(part, max(min(LONGEST_TEXT, left), 1_000))
            left -= part.body.length
            continue
        html = _card(part, live=live, nested=True, limit=limit, now=None, depth=depth)
        if size + len(html) > _LARGEST >> depth:
            html = shell(part, Body(more(len(html), "character of HTML")), live=live)
        size += len(html)
        yield html
    yield from map(retry_note, retries)
    yield more(len(trace.parts) - _MOST_PARTS, "part")


def _card(
    part: Part, *, live: bool, nested: bool, limit: int, now: float | None, depth: int
) -> str:
    if part.kind in _PROSE:
        return prose(part)
    if part.kind == "compaction":
        word = "Compacting the conversation …" if part.is_open else "Conversation compacted"
        return line(part, f"<em>{word}</em>")
    body = body_of(part, limit)
    if part.kind == "handoff" and not body.html and part.error is None:
        name = f"<strong><bdi>{escape(one_line(label_of(part), 80))}</bdi></strong>"
        return line(part, f"Handed over to {name}" if part.target else f"Handing over to {name}")
    if part.nested is not None:
        inside = ""
        if nested:
            inside = _nested(part.nested, live=live, limit=limit, depth=depth)
        inner = f'<div class="as-nested" role="group" aria-label="Nested run">{inside}</div>'
        body = replace(body, html=inner + body.html)
    return shell(part, body, live=live, now=now)
