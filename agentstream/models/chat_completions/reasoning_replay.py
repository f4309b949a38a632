"""Whether a model's reasoning is sent back to it, under the names that the SDK uses.

DeepSeek's thinking models want their `reasoning_content` back with the tool calls it led to and
refuse the request otherwise; most other servers reject or ignore the field.
Source: https://api-docs.deepseek.com/guides/thinking_mode
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = [
    "ReasoningContentReplayContext",
    "ReasoningContentSource",
    "ShouldReplayReasoningContent",
    "default_should_replay_reasoning_content",
]


@dataclass
class ReasoningContentSource:
    """The reasoning item that may be sent back.

    Attributes
    ----------
    item
        The item.
    origin_model : str or None
        The model that made it, where known.
    provider_data : dict
        What else the item says about its origin.
    """

    item: Any
    origin_model: str | None
    provider_data: Mapping[str, Any]


@dataclass
class ReasoningContentReplayContext:
    """What a hook decides by.

    Attributes
    ----------
    model : str
        The model that is about to be asked.
    base_url : str or None
        Where it is asked.
    reasoning : ReasoningContentSource
        The reasoning in question.
    """

    model: str
    base_url: str | None
    reasoning: ReasoningContentSource


ShouldReplayReasoningContent: TypeAlias = Callable[[ReasoningContentReplayContext], bool]


def default_should_replay_reasoning_content(context: ReasoningContentReplayContext) -> bool:
    """Whether to send `reasoning_content` back by default: to DeepSeek's models.

    Examples
    --------
    >>> source = ReasoningContentSource(item={}, origin_model=None, provider_data={})
    >>> default_should_replay_reasoning_content(
    ...     ReasoningContentReplayContext("deepseek-chat", None, source))
    True
    """
    return "deepseek" in context.model.lower()
