"""A failed run says why once: in the traceback that IPython shows below it, or in its own end."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest

from agentstream.notebook.cards import ending
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.trace import Trace, lifecycle

nbclient = pytest.importorskip("nbclient")

SETUP = """
from agentstream import Agent, Runner, show
from agentstream.testing import ScriptedModel, http_error
%load_ext agentstream
def agent(text="It is <full>."):
    return Agent(name="A", model=ScriptedModel([http_error(400, text)], loop=True))
a, long = agent(), agent("It is <full>. " * 40)
"""
WAYS = {
    "await": ("await show(a, 'x')", True),
    "async for": ("async for event in show(a, 'x'):\n    pass", True),
    "for": ("for event in show(a, 'x'):\n    pass", True),
    "magic": ("%%agent a\nx", True),
    "magic, a message that is cut": ("%%agent long\nx", False),
    "caught": ("try:\n    await show(a, 'x')\nexcept Exception:\n    pass", False),
    "background": ("show(a, 'x')\nimport asyncio; await asyncio.sleep(0.3)", False),
    "another error": ("try:\n    await show(a, 'x')\nexcept Exception:\n    1 / 0", False),
}


@pytest.fixture(scope="module")
def outputs() -> dict[str, list[Any]]:
    cells = [SETUP, *(code for code, _ in WAYS.values())]
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
    nbclient.NotebookClient(notebook, timeout=120, allow_errors=True).execute()
    return dict(zip(WAYS, [cell.outputs for cell in notebook.cells[1:]], strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_failed_run_says_why_once(way: str, outputs: dict[str, list[Any]]) -> None:
    raised = WAYS[way][1]
    kinds = [one.output_type for one in outputs[way]]
    assert kinds.count("display_data") == 1
    bundle = outputs[way][0].data
    assert "Failed: BadRequestError" in bundle["text/plain"]
    assert "BadRequestError" in bundle["text/html"]
    for kind, text in bundle.items():
        assert ("full" in text) is not raised, kind
    if raised:
        assert "It is <full>." in "\n".join(outputs[way][-1].traceback)


def test_the_end_of_a_failed_run_without_its_reason_names_the_error() -> None:
    trace = Trace()
    trace.add(lifecycle.RunFailed("ValueError: no & more"), 1.0)
    assert "no &amp; more" in ending(trace)
    assert "<strong>ValueError</strong></div>" in ending(trace, reason=False)
    short = snapshot(trace, reason=False)
    assert "**Failed**: `ValueError`" in short["text/markdown"]
    assert "[Failed: ValueError]" in short["text/plain"]
    trace.error = "it just broke"
    assert "<strong>Failed</strong></div>" in ending(trace, reason=False)
    assert "[Failed]" in snapshot(trace, reason=False)["text/plain"]
