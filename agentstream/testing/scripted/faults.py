"""What can go wrong: errors, cut streams, silence, answers that fail or stop short.

Each stands among the parts of a turn and happens there, or after the first `after` events.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...exceptions import UserError
from .shapes import Fault, RawTurn

REASONS = {
    400: "Bad request.",
    401: "Incorrect API key provided.",
    403: "You are not allowed to use this model.",
    404: "The model does not exist.",
    429: "Rate limit reached.",
}


def http_error(
    status: int = 500,
    message: str | None = None,
    *,
    code: str | None = None,
    retry_after: float | None = None,
) -> Fault:
    """The request is answered with an HTTP error, before any event.

    Parameters
    ----------
    status : int
        The HTTP status.
    message, code : str, optional
        Of the error.
    retry_after : float, optional
        Seconds, for the `Retry-After` header.

    Examples
    --------
    >>> http_error(429, retry_after=2).headers
    {'retry-after': '2'}
    """
    headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    text = message or REASONS.get(status, "The server had an error.")
    return Fault("http_error", status=status, message=text, code=code, headers=headers)


def cut(after: int | None = None) -> Fault:
    """The stream ends without its last event.

    Parameters
    ----------
    after : int, optional
        How many events come before; where it stands in the turn, if not given.

    Examples
    --------
    >>> from agentstream.testing import ScriptedModel, cut, say, turn
    >>> model = ScriptedModel([turn(say("It will be"), cut())])
    """
    return Fault("cut", after=after)


def reset(after: int | None = None) -> Fault:
    """The connection breaks.

    Parameters
    ----------
    after : int, optional
        How many events come before; where it stands in the turn, if not given.

    Examples
    --------
    >>> from agentstream.testing import ScriptedModel, reset, say, turn
    >>> model = ScriptedModel([turn(say("It will be"), reset())])
    """
    return Fault("reset", after=after)


def stall(seconds: float | None = None, *, after: int | None = None) -> Fault:
    """Nothing comes for `seconds`; None: nothing ever comes again.

    Parameters
    ----------
    seconds : float, optional
        How long.
    after : int, optional
        How many events come before; where it stands in the turn, if not given.

    Examples
    --------
    >>> stall(2.5).seconds
    2.5
    """
    return Fault("stall", after=after, seconds=seconds)


def stream_error(message: str = "The server had an error.", *, code: str = "server_error") -> Fault:
    """An `error` event arrives in the stream, which then ends.

    Parameters
    ----------
    message, code : str
        Of the error.

    Examples
    --------
    >>> stream_error("Too many requests.", code="rate_limit_exceeded").code
    'rate_limit_exceeded'
    """
    return Fault("error", message=message, code=code)


def fail(message: str = "The model failed.", *, code: str = "server_error") -> Fault:
    """The answer ends with `response.failed`.

    Parameters
    ----------
    message, code : str
        Of the error.

    Examples
    --------
    >>> fail("The server is overloaded.").message
    'The server is overloaded.'
    """
    return Fault("fail", message=message, code=code)


def incomplete(reason: str = "max_output_tokens") -> Fault:
    """The answer ends with `response.incomplete`, such as at the limit of tokens.

    Parameters
    ----------
    reason : str
        ``"max_output_tokens"`` or ``"content_filter"``.

    Examples
    --------
    >>> incomplete("content_filter").code
    'content_filter'
    """
    return Fault("incomplete", code=reason)


def raw(
    data: bytes | str | Iterable[bytes],
    *,
    size: int | None = None,
    seconds: float = 0.0,
    content_type: str = "text/event-stream",
) -> RawTurn:
    """Recorded bytes of a stream, for a server to play as they are.

    Parameters
    ----------
    data : bytes, str or list of bytes
        The bytes; a list is sent fragment by fragment.
    size : int, optional
        Bytes a fragment, where `data` is in one piece.
    seconds : float
        Pause between two fragments.
    content_type : str
        Of the answer.

    Raises
    ------
    UserError
        `size` is less than 1.

    Examples
    --------
    >>> raw(b"data: [DONE]", size=8).fragments
    (b'data: [D', b'ONE]')
    """
    if size is not None and size < 1:
        raise UserError(f"A fragment holds at least one byte, not {size}.")
    if isinstance(data, str):
        data = data.encode()
    if isinstance(data, bytes):
        size = size or max(1, len(data))
        data = [data[start : start + size] for start in range(0, len(data), size)]
    return RawTurn(tuple(data), seconds, content_type)
