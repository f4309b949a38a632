"""The README's programs run, and its table names tests that exist."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from pathlib import Path

import pytest

from .test_notebooks import NOTEBOOKS, printed

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
async def test_program_runs_as_in_a_notebook_cell(number: int) -> None:
    code = compile(PROGRAMS[number], "README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    done = eval(code, {"__name__": "__main__"})
    if inspect.isawaitable(done):
        await done


def test_there_is_a_program() -> None:
    assert PROGRAMS


def test_every_file_that_it_names_is_there() -> None:
    named = set(re.findall(r"`((?:tests|notebooks|agentstream|\.ci)/[\w./-]*)`", README))
    assert named
    named |= set(re.findall(r"\]\(([\w./-]+)\)", README))
    missing = {name for name in named if not (ROOT / name).exists()}
    assert missing == set()


def test_the_output_that_it_shows_is_the_notebooks() -> None:
    shown = re.search(r"^    === Guide ===\n(?:(?:    .*)?\n)+", README, re.MULTILINE)
    assert shown
    assert textwrap.dedent(shown[0]).strip() in printed(NOTEBOOKS[0])
