"""One notebook through one exporter, for ``python -m tests.matrix exports``.

What comes out is checked for what the run says, each text once, and its pictures are saved for
somebody to look at.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import nbformat
from nbclient import NotebookClient

from tests.browser.lab import CHROMIUM, CHROMIUM_FLAGS

SETUP = r'''
from agentstream import Agent, chat, function_tool, show
from agentstream.testing import ScriptedModel, call, turn

@function_tool
def means(city: str) -> list[dict]:
    """The mean temperatures of a city."""
    return [{"month": name, "mean": 1.5 * at} for at, name in enumerate(["Jan", "Feb", "Mar"])]

ANSWER = r"""## The result

The **mean** is $\bar{x} = \frac{1}{n}\sum_{i=1}^{n} x_i$, and so

$$\int_0^1 x^2\,dx = \frac{1}{3}$$

| month | mean |
|---|---|
| Jan | 0.0 |

```python
def mean(x: list[float]) -> float:
    return sum(x) / len(x)  # a line that is rather long, so that a page which is printed cuts it
```

> A quote, and a [link](https://example.org).
"""
script = ScriptedModel([turn(call("means", city="Ghent")), ANSWER], loop=True)
agent = Agent(name="Analyst", tools=[means], model=script)
'''

CELLS = (
    SETUP,
    'result = await show(agent, "What is the mean?", table=True, timeline=True)',
    'talk = chat(agent)\nanswered = await talk.send("And in words?")',
)


class Trial:
    """A folder with the notebook, as it is written and as it has been executed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
        named = {"name": "python3", "display_name": "Python 3", "language": "python"}
        cells = [nbformat.v4.new_markdown_cell("# A run"), *map(nbformat.v4.new_code_cell, CELLS)]
        notebook = nbformat.v4.new_notebook(
            cells=cells, metadata={"kernelspec": named, "language_info": {"name": "python"}}
        )
        nbformat.write(notebook, "source.ipynb")
        self.notebook = notebook

    def execute(self) -> Path:
        """Execute it with nbclient."""
        NotebookClient(self.notebook, timeout=120, kernel_name="python3").execute()
        nbformat.write(self.notebook, "run.ipynb")
        return Path("run.ipynb")


def command(*words: str) -> None:
    """Run a command of this environment."""
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)


def says(text: str, *, times: int = 2) -> None:
    """Check that the answers are there: one of `show`, one of `chat`."""
    for said in ("The result", "A quote, and a"):
        shown = re.sub(r"(?s)ANSWER = .*?script =", "", text).count(said)
        assert shown >= times, f"{said!r} is there {shown} times, not {times}"


def pictures(*pages: tuple[str, str, str]) -> None:
    """Save pictures of pages: address, name, "light" or "dark"; check that a run is seen there."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        for address, name, mode in pages:
            page = browser.new_page(viewport={"width": 1000, "height": 900}, color_scheme=mode)
            page.goto(address)
            page.evaluate(f"localStorage.setItem('mode', '{mode}')")
            page.reload()
            page.wait_for_timeout(3000)
            page.screenshot(path=f"{name}.png", full_page=True)
            assert page.locator(".as-run:not(.as-live)").count() >= 2, name
            formulas = page.locator(".as-run math").count()
            assert formulas >= 4, f"{name}: {formulas} formulas"
            page.close()
        browser.close()


def url(path: str) -> str:
    return Path(path).resolve().as_uri()


def nbconvert(trial: Trial) -> None:
    """HTML, dark HTML, slides, Markdown, LaTeX and PDF by way of the browser."""
    import nbconvert
    import playwright.async_api
    import pypandoc

    trial.execute()
    pandoc = str(Path(pypandoc.get_pandoc_path()).parent)
    os.environ["PATH"] = os.pathsep.join([pandoc, os.environ["PATH"]])
    made: dict[str, Any] = {
        "run.html": nbconvert.HTMLExporter(),
        "dark.html": nbconvert.HTMLExporter(theme="dark"),
        "slides.html": nbconvert.SlidesExporter(),
        "run.md": nbconvert.MarkdownExporter(),
        "run.tex": nbconvert.LatexExporter(),
    }
    for name, exporter in made.items():
        text, _ = exporter.from_filename("run.ipynb")
        Path(name).write_text(text, encoding="utf-8")
        says(text)
    assert r"\frac{1}{n}\sum" in Path("run.tex").read_text(encoding="utf-8").split("What")[-1]
    launch = playwright.async_api.BrowserType.launch

    async def launch_ours(self: Any, **options: Any) -> Any:
        options |= {"executable_path": CHROMIUM, "args": list(CHROMIUM_FLAGS)}
        return await launch(self, **options)

    playwright.async_api.BrowserType.launch = launch_ours  # type: ignore[method-assign]
    pdf, _ = nbconvert.WebPDFExporter(disable_sandbox=True).from_filename("run.ipynb")
    Path("run.pdf").write_bytes(pdf)
    pictures(
        (url("run.html"), "html", "light"),
        (url("dark.html"), "html-dark", "dark"),
        (url("slides.html"), "slides", "light"),
    )


def papermill(trial: Trial) -> None:
    """Executed by papermill, then a page."""
    command("papermill", "-k", "python3", "source.ipynb", "run.ipynb")
    command("jupyter", "nbconvert", "--to", "html", "run.ipynb")
    says(Path("run.html").read_text(encoding="utf-8"))
    pictures((url("run.html"), "papermill", "light"))


def jupytext(trial: Trial) -> None:
    """To a script and back, executed there."""
    command("jupytext", "--to", "py:percent", "source.ipynb")
    command("jupytext", "--to", "ipynb", "--execute", "source.py", "-o", "run.ipynb")
    command("jupyter", "nbconvert", "--to", "html", "run.ipynb")
    says(Path("run.html").read_text(encoding="utf-8"))
    pictures((url("run.html"), "jupytext", "light"))


def voila(trial: Trial) -> None:
    """Served and executed by voila."""
    server = subprocess.Popen(
        ["voila", "--no-browser", "--port=8867", "source.ipynb"], stdin=subprocess.DEVNULL
    )
    try:
        for _ in range(300):
            try:
                urlopen("http://127.0.0.1:8867/", timeout=60).close()
                break
            except URLError:
                time.sleep(0.2)
        pictures(("http://127.0.0.1:8867/", "voila", "light"))
    finally:
        server.terminate()
        server.wait(20)


def book1(trial: Trial) -> None:
    """Jupyter Book 1, in both themes."""
    trial.execute()
    Path("_toc.yml").write_text("format: jb-book\nroot: run\n", encoding="utf-8")
    config = 'title: A book\nonly_build_toc_files: true\nexecute:\n  execute_notebooks: "off"\n'
    Path("_config.yml").write_text(config, encoding="utf-8")
    command("jupyter-book", "build", ".")
    page = url("_build/html/run.html")
    pictures((page, "book1", "light"), (page, "book1-dark", "dark"))


def book2(trial: Trial) -> None:
    """Jupyter Book 2, which fetches its theme from api.mystmd.org."""
    trial.execute()
    config = "version: 1\nproject:\n  title: A book\n  toc:\n    - file: run.ipynb\n"
    Path("myst.yml").write_text(f"{config}site:\n  template: book-theme\n", encoding="utf-8")
    command("jupyter-book", "build", "--html")
    page = url("_build/html/index.html")
    pictures((page, "book2", "light"), (page, "book2-dark", "dark"))


EXPORTERS: dict[str, Callable[[Trial], None]] = {
    each.__name__: each for each in (nbconvert, papermill, jupytext, voila, book1, book2)
}

if __name__ == "__main__":
    EXPORTERS[sys.argv[1]](Trial(Path(os.environ["MATRIX_PICTURES"]) / sys.argv[1]))
