"""A tutorial to begin with: a notebook that runs, its recording, and its test."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ...exceptions import UserError
from .check import save_notebook, written

__all__ = ["new_tutorial"]

_QUESTION = "How do I get up to the castle?"

_SETUP = """\
from agentstream import Agent, function_tool, recording, show
from agentstream.testing import is_live

# The recording answers: nobody needs a key. To record it anew, set OPENAI_API_KEY and
# AGENTSTREAM_LIVE=1, and run all cells.
tape = recording("{name}.jsonl", mode="refresh" if is_live() else "replay").start()"""

_AGENT = '''\
@function_tool
def tram(to: str) -> str:
    """Find the tram to a place."""
    return f"Tram 28 goes to {to}."


guide = Agent(
    name="Guide",
    instructions="Show them around Lisbon. One or two sentences.",
    tools=[tram],
    model="gpt-5-mini",
)'''

_CELLS: tuple[tuple[str, str], ...] = (
    (
        "markdown",
        "# {title}\n\nWhat you will see: an agent that looks something up before it answers, live "
        "in the cell, and its run as data.",
    ),
    ("code", _SETUP),
    ("markdown", "## The smallest code\n\nAn agent, and a function that it may call."),
    ("code", _AGENT),
    ("markdown", "## Watch it"),
    ("code", f'result = await show(guide, "{_QUESTION}")'),
    ("code", 'assert "28" in result.final_output, "it did not use what the tool told it"'),
    ("markdown", "## The run as data"),
    ("code", 'result.to_frame()[["type", "name", "text", "output"]]'),
    ("code", "result.timeline()"),
    (
        "markdown",
        "## What can go wrong\n\nChange the question: the recording has no answer to it, and the "
        "error says what differs and how to record again.",
    ),
    (
        "markdown",
        "## Exercise\n\nGive the guide a second tool, and ask something that needs both.\n\n"
        "<details><summary>A solution</summary>\n\n```python\n@function_tool\n"
        'def opening(place: str) -> str:\n    """Say when a place opens."""\n'
        '    return f"{{place}} opens at nine."\n\n'
        "guide.tools.append(opening)\n```\n\n</details>",
    ),
)

_TEST = '''\
"""The tutorial runs as its reader runs it: without a key and without a network."""

from pathlib import Path

from agentstream.testing import check_notebook


def test_the_tutorial_runs_and_its_saved_outputs_are_those_of_a_fresh_run():
    check_notebook(Path(__file__).with_name("{name}.ipynb"))
'''


def new_tutorial(name: str, folder: str | os.PathLike[str] = ".") -> list[Path]:
    """Write a tutorial to begin with: a notebook with its outputs, its recording, and its test.

    Parameters
    ----------
    name : str
        Of the notebook: letters, digits, ``-`` and ``_``.
    folder : str or path-like
        Where they are written; it is made if it is not there.

    Raises
    ------
    UserError
        If the name is none for a file, or one of the files is there already: nothing is written
        then.
    """
    name = name.removesuffix(".ipynb")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise UserError(
            f"{name!r} is no name for a tutorial: letters, digits, - and _ make one, such as "
            "my-first-agent. For another folder there is --into FOLDER."
        )
    into = Path(os.fspath(folder))
    names = [f"{name}.ipynb", f"{name}.jsonl", f"test_{name.replace('-', '_').lower()}.py"]
    there = [one for one in names if (into / one).exists()]
    if there:
        raise UserError(
            f"In {str(into)!r} there is already {', '.join(there)}, and nothing is overwritten: "
            "choose another name, or another folder with --into FOLDER."
        )
    # All of them or none: what fails half-way leaves nothing behind.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        made = Path(temporary)
        _record(made / names[1])
        (made / names[0]).write_text(written(_notebook(name)), encoding="utf-8", newline="\n")
        (made / names[2]).write_text(_TEST.format(name=name), encoding="utf-8", newline="\n")
        save_notebook(made / names[0])
        into.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copyfile(made / one, into / one)) for one in names]


def _notebook(name: str) -> dict[str, Any]:
    readable = re.sub(r"[-_]+", " ", name).strip()
    title = readable[:1].upper() + readable[1:]
    cells: list[dict[str, Any]] = []
    for number, (kind, source) in enumerate(_CELLS):
        text = source if source == _AGENT else source.format(name=name, title=title)
        cell = {"cell_type": kind, "id": f"cell-{number:02}", "metadata": {}}
        cell["source"] = text.splitlines(keepends=True)
        cells.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _record(path: Path) -> None:
    """Record the template's run; a script answers in the place of the model that it names."""
    from ...recordings.recording import recording
    from ...run.runner import Runner
    from ..scripted.model import ScriptedModel
    from ..scripted.parts import call
    from ..scripted.shapes import Pace

    names: dict[str, Any] = {}
    exec(f"from agentstream import Agent, function_tool\n{_AGENT}", names)
    guide = names["guide"]
    script = [
        call("tram", to="the castle"),
        "Take **tram 28**: it goes right up to the castle. Sit on the left for the view.",
    ]
    guide.model = ScriptedModel(script, pace=Pace(60, 0.2), model=guide.model)
    with recording(path, mode="record"):
        for _ in Runner.run_streamed(guide, _QUESTION):
            pass
