"""The loop: ask `decide` what comes next, do it, tell what happened.

There is one loop. `Runner.run`, `run_sync` and `run_streamed` are three ways to drain it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from .._approvals import approval_id, call_path
from ..exceptions import ModelBehaviorError, RunTimeoutError, UserError
from ..items import ItemHelpers, ToolApprovalItem
from ..models.retry.stall_timer import pausable
from ..stream_events import AgentUpdatedStreamEvent, StreamEvent
from ..tools.computers import dispose_resolved_computers
from ..trace.lifecycle import (
    ApprovalDecided,
    ApprovalRequested,
    ModelCalled,
    Nested,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
)
from .decide import Act, Ask, Finish, Judge, Move, decide, last_turn, open_calls
from .fair_scheduling import FairScheduler
from .final_output import conclude, ends_with_tools, finish, give_up_turns, out_of_turns
from .guardrails import InputGuards
from .interrupts import RunAborted, keep_loop_awake
from .model_call import ask, item_events, prepare
from .options import LoopOptions, hook_context
from .own_tools import OwnTools
from .session import load, save, save_after
from .state.run_state import RunState
from .tool_calls import Outcome, act, go_on_as
from .toolbox import Toolbox
from .withheld import may_withhold


async def run_loop(
    state: RunState[Any], options: LoopOptions, guards: InputGuards
) -> AsyncGenerator[list[StreamEvent], None]:
    """Run `state` to its end and yield what happens; `drive` drains it in a task of its own."""
    may_stop = options.stop_after_turn  # told so before it began, it asks nothing
    yield [AgentUpdatedStreamEvent(new_agent=state.agent)]
    if state.turn == 0 and not state.history:  # else it was stopped before its first turn
        await load(state, options)
    toolbox: Toolbox | None = None
    while True:
        step = decide(state.agent, state.new_items)
        if isinstance(step, Act):
            await guards.passed()
            if toolbox is None or toolbox.agent is not state.agent:
                toolbox = await _toolbox(state, options)
            agent = state.agent
            outcome, may_stop = await _act_and_save(state, options, toolbox, step), True
            yield item_events(outcome.items)
            if state.agent is not agent:
                yield [AgentUpdatedStreamEvent(new_agent=state.agent)]
            if outcome.interruptions:
                state.interruptions = outcome.interruptions
                _emit_approval_requests(state, options)
                return
            _check_answered(state, step)
            continue
        if isinstance(step, Move):
            await go_on_as(state, options, await _toolbox(state, options), step.output)
            yield [AgentUpdatedStreamEvent(new_agent=state.agent)]
            continue
        if not isinstance(step, Ask):
            if toolbox is None and isinstance(step, Judge):
                toolbox = await _toolbox(state, options)
            before = len(state.new_items)
            over, output = await conclude(state, options, toolbox, step)
            if over:
                await guards.passed()
                yield item_events(state.new_items[before:])  # what an error handler has added
                await finish(state, options, output, step)
                return
            await save(state, options)
        if options.stop_after_turn and may_stop:
            return
        may_stop, state.turn = True, state.turn + 1
        if out_of_turns(state):
            await guards.passed()
            yield item_events(await give_up_turns(state, options))
            return
        before, toolbox = len(state.new_items), await _begin_turn(state, options, guards)
        request = await prepare(state, options, toolbox)
        await FairScheduler.here().turn()  # before the only step of a run that takes milliseconds
        options.emit(ModelCalled(state.agent.name, getattr(request.model, "model", None)))
        async with aclosing(ask(state, options, request)) as batches:
            async for batch in batches:
                yield batch
        if len(state.new_items) == before:  # else an empty reply is asked for again, for ever
            over, output = await conclude(state, options, toolbox, Finish())
            await guards.passed()
            yield item_events(state.new_items[before:])
            await finish(state, options, output, Finish())
            return


async def _act_and_save(
    state: RunState[Any], options: LoopOptions, toolbox: Toolbox, step: Act
) -> Outcome:
    """Run the calls and store what came of them, also where one fails or the run is stopped."""
    _hold(state, options, toolbox)  # a run that goes on after an approval begins here
    try:
        outcome = await act(state, options, toolbox, step.calls)
    except BaseException as error:
        await save_after(error, state, options, stopped=True)
        raise
    if outcome.interruptions or not ends_with_tools(decide(state.agent, state.new_items)):
        await save(state, options)  # else when the output guardrails have seen it
    return outcome


def _emit_approval_requests(state: RunState[Any], options: LoopOptions) -> None:
    """Tell which calls wait.

    The run of an agent as a tool tells that its calls wait; by which id they are decided on, the
    outermost run, when it has paused: nothing could be done with a decision before.
    """
    for item in state.interruptions:
        path = call_path(item)
        if options.nested and item.run_scope != state.scope:
            continue
        id = None if options.nested else approval_id(item)
        event = ApprovalRequested(item.call_id or "", item.name, id, item.arguments)
        options.emit(event if options.nested or not path else Nested(path, event))


def _check_answered(state: RunState[Any], step: Act) -> None:
    """See that a call is not run again because its output does not name it: that has no end.

    Raises
    ------
    ModelBehaviorError
        If a call of the step is as open as it was before.
    """
    left = {id(call) for call in open_calls(*last_turn(state.new_items))}
    if any(id(call) in left for call in step.calls):
        raise ModelBehaviorError(
            "A call of the model was run, but its output does not name it, so it would be run "
            "again and again. Its call_id, or that of the output, was changed by other code."
        )


async def _toolbox(state: RunState[Any], options: LoopOptions) -> Toolbox:
    policy = options.config.tool_name_collision_policy
    options.own_tools.use(state.agent)
    toolbox = await Toolbox.of(state.agent, state.context, policy)
    options.own_tools.check(state.agent)
    return toolbox


async def _begin_turn(state: RunState[Any], options: LoopOptions, guards: InputGuards) -> Toolbox:
    """Admit input that waits, check the run's input, tell the agent's start; the turn's tools."""
    if options.recording is not None:
        options.recording.release(state)
    state.interruptions = []
    state.admit_pending_input()
    await guards.before()
    state.context.turn_input = ItemHelpers.input_to_new_input_list(state.input)
    if state.agent_started:
        toolbox = await _toolbox(state, options)
    else:
        state.agent_started = True
        context = hook_context(state.context)
        options.own_tools.use(state.agent)
        await options.call_hooks(state.agent, "on_agent_start", context, state.agent)
        # After the hook: the tools that it adds, takes away or enables are those of this turn.
        toolbox = await _toolbox(state, options)
    _hold(state, options, toolbox)
    guards.start()
    return toolbox


def _hold(state: RunState[Any], options: LoopOptions, toolbox: Toolbox) -> None:
    """Let the lines of a recording wait for guardrails that may refuse what they tell."""
    if options.recording is not None and may_withhold(state, options, toolbox):
        options.recording.hold(state)


def _emit_start(state: RunState[Any]) -> None:
    text = state.input if isinstance(state.input, str) else None
    question = state.trace.question or None
    state.observe(RunStarted(agent=state.agent.name, input=text, question=question))
    undecided = {
        part.item_id if part.kind == "mcp_approval" else part.call_id
        for part, approval in state.trace.approvals
        if approval.decided is None
    }
    # The last of an id: models restart their call numbers in each answer.
    waited = [item for item in state.new_items if isinstance(item, ToolApprovalItem)]
    for item in {item.call_id: item for item in waited if item.call_id in undecided}.values():
        decision = state.context._approvals.of(item)
        if decision is not None:
            state.observe(ApprovalDecided(item.call_id or "", decision.approved, approval_id(item)))


async def drive(
    state: RunState[Any], options: LoopOptions, observe: Callable[[list[StreamEvent]], None]
) -> None:
    """Run `state` to its end in the current task; `observe` is called with the events as they come.

    An error carries what the run had reached as `run_data`.
    """
    if state.running:
        raise UserError(
            "This RunState is being run already. Wait until that run has ended, or take a state of "
            "its own with result.to_state()."
        )
    if asyncio.current_task() is None:
        raise UserError(
            "This event loop was patched by nest_asyncio, which is not maintained any more: under "
            "this Python, asyncio no longer knows the task that runs. Take it out, and restart the "
            "kernel: agentstream needs none in a notebook. For other code, nest_asyncio2 does the "
            "same: `pip install nest-asyncio2`, `import nest_asyncio2; nest_asyncio2.apply()`."
        )
    options.emit, options.own_tools, state.running = state.observe, OwnTools(), True
    if options.recording is not None:
        options.recording.follow(state)
    _emit_start(state)
    try:
        with keep_loop_awake():
            await _drain_in_time(state, options, observe)
        state.observe(RunFinished())
    except asyncio.CancelledError:
        state.observe(RunCancelled())
        raise
    except (RunAborted, KeyboardInterrupt, SystemExit) as error:
        aborted = error if isinstance(error, RunAborted) else RunAborted(error)
        state.observe(RunCancelled(str(aborted)))
        aborted.error.run_data = state.details()  # type: ignore[attr-defined]
        raise aborted from None
    except Exception as error:
        state.failure = error
        state.observe(RunFailed(f"{type(error).__name__}: {error}"))
        error.run_data = state.details()  # type: ignore[attr-defined]
        raise
    finally:
        state.running, state.failure = False, None
        options.own_tools.close()
        if options.recording is not None:
            options.recording.release(state)
        await dispose_resolved_computers(run_context=state.context)


async def _drain_in_time(
    state: RunState[Any], options: LoopOptions, observe: Callable[[list[StreamEvent]], None]
) -> None:
    seconds = options.config.limits.run
    try:
        async with asyncio.timeout(seconds) as limit:
            with pausable(limit):
                await _drain(state, options, observe)
    except TimeoutError:
        if seconds is None or not limit.expired():
            raise  # somebody else's
        raise RunTimeoutError(seconds) from None


# A turn of the loop costs about as much as an event. With fewer, what is not read yet piles up
# until the garbage collector walks all of the program's objects.
_EVENTS_A_TURN = 32


async def _drain(
    state: RunState[Any], options: LoopOptions, observe: Callable[[list[StreamEvent]], None]
) -> None:
    scheduler, unread = FairScheduler.here(), 0
    async with InputGuards(state, options) as guards:
        try:
            await scheduler.turn()
            async with aclosing(run_loop(state, options, guards)) as batches:
                async for batch in batches:
                    state.observe_all(batch)
                    observe(batch)
                    # A model that never waits must not keep the loop from the reader, nor from a
                    # cancellation; an item is read before anything follows from it.
                    unread += len(batch)
                    is_raw = bool(batch) and batch[0].type == "raw_response_event"
                    if is_raw and unread < _EVENTS_A_TURN:
                        continue
                    unread = 0
                    if scheduler.is_over():
                        await scheduler.turn()
                    else:
                        await asyncio.sleep(0)
        except asyncio.CancelledError:
            # Here and not in a generator: one that is suspended at its yield when a guardrail
            # cancels this task would only be closed, and never know (PEP 789).
            guards.raise_if_interrupted()
            raise
