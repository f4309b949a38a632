"""The notebooks run, say what they were saved with, and run against a service as well."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest

from agentstream.testing.notebooks.lint import problems
from agentstream.testing.notebooks.normalise import differences, read

pytest.importorskip("nbmake", reason="the dev extra is not installed")

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LARGEST = 200_000  # bytes
CELL_TIME = 60  # seconds

EACH = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
LIVE = pytest.mark.parametrize(
    "path",
    [path for path in NOTEBOOKS if "stand_in(" in path.read_text(encoding="utf-8")],
    ids=lambda path: path.stem,
)


@EACH
def test_it_is_written_as_jupyter_writes_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    again = nbformat.writes(nbformat.read(path, as_version=4))
    assert text.rstrip("\n") == again.rstrip("\n"), "save it with save_notebook(path)"


def source_of(cell: Any) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def solutions(notebook: Any) -> list[str]:
    """The Python in the folded solutions of a notebook's exercises."""
    text = "\n".join(
        source_of(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown"
    )
    folded = re.findall(r"<details>.*?</details>", text, re.DOTALL)
    return [code for one in folded for code in re.findall(r"```python\n(.*?)```", one, re.DOTALL)]


def copy_of(path: Path, folder: Path) -> tuple[Path, Any]:
    """A copy of a notebook, among copies of the files beside it; and what is in it."""
    ignored = shutil.ignore_patterns("*.ipynb", ".*", "__pycache__")
    shutil.copytree(path.parent, folder / "notebooks", ignore=ignored)
    return folder / "notebooks" / path.name, nbformat.read(path, as_version=4)


def execute(path: Path, notebook: Any) -> Any:
    """Execute a notebook with nbmake, in the folder of `path`."""
    from nbmake.nb_run import NotebookRun

    nbformat.write(notebook, path)
    result = NotebookRun(path, CELL_TIME).execute()
    if result.error is not None:
        pytest.fail(re.sub(r"\x1b\[[\d;]*m", "", result.error.trace), pytrace=False)
    return result.nb


def drift(path: Path, folder: Path) -> list[str]:
    """How a fresh run of a notebook differs from what it was saved with."""
    copy, notebook = copy_of(path, folder)
    length = len(notebook.cells)
    for code in solutions(notebook):
        notebook.cells.append(nbformat.v4.new_code_cell(code))
    fresh = execute(copy, notebook)
    assert list(problems(fresh, size=0, max_size=1)) == []
    return differences(path, {"cells": fresh.cells[:length]})


@EACH
@pytest.mark.timeout(300)
def test_it_runs_and_shows_what_it_was_saved_with(path: Path, tmp_path: Path) -> None:
    """nbmake's execution is the one that is compared, so that CI executes each notebook once.

    It runs each cell, as ``pytest --nbmake notebooks`` does, and after the last one the solutions
    of the exercises. Where it fails because a notebook was changed, `python
    docs/refresh_notebooks.py` saves the new outputs; look at what they say.
    """
    import matplotlib.font_manager  # noqa: F401 - the first time it tells of its cache on stderr

    assert drift(path, tmp_path) == []


LESSON = """
from agentstream import Agent, Runner, show
from agentstream.testing import stand_in

poet = Agent(name="Poet", model=stand_in("Rain on the roof.", pace=None))
result = Runner.run_streamed(poet, "A line, please.")
await show(result)
print(len(result.final_output), "characters")
"""
EXERCISE = """
## Exercise

<details><summary>Solution</summary>

```python
assert result.final_output == "{}"
```

</details>
"""


def test_a_notebook_that_lies_is_found_out(tmp_path: Path) -> None:
    """What it prints, what its view shows, and what its solutions claim: each lie is told."""
    from agentstream.testing import save_notebook

    v4 = nbformat.v4
    told, wrong = EXERCISE.format("Rain on the roof."), EXERCISE.format("Snow on the roof.")
    cells = [v4.new_code_cell(LESSON), v4.new_markdown_cell(told)]
    path = tmp_path / "source" / "lesson.ipynb"
    path.parent.mkdir()
    nbformat.write(v4.new_notebook(cells=cells), path)
    assert save_notebook(path)
    text = path.read_text(encoding="utf-8")
    for truth, lie in (("17 characters", "18 characters"), ("<p>Rain on", "<p>Sun on")):
        assert text.count(truth) == 1
        text = text.replace(truth, lie)
    path.write_text(text, encoding="utf-8")
    found = "\n".join(drift(path, tmp_path / "outputs"))
    for line in ("-text: 18 characters", "+text: 17 characters", "Sun on the roof"):
        assert line in found
    assert "Snow" not in found

    cells[1].source = wrong
    nbformat.write(v4.new_notebook(cells=cells), path)
    with pytest.raises(pytest.fail.Exception, match="Snow on the roof"):
        drift(path, tmp_path / "solution")


SERVICE = '''
import json, os
from agentstream import testing

scripts, script_of, original = {}, testing.stand_in, testing.stand_in

def otherwise(turn):
    """The same turn in other words: no model uses those of the script."""
    if isinstance(turn, str):
        return turn + " And that is all."
    if isinstance(turn, (list, tuple)):
        return [otherwise(part) for part in turn]
    if isinstance(turn, testing.Part) and turn.done.get("type") == "message":
        text = turn.done["content"][0].get("text", "{")
        return turn if text.startswith("{") else testing.say(otherwise(text))
    if isinstance(turn, testing.Turn):
        return testing.turn(*otherwise(turn.parts), pace=turn.pace)
    return turn

def stand_in(*turns, pace=testing.Pace(60, 0.3), model="scripted"):
    """Step aside as the real one does; the model's name tells the service which script to play."""
    assert original(*turns, pace=pace, model=model) is None
    name = f"script-{len(scripts)}"
    scripts[name] = [list(turns), 0]
    return name

def service(request):
    script = scripts[request.body["model"]]
    turn = script[0][script[1] % len(script[0])]
    script[1] += 1
    return otherwise(turn(request) if callable(turn) else turn)

testing.stand_in = stand_in
server = testing.ScriptedServer(service, pace=testing.Pace(60, 0.3)).start()
os.environ.update(
    OPENAI_API_KEY="sk-nobody", OPENAI_BASE_URL=server.base_url, AGENTSTREAM_LIVE="1")
'''


@LIVE
@pytest.mark.timeout(300)
def test_its_cells_hold_against_a_service_that_uses_other_words(path: Path, tmp_path: Path) -> None:
    """With a key and AGENTSTREAM_LIVE=1 the same cells make real requests, here to loopback."""
    copy, notebook = copy_of(path, tmp_path)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(SERVICE))
    notebook.cells.append(nbformat.v4.new_code_cell("assert server.calls\nserver.close()"))
    text = nbformat.writes(execute(copy, notebook))
    assert "sk-nobody" not in text.replace(SERVICE.strip(), "").replace('\\"sk-nobody\\"', "")
    assert "127.0.0.1" not in text


@EACH
def test_it_was_saved_whole_small_and_without_the_traces_of_a_machine(path: Path) -> None:
    notebook = read(path)
    assert list(problems(notebook, size=path.stat().st_size, max_size=LARGEST)) == []
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert "execution" not in {key for cell in notebook["cells"] for key in cell["metadata"]}
    assert "application/vnd.jupyter.widget" not in path.read_text(encoding="utf-8")


@EACH
def test_it_has_a_title_exercises_with_solutions_and_links_that_lead_somewhere(path: Path) -> None:
    notebook = read(path)
    prose = [source_of(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    assert prose[0].startswith("# ")
    assert "\n## Exercises\n" in "\n".join(["", *prose])
    assert len(solutions(notebook)) >= 1
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(ids) == len(set(ids))
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", "\n".join(prose))
    assert [link for link in links if not (path.parent / link).exists()] == []


@EACH
def test_it_shows_a_run_in_the_view_as_a_table_and_as_a_timeline(path: Path) -> None:
    data = [
        {kind: "".join(text) for kind, text in output.get("data", {}).items()}
        for cell in read(path)["cells"]
        for output in cell.get("outputs", ())
    ]
    html = "".join(one.get("text/html", "") for one in data)
    assert 'class="as-run as-snapshot' in html
    assert 'class="dataframe' in html
    assert "Timeline of " in html + "".join(one.get("image/svg+xml", "") for one in data)
