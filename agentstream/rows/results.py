"""The results of all rows, by column: an object a row would be looked at by each collection."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence
from typing import Any, Final, get_args

from .result import RowResult, Source, Status

__all__ = ["Results"]

_STATUSES: Final[tuple[Status, ...]] = get_args(Status)
_SOURCES: Final[tuple[Source | None, ...]] = (*get_args(Source), None)

# The fields that are numbers, by the type code of an array.
_NUMBERS: Final = {
    "attempts": "q",
    "seconds": "d",
    "input_tokens": "q",
    "cached_tokens": "q",
    "output_tokens": "q",
    "cost_usd": "d",
}


class Results(MutableMapping[bytes, RowResult]):
    """What became of each key, in some 60 bytes a row; what it gives is a copy.

    Parameters
    ----------
    length : int
        The rows of the frame.
    positions : mapping of bytes to int
        The position of the first row of each key; keys may come later.

    Attributes
    ----------
    statuses : bytearray
        By position: 0 where there is no result, else one more than the index in `Status`.
    sources : bytearray
        By position: the index in `Source`, and behind it None.
    numbers : dict
        By position: a sequence for each field that is a number.
    cells : list of tuple or None
        By position: the values of the output's columns.
    errors : dict of tuple
        By position: error and error type, where there is one.
    """

    def __init__(self, length: int, positions: Mapping[bytes, int]) -> None:
        self._positions = positions
        self._count = 0
        self.statuses = bytearray(length)
        self.sources = bytearray(length)
        self.numbers: dict[str, MutableSequence[Any]] = {
            name: array(code, [0]) * length for name, code in _NUMBERS.items()
        }
        self.cells: list[tuple[Any, ...] | None] = [None] * length
        self.errors: dict[int, tuple[str | None, str | None]] = {}

    def __setitem__(self, key: bytes, result: RowResult) -> None:
        at = self._positions[key]
        self._count += not self.statuses[at]
        self.statuses[at] = _STATUSES.index(result.status) + 1
        self.sources[at] = _SOURCES.index(result.source)
        self.cells[at] = result.values
        for name in _NUMBERS:
            self._set_number(name, at, getattr(result, name))
        self.errors.pop(at, None)
        if result.error is not None or result.error_type is not None:
            self.errors[at] = result.error, result.error_type

    def _set_number(self, name: str, at: int, value: float) -> None:
        try:
            self.numbers[name][at] = value
        except (OverflowError, TypeError):  # a service may count beyond 64 bits
            self.numbers[name] = list(self.numbers[name])
            self.numbers[name][at] = value

    def __getitem__(self, key: bytes) -> RowResult:
        at = self._positions[key]
        if not self.statuses[at]:
            raise KeyError(key)
        numbers = {name: column[at] for name, column in self.numbers.items()}
        error, error_type = self.errors.get(at, (None, None))
        return RowResult(
            key,
            self.status_at(at) or "failed",
            self.cells[at] or (),
            error,
            error_type,
            source=_SOURCES[self.sources[at]],
            position=at,
            **numbers,
        )

    def __delitem__(self, key: bytes) -> None:
        at = self._positions[key]
        if not self.statuses[at]:
            raise KeyError(key)
        self._count -= 1
        self.statuses[at] = 0
        self.cells[at] = None
        self.errors.pop(at, None)

    def __contains__(self, key: object) -> bool:
        at = self._positions.get(key)  # type: ignore[call-overload]
        return at is not None and bool(self.statuses[at])

    def __iter__(self) -> Iterator[bytes]:
        return (key for key, at in self._positions.items() if self.statuses[at])

    def __len__(self) -> int:
        return self._count

    def status_at(self, position: int) -> Status | None:
        """What became of the key whose first row is there; None: nothing yet."""
        number = self.statuses[position]
        return _STATUSES[number - 1] if number else None
