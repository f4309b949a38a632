"""A run in a cell of JupyterLab: it is watched, stopped, approved, and kept."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.browser.lab import Notebook, until
from tests.browser.runs import (
    LIVE,
    SETUP,
    errors,
    is_still,
    rich,
    status,
    wait_for_still,
    wait_for_words,
    words_of,
)

Open = Callable[..., Notebook]

STATUS = "print(result.trace.status, result.is_complete, len(asyncio.all_tasks()))"


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_text_is_seen_before_the_run_has_ended_and_a_still_picture_stays(
    opened: Open, app: str
) -> None:
    notebook = opened(SETUP, "result = await show(poet(), 'A poem')", app=app)
    notebook.start()
    early = wait_for_words(notebook, 1, 5)
    assert notebook.is_running(1)
    assert "theend" not in notebook.text(1)
    live = notebook.area(1).locator(LIVE)
    assert live.locator(".as-header button.as-stop").is_visible()
    assert live.locator("[role=log][aria-live=polite]").count() == 1
    notebook.wait_for_end(1)
    wait_for_still(notebook, 1)
    data = rich(notebook, 1)
    assert words_of(notebook.text(1)) == list(range(300))
    assert len(early) < 300
    assert notebook.area(1).locator("strong", has_text="theend").is_visible()
    assert "word299 **theend**" in data["text/markdown"]
    assert "word299" in data["text/plain"]
    assert (errors(notebook, 1), notebook.watch.away, notebook.watch.dialogs) == ([], [], [])


def test_the_stop_button_stops_a_run_that_a_cell_awaits(desk: Open) -> None:
    notebook = desk(SETUP, "result = await show(poet(5000), 'A poem')", STATUS)
    notebook.start(0, 1)
    wait_for_words(notebook, 1, 10)
    notebook.area(1).locator("button.as-stop").click()
    notebook.wait_for_end(1)
    text = wait_for_still(notebook, 1)
    shown = words_of(text)
    assert shown == list(range(len(shown)))
    assert 10 <= len(shown) < 4000
    assert "stopped" in text.lower()
    assert errors(notebook, 1) == []
    assert status(notebook, 2).startswith("cancelled True")


def test_the_stop_button_stops_a_run_in_the_background_and_the_cell_is_free(desk: Open) -> None:
    cells = [SETUP, "result = Runner.run_streamed(poet(5000), 'A poem')\nshow(result)", STATUS]
    notebook = desk(*cells)
    notebook.start(0, 1)
    wait_for_words(notebook, 1, 10)
    notebook.wait_for_end(1)
    assert status(notebook, 2).startswith("running False")
    notebook.area(1).locator("button.as-stop").click()
    text = wait_for_still(notebook, 1)
    assert len(words_of(text)) >= 10
    assert "stopped" in text.lower()
    assert status(notebook, 2).startswith("cancelled True")


AWAITED = """
result = Runner.run_streamed(poet(5000), 'A poem')
try:
    await show(result)
finally:
    ended = time.time()
"""
PLAIN_FOR = """
result = Runner.run_streamed(poet(5000), 'A poem')
try:
    for event in show(result):
        pass
finally:
    ended = time.time()
"""


@pytest.mark.parametrize("cell", [AWAITED, PLAIN_FOR], ids=["await", "for"])
def test_an_interrupt_stops_the_run_at_once_and_the_cell_ends_with_one_line(
    desk: Open, cell: str
) -> None:
    notebook = desk(SETUP, cell, "print(ended)", STATUS)
    notebook.start(0, 1)
    wait_for_words(notebook, 1, 10)
    sent = time.time()
    notebook.interrupt()
    notebook.wait_for_end(1)
    text = wait_for_still(notebook, 1)
    assert len(words_of(text)) >= 10
    assert "stopped" in text.lower()
    told = errors(notebook, 1)
    assert len(told) == 1
    assert "\n" not in told[0].strip()
    assert "Traceback" not in told[0]
    # 0.3 s on a quiet machine: the server's own way to the kernel, and other work, are in here.
    assert float(status(notebook, 2)) - sent < 1.5
    assert status(notebook, 3).startswith("cancelled True")


def test_cancel_stops_the_run_and_what_arrived_stays(desk: Open) -> None:
    cancelling = """
    result = Runner.run_streamed(poet(5000), 'A poem')
    asyncio.get_running_loop().call_later(1.5, result.cancel)
    await show(result)
    """
    notebook = desk(SETUP, cancelling, STATUS)
    notebook.run(0, 1)
    text = wait_for_still(notebook, 1)
    assert 5 < len(words_of(text)) < 4000
    assert "stopped" in text.lower()
    assert errors(notebook, 1) == []
    assert status(notebook, 2).startswith("cancelled True")


APPROVAL = """
done = []

@function_tool(needs_approval=True)
def delete_file(name: str) -> str:
    "Delete a file."
    done.append(name)
    return f"{name} is gone"

def cleaner():
    script = [turn("Let me tidy up.", call("delete_file", name="old.txt")), "Everything is tidy."]
    return Agent(name="Cleaner", tools=[delete_file], model=ScriptedModel(script))
"""


def test_a_click_on_approve_resumes_the_run_in_the_same_view(desk: Open) -> None:
    ask = "result = await show(cleaner(), 'Tidy up')"
    notebook = desk(SETUP + APPROVAL, ask, "print(done, result.final_output)", ask)
    notebook.start(0, 1)
    approve = notebook.area(1).locator(f"{LIVE} button.as-approve")
    approve.wait_for()
    assert notebook.is_running(1)
    assert "is gone" not in notebook.text(1)
    assert "Let me tidy up." in notebook.text(1)
    approve.click()
    notebook.wait_for_end(1)
    text = wait_for_still(notebook, 1)
    assert "Let me tidy up." in text
    assert "Everything is tidy." in text
    assert notebook.area(1).locator("button").count() == 0
    assert status(notebook, 2) == "['old.txt'] Everything is tidy."
    # Rejected, the tool does not run, and the model is told.
    notebook.start(3)
    notebook.area(3).locator("button.as-reject").click()
    notebook.wait_for_end(3)
    assert "rejected" in wait_for_still(notebook, 3).lower()
    assert status(notebook, 2) == "['old.txt'] Everything is tidy."


BROKEN = """
from agentstream.testing import fail
result = Runner.run_streamed(Agent(name="Broken", model=ScriptedModel(
    [turn(think("Let me see."), say("So far so good, "), fail("The model caught fire."))])), "Go")
await show(result)
"""


def test_a_run_that_fails_says_why_and_keeps_what_arrived(desk: Open) -> None:
    notebook = desk(SETUP, BROKEN)
    notebook.run()
    text = wait_for_still(notebook, 1)
    assert "So far so good," in text
    # The traceback below tells why, the banner only which error it was.
    assert "ModelBehaviorError" in notebook.area(1).locator("[role=alert]").inner_text()
    assert "The model caught fire." in notebook.text(1)
    assert len(errors(notebook, 1)) == 1


def test_a_run_left_as_the_last_expression_shows_itself(desk: Open) -> None:
    notebook = desk(SETUP, "Runner.run_streamed(poet(150), 'A poem')")
    notebook.start()
    wait_for_words(notebook, 1, 5)
    assert notebook.area(1).locator(LIVE).count() == 1
    assert words_of(wait_for_still(notebook, 1)) == list(range(150))


OF_THE_SDK = '''
import agents

class Slow(agents.Model):
    """agentstream's scripted model under the SDK's name."""
    def __init__(self, turns):
        self.inner = ScriptedModel(turns, pace=Pace(100, 0.1))
    async def get_response(self, *args, **kwargs):
        raise NotImplementedError
    async def stream_response(self, *args, **kwargs):
        async for event in self.inner.ask("x"):
            yield event

agents.set_tracing_disabled(True)

@agents.function_tool
def look() -> str:
    "Look."
    return "a red door"

agent = agents.Agent(name="Foreign", tools=[look],
                     model=Slow([turn("I look.", call("look")), words(200)]))
result = await show(agents.Runner.run_streamed(agent, "Go"))
'''


def test_a_run_of_the_agents_sdk_is_shown_alike(desk: Open) -> None:
    pytest.importorskip("agents", reason="openai-agents is not installed")
    notebook = desk(SETUP, OF_THE_SDK, "print(type(result).__module__, result.final_output[:5])")
    notebook.start(0, 1)
    wait_for_words(notebook, 1, 5)
    assert notebook.is_running(1)
    assert "theend" not in notebook.text(1)
    notebook.wait_for_end(1)
    text = wait_for_still(notebook, 1)
    assert words_of(text) == list(range(200))
    assert "look" in text
    assert "a red door" in notebook.html(1)
    assert "Foreign" in text
    assert status(notebook, 2) == "agents.result word0"


BOXES = "area => [...area.querySelectorAll('.as-run')].map(one => one.getBoundingClientRect())"


def test_two_runs_stream_side_by_side(desk: Open) -> None:
    boxed = """
    import ipywidgets as widgets
    one = Runner.run_streamed(poet(150, name="Left"), "A poem")
    two = Runner.run_streamed(poet(5, 4, name="Right"), "A poem")
    box = widgets.HBox([show(one), show(two)])
    box
    """
    notebook = desk(SETUP, boxed)
    notebook.run()
    views = notebook.area(1).locator(".as-run")
    until(lambda: views.count() == 2, "two views")

    def both_write() -> bool:
        texts = [views.nth(number).inner_text() for number in range(2)]
        return all(words_of(text) and "theend" not in text for text in texts)

    until(both_write, "both write at once")
    # In one look: they would tell nothing if the page changed between two. One says little.
    left, right = notebook.area(1).evaluate(BOXES)
    assert left["right"] <= right["left"] + 1
    assert abs(left["top"] - right["top"]) < 5
    assert left["width"] == pytest.approx(right["width"], abs=2)
    for number, (name, count) in enumerate((("Left", 150), ("Right", 5))):
        until(lambda n=number: "done" in views.nth(n).inner_text(), f"{name} ends")
        text = views.nth(number).inner_text()
        assert words_of(text) == list(range(count))
        assert name in text
    # Nothing else is shown below the cell: what is in the box is not shown a second time.
    assert len(notebook.outputs(1)) == 1
    assert not is_still(notebook, 1)


def test_nothing_is_lost_when_tokens_come_flat_out(desk: Open) -> None:
    flat = """
    agent = Agent(name="Fast", model=ScriptedModel([words(4000)]))
    result = await show(agent, "Go")
    """
    notebook = desk(SETUP, flat)
    notebook.run()
    assert words_of(wait_for_still(notebook, 1)) == list(range(4000))
