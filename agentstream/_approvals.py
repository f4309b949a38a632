"""What a person decided about calls: each decision holds for one call, or for one tool.

A call is known by all that tells it from others: its run (with the calls of the agents as tools
that lead there), its agent, its tool, its id, its arguments, and its place among the calls of the
run with that id. Models restart their call numbers in each answer, so the id alone says nothing.
"""

from __future__ import annotations

import hashlib
import json
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .items import raw_field

if TYPE_CHECKING:
    from .items import ToolApprovalItem


@dataclass(frozen=True)
class Decision:
    """What was decided, and about what.

    Attributes
    ----------
    approved : bool
        Whether the call may run.
    tool_name : str
        The tool's name, with its namespace where it has one.
    call_id : str
        The id of the call; empty for a decision on all calls of a tool.
    message : str or None
        What the model gets for a rejection.
    """

    approved: bool
    tool_name: str
    call_id: str = ""
    message: str | None = None


@dataclass
class Approvals:
    """The decisions of a run and of the agents that run as its tools.

    Attributes
    ----------
    calls : dict of Decision
        Decisions on single calls, by `call_key`.
    tools : dict of Decision
        Decisions on all calls of a tool in a run, by `tool_key`.
    """

    calls: dict[str, Decision] = field(default_factory=dict)
    tools: dict[str, Decision] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # A context that several runs are given keeps what was decided about all calls of a tool for
        # the very agent, not for another of its name. In JSON an agent is but a name: no entries.
        self._owners: dict[str, weakref.ref[Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_owners": {}}  # a copy in another process has other agents

    def __deepcopy__(self, memo: Any) -> Approvals:
        return self.copy()  # in this process they are the same agents

    def copy(self) -> Approvals:
        """The same decisions, to be added to on their own."""
        twin = Approvals(dict(self.calls), dict(self.tools))
        twin._owners = dict(self._owners)
        return twin

    def decide(
        self, item: ToolApprovalItem, approved: bool, *, always: bool, message: str | None = None
    ) -> None:
        """Keep a decision on the call of `item`; with `always`, on all calls of its tool."""
        name = item.qualified_name or ""
        call = Decision(approved, name, item.call_id or "", message)
        self.calls[call_key(item)] = call
        if always:
            key = tool_key(item)
            self.tools.pop(key, None)  # what is decided last stands last
            self.tools[key] = Decision(approved, name, message=message)
            self._owners[key] = weakref.ref(item.agent)

    def of(self, item: ToolApprovalItem) -> Decision | None:
        """What was decided about the call of `item`."""
        return self.calls.get(call_key(item)) or self.tools.get(tool_key(item)) or self._kept(item)

    def reject(self, call: Any) -> bool:
        """Whether a person has said no to what waits as ``call.waiting``, which takes a while."""
        if not self.calls and not self.tools:
            return False
        decision = self.of(call.waiting)
        return decision is not None and not decision.approved

    def _kept(self, item: ToolApprovalItem) -> Decision | None:
        """What was decided, in another run with this context, about this tool of this agent."""
        tool = _tool(item)
        for key, owner in reversed(self._owners.items()):
            if owner() is item.agent and json.loads(key)[1:] == tool:
                return self.tools[key]
        return None

    def named(self, tool_name: str, call_id: str) -> Decision | None:
        """What was decided about calls with this name and id; None where decisions differ."""
        matches = [
            each
            for each in self.calls.values()
            if each.tool_name == tool_name and each.call_id == call_id
        ] or [each for each in self.tools.values() if each.tool_name == tool_name]
        return matches[0] if len({each.approved for each in matches}) == 1 else None


def call_key(item: ToolApprovalItem) -> str:
    """What tells the call of `item` from every other call."""
    return json.dumps([*item.run_scope, _call(item)])


def approval_id(item: ToolApprovalItem) -> str:
    """A short name for the call of `item` and no other: what marks and buttons name it by."""
    return hashlib.sha256(call_key(item).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def call_path(item: ToolApprovalItem) -> tuple[str, ...]:
    """The ids of the calls of agents as tools that lead to the run of `item`, outermost first."""
    return tuple(json.loads(outer)[4] for outer in item.run_scope[1:])


def nested_scope(item: ToolApprovalItem) -> tuple[str, ...]:
    """The scope of the run that the call of `item` starts: an agent that runs as a tool."""
    return (*item.run_scope, json.dumps(_call(item)))


def tool_key(item: ToolApprovalItem) -> str:
    """What tells the tool of `item` from others: of another run, agent, server or namespace."""
    run = item.run_scope[0] if item.run_scope else f"agent {id(item.agent)}"
    return json.dumps([run, *_tool(item)])


def _tool(item: ToolApprovalItem) -> list[Any]:
    # The first entry is the run's own id; the others are calls of agents as tools.
    path = [json.loads(outer)[:4] for outer in item.run_scope[1:]]
    return [path, _call(item)[:4]]


def _call(item: ToolApprovalItem) -> list[Any]:
    raw = item.raw_item
    server = raw_field(raw, "server_label")
    kind, space = ("function", item.tool_namespace) if server is None else ("hosted_mcp", server)
    origin = item.tool_origin
    if origin is not None and origin.mcp_server_name is not None:
        kind, space = "mcp", [origin.mcp_server_name, *(origin.recipient or ())]
    arguments = item.arguments
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, default=str)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    agent = item.agent_key or item.agent.name
    return [agent, kind, space, item.name, item.call_id, digest, item.position]
