"""A saved run in the dark pages of books and sites: what it says can be read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agentstream import Agent, Runner, function_tool
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.testing import ScriptedModel, call, turn

# What pydata-sphinx-theme does to outputs in the dark: Jupyter Book 1, sphinx-book-theme.
SPHINX = """
html[data-theme=dark] { color-scheme: dark; }
html[data-theme=dark] body { background: #14181e; color: #ced6dd; }
html[data-theme=dark] .bd-content div.cell_output .text_html:not(:has(table.dataframe)),
html[data-theme=dark] .bd-content div.cell_output img {
  background-color: #ced6dd; border-radius: .25rem; color: #222832; padding: .5rem;
}
html[data-theme=dark] img:not(.only-dark,.dark-light) { filter: brightness(.8) contrast(1.2); }
"""
DARK = "html, body { background: #1c1917; color: #e7e5e4; }"

PAGES = {
    "jupyter book 1": ('<html data-theme="dark">', SPHINX),
    "jupyter book 2, marimo": ('<html class="dark">', DARK),
    "quarto": ('<html><body class="quarto-dark">', DARK),
    "colab": ('<html theme="dark">', DARK),
}

ANSWER = """## The result

The **mean** is $\\frac{1}{2}$, see [this](https://example.org).

| month | mean |
|---|---|
| Jan | 0.5 |

```python
def mean(x: list[float]) -> float:
    return sum(x) / len(x)  # "of all"
```

> A quote.
"""


@function_tool
def means(city: str) -> list[dict[str, Any]]:
    """The means of a city."""
    return [{"city": city, "mean": 0.5}]


agent = Agent(
    name="Analyst",
    tools=[means],
    model=ScriptedModel([turn(call("means", city="a")), ANSWER], loop=True),
)

CONTRASTS = """() => {
  const luminance = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((c) => {
      c /= 255;
      return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = (node) => {
    for (; node; node = node.parentElement) {
      const color = getComputedStyle(node).backgroundColor;
      if (!/rgba\\(.*, 0\\)|transparent/.test(color)) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  const walker = document.createTreeWalker(document.querySelector(".as-run"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || node.closest("style, .as-sep, annotation")) continue;
    const [a, b] = [getComputedStyle(node).color, paper(node)].map(luminance);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push([contrast, walker.currentNode.data.trim().slice(0, 30)]);
  }
  return found;
}"""


@pytest.mark.parametrize(("html", "sheet"), PAGES.values(), ids=PAGES.keys())
def test_a_saved_run_can_be_read_in_a_dark_book(page: Any, html: str, sheet: str) -> None:
    # In a thread of its own: Playwright keeps an event loop running in this one.
    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(Runner.run_sync, agent, "What is the mean?").result()
    saved = snapshot(result.trace, table=True, timeline=True)["text/html"]
    page.set_content(
        f"<!doctype html>{html}<style>{sheet}</style><div class='bd-content'>"
        f"<div class='cell_output'><div class='output text_html'>{saved}</div></div></div>"
    )
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 10
    assert [one for one in contrasts if one[0] < 4.5] == []
    image = page.locator(".as-timeline img")
    assert image.evaluate("node => getComputedStyle(node).filter") == "none"
