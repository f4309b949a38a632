"""What a run does next: one pure, total function of the agent and the history.

The law:

==============================================================  ==========================
the history ends in                                             next step
==============================================================  ==========================
calls without an output                                         `Act`: run them all at once
a handoff to an agent that is not at work yet                   `Move` to it
outputs that end the run by the agent's `tool_use_behavior`     `Finish` with them
outputs, and `tool_use_behavior` is a function                  `Judge`: ask the function
the model's message, or nothing that could be one               `Finish` with the message
anything else: nothing yet, outputs, only hosted calls          `Ask` the model
==============================================================  ==========================

A handoff in the turn always leads to `Ask`: the new agent has to answer. (`Act` hands off; `Move`
is for a run whose hooks or filter failed in that, and which is run again.) A run that is resumed
from its items needs no code of its own, because open calls make the next step `Act`. Only the last
turn is looked at, so a long history costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from ..items import (
    HandoffCallItem,
    HandoffOutputItem,
    InputItem,
    MCPApprovalRequestItem,
    MCPApprovalResponseItem,
    MessageOutputItem,
    RunItem,
    ToolApprovalItem,
    ToolCallItem,
    ToolCallOutputItem,
    ToolSearchCallItem,
    ToolSearchOutputItem,
    raw_field,
)

if TYPE_CHECKING:
    from ..agent import Agent

# Calls that this side has to answer; all others the provider has answered itself.
_LOCAL_CALLS = ("function_call", "computer_call", "local_shell_call")

# Named by the id of its call; all other outputs have a `call_id`.
_SHELL_OUTPUT = "local_shell_call_output"

_HOSTED = (ToolCallItem, ToolSearchCallItem, ToolSearchOutputItem)

_ANSWERS = (ToolCallOutputItem, HandoffOutputItem, MCPApprovalResponseItem)


@dataclass(frozen=True)
class Ask:
    """Call the model."""


@dataclass(frozen=True)
class Act:
    """Run the open calls of the last turn.

    Attributes
    ----------
    calls : tuple of RunItem
        Tool calls, handoffs and approval requests without an answer, in the model's order.
    """

    calls: tuple[RunItem, ...]


@dataclass(frozen=True)
class Move:
    """Go on as the agent that the run was handed to."""

    output: HandoffOutputItem


@dataclass(frozen=True)
class Judge:
    """Ask the agent's `tool_use_behavior` function whether these outputs end the run."""

    outputs: tuple[ToolCallOutputItem, ...]


@dataclass(frozen=True)
class Finish:
    """The run is over.

    Attributes
    ----------
    message : MessageOutputItem or None
        The model's last message; None where it said nothing, or where a tool's output ends it.
    output : ToolCallOutputItem or None
        The tool output that ends the run.
    """

    message: MessageOutputItem | None = None
    output: ToolCallOutputItem | None = field(default=None)


Step: TypeAlias = Ask | Act | Move | Judge | Finish


def decide(agent: Agent[Any], items: Sequence[RunItem]) -> Step:
    """The next step of a run."""
    answers, model_output = last_turn(items)
    calls = open_calls(answers, model_output)
    if calls:
        return Act(calls)
    if not answers:
        if not model_output or isinstance(model_output[-1], InputItem):
            return Ask()
        return _after_speech(model_output)
    for item in answers:
        if isinstance(item, HandoffOutputItem):
            return Ask() if item.target_agent is agent else Move(item)
    # A call that waited for a person is answered after the others; its place is still its own.
    places = {call_id(item): at for at, item in enumerate(model_output)}
    outputs = tuple(
        sorted(
            (item for item in answers if isinstance(item, ToolCallOutputItem)),
            key=lambda item: places.get(answered_id(item), len(model_output)),
        )
    )
    return _after_tools(agent, outputs, model_output) if outputs else Ask()


def last_turn(items: Sequence[RunItem]) -> tuple[list[RunItem], list[RunItem]]:
    """The last turn's answers and what the model said before them, each in order."""
    at = len(items)
    answers: list[RunItem] = []
    while at and isinstance(items[at - 1], (*_ANSWERS, ToolApprovalItem)):
        at -= 1
        if not isinstance(items[at], ToolApprovalItem):
            answers.append(items[at])
    model_output: list[RunItem] = []
    while at and not isinstance(items[at - 1], (*_ANSWERS, ToolApprovalItem)):
        at -= 1
        model_output.append(items[at])
        if isinstance(items[at], InputItem):
            break
    return answers[::-1], model_output[::-1]


def open_calls(answers: Sequence[RunItem], model_output: Sequence[RunItem]) -> tuple[RunItem, ...]:
    """The calls among what the model said that no answer belongs to."""
    answered = {answered_id(item) for item in answers}
    return tuple(
        item for item in model_output if is_local_call(item) and call_id(item) not in answered
    )


def is_local_call(item: RunItem) -> bool:
    """Whether this side has to answer `item`."""
    if isinstance(item, (HandoffCallItem, MCPApprovalRequestItem)):
        return True
    return isinstance(item, ToolCallItem) and raw_field(item.raw_item, "type") in _LOCAL_CALLS


def call_id(item: RunItem) -> str | None:
    """The id by which an answer names the call `item`."""
    raw = item.raw_item
    if isinstance(item, MCPApprovalRequestItem):
        return raw_field(raw, "id")
    return raw_field(raw, "call_id")


def answered_id(item: RunItem) -> str | None:
    """The id of the call that the answer `item` belongs to."""
    raw = item.raw_item
    if isinstance(item, MCPApprovalResponseItem):
        return raw_field(raw, "approval_request_id")
    return raw_field(raw, "id" if raw_field(raw, "type") == _SHELL_OUTPUT else "call_id")


def _after_speech(model_output: Sequence[RunItem]) -> Step:
    messages = [item for item in model_output if isinstance(item, MessageOutputItem)]
    if not messages and any(isinstance(item, _HOSTED) for item in model_output):
        # The provider ran its tools and stopped there: the model has yet to say what came of it.
        return Ask()
    return Finish(message=messages[-1] if messages else None)


def _after_tools(
    agent: Agent[Any], outputs: tuple[ToolCallOutputItem, ...], model_output: Sequence[RunItem]
) -> Step:
    behavior = getattr(agent, "tool_use_behavior", "run_llm_again")
    if callable(behavior):
        return Judge(outputs)
    functions = _function_outputs(outputs)
    if behavior == "stop_on_first_tool" and functions:
        return Finish(output=functions[0])
    if isinstance(behavior, dict):
        stops = behavior.get("stop_at_tool_names", ())
        names = {
            call_id(item): _names(item) for item in model_output if isinstance(item, ToolCallItem)
        }
        for output in functions:
            if any(name in stops for name in names.get(answered_id(output), ())):
                return Finish(output=output)
    return Ask()


def _function_outputs(outputs: Sequence[ToolCallOutputItem]) -> list[ToolCallOutputItem]:
    wanted = "function_call_output"
    return [item for item in outputs if raw_field(item.raw_item, "type") == wanted]


def _names(item: ToolCallItem) -> tuple[str, ...]:
    name, space = item.tool_name or "", raw_field(item.raw_item, "namespace")
    return (name, f"{space}.{name}") if space else (name,)
