"""Watches a model call: says when it is tried again and when it is silent, and ends a dead one.

A stream needs no timer for each event. The reader notes when it begins to wait; one timer for the
whole stream looks at that note when a limit could have passed, and cancels the waiting task as
`asyncio.timeout` would. Only a reader that waits is cancelled, so no other code is hit (PEP 789),
and the time that the reader of the events takes is not held against the model.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol

from ...exceptions import ModelStalledError, ModelTimeoutError
from ...model_settings import TimeLimits

if TYPE_CHECKING:
    from ..gate.gate import Gate

__all__ = [
    "STALL_TIMER",
    "Listener",
    "StallTimer",
    "connection_error",
    "current_stall_timer",
    "pausable",
]

PAUSED: Final = math.inf
"""In place of the time at which waiting began: the model is not waited for."""

_SOONEST: Final = 0.001
_GRACE: Final = 0.005  # seconds
_IN_LINE: Final = 1.0  # seconds


class Listener(Protocol):
    """Who wants to know how a model call goes; called on the run's loop, must not block."""

    def retried(self, attempt: int, delay: float, error: Exception, *, resumed: bool) -> None:
        """The call failed, and is made again (or its stream resumed) after `delay` seconds."""

    def stalled(self, seconds: float, limit: float | None, reason: str = "") -> None:
        """Nothing has come for `seconds`; after `limit` seconds it is an error.

        With a reason the request has not left yet: a rate limit holds it.
        """

    def recovered(self) -> None:
        """The model speaks again."""


class StallTimer:
    """Watches one model call.

    Attributes
    ----------
    waiting_since : float
        When the reader began to wait for the model, by `time.monotonic`; `PAUSED` while it does
        not. Written by the reader around each event: this is all that an event costs.
    begun : bool
        Whether the answer has begun.
    is_silent : bool
        Whether the listener was told of a silence that is not over.
    attempts : int
        How often the call was tried again, or resumed.
    client_retries : bool
        Whether the openai client's own retries are made: not where others would multiply them.
    gate : Gate or None
        What the requests of the call go through.
    may_return : bool
        Whether the last request was refused for now, and stands in the gate's line again.
    waited : float
        Seconds that requests stood in line.
    timeout : tuple of float and asyncio.Timeout, or None
        How many seconds the attempt under way may take, and what ends it then.
    sleep : callable
        Waits for some seconds; a replay has its own pace.
    """

    __slots__ = (
        "_cancelling",
        "_doubted",
        "_error",
        "_listener",
        "_task",
        "_timer",
        "attempts",
        "begun",
        "client_retries",
        "gate",
        "is_silent",
        "limits",
        "may_return",
        "sleep",
        "timeout",
        "waited",
        "waiting_since",
    )

    def __init__(
        self,
        limits: TimeLimits | None = None,
        listener: Listener | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.limits = limits or TimeLimits()
        self.gate = gate
        self.client_retries = True
        self.may_return = False
        self.waited = 0.0
        self.waiting_since = PAUSED
        self.begun = False
        self.is_silent = False
        self.attempts = 0
        self.timeout: tuple[float, asyncio.Timeout] | None = None
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        self._listener = listener
        self._error: ModelStalledError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._doubted = PAUSED

    def start(self) -> None:
        """Begin to watch the current task; `stop` ends it."""
        self._task = asyncio.current_task()
        if self._task is not None:
            self._cancelling = self._task.cancelling()
            self._look()

    def stop(self) -> None:
        """Watch no longer: the call is over, or its silence is meant."""
        self._task = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """Look whether the model is silent, and come again when it could be for too long."""
        task = self._task
        if task is None or self._error is not None:
            return
        now = time.monotonic()
        silence = max(now - self.waiting_since, 0.0)  # 0 while the reader does not wait
        limit = self.limits.between_events if self.begun else self.limits.first_event
        notice = self.limits.notice
        if limit is not None and silence >= limit:
            if self._doubted != self.waiting_since:
                # Perhaps the loop was blocked, and what came in the meantime waits to be read.
                self._doubted = self.waiting_since
                self._timer = task.get_loop().call_later(_GRACE, self._look)
                return
            name = "between_events" if self.begun else "first_event"
            self._error = ModelStalledError(limit, name)
            task.cancel()
            return
        if notice is not None and silence >= notice and not self.is_silent:
            self.is_silent = True
            if self._listener is not None:
                self._listener.stalled(silence, limit)
        ahead = [limit] if self.is_silent else [limit, notice]
        waits = [seconds - silence for seconds in ahead if seconds is not None]
        if self.is_silent and notice is not None:
            waits.append(notice)  # it may be silent again soon after it spoke
        if waits:
            soon = max(min(waits), _SOONEST)
            self._timer = task.get_loop().call_later(soon, self._look)

    def begin(self) -> None:
        """The answer has begun: from here on the limit between events counts."""
        self.begun = True
        if self._timer is not None:
            self._timer.cancel()
        self._look()

    def recovered(self) -> None:
        """The model spoke: a silence that was told of is over."""
        self.is_silent = False
        if self._error is not None and self._task is not None:
            # It spoke in the moment in which it was given up, and kept the cancellation to itself.
            self._error = None
            self._task.uncancel()
            self._look()
        if self._listener is not None:
            self._listener.recovered()

    def stall_error(self) -> ModelStalledError | None:
        """The error for a cancellation that was caught; None where it came from elsewhere."""
        error, self._error = self._error, None
        if error is None or self._task is None:
            return None
        if self._task.uncancel() > self._cancelling:
            return None  # somebody else wants the task to end, too
        self.waiting_since = PAUSED
        self._look()
        return error

    @contextmanager
    def in_line(self, reason: Callable[[], str] = str) -> Iterator[None]:
        """Hold the time in this block against nobody: not the model, nor `pausable` time limits."""
        waiting_since, began = self.waiting_since, time.monotonic()
        waiting = _InLine(self._listener, reason)
        self.waiting_since = PAUSED
        left: list[tuple[asyncio.Timeout, float]] = []
        now = asyncio.get_running_loop().time()
        for scope in _TIMEOUTS.get():
            when = scope.when()
            if when is not None and not scope.expired():
                left.append((scope, when - now))
                scope.reschedule(None)
        try:
            yield
        finally:
            waiting.stop()
            ended = time.monotonic()
            self.waited += ended - began
            self.waiting_since = waiting_since if waiting_since == PAUSED else ended
            now = asyncio.get_running_loop().time()
            for scope, seconds in left:
                if not scope.expired():
                    scope.reschedule(now + seconds)

    def returns_to_line(self, error: Exception) -> bool:
        """Whether a request that failed stands in the gate's line again; it is told of."""
        if not self.may_return:
            return False
        self.may_return = False
        self._note_retry(0.0, error, resumed=False)
        return True

    def reason(self, error: BaseException) -> BaseException:
        """What a cancellation stands for that a limit brought about; else the error itself."""
        if not isinstance(error, asyncio.CancelledError):
            return error
        if self._error is not None:
            return self._error
        if self.timeout is None or not self.timeout[1].expired():
            return error
        return ModelTimeoutError(self.timeout[0])

    async def pause(self, delay: float, error: Exception, *, resumed: bool = False) -> None:
        """Tell that the call is made again after `delay` seconds, and wait for them.

        They are not held against the model. `resumed`: the stream goes on where it broke off.
        """
        self._note_retry(delay, error, resumed=resumed)
        self.waiting_since = PAUSED
        if delay > 0:
            await self.sleep(delay)
        self.waiting_since = time.monotonic()

    def _note_retry(self, delay: float, error: Exception, *, resumed: bool) -> None:
        self.attempts += 1
        self.is_silent = False
        if not resumed:
            self.begun = False
        if self._listener is not None:
            self._listener.retried(self.attempts, delay, error, resumed=resumed)


class _InLine:
    """Tells a listener, once a second while a request waits in line, why it does."""

    def __init__(self, listener: Listener | None, reason: Callable[[], str]) -> None:
        self._listener, self._reason = listener, reason
        self._since = time.monotonic()
        self._last_reason = ""
        self._timer: asyncio.TimerHandle | None = None
        if listener is not None:
            self._timer = asyncio.get_running_loop().call_later(_IN_LINE, self._notify)

    def _notify(self) -> None:
        assert self._listener is not None
        reason = self._reason()
        if reason and reason != self._last_reason:
            self._last_reason = reason
            self._listener.stalled(time.monotonic() - self._since, None, reason)
        self._timer = asyncio.get_running_loop().call_later(_IN_LINE, self._notify)

    def stop(self) -> None:
        """The request leaves."""
        if self._timer is not None:
            self._timer.cancel()
        if self._last_reason and self._listener is not None:
            self._listener.recovered()


def connection_error(error: BaseException, stall_timer: StallTimer) -> Exception:
    """The error itself; for a cancellation of the watch's own, what it stands for.

    Raises
    ------
    asyncio.CancelledError
        The cancellation came from elsewhere.
    """
    if isinstance(error, Exception):
        return error
    stall_error = stall_timer.stall_error()
    if stall_error is None:
        raise error
    return stall_error


_TIMEOUTS: Final = ContextVar[tuple[asyncio.Timeout, ...]]("agentstream_timeouts", default=())


@contextmanager
def pausable(scope: asyncio.Timeout) -> Iterator[None]:
    """Let a time limit stand still in this block while a request waits in the gate's line."""
    token = _TIMEOUTS.set((*_TIMEOUTS.get(), scope))
    try:
        yield
    finally:
        _TIMEOUTS.reset(token)


STALL_TIMER: Final = ContextVar[StallTimer | None]("agentstream_watch", default=None)
"""The watch of the model call that is being begun."""


def current_stall_timer() -> StallTimer:
    """The watch of the model call under way; one that does nothing where there is none."""
    return STALL_TIMER.get() or StallTimer()
