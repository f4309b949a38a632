"""Where a run is shown: below its cell, also when it ends long after that, and nobody looks."""

from __future__ import annotations

from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="the lab extra is not installed")
nbclient = pytest.importorskip("nbclient", reason="the lab extra is not installed")

SETUP = """
import asyncio
from agentstream import Agent, Runner, show
from agentstream.testing import Pace, ScriptedModel
poet = Agent(name="Poet", model=ScriptedModel(["word " * 60 + "theend"], pace=Pace(100, 0.01)))
"""


def executed(*cells: str) -> list[Any]:
    """Execute cells as nbmake does; the cells with their outputs."""
    code = [nbformat.v4.new_code_cell(cell) for cell in (SETUP, *cells)]
    notebook = nbformat.v4.new_notebook(cells=code)
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    return list(notebook.cells[1:])


def text_of(cell: Any) -> str:
    return "".join(one["data"].get("text/plain", "") for one in cell.outputs if "data" in one)


def test_a_run_in_the_background_that_ends_in_a_later_cell_leaves_its_picture_in_its_own() -> None:
    shown, waited = executed(
        "result = Runner.run_streamed(poet, 'A poem')\nshow(result);", "await result.wait_closed()"
    )
    assert "theend" in text_of(shown)
    assert "text/html" in shown.outputs[-1]["data"]
    assert waited.outputs == []


def test_a_statement_in_the_middle_of_a_cell_is_displayed() -> None:
    (cell,) = executed("view = show(poet, 'A poem')\nawait view\nnumber = 1")
    assert "theend" in text_of(cell)
