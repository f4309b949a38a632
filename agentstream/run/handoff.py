"""Makes another agent the one at work, with the conversation as its handoff's filter leaves it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from ..exceptions import UserError
from ..extensions.handoff_history import nest_handoff_history
from ..handoffs import Handoff, HandoffInputData
from ..items import HandoffOutputItem, ItemHelpers, RunItem
from .decide import last_turn
from .options import LoopOptions, call
from .session import leave_out
from .state.run_state import RunState, is_model_visible

logger = logging.getLogger("agentstream")


async def transfer(
    state: RunState[Any], options: LoopOptions, handoff: Handoff[Any, Any], target: Any
) -> None:
    """Hand the run's conversation to `target`; where that fails, the agent at work stays.

    Raises
    ------
    UserError
        If an input filter is set where the server keeps the conversation, or returns something
        else than HandoffInputData.
    """
    filtered = await _filtered(state, options, handoff, target)
    if filtered is not None:
        before, after = filtered
        _replace_turn(state, before.new_items, after.new_items)
        _replace_conversation(state, after)
    state.agent = target
    state.agent_started = False


def _conversation(state: RunState[Any]) -> HandoffInputData:
    answers, model_output = last_turn(state.model_items)
    size = len(state.model_items) - len(answers) - len(model_output)
    return HandoffInputData(
        input_history=state.input if isinstance(state.input, str) else tuple(state.input),
        pre_handoff_items=tuple(state.model_items[:size]),
        new_items=tuple(state.model_items[size:]),
        run_context=state.context,
    )


async def _filtered(
    state: RunState[Any], options: LoopOptions, handoff: Handoff[Any, Any], target: Any
) -> tuple[HandoffInputData, HandoffInputData] | None:
    """The conversation, and what the filter leaves of it; None where nothing changes it."""
    config = options.config
    filter_input: Any = handoff.input_filter
    if filter_input is None:
        filter_input = config.handoff_input_filter
    nest = config.nest_handoff_history
    if handoff.nest_handoff_history is not None:
        nest = handoff.nest_handoff_history
    if filter_input is None and not nest:
        return None
    if state.server_managed and filter_input is None:
        logger.warning(
            "Server-managed conversations do not support nest_handoff_history: the server keeps "
            "this one (conversation_id or previous_response_id), and %s gets it as it is.",
            target.name,
        )
        return None
    if state.server_managed:
        raise UserError(
            "Server-managed conversations do not support handoff input filters: that of "
            f"{handoff.tool_name!r} cannot change what the server keeps (conversation_id or "
            "previous_response_id). Remove the filter, or keep the conversation in a session."
        )
    if filter_input is not None and not callable(filter_input):
        raise UserError(
            f"Invalid input filter of {handoff.tool_name!r}: it must be callable, got "
            f"{type(filter_input).__name__}."
        )
    before = _conversation(state)
    if filter_input is not None:
        after = await call(filter_input, before)
    else:
        after = nest_handoff_history(before, history_mapper=config.handoff_history_mapper)
    if not isinstance(after, HandoffInputData):
        raise UserError(
            f"The input filter of {handoff.tool_name!r} must return HandoffInputData, "
            f"got {type(after).__name__}; use data.clone(...)."
        )
    return before, after


def _replace_turn(
    state: RunState[Any], before: Sequence[RunItem], after: Sequence[RunItem]
) -> None:
    """Let the session have of this turn what the filter leaves: it may have removed a secret.

    A copy of an item, which is one of the same class and id, is that item. Where the filter has
    changed it, it takes the other's place; but what made the handoff stays, as it names its agent.
    """
    old = {id(item) for item in before}
    kept = {id(item) for item in after}
    copies = {_key(item): item for item in after if id(item) not in old}
    removed = set()
    for at, item in enumerate(state.new_items):
        if id(item) in old and id(item) not in kept:
            copy = copies.get(_key(item)) if _key(item)[1] else None
            if copy is None:
                removed.add(at)
            elif copy.raw_item != item.raw_item and not isinstance(item, HandoffOutputItem):
                state.new_items[at] = copy
    leave_out(state, removed)


def _key(item: RunItem) -> tuple[type, Any]:
    raw: Any = item.raw_item
    get = raw.get if isinstance(raw, dict) else partial(getattr, raw)
    return type(item), get("call_id", None) or get("id", None)


def _replace_conversation(state: RunState[Any], data: HandoffInputData) -> None:
    history = data.input_history
    before = ItemHelpers.input_to_new_input_list(state.input)
    state.input = history if isinstance(history, str) else list(history)
    _note_carried(state, before)
    seen = data.new_items if data.input_items is None else data.input_items
    state.model_items = [*data.pre_handoff_items, *seen]
    state.rebuild_history()


def _note_carried(state: RunState[Any], before: list[Any]) -> None:
    """Note which of the run's items stand in the input now, so that no reader has them twice."""
    added = [] if isinstance(state.input, str) else list(state.input)
    carried = list(state.carried)
    for item in before:
        if item in carried:
            carried.remove(item)
        elif item in added:
            added.remove(item)
    outputs = []
    for run_item in state.new_items:
        item = state.input_item(run_item) if is_model_visible(run_item) else None
        if item is not None and item in added:
            added.remove(item)
            outputs.append(item)
    state.carried = outputs
