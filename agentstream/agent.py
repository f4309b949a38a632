"""An agent: instructions, tools, the agents it may hand off to, and how to ask its model."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, NotRequired, Protocol, TypeAlias, TypeVar

# Before any module that takes types of it: from further inside, its import takes a tenth more.
import openai  # noqa: F401
from typing_extensions import TypedDict

from ._utils.aio import gather_or_cancel
from ._utils.keywords import Suggesting, suggest, suggesting, suggesting_init
from ._utils.settings_dict import as_settings
from ._utils.short_repr import short_repr
from .agent_output import AgentOutputSchemaBase
from .exceptions import UserError
from .guardrails import InputGuardrail, OutputGuardrail
from .handoffs import Handoff
from .model_settings import ModelSettings, default_model_settings
from .prompts import DynamicPromptFunction, Prompt, resolve_prompt
from .run_context import RunContextWrapper, TContext
from .tools.function_tool import FunctionTool, FunctionToolResult, default_tool_error_function

if TYPE_CHECKING:
    from openai.types.responses import ResponseFunctionToolCall

    from .items import ModelResponse, RunItem, TResponseInputItem, TResponseStreamEvent
    from .lifecycle import AgentHooksBase, RunHooksBase
    from .mcp.server import MCPServer
    from .sessions.base import Session
    from .stream_events import StreamEvent
    from .tool_context import RunConfigInfo
    from .tools.function_tool import Tool, ToolErrorFunction
    from .trace.graph import Graph


@dataclass
class ToolsToFinalOutputResult:
    """What a `tool_use_behavior` function decides.

    Attributes
    ----------
    is_final_output : bool
        Whether the run ends here.
    final_output
        The run's output if it does.

    Examples
    --------
    >>> from agentstream import Agent
    >>> def first(context, results):
    ...     return ToolsToFinalOutputResult(is_final_output=True, final_output=results[0].output)
    >>> agent = Agent(name="Guide", tool_use_behavior=first)
    """

    is_final_output: bool
    final_output: Any | None = None


ToolsToFinalOutputFunction: TypeAlias = Callable[
    [RunContextWrapper[TContext], list[FunctionToolResult]], Any
]


class StopAtTools(TypedDict):
    """A `tool_use_behavior`: the first output of one of these tools ends the run.

    Attributes
    ----------
    stop_at_tool_names : list of str
        The tools.

    Examples
    --------
    >>> from agentstream import Agent
    >>> agent = Agent(name="Guide", tool_use_behavior=StopAtTools(stop_at_tool_names=["book"]))
    """

    stop_at_tool_names: list[str]


class MCPConfig(TypedDict):
    """Options for the tools of local MCP servers.

    Attributes
    ----------
    convert_schemas_to_strict : bool
        Whether the tools' schemas are made strict, where that is possible.
    failure_error_function : callable or None
        What the model gets for a call that failed; None lets the error end the run.
    include_server_in_tool_names : bool
        Whether to prefix tool names with the server's name, so two servers can have tools of the
        same name.

    Examples
    --------
    >>> from agentstream import Agent
    >>> agent = Agent(name="Guide", mcp_config=MCPConfig(include_server_in_tool_names=True))
    """

    convert_schemas_to_strict: NotRequired[bool]
    failure_error_function: NotRequired[Any]
    include_server_in_tool_names: NotRequired[bool]


class AgentToolStreamEvent(TypedDict):
    """An event of an agent that runs as a tool; passed to `as_tool(on_stream=...)`.

    Attributes
    ----------
    event : StreamEvent
        The event.
    agent : Agent
        Whose it is.
    tool_call : openai.types.responses.ResponseFunctionToolCall or None
        The call that the agent answers.
    """

    event: StreamEvent
    agent: Agent[Any]
    tool_call: ResponseFunctionToolCall | None


class AgentModel(Protocol):
    """What answers an agent: a `Model`, which says the parameters, or an object of its shape."""

    def get_response(self, *args: Any, **kwargs: Any) -> Awaitable[ModelResponse]:
        """Answer in one piece."""
        ...

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[TResponseStreamEvent]:
        """Answer as a stream."""
        ...


class AgentResult(Protocol):
    """What the run of an agent used as a tool has come to: a `RunResult`, by what it has."""

    @property
    def final_output(self) -> Any:
        """The last agent's output."""
        ...

    @property
    def new_items(self) -> list[RunItem]:
        """What the run produced, in order."""
        ...

    @property
    def raw_responses(self) -> list[ModelResponse]:
        """The model's answers."""
        ...

    @property
    def last_agent(self) -> Agent[Any]:
        """Who was at work last."""
        ...

    def to_input_list(self) -> list[TResponseInputItem]:
        """The conversation, as input for another run."""
        ...


TResult = TypeVar("TResult", bound=AgentResult)


@dataclass
class AgentBase(Suggesting, Generic[TContext]):
    """Base of all agents: a name, tools, MCP servers.

    Attributes
    ----------
    name : str
        The name, for people and for handoffs.
    handoff_description : str or None
        What other agents' models read about it.
    tools : list of Tool
        What it may use.
    mcp_servers : list of MCPServer
        Local servers whose tools it may use.
    mcp_config : MCPConfig
        How their tools are given to the model.
    """

    name: str
    handoff_description: str | None = None
    tools: list[Tool] = field(default_factory=list)
    mcp_servers: list[MCPServer] = field(default_factory=list)
    mcp_config: MCPConfig = field(default_factory=lambda: MCPConfig())

    async def get_mcp_tools(self, run_context: RunContextWrapper[TContext]) -> list[Tool]:
        """The tools of the agent's local MCP servers, as function tools.

        Parameters
        ----------
        run_context : RunContextWrapper
            The run's context, for tool filters.

        Raises
        ------
        UserError
            If two servers offer a tool of one name.
        """
        if not self.mcp_servers:
            return []
        for server in self.mcp_servers:
            if not hasattr(server, "list_tools"):
                raise UserError(
                    f"Agent {self.name!r} has a {type(server).__name__} among its mcp_servers; "
                    "give servers such as MCPServerStdio(...)."
                )
        from .mcp import mcp_tools

        return list(
            await mcp_tools(
                self.mcp_servers, run_context=run_context, agent=self, config=self.mcp_config
            )
        )

    async def get_all_tools(self, run_context: RunContextWrapper[TContext]) -> list[Tool]:
        """The tools the model may call now: MCP tools, then those of `tools` that are enabled.

        Parameters
        ----------
        run_context : RunContextWrapper
            The run's context, for `is_enabled` functions.
        """
        mcp_tools = await self.get_mcp_tools(run_context)
        enabled = await enabled_among(self.tools, run_context, self)
        return [*mcp_tools, *enabled]


async def enabled_among(
    candidates: Sequence[Any], context: RunContextWrapper[Any], agent: AgentBase[Any]
) -> list[Any]:
    """The tools or handoffs whose `is_enabled` says yes, in order; functions are asked at once."""

    async def enabled(candidate: Any) -> bool:
        answer = getattr(candidate, "is_enabled", True)
        if callable(answer):
            answer = answer(context, agent)
            if inspect.isawaitable(answer):
                answer = await answer
        return bool(answer)

    candidates = list(candidates)  # a function that is asked may change the agent's own
    if all(getattr(c, "is_enabled", True) is True for c in candidates):
        return candidates
    answers = await gather_or_cancel([enabled(c) for c in candidates])
    return [c for c, yes in zip(candidates, answers, strict=True) if yes]


@suggesting_init
@dataclass
class Agent(AgentBase[TContext]):
    """An AI model with instructions, tools, guardrails and other agents to hand off to.

    Attributes
    ----------
    name : str
        The agent's name; a handoff's tool is named after it.
    handoff_description : str or None
        What other agents read about it.
    tools : list of Tool
        Functions (`function_tool`) and hosted tools that the model can call.
    mcp_servers : list of MCPServer
        Connected local MCP servers, whose tools the model can call.
    mcp_config : dict
        Options for those tools.
    instructions : str or callable or None
        The system prompt, or a function of the context and the agent that returns it; may be async.
    prompt : dict or callable or None
        A prompt stored with the provider.
    handoffs : list of Agent or Handoff
        Agents that can take over the conversation.
    model : str or Model or None
        A model or its name; None means the default model.
    model_settings : ModelSettings
        Temperature, tool choice and the like.
    input_guardrails, output_guardrails : list
        Check the run's input, if this is the first agent, and the final output.
    output_type : type or AgentOutputSchemaBase or None
        The type of the final output; None means text.
    hooks : AgentHooks or None
        Callbacks on this agent.
    tool_use_behavior : str or dict or callable
        What happens after tools have run: ``"run_llm_again"``, ``"stop_on_first_tool"``,
        `StopAtTools`, or a function that decides.
    reset_tool_choice : bool
        Whether `tool_choice` returns to its default after a tool call, so a forced tool is not
        called without end.

    Examples
    --------
    >>> tutor = Agent(name="Tutor", instructions="Explain with one example.")
    >>> tutor.clone(name="Strict tutor").instructions
    'Explain with one example.'
    """

    instructions: str | Callable[[RunContextWrapper[TContext], Agent[TContext]], Any] | None = None
    prompt: Prompt | DynamicPromptFunction | None = None
    handoffs: list[Agent[Any] | Handoff[TContext, Any]] = field(default_factory=list)
    model: str | AgentModel | None = None
    model_settings: ModelSettings = field(default_factory=default_model_settings)
    input_guardrails: list[InputGuardrail[TContext]] = field(default_factory=list)
    output_guardrails: list[OutputGuardrail[TContext]] = field(default_factory=list)
    output_type: type[Any] | AgentOutputSchemaBase | None = None
    hooks: AgentHooksBase[TContext, Any] | None = None
    tool_use_behavior: (
        Literal["run_llm_again", "stop_on_first_tool"] | StopAtTools | ToolsToFinalOutputFunction
    ) = "run_llm_again"
    reset_tool_choice: bool = True

    def __post_init__(self) -> None:
        self.model_settings = as_settings(ModelSettings, self.model_settings, "model")
        _check(self)
        # Settings nobody chose follow the model: what suits the default model may be an error
        # for another one.
        if self.model is not None and self.model_settings == default_model_settings():
            named = isinstance(self.model, str)
            self.model_settings = (
                default_model_settings(self.model) if named else ModelSettings()  # type: ignore[arg-type]
            )

    def __repr__(self) -> str:
        return short_repr(self, leave_out=() if self._has_own_settings else ("model_settings",))

    @property
    def _has_own_settings(self) -> bool:
        """Whether somebody chose the model's settings; else they follow the model."""
        named = self.model if isinstance(self.model, str) else None
        return self.model_settings not in (default_model_settings(named), ModelSettings())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Left as a cell's last expression, it shows what it has, and its graph."""
        from .notebook.agent_card import agent_bundle

        return agent_bundle(self)

    def clone(self, **kwargs: Any) -> Agent[TContext]:
        """A copy with some attributes changed; lists are shared unless replaced.

        Parameters
        ----------
        **kwargs
            Attributes of the copy.
        """
        if "model" in kwargs and "model_settings" not in kwargs:
            named = self.model if isinstance(self.model, str) else None
            if self.model_settings == default_model_settings(named):  # which nobody chose
                kwargs["model_settings"] = default_model_settings()
        return dataclasses.replace(self, **kwargs)

    async def get_system_prompt(self, run_context: RunContextWrapper[TContext]) -> str | None:
        """The instructions for this run.

        Parameters
        ----------
        run_context : RunContextWrapper
            Passed to instructions that are a function.

        Raises
        ------
        TypeError
            If the function does not take the context and the agent.
        """
        if not callable(self.instructions):
            return self.instructions
        parameters = list(inspect.signature(self.instructions).parameters)
        if len(parameters) != 2:
            raise TypeError(
                "'instructions' callable must accept exactly 2 arguments (context, agent), "
                f"but got {len(parameters)}: {parameters}"
            )
        text = self.instructions(run_context, self)
        return await text if inspect.isawaitable(text) else text

    async def get_prompt(self, run_context: RunContextWrapper[TContext]) -> Any:
        """The stored prompt for this run, in the API's format; None if the agent has none.

        Parameters are as of `get_system_prompt`: `run_context` is the run's.
        """
        return await resolve_prompt(self.prompt, run_context, self)

    @suggesting
    def as_tool(
        self,
        tool_name: str | None,
        tool_description: str | None,
        custom_output_extractor: Callable[[TResult], Any] | None = None,
        is_enabled: bool | Callable[[RunContextWrapper[Any], AgentBase[Any]], Any] = True,
        on_stream: Callable[[AgentToolStreamEvent], Any] | None = None,
        run_config: RunConfigInfo | dict[str, Any] | None = None,
        max_turns: int | None = None,
        hooks: RunHooksBase[TContext, Any] | None = None,
        previous_response_id: str | None = None,
        conversation_id: str | None = None,
        session: Session | None = None,
        failure_error_function: ToolErrorFunction | None = default_tool_error_function,
        needs_approval: bool | Callable[..., Any] = False,
        parameters: type[Any] | None = None,
        input_builder: Callable[..., Any] | None = None,
        include_input_schema: bool = False,
        on_stream_max_pending_events: int | None = 1024,
    ) -> FunctionTool:
        """Make a tool from the agent; the agent that calls it stays in charge of the conversation.

        Parameters
        ----------
        tool_name, tool_description : str or None
            Name and description that the model sees; the default name is the agent's.
        custom_output_extractor : callable, optional
            Makes the tool's output from the agent's result; by default, the output is the final
            output.
        is_enabled : bool or callable
            Whether the model sees the tool.
        on_stream : callable, optional
            Called with each event of the agent's run; may be async.
        run_config, max_turns, hooks, previous_response_id, conversation_id, session
            As in `Runner.run`, for the agent's own run.
        failure_error_function : callable or None
            What the model gets when the agent's run fails; None raises.
        needs_approval : bool or callable
            Whether a person must approve the call.
        parameters : type, optional
            The type of a structured input, which replaces the text input.
        input_builder : callable, optional
            Makes the agent's input from the structured input.
        include_input_schema : bool
            Whether the agent gets the schema of its input.
        on_stream_max_pending_events : int or None
            How many events may wait for `on_stream` before the agent's run waits for it.

        Returns
        -------
        FunctionTool
        """
        from .run.agent_tool import agent_tool

        options = {k: v for k, v in locals().items() if k not in ("self", "agent_tool")}
        return agent_tool(self, **options)

    def graph(self, run: Any = None) -> Graph:
        """Draw the agent, its tools and all agents that it can hand off to.

        It shows itself in a notebook, and as text in a terminal; ``.save("team.svg")`` keeps it.

        Parameters
        ----------
        run : RunResult or RunResultStreaming, optional
            A run whose path to mark: the tools it called, and its handoffs by number.

        Returns
        -------
        Graph

        Examples
        --------
        >>> print(Agent(name="Triage", handoffs=[Agent(name="Writer")]).graph())
        Triage
          hands over to Writer
        Writer
        """
        from .trace.graph import Graph

        return Graph(self, run)


_LISTS = ("tools", "mcp_servers", "handoffs", "input_guardrails", "output_guardrails")


def _check(agent: Agent[Any]) -> None:
    """Raise TypeError for an attribute of a wrong type, where it is written and not later."""

    def expect(name: str, fits: bool, expected: str) -> None:
        if not fits:
            value = getattr(agent, name)
            raise TypeError(f"Agent {name} must be {expected}, got {type(value).__name__}")

    expect("name", isinstance(agent.name, str), "a string")
    for name in ("handoff_description",):
        value = getattr(agent, name)
        expect(name, value is None or isinstance(value, str), "a string or None")
    for name in _LISTS:
        expect(name, isinstance(getattr(agent, name), list), "a list")
    for tool in agent.tools:
        _check_tool(tool)
    for entry in agent.handoffs:
        _check_handoff(entry)
    expect("mcp_config", isinstance(agent.mcp_config, dict), "a dict")
    for name in agent.mcp_config:
        if name not in MCPConfig.__annotations__:
            hint = suggest(name, MCPConfig.__annotations__)
            raise TypeError(f"Agent mcp_config has no {name!r}.{hint}")
    instructions = agent.instructions
    fits = instructions is None or isinstance(instructions, str) or callable(instructions)
    expect("instructions", fits, "a string, callable, or None")
    fits = agent.model is None or isinstance(agent.model, str) or _is_model(agent.model)
    expect("model", fits, "a string, Model, or None")
    fits = isinstance(agent.model_settings, ModelSettings)
    expect("model_settings", fits, "a ModelSettings instance or a dict")
    kind = agent.output_type
    fits = kind is None or not isinstance(kind, (str, int, float, list, dict))
    expect("output_type", fits, "a type, AgentOutputSchemaBase, or None")
    fits = agent.hooks is None or hasattr(agent.hooks, "on_start")
    expect("hooks", fits, "an AgentHooks instance or None")
    behavior = agent.tool_use_behavior
    fits = (
        behavior in ("run_llm_again", "stop_on_first_tool")
        if isinstance(behavior, str)
        else (_stops(behavior) if isinstance(behavior, dict) else callable(behavior))
    )
    expected = "'run_llm_again', 'stop_on_first_tool', StopAtTools dict, or callable"
    expect("tool_use_behavior", fits, expected)
    expect("reset_tool_choice", isinstance(agent.reset_tool_choice, bool), "a boolean")


def _check_tool(tool: Any) -> None:
    """Refuse what is nearly a tool, with what makes one of it."""
    if tool is None or isinstance(tool, (str, bytes, dict)):
        kind = f"the string {tool!r}" if isinstance(tool, str) else type(tool).__name__
        raise TypeError(
            f"Agent tools must be tools, and one is {kind}: give functions decorated with "
            "@function_tool, or hosted tools such as WebSearchTool()."
        )
    if inspect.isroutine(tool):
        name = getattr(tool, "__name__", "f")
        raise TypeError(
            f"Agent tools must be tools, and {name} is a function: add @function_tool to {name}, "
            f"or write tools=[function_tool({name})]."
        )
    if isinstance(tool, AgentBase):
        raise TypeError(
            f"Agent tools must be tools, and {tool.name!r} is an agent: write "
            f"tools=[agent.as_tool(...)] to have it answer as a tool, or handoffs=[agent]."
        )


def _check_handoff(entry: Any) -> None:
    """Refuse what a run could not hand over to, with what to write."""
    if not isinstance(entry, (AgentBase, Handoff)):
        kind = f"the string {entry!r}" if isinstance(entry, str) else type(entry).__name__
        raise TypeError(
            f"Agent handoffs must be agents, or handoff(agent, ...), and one is {kind}: write "
            "handoffs=[agent], with the agent itself and not its name."
        )


def _stops(behavior: Any) -> bool:
    # A lone string would be taken for its letters.
    return isinstance(behavior.get("stop_at_tool_names"), (list, tuple, set, frozenset))


def _is_model(value: Any) -> bool:
    # By its shape, so that a Model written for the SDK serves here too.
    return hasattr(value, "stream_response") and hasattr(value, "get_response")
