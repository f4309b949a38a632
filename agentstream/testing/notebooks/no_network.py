"""Keeps a notebook on this machine: whoever reaches for another is told, and noted.

Two ways lead out. Python's sockets are closed in the notebook's kernel by `block_network`.
What does not go through them, such as a server that the notebook starts, finds a `NetworkGuard` for
its proxy.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import socketserver
import threading
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

TRIED = "AGENTSTREAM_TRIED"
"""Names the file in which a kernel notes the machines that it tried to reach."""


def block_network() -> None:
    """Refuse every connection to another machine from now on; loopback stays open."""
    resolve, connect, connect_ex = (
        socket.getaddrinfo,
        socket.socket.connect,
        socket.socket.connect_ex,
    )

    def checked_resolve(host: Any, *rest: Any, **options: Any) -> Any:
        _check(host)
        return resolve(host, *rest, **options)

    def checked_connect(self: socket.socket, address: Any) -> Any:
        _check(address[0] if isinstance(address, tuple) else None)
        return connect(self, address)

    def checked_connect_ex(self: socket.socket, address: Any) -> Any:
        _check(address[0] if isinstance(address, tuple) else None)
        return connect_ex(self, address)

    patched: Any = socket
    patched.getaddrinfo = checked_resolve
    patched.socket.connect = checked_connect
    patched.socket.connect_ex = checked_connect_ex


def _check(host: Any) -> None:
    if is_here(host):
        return
    name = host.decode() if isinstance(host, bytes) else str(host)
    if note := os.environ.get(TRIED):
        with Path(note).open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")
    raise ConnectionRefusedError(
        f"{name} is another machine, and this notebook is checked without a network. Let it play a "
        "recording, or say check_notebook(..., network=True)."
    )


def is_here(host: Any) -> bool:
    """Whether a host is this machine, or none at all."""
    if isinstance(host, bytes):
        host = host.decode()
    if host in (None, "", "localhost", "ip6-localhost", socket.gethostname()):
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False


class NetworkGuard:
    """A proxy that lets nobody out, and notes where they wanted to go.

    Attributes
    ----------
    url : str
        Its address.
    tried : list of str
        The machines that were asked for.
    """

    def __init__(self) -> None:
        self.tried: list[str] = []
        tried = self.tried

        class RefusingHandler(socketserver.StreamRequestHandler):
            timeout = 10

            def handle(self) -> None:
                request_line = self.rfile.readline(65_536).decode("latin-1").split()
                if len(request_line) >= 2:
                    target = request_line[1] if "//" in request_line[1] else f"//{request_line[1]}"
                    tried.append(urlsplit(target).hostname or request_line[1])
                self.wfile.write(b"HTTP/1.1 403 No network in a check\r\nContent-Length: 0\r\n\r\n")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), RefusingHandler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
