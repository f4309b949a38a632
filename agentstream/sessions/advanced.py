"""A session in SQLite with branches, and with the usage of each turn."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .._utils.json import read_json
from .._utils.keywords import suggesting_init
from .base import SessionSettings, encoded_items
from .branches import MAIN, STRUCTURE, BranchTables, ascii_lower
from .database import MEMORY, stored_id, transaction
from .sqlite import SQLiteSession

if TYPE_CHECKING:
    from ..items import TResponseInputItem

T = TypeVar("T")

_log = logging.getLogger("agentstream.sessions")

_PREVIEW = 100
_COUNTS = ("requests", "input_tokens", "output_tokens", "total_tokens")
_DETAILS = ("input_tokens_details", "output_tokens_details")


class _Result(Protocol):
    """A `RunResult` or `RunResultStreaming`."""

    @property
    def context_wrapper(self) -> Any: ...


def _text(content: Any) -> str:
    """The text of a message: what is searched."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


@suggesting_init
class AdvancedSQLiteSession(SQLiteSession):
    """An `SQLiteSession` whose conversation has branches and turns, and keeps their usage.

    A turn begins with each message of the user. A branch starts before one of them, and shares
    the earlier items with the branch that it was made from. Reads, runs and `pop_item` use the
    current branch, at first ``"main"``. The tables are those of the OpenAI Agents SDK's session of
    this name, so that either library reads the other's files. Items that a plain `SQLiteSession`
    stored belong to no branch, and are not read.

    Parameters
    ----------
    session_id : str
        Name of the conversation; one file holds any number of them.
    db_path : str or Path
        The file; ``":memory:"`` keeps the items as long as this object lives.
    create_tables : bool
        Create the tables that are missing. Otherwise the file must have them.
    logger : logging.Logger or None
        Where `store_run_usage` reports an error; ``agentstream.sessions`` by default.
    session_settings : SessionSettings, dict or None
        ``limit``: how many of the latest items a run reads.
    sessions_table, messages_table : str
        Names of the two tables of sessions and items. A file has the branches of one such pair.

    Raises
    ------
    ValueError
        The tables are missing and `create_tables` is False, or belong to another pair.
    SessionStorageError
        The file cannot be opened, is no database or is damaged.

    Examples
    --------
    >>> import asyncio
    >>> async def main():
    ...     session = AdvancedSQLiteSession(session_id="trip", create_tables=True)
    ...     await session.add_items([{"role": "user", "content": "Lisbon?"}])
    ...     await session.add_items([{"role": "user", "content": "Hotels?"}])
    ...     await session.create_branch_from_turn(2, "porto")
    ...     await session.add_items([{"role": "user", "content": "Porto?"}])
    ...     texts = [item["content"] for item in await session.get_items()]
    ...     session.close()
    ...     return texts
    >>> asyncio.run(main())
    ['Lisbon?', 'Porto?']
    """

    _tables: BranchTables

    def __init__(
        self,
        *,
        session_id: str,
        db_path: str | Path = MEMORY,
        create_tables: bool = False,
        logger: logging.Logger | None = None,
        session_settings: SessionSettings | dict[str, Any] | None = None,
        sessions_table: str = "agent_sessions",
        messages_table: str = "agent_messages",
    ) -> None:
        self._create_tables = create_tables
        self._logger = logger or _log
        self._branch = MAIN
        self._generation: int | None = None
        super().__init__(session_id, db_path, sessions_table, messages_table, session_settings)

    def _named_tables(self) -> BranchTables:
        return BranchTables(
            self.sessions_table, self.messages_table, self.session_id, self._create_tables
        )

    # The current branch changes only in the session's thread, after the change is on the disk:
    # so calls see it in the order in which they were made, also when one of them is cancelled.

    def _current(self, connection: sqlite3.Connection) -> str:
        """The current branch: main again if another object has cleared the session."""
        generation = self._tables.generation(connection)
        if self._generation not in (None, generation):
            self._branch = MAIN
        self._generation = generation
        return self._branch

    async def _query(
        self, work: Callable[[sqlite3.Connection, str], T], branch: str | None = None
    ) -> T:
        return await self._run(
            lambda connection: work(
                connection, self._current(connection) if branch is None else branch
            )
        )

    async def _change(self, work: Callable[[sqlite3.Connection, str], T]) -> T:
        return await self._run(lambda connection: self._in_transaction(connection, work))

    def _in_transaction(
        self, connection: sqlite3.Connection, work: Callable[[sqlite3.Connection, str], T]
    ) -> T:
        """Do `work` in one transaction; it is on the disk when this returns."""
        with transaction(connection):
            self._tables.prepare_write(connection)
            return work(connection, self._current(connection))

    async def get_items(
        self, limit: int | None = None, branch_id: str | None = None
    ) -> list[TResponseInputItem]:
        """Read a branch's items in order (the current one's); with `limit` the latest of them."""
        wanted = self._limit(limit)
        return await self._query(
            lambda connection, branch: self._read(connection, wanted, branch=branch), branch_id
        )

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append `items` to the current branch: all of them or, on an error, none."""
        # Before the thread takes over: the caller may change its items while it waits.
        data = encoded_items(items)
        if not data:  # an error in a session that was closed, too
            await self._run(lambda connection: None)
            return
        await self._change(
            lambda connection, branch: self._tables.append(
                connection, self.session_id, data, branch
            )
        )

    async def replace_items(self, items: list[TResponseInputItem]) -> None:
        """Put `items` in the place of the current branch's; its turns are numbered again from 1.

        The usage of turns that are then gone is removed.
        """
        data = encoded_items(items)

        def replace(connection: sqlite3.Connection, branch: str) -> None:
            self._tables.remove_items(connection, branch)
            if data:
                self._tables.append(connection, self.session_id, data, branch)
            self._tables.remove_stale_usage(connection, branch)

        await self._change(replace)

    async def pop_item(self) -> TResponseInputItem | None:
        """Remove and return the current branch's latest item; None when there is none."""

        def pop(connection: sqlite3.Connection, branch: str) -> Any:
            with closing(self._items(connection, branch=branch)) as items:
                message, item = next(items, (0, None))
            if item is not None:
                self._tables.remove_item(connection, branch, message)
            return item

        return await self._change(pop)

    async def clear_session(self) -> None:
        """Remove all items, branches and usage of this session; others in the file stay."""
        await self._change(
            lambda connection, branch: self._tables.clear(connection, self.session_id)
        )

    async def create_branch_from_turn(
        self, turn_number: int, branch_name: str | None = None
    ) -> str:
        """Make a branch with the items before a turn of the current branch, and go on there.

        Parameters
        ----------
        turn_number : int
            The turn, from 1.
        branch_name : str or None
            Its id, which no branch of this session has had; one is made up by default.

        Returns
        -------
        str
            The branch's id.

        Raises
        ------
        ValueError
            There is no such turn, or the name is empty or was used before.
        """
        if branch_name is not None:
            _check_branch_name(branch_name)

        def create(connection: sqlite3.Connection, source: str) -> str:
            rows = connection.execute(
                f"SELECT 1 FROM {STRUCTURE} WHERE session_id = ? AND branch_id = ? "
                "AND user_turn_number = ? AND message_type = 'user'",
                (self._tables.session, source, turn_number),
            )
            if rows.fetchone() is None:
                raise ValueError(
                    f"Turn {turn_number} does not contain a user message in branch {source!r}. "
                    "`get_conversation_turns()` lists the turns."
                )
            branch = self._reserved(connection, turn_number, branch_name)
            self._tables.copy_turns(connection, source, turn_number, branch)
            return branch

        def create_and_switch(connection: sqlite3.Connection) -> str:
            self._branch = self._in_transaction(connection, create)
            return self._branch

        return await self._run(create_and_switch)

    def _reserved(self, connection: sqlite3.Connection, turn: int, name: str | None) -> str:
        self._tables.reserve_existing(connection)
        self._tables.reserve(connection, MAIN)
        if name is None:
            stem = f"branch_from_turn_{turn}_{int(time.time())}"
            names = (stem if n == 1 else f"{stem}_{n}" for n in count(1))
            return next(one for one in names if self._tables.reserve(connection, one))
        if not self._tables.reserve(connection, name):
            raise ValueError(
                f"The branch id {name!r} has already been used in session {self.session_id!r}; "
                "a deleted branch's id is not free again. Pass another branch_name."
            )
        return name

    async def create_branch_from_content(
        self, search_term: str, branch_name: str | None = None
    ) -> str:
        """Make a branch before the first turn whose message contains `search_term`.

        Raises
        ------
        ValueError
            No turn contains it, or the name is empty or was used before.
        """
        turns = await self.find_turns_by_content(search_term)
        if not turns:
            raise ValueError(f"No user turns found containing {search_term!r}")
        return await self.create_branch_from_turn(turns[0]["turn"], branch_name)

    async def switch_to_branch(self, branch_id: str) -> None:
        """Make another branch the current one.

        Raises
        ------
        ValueError
            No such branch has items.
        """

        def switch(connection: sqlite3.Connection, current: str) -> None:
            if branch_id not in (MAIN, current):
                self._check_exists(connection, branch_id)
            self._branch = branch_id

        await self._query(switch)

    def _check_exists(self, connection: sqlite3.Connection, branch: str) -> None:
        if not self._tables.exists(connection, branch):
            raise ValueError(
                f"Branch {branch!r} does not exist, or has no items. `list_branches()` lists them."
            )

    async def delete_branch(self, branch_id: str, force: bool = False) -> None:
        """Remove a branch, its usage, and the items that no other branch has.

        Parameters
        ----------
        branch_id : str
            The branch.
        force : bool
            Delete it even if it is the current one; main is then the current one.

        Raises
        ------
        ValueError
            It is ``"main"``, the current branch without `force`, or does not exist.
        """
        if not branch_id or not branch_id.strip():
            raise ValueError("Branch ID cannot be empty.")
        if branch_id == MAIN:
            raise ValueError("Cannot delete the 'main' branch. `clear_session()` removes it all.")

        def delete(connection: sqlite3.Connection, current: str) -> None:
            if current == branch_id and not force:
                raise ValueError(
                    "Cannot delete current branch. Pass force=True, or switch to another one."
                )
            self._check_exists(connection, branch_id)
            self._tables.reserve_existing(connection)
            self._tables.remove_items(connection, branch_id)
            self._tables.remove_stale_usage(connection, branch_id)

        def delete_and_leave(connection: sqlite3.Connection) -> None:
            self._in_transaction(connection, delete)
            if self._branch == branch_id:
                self._branch = MAIN

        await self._run(delete_and_leave)

    async def list_branches(self) -> list[dict[str, Any]]:
        """Describe the branches that have items: their size, and which is the current one."""

        def read(connection: sqlite3.Connection, current: str) -> list[dict[str, Any]]:
            rows = connection.execute(
                "SELECT branch_id, COUNT(*), SUM(message_type = 'user'), MIN(created_at) "
                f"FROM {STRUCTURE} WHERE session_id = ? GROUP BY branch_id "
                "ORDER BY MIN(created_at), branch_id",
                (self._tables.session,),
            )
            return [
                {
                    "branch_id": branch,
                    "message_count": messages,
                    "user_turns": turns,
                    "is_current": branch == current,
                    "created_at": created,
                }
                for branch, messages, turns, created in rows
            ]

        return await self._query(read)

    async def get_conversation_turns(self, branch_id: str | None = None) -> list[dict[str, Any]]:
        """Describe a branch's turns by their user's message, its start as ``content``."""
        turns = await self._turns(branch_id)
        for turn in turns:
            if len(turn["content"]) > _PREVIEW:
                turn["content"] = turn["content"][:_PREVIEW] + "..."
        return turns

    async def find_turns_by_content(
        self, search_term: str, branch_id: str | None = None
    ) -> list[dict[str, Any]]:
        """Find a branch's turns whose user's message contains a text; A to Z match a to z."""
        wanted = ascii_lower(search_term)
        turns = await self._turns(branch_id)
        return [turn for turn in turns if wanted in ascii_lower(_text(turn["full_content"]))]

    async def _turns(self, branch_id: str | None) -> list[dict[str, Any]]:
        turns = []
        for number, data, created in await self._query(self._tables.user_messages, branch_id):
            try:
                content = read_json(data).get("content")
            except ValueError:  # `get_items` reports it
                continue
            preview = content if isinstance(content, str) else json.dumps(content)
            turns.append(
                {
                    "turn": number,
                    "content": preview,
                    "full_content": content,
                    "timestamp": created,
                    "can_branch": True,
                }
            )
        return turns

    async def get_conversation_by_turns(
        self, branch_id: str | None = None
    ) -> dict[int, list[dict[str, str | None]]]:
        """Give the type and tool of each item of a branch, by turn."""

        def read(
            connection: sqlite3.Connection, branch: str
        ) -> dict[int, list[dict[str, str | None]]]:
            turns: dict[int, list[dict[str, str | None]]] = {}
            for turn, kind, tool in connection.execute(
                f"SELECT user_turn_number, message_type, tool_name FROM {STRUCTURE} "
                "WHERE session_id = ? AND branch_id = ? ORDER BY sequence_number",
                (self._tables.session, branch),
            ):
                turns.setdefault(turn, []).append({"type": kind, "tool_name": tool})
            return turns

        return await self._query(read, branch_id)

    async def get_tool_usage(self, branch_id: str | None = None) -> list[tuple[str, int, int]]:
        """Count a branch's calls: tool, how often, and in which turn."""

        def read(connection: sqlite3.Connection, branch: str) -> list[tuple[str, int, int]]:
            # A search for tools is one use, with or without the output that belongs to it.
            return connection.execute(
                "SELECT COALESCE(tool_name, message_type) AS name, MAX("
                "SUM(message_type <> 'tool_search_output'), "
                "SUM(message_type = 'tool_search_output')), user_turn_number "
                f"FROM {STRUCTURE} WHERE session_id = ? AND branch_id = ? "
                "AND (substr(message_type, -5) = '_call' OR message_type = 'tool_search_output') "
                "GROUP BY user_turn_number, name ORDER BY user_turn_number, name",
                (self._tables.session, branch),
            ).fetchall()

        return await self._query(read, branch_id)

    async def store_run_usage(self, result: _Result) -> None:
        """Keep the tokens of a run as those of the current branch's last turn.

        A later call replaces them. An error is logged, so that it does not end a program that
        already has its answer.
        """
        usage = result.context_wrapper.usage
        if usage is None:
            return
        counts = [getattr(usage, name) for name in _COUNTS]
        details = [
            None if value is None else value.model_dump_json()
            for value in (getattr(usage, name) for name in _DETAILS)
        ]

        def store(connection: sqlite3.Connection, branch: str) -> None:
            turn = self._tables.last_turn(connection, branch)
            if turn:
                connection.execute(
                    "INSERT OR REPLACE INTO turn_usage (session_id, branch_id, user_turn_number, "
                    f"{', '.join(_COUNTS + _DETAILS)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (self._tables.session, branch, turn, *counts, *details),
                )

        try:
            await self._change(store)
        except Exception as error:
            self._logger.error("The usage of a run could not be stored: %s", error, exc_info=error)

    async def get_session_usage(self, branch_id: str | None = None) -> dict[str, int] | None:
        """Sum the stored usage of all branches, or of one; None if none was stored."""
        where, values = "session_id = ?", [self._tables.session]
        if branch_id is not None:
            where, values = f"{where} AND branch_id = ?", [*values, branch_id]
        names = [f"SUM({name})" for name in _COUNTS]

        def read(connection: sqlite3.Connection, branch: str) -> dict[str, int] | None:
            row = connection.execute(
                f"SELECT {', '.join(names)}, COUNT(*) FROM turn_usage WHERE {where}", values
            ).fetchone()
            return dict(zip((*_COUNTS, "total_turns"), row, strict=True)) if row[-1] else None

        return await self._query(read)

    async def get_turn_usage(
        self, user_turn_number: int | None = None, branch_id: str | None = None
    ) -> list[dict[str, Any]] | dict[str, Any]:
        """Give the usage stored for a turn of a branch ({} for none), or for each turn."""

        def read(connection: sqlite3.Connection, branch: str) -> list[dict[str, Any]]:
            names = ("user_turn_number", *_COUNTS, *_DETAILS)
            rows = connection.execute(
                f"SELECT {', '.join(names)} FROM turn_usage WHERE session_id = ? "
                "AND branch_id = ? ORDER BY user_turn_number",
                (self._tables.session, branch),
            ).fetchall()
            turns = [dict(zip(names, row, strict=True)) for row in rows]
            for turn in turns:
                turn |= {name: json.loads(turn[name]) for name in _DETAILS if turn[name]}
            return turns

        turns = await self._query(read, branch_id)
        if user_turn_number is None:
            return turns
        matches = [turn for turn in turns if turn.pop("user_turn_number") == user_turn_number]
        return matches[0] if matches else {}


def _check_branch_name(name: str) -> None:
    if not name.strip():
        raise ValueError("Branch name cannot be empty.")
    if not isinstance(stored_id(name), str):
        raise ValueError(f"{name!r} cannot be a branch's name: it is no valid text.")
