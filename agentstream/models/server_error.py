"""Errors that servers send in the place of an answer, told from answers.

| payload                                      | who                             |
|----------------------------------------------|---------------------------------|
| `{"error": ...}`                             | the APIs                        |
| `{"object": "error", "message": ...}`        | vLLM before 0.10, SGLang, LMDeploy |
| `{"detail": ...}` and nothing else           | FastAPI                         |
| an event named `error` with any data         | proxies                         |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from ..printable import printable
from ..redaction import redact, redact_data

__all__ = ["error_in", "no_answer", "no_stream"]

_ANSWERS: Final = ("choices", "type", "output")
_SHOWN: Final = 300  # characters of a body


def error_in(payload: Mapping[str, Any], name: str | None = None) -> Any:
    """The error that a payload tells of, as the server wrote it; None where it tells of none.

    Secrets that the server repeats are masked.

    Parameters
    ----------
    payload
        The parsed data of an event, or a whole body.
    name
        The event's name.

    Examples
    --------
    >>> error_in({"object": "error", "message": "out of memory"})["message"]
    'out of memory'
    >>> error_in({"detail": "Not found"})
    {'message': 'Not found'}
    >>> error_in({"choices": []})
    """
    if payload.get("error"):
        return redact_data(payload["error"])
    if payload.get("object") == "error":
        return redact_data(payload)
    if any(key in payload for key in _ANSWERS):
        return None
    if payload.get("detail"):
        detail = payload["detail"]
        return {"message": redact(detail if isinstance(detail, str) else repr(detail))}
    return redact_data(payload) if name == "error" else None


def no_answer(given: Any) -> str:
    """What a server gave in the place of an answer in one piece, in its own words.

    Parameters
    ----------
    given
        What the client made of it: an object, parsed JSON or a text.

    Examples
    --------
    >>> no_answer({"code": 1302, "msg": "Too many requests", "data": None})
    "{'code': 1302, 'msg': 'Too many requests'}"
    >>> no_answer("")
    'nothing'
    """
    if isinstance(given, BaseModel):
        given = given.model_dump(exclude_unset=True, warnings=False)
    if isinstance(given, Mapping):
        given = {name: value for name, value in given.items() if value is not None}
        given = error_in(given) or redact_data(given)
    text = redact(given if isinstance(given, str) else repr(given)).strip() if given else ""
    return printable(text[:_SHOWN] + ("..." if len(text) > _SHOWN else "")) or "nothing"


def no_stream(body: bytes) -> str:
    """Say what a server answered that should have streamed.

    Examples
    --------
    >>> no_stream(b"<html>Sign in</html>")[:75]
    "The server answered with no stream of events, but with '<html>Sign in</html"
    """
    text = redact(body.decode("utf-8", "replace").strip())
    return (
        "The server answered with no stream of events, but with "
        f"{text[:_SHOWN] + ('...' if len(text) > _SHOWN else '')!r}. "
        "Check that the base URL is that of the API."
    )
