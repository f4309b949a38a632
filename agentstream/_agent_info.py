"""What items, errors and the contexts of calls show of an agent: to read, not to run.

`Agent` is above them, as its tools, guardrails and handoffs are made of them. It has all of this;
``isinstance(item.agent, Agent)`` tells a type checker so where a program gives it on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol


class _Named(Protocol):
    """What has a name: a tool, a server."""

    @property
    def name(self) -> str:
        """The name."""
        ...


class AgentBaseInfo(Protocol):
    """An `AgentBase`, as the context of a tool call has it."""

    @property
    def name(self) -> str:
        """The name, for people and for handoffs."""
        ...

    @property
    def handoff_description(self) -> str | None:
        """What other agents' models read about it."""
        ...

    @property
    def tools(self) -> Sequence[_Named]:
        """What it may use."""
        ...

    @property
    def mcp_servers(self) -> Sequence[_Named]:
        """Local servers whose tools it may use."""
        ...

    @property
    def mcp_config(self) -> Mapping[str, Any]:
        """How their tools are given to the model."""
        ...


class AgentInfo(AgentBaseInfo, Protocol):
    """An `Agent`, as items and errors have it."""

    @property
    def instructions(self) -> str | Callable[..., Any] | None:
        """The system prompt, or a function that gives it."""
        ...

    @property
    def prompt(self) -> Any:
        """A prompt stored with the provider."""
        ...

    @property
    def handoffs(self) -> Sequence[Any]:
        """Agents it may hand the conversation to, as `Agent` or `Handoff`."""
        ...

    @property
    def model(self) -> Any:
        """A `Model`, or the name of one."""
        ...

    @property
    def model_settings(self) -> Any:
        """Its `ModelSettings`: temperature, tool choice and the like."""
        ...

    @property
    def input_guardrails(self) -> Sequence[Any]:
        """Checks on the run's input."""
        ...

    @property
    def output_guardrails(self) -> Sequence[Any]:
        """Checks on its final output."""
        ...

    @property
    def output_type(self) -> Any:
        """The type of the final output; None is text."""
        ...

    @property
    def hooks(self) -> Any:
        """Its `AgentHooks`."""
        ...

    @property
    def tool_use_behavior(self) -> Any:
        """What happens after tools have run."""
        ...

    @property
    def reset_tool_choice(self) -> bool:
        """Whether `tool_choice` goes back to its default after a tool was used."""
        ...
