"""Who is called while a run goes on: views, recordings, a program's own functions.

A watcher never fails the run that it watches. What it raises is logged, once for each watcher.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["FailureLog", "Watchers", "log_failure"]

logger = logging.getLogger("agentstream")


class Watchers(list[Callable[..., None]]):
    """Functions that are called in order, whatever one of them raises.

    Examples
    --------
    >>> seen = []
    >>> watchers = Watchers([seen.append])
    >>> watchers.notify_all(["an event", "another"])
    >>> seen
    ['an event', 'another']
    """

    def __init__(self, watchers: Iterable[Callable[..., None]] = ()) -> None:
        super().__init__(watchers)
        self._failed: set[int] = set()

    def notify_all(self, events: Iterable[Any]) -> None:
        """Call each watcher with each of the events."""
        for watcher in self:
            for event in events:
                try:
                    watcher(event)
                except Exception:  # noqa: BLE001 - it is logged
                    self._note(watcher)

    def notify(self) -> None:
        """Call each watcher."""
        for watcher in self:
            try:
                watcher()
            except Exception:  # noqa: BLE001 - it is logged
                self._note(watcher)

    def _note(self, watcher: Callable[..., None]) -> None:
        if id(watcher) not in self._failed:
            self._failed.add(id(watcher))
            log_failure(watcher)


class FailureLog:
    """Logs what a view raises, the first time; `is_used` from then on."""

    def __init__(self) -> None:
        self.is_used = False

    def note(self, view: Any) -> None:
        """Log the exception that is being handled, unless one was logged before."""
        if not self.is_used:
            self.is_used = True
            log_failure(view)


def log_failure(watcher: Any) -> None:
    """Log the exception that is being handled, which a watcher of a run has raised."""
    name = getattr(watcher, "__qualname__", None) or type(watcher).__name__
    logger.exception("%s, which watches a run, failed; the run goes on.", name)
