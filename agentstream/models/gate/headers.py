"""What the headers of a response say about rate limits.

OpenAI and Azure send ``x-ratelimit-{limit,remaining,reset}-{requests,tokens}``, where `reset` is a
duration such as ``1m30s``; Anthropic sends ``anthropic-ratelimit-{requests,tokens,input-tokens,
output-tokens}-{limit,remaining,reset}``, where `reset` is a time (RFC 3339).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

__all__ = ["UNITS", "Reading", "read_limits"]

UNITS: Final = ("requests", "tokens", "input-tokens", "output-tokens")
"""What services count a minute of."""

_FORMS: Final = ("x-ratelimit-{0}-{1}", "anthropic-ratelimit-{1}-{0}")
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|d|h|m|s)")
_SECONDS: Final = {
    "d": 86_400.0,
    "h": 3_600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "ns": 1e-9,
}


@dataclass(frozen=True)
class Reading:
    """What a response says of one unit.

    Attributes
    ----------
    limit : float
        Of a minute.
    remaining : float or None
        What may still be used now.
    reset : float or None
        Seconds until all of it may be used again.
    """

    limit: float
    remaining: float | None = None
    reset: float | None = None


def read_limits(headers: Mapping[str, str], now: datetime | None = None) -> dict[str, Reading]:
    """Read the limits of each unit that a response tells.

    `now` is for resets that are times. A unit whose limit is missing, not a number or not positive
    (Azure says -1) is left out.
    """
    limits: dict[str, Reading] = {}
    for unit in UNITS:
        for form in _FORMS:
            limit = _number(headers.get(form.format("limit", unit)))
            if limit is None or limit <= 0:
                continue
            remaining = _number(headers.get(form.format("remaining", unit)))
            reset = read_reset(headers.get(form.format("reset", unit)), now)
            limits[unit] = Reading(limit, remaining if (remaining or 0) >= 0 else None, reset)
            break
    return limits


def read_reset(text: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a reset says: a duration, a number of seconds or a time."""
    if text is None:
        return None
    text = text.strip()
    number = _number(text)
    if number is not None:
        return number if number >= 0 else None
    if _DURATION.sub("", text) == "" and text:
        return sum(float(count) * _SECONDS[unit] for count, unit in _DURATION.findall(text))
    try:
        when = datetime.fromisoformat(text)
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
