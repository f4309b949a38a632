"""A conversation in JupyterLab: written, answered, stopped, approved, reloaded, reopened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.lab import Notebook, Server, until
from tests.browser.runs import errors, rich, status

Open = Callable[..., Notebook]

SETUP = """
import asyncio
from agentstream import Agent, chat, function_tool, show
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
    if "long" in text:
        return " ".join(f"word{number}" for number in range(30_000))
    return f"You said **{text}**, in turn {sum(i.get('role') == 'user' for i in request.input)}."

def tutor(name="Tutor"):
    return Agent(name=name, tools=[delete_file], model=ScriptedModel(answer, pace=Pace(150, 0.1)))
"""
STATUS = "print(c.state, len(c.turns), [turn.trace.status for turn in c.turns])"


class Talk:
    """A conversation below a cell, as a person at the page has it."""

    def __init__(self, notebook: Notebook, cell: int, name: str = "Tutor") -> None:
        self.notebook, self.cell = notebook, cell
        self.area = notebook.area(cell).locator(".as-chat").filter(has_text=f"Message to {name}")
        self.box = self.area.get_by_label(f"Message to {name}")
        self.box.wait_for()
        self.stop = self.area.get_by_role("button", name="Stop")
        self.send = self.area.get_by_role("button", name="Send")

    def say(self, text: str) -> None:
        """Write and send it with the Enter key."""
        self.box.fill(text)
        self.box.press("Enter")

    def hears(self, text: str) -> None:
        """Wait for `text`, and for the end of the answer."""
        until(lambda: text in self.text(), f"{text!r} in the conversation")

    def ready(self) -> None:
        """Wait until it can be asked."""
        self.send.wait_for()

    def text(self) -> str:
        return str(self.area.locator(".as-talk").inner_text())


@pytest.fixture
def talk(desk: Open) -> Iterator[Talk]:
    notebook = desk(SETUP, "c = chat(tutor())", STATUS)
    notebook.run(0, 1)
    yield Talk(notebook, 1)
    notebook.lay("c.close()")
    notebook.run(0)


def focus(talk: Talk) -> str:
    return str(talk.notebook.page.evaluate("document.activeElement?.tagName"))


def test_what_is_typed_is_sent_by_enter_and_answered_while_one_watches(talk: Talk) -> None:
    keyboard, notebook = talk.notebook.page.keyboard, talk.notebook
    talk.box.click()
    keyboard.type("Hello")
    keyboard.press("Shift+Enter")
    keyboard.type("you")
    assert talk.box.input_value() == "Hello\nyou"
    keyboard.press("Enter")
    talk.hears("You said Hello you, in turn 1.")
    talk.ready()
    assert talk.box.input_value() == ""
    assert focus(talk) == "TEXTAREA"
    keyboard.type("long")
    keyboard.press("Enter")
    talk.hears("word40 ")
    assert "word2900" not in talk.text()
    assert talk.area.get_by_role("status").first.inner_text() == "Tutor is answering"
    # One may write on while it answers; what is not sent stays.
    keyboard.type("and then")
    keyboard.press("Enter")
    assert "press Stop" in talk.area.locator(".as-foot [role=status]").inner_text()
    talk.stop.click()
    talk.ready()
    assert "Stopped" in talk.text()
    assert talk.box.input_value() == "and then"
    assert focus(talk) == "TEXTAREA"
    keyboard.press("Enter")
    talk.hears("You said and then, in turn 3.")
    assert notebook.count() == 3  # no key was taken for a shortcut of the notebook's
    assert status(notebook, 2) == "ready 3 ['completed', 'cancelled', 'completed']"
    assert (notebook.watch.errors, notebook.watch.away, notebook.watch.dialogs) == ([], [], [])


def test_an_error_stands_in_its_turn_and_a_call_waits_there_for_approval(talk: Talk) -> None:
    talk.say("fail")
    talk.hears("It caught fire.")
    talk.ready()
    assert talk.area.locator(".as-exchange [role=alert]").count() == 1
    talk.say("delete it")
    approve = talk.area.locator("button.as-approve")
    approve.click()
    talk.hears("You said delete it")
    talk.ready()
    talk.say("delete it again")
    talk.area.get_by_role("button", name="Reject").click()
    talk.hears("You said delete it again")
    talk.ready()
    talk.say("delete it and stop")
    approve.wait_for()
    talk.stop.click()
    talk.ready()
    talk.say("Still there?")
    talk.hears("You said Still there?")
    assert talk.area.locator(".as-talk button").count() == 0
    assert errors(talk.notebook, 1) == []
    completed = ["'completed'"] * 4
    assert status(talk.notebook, 2) == f"ready 5 ['failed', {', '.join(completed)}]"


def test_code_and_page_speak_in_one_conversation(desk: Open) -> None:
    speak = 'result = await c.send("From code"); print(result.final_output)'
    notebook = desk(SETUP, "c = chat(tutor())", speak, STATUS)
    notebook.run(0, 1)
    talk = Talk(notebook, 1)
    talk.say("From the page")
    talk.hears("in turn 1.")
    talk.ready()
    assert status(notebook, 2) == "You said **From code**, in turn 2."
    talk.hears("You said From code, in turn 2.")
    assert talk.box.is_enabled()


def test_two_conversations_on_a_page_are_two_and_a_rerun_closes_the_old_one(desk: Open) -> None:
    both = "a = chat(tutor('Ada')); b = chat(tutor('Bob'))"
    beside = "from ipywidgets import HBox\nd = chat(tutor('Dan'))\nHBox([d.widget])"
    notebook = desk(SETUP, both, "old = a", "print(old.state, a.state)", beside)
    notebook.run(0, 1, 2, 4)
    ada, bob = Talk(notebook, 1, "Ada"), Talk(notebook, 1, "Bob")
    dan = Talk(notebook, 4, "Dan")
    ada.say("long")
    bob.say("Hello Bob")
    dan.say("Hello Dan")
    bob.hears("You said Hello Bob, in turn 1.")
    dan.hears("You said Hello Dan, in turn 1.")
    ada.hears("word20 ")
    assert "word" not in bob.text()
    notebook.run(1)
    until(lambda: status(notebook, 3) == "closed ready", "the old conversation is closed")
    assert "word" not in Talk(notebook, 1, "Ada").text()


def test_after_a_reload_it_is_there_and_goes_on(opened: Open) -> None:
    notebook = opened(SETUP, "c = chat(tutor())", STATUS)
    notebook.run(0, 1)
    talk = Talk(notebook, 1)
    talk.say("Hello")
    talk.hears("in turn 1.")
    talk.ready()
    talk.say("long")
    talk.hears("word20 ")
    notebook.save()
    notebook.reload()
    talk = Talk(notebook, 1)
    talk.hears("You said Hello, in turn 1.")
    talk.hears("word60 ")
    talk.stop.click()
    talk.ready()
    talk.say("And now?")
    talk.hears("You said And now?, in turn 3.")
    assert status(notebook, 2) == "ready 3 ['completed', 'cancelled', 'completed']"


def test_the_saved_notebook_shows_the_conversation_without_a_kernel(
    opened: Open, context: Any, server: Server
) -> None:
    notebook = opened(SETUP, "c = chat(tutor())\nawait c.send('Hello')")
    notebook.run(0, 1)
    talk = Talk(notebook, 1)
    # One conversation is seen, not two: the picture hides behind the widget.
    shown = notebook.area(1).locator(".as-exchange:visible")
    assert shown.count() == 1
    talk.say("<b>bold</b> <img src=x onerror=alert(1)>")
    talk.hears("in turn 2.")
    talk.ready()
    assert shown.count() == 2
    saved = notebook.save()
    bundles = [sorted(output.data) for output in saved.cells[1].outputs]
    assert bundles[0] == ["text/html", "text/markdown", "text/plain"]
    server.shut_down_kernels(notebook.path)
    page = context.new_page()
    try:
        reader = Notebook(page, server).open(notebook.path, kernel=False)
        reader.wait_for_text(1, "in turn 2.")
        text = reader.text(1)
        assert "You said Hello, in turn 1." in text
        assert "<img src=x onerror=alert(1)>" in text
        assert "widget" not in text.lower()
        assert reader.area(1).locator("textarea, img").count() == 0
        assert (reader.watch.dialogs, reader.watch.away) == ([], [])
    finally:
        page.close()


ASKING = """
%%agent tutor -o result --table
Please delete it
"""
TALKING = "%%agent tutor\nlong"


def test_a_cell_of_agent_is_watched_approved_and_stopped(desk: Open) -> None:
    load = f"{SETUP}\n%load_ext agentstream\ntutor = tutor()"
    notebook = desk(load, ASKING.strip(), "print(result.final_output)", TALKING)
    notebook.run(0)
    notebook.start(1)
    notebook.area(1).locator("button.as-approve").click()
    notebook.wait_for_end(1)
    assert "old.txt is gone" in notebook.text(1)
    assert "tool_call_output_item" in rich(notebook, 1)["text/plain"]
    assert status(notebook, 2) == "You said **Please delete it**, in turn 1."
    notebook.start(3)
    notebook.wait_for_text(3, "word20 ")
    notebook.area(3).locator("button.as-stop").click()
    notebook.wait_for_end(3)
    assert "stopped" in notebook.text(3).lower()
    assert errors(notebook, 3) == []
