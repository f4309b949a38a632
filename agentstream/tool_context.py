"""The context of one tool call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ._approvals import Approvals
from .run_context import RunContextWrapper, TContext
from .usage import Usage

if TYPE_CHECKING:
    from openai.types.responses import ResponseFunctionToolCall

    from ._agent_info import AgentBaseInfo
    from .items import TResponseInputItem
    from .model_settings import ModelSettings, TimeLimits


@dataclass(frozen=True)
class AgentToolInvocation:
    """The call that the run of an agent used as a tool answers.

    Attributes
    ----------
    tool_name, tool_call_id, tool_arguments : str
        The call as the model wrote it, the arguments as JSON text.

    Examples
    --------
    >>> AgentToolInvocation("translate", "call_1", '{"input": "Hello"}').tool_name
    'translate'
    """

    tool_name: str
    tool_call_id: str
    tool_arguments: str


class RunConfigInfo(Protocol):
    """A `RunConfig`, as a tool may read it; the other settings are there as well."""

    model: Any
    model_provider: Any
    model_settings: ModelSettings | None
    workflow_name: str
    trace_id: str | None
    group_id: str | None
    trace_metadata: dict[str, Any] | None
    limits: TimeLimits


class ToolContext(RunContextWrapper[TContext]):
    """The run's context with the call it is for; a tool's first parameter may ask for it.

    Attributes
    ----------
    tool_name, tool_call_id, tool_arguments : str
        The call as the model wrote it, the arguments as JSON text.
    tool_call : ResponseFunctionToolCall or None
        The same as one object.
    tool_namespace : str or None
        The namespace of the tool, where it has one.
    agent : AgentBase or None
        The agent that calls.
    run_config : RunConfig or None
        The run's configuration.
    """

    tool_name: str
    tool_call_id: str
    tool_arguments: str
    tool_call: ResponseFunctionToolCall | None
    tool_namespace: str | None
    agent: AgentBaseInfo | None
    run_config: RunConfigInfo | None

    def __init__(
        self,
        context: TContext,
        usage: Usage | None = None,
        tool_name: str = "",
        tool_call_id: str = "",
        tool_arguments: str = "",
        tool_call: ResponseFunctionToolCall | None = None,
        *,
        tool_namespace: str | None = None,
        agent: AgentBaseInfo | None = None,
        run_config: RunConfigInfo | None = None,
        turn_input: list[TResponseInputItem] | None = None,
        _approvals: Approvals | None = None,
        tool_input: Any | None = None,
    ) -> None:
        super().__init__(
            context=context,
            usage=Usage() if usage is None else usage,
            turn_input=[] if turn_input is None else turn_input,
            _approvals=Approvals() if _approvals is None else _approvals,
            tool_input=tool_input,
        )
        self.tool_name = tool_name
        self.tool_call_id = tool_call_id
        self.tool_arguments = tool_arguments
        self.tool_call = tool_call
        self.tool_namespace = tool_namespace or getattr(tool_call, "namespace", None)
        self.agent = agent
        self.run_config = run_config
        # For an agent that runs as this tool: its paused run when the call is resumed, who is told
        # its events, and whether somebody watches the run around it.
        self.paused_run: Any = None
        self.nested_scope: Callable[[], tuple[str, ...]] | None = None
        self.observer: Any = None
        self.is_watched = False
        self.progress_observer: Callable[[str, float | None], None] | None = None
        # Told what is wrong with the call although it goes on.
        self.warning_observer: Callable[[str], None] | None = None

    @property
    def qualified_tool_name(self) -> str:
        """The tool's name with its namespace, where it has one."""
        # A deferred tool outside a namespace comes with its own name as the namespace.
        if self.tool_namespace and self.tool_namespace != self.tool_name:
            return f"{self.tool_namespace}.{self.tool_name}"
        return self.tool_name

    def report_progress(self, message: str = "", fraction: float | None = None) -> None:
        """Tell those who watch the run how far this call is; the live view shows it in its card.

        Not in the SDK. May be called from any thread; where no run is under way, nothing happens.

        Parameters
        ----------
        message : str
            What the tool is doing.
        fraction : float, optional
            How much of it is done, from 0 to 1.

        Examples
        --------
        >>> from agentstream import Agent, Runner, function_tool
        >>> from agentstream.testing import ScriptedModel, call
        >>> @function_tool
        ... def clean(ctx: ToolContext, rows: int) -> str:
        ...     "Clean the table."
        ...     ctx.report_progress("half of it", 0.5)
        ...     return f"{rows} rows are clean"
        >>> model = ScriptedModel([call("clean", rows=8), "Done."])
        >>> result = Runner.run_sync(Agent(name="Cleaner", tools=[clean], model=model), "Clean up")
        >>> "mark.tool_progressed" in set(result.to_frame("events")["type"])
        True
        """
        if self.progress_observer is not None:
            self.progress_observer(message, fraction)

    @classmethod
    def from_agent_context(
        cls,
        context: RunContextWrapper[TContext],
        tool_call_id: str,
        tool_call: ResponseFunctionToolCall | None = None,
        agent: AgentBaseInfo | None = None,
        *,
        tool_name: str | None = None,
        tool_arguments: str | None = None,
        tool_namespace: str | None = None,
        run_config: RunConfigInfo | None = None,
    ) -> ToolContext[TContext]:
        """The context of a call, sharing usage and approvals with the run's `context`.

        Parameters
        ----------
        context : RunContextWrapper
            The run's context.
        tool_call_id : str
            The id of the call.
        tool_call : ResponseFunctionToolCall, optional
            The call; gives name, arguments and namespace where they are not given.
        agent : AgentBase, optional
            The agent that calls.
        tool_name, tool_arguments, tool_namespace : str, optional
            The call's parts, where there is no `tool_call`.
        run_config : RunConfig, optional
            The run's configuration.
        """
        name = tool_name or (tool_call.name if tool_call else None)
        if isinstance(context, ToolContext):
            agent = agent or context.agent
            run_config = run_config or context.run_config
        arguments = tool_arguments
        if arguments is None:
            arguments = tool_call.arguments if tool_call else ""
        return cls(
            context=context.context,
            usage=context.usage,
            tool_name=name or "",
            tool_call_id=tool_call_id,
            tool_arguments=arguments,
            tool_call=tool_call,
            tool_namespace=tool_namespace,
            agent=agent,
            run_config=run_config,
            turn_input=context.turn_input,
            _approvals=context._approvals,
            tool_input=context.tool_input,
        )
