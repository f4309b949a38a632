"""The workers of a frame: they pull rows, ask them, and write what became of each."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

from ..exceptions import UserError
from ..models.gate.gate import Gate
from .checkpoint import Checkpoint
from .limits import Budget
from .plan import Plan
from .result import RowError, RowResult
from .worker import LAST_FAILURES, Asker, Outcome, signature

if TYPE_CHECKING:
    from ..run.result import RunResult

__all__ = ["Pool"]

NO_PRICE: Final = (
    "Limits(usd=...) cannot be held: the price of this model is not known. Install genai-prices, "
    "or limit the tokens: Limits(tokens=...)."
)

_ALIKE: Final = 20
"""If so many rows are asked first and all fail alike, the rest would, too."""

_RENEWAL: Final = 8.0
_POLL: Final = 0.25
_SPAWN: Final = 0.005
_BUDGET_POLL: Final = 0.1


class Pool:
    """Workers, of which each asks row after row; never one for each row.

    Parameters
    ----------
    plan : Plan
        The rows.
    asker : Asker
        Runs the agent for a row.
    budget : Budget
        What may be spent.
    gate : Gate or None
        What requests wait for.
    most : int
        How many workers there may be.
    keeps_runs : bool
        Whether each row's run is kept.
    on_error : {"keep", "raise"}
        Whether a row's failure ends the rest.
    name_of : callable
        The name of the row at a position, for errors.

    Attributes
    ----------
    checkpoint : Checkpoint or None
        Where results are written.
    ended : list of bytes or None
        Keys in the order in which they ended; None in the place of one that waits again.
    times : deque of float
        When the last rows ended.
    errors : deque of RowResult
        The last rows that failed.
    asker : Asker
        Runs the agent for a row.
    asking : dict
        The rows that are being asked, and since when.
    runs : dict of RunResult
        By key, where they are kept.
    error : Exception or None
        What ended the work early.
    stopped : bool
        Whether no further row may be started.
    changed : asyncio.Event
        Set when something has happened; another takes its place then.
    watchers : list of callable
        Called then.
    """

    def __init__(
        self,
        plan: Plan,
        asker: Asker,
        budget: Budget,
        gate: Gate | None,
        *,
        most: int,
        keeps_runs: bool,
        on_error: Literal["keep", "raise"],
        name_of: Callable[[int], Any],
    ) -> None:
        self.plan = plan
        self.budget = budget
        self.checkpoint: Checkpoint | None = None
        self.ended: list[bytes | None] = []
        self.times: deque[float] = deque(maxlen=400)
        self.errors: deque[RowResult] = deque(maxlen=LAST_FAILURES)
        self.asking: dict[bytes, float] = {}
        self.runs: dict[bytes, RunResult] = {}
        self.error: Exception | None = None
        self.stopped = False
        self.changed = asyncio.Event()
        self.watchers: list[Callable[[], None]] = []
        self.asker = asker
        self._gate = gate
        self._most = most
        self.keeps_runs = keeps_runs
        self._on_error = on_error
        self._name_of = name_of
        self._workers: set[asyncio.Task[None]] = set()
        self._saving: set[asyncio.Task[RowResult]] = set()
        self._foreign_claims: set[bytes] = set()
        self._alike: Counter[tuple[str | None, str]] = Counter()
        self._finished_rows = 0

    async def refuse_other_mode(self) -> None:
        """Refuse rows that are paid for in another mode.

        Raises
        ------
        UserError
            Rows that wait are in a batch.
        """
        batched = set() if self.checkpoint is None else await self.checkpoint.in_batches()
        if count := sum(key in batched for key in self.plan.waiting):
            raise UserError(
                f"{count:,} of these rows are in a batch, whose answers are paid for: collect them "
                "by map_frame(..., mode='batch'). To ask them now, and pay for them again, give "
                "another checkpoint."
            )

    @property
    def reason(self) -> str:
        """Why rows wait; empty where they do not."""
        reason = self.asker.reason
        return reason if reason or self._gate is None else self._gate.state().reason

    def begin_again(self) -> None:
        """Forget why the work ended early, and how rows ended that wait again."""
        self.error, self.stopped, self._finished_rows = None, False, 0
        self._alike.clear()
        waiting = set(self.plan.waiting)
        self.ended = [None if key in waiting else key for key in self.ended]

    async def work(self) -> None:
        """Ask all that waits; ends when that is done, or early."""
        renewal: asyncio.Task[None] | None = None
        if self.checkpoint is not None:
            renewal = asyncio.ensure_future(_renew(self.checkpoint))
        try:
            await self.asker.open()
            self._spawn()
            while self._workers:
                await asyncio.wait(self._workers, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if renewal is not None:
                renewal.cancel()
            await self.asker.close()

    def cancel(self) -> None:
        """Stop the rows that are being asked; called on the loop of the work."""
        here = asyncio.current_task()
        for worker in list(self._workers):
            if worker is not here:
                worker.cancel()
        self.notify()

    def notify(self) -> None:
        """Tell that something has happened."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()
        for watcher in self.watchers:
            watcher()

    def _spawn(self) -> None:
        """Begin another worker, where there is work for it and the gate is not what holds it up."""
        if self.stopped or self.error is not None or not self.plan.waiting:
            return
        if len(self._workers) >= self._most:
            return
        if self._workers and self._gate is not None and self._gate.state().waiting > 1:
            return
        worker = asyncio.ensure_future(self._work())
        self._workers.add(worker)
        worker.add_done_callback(self._worker_ended)

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled() and (error := worker.exception()) is not None:
            assert isinstance(error, Exception)
            self._end_early(error)

    async def _work(self) -> None:
        """Ask row after row, until none is left."""
        loop = asyncio.get_running_loop()
        while not self.stopped and self.error is None:
            key = await self._pull()
            if key is None:
                return
            loop.call_later(_SPAWN, self._spawn)
            self.asking[key] = time.monotonic()
            try:
                outcome = await self.asker.ask(
                    key, self.plan.request(key), self.plan.attempts.get(key, 0)
                )
            except BaseException:
                self.budget.release()
                self.plan.waiting.appendleft(key)
                raise
            finally:
                self.asking.pop(key, None)
            result = outcome.result
            tokens = result.input_tokens + result.output_tokens
            self.budget.settle(tokens, result.cost_usd)
            result.position = self.plan.first[key]
            await self._record(result)
            self._judge(outcome)

    async def _pull(self) -> bytes | None:
        """The key of the next row, reserved for and claimed; None where there is none."""
        while not self.stopped and self.error is None:
            if not self.plan.waiting:
                if not await self._check_foreign_claims():
                    return None
                continue
            if not self.budget.reserve():
                if self.budget.reserved:
                    await asyncio.sleep(_BUDGET_POLL)  # others may share it
                    continue
                self._end_early(self._out_of_budget())
                return None
            key = self.plan.waiting.popleft()
            try:
                is_mine = await self._claimed(key)
            except BaseException:
                self.budget.release()
                self.plan.waiting.appendleft(key)
                raise
            if is_mine:
                return key
            self.budget.release()
        return None

    async def _claimed(self, key: bytes) -> bool:
        """Whether a row is this kernel's to ask; what another has written of it is noted."""
        if self.checkpoint is None:
            return True
        claimed = await self.checkpoint.claim(key)
        if claimed is False:
            self._foreign_claims.add(key)
            return False
        self._foreign_claims.discard(key)
        if isinstance(claimed, RowResult):
            claimed.position = self.plan.first[key]
            self._note(claimed)
        return claimed is True

    async def _check_foreign_claims(self) -> bool:
        """Wait a moment for rows that other kernels ask; whether there are such."""
        if not self._foreign_claims:
            return False
        await asyncio.sleep(_POLL)
        if not self.plan.waiting:
            keys = sorted(self._foreign_claims, key=self.plan.first.__getitem__)
            self._foreign_claims.clear()
            self.plan.waiting.extend(keys)
        return True

    async def _record(self, result: RowResult, batch: str | None = None) -> RowResult:
        """Write a result, then tell of what is in the file now."""
        if self.checkpoint is None:
            self._note(result)
            return result
        # It is paid for: also one that is stopped now is written, and told of.
        saving = asyncio.ensure_future(self._save(self.checkpoint, result, batch))
        self._saving.add(saving)
        saving.add_done_callback(self._saving.discard)
        return await asyncio.shield(saving)

    async def _save(
        self, checkpoint: Checkpoint, result: RowResult, batch: str | None
    ) -> RowResult:
        position = result.position
        row = self.plan.prompts.values(position)
        saved = await checkpoint.save(result, self.plan.agent, row, self.plan.repeat, batch)
        saved.position = position
        self._note(saved)
        return saved

    async def finish_saving(self) -> None:
        """Wait for results that are being written although their workers were stopped."""
        await asyncio.gather(*self._saving, return_exceptions=True)

    def _note(self, result: RowResult) -> None:
        self.plan.note(result)
        if result.status == "failed":
            self.errors.append(result)
        self.ended.append(result.key)
        if result.source != "checkpoint":
            self.times.append(time.monotonic())
        self.notify()

    def _judge(self, outcome: Outcome) -> None:
        """Keep the run if it is wanted; end all if the others would fail as well."""
        result = outcome.result
        self._finished_rows += 1
        if outcome.run is not None and self.keeps_runs:
            self.runs[result.key] = outcome.run
        if outcome.error is None:
            if self.budget.limits.usd is not None and math.isnan(result.cost_usd):
                self._end_early(UserError(NO_PRICE))
            return
        self._alike[signature(result)] += 1
        if outcome.stops_all:
            self._end_early(self._early("No row can be asked", outcome.error))
        elif self._on_error == "raise":
            index = self._name_of(result.position)
            self._end_early(self._early(f"The row {index!r} failed", outcome.error))
        elif self._finished_rows == _ALIKE and self._alike[signature(result)] == _ALIKE:
            what = f"The first {_ALIKE} rows failed alike"
            self._end_early(self._early(what, outcome.error))

    def _early(self, what: str, cause: Exception) -> RowError:
        results = self.plan.results
        done = sum(results.status_at(at) == "done" for at in self.plan.first.values())
        error = RowError(
            f"{what}: {type(cause).__name__}: {cause} ({done} of {len(self.plan.first)} requests "
            "are done; they are in run.frame. When the cause is mended, run.retry() asks the rest.)"
        )
        error.__cause__ = cause
        return error

    def _out_of_budget(self) -> RowError:
        spent = self.budget.spent
        return RowError(
            f"The budget is used up: {spent['tokens']:,.0f} tokens, {spent['usd']:.4f} USD. What "
            "is done is in run.frame; call map_frame again with higher limits, and the same "
            "checkpoint, for the rest."
        )

    def _end_early(self, error: Exception) -> None:
        if self.error is None:
            self.error = error
        self.cancel()


async def _renew(checkpoint: Checkpoint) -> None:
    while True:
        await asyncio.sleep(_RENEWAL)
        await checkpoint.renew()
