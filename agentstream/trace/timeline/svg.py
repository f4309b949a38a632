"""The timeline of a run, drawn."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .lanes import BROKEN, MOST_LANES, Bar, Lane, LaneKey, Metric, arrange, lanes_of
from .scale import Scale, length_label
from .spans import Span, spans
from .svg_writer import Drawing, shorten, text_width

if TYPE_CHECKING:
    from ..trace import Trace

_PAD = 16.0
_GUTTER = 150.0
_INDENT = 14.0
_BAR = {"guardrail": 14.0, "model": 20.0, "hosted": 14.0, "tool": 15.0}
_ROW_GAP = 3.0
_LANE_PAD = 7.0
_SMALL = 10.5

_FILL = {
    "model": ("model", "on-dark"),
    "tool": ("tool", "on-light"),
    "hosted": ("hosted", "on-light"),
    "guardrail": ("guardrail", "on-light"),
    "approval": ("approval", "ink"),
}
_STATUS = {
    "running": ("running", "path"),
    "paused": ("waiting for approval", "approval-edge"),
    "completed": ("completed", "hosted"),
    "cancelled": ("stopped", "error"),
    "failed": ("failed", "error"),
}


def draw(trace: Trace, width: float = 960.0, title: str | None = None, now: float = 0.0) -> Drawing:
    """Draw the timeline of a run, as far as it is told or up to ``now``."""
    return _SvgTimeline(trace, width, title, now).draw()


def summary(trace: Trace, now: float = 0.0) -> str:
    """Return a run in one line: its length, and how much there was of what."""
    end = max(trace.now, now) if trace.ended is None else trace.ended
    length = end - trace.started
    other = ("text", "reasoning", "refusal", "handoff", "compaction")
    own = (part for part in trace.parts if part.status != "superseded")
    tools = sum(part.kind not in other for part in own)
    counts = [
        (len(trace.agents), "agent"),
        (len(trace.turns), "model call"),
        (tools, "tool call"),
        (trace.usage["total"], "token"),
    ]
    counts_text = [f"{count:,} {name}{'s' * (count != 1)}" for count, name in counts if count]
    return " · ".join([length_label(length), *counts_text])


def title_of(trace: Trace) -> str:
    """Return what the run is called: its name, or its agents."""
    return trace.name or ", ".join(trace.agents) or "run"


def hover(bar: Bar) -> str:
    """Return what a pointer over a bar is told."""
    lines = [_hover(span) for span in bar.spans[:12]]
    if len(bar.spans) > 12:
        lines.append(f"and {len(bar.spans) - 12} more")
    return "\n".join(lines)


def _hover(span: Span) -> str:
    name = span.name if span.kind != "model" else f"turn {span.turn}: {span.name}"
    when = f"{span.started:.2f} s to {span.ended:.2f} s ({length_label(span.ended - span.started)})"
    lines = [f"{name}, {span.status.replace('_', ' ')}", when]
    if span.mark is not None:
        lines.append(f"first token after {length_label(max(span.mark - span.started, 0))}")
    if span.detail:
        lines.append(span.detail if len(span.detail) <= 300 else span.detail[:299] + "…")
    return "\n".join(lines)


class _SvgTimeline:
    def __init__(self, trace: Trace, width: float, title: str | None, now: float) -> None:
        self.trace = trace
        self.spans = spans(trace, now)
        self.title = title or title_of(trace)
        self.summary = summary(trace, now)
        self.out = Drawing(width, f"Timeline of {self.title}: {self.summary}, {trace.status}")
        lanes = lanes_of(self.spans)
        self.lanes, self.hidden = lanes[:MOST_LANES], len(lanes[MOST_LANES:])
        self.left = _PAD + _GUTTER
        self.right = width - _PAD
        run = self.spans[0]
        at_work = [
            (span.started, span.ended)
            for span in self.spans
            if span.kind in ("model", "retry", "tool", "hosted", "guardrail")
        ]
        self.scale = Scale(run.started, run.ended, self.left, self.right, at_work)
        self.retries: dict[int, list[Span]] = {}
        """The retries of each model call."""
        for span in self.spans:
            if span.kind == "retry" and span.parent is not None:
                self.retries.setdefault(id(self.spans[span.parent]), []).append(span)
        self.tops: dict[LaneKey, tuple[float, float]] = {}
        """Top and bottom of each lane's model row."""

    def draw(self) -> Drawing:
        metric = Metric(partial(text_width, size=_SMALL))
        arrows = {self.scale(span.started) for span in self.spans if span.kind == "handoff"}
        for lane in self.lanes:
            arrange(lane, self.scale, metric, [self.left, *sorted(arrows), self.right + 4])
        heights = [_height(lane) for lane in self.lanes]
        top = 76.0 + self.header()
        bottom = top + sum(heights) + (18.0 if self.hidden else 0.0)
        legend = self.legend_rows()
        end = [span for span in self.spans if span.kind in ("stop", "error") and not span.depth]
        note = 20.0 if end else 0.0
        self.out.height = bottom + note + 10 + 18.0 * len(legend) + 8
        self.bands(top, heights)
        self.axis(top, bottom)
        at = top
        for lane, height in zip(self.lanes, heights, strict=True):
            self.lane(lane, at)
            at += height
        self.handoffs()
        self.ends(end, top, bottom)
        if self.hidden:
            more = f"and {self.hidden} more agents"
            self.out.text(_PAD, bottom - 5, more, "muted", size=_SMALL)
        self.legend(legend, bottom + note + 22)
        self.out.frame()
        return self.out

    def header(self) -> float:
        """Write title, status and summary; return the height of a second line if it took one."""
        word, color = _STATUS[self.trace.status]
        text = self.summary
        title_width, counted = text_width(word, 11.5), text_width(text, 11.5)
        room = self.right - _PAD - title_width - 30
        beside = room - counted - 14
        one_line = text_width(self.title, 14, bold=True) <= beside
        name = shorten(self.title, beside if one_line else room, 14, bold=True)
        self.out.text(_PAD, 28, name, "ink", size=14, bold=True, title=self.title)
        x = self.right - title_width - (counted + 14 if one_line else 0)
        self.out.text(x, 28, word, "ink", size=11.5)
        self.out.circle(x - 9, 24, 4, color)
        if one_line:
            self.out.text(self.right, 28, text, "muted", size=11.5, anchor="end")
            return 0.0
        text = shorten(text, self.right - _PAD, 11.5)
        self.out.text(_PAD, 47, text, "muted", size=11.5)
        return 19.0

    def bands(self, top: float, heights: list[float]) -> None:
        """Shade every other lane, and each lane where its agent is at work."""
        at = top
        for number, (lane, height) in enumerate(zip(self.lanes, heights, strict=True)):
            if number % 2 == 0:
                self.out.rect(1, at, self.out.width - 2, height, "band")
            for agent_interval in lane.agent_intervals:
                left, right = self.scale(agent_interval.started), self.scale(agent_interval.ended)
                tip = (
                    f"{agent_interval.name} at work\n{_hover(agent_interval).partition(chr(10))[2]}"
                )
                self.out.rect(
                    left, at + 2, max(right - left, 1), height - 4, "stint", radius=3, title=tip
                )
            at += height

    def axis(self, top: float, bottom: float) -> None:
        edge = self.right
        taken = []
        for piece in self.scale.pieces:
            if piece.cut:
                label = length_label(piece.end - piece.start)
                middle, half = (piece.left + piece.right) / 2, text_width(label, _SMALL) / 2
                self.out.text(middle, top - 14, label, "ink", size=_SMALL, anchor="middle")
                taken.append((middle - half - 6, middle + half + 6))
        for x, label in self.scale.ticks(76):
            self.out.line([(x, top - 8), (x, bottom)], "grid")
            half = text_width(label, _SMALL) / 2
            x = min(x, edge - half + 4) if x > self.left + half else x
            if all(x + half < left or x - half > right for left, right in taken):
                self.out.text(x, top - 14, label, "muted", size=_SMALL, anchor="middle")
        self.out.line([(self.left, top - 8), (edge, top - 8)], "edge")
        for piece in self.scale.pieces:
            if piece.cut:
                self.cut(piece.left, piece.right, top, bottom)

    def cut(self, left: float, right: float, top: float, bottom: float) -> None:
        """Show that time was left out: a gap in the axis."""
        self.out.rect(left + 1, top - 9, right - left - 2, 2, "card")
        for x in (left, right):
            self.out.line([(x - 2, top - 4), (x + 2, top - 12)], "muted", width=1.2)
            self.out.line([(x, top - 4), (x, bottom)], "edge", dash="2 4")

    def lane(self, lane: Lane, top: float) -> None:
        indent = _INDENT * (len(lane.key) - 1)
        name = shorten(lane.agent, _GUTTER - indent - 12, 12, bold=True)
        rows = _row_tops(lane, top)
        groups = [row.group for row in lane.rows]
        model = rows[groups.index("model")] if "model" in groups else rows[0]
        self.tops[lane.key] = (model, model + _BAR["model"])
        x = _PAD + indent
        if indent:
            self.out.line([(x - 9, top - 2), (x - 9, model + 10), (x - 3, model + 10)], "muted")
        self.out.text(x, model + 14, name, "ink", size=12, bold=True, title=lane.agent)
        for row, at in zip(lane.rows, rows, strict=True):
            if row.name:
                name = shorten(row.name, _GUTTER - indent - 20, _SMALL)
                self.out.text(x + 10, at + 11, name, "muted", size=_SMALL, title=row.name)
            for bar in row.bars:
                self.bar(bar, at, _BAR[row.group])

    def bar(self, bar: Bar, top: float, height: float) -> None:
        fill, on_fill = _FILL[bar.kind]
        width = bar.right - bar.left
        tip = hover(bar)
        radius = min(3.0, width / 2)
        if bar.kind == "model":
            self.model(bar, top, height, tip)
            light = bar.waited or (bar.split is not None and bar.label_at < bar.split)
            on_fill = "ink" if light else on_fill
        elif bar.kind == "approval":
            left, inner = bar.left + 0.5, max(width - 1, 1)
            at = (left, top + 0.5, inner, height - 1)
            self.out.rect(*at, fill, radius=radius, title=tip, edge="approval-edge", dashed=True)
        else:
            self.out.rect(bar.left, top, width, height, fill, radius=radius, title=tip)
        if bar.broken:
            self.broken(bar.left, bar.right, top, height)
        if bar.label:
            color = "ink" if bar.outside else on_fill
            baseline = top + height / 2 + 3.7
            self.out.text(bar.label_at, baseline, bar.label, color, size=_SMALL, title=tip)

    def broken(self, left: float, right: float, top: float, height: float) -> None:
        """Mark the end of what failed or was stopped with a red cap, and a cross if it has room."""
        width = 10.0 if right - left >= 20 else max(min(4.0, (right - left) / 2), 1.5)
        x = right - width
        self.out.rect(x, top, width, height, "error", radius=min(2.0, width / 2))
        if width == 10.0:
            middle, size = top + height / 2, 2.5
            for tilt in (size, -size):
                ends = [(x + 5 - size, middle - tilt), (x + 5 + size, middle + tilt)]
                self.out.line(ends, "on-dark", width=1.5)

    def model(self, bar: Bar, top: float, height: float, tip: str) -> None:
        """Draw a model call: light until its first token, a notch there, then full."""
        width = bar.right - bar.left
        many = len(bar.spans) > 1
        color = "wait" if bar.waited and not many else "model"
        self.out.rect(bar.left, top, width, height, color, radius=min(3, width / 2), title=tip)
        if bar.split is not None and bar.split - bar.left >= 1:
            split = min(bar.split, bar.right)
            wait = split - bar.left
            self.out.rect(bar.left, top, wait, height, "wait", radius=min(3, wait / 2), title=tip)
            if width >= 9:
                self.out.rect(split - 1, top - 2, 2, height + 4, "ink", title=tip)
        for span in bar.spans:
            for retry in self.retries.get(id(span), ()):
                left, right = self.scale(retry.started), self.scale(retry.ended)
                self.retry(left, max(right, left + 2), top, height, _hover(retry))

    def retry(self, left: float, right: float, top: float, height: float, tip: str) -> None:
        self.out.rect(left, top, right - left, height, "card", title=tip)
        middle = top + height / 2
        self.out.line([(left, middle), (right, middle)], "error", width=2, dash="3 2", title=tip)
        self.out.line([(left - 3, middle - 4), (left + 3, middle + 4)], "error", width=2)
        self.out.line([(left - 3, middle + 4), (left + 3, middle - 4)], "error", width=2)

    def handoffs(self) -> None:
        for index, span in enumerate(self.spans):
            if span.kind != "handoff" or span.target is None:
                continue
            outer = self.lane_key(index)
            start = self.tops.get((*outer, span.agent or ""))
            end = self.tops.get((*outer, span.target))
            if start is None or end is None:
                continue
            tip = f"handoff: {span.name}\n{span.started:.2f} s"
            self.arrow(self.scale(span.started), start, end, tip)

    def lane_key(self, index: int) -> LaneKey:
        """Return the names of the agents around a span, the outermost first."""
        key: list[str] = []
        parent = self.spans[index].parent
        while parent is not None:
            span = self.spans[parent]
            if span.kind == "agent":
                key.insert(0, span.name)
            parent = span.parent
        return tuple(key)

    def arrow(
        self, x: float, start: tuple[float, float], end: tuple[float, float], tip: str
    ) -> None:
        down = end[0] >= start[0]
        begin = start[1] if down else start[0]
        tip_y = end[0] - 1 if down else end[1] + 1
        back = tip_y - 7 if down else tip_y + 7
        self.out.line([(x, begin), (x, back)], "ink", width=1.5, title=tip)
        self.out.circle(x, begin, 2.5, "ink")
        self.out.polygon([(x - 4, back), (x + 4, back), (x, tip_y)], "ink", tip)

    def ends(self, failures: list[Span], top: float, bottom: float) -> None:
        """Draw the moment of a stop or an error, and say what it was."""
        for span in failures:
            x = self.scale(span.started)
            self.out.line([(x, top - 8), (x, bottom + 4)], "error", width=1.5, dash="5 3")
            text = f"{span.name} at {length_label(span.started)}"
            if span.detail:
                text += f": {' '.join(span.detail.split())}"
            text = shorten(text, self.right - self.left, 11, bold=True)
            left = max(self.left, x - text_width(text, 11, bold=True))
            self.out.text(left, bottom + 17, text, "error", size=11, bold=True, title=span.detail)

    def legend_rows(self) -> list[list[tuple[str, str]]]:
        kinds: set[str] = {span.kind for span in self.spans}
        calls = [span for span in self.spans if span.kind == "model"]
        if any(span.mark is not None or span.status != "completed" for span in calls):
            kinds.add("wait")
        entries = [
            (kind, text)
            for kind, needs, text in (
                ("wait", "wait", "model, up to its first token"),
                ("model", "model", "model writes"),
                ("tool", "tool", "tool"),
                ("hosted", "hosted", "hosted tool"),
                ("guardrail", "guardrail", "guardrail"),
                ("approval", "approval", "waits for approval"),
                ("retry", "retry", "failed, tried again"),
                ("handoff", "handoff", "handoff"),
                ("broken", "broken", "failed or stopped"),
            )
            if needs in kinds
            or (
                needs == "broken"
                and any(span.status in BROKEN and span.kind in _FILL for span in self.spans)
            )
        ]
        rows: list[list[tuple[str, str]]] = [[]]
        used = 0.0
        for entry in entries:
            width = text_width(entry[1], _SMALL) + 42
            if used + width > self.right - self.left and rows[-1]:
                rows.append([])
                used = 0.0
            rows[-1].append(entry)
            used += width
        return rows if entries else []

    def legend(self, rows: list[list[tuple[str, str]]], baseline: float) -> None:
        for number, row in enumerate(rows):
            x, y = self.left, baseline + 18 * number
            for kind, text in row:
                self.sample(kind, x, y - 4)
                self.out.text(x + 24, y, text, "muted", size=_SMALL)
                x += text_width(text, _SMALL) + 42

    def sample(self, kind: str, x: float, middle: float) -> None:
        top = middle - 5
        if kind == "retry":
            self.retry(x + 3, x + 18, top, 10, "")
        elif kind == "handoff":
            self.out.circle(x + 2.5, middle, 2.5, "ink")
            self.out.line([(x + 2, middle), (x + 12, middle)], "ink", width=1.5)
            self.out.polygon([(x + 11, top + 1), (x + 11, top + 9), (x + 18, middle)], "ink")
        elif kind == "approval":
            self.out.rect(x, top, 18, 10, kind, radius=3, edge="approval-edge", dashed=True)
        elif kind == "broken":
            self.out.rect(x, top, 18, 10, "tool", radius=3)
            self.broken(x - 6, x + 18, top, 10)
        else:
            self.out.rect(x, top, 18, 10, kind, radius=3)
            if kind == "wait":
                self.out.rect(x + 16, top - 2, 2, 14, "ink")


def _height(lane: Lane) -> float:
    rows = sum(_BAR[row.group] + _ROW_GAP for row in lane.rows) - _ROW_GAP
    return rows + 2 * _LANE_PAD


def _row_tops(lane: Lane, top: float) -> list[float]:
    tops, at = [], top + _LANE_PAD
    for row in lane.rows:
        tops.append(at)
        at += _BAR[row.group] + _ROW_GAP
    return tops
