"""Handing a conversation over to another agent."""

from __future__ import annotations

import dataclasses
import inspect
import json
import logging
import re
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypeVar

from ._utils.json import encodable_json
from ._utils.keywords import suggesting
from ._utils.short_repr import short_repr
from .exceptions import ModelBehaviorError, UserError
from .run_context import RunContextWrapper, TContext
from .strict_schema import WAY_OUT, ensure_strict_json_schema

if TYPE_CHECKING:
    from .agent import Agent, AgentBase
    from .items import RunItem, TResponseInputItem

logger = logging.getLogger("agentstream")

TAgent = TypeVar("TAgent", default=Any)
THandoffInput = TypeVar("THandoffInput", default=Any)

OnHandoffWithInput: TypeAlias = Callable[[RunContextWrapper[Any], Any], Any]
OnHandoffWithoutInput: TypeAlias = Callable[[RunContextWrapper[Any]], Any]


@dataclass(frozen=True)
class HandoffInputData:
    """The conversation at the moment of a handoff, for an input filter to change.

    Attributes
    ----------
    input_history : str or tuple of dict
        The input of the run.
    pre_handoff_items : tuple of RunItem
        Items of the turns before this one.
    new_items : tuple of RunItem
        Items of this turn: the handoff's call and answer among them. Those that a filter removes
        are not stored in the session.
    run_context : RunContextWrapper or None
        The run's context.
    input_items : tuple of RunItem or None
        If a filter sets it, the next agent sees these items instead of `new_items`; the items of
        the run and its session do not change.

    Examples
    --------
    >>> def only_the_question(data):
    ...     return data.clone(pre_handoff_items=(), new_items=())
    >>> only_the_question(HandoffInputData("Hello?", (), ())).input_history
    'Hello?'
    """

    input_history: str | tuple[TResponseInputItem, ...]
    pre_handoff_items: tuple[RunItem, ...]
    new_items: tuple[RunItem, ...]
    run_context: RunContextWrapper[Any] | None = None
    input_items: tuple[RunItem, ...] | None = None

    def clone(self, **kwargs: Any) -> HandoffInputData:
        """A copy with the fields in `kwargs` changed.

        Examples
        --------
        >>> HandoffInputData("hi", (), ()).clone(input_history="hello").input_history
        'hello'
        """
        return dataclasses.replace(self, **kwargs)


HandoffInputFilter: TypeAlias = Callable[
    [HandoffInputData], HandoffInputData | Awaitable[HandoffInputData]
]
HandoffHistoryMapper: TypeAlias = Callable[["list[TResponseInputItem]"], "list[TResponseInputItem]"]


@dataclass
class Handoff(Generic[TContext, TAgent]):
    """A handoff to an agent, which the model sees as a tool.

    Attributes
    ----------
    tool_name, tool_description : str
        How the model sees it.
    input_json_schema : dict
        JSON schema of the input that the model passes with the handoff.
    on_invoke_handoff : callable
        Takes the context and the arguments as JSON text; returns the agent.
    agent_name : str
        The agent's name.
    input_filter : callable or None
        Changes the conversation that the next agent sees.
    nest_handoff_history : bool or None
        Whether the next agent gets the conversation as one summary; None: as the run says.
    strict_json_schema : bool
        Whether the schema is in the API's strict mode.
    is_enabled : bool or callable
        Whether the model sees the handoff; a function takes the context and the agent.

    Examples
    --------
    >>> from agentstream import Agent
    >>> made = handoff(Agent(name="Billing", handoff_description="Knows invoices."))
    >>> made.tool_name, made.agent_name
    ('transfer_to_billing', 'Billing')
    """

    tool_name: str
    tool_description: str
    input_json_schema: dict[str, Any]
    on_invoke_handoff: Callable[[RunContextWrapper[Any], str], Awaitable[TAgent]]
    agent_name: str
    input_filter: HandoffInputFilter | None = None
    nest_handoff_history: bool | None = None
    strict_json_schema: bool = True
    is_enabled: bool | Callable[[RunContextWrapper[Any], AgentBase[Any]], Any] = True
    # The agent where it is known beforehand, for a saved run and for the drawing of a team; weak,
    # and under the SDK's name, so that readers of both find it.
    _agent_ref: weakref.ref[AgentBase[Any]] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def __repr__(self) -> str:
        return short_repr(
            self, leave_out=("tool_description", "input_json_schema", "on_invoke_handoff")
        )

    def __getstate__(self) -> dict[str, Any]:
        # A weak reference does not pickle; the function that is called has the agent anyway.
        return {**self.__dict__, "_agent_ref": self._agent_ref and self._agent_ref()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        agent = state["_agent_ref"]
        self.__dict__.update(state, _agent_ref=None if agent is None else weakref.ref(agent))

    def get_transfer_message(self, agent: AgentBase[Any]) -> str:
        """What the conversation says about the handoff: the name of `agent`, as JSON."""
        return json.dumps({"assistant": agent.name})

    @classmethod
    def default_tool_name(cls, agent: AgentBase[Any]) -> str:
        """``transfer_to_`` and the name of `agent` as a function name."""
        return function_name(f"transfer_to_{agent.name}")

    @classmethod
    def default_tool_description(cls, agent: AgentBase[Any]) -> str:
        """What the model reads about `agent`."""
        about = agent.handoff_description or ""
        return f"Handoff to the {agent.name} agent to handle the request. {about}"


def function_name(text: str) -> str:
    """`text` as a name that the API takes for a function: letters, digits and underscores.

    Examples
    --------
    >>> function_name("transfer_to_Billing Agent")
    'transfer_to_billing_agent'
    """
    spaced = text.replace(" ", "_")
    name = re.sub(r"[^a-zA-Z0-9_]", "_", spaced)
    if name != spaced:
        logger.warning(
            "%r contains invalid characters for function calling; the model will see %r.",
            text,
            name.lower(),
        )
    return name.lower()


@suggesting
def handoff(
    agent: Agent[TContext],
    tool_name_override: str | None = None,
    tool_description_override: str | None = None,
    on_handoff: OnHandoffWithInput | OnHandoffWithoutInput | None = None,
    input_type: type[Any] | None = None,
    input_filter: HandoffInputFilter | None = None,
    nest_handoff_history: bool | None = None,
    is_enabled: bool | Callable[[RunContextWrapper[Any], Agent[Any]], Any] = True,
) -> Handoff[TContext, Agent[TContext]]:
    """Make a handoff to `agent` with options, for `Agent(handoffs=[...])`.

    Parameters
    ----------
    agent : Agent
        The agent to hand to.
    tool_name_override, tool_description_override : str, optional
        How the model sees the handoff.
    on_handoff : callable, optional
        Called when it happens, with the context, and with the input if there is an `input_type`.
    input_type : type, optional
        Type of the input that the model passes with the handoff; validated by pydantic.
    input_filter : callable, optional
        Changes the conversation that the next agent sees.
    nest_handoff_history : bool, optional
        Whether the next agent gets the conversation as one summary.
    is_enabled : bool or callable
        Whether the model sees the handoff.

    Returns
    -------
    Handoff
        For ``Agent(handoffs=[...])``.

    Raises
    ------
    UserError
        If `on_handoff` and `input_type` do not fit together.

    Examples
    --------
    >>> from agentstream import Agent
    >>> handoff(Agent(name="Billing")).tool_name
    'transfer_to_billing'
    """
    if not isinstance(getattr(agent, "name", None), str):
        raise UserError(
            f"handoff() needs the agent to hand to, got {type(agent).__name__}; "
            "write handoff(Agent(name=...))."
        )
    _check_on_handoff(on_handoff, input_type)
    if input_filter is not None and not callable(input_filter):
        raise UserError(f"input_filter must be callable, got {type(input_filter).__name__}")
    adapter = TypeAdapter(input_type) if input_type is not None else None
    schema = adapter.json_schema() if adapter is not None else {}

    async def invoke(context: RunContextWrapper[Any], arguments: str | None = None) -> Agent[Any]:
        if on_handoff is not None:
            parsed = [_parsed(adapter, arguments)] if adapter is not None else []
            called = on_handoff(context, *parsed)
            if inspect.isawaitable(called):
                await called
        return agent

    async def enabled(context: RunContextWrapper[Any], current: AgentBase[Any]) -> bool:
        answer = is_enabled(context, current) if callable(is_enabled) else is_enabled  # type: ignore[arg-type]
        return bool(await answer if inspect.isawaitable(answer) else answer)

    made: Handoff[TContext, Agent[TContext]] = Handoff(
        tool_name=tool_name_override or Handoff.default_tool_name(agent),
        tool_description=tool_description_override or Handoff.default_tool_description(agent),
        input_json_schema=_strict(schema),
        on_invoke_handoff=invoke,
        agent_name=agent.name,
        input_filter=input_filter,
        nest_handoff_history=nest_handoff_history,
        is_enabled=enabled if callable(is_enabled) else is_enabled,
    )
    made._agent_ref = weakref.ref(agent)
    return made


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    try:
        return ensure_strict_json_schema(schema)
    except UserError as error:
        why = str(error).removesuffix(WAY_OUT)
        raise UserError(f"{why}handoff(input_type=...) is always strict.") from None


def _check_on_handoff(on_handoff: Any, input_type: Any) -> None:
    if input_type is not None and on_handoff is None:
        raise UserError("You must provide on_handoff when input_type is provided")
    if on_handoff is None:
        return
    if not callable(on_handoff):
        raise UserError(f"on_handoff must be callable, got {type(on_handoff).__name__}")
    wanted = 2 if input_type is not None else 1
    try:
        count = len(inspect.signature(on_handoff).parameters)
    except ValueError:  # some functions written in C tell no signature
        count = wanted
    if count != wanted:
        raise UserError(
            "on_handoff must take two arguments: context and input"
            if wanted == 2
            else "on_handoff must take one argument: context; with input_type= the input, too"
        )


def _parsed(adapter: TypeAdapter[Any], arguments: str | None) -> Any:
    if arguments is None:
        raise ModelBehaviorError("Handoff function expected non-null input, but got None")
    try:
        return adapter.validate_json(encodable_json(arguments), strict=True)  # its schema is strict
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise ModelBehaviorError(
            f"Invalid JSON when parsing the handoff's input: {where + ': ' if where else ''}"
            f"{problem['msg']}. The model wrote: {arguments[:200]!r}"
        ) from error
