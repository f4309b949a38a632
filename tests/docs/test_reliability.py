"""Each test that SECURITY.md and docs/reliability.md name for what they say exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = [
    (page, path, function)
    for page in ("SECURITY.md", "docs/reliability.md")
    for path, function in re.findall(
        r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / page).read_text(encoding="utf-8")
    )
]


def test_both_pages_name_tests() -> None:
    assert {page for page, *_ in NAMED} == {"SECURITY.md", "docs/reliability.md"}
    assert len(NAMED) > 80


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/reliability.md"])
def test_each_test_that_is_named_exists(page: str) -> None:
    missing = []
    for _, path, function in filter(lambda named: named[0] == page, NAMED):
        file = ROOT / path
        source = file.read_text(encoding="utf-8") if file.is_file() else ""
        if not re.search(rf"^(async )?def {function}", source, re.MULTILINE):
            missing.append(f"{path}::{function}")
    assert missing == []


def test_each_boundary_of_the_security_page_names_its_test() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = text.partition("| Boundary |")[2].partition("\n\n")[0]
    rows = [line for line in table.splitlines()[2:] if line.startswith("| ")]
    assert len(rows) > 8
    assert [row for row in rows if "`tests/" not in row.rpartition(" | ")[2]] == []
