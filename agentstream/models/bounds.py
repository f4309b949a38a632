"""How much of an answer is taken in: what a server sends is counted after it has been unpacked.

Half a megabyte of gzip unpacks to half a gigabyte, and the HTTP library unpacks a piece as a whole.
So the packed body of an answer is unpacked here, in small steps, and counted; the bodies of errors
and of answers in one piece, which the client reads by itself, are counted here as well. A streamed
answer that is not packed, as nearly all are, goes past: it is counted where it is read.

It is done in a hook of the HTTP client, for requests of a model's only, so that it holds for every
transport and for clients that a program makes.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from ..errors import AnswerTooLargeError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from ..limits import TimeLimits

__all__ = ["bounded", "install", "too_large"]

_STEP: Final = 65_536  # bytes that are unpacked at once
_UNPACKED_HERE: Final = ("gzip", "x-gzip", "deflate")
_ACCEPTED: Final = "gzip, deflate"
# A server may send what the client's libraries unpack without a bound; nobody asked for it.
_UNBOUNDED: Final = ("br", "zstd")

_bounds: ContextVar[tuple[TimeLimits, bool] | None] = ContextVar("agentstream_bounds", default=None)


@contextmanager
def bounded(limits: TimeLimits, *, stream: bool = False) -> Iterator[None]:
    """Hold the responses of the requests that are made in this block to the limits.

    Parameters
    ----------
    limits : TimeLimits
        Their sizes.
    stream : bool
        Whether the answer is streamed.
    """
    token = _bounds.set((limits, stream))
    try:
        yield
    finally:
        _bounds.reset(token)


def install(client: AsyncOpenAI) -> None:
    """See to it that the client's responses can be bounded."""
    hooks = client._client.event_hooks
    if _on_response not in hooks["response"]:
        request, response = hooks["request"], hooks["response"]
        # First, so that hooks of the program's own read what is bounded.
        client._client.event_hooks = {
            "request": [_on_request, *request],
            "response": [_on_response, *response],
        }


def too_large(what: str, limit: int, setting: str) -> AnswerTooLargeError:
    """The error for more bytes than a limit allows."""
    return AnswerTooLargeError(
        f"The server sent {what} of more than {limit:,} bytes, and the connection was closed. No "
        "model answers like this: check the base URL, and what stands between. For one that does, "
        f"give RunConfig(limits=TimeLimits({setting}=...)) more bytes, or None.",
        limit,
    )


async def _on_request(request: Any) -> None:
    if _bounds.get() is not None:
        request.headers["accept-encoding"] = _ACCEPTED


async def _on_response(response: Any) -> None:
    bounds = _bounds.get()
    if bounds is None:
        return
    limits, stream = bounds
    given = response.headers.get("content-encoding", "")
    encodings = [name.strip().lower() for name in given.split(",") if name.strip()]
    packed = [name for name in encodings if name in _UNPACKED_HERE]
    library = sys.modules[type(response).__module__.partition(".")[0]]
    if any(name in _UNBOUNDED for name in encodings):
        raise library.DecodingError(f"The server sent {given!r}, which was not asked for")
    if stream and not packed and response.is_success:
        return
    if packed:
        # Names that the HTTP library does not know either, such as "utf-8", change nothing.
        response.headers.pop("content-encoding")
    limit = limits.event_bytes
    fail: Exception | None = too_large("an answer", limit or 0, "event_bytes")
    if not response.is_success:
        limit, fail = limits.error_bytes, None
    elif stream:
        limit = limits.answer_bytes
        fail = too_large("an answer", limit or 0, "answer_bytes")
    response.stream = _stream_class(library)(response.stream, packed, limit, fail)


@lru_cache(maxsize=4)
def _stream_class(library: Any) -> Callable[..., Any]:
    """The class of bounded bodies for an HTTP library: httpx2 or the older httpx."""

    class BoundedStream(library.AsyncByteStream):  # type: ignore[misc]
        """A body that is unpacked, and ends or fails where it is too large."""

        def __init__(
            self, packed: Any, encodings: list[str], limit: int | None, fail: Exception | None
        ) -> None:
            self._packed, self._limit, self._fail = packed, limit, fail
            self._steps = [_Unpacking(name) for name in reversed(encodings)]

        async def __aiter__(self) -> AsyncIterator[bytes]:
            left = self._limit
            async for chunk in self._packed:
                try:
                    for piece in _unpacked(chunk, self._steps):
                        if left is not None:
                            left -= len(piece)
                            if left < 0:
                                if self._fail is not None:
                                    raise self._fail
                                yield piece[:left]
                                return
                        yield piece
                except zlib.error as error:
                    raise library.DecodingError(str(error)) from error

        async def aclose(self) -> None:
            await self._packed.aclose()

    return BoundedStream


def _unpacked(chunk: bytes, steps: list[_Unpacking]) -> Iterator[bytes]:
    if not steps:
        yield chunk
        return
    for piece in steps[0].feed(chunk):
        yield from _unpacked(piece, steps[1:])


class _Unpacking:
    """One encoding of a body, undone in small steps."""

    def __init__(self, name: str) -> None:
        self._is_deflate = name == "deflate"
        self._first = True
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS if self._is_deflate else 31)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what the next bytes mean."""
        try:
            piece = self._zlib.decompress(chunk, _STEP)
        except zlib.error:
            # Servers mean two formats by "deflate", with and without a header.
            if not (self._is_deflate and self._first):
                raise
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
            piece = self._zlib.decompress(chunk, _STEP)
        self._first = False
        while piece:
            yield piece
            piece = self._zlib.decompress(self._zlib.unconsumed_tail, _STEP)
