from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import pytest

from agentstream.trace.graph import Graph
from tests.trace.trace_streams import Script, chain


def agent(name: str, tools: tuple[str, ...] = (), handoffs: tuple[Any, ...] = ()) -> Any:
    given = [SimpleNamespace(name=tool, on_invoke_tool=print) for tool in tools]
    return SimpleNamespace(name=name, tools=given, handoffs=list(handoffs), model="gpt-4o")


def office() -> Any:
    writer = agent("Writer", ("spell",))
    refunds = agent("Refunds", ("refund",))
    triage = agent("Triage", ("get_weather", "get_time"), (writer, refunds))
    writer.handoffs += [triage, refunds]
    refunds.handoffs.append(agent("Manager", (), (triage, refunds)))
    return triage


def test_the_graph_has_every_agent_that_can_be_reached_once() -> None:
    graph = Graph(office())
    assert [(node.name, node.column) for node in graph.nodes] == [
        ("Triage", 0),
        ("Writer", 1),
        ("Refunds", 1),
        ("Manager", 2),
    ]
    assert graph.nodes[1].targets == ["Triage", "Refunds"]


def test_the_path_of_a_run_is_marked() -> None:
    graph = Graph(office(), chain())
    assert graph.steps() == [("Triage", "Writer")]
    text = str(graph)
    assert "  tool get_weather (called once)\n" in text
    assert "  hands over to Writer (step 1)\n" in text
    assert "Triage hands over to Writer (step 1)" in graph.svg()


def test_going_to_and_fro_numbers_the_steps() -> None:
    script = Script("Triage")
    for number, target in enumerate(("Writer", "Triage", "Writer")):
        script.begin().call("t", {}, f"c{number}", handoff=True).end()
        script.hand_over(target, f"c{number}")
    text = str(Graph(office(), script.events))
    assert "hands over to Writer (step 1, 3)" in text
    assert "hands over to Triage (step 2)" in text


@pytest.mark.parametrize("run", [None, chain()], ids=["configured", "run"])
def test_nothing_overlaps(run: Any) -> None:
    graph = Graph(office(), run)
    drawing = graph.draw()
    for one, other in combinations(drawing.labels, 2):
        assert not one.overlaps(other), (one, other)
    for label in drawing.labels:
        assert label.left >= 0
        assert label.right <= drawing.width
        assert label.bottom <= drawing.height
    ET.fromstring(graph.svg())


def test_many_tools_and_long_names_are_cut_and_told_on_hover() -> None:
    graph = Graph(agent("An agent with a name that no card can hold", tuple("abcdefghijklmn")))
    assert ">and 4 more<" in graph.svg()
    assert "k\nl\nm\nn" in graph.svg()
    assert "name that no card can hold" in graph.svg()


def test_a_handoff_of_the_sdk_leads_to_its_agent() -> None:
    agents = pytest.importorskip("agents", reason="openai-agents, the oracle, is not installed")
    writer = agents.Agent(name="Writer", tools=[agents.WebSearchTool()])
    asked = writer.as_tool("ask_writer", "Ask the writer.")
    root = agents.Agent(name="Triage", handoffs=[agents.handoff(writer)], tools=[asked])
    assert str(Graph(root)).splitlines() == [
        "Triage",
        "  agent tool ask_writer",
        "  hands over to Writer",
        "Writer",
        "  hosted tool web_search",
    ]


def test_it_shows_itself_as_picture_and_as_text() -> None:
    graph = Graph(agent("Solo"))
    assert graph._repr_mimebundle_() == {"image/svg+xml": graph.svg(), "text/plain": "Solo"}


def test_a_wide_graph_shrinks_with_the_page_and_a_small_one_does_not_grow() -> None:
    chain = agent("Last")
    for name in ("Third", "Second", "First"):
        chain = agent(name, handoffs=[chain])
    assert 'width="100%"' in Graph(chain)._repr_mimebundle_()["image/svg+xml"]
    assert 'width="100%"' not in Graph(agent("Solo"))._repr_mimebundle_()["image/svg+xml"]
