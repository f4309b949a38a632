"""A `ModelRequest` as the arguments of `client.chat.completions.create`.

The requests are those that openai-agents 0.24 sends for the same arguments; rules that are not
obvious were observed on it. One is different on purpose: a stream asks for its usage unless
`ModelSettings.include_usage` is set, also at servers other than OpenAI's. The SDK does not, and its
users find zero tokens. (A server that refuses the option is asked again without it, by `chat`.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ...exceptions import UserError
from ...model_settings import MCPToolChoice
from ...tools.function_tool import FunctionTool
from .messages import ReplayPolicy, chat_messages

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from ...handoffs import Handoff
    from ...model_settings import ModelSettings
    from ...tools.function_tool import Tool
    from ..request import ModelRequest
    from ..tool_names import ToolNames

__all__ = ["chat_arguments", "is_openai", "response_tool_choice"]

# Settings that go to the API under their own names.
_SETTINGS: Final = (
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "max_tokens",
    "metadata",
    "verbosity",
    "top_logprobs",
    "prompt_cache_retention",
    "prompt_cache_options",
    "extra_query",
    "extra_body",
    "extra_headers",
)


def chat_arguments(
    request: ModelRequest,
    model: str,
    client: AsyncOpenAI,
    policy: ReplayPolicy,
    *,
    stream: bool,
) -> dict[str, Any]:
    """Build the arguments of `client.chat.completions.create`.

    OpenAI's own service has other defaults than those that resemble it: `client` says which it is.

    Raises
    ------
    UserError
        The input, a tool or the tool choice cannot be sent with Chat Completions.
    TypeError
        An argument is given both by the settings and in `ModelSettings.extra_args`.
    """
    settings = request.settings
    extra = settings.extra_args or {}
    if "stream" in extra:
        raise UserError(
            "ModelSettings.extra_args cannot contain 'stream'. "
            "Call Runner.run_streamed() to stream, Runner.run() for the whole answer."
        )
    tools = _named(_tools(request.tools, request.handoffs), request.names)
    options: dict[str, Any] = {
        "model": model,
        "messages": _named_messages(chat_messages(request, policy), request.names),
        "tools": tools or None,
        "tool_choice": _tool_choice(settings.tool_choice, request.names),
        "parallel_tool_calls": settings.parallel_tool_calls if tools else None,
        "response_format": _response_format(request),
        "store": _store(settings, client),
        "reasoning_effort": settings.reasoning.effort if settings.reasoning else None,
        # `extra_args` may ask for them by itself, as it had to before there was `top_logprobs`.
        "logprobs": None if settings.top_logprobs is None or "logprobs" in extra else True,
        **{name: getattr(settings, name) for name in _SETTINGS},
    }
    if stream:
        options["stream"] = True
        options["stream_options"] = _stream_options(settings, extra)
    arguments = {name: value for name, value in options.items() if value is not None}
    if twice := sorted(arguments.keys() & extra.keys()):
        raise TypeError(
            f"chat.completions.create() got multiple values for keyword argument '{twice[0]}': "
            "it is set by ModelSettings.extra_args and elsewhere, too. Remove one of them."
        )
    return arguments | extra


def is_openai(client: AsyncOpenAI) -> bool:
    """Whether the client talks to OpenAI itself, not to a service that resembles it."""
    url = urlsplit(str(client.base_url))
    return url.scheme == "https" and url.hostname == "api.openai.com"


def response_tool_choice(settings: ModelSettings) -> Any:
    """The tool choice in the form that a response of the Responses API has."""
    choice = settings.tool_choice
    if choice is None or choice in ("auto", "required", "none"):
        return choice or "auto"
    return {"type": "function", "name": str(choice)}


def _tools(tools: list[Tool], handoffs: list[Handoff[Any, Any]]) -> list[dict[str, Any]]:
    functions = [_tool(tool) for tool in tools]
    functions += [
        _function(
            handoff.tool_name,
            handoff.tool_description,
            handoff.input_json_schema,
            handoff.strict_json_schema,
        )
        for handoff in handoffs
    ]
    return functions


def _tool(tool: Tool) -> dict[str, Any]:
    if not isinstance(tool, FunctionTool):
        raise UserError(
            f"Hosted tools are not supported with the ChatCompletions API. Got tool type: "
            f"{type(tool)}, tool: {tool!r}. Use OpenAIResponsesModel, or a function tool."
        )
    only_responses = [
        feature
        for feature, used in (
            ("tool_namespace()", getattr(tool, "_tool_namespace", None)),
            ("defer_loading=True", tool.defer_loading),
        )
        if used
    ]
    if only_responses:
        raise UserError(
            "The following function-tool features are only supported with OpenAI Responses "
            f"models: {', '.join(only_responses)}. Tool `{tool.name}` cannot be used with Chat "
            "Completions-compatible models."
        )
    return _function(
        tool.name,
        tool.description or "",
        tool.params_json_schema,
        tool.strict_json_schema,
    )


def _function(name: str, description: str, schema: dict[str, Any], strict: bool) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": schema,
            # Not strict is what a server does unless asked, and some refuse the field.
            **({"strict": True} if strict else {}),
        },
    }


def _named(functions: list[Any], names: ToolNames) -> list[Any]:
    """Tools, or the calls of a message, with their names as they are sent."""
    return [
        each | {"function": names.function(each["function"])} if "function" in each else each
        for each in functions
    ]


def _named_messages(messages: list[Any], names: ToolNames) -> list[Any]:
    return [
        message | {"tool_calls": _named(message["tool_calls"], names)}
        if message.get("tool_calls")
        else message
        for message in messages
    ]


def _tool_choice(choice: Any, names: ToolNames) -> Any:
    if isinstance(choice, MCPToolChoice):
        raise UserError(
            "MCPToolChoice is not supported for Chat Completions models. "
            "Use OpenAIResponsesModel, or name a function tool."
        )
    if choice is None or choice in ("auto", "required", "none"):
        return choice
    return {"type": "function", "function": {"name": names.choice(choice)}}


def _response_format(request: ModelRequest) -> dict[str, Any] | None:
    schema = request.output_schema
    if schema is None or schema.is_plain_text():
        return None
    return {
        "type": "json_schema",
        "json_schema": {
            "name": "final_output",
            # Not strict is the default, and some servers refuse the field.
            **({"strict": True} if schema.is_strict_json_schema() else {}),
            "schema": schema.json_schema(),
        },
    }


def _store(settings: ModelSettings, client: AsyncOpenAI) -> bool | None:
    if settings.store is None and is_openai(client) and "store" not in (settings.extra_args or {}):
        return True
    return settings.store


def _stream_options(settings: ModelSettings, extra: dict[str, Any]) -> dict[str, Any] | None:
    if settings.include_usage is None and "stream_options" in extra:
        return None
    return {"include_usage": settings.include_usage is not False}
