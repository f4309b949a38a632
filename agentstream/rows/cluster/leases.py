"""The gate as a worker sees it: each request asks the client's gate for its admission.

An admission is given out up to a second before its time, so a worker holds those of about the next
second, and lets its requests leave when it is their turn, whatever the client is doing then.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..._utils.aio import call_where_it_runs
from ...models.gate.gate import Gate, Line
from ...models.gate.limiter import Limiter, Permit
from ...models.gate.meter import SLACK
from .job import PackedError

if TYPE_CHECKING:
    from ...models.gate.headers import Reading

__all__ = ["LeasedGate"]

LineName = tuple[str, str, str]
Send = Callable[[tuple[Any, ...]], None]


@dataclass(slots=True, eq=False)
class _LeasedPermit(Permit):
    number: int = 0


@dataclass(slots=True, eq=False)
class _Lease:
    """A request that waits: for its admission, and then for its time."""

    line: LineName
    amounts: Mapping[str, float]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Permit]
    is_granted: bool = False


class LeasedGate(Gate):
    """A gate whose admissions come from another process.

    `send` may be called from any thread.
    """

    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send
        self._numbers = itertools.count()
        self._leases: dict[int, _Lease] = {}
        self._leases_lock = threading.Lock()
        self._departures: dict[LineName, _Departures] = {}

    def _new_line(self, name: LineName) -> Line:
        return _LeasedLine(name, self)

    # -- what the client says; called on the loop of the worker's rows -----------------------------

    def grant(self, number: int, delay: float) -> None:
        """Let a request leave after some seconds."""
        lease = self._leases.get(number)
        if lease is None:
            return  # given up; the client knows
        lease.is_granted = True
        if lease.line not in self._departures:
            self._departures[lease.line] = _Departures(self._leave)
        self._departures[lease.line].add(number, delay)

    def fail(self, number: int, error: PackedError) -> None:
        """Fail a request that waits."""
        lease = self._take(number)
        if lease is not None:
            call_where_it_runs(lease.loop, _set_error, lease.future, error.error())

    def recall(self, line: LineName) -> None:
        """Let the requests that have not left yet wait again, at the head of the line."""
        with self._leases_lock:
            recalled = [
                (number, lease)
                for number, lease in self._leases.items()
                if lease.is_granted and lease.line == line
            ]
            for number, _ in recalled:
                del self._leases[number]
        for number, lease in reversed(recalled):
            self._send(("withdrawn", number))
            lease.is_granted = False
            self.ask(lease, first=True)

    # -- what requests ask -------------------------------------------------------------------------

    def ask(self, lease: _Lease, *, first: bool) -> int:
        """Ask the client for the admission of a request; the request's number."""
        number = next(self._numbers)
        with self._leases_lock:
            self._leases[number] = lease
        self._send(("enter", number, lease.line, dict(lease.amounts), first))
        return number

    def give_up(self, lease: _Lease) -> None:
        """Withdraw a request that was cancelled while it waited."""
        with self._leases_lock:
            numbers = [number for number, each in self._leases.items() if each is lease]
            for number in numbers:
                del self._leases[number]
        future = lease.future
        if not numbers and future.done() and not future.cancelled() and not future.exception():
            permit = future.result()
            assert isinstance(permit, _LeasedPermit)
            numbers = [permit.number]
        for number in numbers:
            self._send(("withdrawn", number))

    def send(self, kind: str, *what: Any) -> None:
        """Tell the client."""
        self._send((kind, *what))

    def _leave(self, number: int) -> None:
        lease = self._take(number)
        if lease is not None:
            permit = _LeasedPermit(lease.amounts, 0, time.monotonic(), number=number)
            call_where_it_runs(lease.loop, self._let_through, lease.future, permit)

    def _let_through(self, future: asyncio.Future[Permit], permit: _LeasedPermit) -> None:
        if future.done():  # cancelled in the meantime
            self._send(("withdrawn", permit.number))
        else:
            future.set_result(permit)

    def _take(self, number: int) -> _Lease | None:
        with self._leases_lock:
            return self._leases.pop(number, None)


class _Departures:
    """Lets requests leave at their times, one by one even after the loop was blocked."""

    def __init__(self, leave: Callable[[int], None]) -> None:
        self._leave = leave
        self._waiting: deque[tuple[float, int]] = deque()
        self._late = 0.0
        """Seconds by which all are later than was meant."""

    def add(self, number: int, delay: float) -> None:
        """A request is to leave after some seconds."""
        loop = asyncio.get_running_loop()
        self._waiting.append((loop.time() + delay, number))
        if len(self._waiting) == 1:
            self._late = 0.0
            self._next(loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            due, number = self._waiting[0]
            left = due + self._late - loop.time()
            if left > 0:
                loop.call_later(left, self._next, loop)
                return
            self._late = max(self._late, self._late - left - SLACK)
            self._waiting.popleft()
            self._leave(number)


class _LeasedLine(Line):
    """A line whose head is in another process."""

    def __init__(self, name: LineName, gate: LeasedGate) -> None:
        super().__init__(Limiter())
        self._name = name
        self._gate = gate

    async def enter(
        self, amounts: Mapping[str, float], *, first: bool = False, ahead: float = 0.0
    ) -> Permit:
        loop = asyncio.get_running_loop()
        lease = _Lease(self._name, amounts, loop, loop.create_future())
        self._gate.ask(lease, first=first)
        try:
            return await lease.future
        except asyncio.CancelledError:
            self._gate.give_up(lease)
            raise

    def note_limits(
        self, permit: Permit, readings: Mapping[str, Reading], *, is_error: bool = False
    ) -> None:
        self._notify("note_limits", permit, dict(readings), is_error)

    def succeeded(self, permit: Permit, used: Mapping[str, float]) -> None:
        with self._lock:
            self._learn(permit, used)
        self._notify("succeeded", permit, dict(used))

    def refused(self, permit: Permit, retry_after: float | None, error: Exception) -> bool:
        self._notify("refused", permit, retry_after, PackedError.of(error))
        return True  # where all are refused, the client fails it when it stands in line again

    def failed(self, permit: Permit, *, server_error: bool) -> None:
        self._notify("failed", permit, server_error)

    def withdrawn(self, permit: Permit) -> None:
        self._notify("withdrawn", permit)

    def stop(self, error: Exception) -> None:
        self._gate.send("stop", self._name, PackedError.of(error))

    def _notify(self, kind: str, permit: Permit, *what: Any) -> None:
        assert isinstance(permit, _LeasedPermit)
        self._gate.send(kind, permit.number, *what)


def _set_error(future: asyncio.Future[Permit], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
