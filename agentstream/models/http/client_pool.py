"""The clients that requests are made with: one for each account and event loop, closed with it.

Their HTTP goes over aiohttp, which the openai client has beside its default: its parser is written
in C and takes in all that has come at once, so that an event costs a third (bench/README.md).
A client that a program makes itself stays as it is.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies
from weakref import WeakKeyDictionary

import aiohttp
import httpx2
from openai import AsyncOpenAI, DefaultAioHttpClient, DefaultAsyncHttpxClient

from ..._utils.aio import running_loop_or_none
from ...exceptions import UserError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from .account import Account

__all__ = ["refuse_forked", "shared_client"]

# A client's connections belong to the event loop they were opened on, and break on any other.
# Beside each client stands what closes it when its loop ends.
_clients: dict[tuple[AbstractEventLoop, Account], tuple[AsyncOpenAI, Any]] = {}


def shared_client(account: Account) -> AsyncOpenAI:
    """Find or make the client of an account for the running event loop."""
    loop = running_loop_or_none()
    if loop is None:
        direct = DefaultAsyncHttpxClient(trust_env=False) if _is_here(account) else None
        return _new_client(account, direct)  # it binds itself to the loop that uses it first
    _close_those_of_closed_loops()
    client, _ = _clients.get((loop, account), (None, None))
    if client is None or client.is_closed():
        client = _new_client(account, _http_client(account))
        closer = _close_at_the_end(client)
        with suppress(StopIteration):  # its first step awaits nothing
            anext(closer).__await__().send(None)
        _clients[(loop, account)] = (client, closer)
    return client


def _new_client(account: Account, http_client: httpx2.AsyncClient | None) -> AsyncOpenAI:
    return AsyncOpenAI(
        api_key=account.key,
        base_url=account.base_url,
        organization=account.organization,
        project=account.project,
        http_client=http_client,
    )


class _OverAiohttp(DefaultAioHttpClient):
    """The openai client's aiohttp transport, with errors that are the openai client's, too.

    As of openai 3.54 it calls a refused or lost connection a timeout, and lets an answer that is no
    HTTP through as aiohttp's own error, whose ``repr`` has the request's headers, and the key.
    """

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        """Send a request."""
        try:
            return await super().send(request, **how)
        except httpx2.ConnectTimeout as error:
            if isinstance(error.__cause__, TimeoutError):
                raise
            raise httpx2.ConnectError(str(error), request=request) from error.__cause__
        except aiohttp.ClientError as error:
            message = getattr(error, "message", type(error).__name__)
        raise httpx2.RemoteProtocolError(message, request=request)


def _http_client(account: Account) -> httpx2.AsyncClient | None:
    """The HTTP client for an account; None is the openai client's default.

    That is for what aiohttp cannot: a SOCKS proxy, and a password in the address beside a key.
    """
    if "@" in (account.base_url or ""):
        return None
    if _is_here(account):
        return _OverAiohttp(trust_env=False)
    if any(url.startswith("socks") for url in getproxies().values()):
        return None
    return _OverAiohttp()


def _is_here(account: Account) -> bool:
    """Whether requests go to this very machine, which no proxy finds: it has a loopback, too."""
    parts = urlsplit(account.base_url or "")
    try:
        return parts.scheme == "http" and ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.scheme == "http" and parts.hostname == "localhost"


async def _close_at_the_end(client: AsyncOpenAI) -> AsyncGenerator[None, None]:
    """Close the client with the loop: `asyncio.run` closes the generators begun on its loop."""
    try:
        yield
    finally:
        await client.close()


def _close_those_of_closed_loops() -> None:
    """Close what loops have left that were closed without their generators."""
    for key in [key for key in _clients if key[0].is_closed()]:
        client, _ = _clients.pop(key)
        if not client.is_closed():
            with suppress(StopIteration):  # nothing is awaited: there is no loop to wait for
                client.close().__await__().send(None)


# A forked process has its parent's sockets: what the two write on one would be mixed up.
_first_used_in: WeakKeyDictionary[AsyncOpenAI, int] = WeakKeyDictionary()


def refuse_forked(client: AsyncOpenAI) -> None:
    """Refuse a client whose connections are those of the process that this one was forked from.

    Raises
    ------
    UserError
        They are.
    """
    if _first_used_in.setdefault(client, os.getpid()) != os.getpid():
        raise UserError(
            "This process was forked from one that has used the model's client: the two would "
            "write on one connection. Make the client in the function that the process runs, give "
            "the model by its name, or start processes by multiprocessing's 'spawn'."
        )
