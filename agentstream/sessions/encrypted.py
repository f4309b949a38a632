"""A session that is kept encrypted, in any other session."""

from __future__ import annotations

import base64
import json
import logging
from typing import TYPE_CHECKING, Any

from .._extras import install_command
from ..errors import UserError
from ..json_text import read_json
from .base import Session, SessionABC, SessionSettings, everything_in

try:
    from cryptography.fernet import Fernet, InvalidToken
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
except ImportError:
    Fernet = None

if TYPE_CHECKING:
    from ..items import TResponseInputItem

_INFO = b"agents.session-store.hkdf.v1"

_log = logging.getLogger("agentstream.sessions")


class EncryptedSession(SessionABC):
    """A session whose items are encrypted before another session keeps them.

    Each item is encrypted with Fernet, under a key that is derived from yours and the session's id;
    the form is that of the OpenAI Agents SDK, so that either library reads the other's. Items that
    have expired are left out; so are those that this key does not open, with a warning.

    Parameters
    ----------
    session_id : str
        Name of the conversation; the same one is needed to read it.
    underlying_session : Session
        Where the encrypted items are kept.
    encryption_key : str
        A random key, such as `Fernet.generate_key()`; not a password.
    ttl : int
        How many seconds an item can be read.
    max_scan_items : int or None
        How many of the latest stored items are looked at; None looks at all.

    Raises
    ------
    ImportError
        The package cryptography is not installed.
    ValueError
        The key is empty, `max_scan_items` is not positive, or the underlying session compacts:
        it would send encrypted items. Encrypt beneath: give the compaction session this one.

    Examples
    --------
    >>> import asyncio
    >>> from agentstream import SQLiteSession
    >>> kept = SQLiteSession("ada")
    >>> session = EncryptedSession("ada", kept, Fernet.generate_key().decode())
    >>> asyncio.run(session.add_items([{"role": "user", "content": "Hello"}]))
    >>> asyncio.run(session.get_items())
    [{'role': 'user', 'content': 'Hello'}]
    >>> "Hello" in str(asyncio.run(kept.get_items()))
    False
    """

    def __init__(
        self,
        session_id: str,
        underlying_session: Session,
        encryption_key: str,
        ttl: int = 600,
        max_scan_items: int | None = None,
    ) -> None:
        if Fernet is None:
            raise ImportError(
                "EncryptedSession needs the package `cryptography`. "
                f"Install it with `{install_command('encrypt')}`."
            )
        if not encryption_key:
            raise ValueError("encryption_key is empty. Give one of Fernet.generate_key().")
        if max_scan_items is not None and max_scan_items <= 0:
            raise ValueError(f"max_scan_items must be positive, got {max_scan_items}")
        if callable(getattr(underlying_session, "run_compaction", None)):
            raise ValueError(
                "EncryptedSession cannot wrap a session that compacts: it would send encrypted "
                "items. Give the compaction session an EncryptedSession as underlying_session."
            )
        self.session_id = session_id
        self.underlying_session = underlying_session
        self.ttl = ttl
        self.max_scan_items = max_scan_items
        derived = HKDF(SHA256(), 32, salt=session_id.encode(), info=_INFO)
        self._cipher = Fernet(base64.urlsafe_b64encode(derived.derive(_secret(encryption_key))))

    @property
    def session_settings(self) -> SessionSettings | None:  # type: ignore[override]
        """The settings of the underlying session."""
        return getattr(self.underlying_session, "session_settings", None)

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Read the items in order; with `limit` (or the settings' limit) the latest of them."""
        wanted = self._limit(limit)
        if self.max_scan_items is None:
            stored = await everything_in(self.underlying_session)
        else:
            stored = await self.underlying_session.get_items(limit=self.max_scan_items)
        opened = [self._open(envelope) for envelope in stored]
        if closed := sum(state == "closed" for state, _ in opened):
            _log.warning(
                "%d items of session %r cannot be decrypted with this key and session id; they are "
                "left out and left as they are.",
                closed,
                self.session_id,
            )
        items = [item for state, item in opened if state == "open"]
        return items if wanted is None else items[max(len(items) - wanted, 0) :]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append `items`, in order."""
        await self.underlying_session.add_items([self._close(item) for item in items])

    async def pop_item(self) -> TResponseInputItem | None:
        """Remove and return the latest item, and those after it that have expired.

        Raises
        ------
        UserError
            The latest item cannot be decrypted. It is left as it is.
        """
        while latest := await self.underlying_session.get_items(limit=1):
            if self._open(latest[-1])[0] == "closed":
                raise UserError(
                    f"The latest item of session {self.session_id!r} cannot be decrypted with this "
                    "key and session id. It is left as it is: use the key that it was stored with."
                )
            stored = await self.underlying_session.pop_item()
            state, item = ("gone", None) if stored is None else self._open(stored)
            if state == "open":
                return item
        return None

    async def clear_session(self) -> None:
        """Remove all items."""
        await self.underlying_session.clear_session()

    def _close(self, item: Any) -> Any:
        token = self._cipher.encrypt(json.dumps(item).encode()).decode()
        return {"__enc__": 1, "v": 1, "kid": "hkdf-v1", "payload": token}

    def _open(self, envelope: Any) -> tuple[str, Any]:
        """``"open"`` with the item, ``"expired"``, or ``"closed"``."""
        payload = envelope.get("payload") if isinstance(envelope, dict) else None
        if not isinstance(payload, str) or envelope.get("__enc__") != 1:
            return "closed", None
        for ttl, state in ((self.ttl, "open"), (None, "expired")):
            try:
                item = read_json(self._cipher.decrypt(payload.encode(), ttl=ttl))
            except (InvalidToken, ValueError):
                continue
            return state, item if state == "open" else None
        return "closed", None


def _secret(key: str) -> bytes:
    """The bytes of a key of Fernet's; of any other text, the text's."""
    try:
        decoded = base64.urlsafe_b64decode(key)
    except ValueError:
        return key.encode()
    return decoded if len(decoded) == 32 else key.encode()
