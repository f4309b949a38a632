"""Which recording is on: one for a `with` block and what it starts, else one for all.

The run asks `active()` when it is prepared, and has its models wrapped; so no option runs through
the signatures between.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, Protocol

from ..models.base import Model
from .refusals import Withheld


class ActiveRecording(Protocol):
    """What a run needs to know of a recording."""

    def wrap(self, model: Any, find: Callable[[], Model]) -> Model:
        """`model`, recorded or replayed; `find` finds it where that is needed."""
        ...

    def follow(self, state: Any) -> None:
        """Record what the run of `state` tells beside its model calls."""
        ...

    def hold(self, state: Any) -> None:
        """Write nothing more of the run: outputs of its tools may be withheld."""
        ...

    def release(self, state: Any) -> None:
        """Write what was held of the run."""
        ...

    def withheld(self) -> Withheld | None:
        """What stands in the place of this run's own answer, where a replay has come to it."""
        ...

    def refusal(self, call_id: str | None = None) -> Withheld | None:
        """What a guardrail of this run, or of its call, refused when it was recorded."""
        ...


_HERE: ContextVar[ActiveRecording | None] = ContextVar("agentstream_recording", default=None)
_everywhere: Final[list[ActiveRecording]] = []
"""Those that are on for all; the one that was started last counts."""


def active() -> ActiveRecording | None:
    """The recording that is on here, if there is one."""
    return _HERE.get() or (_everywhere[-1] if _everywhere else None)


def set_here(recording: ActiveRecording | None) -> ActiveRecording | None:
    """Switch a recording on for this context and the tasks it starts; the one before."""
    before = _HERE.get()
    _HERE.set(recording)
    return before


def start_everywhere(recording: ActiveRecording) -> None:
    """Switch a recording on from now on."""
    _everywhere.append(recording)


def stop_everywhere(recording: ActiveRecording) -> None:
    """Switch off one that was started, whether or not another was since."""
    _everywhere.remove(recording)
