"""What a model call cost, from the price tables of `genai-prices`."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from .parts import Turn


def cost_usd(turn: Turn) -> float:
    """Return the cost of a model call in USD.

    NaN where model, price or usage is unknown: never a guess.

    Uses the price at the time of the response and the service tier, if the provider told them.
    Needs the package `genai-prices`; without it, every cost is NaN.
    """
    if turn.usage is None or turn.model is None:
        return math.nan
    tokens = (turn.usage["input"], turn.usage["cached"], turn.usage["output"])
    return price_usd(turn.model, *tokens, tier=turn.service_tier, at=turn.created_at)


def price_usd(
    model: str,
    input_tokens: int,
    cached_tokens: int,
    output_tokens: int,
    *,
    tier: str | None = None,
    at: float | None = None,
) -> float:
    """Return the price of tokens in USD; NaN where it is not known.

    Tokens read from a cache are part of the input's; `at` is in seconds since the epoch.
    """
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return math.nan
    usage = Usage(
        input_tokens=input_tokens, cache_read_tokens=cached_tokens, output_tokens=output_tokens
    )
    # Recordings may hold no time of day; then today's price is the best known.
    when = datetime.fromtimestamp(at, UTC) if at else None
    try:
        price = calc_price(
            usage,
            model,
            genai_request_timestamp=when,
            price_context={"service_tier": tier} if tier not in (None, "auto") else None,
        )
    except (LookupError, ValueError):
        return math.nan
    return float(price.total_price)
