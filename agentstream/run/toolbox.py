"""The tools and handoffs an agent has in one turn, found by the names the model uses."""

from __future__ import annotations

import inspect
import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._utils.aio import gather_or_cancel
from ..agent import Agent, enabled_among
from ..exceptions import UserError
from ..handoffs import Handoff, handoff
from ..items import raw_field
from ..run_config import ToolNameCollisionPolicy
from ..tools.computers import with_computers
from ..tools.function_tool import FunctionTool
from ..tools.hosted import ComputerTool, HostedMCPTool, LocalShellTool

if TYPE_CHECKING:
    from ..run_context import RunContextWrapper
    from ..tools.function_tool import Tool

logger = logging.getLogger("agentstream")


@dataclass
class Toolbox:
    """What the model may call in one turn.

    Attributes
    ----------
    agent : Agent
        The agent at work.
    tools : list of Tool
        Enabled tools, those of MCP servers first.
    handoffs : list of Handoff
        Enabled handoffs.
    """

    agent: Agent[Any]
    tools: list[Tool]
    handoffs: list[Handoff[Any, Any]]
    functions: dict[str, FunctionTool] = field(init=False)
    transfers: dict[str, Handoff[Any, Any]] = field(init=False)

    def __post_init__(self) -> None:
        functions = [tool for tool in self.tools if isinstance(tool, FunctionTool)]
        self.functions = {tool.qualified_name: tool for tool in functions}
        self.transfers = {h.tool_name: h for h in self.handoffs}

    @classmethod
    async def of(
        cls,
        agent: Agent[Any],
        context: RunContextWrapper[Any],
        collisions: ToolNameCollisionPolicy = "error",
    ) -> Toolbox:
        """The toolbox of `agent` for its next turn.

        Raises
        ------
        UserError
            If two tools or handoffs have one name.
        """
        if agent.handoffs:
            tools, handoffs = await gather_or_cancel(
                [agent.get_all_tools(context), enabled_handoffs(agent, context)]
            )
        else:  # the tasks would cost more than what they do
            tools, handoffs = await agent.get_all_tools(context), []
        for each in (*tools, *handoffs):
            _check_name(agent, each)
        box = cls(agent, await with_computers(tools, context), handoffs)
        box.check_names(collisions)
        return box

    def check_names(self, policy: ToolNameCollisionPolicy) -> None:
        """Refuse two tools of one name: the model would call one and mean the other."""
        names = [t.qualified_name for t in self.tools if isinstance(t, FunctionTool)]
        names += [h.tool_name for h in self.handoffs]
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        if not twice:
            return
        names_twice = ", ".join(
            f"the tool name `{name}` is used by multiple tools" for name in twice
        )
        message = (
            f"Ambiguous function tool configuration: in agent {self.agent.name!r}, {names_twice} "
            "or handoffs. Give each its own name, with name_override in function_tool or "
            "tool_name_override in handoff."
        )
        if policy == "error":
            raise UserError(message)
        logger.warning(message)
        # The last of a name wins, as in the SDK; the model sees only that one.
        self.tools = [
            tool
            for tool in self.tools
            if not isinstance(tool, FunctionTool) or self.functions[tool.qualified_name] is tool
        ]
        self.handoffs = list(self.transfers.values())

    def function(self, call: Any) -> FunctionTool | None:
        """The function tool that the model's `call` names; None where there is none."""
        name, space = raw_field(call, "name") or "", raw_field(call, "namespace")
        # A deferred tool outside a namespace comes back with its own name as the namespace.
        return (space and self.functions.get(f"{space}.{name}")) or self.functions.get(name)

    def handoff(self, call: Any) -> Handoff[Any, Any] | None:
        """The handoff that the model's `call` names; None where there is none."""
        return self.transfers.get(raw_field(call, "name") or "")

    def mcp(self, server_label: str) -> HostedMCPTool | None:
        """The hosted MCP server with this label."""
        for tool in self.tools:
            if not isinstance(tool, HostedMCPTool):
                continue
            if tool.tool_config.get("server_label") == server_label:
                return tool
        return None

    def computer(self) -> ComputerTool[Any] | None:
        """The computer the model may use."""
        return next((t for t in self.tools if isinstance(t, ComputerTool)), None)

    def shell(self) -> LocalShellTool | None:
        """The shell the model may use."""
        return next((t for t in self.tools if isinstance(t, LocalShellTool)), None)


async def enabled_handoffs(
    agent: Agent[Any], context: RunContextWrapper[Any]
) -> list[Handoff[Any, Any]]:
    """The agent's handoffs that are enabled; agents among them become handoffs.

    Raises
    ------
    UserError
        If something in `agent.handoffs` is neither an agent nor a handoff.
    """
    handoffs = [_as_handoff(agent, entry) for entry in agent.handoffs]
    enabled = await enabled_among(handoffs, context, agent)
    return list(enabled)


def _check_name(agent: Agent[Any], tool: Any) -> None:
    name = tool.tool_name if isinstance(tool, Handoff) else getattr(tool, "name", None)
    if not isinstance(name, str) and inspect.isroutine(tool):
        name = tool.__name__
        raise UserError(
            f"Agent {agent.name!r} has a function among its tools: add @function_tool to {name}, "
            f"or write function_tool({name}) in its place."
        )
    if not isinstance(name, str):
        raise UserError(
            f"Agent {agent.name!r} has a {type(tool).__name__} among its tools that has no name "
            "(a string). Give functions decorated with @function_tool, and names as text."
        )


def _as_handoff(agent: Agent[Any], entry: Any) -> Handoff[Any, Any]:
    if isinstance(entry, Handoff):
        return entry
    if isinstance(entry, Agent):
        return handoff(entry)
    kind = "a coroutine" if inspect.iscoroutine(entry) else type(entry).__name__
    raise UserError(
        f"Agent {agent.name!r} has {kind} among its handoffs; give agents, or handoff(agent, ...)."
    )
