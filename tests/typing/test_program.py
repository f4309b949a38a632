"""What type checkers find in a program of a user's, and what they are told of keyword options."""

from __future__ import annotations

import inspect
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_overloads

import pytest

import agentstream
from agentstream import Runner, estimate, function_tool, map_frame
from agentstream.rows.estimate import EstimateOptions
from agentstream.rows.options import CompareOptions, MapOptions
from agentstream.run.options import RunOptions, TurnOptions
from agentstream.tools.function_tool import ToolOptions

HERE = Path(__file__).parent
PROGRAM = HERE / "program.py"

MISTAKES = {
    "show(planner, 'Hello', tabel=True)": "tabel",
    "show(42)": "42",
    "chat(planner, max_turn=3)": "max_turn",
    "map_frame(hotel, pd.DataFrame(), '{review}', concurency=3)": "concurency",
    "function_tool(lookup, strict=False)": "strict",
    "load_run('run.jsonl').timelin()": "timelin",
}
"""What a program may get wrong, and a part of what a checker says of it."""


def checker() -> list[str]:
    """The command of pyright, or of basedpyright, which asks nothing of the network."""
    beside = Path(sys.executable).parent
    for name in ("basedpyright", "pyright"):
        found = shutil.which(name, path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
        if found:
            return [found, "--pythonpath", sys.executable]
    pytest.skip("pyright is not installed: pip install basedpyright")


def found_by(command: list[str], folder: Path = HERE) -> tuple[int, str]:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(300)
def test_pyright_finds_no_fault_in_a_program() -> None:
    assert found_by([*checker(), "--project", str(HERE)])[0] == 0, found_by([*checker(), "-p", "."])


@pytest.mark.timeout(300)
def test_mypy_finds_no_fault_in_a_program() -> None:
    code, text = found_by([sys.executable, "-m", "mypy", "--strict", str(PROGRAM)], HERE.parents[1])
    assert code == 0, text


@pytest.mark.timeout(300)
def test_pyright_finds_what_a_program_gets_wrong(tmp_path: Path) -> None:
    lines = PROGRAM.read_text(encoding="utf-8").partition("async def main()")[0]
    wrong = tmp_path / "wrong.py"
    wrong.write_text(lines + "\n".join(MISTAKES) + "\n", encoding="utf-8")
    shutil.copy(HERE / "pyrightconfig.json", tmp_path)
    config = (tmp_path / "pyrightconfig.json").read_text("utf-8").replace("program.py", "wrong.py")
    (tmp_path / "pyrightconfig.json").write_text(config, encoding="utf-8")
    text = found_by([*checker(), "-p", "."], tmp_path)[1]
    first = len(lines.splitlines())
    faulty = {line.split(":")[1] for line in text.splitlines() if " - error: " in line}
    missed = [mistake for at, mistake in enumerate(MISTAKES, first + 1) if str(at) not in faulty]
    assert missed == [], text


def test_the_program_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(PROGRAM), run_name="__main__")
    assert capsys.readouterr().out.endswith("100\n")


@pytest.mark.parametrize(
    ("options", "function", "own"),
    [
        (RunOptions, Runner.run, {"starting_agent", "input"}),
        (RunOptions, Runner.run_sync, {"starting_agent", "input"}),
        (RunOptions, Runner.run_streamed, {"starting_agent", "input"}),
        (MapOptions, map_frame, {"agent", "frame", "prompt", "repeat", "scorers"}),
        (CompareOptions, map_frame, {"agent", "frame", "prompt"}),
        (EstimateOptions, estimate, {"agent", "frame", "prompt"}),
        (ToolOptions, function_tool, {"func"}),
    ],
)
def test_typed_options_are_those_that_a_function_takes(
    options: Any, function: Callable[..., Any], own: set[str]
) -> None:
    assert set(inspect.signature(function).parameters) - own == set(options.__annotations__)


def test_a_turn_of_a_chat_takes_what_a_run_takes_but_the_session() -> None:
    assert set(RunOptions.__annotations__) - {"session"} == set(TurnOptions.__annotations__)


def test_no_public_function_takes_options_of_any_kind() -> None:
    functions = {name: getattr(agentstream, name) for name in agentstream.__all__}
    functions |= {f"Runner.{name}": getattr(Runner, name) for name in ("run", "run_streamed")}
    functions["Chat"] = agentstream.Chat.__init__
    untyped = [
        name
        for name, function in functions.items()
        if inspect.isfunction(function) or inspect.ismethod(function)
        for one in get_overloads(function) or [function]
        for parameter in inspect.signature(one).parameters.values()
        if parameter.kind is parameter.VAR_KEYWORD
        and not str(parameter.annotation).startswith("Unpack[")
    ]
    assert untyped == []
