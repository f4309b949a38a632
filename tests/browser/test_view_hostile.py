"""Hostile text through every surface of the view, live and as a still picture, in JupyterLab.

What each payload becomes is tested in tests/notebook/markdown/test_sanitise.py. Here all of them
take the whole way: model, tools, kernel, messages, page, saved notebook.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.lab import Notebook, Server, cells_of, until
from tests.browser.runs import LIVE, SETUP, wait_for_still
from tests.notebook.hostile import OWN_PAYLOADS, dompurify_payloads

PLAYERS = '''
import json
from agentstream import handoff
from agentstream.testing import (
    cite, fail, mcp_call, refuse, run_code, search_files, stall, web_search)

with open("payloads.json") as file:
    payloads = json.load(file)

@function_tool
def echo(x: str) -> str:
    "Echo."
    return x

@function_tool
def boom(x: str) -> str:
    "Fail."
    raise ValueError(x)

@function_tool
def rows(x: str) -> list:
    "Rows of a table."
    return [{x: x, "b": x}]

@function_tool(needs_approval=True)
def permit(x: str) -> str:
    "Wait for a person."
    return x

END = [say("allsaid"), stall()]
held = []

def play(*turns, agent=None):
    """Show a run that says its last word and then waits, so that the page can be looked at."""
    parrot = Agent(name="Parrot", tools=[echo, boom, rows], model=ScriptedModel(list(turns)))
    held.append(Runner.run_streamed(agent or parrot, "Go", max_turns=400))
    return show(held[-1])

def texts(some):
    return play(turn(*(part for p in some for part in (think(p), say(p, annotations=[cite(p, p)]))),
                     *END))

def tools(some):
    calls = []
    for number, p in enumerate(some):
        for name in ("echo", ("boom", "rows")[number % 2]):
            calls.append(call(name, json.dumps({"x": p})))  # a lone surrogate, too
    return play(turn(*calls), turn(*END))

def remote(some):
    parts = []
    for p in some:
        parts += [mcp_call(p, p, output=p, x=repr(p)), mcp_call(p, p, error=p)]
    return play(turn(*parts, *END))

def hosted(some):
    parts = []
    for number, p in enumerate(some):
        found = [{"file_id": p, "filename": p, "score": 0.5, "text": p}]
        kinds = (run_code(p, logs=p), web_search(p, sources=[p]), search_files(p, results=found))
        parts.append(kinds[number % 3])
    return play(turn(*parts, *END))

def names(some):
    chain = Agent(name="Last", model=ScriptedModel([turn(refuse(some[0]), *END)]))
    for number, p in enumerate(some):
        to = handoff(chain, tool_name_override=f"to_{number}")
        model = ScriptedModel([call(f"to_{number}")], model=p)
        chain = Agent(name=p, handoffs=[to], model=model)
    return play(agent=chain)

def nested(some):
    inner = Agent(name=some[3], model=ScriptedModel([turn(*map(say, some), *END)]))
    tool = inner.as_tool("ask_inner", "Ask.")
    script = ScriptedModel([call("ask_inner", input="x")])
    return play(agent=Agent(name="Outer", tools=[tool], model=script))

def waiting(some):
    calls = [call("permit", json.dumps({"x": p})) for p in some]
    script = ScriptedModel([turn(say("allsaid"), *calls), "refused"])
    return play(agent=Agent(name=some[4], tools=[permit], model=script))
'''
SURFACES = (
    "texts(payloads[:140])",
    "texts(payloads[140:])",
    "tools(payloads[:140])",
    "tools(payloads[140:])",
    "remote(payloads[:140])",
    "remote(payloads[140:])",
    "hosted(payloads)",
    "names(payloads)",
    "nested(payloads)",
    "waiting(payloads[::3])",
)
FAILING = (
    'show(Agent(name="B", model=ScriptedModel([turn(fail(" ".join(payloads)[:1900]))])), "Go")'
)
STOP = """
for result in held:
    for item in result.interruptions:
        result.context_wrapper.reject_tool(item)
    result.resume() if result.interruptions else result.cancel()
"""

WATCH = """
window.ran = [];
for (const name of ["alert", "confirm", "prompt", "print", "open"])
    window[name] = (...given) => window.ran.push(name + given);
"""
# A person who touches everything; where a click would lead is looked at, not followed.
PROVOKE = """area => {
    const types = ["mouseover", "mousemove", "focus", "error", "load", "toggle", "pointerenter"];
    for (const element of area.querySelectorAll("*:not(button)")) {
        for (const type of types) element.dispatchEvent(new Event(type, {bubbles: true}));
        if (element.tagName !== "SUMMARY" && !element.closest("a"))
            element.dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true}));
    }
}"""
INSPECT = """area => {
    const bad = [];
    const tell = (why, element) => bad.push(`${why}: ${element.outerHTML.slice(0, 200)}`);
    const attribute = /^on|^(style|name|srcset|action|formaction|background|xlink:href|srcdoc)$/;
    const tags = "script iframe object embed form input textarea link meta base template video";
    const forbidden = new Set([...tags.split(" "), "audio", "mjx-container"]);
    // The one field that the view makes: nothing of it but its label is anybody's text.
    const isReason = element => element.matches("input.as-reason[type=text][placeholder]")
        && [...element.attributes].map(({name}) => name).sort().join()
            === "aria-label,class,placeholder,type";
    for (const element of area.querySelectorAll("*")) {
        if (forbidden.has(element.tagName.toLowerCase()) && !isReason(element))
            tell("element", element);
        for (const {name} of element.attributes) if (attribute.test(name)) tell(name, element);
        if (element.hasAttribute("href") || element.tagName === "A") {
            const target = element.getAttribute("href") ?? "";
            if (target && !["http:", "https:", "mailto:"].includes(element.protocol))
                tell("target", element);
            if (target && element.host === location.host) tell("within JupyterLab", element);
        }
        if (element.hasAttribute("src") && !element.src.startsWith("data:image/"))
            tell("source", element);
        if (element.tagName === "BUTTON"
                && !/^as-(stop|approve|always|reject)$/.test(element.className))
            tell("button", element);
        if (["fixed", "absolute"].includes(getComputedStyle(element).position)
            && !/(^| )as-/.test(element.className)) tell("position", element);
    }
    return bad;
}"""
OUTSIDE = """() => {
    const found = [...document.querySelectorAll("[class^='as-'], [class*=' as-']")]
        .filter(element => !element.closest(".jp-OutputArea-output, .jp-OutputArea-child"));
    return {
        escaped: found.map(element => element.outerHTML.slice(0, 200)),
        body: document.body.tagName, cookie: typeof document.cookie, forms: document.forms.length,
        frames: window.frames.length, ran: window.ran, path: location.pathname,
    };
}"""


@pytest.fixture
def hostile(server: Server) -> Iterator[list[str]]:
    """Payloads in a file that the kernel reads; all cells of a notebook are on the page."""
    payloads = [*OWN_PAYLOADS, *dompurify_payloads()]
    if len(payloads) == len(OWN_PAYLOADS):
        pytest.skip("the payloads of DOMPurify are not beside this checkout (../shared/xss)")
    (server.notebooks / "payloads.json").write_text(json.dumps(payloads), encoding="utf-8")
    tracker = "@jupyterlab/notebook-extension/tracker"
    server.set(tracker, {"windowingMode": "none"})
    yield payloads
    server.set(tracker, {})


def look(notebook: Notebook, cells: range, root: str) -> dict[str, Any]:
    """Touch all that is shown below the cells; what is wrong with it."""
    wrong: dict[str, Any] = {}
    for cell in cells:
        area = notebook.area(cell).locator(root)
        assert area.count() == 1, (cell, root)
        area.evaluate(PROVOKE)
        if bad := area.evaluate(INSPECT):
            wrong[f"{root} {SURFACES[cell - 1] if cell <= len(SURFACES) else 'error'}"] = bad[:5]
    notebook.page.wait_for_timeout(500)
    outside = notebook.page.evaluate(OUTSIDE)
    path = outside.pop("path")
    expected = {
        "escaped": [],
        "body": "BODY",
        "cookie": "string",
        "forms": 0,
        "frames": 0,
        "ran": [],
    }
    if outside != expected or not path.startswith("/lab/"):
        wrong["page"] = {**outside, "path": path}
    if notebook.watch.away or notebook.watch.dialogs:
        wrong["away"] = (notebook.watch.away, notebook.watch.dialogs)
    return wrong


def test_hostile_text_stays_text_live_and_kept(notebook: Notebook, hostile: list[str]) -> None:
    notebook.page.add_init_script(WATCH)
    server = notebook.server
    notebook.open(server.write(SETUP + PLAYERS, *SURFACES, FAILING, STOP))
    shown = range(1, len(SURFACES) + 1)
    notebook.run(0)
    for cell in shown:
        notebook.start(cell)

        def is_said(cell: int = cell) -> bool:
            # A view out of sight is sent nothing, and JupyterLab scrolls while cells begin.
            notebook.area(cell).scroll_into_view_if_needed()
            return "allsaid" in notebook.text(cell)

        until(is_said, f"'allsaid' below cell {cell}")
    assert look(notebook, shown, LIVE) == {}
    notebook.run(len(SURFACES) + 1, len(SURFACES) + 2)
    for cell in shown:
        wait_for_still(notebook, cell)
    kept = range(1, len(SURFACES) + 2)
    still = ".jp-RenderedHTMLCommon.jp-OutputArea-output"
    assert look(notebook, kept, still) == {}
    saved = notebook.save()
    server.shut_down_kernels()
    saved.metadata["from"] = "elsewhere"
    cells_of(saved)[1].outputs[0].data["text/html"] += " "
    for path in (notebook.path, server.put(saved)):
        notebook.open(path, kernel=False)
        notebook.wait_for_text(1, "allsaid")
        until(lambda: notebook.area(kept[-1]).locator(still).count(), "the last cell is shown")
        assert look(notebook, kept, still) == {}


def test_a_script_that_does_run_would_be_seen(notebook: Notebook) -> None:
    wild = """
    from IPython.display import HTML
    HTML("<img src='https://evil.example/x.png' onerror='alert(1)'>"
         "<a href='javascript:alert(2)'>x</a><p style='position: fixed'>y</p>")
    """
    notebook.page.add_init_script(WATCH)
    notebook.open(notebook.server.write(wild))
    notebook.run()
    until(lambda: notebook.page.evaluate("window.ran.length"), "the script ran")
    wrong = look(notebook, range(1), ".jp-RenderedHTMLCommon.jp-OutputArea-output")
    assert "alert1" in wrong["page"]["ran"]
    assert "https://evil.example/x.png" in wrong["away"][0]
    reasons = {one.partition(":")[0] for bad in wrong.values() for one in bad if type(bad) is list}
    assert reasons == {"onerror", "source", "target", "style", "position"}


FRAME = r"""
from agentstream.testing import say

TEX = [
    r"$\href{/api/shutdown}{press}$",
    r"\(\href{javascript:alert(1)}{x}\)",
    r"$$\rule{9999em}{9999em}$$",
    r"\[\def\a{\a\a}\a\]",
    r"\begin{equation}x\end{equation}",
    "<b>$x$</b>",
]

@function_tool
def look(x: str) -> str:
    "Look."
    return x

calls = [call("look", x=one) for one in TEX]
model = ScriptedModel([turn(*calls, *map(say, TEX)), "x"])
result = await Runner.run(Agent(name=TEX[0], tools=[look], model=model), TEX[0])
result.to_frame("TABLE")
"""


@pytest.mark.parametrize("table", ["items", "spans", "events"])
def test_a_table_of_a_run_is_not_typeset_and_shows_its_text(opened: Any, table: str) -> None:
    notebook = opened(SETUP, _frame(table), TYPESET)
    notebook.run(0, 1, 2)
    # What pandas makes of a table that nobody has told is typeset: so MathJax is there and done.
    until(lambda: notebook.area(2).locator("mjx-container").count() >= 1, "MathJax has worked")
    area = notebook.area(1)
    assert area.locator("table").count() == 1
    assert area.locator("mjx-container, .MathJax, math, a").count() == 0
    if table == "items":
        assert r"$\href{/api/shutdown}{press}$" in notebook.text(1)
    assert (notebook.watch.away, notebook.watch.dialogs) == ([], [])


TYPESET = "from IPython.display import HTML\nHTML('<table><tr><td>$x^2$</td></tr></table>')"


def _frame(table: str) -> str:
    return FRAME.replace("TABLE", table)
