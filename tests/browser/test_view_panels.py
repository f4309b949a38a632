"""Table and timeline under the answer, in a cell of JupyterLab: while it runs, and afterwards."""

from __future__ import annotations

from collections.abc import Callable

from tests.browser.lab import Notebook, until
from tests.browser.runs import LIVE, SETUP, errors, rich, wait_for_still

Open = Callable[..., Notebook]

TEAM = """
@function_tool
async def look(place: str) -> str:
    "Look a place up."
    await asyncio.sleep(4)
    return f"{place} is sunny"

writer = Agent(name="Writer", model=ScriptedModel(["It is **sunny**."], pace=Pace(30, 0.2)))
first = turn("I look.", call("look", place="Lisbon"), call("look", place="Porto"))
guide = Agent(name="Guide", tools=[look], handoffs=[writer],
              model=ScriptedModel([first, turn(hand_off(writer))], pace=Pace(30, 0.2)))
"""


def test_table_and_timeline_grow_with_the_run_and_stay(opened: Open) -> None:
    show = "result = await show(guide, 'Where?', table=True, timeline=True)"
    notebook = opened(SETUP + TEAM, show)
    notebook.start()
    live = notebook.area(1).locator(LIVE)
    table, picture = live.locator(".as-items"), live.locator(".as-timeline svg")
    # For four seconds nothing is told: what was not due before is shown all the same.
    calls = table.locator("tr", has_text="tool_call_item")
    until(lambda: calls.count() == 2, "two calls in the table")
    until(lambda: picture.locator("text", has_text="look").count() >= 1, "a tool in the picture")
    assert notebook.is_running(1)
    labels = picture.locator("text").all_inner_texts()
    assert "Writer" not in labels
    assert picture.evaluate("e => getComputedStyle(e.querySelector('rect')).fill") == (
        "rgb(255, 255, 255)"
    )
    notebook.wait_for_end(1)
    wait_for_still(notebook, 1)
    data = rich(notebook, 1)
    assert "Porto is sunny" in data["text/html"]
    assert "Timeline: " in data["text/html"]
    assert "Writer" in data["text/plain"]
    still = notebook.area(1)
    assert still.locator(".as-items tr").count() == 9
    assert still.locator(".as-timeline img").evaluate("e => e.naturalWidth") == 960
    for width in (190, 480, 641):  # no column is beside the page in the narrowest window
        box = still.locator(".as-items .as-table").evaluate(
            "(e, width) => { e.closest('.as-items').style.width = `${width}px`;"
            " return [e.scrollWidth, e.clientWidth]; }",
            width,
        )
        assert box[0] == box[1] <= width
    assert (errors(notebook, 1), notebook.watch.away) == ([], [])
