"""Makes the pictures in docs/img/ from a real JupyterLab.

    python docs/screenshots.py [name ...]

Needs what the browser tests need: the dev extra and Chromium. No key and no network: the agents
play a script.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from tests.browser.lab import CHROMIUM, CHROMIUM_FLAGS, Notebook, Server, missing  # noqa: E402

IMAGES = Path(__file__).parent / "img"
WIDTH = 1100  # of the pictures, pixels
BAR = 18  # of the mark beside the active cell, pixels

OFFICE = '''
"""The agents in the pictures."""
import asyncio
from agentstream import Agent, function_tool
from agentstream.tool_context import ToolContext
from agentstream.testing import (
    Pace, ScriptedModel, call, cite, fail, hand_off, say, think, turn, web_search)

PACE = Pace(60, 0.2)

PLAN = """## A day in Lisbon

1. **Morning**: tram 28 up to *Graça*, before the queues.
2. **Noon**: lunch on the terrace of the `Miradouro`.
3. **Evening**: fado in Alfama.

| What | When | Cost |
|---|:-:|--:|
| Tram | 9:00 | 3 € |
| Lunch | 13:00 | 18 € |
| Fado | 20:30 | 35 € |

For a group of $n$ that is $C(n) = 56\\\\,n$ euros:

```python
def cost(people: int) -> float:
    "What the day costs."
    return 56.0 * people  # tram, lunch, fado
```

> Bring shoes that do not slip: the pavement is polished limestone.

Shall I **book** the table for you? The terrace fills up quickly at this time of the year, and the
kitchen closes at three.
"""

@function_tool
async def get_weather(city: str, days: int) -> list:
    "The forecast."
    await asyncio.sleep(0.4)
    return [{"day": "Sat", "sky": "sunny", "°C": 24}, {"day": "Sun", "sky": "windy", "°C": 21}]

@function_tool
async def find_tables(ctx: ToolContext, city: str, people: int, terrace: bool) -> str:
    "Free tables."
    ctx.report_progress("4 of 11 restaurants", 4 / 11)
    await asyncio.sleep(30)
    return "none"

@function_tool(needs_approval=True)
def book_table(restaurant: str, people: int, time: str) -> str:
    "Book."
    return f"Booked: {restaurant}, {people} people, {time}"

def model(*turns, pace=PACE):
    return ScriptedModel(list(turns), loop=True, pace=pace, model="scripted-1")

guide = Agent(name="Guide", model=model(turn(
    think("**Planning the day** The user likes views and food; start early, end with music."),
    say(PLAN))))

scout = Agent(name="Scout", tools=[get_weather, find_tables], model=model(
    turn(think("Weather first, then a table."), say("Let me look at the weather first."),
         call("get_weather", city="Lisbon", days=2)),
    turn(say("Saturday, then. Is there a table outside?"),
         call("find_tables", city="Lisbon", people=2, terrace=True))))

booking = Agent(name="Booking", tools=[book_table], model=model(
    turn(say("Two at *Miradouro*, on the terrace. I ask before I book:"),
         call("book_table", restaurant="Miradouro", people=2, time="13:00")),
    "**Done.** A table for two on the terrace, Saturday at one, under your name."))

concierge = Agent(name="Concierge", tools=[get_weather], model=model(
    turn(say("A terrace needs the sun."), call("get_weather", city="Lisbon", days=2)),
    turn(say("Sunny on Saturday. My colleague does the rest."), hand_off("Reservations"))))
reservations = Agent(name="Reservations", model=model(
    "Thank you! For two on Saturday I would take the *Miradouro*: the terrace faces south, and the "
    "fish is from this morning. " + "It is a short walk from the tram. " * 12))
concierge.handoffs = [reservations]

tutor = Agent(name="Tutor", model=model(
    "A **closure** is a function that remembers the variables around it.",
    """Here `add` remembers `n`:

```python
def adder(n):
    def add(x):
        return x + n
    return add

adder(2)(40)  # 42
```
"""))

unlucky = Agent(name="Guide", tools=[get_weather], model=model(
    turn(say("Let me look."), call("get_weather", city="Lisbon", days=2)),
    turn(say("Saturday will be sunny, so lunch belongs"), fail("The server is overloaded."))))
'''


def cell(agent: str, question: str, how: str) -> str:
    """What is in the cell of a picture."""
    imports = f"from agentstream import show\nfrom office import {agent}"
    return f'{imports}\n\n{how}show({agent}, "{question}")'


def take(notebook: Notebook, name: str, number: int = 0) -> None:
    """Take a picture of a cell and what is below it."""
    page = notebook.page
    page.mouse.move(0, 0)
    one = page.locator(".jp-Notebook .jp-Cell").nth(number)
    box = one.bounding_box()
    page.set_viewport_size({"width": page.viewport_size["width"], "height": 1600})
    shown = one.bounding_box()
    height = min(shown["height"], 1500)
    clip = {"x": box["x"] + BAR, "y": shown["y"], "width": WIDTH, "height": height}
    page.screenshot(path=IMAGES / f"{name}.png", clip=clip, animations="disabled")


def tidy(notebook: Notebook) -> None:
    """Take away what is not the notebook."""
    notebook.command("application:toggle-left-area")
    notebook.page.add_style_tag(content=".jp-cell-toolbar { display: none !important; }")


def scene(notebook: Notebook, agent: str, question: str, how: str = "await ") -> None:
    """Open a notebook with one cell, as wide as the pictures are, and run it."""
    notebook.open(notebook.server.write(cell(agent, question, how)))
    settle(notebook)
    notebook.start(0)


def settle(notebook: Notebook) -> None:
    """Make the cell as wide as the pictures are."""
    tidy(notebook)
    shown = notebook.page.locator(".jp-Notebook .jp-Cell").first.bounding_box()["width"]
    size = notebook.page.viewport_size
    notebook.page.set_viewport_size({**size, "width": size["width"] + WIDTH + BAR - int(shown)})


def streaming(notebook: Notebook) -> None:
    """An answer while it is written."""
    scene(notebook, "guide", "Plan a day in Lisbon for us")
    notebook.wait_for_text(0, "pavement is")
    take(notebook, "streaming")


def tool(notebook: Notebook) -> None:
    """A tool that runs."""
    scene(notebook, "scout", "Where can we have lunch in Lisbon?")
    notebook.area(0).locator(".as-card[data-status=running]", has_text="find_tables").wait_for()
    notebook.page.wait_for_timeout(1500)
    take(notebook, "tool")


def handoff(notebook: Notebook) -> None:
    """A second agent goes on."""
    scene(notebook, "concierge", "A table for two, outside, please")
    notebook.wait_for_text(0, "short walk")
    take(notebook, "handoff")


def approval(notebook: Notebook) -> None:
    """A call that waits for a person."""
    scene(notebook, "booking", "Book us a table for Saturday")
    notebook.area(0).locator("button.as-approve").wait_for()
    notebook.page.wait_for_timeout(500)
    take(notebook, "approval")


def error(notebook: Notebook) -> None:
    """A run that failed."""
    # In the background, where no traceback follows.
    scene(notebook, "unlucky", "Where can we have lunch in Lisbon?", how="")
    notebook.wait_for_text(0, "overloaded")
    notebook.wait_for_end(0)
    notebook.page.wait_for_timeout(500)
    take(notebook, "error")


def chat(notebook: Notebook) -> None:
    """A conversation."""
    notebook.open(
        notebook.server.write(
            "from agentstream import chat\nfrom office import tutor\n\nchat(tutor)"
        )
    )
    settle(notebook)
    notebook.start(0)
    box = notebook.area(0).locator("textarea")
    for said, answered in (("What is a closure?", "around it."), ("Show me one", "# 42")):
        box.fill(said)
        box.press("Enter")
        notebook.wait_for_text(0, answered)
        notebook.page.wait_for_timeout(500)
    take(notebook, "chat")


def dark(notebook: Notebook) -> None:
    """As `streaming`, in JupyterLab's dark theme."""
    scene(notebook, "guide", "Plan a day in Lisbon for us")
    notebook.theme("JupyterLab Dark")
    notebook.wait_for_text(0, "pavement is")
    take(notebook, "dark")
    notebook.theme("JupyterLab Light")


def snapshot(notebook: Notebook) -> None:
    """A saved run, opened without a kernel."""
    scene(notebook, "concierge", "A table for two, outside, please")
    notebook.wait_for_end(0)
    notebook.page.wait_for_timeout(500)
    notebook.save()
    notebook.server.shut_down_kernels()
    size = notebook.page.viewport_size
    notebook.open(notebook.path, kernel=False)
    tidy(notebook)
    notebook.page.set_viewport_size(size)
    notebook.wait_for_text(0, "short walk")
    take(notebook, "snapshot")


SCENES: dict[str, Callable[[Notebook], None]] = {
    one.__name__: one for one in (streaming, tool, handoff, approval, chat, error, dark, snapshot)
}


def main(names: list[str]) -> None:
    """Make the pictures that are named, or all."""
    from playwright.sync_api import sync_playwright

    if reason := missing():
        sys.exit(f"No pictures: {reason}.")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        server = Server(Path(folder))
        browser: Any = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        try:
            server.start()
            (server.notebooks / "office.py").write_text(OFFICE)
            for name in names or SCENES:
                page = browser.new_page(viewport={"width": 1200, "height": 1400})
                SCENES[name](Notebook(page, server))
                page.close()
                server.shut_down_kernels()
        finally:
            browser.close()
            server.close()


if __name__ == "__main__":
    main(sys.argv[1:])
