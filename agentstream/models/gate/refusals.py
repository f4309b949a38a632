"""Which errors are the gate's: a rate limit to wait for, or an account that is asked in vain."""

from __future__ import annotations

from typing import Final

from ..retry.advice import ModelRetryNormalizedError, normalize

__all__ = ["is_fatal", "is_rate_limit"]

_OUT_OF_QUOTA: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_FOR_ALL: Final = (401, 403)


def is_fatal(error: Exception) -> bool:
    """Whether every other request would fail alike: no quota, no valid key, no permission.

    Examples
    --------
    >>> is_fatal(TimeoutError())
    False
    """
    facts = normalize(error)
    return facts.status_code in _FOR_ALL or _is_out_of_quota(facts, error)


def is_rate_limit(error: Exception) -> bool:
    """Whether the request is refused for now, and would be answered later.

    A request that is larger than the whole limit of a minute is not: it never fits. That is
    described in text only; a limit of tokens that is used up for now has nearly the same words.
    """
    facts = normalize(error)
    return (
        facts.status_code == 429
        and not _is_out_of_quota(facts, error)
        and "request too large" not in (facts.message or "").lower()
    )


def _is_out_of_quota(facts: ModelRetryNormalizedError, error: Exception) -> bool:
    kind = getattr(error, "type", None)
    return facts.error_code in _OUT_OF_QUOTA or kind in _OUT_OF_QUOTA
