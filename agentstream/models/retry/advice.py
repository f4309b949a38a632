"""What a failed model call tells about trying again: plain values, and how they are read off.

The rules were observed on openai-agents 0.24.
"""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from openai import APIConnectionError, APITimeoutError

from ...exceptions import ModelStreamError, ModelTimeoutError
from ..http.streamed_body import http_errors

__all__ = [
    "ModelRetryAdvice",
    "ModelRetryAdviceRequest",
    "ModelRetryNormalizedError",
    "advice_for",
    "causes",
    "normalize",
]

_TRANSIENT: Final = (408, 409, 429)


@dataclass(init=False)
class ModelRetryNormalizedError:
    """The facts of an error, whichever library raised it.

    Parameters
    ----------
    **facts
        The attributes by their names; those left out are None or False.

    Attributes
    ----------
    status_code : int or None
        The HTTP status.
    error_code : str or None
        The API's own code, such as ``"insufficient_quota"``.
    message : str or None
        The error's text.
    request_id : str or None
        The server's id of the request.
    retry_after : float or None
        Seconds the server asks to wait.
    is_abort : bool
        The call was cancelled.
    is_network_error, is_timeout : bool
        The connection failed; it took too long.
    """

    status_code: int | None
    error_code: str | None
    message: str | None
    request_id: str | None
    retry_after: float | None
    is_abort: bool
    is_network_error: bool
    is_timeout: bool
    _explicit: frozenset[str] = field(repr=False, compare=False)

    def __init__(self, **facts: Any) -> None:
        unknown = facts.keys() - _FACTS.keys()
        if unknown:
            raise TypeError(f"ModelRetryNormalizedError has no field {sorted(unknown)[0]!r}")
        for name, default in _FACTS.items():
            setattr(self, name, facts.get(name, default))
        self._explicit = frozenset(facts)

    def overlaid(self, other: ModelRetryNormalizedError | None) -> ModelRetryNormalizedError:
        """Return these facts with those that `other` was given laid over them."""
        facts = {name: getattr(self, name) for name in _FACTS}
        if other is not None:
            facts |= {name: getattr(other, name) for name in other._explicit}
        return ModelRetryNormalizedError(**facts)


_FACTS: Final[dict[str, Any]] = {
    "status_code": None,
    "error_code": None,
    "message": None,
    "request_id": None,
    "retry_after": None,
    "is_abort": False,
    "is_network_error": False,
    "is_timeout": False,
}


@dataclass
class ModelRetryAdvice:
    """A model's advice on a retry after an error.

    Attributes
    ----------
    suggested : bool or None
        Whether the provider suggests a retry; None if it does not say.
    retry_after : float or None
        Seconds to wait first.
    replay_safety : str or None
        ``"safe"`` if the failed request left nothing behind on the server, ``"unsafe"`` if it did.
    reason : str or None
        For people.
    normalized : ModelRetryNormalizedError or None
        Facts that replace those read from the error.
    response_started : bool
        Whether part of the answer had arrived.
    """

    suggested: bool | None = None
    retry_after: float | None = None
    replay_safety: str | None = None
    reason: str | None = None
    normalized: ModelRetryNormalizedError | None = None
    response_started: bool = False


@dataclass
class ModelRetryAdviceRequest:
    """The argument of `Model.get_retry_advice`: the failed call.

    Attributes
    ----------
    error : Exception
        What the call raised.
    attempt : int
        Its number, from 1.
    stream : bool
        Whether it was streamed.
    previous_response_id, conversation_id : str or None
        The response or conversation on the server that the call continued.
    """

    error: Exception
    attempt: int
    stream: bool
    previous_response_id: str | None = None
    conversation_id: str | None = None


def normalize(error: Exception) -> ModelRetryNormalizedError:
    """Read the facts off an error or, where it has none, off what caused it."""
    chain = list(causes(error))
    timeouts = (APITimeoutError, TimeoutError, *http_errors("TimeoutException"))
    network = (APIConnectionError, ModelStreamError, TimeoutError, *http_errors("RequestError"))
    return ModelRetryNormalizedError(
        status_code=_first(_of_type(e, "status_code", int) for e in chain),
        error_code=_first(_of_type(e, "code", str) for e in chain),
        message=str(error),
        request_id=_first(_of_type(e, "request_id", str) for e in chain),
        retry_after=_first(_retry_after(e) for e in chain),
        is_abort=False,
        is_network_error=any(isinstance(e, network) for e in chain),
        is_timeout=any(isinstance(e, (*timeouts, ModelTimeoutError)) for e in chain),
    )


def advice_for(request: ModelRetryAdviceRequest) -> ModelRetryAdvice | None:
    """Tell what a server of the OpenAI API says about trying again, by its status and headers.

    None where nothing speaks for or against it.
    """
    facts = normalize(request.error)
    header = _header(request.error, "x-should-retry")
    status = facts.status_code
    transient = status is not None and (status in _TRANSIENT or status >= 500)
    stateful = bool(request.previous_response_id or request.conversation_id)
    suggested: bool | None = None
    safety: str | None = None
    if header in ("true", "false"):
        suggested = header == "true"
        safety = "safe" if suggested else None
    elif transient:
        # The server refused the request as a whole: its memory is as it was.
        suggested, safety = True, "safe" if stateful else None
    elif isinstance(request.error, APIConnectionError | ModelStreamError):
        suggested = True
    if suggested is None and facts.retry_after is None:
        return None
    return ModelRetryAdvice(
        suggested=suggested,
        retry_after=facts.retry_after,
        replay_safety=safety,
        reason=facts.message,
        normalized=facts,
    )


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and one after another what it came of."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        hidden = error.__suppress_context__  # "raise ... from None": it came of something else
        error = error.__cause__ or (None if hidden else error.__context__)


def _of_type(error: BaseException, name: str, kind: type) -> Any:
    value = getattr(error, name, None)
    return value if isinstance(value, kind) else None


def _first(values: Iterator[Any]) -> Any:
    return next((value for value in values if value is not None), None)


def _header(error: BaseException, name: str) -> str | None:
    headers = getattr(getattr(error, "response", None), "headers", None)
    value = headers.get(name) if isinstance(headers, Mapping) else None
    return value if isinstance(value, str) else None


def _retry_after(error: BaseException) -> float | None:
    """Seconds to wait by the headers; the client reads the same three forms."""
    milliseconds = _number(_header(error, "retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    header = _header(error, "retry-after")
    seconds = _number(header)
    if seconds is None and header is not None:
        seconds = _until(header)
    return seconds


def _until(date: str) -> float | None:
    """Seconds until a date; what is none, or none that a clock can show, says nothing."""
    try:
        parsed = email.utils.parsedate_tz(date)
        when = None if parsed is None else email.utils.mktime_tz(parsed)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return None if when is None else max(0.0, when - time.time())


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return value if 0 <= value < math.inf else None
