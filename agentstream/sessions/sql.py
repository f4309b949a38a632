"""A session in any database that SQLAlchemy reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from .._extras import install_command
from .._utils.json import read_json
from .._utils.keywords import letting_go
from .._utils.redaction import remember_url
from .base import SessionABC, SessionSettings, encoded_items, settings_from
from .loop_lock import LoopLock

try:
    import sqlalchemy as sa
    from sqlalchemy.exc import DBAPIError, IntegrityError
    from sqlalchemy.ext.asyncio import create_async_engine
except ImportError:
    sa = None

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from ..items import TResponseInputItem


class SQLAlchemySession(SessionABC):
    """A session in a database that SQLAlchemy reaches with an async driver.

    The tables are those of `SQLiteSession` and of the OpenAI Agents SDK.

    Parameters
    ----------
    session_id : str
        Name of the conversation; one database holds any number of them.
    engine : sqlalchemy.ext.asyncio.AsyncEngine
        Reaches the database; yours to dispose of.
    create_tables : bool
        Whether to make the tables, where they are missing, before they are first used.
    sessions_table, messages_table : str
        Names of the two tables.
    session_settings : SessionSettings, dict or None
        ``limit``: how many of the latest items a run reads.
    ensure_ascii : bool
        Whether other letters are written as escapes.

    Raises
    ------
    ImportError
        SQLAlchemy is not installed.

    Examples
    --------
    ::

        session = SQLAlchemySession.from_url(
            "ada", url="postgresql+asyncpg://user:password@host/db", create_tables=True
        )
        await Runner.run(agent, "Hello", session=session)
        await session.engine.dispose()
    """

    def __init__(
        self,
        session_id: str,
        *,
        engine: Any,
        create_tables: bool = False,
        sessions_table: str = "agent_sessions",
        messages_table: str = "agent_messages",
        session_settings: SessionSettings | dict[str, Any] | None = None,
        ensure_ascii: bool = True,
    ) -> None:
        _require_sqlalchemy()
        self.session_id = session_id
        self.session_settings: SessionSettings | None = settings_from(session_settings)
        self._engine = engine
        self._create_tables, self._ensure_ascii = create_tables, ensure_ascii
        self._made = LoopLock()
        self._metadata: Any = sa.MetaData()
        now = {"server_default": sa.func.current_timestamp(), "nullable": False}
        self._sessions: Any = sa.Table(
            sessions_table,
            self._metadata,
            sa.Column("session_id", sa.String(255), primary_key=True),
            sa.Column("created_at", sa.TIMESTAMP, **now),
            sa.Column("updated_at", sa.TIMESTAMP, **now),
        )
        self._messages: Any = sa.Table(
            messages_table,
            self._metadata,
            sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
            sa.Column(
                "session_id",
                sa.ForeignKey(f"{sessions_table}.session_id", ondelete="CASCADE"),
                nullable=False,
            ),
            sa.Column("message_data", sa.Text, nullable=False),
            sa.Column("created_at", sa.TIMESTAMP, **now),
            sa.Index(f"idx_{messages_table}_session_id", "session_id", "id"),
        )

    @classmethod
    @letting_go
    def from_url(
        cls,
        session_id: str,
        *,
        url: str,
        engine_kwargs: dict[str, Any] | None = None,
        session_settings: SessionSettings | dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Make a session with an engine of its own, for `url` and with `engine_kwargs`.

        The other parameters are those of the class.

        Raises
        ------
        ImportError
            SQLAlchemy is not installed.
        """
        _require_sqlalchemy()
        remember_url(url)
        engine = create_async_engine(url, **engine_kwargs or {})
        return cls(session_id, engine=engine, session_settings=session_settings, **kwargs)

    @property
    def engine(self) -> AsyncEngine:
        """The engine of the database."""
        return self._engine

    async def _ready(self) -> None:
        if self._create_tables:
            async with self._made.here():
                if self._create_tables:
                    try:
                        await self._make_tables()
                    except DBAPIError:
                        await self._make_tables()  # another session was making them, too
                    self._create_tables = False

    async def _make_tables(self) -> None:
        async with self.engine.begin() as connection:
            await connection.run_sync(self._metadata.create_all)

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Read the items in order; with `limit` (or the settings' limit) the latest of them."""
        await self._ready()
        table = self._messages
        query = sa.select(table.c.message_data).where(table.c.session_id == self.session_id)
        query = query.order_by(table.c.id.desc()).limit(self._limit(limit))
        async with self.engine.connect() as connection:
            rows = (await connection.execute(query)).scalars().all()
        return [item for row in reversed(rows) if (item := _item(row)) is not None]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append `items`, in order: all of them or, on an error, none."""
        data = encoded_items(items, ensure_ascii=self._ensure_ascii)
        if data:
            await self._ready()
            async with self.engine.begin() as connection:
                await self._insert(connection, data)

    async def replace_items(self, items: list[TResponseInputItem]) -> None:
        """Put `items` in the place of all items of this session; on an error nothing changes."""
        data = encoded_items(items, ensure_ascii=self._ensure_ascii)
        await self._ready()
        async with self.engine.begin() as connection:
            await self._delete(connection)
            if data:
                await self._insert(connection, data)

    async def _insert(self, connection: Any, data: list[str]) -> None:
        sessions, mine = self._sessions, {"session_id": self.session_id}
        updated = await connection.execute(
            sa.update(sessions)
            .where(sessions.c.session_id == self.session_id)
            .values(updated_at=sa.func.current_timestamp())
        )
        if not updated.rowcount:
            try:
                async with connection.begin_nested():
                    await connection.execute(sa.insert(sessions), mine)
            except IntegrityError:
                pass  # another program has made it meanwhile
        rows = [{**mine, "message_data": row} for row in data]
        await connection.execute(sa.insert(self._messages), rows)

    async def _delete(self, connection: Any) -> None:
        for table in (self._messages, self._sessions):
            await connection.execute(sa.delete(table).where(table.c.session_id == self.session_id))

    async def pop_item(self) -> TResponseInputItem | None:
        """Remove and return the latest item; None when there is none."""
        await self._ready()
        table = self._messages
        latest = sa.select(table.c.id, table.c.message_data).order_by(table.c.id.desc())
        latest = latest.where(table.c.session_id == self.session_id)
        async with self.engine.begin() as connection:
            for row_id, data in await connection.execute(latest):
                item = _item(data)
                if item is None:
                    continue
                gone = await connection.execute(sa.delete(table).where(table.c.id == row_id))
                if gone.rowcount:  # else another program was faster
                    return item
        return None

    async def clear_session(self) -> None:
        """Remove all items of this session; others in the database stay."""
        await self._ready()
        async with self.engine.begin() as connection:
            await self._delete(connection)


def _require_sqlalchemy() -> None:
    if sa is None:
        raise ImportError(
            "SQLAlchemySession needs the package `sqlalchemy`, and a driver such as asyncpg. "
            f"Install it with `{install_command('sqlalchemy')}`."
        )


def _item(row: str) -> Any:
    """The item in a row; None where it holds no JSON object."""
    try:
        item = read_json(row)
    except ValueError:
        return None
    return item if isinstance(item, dict) else None
