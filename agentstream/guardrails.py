"""Checks on what goes into a run, into a tool, and out of both."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypedDict, TypeVar, overload

from .errors import UserError
from .run_context import RunContextWrapper, TContext

if TYPE_CHECKING:
    from .agent import Agent
    from .items import TResponseInputItem
    from .tool_context import ToolContext

T = TypeVar("T")
MaybeAwaitable: TypeAlias = Awaitable[T] | T


async def _call(function: Callable[..., Any], *args: Any) -> Any:
    if not callable(function):
        raise UserError(
            f"A guardrail needs a function, got {type(function).__name__}; "
            "give one that returns GuardrailFunctionOutput."
        )
    result = function(*args)
    return await result if inspect.isawaitable(result) else result


async def _found(guardrail: Any, *args: Any) -> GuardrailFunctionOutput:
    found: Any = await _call(guardrail.guardrail_function, *args)
    # By its shape, so that an output made with the SDK's class serves, too.
    if not hasattr(found, "tripwire_triggered"):
        raise UserError(
            f"Guardrail {guardrail.get_name()!r} returned {type(found).__name__}; return "
            "GuardrailFunctionOutput(output_info=..., tripwire_triggered=...)."
        )
    output: GuardrailFunctionOutput = found
    return output


def _name(guardrail: Any) -> str:
    return guardrail.name or getattr(
        guardrail.guardrail_function, "__name__", type(guardrail.guardrail_function).__name__
    )


@dataclass
class GuardrailFunctionOutput:
    """What a guardrail found.

    Attributes
    ----------
    output_info
        Anything worth knowing about the check.
    tripwire_triggered : bool
        True stops the run.

    Examples
    --------
    >>> GuardrailFunctionOutput({"words": 3}, tripwire_triggered=False).tripwire_triggered
    False
    """

    output_info: Any
    tripwire_triggered: bool


@dataclass
class InputGuardrailResult:
    """What an input guardrail found in this run.

    Attributes
    ----------
    guardrail : InputGuardrail
        Which one.
    output : GuardrailFunctionOutput
        What its function returned.
    """

    guardrail: InputGuardrail[Any]
    output: GuardrailFunctionOutput


@dataclass
class OutputGuardrailResult:
    """What an output guardrail found in this run.

    Attributes
    ----------
    guardrail : OutputGuardrail
        Which one.
    agent_output
        What was checked: the final output.
    agent : Agent
        Whose output it is.
    output : GuardrailFunctionOutput
        What the guardrail's function returned.
    """

    guardrail: OutputGuardrail[Any]
    agent_output: Any
    agent: Agent[Any]
    output: GuardrailFunctionOutput


@dataclass
class InputGuardrail(Generic[TContext]):
    """Checks the run's input, beside the first model call or before it.

    Attributes
    ----------
    guardrail_function : callable
        Takes the context, the agent and the input; may be async.
    name : str or None
        The function's name where None.
    run_in_parallel : bool
        True: beside the first model call, so that it costs no time; False: before it, so that a
        tripped run costs no tokens.

    Examples
    --------
    >>> def short(context, agent, input):
    ...     return GuardrailFunctionOutput(len(input), tripwire_triggered=len(input) > 1000)
    >>> InputGuardrail(short, run_in_parallel=False).get_name()
    'short'
    """

    guardrail_function: Callable[
        [RunContextWrapper[TContext], Agent[Any], str | list[TResponseInputItem]],
        MaybeAwaitable[GuardrailFunctionOutput],
    ]
    name: str | None = None
    run_in_parallel: bool = True

    def get_name(self) -> str:
        """The guardrail's name, for messages."""
        return _name(self)

    async def run(
        self,
        agent: Agent[Any],
        input: str | list[TResponseInputItem],
        context: RunContextWrapper[TContext],
    ) -> InputGuardrailResult:
        """Run the check of `agent`'s `input`, with the run's `context`."""
        output = await _found(self, context, agent, input)
        return InputGuardrailResult(guardrail=self, output=output)


@dataclass
class OutputGuardrail(Generic[TContext]):
    """Checks the final output.

    Attributes
    ----------
    guardrail_function : callable
        Takes the context, the agent and the output; may be async.
    name : str or None
        The function's name where None.

    Examples
    --------
    >>> def polite(context, agent, output):
    ...     return GuardrailFunctionOutput(None, tripwire_triggered="please" not in output)
    >>> OutputGuardrail(polite, name="politeness").get_name()
    'politeness'
    """

    guardrail_function: Callable[
        [RunContextWrapper[TContext], Agent[Any], Any],
        MaybeAwaitable[GuardrailFunctionOutput],
    ]
    name: str | None = None

    def get_name(self) -> str:
        """The guardrail's name, for messages."""
        return _name(self)

    async def run(
        self, context: RunContextWrapper[TContext], agent: Agent[Any], agent_output: Any
    ) -> OutputGuardrailResult:
        """Run the check of `agent`'s `agent_output`, with the run's `context`."""
        output = await _found(self, context, agent, agent_output)
        return OutputGuardrailResult(
            guardrail=self, agent=agent, agent_output=agent_output, output=output
        )


@overload
def input_guardrail(func: Callable[..., Any], /) -> InputGuardrail[Any]: ...
@overload
def input_guardrail(
    *, name: str | None = None, run_in_parallel: bool = True
) -> Callable[[Callable[..., Any]], InputGuardrail[Any]]: ...
def input_guardrail(
    func: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    run_in_parallel: bool = True,
) -> Any:
    """Make an `InputGuardrail` of a function.

    Parameters
    ----------
    func : callable
        Takes the context, the agent and the input; returns `GuardrailFunctionOutput`.
    name : str, optional
        The function's name where not given.
    run_in_parallel : bool
        Beside the first model call, or before it.

    Returns
    -------
    InputGuardrail

    Examples
    --------
    >>> @input_guardrail
    ... def short(context, agent, input):
    ...     return GuardrailFunctionOutput(len(input), tripwire_triggered=len(input) > 1000)
    >>> short.get_name()
    'short'
    """

    def decorate(f: Callable[..., Any]) -> InputGuardrail[Any]:
        return InputGuardrail(f, name=name or f.__name__, run_in_parallel=run_in_parallel)

    return decorate if func is None else decorate(func)


@overload
def output_guardrail(func: Callable[..., Any], /) -> OutputGuardrail[Any]: ...
@overload
def output_guardrail(
    *, name: str | None = None
) -> Callable[[Callable[..., Any]], OutputGuardrail[Any]]: ...
def output_guardrail(func: Callable[..., Any] | None = None, *, name: str | None = None) -> Any:
    """Make an `OutputGuardrail` of a function.

    Parameters
    ----------
    func : callable
        Takes the context, the agent and its output; returns `GuardrailFunctionOutput`.
    name : str, optional
        The function's name where not given.

    Returns
    -------
    OutputGuardrail

    Examples
    --------
    >>> @output_guardrail
    ... def polite(context, agent, output):
    ...     return GuardrailFunctionOutput(None, tripwire_triggered="please" not in output)
    >>> polite.get_name()
    'polite'
    """

    def decorate(f: Callable[..., Any]) -> OutputGuardrail[Any]:
        return OutputGuardrail(f, name=name or f.__name__)

    return decorate if func is None else decorate(func)


class AllowBehavior(TypedDict):
    """The call goes on."""

    type: Literal["allow"]


class RejectContentBehavior(TypedDict):
    """The model is given `message` in place of the tool's output."""

    type: Literal["reject_content"]
    message: str


class RaiseExceptionBehavior(TypedDict):
    """The run ends with a tripwire error."""

    type: Literal["raise_exception"]


def _allow() -> AllowBehavior:
    return {"type": "allow"}


@dataclass
class ToolGuardrailFunctionOutput:
    """What a tool guardrail found, and what is to happen.

    Attributes
    ----------
    output_info
        Anything worth knowing about the check.
    behavior : dict
        Made by `allow`, `reject_content` or `raise_exception`.

    Examples
    --------
    >>> ToolGuardrailFunctionOutput.reject_content("Ask for fewer rows.").behavior
    {'type': 'reject_content', 'message': 'Ask for fewer rows.'}
    """

    output_info: Any
    behavior: RejectContentBehavior | RaiseExceptionBehavior | AllowBehavior = field(
        default_factory=_allow
    )

    @classmethod
    def allow(cls, output_info: Any = None) -> ToolGuardrailFunctionOutput:
        """Let the call go on; `output_info` is kept with the result."""
        return cls(output_info=output_info, behavior={"type": "allow"})

    @classmethod
    def reject_content(cls, message: str, output_info: Any = None) -> ToolGuardrailFunctionOutput:
        """Give the model `message` in place of the tool's output; `output_info` is kept."""
        return cls(output_info=output_info, behavior={"type": "reject_content", "message": message})

    @classmethod
    def raise_exception(cls, output_info: Any = None) -> ToolGuardrailFunctionOutput:
        """End the run with a tripwire error; `output_info` is kept."""
        return cls(output_info=output_info, behavior={"type": "raise_exception"})


@dataclass
class ToolInputGuardrailData:
    """What a tool's input guardrail is given: the call's context and the agent.

    Attributes
    ----------
    context : ToolContext
        With the tool's name, the call's id and its arguments as JSON text.
    agent : Agent
        Who called.
    """

    context: ToolContext[Any]
    agent: Agent[Any]


@dataclass
class ToolOutputGuardrailData(ToolInputGuardrailData):
    """What a tool's output guardrail is given: the same, and the output.

    Attributes
    ----------
    output
        What the tool returned.
    """

    output: Any


@dataclass
class ToolInputGuardrailResult:
    """What a tool's input guardrail found.

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
    """What a tool's output guardrail found.

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
    output = await _call(guardrail.guardrail_function, data)
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
        The function's name where None.

    Examples
    --------
    >>> def small(data):
    ...     if len(data.context.tool_arguments) > 1000:
    ...         return ToolGuardrailFunctionOutput.reject_content("Too long.")
    ...     return ToolGuardrailFunctionOutput.allow()
    >>> ToolInputGuardrail(small).get_name()
    'small'
    """

    guardrail_function: Callable[
        [ToolInputGuardrailData], MaybeAwaitable[ToolGuardrailFunctionOutput]
    ]
    name: str | None = None

    def get_name(self) -> str:
        """The guardrail's name, for messages."""
        return _name(self)

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
        The function's name where None.

    Examples
    --------
    >>> def no_keys(data):
    ...     if "sk-" in str(data.output):
    ...         return ToolGuardrailFunctionOutput.reject_content("A key was left out.")
    ...     return ToolGuardrailFunctionOutput.allow()
    >>> ToolOutputGuardrail(no_keys).get_name()
    'no_keys'
    """

    guardrail_function: Callable[
        [ToolOutputGuardrailData], MaybeAwaitable[ToolGuardrailFunctionOutput]
    ]
    name: str | None = None

    def get_name(self) -> str:
        """The guardrail's name, for messages."""
        return _name(self)

    async def run(self, data: ToolOutputGuardrailData) -> ToolGuardrailFunctionOutput:
        """Run the check on the output in `data`."""
        return await _run_tool_guardrail(self, data)


def tool_input_guardrail(func: Callable[..., Any] | None = None, *, name: str | None = None) -> Any:
    """Make a `ToolInputGuardrail` of a function.

    Parameters
    ----------
    func : callable
        Takes `ToolInputGuardrailData`; returns `ToolGuardrailFunctionOutput`.
    name : str, optional
        The function's name where not given.

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


def tool_output_guardrail(
    func: Callable[..., Any] | None = None, *, name: str | None = None
) -> Any:
    """Make a `ToolOutputGuardrail` of a function.

    Parameters
    ----------
    func : callable
        Takes `ToolOutputGuardrailData`; returns `ToolGuardrailFunctionOutput`.
    name : str, optional
        The function's name where not given.

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
