"""Who wants the headers of the responses to the requests that are made here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

__all__ = ["listening", "note_response"]

_listener: Final = ContextVar[Callable[[int, Mapping[str, str]], None] | None](
    "agentstream_response_headers", default=None
)


@contextmanager
def listening(listener: Callable[[int, Mapping[str, str]], None]) -> Iterator[None]:
    """Give `listener` status and headers of the responses to requests made in this block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def note_response(response: Any) -> None:
    """Pass a response's headers on; called by the HTTP client's hook."""
    listener = _listener.get()
    if listener is not None:
        listener(response.status_code, response.headers)
