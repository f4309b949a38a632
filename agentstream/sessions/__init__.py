"""Sessions: a conversation that is kept between runs.

======================  ==========================================================
base.py                 what a session is: `Session`, `SessionABC`, `SessionSettings`
sqlite.py               `SQLiteSession`: in memory, or a file several kernels share
database.py             its file, connection and thread; its errors
conversations.py        `OpenAIConversationsSession`: kept by OpenAI's Conversations API
======================  ==========================================================
"""

from __future__ import annotations

from .base import Session, SessionABC, SessionSettings
from .conversations import OpenAIConversationsSession
from .database import SessionLockedError, SessionStorageError
from .sqlite import SQLiteSession

__all__ = [
    "OpenAIConversationsSession",
    "SQLiteSession",
    "Session",
    "SessionABC",
    "SessionLockedError",
    "SessionSettings",
    "SessionStorageError",
]
