"""Where a run stands in a marimo notebook: in the output of the cell that awaits it.

A cell of marimo shows its last expression; what is awaited in the middle is put above it while the
cell is at work. Once a cell has ended, its output is not ours any more.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["MarimoOutput"]


class MarimoOutput:
    """The output of the marimo cell at work, where a widget is shown and replaced later."""

    def __init__(self) -> None:
        self._marimo: Any = sys.modules["marimo"]
        self._cell = self._running_cell()
        self._index: int | None = None

    def _running_cell(self) -> Any:
        context = self._marimo._runtime.context.get_context()
        return context.execution_context and context.execution_context.cell_id

    @property
    def can_replace(self) -> bool:
        """Whether its cell is still at work."""
        return self._index is not None and self._running_cell() == self._cell

    def show_widget(self, widget: Any, instead: Any = None) -> None:
        """Show a widget below what the cell shows already."""
        self._append(widget)

    def show(self, data: dict[str, Any], metadata: Any = None) -> None:
        """Show a bundle below what the cell shows already."""
        self._append(self._marimo.Html(data["text/html"]))

    def replace(self, data: dict[str, Any]) -> None:
        """Show a bundle in the place of the one before; nothing once the cell has ended."""
        if self.can_replace:
            self._marimo.output.replace_at_index(self._marimo.Html(data["text/html"]), self._index)

    def _append(self, value: Any) -> None:
        if self._cell is not None:
            context = self._marimo._runtime.context.get_context()
            self._index = len(context.execution_context.output._items)
            self._marimo.output.append(value)
