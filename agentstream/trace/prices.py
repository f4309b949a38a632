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
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return math.nan
    usage = Usage(
        input_tokens=turn.usage["input"],
        cache_read_tokens=turn.usage["cached"],
        output_tokens=turn.usage["output"],
    )
    tier = turn.service_tier
    # Recordings may hold no time of day; then today's price is the best known.
    told = datetime.fromtimestamp(turn.created_at, UTC) if turn.created_at else None
    try:
        price = calc_price(
            usage,
            turn.model,
            genai_request_timestamp=told,
            price_context={"service_tier": tier} if tier not in (None, "auto") else None,
        )
    except (LookupError, ValueError):
        return math.nan
    return float(price.total_price)
