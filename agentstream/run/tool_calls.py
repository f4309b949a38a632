"""Runs the open calls of a turn: tools all at once, approvals asked for, a handoff last."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .._approvals import call_key
from .._utils.aio import gather_or_cancel
from ..exceptions import AgentsException, ModelBehaviorError, UserError
from ..items import (
    HandoffCallItem,
    HandoffOutputItem,
    ItemHelpers,
    MCPApprovalRequestItem,
    MCPApprovalResponseItem,
    RunItem,
    ToolApprovalItem,
    ToolCallItem,
    ToolCallOutputItem,
    raw_field,
)
from ..tools.hosted import MCPToolApprovalRequest
from ..tools.origin import origin_of
from .computer import run_computer_call, run_shell_call
from .decide import answered_id, call_id, last_turn
from .error_text import error_text
from .function_call import FunctionCall
from .handoff import transfer
from .options import LoopOptions, call
from .parse_output import not_found
from .state.run_state import RunState
from .toolbox import Toolbox

MULTIPLE_HANDOFFS = "Multiple handoffs detected, ignoring this one."


# Answers a call. What it is given is called with an output that is to be on record when the worker
# fails, because the tool has been at work by then.
Worker: TypeAlias = Callable[[Callable[[ToolCallOutputItem], None]], Awaitable[Any]]


@dataclass
class Outcome:
    """What came of the open calls.

    Attributes
    ----------
    items : list of RunItem
        Outputs in the order of their calls, the handoff's last.
    interruptions : list of ToolApprovalItem
        Calls that wait for a person.
    """

    items: list[RunItem] = field(default_factory=list)
    interruptions: list[ToolApprovalItem] = field(default_factory=list)


async def act(
    state: RunState[Any], options: LoopOptions, toolbox: Toolbox, calls: Sequence[RunItem]
) -> Outcome:
    """Run the open calls of the last turn and add their outputs to the state.

    Calls run concurrently. When one fails for good or the run is cancelled, the others are
    cancelled and awaited; the outputs that were there by then are kept, also that of a tool which
    had been at work before it, or a hook after it, failed: it is not run again with this state.
    """
    # What a resumed run's agent has lost stops it here, before any call has an effect.
    handoffs = [item for item in calls if isinstance(item, HandoffCallItem)]
    if handoffs and toolbox.handoff(handoffs[0].raw_item) is None:
        raise not_found(handoffs[0].raw_item.name, toolbox)
    workers = [_worker(state, options, toolbox, item) for item in calls]
    answers: list[RunItem | list[ToolApprovalItem] | None] = [None] * len(calls)
    limit = options.config.tool_execution and (
        options.config.tool_execution.max_function_tool_concurrency
    )
    gate = asyncio.Semaphore(limit) if limit else None

    async def work(at: int, run: Worker) -> None:
        def keep(item: ToolCallOutputItem) -> None:
            answers[at] = item

        if gate is None:
            answers[at] = await run(keep)
        else:
            async with gate:
                answers[at] = await run(keep)

    outcome = Outcome()
    try:
        await gather_or_cancel([work(at, run) for at, run in enumerate(workers) if run is not None])
    finally:
        waiting = {call_key(item) for item in state.new_items if isinstance(item, ToolApprovalItem)}
        for answer in answers:
            if isinstance(answer, list):
                outcome.interruptions += answer
                # Those of an agent that runs as a tool are items of its own run.
                mine = [item for item in answer if item.run_scope == state.scope]
                outcome.items += [item for item in mine if call_key(item) not in waiting]
            elif answer is not None:
                outcome.items.append(answer)
        state.add(outcome.items)
        if any(isinstance(item, ToolCallItem) for item in calls):
            state.tools_used.add(state.agent.name)
    if handoffs and not outcome.interruptions:
        moved = await hand_off(state, options, toolbox, handoffs)
        outcome.items += moved
    return outcome


def _worker(
    state: RunState[Any], options: LoopOptions, toolbox: Toolbox, item: RunItem
) -> Worker | None:
    """What answers the call `item`; None for a handoff, which comes after the tools."""
    if isinstance(item, HandoffCallItem):
        return None
    if isinstance(item, MCPApprovalRequestItem):
        return lambda keep: _mcp_approval(state, toolbox, item)
    kind = raw_field(item.raw_item, "type")
    if kind == "computer_call":
        return lambda keep: run_computer_call(state, options, toolbox, item, keep)
    if kind == "local_shell_call":
        return lambda keep: run_shell_call(state, options, toolbox, item, keep)
    tool = toolbox.function(item.raw_item)
    if tool is not None:
        function_call = FunctionCall(state, options, tool, item)
        if not _is_another(tool, item) or state.context._approvals.reject(function_call):
            return function_call.run
    if options.config.tool_not_found_behavior != "return_error_to_model":
        raise _lost(state, toolbox, item)
    return lambda keep: _unknown_tool(state, options, item)


def _is_another(tool: Any, item: RunItem) -> bool:
    """Whether a call was made, and maybe approved, when its tool's name was that of another one."""
    origin = getattr(item, "tool_origin", None)
    return origin is not None and origin.is_another(origin_of(tool))


def _lost(state: RunState[Any], toolbox: Toolbox, item: RunItem) -> Exception:
    """The error for a call of a resumed run whose agent has lost the tool meanwhile."""
    raw_call: Any = item.raw_item
    name = raw_field(raw_call, "name") or ""
    tool = toolbox.function(raw_call)
    if tool is None:
        return not_found(name, toolbox)
    before: Any = getattr(item, "tool_origin", None)
    now = origin_of(tool)
    made, has = (str(before), str(now)) if before != now else (before.in_full(), now.in_full())
    return UserError(
        f"The call of {name!r} was made to {made}, but agent {state.agent.name!r} has it from "
        f"{has} now, a different recipient, so it was not run. Give the agent the tools that it "
        "had when the call was made."
    )


async def _unknown_tool(
    state: RunState[Any], options: LoopOptions, item: RunItem
) -> ToolCallOutputItem:
    raw_call: Any = item.raw_item
    name = raw_field(raw_call, "name") or ""
    message = await error_text(
        options,
        state.context,
        "tool_not_found",
        f"Tool '{name}' not found.",
        tool_name=name,
        call_id=raw_field(raw_call, "call_id") or "",
    )
    raw = ItemHelpers.tool_call_output_item(raw_call, message)
    return ToolCallOutputItem(agent=state.agent, raw_item=raw, output=message)


async def _mcp_approval(
    state: RunState[Any], toolbox: Toolbox, item: MCPApprovalRequestItem
) -> MCPApprovalResponseItem | list[ToolApprovalItem]:
    """Answer a hosted MCP server's request by its callback, or by what a person decided."""
    request = item.raw_item
    tool = toolbox.mcp(request.server_label)
    reason: str | None = None
    waiting = state.waiting(item)
    decided = state.context._approvals.of(waiting)
    is_rejected = decided is not None and not decided.approved
    if tool is not None and tool.on_approval_request is not None and not is_rejected:
        decision = await call(
            tool.on_approval_request, MCPToolApprovalRequest(state.context, request)
        )
        # A text such as "false" would count as true.
        if not isinstance(decision, dict) or not isinstance(decision.get("approve"), bool):
            raise UserError(
                "on_approval_request must return {'approve': bool, 'reason': str}, "
                f"got {decision!r}"
            )
        approved, reason = decision["approve"], decision.get("reason")
    elif decided is None:
        return [waiting]
    else:
        approved, reason = decided.approved, decided.message
    raw: dict[str, Any] = {
        "approval_request_id": request.id,
        "approve": approved,
        "type": "mcp_approval_response",
    }
    if not approved and reason:
        raw["reason"] = reason
    return MCPApprovalResponseItem(agent=item.agent, raw_item=raw)


async def hand_off(
    state: RunState[Any], options: LoopOptions, toolbox: Toolbox, calls: Sequence[HandoffCallItem]
) -> list[RunItem]:
    """Hand off as the first of `calls` says; the others are answered that they are ignored."""
    first, *ignored = calls
    agent = state.agent
    items: list[RunItem] = []
    for item in ignored:
        raw = ItemHelpers.tool_call_output_item(item.raw_item, MULTIPLE_HANDOFFS)
        items.append(ToolCallOutputItem(agent=agent, raw_item=raw, output=MULTIPLE_HANDOFFS))
    handoff = toolbox.handoff(first.raw_item)
    if handoff is None:
        raise not_found(first.raw_item.name, toolbox)
    try:
        target = await handoff.on_invoke_handoff(state.context, first.raw_item.arguments)
    except AgentsException:
        raise
    except json.JSONDecodeError as error:
        raise ModelBehaviorError(
            f"The model's input for the handoff {handoff.tool_name!r} is no JSON: {error}"
        ) from error
    if not hasattr(target, "get_system_prompt"):
        raise UserError(
            f"The handoff {handoff.tool_name!r} gave {type(target).__name__} in place of an agent; "
            "its on_invoke_handoff must return one."
        )
    raw = ItemHelpers.tool_call_output_item(first.raw_item, handoff.get_transfer_message(target))
    items.append(
        HandoffOutputItem(agent=agent, raw_item=raw, source_agent=agent, target_agent=target)
    )
    state.add(items)
    await _move(state, options, handoff, target)
    return items


async def go_on_as(
    state: RunState[Any], options: LoopOptions, toolbox: Toolbox, output: HandoffOutputItem
) -> None:
    """Do what is left of a handoff that is on record: its hooks, or its filter, had failed."""
    _, model_output = last_turn(state.new_items)
    calls = [item for item in model_output if isinstance(item, HandoffCallItem)]
    made = next((item.raw_item for item in calls if call_id(item) == answered_id(output)), None)
    handoff = None if made is None else toolbox.handoff(made)
    if handoff is None:
        raise not_found(None if made is None else made.name, toolbox)
    await _move(state, options, handoff, output.target_agent)


async def _move(state: RunState[Any], options: LoopOptions, handoff: Any, target: Any) -> None:
    """Tell the run's hooks and those of the agent that hands off, and hand off."""
    context, source = state.context, state.agent
    calls = [call(options.hooks.on_handoff, context=context, from_agent=source, to_agent=target)]
    if source.hooks is not None:
        calls.append(call(source.hooks.on_handoff, context, agent=target, source=source))
    await gather_or_cancel(calls)
    await transfer(state, options, handoff, target)
