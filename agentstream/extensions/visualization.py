"""A graph of agents, by the SDK's call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..agent import Agent
    from ..trace.graph import Graph


def draw_graph(agent: Agent[Any], filename: str | None = None) -> Graph:
    """A graph of an agent, its tools and all agents it can hand over to, as `Agent.graph`.

    Parameters
    ----------
    agent : Agent
        Where to begin.
    filename : str, optional
        Where to keep it, too: ``.svg``, ``.png`` or ``.html``; ``.png`` is added where there is no
        ending, as the SDK does.

    Returns
    -------
    Graph
        It shows itself in a notebook. It is not the `graphviz` object that the SDK returns.

    Examples
    --------
    >>> from agentstream import Agent
    >>> print(draw_graph(Agent(name="Triage", handoffs=[Agent(name="Writer")])))
    Triage
      hands over to Writer
    Writer
    """
    graph: Graph = agent.graph()
    if filename is not None:
        path = Path(filename)
        graph.save(path if path.suffix else path.with_suffix(".png"))
    return graph
