"""What is seen in the pictures of `docs/` still runs; the pictures themselves need a browser."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from agentstream import Runner

DOCS = Path(__file__).parents[2] / "docs"
pytest.importorskip("nbformat", reason="the lab extra is not installed")


def script(name: str) -> Any:
    """A script of `docs/`; see `tests/bench/test_compare.py` for why it is not imported."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names_in(program: str) -> dict[str, Any]:
    # Not a dict of its own: functions find the module of their annotations by its name.
    space: dict[str, Any] = {"__name__": __name__}
    exec(program, space)
    return space


def at_once(*agents: Any) -> None:
    for agent in agents:
        agent.model.pace = None


async def test_the_film_tells_what_its_tools_compute() -> None:
    lab = names_in(script("film").LAB)
    at_once(lab["analyst"], lab["statistician"])
    result = await Runner.run(lab["analyst"], "Which penguins are heaviest?")
    outputs = result.to_frame()["output"].dropna().to_list()
    assert any(one.startswith("Figure, ") and "body mass" in one for one in outputs)
    assert "difference 1,343 g, t = 20.6" in outputs
    assert "$t = 20.6$" in result.final_output
    assert "1,343 g" in result.final_output


@pytest.mark.parametrize(
    ("agent", "said"),
    [("guide", "A day in Lisbon"), ("tutor", "closure"), ("concierge", "Miradouro")],
)
async def test_the_agents_of_the_screenshots_answer(agent: str, said: str) -> None:
    office = names_in(script("screenshots").OFFICE)
    at_once(office[agent], office["reservations"])
    assert said in (await Runner.run(office[agent], "Hello")).final_output


def test_the_graph_has_the_whole_team() -> None:
    drawn = str(script("pictures").team().graph())
    for agent in ("Concierge", "Booking", "Complaints"):
        assert agent in drawn
