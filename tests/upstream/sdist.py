"""The SDK's source distribution, downloaded once and kept outside of the repository."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSION = "0.24.0"
NAME = f"openai_agents-{VERSION}"
SHA256 = "4b4b285f4fed81fdf1b4ac426a9101658d9cd29b4fb1aaeee18f639b77e704e3"


class Unreachable(Exception):
    """The sdist is not here, and the package index cannot be reached."""


def sdist() -> Path:
    """Where the sdist is; it is downloaded the first time.

    Raises
    ------
    Unreachable
        pip could not download it.
    ValueError
        What came is something else than the table was made with.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = cache / "agentstream-tests" / f"{NAME}.tar.gz"
    if not path.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        wanted = ["--no-binary", ":all:", f"openai-agents=={VERSION}", "-d", str(path.parent)]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            done = subprocess.run([*command, *wanted], capture_output=True, text=True, timeout=300)
            why = done.stderr[-300:]
        except (OSError, subprocess.TimeoutExpired) as error:
            why = str(error)
        if not path.exists():
            raise Unreachable(f"pip could not download openai-agents {VERSION}: {why}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise ValueError(f"{path} is another than the table was made with (SHA-256 {found})")
    return path


@contextmanager
def unpacked() -> Iterator[Path]:
    """The unpacked sdist, in a folder of its own for as long as it is used."""
    with tempfile.TemporaryDirectory(prefix="agentstream-upstream-") as folder:
        with tarfile.open(sdist()) as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder) / NAME
