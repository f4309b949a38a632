"""Tokens a run has used, added up over its model calls."""

from __future__ import annotations

import copy
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any

from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails
from pydantic import BeforeValidator, ConfigDict
from pydantic.dataclasses import dataclass as pydantic_dataclass

_LARGEST = 2**53


def no_input_details() -> InputTokensDetails:
    """Input details with nothing counted."""
    return InputTokensDetails(cached_tokens=0, cache_write_tokens=0)


def no_output_details() -> OutputTokensDetails:
    """Output details with nothing counted."""
    return OutputTokensDetails(reasoning_tokens=0)


def input_details(details: Any) -> InputTokensDetails:
    """Input details from whatever a provider sent: None and missing counts are zero."""
    return InputTokensDetails(
        cached_tokens=count(details, "cached_tokens"),
        cache_write_tokens=count(details, "cache_write_tokens"),
    )


def output_details(details: Any) -> OutputTokensDetails:
    """Output details from whatever a provider sent: None and missing counts are zero."""
    return OutputTokensDetails(reasoning_tokens=count(details, "reasoning_tokens"))


def count(details: Any, name: str) -> int:
    """A count by its name; 0 for what is missing or is none, such as NaN or 10**400."""
    value = details.get(name) if isinstance(details, dict) else getattr(details, name, None)
    if isinstance(value, str) and len(value) < 20:  # some gateways write counts as text
        with suppress(ValueError):
            value = float(value)
    # NaN is neither; beyond this a float, such as a price, would not hold it.
    return int(value) if isinstance(value, (int, float)) and 0 <= value < _LARGEST else 0


InputDetails = Annotated[InputTokensDetails, BeforeValidator(input_details)]
OutputDetails = Annotated[OutputTokensDetails, BeforeValidator(output_details)]


@dataclass
class RequestUsage:
    """Tokens of one model call."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens_details: OutputTokensDetails


@pydantic_dataclass(config=ConfigDict(arbitrary_types_allowed=True))
class Usage:
    """Tokens and requests of a run.

    Attributes
    ----------
    requests : int
        Model calls made.
    input_tokens, output_tokens, total_tokens : int
        Sums over the calls, in tokens.
    input_tokens_details, output_tokens_details
        How many of them were cached or spent on reasoning.
    request_usage_entries : list of RequestUsage
        The same for each call.

    Examples
    --------
    >>> total = Usage()
    >>> total.add(Usage(requests=1, input_tokens=5, output_tokens=2, total_tokens=7))
    >>> total.total_tokens
    7
    """

    requests: int = 0
    input_tokens: int = 0
    input_tokens_details: InputDetails = field(default_factory=no_input_details)
    output_tokens: int = 0
    output_tokens_details: OutputDetails = field(default_factory=no_output_details)
    total_tokens: int = 0
    request_usage_entries: list[RequestUsage] = field(default_factory=list)

    def add(self, other: Usage) -> None:
        """Add the tokens of `other` to these.

        Parameters
        ----------
        other : Usage
            Usually of one model call; its own entries are taken over where it has any.
        """
        self.requests += other.requests or 0
        self.input_tokens += other.input_tokens or 0
        self.output_tokens += other.output_tokens or 0
        self.total_tokens += other.total_tokens or 0
        self.input_tokens_details = InputTokensDetails(
            cached_tokens=count(self.input_tokens_details, "cached_tokens")
            + count(other.input_tokens_details, "cached_tokens"),
            cache_write_tokens=count(self.input_tokens_details, "cache_write_tokens")
            + count(other.input_tokens_details, "cache_write_tokens"),
        )
        self.output_tokens_details = OutputTokensDetails(
            reasoning_tokens=count(self.output_tokens_details, "reasoning_tokens")
            + count(other.output_tokens_details, "reasoning_tokens"),
        )
        if other.request_usage_entries:
            self.request_usage_entries.extend(copy.deepcopy(other.request_usage_entries))
        elif other.requests == 1 and other.total_tokens > 0:
            self.request_usage_entries.append(
                RequestUsage(
                    input_tokens=other.input_tokens,
                    output_tokens=other.output_tokens,
                    total_tokens=other.total_tokens,
                    input_tokens_details=input_details(other.input_tokens_details),
                    output_tokens_details=output_details(other.output_tokens_details),
                )
            )


def usage_of(response_usage: Any) -> Usage:
    """Usage of one model call from the `usage` of an API response.

    Parameters
    ----------
    response_usage : openai.types.responses.ResponseUsage or None
        None and null fields, which local servers and gateways send, count as zero tokens.
    """
    if response_usage is None:
        return Usage(requests=1)
    read, written = count(response_usage, "input_tokens"), count(response_usage, "output_tokens")
    return Usage(
        requests=1,
        input_tokens=read,
        output_tokens=written,
        total_tokens=count(response_usage, "total_tokens") or read + written,
        input_tokens_details=input_details(getattr(response_usage, "input_tokens_details", None)),
        output_tokens_details=output_details(
            getattr(response_usage, "output_tokens_details", None)
        ),
    )
