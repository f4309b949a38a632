"""The cells of IPython: which one is at work, when it ends, and whose output is whose.

IPython's own ``execution_count`` does not serve: since 9.8 it rises when a cell begins, before that
when it ends. So the ends of cells are counted here, by IPython's events.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary, ref

from ..displays.formatters import running_shell

T = TypeVar("T")

_ENDED: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
"""How many cells each shell has ended since we began to count."""

_AT_WORK: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
"""How many cells each shell executes, one inside another, since we began to look."""

_DISPLAYED_IN: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
"""The cell that shows a run, by the run's result."""


def count() -> int:
    """The number of the cell that is being executed, or of the next one; -1 outside IPython."""
    here = running_shell()
    if here is None:
        return -1
    if here not in _ENDED:
        _ENDED[here] = 0

        def ended(result: Any = None) -> None:
            _ENDED[here] += 1

        here.events.register("post_run_cell", ended)
    return _ENDED[here]


def is_at_work() -> bool:
    """Whether a cell is being executed: so it is taken to be where that is not known."""
    here = running_shell()
    if here is None:
        return True
    if here not in _AT_WORK:
        _AT_WORK[here] = 1

        def begun(info: Any = None) -> None:
            # What code runs inside a cell (`run_cell`, `%%capture`) is kept out of the history. A
            # cell of the user's begins at one again, as we may have begun to look between cells.
            is_inside = not getattr(info, "store_history", True)
            _AT_WORK[here] = _AT_WORK[here] + 1 if is_inside else 1

        def ended(result: Any = None) -> None:
            _AT_WORK[here] = max(0, _AT_WORK[here] - 1)

        here.events.register("pre_run_cell", begun)
        here.events.register("post_run_cell", ended)
    return _AT_WORK[here] > 0


def identity() -> tuple[object, int]:
    """The cell that is being executed, None where the front end does not name it, and which time.

    The name stays when the cell is executed again, the number does not.
    """
    here = running_shell()
    parent = here.get_parent() if hasattr(here, "get_parent") else {}
    return (parent.get("metadata") or {}).get("cellId"), count()


class OfCells(Generic[T]):
    """What the cells have made, for them to be told when they are executed again.

    Where the front end does not name its cells (a console), nothing is found.
    """

    def __init__(self) -> None:
        self._made: dict[object, list[tuple[int, ref[T]]]] = {}

    def replace(self, obj: T) -> list[T]:
        """Note what the cell at work has made; what its earlier executions had."""
        cell, execution = identity()
        if cell is None:
            return []
        made = self._made.get(cell, [])
        earlier = [one() for number, one in made if number != execution]
        now = [(number, one) for number, one in made if number == execution]
        self._made[cell] = [*now, (execution, ref(obj))]
        return [one for one in earlier if one is not None]


def is_held(obj: object) -> bool:
    """Whether a variable of the user's holds it; what IPython keeps of outputs does not count."""
    names: dict[str, Any] = getattr(running_shell(), "user_ns", {})
    return any(value is obj for name, value in names.items() if not name.startswith("_"))


def once_post_execute(function: Callable[[], None]) -> Callable[[], None]:
    """Have `function` called once when a cell ends, this one or the next; returns how to forget it.

    Outside IPython there are no cells, and nothing is called.
    """
    events: Any = getattr(running_shell(), "events", None)

    def forget() -> None:
        if events is not None and once in events.callbacks["post_execute"]:
            events.unregister("post_execute", once)

    def once() -> None:
        forget()
        function()

    if events is not None:
        events.register("post_execute", once)
    return forget


def mark_displayed(result: Any) -> None:
    """Note that the run of `result` is shown in the cell that is being executed."""
    _DISPLAYED_IN[result] = count()


def is_displayed_here(result: Any) -> bool:
    """Whether this cell shows the run already.

    ``await show(run)`` gives the result, which as a cell's last expression would be shown twice.
    """
    here = count()
    return here >= 0 and _DISPLAYED_IN.get(result) == here
