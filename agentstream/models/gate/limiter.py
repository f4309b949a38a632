"""When requests may leave: a pure state machine, to which all times are given.

| state | what may leave |
|---|---|
| nothing heard yet | one request, the probe |
| a limit is known, by a header or by the program | evenly in time, as the meters say |
| no limit is known | as many at once as the window allows; after a refusal, at a rate as well |
| paused, by a refusal | nothing |

The window and the rate grow additively, by successes while at least 80 % are used, and shrink by a
factor, once for all requests that left under the same limits (their cohort).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from .headers import Reading
from .meter import Meter, Reservation

__all__ = ["Limiter", "Permit"]

_FIRST_WINDOW: Final = 16.0
_LARGEST_WINDOW: Final = 1024.0
_CUT: Final = 0.75
"""What is left of the window and the rate after a refusal."""

_METER_CUT: Final = 0.85
"""What is left of the used part of a limit that the service itself told."""

_GROWTH: Final = 0.02
"""Per second, of what was left after the last cut."""

_BUSY: Final = 0.8
"""Growth needs so much to be in use."""

_ERROR_PAUSE: Final = 15.0
"""Seconds without growth after a server's error."""

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0
_TRUSTED: Final = 3
"""So many refusals in a row whose `Retry-After` is taken as it is."""
_RECENT: Final = 30.0
"""Seconds over which successes are counted, to know the rate that the service bears."""


@dataclass(slots=True, eq=False)
class Permit:
    """A request that has left.

    Attributes
    ----------
    amounts : mapping
        What it was thought to take of each unit.
    cohort : int
        The number of cuts before it.
    at : float
        When it left.
    """

    amounts: Mapping[str, float]
    cohort: int
    at: float
    reservations: dict[str, Reservation] = field(default_factory=dict)
    is_open: bool = True


class Limiter:
    """Decides when requests to one model of one account may leave.

    Parameters
    ----------
    requests_per_minute, tokens_per_minute : float, optional
        Limits that the program gives; without them the service's headers tell.
    concurrency : int, optional
        How many requests may be under way at most.

    Attributes
    ----------
    meters : dict of Meter
        The limits that are known, by unit.
    window : float
        How many may be under way while no limit is known.
    in_flight : int
        How many are under way.
    refusals : int
        How many were refused (429).
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        concurrency: int | None = None,
    ) -> None:
        limits = {"requests": requests_per_minute, "tokens": tokens_per_minute}
        self.meters = {
            unit: Meter(limit, is_fixed=True) for unit, limit in limits.items() if limit is not None
        }
        self.window = _FIRST_WINDOW
        self.in_flight = 0
        self.refusals = 0
        self._most = math.inf if concurrency is None else concurrency
        self._has_limits = bool(self.meters)
        self._cohort = 0
        self._paused_until = -math.inf
        self._growth_from = -math.inf
        self._grown_at = -math.inf
        self._cut_share = 1.0
        self._in_a_row = 0
        self._rate: float | None = None
        self._cut_rate = 0.0
        self._next = -math.inf
        self._slow_start = True
        self._successes: deque[float] = deque(maxlen=4096)

    @property
    def fruitless(self) -> int:
        """How many cohorts in a row were refused, without one success between."""
        return self._in_a_row

    def time_for(self, amounts: Mapping[str, float], now: float) -> float:
        """When a request may leave: `now` or earlier means at once, `inf` when one comes back."""
        if self.in_flight >= (self._limit_in_flight() if self._has_limits else 1):
            return math.inf
        times = [self._paused_until, self._next]
        times += [
            meter.time_for(amounts.get(unit, 0.0), now)
            for unit, meter in self.meters.items()
            if amounts.get(unit)
        ]
        return max(times)

    def admit(self, amounts: Mapping[str, float], now: float) -> Permit:
        """Let a request leave now."""
        permit = Permit(amounts, self._cohort, now)
        self.in_flight += 1
        for unit, meter in self.meters.items():
            permit.reservations[unit] = meter.take(amounts.get(unit, 0.0), now)
        if self._rate is not None and not self.meters:
            self._next = max(self._next, now - 0.1) + 1 / self._rate
        return permit

    def note_limits(
        self,
        permit: Permit,
        readings: Mapping[str, Reading],
        now: float,
        *,
        is_error: bool = False,
    ) -> None:
        """Take in what the headers of the response to `permit` say."""
        self._has_limits = self._has_limits or not is_error
        for unit, reading in readings.items():
            meter = self.meters.get(unit)
            if meter is None:
                meter = self.meters[unit] = Meter(reading.limit)
                permit.reservations[unit] = meter.take(permit.amounts.get(unit, 0.0), now)
            reservation = permit.reservations.get(unit)
            if reservation is not None:
                meter.read(reading, reservation, now)

    def succeeded(self, permit: Permit, used: Mapping[str, float], now: float) -> None:
        """The request was answered; `used` has what it really took, where that is known."""
        if not self._close(permit):
            return
        self._has_limits = True
        self._in_a_row = 0
        self._successes.append(now)
        for unit, meter in self.meters.items():
            if unit in used and unit in permit.reservations:
                meter.settle(used[unit] - permit.amounts.get(unit, 0.0), now)
        self._grow(permit, now)

    def refused(self, permit: Permit, retry_after: float | None, now: float) -> None:
        """The service answered 429: all wait, and less is let through from then on."""
        if not self._close(permit):
            return
        self._has_limits = True
        self.refusals += 1
        for meter in self.meters.values():
            meter.refused()
        is_first = permit.cohort == self._cohort
        if is_first:
            self._cohort += 1
            self._in_a_row += 1
            self._cut(now)
        # A refusal that comes late, when those before it are waited out, is one all the same.
        pause = _FIRST_PAUSE if retry_after is None else retry_after
        if is_first and (retry_after is None or self._in_a_row > _TRUSTED):
            # A service that says "at once" again and again is not believed.
            backoff = _FIRST_PAUSE * 2.0 ** min(self._in_a_row - 1, 10)
            pause = max(pause, min(backoff, _LONGEST_PAUSE))
        self._paused_until = max(self._paused_until, now + pause)

    def failed(self, permit: Permit, now: float, *, server_error: bool = True) -> None:
        """The request failed otherwise; a server's error stops the growth for a while."""
        if self._close(permit) and server_error:
            self._has_limits = True
            self._growth_from = now + _ERROR_PAUSE

    def withdrawn(self, permit: Permit) -> None:
        """The request was given up, perhaps before it left; nothing follows from it."""
        self._close(permit)

    def probe_again(self) -> None:
        """Let one request leave first, as in the beginning."""
        self._has_limits = False

    def reason(self, now: float) -> str:
        """Why requests wait, in a few words; empty where they do not."""
        if now < self._paused_until:
            return f"the service asks to wait {self._paused_until - now:.0f} s (429)"
        if not self._has_limits and self.in_flight:
            return "the first answer has the limits"
        slow = [(meter.time_for(1, now), unit, meter) for unit, meter in self.meters.items()]
        late, unit, meter = max(slow, key=lambda one: one[0], default=(now, "", None))
        if meter is not None and late > now:
            return f"{meter.rate() * 60:,.0f} of {meter.limit:,.0f} {unit} a minute"
        if self.in_flight >= self._limit_in_flight():
            return f"{self.in_flight} requests are under way"
        return "" if self._rate is None else f"about {self._rate * 60:,.0f} requests a minute"

    def _limit_in_flight(self) -> float:
        """How many requests may be under way: limits that are known need no window."""
        return self._most if self.meters else min(self._most, int(self.window))

    def _close(self, permit: Permit) -> bool:
        if not permit.is_open:
            return False
        permit.is_open = False
        self.in_flight -= 1
        return True

    def _cut(self, now: float) -> None:
        self._grown_at = now
        if self.meters:
            for meter in self.meters.values():
                meter.share *= _METER_CUT
            self._cut_share = min(meter.share for meter in self.meters.values())
            return
        self._slow_start = False
        self.window = max(1.0, self.window * _CUT)
        while self._successes and self._successes[0] < now - _RECENT:
            self._successes.popleft()
        if self._successes:
            since = max(now - self._successes[0], 0.1)
            borne = len(self._successes) / since
            self._rate = self._cut_rate = _CUT * min(borne, self._rate or math.inf)

    def _grow(self, permit: Permit, now: float) -> None:
        """Grow a little, if much is in use and the service is well."""
        if now < self._growth_from or permit.cohort != self._cohort:
            return
        seconds = min(max(now - self._grown_at, 0.0), 1.0)
        self._grown_at = now
        if self.meters:
            for meter in self.meters.values():
                meter.share = min(1.0, meter.share + _GROWTH * self._cut_share * seconds)
            return
        if self.in_flight + 1 >= _BUSY * int(self.window):
            step = 1.0 if self._slow_start else 1.0 / self.window
            self.window = min(_LARGEST_WINDOW, self.window + step)
        if self._rate is not None and self._next > now - 0.2:
            self._rate += _GROWTH * self._cut_rate * seconds
