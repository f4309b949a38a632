"""Run files of the SDK's tests, each in a process of its own, forked from this one.

    python worker.py FOLDER_OF_OUTCOMES [--sdk] FILE ...

Started in the folder of the SDK's sdist. What every file imports is imported once, before the
fork. ``--sdk`` runs them on the SDK itself.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

SECONDS_PER_TEST = 20
SECONDS_PER_FILE = 240
PLUGINS = ("pytest_asyncio.plugin", "pytest_mock", "pytest_timeout")
OPTIONS = ["-q", "--tb=short", "--assert=plain", "-p", "no:cacheprovider"]


def run_file(file: str, outcomes: Path) -> None:
    """Run one file in this process, and leave it."""
    import pytest

    log = os.open(outcomes.with_suffix(".log"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ["UPSTREAM_OUTCOMES"] = str(outcomes)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    code = 3
    try:
        plugins = [word for name in PLUGINS for word in ("-p", name)]
        code = int(pytest.main([file, *OPTIONS, *plugins, f"--timeout={SECONDS_PER_TEST}"]))
    finally:
        sys.stdout.flush()
        os._exit(code)


def main(arguments: list[str]) -> None:
    """Keep one process per core busy until every file has run."""
    folder = Path(arguments.pop(0))
    if arguments[0] == "--sdk":
        arguments.pop(0)
        import agents  # noqa: F401
    else:
        import agentstream
        import agentstream.mcp

        agentstream.Agent  # noqa: B018
    import inline_snapshot  # noqa: F401
    import openai.types.responses  # noqa: F401
    import pytest_asyncio  # noqa: F401

    sys.path.insert(0, os.getcwd())
    waiting, running = list(arguments), dict[int, tuple[str, float]]()
    while waiting or running:
        while waiting and len(running) < int(os.environ.get("UPSTREAM_JOBS", os.cpu_count() or 1)):
            file = waiting.pop(0)
            child = os.fork()
            if child == 0:
                run_file(file, folder / f"{file.replace('/', '__')}.json")
            running[child] = (file, time.monotonic())
        ended, _ = os.waitpid(-1, os.WNOHANG)
        running.pop(ended, None)
        for child, (_, since) in running.items():
            if time.monotonic() - since > SECONDS_PER_FILE:
                os.kill(child, 9)
        time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1:])
