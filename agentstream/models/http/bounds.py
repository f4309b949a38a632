"""What a server may do with a request: how much it answers, and where it sends it on to.

What it sends is counted after it has been unpacked.

Half a megabyte of gzip unpacks to half a gigabyte, and the HTTP library unpacks a piece as a whole.
So the packed body of an answer is unpacked here, in small steps, and counted; the bodies of errors
and of answers in one piece, which the client reads by itself, are counted here as well. A streamed
answer that is not packed, as nearly all are, goes past: it is counted where it is read.

A redirect to another origin would hand on the conversation, and every key but the one in
``Authorization``; it is refused before it is followed.

It is done in a hook of the HTTP client, for requests of ours only, so that it holds for every
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
from urllib.request import getproxies

import openai

from ..._utils.printable import printable_line
from ..._utils.redaction import remember_request, remember_sent, remember_url
from ...exceptions import AnswerTooLargeError, RedirectError, UserError
from ...model_settings import origin_of
from ..gate.response_headers import note_response

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from ...model_settings import TimeLimits

__all__ = [
    "ACCEPTED",
    "bound_body",
    "bounded",
    "install",
    "redirect_origins",
    "too_large",
    "unpacked_here",
]

_STEP: Final = 65_536  # bytes that are unpacked at once
_UNPACKED_HERE: Final = ("gzip", "x-gzip", "deflate")
ACCEPTED: Final = "gzip, deflate"
"""The header ``accept-encoding`` of requests whose answers are bounded."""
# A server may send what the client's libraries unpack without a bound; nobody asked for it.
_UNBOUNDED: Final = ("br", "zstd")

_MOST_ENCODINGS: Final = 4  # each within the other; servers use one

_bounds: ContextVar[tuple[TimeLimits, bool] | None] = ContextVar("agentstream_bounds", default=None)


@contextmanager
def bounded(limits: TimeLimits, *, stream: bool = False) -> Iterator[None]:
    """Hold the responses of the requests that are made in this block to the limits.

    Raises
    ------
    UserError
        A header is none.
    AnswerTooLargeError, RedirectError
        They were not held to. The client makes connection errors of what is raised in a hook.
    """
    token = _bounds.set((limits, stream))
    try:
        yield
    except UnicodeEncodeError as error:
        if error.encoding != "ascii":
            raise
        # It is of a header, and holds the whole value.
        raise UserError(
            "A header or a key has characters that no header has, such as a letter with an accent "
            "or a typographic quote. Copy it again, without what stands around it."
        ) from None
    except openai.APIConnectionError as error:
        if isinstance(error.__cause__, (AnswerTooLargeError, RedirectError)):
            raise error.__cause__ from None
        raise
    finally:
        _bounds.reset(token)


def install(client: AsyncOpenAI) -> None:
    """See to it that the client's responses can be bounded."""
    hooks = client._client.event_hooks
    if _on_response not in hooks["response"]:
        _remember_proxies(client._client)
    if _on_response not in hooks["response"]:
        request, response = hooks["request"], hooks["response"]
        # First, so that hooks of the program's own read what is bounded.
        client._client.event_hooks = {
            "request": [_on_request, *request],
            "response": [_on_response, *response],
        }


def _remember_proxies(client: Any) -> None:
    """Remember the passwords of proxies: nothing of them is in a request."""
    for url in getproxies().values():
        remember_url(url)
    mounts = getattr(client, "_mounts", None) or {}
    for transport in (getattr(client, "_transport", None), *mounts.values()):
        sent = getattr(getattr(transport, "_pool", None), "_proxy_headers", None) or ()
        remember_sent({str(name): bytes(value).decode("latin-1") for name, value in sent})


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
        remember_request(request)  # with what functions for keys, and signatures, have added
        request.headers["accept-encoding"] = ACCEPTED


async def _on_response(response: Any) -> None:
    note_response(response)
    bounds = _bounds.get()
    if bounds is None:
        return
    limits, stream = bounds
    if response.has_redirect_location:
        _check_redirect(response, limits)
    if not response.is_success:
        bound_body(response, limits.error_bytes)
    elif not stream:
        limit = limits.event_bytes
        bound_body(response, limit, too_large("an answer", limit or 0, "event_bytes"))
    elif unpacked_here(response):
        limit = limits.answer_bytes
        bound_body(response, limit, too_large("an answer", limit or 0, "answer_bytes"))


def unpacked_here(response: Any) -> list[str]:
    """The encodings of a response's body that `bound_body` undoes.

    Raises
    ------
    httpx2.DecodingError
        The body is packed in a way that nobody asked for, and that would be unpacked as a whole.
    """
    encoding = response.headers.get("content-encoding", "")
    encodings = [name.strip().lower() for name in encoding.split(",") if name.strip()]
    if any(name in _UNBOUNDED for name in encodings) or len(encodings) > _MOST_ENCODINGS:
        what = f"The server sent {encoding[:100]!r}, which was not asked for"
        raise _library_of(response).DecodingError(what)
    return [name for name in encodings if name in _UNPACKED_HERE]


def bound_body(response: Any, limit: int | None, error: Exception | None = None) -> None:
    """Bound the body of a response that has not been read yet, counted after it was unpacked.

    `error` is what reading more raises; without one the body ends there. The response is one of
    httpx2, or of the older httpx.
    """
    packed = unpacked_here(response)
    if packed:
        # Names that the HTTP library does not know either, such as "utf-8", change nothing.
        response.headers.pop("content-encoding")
    response.stream = _stream_class(_library_of(response))(response.stream, packed, limit, error)


def redirect_origins(response: Any) -> tuple[str | None, str | None]:
    """The origin that a request was sent to, and that its response redirects it to."""
    sent = response.request.url
    try:
        url = sent.join(response.headers["location"])
        if url.scheme and not url.host:  # the HTTP library goes to the host that it has
            url = url.copy_with(host=sent.host)
    except (_library_of(response).InvalidURL, ValueError):
        url = None  # no address: the HTTP library has an error of its own for it
    return _origin(sent), _origin(url)


def _origin(url: Any) -> str | None:
    return None if url is None else origin_of(f"{url.scheme}://{url.netloc.decode()}")


def _library_of(response: Any) -> Any:
    """The HTTP library in use: httpx2 or the older httpx."""
    return sys.modules[type(response).__module__.partition(".")[0]]


def _check_redirect(response: Any, limits: TimeLimits) -> None:
    """Refuse a redirect to another origin.

    Raises
    ------
    RedirectError
        It leads there.
    """
    here, there = redirect_origins(response)
    if here is None or there is None or there == here or there in limits.redirect_origins:
        return
    if there == here.replace("http://", "https://", 1):
        return  # the same host, over TLS
    raise RedirectError(
        f"The server at {here} redirects to another origin, {printable_line(there)}, which would "
        "get the conversation and the keys in its headers. Give that as the base URL if it is the "
        "server that you mean; or allow it with "
        f"RunConfig(limits=TimeLimits(redirect_origins=[{printable_line(there)!r}])).",
        there,
    )


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
            left = unread = self._limit
            async for chunk in self._packed:
                if self._steps and unread is not None:
                    # Blocks without content, and what follows the end, unpack to nothing.
                    unread -= len(chunk)
                    if unread < 0:
                        if self._fail is not None:
                            raise self._fail
                        return
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
        """Yield what the next bytes mean; those that follow the end mean nothing."""
        if self._zlib.eof:
            return  # zlib would keep them
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
