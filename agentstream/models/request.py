"""What a model is asked, and how that becomes the arguments of ``client.responses.create``.

The requests are those that openai-agents 0.24 sends for the same arguments; rules that are not
obvious were observed on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from .._utils.redaction import remember
from .responses.tools import (
    choice_param,
    is_plain_choice,
    tool_includes,
    tool_params,
    uses_preview_computer,
)
from .text_only import reads_text_only, without_output_images
from .tool_names import ToolNames

if TYPE_CHECKING:
    from openai.types.responses.response_prompt_param import ResponsePromptParam

    from ..agent_output import AgentOutputSchemaBase
    from ..handoffs import Handoff
    from ..items import TResponseInputItem
    from ..model_settings import ModelSettings
    from ..tools.function_tool import Tool

__all__ = ["ModelRequest", "responses_arguments"]

# Chat models have no ids of their own for items; they write this one, which no server knows.
_FAKE_ID: Final = "__fake_id__"

# Settings that go to the API under their own names.
_SETTINGS: Final = (
    "temperature",
    "top_p",
    "truncation",
    "store",
    "reasoning",
    "metadata",
    "top_logprobs",
    "prompt_cache_retention",
    "prompt_cache_options",
    "context_management",
    "extra_query",
    "extra_body",
    "extra_headers",
)


@dataclass(frozen=True)
class ModelRequest:
    """One question to a model: the arguments of `Model.get_response` as one value."""

    system_instructions: str | None
    input: str | list[TResponseInputItem]
    settings: ModelSettings
    tools: list[Tool]
    output_schema: AgentOutputSchemaBase | None
    handoffs: list[Handoff[Any, Any]]
    previous_response_id: str | None = None
    conversation_id: str | None = None
    prompt: ResponsePromptParam | None = None

    def __post_init__(self) -> None:
        # Both may have been changed since they were made.
        self.settings.remember_secrets()
        for tool in self.tools:
            remember(getattr(tool, "tool_config", None))

    @cached_property
    def names(self) -> ToolNames:
        """The names of its tools and handoffs, as they are sent."""
        return ToolNames.of(self.tools, self.handoffs)


def responses_arguments(
    request: ModelRequest, model: str, *, model_is_explicit: bool = True
) -> dict[str, Any]:
    """Build the arguments of ``client.responses.create``.

    A stored prompt brings its own model, which a default (`model_is_explicit` is false) must not
    override.

    Raises
    ------
    UserError
        The tools or the tool choice cannot be sent.
    TypeError
        An argument is given both by the settings and in `ModelSettings.extra_args`.
    """
    settings = request.settings
    sent_model = None if request.prompt is not None and not model_is_explicit else model
    options: dict[str, Any] = {
        "model": sent_model,
        "instructions": request.system_instructions,
        "previous_response_id": request.previous_response_id,
        "conversation": request.conversation_id,
        "prompt": request.prompt,
        "max_output_tokens": settings.max_tokens,
        "text": _text(request),
        **{name: getattr(settings, name) for name in _SETTINGS},
        **_tools(request, sent_model),
    }
    arguments = {name: value for name, value in options.items() if value is not None}
    arguments["input"] = request.names.input(_input(request.input, sent_model))
    arguments["include"] = _include(request)
    extra = settings.extra_args or {}
    if twice := sorted(arguments.keys() & extra.keys()):
        raise TypeError(
            f"responses.create() got multiple values for keyword argument '{twice[0]}': it is "
            "set by ModelSettings.extra_args and elsewhere, too. Remove one of them."
        )
    return arguments | extra


def _tools(request: ModelRequest, model: str | None) -> dict[str, Any]:
    """Build what concerns tools. A stored prompt may bring tools that are not known here."""
    prompt = request.prompt is not None
    choice = request.settings.tool_choice
    preview = uses_preview_computer(model, choice)
    tools = tool_params(request.tools, request.handoffs, preview_computer=preview, prompt=prompt)
    arguments: dict[str, Any] = {}
    if tools or not prompt:
        arguments["tools"] = request.names.tools(tools)
    if tools or not prompt or is_plain_choice(choice):
        chosen = choice_param(choice, request.tools, request.handoffs, preview_computer=preview)
        if isinstance(chosen, dict) and chosen["type"] == "function":
            chosen["name"] = request.names.choice(chosen["name"])
        arguments["tool_choice"] = chosen
    if tools or prompt:
        arguments["parallel_tool_calls"] = request.settings.parallel_tool_calls
    return arguments


def _text(request: ModelRequest) -> dict[str, Any] | None:
    text: dict[str, Any] = {}
    schema = request.output_schema
    if schema is not None and not schema.is_plain_text():
        text["format"] = {
            "type": "json_schema",
            "name": "final_output",
            "schema": schema.json_schema(),
            "strict": schema.is_strict_json_schema(),
        }
    if request.settings.verbosity is not None:
        text["verbosity"] = request.settings.verbosity
    return text or None


def _include(request: ModelRequest) -> list[str]:
    settings = request.settings
    logprobs = [] if settings.top_logprobs is None else ["message.output_text.logprobs"]
    wanted = [*tool_includes(request.tools), *logprobs, *(settings.response_include or [])]
    return list(dict.fromkeys(wanted))


def _input(input_items: str | list[TResponseInputItem], model: str | None) -> list[Any]:
    """Leave out what Chat Completions models added to items for their own later use.

    A model that reads text alone gets no image of a tool's.
    """
    if isinstance(input_items, str):
        return [{"role": "user", "content": input_items}]
    items = [_clean(item) for item in input_items if not _is_foreign_reasoning(item)]
    return list(map(without_output_images, items)) if reads_text_only(model) else items


def _is_foreign_reasoning(item: Any) -> bool:
    # Its text came from another provider and is in no form that the Responses API reads.
    return (
        isinstance(item, dict)
        and item.get("type") == "reasoning"
        and bool(item.get("provider_data"))
    )


def _clean(item: Any) -> Any:
    if not isinstance(item, dict) or not ("provider_data" in item or item.get("id") == _FAKE_ID):
        return item
    cleaned = {name: value for name, value in item.items() if name != "provider_data"}
    if cleaned.get("id") == _FAKE_ID:
        del cleaned["id"]
    return cleaned
