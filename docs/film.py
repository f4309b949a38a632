"""Makes the README's moving pictures from a real JupyterLab.

    python docs/film.py [film|film-dark]

Needs what the browser tests need (the dev extra and Chromium). No key and no network: the agents
play a script; their tools compute what they say. Each frame is a screenshot, and is shown for as
long as it took until the next.
"""

from __future__ import annotations

import base64
import io
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from tests.browser.lab import CHROMIUM, CHROMIUM_FLAGS, Notebook, Server, missing  # noqa: E402

IMAGES = Path(__file__).parent / "img"
SIZE = (880, 1036)  # pixels of the page; GitHub shows a README about as wide
SCALE = 1.5  # so that text is sharp on the screens of today
FRAMES_PER_SECOND = 12
BEFORE, AFTER = 0.8, 2.5  # seconds that the cell stands before it runs, and its end afterwards
BYTES = 1_500_000  # of the film, at most
THEMES = {"film": "Light", "film-dark": "Dark"}
BAR = 18  # of the mark beside the active cell, pixels

CELL = 'await show(analyst, "Which penguins are heaviest? Is it chance?", timeline=True)'

LAB = '''
"""Two agents who know the body mass of 342 penguins."""
import asyncio
from math import sqrt
from matplotlib.figure import Figure
from agentstream import Agent, function_tool, show
from agentstream.testing import Pace, ScriptedModel, call, hand_off, say, turn

# Species: how many, mean and standard deviation of the body mass in grams (Palmer penguins).
PENGUINS = {"Adelie": (151, 3700.7, 458.6), "Chinstrap": (68, 3733.1, 384.3),
            "Gentoo": (123, 5076.0, 504.1)}

@function_tool
async def mean_by(column: str, by: str):
    "Means of groups."
    await asyncio.sleep(0.7)
    figure = Figure(figsize=(6.4, 1.25))
    axes = figure.subplots()
    for name, (_, mean, sd) in PENGUINS.items():
        axes.barh(name, mean, xerr=sd, color="#7aa6c2")
        axes.text(90, name, f"{name} {mean:,.0f} g", va="center", color="#10222e")
    axes.set(yticks=[], xlabel="body mass (g), mean and standard deviation")
    axes.spines[["top", "right"]].set_visible(False)
    return figure

@function_tool
async def welch_test(a: str, b: str) -> str:
    "Compare two groups."
    await asyncio.sleep(0.9)
    (n, mean, sd), (n2, mean2, sd2) = PENGUINS[a], PENGUINS[b]
    return f"difference {mean - mean2:,.0f} g, t = {(mean - mean2) / sqrt(sd**2/n + sd2**2/n2):.1f}"

ANSWER = """### Gentoo, by 1.3 kg

That is no chance: Welch's $t = 20.6$.

| Species | Penguins | Mean mass | Below Gentoo |
|---|--:|--:|--:|
| Gentoo | 123 | 5,076 g | |
| Chinstrap | 68 | 3,733 g | 1,343 g |
| Adelie | 151 | 3,701 g | 1,375 g |

```python
penguins.boxplot("body_mass_g", by="species")  # they hardly overlap
```
"""

def model(*turns):
    return ScriptedModel(list(turns), loop=True, pace=Pace(60, 0.25))

statistician = Agent(name="Statistician", tools=[welch_test], model=model(
    turn(call("welch_test", a="Gentoo", b="Chinstrap")), ANSWER))
analyst = Agent(name="Analyst", tools=[mean_by], handoffs=[statistician], model=model(
    turn(say("Let me group them by species."), call("mean_by", column="body_mass_g", by="species")),
    turn(say("Gentoo stand out. Whether that is chance, my colleague can tell."),
         hand_off("Statistician"))))
'''


@dataclass
class Frame:
    """A screenshot, and when it was taken: seconds of a monotonic clock."""

    png: bytes
    at: float


def stage(notebook: Notebook, theme: str) -> None:
    """Open a notebook whose second cell is the film; the first, out of sight, warms up."""
    notebook.open(notebook.server.write(f"from lab import analyst, show\n{CELL}", CELL))
    notebook.run(0)
    notebook.theme(f"JupyterLab {theme}")
    notebook.command("application:toggle-left-area")
    notebook.page.add_style_tag(
        content="""
        .jp-cell-toolbar { display: none !important; }
        .jp-Notebook .jp-Cell:first-child { display: none !important; }
        .jp-Notebook .jp-Cell { outline: none !important; box-shadow: none !important; }
        """
    )
    shown = film_cell(notebook).bounding_box()
    size = notebook.page.viewport_size
    width = size["width"] + SIZE[0] + BAR - int(shown["width"])
    notebook.page.set_viewport_size({"width": width, "height": SIZE[1] + 300})


def film_cell(notebook: Notebook) -> Any:
    """The cell that the film shows."""
    return notebook.page.locator(".jp-Notebook .jp-Cell").nth(1)


def shoot(notebook: Notebook) -> list[Frame]:
    """Run the cell, and take pictures until its run has ended."""
    page = notebook.page
    page.mouse.move(0, 0)
    box = film_cell(notebook).bounding_box()
    size = {"width": SIZE[0], "height": SIZE[1]}
    clip = {"x": box["x"] + BAR, "y": box["y"], **size, "scale": SCALE}
    browser = page.context.new_cdp_session(page)

    def take() -> Frame:
        at = time.monotonic()
        # Playwright's own screenshot waits for more than we need: half as many frames.
        answer = browser.send("Page.captureScreenshot", {"clip": clip, "optimizeForSpeed": True})
        return Frame(base64.b64decode(answer["data"]), at)

    frames = [take()]
    notebook.start(1)
    ended = 0.0
    while not ended or time.monotonic() < ended + 1:
        frames.append(take())
        if not ended and notebook.run_count(1):
            ended = time.monotonic()
        page.wait_for_timeout(
            max(0.0, 1000 * (frames[-1].at + 1 / FRAMES_PER_SECOND - time.monotonic()))
        )
    return frames


def in_few_colours(pictures: list[Any]) -> list[Any]:
    """The pictures in the 255 colours that are seen most, each pixel in the nearest.

    All have one palette, so that what does not change is not stored again. Pillow's own way takes
    white for a light grey: it looks at six bits of a channel.
    """
    import numpy as np
    from PIL import Image

    codes = [np.asarray(one).astype(np.uint32) @ (1 << 16, 1 << 8, 1) for one in pictures]
    seen, counts = np.unique(np.concatenate(codes[::6]), return_counts=True)
    palette = _channels(seen[np.argsort(-counts, kind="stable")][:255])
    few = []
    for code in codes:
        own, places = np.unique(code, return_inverse=True)
        distances = ((_channels(own)[:, None] - palette) ** 2).sum(2)
        indices = distances.argmin(1).astype(np.uint8)[places].reshape(code.shape)
        few.append(Image.fromarray(indices, "P"))
        few[-1].putpalette(palette.astype(np.uint8).tobytes())
    return few


def _channels(codes: Any) -> Any:
    import numpy as np

    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1).astype(np.int32)


def write(frames: list[Frame], name: str) -> None:
    """Write the film, and its last frame for those who want no motion."""
    from PIL import Image

    pictures: list[Any] = []
    lasts: list[int] = []  # milliseconds
    starts = [*(frame.at for frame in frames[1:]), frames[-1].at]
    for frame, until in zip(frames, starts, strict=True):
        picture = Image.open(io.BytesIO(frame.png)).convert("RGB")
        milliseconds = round(1000 * (until - frame.at))
        if pictures and picture.tobytes() == pictures[-1].tobytes():
            lasts[-1] += milliseconds
        else:
            pictures.append(picture)
            lasts.append(milliseconds)
    lasts[0] = int(1000 * BEFORE)
    lasts[-1] = int(1000 * AFTER)
    pictures[-1].save(IMAGES / f"{name}.png", optimize=True)
    few = in_few_colours(pictures)
    path = IMAGES / f"{name}.gif"
    few[0].save(path, save_all=True, append_images=few[1:], duration=lasts, loop=0, disposal=1)
    if path.stat().st_size > BYTES:
        sys.exit(f"{path} has {path.stat().st_size:,} bytes, more than {BYTES:,}.")


def main(names: list[str]) -> None:
    """Make the films that are named, or both."""
    from playwright.sync_api import sync_playwright

    if reason := missing():
        sys.exit(f"No film: {reason}.")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        server = Server(Path(folder))
        browser: Any = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        try:
            server.start()
            (server.notebooks / "lab.py").write_text(LAB)
            for name in names or THEMES:
                page = browser.new_page(
                    viewport={"width": 1000, "height": 1100}, device_scale_factor=SCALE
                )
                notebook = Notebook(page, server)
                stage(notebook, THEMES[name])
                write(shoot(notebook), name)
                page.close()
                server.shut_down_kernels()
        finally:
            browser.close()
            server.close()


if __name__ == "__main__":
    main(sys.argv[1:])
