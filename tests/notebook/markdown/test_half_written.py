"""Links that are half written, marks of citations and callouts, while a text is written and after.

Public reports of the kinds: vercel/streamdown #165 (addresses while a link is written),
ant-design/x #1988 (the same in a list), lidge-jun/opencodex #3150 (marks of citations in the text).
"""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentstream.notebook.markdown.half_written import (
    as_rendered_while_open,
    without_citation_marks,
)
from agentstream.notebook.markdown.stream import MarkdownStream, render, to_plain
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.notebook.terminal import TerminalView
from agentstream.trace.from_result import fold
from agentstream.trace.trace import Trace
from tests.trace.trace_streams import Script

CITED = "It rained \ue200cite\ue202turn0search0\ue202turn1news12\ue201. Then **sun**."


def looks(text: str) -> list[str]:
    """The HTML after each character, and at the end."""
    stream = MarkdownStream()
    seen = []
    for char in text:
        stream.feed(char)
        seen.append(stream.html)
    stream.finish()
    assert stream.html == render(text)
    return [*seen, stream.html]


@pytest.mark.parametrize(
    "text",
    [
        "See [the docs](https://example.org/a_(b)?c=d) now.",
        "- [the docs](https://example.org/long/path)",
        "# A [heading](https://example.org/x)",
        "> quoted [the docs](<https://example.org/a b>)",
        "![a cat](https://example.org/cat.png \"A 'cat'\")",
        "| a | b |\n|---|---|\n| [the docs](https://example.org/x) | 1 |",
        "**bold [the docs](https://example.org/x)**",
    ],
)
def test_a_half_written_link_never_shows_its_address(text: str) -> None:
    for html in looks(text):
        shown = re.sub("<[^>]*>", "", html)
        assert "example.org" not in shown and "](" not in shown


@pytest.mark.parametrize("rest", ["", " and more", "\n\nThe next paragraph."])
def test_a_link_that_never_closes_is_shown_as_it_was_written(rest: str) -> None:
    last = looks(f"See [the docs](https://example.org/x{rest}")[-1]
    assert "See [the docs](" in last and "example.org/x" in last


def test_code_and_escaped_brackets_are_no_half_written_links() -> None:
    for text in ("`f[0](x", r"\[a](https://example.org", "a](https://example.org", "f(x"):
        assert as_rendered_while_open(text) == text


@given(st.text(alphabet="a [](<>)\"'\\`!\n\ue200\ue201\ue202", max_size=40))
def test_what_is_held_back_is_there_at_the_end_whatever_was_written(text: str) -> None:
    looks(text)


def test_marks_of_citations_are_shown_nowhere() -> None:
    for html in looks(CITED):
        assert "\ue200" not in html and "cite" not in html and "turn0" not in html
    assert render(CITED) == "<p>It rained. Then <strong>sun</strong>.</p>\n"
    assert to_plain(CITED) == "It rained. Then sun.\n"
    script = Script().begin().say(CITED, pieces=9).end().finish()
    shown = snapshot(fold(script.events))
    assert not any("turn0" in text or "\ue200" in text for text in shown.values())


def test_a_mark_keeps_the_words_in_it_and_one_that_broke_off_takes_no_prose_along() -> None:
    assert without_citation_marks("a \ue200url\ue202the docs\ue202turn0search1\ue201 b") == (
        "a the docs b"
    )
    assert without_citation_marks("a \ue200cite\ue202turn0sea") == "a"
    assert without_citation_marks("a \ue200cite and then\nmore") == "a cite and then\nmore"
    assert without_citation_marks("f \ue200filecite\ue202turn0file3\ue202L1-L20\ue201") == "f"


def test_a_terminal_shows_no_mark_however_the_text_arrives() -> None:
    out = io.StringIO()
    trace = Trace()
    view = TerminalView(trace, out)
    for time, event in Script().begin().say(CITED, pieces=len(CITED)).end().finish().events:
        trace.add(event, time)
        view.update()
    view.close()
    # A space that was written before its mark came stays.
    assert out.getvalue().replace(" .", ".") == "Guide\nIt rained. Then **sun**.\n"


@pytest.mark.parametrize("kind", ["NOTE", "TIP", "IMPORTANT", "WARNING", "CAUTION"])
def test_a_callout_has_its_title_live_and_saved(kind: str) -> None:
    text = f"Before.\n\n> [!{kind}]\n> Save **often**.\n\nAfter."
    title = f'<div><strong dir="ltr">{kind.capitalize()}</strong></div>'
    seen = looks(text)
    assert all("[!" not in html and f"{kind}]" not in html for html in seen)
    assert f'<blockquote class="as-callout as-callout-{kind.lower()}">\n{title}' in seen[-1]
    assert f"> {kind.capitalize()}\n>\n> Save often." in to_plain(text)


def test_callouts_stand_in_lists_and_have_the_direction_of_their_text() -> None:
    assert "as-callout-note" in render("- a\n  > [!NOTE]\n  >\n  > inside\n")
    assert 'class="as-callout as-callout-tip" dir="auto"' in render("> [!TIP]\n> שלום").replace(
        'blockquote dir="auto" class="as-callout as-callout-tip"',
        'blockquote class="as-callout as-callout-tip" dir="auto"',
    )
    for text in ("> [!NOTE] with text behind", "> [!OTHER]\n> a", "[!NOTE]\na"):
        assert "as-callout" not in render(text)
