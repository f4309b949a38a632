"""Whether a view is in sight on any front end: what nobody sees need not be sent.

Each page that has loaded a view says when it comes into sight and when it leaves it: by scrolling,
behind another tab, when it is closed. A front end that has said nothing is taken to show the view.
So is every page while the kernel could not hear it: a kernel that executes a cell hears no front
end before the end of that cell, unless its front end sends messages over a subshell, on another
thread.
"""

from __future__ import annotations

import threading
from time import monotonic

from ..cells import is_at_work

__all__ = ["Visibility"]

_LOADING_SECONDS = 5.0
"""How long a front end may take to load a view and ask for it."""


class Visibility:
    """What the front ends of one view have said."""

    def __init__(self) -> None:
        self._views: dict[str, bool] = {}
        self._made = monotonic()
        self._subshell = False
        is_at_work()  # begins to look

    @property
    def is_loaded(self) -> bool:
        """Whether a front end has asked for the view."""
        return bool(self._views)

    def note(self, view_id: str, visible: bool) -> None:
        """Note what a front end says, on the thread on which its message came."""
        self._views[view_id] = visible
        self._subshell = threading.current_thread() is not threading.main_thread()

    def is_hidden(self) -> bool:
        """Whether no front end shows the view, and one that does will be heard."""
        if any(self._views.values()):
            return False
        if not self._views and monotonic() - self._made < _LOADING_SECONDS:
            return False
        return self._subshell or not is_at_work()
