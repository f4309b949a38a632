"""`Runner`: three ways to run an agent, over one loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._utils.keywords import suggest, suggesting
from ..agent import Agent
from ..displays import is_displayed
from ..exceptions import UserError
from ..lifecycle import RunHooksBase
from ..run_config import DEFAULT_MAX_TURNS, RunConfig, RunErrorHandlers, ToolExecutionConfig
from ..run_context import RunContextWrapper
from .agent_runner import replaceable, runs_agents
from .input_parts import as_input
from .interrupts import RunAborted
from .loop import drive
from .model_call import output_schema
from .options import LoopOptions
from .result import RunResult
from .result_base import RunResultBase
from .state.run_state import RunState
from .streamed_result import RunResultStreaming
from .sync import run_until_done, running_loop

if TYPE_CHECKING:
    from ..run_context import TContext
    from ..sessions.base import Session


# How long a cancelled run may clean up undisturbed, in seconds.
_CLEANING_TIME = 5.0


@runs_agents
class Runner:
    """Runs agents.

    Examples
    --------
    >>> from agentstream import Agent, Runner
    >>> from agentstream.testing import ScriptedModel
    >>> agent = Agent(name="Poet", model=ScriptedModel(["Rain on the roof."]))
    >>> Runner.run_sync(agent, "A line, please").final_output
    'Rain on the roof.'
    """

    @classmethod
    @replaceable
    @suggesting
    async def run(
        cls,
        starting_agent: Agent[TContext],
        input: str | list[Any] | RunState[TContext],
        *,
        context: TContext | None = None,
        max_turns: int | None = DEFAULT_MAX_TURNS,
        hooks: RunHooksBase[TContext, Any] | None = None,
        run_config: RunConfig | dict[str, Any] | None = None,
        error_handlers: RunErrorHandlers | None = None,
        previous_response_id: str | None = None,
        auto_previous_response_id: bool = False,
        conversation_id: str | None = None,
        session: Session | None = None,
    ) -> RunResult:
        """Run an agent until it has its final output.

        Parameters
        ----------
        starting_agent : Agent
            The agent to start with.
        input : str or list or RunState
            A message; a list of its parts (texts, figures, images, frames, and files as
            `pathlib.Path`), a conversation in the Responses API's format, or both; or a state to
            resume.
        context : object, optional
            Your own object for tools, hooks and guardrails; the model does not see it.
        max_turns : int or None
            How often a model may be called; None: without limit.
        hooks : RunHooks, optional
            Callbacks on the events of the run.
        run_config : RunConfig or dict, optional
            Settings for the whole run.
        error_handlers : dict, optional
            Functions that turn an error (``"max_turns"``, ``"model_refusal"``,
            ``"invalid_final_output"``) into a final output.
        previous_response_id : str, optional
            Continue from this response, which the server stores.
        auto_previous_response_id : bool
            Continue each turn from the previous response, which the server stores.
        conversation_id : str, optional
            A conversation that the server stores.
        session : Session, optional
            Stores the conversation on your side.

        Returns
        -------
        RunResult

        Raises
        ------
        AgentsException
            The run failed; `run_data` has the items so far.

        Examples
        --------
        >>> import asyncio
        >>> from agentstream import Agent
        >>> from agentstream.testing import ScriptedModel
        >>> guide = Agent(name="Guide", model=ScriptedModel(["Good morning."]))
        >>> asyncio.run(Runner.run(guide, "Hello")).final_output
        'Good morning.'
        """
        state, options = prepared(
            starting_agent,
            input,
            context=context,
            max_turns=max_turns,
            hooks=hooks,
            run_config=run_config,
            error_handlers=error_handlers,
            previous_response_id=previous_response_id,
            auto_previous_response_id=auto_previous_response_id,
            conversation_id=conversation_id,
            session=session,
        )
        options.streamed = False
        return await completed(state, options)

    @classmethod
    @replaceable
    @suggesting
    def run_sync(
        cls,
        starting_agent: Agent[TContext],
        input: str | list[Any] | RunState[TContext],
        *,
        context: TContext | None = None,
        max_turns: int | None = DEFAULT_MAX_TURNS,
        hooks: RunHooksBase[TContext, Any] | None = None,
        run_config: RunConfig | dict[str, Any] | None = None,
        error_handlers: RunErrorHandlers | None = None,
        previous_response_id: str | None = None,
        auto_previous_response_id: bool = False,
        conversation_id: str | None = None,
        session: Session | None = None,
    ) -> RunResult:
        """As `run`, without await; also works in a notebook cell, on the kernel's event loop.

        Parameters and errors are those of `run`; besides, UserError where the running loop cannot
        run nested.
        """
        work: Coroutine[Any, Any, RunResult] = cls.run(
            starting_agent,
            input,
            context=context,
            max_turns=max_turns,
            hooks=hooks,
            run_config=run_config,
            error_handlers=error_handlers,
            previous_response_id=previous_response_id,
            auto_previous_response_id=auto_previous_response_id,
            conversation_id=conversation_id,
            session=session,
        )
        return run_until_done(work)

    @classmethod
    @replaceable
    @suggesting
    def run_streamed(
        cls,
        starting_agent: Agent[TContext],
        input: str | list[Any] | RunState[TContext],
        context: TContext | None = None,
        max_turns: int | None = DEFAULT_MAX_TURNS,
        hooks: RunHooksBase[TContext, Any] | None = None,
        run_config: RunConfig | dict[str, Any] | None = None,
        previous_response_id: str | None = None,
        auto_previous_response_id: bool = False,
        conversation_id: str | None = None,
        session: Session | None = None,
        *,
        error_handlers: RunErrorHandlers | None = None,
    ) -> RunResultStreaming:
        """Start an agent in the background and return immediately; read its events as they arrive.

        Parameters are as in `run`. Where no event loop is running yet, the run starts when its
        events are first read.

        Returns
        -------
        RunResultStreaming

        Examples
        --------
        >>> from agentstream import Agent
        >>> from agentstream.testing import ScriptedModel
        >>> guide = Agent(name="Guide", model=ScriptedModel(["Good morning."]))
        >>> result = Runner.run_streamed(guide, "Hello")
        >>> [event.data.delta for event in result if hasattr(getattr(event, "data", 0), "delta")]
        ['Good', ' morning', '.']
        >>> result.final_output
        'Good morning.'
        """
        state, options = prepared(
            starting_agent,
            input,
            context=context,
            max_turns=max_turns,
            hooks=hooks,
            run_config=run_config,
            error_handlers=error_handlers,
            previous_response_id=previous_response_id,
            auto_previous_response_id=auto_previous_response_id,
            conversation_id=conversation_id,
            session=session,
        )
        return RunResultStreaming(state, options)


async def completed(state: RunState[Any], options: LoopOptions) -> RunResult:
    """Drive a prepared run to its end; raises what `Runner.run` raises."""
    # A task of its own, for a guardrail to cancel without touching the caller's.
    task = running_loop().create_task(
        drive(state, options, lambda events: None), name="agentstream run"
    )
    try:
        await _ended(task)
    except RunAborted as aborted:
        raise aborted.error from None
    return RunResult(state)


async def _ended(task: asyncio.Task[None]) -> None:
    """Await a run's task; when the caller is cancelled, cancel it once and await its end.

    A cancel scope of anyio cancels its task in every turn of the loop until that has left the
    scope. Passed on each time, this would break off what the run's tools do to clean up. After
    `_CLEANING_TIME` it is passed on all the same.
    """
    left: asyncio.CancelledError | None = None
    since = 0.0
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as cancelled:
            now = time.monotonic()
            if left is None or now - since > _CLEANING_TIME:
                task.cancel()
                left, since = left or cancelled, now
    if left is not None and (task.cancelled() or task.exception() is None):
        raise left  # The caller's own: anyio knows its own cancellations by their words.
    task.result()


def prepared(
    agent: Agent[Any],
    input: Any,
    *,
    context: Any = None,
    max_turns: int | None = DEFAULT_MAX_TURNS,
    hooks: Any = None,
    run_config: RunConfig | dict[str, Any] | None = None,
    error_handlers: RunErrorHandlers | None = None,
    previous_response_id: str | None = None,
    auto_previous_response_id: bool = False,
    conversation_id: str | None = None,
    session: Session | None = None,
) -> tuple[RunState[Any], LoopOptions]:
    """State and options of a run, with everything wrong about them told now."""
    _check(agent, input, hooks)
    _check_memory(
        session,
        input.server_managed
        if isinstance(input, RunState)
        else bool(conversation_id or previous_response_id or auto_previous_response_id),
    )
    _check_limits(max_turns, error_handlers)
    config = RunConfig.of(run_config)
    options = LoopOptions(
        config=config,
        hooks=hooks or RunHooksBase(),
        session=session,
        error_handlers=error_handlers or {},
    )
    if isinstance(input, RunState):
        return _resumed(input, agent, context), options
    model_input, question = input, list[Any]()
    if not isinstance(input, str):
        execution = config.tool_execution or ToolExecutionConfig()
        model_input, question = as_input(input, execution.max_frame_characters)
    wrapper = context if isinstance(context, RunContextWrapper) else RunContextWrapper(context)
    state = RunState(
        wrapper,
        model_input,
        agent,
        max_turns,
        conversation_id=conversation_id,
        previous_response_id=previous_response_id,
        auto_previous_response_id=auto_previous_response_id,
    )
    state.trace.question = question
    state.trace.set_agent(agent.name)  # a view is there before the run's first step
    state.reasoning_item_id_policy = config.reasoning_item_id_policy
    try:
        output_schema(agent)
    except UserError as error:
        error.run_data = state.details()
        raise
    return state, options


def _resumed(state: RunState[Any], agent: Agent[Any], context: Any) -> RunState[Any]:
    state.interruptions = []
    if context is not None:
        state.context.context = (
            context.context if isinstance(context, RunContextWrapper) else context
        )
    return state


def _check(agent: Any, input: Any, hooks: Any) -> None:
    if not isinstance(agent, Agent):
        kind = type(agent)
        if kind.__module__.partition(".")[0] == "agents":
            raise UserError(
                f"This {kind.__name__} is of the OpenAI Agents SDK: import it from agentstream, "
                "not from agents; or run it with the SDK, and watch it with show(result)."
            )
        raise UserError(
            f"The first argument must be an Agent, got {kind.__name__}; "
            "for example Runner.run(Agent(name='Helper'), 'Hello')."
        )
    if not isinstance(input, (str, list, RunState)):
        hint = ""
        if isinstance(input, (tuple, Path)) or is_displayed(input):
            hint = " Put it in a list, beside what you ask: ['What is this?', ...]."
        if isinstance(input, RunResultBase):
            hint = (
                " Give result.to_state() to go on with a run that waits, or "
                "result.to_input_list() + [...] to ask further."
            )
        raise UserError(
            f"The input must be a string, a list of input items or a RunState, "
            f"got {type(input).__name__}.{hint}"
        )
    # By shape, so that hooks written for the SDK serve, too.
    fits = hasattr(hooks, "on_agent_start") and not isinstance(hooks, type)
    if hooks is not None and not fits:
        raise TypeError(
            f"Run hooks must be instances of RunHooks, got {type(hooks).__name__}; "
            "AgentHooks belong to Agent(hooks=...)."
        )


def _check_memory(session: Any, server_managed: bool) -> None:
    if session is None:
        return
    if server_managed:
        raise UserError(
            "Session persistence cannot be combined with conversation_id, previous_response_id or "
            "auto_previous_response_id: both keep the conversation; use one of them."
        )
    if not (hasattr(session, "get_items") and hasattr(session, "add_items")):
        raise UserError(
            f"The session must have get_items and add_items, got {type(session).__name__}; "
            "for example SQLiteSession('conversation-1')."
        )


def _check_limits(max_turns: Any, error_handlers: Any) -> None:
    if max_turns is not None and not isinstance(max_turns, (int, float)):
        raise UserError(
            f"max_turns must be a number or None (no limit), got {type(max_turns).__name__}"
        )
    if error_handlers is not None and not isinstance(error_handlers, Mapping):
        raise UserError(
            "error_handlers must be a dict such as {'max_turns': function}, "
            f"got {type(error_handlers).__name__}"
        )
    for kind, handler in (error_handlers or {}).items():
        kinds = RunErrorHandlers.__annotations__
        known = ", ".join(map(repr, kinds))
        if kind not in kinds:
            hint = suggest(str(kind), kinds) or f" There are {known}."
            raise UserError(f"error_handlers has no {kind!r}.{hint}")
        if not callable(handler):
            raise UserError(
                f"error_handlers[{kind!r}] must be a function, got {type(handler).__name__}."
            )
