"""The notebooks' saved outputs show what a reader is promised. nbmake runs the cells themselves."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def code_cells(path: Path) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def printed(path: Path) -> str:
    """All text that the notebook's cells printed when it was saved."""
    outputs = [output for cell in code_cells(path) for output in cell["outputs"]]
    return "".join("".join(output.get("text", "")) for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_was_saved_after_one_whole_run_without_an_error(path: Path) -> None:
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output["output_type"] for cell in cells for output in cell["outputs"]}
    assert "error" not in kinds


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_was_saved_without_the_traces_of_a_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "/home/" not in text
    assert "stderr" not in text
    assert re.search(r"\bsk-\w{8}", text) is None


def test_the_first_shows_streamed_text_a_tool_call_and_a_handoff() -> None:
    shown = printed(next(path for path in NOTEBOOKS if path.stem == "01_first_stream"))
    assert "The rain comes in from the sea tonight" in shown
    assert (
        '-> tool call: get_weather({"city":"Lisbon"})\n  <- tool output: 24 °C and sunny' in shown
    )
    assert "=> handoff: Guide to Booking\n\n=== Booking ===\nDone: a table for two" in shown
