"""Keeps a notebook's kernel on this machine: whoever reaches for another is told, and noted.

Run in the kernel, before the first cell, by `check_notebook`.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

TRIED = "AGENTSTREAM_TRIED"
"""Names the file in which the machines are noted that a notebook tried to reach."""


def stay_here() -> None:
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
