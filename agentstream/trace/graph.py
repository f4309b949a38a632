"""`Graph`: agents, their tools and handoffs as configured, and the path that a run took."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._utils.printable import printable_line
from .from_result import as_trace
from .parts import get
from .timeline.svg_writer import Drawing, shorten, text_width
from .timeline.timeline import save_svg

if TYPE_CHECKING:
    from .state import TraceState

_CARD = 200.0
_COLUMN_GAP = 96.0
_ROW_GAP = 26.0
_NARROW_VIEW = 500
_PAD = 22.0
_LINE = 21.0
_HEAD = 34.0
_MOST_TOOLS = 10


@dataclass(slots=True, eq=False)
class Node:
    """One agent of a graph: what it may call, whom it may hand over to, where it is drawn."""

    name: str
    tools: list[tuple[str, str]] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    model: str | None = None
    column: int = 0
    left: float = 0.0
    top: float = 0.0

    @property
    def height(self) -> float:
        """Pixels from top to bottom."""
        lines = min(len(self.tools), _MOST_TOOLS) + (len(self.tools) > _MOST_TOOLS)
        return _HEAD + (lines * _LINE + 8 if lines else 0)

    @property
    def middle(self) -> float:
        """Where arrows begin and end."""
        return self.top + _HEAD / 2


class Graph:
    """An image of an agent and of all agents it can reach.

    Parameters
    ----------
    agent
        An agent of this package or of the OpenAI Agents SDK: it needs a ``name``, and may have
        ``tools`` and ``handoffs``.
    run
        A run whose path is marked: agents and tools that were used, and the handoffs in their
        order.

    Examples
    --------
    >>> from types import SimpleNamespace as Agent
    >>> print(Graph(Agent(name="Triage", tools=[], handoffs=[Agent(name="Writer")])))
    Triage
      hands over to Writer
    Writer
    """

    def __init__(self, agent: Any, run: Any = None) -> None:
        self.trace: TraceState | None = None if run is None else as_trace(run)
        self.nodes = _nodes(agent)
        self.root: str = self.nodes[0].name
        self._by_name = {node.name: node for node in self.nodes}

    def svg(self) -> str:
        """Return the image as an SVG document of its own."""
        return self.draw().svg()

    def save(self, path: str | Path) -> Path:
        """Write the image to ``.svg``, ``.png`` or ``.html``; see `Timeline.save`."""
        return save_svg(self.svg(), path, f"{self.root} and its agents")

    def steps(self) -> list[tuple[str, str]]:
        """Return the handoffs of the run, in order, as (from, to)."""
        if self.trace is None:
            return []
        return [(one.source or "", one.target) for one in self.trace.handoffs]

    def draw(self) -> Drawing:
        """Lay out and draw the graph."""
        self._place()
        last = max(node.column for node in self.nodes)
        bows = any(node.column == target.column == last for node, target in self._edges())
        ways = any(node.column - target.column > 1 for node, target in self._edges())
        width = max(node.left for node in self.nodes) + _CARD + _PAD + (44 if bows else 0)
        lowest = max(node.top + node.height for node in self.nodes)
        out = Drawing(width, f"{self.root}: agents, tools and handoffs")
        out.height = lowest + _PAD + (34 if ways else 0)
        for number, (node, target) in enumerate(self._edges()):
            self._arrow(out, node, target, number, lowest + 12 + 5 * (number % 5))
        used = self._used_tools()
        for node in self.nodes:
            self._card(out, node, used)
        out.frame()
        return out

    def _edges(self) -> Iterator[tuple[Node, Node]]:
        for node in self.nodes:
            for target in node.targets:
                yield node, self._by_name[target]

    def _used_tools(self) -> dict[tuple[str, str], int]:
        counts: dict[tuple[str, str], int] = {}
        for part in _parts(self.trace) if self.trace is not None else ():
            if part.name is not None and part.agent is not None:
                key = (part.agent, part.name)
                counts[key] = counts.get(key, 0) + 1
        return counts

    def _place(self) -> None:
        columns: dict[int, list[Node]] = {}
        for node in self.nodes:
            columns.setdefault(node.column, []).append(node)
        tall = max(_tall(nodes) for nodes in columns.values())
        for column, nodes in columns.items():
            top = _PAD + (tall - _tall(nodes)) / 2
            for node in nodes:
                node.left = _PAD + column * (_CARD + _COLUMN_GAP)
                node.top = top
                top += node.height + _ROW_GAP

    def _card(self, out: Drawing, node: Node, used: dict[tuple[str, str], int]) -> None:
        visited = self.trace is not None and node.name in self._visited()
        out.rect(
            node.left,
            node.top,
            _CARD,
            node.height,
            "band",
            radius=7,
            edge="path" if visited else "edge",
            title=node.name if node.model is None else f"{node.name}\n{node.model}",
        )
        name = shorten(node.name, _CARD - 36, 13, bold=True)
        out.circle(node.left + 15, node.middle, 4, "path" if visited else "muted")
        out.text(node.left + 26, node.middle + 4.5, name, "ink", size=13, bold=True)
        y = node.top + _HEAD
        for tool, kind in node.tools[:_MOST_TOOLS]:
            count = used.get((node.name, tool), 0)
            color = {"hosted": "hosted", "agent": "model"}.get(kind, "tool")
            out.rect(node.left + 12, y + 2, 9, 9, color, radius=2, title=kind)
            room = _CARD - 72
            ink = "ink" if count or self.trace is None else "muted"
            label = shorten(tool, room, 11.5)
            out.text(node.left + 28, y + 10.5, label, ink, size=11.5, title=f"{kind}: {tool}")
            if count:
                times = f"\u00d7{count}"
                x = node.left + _CARD - 12
                out.text(x, y + 10.5, times, "path", size=11.5, anchor="end", bold=True)
            y += _LINE
        if len(node.tools) > _MOST_TOOLS:
            more = f"and {len(node.tools) - _MOST_TOOLS} more"
            rest = "\n".join(name for name, _ in node.tools[_MOST_TOOLS:])
            out.text(node.left + 28, y + 10.5, more, "muted", size=11.5, title=rest)

    def _visited(self) -> set[str]:
        return set() if self.trace is None else set(self.trace.agents)

    def _arrow(self, out: Drawing, node: Node, target: Node, number: int, below: float) -> None:
        """Draw a handoff, with the numbers of the run's steps that took it."""
        steps = self.steps()
        taken = [at for at, step in enumerate(steps, 1) if step == (node.name, target.name)]
        color, weight = ("path", 2.2) if taken else ("muted", 1.2)
        tip = f"{node.name} hands over to {target.name}"
        if taken:
            tip += f" (step {', '.join(map(str, taken))})"
        path, end, badge = _route(node, target, number, below)
        (x, y), side = end
        out.curve(path, color, width=weight, title=tip)
        out.polygon([(x, y - 4.5), (x, y + 4.5), (x + 7 * side, y)], color, tip)
        if taken:
            label = ", ".join(map(str, taken)) if len(taken) < 4 else f"{taken[0]}…{taken[-1]}"
            half = text_width(label, 10.5, bold=True) / 2 + 6
            x, y = badge
            out.rect(x - half, y - 8, 2 * half, 16, "path", radius=8, title=tip)
            out.text(x, y + 3.8, label, "card", size=10.5, anchor="middle", bold=True, title=tip)

    def __str__(self) -> str:
        used = self._used_tools()
        steps = self.steps()
        lines = []
        for node in self.nodes:
            lines.append(node.name)
            for tool, kind in node.tools:
                count = used.get((node.name, tool), 0)
                times = f" (called {count} times)" if count > 1 else " (called once)" * count
                lines.append(f"  {'tool' if kind == 'function' else kind + ' tool'} {tool}{times}")
            for target in node.targets:
                edge = (node.name, target)
                taken = [str(at) for at, step in enumerate(steps, 1) if step == edge]
                path = f" (step {', '.join(taken)})" if taken else ""
                lines.append(f"  hands over to {target}{path}")
        return "\n".join(map(printable_line, lines))

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        drawn = self.draw()
        # A wide one shrinks with the page; a small one would grow with it where it is an <img>.
        fluid = drawn.width > _NARROW_VIEW
        return {"image/svg+xml": drawn.svg(fluid=fluid), "text/plain": str(self)}


Point = tuple[float, float]


def _route(
    node: Node, target: Node, number: int, below: float
) -> tuple[str, tuple[Point, int], Point]:
    """Return a handoff's path, where its head begins and which way that points, and its badge.

    Ahead, a curve from the right side to the left side of the next column. Within a column, a bow
    at the right. Back by one column, a curve that runs under the one ahead; back by more, a way
    below all cards.
    """
    right, left = node.left + _CARD, node.left
    near = target.left + _CARD + 7
    shift = 5.0 * (number % 5)
    low, end = node.middle + 11, target.middle + 11
    if target.column == node.column:
        bow = 34 + shift
        curve = ((right, low), (right + bow, low), (near + bow, end), (near, end))
        return _cubic(curve), ((near, end), -1), _on(curve, 0.5)
    if target.column > node.column:
        tip = target.left - 7
        bend = (tip - right) / 2
        curve = (
            (right, node.middle),
            (right + bend, node.middle),
            (tip - bend, target.middle),
            (tip, target.middle),
        )
        return _cubic(curve), ((tip, target.middle), 1), _on(curve, 0.4)
    if target.column == node.column - 1:
        bend = (left - near) / 2
        curve = ((left, low), (left - bend, low), (near + bend, end), (near, end))
        return _cubic(curve), ((near, end), -1), _on(curve, 0.4)
    first, last = left - 16 - shift, near + 16 + shift
    path = f"M{left:.1f} {low:.1f}H{first:.1f}V{below:.1f}H{last:.1f}V{end:.1f}H{near:.1f}"
    return path, ((near, end), -1), ((first + last) / 2, below)


def _cubic(curve: tuple[Point, Point, Point, Point]) -> str:
    (x0, y0), *rest = curve
    return f"M{x0:.1f} {y0:.1f}C" + " ".join(f"{x:.1f} {y:.1f}" for x, y in rest)


def _on(curve: tuple[Point, Point, Point, Point], share: float) -> Point:
    """Return the point of a cubic curve at ``share`` of its parameter."""
    weights = (
        (1 - share) ** 3,
        3 * share * (1 - share) ** 2,
        3 * share**2 * (1 - share),
        share**3,
    )
    x = sum(weight * point[0] for weight, point in zip(weights, curve, strict=True))
    y = sum(weight * point[1] for weight, point in zip(weights, curve, strict=True))
    return x, y


def _tall(nodes: list[Node]) -> float:
    return sum(node.height + _ROW_GAP for node in nodes) - _ROW_GAP


def _parts(trace: TraceState) -> Iterator[Any]:
    for part in trace.parts:
        yield part
        if part.nested is not None:
            yield from _parts(part.nested)


def _nodes(root: Any) -> list[Node]:
    """Walk from an agent to all it can reach by handoffs, nearest first."""
    first = _node(root, 0)
    nodes = {first.name: first}
    queue = [(root, first)]
    for agent, node in queue:
        for target, name in _handoffs(agent):
            if name not in node.targets:
                node.targets.append(name)
            if name not in nodes:
                nodes[name] = _node(target, node.column + 1, name)
                if target is not None:
                    queue.append((target, nodes[name]))
    return list(nodes.values())


def _node(agent: Any, column: int, name: str | None = None) -> Node:
    model = get(agent, "model")
    node = Node(str(name if name is not None else get(agent, "name", "agent")), column=column)
    node.model = model if isinstance(model, str) else None
    for tool in get(agent, "tools", []):
        label = str(get(tool, "name", type(tool).__name__))
        node.tools.append((label, _kind_of_tool(tool)))
    for server in get(agent, "mcp_servers", []):
        node.tools.append((str(get(server, "name", "MCP server")), "hosted"))
    return node


def _kind_of_tool(tool: Any) -> str:
    if any(get(tool, mark) for mark in ("_is_agent_tool", "is_agent_tool")):
        return "agent"
    return "function" if get(tool, "on_invoke_tool") is not None else "hosted"


def _handoffs(agent: Any) -> Iterator[tuple[Any, str]]:
    """Yield the agents that may be handed to: given as agents, or as handoffs that name them."""
    for handoff in get(agent, "handoffs", []):
        name = get(handoff, "agent_name")
        if name is None:
            yield handoff, str(get(handoff, "name", "agent"))
            continue
        reference = getattr(handoff, "_agent_ref", None)
        target = reference() if callable(reference) else None
        yield target, str(name)
