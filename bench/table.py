"""Tables and targets, as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """Something to reach: `value` is to be at most `limit`."""

    what: str
    value: float
    limit: float

    @property
    def reached(self) -> bool:
        return self.value <= self.limit

    def __str__(self) -> str:
        mark = "reached" if self.reached else "MISSED "
        return f"  {mark}  {self.what}: {number(self.value)} (at most {number(self.limit)})"


def number(value: float | str | None) -> str:
    """Three digits of a number, whatever its size."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[float | str | None]]) -> str:
    """A table in columns; the first to the left, numbers to the right."""
    lines = [list(head), *([number(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]

    def written(line: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        return "  ".join(["", first, *others])

    return "\n".join(["", title, *map(written, lines)])
