"""Filters for handoffs take a history in every form that a run takes as input."""

from __future__ import annotations

from openai.types.responses import ResponseFunctionToolCall

from agentstream import HandoffInputData
from agentstream.extensions.handoff_filters import remove_all_tools


def test_tool_items_are_left_out_of_dicts_and_objects() -> None:
    call = ResponseFunctionToolCall(name="f", call_id="1", arguments="{}", type="function_call")
    said = {"role": "user", "content": "hi"}
    data = HandoffInputData((said, call, call.model_dump()), (), ())  # type: ignore[arg-type]
    assert remove_all_tools(data).input_history == (said,)
