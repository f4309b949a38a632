"""A blind vote between the answers of two agents: which pairs there are, and what was chosen."""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, Literal

from .checkpoint import Checkpoint

if TYPE_CHECKING:
    from .frame_run import FrameRun

__all__ = ["NAME", "Ballot", "Choice", "Votes"]

NAME: Final = "vote"
"""Of the scores that votes give."""

Choice = Literal["left", "right", "equal"]
_VALUES: Final[dict[str, float]] = {"left": 0.0, "equal": 0.5, "right": 1.0}


@dataclass(frozen=True)
class Ballot:
    """Two answers to one request, side by side.

    Attributes
    ----------
    position : int
        Of the row, from 0.
    repeat : int
        Which of several answers.
    names : tuple of str
        The two agents.
    answers : tuple
        Their answers, as values of columns.
    is_turned : bool
        Whether the second one is shown on the left.
    digest : str
        Of what is voted on.
    """

    position: int
    repeat: int
    names: tuple[str, str]
    answers: tuple[Any, Any]
    is_turned: bool
    digest: str

    @property
    def outputs(self) -> tuple[Any, Any]:
        """The answers, the left one first."""
        first, second = self.answers
        return (second, first) if self.is_turned else (first, second)


class Votes:
    """The votes on a comparison.

    Parameters
    ----------
    runs : dict of FrameRun
        By the agent's name and the number of the repeat.
    path : path or None
        The checkpoint, which keeps the votes; without one they end with the kernel.
    seed : int
        Of the order of the rows, and of the two sides.

    Attributes
    ----------
    ballots : list of Ballot
        What is voted on, in a random order; rows whose answers are equal are not.
    equal : int
        How many pairs of answers are equal; these count as a tie.
    """

    def __init__(
        self,
        runs: dict[tuple[str, int], FrameRun[Any]],
        path: str | os.PathLike[str] | None = None,
        seed: int = 0,
    ) -> None:
        self._path = path
        draw = random.Random(seed)
        pairs = [_ballot(*pair, draw) for pair in _pairs(runs)]
        self._values = {ballot.digest: 0.5 for ballot in pairs if _is_equal(ballot)}
        self._pairs = pairs
        self.equal = len(self._values)
        self.ballots = [ballot for ballot in pairs if not _is_equal(ballot)]
        draw.shuffle(self.ballots)
        self._values |= self._known()

    @property
    def open(self) -> list[Ballot]:
        """What is not voted on yet."""
        return [ballot for ballot in self.ballots if ballot.digest not in self._values]

    @property
    def cast(self) -> int:
        """How many votes there are."""
        return len(self.ballots) - len(self.open)

    def vote(self, ballot: Ballot, choice: Choice | None) -> None:
        """Note which answer is better, and write it to the checkpoint.

        The sides are as they were shown; None takes a vote back.
        """
        value = None if choice is None else _VALUES[choice]
        if value is not None and ballot.is_turned:
            value = 1 - value
        self._write(ballot.digest, value)  # first: what cannot be written is not counted
        if value is None:
            self._values.pop(ballot.digest, None)
        else:
            self._values[ballot.digest] = value

    def differences(self, one: str, other: str) -> dict[int, list[float]]:
        """By position: 1 where `other` was better than `one`, -1 where worse, 0 for a tie."""
        differences: dict[int, list[float]] = {}
        for ballot in self._pairs:
            value = self._values.get(ballot.digest)
            if value is not None and set(ballot.names) == {one, other}:
                better = 2 * value - 1
                better = better if ballot.names == (one, other) else -better
                differences.setdefault(ballot.position, []).append(better)
        return differences

    def scores(self, name: str, repeat: int) -> dict[int, float]:
        """By position: 1 where an agent's answer was better, 0 where worse, 0.5 for a tie."""
        scores: dict[int, list[float]] = {}
        for ballot in self._pairs:
            value = self._values.get(ballot.digest)
            if value is not None and name in ballot.names and ballot.repeat == repeat:
                won = value if ballot.names[1] == name else 1 - value
                scores.setdefault(ballot.position, []).append(won)
        return {position: sum(won) / len(won) for position, won in scores.items()}

    def counts(self) -> list[tuple[str, str, int, int, int]]:
        """Each pair of agents: their names, how often each was better, and how often neither."""
        names = list(dict.fromkeys(ballot.names for ballot in self._pairs))
        table = []
        for pair in names:
            values = [self._values.get(one.digest) for one in self._pairs if one.names == pair]
            first, tie, second = (values.count(value) for value in (0.0, 0.5, 1.0))
            table.append((*pair, first, second, tie))
        return table

    # -- the file ----------------------------------------------------------------------------------

    def _known(self) -> dict[str, float]:
        if self._path is None:
            return {}
        with closing(Checkpoint(self._path)) as checkpoint:
            rows = checkpoint.do(lambda connection: connection.execute(_READ).fetchall()).result()
        mine = {ballot.digest for ballot in self.ballots}
        return {pair: value for pair, value in rows if pair in mine and value in (0.0, 0.5, 1.0)}

    def _write(self, digest: str, value: float | None) -> None:
        if self._path is None:
            return

        def job(connection: sqlite3.Connection) -> None:
            if value is None:
                connection.execute("DELETE FROM votes WHERE pair = ?", (digest,))
            else:
                row = (digest, value, time.time())
                connection.execute("INSERT OR REPLACE INTO votes VALUES (?, ?, ?)", row)

        with closing(Checkpoint(self._path)) as checkpoint:
            checkpoint.do(job).result()


_READ: Final = "SELECT pair, value FROM votes"

_Side = tuple[str, Any, bytes]


def _pairs(
    runs: dict[tuple[str, int], FrameRun[Any]],
) -> list[tuple[int, int, _Side, _Side]]:
    """Position, repeat, and the two sides of all pairs; of rows that ask the same, the first."""
    names = list(dict.fromkeys(name for name, _ in runs))
    answers = {key: list(run.values()) for key, run in runs.items()}
    pairs = []
    for repeat in dict.fromkeys(number for _, number in runs):
        for one, other in combinations(names, 2):
            sides = [(name, answers[name, repeat], runs[name, repeat]) for name in (one, other)]
            seen: set[bytes] = set()
            for position in range(len(sides[0][1])):
                pair = [(name, values[position], run.key(position)) for name, values, run in sides]
                known = all(value is not None for _, value, _ in pair)
                if known and pair[0][2] not in seen:
                    seen.add(pair[0][2])
                    pairs.append((position, repeat, pair[0], pair[1]))
    return pairs


def _ballot(position: int, repeat: int, one: _Side, other: _Side, draw: random.Random) -> Ballot:
    seed: Sequence[Any] = (one[2].hex(), other[2].hex(), one[1], other[1])
    digest = hashlib.sha256(json.dumps(seed, default=str).encode("utf-8", "replace")).hexdigest()
    turned = draw.random() < 0.5
    return Ballot(position, repeat, (one[0], other[0]), (one[1], other[1]), turned, digest[:32])


def _is_equal(ballot: Ballot) -> bool:
    return bool(ballot.answers[0] == ballot.answers[1])
