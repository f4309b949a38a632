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
