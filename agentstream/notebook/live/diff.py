"""How to make one text of another: what a front end has need not be sent to it again."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["difference"]


def difference(old: str, new: str) -> tuple[int, int, str]:
    """Tell how to make `new` of `old`, so that a front end need not be sent again what it has."""
    start = _common(old, new, lambda text, size: text[:size])
    rest = min(len(old), len(new)) - start
    end = _common(
        old[len(old) - rest :], new[len(new) - rest :], lambda text, size: text[len(text) - size :]
    )
    stop = len(new) - end
    return _units(new[:start]), _units(new[stop:]), new[start:stop]


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def _common(a: str, b: str, part: Callable[[str, int], str]) -> int:
    """Return the largest size for which the parts are equal; slices compare faster than a loop."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        size = (low + high + 1) // 2
        low, high = (size, high) if part(a, size) == part(b, size) else (low, size - 1)
    return low
