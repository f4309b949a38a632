"""Sessions: a conversation that is kept between runs.

======================  ==========================================================
base.py                 what a session is: `Session`, `SessionABC`, `SessionSettings`
sqlite.py               `SQLiteSession`: in memory, or a file several kernels share
database.py             its file, connection and thread; its errors
conversations.py        `OpenAIConversationsSession`: kept by OpenAI's Conversations API
compaction.py           `OpenAIResponsesCompactionSession`: any of these, shortened by OpenAI
encrypted.py            `EncryptedSession`: any of these, encrypted; needs cryptography
advanced.py             `AdvancedSQLiteSession`: the first, with branches and usage per turn
branches.py             its SQL
async_sqlite.py         `AsyncSQLiteSession`: the SDK's name for the first, with an awaited close
redis.py                `RedisSession`: in Redis; needs redis
sql.py                  `SQLAlchemySession`: in any database; needs sqlalchemy
loop_lock.py            one call at a time, in whichever event loop
======================  ==========================================================
"""

from __future__ import annotations

from .base import Session, SessionABC, SessionSettings
from .compaction import (
    OpenAIResponsesCompactionArgs,
    OpenAIResponsesCompactionAwareSession,
    OpenAIResponsesCompactionSession,
    is_openai_responses_compaction_aware_session,
)
from .conversations import OpenAIConversationsSession
from .database import SessionLockedError, SessionStorageError
from .sqlite import SQLiteSession

__all__ = [
    "OpenAIConversationsSession",
    "OpenAIResponsesCompactionArgs",
    "OpenAIResponsesCompactionAwareSession",
    "OpenAIResponsesCompactionSession",
    "SQLiteSession",
    "Session",
    "SessionABC",
    "SessionLockedError",
    "SessionSettings",
    "SessionStorageError",
    "is_openai_responses_compaction_aware_session",
]
