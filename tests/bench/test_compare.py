"""The README's table beside other packages says what those that are installed do."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def script() -> Any:
    """`docs/compare.py`: `docs` is no package, and others have installed one of this name."""
    spec = importlib.util.spec_from_file_location("compare", ROOT / "docs/compare.py")
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


compare = script()
HEADS = {
    "agentstream": "agentstream",
    "openai-agents": "Agents SDK",
    "chatlas": "chatlas",
    "pydantic-ai": "pydantic-ai",
}


def table() -> dict[str, dict[str, str]]:
    """The table's cells by row and column."""
    lines = README.partition("## Comparison")[2].partition("\n## ")[0].splitlines()
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("|")
    ]
    return {row[0].rstrip(" ¹"): dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def test_every_probe_is_a_row_that_is_marked_as_one() -> None:
    marked = re.findall(r"^\| (.+) ¹ \|", README, re.MULTILINE)
    assert sorted(marked) == sorted(compare.ROWS.values())


@pytest.mark.timeout(240)  # a kernel starts, and imports the package
@pytest.mark.parametrize("name", compare.PACKAGES)
def test_the_column_says_what_the_package_does(name: str) -> None:
    if name not in compare.installed():
        pytest.skip(f"{name} is not installed (see docs/compare.py)")
    told = {key: table()[row][HEADS[name]] for key, row in compare.ROWS.items()}
    assert told == {key: "✓" if does else "–" for key, does in compare.probe(name).items()}


def test_the_versions_that_it_names_are_those_that_were_asked() -> None:
    from importlib.metadata import PackageNotFoundError, version

    distributions = {"pydantic-ai": "pydantic-ai-slim"}
    for name, told in re.findall(r"(openai-agents|chatlas|pydantic-ai) (\d+\.\d+)[, ]", README):
        try:
            here = version(distributions.get(name, name))
        except PackageNotFoundError:
            continue
        assert here.startswith(f"{told}."), f"{name} {here} is installed; run docs/compare.py"
