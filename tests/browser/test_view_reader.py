"""What a reader does to a view stays, and a view never says what is no longer true."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.browser.lab import Notebook, until
from tests.browser.runs import LIVE, SETUP, errors, status, wait_for_still, wait_for_words

Open = Callable[..., Notebook]

TOOLS = """
done = []

@function_tool
def look(place: str) -> str:
    "Look."
    return f"{place} is green"

@function_tool(needs_approval=True)
def delete_file(name: str) -> str:
    "Delete a file."
    done.append(name)
    return f"{name} is gone"

def agent(*turns, loop=False):
    script = ScriptedModel(list(turns), loop=loop, pace=Pace(30, 0.1))
    return Agent(name="Cleaner", tools=[look, delete_file], model=script)

def ask(name):
    return call("delete_file", name=name)
"""


def test_a_card_that_the_reader_opened_stays_open_in_the_snapshot(desk: Open) -> None:
    asking = "await show(agent(call('look', place='A'), call('look', place='B'), words(40)), 'Go')"
    notebook = desk(SETUP + TOOLS, asking)
    notebook.start()
    wait_for_words(notebook, 1, 2)
    cards = notebook.area(1).locator("details.as-tool")
    assert [cards.nth(n).get_attribute("open") for n in (0, 1)] == [None, None]
    cards.nth(1).locator("summary").click()
    notebook.wait_for_end(1)
    wait_for_still(notebook, 1)
    until(lambda: cards.nth(1).get_attribute("open") is not None, "the card to be open", 5)
    assert cards.nth(0).get_attribute("open") is None
    assert "B is green" in cards.nth(1).inner_text()


def test_a_run_whose_kernel_died_says_so_and_its_clock_stands_still(opened: Open) -> None:
    notebook = opened(SETUP, "show(poet(5000), 'A poem')", "import os; os._exit(1)")
    notebook.start(0, 1)
    wait_for_words(notebook, 1, 5)
    header = notebook.area(1).locator(f"{LIVE} .as-header")
    assert "running" in header.inner_text()
    notebook.start(2)
    until(lambda: "kernel stopped" in header.inner_text(), "the header to say so", 30)
    assert "running" not in header.inner_text()
    assert notebook.area(1).locator("button.as-stop").count() == 0
    before = header.inner_text()
    time.sleep(1)
    assert header.inner_text() == before


BOXES = """(card, parts) => [card, ...parts.map(part => card.querySelector(part))].map(element => {
    const {x, y, width, height} = element.getBoundingClientRect();
    return {x, y, width, height};
})"""

ASKS = "show(agent(turn('May I?', ask('a')), ask('b'), 'Tidy.'), 'Tidy up')"


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
@pytest.mark.parametrize("width", [1280, 560])
def test_the_buttons_of_an_approval_stand_inside_their_card(
    opened: Open, width: int, theme: str
) -> None:
    notebook = opened(SETUP + TOOLS, f"await {ASKS}")
    notebook.theme(theme)
    notebook.page.set_viewport_size({"width": width, "height": 800})
    notebook.start()
    card = notebook.area(1).locator(f"{LIVE} .as-card.as-is-awaiting_approval")
    card.wait_for()
    parts = ["button.as-approve", "button.as-always", "button.as-reject", "input.as-reason"]
    assert all(card.locator(part).is_visible() for part in parts)
    # In one look: the page may still be settling after it was made narrow.
    outer, *boxes = card.evaluate(BOXES, parts)
    for part, box in zip(parts, boxes, strict=True):
        assert box["x"] >= outer["x"] and box["width"] > 40, part
        assert box["x"] + box["width"] <= outer["x"] + outer["width"] + 0.5, part
        assert box["y"] + box["height"] <= outer["y"] + outer["height"] + 0.5, part
    for at, one in enumerate(boxes):
        for other in boxes[at + 1 :]:
            apart = (
                one["x"] + one["width"] <= other["x"] + 0.5
                or other["x"] + other["width"] <= one["x"] + 0.5
                or one["y"] + one["height"] <= other["y"] + 0.5
                or other["y"] + other["height"] <= one["y"] + 0.5
            )
            assert apart, (one, other)
    notebook.area(1).locator("button.as-stop").click()
    notebook.wait_for_end(1)


def test_always_approve_lets_later_calls_pass_and_a_reason_reaches_the_model(desk: Open) -> None:
    cells = [SETUP + TOOLS, f"r = await {ASKS}", "print(done, r.final_output)"]
    rejected = "print([i.output for i in r.new_items if i.type == 'tool_call_output_item'])"
    once = "r = await show(agent(ask('a'), 'Tidy.'), 'Tidy up')"
    notebook = desk(*cells, once, rejected)
    notebook.start(0, 1)
    notebook.area(1).locator("button.as-always").click()
    notebook.wait_for_end(1)
    assert status(notebook, 2) == "['a', 'b'] Tidy."
    notebook.start(3)
    notebook.area(3).locator("input.as-reason").fill("Keep it, please.")
    notebook.area(3).locator("button.as-reject").click()
    notebook.wait_for_end(3)
    assert status(notebook, 4) == "['Keep it, please.']"


CHAT = "c = chat(agent(ask('a'), 'Tidy.', loop=True))"
WAYS = {
    "show": (f"await {ASKS}",),
    "chat": (f"from agentstream import chat\n{CHAT}\nawait c.send('Tidy up')",),
    "magic": ("%load_ext agentstream\ncleaner = agent(ask('a'))", "%%agent cleaner\nTidy up"),
}


@pytest.mark.parametrize("how", ["button", "interrupt"])
@pytest.mark.parametrize("cells", WAYS.values(), ids=WAYS.keys())
def test_a_cell_that_waits_for_an_approval_is_stopped(
    desk: Open, cells: tuple[str, ...], how: str
) -> None:
    notebook = desk(SETUP + TOOLS, *cells, "print(done)")
    last = len(cells)
    notebook.start(*range(last + 1))
    area = notebook.area(last)
    area.locator(".as-live button.as-approve, .as-chat button.as-approve").first.wait_for()
    if how == "button":
        area.locator("button.as-stop:visible").first.click()
    else:
        notebook.interrupt()
    notebook.wait_for_end(last)
    assert len(errors(notebook, last)) == (how == "interrupt")
    assert status(notebook, last + 1) == "[]"
