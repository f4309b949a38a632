"""Where a run stands in a notebook: its place below the cell that made it, and the way back to it.

IPython displays a cell's last expression only, outputs that come after their cell are lost where a
program executes the notebook, and a widget's messages may come in on another thread. Here is what
each of these takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from IPython import display as ipython
from ipywidgets import Widget

from .._utils.aio import running_loop_or_none
from .cells import count, once_post_execute


def publish(
    data: dict[str, Any], metadata: dict[str, Any] | None = None, *, display_id: str, **how: Any
) -> None:
    """Show a bundle as it is: IPython is not asked to make anything of it.

    Metadata are an object in each message; xeus-python sends what it is given, also None.
    """
    show_it: Any = ipython.publish_display_data
    show_it(data, metadata or {}, transient={"display_id": display_id}, **how)


class CellOutput:
    """The output of the cell at work, where a bundle is shown and replaced later.

    A run changes in the context of the cell that started it, and a kernel sends outputs for the
    cell of the context. What is shown here stays an output of this cell: a notebook that a program
    executes (nbclient, papermill, nbmake) keeps nothing else.
    """

    def __init__(self, display_id: str) -> None:
        self._id = display_id
        self._cell = count()
        self._context = copy_context()

    can_replace = True

    @property
    def is_of_this_cell(self) -> bool:
        """Whether the cell at work is the one whose output it is."""
        return count() == self._cell

    def show(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        """Show a bundle."""
        publish(data, metadata, display_id=self._id)

    def show_widget(self, widget: Any, instead: dict[str, str]) -> None:
        """Show a widget, and what is to be seen `instead` where there are no widgets.

        Its own text is its repr, which says nothing, and would stay where nothing is replaced.
        """
        bundle = widget._repr_mimebundle_()
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        data.pop("text/plain", None)
        self.show({**data, **instead}, metadata)

    def replace(self, data: dict[str, Any]) -> None:
        """Show a bundle in the place of the one before.

        If the cell has ended, the next cell sends it once more: a program that executes a notebook
        takes in no output of a cell that has ended, but does take what the cell at work says of an
        earlier display.
        """

        def again() -> None:
            publish(data, display_id=self._id, update=True)

        self._context.copy().run(again)
        if not self.is_of_this_cell:
            once_post_execute(again)


def show_in_time(show: Callable[[], None], loop: asyncio.AbstractEventLoop | None) -> None:
    """Call `show` when the cell gives way to the loop, and at its end, whichever is first.

    It is to do nothing the second time. So what is made by a statement in the middle of a cell is
    displayed, too, and what finds its place by then (as a last expression, in another widget) has
    it.
    """

    def first() -> None:
        forget()
        show()

    forget = once_post_execute(first)
    if loop is not None:
        loop.call_soon(first)


def call_on(loop: asyncio.AbstractEventLoop | None, function: Callable[[], object]) -> None:
    """Call `function` on its loop, at once if that is the one that runs here."""
    if loop is None or loop is running_loop_or_none() or loop.is_closed():
        function()
    else:
        loop.call_soon_threadsafe(function)


def is_inside_another(widget: Widget) -> bool:
    """Whether another widget holds this one among its children."""
    from ipywidgets.widgets import widget as widgets

    others = list(getattr(widgets, "_instances", {}).values())
    return any(widget in (getattr(other, "children", None) or ()) for other in others)
