"""`runs`: what goes on in this process, also where nobody shows or holds it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from .streamed_result import RunResultStreaming, running

if TYPE_CHECKING:
    from ..agent import Agent

__all__ = ["Runs", "runs"]

_QUESTION_CHARACTERS = 60  # characters of a run's input


class Runs(Sequence[RunResultStreaming]):
    """The runs that go on; made by `runs`."""

    def __init__(self, results: Sequence[RunResultStreaming]) -> None:
        self._results = list(results)

    @overload
    def __getitem__(self, index: int) -> RunResultStreaming: ...

    @overload
    def __getitem__(self, index: slice) -> Runs: ...

    def __getitem__(self, index: int | slice) -> RunResultStreaming | Runs:
        result = self._results[index]
        return Runs(result) if isinstance(result, list) else result

    def __len__(self) -> int:
        return len(self._results)

    def cancel(self) -> None:
        """Stop them all; what arrived stays readable. May be called from any thread."""
        for result in self._results:
            result.cancel()

    def __repr__(self) -> str:
        if not self._results:
            return "No run goes on."
        lines = [f"[{number}] {_line(one)}" for number, one in enumerate(self._results)]
        return "\n".join([*lines, "runs()[0].cancel() stops one, runs().cancel() all of them."])


def _line(result: RunResultStreaming) -> str:
    question = result.input if isinstance(result.input, str) else f"{len(result.input)} items"
    question = " ".join(question.split())
    if len(question) > _QUESTION_CHARACTERS:
        question = question[:_QUESTION_CHARACTERS] + "…"
    since = time.monotonic() - result.started
    return (
        f"{result.last_agent.name!r}, for {since:.0f} s, {result.current_turn} turn(s): {question}"
    )


def runs(agent: Agent[Any] | None = None) -> Runs:
    """The active runs of this process, the oldest first.

    Those of `Runner.run_streamed`, `show` and `chat`. A run goes on in the background when its cell
    is deleted or its result is dropped: here it is found, and stopped.

    Parameters
    ----------
    agent : Agent, optional
        Only runs whose current agent is this one.

    Returns
    -------
    Runs
        A sequence of `RunResultStreaming`, with ``cancel()`` for all of them.

    Examples
    --------
    >>> import asyncio
    >>> from agentstream import Agent, Runner, runs
    >>> from agentstream.testing import ScriptedModel
    >>> async def main():
    ...     _ = Runner.run_streamed(Agent(name="Guide", model=ScriptedModel(["Good day."])), "Hi")
    ...     print(len(runs()))
    ...     runs().cancel()
    ...     print(len(runs()))
    >>> asyncio.run(main())
    1
    0
    """
    running_now = [each for each in running() if not each.is_complete]
    return Runs([each for each in running_now if agent is None or each.current_agent is agent])
