"""Nothing acts in what nbconvert makes of a saved notebook whose runs are hostile."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import nbformat
import pytest
from markdown_it import MarkdownIt
from nbconvert import HTMLExporter, MarkdownExporter, SlidesExporter

from agentstream import Agent, Runner, function_tool
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.testing import ScriptedModel, call
from tests.notebook.hostile import OWN_PAYLOADS

_AROUND = "a\n\n# Heading\n\n![x](https://evil.example/a.png)\n\n{}\n\n[l](javascript:alert(1))"


class _Acts(HTMLParser):
    """Collects what loads, runs or leads elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        loads = tag == "img" and not given.get("src", "").startswith("data:")
        runs = tag in ("iframe", "object", "embed", "form", "base") or any(
            name.startswith("on") for name in given
        )
        leads = given.get("href", "").lower().startswith(("javascript:", "vbscript:", "data:"))
        named = "evil.example" in given.get("src", "") and tag != "a"
        if loads or runs or leads or named:
            self.found.append(self.get_starttag_text() or tag)


def acts(html: str) -> list[str]:
    reader = _Acts()
    reader.feed(html)
    reader.close()
    return reader.found


async def notebook_of(payloads: tuple[str, ...]) -> Any:
    notebook = nbformat.v4.new_notebook()
    for payload in payloads:
        text = _AROUND.format(payload)
        tool = function_tool(lambda n: text, name_override="get", strict_mode=False)  # noqa: B023
        model = ScriptedModel([call("get", n=text), text])
        result = await Runner.run(Agent(name=text[-40:], tools=[tool], model=model), text)
        data = dict(snapshot(result.trace, table=True))
        assert not re.search(r"\n[ \t]*\n", data["text/html"]), payload
        output = nbformat.v4.new_output("display_data", data=data)
        notebook.cells.append(nbformat.v4.new_code_cell("show()", outputs=[output]))
    return notebook


@pytest.mark.slow
@pytest.mark.parametrize("without_html", [False, True])
async def test_a_hostile_run_does_not_act_in_markdown_html_or_slides(without_html: bool) -> None:
    notebook = await notebook_of(OWN_PAYLOADS[:: 3 if without_html else 1])
    if without_html:
        for cell in notebook.cells:
            del cell.outputs[0].data["text/html"]
    assert acts(MarkdownIt("commonmark").render(_AROUND)), "as it is, the text would act"
    markdown, _ = MarkdownExporter().from_notebook_node(notebook)
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    assert acts(rendered) == []
    for exporter in (HTMLExporter, SlidesExporter):
        page, _ = exporter(template_name=exporter().template_name).from_notebook_node(notebook)
        assert acts(page.partition("<body")[2]) == []
