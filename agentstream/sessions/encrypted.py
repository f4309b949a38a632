"""A session that is kept encrypted, in any other session."""

from __future__ import annotations

import base64
import copy
import json
import logging
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from .._extras import install_command
from .._utils.json import read_json
from .._utils.keywords import HISTORY_METHODS, letting_go, with_wrapper
from ..exceptions import UserError
from .base import Session, SessionABC, SessionSettings, everything_in, settings_of_underlying

try:
    from cryptography.fernet import Fernet, InvalidToken
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
except ImportError:
    Fernet = None

if TYPE_CHECKING:
    from ..items import TResponseInputItem
    from ..run_context import RunContextWrapper


class EncryptedEnvelope(TypedDict):
    """An encrypted item as the underlying session keeps it."""

    __enc__: Literal[1]
    v: int
    kid: str
    payload: str


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
        How many of the latest stored items are looked at; None looks at all. Where that many do not
        hold what is asked for, and there are more, reading raises a `RuntimeError`.

    Raises
    ------
    ImportError
        The package cryptography is not installed.
    ValueError
        The key is empty, or `max_scan_items` is not positive.

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

    session_settings: SessionSettings | None = settings_of_underlying()

    @letting_go
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
        self.session_id = session_id
        self.underlying_session = underlying_session
        self.ttl = ttl
        self.max_scan_items = max_scan_items
        derived = HKDF(SHA256(), 32, salt=session_id.encode(), info=_INFO)
        self.cipher = Fernet(base64.urlsafe_b64encode(derived.derive(_secret(encryption_key))))
        if callable(getattr(underlying_session, "run_compaction", None)):
            # It compacts what it can read: it answers, and what lies beneath it is encrypted.
            inner: Any = copy.copy(underlying_session)
            inner.underlying_session = EncryptedSession(
                session_id, inner.underlying_session, encryption_key, ttl, max_scan_items
            )
            for name in (*HISTORY_METHODS, "run_compaction", "remember_response"):
                setattr(self, name, getattr(inner, name))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("underlying_session", "run_compaction"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.underlying_session, name)

    async def get_items(
        self, limit: int | None = None, *, wrapper: RunContextWrapper[Any] | None = None
    ) -> list[TResponseInputItem]:
        """Read the items in order; with `limit` (or the settings' limit) the latest of them.

        A run gives the underlying session its context as `wrapper`, if that takes one.

        Raises
        ------
        RuntimeError
            The latest `max_scan_items` do not hold as many, and there are more.
        ValueError
            `limit` is negative, and there is a `max_scan_items`.
        """
        wanted = self._limit(limit)
        named = with_wrapper(self.underlying_session, wrapper)
        if self.max_scan_items is not None:
            return await self._scan(self.max_scan_items, wanted, named)
        items = self._opened(await everything_in(self.underlying_session, **named))
        return items if wanted is None or wanted < 0 else items[max(len(items) - wanted, 0) :]

    async def _scan(self, most: int, wanted: int | None, named: dict[str, Any]) -> list[Any]:
        """The latest items, from as few stored ones as will do."""
        if wanted is not None and wanted < 0:
            raise ValueError(f"limit must be non-negative with max_scan_items, got {wanted}")
        underlying: Any = self.underlying_session
        size = most if wanted is None else min(wanted, most)
        while True:
            stored = await underlying.get_items(size, **named)
            items = self._opened(stored)
            if wanted is not None and len(items) >= wanted:
                return items[len(items) - wanted :]
            if len(stored) < size:
                return items
            if size >= most:
                raise RuntimeError(
                    f"max_scan_items exhausted: the latest {most} stored items of session "
                    f"{self.session_id!r} hold {len(items)} that can be read, and there may be "
                    "more. Raise max_scan_items, or ask for fewer with limit."
                )
            size = min(2 * size, most)

    def _opened(self, stored: list[Any]) -> list[Any]:
        opened = [self._open(envelope) for envelope in stored]
        if closed := sum(state == "closed" for state, _ in opened):
            _log.warning(
                "%d items of session %r cannot be decrypted with this key and session id; they are "
                "left out and left as they are.",
                closed,
                self.session_id,
            )
        return [item for state, item in opened if state == "open"]

    async def add_items(
        self, items: list[TResponseInputItem], *, wrapper: RunContextWrapper[Any] | None = None
    ) -> None:
        """Append `items`, in order; `wrapper` as in `get_items`."""
        underlying: Any = self.underlying_session
        envelopes = [self._close(item) for item in items]
        await underlying.add_items(envelopes, **with_wrapper(underlying, wrapper))

    async def pop_item(
        self, *, wrapper: RunContextWrapper[Any] | None = None
    ) -> TResponseInputItem | None:
        """Remove and return the latest item, and those after it that have expired.

        `wrapper` is as in `get_items`.

        Raises
        ------
        UserError
            The latest item cannot be decrypted. It is left as it is.
        """
        underlying: Any = self.underlying_session
        named = with_wrapper(underlying, wrapper)
        while latest := await underlying.get_items(limit=1, **named):
            if self._open(latest[-1])[0] == "closed":
                raise UserError(
                    f"The latest item of session {self.session_id!r} cannot be decrypted with this "
                    "key and session id. It is left as it is: use the key that it was stored with."
                )
            stored = await underlying.pop_item(**named)
            state, item = ("gone", None) if stored is None else self._open(stored)
            if state == "open":
                return item
        return None

    async def clear_session(self, *, wrapper: RunContextWrapper[Any] | None = None) -> None:
        """Remove all items; `wrapper` as in `get_items`."""
        underlying: Any = self.underlying_session
        await underlying.clear_session(**with_wrapper(underlying, wrapper))

    def _close(self, item: Any) -> Any:
        plain = json.dumps(item, separators=(",", ":"))
        token = self.cipher.encrypt(plain.encode()).decode()
        return {"__enc__": 1, "v": 1, "kid": "hkdf-v1", "payload": token}

    def _open(self, envelope: Any) -> tuple[str, Any]:
        """``"open"`` with the item, ``"expired"``, or ``"closed"``."""
        payload = envelope.get("payload") if isinstance(envelope, dict) else None
        if not isinstance(payload, str) or envelope.get("__enc__") != 1:
            return "closed", None
        for ttl, state in ((self.ttl, "open"), (None, "expired")):
            try:
                item = read_json(self.cipher.decrypt(payload.encode(), ttl=ttl))
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
