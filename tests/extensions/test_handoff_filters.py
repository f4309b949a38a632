"""Filters for handoffs take a history in every form that a run takes as input."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseFunctionToolCall

from agentstream import HandoffInputData
from agentstream.extensions.handoff_filters import (
    default_handoff_history_mapper,
    nest_handoff_history,
    remove_all_tools,
)


def test_tool_items_are_left_out_of_dicts_and_objects() -> None:
    call = ResponseFunctionToolCall(name="f", call_id="1", arguments="{}", type="function_call")
    said = {"role": "user", "content": "hi"}
    data = HandoffInputData((said, call, call.model_dump()), (), ())  # type: ignore[arg-type]
    assert remove_all_tools(data).input_history == (said,)


ROLES = st.sampled_from(["user", "assistant", "developer", "system"])
SPOKEN = st.fixed_dictionaries(
    {"role": ROLES, "content": st.text()}, optional={"name": st.text(min_size=1)}
)
CALLED = st.fixed_dictionaries(
    {"type": st.just("function_call"), "call_id": st.text(), "arguments": st.text()}
)


@given(st.lists(SPOKEN | CALLED))
def test_a_nested_history_is_read_back_item_by_item(items: list[Any]) -> None:
    seen: list[Any] = []
    message = default_handoff_history_mapper(items)
    nest_handoff_history(
        HandoffInputData(tuple(message), (), ()), history_mapper=lambda all: seen.extend(all) or []
    )
    assert seen == items


@pytest.mark.parametrize("change", [("1. user", "2. user"), ("user: ", "user; "), ("\n<", "\nx<")])
def test_a_history_that_somebody_changed_stays_the_text_that_it_is(change: tuple[str, str]) -> None:
    message: Any = default_handoff_history_mapper([{"role": "user", "content": "Hello"}])[0]
    changed = {**message, "content": message["content"].replace(*change)}
    seen: list[Any] = []
    nest_handoff_history(
        HandoffInputData((changed,), (), ()), history_mapper=lambda all: seen.extend(all) or []
    )
    assert seen == [changed]
