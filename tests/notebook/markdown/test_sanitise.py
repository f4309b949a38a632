"""`escape` and `sanitise` are the only ways to the page, and nothing hostile comes through them."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentstream import Agent, function_tool
from agentstream._utils.printable import clean_text
from agentstream.notebook.cards.values import json_html
from agentstream.notebook.markdown.highlight import code_block
from agentstream.notebook.markdown.sanitise import escape, image, link, safe_url, sanitise
from agentstream.notebook.markdown.stream import MarkdownStream, render
from agentstream.trace.timeline.timeline import Timeline
from tests.notebook.cards.audit import every_kind, trace_of
from tests.notebook.hostile import OWN_PAYLOADS, dompurify_payloads, faults

PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(30)).decode()


def streamed(text: str) -> str:
    """Feed `text` by threes, look at every state in between, and keep all of them."""
    stream = MarkdownStream()
    states = []
    for start in range(0, len(text), 3):
        stream.feed(text[start : start + 3])
        states.append(stream.html)
    stream.finish()
    return stream.html + "".join(states[:: max(1, len(states) // 3)])


SURFACES = {
    "escape": escape,
    "sanitise": sanitise,
    "sanitise twice": lambda text: sanitise(sanitise(text)),
    "markdown": render,
    "markdown, streamed": streamed,
    "markdown in a list": lambda text: render("- " + text.replace("\n", "\n  ")),
    "markdown in a table": lambda text: render("|a|\n|-|\n|" + text.replace("\n", " ") + "|"),
    "code": lambda text: code_block(text, "html"),
    "language": lambda text: code_block("x", text),
    "json": lambda text: json_html({text: [text]}),
    "link": lambda text: link(text, text),
    "image": lambda text: image(text, text) + image(PNG, text),
}


@pytest.mark.parametrize("surface", SURFACES)
def test_no_hostile_text_becomes_more_than_harmless_html(surface: str) -> None:
    payloads = [*OWN_PAYLOADS, *dompurify_payloads()]
    assert len(OWN_PAYLOADS) >= 60
    found = {text: wrong for text in payloads if (wrong := faults(SURFACES[surface](text)))}
    assert found == {}


@given(
    st.text(
        alphabet=st.sampled_from("<>&\"'`=/ \n!-[](){}$\\aonimgsvgtyle:\u202e\x00"), max_size=60
    )
)
def test_no_text_at_all_becomes_more_than_harmless_html(text: str) -> None:
    for make in (escape, sanitise, render):
        assert faults(make(text)) == []


TAGS = "<b> </b> <p> </p> <ul> <li> <table> </table> <td> <a\thref=http://a.b> <svg> <style> <!-- x"
MATHS = "<math> </math> <mi> <mtext> <mtable> <mtr> <mtd>"


@given(st.lists(st.sampled_from((TAGS + " " + MATHS).split(" "))).map("".join))
def test_what_is_sanitised_gains_and_loses_nothing_when_parsed_again(html: str) -> None:
    # Nesting may differ: HTML itself does not write and read back <li><table><li> as the same tree.
    once = sanitise(html)
    again = sanitise(once)
    assert set(re.findall("<[^/][^>]*>", again)) == set(re.findall("<[^/][^>]*>", once))
    assert sorted(re.sub("<[^>]*>", "", again)) == sorted(re.sub("<[^>]*>", "", once))


def test_escaped_text_is_shown_as_it_is() -> None:
    assert escape("<b> & \"q\" 'a'") == "&lt;b&gt; &amp; &quot;q&quot; &#x27;a&#x27;"


@pytest.mark.parametrize("unfit", ["\x00", "\x1b", "\x9b", "\u202e", "\u2066", "\ud800", "\ufffe"])
def test_unfit_characters_are_replaced_on_every_way(unfit: str) -> None:
    assert clean_text(f"a{unfit}b") == escape(f"a{unfit}b") == sanitise(f"a{unfit}b") == "a\ufffdb"


def test_a_split_surrogate_pair_becomes_its_character() -> None:
    assert clean_text("\ud83d\ude00 \ude00\ud83d") == "\U0001f600 \ufffd\ufffd"


def test_marks_of_right_to_left_prose_stay() -> None:
    text = "\u200f\u05e9\u05dc\u05d5\u05dd\u200e \u061c"
    assert clean_text(text) == text


def test_references_to_unfit_characters_are_replaced_as_well() -> None:
    assert sanitise("a&#x202e;b&#8294;c") == "a\ufffdb\ufffdc"


@pytest.mark.parametrize(
    "html",
    [
        "<p>a <strong>b</strong> <em>c</em> <code>d</code><br>e</p>",
        '<ol start="3"><li dir="rtl">x</li></ol>',
        '<table><thead><tr><th align="left" colspan="2">a</th></tr></thead></table>',
        '<details open=""><summary>s</summary>x</details>',
        '<pre class="highlight"><code data-language="python"><span class="kn">x</span></code></pre>',
        '<math display="block"><mfrac linethickness="1px"><mn>1</mn><mn>2</mn></mfrac></math>',
        '<math><mo stretchy="false">(</mo></math>',
    ],
)
def test_harmless_html_comes_through_unchanged(html: str) -> None:
    assert sanitise(html) == html


@pytest.mark.parametrize(
    ("html", "left"),
    [
        ('<span class="jp-Button">x</span>', "<span>x</span>"),
        ('<p class="k" id="a" style="color:red">x</p>', "<p>x</p>"),
        ('<math><mspace width="9999em"></mspace></math>', "<math><mspace></mspace></math>"),
        ('<math><mi mathcolor="url(x)">x</mi></math>', "<math><mi>x</mi></math>"),
        ('<ol start="-1"><li align="left">x</li></ol>', "<ol><li>x</li></ol>"),
    ],
)
def test_what_is_not_on_the_list_is_taken_out(html: str, left: str) -> None:
    assert sanitise(html) == left


@pytest.mark.parametrize(
    "url", ["https://a.b", "HTTP://a.b/c?d=e#f", "mailto:a@b.c", " https://a.b "]
)
def test_web_and_mail_addresses_may_be_clicked(url: str) -> None:
    assert safe_url(url) == url.strip()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "#a",
        "/a",
        "a",
        "//a.b",
        "http:a",
        "http:///a",
        "https:\\\\a.b",
        "javascript:x",
        "data:,x",
        "java\nscript:x",
        "ftp://a.b",
        "https://a b",
        'https://a"b',
        "https://a\u202eb",
        "\x01https://a.b",
    ],
)
def test_other_addresses_may_not(url: str) -> None:
    assert safe_url(url) is None


def test_an_image_is_shown_only_when_it_is_embedded_and_is_one() -> None:
    assert image(PNG, 'a "b"') == f'<img src="{PNG}" alt="a &quot;b&quot;">'
    svg = "data:image/svg+xml;base64," + base64.b64encode(b"<svg onload='x'/>").decode()
    disguised = "data:image/png;base64," + base64.b64encode(b"<svg onload='x'/>").decode()
    for hostile in (
        svg,
        disguised,
        "https://a.b/c.png",
        PNG + '" onerror="x',
        "data:image/png;base64,",
    ):
        assert "<" not in image(hostile, "a cat")
        assert "a cat" in image(hostile, "a cat")


def test_json_is_shown_whatever_the_value_is() -> None:
    circle: list[Any] = []
    circle.append(circle)
    for value in (circle, {1: {(1, 2)}}, {("a", "b"): 1}, object(), float("nan"), "\ud800"):
        assert json_html(value).startswith("<pre")
    assert json_html(list(range(500))).startswith("<details ")


def test_code_is_highlighted_by_class_names_only() -> None:
    html = code_block("def f(): return 'x'", "python")
    assert '<span class="k">def</span>' in html
    assert "style" not in html


def test_a_language_that_is_still_being_written_is_not_looked_for_among_plugins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def searched() -> None:
        raise AssertionError("the plugins of all installed packages were searched")

    monkeypatch.setattr("pygments.lexers.find_plugin_lexers", searched)
    assert "<span" not in code_block("import x", "pyth")
    assert "<span" in code_block("import x", "python")
    assert "<span" in code_block("import x", "ipython3")


def test_code_that_would_take_the_highlighter_long_is_shown_plain() -> None:
    for code, language in (("\n" * 9_000, "c"), ("x " * 9_000, "java"), ("a" * 200_000, "python")):
        assert "<span" not in code_block(code, language)


# -- in a browser --


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if executable is None:
        pytest.skip("no Chromium on this machine")
    quiet = (
        "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    )
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=[*quiet.split(), "--disable-component-update", "--disable-sync"],
        )
        yield browser.new_page()
        browser.close()


WATCH = """
window.ran = [];
for (const name of ["alert", "confirm", "prompt", "print", "open"])
  window[name] = (...given) => window.ran.push(name + given);
addEventListener("click", event => event.preventDefault(), true);
"""
PLACE = """cases => {
  const stage = document.querySelector("main.live");
  for (const html of cases) {
    const section = document.createElement("section");
    section.innerHTML = html;
    stage.append(section);
  }
}"""
PROVOKE = """() => {
  for (const element of document.querySelectorAll("section *"))
    for (const type of ["click", "mouseover", "mousemove", "focus", "error", "load", "toggle", "pointerenter"])
      element.dispatchEvent(new Event(type, {bubbles: true, cancelable: true}));
}"""
INSPECT = """() => {
  const found = {sections: 0, ran: window.ran, bad: [], outside: []};
  const allowed = new Set(["http:", "https:", "mailto:"]);
  for (const element of document.body.querySelectorAll("*")) {
    const section = element.closest("section");
    if (element.tagName === "SECTION") found.sections += 1;
    if (!section && !["MAIN", "SECTION"].includes(element.tagName)) found.outside.push(element.outerHTML);
    if (!section || element === section) continue;
    if (element.href !== undefined && element.hasAttribute("href") && !allowed.has(element.protocol))
      found.bad.push(element.outerHTML);
    for (const {name} of element.attributes)
      if (/^on|^(style|id|name|srcset|action|formaction|background|xlink:href)$/.test(name))
        found.bad.push(element.outerHTML);
    if (/^(SCRIPT|STYLE|IFRAME|OBJECT|EMBED|FORM|INPUT|BUTTON|LINK|META|BASE|TEMPLATE|svg)$/i.test(element.tagName))
      found.bad.push(element.outerHTML);
    if (element.tagName === "IMG" && !element.src.startsWith("data:image/png;")) found.bad.push(element.outerHTML);
  }
  for (const section of document.querySelectorAll("section"))
    if (section.parentElement.tagName !== "MAIN") found.outside.push(section.outerHTML);
  return found;
}"""


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_in_chromium_no_script_runs_no_request_leaves_and_nothing_escapes(page: Any) -> None:
    payloads = [*OWN_PAYLOADS, *dompurify_payloads()]
    cases = [make(text) for make in SURFACES.values() for text in payloads]
    static = "".join(f"<section>{html}</section>" for html in cases)
    document = (
        "<!doctype html><meta charset=utf-8><title>t</title><body>"
        f"<main>{static}</main><main class=live></main></body>"
    )
    requests: list[str] = []
    dialogs: list[str] = []

    def answer(route: Any) -> None:
        if route.request.url == "http://page.test/":
            route.fulfill(body=document, content_type="text/html; charset=utf-8")
        else:
            route.abort()

    page.route("**/*", answer)
    page.on("request", lambda request: requests.append(request.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.add_init_script(WATCH)
    page.goto("http://page.test/")
    page.evaluate(PLACE, cases)
    page.evaluate(PROVOKE)
    page.wait_for_timeout(300)
    found = page.evaluate(INSPECT)
    away = [
        url
        for url in requests
        if url != "http://page.test/" and not url.startswith("data:image/png")
    ]
    assert found["sections"] == 2 * len(cases)
    assert (found["ran"], dialogs, away) == ([], [], [])
    assert (found["bad"], found["outside"]) == ([], [])
    assert page.url == "http://page.test/"
    assert len(page.frames) == 1


@pytest.mark.timeout(60)
def test_in_chromium_the_watch_sees_a_script_that_does_run(page: Any) -> None:
    page.route("**/*", lambda route: route.fulfill(body="<main></main>", content_type="text/html"))
    page.add_init_script(WATCH)
    page.goto("http://page.test/")
    page.evaluate(
        "document.querySelector('main').innerHTML = '<section><p onclick=alert(1) id=x>y</p></section>'"
    )
    page.evaluate(PROVOKE)
    found = page.evaluate(INSPECT)
    assert found["ran"] == ["alert1"]
    assert len(found["bad"]) == 2


def hostile_pictures() -> Iterator[str]:
    """Every picture of a run in which all names and texts are hostile."""
    for text in [*OWN_PAYLOADS, *dompurify_payloads()[::7]]:
        parts = every_kind(text)
        trace = trace_of(*parts.values(), agents=(text, "b"), status="failed", error=text)
        trace.name = text
        yield Timeline(trace).svg()
        other = Agent[Any](name=f"other {text}", handoff_description=text)
        agent = Agent[Any](name=text, handoffs=[other], tools=[_tool_named("work", text)])
        yield agent.graph().svg()


def _tool_named(name: str, description: str) -> Any:
    def work(x: str) -> str:
        return x

    return function_tool(work, name_override=name, description_override=description)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_in_chromium_a_picture_opened_by_itself_runs_nothing_and_asks_for_nothing(
    page: Any,
) -> None:
    pictures = list(hostile_pictures())
    requests: list[str] = []
    dialogs: list[str] = []
    shown = {"at": 0}

    def answer(route: Any) -> None:
        if route.request.url.startswith("http://picture.test/"):
            body = pictures[shown["at"]]
            route.fulfill(body=body, content_type="image/svg+xml; charset=utf-8")
        else:
            route.abort()

    page.route("**/*", answer)
    page.on("request", lambda request: requests.append(request.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.add_init_script(WATCH)
    bad = []
    for at in range(len(pictures)):
        shown["at"] = at
        page.goto(f"http://picture.test/{at}.svg")
        bad += page.evaluate(
            """() => {
              const root = document.documentElement, found = [...window.ran];
              if (root.tagName !== "svg" || document.querySelector("parsererror"))
                found.push("no picture: " + root.textContent.slice(0, 200));
              for (const one of document.querySelectorAll("*")) {
                if (/^(script|foreignObject|a|image|use|animate|set|iframe|handler)$/i.test(one.tagName))
                  found.push(one.outerHTML);
                for (const {name, value} of one.attributes)
                  if (/^on|href$|^src/.test(name)
                      || (name !== "aria-label" && /url\\((?!#)/.test(value))) found.push(name + value);
              }
              return found;
            }"""
        )
    away = [url for url in requests if not url.startswith("http://picture.test/")]
    assert (bad, dialogs, away) == ([], [], [])
    assert len(pictures) > 200
