"""Rate limits of a service, as a token bucket with the service's headers; the clock is given."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from ...exceptions import check_choice

__all__ = ["RateLimits", "Verdict"]

HeaderStyle = Literal["openai", "azure", "anthropic", "none"]
_STYLES: Final = ("openai", "azure", "anthropic", "none")


@dataclass(frozen=True)
class Verdict:
    """What a service decides on a request.

    Attributes
    ----------
    allowed : bool
        Whether it is answered; if not, with status 429.
    headers : dict
        Those of the response.
    unit : str
        What there was too little of; empty where it is allowed.
    """

    allowed: bool
    headers: Mapping[str, str]
    unit: str = ""

    @property
    def message(self) -> str:
        """What the body of a refusal says."""
        return f"Rate limit reached: too many {self.unit} in a minute. Please try again later."


class RateLimits:
    """Limits of requests and tokens a minute, which really limit.

    Parameters
    ----------
    requests, tokens : float, optional
        Of a minute; None: without limit.
    burst : float, optional
        How many requests may come at once; by default a minute's.
    headers : {"openai", "azure", "anthropic", "none"}
        How responses tell the limits. ``"azure"``: -1, -1 and 0, and no ``retry-after``.
    retry_after : bool
        Whether a refusal says how long to wait; never with ``"azure"``.
    charge : callable
        The tokens that a request takes, from its body; a quarter of its characters by default.
    reported_factor : float
        The limits are told this many times as large as they are: a service that lies.
    window : bool
        Whether the limits are of fixed minutes, and not of a bucket that fills evenly.
    clock : callable
        Seconds.

    Attributes
    ----------
    allowed, refused : int
        Requests so far.
    times : list of float
        When requests were allowed.

    Examples
    --------
    >>> limits = RateLimits(requests=60, burst=1, clock=lambda: 0.0)
    >>> limits.decide().allowed, limits.decide().allowed
    (True, False)
    >>> limits.decide().headers["retry-after-ms"]
    '1000'
    """

    def __init__(
        self,
        requests: float | None = None,
        tokens: float | None = None,
        *,
        burst: float | None = None,
        headers: HeaderStyle = "openai",
        retry_after: bool = True,
        charge: Callable[[Any], float] = lambda body: len(json.dumps(body)) / 4,
        reported_factor: float = 1.0,
        window: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_choice("RateLimits(headers=...)", headers, _STYLES)
        self.headers: HeaderStyle = headers
        self.reported_factor = reported_factor
        self.clock = clock
        self.allowed = self.refused = 0
        self.times: list[float] = []
        self._charge = charge
        self._retry_after = retry_after and headers != "azure"
        limits = {"requests": (requests, burst), "tokens": (tokens, None)}
        self._buckets = {
            unit: _Bucket(limit, burst or limit, window)
            for unit, (limit, burst) in limits.items()
            if limit is not None
        }

    def decide_for(self, body: Any) -> Verdict:
        """Decide on a request by what `charge` says of it.

        Parameters
        ----------
        body : dict
            That of the request.
        """
        return self.decide(self._charge(body) if "tokens" in self._buckets else 0.0)

    def decide(self, tokens: float = 0.0) -> Verdict:
        """Decide on a request that takes `tokens`, and count it if it is allowed."""
        now = self.clock()
        wanted = {"requests": 1.0, "tokens": tokens}
        short = [(bucket.wait(wanted[unit], now), unit) for unit, bucket in self._buckets.items()]
        wait, unit = max(short, default=(0.0, ""))
        if wait > 0:
            self.refused += 1
            headers = self._headers(now)
            if self._retry_after:
                headers |= {
                    "retry-after-ms": str(math.ceil(wait * 1000)),
                    "retry-after": str(math.ceil(wait)),
                }
            return Verdict(False, headers, unit)
        self.allowed += 1
        self.times.append(now)
        for name, bucket in self._buckets.items():
            bucket.level -= wanted[name]
        return Verdict(True, self._headers(now))

    def _headers(self, now: float) -> dict[str, str]:
        headers: dict[str, str] = {}
        for unit, bucket in self._buckets.items():
            limit, left = (
                bucket.limit * self.reported_factor,
                math.floor(bucket.level * self.reported_factor),
            )
            reset = bucket.reset(now)
            if self.headers == "azure":
                headers |= _openai(unit, "-1", "-1", "0")
            elif self.headers == "openai":
                headers |= _openai(unit, f"{limit:g}", str(max(left, 0)), _duration(reset))
            elif self.headers == "anthropic":
                when = datetime.now(UTC) + timedelta(seconds=reset)
                start = f"anthropic-ratelimit-{unit}"
                headers[f"{start}-limit"] = f"{limit:g}"
                headers[f"{start}-remaining"] = str(max(left, 0))
                headers[f"{start}-reset"] = when.isoformat().replace("+00:00", "Z")
        return headers


class _Bucket:
    """What may still be used; it fills evenly, or at the turn of each minute."""

    def __init__(self, limit: float, capacity: float, window: bool) -> None:
        self.limit = limit
        self.level = self.capacity = capacity
        self._window = window
        self._at: float | None = None

    def wait(self, amount: float, now: float) -> float:
        """Seconds until so much may be used; 0 if it may now."""
        self._fill(now)
        if self.level >= amount:
            return 0.0
        if self._window:
            return self.reset(now)
        return (amount - self.level) * 60 / self.limit

    def reset(self, now: float) -> float:
        """Seconds until all may be used."""
        if self._window and self._at is not None:
            return max(self._at + 60 - now, 0.0)
        return (self.capacity - self.level) * 60 / self.limit

    def _fill(self, now: float) -> None:
        if self._at is None:
            self._at = now
        elif self._window:
            if now >= self._at + 60:
                self._at += (now - self._at) // 60 * 60
                self.level = self.capacity
        else:
            grown = (now - self._at) * self.limit / 60
            self.level = min(self.capacity, self.level + grown)
            self._at = now


def _openai(unit: str, limit: str, left: str, reset: str) -> dict[str, str]:
    values = {"limit": limit, "remaining": left, "reset": reset}
    return {f"x-ratelimit-{name}-{unit}": value for name, value in values.items()}


def _duration(seconds: float) -> str:
    """Seconds as OpenAI writes them, such as ``1m30s`` and ``12ms``."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}m{rest:.3g}s" if minutes else f"{rest:.4g}s"
