"""What starting costs: ``import`` of this package and of others, medians of new processes.

Run ``python -m bench.imports [python ...]``: further interpreters are asked for packages that this
one lacks. ``python -X importtime -c "import agentstream"`` says where the time goes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from .table import Target, table

STATEMENTS = {
    "openai": "import openai",
    "agentstream": "import agentstream",
    "agentstream, what a program uses": (
        "from agentstream import Agent, Runner, RunConfig, function_tool, OpenAIResponsesModel"
    ),
    "agents": "import agents",
    "pydantic_ai": "import pydantic_ai",
    "chatlas": "import chatlas",
    "pydantic": "import pydantic",
}
_ASK = """
import time
start = time.process_time()
{statement}
print(time.process_time() - start)
"""


def import_time(python: str, statement: str, cache: str) -> float | None:
    """Processor seconds of one import in a new process; None where it is missing.

    `cache` is a folder for compiled modules: packages that pip has installed have theirs.
    """
    command = [python, "-c", _ASK.format(statement=statement)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = cache
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env=environment
    )
    return float(done.stdout) if done.returncode == 0 else None


def report(pythons: Sequence[str] = (), rounds: int = 9) -> list[Target]:
    """Print the table; return the targets."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as cache:
        at = {
            name: next((p for p in (sys.executable, *pythons) if import_time(p, how, cache)), None)
            for name, how in STATEMENTS.items()
        }
        for _ in range(rounds):
            for name, python in at.items():
                took = import_time(python, STATEMENTS[name], cache) if python else None
                if took is not None:
                    found.setdefault(name, []).append(took)
    medians = {package: statistics.median(times) for package, times in found.items()}
    rows = [(name, took * 1e3, took / medians["openai"]) for name, took in medians.items()]
    print(table("import, in a new process", ("", "CPU ms", "x openai"), rows))
    allowed = 1.15 * medians["openai"] + medians["pydantic"]
    return [
        Target(f"{what}, part of 1.15 times openai's plus pydantic's", medians[name] / allowed, 1.0)
        for what, name in (
            ("import agentstream", "agentstream"),
            ("import of what a program uses", "agentstream, what a program uses"),
        )
    ]


if __name__ == "__main__":
    print(*report(sys.argv[1:]), sep="\n")
