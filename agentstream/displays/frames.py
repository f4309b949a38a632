"""Frames of pandas and polars, arrays of numpy: a table to look at, compact text for a model."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from .content import Block, Content

__all__ = ["MOST_CHARACTERS", "array_content", "frame_content", "styler_content"]

MOST_CHARACTERS: Final = 4_000
"""Of a frame's text for the model, unless a run says otherwise: about a thousand tokens."""

_ROWS, _COLUMNS, _CELL = 10, 12, 200
_CELL_CHARACTERS = 80
_MOST_COLUMNS = 40
_ROWS_COUNTED = 1_000_000
_STYLED_CELLS = 1_000


class _Frame:
    """What is asked of a frame, pandas' and polars' alike."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.name = type(frame).__name__

    rows: int
    columns: list[str]
    types: list[str]
    index_names: list[str]

    def head(self, count: int, columns: int) -> list[list[Any]]:
        raise NotImplementedError

    def column(self, at: int) -> Any:
        raise NotImplementedError

    @property
    def measure(self) -> str:
        rows, columns = self.rows, len(self.columns)
        return (
            f"{rows:,} row{'s' * (rows != 1)} \N{MULTIPLICATION SIGN} "
            f"{columns:,} column{'s' * (columns != 1)}"
        )


class _Pandas(_Frame):
    def __init__(self, frame: Any) -> None:
        super().__init__(frame)
        self.rows = len(frame)
        self.columns = [_label(name) for name in frame.columns]
        self.types = [str(kind) for kind in frame.dtypes]
        index = frame.index
        plain = type(index).__name__ == "RangeIndex" and index.start == 0 and index.step == 1
        names = [] if plain else [str(name or "") for name in index.names]
        self.index_names = names

    def head(self, count: int, columns: int) -> list[list[Any]]:
        part = self.frame.iloc[:count, :columns]
        rows = [list(row) for row in part.itertuples(index=False, name=None)]
        if not self.index_names:
            return rows
        labels = part.index
        keys = [list(key) if len(self.index_names) > 1 else [key] for key in labels]
        return [key + row for key, row in zip(keys, rows, strict=True)]

    def column(self, at: int) -> Any:
        return self.frame.iloc[:_ROWS_COUNTED, at]


class _Polars(_Frame):
    def __init__(self, frame: Any) -> None:
        super().__init__(frame)
        self.rows = frame.height
        self.columns = [str(name) for name in frame.columns]
        self.types = [str(kind) for kind in frame.dtypes]
        self.index_names = []

    def head(self, count: int, columns: int) -> list[list[Any]]:
        return [list(row) for row in self.frame[:count, :columns].rows()]

    def column(self, at: int) -> Any:
        return self.frame.to_series(at)[:_ROWS_COUNTED]


def _label(name: Any) -> str:
    return " / ".join(map(str, name)) if isinstance(name, tuple) else str(name)


def _opened(value: Any, library: str) -> _Frame:
    if type(value).__name__ == "Series" or not hasattr(value, "columns"):
        value = value.to_frame()
    return _Polars(value) if library == "polars" else _Pandas(value)


def frame_content(value: Any, library: str, budget: int) -> Content:
    """A frame or series: its table, and its text within `budget` characters."""
    frame = _opened(value, library)
    name = f"{type(value).__name__}, {frame.measure}"
    return Content(name, frame_text(frame, type(value).__name__, budget), None, [_table(frame)])


def styler_content(value: Any, budget: int) -> Content:
    """A Styler: what it renders, if that is no more than a page bears; the model reads its data."""
    frame = _Pandas(value.data)
    block = _table(frame)
    if frame.rows * max(len(frame.columns), 1) <= _STYLED_CELLS:
        block = {"type": "html", "html": value.to_html(), "text": frame.measure}
    text = frame_text(frame, "Styled DataFrame", budget)
    return Content(f"Styled DataFrame, {frame.measure}", text, None, [block])


def _table(frame: _Frame) -> Block:
    rows = frame.head(_ROWS, _COLUMNS)
    return {
        "type": "table",
        "columns": frame.index_names + frame.columns[:_COLUMNS],
        "rows": [[_plain(cell) for cell in row] for row in rows],
        "rows_in_all": frame.rows,
        "columns_in_all": len(frame.columns),
    }


def _plain(cell: Any) -> Any:
    """A cell as JSON has it: numbers as numbers, everything else as its text."""
    if isinstance(cell, (bool, str)):
        return str(cell)[:_CELL]
    if isinstance(cell, (int, float)) and math.isfinite(cell) and abs(cell) < 2**53:
        return float(cell) if isinstance(cell, float) else int(cell)
    item = getattr(cell, "item", None)  # a scalar of numpy
    if callable(item) and getattr(cell, "ndim", None) == 0:
        inner = item()
        if type(inner) in (int, float):
            return _plain(inner)
    return _text(cell)[:_CELL]


def _text(cell: Any) -> str:
    try:
        return str(cell)
    except Exception as error:  # noqa: BLE001 - a cell may hold any object of the author's
        return f"[{type(cell).__name__}: its text cannot be made ({type(error).__name__})]"


# -- the text for a model --


def frame_text(frame: _Frame, kind: str, budget: int) -> str:
    """Shape, types, head and summary as compact text, of at most `budget` characters."""
    lines = [f"{kind}: {frame.measure}"]
    if frame.columns:
        named = (
            f"{n[:_CELL_CHARACTERS]} ({t})" for n, t in zip(frame.columns, frame.types, strict=True)
        )
        lines.append("columns: " + _listed(named, len(frame.columns), budget // 3))
    left = budget - sum(map(len, lines)) - len(lines)
    every = _head(frame, frame.rows, left) if frame.rows and frame.columns else []
    if len(every) - 1 >= frame.rows:
        title = "all rows:" if frame.rows else "no rows"
        return "\n".join([*lines, *([title, *every] if frame.columns else [])])[:budget]
    summary = _summary(frame, left // 2)
    left -= sum(map(len, summary)) + len(summary)
    head = _head(frame, _ROWS, left - len("first 10 rows:\n"))
    if len(head) > 1:
        head = [f"first {len(head) - 1} rows:", *head]
    return "\n".join([*lines, *head, *summary])[:budget]


def _listed(entries: Iterator[str], count: int, room: int) -> str:
    """Entries as far as there is room, and how many more there are."""
    lines: list[str] = []
    for entry in entries:
        room -= len(entry) + 2
        if lines and room < 24:
            return ", ".join(lines) + f", and {count - len(lines):,} more"
        lines.append(entry)
    return ", ".join(lines)


def _head(frame: _Frame, count: int, room: int) -> list[str]:
    """The first rows as CSV with a header, as many as fit."""
    columns = min(len(frame.columns), _MOST_COLUMNS)
    # No row takes fewer than two characters: no more need be looked at.
    rows = frame.head(min(count, max(room // 2, 1)), columns)
    more = ["..."] if len(frame.columns) > columns else []
    lines = [_csv([*frame.index_names, *frame.columns[:columns], *more])]
    room -= len(lines[0]) + 1
    for row in rows:
        line = _csv([_cell(cell) for cell in row] + more)
        room -= len(line) + 1
        if room < 0:
            break
        lines.append(line)
    return lines


def _csv(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()


def _cell(cell: Any) -> str:
    plain = _plain(cell)
    text = f"{plain:.6g}" if isinstance(plain, float) else str(plain)
    text = text.replace("\n", " ")
    return text if len(text) <= _CELL_CHARACTERS else text[: _CELL_CHARACTERS - 1] + "…"


def _summary(frame: _Frame, room: int) -> list[str]:
    """A line a column: the range of its numbers, how many values it has, how many are missing."""
    beyond = frame.rows > _ROWS_COUNTED
    title = f"summary, of the first {_ROWS_COUNTED:,} rows:" if beyond else "summary:"
    lines = [title]
    room -= len(title) + 1
    for at, name in enumerate(frame.columns[:_MOST_COLUMNS]):
        line = f"{name[:_CELL_CHARACTERS]}: {_described(frame.column(at))}"
        room -= len(line) + 1
        if room < 0:
            break
        lines.append(line)
    return lines if len(lines) > 1 else []


def _described(column: Any) -> str:
    """What a column holds, in a few words; of one that cannot be described, its type."""
    facts = []
    numeric, temporal = _is_numeric(column), "date" in str(column.dtype).lower()
    try:
        if numeric or temporal:
            facts += [f"min {_cell(column.min())}", f"max {_cell(column.max())}"]
        if numeric:
            facts.insert(1, f"mean {_cell(column.mean())}")
        elif not temporal:
            facts.append(f"{_distinct(column):,} distinct")
        missing = _missing(column)
        if missing:
            facts.append(f"{missing:,} missing")
    except Exception:  # noqa: BLE001 - columns of lists have no order and no hash, others no mean
        facts = facts or [str(column.dtype)]
    return ", ".join(facts)


def _is_numeric(column: Any) -> bool:
    kind = column.dtype
    is_numeric = getattr(kind, "is_numeric", None)  # polars
    if callable(is_numeric):
        return bool(is_numeric())
    return getattr(kind, "kind", "O") in "iuf" or str(kind) in ("Int64", "Float64")


def _distinct(column: Any) -> int:
    count: Callable[[], int] = getattr(column, "nunique", None) or column.n_unique
    return int(count())


def _missing(column: Any) -> int:
    nulls = getattr(column, "null_count", None)
    return int(nulls() if callable(nulls) else column.isna().sum())


# -- arrays --


def array_content(array: Any, budget: int) -> Content:
    """An array of numpy: a small one whole, of others shape, range and corners."""
    shape = " \N{MULTIPLICATION SIGN} ".join(f"{length:,}" for length in array.shape) or "()"
    name = f"ndarray, {shape}, {array.dtype}"
    facts = [f"ndarray: shape {tuple(array.shape)}, {array.dtype}"]
    if array.size and array.dtype.kind in "iufb":
        facts.append(
            f"min {_cell(array.min())}, mean {_cell(array.mean())}, max {_cell(array.max())}"
        )
    if array.dtype.kind == "f":
        # Not a number is the only one that is not itself.
        missing = int((array != array).sum())
        facts += [f"{missing:,} NaN"] * bool(missing)
    text = _text(array)
    room = budget - sum(map(len, facts)) - len(facts)
    facts.append(text if len(text) <= room else text[: max(room - 2, 0)] + " …")
    return Content(name, "\n".join(facts), None, [_array_block(array, text)])


def _array_block(array: Any, text: str) -> Block:
    if array.ndim not in (1, 2) or array.dtype.names is not None or not array.size:
        return {"type": "text", "text": text}
    grid = array.reshape(-1, 1) if array.ndim == 1 else array
    rows = grid[:_ROWS, :_COLUMNS].tolist()
    width = grid.shape[1]
    return {
        "type": "table",
        "columns": ["", *map(str, range(min(width, _COLUMNS)))],
        "rows": [[str(at), *map(_plain, row)] for at, row in enumerate(rows)],
        "rows_in_all": grid.shape[0],
        "columns_in_all": width,
    }
