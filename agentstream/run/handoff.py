"""Makes another agent the one at work, with the conversation as its handoff's filter leaves it."""

from __future__ import annotations

import logging
from typing import Any

from ..exceptions import UserError
from ..extensions.handoff_history import nest_handoff_history
from ..handoffs import Handoff, HandoffInputData
from ..items import ItemHelpers
from .decide import last_turn
from .options import LoopOptions, call
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
    after = await _filtered(state, options, handoff, target)
    if after is not None:
        _replace_conversation(state, after)
    state.agent = target
    state.agent_started = False


async def _filtered(
    state: RunState[Any], options: LoopOptions, handoff: Handoff[Any, Any], target: Any
) -> HandoffInputData | None:
    """What the filter of the handoff leaves of the conversation; None where nothing changes it."""
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
    answers, model_output = last_turn(state.model_items)
    size = len(state.model_items) - len(answers) - len(model_output)
    before = HandoffInputData(
        input_history=state.input if isinstance(state.input, str) else tuple(state.input),
        pre_handoff_items=tuple(state.model_items[:size]),
        new_items=tuple(state.model_items[size:]),
        run_context=state.context,
    )
    if filter_input is not None:
        after = await call(filter_input, before)
    else:
        after = nest_handoff_history(before, history_mapper=config.handoff_history_mapper)
    if not isinstance(after, HandoffInputData):
        raise UserError(
            f"The input filter of {handoff.tool_name!r} must return HandoffInputData, "
            f"got {type(after).__name__}; use data.clone(...)."
        )
    return after


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
