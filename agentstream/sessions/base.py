"""What a session is: four coroutines over an ordered list of items."""

from __future__ import annotations

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from pydantic.dataclasses import dataclass

from .._utils.keywords import suggesting_init
from .._utils.settings_dict import as_settings

if TYPE_CHECKING:
    from ..items import TResponseInputItem


@suggesting_init
@dataclass
class SessionSettings:
    """Settings of a session.

    Attributes
    ----------
    limit : int or None
        How many of the latest items a run reads; None reads them all.

    Examples
    --------
    >>> from agentstream import SQLiteSession
    >>> SQLiteSession("ada", session_settings=SessionSettings(limit=20)).session_settings.limit
    20
    """

    limit: int | None = None

    def resolve(self, override: SessionSettings | dict[str, Any] | None) -> SessionSettings:
        """Overlay these settings with the values of `override` that are not None.

        Raises
        ------
        TypeError
            `override` is a dict with a name that is no setting.

        Examples
        --------
        >>> SessionSettings(limit=3).resolve({"limit": None})
        SessionSettings(limit=3)
        >>> SessionSettings(limit=3).resolve(SessionSettings(limit=5))
        SessionSettings(limit=5)
        """
        if override is None:
            return dataclasses.replace(self)
        overrides = settings_from(override).to_dict()
        changes = {name: value for name, value in overrides.items() if value is not None}
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Give these settings as a plain dict."""
        return dataclasses.asdict(self)


# Larger than any history; some stores take 32 bits.
_ALL: Final = 2**31 - 1


def read_limit(session: Session) -> int | None:
    """How many items a run reads of a session; None for all of them."""
    limit = getattr(getattr(session, "session_settings", None), "limit", None)
    return limit if isinstance(limit, int) else None


async def everything_in(session: Session, **named: Any) -> list[Any]:
    """The items of a session, also beyond the limit that a run reads."""
    limit = None if read_limit(session) is None else _ALL
    return list(await session.get_items(limit=limit, **named))


def settings_from(settings: SessionSettings | Mapping[str, Any] | None) -> SessionSettings:
    """Make settings of an object, a dict or None (the defaults).

    Raises
    ------
    TypeError
        A name in the dict is no setting, or it is neither of the three.

    Examples
    --------
    >>> settings_from({"limit": 2})
    SessionSettings(limit=2)
    """
    if settings is None:
        return SessionSettings()
    made = as_settings(SessionSettings, settings, "session")
    if not hasattr(made, "limit"):
        raise TypeError(
            "session_settings must be SessionSettings, such as SessionSettings(limit=20), or a "
            f"dict of them, got {type(made).__name__}."
        )
    return made


@runtime_checkable
class Session(Protocol):
    """Protocol of a conversation that is stored between runs; any object with these methods works.

    Attributes
    ----------
    session_id : str
        Which conversation it is.
    session_settings : SessionSettings or None
        Its settings.

    Examples
    --------
    >>> class Remembered:
    ...     session_id, session_settings = "ada", None
    ...     def __init__(self): self.items = []
    ...     async def get_items(self, limit=None): return self.items[-(limit or 0) :]
    ...     async def add_items(self, items): self.items += items
    ...     async def pop_item(self): return self.items.pop() if self.items else None
    ...     async def clear_session(self): self.items.clear()
    >>> isinstance(Remembered(), Session)
    True
    """

    session_id: str
    session_settings: SessionSettings | None = None

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Read the items in order; with `limit` the latest `limit` of them."""
        ...

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append `items`, in order."""
        ...

    async def pop_item(self) -> TResponseInputItem | None:
        """Remove and return the latest item; None when there is none."""
        ...

    async def clear_session(self) -> None:
        """Remove all items."""
        ...


def settings_of_underlying() -> Any:
    """A property for sessions that wrap another: its settings, which may be set."""

    def get(session: Any) -> SessionSettings | None:
        return getattr(session.underlying_session, "session_settings", None)

    def set(session: Any, settings: SessionSettings | None) -> None:
        session.underlying_session.session_settings = settings

    return property(get, set, doc="The settings of the underlying session.")


class SessionABC(ABC):
    """Base of the sessions in agentstream; your own only need to match `Session`.

    Examples
    --------
    >>> from agentstream import SQLiteSession
    >>> issubclass(SQLiteSession, SessionABC)
    True
    """

    session_id: str
    session_settings: SessionSettings | None = None

    @abstractmethod
    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Read the items in order; with `limit` the latest `limit` of them."""

    @abstractmethod
    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append `items`, in order."""

    @abstractmethod
    async def pop_item(self) -> TResponseInputItem | None:
        """Remove and return the latest item; None when there is none."""

    @abstractmethod
    async def clear_session(self) -> None:
        """Remove all items."""

    def _limit(self, limit: int | None) -> int | None:
        """Take the limit of a call, else the session's."""
        if limit is None and self.session_settings is not None:
            return self.session_settings.limit
        return limit


def encoded_items(items: Iterable[Any], *, ensure_ascii: bool = True) -> list[str]:
    """Items as the JSON that a store keeps, one text each.

    Raises
    ------
    TypeError
        They are no list of items, or one is not plain JSON.
    """
    if isinstance(items, (str, bytes, dict)):
        raise TypeError(f"add_items takes a list of items, not one {type(items).__name__}.")
    data = []
    for number, item in enumerate(items):
        try:
            data.append(json.dumps(item, ensure_ascii=ensure_ascii))
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"Item {number} cannot be kept, as it is not plain JSON ({error}). Give dicts; "
                "for an item of a run use its to_input_item(), for a pydantic model "
                "model_dump(mode='json', exclude_unset=True)."
            ) from error
    return data
