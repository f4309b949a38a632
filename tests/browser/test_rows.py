"""Many rows in a notebook: the bar while they are asked, Stop, and what is saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.browser.lab import Notebook, until

Open = Callable[..., Notebook]

SETUP = """
import asyncio
import pandas as pd
from agentstream import Agent, map_frame
from agentstream.testing import ScriptedModel, http_error

async def turns(request):
    await asyncio.sleep(0.2)
    if request.user_text.endswith("7"):
        return http_error(400, "<b>No</b> such review")
    return "good"

critic = Agent(name="Critic", model=ScriptedModel(turns))
df = pd.DataFrame({"review": [f"review {number}" for number in range(300)]})
"""
ROWS = "run = map_frame(critic, df, 'Classify: {review}', concurrency=4)"


def test_the_bar_goes_on_and_the_button_stops_it(opened: Open, tmp_path: Path) -> None:
    notebook = opened(SETUP, ROWS)
    notebook.start()
    notebook.wait_for_text(1, "of 300 rows")
    until(lambda: "Last errors" in notebook.text(1), "the errors are told")
    assert "<b>No</b>" in notebook.text(1)
    assert "rows/s" in notebook.text(1)
    notebook.picture(tmp_path / "live.png")
    notebook.area(1).locator("button.as-rows-stop").click()
    notebook.wait_for_text(1, "Ended early")
    assert notebook.area(1).locator("button.as-rows-stop").count() == 0
    notebook.picture(tmp_path / "stopped.png")
    saved = json.dumps(notebook.save())
    assert "Ended early" in saved


def test_rows_that_are_tried_again_show_below_that_cell_and_can_be_stopped(
    opened: Open, tmp_path: Path
) -> None:
    notebook = opened(SETUP, ROWS, "out = await run.retry()")
    notebook.run(0, 1)
    notebook.wait_for_text(1, "of 300 rows")
    notebook.area(1).locator("button.as-rows-stop").click()
    notebook.wait_for_text(1, "Ended early")
    ended = notebook.text(1)
    notebook.start(2)
    notebook.wait_for_text(2, "rows/s")
    notebook.picture(tmp_path / "again.png")
    notebook.area(2).locator("button.as-rows-stop").click()
    notebook.wait_for_text(2, "Ended early")
    assert notebook.area(2).locator("button.as-rows-stop").count() == 0
    assert notebook.text(1) == ended


def test_the_saved_notebook_shows_the_bar_without_a_kernel(opened: Open, tmp_path: Path) -> None:
    notebook = opened(SETUP, f"df = df.head(20)\n{ROWS}\nout = await run", "run.frame.head(3)")
    notebook.run(seconds=60)
    assert "20 of 20 rows" in notebook.text(1)
    assert "18 done, 2 failed" in notebook.text(1)
    assert "good" in notebook.text(2)
    notebook.picture(tmp_path / "done.png")
    saved = json.dumps(notebook.save())
    assert "20 of 20 rows" in saved
    assert "widget-view" not in saved


STREAMING = """
import asyncio
import pandas as pd
from agentstream import Agent, map_frame
from agentstream.testing import ScriptedModel, turn

def turns(request):
    return turn("The whole of this answer is written **slowly**, word by word, so that it can be "
                "read while it is written, and this is its end.", pace=8)

critic = Agent(name="Critic", model=ScriptedModel(turns))
df = pd.DataFrame({"review": [f"review {number}" for number in range(100)]})
"""


def test_a_click_on_a_row_shows_its_run_while_it_is_written(opened: Open, tmp_path: Path) -> None:
    notebook = opened(STREAMING, "run = map_frame(critic, df, '{review}', concurrency=2)")
    notebook.start()
    notebook.wait_for_text(1, "Under way:")
    area = notebook.area(1)
    area.locator("button.as-rows-row").first.click()
    until(lambda: area.locator(".as-rows-run").count(), "a row is shown")
    # A row that begins from now on is streamed.
    until(lambda: "2 done" in notebook.text(1), "the first ones are done")
    area.locator("button.as-rows-row").first.click()
    until(
        lambda: (
            "The whole" in area.locator(".as-rows-run").inner_text()
            and "its end" not in area.locator(".as-rows-run").inner_text()
        ),
        "it is seen while it is written",
    )
    notebook.picture(tmp_path / "row.png")
    area.locator("button.as-rows-close").click()
    until(lambda: not area.locator(".as-rows-run").count(), "it is closed")
    area.locator("button.as-rows-stop").click()
    notebook.wait_for_text(1, "Ended early")


VOTE = """
import pandas as pd
from agentstream import Agent, map_frame
from agentstream.testing import ScriptedModel

def agent(name, end):
    return Agent(name=name, model=ScriptedModel(lambda request: f"{request.user_text} **{end}**"))

df = pd.DataFrame({"review": [f"review {number}" for number in range(4)]})
compared = map_frame({"mini": agent("Mini", "short"), "full": agent("Full", "a long answer")},
                     df, "Classify: {review}", checkpoint="votes.sqlite", progress=False)
out = await compared
"""


def test_a_blind_vote_is_cast_by_keyboard_and_stays(opened: Open, tmp_path: Path) -> None:
    notebook = opened(VOTE, "compared.vote()", "compared.frame['vote'].tolist()")
    notebook.start(0, 1)
    notebook.wait_for_text(1, "Which answer is better?")
    area = notebook.area(1)
    notebook.picture(tmp_path / "vote.png")
    area.locator(".as-vote").focus()
    for number in range(1, 5):
        notebook.wait_for_text(1, f"{number} of 4")
        left = area.locator(".as-vote-answer").first.inner_text()
        area.page.keyboard.press("ArrowLeft" if "long" in left else "ArrowRight")
    notebook.wait_for_text(1, "4 of 4 pairs")
    notebook.picture(tmp_path / "voted.png")
    notebook.start(2)
    notebook.wait_for_text(2, "0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0")
    saved = json.dumps(notebook.save())
    assert "4 of 4 pairs" in saved
    assert "widget-view" not in saved
