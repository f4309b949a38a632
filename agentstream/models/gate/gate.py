"""`Gate`: one line of requests for each base URL, key and model, let through as its limiter says.

All that this process asks of one account stands in one line, whichever run or event loop asks. Only
the head of the line is let through, one at a time, so that what waited together does not leave
together.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ..._utils.aio import call_where_it_runs, running_loop_or_none
from ..._utils.keywords import suggesting_init
from ...exceptions import UserError
from .limiter import Limiter, Permit

if TYPE_CHECKING:
    from .headers import Reading

__all__ = ["Gate", "GateState", "Line", "shared_gate"]

_FRUITLESS: Final = 12
"""So many refusals in a row, none answered between them, end the waiting."""

_FIRST_OUTPUT: Final = 200.0
_MEAN: Final = 0.1
"""The weight of the newest answer in the moving means."""


@dataclass(frozen=True)
class GateState:
    """What a gate does now.

    Attributes
    ----------
    waiting : int
        Requests that wait in line.
    in_flight : int
        Requests that are under way.
    refusals : int
        Requests that were refused by a rate limit (429) so far.
    reason : str
        Why they wait; empty where they do not.
    """

    waiting: int = 0
    in_flight: int = 0
    refusals: int = 0
    reason: str = ""


@dataclass(eq=False)
class _Waiter:
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Permit]
    amounts: Mapping[str, float]
    ahead: float


@dataclass(eq=False)
class Line:
    """The line of one base URL, key and model; safe to use from several event loops.

    Attributes
    ----------
    limiter : Limiter
        Decides when the head of the line may leave.
    output : float
        The moving mean of the tokens of an answer.
    scale : float
        The moving mean of the tokens that an input took, for each that was estimated.
    """

    limiter: Limiter
    clock: Callable[[], float] = time.monotonic
    output: float = _FIRST_OUTPUT
    scale: float = 1.0
    _waiters: deque[_Waiter] = field(default_factory=deque)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _timer: asyncio.TimerHandle | None = None
    _timer_loop: asyncio.AbstractEventLoop | None = None

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiters)

    def state(self) -> GateState:
        """What the line does now."""
        with self._lock:
            now = self.clock()
            limiter, waiting = self.limiter, len(self._waiters)
            reason = limiter.reason(now) if waiting else ""
            return GateState(waiting, limiter.in_flight, limiter.refusals, reason)

    def amounts(self, input_tokens: float, most_output: int | None = None) -> dict[str, float]:
        """What a request is thought to take of each unit."""
        taken = input_tokens * self.scale
        answer = self.output if most_output is None else min(self.output, most_output)
        return {
            "requests": 1.0,
            "tokens": taken + answer,
            "input-tokens": taken,
            "output-tokens": answer,
        }

    async def enter(
        self, amounts: Mapping[str, float], *, first: bool = False, ahead: float = 0.0
    ) -> Permit:
        """Wait in line until a request may leave.

        A request that was refused stands at the head (`first`): it had its turn already. Where a
        limit is known, the permit may be given out `ahead` seconds before its time; the request
        leaves at `Permit.at`.

        Raises
        ------
        Exception
            The error that stopped the whole line.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            if not self._waiters:
                now = self.clock()
                due = self.limiter.time_for(amounts, now)
                if due <= now + self._lead(ahead):
                    return self.limiter.admit(amounts, max(due, now))
            waiter = _Waiter(loop, loop.create_future(), amounts, ahead)
            (self._waiters.appendleft if first else self._waiters.append)(waiter)
            self._pump()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            with self._lock:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                future = waiter.future
                if future.done() and not future.cancelled() and future.exception() is None:
                    self.limiter.withdrawn(future.result())
                self._pump()
            raise

    def note_limits(
        self, permit: Permit, readings: Mapping[str, Reading], *, is_error: bool = False
    ) -> None:
        """Take in the headers of a response; after an error's nobody leaves yet."""
        with self._lock:
            self.limiter.note_limits(permit, readings, self.clock(), is_error=is_error)
            if not is_error:
                self._pump()

    def succeeded(self, permit: Permit, used: Mapping[str, float]) -> None:
        """Settle a request that was answered."""
        with self._lock:
            self.limiter.succeeded(permit, used, self.clock())
            self._learn(permit, used)
            self._pump()

    def _learn(self, permit: Permit, used: Mapping[str, float]) -> None:
        """Estimate the next requests better."""
        output, taken = used.get("output-tokens"), used.get("input-tokens")
        if output is not None:
            self.output += _MEAN * (output - self.output)
        thought = permit.amounts.get("input-tokens", 0.0) / self.scale
        if taken and thought:
            self.scale += _MEAN * (min(max(taken / thought, 0.1), 10.0) - self.scale)

    def refused(self, permit: Permit, retry_after: float | None, error: Exception) -> bool:
        """Settle a request that was refused by a rate limit; whether to stand in line again."""
        with self._lock:
            self.limiter.refused(permit, retry_after, self.clock())
            if self.limiter.fruitless >= _FRUITLESS:
                error.add_note(
                    f"The service has refused all requests, {_FRUITLESS} times in a row: its limit "
                    "for this key and model may be 0, or that of the day is used up."
                )
                self.stop(error)
                return False
            self._pump()
            return True

    def failed(self, permit: Permit, *, server_error: bool) -> None:
        """Settle a request that failed otherwise."""
        with self._lock:
            self.limiter.failed(permit, self.clock(), server_error=server_error)
            self._pump()

    def withdrawn(self, permit: Permit) -> None:
        """Settle a request that was given up."""
        with self._lock:
            self.limiter.withdrawn(permit)
            self._pump()

    def stop(self, error: Exception) -> None:
        """Fail all that wait with one error; who comes later is let through one by one again."""
        with self._lock:
            waiters, self._waiters = self._waiters, deque()
            self.limiter.probe_again()
            for waiter in waiters:
                call_where_it_runs(waiter.loop, _fail, waiter.future, error)

    def _pump(self) -> None:
        """Let through who may leave now, and come again when the next one may."""
        while self._waiters:
            head = self._waiters[0]
            if head.loop.is_closed() or head.future.done():
                self._waiters.popleft()
                continue
            now = self.clock()
            due = self.limiter.time_for(head.amounts, now)
            lead = self._lead(head.ahead)
            if due > now + lead:
                if due < float("inf"):
                    self._come_again(head.loop, due - lead - now)
                return
            self._waiters.popleft()
            permit = self.limiter.admit(head.amounts, max(due, now))
            call_where_it_runs(head.loop, self._let_through, head, permit)

    def _lead(self, ahead: float) -> float:
        """How early a permit may be given out: no limit, no time to know beforehand."""
        return ahead if self.limiter.meters else 0.0

    def _let_through(self, waiter: _Waiter, permit: Permit) -> None:
        if waiter.future.done():  # cancelled in the meantime
            self.withdrawn(permit)
        else:
            waiter.future.set_result(permit)

    def _come_again(self, loop: asyncio.AbstractEventLoop, delay: float) -> None:
        if loop is not running_loop_or_none():
            loop.call_soon_threadsafe(self._on_timer)
            return
        if self._timer is not None and self._timer_loop is loop:
            self._timer.cancel()
        self._timer, self._timer_loop = loop.call_later(delay, self._on_timer), loop

    def _on_timer(self) -> None:
        with self._lock:
            self._pump()


@suggesting_init
class Gate:
    """Sends model requests as fast as the rate limits of the services allow.

    It reads the limits from the responses' headers (OpenAI, Azure, Anthropic), lets requests leave
    evenly in time, lets all wait for a ``Retry-After``, and finds the rate by trying where a
    service tells nothing. A request that is refused for now (429) stands in line again: it is no
    failure. Where the quota is used up or the key is refused, all that wait fail at once.

    Parameters
    ----------
    requests_per_minute, tokens_per_minute : float, optional
        Limits for each model, in addition to those in the headers.
    concurrency : int, optional
        How many requests to one model may be active at most.
    clock : callable, optional
        Seconds, as `time.monotonic`, that the event loop's timers go by.

    Examples
    --------
    >>> import asyncio
    >>> from agentstream import Agent, Gate, OpenAIResponsesModel, RunConfig, Runner
    >>> from agentstream.testing import RateLimits, VirtualService, run_in_virtual_time
    >>> async def main():
    ...     clock = asyncio.get_running_loop().time
    ...     limits = RateLimits(requests=60, burst=2, clock=clock)
    ...     service = VirtualService(["Hello."], limits, loop=True)
    ...     agent = Agent(name="Guide", model=OpenAIResponsesModel("any", service.client()))
    ...     config = RunConfig(gate=Gate(clock=clock))
    ...     runs = [Runner.run(agent, "Hi", run_config=config) for _ in range(3)]
    ...     return [result.final_output for result in await asyncio.gather(*runs)]
    >>> run_in_virtual_time(main())
    ['Hello.', 'Hello.', 'Hello.']
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        concurrency: int | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        limits = {
            "requests_per_minute": requests_per_minute,
            "tokens_per_minute": tokens_per_minute,
            "concurrency": concurrency,
        }
        for name, value in limits.items():
            if value is not None and not value > 0:
                raise UserError(f"Gate({name}=...) must be positive or None, got {value!r}")
        self._settings = (requests_per_minute, tokens_per_minute, concurrency)
        self._clock = clock
        self._lines: dict[tuple[str, str, str], Line] = {}
        self._lock = threading.Lock()

    def line(self, base_url: str, key: str, model: str) -> Line:
        """The line of the requests to one model of one account.

        Parameters
        ----------
        base_url, model : str
            Where requests go, and the model's name.
        key : str
            Kept as a digest only.
        """
        return self.line_named((base_url, hashlib.sha256(key.encode()).hexdigest(), model))

    def line_named(self, name: tuple[str, str, str]) -> Line:
        """The line by its name.

        Parameters
        ----------
        name : tuple of str
            The base URL, the digest of the key, and the model.
        """
        with self._lock:
            line = self._lines.get(name)
            if line is None:
                line = self._lines[name] = self._new_line(name)
            return line

    def _new_line(self, name: tuple[str, str, str]) -> Line:
        return Line(Limiter(*self._settings), self._clock)

    def state(self) -> GateState:
        """What all lines do together; the reason is that of the longest."""
        with self._lock:
            states = [line.state() for line in self._lines.values()]
        longest = max(states, key=lambda state: state.waiting, default=GateState())
        return GateState(
            sum(state.waiting for state in states),
            sum(state.in_flight for state in states),
            sum(state.refusals for state in states),
            longest.reason,
        )

    def __repr__(self) -> str:
        state = self.state()
        return f"<Gate: {state.in_flight} under way, {state.waiting} waiting>"


_shared: Final = Gate()


def shared_gate() -> Gate:
    """The gate that the whole process shares; ``RunConfig(gate=True)`` uses it.

    Examples
    --------
    >>> shared_gate().state().waiting
    0
    """
    return _shared


def _fail(future: asyncio.Future[Permit], error: Exception) -> None:
    if future.done():
        return
    # One for each who waits: a traceback and a run's data are hung on it.
    copy = type(error).__new__(type(error), *error.args)
    copy.__dict__.update(error.__dict__)
    copy.__cause__ = error
    future.set_exception(copy)
