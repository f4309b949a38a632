"""Watches tools at work on the event loop: one that blocks it is named, and can be interrupted.

Nothing else in the process goes on while a coroutine computes or waits without ``await``: no other
run, no clock of the view, no time limit. And a kernel answers Ctrl-C by cancelling the cell's task,
which cannot be while the loop does not turn. So each step of a tool, from one ``await`` to the
next, is timed; and while it lasts, Ctrl-C raises KeyboardInterrupt in it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

from .interrupts import interrupts_raise

T = TypeVar("T")

logger = logging.getLogger("agentstream")

BLOCKED_SECONDS = 0.5
"""How long a step may take before its tool is said to block the event loop."""

STUCK_SECONDS = 5.0
"""After how long this is said although the step has not ended."""

_WAY_OUT = (
    "Meanwhile nothing else went on here: no other run, no view, no time limit. Make it a plain "
    "`def`, which runs in a thread, or `await asyncio.to_thread(...)` its slow part"
)


class MonitoredCall:
    """A tool's call, to be awaited; its steps are watched."""

    def __init__(
        self, call: Coroutine[Any, Any, T], name: str, warn: Callable[[str], None]
    ) -> None:
        self._call = call
        self._name = name
        self._warn = warn
        self._longest = 0.0

    def __await__(self) -> Generator[Any, Any, Any]:
        step: Callable[[Any], Any] = self._call.send
        value: Any = None
        with _monitor:
            while True:
                try:
                    awaited = self._step(step, value)
                except StopIteration as done:
                    return done.value
                try:
                    value, step = (yield awaited), self._call.send
                except BaseException as error:  # noqa: BLE001 - it is the coroutine's
                    value, step = error, self._call.throw

    def _step(self, step: Callable[[Any], Any], value: Any) -> Any:
        began = time.monotonic()
        me = threading.get_ident()
        outer, _monitor.steps[me] = _monitor.steps.get(me), (self._name, began)
        try:
            with interrupts_raise(asyncio.current_task()):
                return step(value)
        finally:
            if outer is None:
                _monitor.steps.pop(me, None)  # The tool may have forked.
            else:
                _monitor.steps[me] = outer
            took = time.monotonic() - began
            if took > BLOCKED_SECONDS and took > self._longest:
                self._longest = took
                self._warn(f"blocked the event loop for {took:.1f} s. {_WAY_OUT}")


class BlockingMonitor:
    """Who is at which step, and a thread that looks for one that does not end.

    The thread waits for good while no tool is at work.

    Attributes
    ----------
    steps : dict
        By thread: the tool at work on its loop, and when its step began.
    """

    def __init__(self) -> None:
        self.steps: dict[int, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._calls = 0
        self._at_work = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> None:
        with self._lock:
            self._calls += 1
            self._at_work.set()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._look, name="agentstream watch", daemon=True
                )
                self._thread.start()

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._calls -= 1
            if self._calls < 1:
                self._at_work.clear()

    def _look(self) -> None:
        reported: set[tuple[str, float]] = set()
        while self._at_work.wait():
            time.sleep(STUCK_SECONDS / 5)
            late = time.monotonic() - STUCK_SECONDS
            steps = set(self.steps.copy().values())
            stuck = {step for step in steps if step[1] < late}
            for name, began in stuck - reported:
                logger.warning(
                    "The tool %r has blocked the event loop for %.0f s, and still does. %s.",
                    name,
                    time.monotonic() - began,
                    _WAY_OUT,
                )
            reported = stuck


_monitor = BlockingMonitor()
if hasattr(os, "register_at_fork"):
    # A forked process has no thread but the one that forked, and maybe a lock nobody opens.
    os.register_at_fork(after_in_child=_monitor.__init__)  # type: ignore[misc]
