"""A run's context in a pydantic TypeAdapter, as workflow engines store it."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from agentstream import Agent, RunContextWrapper, Runner, Usage, function_tool
from agentstream.testing import ScriptedModel, call

ADAPTER = TypeAdapter(RunContextWrapper[dict[str, str]])


@pytest.mark.parametrize("json", [False, True])
@pytest.mark.parametrize("approved", [False, True])
@pytest.mark.parametrize("always", [False, True])
async def test_context_usage_and_decisions_come_back(
    json: bool, approved: bool, always: bool
) -> None:
    @function_tool(needs_approval=True)
    def pay() -> str:
        return "paid"

    model = ScriptedModel([call("pay").with_id("c1")])
    agent = Agent(name="A", instructions="private", model=model, tools=[pay])
    waiting = (await Runner.run(agent, "Go")).interruptions[0]
    context = RunContextWrapper({"tenant": "a"}, Usage(requests=2, input_tokens=5))
    if approved:
        context.approve_tool(waiting, always_approve=always)
    else:
        context.reject_tool(waiting, always_reject=always, rejection_message="No.")
    if json:
        text = ADAPTER.dump_json(context)
        assert b"private" not in text
        again = ADAPTER.validate_json(text)
    else:
        again = ADAPTER.validate_python(ADAPTER.dump_python(context))
    assert (again.context, again.usage) == (context.context, context.usage)
    assert again.get_approval_status("pay", "c1", existing_pending=waiting) is approved
    assert again.is_tool_approved("pay", "c1") is context.is_tool_approved("pay", "c1")
    said = again.get_rejection_message("pay", "c1", existing_pending=waiting)
    assert said == (None if approved else "No.")


def test_a_wrapper_stays_itself_and_has_a_schema() -> None:
    context = RunContextWrapper({"a": "b"})
    assert ADAPTER.validate_python(context) is context
    assert ADAPTER.json_schema()["type"] == "object"
