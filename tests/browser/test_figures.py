"""Figures and frames in the cards of a JupyterLab: live, kept, opened again, hostile."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.lab import Notebook, until
from tests.browser.runs import errors, rich, wait_for_still
from tests.notebook.hostile import OWN_PAYLOADS

pytest.importorskip("matplotlib", reason="the lab extra is not installed")

Open = Callable[..., Notebook]

SETUP = """
import asyncio
import matplotlib.pyplot as plt
import pandas as pd
from agentstream import Agent, function_tool, show
from agentstream.testing import ScriptedModel, call, turn

@function_tool
def plot_sales(region: str):
    "Plot the sales of a region."
    print("reading 3 files")
    figure, axes = plt.subplots(figsize=(5, 3))
    axes.plot(range(6), [3, 4, 6, 5, 8, 9], label=region)
    axes.set(title="Sales", xlabel="month", ylabel="thousand EUR")
    axes.legend()
    return figure

@function_tool
async def sales():
    "The sales as a table."
    return pd.DataFrame({"month": range(6), "EUR": [3000, 4100, 6050, 5000, 8200, 9100]})

@function_tool
async def slow():
    "Take a while."
    for at in range(20):
        print("step", at)
        await asyncio.sleep(0.05)
    return "done"

def analyst(*tools, **arguments):
    calls = [call(tool.name, **arguments.get(tool.name, {})) for tool in tools]
    model = ScriptedModel([turn(*calls), "It **rises**."])
    return Agent(name="Analyst", tools=list(tools), model=model)

both = analyst(plot_sales, sales, slow, plot_sales={"region": "North"})
figure, axes = plt.subplots(figsize=(4, 2.5)); axes.bar(["a", "b"], [3, 5]); plt.close(figure)
"""
RUN = "result = await show(both, ['What is wrong with this plot?', figure])"
LOADED = "img => img.complete && img.naturalWidth > 100"
PICTURES = os.environ.get("AGENTSTREAM_PICTURES")  # a folder, for those who look at them


def take(notebook: Notebook, name: str) -> None:
    if PICTURES:
        notebook.page.wait_for_timeout(300)
        notebook.area(1).screenshot(path=str(Path(PICTURES) / f"{name}.png"))


def loaded(notebook: Notebook, cell: int) -> int:
    """How many pictures of a cell the browser has drawn."""
    return sum(img.evaluate(LOADED) for img in notebook.area(cell).locator("img").all())


def test_pictures_and_tables_are_seen_live_and_kept_and_nothing_is_below(opened: Open) -> None:
    notebook = opened(SETUP, RUN)
    notebook.start(0)
    notebook.wait_for_end(0)
    notebook.start(1)
    until(lambda: loaded(notebook, 1) == 2, "both pictures are live")
    assert notebook.is_running(1)
    take(notebook, "live")
    notebook.wait_for_end(1)
    wait_for_still(notebook, 1)
    assert loaded(notebook, 1) == 2
    area = notebook.area(1)
    assert area.locator(".as-table td", has_text="8200").is_visible()
    told = area.locator(".as-told", has_text="What the model got").first
    assert not told.get_by_text("thousand EUR").is_visible()
    told.locator("summary").click()
    assert told.get_by_text("thousand EUR").is_visible()
    take(notebook, "told")
    assert len(notebook.outputs(1)) == 1
    assert (errors(notebook, 1), notebook.watch.away, notebook.watch.dialogs) == ([], [], [])
    html = rich(notebook, 1)["text/html"]
    assert html.count("data:image/png;base64,") == 2
    notebook.theme("JupyterLab Dark")
    take(notebook, "dark")
    notebook.page.set_viewport_size({"width": 560, "height": 900})
    take(notebook, "half")
    wide = "e => e.scrollWidth > e.clientWidth + 1"
    assert not area.locator(".as-run").first.evaluate(wide)


def test_a_saved_notebook_shows_them_when_it_is_opened_again(opened: Open) -> None:
    notebook = opened(SETUP, RUN)
    notebook.run(0, 1)
    wait_for_still(notebook, 1)
    notebook.save()
    notebook.reload()
    until(lambda: loaded(notebook, 1) == 2, "both pictures are there again")
    take(notebook, "reopened")


def test_hostile_html_and_drawings_of_an_object_stay_harmless(opened: Open) -> None:
    payloads = base64.b64encode(json.dumps(OWN_PAYLOADS).encode()).decode()
    code = f"""
    import base64, json
    payloads = json.loads(base64.b64decode("{payloads}"))

    class Page:
        def __init__(self, text): self.text = text
        def _repr_html_(self): return self.text

    class Drawing(Page):
        def _repr_html_(self): return None
        def _repr_svg_(self):
            return '<svg width="200" height="120"><script>alert(1)</script><image '  \\
                'href="https://evil.example/a.png" onload="alert(1)"/><rect width="200" '  \\
                'height="120" fill="green" onload="alert(1)"/><style>@import '  \\
                '"https://evil.example/a.css";</style></svg>'

    @function_tool
    async def evil():
        "Return pages."
        return [Page(text) for text in payloads[:15]] + [Drawing("")]

    result = await show(analyst(evil), "Go")
    """
    import textwrap

    notebook = opened(SETUP, textwrap.dedent(code))
    notebook.run(0, 1)
    wait_for_still(notebook, 1)
    until(lambda: loaded(notebook, 1) == 1, "the drawing is seen, without its scripts")
    assert (notebook.watch.away, notebook.watch.dialogs) == ([], [])
