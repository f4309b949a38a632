"""An agent that is a cell's last expression: its graph, and what it has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .._utils.printable import clean_text, printable_line
from .._utils.short_repr import name_of, short_repr, signature_of
from ..trace.graph import Graph
from .cards.values import one_line
from .markdown.sanitise import escape, one_block, svg_image

if TYPE_CHECKING:
    from ..agent import Agent

__all__ = ["agent_bundle"]

_LONGEST_INSTRUCTIONS = 300
_LONGEST_DESCRIPTION = 120
_MOST_ROWS = 12


def agent_bundle(agent: Agent[Any]) -> dict[str, str]:
    """Return an agent as a MIME bundle: ``text/html`` and ``text/plain``.

    Examples
    --------
    >>> from agentstream import Agent
    >>> print(agent_bundle(Agent(name="Poet", instructions="Two lines."))["text/plain"])
    Poet
      instructions: Two lines.
    """
    rows = list(_rows(agent))
    name = one_line(clean_text(agent.name), 80)
    lines = [name, *(f"  {label}: {' '.join(filter(None, row))}" for label, *row in rows)]
    html = f"<p><strong>{escape(name)}</strong></p>"
    html += "<ul>" + "".join(_item(*row) for row in rows) + "</ul>" if rows else ""
    return {
        "text/html": one_block(f"<div>{_graph(agent)}{html}</div>"),
        "text/plain": "\n".join(map(printable_line, lines)),
    }


def _item(label: str, code: str, about: str) -> str:
    code_html = f" <code>{escape(code)}</code>" if code else ""
    about_html = f" <bdi>{escape(about)}</bdi>" if about else ""
    return f"<li>{escape(label)}:{code_html}{about_html}</li>"


def _graph(agent: Agent[Any]) -> str:
    """The image of a team; an agent alone has nothing that the list does not say."""
    if not agent.handoffs and not agent.tools:
        return ""
    graph = Graph(agent)
    return svg_image(graph.svg(), f"Graph: {graph}")


def _rows(agent: Agent[Any]) -> Iterator[tuple[str, str, str]]:
    """What the agent has: a label, a name as code, and words."""
    if agent.model is not None:
        model = agent.model if isinstance(agent.model, str) else repr(agent.model)
        yield "model", one_line(clean_text(model), 80), ""
    if agent._has_own_settings:
        settings = short_repr(agent.model_settings).partition("(")[2][:-1]
        yield "settings", one_line(clean_text(settings), 160), ""
    if isinstance(agent.instructions, str):
        yield "instructions", "", one_line(clean_text(agent.instructions), _LONGEST_INSTRUCTIONS)
    elif agent.instructions is not None:
        yield "instructions", _name(agent.instructions), ""
    yield from _bounded("tool", [_tool(tool) for tool in agent.tools])
    yield from _bounded("MCP server", [(_name(one), "") for one in agent.mcp_servers])
    yield from _bounded("hands over to", [(_name(one), "") for one in agent.handoffs])
    guards = [*agent.input_guardrails, *agent.output_guardrails]
    yield from _bounded("guardrail", [(_guard(one), "") for one in guards])
    if agent.output_type is not None:
        yield "output type", _name(agent.output_type), ""


def _bounded(label: str, entries: list[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    for code, about in entries[:_MOST_ROWS]:
        yield label, code, about
    if len(entries) > _MOST_ROWS:
        yield label, "", f"and {len(entries) - _MOST_ROWS} more"


def _tool(tool: Any) -> tuple[str, str]:
    if not hasattr(tool, "on_invoke_tool"):
        return _name(tool), ""
    about = one_line(clean_text(str(tool.description or "")), _LONGEST_DESCRIPTION)
    return clean_text(signature_of(tool)), about


def _guard(guardrail: Any) -> str:
    get_name = getattr(guardrail, "get_name", None)
    return str(get_name()) if callable(get_name) else _name(guardrail)


def _name(value: Any) -> str:
    return one_line(clean_text(name_of(value) or repr(value)), 80)
