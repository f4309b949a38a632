"""Errors that servers send in the place of an answer, told from answers.

| payload                                      | who                             |
|----------------------------------------------|---------------------------------|
| `{"error": ...}`                             | the APIs                        |
| `{"object": "error", "message": ...}`        | vLLM before 0.10, SGLang, LMDeploy |
| `{"detail": ...}` and nothing else           | FastAPI                         |
| `[{"error": ...}]`                           | Gemini                          |
| `{"type": "error", ...}`, and the failure of | the other API than was asked,   |
| a response                                   | Anthropic                       |
| an event named `error` with any data         | proxies                         |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from openai import APIError
from pydantic import BaseModel

from ..._utils.printable import printable
from ..._utils.redaction import redact, redact_data

__all__ = ["api_error", "error_in", "no_answer", "no_stream"]

_ANSWERS: Final = ("choices", "type", "output")
_EXCERPT_CHARACTERS: Final = 300  # characters of a body


def error_in(payload: Any, name: str | None = None) -> Any:
    """The error that a payload tells of, as the server wrote it; None where it tells of none.

    It may repeat secrets, which `api_error` and `no_answer` mask.

    Examples
    --------
    >>> error_in({"object": "error", "message": "out of memory"})["message"]
    'out of memory'
    >>> error_in({"detail": "Not found"})
    {'message': 'Not found'}
    >>> error_in({"choices": []})
    """
    if isinstance(payload, list) and len(payload) == 1:
        return error_in(payload[0], name)
    if not isinstance(payload, Mapping):
        return {"message": payload} if name == "error" and payload else None
    if payload.get("error"):
        return payload["error"]
    if "error" in (payload.get("object"), payload.get("type")):
        return payload
    if isinstance(failed := payload.get("response"), Mapping) and failed.get("error"):
        return failed["error"]
    if any(key in payload for key in _ANSWERS):
        return None
    if payload.get("detail"):
        return {"message": payload["detail"]}
    return payload if name == "error" else None


def api_error(error: Any, request: Any = None, *, whole: bool = False) -> APIError:
    """Build the error that the official client raises for a payload with an ``error``.

    Secrets that the server repeats are masked.

    An error without a message is given as a `whole`, or not at all, as by the client.
    """
    error = redact_data(error)
    message = error.get("message") if isinstance(error, Mapping) else error
    if not message or not isinstance(message, str):
        message = "An error occurred during streaming"
        if whole:
            message = f"The server reports an error: {json.dumps(error, default=str)}"
    return APIError(message=printable(message), request=cast(Any, request), body=error)


def no_answer(body: Any) -> str:
    """What a server gave in the place of an answer in one piece, in its own words.

    Secrets that it repeats are masked.
    """
    if isinstance(body, BaseModel):
        body = body.model_dump(exclude_unset=True, warnings=False)
    if isinstance(body, Mapping):
        body = {name: value for name, value in body.items() if value is not None}
        body = error_in(body) or body
    body = redact_data(body)
    text = (body if isinstance(body, str) else repr(body)).strip() if body else ""
    return (
        printable(text[:_EXCERPT_CHARACTERS] + ("..." if len(text) > _EXCERPT_CHARACTERS else ""))
        or "nothing"
    )


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
        f"{text[:_EXCERPT_CHARACTERS] + ('...' if len(text) > _EXCERPT_CHARACTERS else '')!r}. "
        "Check that the base URL is that of the API."
    )
