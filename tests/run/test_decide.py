"""The decision: the law of the table at the top of its module, and totality."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseReasoningItem,
)
from openai.types.responses.response_output_item import McpApprovalRequest

from agentstream import Agent
from agentstream.items import (
    HandoffCallItem,
    HandoffOutputItem,
    InputItem,
    MCPApprovalRequestItem,
    MCPApprovalResponseItem,
    MessageOutputItem,
    ReasoningItem,
    RunItem,
    ToolApprovalItem,
    ToolCallItem,
    ToolCallOutputItem,
    raw_field,
)
from agentstream.run.decide import Act, Ask, Finish, Judge, Move, decide

AGENT: Agent[Any] = Agent(name="A")
B: Agent[Any] = Agent(name="B", tool_use_behavior="stop_on_first_tool")


def function_call(call_id: str, name: str = "f", **more: Any) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(
        call_id=call_id, name=name, arguments="{}", type="function_call", **more
    )


def message(text: str = "hello") -> MessageOutputItem:
    content = [ResponseOutputText(text=text, type="output_text", annotations=[])]
    raw = ResponseOutputMessage(
        id="m", role="assistant", status="completed", type="message", content=content
    )
    return MessageOutputItem(AGENT, raw)


def called(call_id: str, name: str = "f", **more: Any) -> ToolCallItem:
    return ToolCallItem(AGENT, function_call(call_id, name, **more))


def hosted(kind: str = "web_search_call") -> ToolCallItem:
    return ToolCallItem(AGENT, {"type": kind, "id": "h1"})


def output(call_id: str | None, value: Any = "out") -> ToolCallOutputItem:
    raw = {"type": "function_call_output", "call_id": call_id, "output": str(value)}
    return ToolCallOutputItem(AGENT, raw, value)


def handed(call_id: str) -> HandoffOutputItem:
    raw = {"type": "function_call_output", "call_id": call_id, "output": "{}"}
    return HandoffOutputItem(AGENT, raw, AGENT, B)


def wanted(call_id: str) -> HandoffCallItem:
    return HandoffCallItem(AGENT, function_call(call_id, "transfer_to_b"))


def waits(call_id: str) -> ToolApprovalItem:
    return ToolApprovalItem(AGENT, function_call(call_id))


def asked(request_id: str) -> MCPApprovalRequestItem:
    raw = McpApprovalRequest(
        id=request_id, name="f", arguments="{}", server_label="s", type="mcp_approval_request"
    )
    return MCPApprovalRequestItem(AGENT, raw)


def allowed(request_id: str) -> MCPApprovalResponseItem:
    return MCPApprovalResponseItem(AGENT, {"approval_request_id": request_id, "approve": True})


def reasoned() -> ReasoningItem:
    return ReasoningItem(AGENT, ResponseReasoningItem(id="r", summary=[], type="reasoning"))


def admitted() -> InputItem:
    return InputItem(AGENT, {"role": "user", "content": "more"})


def test_nothing_yet_asks() -> None:
    assert decide(AGENT, []) == Ask()


def test_a_message_finishes() -> None:
    last = message("bye")
    assert decide(AGENT, [reasoned(), message("one"), last]) == Finish(message=last)


def test_calls_without_an_output_act_in_the_models_order() -> None:
    first, second = called("1"), called("2")
    assert decide(AGENT, [message(), first, second]) == Act((first, second))


def test_only_the_open_calls_are_run_again() -> None:
    first, second = called("1"), called("2")
    assert decide(AGENT, [first, second, waits("2"), output("1")]) == Act((second,))


def test_a_handoff_and_an_approval_request_are_calls() -> None:
    handoff, request = wanted("1"), asked("2")
    assert decide(AGENT, [handoff, request]) == Act((handoff, request))
    assert decide(AGENT, [request, allowed("2")]) == Ask()


def test_outputs_ask_again() -> None:
    assert decide(AGENT, [called("1"), output("1")]) == Ask()


def test_a_hosted_call_is_answered_by_the_provider() -> None:
    last = message()
    assert decide(AGENT, [hosted(), last]) == Finish(message=last)
    assert decide(AGENT, [last, hosted()]) == Finish(message=last)


def test_only_hosted_calls_leave_the_answer_to_come() -> None:
    assert decide(AGENT, [reasoned(), hosted()]) == Ask()


def test_only_reasoning_is_an_empty_answer() -> None:
    assert decide(AGENT, [reasoned()]) == Finish()


def test_a_handoff_asks_whatever_the_new_agent_does_with_tools() -> None:
    assert decide(B, [called("1"), wanted("2"), output("1"), handed("2")]) == Ask()


def test_a_handoff_that_was_not_done_to_its_end_is_done_first() -> None:
    items = [called("1"), wanted("2"), output("1"), moved := handed("2")]
    assert decide(AGENT, items) == Move(moved)


def test_stop_on_first_tool_finishes_with_the_first_output() -> None:
    agent: Agent[Any] = Agent(name="A", tool_use_behavior="stop_on_first_tool")
    first = output("1")
    assert decide(agent, [called("1"), called("2"), first, output("2")]) == Finish(output=first)


def test_stop_at_tools_finishes_with_the_named_tools_output() -> None:
    agent: Agent[Any] = Agent(name="A", tool_use_behavior={"stop_at_tool_names": ["g", "s.h"]})
    at_g = output("2")
    assert decide(agent, [called("1"), called("2", "g"), output("1"), at_g]) == Finish(output=at_g)
    in_space = output("3")
    turn = [called("3", "h", namespace="s"), in_space]
    assert decide(agent, turn) == Finish(output=in_space)
    assert decide(agent, [called("1"), output("1")]) == Ask()


def test_a_function_is_asked_to_judge() -> None:
    agent: Agent[Any] = Agent(name="A", tool_use_behavior=lambda context, results: None)
    result = output("1")
    assert decide(agent, [called("1"), result]) == Judge((result,))


def test_admitted_input_asks() -> None:
    assert decide(AGENT, [message(), admitted()]) == Ask()


def test_only_the_last_turn_counts() -> None:
    open_long_ago = [called("old"), admitted(), message()]
    assert decide(AGENT, [*open_long_ago, called("1"), output("1")]) == Ask()


CALL_IDS = st.sampled_from(["1", "2", "3"])
ITEMS = st.one_of(
    st.builds(message),
    st.builds(reasoned),
    st.builds(admitted),
    st.builds(hosted, st.sampled_from(["web_search_call", "computer_call", "unheard_of"])),
    *(st.builds(make, CALL_IDS) for make in (called, output, handed, wanted, waits)),
    *(st.builds(make, CALL_IDS) for make in (asked, allowed)),
)
BEHAVIORS = st.sampled_from(
    ["run_llm_again", "stop_on_first_tool", {"stop_at_tool_names": ["f"]}, lambda c, r: None]
)


@given(st.lists(ITEMS, max_size=12), BEHAVIORS)
def test_any_history_has_a_next_step(items: list[RunItem], behavior: Any) -> None:
    agent: Agent[Any] = Agent(name="A", tool_use_behavior=behavior)
    step = decide(agent, items)
    assert isinstance(step, Ask | Act | Move | Judge | Finish)
    assert decide(agent, items) == step, "the same history, the same step"
    if isinstance(step, Act):
        assert step.calls, "an Act without calls would spin"
        assert all(any(call is item for item in items) for call in step.calls)


@given(st.lists(ITEMS, max_size=8))
def test_answering_the_open_calls_leads_on(items: list[RunItem]) -> None:
    """No history makes the loop act twice in a row on the same calls."""
    step = decide(AGENT, items)
    if not isinstance(step, Act):
        return
    answers: list[RunItem] = []
    for call in step.calls:
        if isinstance(call, MCPApprovalRequestItem):
            answers.append(allowed(call.raw_item.id))
        elif isinstance(call, HandoffCallItem):
            answers.append(handed(call.raw_item.call_id))
        else:
            raw = call.raw_item
            answers.append(output(raw_field(raw, "call_id")))
    assert not isinstance(decide(AGENT, [*items, *answers]), Act)


def test_a_long_history_is_not_walked() -> None:
    class Counted(list[Any]):
        looked_at = 0

        def __getitem__(self, at: Any) -> Any:
            type(self).looked_at += 1
            return super().__getitem__(at)

    history = Counted([called("1"), output("1")] * 5_000)
    assert decide(AGENT, history) == Ask()
    assert Counted.looked_at < 20


@pytest.mark.parametrize("kind", ["computer_call", "local_shell_call"])
def test_calls_of_the_users_own_machine_are_run_here(kind: str) -> None:
    item = hosted(kind)
    assert decide(AGENT, [item]) == Act((item,))


@pytest.mark.parametrize("behavior", ["stop_on_first_tool", lambda context, results: None])
def test_outputs_come_in_the_order_of_their_calls(behavior: Any) -> None:
    # The first waited for a person, so that the second was answered before it.
    items = [called("1"), called("2"), waits("1"), output("2", "late"), output("1", "early")]
    step = decide(AGENT.clone(tool_use_behavior=behavior), items)
    first = step.output if isinstance(step, Finish) else step.outputs[0]  # type: ignore[union-attr]
    assert first is not None
    assert first.output == "early"
