"""A session in Redis, where several programs and machines may use it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Self

from .._extras import install_command
from .._utils.json import read_json
from .._utils.keywords import letting_go
from .._utils.redaction import remember_url
from .base import SessionABC, SessionSettings, encoded_items, settings_from

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from ..items import TResponseInputItem


class RedisSession(SessionABC):
    """A session whose items are a list in Redis.

    The keys are those of the OpenAI Agents SDK: ``{key_prefix}:{session_id}`` tells when it was
    made, ``{key_prefix}:{session_id}:messages`` holds the items as JSON.

    Parameters
    ----------
    session_id : str
        Name of the conversation.
    redis_client : redis.asyncio.Redis
        Your connection; it stays yours, and open.
    key_prefix : str
        What the keys begin with.
    ttl : int or None
        Seconds after the last change when Redis forgets the session; None: never.
    session_settings : SessionSettings, dict or None
        ``limit``: how many of the latest items a run reads.

    Examples
    --------
    ::

        session = RedisSession.from_url("ada", url="redis://localhost:6379/0", ttl=86_400)
    """

    def __init__(
        self,
        session_id: str,
        *,
        redis_client: Redis,
        key_prefix: str = "agents:session",
        ttl: int | None = None,
        session_settings: SessionSettings | dict[str, Any] | None = None,
    ) -> None:
        self.session_id = session_id
        self.session_settings: SessionSettings | None = settings_from(session_settings)
        self._redis: Any = redis_client
        self._is_own = self._is_closed = False
        self._ttl = ttl
        self._key = f"{key_prefix}:{session_id}"
        self._messages = f"{self._key}:messages"
        self._counter = f"{self._key}:counter"  # written by the SDK; it goes with the others

    @classmethod
    @letting_go
    def from_url(
        cls,
        session_id: str,
        *,
        url: str,
        redis_kwargs: dict[str, Any] | None = None,
        session_settings: SessionSettings | dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Make a session with a connection of its own to `url`, with `redis_kwargs`.

        The other parameters are those of the class. `close` closes the connection.

        Raises
        ------
        ImportError
            The package redis is not installed.
        """
        try:
            from redis.asyncio import Redis
        except ImportError as error:
            raise ImportError(
                f"RedisSession needs the package `redis`. Install it with "
                f"`{install_command('redis')}`."
            ) from error
        remember_url(url)
        client = Redis.from_url(url, **redis_kwargs or {})
        session = cls(session_id, redis_client=client, session_settings=session_settings, **kwargs)
        session._is_own = True
        return session

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Read the items in order; with `limit` (or the settings' limit) the latest of them.

        What is no JSON object is left out.
        """
        self._check_open()
        wanted = self._limit(limit)
        if wanted is not None and wanted <= 0:
            return []
        first = 0 if wanted is None else -wanted
        return [
            i for row in await self._redis.lrange(self._messages, first, -1) if (i := _item(row))
        ]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append `items`, in order: all of them or, on an error, none."""
        self._check_open()
        await self._put(encoded_items(items), replace=False)

    async def replace_items(self, items: list[TResponseInputItem]) -> None:
        """Put `items` in the place of all items of this session; on an error nothing changes."""
        self._check_open()
        await self._put(encoded_items(items), replace=True)

    async def _put(self, data: list[str], *, replace: bool) -> None:
        if not data and not replace:
            return
        if self._ttl is not None and not abs(self._ttl) <= _LONGEST_TTL:
            # Redis would say so when the items are written already.
            raise ValueError(f"ttl={self._ttl} is outside Redis's supported expiration range.")
        now = str(int(time.time()))
        pipe = self._redis.pipeline(transaction=True)
        if replace:
            pipe.delete(self._messages)
        pipe.hset(self._key, mapping={"session_id": self.session_id, "updated_at": now})
        pipe.hsetnx(self._key, "created_at", now)
        if data:
            pipe.rpush(self._messages, *data)
        if self._ttl is not None:
            for key in (self._key, self._messages, self._counter):
                pipe.expire(key, self._ttl)
        await pipe.execute()

    async def pop_item(self) -> TResponseInputItem | None:
        """Remove and return the latest item; None when there is none."""
        self._check_open()
        while (row := await self._redis.rpop(self._messages)) is not None:
            if item := _item(row):
                return item
        return None

    async def clear_session(self) -> None:
        """Remove all items of this session; others in the database stay."""
        self._check_open()
        await self._redis.delete(self._key, self._messages, self._counter)

    async def ping(self) -> bool:
        """Whether Redis answers."""
        try:
            return bool(await self._redis.ping())
        except Exception:  # noqa: BLE001 - whatever the connection's error is
            return False

    async def close(self) -> None:
        """Close the connection, where it was made by `from_url`; a second call does nothing."""
        if self._is_own and not self._is_closed:
            self._is_closed = True
            await self._redis.aclose()

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError("RedisSession is closed. Make a new one to go on.")


_LONGEST_TTL: Final = (2**63 - 1) // 1000
"""Redis keeps the end of a key's life in milliseconds, as 64 bits."""


def _item(row: bytes | str) -> Any:
    """The item in a row; None where it holds no JSON object."""
    try:
        item = read_json(row)
    except ValueError:
        return None
    return item if isinstance(item, dict) else None
