"""A run that pauses where no page shows it leaves its picture in the notebook all the same."""

from __future__ import annotations

from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="the lab extra is not installed")
nbclient = pytest.importorskip("nbclient", reason="the dev extra is not installed")

SETUP = """
from agentstream import Agent, function_tool, show
from agentstream.testing import ScriptedModel, call, say, turn

@function_tool(needs_approval=True)
def delete_rows(rows: list[int]) -> str:
    "Delete rows."
    return "deleted"

def steward():
    turns = [turn(say("I ask first."), call("delete_rows", rows=[5])), "Done."]
    return Agent(name="Steward", tools=[delete_rows], model=ScriptedModel(turns))
"""
PAUSED = 'result = await show(steward(), "Clean it.")'
RESUMED = """
for item in result.interruptions:
    result.context_wrapper.approve_tool(item)
result.resume()
await result.wait()
"""


def executed(*cells: str) -> list[list[dict[str, Any]]]:
    """Outputs of each cell, as a notebook that runs by itself keeps them."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = nbclient.NotebookClient(notebook, timeout=90, kernel_name="python3")
    client.execute()
    return [cell.outputs for cell in notebook.cells]


@pytest.mark.slow
def test_a_paused_run_leaves_its_picture_and_goes_on_in_the_same_place() -> None:
    _, (paused,), (resumed,), _ = executed(SETUP, PAUSED, PAUSED, RESUMED)
    assert "delete_rows" in paused["data"]["text/html"]
    assert "[Waiting for approval]" in paused["data"]["text/plain"]
    assert "Done." in resumed["data"]["text/html"]
    assert "Waiting for approval" not in resumed["data"]["text/plain"]
