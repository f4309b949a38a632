"""Checks on what goes into a tool, and on what comes out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, overload

from ._guardrails import AllowBehavior as AllowBehavior
from ._guardrails import MaybeAwaitable, call_guardrail, guardrail_name
from ._guardrails import RaiseExceptionBehavior as RaiseExceptionBehavior
from ._guardrails import RejectContentBehavior as RejectContentBehavior
from ._guardrails import ToolGuardrailFunctionOutput as ToolGuardrailFunctionOutput
from ._utils.keywords import suggesting
from .exceptions import UserError
from .run_context import TContext

if TYPE_CHECKING:
    from ._agent_info import AgentInfo
    from .tool_context import ToolContext

ToolInputGuardrailFunction: TypeAlias = Callable[
    ["ToolInputGuardrailData"], MaybeAwaitable[ToolGuardrailFunctionOutput]
]
ToolOutputGuardrailFunction: TypeAlias = Callable[
    ["ToolOutputGuardrailData"], MaybeAwaitable[ToolGuardrailFunctionOutput]
]


@dataclass
class ToolInputGuardrailData:
    """The argument of a tool's input guardrail: the call's context and the agent.

    Attributes
    ----------
    context : ToolContext
        With the tool's name, the call's id and its arguments as JSON text.
    agent : Agent
        The agent that made the call.
    """

    context: ToolContext[Any]
    agent: AgentInfo


@dataclass
class ToolOutputGuardrailData(ToolInputGuardrailData):
    """The argument of a tool's output guardrail: the call's context, the agent and the output.

    Attributes
    ----------
    output
        What the tool returned.
    """

    output: Any


@dataclass
class ToolInputGuardrailResult:
    """The result of a tool's input guardrail.

    Attributes
    ----------
    guardrail : ToolInputGuardrail
        Which one.
    output : ToolGuardrailFunctionOutput
        What its function returned.
    """

    guardrail: ToolInputGuardrail[Any]
    output: ToolGuardrailFunctionOutput


@dataclass
class ToolOutputGuardrailResult:
    """The result of a tool's output guardrail.

    Attributes
    ----------
    guardrail : ToolOutputGuardrail
        Which one.
    output : ToolGuardrailFunctionOutput
        What its function returned.
    """

    guardrail: ToolOutputGuardrail[Any]
    output: ToolGuardrailFunctionOutput


async def _run_tool_guardrail(guardrail: Any, data: Any) -> ToolGuardrailFunctionOutput:
    output = await call_guardrail(guardrail.guardrail_function, data)
    if not isinstance(output, ToolGuardrailFunctionOutput):
        raise UserError(
            f"Tool guardrail {guardrail.get_name()!r} returned {type(output).__name__}; "
            "return ToolGuardrailFunctionOutput.allow(), .reject_content(...) or "
            ".raise_exception()."
        )
    return output


@dataclass
class ToolInputGuardrail(Generic[TContext]):
    """Checks a tool call before the tool runs.

    Attributes
    ----------
    guardrail_function : callable
        Takes `ToolInputGuardrailData`; returns `ToolGuardrailFunctionOutput`; may be async.
    name : str or None
        None means the function's name.

    Examples
    --------
    >>> def small(data):
    ...     if len(data.context.tool_arguments) > 1000:
    ...         return ToolGuardrailFunctionOutput.reject_content("Too long.")
    ...     return ToolGuardrailFunctionOutput.allow()
    >>> ToolInputGuardrail(small).get_name()
    'small'
    """

    guardrail_function: ToolInputGuardrailFunction
    name: str | None = None

    def get_name(self) -> str:
        """The guardrail's name, for messages."""
        return guardrail_name(self)

    async def run(self, data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
        """Run the check on the call in `data`."""
        return await _run_tool_guardrail(self, data)


@dataclass
class ToolOutputGuardrail(Generic[TContext]):
    """Checks what a tool returned before the model sees it.

    Attributes
    ----------
    guardrail_function : callable
        Takes `ToolOutputGuardrailData`; returns `ToolGuardrailFunctionOutput`; may be async.
    name : str or None
        None means the function's name.

    Examples
    --------
    >>> def no_keys(data):
    ...     if "sk-" in str(data.output):
    ...         return ToolGuardrailFunctionOutput.reject_content("A key was left out.")
    ...     return ToolGuardrailFunctionOutput.allow()
    >>> ToolOutputGuardrail(no_keys).get_name()
    'no_keys'
    """

    guardrail_function: ToolOutputGuardrailFunction
    name: str | None = None

    def get_name(self) -> str:
        """The guardrail's name, for messages."""
        return guardrail_name(self)

    async def run(self, data: ToolOutputGuardrailData) -> ToolGuardrailFunctionOutput:
        """Run the check on the output in `data`."""
        return await _run_tool_guardrail(self, data)


def check_tool_guardrails(tool: str, guards: Any, decorator: str) -> None:
    """Refuse a function without its decorator, and a guardrail of the other side.

    Raises
    ------
    UserError
        With the tool, and the decorator to use.
    """
    other = ToolOutputGuardrail if decorator == "tool_input_guardrail" else ToolInputGuardrail
    for guard in guards or ():
        if not hasattr(guard, "guardrail_function") or isinstance(guard, other):
            name = getattr(guard, "__name__", None) or getattr(guard, "name", None)
            raise UserError(
                f"{decorator}s of tool {tool!r}: decorate {name or type(guard).__name__!r} with "
                f"@{decorator}."
            )


@overload
def tool_input_guardrail(func: ToolInputGuardrailFunction, /) -> ToolInputGuardrail[Any]: ...
@overload
def tool_input_guardrail(
    *, name: str | None = None
) -> Callable[[ToolInputGuardrailFunction], ToolInputGuardrail[Any]]: ...
@suggesting
def tool_input_guardrail(func: Callable[..., Any] | None = None, *, name: str | None = None) -> Any:
    """Make a `ToolInputGuardrail` from a function.

    Parameters
    ----------
    func : callable
        Takes `ToolInputGuardrailData`; returns `ToolGuardrailFunctionOutput`.
    name : str, optional
        By default, the function's name.

    Returns
    -------
    ToolInputGuardrail
        For ``function_tool(tool_input_guardrails=[...])``.

    Examples
    --------
    >>> @tool_input_guardrail
    ... def small(data):
    ...     if len(data.context.tool_arguments) > 1000:
    ...         return ToolGuardrailFunctionOutput.reject_content("Too long.")
    ...     return ToolGuardrailFunctionOutput.allow()
    >>> small.get_name()
    'small'
    """

    def decorate(f: Callable[..., Any]) -> ToolInputGuardrail[Any]:
        return ToolInputGuardrail(f, name=name or f.__name__)

    return decorate if func is None else decorate(func)


@overload
def tool_output_guardrail(func: ToolOutputGuardrailFunction, /) -> ToolOutputGuardrail[Any]: ...
@overload
def tool_output_guardrail(
    *, name: str | None = None
) -> Callable[[ToolOutputGuardrailFunction], ToolOutputGuardrail[Any]]: ...
@suggesting
def tool_output_guardrail(
    func: Callable[..., Any] | None = None, *, name: str | None = None
) -> Any:
    """Make a `ToolOutputGuardrail` from a function.

    Parameters
    ----------
    func : callable
        Takes `ToolOutputGuardrailData`; returns `ToolGuardrailFunctionOutput`.
    name : str, optional
        By default, the function's name.

    Returns
    -------
    ToolOutputGuardrail
        For ``function_tool(tool_output_guardrails=[...])``.

    Examples
    --------
    >>> @tool_output_guardrail(name="keys")
    ... def no_keys(data):
    ...     if "sk-" in str(data.output):
    ...         return ToolGuardrailFunctionOutput.raise_exception()
    ...     return ToolGuardrailFunctionOutput.allow()
    >>> no_keys.get_name()
    'keys'
    """

    def decorate(f: Callable[..., Any]) -> ToolOutputGuardrail[Any]:
        return ToolOutputGuardrail(f, name=name or f.__name__)

    return decorate if func is None else decorate(func)
