"""Text from anybody: Markdown, code, formulas and JSON render without an error, in linear time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentstream._utils.printable import clean_text
from agentstream.notebook.cards.values import json_html
from agentstream.notebook.markdown.highlight import code_block
from agentstream.notebook.markdown.latex import mathml
from agentstream.notebook.markdown.sanitise import escape, image, link, safe_url, sanitise
from agentstream.notebook.markdown.stream import MarkdownStream, render, to_plain
from tests.fuzz.strange import ODD, examples, is_linear, nested

PIECES = st.sampled_from(
    """* ** _ __ ~~ ` `` ``` ~~~ # ## > - + 1. 1) [ ] ( ) ![ ]( ]: [a]: [^1] < > </ <b> </b> <ul>
    <li> <details> </details> <summary> <table> <td> <!-- --> <script> <math> <svg> & &amp; &#0;
    &#x202e; | |- |a| $ $$ \\( \\) \\[ \\] \\frac{ } ^ \\begin{aligned} \\end{aligned} \\text{<b>}
    \\ :// https://a.b mailto:a@b javascript: data: --- === *** [x] " ' a word é 😀 \ud800 \udc00 \0
    \x1b \u202e \u2028 \xa0""".split(" ")
) | st.sampled_from(["\n", "\n\n", " ", "  \n", "    ", "\t", "\r", "\r\n", "- [ ] ", "```py\n"])
TEXTS = st.lists(PIECES, max_size=60).map("".join)


@examples(120)
@given(text=TEXTS, step=st.integers(1, 40))
def test_any_text_renders_streamed_as_whole_and_lets_nothing_through(text: str, step: int) -> None:
    html = render(text)
    stream = MarkdownStream()
    for at in range(0, len(text), step):
        stream.feed(text[at : at + step])
        assert stream.open.html
    stream.finish()
    assert stream.html == html
    assert "<script" not in sanitise(html)
    assert not any(unfit in html for unfit in ("<script", "<svg", "<img", "\u202e", "\ud800"))
    assert "\x1b" not in to_plain(text)


@examples(100)
@given(text=TEXTS | st.text(max_size=200), language=st.sampled_from(["python", "c", "js", "x", ""]))
def test_any_text_is_code_a_formula_and_an_address(text: str, language: str) -> None:
    for html in (code_block(text, language), mathml(text), link(text, text), image(text, text)):
        assert "<script" not in sanitise(html)
    assert escape(text) == escape(clean_text(text))
    assert safe_url(text) is None or text.strip().startswith(("http", "mailto", "HTTP", "MAILTO"))


@pytest.mark.slow
@examples(40)
@given(value=ODD)
def test_any_value_is_shown_as_json(value: Any) -> None:
    assert "<script" not in json_html(value)
    assert json_html({"a": [value]})
    assert json_html(nested(5_000, value))


# 40,000 characters and four times that, beside the shapes in
# tests/notebook/markdown/test_stream.py.
SHAPES: dict[str, Callable[[int], str]] = {
    "raw tags": lambda n: "<b><i><u><s>" * (n // 24) + "</s></u></i></b>" * (n // 32),
    "raw lists": lambda n: "<ul><li>" * (n // 8),
    "raw lists in blocks": lambda n: "<details>\n\n" + ("<ul>" * 500 + "\n\n") * (n // 2_000),
    "raw lists in items": lambda n: ("- " + "<ul>" * 500 + "\n") * (n // 2_000),
    "raw styles and paragraphs": lambda n: "<b><i><u><s><em><q>\n" + "<p>a\n" * (n // 5),
    "folds in folds": lambda n: "<details>\n\n" * (n // 24) + "</details>\n\n" * (n // 24),
    "rows of a wide table": lambda n: "|a" * 20 + "\n" + "|-" * 20 + "\n" + "|\n" * (n // 2),
    "columns": lambda n: "|a" * (n // 4) + "\n" + "|-" * (n // 4) + "\n",
    "links in links": lambda n: "[" * (n // 20) + "a" + "](https://b.c)" * (n // 20),
    "open titles": lambda n: "[a](b '" * (n // 7),
    "open definitions": lambda n: "[a]: x 'b\n" * (n // 10),
    "lazy lines": lambda n: ">" + "a\n" * (n // 2),
    "open formula": lambda n: "$$\n" + "x\n" * (n // 2),
    "entities": lambda n: "&amp;&#x" * (n // 8),
    "headings": lambda n: "a\n===\n" * (n // 6),
    "lines": lambda n: "a\n" * (n // 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_rendering_takes_time_that_grows_as_the_text(shape: str) -> None:
    assert is_linear(lambda n: render(SHAPES[shape](n)), 10_000)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["links in links", "entities", "headings", "lines", "columns"])
def test_text_for_a_terminal_takes_time_that_grows_as_the_text(shape: str) -> None:
    assert is_linear(lambda n: to_plain(SHAPES[shape](n)), 10_000)


@pytest.mark.slow
@pytest.mark.parametrize("mark", ["[", "(", "*", "_", "~", "`", "<", "$", "!["])
def test_a_hundred_thousand_marks_are_rendered_with_what_follows(mark: str) -> None:
    assert "end" in render(mark * 100_000 + "\n\nend")


def streamed(text: str, step: int) -> MarkdownStream:
    stream = MarkdownStream()
    for at in range(0, len(text), step):
        stream.feed(text[at : at + step])
        assert stream.open.html
    stream.finish()
    return stream


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", ["```\n" + "a" * 5_000_000, "```py\n" + "x = 1\n" * 150_000, "word " * 1_000_000]
)
def test_five_megabytes_that_do_not_end_stream(text: str) -> None:
    assert len(streamed(text, 50_000).html) > 800_000


@pytest.mark.slow
def test_a_hundred_thousand_lines_looked_at_as_they_come_take_time_that_grows_as_they() -> None:
    assert is_linear(lambda n: streamed("A line of an answer.\n\n" * n, 2_000), 6_250)


@pytest.mark.slow
def test_ten_thousand_links_are_rendered() -> None:
    assert render("[a](https://b.c) " * 4_000).count("<a ") == 4_000
    assert render("[a](https://b.c)\n\n" * 10_000).count("<a ") == 10_000
