"""The thin shell around the wire: open a streamed HTTP response, read its bytes, close it.

The openai client makes the request, with its auth, base URL, retries and timeouts; what is read
here is its raw byte stream, through the client's public ``with_streaming_response``.
"""

from __future__ import annotations

import asyncio
import math
import ssl
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
    suppress,
)
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import anyio
from openai import APIConnectionError, APITimeoutError

from ..._utils.redaction import remember_request
from ..retry.stall_timer import PAUSED, StallTimer
from .bounds import bounded, too_large
from .reading_pace import ReadingPace

if TYPE_CHECKING:
    from ..gate.admission import Admission

__all__ = ["StreamedBody", "http_errors", "open_stream"]

_DRAIN_SECONDS = 0.1

# On a busy loop the reading of a model that had to be waited for, but not for longer than this, is
# paused (`reading_pace`). What needs no waiting, as of a server that is far ahead, is read at once,
# and so are large pieces; what is slower, one by one.
_WAITED = (0.001, 0.03)  # seconds
_SMALL = 4_096  # bytes
# TLS errors that the HTTP libraries let through; the client maps them, too.
_BROKEN: tuple[type[Exception], ...] = (ssl.SSLError, anyio.EndOfStream)


@dataclass(frozen=True)
class StreamedBody:
    """The body of a streamed HTTP response.

    Attributes
    ----------
    chunks : AsyncIterator of bytes
        The body as it arrives; a broken connection raises `openai.APIConnectionError`.
    request
        The HTTP request, for errors that name it.
    request_id : str or None
        The server's id of the request, from its ``x-request-id`` header.
    content_type : str
        What the server says the body is; empty where it does not.
    """

    chunks: AsyncIterator[bytes]
    request: Any = field(repr=False)  # its address may hold a key
    request_id: str | None
    content_type: str


@asynccontextmanager
async def open_stream(
    response_manager: AbstractAsyncContextManager[Any],
    stall_timer: StallTimer,
    admission: Admission,
) -> AsyncGenerator[StreamedBody, None]:
    """Make the request and hold its response open; close it however the block is left.

    Left early, by an error, a ``break`` or a cancellation, the connection is closed at once, which
    makes the server stop. Left at the end, what follows ``[DONE]`` is read first, so that the
    connection can serve the next request, too.

    `response_manager` is what ``client.responses.with_streaming_response.create(..., stream=True)``
    returns, or its like for Chat Completions. The request has been let through.

    Raises
    ------
    openai.APIError
        The request failed, as the client raises it.
    """
    async with AsyncExitStack() as stack:
        with bounded(stall_timer.limits, stream=True), admission.listening():
            response = await stack.enter_async_context(response_manager)
        remember_request(response.http_request)  # once more: other hooks may have signed it
        chunks = await stack.enter_async_context(aclosing(_chunks(response, stall_timer)))
        yield StreamedBody(
            chunks=chunks,
            request=response.http_request,
            request_id=response.headers.get("x-request-id"),
            content_type=response.headers.get("content-type", ""),
        )
        with suppress(TimeoutError, APIConnectionError):  # the answer is complete without the rest
            async with asyncio.timeout(_DRAIN_SECONDS):
                async for _ in chunks:
                    pass


async def _chunks(response: Any, stall_timer: StallTimer) -> AsyncGenerator[bytes, None]:
    """Read the body, raising the client's errors for the HTTP library's, as the client does."""
    body = response.http_response
    # Not encoded and not read by a hook of the user's, as nearly always: two generators fewer.
    is_plain = "content-encoding" not in body.headers and not body.is_stream_consumed
    (least, most), requested_at = _WAITED, monotonic()
    limit = stall_timer.limits.answer_bytes
    left = math.inf if limit is None else limit
    pace = ReadingPace.of_running_loop()
    pace.streams += 1
    try:
        async for chunk in body.aiter_raw() if is_plain else response.iter_bytes():
            waited = monotonic() - requested_at
            left -= len(chunk)
            if left < 0:
                raise too_large("an answer", limit or 0, "answer_bytes")
            yield chunk
            if least < waited < most and len(chunk) < _SMALL and (pause := pace.pause()):
                stall_timer.waiting_since = PAUSED
                await asyncio.sleep(pause)
                stall_timer.waiting_since = monotonic()
            requested_at = monotonic()
    except http_errors("ConnectTimeout") as error:
        # So the client's aiohttp transport calls a connection that was lost.
        raise APIConnectionError(request=response.http_request) from error
    except http_errors("TimeoutException") as error:
        raise APITimeoutError(request=response.http_request) from error
    except _BROKEN + http_errors("RequestError") as error:
        raise APIConnectionError(request=response.http_request) from error
    finally:
        pace.streams -= 1


def http_errors(name: str) -> tuple[type[Exception], ...]:
    """Look up an error class in the HTTP libraries in use.

    The client's own is httpx2; a user may hand it a client of the older httpx, which is a
    different package with classes of its own, and need not be installed.
    """
    loaded = (sys.modules.get(library) for library in ("httpx2", "httpx"))
    return tuple(cast("type[Exception]", getattr(m, name)) for m in loaded if m is not None)
