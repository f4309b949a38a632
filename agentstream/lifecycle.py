"""Callbacks on what happens in a run: `RunHooks` for all agents, `AgentHooks` for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from .run_context import AgentHookContext, RunContextWrapper, TContext

if TYPE_CHECKING:
    from .agent import Agent
    from .items import ModelResponse, TResponseInputItem
    from .tools.function_tool import Tool

TAgent = TypeVar("TAgent", default=Any)


class RunHooksBase(Generic[TContext, TAgent]):
    """Override what interests you; every method does nothing by default.

    All are given the run's `context`, a `RunContextWrapper`, and the `agent` at work.
    """

    async def on_llm_start(
        self,
        context: RunContextWrapper[TContext],
        agent: Agent[TContext],
        system_prompt: str | None,
        input_items: list[TResponseInputItem],
    ) -> None:
        """Before each model call of `agent`, with the `system_prompt` and `input_items` it is sent.

        `context` is the run's.
        """

    async def on_llm_end(
        self,
        context: RunContextWrapper[TContext],
        agent: Agent[TContext],
        response: ModelResponse,
    ) -> None:
        """After each model call of `agent`: with its `response`; `context` is the run's."""

    async def on_agent_start(self, context: AgentHookContext[TContext], agent: TAgent) -> None:
        """When `agent` takes over, the first one included; `context` has the turn's input."""

    async def on_agent_end(
        self, context: AgentHookContext[TContext], agent: TAgent, output: Any
    ) -> None:
        """When `agent` has produced `output`, the final one; `context` is the run's."""

    async def on_handoff(
        self, context: RunContextWrapper[TContext], from_agent: TAgent, to_agent: TAgent
    ) -> None:
        """When `from_agent` hands off to `to_agent`; `context` is the run's."""

    async def on_tool_start(
        self, context: RunContextWrapper[TContext], agent: TAgent, tool: Tool
    ) -> None:
        """Before `tool` of `agent` runs here; `context` is its `ToolContext`."""

    async def on_tool_end(
        self, context: RunContextWrapper[TContext], agent: TAgent, tool: Tool, result: object
    ) -> None:
        """After `tool` of `agent` has run here, with `result`; `context` is its `ToolContext`."""


class AgentHooksBase(Generic[TContext, TAgent]):
    """Set as `Agent.hooks`: the same moments, for one agent."""

    async def on_start(self, context: AgentHookContext[TContext], agent: TAgent) -> None:
        """When `agent` takes over; `context` has the turn's input."""

    async def on_end(self, context: AgentHookContext[TContext], agent: TAgent, output: Any) -> None:
        """When `agent` has produced `output`, the final one; `context` is the run's."""

    async def on_handoff(
        self, context: RunContextWrapper[TContext], agent: TAgent, source: TAgent
    ) -> None:
        """When `source`, the agent whose hooks these are, hands off to `agent`.

        `context` is the run's.
        """

    async def on_tool_start(
        self, context: RunContextWrapper[TContext], agent: TAgent, tool: Tool
    ) -> None:
        """Before `tool` of `agent` runs here; `context` is its `ToolContext`."""

    async def on_tool_end(
        self, context: RunContextWrapper[TContext], agent: TAgent, tool: Tool, result: object
    ) -> None:
        """After `tool` of `agent` has run here, with `result`; `context` is its `ToolContext`."""

    async def on_llm_start(
        self,
        context: RunContextWrapper[TContext],
        agent: Agent[TContext],
        system_prompt: str | None,
        input_items: list[TResponseInputItem],
    ) -> None:
        """Before each model call of `agent`, with the `system_prompt` and `input_items` it is sent.

        `context` is the run's.
        """

    async def on_llm_end(
        self,
        context: RunContextWrapper[TContext],
        agent: Agent[TContext],
        response: ModelResponse,
    ) -> None:
        """After each model call of `agent`: with its `response`; `context` is the run's."""


class RunHooks(RunHooksBase[TContext, Any]):
    """Callbacks on a run: pass an instance as `Runner.run(hooks=...)`.

    Examples
    --------
    >>> from agentstream import Agent, Runner, RunHooks
    >>> from agentstream.testing import ScriptedModel
    >>> class Told(RunHooks):
    ...     async def on_agent_end(self, context, agent, output):
    ...         print(f"{agent.name}: {output}")
    >>> guide = Agent(name="Guide", model=ScriptedModel(["Hello."]))
    >>> _ = Runner.run_sync(guide, "Hi", hooks=Told())
    Guide: Hello.
    """


class AgentHooks(AgentHooksBase[TContext, Any]):
    """Callbacks on one agent: set an instance as `Agent.hooks`.

    Examples
    --------
    >>> from agentstream import Agent, AgentHooks, Runner
    >>> from agentstream.testing import ScriptedModel
    >>> class Told(AgentHooks):
    ...     async def on_start(self, context, agent):
    ...         print(f"{agent.name} takes over")
    >>> guide = Agent(name="Guide", model=ScriptedModel(["Hello."]), hooks=Told())
    >>> _ = Runner.run_sync(guide, "Hi")
    Guide takes over
    """
