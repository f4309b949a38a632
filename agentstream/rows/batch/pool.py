"""The rows of a frame by the Batch API: submitted, waited for, collected."""

from __future__ import annotations

import asyncio
import json
import math
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any, BinaryIO, Final

import openai

from ...exceptions import UserError
from ...model_settings import ModelRetrySettings, ModelSettings
from ...models.gate.admission import input_tokens
from ...run.model_call import find_model
from ...trace.prices import price_usd
from ..key import model_name
from ..pool import NO_PRICE, Pool
from ..result import RowError, RowResult, failure
from ..worker import Outcome
from .exchange import Exchange, batch_model, exchanging
from .service import BatchService, in_groups, is_away, key_of
from .store import Batch, BatchStore

__all__ = ["BatchPool"]

MOST_REQUESTS: Final = 50_000
MOST_BYTES: Final = 200_000_000
"""The service's limits of a file."""

PRICE: Final = 0.5
"""Of what the same request costs at once."""

FIRST_POLL: Final = 1.0
LAST_POLL: Final = 60.0
"""Seconds between two looks at a batch: soon at first, for small ones, then once a minute."""

SETTLED: Final = 60.0
"""Seconds after which a batch that the service does not list has not been made."""

_TOGETHER: Final = 50
_OUTPUT: Final = 200
_FRUITLESS: Final = 10
_ENDED: Final = ("completed", "failed", "expired", "cancelled")
_FULL: Final = "token_limit_exceeded"
_IN_MEMORY: Final = 8_000_000


class BatchPool(Pool):
    """Asks the rows by batches; parameters and attributes as for `Pool`."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._open: dict[str, Batch] = {}
        self._size = MOST_REQUESTS
        self._fruitless = 0  # batches in a row that the service had no room for
        self._is_unsure = False

    async def refuse_other_mode(self) -> None:
        """Nothing: rows in batches are collected, and others asked."""

    @property
    def reason(self) -> str:
        """What is waited for."""
        if self._fruitless and not self._open:
            return "the service has no room for more batched tokens"
        if not self._open:
            return "a batch may have been made, and is looked for" if self._is_unsure else ""
        states = sorted({batch.state.replace("_", " ") for batch in self._open.values()})
        total = sum(batch.total or len(batch.keys) for batch in self._open.values())
        answered = sum(batch.answered for batch in self._open.values())
        batches = "batch" if len(self._open) == 1 else f"{len(self._open)} batches"
        return f"{batches} {', '.join(states)}: {answered:,} of {total:,} answered"

    def _spawn(self) -> None:
        if not self._workers and not self.stopped and self.error is None and self.plan.waiting:
            worker = asyncio.ensure_future(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._worker_ended)

    async def _work(self) -> None:
        assert self.checkpoint is not None
        asker = self.asker
        model, client, endpoint = batch_model(find_model(asker.agent, asker.config))
        no_retries = ModelSettings(retry=ModelRetrySettings(max_retries=0))
        settings = (asker.config.model_settings or ModelSettings()).resolve(no_retries)
        config = replace(asker.config, model=model, model_settings=settings, gate=None)
        self.asker = replace(asker, config=config, tries=1, max_turns=1)
        self._endpoint, self._service = endpoint, BatchService(client, asker.config.limits)
        self._store = BatchStore(self.checkpoint, self.plan.agent)
        delay = FIRST_POLL
        try:
            while await self._adopt():
                if await self._submit() or await self._look():
                    delay = FIRST_POLL
                    continue
                if self._open or self._foreign_claims or self._fruitless:
                    await asyncio.sleep(delay)
                    delay = min(delay * 1.5, LAST_POLL)
        except openai.APIError as error:
            # The ids are in the file: nothing is lost.
            raise self._early("The service's batches cannot be used", error) from error
        finally:
            self.asker = asker
            for name in list(self._open):
                self._close(name)
            await model._client.close()

    # -- what is open already ----------------------------------------------------------------------

    async def _adopt(self) -> bool:
        """Take over what the checkpoint knows of batches; whether anything is left to do."""
        if self.stopped or self.error is not None:
            return False
        mine, self._is_unsure = set(self.plan.waiting) | self._foreign_claims, False
        for name, batch in (await self._store.open()).items() if mine else ():
            batch.keys = [key for key in batch.keys if key in mine]
            if name in self._open or not batch.keys:
                continue
            if batch.endpoint != self._endpoint:
                raise UserError(
                    f"{len(batch.keys):,} of these rows are in a batch for {batch.endpoint}, whose "
                    f"answers are paid for and which an agent that asks {self._endpoint} cannot "
                    "read. Collect them with the kind of model that they were asked with; to ask "
                    "them again, and pay again, give another checkpoint."
                )
            if batch.id is None and batch.is_ours:
                batches = await self._service.find(name)
                if batches is None:
                    if 0 <= time.time() - batch.at < SETTLED:
                        self._is_unsure = True  # it may be under way still, or not be listed yet
                        continue
                    await self._store.release(batch)
                    self._put_back([key for key in batch.keys if key in self._foreign_claims])
                    continue
                batch.id = batches.id
                await self._store.made(batch)
            if batch.id is not None:
                self._hold(batch)
        if not self.plan.waiting and self._foreign_claims and not self._open:
            self._put_back(self._foreign_claims)  # perhaps the other kernel has them now
        return bool(self.plan.waiting or self._open)

    def _hold(self, batch: Batch) -> None:
        """Wait for a batch's rows."""
        held = set(batch.keys)
        self._open[batch.name] = batch
        self._foreign_claims -= held
        self.plan.waiting = deque(key for key in self.plan.waiting if key not in held)
        self.budget.reserved += len(held)
        self.notify()

    def _put_back(self, keys: Any) -> None:
        keys = [key for key in keys if key not in self.plan.results]
        self._foreign_claims -= set(keys)
        for key in keys:
            self.asking.pop(key, None)
        self.plan.waiting.extend(keys)

    # -- submitting --------------------------------------------------------------------------------

    async def _submit(self) -> bool:
        """Make a batch of rows that wait; whether one was made."""
        if not self.plan.waiting or (self._fruitless and self._open):
            return False
        if self._fruitless:
            await asyncio.sleep(min(FIRST_POLL * 2**self._fruitless, LAST_POLL))
        batch = Batch(uuid.uuid4().hex, self._endpoint)
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
            lines: Any = file
            try:
                await self._write(batch, lines)
                if not batch.keys:
                    if self.budget.reserved == 0 and self.plan.waiting and not self._foreign_claims:
                        self._end_early(self._out_of_budget())
                    return False
                file_id = await self._service.upload(batch.name, lines)
                await self._store.begin(batch)
                made = await self._made(batch, file_id)
            except BaseException:
                self._put_back(batch.keys)
                self.budget.reserved -= len(batch.keys)
                raise
        batch.id = made.id
        await self._store.made(batch)
        self._open[batch.name] = batch
        self.notify()
        return True

    async def _made(self, batch: Batch, file: str) -> Any:
        try:
            return await self._service.make(batch.name, batch.endpoint, file)
        except openai.APIStatusError:
            if not self._service.is_uncertain:
                await self._store.release(batch)  # there is no such batch
            raise

    async def _write(self, batch: Batch, file: BinaryIO) -> None:
        """Write the requests of rows that wait, as many as a batch takes, into a file."""
        size = 0
        # Without room in the budget no run is begun for a line that could not be sent.
        while self.plan.waiting and len(batch.keys) < self._size and self.budget.has_room:
            count = min(_TOGETHER, self._size - len(batch.keys), len(self.plan.waiting))
            keys = [self.plan.waiting.popleft() for _ in range(count)]
            try:
                if self.stopped or self.error is not None:
                    raise asyncio.CancelledError
                claims = await asyncio.gather(*map(self._claimed, keys))
                mine = [key for key, claimed in zip(keys, claims, strict=True) if claimed]
                lines = dict(zip(mine, await asyncio.gather(*map(self._line, mine)), strict=True))
                for key, line in lines.items():
                    if line is None:
                        continue
                    if len(line) > MOST_BYTES:
                        error = UserError(
                            f"The request of this row has {len(line):,} bytes: too "
                            "many for a batch. Ask it by itself, without mode='batch'."
                        )
                        await self._record(self._failed(key, error))
                    elif size + len(line) > MOST_BYTES or not self._affords(line):
                        taken = set(batch.keys)
                        left = [key for key in mine if key not in taken]
                        await self._store.unclaim(left)
                        self._put_back(left)
                        return
                    else:
                        batch.keys.append(key)
                        self.asking[key] = time.monotonic()
                        file.write(line)
                        size += len(line)
            except BaseException:
                taken = set(batch.keys)
                self._put_back([key for key in keys if key not in taken])
                raise

    async def _line(self, key: bytes) -> bytes | None:
        """The line of a row's request; None where the run ended before it asked."""
        exchange = Exchange()
        try:
            with exchanging(exchange):
                outcome = await self._ask(key)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if exchange.body is None or (task is not None and task.cancelling()):
                raise
            # As it would be sent, byte for byte; JSON has no line break in it.
            body = exchange.body.replace(b"\n", b" ")
            line = {"custom_id": key.hex(), "method": "POST", "url": self._endpoint}
            return json.dumps(line)[:-1].encode() + b', "body": ' + body + b"}\n"
        await self._record(outcome.result)
        self._judge(outcome)
        return None

    async def _ask(self, key: bytes) -> Outcome:
        before = self.plan.attempts.get(key, 0)
        outcome = await self.asker.ask(key, self.plan.request(key), before)
        outcome.result.position = self.plan.first[key]
        return outcome

    def _affords(self, line: bytes) -> bool:
        """Reserve for a row; before any has ended, what it takes is estimated."""
        budget = self.budget
        if budget.is_limited:
            body = json.loads(line)["body"]
            taken = input_tokens(body)
            name = model_name(self.asker.agent, self.asker.config)
            usd = PRICE * price_usd(name, round(taken), 0, _OUTPUT)
            if budget.limits.usd is not None and math.isnan(usd):
                raise UserError(NO_PRICE)
            budget.expect(taken + _OUTPUT, 0.0 if math.isnan(usd) else usd)
        return budget.reserve()

    # -- collecting --------------------------------------------------------------------------------

    async def _look(self) -> bool:
        """Look what the open batches do, and collect those that have ended; whether one has."""
        has_changed = False
        for name, batch in list(self._open.items()):
            assert batch.id is not None
            try:
                at = await self._service.get(batch.id)
            except openai.NotFoundError as error:
                raise RowError(
                    f"The service does not know the batch {batch.id}, whose id is in the "
                    "checkpoint. Use the key and the base URL that it was made with; to ask its "
                    "rows again, and pay again, give another checkpoint."
                ) from error
            except openai.APIError as error:
                if not is_away(error):
                    raise
                continue  # the service cannot be reached for a while; the batch goes on there
            batch.state = at.status
            if at.request_counts is not None:
                counts = at.request_counts
                batch.answered, batch.total = counts.completed + counts.failed, counts.total
            self.notify()
            if at.status in _ENDED:
                try:
                    await self._collect(batch, at)
                except openai.APIError as error:
                    if not is_away(error):
                        raise
                    continue
                self._close(name)
                has_changed = True
        return has_changed

    def _close(self, name: str) -> None:
        batch = self._open.pop(name)
        left = [key for key in batch.keys if key not in self.plan.results]
        self.budget.reserved -= len(left)
        self._put_back(left)
        self.notify()

    async def _collect(self, batch: Batch, at: Any) -> None:
        """Take in the answers of a batch that has ended."""
        if at.status == "failed" and not at.output_file_id:
            await self._refused(batch, at)
            return
        self._fruitless, self._size = 0, MOST_REQUESTS
        seconds = max(0.0, float((at.completed_at or at.expired_at or time.time()) - at.created_at))
        missing = {key for key in batch.keys if key not in self.plan.results}
        for file in filter(None, (at.output_file_id, at.error_file_id)):
            with suppress(openai.NotFoundError):  # the service keeps it for a month, or was told so
                async with aclosing(in_groups(self._service.lines(file))) as groups:
                    async for group in groups:
                        lines = {key: line for line in group if (key := key_of(line)) in missing}
                        missing -= lines.keys()
                        answers = [self._answer(key, lines[key], batch, seconds) for key in lines]
                        await asyncio.gather(*answers)
        for key in missing:
            why = f"The batch {at.id} is {at.status}, and has no answer for this row."
            await self._settle(Outcome(self._failed(key, RowError(why))), batch, seconds)

    async def _answer(
        self, key: bytes, line: Mapping[str, Any], batch: Batch, seconds: float
    ) -> None:
        answer, error = line.get("response"), line.get("error")
        if isinstance(answer, dict) and answer.get("body") is not None:
            with exchanging(Exchange(answer)):
                outcome = await self._ask(key)
            outcome.result.cost_usd *= PRICE
        else:
            details = error if isinstance(error, dict) else {}
            why = (
                f"{details.get('code') or 'no answer'}: {details.get('message') or 'of the batch'}"
            )
            outcome = Outcome(self._failed(key, RowError(why)))
        await self._settle(outcome, batch, seconds)

    def _failed(self, key: bytes, error: Exception) -> RowResult:
        attempts = self.plan.attempts.get(key, 0) + 1
        return failure(key, error, attempts=attempts, position=self.plan.first[key], cost_usd=0.0)

    async def _settle(self, outcome: Outcome, batch: Batch, seconds: float) -> None:
        result = outcome.result
        result.seconds = seconds
        self.asking.pop(result.key, None)
        self.budget.settle(result.input_tokens + result.output_tokens, result.cost_usd)
        result = await self._record(result, batch.name)
        if outcome.run is not None and self.keeps_runs:
            self.runs[result.key] = outcome.run
        if result.status == "failed" and self._on_error == "raise":
            # What is paid for is collected all the same: the error is raised at the end.
            index = self._name_of(result.position)
            cause = outcome.error or RowError(result.error or "")
            self.error = self.error or self._early(f"The row {index!r} failed", cause)

    async def _refused(self, batch: Batch, at: Any) -> None:
        """The service has not taken the batch: none of its requests was answered."""
        errors = (at.errors.data if at.errors is not None else None) or []
        await self._store.release(batch)
        if any(error.code == _FULL for error in errors):
            # The account has a limit of tokens in open batches: later, or in smaller ones.
            self._fruitless += 1
            self._size = max(1, len(batch.keys) // 2)
            if self._fruitless < _FRUITLESS:
                return
        lines = "; ".join(f"{error.code}: {error.message}" for error in errors[:3])
        self._end_early(
            RowError(
                f"The service has refused the batch {at.id}: {lines or 'it does not say why'}. "
                "Nothing of it was asked. When the cause is mended, run.retry() asks the rest."
            )
        )
