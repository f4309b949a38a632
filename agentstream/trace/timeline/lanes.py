"""Which row each span of a timeline lies in: agents as lanes, bars that never overlap."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from .scale import Scale, length_label
from .spans import Span

LaneKey: TypeAlias = tuple[str, ...]

MOST_LANES = 40
"""How many lanes are drawn."""

ROWS = {"guardrail": 2, "model": 3, "hosted": 3, "tool": 6}
"""How many rows a lane has at most for each group of spans; what finds no place is merged."""

_GROUP = {
    "guardrail": "guardrail",
    "model": "model",
    "hosted": "hosted",
    "tool": "tool",
    "approval": "tool",
}
BROKEN = frozenset({"failed", "cancelled", "rejected", "superseded"})


@dataclass(slots=True)
class Bar:
    """One drawn bar: a span, or several that lie too close to be told apart."""

    spans: list[Span]
    left: float
    right: float
    label: str = ""
    label_at: float = 0.0
    split: float | None = None
    named: bool = False
    """Whether its row says its name already."""

    @property
    def outside(self) -> bool:
        """Whether the label stands beside the bar."""
        return self.label_at >= self.right or self.label_at < self.left

    @property
    def waited(self) -> bool:
        """Whether it is a model call in which nothing was seen to arrive.

        One that was answered in one piece has no first token either, but it did write.
        """
        return self.split is None and any(span.status != "completed" for span in self.spans)

    @property
    def broken(self) -> bool:
        """Whether something in it failed or was stopped."""
        return any(span.status in BROKEN for span in self.spans)

    @property
    def kind(self) -> str:
        """The kind of what is drawn; mixed bars look like tools."""
        kinds = {span.kind for span in self.spans}
        return kinds.pop() if len(kinds) == 1 else "tool"


@dataclass(slots=True)
class Row:
    """Bars side by side; in a crowded lane all of one tool, whose name stands in front."""

    group: str
    bars: list[Bar]
    name: str = ""


@dataclass(slots=True)
class Lane:
    """An agent's rows."""

    key: LaneKey
    agent: str
    depth: int
    agent_intervals: list[Span] = field(default_factory=list)
    groups: dict[str, list[Span]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    hidden: int = 0


def lanes_of(spans: list[Span]) -> list[Lane]:
    """Sort spans into lanes: agents as they appear, nested ones below the agent they work for.

    The runs of one tool's agent share a lane.
    """
    keys: dict[int, LaneKey] = {}
    lanes: dict[LaneKey, Lane] = {}
    for index, span in enumerate(spans):
        outer = keys.get(span.parent, ()) if span.parent is not None else ()
        if span.kind == "agent":
            key = (*outer, span.name)
            keys[index] = key
            lane = lanes.setdefault(key, Lane(key, span.name, span.depth))
            lane.agent_intervals.append(span)
        else:
            keys[index] = outer
            group = _GROUP.get(span.kind)
            if group is not None:
                lanes[outer].groups.setdefault(group, []).append(span)
    return _in_order(list(lanes.values()))


def _in_order(lanes: list[Lane]) -> list[Lane]:
    ordered: list[Lane] = []

    below: dict[LaneKey, list[Lane]] = {}
    for lane in lanes:
        below.setdefault(lane.key[:-1], []).append(lane)

    def place(parent: LaneKey) -> None:
        for lane in below.get(parent, ()):
            ordered.append(lane)
            place(lane.key)

    place(())
    return ordered


@dataclass(frozen=True, slots=True)
class Metric:
    """What a bar and its label need, in the unit of the scale (pixels or columns)."""

    width: Callable[[str], float]
    least: float = 2.0
    gap: float = 1.0
    pad: float = 4.0


def arrange(lane: Lane, scale: Scale, metric: Metric, walls: list[float]) -> None:
    """Give each span of a lane a row, and labels to those that have the room.

    ``walls`` are positions that no label beside a bar may cross, the edges among them.
    """
    for group, limit in ROWS.items():
        spans = sorted(lane.groups.get(group, []), key=lambda one: (one.started, one.ended))
        bars = [_bar(span, scale, metric) for span in spans]
        for row in _pack(group, bars, limit, metric):
            lane.rows.append(row)
            taken = 0.0
            for bar, after in zip(row.bars, [*row.bars[1:], None], strict=True):
                wall = walls[min(bisect_left(walls, bar.right), len(walls) - 1)]
                room = wall if after is None else min(wall, after.left)
                # A name before a bar must not be taken for that of the bar before it.
                far = taken + 12 * metric.pad if taken else 0.0
                walled = bisect_right(walls, bar.left)
                before = max(far, walls[walled - 1] + metric.pad) if walled else far
                _label(bar, before, room - metric.pad, metric)
                taken = max(bar.right, bar.label_at + metric.width(bar.label))
    if not lane.rows:
        lane.rows.append(Row("model", []))


def _pack(group: str, bars: list[Bar], limit: int, metric: Metric) -> list[Row]:
    wide = _pack_wide(bars, limit, metric)
    if wide is not None:
        return [Row(group, row) for row in wide]
    if group == "model":
        return [Row(group, row) for row in _pack_close(bars, limit, metric)]
    return _pack_by_name(group, bars, limit, metric)


def _pack_by_name(group: str, bars: list[Bar], limit: int, metric: Metric) -> list[Row]:
    """Give each of the most used names a row of its own, and the rest one together."""
    counts = Counter(bar.spans[0].name for bar in bars)
    order = [name for name, _ in counts.most_common()]
    own = order if len(order) <= limit else order[: limit - 1]
    # In one order everywhere, so that the eye finds a tool again in the next lane.
    named: dict[str, list[Bar]] = {name: [] for name in sorted(own)}
    for bar in bars:
        name = bar.spans[0].name
        bar.named = name in own
        named.setdefault(name if name in own else f"{len(order) - len(own)} more", []).append(bar)
    return [Row(group, _pack_close(of_name, 1, metric)[0], name) for name, of_name in named.items()]


def _bar(span: Span, scale: Scale, metric: Metric) -> Bar:
    right = scale(span.ended)
    left = scale(span.started)
    if right - left < metric.least:  # grow to the left at the right edge
        left = min(left, scale.pieces[-1].right - metric.least)
    bar = Bar([span], left, max(right, left + metric.least))
    bar.split = None if span.mark is None else scale(span.mark)
    return bar


def _pack_wide(bars: list[Bar], limit: int, metric: Metric) -> list[list[Bar]] | None:
    """Put each bar into the first row with room for its name; None if that takes too many rows."""
    rows: list[list[Bar]] = []
    ends: list[float] = []
    for bar in bars:
        # One agent's model calls follow each other: where one ends another may begin.
        gap = -1.5 * metric.least if bar.kind == "model" else metric.gap
        free = next((index for index, end in enumerate(ends) if bar.left >= end + gap), None)
        if free is None:
            if len(rows) == limit:
                return None
            free = len(rows)
            rows.append([])
            ends.append(0.0)
        rows[free].append(bar)
        ends[free] = bar.right + _beside(bar, metric)
    return rows


def _beside(bar: Bar, metric: Metric) -> float:
    """Return the room a bar's name takes beside it."""
    if bar.kind == "model":
        return 0.0
    name = metric.width(names(bar)[-1])
    return 0.0 if name <= _inside(bar, metric) else name + 2 * metric.pad


def _inside(bar: Bar, metric: Metric) -> float:
    """Return the room for a label in a bar; what failed has a mark at its end."""
    return bar.right - bar.left - (4 if bar.broken else 2) * metric.pad


def _pack_close(bars: list[Bar], limit: int, metric: Metric) -> list[list[Bar]]:
    """Pack without regard for labels; a bar that finds no room is merged with one before it."""
    rows: list[list[Bar]] = []
    for bar in bars:
        free = next((row for row in rows if bar.left >= row[-1].right + metric.gap), None)
        if free is not None:
            free.append(bar)
        elif len(rows) < limit:
            rows.append([bar])
        else:
            last = min(rows, key=lambda row: row[-1].right)[-1]
            last.spans += bar.spans
            last.right = max(last.right, bar.right)
            last.split = None
    return rows


def names(bar: Bar) -> list[str]:
    """Return what could stand in or beside a bar, the fullest first."""
    if len(bar.spans) > 1:
        counts = Counter(span.name for span in bar.spans).most_common()
        if len(counts) == 1 and not bar.named:
            return [f"{counts[0][0]} \u00d7{counts[0][1]}", f"\u00d7{len(bar.spans)}"]
        return [f"\u00d7{len(bar.spans)}"]
    span = bar.spans[0]
    if span.kind == "model":
        return [f"turn {span.turn}", str(span.turn)]
    if span.kind == "approval" and span.is_open:
        return [f"{span.name}: waits for approval", "waits"]
    if span.kind == "approval":
        wait = length_label(span.ended - span.started)
        return [f"{span.name}: waited {wait} for approval", f"waited {wait}"]
    took = length_label(span.ended - span.started)
    if span.is_open:
        return [span.name]
    if bar.named:
        return [took]
    return [f"{span.name} · {took}", span.name]


def _label(bar: Bar, start: float, limit: float, metric: Metric) -> None:
    for text in names(bar):
        width = metric.width(text)
        if bar.kind == "model":
            # Either side of the first token's notch is a place of its own.
            split = bar.right if bar.split is None else min(max(bar.split, bar.left), bar.right)
            for left, right in ((bar.left, split), (split, bar.right)):
                if width <= right - left - 2 * metric.pad:
                    bar.label, bar.label_at = text, left + metric.pad
                    return
        elif width <= _inside(bar, metric):
            bar.label, bar.label_at = text, bar.left + metric.pad
            return
        elif bar.kind == "approval" and bar.right + metric.pad + width <= limit:
            bar.label, bar.label_at = text, bar.right + metric.pad
            return
    if bar.kind == "model" or bar.named or len(bar.spans) > 1:
        return
    for text in names(bar):
        width = metric.width(text)
        for at, fits in (
            (bar.right + metric.pad, bar.right + metric.pad + width <= limit),
            (
                bar.left - metric.pad - width,
                len(bar.spans) == 1 and bar.left - metric.pad - width >= start,
            ),
        ):
            if fits:
                bar.label, bar.label_at = text, at
                return
