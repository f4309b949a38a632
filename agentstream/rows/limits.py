"""`Limits`: what the rows of a frame may cost, and how fast they may be asked."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from .._utils.keywords import suggesting_init
from ..exceptions import UserError
from ..models.gate.gate import Gate, shared_gate

__all__ = ["Budget", "Limits"]

_MEAN = 0.1


@suggesting_init
@dataclass(frozen=True)
class Limits:
    """Limits of `map_frame`; None means no limit.

    Attributes
    ----------
    usd : float or None
        What all rows may cost. No row starts that would probably exceed it; needs `genai-prices`,
        and a model that it knows.
    tokens : int or None
        Input and output tokens of all rows together.
    requests_per_minute, tokens_per_minute : float or None
        Applied in addition to the limits in the service's headers.
    concurrency : int or None
        How many requests may be active.

    Examples
    --------
    >>> Limits(usd=5, tokens=2_000_000).usd
    5
    """

    usd: float | None = None
    tokens: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    concurrency: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value: Any = getattr(self, field.name)
            if value is not None and not (isinstance(value, int | float) and value > 0):
                raise UserError(f"Limits.{field.name} must be positive or None, got {value!r}.")

    @classmethod
    def of(cls, limits: Any) -> tuple[Limits, Gate | None]:
        """The limits and the gate for what `map_frame(limits=...)` was given.

        Parameters
        ----------
        limits : {"auto"}, Limits, Gate or None
            ``"auto"``: the process's shared gate, without a budget.

        Raises
        ------
        UserError
            It is none of these.
        """
        if limits == "auto":
            return cls(), shared_gate()
        if limits is None:
            return cls(), None
        if isinstance(limits, Gate):
            return cls(), limits
        if not isinstance(limits, cls):
            raise UserError(
                "limits must be 'auto', Limits(usd=..., tokens=...), a Gate or None, got "
                f"{type(limits).__name__}."
            )
        rates = (limits.requests_per_minute, limits.tokens_per_minute, limits.concurrency)
        return limits, shared_gate() if rates == (None, None, None) else Gate(*rates)


class Budget:
    """What may still be spent; each row reserves its share before it is asked.

    Examples
    --------
    >>> budget = Budget(Limits(tokens=250))
    >>> budget.reserve()
    True
    >>> budget.settle(tokens=100, usd=0.0)
    >>> budget.reserve(), budget.reserve()
    (True, False)
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._mean = {"tokens": 0.0, "usd": 0.0}
        self._is_first = True
        self.spent = {"tokens": 0.0, "usd": 0.0}
        self.reserved = 0

    @property
    def is_limited(self) -> bool:
        """Whether there is a budget at all."""
        return self.limits.usd is not None or self.limits.tokens is not None

    @property
    def has_room(self) -> bool:
        """Whether there is enough for one more row, by what one costs in the mean."""
        return not any(
            self.spent[unit] + (self.reserved + 1) * self._mean[unit] > limit
            for unit, limit in (("tokens", self.limits.tokens), ("usd", self.limits.usd))
            if limit is not None
        )

    def reserve(self) -> bool:
        """Reserve what a row costs in the mean; whether there is enough."""
        if self.is_limited and self._is_first:
            # What a row costs is known when the first has ended; that one is asked in any case.
            if self.reserved:
                return False
        elif not self.has_room:
            return False
        self.reserved += 1
        return True

    def expect(self, tokens: float, usd: float) -> None:
        """What a row is thought to cost; counts until the first has ended."""
        if self._is_first:
            self._mean = {"tokens": tokens, "usd": usd}
            self._is_first = False

    def settle(self, tokens: float, usd: float) -> None:
        """A row that was reserved for has ended.

        The cost is NaN where the price is not known.
        """
        self.reserved -= 1
        cost = 0.0 if math.isnan(usd) else usd
        for unit, value in (("tokens", float(tokens)), ("usd", cost)):
            self.spent[unit] += value
            if value and self._is_first:
                self._mean[unit] = value
            elif value:
                self._mean[unit] += _MEAN * (value - self._mean[unit])
        self._is_first = self._is_first and not tokens

    def release(self) -> None:
        """A row that was reserved for was not asked after all."""
        self.reserved -= 1
