"""What other systems do otherwise: Windows' newlines and open files, a user without a home."""

from __future__ import annotations

import ast
import os
import sqlite3
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import agentstream
from agentstream.mcp import transports
from agentstream.rows import checkpoint
from agentstream.testing.notebooks.lint import path_in
from agentstream.trace import Trace
from agentstream.trace import png as png_module
from agentstream.trace.timeline.timeline import Timeline

PACKAGE = Path(agentstream.__file__).parent


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Calls in the package of a function or method of this name, and where they stand."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", getattr(node.func, "id", None))
                if called == name:
                    yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node


def keywords(call: ast.Call) -> set[str | None]:
    return {one.arg for one in call.keywords}


@pytest.mark.slow
def test_text_files_are_written_alike_on_every_system() -> None:
    written = [
        (where, call)
        for where, call in calls("write_text")
        if isinstance(call.func, ast.Attribute)  # else our own function, which prints
    ]
    assert written
    assert [at for at, call in written if not keywords(call) >= {"encoding", "newline"}] == []
    read = [at for at, call in calls("read_text") if not call.args and not keywords(call)]
    assert read == []


@pytest.mark.slow
def test_the_tests_read_and_write_files_alike_under_every_locale() -> None:
    found = []
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                needed = {"read_text": 1, "write_text": 2}.get(node.func.attr, 0)
                if len(node.args) < needed and "encoding" not in keywords(node):
                    found.append(f"{path.name}:{node.lineno}")
    assert found == []


def test_nothing_asks_for_a_home_that_may_not_be() -> None:
    homes = [at for at, call in calls("home") if getattr(call.func, "attr", "") == "home"]
    assert homes == [], "Path.home() raises where there is none; os.path.expanduser does not"


def test_a_notebook_is_looked_through_where_there_is_no_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert path_in("nothing here") == ""
    assert path_in("~ is no path") == ""


@pytest.mark.slow
def test_no_temporary_folder_fails_for_a_file_that_somebody_has_open() -> None:
    loose = [
        at
        for at, call in calls("TemporaryDirectory")
        if "ignore_cleanup_errors" not in keywords(call)
    ]
    assert loose == []


def test_no_process_is_asked_for_where_asking_would_interrupt_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def kill(pid: int, signal: int) -> None:
        raise AssertionError("Ctrl-C for the whole console")

    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr(checkpoint, "_SEES_PROCESSES", False)
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE owners (owner, host, pid, born)")
        here = checkpoint.socket.gethostname()
        connection.execute("INSERT INTO owners VALUES ('a', ?, 1, 0)", (here,))
        assert checkpoint.is_alive(connection, "a")
    connection.close()


def test_a_servers_words_are_read_behind_the_hole_of_a_file_that_was_cut() -> None:
    stderr = transports._Stderr()
    os.ftruncate(stderr.file.fileno(), 20)  # what Windows leaves there: a hole of zeros
    stderr.file.write("at the end")
    stderr.file.flush()
    assert stderr.tail() == "at the end"
    stderr.close()


# -- pictures where there is no font --


def drawer_without_fonts(**more: Any) -> Any:
    library = pytest.importorskip("resvg_py", reason="resvg-py, which draws PNG, is not installed")
    return lambda svg, **fonts: bytes(
        library.svg_to_bytes(svg_string=svg, skip_system_fonts=True, **fonts)
    )


def test_a_png_has_its_text_on_a_machine_without_fonts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib, which brings a font, is not installed")
    monkeypatch.setattr(png_module, "_drawer", drawer_without_fonts)
    assert png_module.png(png_module._LETTER) != png_module.png(png_module._BLANK)
    with warnings.catch_warnings(action="error"):
        Timeline(Trace("A run")).save(tmp_path / "run.png")


def test_a_png_without_text_is_saved_with_a_warning_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(png_module, "_drawer", drawer_without_fonts)
    monkeypatch.setattr(png_module, "_font_of_matplotlib", dict)
    with pytest.warns(UserWarning, match=r"no text: there is no font.*save as \.svg") as caught:
        saved = Timeline(Trace("A run")).save(tmp_path / "run.png")
    assert caught[0].filename == __file__
    assert saved.read_bytes().startswith(b"\x89PNG")
