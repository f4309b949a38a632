"""A run is shown by what a front end can do: each known limit is one client here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agentstream.notebook.front_end import front_end
from tests.notebook.clients import (
    Console,
    FrontEnd,
    Page,
    Program,
    RefusingComms,
    WithoutCustomWidgets,
    WithoutWidgets,
)
from tests.notebook.kernel import Kernel

SETUP = """
from agentstream import Agent, Runner, chat, function_tool, show
from agentstream.testing import Pace, ScriptedModel, call
from agentstream.notebook import show_widget
show_widget._PATIENCE["html"] = 1.0
get_ipython().run_line_magic("load_ext", "agentstream")

def poet(said="one **two** " + "word " * 20 + "theend", seconds=0.5):
    pace = Pace(len(said) / 5 / seconds, 0.01)
    return Agent(name="Poet", model=ScriptedModel([said], loop=True, pace=pace))

@function_tool(needs_approval=True)
def delete_file(name: str) -> str:
    "Delete a file."
    return "gone"

someone = poet()
cleaner = Agent(name="Cleaner", tools=[delete_file], model=ScriptedModel(
    lambda request: call("delete_file", name="a")
    if request.input[-1].get("role") == "user" else "Tidy."))
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    kernel.run(SETUP, 90)
    yield kernel
    kernel.close()


@pytest.fixture
def client(kernel: Kernel) -> Iterator[Callable[[type[FrontEnd]], Any]]:
    made: list[FrontEnd] = []

    def make(kind: type[FrontEnd]) -> Any:
        made.append(kind(kernel))
        return made[-1]

    yield make
    for one in made:
        one.close()


WAYS = {
    "awaited": "r = await show(poet(), 'A line')",
    "awaited, last": "await show(poet(), 'A line')",
    "awaited, then shown": "r = await show(poet(), 'A line')\nr",
    "events": "async for event in show(poet(), 'A line'): pass",
    "events without async": "for event in show(poet(), 'A line'): pass",
    "last expression": "show(poet(), 'A line')",
    "finished before": "r = await Runner.run(poet(), 'A line')\nshow(r)",
    "chat": "c = chat(poet())\nr = await c.send('A line')",
    "magic": "%%agent someone\nA line",
}
every_way = pytest.mark.parametrize("code", WAYS.values(), ids=WAYS.keys())


@every_way
@pytest.mark.parametrize("found_out", [False, True])
def test_a_console_gets_the_answer_as_text_once(
    client: Callable[..., Any], code: str, found_out: bool
) -> None:
    console = client(Console)
    if found_out:
        console.run("r = await show(poet(seconds=0.1), 'A line')")
    console.run(code, more=2)
    assert console.text.count("theend") == 1, console.text
    assert console.text.count("Poet\n") == 1
    assert "theend" not in console.seen("text/plain")
    assert not console.errors


def test_a_console_gets_the_text_as_it_comes(client: Callable[..., Any]) -> None:
    console = client(Console)
    console.run("r = await show(poet(seconds=0.1), 'A line')")
    console.run("r = await show(poet(seconds=2), 'A line')")
    written = [one for one in console.messages if one["msg_type"] == "stream"]
    assert len(written) > 4


def test_a_console_is_told_of_a_pause(client: Callable[..., Any]) -> None:
    console = client(Console)
    console.run("r = await show(cleaner, 'Tidy up')")
    assert console.text.count("[waiting for approval]") == 1


@pytest.mark.parametrize("found_out", [False, True])
@pytest.mark.parametrize("way", ["await ", "async for event in ", "for event in "])
def test_a_console_is_told_of_a_failure_once(
    client: Callable[..., Any], way: str, found_out: bool
) -> None:
    console = client(Console)
    if found_out:
        console.run("r = await show(poet(seconds=0.1), 'A line')")
    console.run(
        "def fail(request): raise ValueError('no such line')\n"
        f"{way}show(Agent(name='Poet', model=ScriptedModel(fail)), 'A line')"
        + (": pass" if "for" in way else ""),
        more=2,
    )
    assert console.errors
    assert "no such line" not in console.text
    assert console.text.count("[failed]") == 1


def test_a_console_is_told_how_to_go_on_with_a_conversation(client: Callable[..., Any]) -> None:
    console = client(Console)
    console.run("chat(poet())")
    assert console.text.count("\n") == 1
    assert "await c.send('...')" in console.text
    assert "AGENTSTREAM_SHOW=widget" in console.text
    console.run("c = chat(poet())\nr = await c.send('A line')\nc")
    assert "c.send" not in console.text


@pytest.mark.parametrize("kind", [WithoutWidgets, RefusingComms, WithoutCustomWidgets])
def test_a_notebook_whose_page_never_answers_gets_the_run_by_display_updates(
    client: Callable[..., Any], kind: type[FrontEnd]
) -> None:
    notebook = client(kind)
    notebook.run("r = await show(poet(seconds=4), 'A line')")
    (shown,) = notebook.displays.values()
    assert len(shown) > 3  # while it goes on, too
    growing = [one["text/html"].count("word") for one in shown[1:]]
    assert growing == sorted(growing)
    assert growing[0] < growing[-1]
    assert "theend" in shown[-1]["text/html"]
    assert not notebook.text


@every_way
@pytest.mark.parametrize("kind", [WithoutWidgets, Program, Page])
def test_every_other_front_end_has_the_snapshot_in_the_end(
    client: Callable[..., Any], kind: type[FrontEnd], code: str
) -> None:
    notebook = client(kind)
    notebook.run(code, more=1.5)
    assert notebook.seen("text/html").count("theend") == 1
    assert "theend" not in notebook.text
    assert not notebook.errors


def test_a_page_that_answers_keeps_the_live_view(client: Callable[..., Any]) -> None:
    page = client(Page)
    page.run("r = await show(poet(seconds=3), 'A line')")
    (shown,) = page.displays.values()
    assert len(shown) == 2  # the widget and the snapshot
    assert page.frames > 10


def test_a_page_that_is_not_heard_can_follow_the_run(client: Callable[..., Any]) -> None:
    """It missed what was sent while it loaded, and cannot ask: the widget's state has it all."""
    unheard = client(Program)
    unheard.run("r = await show(poet(seconds=3), 'A line')")
    whole = [
        one["content"]["data"]["state"]["keyframe"]
        for one in unheard.messages
        if one["msg_type"] == "comm_msg" and "keyframe" in one["content"]["data"].get("state", {})
    ]
    numbers = [one["n"] for one in whole]
    assert 3 <= len(numbers) <= 8
    assert numbers == sorted(set(numbers))
    page = client(Page)
    page.run("r = await show(poet(seconds=3), 'A line')")
    assert not [one for one in page.messages if "'keyframe': {'n'" in str(one["content"])]


@pytest.mark.parametrize(
    ("wanted", "kind"), [("text", Page), ("html", Page), ("html", Console), ("widget", Console)]
)
def test_the_environment_variable_overrides_what_is_found_out(
    client: Callable[..., Any], wanted: str, kind: type[FrontEnd]
) -> None:
    one = client(kind)
    one.run(f"import os; os.environ['AGENTSTREAM_SHOW'] = {wanted!r}")
    try:
        one.run("r = await show(poet(seconds=2), 'A line')", more=1.5)
    finally:
        shown, text, messages = dict(one.displays), one.text, one.messages
        one.run("del os.environ['AGENTSTREAM_SHOW']")
    widgets = [m for m in messages if "application/vnd.jupyter.widget-view+json" in str(m)]
    assert bool(widgets) == (wanted == "widget")
    assert ("theend" in text) == (wanted == "text")
    assert bool(shown) == (wanted != "text")


def test_an_override_that_is_none_of_the_three_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AGENTSTREAM_SHOW", "pictures")
    assert front_end().kind == "text"
    assert "text, html or widget" in caplog.text


def test_a_page_that_cannot_be_reached_fails_no_run(client: Callable[..., Any]) -> None:
    notebook = client(WithoutWidgets)
    notebook.run(
        "from agentstream.notebook import ipython\n"
        "kept = ipython.publish\n"
        "def broken(*_, **__): raise OSError('no such display')\n"
        "ipython.publish = broken\n"
        "try:\n"
        "    r = await show(poet(), 'A line')\n"
        "    shown = show(poet(), 'A line')\n"
        "    await shown\n"
        "finally:\n"
        "    ipython.publish = kept\n"
        "print(r.final_output[-6:], shown.final_output[-6:])"
    )
    assert "theend theend" in notebook.text
    assert not notebook.errors


def test_a_widget_that_cannot_be_made_fails_no_run(client: Callable[..., Any]) -> None:
    notebook = client(WithoutWidgets)
    notebook.run(
        "made = show_widget.RunWidget.__init__\n"
        "def broken(*_, **__): raise AttributeError('no widget manager')\n"
        "show_widget.RunWidget.__init__ = broken\n"
        "try:\n"
        "    r = await show(poet(), 'A line')\n"
        "finally:\n"
        "    show_widget.RunWidget.__init__ = made"
    )
    assert notebook.text.count("theend") == 1
    assert not notebook.errors


def test_a_conversation_whose_widget_cannot_be_made_is_text(client: Callable[..., Any]) -> None:
    notebook = client(WithoutWidgets)
    notebook.run(
        "import agentstream.notebook.chat.widget as chat_widget\n"
        "made = chat_widget.ChatView.__init__\n"
        "def broken(*_, **__): raise AttributeError('no widget manager')\n"
        "chat_widget.ChatView.__init__ = broken\n"
        "try:\n"
        "    r = await chat(poet()).send('A line')\n"
        "finally:\n"
        "    chat_widget.ChatView.__init__ = made"
    )
    assert notebook.text.count("theend") == 1
    assert not notebook.errors


def test_colab_is_told_where_its_widget_manager_is(client: Callable[..., Any]) -> None:
    """What anywidget adds for it comes with the view; without it Colab shows no custom widget."""
    colab = client(WithoutCustomWidgets)
    colab.run(
        "import sys, types\n"
        "output = types.SimpleNamespace(enable_custom_widget_manager=lambda: None)\n"
        "output._widgets = types.SimpleNamespace(_installed_url='https://cdn.example/manager.js')\n"
        "sys.modules['google.colab.output'] = output"
    )
    try:
        colab.run("r = await show(poet(), 'A line')")
        (shown,) = [one["content"] for one in colab.messages if one["msg_type"] == "display_data"]
        assert "manager.js" in str(shown["metadata"])
    finally:
        colab.run("del sys.modules['google.colab.output']")


# -- what is sent --

MIME = re.compile(r"[a-z]+/[\w.+-]+\Z")


@every_way
def test_every_message_is_valid(client: Callable[..., Any], code: str) -> None:
    import nbformat

    page = client(Page)
    page.run(code, more=1)
    outputs = []
    for message in page.messages:
        content, kind = message["content"], message["msg_type"]
        assert isinstance(message["metadata"], dict)
        if kind in ("display_data", "update_display_data", "execute_result"):
            assert isinstance(content["data"], dict)
            assert content["data"]
            assert isinstance(content["metadata"], dict)
            assert isinstance(content.get("transient", {}), dict)
            assert all(MIME.match(mime) for mime in content["data"])
            if kind == "update_display_data":
                assert content["transient"]["display_id"]
            output = {"output_type": "display_data"}
            output |= {"data": content["data"], "metadata": content["metadata"]}
            outputs.append(nbformat.from_dict(output))
        elif kind == "comm_open":
            assert isinstance(content["target_name"], str)
            assert isinstance(content["data"], dict)
        elif kind in ("comm_msg", "comm_close"):
            assert isinstance(content["comm_id"], str)
            assert isinstance(content["data"], dict)
    assert outputs
    cell = nbformat.v4.new_code_cell("", outputs=outputs)
    nbformat.validate(nbformat.v4.new_notebook(cells=[cell]))
