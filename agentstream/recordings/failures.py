"""Errors of model calls and runs as plain data, and back.

A recording is other people's data: an error is made again of the classes listed here, and nothing
that a file names is looked up or imported. Of a class that is not among them the nearest base is
taken that is, so that ``except`` and retry policies do what they did.
"""

from __future__ import annotations

import builtins
from typing import Any, Final

import httpx2
import openai

from .. import exceptions
from ..models.http.streamed_body import http_errors
from ..models.retry.advice import causes, normalize
from .request_match import to_jsonable, without_private

__all__ = ["failure_from_dict", "failure_to_dict", "says_nothing_of_the_request"]

_OPENAI: Final[dict[str, type[openai.APIError]]] = {
    kind.__name__: kind
    for kind in (
        openai.APIError,
        openai.APIConnectionError,
        openai.APIResponseValidationError,
        openai.APIStatusError,
        openai.APITimeoutError,
        openai.AuthenticationError,
        openai.BadRequestError,
        openai.ConflictError,
        openai.InternalServerError,
        openai.NotFoundError,
        openai.PermissionDeniedError,
        openai.RateLimitError,
        openai.UnprocessableEntityError,
    )
}
_OURS: Final[dict[str, type[exceptions.AgentsException]]] = {
    kind.__name__: kind
    for kind in (
        exceptions.MaxTurnsExceeded,
        exceptions.ModelBehaviorError,
        exceptions.ModelStreamError,
        exceptions.AnswerTooLargeError,
        exceptions.ModelRefusalError,
        exceptions.ModelTimeoutError,
        exceptions.ModelStalledError,
        exceptions.RunTimeoutError,
        exceptions.ToolTimeoutError,
        exceptions.UserError,
    )
}
# What they are made of beside their text.
_FIELDS: Final = ("limit", "refusal", "timeout_seconds", "tool_name")
_HTTP: Final = {
    name: kind
    for name, kind in vars(httpx2).items()
    if isinstance(kind, type) and issubclass(kind, httpx2.RequestError)
}
# Those that are made of their arguments, and of nothing else.
_BUILTIN: Final = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type)
    and issubclass(kind, Exception)
    and not issubclass(kind, (UnicodeError, ExceptionGroup, StopIteration, StopAsyncIteration))
    and kind is not Exception
}
_KNOWN: Final[dict[str, type[Exception]]] = {**_BUILTIN, **_HTTP, **_OPENAI, **_OURS}
_DEPTH: Final = 4


def says_nothing_of_the_request(error: Exception) -> bool:
    """Whether a call failed for want of a key or a connection: the server never answered it."""
    connecting = http_errors("ConnectError") + http_errors("ConnectTimeout")
    unreached: tuple[type[Exception], ...] = (ConnectionRefusedError, *connecting)
    refused = (openai.AuthenticationError, openai.PermissionDeniedError)
    return isinstance(error, refused) or any(isinstance(e, unreached) for e in causes(error))


def failure_to_dict(error: BaseException, depth: int = _DEPTH) -> dict[str, Any]:
    """An error as it is recorded: without headers, but for what they say about trying again."""
    known = next(
        (kind.__name__ for kind in type(error).__mro__ if _KNOWN.get(kind.__name__) is kind), None
    )
    data: dict[str, Any] = {"type": known, "message": _text(error)}
    if known != type(error).__name__:
        data["name"] = type(error).__name__
    if known in _BUILTIN:
        data["args"] = _arguments(error, _BUILTIN[known])
    elif known in _OURS:
        data |= {name: getattr(error, name) for name in _FIELDS if hasattr(error, name)}
    elif known in _OPENAI:
        data["body"] = without_private(to_jsonable(getattr(error, "body", None)))
        data |= _http_facts(error)
    if notes := list(getattr(error, "__notes__", ())):
        data["notes"] = notes
    cause = error.__cause__
    if isinstance(cause, Exception) and depth:
        data["cause"] = failure_to_dict(cause, depth - 1)
    return {name: value for name, value in data.items() if value is not None}


def _arguments(error: BaseException, kind: type[Exception]) -> list[Any]:
    """What the error is made of, or its text where that says more, such as the name of a file."""
    args = [arg for arg in error.args if isinstance(arg, (str, int, float))]
    return args if str(kind(*args)) == str(error) else [str(error)]


def _text(error: BaseException) -> str:
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)


def _http_facts(error: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {"status": getattr(error, "status_code", None)}
    facts["retry_after"] = normalize(error).retry_after
    headers = getattr(getattr(error, "response", None), "headers", {})
    if headers.get("x-should-retry") in ("true", "false"):
        facts["should_retry"] = headers["x-should-retry"]
    return facts


def failure_from_dict(data: dict[str, Any]) -> Exception:
    """The error that `failure_to_dict` was given; `ModelBehaviorError` for one of no known kind.

    Raises
    ------
    KeyError, TypeError, ValueError
        It is none.
    """
    error = _made(data)
    for note in data.get("notes", []):
        error.add_note(str(note))
    if "cause" in data:
        error.__cause__ = failure_from_dict(data["cause"])
    return error


def _made(data: dict[str, Any]) -> Exception:
    name, message = data.get("type"), data["message"]
    if not isinstance(message, str):
        raise ValueError("an error has a text")
    if name in _OPENAI:
        return _api_error(_OPENAI[name], message, data)
    if name in _HTTP:
        return _HTTP[name](message)
    if name in _BUILTIN:
        arguments = data.get("args", [message])
        return _BUILTIN[name](*arguments)
    if name in _OURS:
        return _our_error(_OURS[name], message, data)
    return exceptions.ModelBehaviorError(f"{data.get('name') or 'Exception'}: {message}")


def _our_error(
    kind: type[exceptions.AgentsException], message: str, data: dict[str, Any]
) -> Exception:
    # Their texts are those of the version that recorded them, so they are not worded again here.
    error = kind.__new__(kind)
    exceptions.AgentsException.__init__(error, message)
    for name in _FIELDS:
        if name in data:
            setattr(error, name, data[name])
    if isinstance(
        error, (exceptions.UserError, exceptions.MaxTurnsExceeded, exceptions.ModelBehaviorError)
    ):
        error.message = message
    return error


def _api_error(kind: type[openai.APIError], message: str, data: dict[str, Any]) -> Exception:
    request, body = httpx2.Request("POST", "http://recording"), data.get("body")
    if issubclass(kind, openai.APIConnectionError):
        # Not by the constructor: that of a timeout takes no text.
        error = kind.__new__(kind)
        openai.APIConnectionError.__init__(error, message=message, request=request)
        return error
    if not issubclass(kind, (openai.APIStatusError, openai.APIResponseValidationError)):
        return kind(message, request, body=body)
    status, headers = data.get("status"), {}
    if type(status) is not int or not 100 <= status < 1000:
        raise ValueError("an HTTP status has three digits")
    if data.get("retry_after") is not None:
        headers["retry-after"] = f"{float(data['retry_after']):g}"
    if "should_retry" in data:
        headers["x-should-retry"] = str(data["should_retry"])
    response = httpx2.Response(status, headers=headers, json=body, request=request)
    if issubclass(kind, openai.APIStatusError):
        return kind(message, response=response, body=body)
    return kind(response, body, message=message)
