"""Tools, handoffs and the tool choice, as the Responses API wants them.

The rules and the texts of the errors were observed on openai-agents 0.24.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from ...exceptions import UserError
from ...model_settings import MCPToolChoice
from ...tools.function_tool import FunctionTool
from ...tools.hosted import (
    AsyncComputer,
    CodeInterpreterTool,
    Computer,
    ComputerTool,
    FileSearchTool,
    HostedMCPTool,
    ImageGenerationTool,
    LocalShellTool,
    ToolSearchTool,
    WebSearchTool,
)

if TYPE_CHECKING:
    from ...handoffs import Handoff
    from ...tools.function_tool import Tool

__all__ = ["choice_param", "tool_includes", "tool_params", "uses_preview_computer"]

_PLAIN_CHOICES: Final = ("auto", "required", "none")
_HOSTED_CHOICES: Final = (
    "code_interpreter",
    "computer_use_preview",
    "file_search",
    "image_generation",
    "mcp",
    "web_search",
    "web_search_preview",
)
_COMPUTER_CHOICES: Final = ("computer", "computer_use", "computer_use_preview")

Handoffs = Sequence["Handoff[Any, Any]"]


def tool_params(
    tools: Sequence[Tool], handoffs: Handoffs, *, preview_computer: bool, prompt: bool
) -> list[dict[str, Any]]:
    """Describe tools and handoffs to the API; the tools of a namespace go together.

    A stored `prompt` may bring tools of its own.

    Raises
    ------
    UserError
        The tools cannot go together, or one is of a kind the API does not have.
    """
    _check_tools(tools, prompt)
    params: list[dict[str, Any]] = []
    namespaces: dict[str, dict[str, Any]] = {}
    for tool in tools:
        param = _tool_param(tool, preview_computer)
        name = _namespace(tool)
        if name is None:
            params.append(param)
            continue
        description = getattr(tool, "_tool_namespace_description", None)
        if name not in namespaces:
            namespaces[name] = {
                "type": "namespace",
                "name": name,
                "description": description,
                "tools": [],
            }
            params.append(namespaces[name])
        elif namespaces[name]["description"] != description:
            raise UserError(f"All tools in namespace '{name}' must share the same description.")
        namespaces[name]["tools"].append(param)
    return params + [_handoff_param(handoff) for handoff in handoffs]


def tool_includes(tools: Iterable[Tool]) -> list[str]:
    """Name the parts of the answer that are left out unless the request names them."""
    includes = []
    for tool in tools:
        if isinstance(tool, FileSearchTool) and tool.include_search_results:
            includes.append("file_search_call.results")
        if isinstance(tool, WebSearchTool) and "image" in (tool.search_content_types or ()):
            includes.append("web_search_call.results")
    return includes


def uses_preview_computer(model: str | None, choice: Any) -> bool:
    """Tell whether the computer tool is that of the computer-use preview.

    Where a stored prompt chooses the model (None), the older form is sent, which every model with a
    computer takes, unless the tool choice names the newer one.
    """
    if model is not None:
        return model.startswith("computer-use-preview")
    return choice not in ("computer", "computer_use")


def choice_param(
    choice: Any, tools: Sequence[Tool], handoffs: Handoffs, *, preview_computer: bool
) -> Any:
    """Say in the API's form which tool the model must call; None leaves it to the API.

    Raises
    ------
    UserError
        The choice names what cannot be called by name.
    """
    if choice is None or choice in _PLAIN_CHOICES:
        return choice
    if isinstance(choice, MCPToolChoice):
        return {"type": "mcp", "server_label": choice.server_label, "name": choice.name}
    if choice in _COMPUTER_CHOICES and any(isinstance(tool, ComputerTool) for tool in tools):
        return {"type": "computer_use_preview" if preview_computer else "computer"}
    if choice in _HOSTED_CHOICES:
        return {"type": choice}
    _check_named_choice(choice, tools, handoffs)
    return {"type": "function", "name": choice}


def is_plain_choice(choice: Any) -> bool:
    """Tell whether a tool choice names no tool."""
    return choice is None or choice in _PLAIN_CHOICES


def _check_named_choice(choice: str, tools: Sequence[Tool], handoffs: Handoffs) -> None:
    functions = [tool for tool in tools if isinstance(tool, FunctionTool)]
    top_level = [tool for tool in functions if _namespace(tool) is None]
    callable_names = {handoff.tool_name for handoff in handoffs}
    callable_names.update(tool.name for tool in top_level if not tool.defer_loading)
    if choice in callable_names:
        return
    if any(tool.name == choice for tool in top_level):
        raise UserError(
            "Named tool_choice is not currently supported for deferred-loading function tools on "
            "the OpenAI Responses API. Use `auto`, `required`, `none`, or load the tool via "
            "ToolSearchTool() first."
        )
    if choice == "tool_search" and any(isinstance(tool, ToolSearchTool) for tool in tools):
        raise UserError(
            "tool_choice='tool_search' is not supported for ToolSearchTool() on the OpenAI "
            "Responses API. Use `auto` or `required`, or target a real top-level function tool "
            "named `tool_search`."
        )
    if choice == "tool_search" and (tools or handoffs):
        raise UserError(
            "tool_choice='tool_search' requires ToolSearchTool() or a real top-level function "
            "tool named `tool_search` on the OpenAI Responses API."
        )
    in_namespaces = [tool for tool in functions if _namespace(tool) is not None]
    if any(choice in (tool.name, _namespace(tool)) for tool in in_namespaces):
        raise UserError(
            "Named tool_choice must target a callable tool, not a namespace wrapper or bare inner "
            "name from tool_namespace(), on the OpenAI Responses API. Use `auto`, `required`, "
            "`none`, or target a top-level or qualified namespaced function tool."
        )


def _check_tools(tools: Sequence[Tool], prompt: bool) -> None:
    computers = sum(isinstance(tool, ComputerTool) for tool in tools)
    if computers > 1:
        raise UserError(f"You can only provide one computer tool. Got {computers}")
    _check_qualified_names([tool for tool in tools if isinstance(tool, FunctionTool)])
    searches = sum(isinstance(tool, ToolSearchTool) for tool in tools)
    if searches > 1:
        raise UserError("Only one ToolSearchTool() is allowed when using OpenAI Responses models.")
    deferred = any(_is_deferred(tool) for tool in tools)
    if deferred and not searches:
        raise UserError(
            "Deferred-loading Responses tools require ToolSearchTool() when using OpenAI "
            "Responses models."
        )
    namespaced = any(_namespace(tool) is not None for tool in tools)
    if searches and not (deferred or namespaced or prompt):
        raise UserError(
            "ToolSearchTool() requires at least one searchable Responses surface: a "
            "tool_namespace(...) function tool, a deferred-loading function tool "
            "(`function_tool(..., defer_loading=True)`), or a deferred-loading hosted MCP server "
            "(`HostedMCPTool(tool_config={..., 'defer_loading': True})`)."
        )


def _check_qualified_names(tools: Iterable[FunctionTool]) -> None:
    seen: dict[str, bool] = {}
    for tool in tools:
        namespace = _namespace(tool)
        name = tool.name if namespace is None else f"{namespace}.{tool.name}"
        # Two top-level tools of one name are the run's to refuse, before any request is built.
        if name in seen and (namespace is not None or seen[name]):
            raise UserError(
                f"Ambiguous function tool configuration: the qualified name `{name}` is used by "
                "multiple tools. Rename the namespace-wrapped function or dotted top-level tool "
                "to avoid ambiguous dispatch."
            )
        seen[name] = namespace is not None


def _tool_param(tool: Any, preview_computer: bool) -> dict[str, Any]:
    if isinstance(tool, FunctionTool):
        return _function_param(tool)
    if isinstance(tool, (CodeInterpreterTool, HostedMCPTool, ImageGenerationTool)):
        config: dict[str, Any] = dict(tool.tool_config)
        return config
    if isinstance(tool, WebSearchTool):
        return _web_search_param(tool)
    if isinstance(tool, FileSearchTool):
        return _file_search_param(tool)
    if isinstance(tool, ComputerTool):
        return _preview_computer_param(tool) if preview_computer else {"type": "computer"}
    if isinstance(tool, ToolSearchTool):
        options = ("description", "execution", "parameters")
        return {"type": "tool_search"} | _explicit(tool, options)
    if isinstance(tool, LocalShellTool):
        return {"type": "local_shell"}
    raise UserError(
        f"Unknown tool type: {type(tool)}, tool. Give a function made with @function_tool, a "
        "FunctionTool, or one of the hosted tools."
    )


def _function_param(tool: FunctionTool) -> dict[str, Any]:
    param: dict[str, Any] = {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.params_json_schema,
        "strict": tool.strict_json_schema,
    }
    if tool.defer_loading:
        param["defer_loading"] = True
    return param


def _handoff_param(handoff: Handoff[Any, Any]) -> dict[str, Any]:
    return {
        "type": "function",
        "name": handoff.tool_name,
        "description": handoff.tool_description,
        "parameters": handoff.input_json_schema,
        "strict": handoff.strict_json_schema,
    }


def _web_search_param(tool: WebSearchTool) -> dict[str, Any]:
    filters: Any = tool.filters
    if hasattr(filters, "model_dump"):
        filters = filters.model_dump(exclude_none=True)
    return {
        "type": "web_search",
        "filters": filters,
        "user_location": tool.user_location,
        "search_context_size": tool.search_context_size,
    } | _explicit(tool, ("external_web_access", "search_content_types", "image_settings"))


def _file_search_param(tool: FileSearchTool) -> dict[str, Any]:
    param: dict[str, Any] = {"type": "file_search", "vector_store_ids": tool.vector_store_ids}
    for name in ("max_num_results", "ranking_options", "filters"):
        if value := getattr(tool, name):
            param[name] = value
    return param


def _preview_computer_param(tool: ComputerTool[Any]) -> dict[str, Any]:
    computer = tool.computer
    if not isinstance(computer, Computer | AsyncComputer) and callable(computer):
        raise UserError(
            "Computer tool is not initialized for serialization: its computer is made by a "
            "function, for each run. Run the agent with Runner, or give the tool a computer."
        )
    environment = getattr(computer, "environment", None)
    dimensions = getattr(computer, "dimensions", None)
    if environment is None or dimensions is None:
        raise UserError(
            "Preview computer tool payloads require `environment` and `dimensions` on the "
            "Computer/AsyncComputer implementation."
        )
    width, height = dimensions
    return {
        "type": "computer_use_preview",
        "environment": environment,
        "display_width": width,
        "display_height": height,
    }


def _explicit(tool: Any, names: Iterable[str]) -> dict[str, Any]:
    values = {name: getattr(tool, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _namespace(tool: Any) -> str | None:
    name: str | None = getattr(tool, "_tool_namespace", None)
    return name


def _is_deferred(tool: Any) -> bool:
    if isinstance(tool, HostedMCPTool):
        return bool(tool.tool_config.get("defer_loading"))
    return isinstance(tool, FunctionTool) and tool.defer_loading
