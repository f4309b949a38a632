"""`python -m agentstream`: a tutorial is written that runs and passes its own test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentstream import __version__
from agentstream.__main__ import main
from agentstream.testing import ScriptedServer, check_notebook

pytest.importorskip("nbclient", reason="the lab extra is not installed")
pytest.importorskip("ipykernel", reason="the lab extra is not installed")


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new tutorial, as the command writes it."""
    folder = tmp_path_factory.mktemp("tutorials") / "lisbon"
    assert main(["new-tutorial", "my-first", "--into", str(folder)]) == 0
    return folder


@pytest.mark.slow
def test_it_writes_a_notebook_its_recording_and_its_test(tutorial: Path) -> None:
    assert sorted(path.name for path in tutorial.iterdir()) == [
        "my-first.ipynb",
        "my-first.jsonl",
        "test_my_first.py",
    ]
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(tutorial / "my-first.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].source.startswith("# My first\n")


def test_its_outputs_are_saved_and_show_the_run_without_a_kernel(tutorial: Path) -> None:
    cells = json.loads((tutorial / "my-first.ipynb").read_text("utf-8"))["cells"]
    outputs = [one for cell in cells for one in cell.get("outputs", ())]
    kinds = [sorted(one["data"]) for one in outputs]
    assert kinds == [
        ["text/html", "text/markdown", "text/plain"],
        ["text/html", "text/plain"],
        ["image/svg+xml", "text/plain"],
    ]
    shown = "".join(outputs[0]["data"]["text/plain"])
    assert "Tram 28 goes to the castle." in shown
    assert "Take tram 28" in shown
    assert "/tmp" not in (tutorial / "my-first.ipynb").read_text("utf-8")


@pytest.mark.slow
def test_its_own_test_passes_where_nothing_of_this_project_is_configured(tutorial: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "."],
        cwd=tutorial,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.mark.slow
def test_its_test_fails_when_the_tutorial_no_longer_says_what_it_shows(
    tutorial: Path, tmp_path: Path
) -> None:
    for path in tutorial.glob("my-first.*"):
        changed = path.read_text("utf-8").replace("Sit on the left", "Sit on the deck")
        (tmp_path / path.name).write_text(
            path.read_text("utf-8") if path.suffix == ".ipynb" else changed, encoding="utf-8"
        )
    with pytest.raises(Exception, match="not those of a fresh run"):
        check_notebook(tmp_path / "my-first.ipynb")


@pytest.mark.slow
def test_saving_it_again_changes_nothing(
    tutorial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tutorial / "my-first.ipynb").read_bytes()
    assert main(["save-tutorial", str(tutorial / "my-first.ipynb")]) == 0
    assert capsys.readouterr().out.endswith("my-first.ipynb: nothing new\n")
    assert (tutorial / "my-first.ipynb").read_bytes() == before


@pytest.mark.slow
def test_it_is_recorded_anew_with_a_key_and_saved(
    tutorial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    for path in tutorial.glob("my-first.*"):
        (tmp_path / path.name).write_text(path.read_text("utf-8"), encoding="utf-8")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert main(["record-tutorial", str(tmp_path / "my-first")]) == 1
    assert "OPENAI_API_KEY is not set" in capsys.readouterr().err
    with ScriptedServer(["Tram 28, it is not far."] * 9) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-only-for-this-test-0123456789")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        assert main(["record-tutorial", str(tmp_path / "my-first")]) == 0
        assert server.requests
    assert capsys.readouterr().out.endswith("my-first.ipynb: recorded and saved\n")
    for name in ("my-first.jsonl", "my-first.ipynb"):
        text = (tmp_path / name).read_text("utf-8")
        assert "it is not far" in text
        assert "sk-only" not in text
    monkeypatch.undo()
    check_notebook(tmp_path / "my-first.ipynb")


def test_nothing_is_overwritten(tutorial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new-tutorial", "my-first", "--into", str(tutorial)]) == 1
    told = capsys.readouterr().err
    assert "there is already my-first.ipynb, my-first.jsonl, test_my_first.py" in told
    assert "--into FOLDER" in told


@pytest.mark.parametrize("name", ["", "my first", "a/b", "../x", "-x", "é", "x.ipynb.ipynb"])
def test_a_name_that_is_none_is_refused_and_nothing_is_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["new-tutorial", "--into", str(tmp_path / "into"), "--", name]
    assert main(arguments) == 1
    assert "is no name for a tutorial" in capsys.readouterr().err
    assert not (tmp_path / "into").exists()


def test_a_notebook_that_is_wrong_is_told_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check-tutorial", str(tmp_path / "none.ipynb")]) == 1
    assert "There is no notebook" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_says_what_it_can_do() -> None:
    command = [sys.executable, "-m", "agentstream"]
    told = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    for name in ("info", "new-tutorial", "record-tutorial", "check-tutorial", "save-tutorial"):
        assert name in told
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout == f"{__version__}\n"
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2
