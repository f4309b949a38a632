"""The guides are true: each of their examples does what it shows, and each is found."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
GUIDES = ("tools", "handoffs", "guardrails", "sessions", "mcp", "errors")


def text_of(guide: str) -> str:
    return (ROOT / "docs" / f"{guide}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("guide", GUIDES)
def test_each_example_does_what_it_shows(guide: str) -> None:
    if guide == "mcp":
        pytest.importorskip("mcp", reason="the mcp extra is not installed")
    blocks = re.findall(r"^```python\n(.*?)^```$", text_of(guide), re.DOTALL | re.MULTILINE)
    assert all(block.startswith(">>> ") for block in blocks)
    # Fences end an example; doctest would take them for output.
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, guide, guide, 0)
    report: list[str] = []
    with pd.option_context("display.width", 200):
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
        runner.run(test, out=report.append)
    assert len(test.examples) > 5
    assert runner.failures == 0, "".join(report)


@pytest.mark.parametrize("guide", GUIDES)
def test_each_guide_is_found_from_the_readme_and_on_the_site(guide: str) -> None:
    assert f"(docs/{guide}.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"- docs/{guide}.md" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("guide", GUIDES)
def test_each_link_leads_to_a_page_and_a_heading(guide: str) -> None:
    text = re.sub(r"^```.*?^```$", "", text_of(guide), flags=re.DOTALL | re.MULTILINE)
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]+)(?:#([^)]+))?\)", text):
        page = (ROOT / "docs" / target).resolve()
        assert page.is_file(), target
        headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        made = {re.sub(r"[^\w\- ]", "", one.lower()).strip().replace(" ", "-") for one in headings}
        assert not anchor or anchor in made, f"{target}#{anchor}"
