"""One notebook in two browsers, for ``python -m tests.matrix exports collaboration``.

jupyter-collaboration gives both the same document. The pictures are for somebody to look at.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.browser.lab import CHROMIUM, CHROMIUM_FLAGS, Notebook, Server, until

SETUP = '''
from agentstream import Agent, chat, function_tool, show
from agentstream.testing import Pace, ScriptedModel, call, turn

@function_tool(needs_approval=True)
def means(city: str) -> list[dict]:
    """The mean temperatures of a city."""
    return [{"month": name, "mean": 1.5 * at} for at, name in enumerate(["Jan", "Feb", "Mar"])]

words = " ".join(f"word{number}" for number in range(100)) + " **the last one**"
turns = [turn(call("means", city="Ghent")), words]
analyst = Agent(name="Analyst", tools=[means], model=ScriptedModel(turns, loop=True, pace=Pace(40)))
talker = Agent(name="Talker", model=ScriptedModel(["Good **day**."], loop=True))
'''
ASK = 'result = await show(analyst, "What is the mean?")'
TALK = 'talk = chat(talker)\nanswered = await talk.send("Hello")'

_CELLS = (
    "[...window.jupyterapp.shell.widgets('main')]"
    ".find(one => one.sessionContext && one.content?.widgets).content.model.cells"
)


def approve(notebook: Notebook, cell: int) -> None:
    notebook.area(cell).locator("button.as-approve").click()


def both_see(first: Notebook, second: Notebook, cell: int, text: str, name: str) -> None:
    """Wait until both see `text` below a cell, once; take pictures."""
    for who, notebook in (("first", first), ("second", second)):
        notebook.wait_for_text(cell, text)
        assert notebook.text(cell).count(text) == 1, who
        notebook.page.screenshot(path=f"{name}-{who}.png")


def is_snapshot(notebook: Notebook, cell: int) -> bool:
    kinds = [set(one.get("data", {})) for one in notebook.outputs(cell)]
    return kinds == [{"text/html", "text/markdown", "text/plain"}]


def try_out(first: Notebook, second: Notebook) -> None:
    """What two people see who have one notebook open; the second did not execute its cells."""
    path = first.server.write(SETUP, ASK, ASK, TALK, name="shared.ipynb")
    first.open(path)
    first.run(0)
    second.open(path)
    first.start(1)
    first.area(1).locator("button.as-approve").wait_for()
    # JupyterLab shows no widget in a notebook that is not trusted.
    both_see(second, second, 1, "The agent is running", "untrusted")
    approve(first, 1)
    both_see(first, second, 1, "the last one", "snapshot")
    until(lambda: is_snapshot(first, 1) and is_snapshot(second, 1), "the snapshot")
    second.page.evaluate(f"() => {{ for (const cell of {_CELLS}) cell.trusted = true; }}")
    first.start(2)
    second.area(2).locator("button.as-approve").wait_for()
    both_see(first, second, 2, "Allow this call", "trusted")
    approve(second, 2)
    both_see(first, second, 2, "the last one", "approved")
    until(lambda: is_snapshot(first, 2) and is_snapshot(second, 2), "the second snapshot")
    first.run(3)
    both_see(first, second, 3, "Good day.", "chat")
    first.save()
    saved = first.server.read(path)
    assert ["word99" in str(cell.outputs) for cell in saved.cells] == [False, True, True, False]
    second.reload()
    both_see(first, second, 1, "the last one", "reopened")


def main(folder: Path) -> None:
    """Start a server and two browsers, and try it out."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    server = Server(folder / f"server-{os.getpid()}")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        try:
            server.start()

            def person() -> Notebook:
                context: Any = browser.new_context(viewport={"width": 1000, "height": 900})
                return Notebook(context.new_page(), server)

            try_out(person(), person())
        finally:
            server.close()
            browser.close()


if __name__ == "__main__":
    main(Path(os.environ["MATRIX_PICTURES"]) / "collaboration")
