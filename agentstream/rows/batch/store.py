"""Which rows are in which batch, in the checkpoint's file: any kernel can collect them."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..checkpoint import Checkpoint, is_alive

__all__ = ["Batch", "BatchStore"]


@dataclass
class Batch:
    """A batch that is not collected yet.

    Attributes
    ----------
    name : str
        Ours, which the service keeps as metadata: a batch is found by it whose id was not noted.
    endpoint : str
        Of its requests.
    id : str or None
        The service's; None: it may not have been made.
    is_ours : bool
        Whether no other kernel is making it now: such a one keeps the claims of its rows.
    keys : list of bytes
        Of its rows, as far as they belong to this frame.
    state : str
        The last that the service told.
    answered, total : int
        Of its requests.
    at : float
        When it was begun, in seconds since 1970.
    """

    name: str
    endpoint: str
    id: str | None = None
    is_ours: bool = True
    keys: list[bytes] = field(default_factory=list)
    state: str = "validating"
    answered: int = 0
    total: int = 0
    at: float = 0.0


class BatchStore:
    """The batches of a checkpoint."""

    def __init__(self, checkpoint: Checkpoint, agent: str) -> None:
        self._checkpoint = checkpoint
        self._agent = agent

    async def open(self) -> dict[str, Batch]:
        """The batches of this agent that have rows without a result, by name."""

        def job(connection: sqlite3.Connection) -> dict[str, Batch]:
            batches: dict[str, Batch] = {}
            rows = connection.execute(
                "SELECT batches.name, endpoint, id, owner, at, batch_rows.key, id IS NULL AND "
                "EXISTS (SELECT 1 FROM claims WHERE claims.key = batch_rows.key "
                "AND claims.owner = batches.owner AND until > ?) FROM batch_rows JOIN batches "
                "ON batches.name = batch_rows.batch WHERE batches.agent = ? ORDER BY at",
                (time.time(), self._agent),
            )
            for name, endpoint, number, owner, at, key, is_claimed in rows:
                if name not in batches:
                    batches[name] = Batch(str(name), str(endpoint), number, at=at)
                if is_claimed and batches[name].is_ours:
                    here = owner == self._checkpoint.owner
                    batches[name].is_ours = here or not is_alive(connection, owner)
                batches[name].keys.append(key)
            return batches

        return await self._do(job)

    async def begin(self, batch: Batch) -> None:
        """Note, before it is made, that a batch will have these rows; they stay claimed."""

        def job(connection: sqlite3.Connection) -> None:
            owner, batch.at = self._checkpoint.owner, time.time()
            connection.execute(
                "INSERT INTO batches VALUES (?, ?, ?, NULL, ?, ?)",
                (batch.name, self._agent, batch.endpoint, owner, batch.at),
            )
            connection.executemany(
                "INSERT OR REPLACE INTO batch_rows VALUES (?, ?)",
                [(key, batch.name) for key in batch.keys],
            )

        await self._do(job)

    async def made(self, batch: Batch) -> None:
        """Note the id that the service gave a batch."""

        def job(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE batches SET id = ? WHERE name = ?", (batch.id, batch.name))
            self._unclaim(connection, batch.keys)

        await self._do(job)

    async def release(self, batch: Batch) -> None:
        """Forget that rows are in this batch: they can be asked again.

        Those that another kernel has put into another batch meanwhile stay in that one.
        """

        def job(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "DELETE FROM batch_rows WHERE key = ? AND batch = ?",
                [(key, batch.name) for key in batch.keys],
            )
            self._unclaim(connection, batch.keys)

        await self._do(job)

    async def unclaim(self, keys: Iterable[bytes]) -> None:
        """Give up this kernel's claims of rows."""
        await self._do(lambda connection: self._unclaim(connection, keys))

    def _unclaim(self, connection: sqlite3.Connection, keys: Iterable[bytes]) -> None:
        connection.executemany(
            "DELETE FROM claims WHERE key = ? AND owner = ?",
            [(key, self._checkpoint.owner) for key in keys],
        )

    async def _do(self, job: Any) -> Any:
        # Also where the rows are stopped now, the file must know what the service was told.
        return await asyncio.shield(asyncio.wrap_future(self._checkpoint.do(job)))
