"""One connection to an MCP server, and the one task that owns it.

The ``mcp`` package is built on anyio's cancel scopes, which must be left in the task that entered
them. A notebook connects in one cell and cleans up in another, and each cell is a task; so the
connection is opened, held and closed by a task of its own, and everybody else sends it word::

    connect()  ──▶ starts the owner, waits for its "ready" or its error
    a call     ──▶ made from the caller's task (requests need no scope of the owner's)
    cleanup()  ──▶ sets "closing", waits at most `CLOSE_SECONDS` for the owner's end

A server that goes away ends the connection: calls under way and later ones raise
`MCPConnectionError`, and `connect` makes a new one.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from .._extras import install_command
from .._utils.redaction import redact_error
from .._utils.secrets import without_credentials
from ..exceptions import UserError

if TYPE_CHECKING:
    from mcp import Client

T = TypeVar("T")

CLOSE_SECONDS = 10.0
"""How long cleanup waits for a connection to end, in seconds, before it is cancelled.

mcp's own way out of a stdio server takes at most 6.5 s: 0.5 to flush, then 2 each after closing
its stdin, after SIGTERM and after SIGKILL (mcp/client/stdio.py, 2.3).
"""

_log = logging.getLogger("agentstream.mcp")

# A loop holds its tasks weakly: an owner nobody else refers to must still come to its end.
_OWNERS: set[asyncio.Task[None]] = set()


class MCPConnectionError(UserError, ConnectionError):
    """An MCP server cannot be reached, or has gone away; the message says why and what to do.

    Examples
    --------
    ::

        try:
            async with MCPServerStdio({"command": "no-such-server"}) as server: ...
        except MCPConnectionError as error:
            error.message  # there is no command 'no-such-server' ...
    """


def require_mcp() -> None:
    """See that the ``mcp`` package is there.

    Raises
    ------
    UserError
        It is not, or it is older than version 2.
    """
    try:
        from mcp import Client  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"MCP servers need the mcp package, version 2 or later ({error}). "
            f"Install it: {install_command('mcp')}"
        ) from error


class Connection:
    """A connection from its start to its end; make a new one to connect again.

    Parameters
    ----------
    name : str
        The server's name, for messages.
    streams : async context manager
        Gives the streams to read and write; may give more, which is not used.
    options : dict
        Arguments for `mcp.Client`.
    explain : function
        What to add to an error's message, like the last words on stderr.
    """

    def __init__(
        self,
        name: str,
        streams: AbstractAsyncContextManager[Any],
        options: dict[str, Any],
        explain: Callable[[BaseException], str],
    ) -> None:
        self.name = name
        self._explain = explain
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()
        self._ready: asyncio.Future[Client] = self._loop.create_future()
        self._closing = asyncio.Event()
        self._end: BaseException | None = None
        self._owner = self._loop.create_task(
            self._own(streams, options), name=f"agentstream: MCP server {name}"
        )
        _OWNERS.add(self._owner)
        self._owner.add_done_callback(_OWNERS.discard)

    @property
    def ended(self) -> bool:
        """Whether the connection is over, or its loop is."""
        over = self._closing.is_set() or self._owner.done() or self._loop.is_closed()
        return over or self._is_the_parents

    @property
    def _is_the_parents(self) -> bool:
        """Whether this process was forked from the one that is connected."""
        return os.getpid() != self._process

    async def _own(
        self, streams: AbstractAsyncContextManager[Any], options: dict[str, Any]
    ) -> None:
        from mcp import Client

        try:
            async with Client(_two(streams), **options) as client:
                # What checks a tool's answer takes over a second to import; the client would do
                # that in the first call, and the loop would stand still.
                await asyncio.to_thread(import_module, "jsonschema.validators")
                if not self._ready.done():
                    self._ready.set_result(client)
                await self._closing.wait()
        except BaseException as error:
            self._end = error
            if not isinstance(error, Exception):
                raise  # Cancelled, by the end of the loop or by close(): told by being cancelled.
            if self._ready.done() and not self._closing.is_set():
                _log.warning("The connection to MCP server %r broke", self.name, exc_info=True)
            elif self._ready.done():
                _log.warning("MCP server %r did not close cleanly", self.name, exc_info=True)
        finally:
            if not self._ready.done():
                self._ready.set_exception(self._failed(self._end))
                self._ready.exception()  # Seen, should nobody be waiting any more.
            self._closing.set()

    def _failed(self, error: BaseException | None) -> MCPConnectionError:
        cause = root_of(error) if error is not None else None
        why = self._explain(cause) if cause is not None else "it ended at once."
        failed = MCPConnectionError(f"Failed to connect to MCP server {self.name!r}: {why}")
        if cause is not None:  # the HTTP library names the whole address, which may hold a key
            cause.args = tuple(
                without_credentials(part) if isinstance(part, str) else part for part in cause.args
            )
            redact_error(cause)
            if isinstance(cause, FileNotFoundError):
                cause.__traceback__ = None  # frames of subprocess, with the whole environment
        failed.__cause__ = cause
        return failed

    async def opened(self) -> None:
        """Wait until the connection stands.

        Raises
        ------
        MCPConnectionError
            It cannot be made; nothing is left of the attempt.
        """
        try:
            await asyncio.shield(self._ready)
        except BaseException:
            # Failed, or given up by the caller (a timeout, an interrupt).
            await self.close()
            raise

    async def call(self, request: Callable[[Client], Awaitable[T]]) -> T:
        """Make a request, from any task, loop or thread.

        Raises
        ------
        MCPConnectionError
            The connection is over, or ends before the answer.
        mcp.MCPError
            The server answers with an error, or not in time.
        """
        if self._is_the_parents:
            raise MCPConnectionError(
                f"MCP server {self.name!r} was connected by the process that this one was forked "
                "from. Call connect() here, too."
            )
        if asyncio.get_running_loop() is self._loop:
            return await self._call(request)
        if not self._loop.is_running():
            raise MCPConnectionError(
                f"MCP server {self.name!r} was connected on an event loop that has ended. Call "
                "connect() again, in the loop that uses it."
            )
        future = asyncio.run_coroutine_threadsafe(self._call(request), self._loop)
        return await asyncio.wrap_future(future)

    async def _call(self, request: Callable[[Client], Awaitable[T]]) -> T:
        import anyio
        from mcp import MCPError
        from mcp.types import CONNECTION_CLOSED, REQUEST_TIMEOUT

        if self.ended:
            raise self._lost(self._end)
        try:
            return await request(await asyncio.shield(self._ready))
        except MCPError as error:
            redact_error(error)
            if error.code == CONNECTION_CLOSED:
                raise self._lost(error) from error
            if error.code == REQUEST_TIMEOUT:
                error.add_note(
                    f"MCP server {self.name!r} did not answer in time; see "
                    "client_session_timeout_seconds (None waits for ever)."
                )
            raise
        except (anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
            raise self._lost(error) from error

    def _lost(self, error: BaseException | None) -> MCPConnectionError:
        self._closing.set()  # The owner clears up; connect() may then begin again.
        self._end = self._end or error
        why = self._explain(root_of(error)) if error is not None else "it was closed."
        return MCPConnectionError(
            f"The connection to MCP server {self.name!r} has ended; call connect() to connect "
            f"again. What happened: {why}"
        )

    async def close(self) -> None:
        """End the connection, from any task, loop or thread; wait at most `CLOSE_SECONDS`."""
        here = asyncio.get_running_loop()
        if self._is_the_parents:
            return
        if here is self._loop:
            await self._close()
        elif self._loop.is_running():
            future = asyncio.run_coroutine_threadsafe(self._close(), self._loop)
            await asyncio.wrap_future(future)

    async def _close(self) -> None:
        self._closing.set()
        if not self._ready.done():
            self._owner.cancel()
        for _ in range(2):
            done, _pending = await asyncio.wait({self._owner}, timeout=CLOSE_SECONDS)
            if done:
                return
            self._owner.cancel()
        _log.error("MCP server %r did not end in %g s", self.name, 2 * CLOSE_SECONDS)

    def abandon(self) -> None:
        """End the connection without waiting: its server object is gone."""
        if not self.ended:
            self._loop.call_soon_threadsafe(self._closing.set)


@asynccontextmanager
async def _two(streams: AbstractAsyncContextManager[Any]) -> AsyncIterator[tuple[Any, Any]]:
    # A create_streams() written for mcp 1 gives a third thing; mcp 2 takes two.
    async with streams as pair:
        yield pair[0], pair[1]


def root_of(error: BaseException) -> BaseException:
    """Find what went wrong first in nested exception groups.

    That a stream is closed or broken is a consequence, where something else went wrong as well.
    """
    if not isinstance(error, BaseExceptionGroup):
        return error
    import anyio

    ends = (anyio.ClosedResourceError, anyio.BrokenResourceError, anyio.EndOfStream)
    roots = [root_of(each) for each in error.exceptions]
    return next((root for root in roots if not isinstance(root, ends)), roots[0])
