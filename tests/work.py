"""How much our code does, counted in lines that are run: the same on every machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import agentstream

__all__ = ["growth", "lines_run"]

_OURS = str(Path(agentstream.__file__).parent)


def lines_run(work: Callable[[], object]) -> int:
    """How many lines of the package `work` runs, each turn of a loop or comprehension anew."""
    count = 0

    def line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += 1
        return line

    def call(frame: FrameType, event: str, argument: Any) -> Any:
        return line if frame.f_code.co_filename.startswith(_OURS) else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def growth(work: Callable[[int], Callable[[], object]], size: int) -> float:
    """How many times the work four times the size takes; 4 is linear, 16 quadratic.

    Parameters
    ----------
    work : function
        Makes the work for a size; what it takes to make it is not counted.
    size : int
        The smaller one.
    """
    work(2)()  # what is done once in a process is no part of it
    return lines_run(work(4 * size)) / lines_run(work(size))
