"""The hostile corpus through what came after the cards: displays, prints, bars, questions, agents.

`test_cards.py` does the same for cards, `test_sanitise.py` for the functions beneath, in Chromium, too.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest

from agentstream import Agent, Runner, function_tool
from agentstream.displays import content_of
from agentstream.notebook import cards
from agentstream.notebook.cards.displays import display_html, question_html
from agentstream.notebook.markdown.stream import render
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.rows.bar_text import bar_bundle, bar_html
from agentstream.rows.result import Progress, RowResult
from agentstream.testing import ScriptedModel
from agentstream.trace import lifecycle
from agentstream.trace.dataframes import _table_html
from agentstream.trace.from_result import fold
from tests.notebook.cards.audit import Audit
from tests.notebook.hostile import OWN_PAYLOADS, dompurify_payloads, faults
from tests.notebook.markdown import test_sanitise
from tests.notebook.markdown.test_sanitise import PLACE, PROVOKE, WATCH
from tests.notebook.test_snapshot import without_style
from tests.trace.trace_streams import Script

page = test_sanitise.page  # a fixture


class Shows:
    """An object that displays itself in one way."""

    def __init__(self, method: str, text: str) -> None:
        self._text = text
        self._method = method

    def __repr__(self) -> str:
        return self._text


def shows(method: str) -> Callable[[str], str]:
    kind = type("Shows", (Shows,), {method: lambda self: self._text})

    def made(text: str) -> str:
        return display_html(content_of(kind(method, text)).blocks)

    return made


def bundle(text: str) -> str:
    """An object of many forms, also those that a browser or an extension acts on."""
    kinds = ("text/html", "text/markdown", "text/latex", "application/javascript")
    more = ("text/vnd.mermaid", "application/vnd.plotly.v1+json", "application/json")

    class Many:
        def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
            return dict.fromkeys((*kinds, *more), text)

        def __repr__(self) -> str:
            return text

    return display_html(content_of(Many()).blocks)


def frame(text: str) -> pd.DataFrame:
    text = text.encode("utf-8", "replace").decode()  # pyarrow takes no half of a pair
    made = pd.DataFrame({text: [text, None], ("b", text): [{text: text}, [text]]}, index=[text, 0])
    made.index.name = text
    return made


def printed(text: str) -> str:
    blocks = (
        {"type": "stream", "name": "stdout", "text": text},
        {"type": "stream", "name": text, "text": text},
        {"type": "html", "html": text},
        {"type": "svg", "svg": f"<svg>{text}</svg>", "text": text},
        {"type": "image", "url": text, "text": text},
        {"type": "markdown", "text": text},
        {"type": text, "text": text},
        {"type": "part", "part": {"type": "input_image", "image_url": text, "file_id": text}},
        {"type": "table", "columns": [text], "rows": [[text]], "rows_in_all": text},
    )
    script = Script().begin().call("t", {"a": text}, "c").end()
    script.events.append((9.0, lifecycle.ToolDisplayed("c", blocks)))  # type: ignore[arg-type]
    script.events.append((9.1, lifecycle.ToolWarned("c", text)))
    script.events.append((9.2, lifecycle.ToolProgressed("c", text, 0.5)))
    script.events.append((9.3, lifecycle.ToolFinished("c", text, None, None, text)))
    trace = fold(script.events)
    return "".join(cards.card(part, live=live) for part in trace.parts for live in (True, False))


def bar(text: str) -> str:
    at = Progress(9, 1, 1, 7, 1, 10.0, 5, 0.2, 2.0, 39.0, text)
    rows = [
        RowResult(b"k", "failed", (), text, text, position=3, index=index)
        for index in (text, (text, text), 3)
    ]
    saved = bar_bundle(at, rows, text)
    return bar_html(at, rows, live=True) + saved["text/html"]


def question(text: str) -> str:
    blocks = [
        {"type": "text", "text": text},
        {"type": "file", "text": text},
        {"type": "table", "columns": [text, text], "rows": [[text]], "rows_in_all": 10**9},
        {"type": "table", "columns": [text], "rows": [[text, text], text, {}]},
        {"type": "image", "url": text, "text": text},
    ]
    trace = fold(Script().begin().say("x").end().finish().events)
    trace.input, trace.question = text, blocks
    return question_html(trace)


def agent_card(text: str) -> str:
    def work(x: str) -> str:
        return x

    # Python makes no type of others.
    name = text.encode("utf-8", "replace").decode().replace("\x00", "")
    tool = function_tool(work, name_override=name, description_override=text)
    agent = Agent[Any](
        name=text, instructions=text, handoff_description=text, tools=[tool], model=text,
        handoffs=[Agent(name=f"other {text}", handoff_description=text)],
    )  # fmt: skip
    return str(agent._repr_mimebundle_()["text/html"])


SURFACES: dict[str, Callable[[str], str]] = {
    "html of an object": shows("_repr_html_"),
    "svg of an object": shows("_repr_svg_"),
    "markdown of an object": shows("_repr_markdown_"),
    "latex of an object": shows("_repr_latex_"),
    "javascript of an object": shows("_repr_javascript_"),
    "repr of an object": shows("_repr_png_"),
    "bundle of an object": bundle,
    "a frame": lambda text: display_html(content_of(frame(text)).blocks),
    "a series": lambda text: display_html(content_of(frame(text).iloc[:, 0]).blocks),
    "prints and displays": printed,
    "a bar of rows": bar,
    "a question": question,
    "an agent": agent_card,
}


@lru_cache(maxsize=1)
def payloads() -> list[str]:
    return [*OWN_PAYLOADS, *dompurify_payloads()]


@pytest.mark.slow
@pytest.mark.parametrize("surface", SURFACES)
def test_no_hostile_text_becomes_markup(surface: str) -> None:
    make = SURFACES[surface]
    benign = Audit(make("x"))
    # Our own: the bar's widths, its rows to click on, and its style sheet.
    known = ("span style='width:", "button data-row='6b'", "<style>")
    assert [fault for fault in benign.faults if not fault.startswith(known)] == []
    found = {}
    for text in payloads():
        audit = Audit(make(text))
        wrong = [fault for fault in audit.faults if fault not in benign.faults] or [
            tag
            for tag in ("button", "progress", "input", "style")
            if audit.tags[tag] > benign.tags[tag]
        ]
        if wrong:
            found[text] = wrong
    assert found == {}


def test_the_audit_sees_what_would_act() -> None:
    for text in ("<img src=x onerror=alert(1)>", "<a href='javascript:x()'>x</a>", "<script>1"):
        assert Audit(text).faults


CALLOUTS = ("NOTE", "TIP", "IMPORTANT", "WARNING", "CAUTION")


def test_hostile_text_in_and_as_a_callout_stays_harmless() -> None:
    found = {}
    for at, text in enumerate(payloads()):
        body = text.replace("\n", "\n> ")
        kind = CALLOUTS[at % len(CALLOUTS)]
        html = render(f"> [!{kind}] {text}\n> {body}") + render(f"> [!{text}]\n> {body}")
        if wrong := faults(html):
            found[text] = wrong
    assert found == {}


HARMLESS = {"table", "thead", "tbody", "tr", "th", "td", "div", "style", "p"}


def test_a_table_that_pandas_displays_has_no_tag_of_a_text() -> None:
    found = {}
    for text in payloads():
        html = _table_html(frame(text)) or ""
        tags = {tag.lower() for tag in re.findall(r"<([A-Za-z][^\s/>]*)", html)}
        if tags - HARMLESS:
            found[text] = tags - HARMLESS
    assert found == {}


def test_drawings_of_agents_are_xml_in_which_nothing_acts() -> None:
    for text in payloads():
        svg = Agent[Any](name=text, handoffs=[Agent(name=f"b {text}")]).graph().svg()
        for element in ElementTree.fromstring(svg).iter():
            name = element.tag.rpartition("}")[2]
            assert name not in ("script", "foreignObject", "a", "image", "iframe", "animate"), text
            for attribute, value in element.attrib.items():
                assert not attribute.startswith("on"), text
                assert "href" not in attribute or value.startswith("#"), text


def test_what_a_terminal_is_given_of_them_obeys_nothing() -> None:
    sign = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
    controls = ["\x1b]52;c;eA==\x07", "\x9b31m", "\u202eabc", "\ud800", "\r\x1b[2K"]
    for text in [*payloads(), *controls]:
        at = Progress(9, 1, 1, 7, 1, 10.0, 5, 0.2, 2.0, 39.0, text)
        row = RowResult(b"k", "failed", (), text, text, position=3, index=text)
        agent = Agent[Any](name=text, instructions=text)
        given = {
            "bar": bar_bundle(at, [row], text)["text/plain"],
            "agent": agent._repr_mimebundle_()["text/plain"],
            "graph": agent.graph()._repr_mimebundle_()["text/plain"],
        }
        assert [name for name, one in given.items() if sign.search(one)] == [], text


async def test_a_hostile_question_with_a_frame_is_harmless_in_the_saved_picture() -> None:
    found = {}
    for text in OWN_PAYLOADS[::4]:
        agent = Agent[Any](name="A", model=ScriptedModel(["ok"]))
        result = await Runner.run(agent, [text, frame(text)])  # type: ignore[list-item]
        if wrong := Audit(without_style(snapshot(result.trace)["text/html"])).faults:
            found[text] = wrong
        await asyncio.sleep(0)
    assert found == {}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_in_chromium_nothing_of_them_runs_or_asks_for_anything(page: Any) -> None:
    sample = [*OWN_PAYLOADS, *dompurify_payloads()[::5]]
    cases = [make(text) for make in SURFACES.values() for text in sample]
    cases += [render(f"> [!NOTE] {text}") for text in sample]
    cases += [_table_html(frame(text)) or "" for text in sample]
    document = "<!doctype html><meta charset=utf-8><body><main class=live></main></body>"
    requests: list[str] = []

    def answer(route: Any) -> None:
        if route.request.url == "http://surfaces.test/":
            route.fulfill(body=document, content_type="text/html; charset=utf-8")
        else:
            route.abort()

    page.route("**/*", answer)
    page.on("request", lambda request: requests.append(request.url))
    page.add_init_script(WATCH)
    page.goto("http://surfaces.test/")
    page.evaluate(PLACE, cases)
    page.evaluate(PROVOKE)
    page.wait_for_timeout(300)
    away = [url for url in requests if not url.startswith(("http://surfaces.test/", "data:image/"))]
    assert (page.evaluate("window.ran"), away) == ([], [])
    assert page.evaluate("document.querySelectorAll('section').length") == len(cases)
    page.evaluate(PLACE, ["<img src='https://evil.example/x.png' onerror='alert(1)'>"])
    page.wait_for_timeout(300)
    assert page.evaluate("window.ran") == ["alert1"]
    assert "https://evil.example/x.png" in requests
