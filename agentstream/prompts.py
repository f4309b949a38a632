"""Prompts stored with the provider, named by their id."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NotRequired, TypeAlias

from typing_extensions import TypedDict

from .exceptions import UserError
from .run_context import RunContextWrapper

if TYPE_CHECKING:
    from ._agent_info import AgentInfo


class Prompt(TypedDict):
    """A prompt stored with the provider.

    Attributes
    ----------
    id : str
        The prompt's id, ``pmpt_...``.
    version : str
        The version; by default the current one.
    variables : dict
        The values of its variables.

    Examples
    --------
    >>> from agentstream import Agent
    >>> agent = Agent(name="Guide", prompt=Prompt(id="pmpt_123", variables={"city": "Lisbon"}))
    """

    id: str
    version: NotRequired[str]
    variables: NotRequired[dict[str, Any]]


@dataclass
class GenerateDynamicPromptData:
    """The argument of a function that returns a prompt.

    Attributes
    ----------
    context : RunContextWrapper
        The run's context.
    agent : Agent
        The agent of the prompt.
    """

    context: RunContextWrapper[Any]
    agent: AgentInfo


DynamicPromptFunction: TypeAlias = Callable[[GenerateDynamicPromptData], Any]


async def resolve_prompt(
    prompt: Prompt | DynamicPromptFunction | None,
    context: RunContextWrapper[Any],
    agent: AgentInfo,
) -> Any:
    """The prompt as the API takes it, from a dict or a function that makes one."""
    if prompt is None:
        return None
    value: Any = prompt
    if callable(prompt):
        value = prompt(GenerateDynamicPromptData(context=context, agent=agent))
        if inspect.isawaitable(value):
            value = await value
    if not isinstance(value, dict) or "id" not in value:
        raise UserError(
            f"The prompt of agent {agent.name!r} must be a dict with an 'id', or a function that "
            f"returns one; got {type(value).__name__}."
        )
    return {
        "id": value["id"],
        "version": value.get("version"),
        "variables": value.get("variables"),
    }
