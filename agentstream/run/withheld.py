"""What an output guardrail refuses, an answer or outputs of tools: what is kept in its place."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, Final, cast

from ..exceptions import OutputGuardrailTripwireTriggered
from ..guardrails import GuardrailFunctionOutput, OutputGuardrailResult
from ..items import MessageOutputItem, ToolCallItem, ToolCallOutputItem, raw_field
from ..run_config import OutputGuardrailBlockedMessageArgs
from ..tool_guardrails import ToolGuardrailFunctionOutput
from ..trace.lifecycle import OutputWithheld
from .options import LoopOptions
from .refusals import Withheld
from .state.run_state import RunState
from .toolbox import Toolbox

logger = logging.getLogger("agentstream")

WITHHELD: Final = "Output withheld by an output guardrail."

_OUTPUTS = ("function_call_output", "custom_tool_call_output")


def withhold(
    state: RunState[Any],
    options: LoopOptions,
    error: OutputGuardrailTripwireTriggered,
    results_before: int,
) -> None:
    """Replace the outputs of the last step's tools, and what the guardrails kept of them.

    The calls stay: the next run has to see that the tools ran. Session, items, trace, recording and
    the error have the message instead of the outputs.
    """
    message = _message(state, options, error)
    call_ids: set[str] = set()
    for at in range(len(state.new_items) - 1, -1, -1):
        item = state.new_items[at]
        if isinstance(item, (ToolCallItem, MessageOutputItem)):
            break
        if isinstance(item, ToolCallOutputItem) and raw_field(item.raw_item, "type") in _OUTPUTS:
            call_ids.add(str(item.call_id))
            raw = {**item.raw_item, "output": message}
            withheld = replace(
                item, raw_item=raw, output=message, custom_data=None, display=None, traceback=None
            )
            state.new_items[at] = withheld
            state.model_items = [withheld if one is item else one for one in state.model_items]
    for inputs in (state.history, state.unsent):
        inputs[:] = [_plain(one, call_ids, message) for one in inputs]
    name = error.guardrail_result.guardrail.get_name()
    for call_id in call_ids:
        options.emit(OutputWithheld(message, call_id, name))
    checked = state.output_guardrail_results
    checked[results_before:] = [_result(one, message) for one in checked[results_before:]]
    refused = cast(OutputGuardrailResult, error.guardrail_result)
    error.guardrail_result = _result(refused, message)


def withhold_answer(
    state: RunState[Any], options: LoopOptions, error: OutputGuardrailTripwireTriggered
) -> None:
    """Withhold the model's own answer from trace and recording.

    The items and the error have it, as in the SDK: a program may have to know what was refused, and
    a state that is run again, with another guardrail, goes on from it.
    """
    message = _message(state, options, error)
    name = error.guardrail_result.guardrail.get_name()
    options.emit(OutputWithheld(message, guardrail=name))


async def repeats_withheld(withheld: Withheld) -> ToolGuardrailFunctionOutput:
    """What a tool's guardrail found when the run that is replayed was recorded."""
    if withheld.raises:
        return ToolGuardrailFunctionOutput.raise_exception()
    return ToolGuardrailFunctionOutput.reject_content(withheld.message)


def may_withhold(state: RunState[Any], options: LoopOptions, toolbox: Toolbox) -> bool:
    """Whether a guardrail may refuse what the model says, or what the agent's tools return."""
    if state.agent.output_guardrails or options.config.output_guardrails:
        return True
    return any(tool.tool_output_guardrails for tool in toolbox.functions.values())


def _plain(one: Any, call_ids: set[Any], message: str) -> Any:
    is_output = isinstance(one, dict) and one.get("type") in _OUTPUTS
    return one | {"output": message} if is_output and one.get("call_id") in call_ids else one


def _result(result: OutputGuardrailResult, message: str) -> OutputGuardrailResult:
    tripped = result.output.tripwire_triggered
    output = GuardrailFunctionOutput(output_info=None, tripwire_triggered=tripped)
    return replace(result, agent_output=message, output=output)


def _message(
    state: RunState[Any], options: LoopOptions, error: OutputGuardrailTripwireTriggered
) -> str:
    """The text to keep: `RunConfig.output_guardrail_blocked_message`, or the usual one."""
    wanted: Any = options.config.output_guardrail_blocked_message
    if callable(wanted):
        name = error.guardrail_result.guardrail.get_name()
        try:
            wanted = wanted(
                OutputGuardrailBlockedMessageArgs(WITHHELD, name, state.agent, state.context)
            )
        except Exception as problem:  # noqa: BLE001 - a program's function may raise anything
            # Its text could hold what is withheld; the guardrail's error is the one to raise.
            logger.warning(
                "output_guardrail_blocked_message raised %s; %r is used. Have it return a text.",
                type(problem).__name__, WITHHELD,
            )  # fmt: skip
            return WITHHELD
    return wanted if isinstance(wanted, str) and wanted else WITHHELD
