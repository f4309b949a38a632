"""Which rows ask what: each row's key, equal rows together, and what is known of them already."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from ..exceptions import UserError
from ..recordings.request_match import RequestDict, difference, digest
from .checkpoint import Checkpoint
from .key import row_key
from .prompt import Prompts
from .result import RowResult, failure
from .results import Results

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["OnChange", "Plan"]

OnChange = Literal["error", "ask again", "keep"]
_AT_ONCE: Final = 200
"""So many rows are planned before others come to their turn."""


@dataclass
class Plan:
    """What is to be asked, and what has become of it.

    Attributes
    ----------
    prompts : Prompts
        Make the input of a row.
    keys : list of bytes
        One for each row; rows of one key ask the same.
    first : dict
        The position of the first row of each key.
    results : Results
        By key.
    waiting : deque of bytes
        The keys that nobody has asked yet.
    attempts : dict of int
        How often a key was asked before.
    twins : dict of list of int
        The positions of further rows that ask the same.
    counts : Counter
        Rows by their status.
    """

    prompts: Prompts
    length: int
    repeat: int = 0
    agent: str = ""
    keys: list[bytes] = field(default_factory=list)
    first: dict[bytes, int] = field(default_factory=dict)
    results: Results = field(init=False)
    waiting: deque[bytes] = field(default_factory=deque)
    attempts: dict[bytes, int] = field(default_factory=dict)
    twins: dict[bytes, list[int]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.results = Results(self.length, self.first)

    async def make(
        self,
        request: RequestDict,
        checkpoint: Checkpoint | None,
        on_change: OnChange,
        label: str = "",
    ) -> None:
        """Find each row's key and what is known of it.

        `request` is what all rows have in common. `on_change` is "error", "ask again" or "keep":
        what to do with results of another agent or prompt. `label` is the agent's, where several
        share the checkpoint.

        Raises
        ------
        UserError
            The agent or the prompt has changed, and `on_change` is ``"error"``.
        """
        # Two agents that are compared may ask the same of two servers.
        self.agent = digest({**request, "compared as": label} if label else request)
        known: dict[bytes, RowResult] = {}
        kept: dict[tuple[str, int], RowResult] = {}
        if checkpoint is not None:
            known, kept = await asyncio.to_thread(self._read, request, checkpoint, on_change, label)
        for position in range(self.length):
            if position % _AT_ONCE == 0:
                await asyncio.sleep(0)
            self._add(position, known, kept)

    def _add(
        self,
        position: int,
        known: dict[bytes, RowResult],
        kept: dict[tuple[str, int], RowResult],
    ) -> None:
        try:
            key = row_key(self.agent, self.prompts.of(position), self.repeat)
        except Exception as error:  # noqa: BLE001 - a prompt that cannot be made is the row's error
            key = b"row %d" % position
            self.keys.append(key)
            self.first[key] = position
            self.note(failure(key, error, attempts=0, source=None, position=position))
            return
        self.keys.append(key)
        if key in self.first:
            self.twins.setdefault(key, []).append(position)
            if key in self.results:
                self.counts[self.results[key].status] += 1
            return
        self.first[key] = position
        outcome = known.get(key)
        if outcome is None and kept:
            outcome = kept.get((self.prompts.values(position), self.repeat))
        if outcome is not None and outcome.status == "done":
            outcome.position, outcome.key = position, key
            self.note(outcome)
            return
        if outcome is not None:
            self.attempts[key] = outcome.attempts
        self.waiting.append(key)

    def _read(
        self, request: RequestDict, checkpoint: Checkpoint, on_change: OnChange, label: str
    ) -> tuple[dict[bytes, RowResult], dict[tuple[str, int], RowResult]]:
        """What the checkpoint knows of this agent, and of the one before where that is kept."""
        agents = checkpoint.agents(label)
        same = [one for one in agents if one[0] == self.agent and one[2] == self.prompts.text]
        kept: dict[tuple[str, int], RowResult] = {}
        if agents and not same:
            before, request_before, prompt_before = agents[0]
            if on_change == "error":
                old = {"prompt": prompt_before, **request_before}
                now = {"prompt": self.prompts.text, **request}
                raise UserError(
                    f"The agent or the prompt is not the one whose answers are in "
                    f"{checkpoint.path.name!r}:\n\n{difference(old, now, 'in the checkpoint')}\n\n"
                    "map_frame(..., on_change='ask again') asks all rows anew, on_change='keep' "
                    "keeps the answers that are there and asks the rest; or give another "
                    "checkpoint."
                )
            if on_change == "keep":
                kept = checkpoint.known_by_row(before)
        checkpoint.add_agent(self.agent, label, request, self.prompts.text)
        return checkpoint.known(self.agent), kept

    def failed(self) -> list[bytes]:
        """The keys whose rows failed and can be asked again."""
        results = self.results
        return [
            key
            for key, at in self.first.items()
            if results.status_at(at) == "failed" and results.numbers["attempts"][at]
        ]

    def put_back(self, keys: Iterable[bytes]) -> None:
        """Let keys wait again; their attempts count on."""
        for key in keys:
            result = self.results.pop(key)
            self.counts[result.status] -= 1 + len(self.twins.get(key, ()))
            self.attempts[key] = result.attempts
            self.waiting.append(key)

    def note(self, result: RowResult) -> None:
        """Note what became of a key."""
        self.results[result.key] = result
        self.counts[result.status] += 1 + len(self.twins.get(result.key, ()))

    def rows(self, key: bytes) -> Iterator[RowResult]:
        """The result of each row of a key."""
        result = self.results[key]
        for position in (self.first[key], *self.twins.get(key, ())):
            yield replace(result, position=position, source=result.source_at(position))

    def request(self, key: bytes) -> Any:
        """The input for a key."""
        return self.prompts.of(self.first[key])
