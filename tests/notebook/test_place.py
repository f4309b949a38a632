"""Where a run is shown: below its cell, also when it ends long after that, and nobody looks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.notebook.kernel import Kernel

nbformat = pytest.importorskip("nbformat", reason="the lab extra is not installed")
nbclient = pytest.importorskip("nbclient", reason="the lab extra is not installed")

SETUP = """
import asyncio
from agentstream import Agent, Runner, show
from agentstream.testing import Pace, ScriptedModel
poet = Agent(name="Poet", model=ScriptedModel(["word " * 60 + "theend"], loop=True, pace=Pace(100, 0.01)))
"""


def executed(*cells: str, pause: float = 0.0) -> list[Any]:
    """Execute cells as nbmake does, with a pause after each; the cells with their outputs."""
    code = [nbformat.v4.new_code_cell(cell) for cell in (SETUP, *cells)]
    notebook = nbformat.v4.new_notebook(cells=code)

    async def rest(**_: Any) -> None:
        await asyncio.sleep(pause)

    nbclient.NotebookClient(
        notebook, timeout=60, kernel_name="python3", on_cell_executed=rest
    ).execute()
    return list(notebook.cells[1:])


def text_of(cell: Any) -> str:
    return "".join(one["data"].get("text/plain", "") for one in cell.outputs if "data" in one)


@pytest.mark.slow
def test_a_run_in_the_background_that_ends_in_a_later_cell_leaves_its_picture_in_its_own() -> None:
    shown, waited = executed(
        "result = Runner.run_streamed(poet, 'A poem')\nshow(result);", "await result.wait()"
    )
    assert "theend" in text_of(shown)
    assert "text/html" in shown.outputs[-1]["data"]
    assert waited.outputs == []


@pytest.mark.slow
def test_a_statement_in_the_middle_of_a_cell_is_displayed() -> None:
    (cell,) = executed("view = show(poet, 'A poem')\nawait view\nnumber = 1")
    assert "theend" in text_of(cell)


@pytest.mark.slow
def test_a_run_leaves_its_picture_in_the_cell_that_shows_it_not_in_the_one_that_started_it() -> (
    None
):
    ways = (
        "await show(r)",
        "async for event in show(r):\n    pass",
        "for event in show(r):\n    pass",
        "view = show(r)\nawait view\n1 + 1",
    )
    for way in ways:
        started, shown = executed("r = Runner.run_streamed(poet, 'A poem')", way)
        assert started.outputs == []
        assert "theend" in text_of(shown), way
        assert sorted(shown.outputs[0]["data"]) == ["text/html", "text/markdown", "text/plain"]


@pytest.mark.slow
def test_a_run_that_ends_between_two_cells_leaves_its_picture() -> None:
    shown, _ = executed("show(poet, 'A poem')", "1 + 1", pause=1.5)
    assert "theend" in text_of(shown)
    assert "text/html" in shown.outputs[-1]["data"]


@pytest.mark.slow
def test_a_finished_run_that_is_shown_again_is_a_picture_at_once() -> None:
    cells = executed(
        "r = await show(poet, 'A poem')", "r", "show(r)", "display(r)", "await show(r)"
    )
    for cell in cells:
        (output,) = cell.outputs
        assert "theend" in output["data"]["text/plain"], cell.source
        assert sorted(output["data"]) == ["text/html", "text/markdown", "text/plain"]


@pytest.mark.slow
def test_a_result_of_run_shows_what_a_streamed_one_leaves() -> None:
    once, streamed = executed("await Runner.run(poet, 'x')", "await show(poet, 'x')")
    assert sorted(once.outputs[0]["data"]) == sorted(streamed.outputs[0]["data"])
    assert text_of(once) == text_of(streamed)


@pytest.mark.slow
def test_a_result_of_run_can_be_shown() -> None:
    run = "r = await Runner.run(poet, 'x')"
    for way in ("show(r)", "await show(r)", "show(r, table=True);", "view = show(r)\nawait view"):
        _, shown = executed(run, way)
        (output,) = shown.outputs
        assert "theend" in output["data"]["text/plain"], way
        assert sorted(output["data"]) == ["text/html", "text/markdown", "text/plain"]


@pytest.mark.slow
def test_an_agent_that_is_a_cells_last_expression_shows_itself() -> None:
    (cell,) = executed("poet")
    assert "Poet" in text_of(cell)
    assert "<strong>Poet</strong>" in cell.outputs[0]["data"]["text/html"]


@pytest.mark.slow
def test_a_cell_that_shows_a_run_and_ends_with_its_result_shows_it_once() -> None:
    for cell in executed("r = await show(poet, 'A poem')\nr", "await show(poet, 'A poem')"):
        assert text_of(cell).count("theend") == 1


SLOW = "slow = Agent(name='Slow', model=ScriptedModel(['word ' * 900], loop=True, pace=Pace(9, 0)))"


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    kernel.run(SETUP + SLOW + "\nfrom agentstream import runs")
    yield kernel
    kernel.close()


def rerun(kernel: Kernel, first: str, again: str, *, cells: str) -> tuple[str, str]:
    """What a second cell writes, by the names of the cells, and how many runs go on then."""
    kernel.run(first, metadata={"cellId": cells[0]})
    kernel.run("await asyncio.sleep(0.3)")
    written = kernel.run(again, metadata={"cellId": cells[1]})
    left = kernel.run("await asyncio.sleep(0.3)\nprint(len(runs()))\nruns().cancel()")
    return written, left


@pytest.mark.parametrize(
    "cell", ["x = show(slow, 'x')", "r = Runner.run_streamed(slow, 'x')\nshow(r);"]
)
def test_a_cell_that_is_executed_again_stops_its_earlier_run_and_says_so(
    kernel: Kernel, cell: str
) -> None:
    written, left = rerun(kernel, cell, cell, cells="aa")
    assert "It has been stopped" in written
    assert left == "1"


def test_another_cell_and_a_run_that_is_held_stop_nothing(kernel: Kernel) -> None:
    held = "held = Runner.run_streamed(slow, 'x')\nshow(held);"
    other = "other = Runner.run_streamed(slow, 'x')\nshow(other);"
    assert rerun(kernel, "show(slow, 'x');", "show(slow, 'x');", cells="bc") == ("", "2")
    assert rerun(kernel, held, other, cells="dd") == ("", "2")
    assert rerun(kernel, held, "show(held);", cells="ee") == ("", "1")
