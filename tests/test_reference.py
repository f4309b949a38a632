"""The reference lists every public name as the code has it."""

from __future__ import annotations

import importlib.util
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
