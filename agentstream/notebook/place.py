"""Where a run stands in a notebook: its place below the cell that made it, and the way back to it.

IPython displays a cell's last expression only, outputs that come after their cell are lost where a
program executes the notebook, and a widget's messages may come in on another thread. Here is what
each of these takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from IPython import display as ipython
from IPython.core.getipython import get_ipython
from ipywidgets import Widget

from ..together import loop_here


def publish(data: dict[str, Any], *, display_id: str, **how: Any) -> None:
    """Show a bundle as it is: IPython is not asked to make anything of it."""
    show_it: Any = ipython.publish_display_data
    show_it(data, transient={"display_id": display_id}, **how)


def publish_with_next_cell(data: dict[str, str], display_id: str) -> None:
    """Show a bundle in the place of an earlier one once more, as an output of the next cell.

    A notebook that a program executes (nbclient, nbmake) takes in no output of a cell that has
    ended, but does take what the cell at work says of an earlier display.
    """

    def show() -> None:
        publish(data, display_id=display_id, update=True)

    at_the_end_of_a_cell(show)


def at_the_end_of_a_cell(function: Callable[[], None]) -> Callable[[], None]:
    """Have `function` called once when a cell ends, this one or the next; returns how to forget it.

    Outside IPython there are no cells, and nothing is called.
    """
    events: Any = getattr(get_ipython(), "events", None)

    def forget() -> None:
        if events is not None and once in events.callbacks["post_execute"]:
            events.unregister("post_execute", once)

    def once() -> None:
        forget()
        function()

    if events is not None:
        events.register("post_execute", once)
    return forget


def show_in_time(show: Callable[[], None], loop: asyncio.AbstractEventLoop | None) -> None:
    """Call `show` when the cell gives way to the loop, and at its end, whichever is first.

    It is to do nothing the second time. So what is made by a statement in the middle of a cell is
    displayed, too, and what finds its place by then (as a last expression, in another widget) has
    it.
    """

    def first() -> None:
        forget()
        show()

    forget = at_the_end_of_a_cell(first)
    if loop is not None:
        loop.call_soon(first)


def count() -> int:
    """The number of the cell that is being executed, or of the next one; -1 outside IPython."""
    return getattr(get_ipython(), "execution_count", -1)


def call_on(loop: asyncio.AbstractEventLoop | None, function: Callable[[], object]) -> None:
    """Call `function` on its loop, at once if that is the one that runs here."""
    if loop is None or loop is loop_here() or loop.is_closed():
        function()
    else:
        loop.call_soon_threadsafe(function)


def is_inside_another(widget: Widget) -> bool:
    """Whether another widget holds this one among its children."""
    from ipywidgets.widgets.widget import _instances

    return any(
        widget in (getattr(other, "children", None) or ()) for other in list(_instances.values())
    )
