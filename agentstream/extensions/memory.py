"""The SDK's names for sessions that are imported when they are used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from .._utils.keywords import suggest

if TYPE_CHECKING:
    from ..sessions.advanced import AdvancedSQLiteSession
    from ..sessions.async_sqlite import AsyncSQLiteSession
    from ..sessions.encrypted import EncryptedSession
    from ..sessions.redis import RedisSession
    from ..sessions.sql import SQLAlchemySession

_LAZY_IMPORTS: Final = {
    "AdvancedSQLiteSession": "advanced",
    "AsyncSQLiteSession": "async_sqlite",
    "EncryptedSession": "encrypted",
    "RedisSession": "redis",
    "SQLAlchemySession": "sql",
}
_LEFT_OUT: Final = frozenset(
    "DAPR_CONSISTENCY_EVENTUAL DAPR_CONSISTENCY_STRONG DaprSession MongoDBSession".split()
)

__all__ = [
    "AdvancedSQLiteSession",
    "AsyncSQLiteSession",
    "EncryptedSession",
    "RedisSession",
    "SQLAlchemySession",
]


def __getattr__(name: str) -> Any:
    """A session, imported now.

    Raises
    ------
    AttributeError
        There is no such name.
    ImportError
        The session is left to the SDK.
    """
    if name in _LAZY_IMPORTS:
        return getattr(
            importlib.import_module(f"..sessions.{_LAZY_IMPORTS[name]}", __package__), name
        )
    if name in _LEFT_OUT:
        raise ImportError(
            f"agentstream has no {name!r}: it is left to the OpenAI Agents SDK. Any object with "
            "the four methods of `agentstream.Session` can keep a run's items; SQLiteSession and "
            "SQLAlchemySession are here."
        )
    hint = "" if name.startswith("_") else suggest(name, __all__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}.{hint}")
