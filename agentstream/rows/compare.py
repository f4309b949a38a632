"""`Comparison`: several agents over the same rows, as often as wanted, and their scores."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from ..exceptions import UserError
from ..recordings.request_match import to_jsonable
from .background import Background
from .columns import META
from .frame_run import FrameRun
from .options import Options
from .prompt import Prompts
from .result import Progress, RowResult
from .scorers import Scorer, judged
from .statistics import interval, mean, pass_at_k
from .votes import NAME as VOTE

if TYPE_CHECKING:
    from pandas import DataFrame

    from ..agent import Agent
    from ..trace.trace import Trace
    from .vote_widget import VoteWidget
    from .votes import Votes

__all__ = ["Comparison"]


class Comparison(Background["DataFrame"]):
    """Several agents on the same rows; `map_frame` with a dict, `repeat` or `scorers` creates it.

    ``await`` it, or call its `wait`, for the long frame.

    Parameters
    ----------
    agents : mapping of Agent
        By their names.
    frame, prompt
        As for `map_frame`.
    options : Options
        As for `map_frame`.
    repeat : int
        How often each row is asked.
    scorers : sequence
        Judge each output: functions, pydantic types, or agents.

    Attributes
    ----------
    runs : dict of FrameRun
        By the agent's name and the number of the repeat.

    Examples
    --------
    >>> import pandas as pd
    >>> from agentstream import Agent, map_frame
    >>> from agentstream.testing import ScriptedModel
    >>> def agent(name, said):
    ...     return Agent(name=name, model=ScriptedModel([said], loop=True))
    >>> def is_good(output):
    ...     return output == "good"
    >>> compared = map_frame(
    ...     {"mini": agent("Mini", "bad"), "full": agent("Full", "good")},
    ...     pd.DataFrame({"review": ["Great!", "Fine."]}),
    ...     "Classify: {review}",
    ...     scorers=[is_good],
    ... )
    >>> _ = compared.wait()
    >>> compared.summary()["is_good"].to_dict()
    {'mini': 0.0, 'full': 1.0}
    """

    _task_name = "agentstream comparison"

    def __init__(
        self,
        agents: Mapping[str, Agent[Any] | Callable[[], Agent[Any]]],
        frame: Any,
        prompt: Any,
        options: Options,
        *,
        repeat: int = 1,
        scorers: Sequence[Any] = (),
    ) -> None:
        if not agents:
            raise UserError("There is no agent to compare: give them by their names.")
        if repeat < 1:
            raise UserError(f"map_frame(repeat=...) must be at least 1, got {repeat!r}.")
        if callable(scorers):
            raise UserError("map_frame(scorers=...) must be a list: write scorers=[f].")
        self._options = options
        self._rows, _ = options.as_pandas(frame)
        self._prompts = Prompts(self._rows, prompt)
        self._scorers = _unique([Scorer(scorer) for scorer in scorers])
        self.runs: dict[tuple[str, int], FrameRun[Any]] = {
            (name, number): options.over(
                agent, self._rows.index, self._prompts, label=str(name), repeat=number
            )
            for name, agent in agents.items()
            for number in range(repeat)
        }
        self._names = list(agents)
        self._repeat = repeat
        self._scores: dict[tuple[str, int], dict[str, list[float]]] = {}
        self._judges: list[FrameRun[Any]] = []
        self._watchers: list[Callable[[], None]] = []
        self._error: Exception | None = None
        self._votes: Votes | None = None

    # -- while it goes on --------------------------------------------------------------------------

    def stop(self) -> None:
        """Start no further row, stop the active ones, and keep what is done."""
        for run in self._all():
            run.stop()

    def retry(self) -> Comparison:
        """Run the rows that failed or were not run, and score them.

        Raises
        ------
        UserError
            It is still running.
        """
        self._refuse_while_asking("await the comparison, or stop() it")
        self._task, self._error, self._judges, self._votes = None, None, [], None
        for run in self.runs.values():
            run.retry()
        self.start()
        return self

    @property
    def error(self) -> Exception | None:
        """What ended it early; None where nothing did."""
        return self._error

    @property
    def progress(self) -> Progress:
        """How far all of it is."""
        parts = [run.progress for run in self._all()]
        left = [part.left for part in parts]
        return Progress(
            rows=sum(part.rows for part in parts),
            done=sum(part.done for part in parts),
            failed=sum(part.failed for part in parts),
            waiting=sum(part.waiting for part in parts),
            asking=sum(part.asking for part in parts),
            seconds=max(part.seconds for part in parts),
            tokens=int(self._options.budget.spent["tokens"]),
            usd=self._options.budget.spent["usd"],
            rate=sum(part.rate for part in parts),
            left=math.nan if any(map(math.isnan, left)) else max(left),
            reason=next((part.reason for part in parts if part.reason), ""),
        )

    def last_errors(self) -> list[RowResult]:
        """The last rows that failed."""
        return [result for run in self._all() for result in run.last_errors()][:5]

    def under_way(self, most: int) -> list[tuple[str, str]]:
        """As `FrameRun.under_way`, of all runs."""
        names = [name for name, _ in self.runs] + ["judge"] * len(self._judges)
        rows = [
            (row, f"{name}: {index}")
            for name, run in zip(names, self._all(), strict=True)
            for row, index in run.under_way(most)
        ]
        return rows[:most]

    def trace(self, row: str) -> Trace | None:
        """As `FrameRun.trace`."""
        return next(filter(None, [run.trace(row) for run in self._all()]), None)

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call a function whenever a row has ended, at the end, and when `retry` begins.

        Parameters
        ----------
        watcher : callable
            Must not block.
        """
        self._watchers.append(watcher)
        for run in self.runs.values():
            run.watch(watcher)

    def request(self, position: int) -> Any:
        """What was asked for the row at a position.

        Parameters
        ----------
        position : int
            From 0.
        """
        return self._prompts.of(position)

    @property
    def output_names(self) -> list[str]:
        """The columns of an output."""
        return next(iter(self.runs.values())).output_names

    def vote(self, seed: int = 0) -> VoteWidget:
        """Show the answers of two agents side by side in the cell, and ask which is better.

        It is not said whose they are, and sides and order are drawn. The keys are ← → for the
        better one, ↓ where they are equal, Backspace to take one back, Esc when you are done. The
        votes are scores named ``vote`` from then on: 1 where an answer was better, 0.5 for a tie,
        0 where it was worse. The checkpoint keeps them, so that another kernel goes on.

        Parameters
        ----------
        seed : int
            Of the order and the sides.

        Raises
        ------
        UserError
            It is still running, or there is only one agent.
        """
        self._refuse_while_asking("await the comparison, or stop() it")
        if len(self._names) < 2:
            raise UserError("A vote needs two agents: map_frame({'mini': a, 'full': b}, ...).")
        from .vote_widget import VoteWidget
        from .votes import Votes

        self._votes = Votes(self.runs, self._options.checkpoint, seed)
        return VoteWidget(self, self._votes)

    # -- what came of it ---------------------------------------------------------------------------

    @property
    def frame(self) -> DataFrame:
        """The long frame: a line for each row, agent and repeat, with the scores."""
        import pandas as pd

        parts = []
        for (name, number), run in self.runs.items():
            part = run.frame
            part.insert(0, "agent", name)
            part.insert(1, "repeat", number)
            at = min(part.columns.get_loc(column) for column in META if column in part)
            for scorer in reversed(self._score_names()):
                part.insert(at, scorer, self._scores_by_row(name, number, scorer))
            parts.append(part)
        return pd.concat(parts)

    @property
    def wide(self) -> DataFrame:
        """The wide frame: a line for each row; columns by what, agent and repeat."""
        import pandas as pd

        parts = {}
        for (name, number), run in self.runs.items():
            part = run.frame.drop(columns=[column for column in META if column != "status"])
            for scorer in self._score_names():
                part[scorer] = self._scores_by_row(name, number, scorer)
            key = name if self._repeat == 1 else (name, number)
            parts[key] = part
        wide = pd.concat(parts, axis=1)
        order = [wide.columns.nlevels - 1, *range(wide.columns.nlevels - 1)]
        return wide.reorder_levels(order, axis=1)

    def summary(self) -> DataFrame:
        """For each agent: mean scores, their intervals (95 %), pass@k, failures, costs.

        Intervals are drawn from rows. ``pass@k`` is of scorers that give 0 and 1 only.
        """
        import pandas as pd

        lines = {}
        for name in self._names:
            frames = [self.runs[name, number].frame for number in range(self._repeat)]
            line: dict[str, Any] = {
                "rows": len(self._rows),
                "failed": sum(int((frame["status"] == "failed").sum()) for frame in frames),
            }
            for scorer in self._score_names():
                by_row = self._by_row(name, scorer)
                known = [mean(scores) for scores in by_row if scores]
                low, high = interval(known)
                line[scorer] = mean(known)
                line[f"{scorer} low"], line[f"{scorer} high"] = low, high
                flat = [score for scores in by_row for score in scores]
                is_passed = scorer != VOTE and set(flat) <= {0.0, 1.0}
                if self._repeat > 1 and flat and is_passed:
                    for k in range(1, self._repeat + 1):
                        line[f"{scorer} pass@{k}"] = _pass_at(by_row, k)
            line["tokens"] = sum(
                int(frame[column].sum())
                for frame in frames
                for column in ("input_tokens", "output_tokens")
            )
            line["cost_usd"] = sum(float(frame["cost_usd"].sum()) for frame in frames)
            seconds = pd.concat([frame["seconds"] for frame in frames])
            line["seconds"] = float(seconds.astype("float64").median())
            lines[name] = line
        return pd.DataFrame.from_dict(lines, orient="index")

    def differences(self) -> DataFrame:
        """For each pair of agents and each scorer: the mean difference on the same rows, interval.

        An interval (95 %) without 0 in it says that the difference is hardly by chance.
        """
        import pandas as pd

        lines = []
        for one, other in combinations(self._names, 2):
            for scorer in self._score_names():
                pairs = self._paired(one, other, scorer)
                low, high = interval(pairs)
                lines.append(
                    {
                        "from": one,
                        "to": other,
                        "score": scorer,
                        "difference": mean(pairs),
                        "low": low,
                        "high": high,
                        "rows": len(pairs),
                    }
                )
        columns = ["from", "to", "score", "difference", "low", "high", "rows"]
        return pd.DataFrame(lines, columns=columns)

    def plot(self) -> Any:
        """Draw the differences with their intervals; needs matplotlib.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from matplotlib import pyplot

        table = self.differences().iloc[::-1]
        labels = [f"{row['to']} - {row['from']}: {row['score']}" for _, row in table.iterrows()]
        _, axes = pyplot.subplots(figsize=(7, 1 + 0.5 * len(table)), layout="constrained")
        at = range(len(table))
        axes.axvline(0, color="0.6", linewidth=1)
        axes.hlines(at, table["low"], table["high"], linewidth=2)
        axes.plot(table["difference"], at, "o")
        axes.set_yticks(list(at), labels)
        axes.set_xlabel("difference of the mean score, 95 % interval")
        return axes

    def __repr__(self) -> str:
        at = self.progress
        what = f"{len(self._names)} agents, {self._repeat} time(s) each"
        return f"<Comparison of {what}: {at.done} done, {at.failed} failed, {at.waiting} waiting>"

    # -- how it goes on ----------------------------------------------------------------------------

    def _all(self) -> list[FrameRun[Any]]:
        return [*self.runs.values(), *self._judges]

    async def _main(self) -> None:
        try:
            ended = await asyncio.gather(*self.runs.values(), return_exceptions=True)
            self._error = next((one for one in ended if isinstance(one, Exception)), None)
            await self._score()
        except Exception as error:  # noqa: BLE001 - raised by whoever awaits the comparison
            self._error = self._error or error
        finally:
            asyncio.get_running_loop().call_soon(self._notify)

    def _notify(self) -> None:
        for watcher in self._watchers:
            watcher()

    async def _score(self) -> None:
        if not self._scorers:
            return
        # Each output is made of its columns once, whatever the number of scorers.
        outputs = {key: list(run.outputs()) for key, run in self.runs.items()}
        for key, of_run in outputs.items():
            self._scores[key] = {one.name: [math.nan] * len(of_run) for one in self._scorers}
            for position, output in enumerate(of_run):
                if position % 200 == 0:
                    await asyncio.sleep(0)
                row = None
                for scorer in self._scorers:
                    if scorer.agent is None and output is not None:
                        row = self._row(position) if row is None else row
                        score = await scorer.score(output, row)
                        self._scores[key][scorer.name][position] = score
        for scorer in self._scorers:
            if scorer.agent is not None:
                await self._judge(scorer, outputs)

    async def _judge(self, scorer: Scorer, outputs: dict[tuple[str, int], list[Any]]) -> None:
        """Ask the judge for each output; equal ones are judged once."""
        import pandas as pd

        assert scorer.agent is not None
        lines = [
            (key, position, self._prompts.of(position), output)
            for key, of_run in outputs.items()
            for position, output in enumerate(of_run)
            if output is not None
        ]
        frame = pd.DataFrame({"asked": [_judge_prompt(line[2], line[3]) for line in lines]})
        prompts = Prompts(frame, "asked")
        run = self._options.over(scorer.agent, frame.index, prompts, label=f"judge {scorer.name}")
        self._judges.append(run)
        for watcher in self._watchers:
            run.watch(watcher)
        await run
        for (key, position, _, _), values in zip(lines, run.values(), strict=True):
            if values is not None:
                self._scores[key][scorer.name][position] = judged(values)

    def _row(self, position: int) -> dict[str, Any]:
        return {str(name): self._rows[name].iloc[position] for name in self._rows.columns}

    def _score_names(self) -> list[str]:
        return [scorer.name for scorer in self._scorers] + [VOTE] * (self._votes is not None)

    def _scores_by_row(self, name: str, number: int, scorer: str) -> list[float]:
        """The scores of one run; NaN where there is none."""
        run, unknown = self.runs[name, number], [math.nan] * len(self._rows)
        if scorer != VOTE or self._votes is None:
            return self._scores.get((name, number), {}).get(scorer) or unknown
        votes = self._votes.scores(name, number)
        by_key = {run.key(position): score for position, score in votes.items()}
        return [by_key.get(run.key(position), math.nan) for position in range(len(unknown))]

    def _by_row(self, name: str, scorer: str) -> list[list[float]]:
        """The scores of each row, of all repeats; those that are known."""
        columns = [self._scores_by_row(name, number, scorer) for number in range(self._repeat)]
        return [
            [score for score in row if not math.isnan(score)] for row in zip(*columns, strict=True)
        ]

    def _paired(self, one: str, other: str, scorer: str) -> list[float]:
        """The differences of two agents, one for each row that both have a score of."""
        if scorer == VOTE and self._votes is not None:
            return [mean(each) for each in self._votes.differences(one, other).values()]
        first, second = self._by_row(one, scorer), self._by_row(other, scorer)
        return [mean(b) - mean(a) for a, b in zip(first, second, strict=True) if a and b]


def _judge_prompt(row_question: Any, output: Any) -> str:
    answer = (
        output if isinstance(output, str) else json.dumps(to_jsonable(output), ensure_ascii=False)
    )
    question = row_question if isinstance(row_question, str) else str(row_question)
    return f"<request>\n{question}\n</request>\n<answer>\n{answer}\n</answer>"


def _pass_at(by_row: list[list[float]], k: int) -> float:
    known = [scores for scores in by_row if len(scores) >= k]
    return mean([pass_at_k(len(scores), int(sum(scores)), k) for scores in known])


def _unique(scorers: list[Scorer]) -> list[Scorer]:
    """Scorers whose names differ, so that each has a column."""
    seen: dict[str, int] = {}
    for scorer in scorers:
        count = seen[scorer.name] = seen.get(scorer.name, 0) + 1
        if count > 1 or scorer.name in (*META, VOTE):
            scorer.name = f"{scorer.name} {count}"
    return scorers
