"""The workers of a Dask cluster that ask rows, as the client sees them.

All of it lives on the event loop of the Dask client. That one is a thread of its own in a notebook,
so admissions go on to the workers while a cell blocks the kernel's loop.
"""

from __future__ import annotations

import asyncio
import itertools
import pickle
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from ..._utils.redaction import redact
from ...exceptions import AgentsException, UserError
from ..result import failure
from ..worker import Outcome
from .actor import RowsActor
from .lessor import Lessor

if TYPE_CHECKING:
    from distributed import Client

    from ...models.gate.gate import Gate
    from .leases import LineName

__all__ = ["Crew", "WorkerLostError"]

_LOOK: Final = 1.0
"""Seconds between looks at who is there."""

_MOST_LOSSES: Final = 3
"""A row that was under way on so many workers when they were lost is not asked again."""

_MOST_FAILURES: Final = 3
"""So many looks in turn fail until the scheduler counts as gone."""

_CLOSING: Final = 5.0


class WorkerLostError(AgentsException):
    """A worker process ended while it asked a row."""


class Crew:
    """The workers that ask rows."""

    def __init__(self, client: Client, job: bytes, gate: Gate | None) -> None:
        self.client = client
        self.job = job
        self.gate = gate
        self._members: dict[str, Member] = {}
        self._error: Exception | None = None
        self._changed = asyncio.Event()
        self._watching = asyncio.ensure_future(self._watch())

    @property
    def is_waiting(self) -> bool:
        """Whether no worker is ready."""
        return not any(member.is_ready for member in self._members.values())

    async def ask(self, key: bytes, request: Any, before: int) -> Outcome:
        """Have a worker ask a row; another one, if that is lost."""
        losses = 0
        while True:
            member = await self._least_busy()
            try:
                return await member.ask(key, request, before + losses)
            except WorkerLostError as error:
                losses += 1
                if losses == _MOST_LOSSES:
                    text = (
                        f"{losses} workers were lost while they asked this row; the last: {error}"
                    )
                    lost = WorkerLostError(text)
                    return Outcome(failure(key, lost, attempts=before + losses), None, lost)

    async def close(self) -> None:
        """Let the workers go."""
        self._watching.cancel()
        ending = [member.close() for member in self._members.values()]
        await asyncio.gather(*ending, return_exceptions=True)

    def recall(self, line: LineName) -> None:
        """Have all workers give back admissions that they have not used."""
        for member in self._members.values():
            if member.is_ready:
                member.send(("recall", line))

    async def _least_busy(self) -> Member:
        while True:
            ready = [member for member in self._members.values() if member.is_ready]
            if ready:
                return min(ready, key=lambda member: len(member.rows))
            if self._error is not None:
                raise self._error
            changed = self._changed
            await changed.wait()

    def change(self) -> None:
        """Tell those who wait that a worker came or went."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _watch(self) -> None:
        """Look who is there, again and again."""
        failures = 0
        while True:
            try:
                workers: Any = self.client.nthreads()
                addresses = set(await workers)
                failures = 0
            except Exception as error:  # noqa: BLE001 - raised where rows are asked for
                failures += 1
                if failures < _MOST_FAILURES:
                    await asyncio.sleep(_LOOK)
                    continue
                self._error = UserError(
                    f"Dask's scheduler is not reached any more: {type(error).__name__}: {error}. "
                    "Connect a client again, and call map_frame with the same checkpoint."
                )
                self._error.__cause__ = error
                addresses = set()
            for address, member in list(self._members.items()):
                if member.is_lost:  # its process may live, and is given another actor then
                    self._members.pop(address).release()
            for address in addresses - self._members.keys():
                self._members[address] = Member(address, self)
            for address in self._members.keys() - addresses:
                member = self._members.pop(address)
                member.lose(WorkerLostError(f"The worker {address} is gone."))
            if self._error is not None:
                self.change()
            await asyncio.sleep(_LOOK)

    def could_not_start(self, address: str, error: BaseException) -> None:
        """Note that a worker cannot do the job, which the others cannot do either then."""
        self._error = UserError(
            f"The worker {address} cannot load the agent: {type(error).__name__}: "
            f"{redact(str(error))}. Workers need the same packages as this process, agentstream "
            "among them; a module of your own is sent by client.upload_file('module.py')."
        )
        self._error.__cause__ = error if isinstance(error, Exception) else None
        self.change()


class Member:
    """One worker process.

    Attributes
    ----------
    rows : dict of Future
        Rows that it is asking.
    is_ready : bool
        Whether it can be given rows.
    is_lost : bool
        Whether it can be given none any more.
    """

    def __init__(self, address: str, crew: Crew) -> None:
        self.address = address
        self.rows: dict[int, asyncio.Future[Outcome]] = {}
        self.is_ready = False
        self.is_lost = False
        self._crew = crew
        self._numbers = itertools.count()
        self._outbox: list[tuple[Any, ...]] = []
        self._wake = asyncio.Event()
        self._actor: Any = None
        self._future: Any = None
        self._lessor = None if crew.gate is None else Lessor(crew.gate, self.send, crew.recall)
        self._receiving: asyncio.Task[None] | None = None
        self._tasks = {asyncio.ensure_future(self._main())}

    async def ask(self, key: bytes, request: Any, before: int) -> Outcome:
        """Have it ask a row.

        Raises
        ------
        WorkerLostError
            It is gone.
        """
        number = next(self._numbers)
        future = self.rows[number] = asyncio.get_running_loop().create_future()
        self.send(("row", number, key, request, before))
        try:
            return await future
        except asyncio.CancelledError:
            self.send(("cancel", number))
            raise
        finally:
            self.rows.pop(number, None)

    def send(self, message: tuple[Any, ...]) -> None:
        """Send a message to the worker."""
        self._outbox.append(message)
        self._wake.set()

    def lose(self, error: WorkerLostError) -> None:
        """It is gone: who waits for its rows is told, and its admissions come back."""
        self.is_ready, self.is_lost = False, True
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        for future in self.rows.values():
            if not future.done():
                future.set_exception(error)
        if self._lessor is not None:
            self._lessor.abandon()

    async def close(self) -> None:
        """Let it stop what it is doing."""
        if self._receiving is not None:
            with suppress(Exception):  # it may be gone
                await asyncio.wait_for(self._finish(self._receiving), _CLOSING)
        self.lose(WorkerLostError("The rows were stopped."))
        self.release()

    def release(self) -> None:
        """Have its actor forgotten."""
        if self._future is not None:
            self._future.release()

    async def _finish(self, receiving: asyncio.Task[None]) -> None:
        await _result(self._actor.close)
        await receiving

    async def _main(self) -> None:
        """Start it, then send and receive until it is lost."""
        client: Any = self._crew.client
        try:
            self._future = client.submit(
                RowsActor,
                self._crew.job,
                self._crew.gate is not None,
                actor=True,
                pure=False,
                workers=[self.address],
                allow_other_workers=False,
            )
            self._actor = await self._future
        except Exception as error:  # noqa: BLE001 - told to who asks rows
            self._crew.could_not_start(self.address, error)
            return
        self.is_ready = True
        self._crew.change()
        self._receiving = asyncio.ensure_future(self._receive())
        self._tasks |= {asyncio.ensure_future(self._send_all()), self._receiving}

    async def _send_all(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            messages, self._outbox = self._outbox, []
            try:
                await _result(self._actor.put, pickle.dumps(messages))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is not reached
                self.lose(_lost(self.address, error))
                return

    async def _receive(self) -> None:
        while True:
            try:
                messages = pickle.loads(await _result(self._actor.take))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is not reached
                self.lose(_lost(self.address, error))
                return
            for kind, *what in messages:
                if kind == "closed":
                    return
                if kind in ("done", "broken"):
                    self._end(kind, *what)
                elif self._lessor is not None:
                    self._lessor.handle(kind, *what)

    def _end(self, kind: str, number: int, *what: Any) -> None:
        future = self.rows.get(number)
        if future is None or future.done():
            return
        if kind == "broken":
            future.set_exception(what[0].error())
            return
        result, error, stops_all = what
        future.set_result(Outcome(result, None, error and error.error(), stops_all))


async def _result(call: Callable[..., Any], *args: Any) -> Any:
    return await call(*args)


def _lost(address: str, error: Exception) -> WorkerLostError:
    lost = WorkerLostError(f"The worker {address} is not reached: {error}")
    lost.__cause__ = error
    return lost
