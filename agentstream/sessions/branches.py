"""The SQL of `AdvancedSQLiteSession`: branches, turns and usage beside the items.

The tables are those of the OpenAI Agents SDK's session of that name:

=========================  =========================================================
message_structure          one row for each item of each branch: its type, its turn
                           and its place; branches share the items themselves
turn_usage                 the tokens of a turn of a branch
branch_reservations        each branch id that was ever used, also of deleted branches
session_clear_generations  how often a session was cleared, so that another object
                           learns that its branch is gone
=========================  =========================================================
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Generator
from contextlib import closing
from typing import Any, Final

from .._utils.json import read_json
from .database import Tables, stored_id, transaction

MAIN: Final = "main"

STRUCTURE: Final = "message_structure"

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS message_structure (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    message_id INTEGER NOT NULL,
    branch_id TEXT NOT NULL DEFAULT 'main',
    message_type TEXT NOT NULL,
    sequence_number INTEGER NOT NULL,
    user_turn_number INTEGER,
    branch_turn_number INTEGER,
    tool_name TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (session_id) REFERENCES {sessions}(session_id) ON DELETE CASCADE,
    FOREIGN KEY (message_id) REFERENCES {messages}(id) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS turn_usage (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    branch_id TEXT NOT NULL DEFAULT 'main',
    user_turn_number INTEGER NOT NULL,
    requests INTEGER DEFAULT 0,
    input_tokens INTEGER DEFAULT 0,
    output_tokens INTEGER DEFAULT 0,
    total_tokens INTEGER DEFAULT 0,
    input_tokens_details JSON,
    output_tokens_details JSON,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (session_id) REFERENCES {sessions}(session_id) ON DELETE CASCADE,
    UNIQUE(session_id, branch_id, user_turn_number));
CREATE INDEX IF NOT EXISTS idx_structure_session_seq
    ON message_structure(session_id, sequence_number);
CREATE INDEX IF NOT EXISTS idx_structure_branch ON message_structure(session_id, branch_id);
CREATE INDEX IF NOT EXISTS idx_structure_turn
    ON message_structure(session_id, branch_id, user_turn_number);
CREATE INDEX IF NOT EXISTS idx_structure_branch_seq
    ON message_structure(session_id, branch_id, sequence_number);
CREATE INDEX IF NOT EXISTS idx_turn_usage_session_turn
    ON turn_usage(session_id, branch_id, user_turn_number)
"""
_LATER_TABLES: Final = """
CREATE TABLE IF NOT EXISTS branch_reservations (
    session_id TEXT NOT NULL,
    branch_id TEXT NOT NULL,
    PRIMARY KEY (session_id, branch_id));
CREATE TABLE IF NOT EXISTS session_clear_generations (
    session_id TEXT PRIMARY KEY,
    generation INTEGER NOT NULL DEFAULT 0);
INSERT OR IGNORE INTO branch_reservations
    SELECT DISTINCT session_id, branch_id FROM message_structure
"""
"""Tables that files of earlier versions lack: made by the first write."""

_WHERE: Final = "session_id = ? AND branch_id = ?"


def _execute_all(connection: sqlite3.Connection, script: str) -> None:
    # Not `executescript`, which would commit the transaction that this is a part of.
    for statement in script.split(";"):
        connection.execute(statement)


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    rows = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ? COLLATE NOCASE", (name,))
    return rows.fetchone() is not None


def ascii_lower(text: str) -> str:
    """Lower A to Z only, as SQLite compares names.

    Examples
    --------
    >>> ascii_lower("CAFÉ")
    'cafÉ'
    """
    return re.sub("[A-Z]+", lambda match: match[0].lower(), text)


def message_type(item: dict[str, Any]) -> str:
    """Return what an item is called in the table: its role, or its type.

    Examples
    --------
    >>> message_type({"role": "user", "content": "Hi"}), message_type({"type": "reasoning"})
    ('user', 'reasoning')
    """
    role = item.get("role")
    return role if role in ("user", "assistant") else str(item.get("type") or "other")


def tool_name(item: dict[str, Any]) -> str | None:
    """Return the tool of a call, with its namespace or MCP server; None if it is no call.

    Examples
    --------
    >>> tool_name({"type": "mcp_call", "server_label": "files", "name": "read"})
    'files.read'
    >>> tool_name({"type": "web_search_call"})
    'web_search_call'
    """
    kind, name = item.get("type"), item.get("name")
    if kind in ("tool_search_call", "tool_search_output"):
        return "tool_search"
    if not isinstance(kind, str) or not kind.endswith(("_call", "_approval_request")):
        return None
    group = item.get("server_label" if kind.startswith("mcp_") else "namespace")
    if group and name and group != name:
        return f"{group}.{name}"
    return str(name or group or kind)


class BranchTables(Tables):
    """The SQL of a pair of tables and of those that keep its branches."""

    def __init__(self, sessions: str, messages: str, session_id: str, create: bool) -> None:
        super().__init__(sessions, messages)
        self.session = stored_id(session_id)
        self.create_allowed = create

    def create(self, connection: sqlite3.Connection) -> None:
        """Make the tables if that is allowed, and see that they belong to this pair.

        Raises
        ------
        ValueError
            They are missing, or belong to another pair of tables.
        """
        if self.create_allowed:
            with transaction(connection):
                if _has_table(connection, STRUCTURE):
                    self._check_owner(connection)
                self.create_missing(connection)
                script = _TABLES.format(sessions=self.sessions, messages=self.messages)
                _execute_all(connection, script + ";" + _LATER_TABLES)
                self._check_owner(connection)
        else:
            self._check_owner(connection)
            if not all(_has_table(connection, name) for name in self.names[:2]):
                raise ValueError(
                    f"The configured base tables {self.names[0]!r} and {self.names[1]!r} are "
                    "missing in this file. Pass create_tables=True to make them."
                )

    def _check_owner(self, connection: sqlite3.Connection) -> None:
        sessions, messages = self.names[:2]
        for table, column, target in (
            (STRUCTURE, "session_id", (sessions, "session_id")),
            (STRUCTURE, "message_id", (messages, "id")),
            ("turn_usage", "session_id", (sessions, "session_id")),
        ):
            rows = connection.execute(
                'SELECT "table", "to" FROM pragma_foreign_key_list(?) '
                'WHERE "from" = ? COLLATE NOCASE',
                (table, column),
            ).fetchall()
            if len(rows) != 1:
                raise ValueError(
                    f"The table {table!r} is missing in this file, or its column {column!r} does "
                    "not have exactly one owner foreign key. Pass create_tables=True for a file "
                    "without branches, and another db_path if another program made the table."
                )
            owner, key = rows[0]
            if (ascii_lower(owner), ascii_lower(key or target[1])) != tuple(
                map(ascii_lower, target)
            ):
                raise ValueError(
                    f"The table {table!r} of this file already belongs to the table {owner!r} "
                    f"(column {key!r}), not to {target[0]!r}: a file keeps the branches of one "
                    "pair of tables. Pass its names as sessions_table and messages_table, or "
                    "another db_path."
                )

    def prepare_write(self, connection: sqlite3.Connection) -> None:
        """Make the tables that an earlier version did not have."""
        if not (
            _has_table(connection, "branch_reservations")
            and _has_table(connection, "session_clear_generations")
        ):
            _execute_all(connection, _LATER_TABLES)

    def generation(self, connection: sqlite3.Connection) -> int:
        """How often the session was cleared."""
        if not _has_table(connection, "session_clear_generations"):
            return 0
        row = connection.execute(
            "SELECT generation FROM session_clear_generations WHERE session_id = ?",
            (self.session,),
        ).fetchone()
        return row[0] if row else 0

    def rows(
        self, connection: sqlite3.Connection, session_id: str, branch: str = MAIN
    ) -> Generator[tuple[int, bytes | None]]:
        """Give ids and stored bytes of a branch's items, latest first."""
        query = (
            f"SELECT m.id, CAST(m.message_data AS BLOB) FROM {STRUCTURE} s "
            f"JOIN {self.messages} m ON m.id = s.message_id "
            "WHERE s.session_id = ? AND s.branch_id = ? ORDER BY s.sequence_number DESC"
        )
        with closing(connection.execute(query, (stored_id(session_id), branch))) as cursor:
            yield from cursor

    def exists(self, connection: sqlite3.Connection, branch: str) -> bool:
        """Whether a branch has items."""
        row = connection.execute(
            f"SELECT 1 FROM {STRUCTURE} WHERE {_WHERE} LIMIT 1", (self.session, branch)
        ).fetchone()
        return row is not None

    def last_turn(self, connection: sqlite3.Connection, branch: str) -> int:
        """The number of the branch's last turn; 0 if it has none."""
        (turn,) = connection.execute(
            f"SELECT MAX(user_turn_number) FROM {STRUCTURE} WHERE {_WHERE}", (self.session, branch)
        ).fetchone()
        return turn or 0

    def _last_sequence(self, connection: sqlite3.Connection) -> int:
        (last,) = connection.execute(
            f"SELECT MAX(sequence_number) FROM {STRUCTURE} WHERE session_id = ?", (self.session,)
        ).fetchone()
        return last or 0

    def append(
        self, connection: sqlite3.Connection, session_id: str, data: list[str], branch: str
    ) -> None:
        """Append items to a branch; each message of the user begins a turn."""
        self.reserve(connection, branch)
        turn = self.last_turn(connection, branch)
        sequence = self._last_sequence(connection)
        self.insert(connection, session_id, data)
        ids = connection.execute(
            f"SELECT id FROM {self.messages} WHERE session_id = ? ORDER BY id DESC LIMIT ?",
            (self.session, len(data)),
        ).fetchall()
        rows = []
        for (message,), text in zip(reversed(ids), data, strict=True):
            item = read_json(text)
            kind = message_type(item)
            turn += kind == "user"
            sequence += 1
            rows.append(
                (self.session, message, branch, kind, sequence, turn, turn, tool_name(item))
            )
        connection.executemany(
            f"INSERT INTO {STRUCTURE} (session_id, message_id, branch_id, message_type, "
            "sequence_number, user_turn_number, branch_turn_number, tool_name) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )

    def reserve(self, connection: sqlite3.Connection, branch: str) -> bool:
        """Reserve a branch id for ever; False if it was used before."""
        added = connection.execute(
            "INSERT OR IGNORE INTO branch_reservations VALUES (?, ?)", (self.session, branch)
        )
        return added.rowcount == 1

    def reserve_existing(self, connection: sqlite3.Connection) -> None:
        """Reserve the ids that a version without reservations has given since."""
        connection.execute(
            "INSERT OR IGNORE INTO branch_reservations SELECT DISTINCT session_id, branch_id "
            f"FROM {STRUCTURE} WHERE session_id = ?",
            (self.session,),
        )

    def copy_turns(
        self, connection: sqlite3.Connection, source: str, before: int, target: str
    ) -> None:
        """Let a new branch share the items of `source` before a turn."""
        connection.execute(
            f"INSERT INTO {STRUCTURE} (session_id, message_id, branch_id, message_type, "
            "sequence_number, user_turn_number, branch_turn_number, tool_name) "
            "SELECT session_id, message_id, ?, message_type, "
            "? + ROW_NUMBER() OVER (ORDER BY sequence_number), user_turn_number, "
            f"branch_turn_number, tool_name FROM {STRUCTURE} "
            f"WHERE {_WHERE} AND user_turn_number < ? ORDER BY sequence_number",
            (target, self._last_sequence(connection), self.session, source, before),
        )

    def remove_item(self, connection: sqlite3.Connection, branch: str, message: int) -> None:
        """Take an item off a branch, and its turn's usage with the turn's last item."""
        connection.execute(
            f"DELETE FROM {STRUCTURE} WHERE {_WHERE} AND message_id = ?",
            (self.session, branch, message),
        )
        connection.execute(
            f"DELETE FROM {self.messages} WHERE id = ? AND NOT EXISTS "
            f"(SELECT 1 FROM {STRUCTURE} s WHERE s.message_id = ?)",
            (message, message),
        )
        self.remove_stale_usage(connection, branch)

    def remove_items(self, connection: sqlite3.Connection, branch: str) -> None:
        """Empty a branch; items that other branches share stay."""
        # Only what was this branch's: a plain SQLiteSession's items have no rows of structure.
        connection.execute(
            f"DELETE FROM {self.messages} WHERE id IN "
            f"(SELECT message_id FROM {STRUCTURE} WHERE {_WHERE}) AND id NOT IN "
            f"(SELECT message_id FROM {STRUCTURE} WHERE session_id = ? AND branch_id <> ?)",
            (self.session, branch) * 2,
        )
        connection.execute(f"DELETE FROM {STRUCTURE} WHERE {_WHERE}", (self.session, branch))

    def remove_stale_usage(self, connection: sqlite3.Connection, branch: str) -> None:
        """Remove the usage of turns that the branch no longer has."""
        connection.execute(
            f"DELETE FROM turn_usage WHERE {_WHERE} AND user_turn_number NOT IN "
            f"(SELECT user_turn_number FROM {STRUCTURE} WHERE {_WHERE})",
            (self.session, branch) * 2,
        )

    def clear(self, connection: sqlite3.Connection, session_id: str) -> None:
        """Remove the session's items, branches and usage; ids of branches stay reserved."""
        self.reserve_existing(connection)
        for table in (STRUCTURE, "turn_usage"):
            connection.execute(f"DELETE FROM {table} WHERE session_id = ?", (self.session,))
        super().clear(connection, session_id)
        connection.execute(
            "INSERT INTO session_clear_generations VALUES (?, 1) "
            "ON CONFLICT (session_id) DO UPDATE SET generation = generation + 1",
            (self.session,),
        )

    def user_messages(
        self, connection: sqlite3.Connection, branch: str
    ) -> list[tuple[int, bytes, str]]:
        """Turn, stored bytes and time of each message of the user."""
        return connection.execute(
            "SELECT s.user_turn_number, CAST(m.message_data AS BLOB), s.created_at "
            f"FROM {STRUCTURE} s JOIN {self.messages} m ON m.id = s.message_id "
            "WHERE s.session_id = ? AND s.branch_id = ? AND s.message_type = 'user' "
            "ORDER BY s.sequence_number",
            (self.session, branch),
        ).fetchall()
