"""A conversation in a notebook that a program executes: what is saved of it, and where."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest

from agentstream.testing import normalised
from agentstream.testing.notebooks.execute import execute
from tests.notebook.kernel import Kernel

SETUP = """
from agentstream import Agent, chat, function_tool
from agentstream.testing import Pace, ScriptedModel, call, fail, turn

@function_tool(needs_approval=True)
def delete_file(name: str) -> str:
    "Delete a file."
    return f"{name} is gone"

def answer(request):
    text = request.user_text
    if "delete" in text and request.input[-1].get("type") != "function_call_output":
        return call("delete_file", name="old.txt")
    if "fail" in text:
        return turn("So far ", fail("It caught fire."))
    return f"You said **{text}**."

def tutor(name="Tutor"):
    return Agent(name=name, tools=[delete_file], model=ScriptedModel(answer))
"""

CELLS = [
    SETUP,
    "c = chat(tutor())",
    'await c.send("Hello")',
    'result = await c.send("Please delete it")\nprint(len(result.interruptions), c.state)',
    "await c.approve()\nprint(c.turns[-1].result.final_output)",
    'try:\n    await c.send("fail")\nexcept Exception as error:\n    print(type(error).__name__)',
    'await c.send("Still there?")\nprint(c.state, len(c.turns))',
    'a = chat(tutor("Ada"))\nb = chat(tutor("Bob"))\nawait b.send("To Bob")\nawait a.send("To Ada")',
    "d = chat(tutor())\nd",
    'from ipywidgets import HBox\ne, f = chat(tutor("E")), chat(tutor("F"))\nHBox([e.widget, f.widget])',
    """
import asyncio
from agentstream import SQLiteSession
session = SQLiteSession("ada")
await chat(tutor(), session=session).send("I am Ada")
g = chat(tutor(), session=session)
await asyncio.sleep(0.2)
page = str(g.widget.keyframe["ops"])
print("I am Ada" in page, "You said <strong>I am Ada</strong>" in page)
await g.send("Still there?")
""",
    "g\ng",
]


def notebook(path: Path, cells: list[str]) -> Path:
    code = [nbformat.v4.new_code_cell(cell, id=f"cell-{n}") for n, cell in enumerate(cells)]
    nbformat.write(nbformat.v4.new_notebook(cells=code), path)
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = notebook(tmp_path_factory.mktemp("chat") / "talk.ipynb", CELLS)
    found = execute(path, cell_time=60, time=100, network=False)
    assert found.failure == ""
    return found.notebook


def outputs(done: Any, cell: int) -> list[Any]:
    return list(done["cells"][cell]["outputs"])


def stills(done: Any, cell: int) -> list[dict[str, str]]:
    # The live view itself is saved with a blank: it says nothing where no widget is shown.
    return [one["data"] for one in outputs(done, cell) if html(one)]


def html(output: Any) -> str:
    return str(output.get("data", {}).get("text/html", "")).strip()


def test_the_whole_conversation_stands_where_it_was_begun(done: Any) -> None:
    (still,) = stills(done, 1)
    for form in ("text/html", "text/markdown", "text/plain"):
        text = re.sub(r"<[^>]+>|[*`]", "", still[form].partition("</style>")[2] or still[form])
        asked = ["Hello", "Please delete it", "fail", "Still there?"]
        answers = ["You said Hello", "old.txt is gone", "So far", "You said Still there?"]
        places = [text.index(one) for pair in zip(asked, answers, strict=True) for one in pair]
        assert places == sorted(places), form
        assert "It caught fi" in text
    assert "as-stop" not in still["text/html"].partition("</style>")[2]
    assert "<button" not in still["text/html"]


def test_the_cells_that_speak_show_nothing_twice(done: Any) -> None:
    assert outputs(done, 2) == []
    assert [one["text"] for one in outputs(done, 3)] == ["1 waiting\n"]
    assert [one["text"] for one in outputs(done, 4)] == ["You said **Please delete it**.\n"]
    assert [one["text"] for one in outputs(done, 5)] == ["ModelBehaviorError\n"]
    assert [one["text"] for one in outputs(done, 6)] == ["ready 4\n"]


def test_the_widget_has_html_of_its_own_and_it_is_blank(done: Any) -> None:
    # Jupyter Book 2 drops empty HTML, and says instead that a kernel is required.
    kind = "application/vnd.jupyter.widget-view+json"
    (widget,) = [one["data"] for one in outputs(done, 1) if kind in one["data"]]
    assert widget["text/html"] == " "
    assert widget["text/plain"] == ""


def test_two_conversations_in_one_cell_are_two(done: Any) -> None:
    ada, bob = stills(done, 7)
    assert "To Ada" in ada["text/plain"]
    assert "To Bob" not in ada["text/plain"]
    assert "To Bob" in bob["text/plain"]


def test_as_the_last_expression_it_is_shown_once_and_says_that_nothing_was_said(done: Any) -> None:
    (still,) = stills(done, 8)
    assert still["text/plain"] == "A conversation with Tutor, in which nothing has been said yet."


def test_in_a_layout_it_is_shown_there_alone(done: Any) -> None:
    (one,) = outputs(done, 9)
    assert "HBox" in one["data"]["text/plain"]


def test_what_the_session_holds_is_on_the_page_and_in_the_picture(done: Any) -> None:
    assert [one["text"] for one in outputs(done, 10) if "text" in one] == ["True True\n"]
    _, still = stills(done, 10)
    text = still["text/plain"]
    assert text.index("> I am Ada") < text.index("> Still there?")
    assert still["text/html"].count("I am Ada") == 2


def test_named_in_another_cell_it_is_shown_there_too(done: Any) -> None:
    (again,) = stills(done, 11)
    assert again == stills(done, 10)[1]


def test_a_second_execution_is_saved_the_same(done: Any, tmp_path: Path) -> None:
    again = execute(
        notebook(tmp_path / "x.ipynb", CELLS[:3]), cell_time=60, time=100, network=False
    )
    first = [re.sub(r"[\d.]+ (ms|s)", "", str(one)) for one in outputs(again.notebook, 1)]
    assert len(first) == 2
    widget = [one for one in outputs(again.notebook, 1) if not html(one)]
    assert widget == [one for one in outputs(done, 1) if not html(one)]
    told = normalised(again.notebook)["cells"][1]["outputs"]
    assert len(told) == 1
    assert "You said <strong>Hello</strong>" in told[0]["data"]["text/html"]


def test_an_interrupt_stops_a_turn_in_one_line_and_the_conversation_goes_on() -> None:
    kernel = Kernel()
    try:
        slow = (
            "slow = tutor().clone(model=ScriptedModel(['word ' * 5000, 'Back.'], pace=Pace(100)))"
        )
        kernel.run(f"{SETUP}\n{slow}\nc = chat(slow)", 60)
        speaking = kernel.send("await c.send('Talk')", stop_on_error=False)
        queued = kernel.send("print(c.state, c.turns[0].trace.status)")
        time.sleep(1.5)
        kernel.manager.interrupt_kernel()
        speaking.wait()
        assert speaking.status == "error"
        assert speaking.error == (
            "The run was stopped: the cell was interrupted. What arrived is kept."
        )
        assert queued.done() == "ready cancelled"
        assert kernel.run("print((await c.send('And now?')).final_output)") == "Back."
        waiting = kernel.send(
            "w = chat(tutor()); r = await w.send('delete'); print(w.state, w.close(), w.state)"
        )
        assert waiting.done(60) == "waiting None closed"
    finally:
        kernel.close()
