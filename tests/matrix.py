"""Front ends, kernels and exporters in many versions: ``python -m tests.matrix``, not in CI.

Each row has an environment of its own, made once in a folder and kept there; docs/live.md says what
came of it. It needs the network for packages, and Chromium for ``lab`` and ``exports``.

    python -m tests.matrix lab              # JupyterLab 4.3 and later, Notebook 7
    python -m tests.matrix kernels 6.29     # the rows whose name has 6.29
    python -m tests.matrix exports          # one notebook through each exporter, with pictures
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[1]

PYTEST = ("pytest", "pytest-asyncio", "pytest-timeout", "pytest-xdist", "nbmake", "nbformat")


class Row(NamedTuple):
    """What is tried.

    Attributes
    ----------
    name : str
        Of the row.
    packages : sequence of str
        What its environment has beside agentstream.
    arguments : sequence of str
        Of Python in that environment.
    environment : dict
        Variables.
    """

    name: str
    packages: Sequence[str]
    arguments: Sequence[str]
    environment: dict[str, str] = {}  # noqa: RUF012 - it is never changed


def _tests(*selection: str) -> list[str]:
    return ["-m", "pytest", "-n0", "-q", "-p", "no:cacheprovider", "-W", "default", *selection]


def _lab(version: str, kernel: str) -> Row:
    """JupyterLab and the Notebook that is made of it: a live view, its end, Stop, Approve, chat."""
    minor = int(version.split(".")[1])  # Notebook 7.x is made of JupyterLab 4.x
    notebook = f"notebook>=7.{minor}.0a0,<7.{minor + 1}"
    tests = _tests(
        "tests/browser/test_view_runs.py",
        "tests/browser/test_chat.py",
        "-k",
        "still_picture or stop_button or approve or what_is_typed or interrupt",
    )
    packages = [f"jupyterlab=={version}", notebook, f"ipykernel=={kernel}", "playwright", *PYTEST]
    return Row(f"JupyterLab {version}, ipykernel {kernel}", packages, tests)


def _kernel(version: str) -> Row:
    tests = _tests("tests/notebook/test_front_ends.py", "tests/notebook/test_kernel_messages.py")
    return Row(
        f"ipykernel {version}", [f"ipykernel=={version}", "nbclient", "jupyterlab", *PYTEST], tests
    )


def _export(name: str, *packages: str) -> Row:
    """One notebook through an exporter (tests/exports.py)."""
    own = ("nbclient", "ipykernel", "nbformat", "playwright")
    return Row(name, [*packages, *own], ["-m", "tests.exports", name])


ROWS = {
    "lab": [
        _lab("4.3.*", "7.*"),
        _lab("4.4.*", "7.*"),
        _lab("4.5.*", "7.*"),
        _lab("4.6.*", "7.*"),
        _lab("4.7.0a2", "7.*"),
        _lab("4.3.*", "6.29.5"),
        _lab("4.6.*", "6.31.0"),
    ],
    "kernels": [
        *map(_kernel, ["6.29.5", "6.30.1", "6.31.0", "7.0.1", "7.3.0", "7.4.*"]),
        Row(
            "xeus-python 0.19",
            ["xeus-python==0.19.*", "nbclient", "ipykernel", *PYTEST],
            _tests("tests/notebook/test_front_ends.py", "-k", "not console and not environment"),
            {"AGENTSTREAM_TEST_KERNEL": "xpython"},
        ),
    ],
    "exports": [
        _export("nbconvert", "nbconvert", "pypandoc-binary"),
        _export("papermill", "papermill", "nbconvert"),
        _export("jupytext", "jupytext", "nbconvert"),
        _export("voila", "voila"),
        _export("book1", "jupyter-book<2"),
        _export("book2", "jupyter-book>=2"),
        Row(
            "collaboration",
            ["jupyter-collaboration", "jupyterlab", "ipykernel", "nbformat", "playwright"],
            ["-m", "tests.collaboration"],
        ),
    ],
}


def _environment(row: Row, folder: Path) -> Path:
    """Make the environment of a row, or find it; its Python."""
    place = folder / re.sub(r"[^\w.]+", "-", row.name)
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    installed = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q"]
    if uv := shutil.which("uv"):
        installed = [uv, "pip", "install", "-q", "--prerelease=if-necessary-or-explicit"]
        installed += ["--python", str(python)]
    subprocess.run([*installed, "-e", str(REPOSITORY), *row.packages], check=True)
    return python


def _try(row: Row, folder: Path) -> str:
    """Run a row; its outcome in a line."""
    try:
        python = _environment(row, folder)
    except subprocess.CalledProcessError as error:
        return f"not installed: {error}"
    variables = {**os.environ, **row.environment, "MATRIX_PICTURES": str(folder / "pictures")}
    # As `jupyter` finds what is installed beside it.
    variables["PATH"] = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    log = folder / f"{python.parent.parent.name}.log"
    with log.open("w", encoding="utf-8") as out:
        done = subprocess.run(
            [str(python), *row.arguments],
            cwd=REPOSITORY,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = lines[-1] if lines else ""
    return f"{'ok' if done.returncode == 0 else 'FAILED'}: {last} ({log})"


def main() -> int:
    """Try the rows that are named."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("what", nargs="?", choices=[*ROWS, "all"], default="all")
    parser.add_argument("names", nargs="*", help="parts of the names of rows")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "build" / "matrix")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    rows = [row for what, some in ROWS.items() if asked.what in (what, "all") for row in some]
    rows = [row for row in rows if not asked.names or any(n in row.name for n in asked.names)]
    failed = 0
    for row in rows:
        outcome = _try(row, asked.folder.resolve())
        failed += not outcome.startswith("ok")
        sys.stdout.write(f"{row.name:<40} {outcome}\n")
        sys.stdout.flush()
    return min(failed, 1)


if __name__ == "__main__":
    raise SystemExit(main())
