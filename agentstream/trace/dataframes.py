"""A run as pandas DataFrames.

Each table has its columns and types written down once, below; an empty run has them as well.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .._utils.printable import clean_text, printable
from ..exceptions import check_choice
from . import content
from .fold.run_items import OUTPUTS
from .from_result import as_trace
from .parquet import explain_parquet
from .parts import ItemRow, Part
from .prices import cost_usd
from .timeline.spans import spans
from .trace import Trace

if TYPE_CHECKING:
    import pandas as pd

    from .state import TraceState

Table: TypeAlias = Literal["items", "turns", "events", "spans"]
Record: TypeAlias = dict[str, Any]

_STATUSES = (
    "in_progress",
    "running",
    "awaiting_approval",
    "completed",
    "incomplete",
    "failed",
    "cancelled",
    "rejected",
    "superseded",
)
_ITEM_TYPES = (
    "message_output_item",
    "reasoning_item",
    "tool_call_item",
    "tool_call_output_item",
    "handoff_call_item",
    "handoff_output_item",
    "mcp_list_tools_item",
    "mcp_approval_request_item",
    "mcp_approval_response_item",
    "tool_search_call_item",
    "tool_search_output_item",
    "compaction_item",
)
_TYPE_OF_KIND = {
    "text": "message_output_item",
    "refusal": "message_output_item",
    "reasoning": "reasoning_item",
    "handoff": "handoff_call_item",
    "mcp_list_tools": "mcp_list_tools_item",
    "mcp_approval": "mcp_approval_request_item",
    "tool_search": "tool_search_call_item",
    "compaction": "compaction_item",
}
# "category" may be followed by the categories that are always there.
_COLUMNS: dict[str, dict[str, Any]] = {
    "items": {
        "turn": "Int64",
        "agent": "category",
        "type": ("category", _ITEM_TYPES),
        "name": "string",
        "text": "string",
        "arguments": "string",
        "output": "string",
        "call_id": "string",
        "started_s": "float64",
        "ended_s": "float64",
        "duration_s": "float64",
        "status": ("category", _STATUSES),
        "error": "string",
        "traceback": "string",
        "parent": "string",
    },
    "turns": {
        "turn": "Int64",
        "agent": "category",
        "model": "category",
        "response_id": "string",
        "input_tokens": "Int64",
        "cached_tokens": "Int64",
        "output_tokens": "Int64",
        "reasoning_tokens": "Int64",
        "total_tokens": "Int64",
        "started_s": "float64",
        "time_to_first_token_s": "float64",
        "duration_s": "float64",
        "tokens_per_s": "float64",
        "cost_usd": "float64",
        "retries": "Int64",
        "status": ("category", _STATUSES),
        "error": "string",
        "parent": "string",
    },
    "events": {
        "time_s": "float64",
        "type": "category",
        "turn": "Int64",
        "agent": "category",
        "part": "Int64",
        "kind": "category",
        "text": "string",
        "count": "Int64",
        "parent": "string",
    },
    "spans": {
        "kind": "category",
        "name": "string",
        "agent": "category",
        "depth": "Int64",
        "turn": "Int64",
        "started_s": "float64",
        "ended_s": "float64",
        "duration_s": "float64",
        "first_token_s": "float64",
        "status": "category",
        "detail": "string",
        "call_id": "string",
        "parent": "Int64",
    },
}
_INDEX = {"items": "item", "turns": "call", "events": "event", "spans": "span"}


def to_frame(run: Any, table: Table = "items") -> pd.DataFrame:
    """Return a run, or several, as a DataFrame.

    Parameters
    ----------
    run
        A `Trace`, a result (finished, stopped, failed or still running), recorded ``(seconds,
        event)`` pairs, a result of the OpenAI Agents SDK; or a list or dict of these, which adds
        the column ``run``.
    table : {"items", "turns", "events", "spans"}
        A row per run item, per model call, per event, or per interval of the timeline.

        ``items``: a call's row says when it was written; its output's row
        (``tool_call_output_item``) repeats name and arguments and says how long the tool took.
        ``turns``: ``tokens_per_s`` is output tokens over the call's whole duration; ``cost_usd`` is
        NaN where the price is not known. ``events``: once a run has more than 65,536 events,
        further deltas are counted in one row a part.

    Returns
    -------
    pandas.DataFrame
        Times are seconds since the start of the run. ``attrs`` names the run. Every table can be
        written by ``to_parquet``, ``to_csv``, ``to_json``, ``to_excel`` and ``to_sql``: no column
        holds anything but numbers and texts (``arguments`` are JSON text).

    Raises
    ------
    UserError
        If there is no such table.

    Examples
    --------
    >>> from agentstream.trace import Trace
    >>> list(to_frame(Trace(), "turns").columns)[:3]
    ['turn', 'agent', 'model']
    """
    check_choice("to_frame(table=...)", table, _COLUMNS)
    _show_as_text()
    many = _several(run)
    if many is None:
        trace = as_trace(run)
        frame = _build(table, list(_RECORDS[table](trace)), {})
        frame.attrs |= {"run": trace.name, "status": trace.status, "duration_s": _length(trace)}
        return frame
    records = []
    for name, trace in many:
        records += [{"run": name} | record for record in _RECORDS[table](trace)]
    frame = _build(table, records, {"run": ("category", [name for name, _ in many])})
    frame.attrs["run"] = [name for name, _ in many]
    return frame


@cache
def _show_as_text() -> None:
    r"""Keep JupyterLab from typesetting tables: a tool's ``$\href{...}$`` is text, no formula.

    TeX can make links into the Jupyter server and boxes of any size. A table that is derived from
    ours holds the same text, so this is pandas' own option and not a mark on one frame. It is set
    once, so that a user can set it back.
    """
    if "IPython" not in sys.modules:  # nothing shows the HTML of a frame there
        return
    import pandas as pd

    pd.set_option("display.html.use_mathjax", False)
    pd.set_option("styler.html.mathjax", False)
    _keep_in_one_block(pd.DataFrame)


_EMPTY_LINE = re.compile(r"\n(?=[ \t\r]*(?:\n|\r))|\r")


def _keep_in_one_block(frames: Any) -> None:
    """Have tables displayed without an empty line: in exported Markdown, HTML ends there.

    What a tool said would be read as Markdown behind one. A formatter of the user's own stays.
    """
    shell = sys.modules["IPython"].get_ipython()
    html = shell.display_formatter.formatters["text/html"] if shell is not None else None
    if html is not None and frames not in html.type_printers:
        html.for_type(frames, _table_html)


def _table_html(frame: pd.DataFrame) -> str | None:
    html: str | None = frame._repr_html_()
    if html is None:
        return None
    sheet, end, table = html.rpartition("</style>")
    if frame.index.name in _INDEX.values():
        # A page narrower than the table would else break its texts, the point of it, at each word.
        table = re.sub(r"<td>(?=[^<]{24})", '<td style="min-width: 15em; text-align: left">', table)
    return re.sub(r"\n\s*\n", "\n", sheet) + end + _EMPTY_LINE.sub("&#10;", table)


def _several(run: Any) -> list[tuple[str, Trace]] | None:
    """Return named traces if ``run`` is a collection of runs, None if it is one run."""
    if isinstance(run, dict):
        return [(str(name), as_trace(one)) for name, one in run.items()]
    if not isinstance(run, Sequence) or isinstance(run, (str, bytes)):
        return None
    if run and isinstance(run[0], tuple):  # recorded (seconds, event) pairs
        return None
    named: list[tuple[str, Trace]] = []
    for position, one in enumerate(run, 1):
        trace = as_trace(one)
        name = trace.name or str(position)
        taken = {known for known, _ in named}
        named.append((f"{name} ({position})" if name in taken else name, trace))
    return named


def _length(trace: Trace) -> float:
    return trace.now if trace.ended is None else trace.ended


def _build(table: str, records: list[Record], extra: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    columns = {
        name: _column([record.get(name) for record in records], kind)
        for name, kind in (extra | _COLUMNS[table]).items()
    }
    frame = pd.DataFrame(columns)
    frame.index = pd.RangeIndex(len(records), name=_INDEX[table])
    explain_parquet(frame)
    return frame


def _column(values: list[Any], kind: Any) -> pd.Series[Any]:
    import pandas as pd

    kind, fixed = kind if isinstance(kind, tuple) else (kind, ())
    if kind in ("category", "string"):
        values = [None if value is None else _as_text(value) for value in values]
    if kind == "category":
        values = [None if value is None else printable(value) for value in values]
        seen = dict.fromkeys([*fixed, *(value for value in values if value is not None)])
        # Object, as no strings at all would else become numbers in an empty column.
        categories = pd.Index(list(seen), dtype=object)
        return pd.Series(pd.Categorical(values, categories=categories))
    if kind == "float64":
        values = [math.nan if value is None else float(value) for value in values]
    return pd.Series(values, dtype=kind)


def _as_text(value: Any) -> str:
    """A server may have put anything where a text belongs.

    Half a surrogate pair, which a cut stream may end in, is no text to Arrow or to a file; control
    characters are none to Excel, and a terminal in which the table is printed obeys them.
    """
    return clean_text(value if isinstance(value, str) else str(value))


def _as_json(arguments: dict[str, Any] | None) -> str | None:
    """Arguments as one text: no file format holds dicts whose keys differ from row to row."""
    if arguments is None:
        return None
    try:
        return json.dumps(arguments, ensure_ascii=False, default=str)
    except (RecursionError, TypeError, ValueError):  # very deep, or keys that JSON does not know
        return str(arguments)


def _nested(trace: TraceState) -> Iterator[tuple[Part, TraceState]]:
    for part in trace.parts:
        if part.nested is not None:
            yield part, part.nested


def item_records(trace: TraceState, row_range: slice) -> tuple[list[Record], int]:
    """Return some rows of ``to_frame()`` as dicts without pandas, and how many rows there are.

    For what is shown while a run goes on: a row that is not shown costs next to nothing.
    """
    rows = _item_rows(trace)
    return [_item(*row) for row in rows[row_range]], len(rows)


def _items(trace: TraceState) -> list[Record]:
    return item_records(trace, slice(None))[0]


def _item_rows(trace: TraceState) -> list[tuple[TraceState, ItemRow, str | None]]:
    rows = sorted(_unsorted_rows(trace, None), key=lambda row: row[0])
    return [(within, row, parent) for _, within, row, parent in rows]


def _unsorted_rows(
    trace: TraceState, parent: str | None
) -> Iterator[tuple[float, TraceState, ItemRow, str | None]]:
    for row in trace.rows:
        yield row.sequence, trace, row, parent
    for part in trace.unclaimed.values():  # still being written, or never confirmed
        kind = _TYPE_OF_KIND.get(part.kind, "tool_call_item")
        yield math.inf, trace, ItemRow(part, kind, part.agent, 0, part.started), parent
    for part, nested in _nested(trace):
        yield from _unsorted_rows(nested, part.call_id)


def _item(trace: TraceState, row: ItemRow, parent: str | None) -> Record:
    part = row.part
    is_output = row.type in OUTPUTS
    is_call = part.kind not in ("text", "refusal", "reasoning", "compaction")
    # A function answers with an item of its own, a hosted tool within the call's item.
    has_output = is_output or (is_call and part.kind not in ("tool", "handoff"))
    record: Record = {
        "turn": part.turn,
        "agent": row.agent,
        "type": row.type,
        "name": (part.target or part.name) if is_call else None,
        "text": None if is_call else part.text,
        "arguments": _as_json(content.arguments(part)) if is_call else None,
        "output": content.output(part) if has_output else None,
        "call_id": part.call_id if part.kind != "mcp_approval" else part.item_id,
        "status": part.status,
        "error": part.error,
        "traceback": part.traceback,
        "parent": parent,
    }
    if trace.timed:
        start, end = _times(part, row) if is_output else (part.started, part.ended)
        if not has_output and is_call and part.called is not None:
            end = part.called  # what comes after is the output's row
        record |= {"started_s": start, "ended_s": end}
        record["duration_s"] = None if end is None else end - start
    return record


def _times(part: Part, row: ItemRow) -> tuple[float, float]:
    """Return when a call's function began and ended, as far as the events tell."""
    decided = part.approval.decided if part.approval is not None else None
    known = (part.run_started, decided, part.called, part.started)
    start = next(time for time in known if time is not None)
    return start, row.time if part.ended is None else max(part.ended, start)


def _turns(trace: TraceState, parent: str | None = None) -> Iterator[Record]:
    retries = Counter(retry.turn for retry in trace.retries)
    for turn in trace.turns:
        usage = turn.usage or {}
        length = None if turn.ended is None or not trace.timed else turn.ended - turn.started
        first = turn.first_token
        written = usage.get("output")
        yield {
            **{f"{name}_tokens": count for name, count in usage.items()},
            "turn": turn.index,
            "agent": turn.agent,
            "model": turn.model,
            "response_id": turn.response_id,
            "started_s": turn.started if trace.timed else None,
            "time_to_first_token_s": first - turn.started if first and trace.timed else None,
            "duration_s": length,
            "tokens_per_s": written / length if written is not None and length else None,
            "cost_usd": cost_usd(turn),
            "retries": retries[turn.index],
            "status": turn.status,
            "error": turn.error,
            "parent": parent,
        }
    for part, nested in _nested(trace):
        yield from _turns(nested, part.call_id)


def _events(trace: TraceState, parent: str | None = None) -> Iterator[Record]:
    for row in trace.log:
        part = trace.parts[row.part] if row.part >= 0 else None
        text = None
        if part is not None and row.size and row.count == 1:
            source = (
                part.input
                if "arguments" in row.kind or "input" in row.kind or "_code." in row.kind
                else part.body
            )
            text = source.between(row.offset, row.offset + row.size)
        turn = row.turn if row.turn > 0 else None
        yield {
            "time_s": row.time if trace.timed else None,
            "type": row.kind,
            "turn": turn,
            "agent": trace.turns[turn - 1].agent if turn is not None else None,
            "part": row.part if part is not None else None,
            "kind": part.kind if part is not None else None,
            "text": text,
            "count": row.count,
            "parent": parent,
        }
    for part, nested in _nested(trace):
        yield from _events(nested, part.call_id)


def _spans(trace: TraceState) -> Iterator[Record]:
    for span in spans(trace):
        record: Record = {
            "kind": span.kind,
            "name": span.name,
            "agent": span.agent,
            "depth": span.depth,
            "turn": span.turn,
            "status": span.status,
            "detail": span.detail,
            "call_id": span.call_id,
            "parent": span.parent,
        }
        if trace.timed:
            record |= {"started_s": span.started, "ended_s": span.ended}
            record |= {"duration_s": span.ended - span.started, "first_token_s": span.mark}
        yield record


_RECORDS: dict[str, Any] = {
    "items": _items,
    "turns": _turns,
    "events": _events,
    "spans": _spans,
}
