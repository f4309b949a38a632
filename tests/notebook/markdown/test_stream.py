"""Markdown that renders while it is written: incremental equals one-shot, and stays linear."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import markdown_it
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it.renderer import RendererHTML

from agentstream.exceptions import UserError
from agentstream.notebook.markdown import stream as module
from agentstream.notebook.markdown.renderer import Group, parser
from agentstream.notebook.markdown.sanitise import escape
from agentstream.notebook.markdown.stream import (
    MarkdownStream,
    difference,
    render,
    rendered,
    to_plain,
)

SPEC = Path(__file__).resolve().parents[4] / "shared" / "markdown" / "commonmark-spec.json"
needs_spec = pytest.mark.skipif(not SPEC.exists(), reason="CommonMark's examples are not at hand")

# What CommonMark's own examples do not have, or what acts backwards and at a distance.
OWN_CASES = (
    "| a | b |\n|:--|--:|\n| 1 | **2** |\n| 3 |\n\ntext\n",
    "text\n| a | b |\n|---|---|\n| 1 | 2 |\ntext\n",
    "not [a]\n\n[a]: https://a.b\n'title\nmore'",
    "| a |\n| - |\n> quote\n",
    "- [ ] open\n- [x] done\n\n  loose\n- [X] x\n",
    "1. a\n2. b\n\n3. c\n   - d\n\n     e\n",
    "- a\n- b\n* c\n+ d\n",
    "- a\n\n\n- b\n\nend",
    "- a\n-\n- c\n-b",
    "1. a\n\n2",
    "1. a\n\n2. b\n3) c",
    "~~gone~~ ~one~ ~5 and ~6\n",
    "see [a], [b][c] and [d]\n\n[a]: https://a.b\n[C]: /c 'title'\n",
    '[a]: https://a.b\n"title\n\nnot" [a]\n',
    '[a]: https://a.b\n"title\nmore" [a]\n',
    "[a]: https://a.b\n'title\nmore'\n[a]\n",
    '[a]: https://a.b\n"t\n===\nbar"\n\n[a]',
    "[foo\n===\nbar]: https://a.b\n\n[foo === bar]\n",
    "> [a]\n\ntext\n\n> [a]: https://a.b\n",
    "[a]: https://first\n\n[a]\n\n[a]: https://second\n",
    "a\n-\nb\n---\nc\n===\n",
    "a\n\n---\n\n***\nb\n",
    "# a\nb\n# c #\nd\n",
    "```py\nx = 1\n\n```\ntext\n~~~\nopen\n\n",
    "````\n```\n````\na\n```",
    "- ```\n  code\n\n  more\n- b\n",
    "> a\nb\n> c\n\nd\n>e\n",
    "> - a\n>\n>   b\n> - c\n",
    "    code\n\n    more\ntext\n\tx\n",
    "<div>\n*a*\n\n*b*\n</div>\n\n<!-- x\n\ny -->\nz\n",
    "<details>\n<summary>s</summary>\n\n- a\n\n- b\n\n</details>\n\nafter\n",
    "<details>\n\n<details>\n\na\n\n</details>\n\nb\n\n</details>\n\nc\n",
    "</details>\n\n<details>\n\nnever closed\n\n# a\n",
    "costs $5 and $6, $x^2$ and $$y$$, \\(z\\), \\[w\\].\n",
    "text\n$$\na = b\n# c\n$$\ntext\n",
    "$$\nnever closed\n# a\n\nb\n",
    "\\[\n\\frac{a}{b}\n\\]\n\n\\[ x \\]\n\n$$ y $$\n",
    "- item\n\n  $$\n  x\n  $$\n\n- b\n",
    "https://a.b/c_d(e). <https://f.g> www.h.i j@k.l\n",
    "a\r\nb\r\n\r\nc\rd\r\r- e",
    "\ud83d\ude00 \ud83d x \ude00\n",
    "a\x00b &#0; &amp; &copy;\n",
    "  \n\n \t\n  a  \nb\\\nc\n",
    "*a **b *c** d* `e``f` ``g`h``\n",
    "![a](b) [![c](d)](https://e.f) ![g][h]\n\n[h]: i\n",
)


def pieces(text: str, cuts: Iterable[int]) -> list[str]:
    places = [0, *sorted(cuts), len(text)]
    return [text[a:b] for a, b in pairwise(places)]


def streamed(parts: Iterable[str]) -> MarkdownStream:
    """Feed the parts, look at the result after each, and end."""
    stream = MarkdownStream()
    for part in parts:
        stream.feed(part)
        before = list(stream.finished)
        assert stream.open.html.count("as-tail") == 1
        assert stream.finished[: len(before)] == before
    before = list(stream.finished)
    changed = stream.finish()
    kept = stream.finished[: len(before)]
    assert changed == [n for n, (a, b) in enumerate(zip(before, kept, strict=True)) if a != b]
    assert (stream.open.html, stream.open.tail) == ("", "")
    return stream


def check_all_cuts(text: str) -> None:
    whole = render(text)
    for cut in range(len(text) + 1):
        assert streamed([text[:cut], text[cut:]]).html == whole, (text, cut)
    assert streamed(text).html == whole, text


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no plain words wait: every look reads on."""
    monkeypatch.setattr(module, "_WORD_WAIT", 0)
    monkeypatch.setattr(module, "_WORD_SHARE", 10**9)


def examples() -> list[dict[str, str]]:
    return json.loads(SPEC.read_text("utf-8"))["examples"] if SPEC.exists() else []


# -- the law: incremental equals one-shot --


@pytest.mark.slow
@needs_spec
def test_each_commonmark_example_cut_at_every_character_renders_as_the_whole() -> None:
    assert len(examples()) >= 650
    for example in examples():
        check_all_cuts(example["markdown"])


@needs_spec
@pytest.mark.usefixtures("impatient")
def test_each_commonmark_example_by_single_characters_renders_as_the_whole() -> None:
    for example in examples():
        assert streamed(example["markdown"]).html == render(example["markdown"])


@pytest.mark.parametrize("text", OWN_CASES)
def test_each_case_of_our_own_cut_at_every_character_renders_as_the_whole(text: str) -> None:
    check_all_cuts(text)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("text", OWN_CASES)
def test_it_does_so_too_when_every_look_reads_on(text: str) -> None:
    check_all_cuts(text)


LINES = sorted(
    {line for case in OWN_CASES for line in case.split("\n")}
    | {"", "[a]: /x", '"t', "t'", "===", "- a"}
)
DOCUMENTS = st.lists(st.sampled_from(LINES), max_size=14).map("\n".join)


@settings(max_examples=300, deadline=None)
@given(text=DOCUMENTS, data=st.data())
def test_lines_in_any_order_cut_anywhere_render_as_the_whole(
    text: str, data: st.DataObject
) -> None:
    cuts = data.draw(st.sets(st.integers(0, len(text)), max_size=30))
    assert streamed(pieces(text, cuts)).html == render(text)


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(st.sampled_from(OWN_CASES), min_size=1, max_size=12), step=st.integers(1, 40))
def test_long_texts_are_rendered_as_the_whole_while_reading_is_put_off(
    parts: list[str], step: int
) -> None:
    text = "\n".join(parts * 3)
    whole = render(text)
    short, module._SHORT = module._SHORT, 50
    try:
        assert streamed(text[at : at + step] for at in range(0, len(text), step)).html == whole
    finally:
        module._SHORT = short


# -- CommonMark --


class _Neutral(RendererHTML):
    """The library's own renderer, which sanitises nothing."""

    def definition(self, *_: object) -> str:
        return ""


@needs_spec
def test_the_parser_reads_commonmark_as_its_examples_say() -> None:
    md = parser()
    wrong = {
        number: example["markdown"]
        for number, example in enumerate(examples(), 1)
        if _Neutral().render(md.parse(example["markdown"]), md.options, {}) != example["html"]
    }
    # The library writes an empty quote on one line: the same element.
    expected = {241: ">\n", 242: ">\n>  \n> \n"}
    if markdown_it.__version__.startswith(
        "3."
    ):  # symbols and comments, as CommonMark 0.30 has them
        expected |= {number: examples()[number - 1]["markdown"] for number in (356, 627, 628)}
    assert wrong == expected


# -- what finished blocks and the open one show --


def test_blocks_before_the_open_one_are_finished() -> None:
    stream = MarkdownStream()
    stream.feed("# Title\n\nOne.\n\n- a\n- b\n\nTw")
    assert stream.open.html.startswith("<p>Tw<")
    assert stream.finished[:2] == ["<h1>Title</h1>\n", "<p>One.</p>\n"]
    assert len(stream.finished) == 3


def test_plain_words_wait_in_the_tail_and_the_html_stays() -> None:
    stream = MarkdownStream()
    stream.feed("Some **bold** ")
    first = stream.open
    assert first.html == '<p>Some <strong>bold</strong><span class="as-tail"></span></p>\n'
    assert first.tail == " "
    stream.feed("words, and more")
    assert stream.open == module.OpenBlock(first.html, " words, and more", first.revision)
    stream.feed(" *x*")
    assert stream.open.revision == first.revision + 1
    assert "words, and more <em>x</em>" in stream.open.html


@pytest.mark.parametrize("line", ["-", "- ", "===", "1", "12.", "**", "```", "|---|:-"])
def test_a_line_of_nothing_but_marks_is_not_shown_before_it_goes_on(line: str) -> None:
    stream = MarkdownStream()
    stream.feed(f"Trams are:\n{line}")
    assert stream.html == "<p>Trams are:</p>\n"
    stream.finish()
    assert stream.html == render(f"Trams are:\n{line}") != "<p>Trams are:</p>\n"


def test_code_that_arrives_waits_inside_its_block() -> None:
    stream = MarkdownStream()
    stream.feed("```python\nx = 1\n")
    assert stream.open.html.endswith('<span class="as-tail"></span></code></pre>\n')
    revision = stream.open.revision
    stream.feed("y = 2\n")
    assert (stream.open.tail, stream.open.revision) == ("y = 2\n", revision)


def test_the_tail_is_text_and_is_escaped_when_it_becomes_html(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_SHORT", 0)
    stream = MarkdownStream()
    stream.feed("word " * 100 + "\n")
    assert stream.open.tail == ""
    stream.feed("<img src=x>")
    assert stream.open.tail == "<img src=x>"
    assert escape("<img src=x>") in stream.html


def test_nothing_is_rendered_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = MarkdownStream()
    monkeypatch.setattr(module, "groups", None)
    for _ in range(1000):
        stream.feed("# a\n\n")


def test_links_defined_later_are_reported_as_changed_blocks() -> None:
    stream = MarkdownStream()
    for part in ("See [it].\n\n", "Not [this].\n\n", "[it]: https://a.b\n\nend\n\n"):
        stream.feed(part)
        assert "href" not in stream.html
    assert stream.finish() == [0]
    assert '<a href="https://a.b"' in stream.finished[0]


def test_links_defined_before_are_found_at_once() -> None:
    stream = MarkdownStream()
    stream.feed("[it]: https://a.b\n\nSee [it] now")
    assert 'href="https://a.b"' in stream.open.html


def test_a_text_that_has_ended_takes_no_more() -> None:
    stream = MarkdownStream()
    stream.feed("a")
    stream.finish()
    assert stream.finish() == []
    with pytest.raises(UserError, match="Begin a new MarkdownStream"):
        stream.feed("b")
    assert stream.html == "<p>a</p>\n"


@given(st.text(alphabet="ab\U0001f600"), st.text(alphabet="ab\U0001f601\U0001f600"))
def test_a_difference_makes_the_new_of_the_old_in_javascripts_units(old: str, new: str) -> None:
    start, end, insert = difference(old, new)
    units = old.encode("utf-16-le")
    made = units[: 2 * start] + insert.encode("utf-16-le") + units[len(units) - 2 * end :]
    assert made.decode("utf-16-le") == new


def test_a_difference_is_small_where_little_changed() -> None:
    assert difference("<p>a b</p>", "<p>a b c</p>") == (6, 4, " c")
    assert difference("same", "same") == (4, 0, "")


def test_the_source_is_kept() -> None:
    stream = streamed("a\r\nb **c**")
    assert stream.source == "a\nb **c**"


def test_no_text_makes_no_html() -> None:
    assert streamed([]).html == streamed(["", "\n \n"]).html == render("") == ""


# -- dialect --


@pytest.mark.parametrize(
    "text",
    [
        "costs $5 and $6",
        "$HOME and $PATH",
        "US$5 (or US$6)",
        "$5-$10",
        "a$b$c",
        "5$ (6$)",
        "$ x $",
        "$$$",
        r"\$x\$",
        r"\(\)",
        r"\[\\\]",
        "`$x$`",
        "$_$",
    ],
)
def test_dollars_in_prose_are_no_maths(text: str) -> None:
    assert "<math" not in render(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("$x$", 1),
        ("the $n$th of $m$.", 2),
        (r"\(x\) and \(y\)", 2),
        ("**$x$**", 1),
        (r"\[x\]", 1),
        ("a $$x$$ b", 1),
        ("$$\nx\n$$", 1),
        ("$$x\n+ y$$", 1),
        ("> $$\n> x\n> $$", 1),
        ("($x$)", 1),
        ("\\[\n\\begin{aligned} a &= b \\\\\n c &= d\\end{aligned}\n\\]", 1),
        ("| $x$ |\n|-|\n| $y$ |", 2),
    ],
)
def test_the_four_delimiters_make_maths(text: str, count: int) -> None:
    assert render(text).count("<math") == count


def test_display_maths_is_marked_as_such() -> None:
    assert 'display="block"' in render("$$\nx\n$$")
    assert 'display="inline"' in render("$x$")


def test_a_formula_that_is_no_latex_is_shown_as_its_source() -> None:
    assert render(r"$\frac{$") == "<p><code>\\frac{</code></p>\n"
    assert "<code>" in render("$$" + "{" * 5_000 + "x$$")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("H<sub>2</sub>O<br>x", "<p>H<sub>2</sub>O<br>x</p>\n"),
        ("<kbd onclick=x>a</kbd>", "<p><kbd>a</kbd></p>\n"),
        ("<script>a</script>", "<p>&lt;script&gt;a&lt;/script&gt;</p>\n"),
        ("a <custom-tag> b", "<p>a &lt;custom-tag&gt; b</p>\n"),
        ('<div align="center">a</div>', "<p>a</p>\n"),
        ("if a<b and c>d", "<p>if a&lt;b and c&gt;d</p>\n"),
        ("list<b> x", "<p>list&lt;b&gt; x</p>\n"),
        ("x</i> y", "<p>x&lt;/i&gt; y</p>\n"),
        ("[a](/relative) [b](#c)", "<p>a b</p>\n"),
        ("- [ ] a\n- [x] b", "<ul>\n<li>☐ a</li>\n<li>☑ b</li>\n</ul>\n"),
        ("~~a~~ ~b~", "<p><s>a</s> ~b~</p>\n"),
    ],
)
def test_the_dialect_is_as_documented(text: str, html: str) -> None:
    assert render(text) == html


def test_an_image_becomes_a_link_with_its_text() -> None:
    html = render("![a *cat*](https://a.b/c.png) [![in](https://d.e)](https://f.g)")
    assert "<img" not in html
    assert ">a cat</a>" in html
    assert '<a href="https://f.g" target="_blank" rel="noopener noreferrer nofollow">in</a>' in html


def test_bare_addresses_end_where_the_sentence_goes_on() -> None:
    html = render("(https://a.b/c_(d)), https://e.f. `https://g.h` [https://i.j](https://k.l)")
    assert ">https://a.b/c_(d)</a>)," in html
    assert ">https://e.f</a>." in html
    assert html.count("<a ") == 3


def test_markdown_between_details_tags_is_one_folded_block() -> None:
    html = render("<details><summary>More</summary>\n\n- **a**\n\n</details>\n\nafter")
    assert html.index("<strong>") < html.index("</details>") < html.index("after")


def test_text_nested_deeper_than_the_parser_goes_is_kept() -> None:
    assert "deepest" in render("> " * 500 + "deepest")
    assert "deepest" in render("- " * 500 + "deepest")


def test_headings_tables_and_links_read_well_in_a_terminal() -> None:
    text = "# Trip\n\nSee [it](https://a.b) *now*.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
    text += "1. x\n   - y\n2. z\n\n> q\n"
    assert to_plain(text) == (
        "Trip\n====\n\nSee it (https://a.b) now.\n\na | b\n1 | 2\n\n1. x\n   - y\n2. z\n\n> q\n>\n"
    )


def test_no_control_sequence_reaches_a_terminal() -> None:
    assert "\x1b" not in to_plain("\x1b[2J&#27;[2J `\x1b]0;x\x07`")


# -- work is linear in the text --

HUGE: dict[str, Callable[[int], str]] = {
    "one line": lambda n: "word " * (n // 5),
    "one word": lambda n: "a" * n,
    "brackets": lambda n: "[" * (n // 8),
    "closed brackets": lambda n: "[" * (n // 16) + "a" + "]" * (n // 16),
    "image brackets": lambda n: "![" * (n // 32),
    "links": lambda n: "[a](https://b.c) " * (n // 17),
    "unclosed links": lambda n: "[a](b" * (n // 5),
    "references": lambda n: "[a] " * (n // 8) + "\n\n[a]: https://b.c",
    "definitions": lambda n: "".join(f"[a{i}]: https://b.c\n" for i in range(n // 20)),
    "quotes": lambda n: ">" * n,
    "bullets": lambda n: "- " * (n // 2),
    "list": lambda n: "- item\n" * (n // 14),
    "loose list": lambda n: "- item\n\n" * (n // 16),
    "dollars": lambda n: "$" * n,
    "dollars and words": lambda n: "a $b " * (n // 5),
    "formulas": lambda n: "$x$ " * (n // 40),
    "unclosed formulas": lambda n: r"\( " * (n // 3) + r"\)",
    "unclosed environments": lambda n: r"\begin{align} " * (n // 14) + r"\end{align}",
    "stars": lambda n: "*" * n,
    "emphasis": lambda n: "*a **b " * (n // 7),
    "deep emphasis": lambda n: "**a *b " * (n // 28) + "* **" * (n // 28),
    "tildes": lambda n: "~~a" * (n // 3),
    "backticks": lambda n: "".join("`" * i + " " for i in range(int((2 * n) ** 0.5))),
    "angles": lambda n: "<a href='" * (n // 9),
    "comments": lambda n: "<!--" * (n // 4),
    "tags": lambda n: "<b><i>" * (n // 12),
    "folded": lambda n: "<details>\n\n" * (n // 44),
    "addresses": lambda n: "http://" * (n // 7),
    "table": lambda n: "|a|b|\n|-|-|\n" + "|c|d|\n" * (n // 24),
    "wide table": lambda n: "|a" * (n // 8) + "\n" + "|-" * (n // 8) + "\n",
    "code": lambda n: "```python\n" + "x = 1\n" * (n // 24),
    "empty code": lambda n: "```c\n" + "\n" * n,
    "blank lines": lambda n: "\n" * n,
    "backslashes": lambda n: "\\" * n,
    "overrides": lambda n: "\u202e" * n,
}


def cost(text: str) -> float:
    """Return the processor time that rendering takes, the lesser of two."""
    times = []
    for _ in range(2):
        gc.collect()
        start = time.process_time()
        render(text)
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.slow
@pytest.mark.parametrize("kind", HUGE)
def test_four_times_the_text_costs_about_four_times_the_time(kind: str) -> None:
    # Linear would be 4, quadratic 16. Below some 10 ms other things than the text decide.
    if kind == "emphasis" and markdown_it.__version__.startswith("3."):
        pytest.skip("markdown-it-py 3 pairs marks in quadratic time; 100,000 signs bound it to 1 s")
    assert cost(HUGE[kind](40_000)) < 8 * max(cost(HUGE[kind](10_000)), 0.01)


def test_a_line_of_five_million_characters_is_rendered() -> None:
    text = "word " * 1_000_000
    stream = MarkdownStream()
    for at in range(0, len(text), 50_000):
        stream.feed(text[at : at + 50_000])
        assert stream.open.html
    stream.finish()
    assert stream.html == f"<p>{text.strip()}</p>\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["one line", "links", "list", "loose list", "table", "code", "definitions", "folded"]
)
def test_what_is_parsed_while_a_text_streams_grows_as_the_text(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = module.groups

    def parsed(size: int) -> int:
        lengths: list[int] = []

        def counting(text: str) -> list[Group]:
            lengths.append(len(text))
            return read(text)

        monkeypatch.setattr(module, "groups", counting)
        stream = MarkdownStream()
        text = HUGE[kind](size)
        for at in range(0, len(text), 100):
            stream.feed(text[at : at + 100])
            assert stream.open.html
        stream.finish()
        return sum(lengths)

    assert parsed(40_000) < 3 * parsed(20_000)


@pytest.mark.parametrize("lines", [1, 30])
def test_what_follows_a_closing_fence_is_not_shown_as_code(lines: int) -> None:
    stream = MarkdownStream()
    after = ["\n\nBring", *[" shoes"] * 20]
    for piece in ("```python\n", *["x = 1\n"] * lines, "```", *after):
        stream.feed(piece)
        code = stream.html.partition("</code>")[0]
        assert "Bring" not in code
        assert "```" not in code
    assert "Bring shoes" in stream.html


def test_a_text_that_was_just_streamed_is_not_rendered_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "# Trams\r\n\nLine **28**."
    html = streamed([text]).html
    monkeypatch.setattr(
        "agentstream.notebook.markdown.stream.render", lambda text: "rendered again"
    )
    assert rendered(text) == html
    assert rendered(text + "x") == "rendered again"


def test_only_the_last_few_streamed_texts_are_remembered() -> None:
    for number in range(100):
        streamed([f"text {number}"])
    assert len(module._streamed) <= 16
