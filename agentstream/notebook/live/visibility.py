"""Whether a view is in sight on any page: what nobody sees need not be sent.

Each page that has loaded a view says when it comes into sight and when it leaves it: by scrolling,
behind another tab, when it is closed. A page that has said nothing is taken to show the view. So is
every page while the kernel could not hear it: a kernel that executes a cell hears no page before
the end of that cell, unless its front end sends messages over a subshell, on another thread.
"""

from __future__ import annotations

import threading
from time import monotonic

from ..cells import is_at_work

__all__ = ["Visibility"]

_LOADING_SECONDS = 5.0
"""How long a page may take to load a view and ask for it."""


class Visibility:
    """What the pages of one view have said.

    Examples
    --------
    >>> visibility = Visibility()
    >>> visibility.note("page", False)
    >>> visibility.is_hidden()  # not in a notebook: it is not known whether a page is heard
    False
    """

    def __init__(self) -> None:
        self._pages: dict[str, bool] = {}
        self._made = monotonic()
        self._subshell = False
        is_at_work()  # begins to look

    @property
    def is_loaded(self) -> bool:
        """Whether a page has asked for the view."""
        return bool(self._pages)

    def note(self, view_id: str, visible: bool) -> None:
        """Note what a page says, on the thread on which its message came."""
        self._pages[view_id] = visible
        self._subshell = threading.current_thread() is not threading.main_thread()

    def is_hidden(self) -> bool:
        """Whether no page shows the view, and one that does will be heard."""
        if any(self._pages.values()):
            return False
        if not self._pages and monotonic() - self._made < _LOADING_SECONDS:
            return False
        return self._subshell or not is_at_work()
