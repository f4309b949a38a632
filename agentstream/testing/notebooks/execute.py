"""Executes a notebook in a kernel of its own, in its folder, without keys and without a network."""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import re
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..._extras import install_command
from ...exceptions import UserError
from .no_network import TRIED, NetworkGuard
from .normalise import read

DIED = "ended its kernel"
STARTS = 3
"""How often a kernel is started that does not come up: its ports may have been taken meanwhile."""

# What a kernel needs, and what says how things look or where they lie; all else may hold a key.
_PASSED_ON = frozenset(
    """
    PATH HOME USER LOGNAME USERNAME SHELL TERM COLUMNS LINES LANG LANGUAGE TZ TMPDIR TEMP TMP
    VIRTUAL_ENV CONDA_PREFIX CONDA_DEFAULT_ENV LD_LIBRARY_PATH DYLD_LIBRARY_PATH
    PYTHONPATH PYTHONHOME PYTHONHASHSEED PYTHONWARNINGS PYTHONUTF8 PYTHONIOENCODING
    PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX PYTHONUNBUFFERED PYTHONFAULTHANDLER
    PYTHONASYNCIODEBUG PYTHONDEVMODE PYTHONNOUSERSITE PYTHONUSERBASE
    JUPYTER_PATH JUPYTER_DATA_DIR JUPYTER_CONFIG_DIR JUPYTER_CONFIG_PATH JUPYTER_RUNTIME_DIR
    IPYTHONDIR MPLBACKEND MPLCONFIGDIR
    XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_RUNTIME_DIR
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE
    OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS CUDA_VISIBLE_DEVICES
    SYSTEMROOT SYSTEMDRIVE WINDIR COMSPEC PATHEXT APPDATA LOCALAPPDATA USERPROFILE PROGRAMDATA
    PROGRAMFILES HOMEDRIVE HOMEPATH NUMBER_OF_PROCESSORS PROCESSOR_ARCHITECTURE
    COVERAGE_PROCESS_START COVERAGE_FILE
    """.split()
)
_START = (
    "from agentstream.testing.notebooks.no_network import block_network; "
    "block_network(); del block_network"
)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
_HERE = "localhost,127.0.0.1,::1"


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


def execute(
    path: Path,
    *,
    cell_time: float,
    time: float,
    network: bool,
    environment: Mapping[str, str] | None = None,
) -> Execution:
    """Execute a notebook from its file, which stays as it is.

    Times are in seconds. With `network` it gets the keys and the network of this process;
    `environment` has variables beside those that every kernel gets.

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
            f"{install_command('lab')}"
        ) from error

    reads: Any = nbformat.reads

    def client() -> Any:
        try:
            notebook = reads(json.dumps(read(path)), as_version=4)
        except UserError:
            raise
        except Exception as error:  # nbformat has many, and raises KeyError as well
            raise UserError(
                f"{str(path)!r} cannot be read as a notebook: {type(error).__name__}: {error}"
            ) from error
        return NotebookClient(
            notebook,
            timeout=cell_time,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.resolve().parent)}},
            store_widget_state=False,
            extra_arguments=[] if network else [f"--IPKernelApp.exec_lines={_START}"],
        )

    # Windows keeps a file that somebody has open, such as a program that the kernel has started.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, NetworkGuard() as gate:
        note = Path(folder) / "tried"
        env = dict(os.environ) if network else _closed(os.environ, gate, note)
        # A warning of the debugger's is nothing that the notebook says.
        env |= environment or {}
        env |= {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "JUPYTER_PLATFORM_DIRS": "1"}
        for _ in range(STARTS):
            done, has_begun = _in_a_thread(client(), env, time, Path(folder) / "log")
            if has_begun:
                break
        log = note.read_text(encoding="utf-8").split() if note.exists() else []
        done.tried = list(dict.fromkeys([*log, *gate.tried]))
    return done


def _closed(outer: Mapping[str, str], gate: NetworkGuard, note: Path) -> dict[str, str]:
    """An environment of what is known to be no key, and with no way out."""
    kept = {k: v for k, v in outer.items() if k.upper() in _PASSED_ON or k.startswith("LC_")}
    kept |= dict.fromkeys(_PROXIES, gate.url)
    return {**kept, **dict.fromkeys(("NO_PROXY", "no_proxy"), _HERE), TRIED: str(note)}


def _in_a_thread(
    client: Any, env: dict[str, str], time: float, log: Path
) -> tuple[Execution, bool]:
    """Execute in a thread of its own: the caller may be in a running loop, as a notebook is."""
    done, current = Execution(client.nb), list[int]()
    client.on_cell_start = lambda cell, cell_index: current.append(cell_index)
    with log.open("wb") as errors:
        launch = {"env": env, "stderr": errors}
        worker = threading.Thread(
            target=_run, args=(client, launch, time, done, current), name="notebook", daemon=True
        )
        worker.start()
        worker.join()
    # It would look after a kernel that is gone.
    look_after: Any = getattr(client, "_cleanup_kernel", None)
    atexit.unregister(look_after)
    if done.failure.endswith(DIED):
        done.failure += _indented(log.read_text(encoding="utf-8", errors="replace"), 5)
    return done, bool(current) or not done.failure


def _run(
    client: Any, launch: dict[str, Any], time: float, done: Execution, current: list[int]
) -> None:
    async def run() -> None:
        limit = asyncio.timeout(time)
        try:
            async with limit:
                await client.async_execute(**launch)
        except Exception as error:  # noqa: BLE001 - it is told, whatever it is
            # nbclient takes every cancellation for a dead kernel.
            late = f"had not ended when {time:g} seconds had passed"
            reason = late if limit.expired() else _reason(error, client.timeout)
            done.failure = f"{_place(done, current)} {reason}"
        finally:
            await _ended(client)

    asyncio.run(run())


async def _ended(client: Any) -> None:
    """End a kernel that nbclient was cancelled in starting, and what else it left behind."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    if client.kc is not None:
        client.kc.stop_channels()
    if client.km is not None and client.km.has_kernel:
        await client.km.shutdown_kernel(now=True)


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
    trace = _COLOURS.sub("", getattr(error, "traceback", "") or "")
    # nbclient writes the cell before, and IPython the message behind.
    trace = trace.rpartition("-" * 70)[2].lstrip("-").replace(f"{name}: {value}", "")
    return f"raised {name}: {value}" + _indented(trace, 15)


_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def _indented(text: str, count: int) -> str:
    """The last lines of a text, below what they are about."""
    lines = _COLOURS.sub("", text).strip().splitlines()
    return "".join(f"\n    {line}" for line in lines[-count:] if line.strip())
