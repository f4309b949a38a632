"""`docs/tutorials.md` is true: its commands, options and limits are those of the code."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import agentstream
from agentstream import testing
from agentstream.__main__ import main
from agentstream.notebook.magic.options import FLAGS, parse

DOC = (Path(__file__).parents[2] / "docs/tutorials.md").read_text(encoding="utf-8")


def test_every_option_of_the_cell_is_described_and_none_that_is_not_there() -> None:
    table = re.findall(r"^\| (`-.*?) \|", DOC, re.MULTILINE)
    assert set(re.findall(r"(--?\w+)", " ".join(table))) == set(FLAGS)


def test_the_cells_of_the_magic_are_read_as_they_stand() -> None:
    (cell,) = re.findall(r"^%%agent (.*)\n((?:[^`].*\n)+)```", DOC, re.MULTILINE)
    asked = parse(cell[0], cell[1])
    assert (asked.agent, asked.session, asked.output) == ("tutor", "", "result")


def test_python_that_is_shown_is_python_and_its_names_are_public() -> None:
    blocks = [one for one in re.findall(r"```python\n(.*?)```", DOC, re.DOTALL) if "%" not in one]
    assert len(blocks) >= 5
    for block in blocks:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module in (
                "agentstream",
                "agentstream.testing",
            ):
                home = testing if node.module.endswith("testing") else agentstream
                assert all(alias.name in home.__all__ for alias in node.names), block


def test_commands_and_limits_are_those_of_the_code(tmp_path: Path) -> None:
    commands = set(re.findall(r"python -m agentstream ([\w-]+)", DOC))
    assert commands == {"new-tutorial", "save-tutorial", "check-tutorial", "record-tutorial"}
    for command in commands - {"new-tutorial"}:
        assert main([command, str(tmp_path / "none.ipynb")]) == 1
    limits = inspect.signature(testing.check_notebook).parameters
    for name, value in re.findall(r"`([a-z_]+)=([\d_]+)`", DOC):
        assert limits[name].default == int(value)
