"""Figures for tests, drawn without windows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def without_windows() -> Iterator[None]:
    """Figures are drawn into memory, and none is left over; for each module that imports it."""
    plt.switch_backend("agg")
    yield
    plt.close("all")


def plot() -> Any:
    """A figure of a line, with a title."""
    figure, axes = plt.subplots()
    axes.plot([1, 3, 2])
    axes.set_title("Sales")
    return figure
