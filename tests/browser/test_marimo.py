"""The same in marimo, which is no Jupyter: the live view, the snapshot, the conversation."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.lab import REPOSITORY, until

pytest.importorskip("marimo", reason="marimo is not installed (pip install -e '.[dev]')")

NOTEBOOK = """
import marimo

app = marimo.App()

@app.cell
def _():
    from agentstream import Agent, Runner, chat, function_tool, show
    from agentstream.testing import Pace, ScriptedModel, call

    def poet(name, words):
        said = "## Result\\n\\nThe **mean** is 1.5. " + "word " * words
        return Agent(name=name, model=ScriptedModel([said], loop=True, pace=Pace(40, 0.2)))

    @function_tool(needs_approval=True)
    def delete_file(name: str) -> str:
        "Delete a file."
        return "gone"

    cleaner = Agent(name="Cleaner", tools=[delete_file], model=ScriptedModel(
        lambda request: call("delete_file", name="a")
        if request.input[-1].get("role") == "user" else "Tidy."))
    return Runner, chat, cleaner, poet, show

@app.cell
async def _(poet, show):
    awaited = await show(poet("Awaited", 200), "Means?")
    return (awaited,)

@app.cell
def _(awaited):
    awaited
    return

@app.cell
async def _(Runner, poet):
    ended = await Runner.run(poet("Ended", 2), "Means?")
    ended
    return

@app.cell
def _(awaited, poet, show):
    show(poet("Background", 5000), "Means?")
    return

@app.cell
def _(awaited, cleaner, show):
    show(cleaner, "Tidy up")
    return

@app.cell
def _(awaited, chat, poet):
    talk = chat(poet("Chatter", 5))
    talk
    return

if __name__ == "__main__":
    app.run()
"""


@pytest.fixture(scope="module")
def notebook(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The notebook in a browser, as an app: all its cells run when it is opened."""
    home = tmp_path_factory.mktemp("marimo")
    (home / "notebook.py").write_text(NOTEBOOK, encoding="utf-8")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "PYTHONPATH": path}
    command = [sys.executable, "-m", "marimo", "run", "--headless", "--no-token"]
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--port", str(port), "notebook.py"],
            cwd=home,
            env={**os.environ, **own},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        page = browser.new_page(viewport={"width": 1100, "height": 2400})
        try:
            until(lambda: _answers(port), "marimo serves the notebook")
            page.goto(f"http://127.0.0.1:{port}/")
            page.log = home / "server.log"
            yield page
        finally:
            page.close()
            server.terminate()
            server.wait(20)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def run_of(page: Any, agent: str) -> Any:
    return page.locator(".as-run", has=page.locator(".as-agent", has_text=agent))


def text_of(page: Any, agent: str) -> str:
    found = run_of(page, agent)
    return str(found.first.inner_text()) if found.count() else ""


def test_a_run_is_live_while_its_cell_awaits_it_and_ends_as_a_snapshot(notebook: Any) -> None:
    seen: set[int] = set()

    def grows() -> bool:
        seen.add(text_of(notebook, "Awaited").count("word"))
        return len(seen) > 4

    until(grows, "the text comes word by word")
    # Its own, and that of the cell that shows the result.
    snapshots = notebook.locator(".as-snapshot", has_text="Awaited")
    until(lambda: snapshots.count() == 2, "the snapshots are there")
    assert snapshots.locator("h2").all_inner_texts() == ["Result", "Result"]
    until(lambda: notebook.locator(".as-snapshot", has_text="Ended").count() == 1, "a result")


def test_a_run_in_the_background_is_live_and_can_be_stopped(notebook: Any) -> None:
    until(lambda: text_of(notebook, "Background").count("word") > 5, "it is live")
    run_of(notebook, "Background").get_by_text("Stop", exact=True).click()
    until(lambda: "stopped" in text_of(notebook, "Background"), "it is stopped")
    assert text_of(notebook, "Background").count("word") < 4000


def test_a_tool_call_is_approved_on_the_page(notebook: Any) -> None:
    until(lambda: "waiting" in text_of(notebook, "Cleaner"), "it waits")
    run_of(notebook, "Cleaner").get_by_text("Approve", exact=True).click()
    until(lambda: "Tidy." in text_of(notebook, "Cleaner"), "it goes on")


def test_a_conversation_is_held_on_the_page(notebook: Any) -> None:
    box = notebook.locator("textarea")
    until(lambda: box.count() == 1, "the conversation is there")
    box.fill("Hello")
    box.press("Enter")
    until(lambda: notebook.locator(".as-exchange", has_text="Result").count() == 1, "an answer")


def test_nothing_failed_behind_the_page(notebook: Any) -> None:
    log = notebook.log.read_text(encoding="utf-8")
    assert "Traceback" not in log
    assert "failed" not in log
