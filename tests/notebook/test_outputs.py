"""No HTML that a notebook keeps of us has an empty line: in Markdown, what follows is no HTML."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from IPython.core.formatters import DisplayFormatter

from agentstream import Agent, function_tool
from agentstream.notebook.chat.snapshot import conversation
from agentstream.notebook.chat.turn import PastTurn
from agentstream.notebook.snapshot.bundle import snapshot, text_bundle
from agentstream.rows.bar_text import bar_bundle
from agentstream.rows.result import Progress, RowResult
from agentstream.trace.from_result import fold
from agentstream.trace.timeline.timeline import Timeline
from tests.trace.trace_streams import Script

ROOT = Path(__file__).parents[2]
HOSTILE = (
    "first\n\n![x](https://evil.example/p.png)\r\n\r\n# Big\n \t\n\n    <script>x()</script>\n"
)


def hostile_run() -> Any:
    script = Script().begin().think(HOSTILE).call("page", {"text": HOSTILE}, "c").end()
    script.result("c", HOSTILE).begin().say(HOSTILE + "```\na\n\n\nb\n```\n").end().finish()
    return fold(script.events)


@function_tool
def page(text: str) -> str:
    """Read a page.

    ![x](https://evil.example/p.png)
    """
    return text


def agent() -> Any:
    return Agent(name=HOSTILE, instructions=HOSTILE, tools=[page], handoffs=[Agent(name="B\n\nb")])


def bar() -> Any:
    at = Progress(9, 1, 1, 8, 1, 10.0, 5, 0.2, 2.0, 39.0, HOSTILE)
    row = RowResult(b"k", "failed", (), HOSTILE, "ValueError", position=3, index=HOSTILE)
    return bar_bundle(at, [row], HOSTILE)


MADE = {
    "snapshot": lambda: snapshot(hostile_run(), table=True, timeline=True),
    "failed view": lambda: text_bundle(HOSTILE, ValueError(HOSTILE), "run"),
    "chat": lambda: conversation([PastTurn(HOSTILE, hostile_run())], name=HOSTILE, id="1"),
    "timeline": lambda: Timeline(hostile_run())._repr_mimebundle_(),
    "graph": lambda: agent().graph()._repr_mimebundle_(),
    "agent": lambda: agent()._repr_mimebundle_(),
    "tool": lambda: {"text/html": DisplayFormatter().format(page)[0].get("text/html", "")},
    "rows": bar,
}


@pytest.mark.parametrize("made", MADE.values(), ids=MADE.keys())
def test_no_html_that_we_make_has_an_empty_line(made: Any) -> None:
    bundle = made()
    for kind in ("text/html", "image/svg+xml"):
        assert not re.search(r"[\n\r][ \t]*[\n\r]", bundle.get(kind, "")), kind
    assert "text/html" in bundle or "image/svg+xml" in bundle


@pytest.mark.slow
@pytest.mark.parametrize("table", ["items", "turns", "events", "spans"])
def test_no_table_that_ipython_displays_has_an_empty_line(table: Any) -> None:
    program = f"""
import re
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
from tests.notebook.test_outputs import hostile_run
from agentstream.trace import to_frame
frame = to_frame(hostile_run(), {table!r})
html = shell.display_formatter.format(frame)[0]["text/html"]
assert "<table" in html and "</style>" in html
assert not re.search(r"[\\n\\r][ \\t]*[\\n\\r]", html), html
assert "&#10;" not in html.partition("</style>")[0]
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=120)
