"""The notebooks in JupyterLab: opened, run as "Run All Cells" does, and looked at."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.browser.lab import Notebook, Server, until
from tests.browser.runs import errors

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LONGEST = 150.0  # seconds that a notebook may take on a busy machine


def told(cell: Any) -> str:
    """The text of the run that a cell was saved with; empty if it shows none."""
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        if "as-snapshot" in "".join(data.get("text/html", "")):
            return "".join(data["text/plain"])
    return ""


def words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]{4,}", text))


@pytest.fixture(scope="module")
def lab(context: Any, server: Server) -> Iterator[Notebook]:
    """One page for all of them: to load JupyterLab takes longer than to run a notebook."""
    beside = shutil.ignore_patterns("*.ipynb", ".*", "__pycache__")  # recordings, servers
    shutil.copytree(FOLDER, server.notebooks, ignore=beside, dirs_exist_ok=True)
    one = Notebook(context.new_page(), server)
    yield one.open(server.write("0"))
    server.shut_down_kernels(*one.paths)


def run_all(lab: Notebook, saved: Any, name: str) -> None:
    """Open a notebook without its outputs in place of the one that is open, and run all of it."""
    bare = nbformat.from_dict(saved)
    for cell in bare.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    lab.save()  # or the page would ask whether to
    lab.command("application:close-all")
    lab.server.shut_down_kernels(*lab.paths)
    lab.show(lab.server.put(bare, name))
    lab.command("notebook:run-all-cells")
    last = max(at for at, cell in enumerate(bare.cells) if cell.cell_type == "code")
    until(lambda: has_ended(lab, last), f"the end of {name}", LONGEST)


def has_ended(notebook: Notebook, last: int) -> bool:
    # Where a run waits for a person, there is one.
    waiting = notebook.page.locator("button.as-approve:visible")
    if waiting.count():
        waiting.first.click()
    return notebook.run_count(last) > 0 and not notebook.is_running(last)


def check(notebook: Notebook, saved: Any) -> None:
    """No error, every cell has run once, and each view shows what it was saved with."""
    code = [at for at, cell in enumerate(saved.cells) if cell.cell_type == "code"]
    assert {at: errors(notebook, at) for at in code if errors(notebook, at)} == {}
    assert [notebook.run_count(at) for at in code] == list(range(1, len(code) + 1))
    views = {at: told(saved.cells[at]) for at in code if told(saved.cells[at])}
    assert views, "a notebook shows a run"
    for at, text in views.items():
        area = notebook.area(at)
        area.scroll_into_view_if_needed()
        shown: set[str] = set()

        def is_filled(area: Any = area, text: str = text, shown: set[str] = shown) -> bool:
            # A view out of sight is sent what it missed when it comes into sight.
            runs = area.locator(".as-run")
            # The second has spaces between the cells of a table, the first also what is folded.
            shown |= words(" ".join([*runs.all_text_contents(), *runs.all_inner_texts()]))
            # A person who approves, as here, sees another end than a run that nobody watched.
            return len(shown & words(text)) > 0.5 * len(words(text))

        until(is_filled, f"what cell {at} was saved with: {words(text)}")
    assert notebook.watch.away == []
    assert notebook.watch.dialogs == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_all_cells_run_without_an_error_and_the_views_are_filled(lab: Notebook, path: Path) -> None:
    lab.watch.clear()
    run_all(lab, nbformat.read(path, as_version=4), path.name)
    check(lab, nbformat.read(path, as_version=4))
