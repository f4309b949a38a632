"""The HTTP client of the transports: what an MCP server answers is bounded, and is noted.

mcp itself follows no redirect to another origin, and bounds the events of a stream; what is left is
an answer in one piece, the body of an error, and what either unpacks to.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, Final

from .._utils.printable import printable_line
from .._utils.redaction import remember_request
from ..exceptions import UserError
from ..model_settings import TimeLimits
from ..models.http.bounds import ACCEPTED, bound_body, redirect_origins, unpacked_here

_log = logging.getLogger("agentstream.mcp")

_MESSAGE_BYTES: Final = TimeLimits.event_bytes
_ERROR_BYTES: Final = TimeLimits.error_bytes


class Seen:
    """What the HTTP responses of one connection told beside their contents."""

    session_id: str | None = None
    refusal: str = ""
    on_stream: Callable[[], None] | None = None

    async def __call__(self, response: Any) -> None:
        """Take in a response."""
        self.session_id = response.headers.get("mcp-session-id") or self.session_id
        method = response.request.method
        if self.on_stream is not None and response.is_success:
            self.on_stream()
        if response.has_redirect_location:
            self.refusal = _redirected(response)
        elif method == "GET" and "mcp-session-id" in response.request.headers:
            pass  # a server need not offer this stream
        elif response.is_error and method != "DELETE":
            self.refusal = f"HTTP error {response.status_code} ({response.reason_phrase})."
        elif method == "POST":
            self.refusal = ""


@asynccontextmanager
async def sse_streams(
    params: dict[str, Any], seen: Seen, seconds: float | None
) -> AsyncIterator[Any]:
    """Connect by SSE; `params` as `MCPServerSseParams` has them.

    A server's first event names the address for messages. `seconds` are its time for that, from its
    response on: before it, a person may have to sign in.
    """
    from mcp.client.sse import sse_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    most = message_bytes(params)
    make = params.get("httpx_client_factory") or create_mcp_http_client

    def factory(**options: Any) -> Any:
        return _guarded(make(**options), most, seen)

    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(None) as limit:
                if seconds:
                    end = asyncio.get_running_loop().time
                    seen.on_stream = lambda: limit.reschedule(end() + seconds)
                streams = await stack.enter_async_context(
                    sse_client(**{**params, "httpx_client_factory": factory})
                )
        except TimeoutError as error:
            raise TimeoutError(
                f"its stream named no address for messages in {seconds:g} s "
                "(client_session_timeout_seconds). If it is a server with streamable HTTP, use "
                "MCPServerStreamableHttp"
            ) from error
        finally:
            seen.on_stream = None
        yield streams


@asynccontextmanager
async def http_streams(params: dict[str, Any], seen: Seen) -> AsyncIterator[Any]:
    """Connect by streamable HTTP; `params` as `MCPServerStreamableHttpParams` has them."""
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    most = message_bytes(params)
    make = params.get("httpx_client_factory") or httpx2.AsyncClient
    timeout = httpx2.Timeout(
        _seconds(params.get("timeout", 5)), read=_seconds(params.get("sse_read_timeout", 300))
    )
    client = make(headers=params.get("headers"), timeout=timeout, auth=params.get("auth"))
    _guarded(client, most, seen)
    if params.get("ignore_initialized_notification_failure"):
        client.send = _forgiving(client.send)  # type: ignore[method-assign]
    # mcp below 2.3 has no limit of its own on an event: the body's is the only one.
    has_limit = "max_sse_event_size" in inspect.signature(streamable_http_client).parameters
    of_events: dict[str, Any] = {"max_sse_event_size": most} if has_limit else {}
    async with (
        client,
        streamable_http_client(
            params["url"],
            http_client=client,
            terminate_on_close=params.get("terminate_on_close", True),
            **of_events,
        ) as streams,
    ):
        yield streams


def message_bytes(params: dict[str, Any]) -> int | None:
    """Take the limit out of the params.

    Raises
    ------
    UserError
        It is none.
    """
    most: Any = params.pop("max_message_bytes", _MESSAGE_BYTES)
    if most is None or (isinstance(most, int) and not isinstance(most, bool) and most > 0):
        return most
    raise UserError(
        "max_message_bytes of an MCP server must be a positive number of bytes, or None for no "
        f"limit, got {most!r}"
    )


def _guarded(client: Any, most: int | None, seen: Seen) -> Any:
    """Give an HTTP client the hooks that bound what it reads, before those that it has."""

    async def on_request(request: Any) -> None:
        request.headers["accept-encoding"] = ACCEPTED
        remember_request(request)  # with what `auth` and a client of the program's have added

    async def on_response(response: Any) -> None:
        if not response.is_success:
            bound_body(response, _ERROR_BYTES)
        elif not response.headers.get("content-type", "").startswith("text/event-stream"):
            bound_body(response, most, _too_large(most or 0))
        elif unpacked_here(response):
            bound_body(response, None)  # a stream may be open for days

    hooks = client.event_hooks
    client.event_hooks = {
        "request": [on_request, *hooks.get("request", [])],
        "response": [on_response, *hooks.get("response", []), seen],
    }
    return client


def _too_large(most: int) -> Exception:
    import httpx2

    # Of this kind, mcp makes the error of the one request that it belongs to.
    return httpx2.StreamError(
        f"The MCP server sent a message of more than {most:,} bytes, which was not read. If it is "
        "meant to, give its params max_message_bytes=... more, or None."
    )


def _redirected(response: Any) -> str:
    """Say where a response redirects to: the origin alone, the rest of an address may hold keys."""
    place = printable_line(redirect_origins(response)[1] or "no address")
    return (
        f"it redirects to {place}, which was not followed. Give that as the URL if it is the "
        "server that you mean."
    )


def _forgiving(send: Callable[..., Any]) -> Callable[..., Any]:
    """Make the "initialized" notification succeed whatever becomes of it.

    Some servers refuse it, and mcp ends the connection then.
    """

    async def forgiving_send(request: Any, **options: Any) -> Any:
        import httpx2

        if b'"notifications/initialized"' not in request.content:
            return await send(request, **options)
        try:
            response = await send(request, **options)
        except httpx2.HTTPError as error:
            _log.warning("The server did not take the initialized notification: %r", error)
            return httpx2.Response(202, request=request)
        if response.is_error:
            await response.aclose()
            _log.warning(
                "The server refused the initialized notification: HTTP %d", response.status_code
            )
            return httpx2.Response(202, request=request)
        return response

    return forgiving_send


def _seconds(value: timedelta | float) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else value
