"""One request on its way through the gate: it waits in line, leaves, and is settled."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from ..retry.advice import normalize
from .headers import read_limits
from .refusals import is_fatal, is_rate_limit
from .response_headers import listening

if TYPE_CHECKING:
    from types import TracebackType

    from ..retry.stall_timer import StallTimer
    from .gate import Line
    from .limiter import Permit

__all__ = ["Admission", "input_tokens"]

_CHARACTERS: Final = 4
"""Characters of a token, about."""

_A_FILE: Final = 4_000
"""Characters that an image or a file counts as: its length says nothing of its tokens."""


class Admission:
    """A request to a model, as a context manager around all that it takes; also without a gate.

    Parameters
    ----------
    line : Line or None
        Where it stands in line; None: there is no gate.
    stall_timer : StallTimer
        Of the model call: the waiting is not held against the model, nor against time limits.
    amounts : mapping
        What it is thought to take.
    again : bool
        Whether it was refused before, and so stands at the head of the line.
    """

    def __init__(
        self,
        line: Line | None,
        stall_timer: StallTimer,
        amounts: Mapping[str, float] | None = None,
        *,
        again: bool = False,
    ) -> None:
        self._line = line
        self._stall_timer = stall_timer
        self._amounts = amounts or {}
        self._again = again
        self._permit: Permit | None = None
        self._used: dict[str, float] = {}

    async def __aenter__(self) -> Admission:
        if self._line is not None:
            line = self._line
            with self._stall_timer.in_line(lambda: line.state().reason):
                self._permit = await line.enter(self._amounts, first=self._again)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        line, permit = self._line, self._permit
        if line is None or permit is None:
            return
        if error is None:
            line.succeeded(permit, self._used)
        elif not isinstance(error, Exception):
            line.withdrawn(permit)
        elif is_fatal(error):
            line.stop(error)
            line.failed(permit, server_error=False)
        elif is_rate_limit(error):
            self._stall_timer.may_return = line.refused(permit, normalize(error).retry_after, error)
        else:
            status = normalize(error).status_code
            line.failed(permit, server_error=status is None or status >= 500)

    def listening(self) -> AbstractContextManager[None]:
        """Take in the headers of the responses to requests that are made in this block."""
        return nullcontext() if self._line is None else listening(self.respond)

    def respond(self, status: int, headers: Mapping[str, str]) -> None:
        """Take in the headers of the response; what an error means is known only with its body."""
        if self._line is not None and self._permit is not None:
            self._line.note_limits(self._permit, read_limits(headers), is_error=status >= 400)

    def spent(self, usage: Any) -> None:
        """Note what the answer took: an object with `input_tokens` and `output_tokens`, or None."""
        taken = getattr(usage, "input_tokens", None)
        written = getattr(usage, "output_tokens", None)
        if self._line is not None and (taken or written):
            taken, written = float(taken or 0), float(written or 0)
            self._used = {
                "tokens": taken + written,
                "input-tokens": taken,
                "output-tokens": written,
            }


def input_tokens(arguments: Mapping[str, Any]) -> float:
    """Estimate the tokens of a request: four characters each."""
    return _characters(arguments) / _CHARACTERS


def _characters(value: Any) -> int:
    if isinstance(value, str):
        return _A_FILE if value.startswith("data:") else len(value)
    if isinstance(value, Mapping):
        return sum(map(_characters, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(_characters, value))
    return 0
