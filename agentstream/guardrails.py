"""Checks on what goes into a run, into a tool, and out of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, overload

from ._guardrails import GuardrailFunctionOutput as GuardrailFunctionOutput
from ._guardrails import MaybeAwaitable, call_guardrail, guardrail_name
from ._utils.keywords import suggesting
from .exceptions import UserError
from .run_context import RunContextWrapper, TContext

if TYPE_CHECKING:
    from .agent import Agent
    from .items import TResponseInputItem

InputGuardrailFunction: TypeAlias = Callable[
    [RunContextWrapper[TContext], "Agent[Any]", "str | list[TResponseInputItem]"],
    MaybeAwaitable[GuardrailFunctionOutput],
]
OutputGuardrailFunction: TypeAlias = Callable[
    [RunContextWrapper[TContext], "Agent[Any]", Any], MaybeAwaitable[GuardrailFunctionOutput]
]


async def _outcome(guardrail: Any, *args: Any) -> GuardrailFunctionOutput:
    outcome: Any = await call_guardrail(guardrail.guardrail_function, *args)
    # By its shape, so that an output made with the SDK's class serves, too.
    if not hasattr(outcome, "tripwire_triggered"):
        raise UserError(
            f"Guardrail {guardrail.get_name()!r} returned {type(outcome).__name__}; return "
            "GuardrailFunctionOutput(output_info=..., tripwire_triggered=...)."
        )
    output: GuardrailFunctionOutput = outcome
    return output


@dataclass
class InputGuardrailResult:
    """The result of an input guardrail in this run.

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
    """The result of an output guardrail in this run.

    Attributes
    ----------
    guardrail : OutputGuardrail
        Which one.
    agent_output
        The final output that was checked.
    agent : Agent
        The agent of the output.
    output : GuardrailFunctionOutput
        What the guardrail's function returned.
    """

    guardrail: OutputGuardrail[Any]
    agent_output: Any
    agent: Agent[Any]
    output: GuardrailFunctionOutput


@dataclass
class InputGuardrail(Generic[TContext]):
    """Checks the run's input, in parallel with the first model call or before it.

    Attributes
    ----------
    guardrail_function : callable
        Takes the context, the agent and the input; may be async.
    name : str or None
        None means the function's name.
    run_in_parallel : bool
        True: in parallel with the first model call, which costs no time; False: before it, so a
        tripped run costs no tokens.

    Examples
    --------
    >>> def short(context, agent, input):
    ...     return GuardrailFunctionOutput(len(input), tripwire_triggered=len(input) > 1000)
    >>> InputGuardrail(short, run_in_parallel=False).get_name()
    'short'
    """

    guardrail_function: InputGuardrailFunction[TContext]
    name: str | None = None
    run_in_parallel: bool = True

    def get_name(self) -> str:
        """The guardrail's name, for messages."""
        return guardrail_name(self)

    async def run(
        self,
        agent: Agent[Any],
        input: str | list[TResponseInputItem],
        context: RunContextWrapper[TContext],
    ) -> InputGuardrailResult:
        """Run the check of `agent`'s `input`, with the run's `context`."""
        output = await _outcome(self, context, agent, input)
        return InputGuardrailResult(guardrail=self, output=output)


@dataclass
class OutputGuardrail(Generic[TContext]):
    """Checks the final output.

    Attributes
    ----------
    guardrail_function : callable
        Takes the context, the agent and the output; may be async.
    name : str or None
        None means the function's name.

    Examples
    --------
    >>> def polite(context, agent, output):
    ...     return GuardrailFunctionOutput(None, tripwire_triggered="please" not in output)
    >>> OutputGuardrail(polite, name="politeness").get_name()
    'politeness'
    """

    guardrail_function: OutputGuardrailFunction[TContext]
    name: str | None = None

    def get_name(self) -> str:
        """The guardrail's name, for messages."""
        return guardrail_name(self)

    async def run(
        self, context: RunContextWrapper[TContext], agent: Agent[Any], agent_output: Any
    ) -> OutputGuardrailResult:
        """Run the check of `agent`'s `agent_output`, with the run's `context`."""
        output = await _outcome(self, context, agent, agent_output)
        return OutputGuardrailResult(
            guardrail=self, agent=agent, agent_output=agent_output, output=output
        )


@overload
def input_guardrail(func: InputGuardrailFunction[TContext], /) -> InputGuardrail[TContext]: ...
@overload
def input_guardrail(
    *, name: str | None = None, run_in_parallel: bool = True
) -> Callable[[InputGuardrailFunction[TContext]], InputGuardrail[TContext]]: ...
@suggesting
def input_guardrail(
    func: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    run_in_parallel: bool = True,
) -> Any:
    """Make an `InputGuardrail` from a function.

    Parameters
    ----------
    func : callable
        Takes the context, the agent and the input; returns `GuardrailFunctionOutput`.
    name : str, optional
        By default, the function's name.
    run_in_parallel : bool
        Whether to run it in parallel with the first model call, or before it.

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
def output_guardrail(func: OutputGuardrailFunction[TContext], /) -> OutputGuardrail[TContext]: ...
@overload
def output_guardrail(
    *, name: str | None = None
) -> Callable[[OutputGuardrailFunction[TContext]], OutputGuardrail[TContext]]: ...
@suggesting
def output_guardrail(func: Callable[..., Any] | None = None, *, name: str | None = None) -> Any:
    """Make an `OutputGuardrail` from a function.

    Parameters
    ----------
    func : callable
        Takes the context, the agent and its output; returns `GuardrailFunctionOutput`.
    name : str, optional
        By default, the function's name.

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
