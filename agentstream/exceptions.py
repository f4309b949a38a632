"""Every error agentstream raises, as one tree.

::

    AgentsException                                .run_data: what the run had reached
    ├── UserError                                  the program is wrong: fix the call
    │   ├── RecordingError                         a recording does not fit, or is damaged  .diff
    │   └── RedirectError                          a server sends requests elsewhere        .origin
    ├── MaxTurnsExceeded                           the run used up its turns
    ├── ModelBehaviorError                         the model answered what cannot be used
    │   ├── ModelStreamError                       its stream broke off, or was damaged
    │   └── AnswerTooLargeError                    it was larger than the limits allow     .limit
    ├── ModelRefusalError                          the model declined to answer   .refusal
    ├── ModelTimeoutError                          the model was too slow         .timeout_seconds
    │   └── ModelStalledError                      its stream was silent for too long
    ├── RunTimeoutError                            the run took too long          .timeout_seconds
    ├── ToolTimeoutError                           a tool was too slow  .tool_name .timeout_seconds
    ├── MCPToolCancellationError                   an MCP call was cancelled from inside
    ├── InputGuardrailTripwireTriggered            .guardrail_result
    ├── OutputGuardrailTripwireTriggered           .guardrail_result
    ├── ToolInputGuardrailTripwireTriggered        .guardrail .output
    └── ToolOutputGuardrailTripwireTriggered       .guardrail .output

The names are those of the OpenAI Agents SDK, so that an ``except`` written for it goes on working.
Errors of the HTTP client (``openai.APIError`` and its kind) are passed on as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ._utils.keywords import suggest
from ._utils.printable import printable
from ._utils.tracebacks import attach_short_traceback, render

if TYPE_CHECKING:
    from ._agent_info import AgentInfo
    from ._guardrails import GuardrailFunctionOutput, ToolGuardrailFunctionOutput
    from .items import ModelResponse, RunItem, TResponseInputItem
    from .run_context import RunContextWrapper


class GuardrailInfo(Protocol):
    """A guardrail of any kind, as errors have it."""

    @property
    def guardrail_function(self) -> Callable[..., Any]:
        """The check."""
        ...

    @property
    def name(self) -> str | None:
        """The name it was given."""
        ...

    def get_name(self) -> str:
        """The guardrail's name, for messages."""
        ...


class InputGuardrailResultInfo(Protocol):
    """An `InputGuardrailResult`, as errors have it."""

    @property
    def guardrail(self) -> GuardrailInfo:
        """Which one."""
        ...

    @property
    def output(self) -> GuardrailFunctionOutput:
        """What its function returned."""
        ...


class OutputGuardrailResultInfo(InputGuardrailResultInfo, Protocol):
    """An `OutputGuardrailResult`, as errors have it."""

    @property
    def agent_output(self) -> Any:
        """What was checked: the final output."""
        ...

    @property
    def agent(self) -> AgentInfo:
        """The agent of the output."""
        ...


class ToolGuardrailResultInfo(Protocol):
    """A `ToolInputGuardrailResult` or `ToolOutputGuardrailResult`, as errors have it."""

    @property
    def guardrail(self) -> GuardrailInfo:
        """Which one."""
        ...

    @property
    def output(self) -> ToolGuardrailFunctionOutput:
        """What its function returned."""
        ...


@dataclass
class RunErrorDetails:
    """The state of a run when it failed.

    Attributes
    ----------
    input : str or list of dict
        The input the run was started with.
    new_items : list of RunItem
        The items produced until the failure, in order.
    raw_responses : list of ModelResponse
        The model's complete answers until the failure.
    last_agent : Agent
        The agent that was at work.
    context_wrapper : RunContextWrapper
        The run's context, with its usage.
    input_guardrail_results, output_guardrail_results : list
        Results of the guardrails that had run.
    tool_input_guardrail_results, tool_output_guardrail_results : list
        Results of the tool guardrails that had run.
    """

    input: str | list[TResponseInputItem]
    new_items: list[RunItem]
    raw_responses: list[ModelResponse]
    last_agent: AgentInfo
    context_wrapper: RunContextWrapper[Any]
    input_guardrail_results: Sequence[InputGuardrailResultInfo]
    output_guardrail_results: Sequence[OutputGuardrailResultInfo]
    tool_input_guardrail_results: Sequence[ToolGuardrailResultInfo] = field(default_factory=list)
    tool_output_guardrail_results: Sequence[ToolGuardrailResultInfo] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"RunErrorDetails: agent {self.last_agent.name!r}, {len(self.new_items)} item(s), "
            f"{len(self.raw_responses)} model response(s)"
        )


class AgentsException(Exception):
    """Base of all errors of agentstream.

    Parameters
    ----------
    *args
        What the error says.

    Attributes
    ----------
    run_data : RunErrorDetails or None
        The run's items, responses and usage so far; None where no run was under way.

    Examples
    --------
    >>> from agentstream import Agent, Runner
    >>> from agentstream.testing import ScriptedModel, call
    >>> model = ScriptedModel([call("no_such_tool")])
    >>> try:
    ...     _ = Runner.run_sync(Agent(name="Guide", model=model), "Hello")
    ... except AgentsException as error:
    ...     type(error).__name__, len(error.run_data.raw_responses)
    ('ModelBehaviorError', 1)
    """

    run_data: RunErrorDetails | None

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.run_data = None

    def __str__(self) -> str:
        """The text, without what a terminal would obey: a server or a model may have said it."""
        return printable(super().__str__())

    def _render_traceback_(self) -> list[str]:
        """What IPython shows."""
        return render(self)


class UserError(AgentsException):
    """The package is used in a way that cannot work; the message says what to write.

    Attributes
    ----------
    message : str
        What happened, and what to do.
    """

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


def check_choice(what: str, value: Any, choices: Iterable[Any]) -> None:
    """Refuse a value that is none of those that an argument takes.

    Raises
    ------
    UserError
        With all of them, and the one that was probably meant.

    Examples
    --------
    >>> check_choice("mode", "recrod", ["record"])
    Traceback (most recent call last):
    ...
    agentstream.exceptions.UserError: mode must be 'record', got 'recrod'. Did you mean 'record'?
    """
    known = list(choices)
    if any(value is one or (type(value) is type(one) and value == one) for one in known):
        return
    *most, last = map(repr, known)
    listed = f"{', '.join(most)} or {last}" if most else last
    texts = [one for one in known if isinstance(one, str)]
    hint = suggest(value, texts) if isinstance(value, str) else ""
    error = UserError(f"{what} must be {listed}, got {value!r}.{hint}")
    attach_short_traceback(error)
    raise error


class RecordingError(UserError):
    """A recording has no answer to a request, is damaged, or cannot be read or written.

    Attributes
    ----------
    diff : str or None
        What differs between the recorded request and the one that was made, as a unified diff.
    """

    def __init__(self, message: str, *, diff: str | None = None) -> None:
        self.diff = diff
        super().__init__(message)


class RedirectError(UserError):
    """A server redirects a request to another origin, which would get the prompt and the keys.

    It is not followed unless `TimeLimits.redirect_origins` names the origin.

    Attributes
    ----------
    origin : str
        Where the server redirects to, such as ``"https://example.org"``.
    """

    def __init__(self, message: str, origin: str) -> None:
        self.origin = origin
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.origin), self.__dict__


class MaxTurnsExceeded(AgentsException):
    """The run reached `max_turns` without a final output.

    Attributes
    ----------
    message : str
        What happened, and what to do.
    """

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class ModelBehaviorError(AgentsException):
    """The model answered something that cannot be used: an unknown tool, invalid JSON, nothing.

    Attributes
    ----------
    message : str
        What happened, and what to do.
    """

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class ModelStreamError(ModelBehaviorError):
    """The stream of an answer broke off before its end, or what came is no event stream.

    What arrived is kept: in the trace, in the view and as the last of `result.raw_responses`.
    """


class AnswerTooLargeError(ModelBehaviorError):
    """A server sent more than the run's limits allow; what had come before is kept.

    It is not asked again. `TimeLimits` has the limits.

    Attributes
    ----------
    limit : int
        In bytes.
    """

    def __init__(self, message: str, limit: int) -> None:
        self.limit = limit
        super().__init__(message)

    def __reduce__(self) -> Any:
        return type(self), (self.message, self.limit)


class ModelRefusalError(AgentsException):
    """The model declined to produce the structured output it was asked for.

    Attributes
    ----------
    refusal : str
        The model's words.
    """

    def __init__(self, refusal: str) -> None:
        self.refusal = refusal
        super().__init__(f"Model refused to produce output: {refusal}")


class ModelTimeoutError(AgentsException):
    """A model call took longer than `ModelSettings.timeout` seconds.

    Attributes
    ----------
    timeout_seconds : float
        The limit.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self.timeout_seconds = timeout_seconds
        super().__init__(f"Model call timed out after {timeout_seconds:g} seconds.")


class ModelStalledError(ModelTimeoutError):
    """A streaming model was silent for longer than the run's `TimeLimits` allow.

    Attributes
    ----------
    limit : str
        The limit's name in `TimeLimits`.
    """

    def __init__(self, timeout_seconds: float, limit: str) -> None:
        super().__init__(timeout_seconds)
        self.args = (
            f"The model sent nothing for {timeout_seconds:g} seconds; the connection may be dead. "
            f"Run it again. For a model that is silent for longer, give "
            f"RunConfig(limits=TimeLimits({limit}=...)) more seconds, or None.",
        )


class RunTimeoutError(AgentsException):
    """The run took longer than `TimeLimits.run` seconds.

    Attributes
    ----------
    timeout_seconds : float
        The limit.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self.timeout_seconds = timeout_seconds
        super().__init__(
            f"The run took longer than {timeout_seconds:g} seconds and was stopped. Give "
            "RunConfig(limits=TimeLimits(run=...)) more, or go on from what it reached: "
            "result.to_input_list()."
        )


class ToolTimeoutError(AgentsException):
    """A tool took longer than its `timeout` seconds.

    Attributes
    ----------
    tool_name : str
        The tool.
    timeout_seconds : float
        Its limit.
    """

    def __init__(self, tool_name: str, timeout_seconds: float) -> None:
        self.tool_name = tool_name
        self.timeout_seconds = timeout_seconds
        super().__init__(f"Tool '{tool_name}' timed out after {timeout_seconds:g} seconds.")


class MCPToolCancellationError(AgentsException):
    """An MCP call was cancelled by its server or transport, not by the run.

    Attributes
    ----------
    message : str
        What happened, and what to do.
    """

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class InputGuardrailTripwireTriggered(AgentsException):
    """An input guardrail stopped the run.

    Attributes
    ----------
    guardrail_result : InputGuardrailResult
        Which guardrail, and what it found.
    """

    guardrail_result: InputGuardrailResultInfo

    def __init__(self, guardrail_result: InputGuardrailResultInfo) -> None:
        self.guardrail_result = guardrail_result
        kind = type(guardrail_result.guardrail).__name__
        super().__init__(f"Guardrail {kind} triggered tripwire")


class OutputGuardrailTripwireTriggered(AgentsException):
    """An output guardrail refused the final output.

    Attributes
    ----------
    guardrail_result : OutputGuardrailResult
        Which guardrail, and what it found.
    """

    guardrail_result: OutputGuardrailResultInfo

    def __init__(self, guardrail_result: OutputGuardrailResultInfo) -> None:
        self.guardrail_result = guardrail_result
        kind = type(guardrail_result.guardrail).__name__
        super().__init__(f"Guardrail {kind} triggered tripwire")


class ToolInputGuardrailTripwireTriggered(AgentsException):
    """A tool's input guardrail stopped the run.

    Attributes
    ----------
    guardrail : ToolInputGuardrail
        Which one.
    output : ToolGuardrailFunctionOutput
        What it found.
    """

    def __init__(self, guardrail: GuardrailInfo, output: ToolGuardrailFunctionOutput) -> None:
        self.guardrail = guardrail
        self.output = output
        super().__init__(f"Tool input guardrail {type(guardrail).__name__} triggered tripwire")


class ToolOutputGuardrailTripwireTriggered(AgentsException):
    """A tool's output guardrail stopped the run.

    Attributes
    ----------
    guardrail : ToolOutputGuardrail
        Which one.
    output : ToolGuardrailFunctionOutput
        What it found.
    """

    def __init__(self, guardrail: GuardrailInfo, output: ToolGuardrailFunctionOutput) -> None:
        self.guardrail = guardrail
        self.output = output
        super().__init__(f"Tool output guardrail {type(guardrail).__name__} triggered tripwire")
