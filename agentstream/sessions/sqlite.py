"""A session in SQLite: in memory, or a file that several kernels may use at once.

The tables are those of the OpenAI Agents SDK, so that either library reads the other's files.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import weakref
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .._utils.json import read_json
from .._utils.keywords import suggesting_init
from .base import SessionABC, SessionSettings, encoded_items, settings_from
from .database import MEMORY, Database, SessionStorageError, Tables, transaction

if TYPE_CHECKING:
    from ..items import TResponseInputItem

T = TypeVar("T")

_log = logging.getLogger("agentstream.sessions")


@suggesting_init
class SQLiteSession(SessionABC):
    """A session in an SQLite database, by default in memory.

    Parameters
    ----------
    session_id : str
        Name of the conversation; one file holds any number of them.
    db_path : str or Path
        The file; ``":memory:"`` keeps the items as long as this object lives.
    sessions_table, messages_table : str
        Names of the two tables; any text, quoted as needed.
    session_settings : SessionSettings, dict or None
        ``limit``: how many of the latest items a run reads.

    Raises
    ------
    SessionStorageError
        The file cannot be opened, is no database or is damaged (see `SessionLockedError` for one
        held by another process).
    UserError
        The names of the tables cannot be used.

    Examples
    --------
    >>> import asyncio
    >>> session = SQLiteSession("lisbon")
    >>> asyncio.run(session.add_items([{"role": "user", "content": "Hello"}]))
    >>> asyncio.run(session.get_items())
    [{'role': 'user', 'content': 'Hello'}]
    >>> session.close()
    """

    def __init__(
        self,
        session_id: str,
        db_path: str | Path = MEMORY,
        sessions_table: str = "agent_sessions",
        messages_table: str = "agent_messages",
        session_settings: SessionSettings | dict[str, Any] | None = None,
    ) -> None:
        self.session_id = session_id
        self.session_settings: SessionSettings | None = settings_from(session_settings)
        self.db_path = db_path
        self.sessions_table = sessions_table
        self.messages_table = messages_table
        self._tables = self._named_tables()
        self._reported: set[int] = set()
        self._open()

    def _named_tables(self) -> Tables:
        return Tables(self.sessions_table, self.messages_table)

    def _open(self) -> None:
        self._database = Database(str(self.db_path), self._tables)
        # A session that is forgotten closes its file all the same.
        self._closer = weakref.finalize(self, self._database.close, wait=False)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if not self._closer.alive:
            kind = type(self).__name__
            raise RuntimeError(f"{kind} is closed. Make a new {kind} on the same db_path to go on.")
        if self._database.pid != os.getpid():
            # Neither the thread nor the connection may be used on this side of a fork.
            if self._database.in_memory:
                raise SessionStorageError(
                    "This SQLiteSession is in the memory of the parent process. Give it a db_path "
                    "to use it in a forked process."
                )
            self._open()
        return await self._database.run(work)

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Read the items in order; with `limit` (or the settings' limit) the latest of them.

        A row that holds no JSON object is left out, and reported once on the logger
        ``agentstream.sessions``.
        """
        wanted = self._limit(limit)
        return await self._run(lambda connection: self._read(connection, wanted))

    def _read(self, connection: sqlite3.Connection, limit: int | None, **where: str) -> list[Any]:
        if limit == 0:
            return []
        latest = []
        with closing(self._items(connection, **where)) as items:
            for _, item in items:
                latest.append(item)
                if len(latest) == limit:
                    break
        return latest[::-1]

    def _items(
        self, connection: sqlite3.Connection, **where: str
    ) -> Generator[tuple[int, dict[str, Any]]]:
        with closing(self._tables.rows(connection, self.session_id, **where)) as rows:
            for row_id, data in rows:
                try:
                    item = None if data is None else read_json(data)
                except ValueError:
                    item = None
                if isinstance(item, dict):
                    yield row_id, item
                elif row_id not in self._reported:
                    self._reported.add(row_id)
                    _log.warning(
                        "Row %d of table %r in %r (session %r) is no JSON object; it is left out "
                        "and left as it is: %r",
                        row_id, self.messages_table, self._database.path, self.session_id,
                        None if data is None else data[:80],
                    )  # fmt: skip

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append `items`, in order: all of them or, on an error, none.

        When it returns they are on the disk. Cancelling it leaves all of them or none.

        Raises
        ------
        TypeError
            An item is not a dict of plain JSON values.
        SessionLockedError, SessionStorageError
            The file cannot be written.
        """
        # Before the thread takes over: the caller may change its items while it waits.
        data = encoded_items(items)
        await self._run(lambda connection: self._write(connection, data))

    def _write(self, connection: sqlite3.Connection, data: list[str]) -> None:
        if data:  # none are an error in a session that was closed, too
            with transaction(connection):
                self._tables.insert(connection, self.session_id, data)

    async def replace_items(self, items: list[TResponseInputItem]) -> None:
        """Put `items` in the place of all items of this session, or, on an error, change nothing.

        Raises
        ------
        TypeError
            An item is not a dict of plain JSON values.
        SessionLockedError, SessionStorageError
            The file cannot be written.
        """
        data = encoded_items(items)
        await self._run(lambda connection: self._replace(connection, data))

    def _replace(self, connection: sqlite3.Connection, data: list[str]) -> None:
        with transaction(connection):
            self._tables.clear(connection, self.session_id)
            if data:
                self._tables.insert(connection, self.session_id, data)

    async def pop_item(self) -> TResponseInputItem | None:
        """Remove and return the latest item; None when there is none."""
        return await self._run(self._pop)

    def _pop(self, connection: sqlite3.Connection) -> Any:
        with transaction(connection):
            with closing(self._items(connection)) as items:
                latest = next(items, None)
            if latest is None:
                return None
            row_id, item = latest
            connection.execute(f"DELETE FROM {self._tables.messages} WHERE id = ?", (row_id,))
        return item

    async def clear_session(self) -> None:
        """Remove all items of this session; others in the file stay."""
        await self._run(self._clear)

    def _clear(self, connection: sqlite3.Connection) -> None:
        with transaction(connection):
            self._tables.clear(connection, self.session_id)

    def close(self) -> None:
        """Finish what is under way and close the file; a second call does nothing."""
        if self._closer.detach() is not None:
            self._database.close()
