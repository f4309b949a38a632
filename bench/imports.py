"""What starting costs: ``import`` of this package and of others, medians of new processes.

Run ``python -m bench.imports [python ...]``: further interpreters are asked for packages that this
one lacks. ``python -X importtime -c "import agentstream"`` says where the time goes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Sequence

from .table import Target, table

PACKAGES = ("openai", "agentstream", "agents", "pydantic_ai", "chatlas", "pydantic")
_ASK = """
import time
start = time.process_time()
import {package}
print(time.process_time() - start)
"""


def import_time(python: str, package: str) -> float | None:
    """Processor seconds of one import in a new process; None where it is missing."""
    command = [python, "-c", _ASK.format(package=package)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return float(done.stdout) if done.returncode == 0 else None


def report(pythons: Sequence[str] = (), rounds: int = 9) -> list[Target]:
    """Print the table; return the targets."""
    found: dict[str, list[float]] = {}
    at = {
        package: next(
            (python for python in (sys.executable, *pythons) if import_time(python, package)), None
        )
        for package in PACKAGES
    }
    for _ in range(rounds):
        for package, python in at.items():
            took = import_time(python, package) if python else None
            if took is not None:
                found.setdefault(package, []).append(took)
    medians = {package: statistics.median(times) for package, times in found.items()}
    rows = [(name, took * 1e3, took / medians["openai"]) for name, took in medians.items()]
    print(table("import, in a new process", ("", "CPU ms", "x openai"), rows))
    allowed = 1.15 * medians["openai"] + medians["pydantic"]
    share = medians["agentstream"] / allowed
    return [Target("import, part of 1.15 times openai's plus pydantic's", share, 1.0)]


if __name__ == "__main__":
    for target in report(sys.argv[1:]):
        print(target)
