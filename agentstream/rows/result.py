"""What became of a row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from .._utils.json import encodable
from .._utils.redaction import redact
from ..exceptions import AgentsException

__all__ = ["Progress", "RowError", "RowResult", "Source", "Status", "failure"]

_LONGEST_ERROR = 2_000

Status = Literal["done", "failed"]
Source = Literal["asked", "checkpoint", "recording", "equal row"]


@dataclass(slots=True)
class RowResult:
    """The outcome of a row, or of the rows with the same prompt.

    Attributes
    ----------
    key : bytes
        The row's key.
    status : {"done", "failed"}
        What became of it.
    values : tuple
        Of the output's columns; empty where it failed.
    error, error_type : str or None
        What it failed with.
    attempts : int
        How often the row was asked.
    seconds : float
        How long the last attempt took, including its wait for the rate limit.
    input_tokens, cached_tokens, output_tokens : int
        Of all its model calls.
    cost_usd : float
        Their price; NaN where it is not known.
    source : {"asked", "checkpoint", "recording"} or None
        Where it comes from; None: it was not asked.
    position : int
        Of the row in the frame, from 0; of the first of several that ask the same.
    index : object
        Of the row in the frame's index.

    Examples
    --------
    >>> RowResult(b"key", "done", ("good",)).values
    ('good',)
    """

    key: bytes
    status: Status
    values: tuple[Any, ...] = ()
    error: str | None = None
    error_type: str | None = None
    attempts: int = 1
    seconds: float = 0.0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = math.nan
    source: Source | None = "asked"
    position: int = -1
    index: Any = None

    def source_at(self, position: int) -> Source | None:
        """The source of the row at a position; equal rows are asked once.

        Parameters
        ----------
        position : int
            Of this row, or of one that asks the same.
        """
        is_twin = self.source == "asked" and position != self.position
        return "equal row" if is_twin else self.source


class RowError(AgentsException):
    """Rows were not run, because one failed or all would fail.

    The rows that were asked are in the run's `frame`, and in the checkpoint.

    Examples
    --------
    >>> import pandas as pd
    >>> from agentstream import Agent, map_frame
    >>> from agentstream.testing import ScriptedModel, http_error
    >>> agent = Agent(name="Critic", model=ScriptedModel([http_error(401)]))
    >>> run = map_frame(agent, pd.DataFrame({"review": ["Good."]}), "{review}")
    >>> try:
    ...     run.wait()
    ... except RowError as error:
    ...     print(str(error)[:43])
    No row can be asked: AuthenticationError: E
    """


@dataclass(frozen=True)
class Progress:
    """How far the rows are.

    Attributes
    ----------
    rows, done, failed, waiting : int
        Rows of the frame: all, and what has become of them.
    asking : int
        Requests for rows that are under way or in line.
    seconds : float
        Since the beginning.
    tokens : int
        That were used by what was asked now.
    usd : float
        That it cost; 0 where no price is known.
    rate : float
        Rows a second, over the last while.
    left : float
        Seconds until all is done, at this rate; NaN where that is not known.
    reason : str
        Why requests wait.
    """

    rows: int
    done: int
    failed: int
    waiting: int
    asking: int
    seconds: float
    tokens: int
    usd: float
    rate: float
    left: float
    reason: str


def failure(key: bytes, error: Exception, **more: Any) -> RowResult:
    """The result of a row that failed: its message, without secrets, at most 2,000 characters."""
    text = encodable(redact(str(error)))
    if len(text) > _LONGEST_ERROR:
        text = text[:_LONGEST_ERROR] + "..."
    return RowResult(key, "failed", (), text, type(error).__name__, **more)
