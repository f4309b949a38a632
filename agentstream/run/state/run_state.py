"""The state of a run: its items, the agent at work, the number of turns, and little else.

The loop reads and writes a `RunState`; a result shows it; its JSON form is how a run waits for an
approval overnight.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from ..._utils.json import escaped_halves
from ..._utils.warn_once import NO_TRACES, warn_without_effect
from ..._utils.watchers import Watchers
from ...exceptions import RunErrorDetails, UserError
from ...items import (
    HandoffCallItem,
    HandoffOutputItem,
    InputItem,
    ItemHelpers,
    MCPApprovalRequestItem,
    ModelResponse,
    RunItem,
    ToolApprovalItem,
    ToolCallItem,
    TResponseInputItem,
    input_item,
    raw_field,
)
from ...run_config import DEFAULT_MAX_TURNS, ReasoningItemIdPolicy
from ...run_context import RunContextWrapper, TContext
from ...trace import Trace

if TYPE_CHECKING:
    from ..._agent_info import AgentInfo
    from ...agent import Agent
    from ...guardrails import InputGuardrailResult, OutputGuardrailResult
    from ...tool_context import AgentToolInvocation
    from ...tool_guardrails import ToolInputGuardrailResult, ToolOutputGuardrailResult


TAgent = TypeVar("TAgent", default=Any)


class RunState(Generic[TContext, TAgent]):
    """The state of a run, to save it, decide on its approvals and resume it.

    Get one from `result.to_state()`, approve or reject its interruptions, and give it to
    `Runner.run` or `Runner.run_streamed` in place of an input.

    Parameters
    ----------
    context : RunContextWrapper
        The run's context.
    original_input : str or list of dict
        What the run was started with.
    starting_agent : Agent
        The agent it was started with.
    max_turns : int or None
        How often a model may be called; None: without limit.
    conversation_id, previous_response_id : str, optional
        The conversation that the server stores, if the run uses one.
    auto_previous_response_id : bool
        Whether each call continues from the previous response, which the server stores.

    Examples
    --------
    >>> import asyncio
    >>> from agentstream import Agent, Runner, RunState, function_tool
    >>> from agentstream.testing import ScriptedModel, call
    >>> @function_tool(needs_approval=True)
    ... def book(nights: int) -> str:
    ...     return "booked"
    >>> model = ScriptedModel([call("book", nights=2), "Your room is booked."])
    >>> desk = Agent(name="Desk", tools=[book], model=model)
    >>> async def main():
    ...     saved = (await Runner.run(desk, "A room")).to_state().to_string()
    ...     state = await RunState.from_string(desk, saved)  # the day after
    ...     state.approve(state.get_interruptions()[0])
    ...     return (await Runner.run(desk, state)).final_output
    >>> asyncio.run(main())
    'Your room is booked.'
    """

    failure: Exception | None = None
    """What the run fails with, while that is told."""
    waiting_ids: frozenset[str] = frozenset()
    """Ids of calls of earlier runs that wait for their outputs in the session."""
    _agent_keys: dict[int, tuple[AgentInfo, str]] = {}  # noqa: RUF012 - never changed in place
    _positions: Mapping[int, tuple[RunItem, int]] = MappingProxyType({})

    carried: Sequence[TResponseInputItem] = ()
    """Those of `new_items`, as input, that a handoff's nested history has put into `input`."""
    last_exchange: tuple[Sequence[Any], Sequence[RunItem]] = ((), ())
    """What the last model call was sent, and the items of its answer."""

    agent_tool_invocation: AgentToolInvocation | None = None
    """The call that this run answers, if it is that of an agent used as a tool."""

    def __init__(
        self,
        context: RunContextWrapper[TContext],
        original_input: str | list[Any],
        starting_agent: Agent[Any],
        max_turns: int | None = DEFAULT_MAX_TURNS,
        *,
        conversation_id: str | None = None,
        previous_response_id: str | None = None,
        auto_previous_response_id: bool = False,
    ) -> None:
        self.context = context
        self.input: str | list[TResponseInputItem] = original_input
        self.starting_agent = starting_agent
        self.agent = starting_agent
        self.max_turns = max_turns
        self.conversation_id = conversation_id
        self.previous_response_id = previous_response_id
        self.auto_previous_response_id = auto_previous_response_id
        self.turn = 0
        self.running = False
        """Whether a run is at work on this state."""
        self.input_checked = False
        """Whether the input guardrails have let the input pass."""
        self.new_items: list[RunItem] = []
        self.model_items: list[RunItem] = []
        """What the model sees beside the input: `new_items`, unless a handoff's filter changed
        the conversation."""
        self.responses: list[ModelResponse] = []
        self.input_guardrail_results: list[InputGuardrailResult] = []
        self.output_guardrail_results: list[OutputGuardrailResult] = []
        self.tool_input_guardrail_results: list[ToolInputGuardrailResult] = []
        self.tool_output_guardrail_results: list[ToolOutputGuardrailResult] = []
        self.interruptions: list[ToolApprovalItem] = []
        self.scope: tuple[str, ...] = (uuid.uuid4().hex,)
        """Which run this is, for decisions on its calls: an id, then the calls of agents as tools
        that lead to it."""
        self.nested: dict[str, RunState[Any]] = {}
        """Paused runs of agents used as tools, by the key of their call."""
        self.tools_used: set[str] = set()
        """Names of the agents that have used a tool, for `reset_tool_choice`."""
        self.agent_started = False
        """Whether the current agent's start was told to the hooks."""
        self.final_output: Any = None
        self.reasoning_item_id_policy: ReasoningItemIdPolicy | None = None
        self.history: list[TResponseInputItem] = []
        """The items before `model_items` as the model sees them: the session's and the input."""
        self.unsent: list[TResponseInputItem] = []
        """What the server has not seen yet, when it keeps the conversation itself."""
        self.pending_input: list[TResponseInputItem] = []
        self.saved_items = 0
        """`new_items` before this are in the session, but for `unsaved` and what was filtered."""
        self.unsaved: list[int] = []
        """Places among `new_items` that the session is still to be given."""
        self.trace = Trace()
        """The run as data; a run that is resumed goes on in it."""
        self.observers = Watchers()
        """Told each event and each mark, after the trace."""
        self.began: float | None = None
        """When the run began, on the monotonic clock: the zero of the trace's times."""

    @property
    def server_managed(self) -> bool:
        """Whether the server keeps the conversation, so that only new items are sent."""
        return bool(
            self.conversation_id or self.previous_response_id or self.auto_previous_response_id
        )

    def copy(self) -> RunState[TContext]:
        """A state that goes its own way from here; items, the user's context and trace are shared.

        So what is decided on it, and a run that goes on from it, leave the result it is from as
        it was.
        """
        twin = copy(self)
        twin.running = False
        twin.context = self.context.copy()
        for name, value in vars(self).items():
            if isinstance(value, (list, set)):
                setattr(twin, name, copy(value))
        twin.observers = Watchers()
        twin.nested = {key: inner.copy() for key, inner in self.nested.items()}
        return twin

    def add(self, items: list[RunItem], *, from_model: bool = False) -> None:
        """Append `items` to the run; `from_model` tells that the server knows them."""
        self.new_items.extend(items)
        self.model_items.extend(items)
        inputs = [self.input_item(item) for item in items if is_model_visible(item)]
        self.history.extend(inputs)
        if not from_model:
            self.unsent.extend(inputs)

    def input_item(self, item: RunItem) -> TResponseInputItem:
        """`item` as the model is to see it."""
        return self.as_sent(item.to_input_item())

    def as_sent(self, plain: Any) -> Any:
        """`plain`, an item of the input, of a session or of the run, as it is sent."""
        if not isinstance(plain, dict):
            return plain
        if "created_by" in plain:
            plain = input_item(plain)
        if self.reasoning_item_id_policy == "omit" and plain.get("type") == "reasoning":
            plain = {k: v for k, v in plain.items() if k != "id"}
        return plain

    def start_with(self, history: list[TResponseInputItem]) -> None:
        """Set `history`, what the model sees before any item of the run."""
        self.history = [self.as_sent(item) for item in history]
        self.unsent = list(self.history)

    def rebuild_history(self) -> None:
        """Make the history again from input and items, after a handoff's filter or from JSON."""
        history = ItemHelpers.input_to_new_input_list(self.input)
        self.history = [self.as_sent(item) for item in history]
        self.history += [self.input_item(i) for i in self.model_items if is_model_visible(i)]

    def model_input(self) -> list[TResponseInputItem]:
        """What the next model call is sent."""
        return list(self.unsent if self.server_managed else self.history)

    def observe(self, event: Any) -> None:
        """Fold `event`, or a mark, into the trace."""
        self.observe_all((event,))

    def observe_all(self, events: Iterable[Any]) -> None:
        """Fold events that came together into the trace.

        Parameters
        ----------
        events : iterable
            Stream events, or marks.
        """
        now = time.monotonic()
        if self.began is None:
            self.began = now
        self.trace.add_all(events, now - self.began)
        if self.observers:
            self.observers.notify_all(events)

    def details(self) -> RunErrorDetails:
        """What the run has reached, for an error to carry."""
        return RunErrorDetails(
            input=self.input,
            new_items=list(self.new_items),
            raw_responses=list(self.responses),
            last_agent=self.agent,
            context_wrapper=self.context,
            input_guardrail_results=list(self.input_guardrail_results),
            output_guardrail_results=list(self.output_guardrail_results),
            tool_input_guardrail_results=list(self.tool_input_guardrail_results),
            tool_output_guardrail_results=list(self.tool_output_guardrail_results),
        )

    def waiting(self, call: RunItem, tool_namespace: str | None = None) -> ToolApprovalItem:
        """The item that stands for a call while a person decides.

        Parameters
        ----------
        call : RunItem
            One of the run's items.
        tool_namespace : str, optional
            The namespace of its tool.
        """
        return ToolApprovalItem(
            agent=call.agent,
            raw_item=call.raw_item,
            tool_namespace=tool_namespace,
            tool_origin=getattr(call, "tool_origin", None),
            run_scope=self.scope,
            position=self._position(call),
            agent_key=self._agent_key(call.agent),
        )

    def _agent_key(self, agent: AgentInfo) -> str:
        """The name of an agent; of a second one of that name, one that no other has."""
        if id(agent) not in self._agent_keys:
            from .serialize import reachable_agents

            agents = reachable_agents(self.starting_agent).items()
            self._agent_keys = {id(each): (each, name) for name, each in agents}
            # One that cannot be reached from the first is not restored from JSON either.
            self._agent_keys.setdefault(id(agent), (agent, f"{agent.name}@{id(agent)}"))
        return self._agent_keys[id(agent)][1]

    def _position(self, call: RunItem) -> int:
        """How many calls with the id of `call` the run has before it."""
        known = self._positions.get(id(call))
        if known is not None and known[0] is call:
            return known[1]
        # All at once: each call of an answer is about to ask.
        before: Counter[str] = Counter()
        positions: dict[int, tuple[RunItem, int]] = {}
        for item in self.new_items:
            if isinstance(item, _CALLS):
                name = str(_call_id(item))
                positions[id(item)] = item, before[name]
                before[name] += 1
        self._positions = positions
        known = positions.get(id(call))
        return before[str(_call_id(call))] if known is None else known[1]

    def get_interruptions(self) -> list[ToolApprovalItem]:
        """The calls that wait for a decision."""
        return list(self.interruptions)

    def approve(self, approval_item: ToolApprovalItem, always_approve: bool = False) -> None:
        """Approve a waiting call.

        Parameters
        ----------
        approval_item : ToolApprovalItem
            One of `get_interruptions()`.
        always_approve : bool
            Approve every later call of this tool by this agent in this run, too.
        """
        self.context.approve_tool(approval_item, always_approve=always_approve)

    def reject(
        self,
        approval_item: ToolApprovalItem,
        always_reject: bool = False,
        *,
        rejection_message: str | None = None,
    ) -> None:
        """Reject a waiting call; the model gets a message.

        Parameters
        ----------
        approval_item : ToolApprovalItem
            One of `get_interruptions()`.
        always_reject : bool
            Reject every later call of this tool by this agent in this run, too.
        rejection_message : str, optional
            What the model gets.
        """
        self.context.reject_tool(
            approval_item, always_reject=always_reject, rejection_message=rejection_message
        )

    def add_input(self, input: str | list[TResponseInputItem]) -> None:
        """Add input that the model sees when the run goes on.

        Parameters
        ----------
        input : str or list of dict
            Admitted before the next model call, after the open calls have been answered.

        Raises
        ------
        UserError
            It is neither; or the run is over, or its tools may end it.
        """
        if not isinstance(input, (str, list)):
            raise UserError(
                f"The input must be a string or a list of input items, got {type(input).__name__}."
            )
        if self.final_output is not None:
            raise UserError(
                "This is a terminal RunState: its run has its final output, and asks the model no "
                "more. Start another run with result.to_input_list() and the new input."
            )
        if self._may_end_with_tools():
            raise UserError(
                "Input cannot be added here: a tool result may end the run before the model is "
                "asked again, by the agent's tool_use_behavior. Add it when the run is resumed."
            )
        self.pending_input.extend(ItemHelpers.input_to_new_input_list(input))

    def _may_end_with_tools(self) -> bool:
        behavior: Any = self.agent.tool_use_behavior
        if not self.interruptions or behavior == "run_llm_again" or self._hands_off():
            return False
        if not isinstance(behavior, dict):
            return True
        calls = self.responses[-1].output if self.responses else []
        names = {name for call in calls for name in _names(call)}
        return not names.isdisjoint(behavior.get("stop_at_tool_names", ()))

    def _hands_off(self) -> bool:
        """Whether a handoff waits for the open calls: then another agent goes on."""
        moves = (HandoffCallItem, HandoffOutputItem)
        last = next((item for item in reversed(self.new_items) if isinstance(item, moves)), None)
        return isinstance(last, HandoffCallItem)

    def admit_pending_input(self) -> None:
        """Make the added input part of the run: its items come before the next model call."""
        items = [InputItem(agent=self.agent, raw_item=raw) for raw in self.pending_input]
        self.pending_input.clear()
        self.add(list(items))

    def clear_pending_input(self) -> None:
        """Forget input that was added and not admitted yet."""
        self.pending_input.clear()

    def set_reasoning_item_id_policy(self, policy: ReasoningItemIdPolicy | None) -> None:
        """Whether reasoning items keep their ids in the next call.

        Parameters
        ----------
        policy : {"preserve", "omit"} or None
            Whether reasoning items keep their ids in the next call.
        """
        self.reasoning_item_id_policy = policy

    def to_json(
        self,
        *,
        context_serializer: Callable[[Any], Any] | None = None,
        strict_context: bool = False,
        include_tracing_api_key: bool = False,
    ) -> dict[str, Any]:
        """The state as a dict that JSON can hold.

        Parameters
        ----------
        context_serializer : callable, optional
            Makes plain data of your context.
        strict_context : bool
            Raise UserError if the context cannot be saved as it is.
        include_tracing_api_key : bool
            Accepted for the SDK's programs; no key is ever written.
        """
        from .serialize import state_to_json

        about = {"include_tracing_api_key": include_tracing_api_key}
        warn_without_effect("RunState.to_json", about, f"no key is ever written; {NO_TRACES}")
        return state_to_json(self, context_serializer, strict_context)

    def to_string(
        self,
        *,
        context_serializer: Callable[[Any], Any] | None = None,
        strict_context: bool = False,
        include_tracing_api_key: bool = False,
    ) -> str:
        """The state as JSON text; parameters as in `to_json`."""
        state = self.to_json(
            context_serializer=context_serializer,
            strict_context=strict_context,
            include_tracing_api_key=include_tracing_api_key,
        )
        return escaped_halves(json.dumps(state, ensure_ascii=False))

    @staticmethod
    async def from_json(
        initial_agent: Agent[Any],
        state_json: dict[str, Any],
        *,
        context_override: Any = None,
        context_deserializer: Callable[[Any], Any] | None = None,
        strict_context: bool = False,
    ) -> RunState[Any]:
        """The state that `to_json` gave.

        Parameters
        ----------
        initial_agent : Agent
            The agent the run was started with; the others are found through its handoffs.
        state_json : dict
            What `to_json` gave.
        context_override : object, optional
            Your context, in place of the saved one; or a RunContextWrapper.
        context_deserializer : callable, optional
            Makes your context of the saved data.
        strict_context : bool
            Raise UserError if the saved context is not what it was, as plain data is not an object
            of a class, and there is no other.

        Raises
        ------
        UserError
            If the data is not such a state, or names an agent that cannot be found.
        """
        from .serialize import state_from_json

        return state_from_json(
            initial_agent, state_json, context_override, context_deserializer, strict_context
        )

    @staticmethod
    async def from_string(
        initial_agent: Agent[Any],
        state_string: str,
        *,
        context_override: Any = None,
        context_deserializer: Callable[[Any], Any] | None = None,
        strict_context: bool = False,
    ) -> RunState[Any]:
        """The state that `to_string` gave; parameters as in `from_json`."""
        from .serialize import parse_state

        return await RunState.from_json(
            initial_agent,
            parse_state(state_string),
            context_override=context_override,
            context_deserializer=context_deserializer,
            strict_context=strict_context,
        )


_CALLS = (ToolCallItem, MCPApprovalRequestItem)


def _call_id(call: RunItem) -> str | None:
    return raw_field(call.raw_item, "call_id") or raw_field(call.raw_item, "id")


def _names(call: Any) -> set[str]:
    """The names by which a model's call may be known, with its namespace and without."""
    name, space = raw_field(call, "name"), raw_field(call, "namespace")
    if not isinstance(name, str):
        return set()
    return {name, f"{space}.{name}"} if space else {name}


def is_model_visible(item: RunItem) -> bool:
    """Whether the model sees `item`; approvals are between the run and its user."""
    return not isinstance(item, ToolApprovalItem)
