"""Executes the notebooks and saves them: ``python docs/refresh_notebooks.py [name ...]``.

Without a name all of them. What a cell showed before stays where only times and ids differ, so that
a second run changes nothing in git. Needs the lab and the dev extra; no key and no network.
"""

from __future__ import annotations

import sys
from pathlib import Path

from agentstream.testing.notebooks.check import save_notebook

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def main(names: list[str]) -> None:
    """Refresh the notebooks whose names begin with one of `names`, or all."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        if not names or path.name.startswith(tuple(names)):
            changed = save_notebook(path, cell_time=120, time=600)
            sys.stdout.write(f"{path.name}: {'changed' if changed else 'as it was'}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
