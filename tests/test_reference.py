"""The reference lists every public name as the code has it."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

import agentstream
from agentstream import mcp, testing

DOCS = Path(__file__).parents[1] / "docs"


def script() -> Any:
    """`docs/reference.py`; see `tests/bench/test_compare.py` for why it is not imported."""
    spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_docstrings_say() -> None:
    written = (DOCS / "reference.md").read_text(encoding="utf-8")
    assert written == script().page(), "run `python docs/reference.py`"


def test_every_public_name_is_on_the_page() -> None:
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    names = (*agentstream.__all__, *mcp.__all__, *testing.__all__)
    assert [one for one in names if f"`{one}`" not in page and f"`{one}(" not in page] == []


def test_what_is_ours_stands_under_a_title() -> None:
    reference = script()
    found = [
        (name, reference.module_of(getattr(agentstream, name))) for name in agentstream.__all__
    ]
    assert [name for name, module in found if module and not reference.group_of(module)] == []


def test_every_function_is_there_with_its_parameters_and_defaults() -> None:
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    for name, shown in (
        ("show", ("table: bool = False", "**options: Unpack[RunOptions[TContext]]")),
        ("map_frame", ("concurrency: int = 256", "scorers: Sequence[Any] | None = None")),
        ("Runner.run", ("max_turns: int | None = DEFAULT_MAX_TURNS", "max_turns: int | None = 10")),
        ("recording", ("mode: Mode = 'once'",)),
        ("recording.start", ("-> recording",)),
    ):
        block = page.partition(f"# `{name}`\n\n```python\n")[2].partition("```")[0]
        assert any(one in block for one in shown), name
    functions = {name: getattr(agentstream, name) for name in agentstream.__all__}
    for name, function in functions.items():
        if inspect.isfunction(function):
            block = page.partition(f"### `{name}`\n\n```python\n")[2].partition("```")[0]
            parameters = inspect.signature(function).parameters
            assert [one for one in parameters if one not in block] == [], name
