"""The README's programs run; what it and the other pages point to exists."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.test_notebooks import NOTEBOOKS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FILM_BYTES = 1_500_000


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
async def test_program_runs_as_in_a_notebook_cell(number: int) -> None:
    code = compile(PROGRAMS[number], "README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    done = eval(code, {"__name__": "__main__"})
    if inspect.isawaitable(done):
        await done


def test_there_is_a_program_of_ten_lines() -> None:
    assert [line for line in PROGRAMS[0].splitlines() if line]
    assert len([line for line in PROGRAMS[0].splitlines() if line]) <= 10


def pointed_to(page: Path) -> set[str]:
    """Files that a page links, shows or names, as it writes them."""
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    pictures = re.findall(r'(?:src|srcset|href)="([^"]+)"', text)
    return {one for one in links + pictures if not re.match(r"[a-z]+:", one)}


def headings(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_points_to_is_there(page: Path) -> None:
    missing = []
    for pointer in pointed_to(page):
        path, _, anchor = unquote(pointer).partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in headings(target)):
            missing.append(pointer)
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:tests|notebooks|agentstream|bench|docs|\.ci)/[\w./-]*)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_picture_has_words_for_those_who_do_not_see_it() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert "![](" not in text
        for tag in re.findall(r"<img[^>]*>", text):
            assert re.search(r'alt="[^"]{20,}"', tag), tag


def test_every_notebook_is_linked() -> None:
    linked = pointed_to(ROOT / "README.md")
    missing = {f"notebooks/{path.name}" for path in NOTEBOOKS} - linked
    assert missing == set(), "add it to the README's list of notebooks"


def test_every_picture_is_used() -> None:
    used = {(page.parent / pointer).resolve() for page in PAGES for pointer in pointed_to(page)}
    assert {one.name for one in (ROOT / "docs/img").iterdir() if one not in used} == set()


def test_the_films_are_small_and_stand_still_for_those_who_ask() -> None:
    for film in (ROOT / "docs/img").glob("*.gif"):
        assert film.stat().st_size < FILM_BYTES
    asked = dict(re.findall(r'<source media="([^"]+)" srcset="([^"]+)">', README))
    still = [picture for media, picture in asked.items() if "reduced-motion" in media]
    assert sorted(still) == ["docs/img/film-dark.png", "docs/img/film.png"]
    # The first that fits is taken.
    assert ["motion" in media for media in asked] == [True, True, False]
