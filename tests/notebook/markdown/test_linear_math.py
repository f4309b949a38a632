"""Formulas keep their meaning where a page loses its tags, and their size without a math font."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentstream.notebook.markdown.latex import mathml
from agentstream.notebook.markdown.sanitise import sanitise
from agentstream.notebook.markdown.stream import MarkdownStream, render


def without_tags(html: str) -> str:
    """What JupyterLab leaves of MathML in a notebook that is not trusted, and GitHub always."""
    return unescape(re.sub(r"<[^>]*>", "", sanitise(html))).strip()


@pytest.mark.parametrize(
    ("tex", "left"),
    [
        (r"\frac{1}{2}", "1/2"),
        (r"-\frac12x", "−(1/2)x"),
        (r"\frac{a+b}{c+d}", "(a+b)/(c+d)"),
        (r"\frac{\partial f}{\partial x}", "(∂f)/(∂x)"),
        (r"x^{2}3", "x^2 3"),
        (r"x_{i+1}^{2}", "x_(i+1)^2"),
        (r"e^{-x^2/2}", "e^(−x^2/2)"),
        (r"(a+b)^2", "(a+b)^2"),
        (r"\left(\frac{1}{2}\right)^2", "(1/2)^2"),
        (r"f''(x)", "f″(x)"),
        (r"\sqrt{x+1}y", "√(x+1)y"),
        (r"\sqrt[3]{x+1}", "(x+1)^(1/3)"),
        (r"2\sin x\cos y", "2 sin x cos y"),
        (r"\int_0^1 x\,dx", "∫_0^1 x dx"),
        (r"\sum_{i=1}^{n} \frac{1}{i^2}", "∑_(i=1)^n(1/(i^2))"),
        (r"\binom{n}{k}", "(n¦k)"),
        (r"\bar{x}_i", "(x┴¯)_i"),
        (r"\overbrace{a+b}^{n}", "((a+b)┴⏞)^n"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}^T", "(1, 2; 3, 4)^T"),
        (r"\begin{align}a&=b\\c&=d\end{align}", "a=b; c=d"),
        (r"\begin{cases}x&x>0\\0&\text{otherwise}\end{cases}", "{x, x>0; 0, otherwise"),
        (r"\phantom{x}y", "y"),
        (r"\cancel{x}+\boxed{y}", "cancel(x)+box(y)"),
        (r"\foo{x}", r"\foo{x}"),
    ],
)
def test_what_is_left_without_tags_means_the_same(tex: str, left: str) -> None:
    assert without_tags(mathml(tex, display=True)) == left
    assert without_tags(mathml(tex)) == left


@given(st.recursive(
    st.sampled_from(["x", "1", "23", r"\pi", r"\sin y"]),
    lambda inner: st.tuples(
        st.sampled_from([r"\frac{%s}{%s}", r"{%s}^{%s}", r"\sqrt{%s}_{%s}", "%s+%s", "%s %s"]),
        inner, inner,
    ).map(lambda made: made[0] % made[1:]),
    max_leaves=8,
))  # fmt: skip
def test_marks_are_seen_only_without_tags(tex: str) -> None:
    """As a browser shows it, a formula is what the converter made of it."""
    html = sanitise(mathml(tex))
    hidden = re.findall(
        r"<semantics><mrow></mrow><annotation>([^<]*)</annotation></semantics>", html
    )
    assert html.count("<annotation>") == len(hidden)
    assert without_tags(html).count("(") == "".join(hidden).count("(")
    assert without_tags(html).count("(") == without_tags(html).count(")")


def test_scripts_have_as_many_arguments_as_a_browser_wants() -> None:
    html = mathml(r"\begin{pmatrix}1&2\end{pmatrix}_a^T")
    assert html.count("<msubsup><mrow><mo") == 1
    assert 'form="postfix"' in html.partition("</mtable>")[2]


def test_brackets_and_operators_have_a_size_where_no_font_stretches_them() -> None:
    tall = mathml(r"\left[\begin{array}{c}1\\2\\3\end{array}\right]", display=True)
    assert re.search(r'<mo [^>]*mathsize="2\.\dem"[^>]*>\[</mo>', tall)
    assert 'mathsize="1.5em"' in mathml(r"\sum_i x", display=True)
    assert "mathsize" not in mathml(r"\left(x\right) + \sum x")
    bars = mathml(r"\begin{vmatrix}a\\b\end{vmatrix}")
    assert len(re.findall(r'<mo [^>]*stretchy="true"[^>]*>\|</mo>', bars)) == 2


BARE = "So\n\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}\nholds."


def test_an_environment_without_delimiters_is_a_formula() -> None:
    html = render(BARE)
    assert html.count('<math display="block">') == 1
    assert without_tags(html).split("\n") == ["So", "a=b; c=d", "holds."]
    assert "<math" in render(r"So \begin{equation}x=1\end{equation} holds.")
    for text in (
        r"`\begin{align}a\end{align}`",
        r"\begin{figure}x\end{figure}",
        "\\begin{align}\na\n\nb",
        "    \\begin{align}a\\end{align}",
    ):
        assert "<math" not in render(text), text


def test_an_environment_that_streams_in_is_what_it_is_as_a_whole() -> None:
    text = f"{BARE}\n\n- x \\begin{{gather*}}a\\\\b\\end{{gather*}}\n\nend"
    for cut in range(len(text)):
        stream = MarkdownStream()
        stream.feed(text[:cut])
        _ = stream.open
        stream.feed(text[cut:])
        stream.finish()
        assert stream.html == render(text)
