"""`FrameRun`: an agent over the rows of a frame, while it goes on and afterwards."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from .._utils.aio import call_where_it_runs
from ..exceptions import UserError
from ..recordings.request_match import RequestDict
from ..run.sync import run_until_done
from .background import Background, Frame
from .checkpoint import Checkpoint
from .columns import Columns
from .frame import output_frame
from .plan import OnChange
from .pool import Pool
from .result import Progress, RowResult

if TYPE_CHECKING:
    from pandas import DataFrame

    from ..run.result import RunResult
    from ..trace.trace import Trace

__all__ = ["FrameRun", "FrameSource"]


@dataclass(frozen=True)
class FrameSource:
    """Where a run's rows come from.

    Attributes
    ----------
    index : pandas.Index
        Of the frame.
    columns : Columns
        Of the output.
    find_request : callable
        What all rows have in common; see `agent_request`.
    open_checkpoint : callable
        Opens the checkpoint, if there is one.
    on_change : {"error", "ask again", "keep"}
        What to do with results of another agent or prompt.
    label : str
        Of the agent, where several share the checkpoint.
    back : callable
        Makes a frame of the library that the rows came from.
    """

    index: Any
    columns: Columns
    find_request: Callable[[], Awaitable[RequestDict]]
    open_checkpoint: Callable[[], Checkpoint | None]
    on_change: OnChange
    label: str = ""
    back: Callable[[DataFrame], Any] = lambda frame: frame


class FrameRun(Background[Frame]):
    """A run of an agent over the rows of a frame; created by `map_frame`.

    It goes on in the background. ``await run`` waits for its end and gives the frame of outputs;
    ``async for result in run`` gives each row's result as it ends.

    Parameters
    ----------
    source : FrameSource
        Where the rows come from.
    pool : Pool
        Asks them.

    Examples
    --------
    >>> import pandas as pd
    >>> from agentstream import Agent, map_frame
    >>> from agentstream.testing import ScriptedModel
    >>> agent = Agent(name="Critic", model=ScriptedModel(["Fine."], loop=True))
    >>> run = map_frame(agent, pd.DataFrame({"review": ["Good.", "Bad."]}), "{review}")
    >>> [row.status for row in run], run
    (['done', 'done'], <FrameRun, over: 2 done, 0 failed, 0 waiting>)
    """

    _task_name = "agentstream rows"

    def __init__(self, source: FrameSource, pool: Pool) -> None:
        self._source = source
        self._pool = pool
        self._plan = pool.plan
        self._planned = False
        self._began: float | None = None
        self._over: float | None = None

    # -- what a user sees --------------------------------------------------------------------------

    @property
    def frame(self) -> Frame:
        """The frame of what there is, at any time; rows that wait have the status "waiting"."""
        return self._frame_of(range(len(self._source.index)))

    @property
    def failed(self) -> Frame:
        """The rows that failed."""
        first, results = self._plan.first, self._plan.results
        return self._frame_of(
            [
                position
                for position, key in enumerate(self._plan.keys)
                if results.status_at(first[key]) == "failed"
            ]
        )

    @property
    def error(self) -> Exception | None:
        """What ended it early; None where nothing did."""
        return self._pool.error

    @property
    def runs(self) -> Mapping[Any, RunResult]:
        """Each row's run, by the row's index.

        Raises
        ------
        UserError
            They were not kept.
        """
        if not self._pool.keeps_runs:
            raise UserError("The runs were not kept: call map_frame(..., keep='runs').")
        return {
            label: self._pool.runs[key]
            for label, key in zip(self._source.index, self._plan.keys, strict=False)
            if key in self._pool.runs
        }

    @property
    def progress(self) -> Progress:
        """How far it is."""
        plan, pool, now = self._plan, self._pool, self._over or time.monotonic()
        status = plan.counts
        rows = len(self)
        recent = [at for at in pool.times if at > now - 30]
        began = now if self._began is None else self._began
        since = recent[0] if len(recent) == pool.times.maxlen else max(began, now - 30)
        rate = len(recent) / max(now - since, 0.1) if len(recent) > 1 else 0.0
        left = rows - status["done"] - status["failed"]
        return Progress(
            rows=rows,
            done=status["done"],
            failed=status["failed"],
            waiting=left,
            asking=len(pool.asking),
            seconds=0.0 if self._began is None else now - self._began,
            tokens=int(pool.budget.spent["tokens"]),
            usd=pool.budget.spent["usd"],
            rate=rate,
            left=left / rate if rate and left else (0.0 if not left else math.nan),
            reason=pool.reason,
        )

    @property
    def output_names(self) -> list[str]:
        """The columns of an output."""
        return self._source.columns.names

    def key(self, position: int) -> bytes:
        """The key of the row at a position, once the rows are planned.

        Parameters
        ----------
        position : int
            From 0.
        """
        return self._plan.keys[position]

    def values(self) -> Iterator[tuple[Any, ...] | None]:
        """The values of each row's output, in the frame's order; None where there are none."""
        first, results = self._plan.first, self._plan.results
        for key in self._plan.keys:
            at = first[key]
            yield results.cells[at] if results.status_at(at) == "done" else None
        for _ in range(len(self._plan.keys), len(self)):
            yield None

    def outputs(self) -> Iterator[Any]:
        """Each row's output, as an object of the output type; None where there is none."""
        columns = self._source.columns
        for values in self.values():
            yield None if values is None else columns.output(values)

    def last_errors(self) -> list[RowResult]:
        """The last rows that failed and were not run again since, the newest first."""
        failed: dict[bytes, RowResult] = {}
        for result in reversed(self._pool.errors):
            latest = self._plan.results.get(result.key)
            if latest is not None and latest.status == "failed":
                failed.setdefault(result.key, result)
        return [
            replace(result, index=self._source.index[result.position]) for result in failed.values()
        ]

    def under_way(self, most: int) -> list[tuple[str, str]]:
        """The rows whose runs are under way: what `trace` knows each by, and its index as text.

        Parameters
        ----------
        most : int
            So many at most.
        """
        keys = islice(list(self._pool.asker.live), most)
        return [(key.hex(), repr(self._source.index[self._plan.first[key]])) for key in keys]

    def trace(self, row: str) -> Trace | None:
        """The run of a row that is under way, or was one of the last that failed.

        From then on rows are asked for a stream, so that the next one is seen as it is written.

        Parameters
        ----------
        row : str
            The row's key, in hexadecimal digits; empty: nothing is looked at any more.
        """
        asker = self._pool.asker
        asker.streams = bool(row)
        key = bytes.fromhex(row)
        return asker.live.get(key) or asker.failures.get(key)

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call a function whenever a row has ended, at the end, and when `retry` begins.

        Parameters
        ----------
        watcher : callable
            Must not block.
        """
        self._pool.watchers.append(watcher)

    def stop(self) -> None:
        """Start no further row, stop the active ones, and keep what is done."""
        self._pool.stopped = True
        if self._task is not None:
            call_where_it_runs(self._task.get_loop(), self._pool.cancel)

    def retry(self) -> FrameRun[Frame]:
        """Run the rows that failed or were not run, in the background.

        Raises
        ------
        UserError
            It is still running.
        """
        self._refuse_while_asking("await the run, or stop() it, first")
        self._plan.put_back(self._plan.failed())
        self._pool.begin_again()
        self._task = self._over = None
        self.start()
        self._pool.notify()
        return self

    async def __aiter__(self) -> AsyncIterator[RowResult]:
        self.start()
        read, pool = 0, self._pool
        while True:
            changed, is_complete = pool.changed, self.is_complete
            while read < len(pool.ended):
                key = pool.ended[read]
                read += 1
                if key is None or key not in self._plan.results:
                    continue
                for result in self._plan.rows(key):
                    result.index = self._source.index[result.position]
                    yield result
            if is_complete:
                break
            await changed.wait()
        self._raise()

    def __iter__(self) -> Iterator[RowResult]:
        rows = self.__aiter__()
        while True:
            try:
                yield run_until_done(_next(rows))
            except StopAsyncIteration:
                return

    def __len__(self) -> int:
        return len(self._source.index)

    def __repr__(self) -> str:
        at = self.progress
        doing = "over" if self.is_complete else "going on" if self._task else "not begun"
        return f"<FrameRun, {doing}: {at.done} done, {at.failed} failed, {at.waiting} waiting>"

    # -- how it goes on ----------------------------------------------------------------------------

    async def _main(self) -> None:
        self._began = self._began or time.monotonic()
        pool = self._pool
        try:
            await self._prepare()
            await pool.work()
        except Exception as error:  # noqa: BLE001 - raised by whoever awaits the run
            pool.error = pool.error or error
        finally:
            await pool.finish_saving()
            if pool.checkpoint is not None:
                checkpoint, pool.checkpoint = pool.checkpoint, None
                with suppress(Exception):  # told already, by the row that could not be written
                    await asyncio.to_thread(checkpoint.close)
            self._over = time.monotonic()
            # Not before the task is done: who is woken looks at that.
            asyncio.get_running_loop().call_soon(pool.notify)

    async def _prepare(self) -> None:
        source, pool = self._source, self._pool
        pool.checkpoint = await asyncio.to_thread(source.open_checkpoint)
        if self._planned:
            return
        request = await source.find_request()
        await self._plan.make(request, pool.checkpoint, source.on_change, source.label)
        await pool.refuse_other_mode()
        self._planned = True
        pool.ended.extend(self._plan.results)
        pool.notify()

    def _frame_of(self, positions: Any) -> Frame:
        plan, index = self._plan, self._source.index
        known = len(plan.keys)
        origins = [plan.first[plan.keys[at]] if at < known else -1 for at in positions]
        if len(positions) != len(index):
            index = index[list(positions)]
        output = output_frame(index, self._source.columns, plan.results, positions, origins)
        frame: Frame = self._source.back(output)
        return frame


async def _next(rows: AsyncIterator[RowResult]) -> RowResult:
    return await anext(rows)
