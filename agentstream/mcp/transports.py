"""The three ways to reach a server: its pipes, SSE, streamable HTTP."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypeAlias, TypeVar
from urllib.parse import urlsplit, urlunsplit

from typing_extensions import TypedDict

from .._utils.keywords import suggesting_init
from .._utils.printable import printable
from .._utils.redaction import redact
from .._utils.secrets import without_credentials, wrap_secrets
from ..exceptions import UserError
from .client import MCPClientServer
from .http_client import Seen, http_streams, message_bytes, sse_streams
from .stdio_lines import SeenLines

if TYPE_CHECKING:
    from mcp import Client

T = TypeVar("T")

_STDERR_SECONDS = 5.0
"""How often a server's stderr is looked at for its size."""
_SECRET = "headers"  # all texts of the params: commands have keys among their arguments

HttpClientFactory: TypeAlias = Callable[..., Any]
"""``(headers=, timeout=, auth=) -> httpx2.AsyncClient``."""


class MCPServerStdioParams(TypedDict):
    """How to start a server that uses its pipes.

    Attributes
    ----------
    command : str
        The program.
    args : list of str
        Its arguments.
    env : dict
        Environment variables, beside the few that are safe to hand on.
    cwd : str or Path
        The working directory.
    encoding : str
        Of its text; UTF-8.
    encoding_error_handler : {"strict", "ignore", "replace"}
        What happens to bytes that are no text.
    max_message_bytes : int or None
        Bytes of one message of the server, which is a line; 64 MiB by default, None for no limit.
    """

    command: str
    args: NotRequired[list[str]]
    env: NotRequired[dict[str, str]]
    cwd: NotRequired[str | Path]
    encoding: NotRequired[str]
    encoding_error_handler: NotRequired[Literal["strict", "ignore", "replace"]]
    max_message_bytes: NotRequired[int | None]


class MCPServerSseParams(TypedDict):
    """The connection to a server with SSE; `timeout` and `sse_read_timeout` in seconds.

    Attributes
    ----------
    url : str
        The address.
    headers : dict
        Sent with each request.
    timeout : float
        For a request, in seconds.
    sse_read_timeout : float
        Between two events, in seconds.
    auth : httpx.Auth
        Signs the requests.
    httpx_client_factory : callable
        Makes the HTTP client.
    max_message_bytes : int or None
        Bytes of one answer, counted after it was decompressed; 64 MiB by default, None for no
        limit. Of an event, mcp takes no more than 1 MiB.
    """

    url: str
    headers: NotRequired[dict[str, str]]
    timeout: NotRequired[float]
    sse_read_timeout: NotRequired[float]
    auth: NotRequired[Any]
    httpx_client_factory: NotRequired[HttpClientFactory]
    max_message_bytes: NotRequired[int | None]


class MCPServerStreamableHttpParams(TypedDict):
    """The connection to a server with streamable HTTP; the timeouts in seconds.

    Attributes
    ----------
    url : str
        The address.
    headers : dict
        Sent with each request.
    timeout : float or timedelta
        For a request, in seconds.
    sse_read_timeout : float or timedelta
        Between two events, in seconds.
    terminate_on_close : bool
        Whether to tell the server to end the session when it is closed.
    httpx_client_factory : callable
        Makes the HTTP client.
    auth : httpx.Auth
        Signs the requests.
    ignore_initialized_notification_failure : bool
        Whether a server may refuse the notice that the client is ready.
    max_message_bytes : int or None
        Bytes of one message of the server, counted after it was decompressed; 64 MiB by default,
        None for no limit.
    """

    url: str
    headers: NotRequired[dict[str, str]]
    timeout: NotRequired[timedelta | float]
    sse_read_timeout: NotRequired[timedelta | float]
    terminate_on_close: NotRequired[bool]
    httpx_client_factory: NotRequired[HttpClientFactory]
    auth: NotRequired[Any]
    ignore_initialized_notification_failure: NotRequired[bool]
    max_message_bytes: NotRequired[int | None]


@suggesting_init
class MCPServerStdio(MCPClientServer):
    """A server that is started as a local process and uses its pipes.

    What it writes to stderr goes to a temporary file, of which an error shows the end: a notebook's
    own ``sys.stderr`` is no file a process could write to.

    Examples
    --------
    ::

        async with MCPServerStdio({"command": "uvx", "args": ["mcp-server-time"]}) as server:
            agent = Agent(name="Clock", mcp_servers=[server])
            result = await Runner.run(agent, "What time is it in Lisbon?")
    """

    _stderr: _Stderr | None = None
    _seen: SeenLines | None = None

    def _default_name(self) -> str:
        return f"stdio: {_params(self.params, 'command')}"

    def create_streams(self) -> AbstractAsyncContextManager[Any]:
        """Make the streams of one connection: starts the process when entered."""
        self._stderr, self._seen = _Stderr(), SeenLines()
        params = wrap_secrets(dict(self.params), under=_SECRET)
        return _stdio_streams(params, self._stderr, self._seen)

    async def _request(self, request: Callable[[Client], Awaitable[T]]) -> T:
        if self._stderr is not None:
            self._stderr.trim()
        return await super()._request(request)

    def _explain(self) -> Callable[[BaseException], str]:
        command, stderr, seen = self.params["command"], self._stderr, self._seen
        timeout = self.client_session_timeout_seconds

        def explain(error: BaseException) -> str:
            if isinstance(error, FileNotFoundError):
                return (
                    f"there is no command {command!r} (or its cwd is missing). Install it, or "
                    "give its full path."
                )
            if seen is not None and seen.refusal:
                return seen.refusal
            stderr_text = redact(printable(stderr.tail())) if stderr is not None else ""
            detail = (
                f" It said on stderr:\n{stderr_text}"
                if stderr_text
                else " It said nothing on stderr."
            )
            return _reason(error, timeout, "its process has ended.") + detail

        return explain


@suggesting_init
class MCPServerSse(MCPClientServer):
    """A server reached by HTTP with server-sent events, the older of MCP's HTTP transports.

    Examples
    --------
    ::

        async with MCPServerSse({"url": "http://127.0.0.1:8000/sse"}) as server:
            agent = Agent(name="Clock", mcp_servers=[server])
    """

    _seen: Seen | None = None

    def _default_name(self) -> str:
        return f"sse: {without_secrets(_params(self.params, 'url'))}"

    def create_streams(self) -> AbstractAsyncContextManager[Any]:
        """Make the streams of one connection: sends the first request when entered."""
        self._seen = Seen()
        return sse_streams(
            wrap_secrets(dict(self.params), under=_SECRET),
            self._seen,
            self.client_session_timeout_seconds,
        )

    def _explain(self) -> Callable[[BaseException], str]:
        return _http_explanation(self.client_session_timeout_seconds, self._seen)


@suggesting_init
class MCPServerStreamableHttp(MCPClientServer):
    """A server reached by streamable HTTP.

    Examples
    --------
    ::

        async with MCPServerStreamableHttp({"url": "http://127.0.0.1:8000/mcp"}) as server:
            agent = Agent(name="Clock", mcp_servers=[server])
    """

    _seen: Seen | None = None

    def _default_name(self) -> str:
        return f"streamable_http: {without_secrets(_params(self.params, 'url'))}"

    def create_streams(self) -> AbstractAsyncContextManager[Any]:
        """Make the streams of one connection."""
        self._seen = Seen()
        return http_streams(wrap_secrets(dict(self.params), under=_SECRET), self._seen)

    @property
    def session_id(self) -> str | None:
        """The id of the session; None before connecting, and where the server gives none."""
        return self._seen.session_id if self._seen is not None else None

    def _explain(self) -> Callable[[BaseException], str]:
        return _http_explanation(self.client_session_timeout_seconds, self._seen)


def _params(params: Any, key: str) -> str:
    value = params.get(key) if isinstance(params, dict) else None
    if not isinstance(value, str) or not value:
        raise UserError(f"The params of this MCP server must be a dict with a text {key!r}.")
    return value


class _Stderr:
    """Where a server's stderr goes: a file, kept small, that is gone with the connection."""

    limit = 1_000_000

    def __init__(self) -> None:
        handle, self._path = tempfile.mkstemp(prefix="agentstream-mcp-", suffix=".stderr")
        os.close(handle)
        # Opened to append, so that the process goes on at the end after the file was cut.
        self.file = open(self._path, "a+", encoding="utf-8", errors="replace")  # noqa: SIM115
        if os.name == "posix":
            os.unlink(self._path)
        self._last = ""

    def tail(self, characters: int = 2000) -> str:
        """Read the last words."""
        if not self.file.closed:
            size = os.fstat(self.file.fileno()).st_size
            data = self._read(max(0, size - 4 * characters), 4 * characters)
            # Where the process does not append, it leaves a hole where the file was cut.
            text = data.decode("utf-8", "replace").replace("\0", "")
            self._last = text[-characters:].strip()
        return self._last

    def _read(self, start: int, length: int) -> bytes:
        # Not through self.file: the process writes at the position they share.
        if os.name == "posix":
            return os.pread(self.file.fileno(), length, start)
        with open(self._path, "rb") as reader:
            reader.seek(start)
            return reader.read(length)

    def trim(self) -> None:
        """Empty the file when it has grown too large."""
        if not self.file.closed and os.fstat(self.file.fileno()).st_size > self.limit:
            self.file.truncate(0)

    def close(self) -> None:
        """Remember the last words, and let the file go."""
        self.tail()
        self.file.close()
        if os.name != "posix":
            with suppress(PermissionError):  # a program that the server has started has it open
                os.unlink(self._path)


@asynccontextmanager
async def _stdio_streams(
    params: dict[str, Any], stderr: _Stderr, seen: SeenLines
) -> AsyncIterator[Any]:
    import anyio
    from mcp.client.stdio import StdioServerParameters, stdio_client

    async def watch() -> None:
        while not seen.refusal:
            with anyio.move_on_after(_STDERR_SECONDS):
                await seen.refused.wait()
            stderr.trim()
        raise seen.error()

    try:
        most = message_bytes(params)
        params = params | {"encoding": seen.codec(params.get("encoding", "utf-8"), most)}
        async with (
            anyio.create_task_group() as group,
            stdio_client(StdioServerParameters(**params), errlog=stderr.file) as streams,
        ):
            group.start_soon(watch)
            try:
                yield streams
            finally:
                group.cancel_scope.cancel()
    finally:
        stderr.close()


def _reason(error: BaseException, timeout: float | None, closed: str) -> str:
    from mcp import MCPError
    from mcp.types import CONNECTION_CLOSED, REQUEST_TIMEOUT

    if isinstance(error, MCPError):
        if error.code == CONNECTION_CLOSED and not error.error.message.startswith("SSE"):
            return closed
        if error.code == REQUEST_TIMEOUT:
            return f"it did not answer in {timeout:g} s (client_session_timeout_seconds)."
    return redact(f"{type(error).__name__}: {error}".rstrip(".")) + "."


def _http_explanation(timeout: float | None, seen: Seen | None) -> Callable[[BaseException], str]:
    def explain(error: BaseException) -> str:
        import httpx2

        # mcp makes "Server returned an error response" of every HTTP status.
        if seen is not None and seen.refusal:
            return seen.refusal
        # Not str(error): it holds the URL, which may hold a key.
        if isinstance(error, httpx2.HTTPStatusError):
            response = error.response
            return f"HTTP error {response.status_code} ({response.reason_phrase})."
        if isinstance(error, httpx2.TimeoutException):
            return f"no answer in time ({type(error).__name__})."
        if isinstance(error, httpx2.TransportError) and not isinstance(error, httpx2.SSEError):
            return "Could not reach the server. See that it runs, and that the URL is right."
        return _reason(error, timeout, "the server closed it.")

    return explain


def without_secrets(url: str) -> str:
    """Cut from a URL what may hold a key: user and password, query and fragment, parts of its path.

    Examples
    --------
    >>> without_secrets("https://me:secret@example.org:8000/mcp?key=secret")
    'https://example.org:8000/mcp'
    """
    parts = urlsplit(url)
    address = (parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")
    return without_credentials(urlunsplit(address))
