"""Several MCP servers as one: connected, reconnected and left together."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from .server import MCPServer

_log = logging.getLogger("agentstream.mcp")


class MCPServerManager:
    """Connects several MCP servers, and keeps those that could be reached.

    Each server is connected and left in a task of its own, so that both may be asked for anywhere.
    Calls on one manager are done one after another.

    Parameters
    ----------
    servers : iterable of MCPServer
        The servers; one that is given twice is connected once.
    connect_timeout_seconds, cleanup_timeout_seconds : float or None
        How long each server may take; None waits without end.
    drop_failed_servers : bool
        Whether to leave unreachable servers out of `active_servers`.
    strict : bool
        Raise the first error, and leave the servers that the call has connected.
    suppress_cancelled_error : bool
        Take a CancelledError that a server raises by itself as its failure. That of the caller
        always goes on.
    connect_in_parallel : bool
        Connect the servers at once rather than one after another.

    Examples
    --------
    ::

        async with MCPServerManager([calendar, docs]) as manager:
            agent = Agent(name="Assistant", mcp_servers=manager.active_servers)
    """

    def __init__(
        self,
        servers: Iterable[MCPServer],
        *,
        connect_timeout_seconds: float | None = 10.0,
        cleanup_timeout_seconds: float | None = 10.0,
        drop_failed_servers: bool = True,
        strict: bool = False,
        suppress_cancelled_error: bool = True,
        connect_in_parallel: bool = False,
    ) -> None:
        self._servers = list(dict.fromkeys(servers))
        self.connect_timeout_seconds = connect_timeout_seconds
        self.cleanup_timeout_seconds = cleanup_timeout_seconds
        self.drop_failed_servers = drop_failed_servers
        self.strict = strict
        self.suppress_cancelled_error = suppress_cancelled_error
        self.connect_in_parallel = connect_in_parallel
        self._owners: dict[MCPServer, _Owner] = {}
        self._errors: dict[MCPServer, BaseException] = {}
        self._was_connected = False
        self._lock = asyncio.Lock()

    @property
    def all_servers(self) -> list[MCPServer]:
        """Every server, in the order given."""
        return list(self._servers)

    @property
    def active_servers(self) -> list[MCPServer]:
        """The servers for agents: those that are connected.

        All of them where none are dropped, or none was to be connected yet: an agent says then that
        they are not connected, and has not just fewer tools.
        """
        if not self.drop_failed_servers or not self._was_connected:
            return self.all_servers
        return [server for server in self._servers if self._is_connected(server)]

    @property
    def failed_servers(self) -> list[MCPServer]:
        """The servers that could not be connected, or left."""
        return [server for server in self._servers if server in self._errors]

    @property
    def errors(self) -> dict[MCPServer, BaseException]:
        """Why, by server."""
        return dict(self._errors)

    @property
    def connect_timeout_seconds(self) -> float | None:
        """How long a server may take to be connected.

        Raises
        ------
        TypeError, ValueError
            It is set to what is no positive, finite number.
        """
        return self._connect_timeout

    @connect_timeout_seconds.setter
    def connect_timeout_seconds(self, seconds: float | None) -> None:
        self._connect_timeout = _seconds("connect_timeout_seconds", seconds)

    @property
    def cleanup_timeout_seconds(self) -> float | None:
        """How long a server may take to be left.

        Raises
        ------
        TypeError, ValueError
            It is set to what is no positive, finite number.
        """
        return self._cleanup_timeout

    @cleanup_timeout_seconds.setter
    def cleanup_timeout_seconds(self, seconds: float | None) -> None:
        self._cleanup_timeout = _seconds("cleanup_timeout_seconds", seconds)

    async def connect_all(self) -> list[MCPServer]:
        """Connect the servers that are not connected; give those that are then active.

        Raises
        ------
        Exception
            The first server's error, if the manager is strict.
        """
        async with self._lock:
            await self._connect(self._servers)
            return self.active_servers

    async def reconnect(self, *, failed_only: bool = True) -> list[MCPServer]:
        """Connect failed servers again, or leave all and connect them again.

        A server that could not be left is not connected again: it may hold what it held.

        Parameters
        ----------
        failed_only : bool
            Only those in `failed_servers`.

        Raises
        ------
        Exception
            The first server's error, if the manager is strict.
        """
        async with self._lock:
            if not failed_only:
                await self._leave(self._servers)
            await self._connect(self.failed_servers if failed_only else self._servers, undo=False)
            return self.active_servers

    async def cleanup_all(self) -> None:
        """Leave all servers, the last one first; what goes wrong is logged and in `errors`."""
        async with self._lock:
            await self._leave(self._servers)

    async def _connect(self, servers: list[MCPServer], undo: bool = True) -> None:
        self._was_connected = True
        wanted = [server for server in servers if not self._is_connected(server)]
        try:
            if self.connect_in_parallel:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._connect_one(server)) for server in wanted]
                failed = [error for task in tasks if (error := task.result()) is not None]
            else:
                failed = []
                for server in wanted:
                    error = await self._connect_one(server)
                    failed += [error] if error is not None else []
                    raises = self.strict and isinstance(error, Exception)
                    if error is not None and (raises or self._is_fatal(error)):
                        break
        except asyncio.CancelledError:
            await self._leave(wanted)
            raise
        fatal = [error for error in failed if self._is_fatal(error)]
        fatal.sort(key=lambda error: not isinstance(error, asyncio.CancelledError))
        if self.strict:  # a CancelledError that is suppressed would read as the caller's own
            fatal += [error for error in failed if isinstance(error, Exception)]
        if not fatal:
            return
        if undo or self._is_fatal(fatal[0]):
            await self._leave(wanted)
        raise fatal[0]

    def _is_fatal(self, error: BaseException) -> bool:
        if isinstance(error, asyncio.CancelledError):
            return not self.suppress_cancelled_error
        return not isinstance(error, Exception)

    async def _connect_one(self, server: MCPServer) -> BaseException | None:
        """Connect a server; its error if that fails."""
        before = self._owners.get(server)
        if before is not None and before.cleanup_error is not None:
            self._errors[server] = before.cleanup_error
            return before.cleanup_error
        owner = self._owners[server] = _Owner(
            server, self._connect_timeout, lambda: self._cleanup_timeout
        )
        try:
            await owner.settled.wait()
        except asyncio.CancelledError:
            await owner.end()
            raise
        if owner.error is None:
            self._errors.pop(server, None)
            return None
        self._errors[server] = owner.error
        _log.warning("MCP server %r is not connected: %r", server.name, owner.error)
        return owner.error

    async def _leave(self, servers: list[MCPServer]) -> None:
        for server in reversed(servers):
            owner = self._owners.get(server)
            if owner is None:
                continue
            await owner.end()
            if owner.cleanup_error is None:
                del self._owners[server]
            else:
                self._errors[server] = owner.cleanup_error
                _log.warning(
                    "MCP server %r could not be left: %r", server.name, owner.cleanup_error
                )

    def _is_connected(self, server: MCPServer) -> bool:
        return server in self._owners and self._owners[server].is_connected

    async def __aenter__(self) -> Self:
        await self.connect_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.cleanup_all()


class _Owner:
    """The task that connects a server, waits, and leaves it: some must do both in one task."""

    def __init__(
        self,
        server: MCPServer,
        connect_timeout: float | None,
        cleanup_timeout: Callable[[], float | None],
    ) -> None:
        self.server = server
        self.error: BaseException | None = None
        self.cleanup_error: BaseException | None = None
        self.is_connected = False
        self.settled = asyncio.Event()
        self._connect_timeout, self._cleanup_timeout = connect_timeout, cleanup_timeout
        self._stop = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._own())

    async def _own(self) -> None:
        try:
            async with asyncio.timeout(self._connect_timeout):
                await self.server.connect()
        except BaseException as error:  # noqa: BLE001 - the caller raises it, in its own task
            self.error = error
            await self._clean()
            self.settled.set()
            return
        self.is_connected = True
        self.settled.set()
        try:
            await self._stop.wait()
        finally:
            self.is_connected = False
            await self._clean()

    async def _clean(self) -> None:
        try:
            async with asyncio.timeout(self._cleanup_timeout()):
                await self.server.cleanup()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the manager tells it
            self.cleanup_error = error
            if self.error is not None:
                self.error.add_note(f"The server could not be left, either: {error!r}")

    async def end(self) -> None:
        """Leave the server, or stop connecting to it, and wait for that."""
        self._stop.set()
        if not self.settled.is_set():
            self._task.cancel()
        await asyncio.wait({self._task})


def _seconds(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds or None, got {value!r}")
    try:
        is_fine = value > 0 and math.isfinite(value)
    except OverflowError:
        is_fine = False
    if not is_fine:
        raise ValueError(f"{name} must be a positive, finite number of seconds, or None")
    return value
