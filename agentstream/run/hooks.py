"""Callbacks on what happens in a run: `RunHooks` for all agents, `AgentHooks` for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from ..run_context import AgentHookContext, RunContextWrapper, TContext

if TYPE_CHECKING:
    from ..agent import Agent
    from ..hosted_tools import Tool
    from ..items import ModelResponse, TResponseInputItem

TAgent = TypeVar("TAgent", default=Any)


class RunHooksBase(Generic[TContext, TAgent]):
    """Override what interests you; every method does nothing by default."""

    async def on_llm_start(
        self,
        context: RunContextWrapper[TContext],
        agent: Agent[TContext],
        system_prompt: str | None,
        input_items: list[TResponseInputItem],
    ) -> None:
        """Before each model call."""

    async def on_llm_end(
        self,
        context: RunContextWrapper[TContext],
        agent: Agent[TContext],
        response: ModelResponse,
    ) -> None:
        """After each model call."""

    async def on_agent_start(self, context: AgentHookContext[TContext], agent: TAgent) -> None:
        """When an agent takes over, the first one included."""

    async def on_agent_end(
        self, context: AgentHookContext[TContext], agent: TAgent, output: Any
    ) -> None:
        """When an agent has produced the final output."""

    async def on_handoff(
        self, context: RunContextWrapper[TContext], from_agent: TAgent, to_agent: TAgent
    ) -> None:
        """When an agent hands off."""

    async def on_tool_start(
        self, context: RunContextWrapper[TContext], agent: TAgent, tool: Tool
    ) -> None:
        """Before a local tool runs; `context` is its `ToolContext`."""

    async def on_tool_end(
        self, context: RunContextWrapper[TContext], agent: TAgent, tool: Tool, result: object
    ) -> None:
        """After a local tool has run."""


class AgentHooksBase(Generic[TContext, TAgent]):
    """Set as `Agent.hooks`: the same moments, for one agent."""

    async def on_start(self, context: AgentHookContext[TContext], agent: TAgent) -> None:
        """When the agent takes over."""

    async def on_end(self, context: AgentHookContext[TContext], agent: TAgent, output: Any) -> None:
        """When the agent has produced the final output."""

    async def on_handoff(
        self, context: RunContextWrapper[TContext], agent: TAgent, source: TAgent
    ) -> None:
        """When `source` hands off to this agent."""

    async def on_tool_start(
        self, context: RunContextWrapper[TContext], agent: TAgent, tool: Tool
    ) -> None:
        """Before a local tool of the agent runs."""

    async def on_tool_end(
        self, context: RunContextWrapper[TContext], agent: TAgent, tool: Tool, result: object
    ) -> None:
        """After a local tool of the agent has run."""

    async def on_llm_start(
        self,
        context: RunContextWrapper[TContext],
        agent: Agent[TContext],
        system_prompt: str | None,
        input_items: list[TResponseInputItem],
    ) -> None:
        """Before each model call of the agent."""

    async def on_llm_end(
        self,
        context: RunContextWrapper[TContext],
        agent: Agent[TContext],
        response: ModelResponse,
    ) -> None:
        """After each model call of the agent."""


class RunHooks(RunHooksBase[TContext, Any]):
    """Callbacks on a run: pass an instance as `Runner.run(hooks=...)`."""


class AgentHooks(AgentHooksBase[TContext, Any]):
    """Callbacks on one agent: set an instance as `Agent.hooks`."""
