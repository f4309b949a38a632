"""What a guardrail has refused in a recorded run, so that a replay of the run ends as it did.

The recording has a message in the place of the answer, which a guardrail that runs for real would
let pass. So a replay is told which guardrail it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Stage: TypeAlias = Literal["output", "tool_output"]


@dataclass(frozen=True)
class Refusal:
    """What a guardrail refuses.

    Attributes
    ----------
    path : tuple of str
        The run whose guardrail it is: the ids of the calls of agents as tools that lead to it.
    call_id : str or None
        The call of that run whose output is refused; None for the model's own answer.
    message : str
        What stands in its place.
    guardrail : str or None
        The guardrail's name, where it was one that tripped.
    stage : {"output", "tool_output"}
        Whether it is one of the run's output, or of the tool's.
    raises : bool
        Whether it ended the run.
    """

    path: tuple[str, ...]
    call_id: str | None
    message: str
    guardrail: str | None = None
    stage: Stage = "output"
    raises: bool = True

    @property
    def tool_path(self) -> tuple[str, ...] | None:
        """The calls that lead to what the tool did, its own the last; None without a tool."""
        return None if self.call_id is None else (*self.path, self.call_id)

    def seen_from(self, path: tuple[str, ...]) -> dict[str, Any]:
        """What a recorded model call says of it that was made in the run at `path`."""
        fields = {
            "runs_up": len(path) - len(self.path),
            "call_id": self.call_id if self.stage == "tool_output" else None,
            "guardrail": self.guardrail,
            "raises": self.raises,
        }
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True)
class Withheld:
    """What a recorded call says of its answer, which a guardrail refused; see `Refusal`."""

    message: str
    runs_up: int
    guardrail: str | None
    call_id: str | None
    raises: bool


def withheld_from(data: Any, message: str) -> Withheld:
    """What `Refusal.seen_from` gave.

    Raises
    ------
    TypeError, ValueError
        It is none.
    """
    if not isinstance(data, Mapping):
        raise TypeError("what is withheld is told as an object")
    up, guardrail, call_id = data.get("runs_up"), data.get("guardrail"), data.get("call_id")
    if type(up) is not int or not 0 <= up < 1000:
        raise ValueError("runs_up is how many runs further out the guardrail is")
    if not all(isinstance(name, (str, type(None))) for name in (guardrail, call_id)):
        raise TypeError("guardrail and call_id are text")
    return Withheld(message, up, guardrail, call_id, bool(data.get("raises", True)))


class PlayedRun:
    """A run, and what a replay has met of it that the recording does not have.

    Parameters
    ----------
    usage : object
        The run's usage; that of an agent that runs as a tool is the outer run's.
    outer : PlayedRun or None
        The run whose tool it is, if it is one.
    """

    def __init__(self, usage: Any, outer: PlayedRun | None) -> None:
        self.usage = usage
        self.outer = outer
        self.answer: Withheld | None = None
        self.refused: dict[str | None, Withheld] = {}

    def note(self, withheld: Withheld) -> None:
        """Take in that a call of this run is played whose answer is withheld."""
        self.answer = withheld
        run: PlayedRun | None = self
        for _ in range(withheld.runs_up):
            run = None if run is None else run.outer
        if run is not None:
            run.refused[withheld.call_id] = withheld


_PLAYED: ContextVar[PlayedRun | None] = ContextVar("agentstream_played_run", default=None)


def begin(usage: Any) -> None:
    """Begin a run, in its own task."""
    outer = _PLAYED.get()
    if outer is not None and outer.usage is not usage:
        outer = None  # it is a run of a tool's own, and none of an agent as a tool
    _PLAYED.set(PlayedRun(usage, outer))


def played_run() -> PlayedRun | None:
    """The run that this task belongs to."""
    return _PLAYED.get()
