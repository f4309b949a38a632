"""The process of the small model: llama.cpp's server, for as long as somebody uses it.

A program that uses it holds a connection to it open, a lease. The system closes that when the
program ends, however it ends; when the last one is gone, this process goes as well. A lock that
lives as long as this process sees that there is one.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import selectors
import socket
import sys
import time
from pathlib import Path
from typing import IO, Any, Final

__all__ = ["ALIAS", "NONCE_BYTES", "proof"]

ALIAS: Final = "smollm2"
"""The name of the model in requests and recordings."""

NONCE_BYTES: Final = 16

_FIRST_LEASE: Final = 8.0  # seconds for whoever has started this process
_NEXT_LEASE: Final = 3.0  # seconds for a kernel that restarts


def proof(key: str, nonce: bytes) -> bytes:
    """What only a process that knows the key can answer to a nonce."""
    return hmac.new(key.encode(), nonce, hashlib.sha256).digest()


def main(state: Path, weights: Path) -> int:
    """Serve the model, unless another process does."""
    with open(state.with_suffix(".lock"), "a", encoding="utf-8") as lock:
        if not _locked(lock):
            return 0
        key = secrets.token_urlsafe(24)
        server = _serve(weights, key)  # kept: its threads end with the object
        with socket.create_server(("127.0.0.1", 0)) as listening:
            info = {
                "url": server.listening_address,
                "leases": listening.getsockname()[1],
                "key": key,
            }
            _write(state, info | {"pid": os.getpid()})
            try:
                _until_unused(listening, key)
            finally:
                state.unlink(missing_ok=True)
    # At once: a thread of the server may write an answer for a program that is gone.
    os._exit(0)


def _locked(file: IO[str]) -> bool:
    """Whether this process has got the lock; the system frees it with the process."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _serve(weights: Path, key: str) -> Any:
    import xllamacpp

    parameters: Any = xllamacpp.CommonParams()
    parameters.model.path = str(weights)
    parameters.model_alias = {ALIAS}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0  # the system chooses
    parameters.api_keys = [key]  # pages in a browser can reach the port, too
    parameters.ui = False
    parameters.n_parallel = 2
    parameters.n_ctx = 2 * 4096
    parameters.n_predict = 1024  # a small model may not find an end
    # Threads spin while they wait for each other: half of the cores, so that others have theirs.
    threads = max(1, min(4, (os.cpu_count() or 2) // 2))
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.verbosity = 0
    return xllamacpp.Server(parameters)


def _write(state: Path, info: dict[str, Any]) -> None:
    """Write the whole file or none, for this user only."""
    new = state.with_suffix(".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(info, file)
    new.replace(state)


def _until_unused(listening: socket.socket, key: str) -> None:
    """Hold leases until none is left."""
    leases = set[socket.socket]()
    until = time.monotonic() + _FIRST_LEASE
    with selectors.DefaultSelector() as selector:
        selector.register(listening, selectors.EVENT_READ)
        while leases or time.monotonic() < until:
            wait = None if leases else max(0.0, until - time.monotonic())
            for ready, _ in selector.select(wait):
                if ready.fileobj is listening and (lease := _lease(listening, key)):
                    leases.add(lease)
                    selector.register(lease, selectors.EVENT_READ)
            for lease in [one for one in leases if _is_over(one)]:
                selector.unregister(lease)
                leases.discard(lease)
                lease.close()
                until = time.monotonic() + _NEXT_LEASE


def _lease(listening: socket.socket, key: str) -> socket.socket | None:
    connection, _ = listening.accept()
    with contextlib.suppress(OSError):
        connection.settimeout(2)
        nonce = connection.recv(NONCE_BYTES, socket.MSG_WAITALL)
        if len(nonce) == NONCE_BYTES:
            connection.sendall(proof(key, nonce))
            connection.setblocking(False)
            return connection
    connection.close()
    return None


def _is_over(lease: socket.socket) -> bool:
    try:
        return not lease.recv(64)
    except BlockingIOError:
        return False
    except OSError:
        return True


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
