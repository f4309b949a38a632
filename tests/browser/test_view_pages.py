"""Pages come late, reload, are dark or narrow, and outlive the kernel."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.browser.lab import Notebook, until
from tests.browser.runs import (
    LIVE,
    SETUP,
    errors,
    status,
    wait_for_still,
    wait_for_words,
    words_of,
)

Open = Callable[..., Notebook]


def test_a_page_reloaded_in_mid_run_shows_the_whole_run_and_goes_on(opened: Open) -> None:
    notebook = opened(SETUP, "result = Runner.run_streamed(poet(1500), 'A poem')\nshow(result)")
    notebook.start()
    wait_for_words(notebook, 1, 20)
    notebook.wait_for_end(1)
    notebook.save()
    notebook.reload()
    notebook.area(1).locator(LIVE).wait_for()
    appeared = time.monotonic()
    shown = wait_for_words(notebook, 1, 20)
    assert time.monotonic() - appeared < 5  # a second on a quiet machine
    assert shown == list(range(len(shown)))
    assert len(shown) < 1500
    later = wait_for_words(notebook, 1, len(shown) + 20)
    assert later == list(range(len(later)))
    notebook.area(1).locator("button.as-stop").click()
    until(lambda: "stopped" in notebook.text(1).lower(), "it is marked as stopped")


def test_a_page_that_was_away_when_the_run_ended_shows_it_all(opened: Open) -> None:
    notebook = opened(SETUP, "view = show(poet(300), 'A poem')\nview", "await view")
    notebook.start(0, 1)
    wait_for_words(notebook, 1, 20)
    notebook.wait_for_end(1)
    notebook.save()
    notebook.start(2)
    notebook.page.goto("about:blank")
    time.sleep(5)  # the run takes three
    notebook.open(notebook.path)
    assert wait_for_words(notebook, 1, 300) == list(range(300))
    assert "done" in notebook.text(1)


def test_every_view_shows_the_whole_run_however_late_it_is_made(opened: Open) -> None:
    notebook = opened(SETUP, "view = show(poet(1500), 'A poem')\nview")
    notebook.start()
    wait_for_words(notebook, 1, 20)
    linked = notebook.new_view(1)
    linked.locator(LIVE).wait_for()
    mirrored = until(lambda: words_of(linked.inner_text()), "words in the second view")
    assert mirrored == list(range(len(mirrored)))
    before = len(words_of(notebook.text(1)))
    wait_for_words(notebook, 1, before + 20)
    until(lambda: len(words_of(linked.inner_text())) >= before + 20, "the second view goes on")
    linked.locator("button.as-stop").click()
    text = wait_for_still(notebook, 1)
    assert "stopped" in text.lower()
    until(lambda: "stopped" in linked.inner_text().lower(), "the second view tells the end")
    assert words_of(linked.inner_text()) == words_of(text)


RICH = '''
ANSWER = """# A heading

Some *text* with `code`, a [link](https://ok.example/) and $x^2$.

| a | b |
|---|---|
| 1 | 2 |

```python
def f(x):  # a comment
    return "text", 1.5
```

> A quote.

Unbroken: """ + "x" * 300 + " مرحبا بالعالم " + words(60)

@function_tool
def weather(city: str) -> str:
    "The weather."
    return "sunny"

agent = Agent(name="Guide", tools=[weather], model=ScriptedModel(
    [turn(think("Let me **think**."), call("weather", city="Lisbon")), ANSWER], loop=True,
    pace=Pace(60, 0.1)))
'''

# For each text on the page: how much it stands out from what is behind it (WCAG 2's contrast).
CONTRAST = """root => {
    const parse = colour => {
        const often = {willReadFrequently: true};
        const canvas = document.createElement("canvas").getContext("2d", often);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 4);
    };
    const light = ([r, g, b]) => {
        const part = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    };
    const behind = element => {
        for (let at = element; at; at = at.parentElement) {
            const colour = parse(getComputedStyle(at).backgroundColor);
            if (colour[3] > 128) return colour;
        }
        return [255, 255, 255, 255];
    };
    const faint = [];
    const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const element = walk.currentNode.parentElement;
        const text = walk.currentNode.data.trim();
        if (!text || !element.checkVisibility({opacityProperty: true})) continue;
        const a = light(parse(getComputedStyle(element).color)), b = light(behind(element));
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4) faint.push([text.slice(0, 30), element.className, ratio.toFixed(1)]);
    }
    return faint;
}"""
OVERFLOW = """root => {
    const limit = root.getBoundingClientRect().right + 1;
    const out = [];
    for (const element of root.querySelectorAll("*")) {
        let scrolls = element.parentElement;
        while (scrolls !== root && getComputedStyle(scrolls).overflowX === "visible")
            scrolls = scrolls.parentElement;
        if (scrolls === root && element.getBoundingClientRect().right > limit)
            out.push(element.tagName + "." + element.className);
    }
    return out;
}"""


def test_it_reads_in_the_dark_and_in_a_narrow_column(opened: Open) -> None:
    notebook = opened(SETUP + RICH, "result = await show(agent, 'Go')")
    notebook.command("application:toggle-left-area")
    try:
        notebook.theme("JupyterLab Dark")
        notebook.start()
        notebook.area(1).locator("table").wait_for()
        assert notebook.area(1).locator(LIVE).evaluate(CONTRAST) == []
        notebook.page.set_viewport_size({"width": 420, "height": 900})
        wait_for_words(notebook, 1, 5)
        assert notebook.area(1).locator(LIVE).evaluate(OVERFLOW) == []
        notebook.wait_for_end(1)
        wait_for_still(notebook, 1)
        still = notebook.area(1).locator(".jp-RenderedHTMLCommon")
        assert still.evaluate(OVERFLOW) == []
        assert still.evaluate(CONTRAST) == []
    finally:
        notebook.theme("JupyterLab Light")
    assert still.evaluate(CONTRAST) == []
    assert notebook.watch.away == []


def assert_readable(text: str) -> None:
    for expected in ("A heading", "Some text with code", "weather", "A quote.", "theend", "Guide"):
        assert expected in text
    assert words_of(text) == list(range(60))


def test_a_saved_notebook_shows_the_run_without_kernel_and_as_a_web_page(
    opened: Open, page: Any
) -> None:
    notebook = opened(SETUP + RICH, "result = await show(agent, 'Go')")
    notebook.run()
    wait_for_still(notebook, 1)
    saved = notebook.save()
    assert errors(notebook, 1) == []
    assert "widgets" not in saved.metadata
    still = next(one.data for one in saved.cells[1].outputs if "data" in one)
    assert sorted(still) == ["text/html", "text/markdown", "text/plain"]
    notebook.server.shut_down_kernels()
    # As the one who ran it opens it, and as one who got it from elsewhere (it is not trusted).
    foreign = saved.copy()
    foreign.metadata["from"] = "elsewhere"
    foreign.cells[1]["metadata"]["x"] = "1"
    foreign.cells[1].outputs[0].data["text/html"] += " "
    for path in (notebook.path, notebook.server.put(foreign)):
        notebook.open(path, kernel=False)
        notebook.wait_for_text(1, "theend")
        assert_readable(notebook.text(1))
        assert notebook.area(1).locator("table td").count() == 2
        assert notebook.server.kernels() == []
    assert (notebook.watch.away, notebook.watch.dialogs) == ([], [])
    html = notebook.server.notebooks / "page.html"
    command = [sys.executable, "-m", "nbconvert", "--to=html", "--template=basic", notebook.path]
    done = subprocess.run(
        [*command, f"--output={html.name}"],
        cwd=notebook.server.notebooks,
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    page.goto(f"file://{html}")
    assert_readable(page.locator("body").inner_text())
    assert page.locator("table td").count() == 2


def test_the_run_is_told_to_the_program_too(opened: Open) -> None:
    counting = """
    seen = []
    async for event in show(poet(40), "A poem"):
        seen.append(event.type)
    print(len(seen) > 40, seen[-1])
    """
    notebook = opened(
        SETUP, counting, "result = await show(poet(20), 'A poem')\nresult.final_output"
    )
    notebook.run(0, 1)
    assert "True" in notebook.text(1)
    assert words_of(notebook.text(1)) == list(range(40))
    assert "word19 **theend**" in status(notebook, 2)
