"""Executes a notebook in a kernel of its own, in its folder, without keys and without a network."""

from __future__ import annotations

import asyncio
import json
import os
import re
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UserError
from .notebooks_normal import read
from .notebooks_offline import TRIED

DIED = "ended its kernel"
_OURS = ("OPENAI_", "AZURE_OPENAI_", "AGENTSTREAM_")
_START = "from agentstream.testing.notebooks_offline import stay_here; stay_here(); del stay_here"
# Nothing listens there: what does not go through Python's sockets, such as a server that the
# notebook starts, does not get far either.
_NOWHERE = "http://127.0.0.1:9"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@dataclass
class Execution:
    """A notebook that was executed.

    Attributes
    ----------
    notebook : dict
        It, with its fresh outputs; up to the cell that failed.
    failure : str
        Which cell failed and how; empty if none did.
    tried : list of str
        Other machines that it tried to reach.
    """

    notebook: dict[str, Any]
    failure: str = ""
    tried: list[str] = field(default_factory=list)


def execute(path: Path, *, cell_time: float, time: float, network: bool) -> Execution:
    """Execute a notebook from its file, which stays as it is.

    Parameters
    ----------
    path : pathlib.Path
        The file; it is executed in its folder.
    cell_time, time : float
        Seconds that a cell, and the whole, may take.
    network : bool
        Whether it gets the keys and the network of this process.

    Raises
    ------
    UserError
        If it is no notebook, or if nbclient is not installed.
    """
    try:
        import nbformat
        from nbclient import NotebookClient
    except ImportError as error:
        raise UserError(
            f"Notebooks are executed with nbclient and ipykernel, but {error.name} is missing: "
            "pip install nbclient ipykernel"
        ) from error
    notebook = nbformat.reads(json.dumps(read(path)), as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        note, log = Path(folder) / "tried", Path(folder) / "log"
        client = NotebookClient(
            notebook,
            timeout=cell_time,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.resolve().parent)}},
            store_widget_state=False,
        )
        if not network:
            client.extra_arguments = [f"--IPKernelApp.exec_lines={_START}"]
        done = Execution(notebook)
        env = _environment(os.environ, network=network, note=note)
        with log.open("wb") as errors:
            launch = {"env": env, "stderr": errors}
            # A thread, because the caller may be in a running loop: a notebook, an async test.
            arguments = (client, launch, time, done)
            worker = threading.Thread(target=_run, args=arguments, name="notebook", daemon=True)
            worker.start()
            worker.join()
        if done.failure.endswith(DIED):
            done.failure += _indented(log.read_text(encoding="utf-8", errors="replace"), 5)
        if note.exists():
            done.tried = list(dict.fromkeys(note.read_text(encoding="utf-8").split()))
    return done


def _environment(outer: Mapping[str, str], *, network: bool, note: Path) -> dict[str, str]:
    # pdb and the debugger's warnings are not what a notebook says.
    env = {**outer, "PYDEVD_DISABLE_FILE_VALIDATION": "1", "JUPYTER_PLATFORM_DIRS": "1"}
    if network:
        return env
    kept = {k: v for k, v in env.items() if not k.startswith(_OURS) and "_API_KEY" not in k}
    kept |= dict.fromkeys(_PROXIES, _NOWHERE)
    kept |= dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1,::1")
    return {**kept, TRIED: str(note)}


def _run(client: Any, launch: dict[str, Any], time: float, done: Execution) -> None:
    async def run() -> None:
        async with asyncio.timeout(time):
            await client.async_execute(**launch)

    current: list[int] = []
    client.on_cell_start = lambda cell, cell_index: current.append(cell_index)
    try:
        asyncio.run(run())
    except TimeoutError:
        done.failure = f"{_place(done, current)} had not ended when {time:g} seconds had passed"
    except Exception as error:  # noqa: BLE001 - it is told, whatever it is
        done.failure = f"{_place(done, current)} {_reason(error, client.timeout)}"


def _place(done: Execution, current: list[int]) -> str:
    if not current:
        return "the kernel"
    source = "".join(done.notebook["cells"][current[-1]]["source"]).strip()
    last = source.splitlines()[-1] if source else ""
    return f"cell {current[-1] + 1} ({last[:60]!r})"


def _reason(error: Exception, cell_time: float) -> str:
    kind = type(error).__name__
    if kind == "CellTimeoutError":
        return f"took longer than {cell_time:g} seconds"
    if kind == "DeadKernelError":
        return DIED
    if kind != "CellExecutionError":
        return f"could not be executed: {kind}: {error}"
    name, value = getattr(error, "ename", kind), getattr(error, "evalue", "")
    return f"raised {name}: {value}" + _indented(getattr(error, "traceback", "") or "", 15)


def _indented(text: str, count: int) -> str:
    """The last lines of a text, below what they are about."""
    lines = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text).strip().splitlines()
    return "".join(f"\n    {line}" for line in lines[-count:] if line.strip())
