"""Settings that an API does not have: they are left out of its requests, with a warning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..model_settings import ModelSettings

__all__ = ["unsent_in_chat", "unsent_in_responses"]

_CHAT: Final = {
    "context_management": "Shorten the conversation with RunConfig.call_model_input_filter",
    "response_include": "",
    "truncation": "Shorten the conversation with RunConfig.call_model_input_filter",
}
_RESPONSES: Final = ("frequency_penalty", "presence_penalty")


def unsent_in_chat(settings: ModelSettings) -> Iterator[tuple[str, str]]:
    """What of the settings Chat Completions do not have, and what to do, each as a sentence."""
    for name, instead in _CHAT.items():
        if getattr(settings, name) is not None:
            yield (
                f"Chat Completions have no {name}.",
                f"{instead or 'Use OpenAIResponsesModel'}.",
            )
    for name in _beside_effort(settings.reasoning):
        yield (
            f"Chat Completions take reasoning.effort, and have no reasoning.{name}.",
            "Use OpenAIResponsesModel.",
        )


def _beside_effort(reasoning: Any) -> list[str]:
    if reasoning is None:
        return []
    fields = dict(reasoning)  # a pydantic model iterates over its fields
    return [name for name, value in fields.items() if value is not None and name != "effort"]


def unsent_in_responses(settings: ModelSettings) -> Iterator[tuple[str, str]]:
    """The same of the Responses API."""
    for name in _RESPONSES:
        if getattr(settings, name) is not None:
            yield (
                f"The Responses API has no {name}.",
                "Use OpenAIChatCompletionsModel; a server that takes it all the same gets it by "
                f'ModelSettings(extra_body={{"{name}": ...}}).',
            )
    if settings.include_usage is False:
        yield "The Responses API always reports the usage: include_usage=False has no effect.", ""
