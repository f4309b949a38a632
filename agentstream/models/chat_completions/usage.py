"""Token counts of the Chat API in the form of the Responses API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openai.types.responses import ResponseUsage

from ...usage import count, input_details, output_details

__all__ = ["response_usage"]


def response_usage(usage: Mapping[str, Any]) -> ResponseUsage:
    """Read a Chat API usage object, any part of which may be missing or None.

    Examples
    --------
    >>> used = response_usage({"prompt_tokens": 3, "completion_tokens": 4,
    ...                        "prompt_tokens_details": None})
    >>> used.input_tokens, used.output_tokens, used.total_tokens
    (3, 4, 7)
    """
    input_tokens, output_tokens = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
    return ResponseUsage(
        input_tokens=input_tokens,
        input_tokens_details=input_details(usage.get("prompt_tokens_details")),
        output_tokens=output_tokens,
        output_tokens_details=output_details(usage.get("completion_tokens_details")),
        total_tokens=count(usage, "total_tokens") or input_tokens + output_tokens,
    )
