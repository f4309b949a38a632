"""The notebooks in JupyterLab: opened, run as "Run All Cells" does, and looked at."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

from tests.browser.lab import Notebook, until
from tests.browser.runs import errors

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LONGEST = 150.0  # seconds that a whole notebook may take on a busy machine


def is_view(cell: nbformat.NotebookNode) -> bool:
    """Whether a cell was saved with the still picture of a run."""
    shown = "".join(str(output.get("data", "")) for output in cell.get("outputs", ()))
    return "as-snapshot" in shown


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_all_cells_run_without_an_error_and_the_views_are_filled(
    notebook: Notebook, path: Path
) -> None:
    server = notebook.server
    for beside in FOLDER.iterdir():
        if beside.is_file() and beside.suffix != ".ipynb":
            shutil.copy(beside, server.notebooks)
    saved = nbformat.read(path, as_version=4)
    views = [at for at, cell in enumerate(saved.cells) if is_view(cell)]
    code = [at for at, cell in enumerate(saved.cells) if cell.cell_type == "code"]
    for cell in saved.cells:
        cell.pop("outputs", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.open(server.put(saved, path.name))
    notebook.command("notebook:run-all-cells")

    def ended() -> bool:
        # Where a run waits for a person, there is one.
        waiting = notebook.page.locator("button.as-approve:visible")
        if waiting.count():
            waiting.first.click()
        return notebook.run_count(code[-1]) > 0 and not notebook.is_running(code[-1])

    until(ended, f"the end of {path.name}", LONGEST)
    assert {at: errors(notebook, at) for at in code if errors(notebook, at)} == {}
    assert [notebook.run_count(at) for at in code] == list(range(1, len(code) + 1))
    assert views, "a notebook shows a run"
    for at in views:
        view = notebook.area(at).locator(".as-run").first
        view.scroll_into_view_if_needed()
        assert view.locator(".as-text, .as-card").count(), f"the view below cell {at} is empty"
        assert view.inner_text().strip()
    assert notebook.watch.away == []
    assert notebook.watch.dialogs == []
