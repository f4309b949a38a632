"""What stands under the answer on demand: the run's items as a table, its timeline as an image.

While a run goes on they are brought up to date at most twice a second, more rarely where that would
take more than a twentieth of the time or tens of kilobytes a second; the table only when the run
changed, the timeline also as time passes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..._utils.printable import clean_text
from ...trace.dataframes import item_records
from ...trace.timeline.svg import draw
from ...trace.timeline.text import plain_timeline
from ..cards import values
from ..snapshot.text import as_code, fenced
from .dom import VirtualDom

if TYPE_CHECKING:
    from ...trace import Trace

__all__ = ["Panels", "items_html", "panels_markdown", "panels_text"]

LIVE_ROWS = 40
"""Items in the table of a running run: the newest, as the others have been seen."""

_COLUMNS = ("turn", "agent", "type", "name", "arguments", "output", "status", "duration_s")
_TEXT_COLUMNS = ("turn", "agent", "type", "name", "duration_s", "text")
_TEXT_ROWS = 200
_CELL = 60
_FIRST = 0.3
"""Seconds before the first timeline: one of less has nothing to tell, and a scale of its own."""
_EVERY = 0.5
"""Seconds between two images of one run, at least."""
_SHARE = 20
"""An image that took a second is made again after so many."""
_BYTES_A_SECOND = 40_000
_TYPE = re.compile(r"(?<=>)[a-z]+(?:_[a-z]+)*_item(?=</td>)")
_SUMMARY = "<summary><strong>Items</strong></summary>"


def items_html(trace: Trace, rows: slice) -> str:
    """Return rows of the items table as HTML; a note says how many there are."""
    records, count = item_records(trace, rows)
    if not records:
        return '<p class="as-more">No items</p>'
    for record in records:  # a row has one of them
        record["output"] = record.get("output") or record.get("text")
    # A column in which nothing stands takes room from those that say something.
    names = [name for name in _COLUMNS if any(one.get(name) not in (None, "") for one in records)]
    cells = [[_short(record.get(name)) for name in names] for record in records]
    html = values.table(names, cells, rows_in_all=count, columns_in_all=len(names))
    return _TYPE.sub(lambda match: match[0].replace("_", "_<wbr>"), html)


def _short(cell: Any) -> Any:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return round(cell, 3)
    return cell if isinstance(cell, int) else values.one_line(str(cell), _CELL)


def panels_text(trace: Trace, *, table: bool, timeline: bool) -> str:
    """Return the panels as text for a terminal; empty if there are none."""
    texts = [_items_text(trace)] if table else []
    if timeline:
        texts.append(plain_timeline(trace))
    return "".join(f"\n{text}\n" for text in texts)


def panels_markdown(trace: Trace, *, table: bool, timeline: bool) -> str:
    """Return the panels as Markdown; empty if there are none."""
    blocks: list[str] = []
    if table:
        rows, more = _text_rows(trace)
        lines = [f"| {' | '.join(map(_markdown_cell, row))} |" for row in rows]
        lines[0] = f"| {' | '.join(rows[0])} |"
        lines.insert(1, "|---" * len(rows[0]) + "|")
        blocks.append("\n".join(lines))
        blocks += [f"… {more:,} more rows"] if more else []
    if timeline:
        blocks.append(fenced(plain_timeline(trace)))
    return "".join(f"\n{block}\n" for block in blocks)


def _markdown_cell(text: str) -> str:
    """A cell as code, in which only a bar would be read."""
    return as_code(text).replace("|", "\\|") if text else ""


def _text_rows(trace: Trace) -> tuple[list[tuple[str, ...]], int]:
    """The items as rows of short texts, the first one of names; and how many more there are."""
    records, count = item_records(trace, slice(_TEXT_ROWS))
    rows: list[tuple[str, ...]] = [_TEXT_COLUMNS]
    for record in records:
        row = record | {"text": record.get("text") or record.get("output")}
        rows.append(tuple(_plain(row.get(name)) for name in _TEXT_COLUMNS))
    return rows, count - len(records)


def _items_text(trace: Trace) -> str:
    rows, more = _text_rows(trace)
    widths = [max(len(row[at]) for row in rows) for at in range(len(_TEXT_COLUMNS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, *([f"… {more:,} more rows"] if more else [])])


def _plain(cell: Any) -> str:
    if cell is None:
        return ""
    text = f"{cell:.3g}" if isinstance(cell, float) else str(cell)
    return values.one_line(clean_text(text), 40)


def _newest(trace: Trace, _now: float) -> str:
    return _SUMMARY + items_html(trace, slice(-LIVE_ROWS, None))


def _drawn(trace: Trace, now: float) -> str:
    # Made by our own code, which escapes all that the run said; nothing else becomes SVG.
    return draw(trace, now=now).svg(inline=True)


@dataclass(slots=True)
class _Panel:
    id: str
    tag: str
    attributes: dict[str, str]
    render: Callable[[Trace, float], str]
    moves: bool
    """Whether it changes with time alone."""
    version: int = -1
    due: float = 0.0

    def is_old(self, trace: Trace) -> bool:
        """Whether there is something to show that it does not show yet."""
        if trace.ended is None and not (trace.agent_intervals if self.moves else trace.parts):
            return False  # there is nothing to tell yet
        return self.version != trace.version or (self.moves and trace.ended is None)


class Panels:
    """Keeps a run's items and its timeline on a virtual DOM."""

    def __init__(
        self,
        trace: Trace,
        dom: VirtualDom,
        *,
        table: bool = False,
        timeline: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trace, self._dom, self._clock = trace, dom, clock
        self._panels: list[_Panel] = []
        self._last_update = (trace.version, trace.now, clock())
        if table:
            look = {"class": "as-items", "open": ""}
            self._panels.append(_Panel("items", "details", look, _newest, False))
        if timeline:
            look = {"class": "as-timeline"}
            self._panels.append(_Panel("timeline", "div", look, _drawn, True))

    def update(self, *, at_once: bool = False) -> None:
        """Bring up to date what is due, or everything."""
        trace = self._trace
        if self._last_update[0] != trace.version:
            self._last_update = (trace.version, trace.now, self._clock())
        for panel in self._panels:
            if not panel.is_old(trace):
                continue
            started = self._clock()
            if started < self._due(panel) and not at_once:
                continue
            panel.version = trace.version
            html = panel.render(trace, self.now)
            self._dom.put(panel.id, panel.tag, html, attributes=panel.attributes)
            ended = self._clock()
            took = ended - started
            panel.due = ended + max(_EVERY, _SHARE * took, len(html) / _BYTES_A_SECOND)

    def _due(self, panel: _Panel) -> float:
        """When it is drawn next, by the clock."""
        if not panel.moves or self._trace.ended is not None:
            return panel.due
        return max(panel.due, self._clock() + _FIRST - (self.now - self._trace.started))

    @property
    def now(self) -> float:
        """Seconds since the start of the run; it tells its time only with events, and goes on."""
        if self._trace.ended is not None:
            return self._trace.now
        return max(self._trace.now, self._last_update[1] + self._clock() - self._last_update[2])

    @property
    def wait(self) -> float | None:
        """Seconds until the next update has something to show; None if it never will by itself."""
        late = [self._due(panel) for panel in self._panels if panel.is_old(self._trace)]
        return max(0.0, min(late) - self._clock()) if late else None
