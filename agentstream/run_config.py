"""How a whole run is done: `RunConfig`, and the functions it may carry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeAlias, get_args

from typing_extensions import TypedDict

from ._utils.keywords import suggesting_init
from ._utils.settings_dict import as_settings
from ._utils.short_repr import short_repr
from ._utils.warn_once import NO_TRACES, warn_without_effect
from .displays import MOST_CHARACTERS
from .exceptions import (
    MaxTurnsExceeded,
    ModelBehaviorError,
    ModelRefusalError,
    UserError,
    check_choice,
)
from .model_settings import ModelSettings, TimeLimits
from .models.gate.gate import Gate, shared_gate
from .models.provider import MultiProvider
from .run_context import RunContextWrapper, TContext
from .tools.output import MAX_CHARACTERS

if TYPE_CHECKING:
    from .agent import Agent, AgentModel
    from .guardrails import InputGuardrail, OutputGuardrail
    from .handoffs import HandoffHistoryMapper, HandoffInputFilter
    from .items import ModelResponse, RunItem, TResponseInputItem
    from .models.base import Model, ModelProvider
    from .sessions.base import SessionSettings

DEFAULT_MAX_TURNS = 10

_collision_policy: ToolNameCollisionPolicy = "error"


def set_default_collision_policy(policy: ToolNameCollisionPolicy) -> None:
    """Set what two tools of one name do where a run says nothing of it."""
    global _collision_policy
    _collision_policy = policy


ToolNotFoundBehavior: TypeAlias = Literal["raise_error", "return_error_to_model"]
ToolNameCollisionPolicy: TypeAlias = Literal["warn", "error"]
ReasoningItemIdPolicy: TypeAlias = Literal["preserve", "omit"]


@dataclass
class ModelInputData:
    """The input of a model call.

    Attributes
    ----------
    input : list of dict
        The conversation.
    instructions : str or None
        The agent's instructions.
    """

    input: list[TResponseInputItem]
    instructions: str | None


@dataclass
class CallModelData(Generic[TContext]):
    """The argument of `call_model_input_filter`.

    Attributes
    ----------
    model_data : ModelInputData
        The input of the model call.
    agent : Agent
        The current agent.
    context
        Your own object of the run.
    """

    model_data: ModelInputData
    agent: Agent[TContext]
    context: TContext | None


CallModelInputFilter: TypeAlias = Callable[[CallModelData[Any]], Any]
SessionInputCallback: TypeAlias = Callable[[list[Any], list[Any]], Any]


@dataclass
class ToolErrorFormatterArgs(Generic[TContext]):
    """The argument of `tool_error_formatter`.

    Attributes
    ----------
    kind : {"approval_rejected", "tool_not_found", "tool_exception"}
        What happened.
    tool_type : str
        ``"function"`` for a function of yours.
    tool_name, call_id : str
        Of the call.
    default_message : str
        The message that the model gets by default.
    run_context : RunContextWrapper
        The run's context.
    error : Exception or None
        What the tool raised.
    """

    kind: Literal["approval_rejected", "tool_not_found", "tool_exception"]
    tool_type: Literal["function", "computer", "shell", "apply_patch", "custom"]
    tool_name: str
    call_id: str
    default_message: str
    run_context: RunContextWrapper[TContext]
    error: Exception | None = None


ToolErrorFormatter: TypeAlias = Callable[[ToolErrorFormatterArgs[Any]], Any]


@dataclass
class OutputGuardrailBlockedMessageArgs(Generic[TContext]):
    """The argument of an `output_guardrail_blocked_message` function.

    Attributes
    ----------
    default_message : str
        The message that is used if the function returns None.
    guardrail_name : str
        Which guardrail refused the output.
    agent : Agent
        The agent of the output.
    run_context : RunContextWrapper
        The run's context.
    """

    default_message: str
    guardrail_name: str
    agent: Agent[Any]
    run_context: RunContextWrapper[TContext]


OutputGuardrailBlockedMessageFormatter: TypeAlias = Callable[
    [OutputGuardrailBlockedMessageArgs[Any]], str | None
]


@dataclass
class ToolExecutionConfig:
    """How the local tools of a turn are run.

    Attributes
    ----------
    max_function_tool_concurrency : int or None
        How many calls run at the same time; None means all.
    pre_approval_tool_input_guardrails : bool
        Whether a tool's input guardrails run before a person is asked to approve the call.
    max_output_characters : int or None
        How much of one output the model gets. The middle of a longer output is replaced by a note,
        and a generator is stopped. None means no limit. Not in the SDK.
    max_frame_characters : int
        How much of one frame or array the model gets: shape and types, as many rows as fit, and a
        summary of the columns. Not in the SDK.
    send_images : bool
        Whether to send the images of figures that tools return, over the Responses API. The model
        gets a description as text in any case. Not in the SDK.

    Examples
    --------
    >>> ToolExecutionConfig(max_function_tool_concurrency=1).max_function_tool_concurrency
    1
    """

    max_function_tool_concurrency: int | None = None
    pre_approval_tool_input_guardrails: bool = False
    max_output_characters: int | None = MAX_CHARACTERS
    max_frame_characters: int = MOST_CHARACTERS
    send_images: bool = True

    def __post_init__(self) -> None:
        early: Any = self.pre_approval_tool_input_guardrails
        if not isinstance(early, bool):  # the text "false" would count as true
            raise ValueError(
                "tool_execution.pre_approval_tool_input_guardrails must be a bool, got "
                f"{type(early).__name__}."
            )
        most = self.max_output_characters
        if most is not None and most < 1:
            raise UserError(f"max_output_characters must be at least 1 or None, got {most}")
        if self.max_frame_characters < 100:
            raise UserError(
                f"max_frame_characters must be at least 100, got {self.max_frame_characters}"
            )
        limit = self.max_function_tool_concurrency
        if limit is not None and limit < 1:
            raise UserError(
                f"max_function_tool_concurrency must be at least 1 or None, got {limit}"
            )


@dataclass
class RunErrorData:
    """The state of a failed run, for an error handler.

    Attributes
    ----------
    input : str or list of dict
        What the run was started with.
    new_items : list of RunItem
        Its items so far.
    history : list of dict
        The whole conversation as input for a model.
    output : list of dict
        The new items as input for a model.
    raw_responses : list of ModelResponse
        The model's answers.
    last_agent : Agent
        The current agent.
    """

    input: str | list[TResponseInputItem]
    new_items: list[RunItem]
    history: list[TResponseInputItem]
    output: list[TResponseInputItem]
    raw_responses: list[ModelResponse]
    last_agent: Agent[Any]


@dataclass
class RunErrorHandlerInput(Generic[TContext]):
    """The argument of an error handler.

    Attributes
    ----------
    error : MaxTurnsExceeded, ModelRefusalError or ModelBehaviorError
        What went wrong.
    context : RunContextWrapper
        The run's context.
    run_data : RunErrorData
        What the run had reached.
    """

    error: MaxTurnsExceeded | ModelRefusalError | ModelBehaviorError
    context: RunContextWrapper[TContext]
    run_data: RunErrorData


@suggesting_init
@dataclass
class RunErrorHandlerResult:
    """A final output that replaces the error.

    Attributes
    ----------
    final_output
        The value of `result.final_output`.
    include_in_history : bool
        Whether it becomes a message of the conversation, too.

    Examples
    --------
    >>> RunErrorHandlerResult("I could not finish.", include_in_history=False).final_output
    'I could not finish.'
    """

    final_output: Any
    include_in_history: bool = True


RunErrorHandler: TypeAlias = Callable[[RunErrorHandlerInput[Any]], Any]


class RunErrorHandlers(TypedDict, total=False):
    """Functions that turn an error of the run into a final output.

    Attributes
    ----------
    max_turns, model_refusal, invalid_final_output : callable
        Takes a `RunErrorHandlerInput`; returns a `RunErrorHandlerResult`, or the final output.

    Examples
    --------
    >>> from agentstream import Agent, Runner
    >>> from agentstream.testing import ScriptedModel, call
    >>> guide = Agent(name="Guide", model=ScriptedModel(["Hello."]))
    >>> handlers = {"max_turns": lambda given: RunErrorHandlerResult("Out of turns.")}
    >>> Runner.run_sync(guide, "Hi", max_turns=0, error_handlers=handlers).final_output
    'Out of turns.'
    """

    max_turns: RunErrorHandler
    model_refusal: RunErrorHandler
    invalid_final_output: RunErrorHandler


_CHOICES: Final = {
    "reasoning_item_id_policy": (None, *get_args(ReasoningItemIdPolicy)),
    "tool_name_collision_policy": get_args(ToolNameCollisionPolicy),
    "tool_not_found_behavior": get_args(ToolNotFoundBehavior),
}
_FUNCTIONS = (
    "handoff_input_filter",
    "handoff_history_mapper",
    "session_input_callback",
    "call_model_input_filter",
    "tool_error_formatter",
)


_ABOUT_TRACES = ("tracing", "trace_id", "group_id", "trace_metadata")


@suggesting_init
@dataclass
class RunConfig:
    """Settings of a whole run; they override those of its agents.

    Attributes
    ----------
    model : str or Model or None
        Replaces the model of every agent.
    model_provider : ModelProvider
        Finds models by name.
    model_settings : ModelSettings or None
        Overrides the settings of every agent.
    handoff_input_filter : callable or None
        Used for handoffs without an `input_filter`.
    nest_handoff_history : bool
        Whether the next agent of a handoff gets the conversation as one message.
    handoff_history_mapper : callable or None
        Makes that message.
    input_guardrails, output_guardrails : list or None
        Added to those of the agents.
    tracing_disabled, trace_include_sensitive_data
        Have no effect: agentstream sends no traces.
    tracing, workflow_name, trace_id, group_id, trace_metadata
        Accepted for the SDK's programs; a warning says once that they have no effect.
    session_input_callback : callable or None
        Combines the session's items with the new input.
    call_model_input_filter : callable or None
        Changes the input of each model call.
    tool_error_formatter : callable or None
        Returns the message that the model gets for a failed or rejected call.
    session_settings : SessionSettings or None
        Overrides the settings of the session.
    reasoning_item_id_policy : {"preserve", "omit"} or None
        Whether reasoning items keep their ids in the next call.
    sandbox
        Not here; anything but None raises UserError.
    tool_execution : ToolExecutionConfig or None
        How local tools are run.
    tool_not_found_behavior : {"raise_error", "return_error_to_model"}
        What happens when the model calls an unknown tool.
    tool_name_collision_policy : {"warn", "error"}
        What happens if two tools have the same name. The default is "error", because the model
        could call the wrong one. Under `agentstream.compat` it is "warn", as in the SDK.
    output_guardrail_blocked_message : str or callable or None
        Replaces a tool's final output that an output guardrail refused, in the session, the items
        and the error. A function takes `OutputGuardrailBlockedMessageArgs`; it must not be async.
        None: "Output withheld by an output guardrail." Sessions do not store a refused message of
        the model.
    limits : TimeLimits or dict
        How long connecting, silence, tools and the whole run may take. Not in the SDK.
    gate : Gate or bool or None
        Keeps model requests within the rate limits of the service. True uses the gate that the
        whole process shares. Not in the SDK.

    Examples
    --------
    >>> from agentstream import Agent, Runner
    >>> from agentstream.testing import ScriptedModel
    >>> guide = Agent(name="Guide")
    >>> config = RunConfig(model=ScriptedModel(["Hello."]), model_settings={"temperature": 0})
    >>> Runner.run_sync(guide, "Hi", run_config=config).final_output
    'Hello.'
    """

    model: str | Model | AgentModel | None = None
    model_provider: ModelProvider = field(default_factory=MultiProvider)
    model_settings: ModelSettings | None = None
    handoff_input_filter: HandoffInputFilter | None = None
    nest_handoff_history: bool = False
    handoff_history_mapper: HandoffHistoryMapper | None = None
    input_guardrails: list[InputGuardrail[Any]] | None = None
    output_guardrails: list[OutputGuardrail[Any]] | None = None
    tracing_disabled: bool = False
    tracing: Any = None
    trace_include_sensitive_data: bool = True
    workflow_name: str = "Agent workflow"
    trace_id: str | None = None
    group_id: str | None = None
    trace_metadata: dict[str, Any] | None = None
    session_input_callback: SessionInputCallback | None = None
    call_model_input_filter: CallModelInputFilter | None = None
    tool_error_formatter: ToolErrorFormatter | None = None
    session_settings: SessionSettings | None = None
    reasoning_item_id_policy: ReasoningItemIdPolicy | None = None
    sandbox: Any = None
    tool_execution: ToolExecutionConfig | None = None
    tool_not_found_behavior: ToolNotFoundBehavior = "raise_error"
    tool_name_collision_policy: ToolNameCollisionPolicy = field(
        default_factory=lambda: _collision_policy
    )
    output_guardrail_blocked_message: str | OutputGuardrailBlockedMessageFormatter | None = None
    limits: TimeLimits = field(default_factory=TimeLimits)
    gate: Gate | bool | None = None

    def __repr__(self) -> str:
        is_default = type(self.model_provider) is MultiProvider
        return short_repr(self, leave_out=("model_provider",) if is_default else ())

    def __post_init__(self) -> None:
        if isinstance(self.gate, bool):
            self.gate = shared_gate() if self.gate else None
        # Programs give dicts, too, whatever the annotation says.
        self.model_settings = as_settings(ModelSettings, self.model_settings, "model")
        self.tool_execution = as_settings(
            ToolExecutionConfig, self.tool_execution, "run_config.tool_execution"
        )
        limits: Any = self.limits
        value = {} if limits is None else limits
        self.limits = as_settings(TimeLimits, value, "run_config.limits")
        session: Any = self.session_settings
        if isinstance(session, dict):
            from .sessions.base import settings_from

            self.session_settings = settings_from(session)
        self._check()
        about = {name: getattr(self, name) for name in _ABOUT_TRACES}
        if self.workflow_name != "Agent workflow":
            about["workflow_name"] = self.workflow_name
        warn_without_effect("RunConfig", about, NO_TRACES)
        if self.sandbox is not None:
            raise UserError(
                "agentstream has no sandboxes; run this program with the OpenAI Agents SDK."
            )

    def _check(self) -> None:
        """Tell what is of a wrong type here, and not where it is used."""
        blocked: Any = self.output_guardrail_blocked_message
        if blocked is not None and (
            iscoroutinefunction(blocked)
            or not (callable(blocked) or isinstance(blocked, str))
            or blocked == ""
        ):
            raise UserError(
                "RunConfig.output_guardrail_blocked_message must be a text that is not empty, a "
                f"function that is not async, or None, got {blocked!r}"
            )

        def expect(name: str, fits: Callable[[Any], bool], expected: str) -> None:
            value = getattr(self, name)
            if value is not None and not fits(value):
                raise UserError(f"RunConfig.{name} must be {expected}, got {type(value).__name__}")

        for name, choices in _CHOICES.items():
            check_choice(f"RunConfig.{name}", getattr(self, name), choices)
        for name in _FUNCTIONS:
            expect(name, callable, "a function or None")
        for name in ("input_guardrails", "output_guardrails"):
            expect(name, lambda value: isinstance(value, (list, tuple)), "a list or None")
        # By shape, so that a Model or a provider written for the SDK serves, too.
        expect(
            "model",
            lambda value: isinstance(value, str) or hasattr(value, "stream_response"),
            "a model's name, a Model or None",
        )
        expect("model_provider", lambda value: hasattr(value, "get_model"), "a ModelProvider")
        settings, execution = "a ModelSettings or a dict", "a ToolExecutionConfig or a dict"
        expect("model_settings", lambda value: isinstance(value, ModelSettings), settings)
        expect("tool_execution", lambda value: isinstance(value, ToolExecutionConfig), execution)
        expect("limits", lambda value: isinstance(value, TimeLimits), "a TimeLimits or a dict")
        expect("gate", lambda value: isinstance(value, Gate), "a Gate, True or None")

    @classmethod
    def of(cls, value: RunConfig | dict[str, Any] | None) -> RunConfig:
        """`value` as a RunConfig; a dict holds its arguments.

        Raises
        ------
        TypeError
            If it is neither.
        """
        if value is None:
            return cls()
        config: Any = as_settings(cls, value, "run_config")
        if not isinstance(config, cls):
            raise TypeError(
                f"run_config must be a RunConfig instance or a dict, got {type(config).__name__}"
            )
        return config
