"""Text of many languages, and addresses and code that viewers would act on."""

from __future__ import annotations

import re
from typing import Any

import mistune
import pytest
from markdown_it import MarkdownIt

from agentstream.notebook.cards.prose import source_links
from agentstream.notebook.markdown.latex import mathml
from agentstream.notebook.markdown.sanitise import host_of, one_block, safe_url
from agentstream.notebook.markdown.stream import MarkdownStream, render
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.notebook.snapshot.text import defuse_markdown
from agentstream.trace import Trace
from agentstream.trace.from_result import fold
from agentstream.trace.timeline.timeline import Timeline
from tests.trace.trace_streams import Script


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("这是**「重点」**内容。", "<strong>「重点」</strong>"),
        ("**「甲」**和**「乙」**", "<strong>「甲」</strong>和<strong>「乙」</strong>"),
        ("**스크립트(script)**라고", "<strong>스크립트(script)</strong>"),
        ("~~（旧）~~新", "<s>（旧）</s>"),
        ("a**(b)**c", "a**(b)**c"),
        ("详见（https://example.com/a）。", ">https://example.com/a</a>）"),
        ("见 https://example.com/路径，然后", ">https://example.com/路径</a>，"),
        ("- [x] done\n- [ ] open\n- [z] not", "<li>☑ done</li>"),
        ("As shown in [1]. `a[0]` \\\\(y\\\\)", "[1]"),
    ],
)
def test_emphasis_and_addresses_end_where_cjk_text_means_them_to(text: str, part: str) -> None:
    assert part in render(text)
    stream = MarkdownStream()
    for letter in text:
        stream.feed(letter)
        assert stream.open is not None
    stream.finish()
    assert stream.html == render(text)


def test_a_block_of_right_to_left_text_has_a_direction_of_its_own() -> None:
    html = render("An English beginning.\n\nשלום (world).\n\n- مرحبا\n\n```\nשלום\n```\n")
    assert re.findall(r'<(\w+) dir="auto"', html) == ["p", "ul"]
    assert "<p>An English" in html


MIXED = (
    "An English answer.\n\nשלום עולם, `f(x)`.\n\nEnglish again.\n\n"
    "- ראשון\n- second\n\n  > ציטוט\n\n| שם | name |\n|---|---|\n| דוד | David |\n\n```python\n# הערה\n```\n"
)


def test_each_block_of_a_mixed_answer_has_its_own_direction_live_and_saved() -> None:
    stream = MarkdownStream()
    for letter in MIXED:
        stream.feed(letter)
        assert stream.open is not None
    stream.finish()
    saved = snapshot(fold(Script().begin().say(MIXED).end().finish().events))["text/html"]
    for html in (stream.html, re.sub(r">\n+<", "><", saved)):
        assert "<p>An English answer." in html and "<p>English again." in html
        assert '<p dir="auto">שלום עולם, <code dir="ltr">f(x)</code>.</p>' in html
        assert '<ul dir="auto">' in html and '<blockquote dir="auto">' in html
        assert '<table dir="auto">' in html
        assert '<td dir="auto">דוד</td>' in html and '<td dir="auto">David</td>' in html
        assert '<pre dir="ltr" class="highlight">' in html


def test_an_english_paragraph_in_a_hebrew_answer_keeps_its_own() -> None:
    html = render("תשובה.\n\n> ציטוט\n>\n> Quoted English.\n\nPlain English.\n")
    assert '<p dir="auto">Quoted English.</p>' in html and "<p>Plain English.</p>" in html


def test_cjk_text_is_read_from_the_left_and_is_the_same_live_and_saved() -> None:
    text = "**「重点」**内容：见 https://example.org/a，以及《书》。\n\n- 一\n- 二\n"
    stream = MarkdownStream()
    for letter in text:
        stream.feed(letter)
        assert stream.open is not None
    stream.finish()
    saved = snapshot(fold(Script().begin().say(text).end().finish().events))["text/html"]
    for html in (stream.html, saved):
        assert "<strong>「重点」</strong>内容" in html and 'href="https://example.org/a"' in html
    assert "dir=" not in stream.html


def test_each_block_of_a_saved_picture_and_its_style_sheet_stand_on_lines_of_their_own() -> None:
    def lines(city: str) -> list[str]:
        script = Script().begin().call("look", {"city": city}, "c").end().result("c", "ok")
        script.begin().say("A.\n\nB.").end().finish()
        return snapshot(fold(script.events), table=True)["text/html"].splitlines()

    old, new = lines("Lisbon"), lines("Porto")
    assert sum(line.startswith("<style>") and line.endswith("</style>") for line in new) == 1
    changed = [line for line in new if line not in old]
    assert 1 <= len(changed) <= 4 and sum(map(len, changed)) < 1_500


@pytest.mark.parametrize(
    "text", ["a\n\n# b", "a\n \t\n\n![x](https://e/p.png)", "a\r\r# b", "\n\n\n"]
)
def test_no_output_has_an_empty_line_and_its_text_stays(text: str) -> None:
    html = one_block(f"<div><pre>x{text}</pre></div>")
    assert not re.search(r"\n[ \t]*\n", html)
    same = text.replace("\r", "\n")
    assert html.replace("&#10;", "\n") == f"<div><pre>x{same}</pre></div>"


def exported() -> str:
    hostile = "first\n\n![x](https://evil.example/p.png)\n\n# Big\n\n    <script>x()</script>\n"
    script = Script().begin().call("page", {}, "c").end().result("c", hostile)
    return snapshot(fold(script.events), table=True)["text/html"]


@pytest.mark.parametrize(
    "viewer",
    [MarkdownIt("commonmark", {"html": True}).render, mistune.create_markdown(escape=False)],
    ids=["commonmark", "mistune"],
)
def test_what_a_tool_said_is_no_markdown_when_its_html_stands_in_markdown(viewer: Any) -> None:
    page = viewer(f"# Notebook\n\n{exported()}\n\nAfter.\n")
    assert not re.search(r"<img[^>]*evil|<h1>Big|<script", page)
    assert "<p>After.</p>" in page


@pytest.mark.parametrize(
    "info", ["mermaid", "MERMAID", "{mermaid}", "geojson", "{r}", "math", "x y"]
)
def test_a_fence_that_viewers_act_on_is_plain_code_in_saved_markdown(info: str) -> None:
    assert defuse_markdown(f"```{info}\ngraph TD\n```") == "```\ngraph TD\n```"
    assert defuse_markdown("```python title=x\na\n```") == "```python\na\n```"


@pytest.mark.parametrize(
    "url",
    "http://localhost:8888/api http://127.0.0.1/ http://127.1/ http://2130706433/ http://0x7f.1/"
    " http://[::1]:8888/ http://[::ffff:127.0.0.1]/ http://10.0.0.1/ http://192.168.1.1/ http://printer/"
    " http://169.254.169.254/latest http://127。0。0。1/ http://a.localhost./ http://0/ http://router.local/"
    " https://wikipedia.org@evil.example/ https://a:b@evil.example/ http://host:x/ http://１２７.0.0.1/"
    "".split(),
)
def test_an_address_of_this_machine_or_one_that_reads_as_another_is_text(url: str) -> None:
    assert safe_url(url) is None
    assert "<a " not in render(f"[x]({url}) {url}")
    assert "<a " not in source_links([{"url": url, "title": "Wikipedia"}])


def test_the_end_of_a_host_is_shown_whatever_stands_before_it() -> None:
    url = "https://" + "www.wikipedia.org." * 5 + "evil.example/wiki"
    assert host_of(url).endswith("evil.example")
    assert len(host_of(url)) == 60
    assert "evil.example</small>" in source_links([{"url": url, "title": "Wikipedia"}])


def test_a_timeline_has_no_width_that_a_narrow_page_would_cut() -> None:
    svg = Timeline(Trace("x"))._repr_mimebundle_()["image/svg+xml"]
    root = svg.partition(">")[0]
    assert 'width="100%"' in root
    assert "max-width:960px" in root
    assert 'viewBox="0 0 960 ' in root


@pytest.mark.parametrize(
    "name",
    "align align* aligned gather gather* gathered multline multline* dcases rcases eqnarray".split(),
)
def test_an_environment_of_rows_is_a_table_with_a_row_for_each(name: str) -> None:
    html = mathml(rf"\begin{{{name}}}a\\ b\end{{{name}}}", display=True)
    assert html.count("<mtr>") == 2, html
    assert "<mi>&amp;</mi>" not in html


def test_columns_of_alignedat_are_given_and_an_equation_is_its_inside() -> None:
    html = mathml(r"\begin{alignedat}{2}a&=b\\ c&=d\end{alignedat}")
    assert html.count("<mtr>") == 2
    assert "<mn>2</mn>" not in html
    assert "<mi>x</mi>" in mathml(r"\begin{equation}x\end{equation}")


@pytest.mark.parametrize(
    "tex", [r"\unknown x", r"\begin{tikzcd}a\\b\end{tikzcd}", r"a & b", r"\begin{foo*}x\end{foo*}"]
)
def test_what_the_converter_does_not_know_is_shown_as_its_source(tex: str) -> None:
    assert mathml(tex).startswith("<code>"), mathml(tex)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://w\u0456kipedia.org/", "xn--wkipedia-thh.org"),
        ("https://\u0430\u0440\u0440\u04cf\u0435.com/", "xn--80ak6aa92e.com"),
        ("https://\u03bfpenai.com/", "xn--penai-qce.com"),
        ("https://b\xfccher.example/", "b\xfccher.example"),
        ("https://\u4f8b\u3048.jp/", "\u4f8b\u3048.jp"),
        (
            "https://\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444/",
            "\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444",
        ),
    ],
)
def test_letters_that_look_like_others_are_told_apart_in_a_host(url: str, shown: str) -> None:
    assert host_of(url) == shown
