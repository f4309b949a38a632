"""The model of an agent that names none, and the settings that suit it, under the SDK's names."""

from __future__ import annotations

from ..model_settings import (
    ModelSettings,
    default_model_name,
    default_model_settings,
    takes_reasoning_settings,
)

__all__ = [
    "get_default_model",
    "get_default_model_settings",
    "gpt_5_reasoning_settings_required",
    "is_gpt_5_default",
]


def get_default_model() -> str:
    """The model of an agent that names none: ``OPENAI_DEFAULT_MODEL``, else the SDK's choice."""
    return default_model_name()


def get_default_model_settings(model: str | None = None) -> ModelSettings:
    """The settings that suit `model`, or the default one, when the program says nothing.

    Examples
    --------
    >>> get_default_model_settings("gpt-5.1").reasoning.effort
    'none'
    """
    return default_model_settings(model)


def gpt_5_reasoning_settings_required(model_name: str) -> bool:
    """Whether a model takes the settings of GPT-5: its family without the chat models.

    Examples
    --------
    >>> gpt_5_reasoning_settings_required("gpt-5-mini")
    True
    >>> gpt_5_reasoning_settings_required("gpt-5-chat-latest")
    False
    """
    return takes_reasoning_settings(model_name)


def is_gpt_5_default() -> bool:
    """Whether the default model takes the settings of GPT-5."""
    return gpt_5_reasoning_settings_required(get_default_model())
