"""A still picture of a run reads well anywhere: styled, stripped, as Markdown, in a terminal."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import mistune
import nh3
import pytest
from markdown_it import MarkdownIt
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from agentstream.notebook.markdown.sanitise import safe_url
from agentstream.notebook.snapshot import bundle as module
from agentstream.notebook.snapshot.bundle import snapshot, style
from agentstream.notebook.snapshot.text import defuse_markdown
from agentstream.trace.from_result import fold
from tests.notebook.cards.audit import PNG_URI, Audit, every_kind, part, tool, trace_of
from tests.notebook.hostile import OWN_PAYLOADS, dompurify_payloads
from tests.trace.trace_streams import Script, chain

CSS = Path(module.__file__).parents[1] / "static" / "view.css"
# What JupyterLab 4.6 leaves of an output in a notebook it does not trust, as far as we use it
# (@jupyterlab/apputils, sanitizer.ts): no style, no SVG, no MathML, no role, no aria-*, no data-*.
LAB_TAGS = set(
    "a b bdi blockquote br button code details div em h1 h2 h3 h4 h5 h6 hr img li ol p pre progress"
    " q s small span strong sub summary sup table tbody td th thead tr ul".split()
)
LAB_ATTRIBUTES = {"*": {"class", "dir", "title"}, "a": {"href"}, "img": {"src", "alt"}}
LAB_ATTRIBUTES |= {"details": {"open"}, "td": {"align"}, "th": {"align"}}


def html_of(trace: Any, **options: Any) -> str:
    return snapshot(trace, **options)["text/html"]


def without_style(html: str) -> str:
    return re.sub(r"<style>.*?</style>", "", html, count=1, flags=re.DOTALL)


def bare(html: str) -> str:
    """Return what GitHub leaves of it: elements without class, style or script."""
    cleaner = nh3.Cleaner(
        tags=LAB_TAGS,
        clean_content_tags={"style", "script", "svg"},
        attributes={"a": {"href"}, "img": {"src", "alt"}},
        url_schemes={"http", "https", "data"},
    )
    return cleaner.clean(html)


class Lines(HTMLParser):
    """Reads HTML as a browser without any style lays it out, line by line."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.out = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag in "blockquote br details div hr li ol p pre summary table tr ul".split():
            self.out += "\n"
        elif tag in ("td", "th"):
            self.out += " "
        elif tag == "img":
            self.out += f"[{dict(attrs).get('alt')}]"

    def handle_endtag(self, tag: str) -> None:
        if tag in "blockquote details div li p pre summary tr".split():
            self.out += "\n"

    def handle_data(self, data: str) -> None:
        self.out += data

    @property
    def lines(self) -> list[str]:
        found = [" ".join(line.split()) for line in self.out.splitlines()]
        return [line for line in found if line]


# -- HTML --


def test_the_html_is_one_element_with_nothing_in_it_that_is_not_ours() -> None:
    html = html_of(fold(chain()), table=True, timeline=True)
    assert html.startswith(
        '<div class="as-run as-snapshot tex2jax_ignore mathjax_ignore" role="region" aria-label="Agent run">'
    )
    assert Audit(without_style(html)).faults == []
    assert html.count("<style>") == 1
    assert "<script" not in html and "<button" not in html


def test_stripped_of_all_attributes_and_styles_it_reads_from_top_to_bottom() -> None:
    assert Lines(bare(html_of(fold(chain())))).lines == [
        "done · Triage → Writer · gpt-4o · 3 turns · 2.53 s · 500 tokens in (250 cached), 43 out"
        " · 77 tokens/s",
        "Is it warm in Lisbon?",
        "Triage",
        "Reasoning 50 ms",
        "The user wants the weather.",
        "Two tools will do.",
        'Tool get_weather city="Lisbon" → 21 °C · done 800 ms',
        "Arguments",
        '{"city": "Lisbon"}',
        "Output",
        "21 °C",
        "Tool get_time → 12:00 · done 300 ms",
        "Output",
        "12:00",
        "Handed over to Writer",
        "Writer",
        "It is 21 °C in Lisbon, at noon.",
    ]


def test_a_notebook_that_is_not_trusted_shows_the_same_words() -> None:
    html = html_of(fold(chain()), table=True, timeline=True)
    lab = nh3.Cleaner(
        tags=LAB_TAGS,
        clean_content_tags={"style", "script"},
        attributes=LAB_ATTRIBUTES,
        url_schemes={"http", "https", "data"},
    ).clean(html)
    assert Lines(lab).lines == Lines(without_style(html)).lines
    assert "aria-label" not in lab and 'class="as-card' in lab


def test_a_timeline_is_an_image_and_text() -> None:
    bundle = snapshot(fold(chain()), timeline=True)
    lines = Lines(bare(bundle["text/html"])).lines
    assert any(line.startswith("[Timeline: 2.53 s · 2 agents") for line in lines)
    assert "<svg" not in bundle["text/html"]
    assert "█ writing" in bundle["text/html"]
    assert "█ writing" in bundle["text/plain"]


def test_a_table_lists_the_items() -> None:
    pytest.importorskip("pandas")
    html = html_of(fold(chain()), table=True)
    assert html.count("<tr>") == 9
    assert "message_<wbr>output_<wbr>item" in html


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        ("cancelled", None, "stopped · Guide"),
        ("failed", "RateLimitError: slow down", "RateLimitError: slow down"),
        ("paused", None, "Waiting for approval of look"),
    ],
)
def test_every_form_says_how_it_ended(status: str, error: str | None, said: str) -> None:
    waiting = tool(status="awaiting_approval" if status == "paused" else "cancelled")
    bundle = snapshot(trace_of(waiting, status=status, error=error))
    assert any(line.startswith(said) for line in Lines(bundle["text/html"]).lines)
    word = {"cancelled": "Stopped", "failed": "RateLimitError", "paused": "Waiting for approval"}
    assert word[status] in bundle["text/markdown"]
    assert word[status] in bundle["text/plain"]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["parts", "nested", "names"])
def test_hostile_text_never_becomes_markup(place: str) -> None:
    found = {}
    for text in [*OWN_PAYLOADS, *dompurify_payloads()]:
        if place == "names":
            trace = trace_of(tool("x"), agents=(text, "b" + text), status="failed", error=text)
            trace.turns[0].model = text
        else:
            trace = trace_of(*every_kind(text).values())
            trace.parts = trace.parts[:: 1 if place == "parts" else 3]
            trace = trace if place == "parts" else trace_of(tool("x", nested=trace))
        audit = Audit(without_style(html_of(trace)))
        if audit.faults or audit.tags["button"]:
            found[text] = audit.faults or "a button"
    assert found == {}


@pytest.mark.slow
def test_hostile_text_stays_inside_the_table_and_the_timeline() -> None:
    found = {}
    for text in OWN_PAYLOADS:
        script = Script(text).mark("RunStarted", text, text).begin().call(text, text, "c1").end()
        script.start("c1").wait(0.2).result("c1", text, text).mark("RunFailed", text)
        html = html_of(fold(script.events), table=True, timeline=True)
        if faults := Audit(without_style(html)).faults:
            found[text] = faults
    assert found == {}


@pytest.mark.slow
def test_a_run_of_any_size_is_a_page() -> None:
    texts = [part("text", "message", text="<b> *x* `y` " * 30_000) for _ in range(12)]
    calls = [tool("[1, 2] " * 30_000, name=f"t{n}") for n in range(400)]
    bundle = snapshot(trace_of(*texts, *calls))
    assert len(bundle["text/html"]) < 9_000_000
    assert len(bundle["text/markdown"]) < 250_000
    assert len(bundle["text/plain"]) < 250_000
    assert "more characters not shown" in bundle["text/plain"]


# -- Markdown --

VIEWER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
VIEWER.validateLink = lambda url: True  # type: ignore[method-assign]
# Elements that Markdown itself makes; `img` is not among those we want.
MADE = "a blockquote br code em h1 h2 h3 h4 h5 h6 hr li ol p pre s strong table tbody td th thead tr ul"


def viewed(text: str) -> tuple[set[str], list[str]]:
    """Return elements and link targets that a viewer without any care makes of Markdown."""
    html = VIEWER.render(text)
    tags = set(re.findall(r"<([a-zA-Z!?][a-zA-Z0-9]*)", html))
    return tags - set(MADE.split()), re.findall(r'href="([^"]*)"', html)


def test_the_markdown_is_the_answer_as_it_was_written_and_a_line_for_each_call() -> None:
    assert snapshot(fold(chain()))["text/markdown"] == (
        "> `Is it warm in Lisbon?`  \n\n"
        "**`Triage`**\n\n"
        '> Tool `get_weather` `city="Lisbon"` → `21 °C` · done · 800 ms\n\n'
        "> Tool `get_time` → `12:00` · done · 300 ms\n\n"
        "> Handoff `Writer`\n\n"
        "**`Writer`**\n\n"
        "It is **21 °C** in Lisbon, at noon.\n"
    )


@pytest.mark.parametrize(
    "around", ["{}", "- {}", "> {}", "```\n{}", "    {}", "a\n{}", "``` x\n\n{}"]
)
def test_hostile_markdown_loads_nothing_wherever_it_is_shown(around: str) -> None:
    found = {}
    for text in [*OWN_PAYLOADS, *dompurify_payloads()]:
        trace = trace_of(part("text", "message", text=around.format(text)))
        tags, links = viewed(snapshot(trace)["text/markdown"])
        bad = [
            url for url in links if re.match(r"\s*(?!https?:|mailto:)[a-z]+:|//|/|\\", url, re.I)
        ]
        if tags or bad:
            found[text] = (tags, bad)
    assert found == {}


@pytest.mark.slow
def test_hostile_names_are_code_in_markdown() -> None:
    found = {}
    for text in [*OWN_PAYLOADS, *dompurify_payloads()]:
        parts = every_kind(text)
        shown = [one for kind, one in parts.items() if kind not in ("text", "refusal")]
        trace = trace_of(*shown, agents=(text, "b"), status="failed", error=text)
        tags, links = viewed(snapshot(trace)["text/markdown"])
        if tags or links:
            found[text] = (tags, links)
    assert found == {}


def by_nbconvert(text: str) -> str:
    """As `nbconvert --to html` shows Markdown, with mistune and without cleaning."""
    return str(markdown2html_mistune(text))


def by_markdown_it(text: str) -> str:
    """As CommonMark is read, by a viewer without any care."""
    return str(VIEWER.render(text))


def with_bare_addresses(text: str) -> str:
    """As GitHub and JupyterLab read it: bare addresses are links, too."""
    plugins = ["url", "table", "strikethrough", "task_lists", "footnotes"]
    return str(mistune.create_markdown(escape=False, plugins=plugins)(text))


RENDERERS = [by_nbconvert, by_markdown_it, with_bare_addresses]
NO_TARGETS = (
    "http://localhost:8888/api/shutdown",
    "http://127.0.0.1/x",
    "http://127.1/x",
    "http://0x7f000001/",
    "http://2130706433/",
    "http://[::1]:8888/",
    "http://192.168.1.1/admin",
    "http://169.254.169.254/latest/meta-data/",
    "https://www.wikipedia.org@evil.example/",
    "https://www.wikipedia.org&#x40;evil.example/",
    "https://www.wikipedia.org&commat;evil.example/",
    "https://www.wikipedia.org\\@evil.example/",
    'https://ok.example"/../../files/x',
    "https://ok.example'onclick='x",
    "https:/ok.example/",
    "http:relative",
    "/api/shutdown",
    "//evil.example/",
    "javascript:alert(1)",
)
LINKS = (
    "[x]({})", "[x](<{}>)", "[x](\n{})", "> [x](\n> {})", "- [x](\n  {})", "[x][y]\n\n[y]: {}",
    "[x][y]\n\n[y]:\n  {} 'title'", "> [y]:\n> {}\n\n[y]", "<{}>", "see {} there", "({})", "**{}**",
    "[y]({} \"title\")", "| a |\n|---|\n| {} |",
)  # fmt: skip


class Rendered(HTMLParser):
    """What a renderer made: elements, links, and attributes that a browser acts on."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.acted_on: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "href" and not (value or "").startswith("#"):  # a heading's, a footnote's
                self.links.append(value or "")
            elif name == "style" and re.match(r"text-align: ?\w+\Z", value or ""):
                continue  # a column of a table
            elif name in ("src", "srcset", "style") or name.startswith("on"):
                self.acted_on.append(name)

    def bad_links(self) -> list[str]:
        """Those that lead elsewhere than to the web, or to a file beside."""
        return [url for url in self.links if safe_url(url) is None and not re.match(r"\w+\Z", url)]


@pytest.mark.parametrize("render", RENDERERS)
@pytest.mark.parametrize("link", LINKS)
def test_only_addresses_that_may_be_clicked_are_links_in_any_renderer(
    render: Any, link: str
) -> None:
    made = {
        url: Rendered(render(defuse_markdown(link.format(url)))).bad_links() for url in NO_TARGETS
    }
    assert {url: bad for url, bad in made.items() if bad} == {}


@pytest.mark.parametrize("render", RENDERERS)
def test_addresses_of_the_web_stay_links(render: Any) -> None:
    for url in ("https://ok.example/a?b=c&d=e#f", "https://en.wikipedia.org/wiki/A_(b)"):
        for link in ("[x]({})", "<{}>", "[x][y]\n\n[y]: {}"):
            assert Rendered(render(defuse_markdown(link.format(url)))).links == [url]


@pytest.mark.parametrize("render", RENDERERS)
def test_hostile_markdown_is_harmless_in_any_renderer(render: Any) -> None:
    found = {}
    allowed = {*MADE.split(), "div", "span", "sup", "section", "thead", "input"}
    for text in [*OWN_PAYLOADS, *dompurify_payloads()]:
        markdown = snapshot(trace_of(part("text", "message", text=text)))["text/markdown"]
        made = Rendered(render(markdown))
        if made.tags - allowed or made.bad_links() or made.acted_on:
            found[text] = (made.tags - allowed, made.bad_links(), made.acted_on)
    assert found == {}


def test_an_image_becomes_a_link() -> None:
    tags, links = viewed(defuse_markdown("See ![a plot](https://h.example/p.png)."))
    assert (tags, links) == (set(), ["https://h.example/p.png"])


def test_code_in_fences_is_left_alone() -> None:
    code = "```rust\nlet v = vec![1](2); // <b> ![x](y)\n```"
    assert defuse_markdown(f"Here:\n\n{code}\n\nDone <b>.") == f"Here:\n\n{code}\n\nDone <\u200bb>."


def test_a_fence_that_was_cut_off_does_not_swallow_what_follows() -> None:
    trace = trace_of(part("text", "message", text="```python\nx = 1"), tool("ok"))
    markdown = snapshot(trace)["text/markdown"]
    assert "```python\nx = 1\n```\n\n> Tool `look`" in markdown


def test_two_texts_cannot_make_an_image_together() -> None:
    texts = ("![a]", "[a]: https://h.example/p.png")
    trace = trace_of(*(part("text", "message", text=text) for text in texts))
    assert viewed(snapshot(trace)["text/markdown"])[0] == set()


def test_a_nested_run_is_quoted() -> None:
    inner = trace_of(part("text", "message", text="Inside\n\nit."))
    markdown = snapshot(trace_of(tool("done", nested=inner)))["text/markdown"]
    assert "> Inside\n> \n> it." in markdown


# -- plain text --


def test_plain_text_is_for_terminals() -> None:
    assert snapshot(fold(chain()))["text/plain"].splitlines() == [
        "> Is it warm in Lisbon?",
        "",
        "Triage:",
        "",
        '[Tool get_weather city="Lisbon" → 21 °C · done · 800 ms]',
        "",
        "[Tool get_time → 12:00 · done · 300 ms]",
        "",
        "[Handoff Writer]",
        "",
        "Writer:",
        "",
        "It is 21 °C in Lisbon, at noon.",
    ]


@pytest.mark.slow
def test_no_control_sequence_reaches_a_terminal() -> None:
    found = []
    for text in [*OWN_PAYLOADS, "\x1b[2J\x07\r", "\x9b31m"]:
        trace = trace_of(
            *every_kind(text).values(), agents=(text, "b"), status="failed", error=text
        )
        if re.search(
            "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", snapshot(trace)["text/plain"]
        ):
            found.append(text)
    assert found == []


# -- the style sheet --


def test_the_still_picture_carries_a_small_style_that_touches_nothing_else() -> None:
    sheet = style()
    assert 2_000 < len(sheet) < 14_000
    assert not re.search(r"</|/\*|url\(|@import|expression|!important|button", sheet)
    plain = re.sub(r"@media[^{]*\{", "", sheet)
    for rule in re.findall(r"([^{}]+)\{[^{}]*\}", plain):
        for selector in re.split(r",(?![^(]*\))", rule):
            assert ".as-run" in selector, selector


def test_every_rule_of_the_live_view_lies_under_its_root() -> None:
    sheet = re.sub(r"/\*.*?\*/", "", CSS.read_text(encoding="utf-8"), flags=re.DOTALL)
    sheet = re.sub(r"@keyframes[^{]*\{(?:[^{}]*\{[^{}]*\})*\s*\}", "", sheet)
    for rule in re.findall(r"([^{}]+)\{[^{}]*\}", re.sub(r"@media[^{]*\{", "", sheet)):
        for selector in re.split(r",(?![^(]*\))", rule):
            assert ".as-run" in selector, selector
    assert "prefers-reduced-motion" in sheet and ":focus-visible" in sheet
    assert not re.search(r"url\(|@import|(?:margin|padding|border)-(?:left|right):", sheet)


def _colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--as-([a-z-]+):\s*(?:var\([^#]*)?(#[0-9a-f]{6})", block))


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_all_text_has_the_contrast_of_wcag_aa(theme: int) -> None:
    blocks = re.findall(r"\{([^{}]*--as-ink:[^{}]*)\}", CSS.read_text(encoding="utf-8"))
    colours = _colours(blocks[theme])
    inks = "ink muted accent good bad wait keyword string number call tag builtin".split()
    low = {
        (ink, ground): round(_contrast(colours[ink], colours[ground]), 2)
        for ink in inks
        for ground in ("paper", "soft", *(("bad-soft",) * (ink in ("bad", "ink", "muted"))))
        if _contrast(colours[ink], colours[ground]) < 4.5
    }
    assert low == {}
    assert _contrast(colours["on-accent"], colours["accent"]) >= 4.5
    assert _contrast(colours["ink"], colours["wait-soft"]) >= 4.5


# -- in a browser --


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium")
async def test_a_narrow_column_is_never_widened() -> None:
    playwright = pytest.importorskip("playwright.async_api")
    word = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 3
    parts = [*every_kind(word).values(), *every_kind(f"a {word} b\n```\n{word}\n```").values()]
    html = html_of(
        trace_of(*parts, tool([{word: word} | dict.fromkeys("abcdefgh", word)]), tool(PNG_URI))
    )
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = await browser.new_page(viewport={"width": 320, "height": 600})
        await page.set_content(f"<body>{html.replace('<details ', '<details open ')}</body>")
        width = await page.evaluate("document.documentElement.scrollWidth")
        await page.set_content(f'<body><div style="display:flex"><div>{html}</div></div></body>')
        in_row = await page.evaluate("document.documentElement.scrollWidth")
        await browser.close()
    assert (width, in_row) == (320, 320)
