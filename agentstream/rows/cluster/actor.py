"""The actor in a worker process: it asks rows, on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from contextlib import suppress
from typing import Any, Final

from ..worker import Asker
from .job import Job, PackedError
from .leases import LeasedGate

__all__ = ["RowsActor"]

_PATIENCE: Final = 10.0
"""Seconds that the client waits for messages before it asks again."""

_TOGETHER: Final = 0.01
"""Seconds in which messages are collected."""

_ABANDONED: Final = 120.0
"""After so many seconds without the client nothing more is asked: nobody would get the answers."""

_lock: Final = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def rows_loop() -> asyncio.AbstractEventLoop:
    """The event loop on which this process asks rows: one, whatever number of runs there is."""
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            name = "agentstream rows"
            threading.Thread(target=_loop.run_forever, name=name, daemon=True).start()
        return _loop


class RowsActor:
    """Asks rows for a client, which puts messages here and takes those that are for it.

    Its methods run on the loop of the Dask worker, and only pass things on.

    `is_gated`: requests wait for the client's gate.
    """

    def __init__(self, job: bytes, is_gated: bool) -> None:
        self._loop = rows_loop()
        self._outbox: list[tuple[Any, ...]] = []
        self._outbox_lock = threading.Lock()
        self._reader: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._taken = time.monotonic()
        self._rows: dict[int, asyncio.Task[None]] = {}
        self._gate = LeasedGate(self._send) if is_gated else None
        self._asker: Asker = Job.unpack(job, self._gate)

    async def put(self, data: bytes) -> None:
        """Take in messages of the client."""
        messages = pickle.loads(data)
        self._loop.call_soon_threadsafe(self._handle, messages)

    async def take(self) -> bytes:
        """Messages for the client, as soon as there are any."""
        self._taken = time.monotonic()
        event = asyncio.Event()
        with self._outbox_lock:
            self._reader = asyncio.get_running_loop(), event
            is_empty = not self._outbox
        if is_empty:
            with suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), _PATIENCE)
        await asyncio.sleep(_TOGETHER)
        with self._outbox_lock:
            messages, self._outbox, self._reader = self._outbox, [], None
        return pickle.dumps(messages)

    async def close(self) -> None:
        """Stop asking."""
        self._loop.call_soon_threadsafe(self._cancel_all)
        self._send(("closed",))

    def _send(self, message: tuple[Any, ...]) -> None:
        with self._outbox_lock:
            self._outbox.append(message)
            reader = self._reader
        if reader is not None and not reader[0].is_closed():
            reader[0].call_soon_threadsafe(reader[1].set)

    # -- on the loop of the rows -------------------------------------------------------------------

    def _handle(self, messages: list[tuple[Any, ...]]) -> None:
        for kind, *what in messages:
            if kind == "row":
                number, *row = what
                self._rows[number] = self._loop.create_task(self._ask(number, *row))
                if len(self._rows) == 1:
                    self._loop.call_later(_ABANDONED, self._look)
            elif kind == "cancel":
                task = self._rows.get(what[0])
                if task is not None:
                    task.cancel()
            elif self._gate is not None:
                getattr(self._gate, kind)(*what)

    async def _ask(self, number: int, key: bytes, request: Any, before: int) -> None:
        try:
            outcome = await self._asker.ask(key, request, before)
            error = outcome.error and PackedError.of(outcome.error)
            self._send(("done", number, outcome.result, error, outcome.stops_all))
        except Exception as error:  # noqa: BLE001 - raised where the row was asked for
            self._send(("broken", number, PackedError.of(error)))
        finally:
            self._rows.pop(number, None)

    def _look(self) -> None:
        """Stop if the client takes nothing any more."""
        if time.monotonic() - self._taken > _ABANDONED:
            self._cancel_all()
        elif self._rows:
            self._loop.call_later(_ABANDONED / 4, self._look)

    def _cancel_all(self) -> None:
        for task in self._rows.values():
            task.cancel()
