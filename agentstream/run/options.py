"""How one run is done: what a program gives, and what of it the loop is handed."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypedDict

from .._utils.aio import gather_or_cancel
from ..exceptions import UserError
from ..lifecycle import AgentHooksBase, RunHooksBase
from ..run_config import RunConfig, RunErrorHandlers
from ..run_context import AgentHookContext, RunContextWrapper, TContext
from .active_recording import ActiveRecording, active
from .own_tools import OwnTools

if TYPE_CHECKING:
    from ..agent import Agent
    from ..sessions.base import Session


class TurnOptions(TypedDict, Generic[TContext], total=False):
    """The keyword options of each turn of a conversation: those of `Runner.run` but the session."""

    context: TContext | None
    max_turns: int | None
    hooks: RunHooksBase[TContext, Any] | None
    run_config: RunConfig | dict[str, Any] | None
    error_handlers: RunErrorHandlers | None
    previous_response_id: str | None
    auto_previous_response_id: bool
    conversation_id: str | None


class RunOptions(TurnOptions[TContext], total=False):
    """The keyword options of `Runner.run`, for functions that pass them on."""

    session: Session | None


def _ignore_event(event: Any) -> None:
    """Nobody listens."""


@dataclass
class LoopOptions:
    """What `Runner.run` was given beside agent and input.

    Attributes
    ----------
    streamed : bool
        Whether the model is asked for a stream or for one answer.
    nested : bool
        Whether the run is that of an agent that runs as another's tool.
    stop_after_turn : bool
        Set by `cancel(mode="after_turn")`.
    emit : callable
        Told what no event of the stream says: that a tool starts, a guardrail checks, a call is
        made again.
    own_tools : OwnTools
        Whether other runs change the tools of this one's agents.
    recording : ActiveRecording or None
        Records or replays the run's model calls: the one that is on when the run is prepared.
    """

    config: RunConfig = field(default_factory=RunConfig)
    hooks: RunHooksBase[Any, Any] = field(default_factory=RunHooksBase)
    session: Session | None = None
    error_handlers: RunErrorHandlers = field(default_factory=RunErrorHandlers)
    streamed: bool = True
    nested: bool = False
    stop_after_turn: bool = False
    emit: Callable[[Any], None] = _ignore_event
    own_tools: OwnTools = field(default_factory=OwnTools)
    recording: ActiveRecording | None = field(default_factory=active)

    async def call_hooks(self, agent: Agent[Any], moment: str, *args: Any) -> None:
        """Call the run's hook and the agent's hook of this moment, both at once."""
        methods = [_overridden(self.hooks, moment)]
        if agent.hooks is not None:
            methods.append(_overridden(agent.hooks, moment.replace("on_agent_", "on_")))
        if moment == "on_llm_end":
            methods.reverse()  # the SDK's order
        calls = [call(method, *args) for method in methods if method is not None]
        if calls:
            await gather_or_cancel(calls)


_DO_NOTHING = frozenset(
    method
    for base in (RunHooksBase, AgentHooksBase)
    for method in vars(base).values()
    if callable(method)
)


def _overridden(hooks: Any, moment: str) -> Callable[..., Any] | None:
    """The hook; None where nobody wrote one, so that it costs nothing."""
    method: Callable[..., Any] | None = getattr(hooks, moment, None)
    return None if getattr(method, "__func__", method) in _DO_NOTHING else method


def hook_context(context: RunContextWrapper[Any]) -> AgentHookContext[Any]:
    """The run's context as agent hooks receive it."""
    return AgentHookContext(
        context=context.context,
        usage=context.usage,
        turn_input=context.turn_input,
        _approvals=context._approvals,
        tool_input=context.tool_input,
    )


async def call(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """The value of a function that may be async."""
    value = function(*args, **named)
    return await value if inspect.isawaitable(value) else value


async def custom_data(extractor: Callable[..., Any] | None, context: Any) -> dict[str, Any] | None:
    """What a tool's `custom_data_extractor` keeps with the output of a call.

    Raises
    ------
    UserError
        It is no mapping, or JSON cannot hold it: a saved run could not, either.
    """
    if extractor is None:
        return None
    data = await call(extractor, context)
    if data is not None and not isinstance(data, Mapping):
        raise UserError("custom_data_extractor must return a mapping or None.")
    try:
        json.dumps(data if data is None else dict(data), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(
            "custom_data_extractor must return JSON-compatible data: strings, finite numbers, "
            f"lists and dicts of them ({error})."
        ) from error
    return None if data is None else dict(data)
