"""The colours of a Styler's cells come through; nothing else of a style does."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentstream.notebook.cards.displays import display_html
from agentstream.notebook.markdown.cell_colours import CELL_STYLE
from agentstream.notebook.markdown.sanitise import sanitise, sanitise_table

FRAME = pd.DataFrame({"sales": [1, 2, 3], "city": ["Oslo", "Rome", "Bonn"]})
CELL = '<table><tr><td id="a">1</td></tr></table>'


def styles(html: str) -> list[str]:
    return re.findall(r'style="([^"]*)"', html)


def test_a_styler_has_its_colours_in_a_card() -> None:
    styler = FRAME.style.highlight_max(color="yellow", subset=["sales"]).set_properties(
        subset=["city"], color="#1f77b4", width="900px"
    )
    html = display_html([{"type": "html", "html": styler.to_html()}])
    assert styles(html) == ["color: #1f77b4;"] * 2 + [
        "color: #000; background-color: yellow;",
        "color: #1f77b4;",
    ]


def test_a_colour_map_has_readable_text_in_either_theme() -> None:
    pytest.importorskip("matplotlib", reason="a colour map is matplotlib's")
    html = sanitise_table(FRAME.style.background_gradient(subset=["sales"]).to_html())
    assert len(styles(html)) == 3
    assert all("background-color: #" in style and "; " in style for style in styles(html))


@pytest.mark.parametrize(
    "rule",
    [
        "#a { background-color: url(https://evil.example/x) }",
        "#a { background: red }",
        "#a { color: red; position: fixed }",
        "#a { color: var(--x) }",
        "#a { color: expression(alert(1)) }",
        "#a { color: red\\; } td { color: blue }",
        "td { color: red }",
        "#b { color: red }",
        "#a:hover { color: red }",
        '#a { color: red"onclick="alert(1) }',
        "@import url(https://evil.example); #a { color: red }",
    ],
)
def test_only_a_colour_of_one_cell_comes_through(rule: str) -> None:
    html = sanitise_table(f"<style>{rule}</style>{CELL}")
    assert set(styles(html)) <= {"color: red;"}
    assert "evil" not in html
    assert "onclick" not in html


@pytest.mark.parametrize(
    "style",
    ["position: fixed;", "color: red; position: fixed;", "color: url(x);", "width: 9px;"],
)
def test_a_style_that_a_cell_has_itself_is_no_other_than_a_colour(style: str) -> None:
    assert styles(sanitise_table(f'<table><tr><td style="{style}">1</td></tr></table>')) == []


def test_only_cells_have_colours_and_only_where_a_table_is_shown() -> None:
    html = '<p style="color: red;">1</p><table><tr><td style="color: red;">1</td></tr></table>'
    assert styles(sanitise_table(html)) == ["color: red;"]
    assert styles(sanitise(html)) == []


PIECES = ["<style>", "</style>", "<td", ' id="a"', ">", "#a", "{", "}", "color:", "red", ";", ","]


@given(st.lists(st.sampled_from([*PIECES, ' style="', '"', "url(x)", "<table><tr>"])))
def test_no_other_style_comes_through_whatever_is_written(pieces: list[str]) -> None:
    page = _Elements()
    page.feed(sanitise_table("".join(pieces)))
    assert "style" not in page.tags
    assert set(page.attributes) <= {"style"}
    assert all(CELL_STYLE.fullmatch(style) for style in page.attributes.get("style", []))


class _Elements(HTMLParser):
    """What a page makes of HTML: its elements, and their attributes by name."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")


@pytest.mark.parametrize(
    "piece",
    ["<td ", "<style>", "<style>#a{color:red}", "<style>#a,", "<style>color: ", "#a{color:red}"],
)
def test_half_written_style_sheets_cost_linear_time(piece: str) -> None:
    def seconds(size: int) -> float:
        began = time.process_time()
        sanitise_table((piece * size)[:size] + "</style>" + CELL)
        return time.process_time() - began

    seconds(1_000)
    # Sixteen times the text would take 256 times as long if it were quadratic.
    assert seconds(160_000) < 100 * max(seconds(10_000), 0.001)
