"""One turn of a conversation: what was asked, and the run that answers it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from ..run_adapter import RunAdapter

if TYPE_CHECKING:
    from ...run.streamed_result import RunResultStreaming
    from ...trace import Trace


@dataclass(eq=False)
class PastTurn:
    """A turn that a session kept: its run is over and gone, its items are left.

    Attributes
    ----------
    message : str
        The message.
    trace : Trace
        The run as data; it has no times.
    question : list of dict
        How the message is shown, where it is more than text.
    """

    message: str
    trace: Trace
    question: list[dict[str, Any]] = field(default_factory=list)


@dataclass(eq=False)
class ChatTurn:
    """A message and the run that answers it.

    Attributes
    ----------
    message : str
        The message.
    source : RunAdapter
        The run as it is watched.
    is_over : bool
        Whether the answer has ended: finished, failed or stopped.
    error : Exception or None
        What it failed with.
    question : list of dict
        How the message is shown, where it is more than text.
    """

    message: str
    source: RunAdapter
    is_over: bool = False
    error: Exception | None = None
    question: list[dict[str, Any]] = field(default_factory=list)

    @property
    def result(self) -> RunResultStreaming:
        """The run."""
        result: RunResultStreaming = self.source.result
        return result

    @property
    def trace(self) -> Trace:
        """The run as data."""
        return self.source.trace


Turn: TypeAlias = ChatTurn | PastTurn
