"""Tools that are Python functions: what the model may call.

A tool's failure is an answer for the model, unless its author says otherwise: see
`function_tool(failure_error_function=...)`.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Literal,
    ParamSpec,
    TypeAlias,
    TypedDict,
    overload,
)

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from .._utils.keywords import suggesting
from .._utils.short_repr import short_repr, signature_of
from ..exceptions import UserError
from ..run_context import RunContextWrapper
from ..strict_schema import ensure_strict_json_schema
from ..tool_context import ToolContext
from ..tool_guardrails import check_tool_guardrails
from . import hosted
from .docstrings import DocstringStyle
from .function_schema import function_schema
from .invoke import (
    FunctionInvoker,
    ToolErrorFunction,
    default_tool_error_function,
    default_tool_timeout_error_message,
    invoke_function_tool,
    is_async,
)
from .origin import ToolOrigin
from .output import (
    ToolOutputFileContent,
    ToolOutputFileContentDict,
    ToolOutputImage,
    ToolOutputImageDict,
    ToolOutputText,
    ToolOutputTextDict,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..agent import AgentBase
    from ..items import RunItem, ToolApprovalItem
    from ..tool_guardrails import ToolInputGuardrail, ToolOutputGuardrail

__all__ = [
    "FunctionTool",
    "FunctionToolCustomDataContext",
    "FunctionToolCustomDataExtractor",
    "FunctionToolResult",
    "Tool",
    "ToolCaller",
    "ToolErrorFunction",
    "ToolFunction",
    "ToolOutputFileContent",
    "ToolOutputFileContentDict",
    "ToolOutputImage",
    "ToolOutputImageDict",
    "ToolOutputText",
    "ToolOutputTextDict",
    "ToolTimeoutBehavior",
    "default_tool_error_function",
    "default_tool_timeout_error_message",
    "function_tool",
    "invoke_function_tool",
]

ToolParams = ParamSpec("ToolParams")
ToolFunctionWithoutContext: TypeAlias = Callable[ToolParams, Any]
ToolFunctionWithContext: TypeAlias = Callable[Concatenate[RunContextWrapper[Any], ToolParams], Any]
ToolFunctionWithToolContext: TypeAlias = Callable[Concatenate[ToolContext[Any], ToolParams], Any]
ToolFunction: TypeAlias = (
    ToolFunctionWithoutContext[ToolParams]
    | ToolFunctionWithContext[ToolParams]
    | ToolFunctionWithToolContext[ToolParams]
)

ToolTimeoutBehavior: TypeAlias = Literal["error_as_result", "raise_exception"]
ToolCaller: TypeAlias = Literal["direct", "programmatic"]

IsEnabled: TypeAlias = (
    bool | Callable[[RunContextWrapper[Any], "AgentBase"], bool | Awaitable[bool]]
)
NeedsApproval: TypeAlias = (
    bool | Callable[[RunContextWrapper[Any], dict[str, Any], str], bool | Awaitable[bool]]
)

_CALLERS = ("direct", "programmatic")
_TIMEOUT_BEHAVIORS = ("error_as_result", "raise_exception")
# Tells "not given" from None, which means: raise.
_DEFAULT_ERROR_FUNCTION: Any = object()


_IN_SIGNATURE = ("name", "description", "params_json_schema", "on_invoke_tool")


@dataclass
class FunctionToolResult:
    """The outcome of one call of a function tool.

    Attributes
    ----------
    tool : FunctionTool
        The tool.
    output
        What it returned.
    run_item : RunItem or None
        The item of its output; None where the call waits for approval.
    interruptions : list of ToolApprovalItem
        Approvals that a nested agent run waits for.
    agent_run_result
        The result of a nested agent run.
    """

    tool: FunctionTool
    output: Any
    run_item: RunItem | None
    interruptions: list[ToolApprovalItem] = field(default_factory=list)
    agent_run_result: Any = None


@dataclass
class FunctionToolCustomDataContext:
    """The argument of `FunctionTool.custom_data_extractor`.

    Attributes
    ----------
    tool_context : ToolContext
        The context of the call.
    tool : FunctionTool
        The tool.
    output
        What it returned.
    raw_item : dict
        The output as it is sent to the model.
    """

    tool_context: ToolContext[Any]
    tool: FunctionTool
    output: Any
    raw_item: Mapping[str, Any]


FunctionToolCustomDataExtractor: TypeAlias = Callable[
    [FunctionToolCustomDataContext],
    Awaitable[Mapping[str, Any] | None] | Mapping[str, Any] | None,
]


@dataclass
class FunctionTool:
    """A function that the model can call; `function_tool` makes one from a Python function.

    Attributes
    ----------
    name, description : str
        What the model sees.
    params_json_schema : dict
        JSON schema of the arguments.
    on_invoke_tool : callable
        ``async (ctx: ToolContext, arguments: str) -> output``, the arguments as JSON text.
    strict_json_schema : bool
        Whether the arguments must fit the schema exactly; the schema is then made strict.
    is_enabled : bool or callable
        Whether the model sees the tool: ``(ctx, agent) -> bool``, sync or async.
    tool_input_guardrails, tool_output_guardrails : list or None
        Checks before and after a call.
    needs_approval : bool or callable
        Whether a person must approve a call: ``async (ctx, arguments, call_id) -> bool``, called if
        the tool would get the arguments exactly as the model wrote them; otherwise a person
        decides.
    timeout_seconds : float or None
        The time a call may take, in seconds.
    timeout_behavior : {"error_as_result", "raise_exception"}
        What happens to a call that takes longer: the model gets a message, or the run stops.
    timeout_error_function : callable or None
        What to tell the model.
    defer_loading : bool
        Whether the model finds the tool by `ToolSearchTool` only.
    custom_data_extractor : callable or None
        Data of your own to keep with the output item.
    allowed_callers : list or None
        Who may call it; sent to the API unchanged.
    output_json_schema : dict or None
        JSON schema of the output: it then reaches the model as JSON.

    Examples
    --------
    >>> from agentstream import FunctionTool
    >>> async def invoke(context, arguments):
    ...     return f"asked for {arguments}"
    >>> FunctionTool("lookup", "Look up.", {"type": "object", "properties": {}}, invoke).name
    'lookup'
    """

    name: str
    description: str
    params_json_schema: dict[str, Any]
    on_invoke_tool: Callable[[ToolContext[Any], str], Awaitable[Any]]
    strict_json_schema: bool = True
    is_enabled: IsEnabled = True
    tool_input_guardrails: list[ToolInputGuardrail[Any]] | None = None
    tool_output_guardrails: list[ToolOutputGuardrail[Any]] | None = None
    needs_approval: NeedsApproval = False
    timeout_seconds: float | None = None
    timeout_behavior: ToolTimeoutBehavior = "error_as_result"
    timeout_error_function: ToolErrorFunction | None = None
    defer_loading: bool = False
    _: KW_ONLY
    custom_data_extractor: FunctionToolCustomDataExtractor | None = None
    allowed_callers: list[ToolCaller] | None = None
    output_json_schema: dict[str, Any] | None = None
    _output_type_adapter: TypeAdapter[Any] | None = field(default=None, repr=False)
    _tool_namespace: str | None = field(default=None, repr=False)
    _tool_namespace_description: str | None = field(default=None, repr=False)
    _mcp_title: str | None = field(default=None, repr=False)
    _mcp_annotations: Any = field(default=None, repr=False)
    _tool_origin: ToolOrigin | None = field(default=None, repr=False)
    _is_agent_tool: bool = field(default=False, repr=False)
    _agent_instance: Any = field(default=None, repr=False)
    _has_warned: bool = field(default=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.strict_json_schema:
            self.params_json_schema = ensure_strict_json_schema(self.params_json_schema)
        if self.output_json_schema is not None:
            self.output_json_schema = _output_schema(self.output_json_schema)
        wanted: Any = self.needs_approval
        if not isinstance(wanted, bool) and not callable(wanted):
            raise UserError(
                f"needs_approval of tool {self.name!r} must be a bool or a function, "
                f"got {wanted!r}."
            )
        check_tool_guardrails(self.name, self.tool_input_guardrails, "tool_input_guardrail")
        check_tool_guardrails(self.name, self.tool_output_guardrails, "tool_output_guardrail")
        self._check_timeout()
        self._check_callers()

    @property
    def mcp_annotations(self) -> Any:
        """What an MCP server says of the tool, such as `read_only_hint`; None for other tools."""
        return copy.deepcopy(self._mcp_annotations)

    @property
    def qualified_name(self) -> str:
        """The tool's name with its namespace, where it has one."""
        if self._tool_namespace:
            return f"{self._tool_namespace}.{self.name}"
        return self.name

    def __repr__(self) -> str:
        about = " ".join(str(self.description or "").split())
        about = about[:97] + "…" if len(about) > 98 else about
        chosen = short_repr(self, leave_out=_IN_SIGNATURE).partition("(")[2][:-1]
        facts = [f": {about}"] * bool(about) + [f" ({chosen})"] * bool(chosen)
        return f"<{type(self).__name__} {signature_of(self)}{''.join(facts)}>"

    def _check_timeout(self) -> None:
        seconds = self.timeout_seconds
        if seconds is not None:
            if isinstance(seconds, bool) or not isinstance(seconds, int | float):
                raise TypeError(
                    "FunctionTool timeout_seconds must be a positive number in seconds or None."
                )
            if not math.isfinite(seconds):
                raise ValueError("FunctionTool timeout_seconds must be a finite number.")
            if seconds <= 0:
                raise ValueError("FunctionTool timeout_seconds must be greater than 0.")
            self.timeout_seconds = float(seconds)
        if self.timeout_behavior not in _TIMEOUT_BEHAVIORS:
            raise ValueError(
                "FunctionTool timeout_behavior must be one of: " + ", ".join(_TIMEOUT_BEHAVIORS)
            )
        if self.timeout_error_function is not None and not callable(self.timeout_error_function):
            raise TypeError("FunctionTool timeout_error_function must be callable or None.")

    def _check_callers(self) -> None:
        callers: Any = self.allowed_callers
        if callers is None:
            return
        if not isinstance(callers, list) or not callers:
            raise UserError(
                f"Tool `{self.name}` allowed_callers must be a non-empty list containing 'direct', "
                "'programmatic', or both."
            )
        for caller in callers:
            if caller not in _CALLERS:
                raise UserError(
                    f"Tool `{self.name}` allowed_callers contains unsupported caller {caller!r}. "
                    "Expected 'direct' or 'programmatic'."
                )


Tool: TypeAlias = (
    FunctionTool
    | hosted.FileSearchTool
    | hosted.WebSearchTool
    | hosted.ComputerTool[Any]
    | hosted.HostedMCPTool
    | hosted.LocalShellTool
    | hosted.ImageGenerationTool
    | hosted.CodeInterpreterTool
    | hosted.ToolSearchTool
)
"""Whatever `Agent.tools` may hold."""


def _output_schema(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise UserError("Function tool output_json_schema must define a JSON object schema.")
    try:
        return ensure_strict_json_schema(schema)
    except UserError as error:
        raise UserError(
            f"Function tool output_json_schema must define a strict JSON object schema. {error}"
        ) from error


class ToolOptions(TypedDict, total=False):
    """The keyword options of `function_tool`."""

    name_override: str | None
    description_override: str | None
    docstring_style: DocstringStyle | None
    use_docstring_info: bool
    failure_error_function: ToolErrorFunction | None
    strict_mode: bool
    is_enabled: IsEnabled
    needs_approval: NeedsApproval
    tool_input_guardrails: list[ToolInputGuardrail[Any]] | None
    tool_output_guardrails: list[ToolOutputGuardrail[Any]] | None
    timeout: float | None
    timeout_behavior: ToolTimeoutBehavior
    timeout_error_function: ToolErrorFunction | None
    defer_loading: bool
    custom_data_extractor: FunctionToolCustomDataExtractor | None
    allowed_callers: list[ToolCaller] | None
    output_type: Any | None
    output_json_schema: dict[str, Any] | None


@overload
def function_tool(func: ToolFunction[...], **options: Unpack[ToolOptions]) -> FunctionTool: ...


@overload
def function_tool(
    func: None = None, **options: Unpack[ToolOptions]
) -> Callable[[ToolFunction[...]], FunctionTool]: ...


@suggesting
def function_tool(
    func: ToolFunction[...] | None = None,
    *,
    name_override: str | None = None,
    description_override: str | None = None,
    docstring_style: DocstringStyle | None = None,
    use_docstring_info: bool = True,
    failure_error_function: ToolErrorFunction | None = _DEFAULT_ERROR_FUNCTION,
    strict_mode: bool = True,
    is_enabled: IsEnabled = True,
    needs_approval: NeedsApproval = False,
    tool_input_guardrails: list[ToolInputGuardrail[Any]] | None = None,
    tool_output_guardrails: list[ToolOutputGuardrail[Any]] | None = None,
    timeout: float | None = None,
    timeout_behavior: ToolTimeoutBehavior = "error_as_result",
    timeout_error_function: ToolErrorFunction | None = None,
    defer_loading: bool = False,
    custom_data_extractor: FunctionToolCustomDataExtractor | None = None,
    allowed_callers: list[ToolCaller] | None = None,
    output_type: Any | None = None,
    output_json_schema: dict[str, Any] | None = None,
) -> FunctionTool | Callable[[ToolFunction[...]], FunctionTool]:
    """Make a tool from a Python function; use it as a decorator, with or without arguments.

    A sync function runs in a thread of its own, an async one on the event loop; what a generator
    yields is its output: texts as one text, all else as a list. Name, description and arguments
    come from the function's name, docstring and annotations. Where the first parameter is annotated
    as `RunContextWrapper` or `ToolContext`, it receives the run's context and the model does not
    see it.

    Parameters
    ----------
    func : callable, optional
        The function.
    name_override, description_override : str, optional
        Replace the function's name and description.
    docstring_style : {"google", "numpy", "sphinx"}, optional
        Style of the docstring; detected by default.
    use_docstring_info : bool
        Whether descriptions are read from the docstring.
    failure_error_function : callable or None
        Makes the model's answer from an error: ``(ctx, error) -> str``, sync or async. By default
        `default_tool_error_function`; None lets the error stop the run.
    strict_mode : bool
        Whether the schema is strict. Keep it on if you can, because the arguments then always fit.
    is_enabled : bool or callable
        Whether the model sees the tool: ``(ctx, agent) -> bool``, sync or async.
    needs_approval : bool or callable
        Whether a person must approve a call: ``async (ctx, arguments, call_id) -> bool``, called if
        the tool would get the arguments exactly as the model wrote them; otherwise a person
        decides.
    tool_input_guardrails, tool_output_guardrails : list, optional
        Checks before and after a call.
    timeout : float, optional
        The time a call may take, in seconds; for async functions (a thread cannot be stopped).
    timeout_behavior : {"error_as_result", "raise_exception"}
        What happens to a call that takes longer: the model gets a message, or the run stops.
    timeout_error_function : callable, optional
        Makes the model's answer from the `ToolTimeoutError`.
    defer_loading : bool
        Whether the model finds the tool by `ToolSearchTool` only.
    custom_data_extractor : callable, optional
        Data of your own to keep with the output item.
    allowed_callers : list, optional
        Who may call it; sent to the API unchanged.
    output_type : type, optional
        Type of the output (a pydantic model, a dataclass, a TypedDict): it is checked and reaches
        the model as JSON.
    output_json_schema : dict, optional
        JSON schema of the output, in place of `output_type`.

    Raises
    ------
    UserError
        The signature cannot be converted to a schema; the message names the parameter and a
        solution.

    Examples
    --------
    >>> @function_tool
    ... def weather(city: str) -> str:
    ...     "Weather of a city."
    ...     return f"{city}: sunny"
    >>> weather.name, weather.description
    ('weather', 'Weather of a city.')
    """
    reading = {
        "name_override": name_override,
        "description_override": description_override,
        "docstring_style": docstring_style,
        "use_docstring_info": use_docstring_info,
        "strict_json_schema": strict_mode,
    }
    settings = {
        "strict_json_schema": strict_mode,
        "is_enabled": is_enabled,
        "needs_approval": needs_approval,
        "tool_input_guardrails": tool_input_guardrails,
        "tool_output_guardrails": tool_output_guardrails,
        "timeout_seconds": timeout,
        "timeout_behavior": timeout_behavior,
        "timeout_error_function": timeout_error_function,
        "defer_loading": defer_loading,
        "custom_data_extractor": custom_data_extractor,
        "allowed_callers": allowed_callers,
        **_declared_output(output_type, output_json_schema),
    }

    def make(function: ToolFunction[...]) -> FunctionTool:
        return _make_tool(function, reading, settings, failure_error_function)

    return make if func is None else make(func)


def _make_tool(
    function: Any,
    reading: dict[str, Any],
    settings: dict[str, Any],
    failure_error_function: ToolErrorFunction | None,
) -> FunctionTool:
    """The tool of `function`, its signature read as `reading` says."""
    function = _checked_callable(function)
    schema = function_schema(function, **reading)
    if settings["timeout_seconds"] is not None and not is_async(function):
        raise ValueError(
            "FunctionTool timeout_seconds is only supported for async @function_tool handlers. "
            f"Write {schema.name!r} with async def, or leave out timeout=: a thread cannot be "
            "stopped."
        )
    by_default = failure_error_function is _DEFAULT_ERROR_FUNCTION
    on_failure = default_tool_error_function if by_default else failure_error_function
    adapter = settings.get("_output_type_adapter")
    return FunctionTool(
        name=schema.name,
        description=schema.description or "",
        params_json_schema=schema.params_json_schema,
        on_invoke_tool=FunctionInvoker(function, schema, on_failure, adapter, by_default),
        **settings,
    )


def _checked_callable(function: Any) -> Any:
    """The function, or an error that says what to make the tool of."""
    if isinstance(function, FunctionTool):
        raise UserError(
            f"{function.name!r} is a tool already: use it as it is, or dataclasses.replace() it."
        )
    if isinstance(function, functools.partial):
        raise UserError(
            "Unsupported callable object: function_tool does not infer functools.partial "
            "contracts. Use an explicit wrapper function."
        )
    if isinstance(function, staticmethod):
        function = function.__func__
    if not callable(function):
        raise UserError(
            f"function_tool needs a function, not {type(function).__name__}. Decorate a function, "
            "or a method of an object: function_tool(instance.method)."
        )
    return function


def _declared_output(output_type: Any, output_json_schema: dict[str, Any] | None) -> dict[str, Any]:
    """The fields of a `FunctionTool` that say what it returns."""
    if output_type is None:
        return {"output_json_schema": output_json_schema}
    if output_json_schema is not None:
        raise UserError("output_type and output_json_schema cannot both be provided.")
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(output_type)
        schema = _output_schema(ensure_strict_json_schema(adapter.json_schema()))
    except (UserError, PydanticUserError) as error:
        raise UserError(
            "Function tool output_type must define a strict JSON object schema. Use a Pydantic "
            "model, TypedDict, or dataclass, or provide output_json_schema directly."
        ) from error
    return {"output_json_schema": schema, "_output_type_adapter": adapter}
