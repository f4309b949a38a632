"""The timeline in characters, for terminals and for the text of a saved notebook."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from ..._utils.printable import printable_line
from .lanes import MOST_LANES, Bar, Lane, Metric, arrange, lanes_of
from .scale import Scale, length_label
from .spans import Span, spans
from .svg import summary, title_of

if TYPE_CHECKING:
    from ..trace import Trace

_WIDTH = 96
_GUTTER = 22
_CROSS = "\u00d7"
_FILL = {"model": "█", "tool": "▒", "hosted": "▒", "guardrail": "◆", "approval": "·"}
_LEGEND = (
    ("model", "░ model up to its first token  █ writing"),
    ("tool", "▒ tool"),
    ("hosted", "▒ hosted tool"),
    ("guardrail", "◆ guardrail"),
    ("approval", "· waits for approval"),
    ("retry", f"{_CROSS} tried again"),
    ("handoff", "▶ handed over to"),
)


def plain_timeline(trace: Trace, title: str | None = None) -> str:
    """Draw a run with characters, at most 96 columns wide."""
    all_spans = spans(trace)
    run = all_spans[0]
    busy = [
        (span.started, span.ended)
        for span in all_spans
        if span.kind in ("model", "retry", "tool", "hosted", "guardrail")
    ]
    scale = Scale(run.started, run.ended, 0, _WIDTH - _GUTTER - 1, busy)
    head = f"{title or title_of(trace)} ({trace.status}):"
    lines = [*_wrap([head, *summary(trace).split(" · ")], " · ", 0), _axis(scale)]
    lines[0] = lines[0].replace(": · ", ": ", 1)
    arrivals = _arrivals(all_spans, scale)
    retries: dict[str | None, list[tuple[int, int]]] = {}
    for span in all_spans:
        if span.kind == "retry":
            when = (round(scale(span.started)), round(scale(span.ended)))
            retries.setdefault(span.agent, []).append(when)
    lanes = lanes_of(all_spans)
    for lane in lanes[:MOST_LANES]:
        markers = arrivals.get(lane.agent, []), retries.get(lane.agent, [])
        lines += _lane(lane, scale, *markers)
    if len(lanes) > MOST_LANES:
        lines.append(f"and {len(lanes) - MOST_LANES} more agents")
    for span in all_spans:
        if span.kind in ("stop", "error") and not span.depth:
            text_line = f"{span.name} at {length_label(span.started)}"
            text_line += f": {' '.join(span.detail.split())}" if span.detail else ""
            lines.append(" " * _GUTTER + text_line)
    kinds = {span.kind for span in all_spans}
    lines += _wrap([text for kind, text in _LEGEND if kind in kinds], "  ", _GUTTER)
    return "\n".join(_fit(printable_line(line), _WIDTH).rstrip() for line in lines)


def _wrap(items: list[str], gap: str, indent: int) -> list[str]:
    lines: list[str] = []
    for word in items:
        if lines and len(lines[-1] + gap + word) <= _WIDTH:
            lines[-1] += gap + word
        else:
            lines.append(" " * indent + word)
    return lines


def _axis(scale: Scale) -> str:
    canvas = [" "] * (_WIDTH - _GUTTER)
    free = 0
    for at, label in scale.ticks(11):
        start = min(round(at), len(canvas) - len(label))
        if start >= free:
            _write(canvas, start, label)
            free = start + len(label) + 1
    return " " * _GUTTER + "".join(canvas)


def _arrivals(all_spans: list[Span], scale: Scale) -> dict[str, list[int]]:
    arrivals: dict[str, list[int]] = {}
    for span in all_spans:
        if span.kind == "handoff" and span.target is not None:
            arrivals.setdefault(span.target, []).append(round(scale(span.started)))
    return arrivals


def _lane(
    lane: Lane, scale: Scale, arrivals: list[int], retries: list[tuple[int, int]]
) -> list[str]:
    metric = Metric(_columns, least=1.0, gap=0.5, pad=1.0)
    arrange(lane, scale, metric, [0.0, _WIDTH - _GUTTER + metric.pad])
    lines = []
    name = "  " * (len(lane.key) - 1) + lane.agent
    for row in lane.rows:
        canvas = [" "] * (_WIDTH - _GUTTER)
        for bar in row.bars:
            _bar(canvas, bar, scale)
        first = row.group == "model" and name
        if first:
            for at in arrivals:
                _write(canvas, max(at - 1, 0), "▶")
            for start, end in retries:
                _write(canvas, start, _CROSS + "·" * (end - start - 1))
        front = name if first else "  " * len(lane.key) + row.name
        lines.append(f"{_fit(front, _GUTTER - 2)}  {''.join(canvas)}")
        name = "" if first else name
    return lines


def _bar(canvas: list[str], bar: Bar, scale: Scale) -> None:
    left, right = round(bar.left), max(round(bar.right), round(bar.left) + 1)
    fill = _FILL[bar.kind]
    _write(canvas, left, fill * (right - left))
    span = bar.spans[0]
    if bar.kind == "model" and len(bar.spans) == 1:
        first = right if bar.waited else left
        if span.mark is not None:
            first = round(scale(span.mark))
        _write(canvas, left, "░" * (first - left))
    if bar.broken:
        _write(canvas, right - 1, _CROSS)
    if bar.kind != "model" and bar.label:
        _write(canvas, round(bar.label_at), bar.label)


def _write(canvas: list[str], start: int, text: str) -> None:
    for offset, letter in enumerate(text):
        if 0 <= start + offset < len(canvas):
            canvas[start + offset] = letter


def _columns(text: str) -> float:
    return float(sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text))


def _fit(text: str, width: int) -> str:
    return text[: width - 1] + "…" if len(text) > width else text.ljust(width)
