"""The checkpoint: each row as it ends, in a SQLite file that several kernels may share.

One thread writes, and commits together what has come together. A row is told as done only when it
is in the file. A row that is being asked is claimed; a claim ends with its process, or is renewed.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

from pydantic import Field, TypeAdapter

from .._utils.json import encodable, read_json
from ..exceptions import UserError
from ..recordings.request_match import RequestDict
from ..sessions.database import patiently, transaction
from .result import RowResult

__all__ = ["Checkpoint", "is_alive"]

T = TypeVar("T")

_Count: TypeAlias = Annotated[int, Field(ge=0)]
_Amount: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_LEASE: Final = 30.0
"""Seconds that a claim lasts without being renewed."""

_VERSION: Final = 1
_BATCH: Final = 500
_BUSY: Final = 60.0

# On Windows os.kill(pid, 0) would be Ctrl-C, to every program of a console.
_SEES_PROCESSES: Final = os.name == "posix"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS agents (
    digest TEXT PRIMARY KEY, label TEXT, request TEXT, prompt TEXT, at REAL
);
CREATE TABLE IF NOT EXISTS results (
    key BLOB PRIMARY KEY, agent TEXT, row TEXT, repeat INTEGER, status TEXT, output TEXT,
    error TEXT, error_type TEXT, attempts INTEGER, seconds REAL, input_tokens INTEGER,
    cached_tokens INTEGER, output_tokens INTEGER, cost_usd REAL, at REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS results_by_agent ON results (agent);
CREATE TABLE IF NOT EXISTS claims (key BLOB PRIMARY KEY, owner TEXT, until REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owners (owner TEXT PRIMARY KEY, host TEXT, pid INTEGER, born TEXT);
CREATE TABLE IF NOT EXISTS batches (
    name TEXT PRIMARY KEY, agent TEXT, endpoint TEXT, id TEXT, owner TEXT, at REAL
);
CREATE TABLE IF NOT EXISTS votes (pair TEXT PRIMARY KEY, value REAL, at REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batch_rows (key BLOB PRIMARY KEY, batch TEXT) WITHOUT ROWID;
"""

_COLUMNS: Final = (
    "key, status, output, error, error_type, attempts, seconds, input_tokens, cached_tokens, "
    "output_tokens, cost_usd"
)


class Checkpoint:
    """The file, and the thread that writes it.

    Raises
    ------
    UserError
        The file is no checkpoint, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.owner = uuid.uuid4().hex
        self._jobs: queue.SimpleQueue[tuple[Callable[[Any], Any], Future[Any]] | None]
        self._jobs = queue.SimpleQueue()
        self._closed = False
        opened: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(opened,), name="agentstream checkpoint", daemon=True
        )
        self._thread.start()
        try:
            opened.result()
        except (sqlite3.Error, OSError) as error:
            raise UserError(
                f"The checkpoint {str(self.path)!r} cannot be used: {error}. Give a path in a "
                "folder that can be written, to a file that was made by map_frame or is not there."
            ) from error

    def do(self, job: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Do a job in the writing thread; its result when it is committed."""
        future: Future[T] = Future()
        if self._closed:
            raise UserError("The checkpoint is closed: call map_frame again.")
        self._jobs.put((job, future))
        return future

    def close(self) -> None:
        """Give up what is claimed, write what waits, close the file."""
        if self._closed:
            return
        self.do(self._release_all).result()
        self._closed = True
        self._jobs.put(None)
        self._thread.join(_BUSY)

    # -- agents ------------------------------------------------------------------------------------

    def agents(self, label: str) -> list[tuple[str, RequestDict, str]]:
        """Digest, request and prompt of the agents that have results here, the newest first."""

        def job(connection: sqlite3.Connection) -> list[tuple[str, RequestDict, str]]:
            rows = connection.execute(
                "SELECT digest, request, prompt FROM agents WHERE label = ? ORDER BY at DESC",
                (label,),
            )
            with _as_written("agents"):
                return [
                    (digest, _REQUEST.validate_python(read_json(request)), str(prompt))
                    for digest, request, prompt in rows
                ]

        return self.do(job).result()

    def add_agent(self, digest: str, label: str, request: RequestDict, prompt: str) -> None:
        """Note whose results follow."""

        def job(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO agents VALUES (?, ?, ?, ?, ?)",
                (digest, label, json.dumps(request), encodable(prompt), time.time()),
            )

        self.do(job).result()

    # -- results -----------------------------------------------------------------------------------

    def known(self, agent: str) -> dict[bytes, RowResult]:
        """The results of an agent, by key."""

        def job(connection: sqlite3.Connection) -> dict[bytes, RowResult]:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM results WHERE agent = ?", (agent,))
            return {row[0]: _result(row) for row in rows}

        return self.do(job).result()

    def known_by_row(self, agent: str) -> dict[tuple[str, int], RowResult]:
        """The results of an agent, by the digest of the row's values and the repeat."""

        def job(connection: sqlite3.Connection) -> dict[tuple[str, int], RowResult]:
            rows = connection.execute(
                f"SELECT {_COLUMNS}, row, repeat FROM results WHERE agent = ? AND status = 'done'",
                (agent,),
            )
            return {(row[-2], row[-1]): _result(row) for row in rows}

        return self.do(job).result()

    async def in_batches(self) -> set[bytes]:
        """The keys of rows that are in a batch, and have no result yet."""

        def job(connection: sqlite3.Connection) -> set[bytes]:
            return {key for (key,) in connection.execute("SELECT key FROM batch_rows")}

        return await asyncio.wrap_future(self.do(job))

    async def save(
        self, result: RowResult, agent: str, row: str, repeat: int, batch: str | None = None
    ) -> RowResult:
        """Write a result and end its claim; returns when it is committed.

        What is in the file then is returned: a failure replaces no answer that another kernel has
        written. `repeat` is which of several answers to the same; `batch` the one that it comes
        from, which the row is in no longer.
        """

        def job(connection: sqlite3.Connection) -> RowResult:
            connection.execute(
                "DELETE FROM batch_rows WHERE key = ? AND batch = ?", (result.key, batch)
            )
            connection.execute(
                "DELETE FROM claims WHERE key = ? AND owner = ?", (result.key, self.owner)
            )
            done = _done(connection, result.key) if result.status == "failed" else None
            if done is not None:
                return done
            connection.execute(
                "INSERT OR REPLACE INTO results VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    result.key,
                    agent,
                    row,
                    repeat,
                    result.status,
                    json.dumps(result.values),
                    result.error,
                    result.error_type,
                    result.attempts,
                    result.seconds,
                    result.input_tokens,
                    result.cached_tokens,
                    result.output_tokens,
                    result.cost_usd,
                    time.time(),
                ),
            )
            return result

        return await asyncio.wrap_future(self.do(job))

    # -- claims ------------------------------------------------------------------------------------

    async def claim(self, key: bytes) -> RowResult | bool:
        """Claim a row that is to be asked.

        True: it is this kernel's. False: another kernel asks it now. A result: another kernel has
        asked it.
        """
        return await asyncio.wrap_future(self.do(lambda connection: self._claim(connection, key)))

    def _claim(self, connection: sqlite3.Connection, key: bytes) -> RowResult | bool:
        done = _done(connection, key)
        if done is not None:
            return done
        if connection.execute("SELECT 1 FROM batch_rows WHERE key = ?", (key,)).fetchone():
            return False
        now = time.time()
        claim = connection.execute(
            "SELECT owner, until FROM claims WHERE key = ?", (key,)
        ).fetchone()
        # Nobody claims for longer than a lease; such a claim would keep the row for ever.
        theirs = (
            claim is not None
            and claim[0] != self.owner
            and isinstance(claim[1], float)
            and now < claim[1] < now + 2 * _LEASE
        )
        if theirs and is_alive(connection, claim[0]):
            return False
        connection.execute(
            "INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", (key, self.owner, now + _LEASE)
        )
        return True

    async def renew(self) -> None:
        """Keep all that is claimed."""

        def job(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE claims SET until = ? WHERE owner = ?", (time.time() + _LEASE, self.owner)
            )

        await asyncio.wrap_future(self.do(job))

    def _release_all(self, connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM claims WHERE owner = ?", (self.owner,))
        connection.execute("DELETE FROM owners WHERE owner = ?", (self.owner,))

    # -- the thread --------------------------------------------------------------------------------

    def _run(self, opened: Future[None]) -> None:
        try:
            # Switching to WAL fails at once where another kernel does so.
            connection = patiently(self._open)
        except BaseException as error:  # noqa: BLE001 - raised where it was asked for
            opened.set_exception(error)
            return
        opened.set_result(None)
        done = False
        while not done:
            jobs = [self._jobs.get()]
            while len(jobs) < _BATCH and not self._jobs.empty():
                jobs.append(self._jobs.get())
            done = None in jobs
            _commit(connection, [job for job in jobs if job is not None])
        connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # A killed process loses nothing so; a machine that loses its power, the last moments.
            connection.execute("PRAGMA synchronous = NORMAL")
            # One transaction: another kernel that opens the file meanwhile finds all of it or none.
            with transaction(connection):
                self._begin(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Make the tables where there are none, and say that this kernel is at work.

        Raises
        ------
        OSError
            The file is something else, or of a newer format.
        """
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            raise OSError("it is a database of another program")
        if version > _VERSION:
            raise OSError(f"it was written by a newer agentstream (its format is {version})")
        for statement in _SCHEMA.split(";"):  # executescript() would end the transaction
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
        connection.execute(
            "INSERT INTO owners VALUES (?, ?, ?, ?)",
            (self.owner, socket.gethostname(), os.getpid(), _born(os.getpid())),
        )


def _commit(
    connection: sqlite3.Connection, jobs: list[tuple[Callable[[Any], Any], Future[Any]]]
) -> None:
    """Do jobs in one transaction; their results are told when it is committed."""
    if not jobs:
        return
    done: list[tuple[Future[Any], Any]] = []
    try:
        with transaction(connection):
            done = [(future, job(connection)) for job, future in jobs]
    except BaseException as error:  # noqa: BLE001 - raised where each job was asked for
        for _, future in jobs:
            _settle(future, error=error)
        return
    for future, result in done:
        _settle(future, result)


def _settle(future: Future[Any], result: Any = None, error: BaseException | None = None) -> None:
    if not future.set_running_or_notify_cancel():
        return  # who asked has gone; it is done all the same
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


_REQUEST: Final = TypeAdapter(dict[str, Any])
_ROW: Final = TypeAdapter(
    tuple[
        bytes,
        Literal["done", "failed"],
        list[Any],
        str | None,
        str | None,
        _Count,
        _Amount,
        _Count,
        _Count,
        _Count,
        _Amount | None,
    ]
)


@contextmanager
def _as_written(table: str) -> Iterator[None]:
    """The file may be anybody's: what does not fit is an error that says what to do."""
    try:
        yield
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"The checkpoint's table {table!r} has a row that map_frame did not write ({reason}). "
            "Give the path of another file, or of one that is not there."
        ) from error


def _result(row: tuple[Any, ...]) -> RowResult:
    with _as_written("results"):
        read = _ROW.validate_python((*row[:2], read_json(row[2]), *row[3:11]), strict=True)
    key, status, output, error, kind, attempts, seconds, taken, cached, written, cost = read
    return RowResult(
        key,
        status,
        tuple(output),
        error,
        kind,
        attempts,
        seconds,
        taken,
        cached,
        written,
        float("nan") if cost is None else cost,
        "checkpoint",
    )


def _done(connection: sqlite3.Connection, key: bytes) -> RowResult | None:
    """The answer that is in the file for a row."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM results WHERE key = ? AND status = 'done'", (key,)
    ).fetchone()
    return None if row is None else _result(row)


def is_alive(connection: sqlite3.Connection, owner: str) -> bool:
    """Whether the process behind a claim lives, as far as can be seen from here."""
    row = connection.execute(
        "SELECT host, pid, born FROM owners WHERE owner = ?", (owner,)
    ).fetchone()
    if row is None:
        return False
    host, pid, born = row
    if host != socket.gethostname() or not _SEES_PROCESSES:
        return True  # until its lease ends
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return bool(_born(pid) == born)


def _born(pid: int) -> str:
    """When a process began, where the system says so: numbers of processes are used again."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return stat.rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
