"""A run where there are no widgets: text that is written, or a snapshot that is replaced."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

from .._utils.aio import running_loop_or_none
from .._utils.watchers import FailureLog
from ..trace import Trace
from .live.panels import panels_text
from .terminal import TerminalView

__all__ = ["HtmlUpdates", "PlainUpdates", "TextUpdates"]

_SHARE: Final = 0.05
"""What updates may take of a core."""


class PlainUpdates(ABC):
    """Shows what is new now and then; what it raises is logged, and fails no run.

    Attributes
    ----------
    whole_lines : bool
        Whether only whole lines are written, as the program may write something in between.
    """

    whole_lines = True
    _seconds: float
    """The least time from one update to the next."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._version = self._ended = -1
        self._timer: asyncio.TimerHandle | None = None
        self._cost = 0.0
        self._failures = FailureLog()

    def nudge(self) -> None:
        """Say that the run has changed."""
        loop = running_loop_or_none()
        if self._timer is None and loop is not None:
            wait = max(self._seconds, self._cost / _SHARE)
            self._timer = loop.call_later(wait, self._update)

    def _update(self) -> None:
        self._timer = None
        if self._version == self._trace.version:
            return
        self._version, began = self._trace.version, time.thread_time()
        try:
            self._show()
        except Exception:  # noqa: BLE001 - it is logged
            self._failures.note(type(self))
        self._cost = time.thread_time() - began

    def pause(self, *, reason: bool = True) -> None:
        """Show all there is: the run has ended, or waits for somebody."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ended == self._trace.version:
            return
        self._ended = self._trace.version
        try:
            self._show_end(reason)
        except Exception:  # noqa: BLE001 - it is logged
            self._failures.note(type(self))

    @abstractmethod
    def _show(self) -> None:
        """Show what is new."""

    @abstractmethod
    def _show_end(self, reason: bool) -> None:
        """Show the end, and why the run failed unless that is raised as well."""


class HtmlUpdates(PlainUpdates):
    """The run's snapshot, replaced as it goes on."""

    _seconds = 1.0

    def __init__(self, trace: Trace, replace: Callable[[], None]) -> None:
        super().__init__(trace)
        self._replace = replace

    def _show(self) -> None:
        self._replace()

    def _show_end(self, reason: bool) -> None:
        self._replace()


class TextUpdates(PlainUpdates):
    """The run as text on standard output."""

    _seconds = 0.1

    def __init__(self, trace: Trace, **extras: Any) -> None:
        super().__init__(trace)
        self._extras = extras
        self._view = TerminalView(trace)

    def _show(self) -> None:
        self._view.whole_lines = self.whole_lines
        self._view.update()

    def _show_end(self, reason: bool) -> None:
        self._view.whole_lines = self.whole_lines
        self._view.close(reason=reason)
        if self._trace.status != "paused":
            self._view.add(panels_text(self._trace, **self._extras))
