"""One SQLite file, one connection, one thread: what `SQLiteSession` stands on.

=============================  =====================================================
several kernels on one file    WAL, so that readers never wait; every write is one
                               ``BEGIN IMMEDIATE`` transaction
another kernel holds the file  the write waits up to `BUSY_SECONDS`, then raises
                               `SessionLockedError`: never for ever
a kernel is killed             what a write has returned from is on the disk
                               (``synchronous=FULL``: a power cut included); a write
                               cut short leaves nothing
the event loop                 never waits: all work is done by the session's own thread
=============================  =====================================================
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TypeVar

from ..exceptions import AgentsException, UserError

T = TypeVar("T")

BUSY_SECONDS = 10.0
"""How long an operation waits for another process to let go of the file, in seconds."""

MEMORY = ":memory:"


class SessionStorageError(AgentsException, sqlite3.OperationalError):
    """The session's file cannot be used; the message says why and what to do.

    It is an `sqlite3.OperationalError` too, which is what the Agents SDK lets through.
    """


class SessionLockedError(SessionStorageError):
    """Another process held the session's file for longer than `BUSY_SECONDS`."""


# https://www.sqlite.org/rescode.html (primary codes)
_ADVICE = {
    sqlite3.SQLITE_BUSY: "another process has held it for {seconds:g} s. Close the other program "
    "or kernel that is writing to it, then repeat the call; nothing was saved by this one",
    sqlite3.SQLITE_LOCKED: "another connection has held it for {seconds:g} s. Repeat the call; "
    "nothing was saved by this one",
    sqlite3.SQLITE_NOTADB: "it is not an SQLite database. Give another db_path, or move this file "
    "away",
    sqlite3.SQLITE_CORRUPT: "it is damaged. Save what can be read with "
    "`sqlite3 FILE .recover`, or move the file away and start a new one",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened. See that its folder exists, that it is a file "
    "and that you may write there",
    sqlite3.SQLITE_READONLY: "it may not be written. Change the permissions of the file and its "
    "folder, or give another db_path",
    sqlite3.SQLITE_FULL: "the disk is full. Make room, then repeat the call; nothing was saved by "
    "this one",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write it. If it lies on a network drive, "
    "give a db_path on a local disk",
}
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _primary_code(error: sqlite3.Error) -> int:
    # Errors made by the Python module itself (not by the library) carry no code.
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def explained(error: sqlite3.Error, path: str) -> SessionStorageError:
    """Name one of SQLite's errors, and say what to do about it."""
    code = _primary_code(error)
    advice = _ADVICE.get(
        code,
        "if its tables were made by another program, give other names as sessions_table and "
        "messages_table",
    )
    kind = SessionLockedError if code in _BUSY else SessionStorageError
    advice = advice.format(seconds=BUSY_SECONDS)
    return kind(f"SQLiteSession cannot use {path!r} ({error}): {advice}.")


def quoted(name: str) -> str:
    """Make an SQL identifier of any name."""
    return '"' + name.replace('"', '""') + '"'


def stored_id(session_id: str) -> str | bytes:
    r"""A session's id as it is stored: as bytes where it is no text for SQLite.

    That is half a surrogate pair, as `os.listdir` gives it for names that are not UTF-8. Bytes
    equal no text, so that no other id means the same session.

    Examples
    --------
    >>> stored_id("lisbon"), stored_id("caf\udce9")
    ('lisbon', b'caf\xed\xb3\xa9')
    """
    try:
        str(session_id).encode()
    except UnicodeEncodeError:
        return session_id.encode("utf-8", "surrogatepass")
    return session_id


def patiently(work: Callable[[], T]) -> T:
    """Do `work`, again while the file is locked, for at most `BUSY_SECONDS`."""
    deadline = time.monotonic() + BUSY_SECONDS
    pause = 0.005
    while True:
        try:
            return work()
        except SessionStorageError:
            raise
        except sqlite3.Error as error:
            if _primary_code(error) not in _BUSY or time.monotonic() >= deadline:
                raise
        time.sleep(pause)
        pause = min(2 * pause, 0.25)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do all or nothing. IMMEDIATE: the one lock is taken first, so two writers never deadlock."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class Tables:
    """The SQL of one pair of tables."""

    def __init__(self, sessions: str, messages: str) -> None:
        for name in (sessions, messages):
            if not name or "\0" in name or not isinstance(stored_id(name), str):
                raise UserError(f"{name!r} cannot be the name of a table. Give a non-empty name.")
        if sessions.casefold() == messages.casefold():
            raise UserError(
                f"sessions_table and messages_table are both {sessions!r}. Give two names."
            )
        self.names = (sessions, messages, f"idx_{messages}_session_id")
        self.sessions, self.messages, self.index = map(quoted, self.names)

    def create(self, connection: sqlite3.Connection) -> None:
        """Make what is missing; an existing file is only read, so this needs no lock there."""
        (count,) = connection.execute(
            "SELECT count(*) FROM sqlite_master WHERE type IN ('table', 'index') "
            "AND name COLLATE NOCASE IN (?, ?, ?)",
            self.names,
        ).fetchone()
        if count < len(self.names):
            with transaction(connection):
                self.create_missing(connection)

    def create_missing(self, connection: sqlite3.Connection) -> None:
        """Make the tables that are missing, within a transaction."""
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {self.sessions} ("
            "session_id TEXT PRIMARY KEY, "
            "created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, "
            "updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)"
        )
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {self.messages} ("
            "id INTEGER PRIMARY KEY AUTOINCREMENT, "
            "session_id TEXT NOT NULL, "
            "message_data TEXT NOT NULL, "
            "created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, "
            f"FOREIGN KEY (session_id) REFERENCES {self.sessions} (session_id) "
            "ON DELETE CASCADE)"
        )
        connection.execute(
            f"CREATE INDEX IF NOT EXISTS {self.index} ON {self.messages} (session_id, id)"
        )

    def rows(
        self, connection: sqlite3.Connection, session_id: str
    ) -> Generator[tuple[int, bytes | None]]:
        """Give row ids and stored bytes, latest first; None for NULL in another program's table."""
        # As BLOB: sqlite3 raises for a whole result when one TEXT of it is not valid UTF-8.
        query = (
            f"SELECT id, CAST(message_data AS BLOB) FROM {self.messages} "
            "WHERE session_id = ? ORDER BY id DESC"
        )
        with closing(connection.execute(query, (stored_id(session_id),))) as cursor:
            yield from cursor

    def insert(self, connection: sqlite3.Connection, session_id: str, data: list[str]) -> None:
        """Append rows and move the session's clock."""
        stored = stored_id(session_id)
        connection.execute(
            f"INSERT OR IGNORE INTO {self.sessions} (session_id) VALUES (?)", (stored,)
        )
        connection.executemany(
            f"INSERT INTO {self.messages} (session_id, message_data) VALUES (?, ?)",
            [(stored, row) for row in data],
        )
        connection.execute(
            f"UPDATE {self.sessions} SET updated_at = CURRENT_TIMESTAMP WHERE session_id = ?",
            (stored,),
        )

    def clear(self, connection: sqlite3.Connection, session_id: str) -> None:
        """Remove a session's rows and the session."""
        # Not left to ON DELETE CASCADE: SQLite obeys it only with foreign_keys=ON.
        for table in (self.messages, self.sessions):
            connection.execute(
                f"DELETE FROM {table} WHERE session_id = ?", (stored_id(session_id),)
            )


class Database:
    """One connection and the one thread that works on it."""

    def __init__(self, path: str, tables: Tables) -> None:
        self.in_memory = path == MEMORY
        # Absolute: a later `%cd` in the notebook must not move the file.
        self.path = path if self.in_memory else os.path.abspath(path)
        self.pid = os.getpid()
        self.connection = self._patiently(lambda: self._open(tables))
        self._file = None if self.in_memory else self._identity()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="agentstream-session")

    def _open(self, tables: Tables) -> sqlite3.Connection:
        # timeout: SQLite's own wait for each statement; `_patiently` bounds the whole. It is not
        # enough alone, as switching to WAL and recovering a WAL fail at once when others do so.
        try:
            connection = sqlite3.connect(
                self.path, timeout=1.0, isolation_level=None, check_same_thread=False
            )
        except ValueError as error:  # a zero byte, half a surrogate pair
            raise UserError(
                f"{self.path!r} cannot be a file's name: give another db_path."
            ) from error
        try:
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            if mode == "delete":
                # A file system without shared memory keeps "delete": slower, equally safe.
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
            connection.execute("PRAGMA synchronous = FULL")
            tables.create(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return None
        return (status.st_dev, status.st_ino)

    def _patiently(self, work: Callable[[], T]) -> T:
        """Do `work` as `patiently` does; what it fails with is explained."""
        try:
            return patiently(work)
        except SessionStorageError:
            raise
        except sqlite3.Error as error:
            raise explained(error, self.path) from error

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if not self.in_memory and self._identity() != self._file:
            raise SessionStorageError(
                f"SQLiteSession cannot use {self.path!r}: the file was deleted, moved or replaced "
                "while this session had it open. Make a new SQLiteSession to go on with the file "
                "that is there now."
            )
        return self._patiently(lambda: work(self.connection))

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in the session's thread; calls are done one by one, in order."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._do, work)

    def close(self, wait: bool = True) -> None:
        """Finish what is under way, then close the connection."""
        if os.getpid() != self.pid:
            # https://www.sqlite.org/howtocorrupt.html 2.6: a child must not close its parent's.
            return
        self._worker.shutdown(wait=wait)
        self.connection.close()
