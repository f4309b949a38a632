"""One limit of a service, as it is seen from here: a token bucket that mirrors the service's own.

The mirror is corrected by each response. What a response says is as old as its request, so it is
compared with what the mirror held when that request left, and only the difference is applied.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from .headers import Reading

__all__ = ["SLACK", "Meter", "Reservation"]

SLACK: Final = 0.1
"""Seconds that a late timer may catch up, so that lateness does not add up."""

_USED: Final = 0.998
"""How much of a limit is used: a service's clock is not ours."""

_SLOWEST: Final = 0.05
"""The least part of the limit that is used, so that a change is noticed."""

_FULL_RESET: Final = 0.05
"""A reset sooner than this many seconds says that nothing is short."""

_LIES: Final = 20
"""After so many answers in a row that say "nothing remains", it is not believed."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """The mirror as a request left it: its level, all corrections until then, and the time."""

    level: float
    corrected: float
    at: float


class Meter:
    """Says how long a request must wait for one unit.

    Parameters
    ----------
    limit : float
        Units a minute.
    is_fixed : bool
        Whether the program gave the limit: a service can only lower it.

    Attributes
    ----------
    share : float
        The part of the limit that is used, at most 1.
    """

    def __init__(self, limit: float, *, is_fixed: bool = False) -> None:
        self.limit = limit
        self.share = 1.0
        self._fixed_limit = limit if is_fixed else math.inf
        self._capacity = limit
        self._level = limit
        self._corrected = 0.0
        self._at: float | None = None
        self._next = -math.inf
        self._reset: float | None = None
        self._read_at = -math.inf
        self._empty = 0

    @property
    def per_second(self) -> float:
        """Units a second that the limit allows."""
        return self.limit / 60 * self.share * _USED

    def rate(self) -> float:
        """Units a second that are let through now: what remains must last until the reset."""
        rate = self.per_second
        if self._reset is not None and self._reset > _FULL_RESET and self._empty < _LIES:
            rate = min(rate, max(self._level, 0.0) / self._reset)
        return max(rate, self.limit / 60 * _SLOWEST * self.share)

    def time_for(self, amount: float, now: float) -> float:
        """When a request of this size may leave; `now` or earlier: at once."""
        self._refill(now)
        short = min(amount, self._capacity) - self._level
        if short <= 0 or self._empty >= _LIES:
            return self._next
        return max(self._next, now + short / (self.limit / 60))

    def take(self, amount: float, now: float) -> Reservation:
        """Let a request of this size leave."""
        self._refill(now)
        self._level -= amount
        self._next = max(self._next, now - SLACK) + amount / self.rate()
        return Reservation(self._level, self._corrected, now)

    def settle(self, difference: float, now: float) -> None:
        """A request took `difference` more than was thought."""
        self._refill(now)
        self._level = min(self._capacity, self._level - difference)
        self._next = max(now - SLACK, self._next + difference / max(self.rate(), 1e-9))

    def read(self, reading: Reading, reservation: Reservation, now: float) -> None:
        """Take in what the response to the request that left `reservation` says."""
        self.limit = min(reading.limit, self._fixed_limit)
        if reading.remaining is None:
            return
        self._refill(now)
        self._capacity = max(reading.remaining, 1.0, min(self._capacity, self.limit))
        # What the mirror would say had it known then all that it knows now.
        mirrored = reservation.level + (self._corrected - reservation.corrected)
        correction = reading.remaining - mirrored
        self._corrected += correction
        self._level = min(self._capacity, self._level + correction)
        self._empty = self._empty + 1 if reading.remaining <= 0 else 0
        if reservation.at >= self._read_at:
            self._read_at, self._reset = reservation.at, reading.reset

    def refused(self) -> None:
        """The service refused a request: what it says of its emptiness is true."""
        self._empty = 0

    def _refill(self, now: float) -> None:
        if self._at is not None:
            grown = max(now - self._at, 0.0) * self.limit / 60
            self._level = max(-self._capacity, min(self._capacity, self._level + grown))
        # A permit may be given out before its time: what it has filled is not filled twice.
        self._at = now if self._at is None else max(self._at, now)
