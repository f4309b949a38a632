"""A saved run: all that it had found is there again, and each agent is the one it was."""

from __future__ import annotations

import json
from typing import Any

from agentstream import (
    Agent,
    GuardrailFunctionOutput,
    Runner,
    RunState,
    ToolGuardrailFunctionOutput,
    function_tool,
    handoff,
    input_guardrail,
    output_guardrail,
    tool_input_guardrail,
    tool_output_guardrail,
)
from agentstream.testing import (
    ScriptedModel,
    call,
    hand_off,
    mcp_tools,
    run_code,
    say,
    search_tools,
    think,
    turn,
    web_search,
)


@input_guardrail
def fine_input(context: Any, agent: Any, input: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput({"length": len(input)}, tripwire_triggered=False)


@output_guardrail
def fine_output(context: Any, agent: Any, output: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output, tripwire_triggered=False)


@tool_input_guardrail
def fine_call(data: Any) -> ToolGuardrailFunctionOutput:
    return ToolGuardrailFunctionOutput.allow("call")


@tool_output_guardrail
def cut_answer(data: Any) -> ToolGuardrailFunctionOutput:
    return ToolGuardrailFunctionOutput.reject_content("cut", "answer")


def saved_and_read(state: RunState[Any], agent: Agent[Any]) -> Any:
    return RunState.from_json(agent, json.loads(json.dumps(state.to_json())))


async def test_what_guardrails_found_is_saved() -> None:
    @function_tool(tool_input_guardrails=[fine_call], tool_output_guardrails=[cut_answer])
    def look() -> str:
        return "seen"

    @function_tool(needs_approval=True)
    def erase() -> str:
        return "erased"

    agent: Agent[Any] = Agent(
        name="A",
        model=ScriptedModel([turn(call("look"), call("erase")), "Done."]),
        tools=[look, erase],
        input_guardrails=[fine_input],
        output_guardrails=[fine_output],
    )
    first = await Runner.run(agent, "hi")
    state = await saved_and_read(first.to_state(), agent)
    state.approve(state.get_interruptions()[0])
    result = await Runner.run(agent, state)
    end = await saved_and_read(result.to_state(), agent)
    [checked] = end.input_guardrail_results
    assert (checked.guardrail, checked.output.output_info) == (fine_input, {"length": 2})
    [checked] = end.output_guardrail_results
    assert (checked.guardrail, checked.agent, checked.agent_output) == (fine_output, agent, "Done.")
    [called] = end.tool_input_guardrail_results
    assert (called.guardrail.get_name(), called.output) == (
        "fine_call",
        ToolGuardrailFunctionOutput.allow("call"),
    )
    [answered] = end.tool_output_guardrail_results
    assert answered.output.behavior == {"type": "reject_content", "message": "cut"}


async def test_two_agents_of_one_name_are_told_apart() -> None:
    done: list[str] = []

    def helper(number: int, *turns: Any) -> Agent[Any]:
        @function_tool(needs_approval=True)
        def work() -> str:
            done.append(f"helper {number}")
            return "worked"

        return Agent(name="Helper", model=ScriptedModel(list(turns)), tools=[work])

    first, second = helper(1), helper(2, call("work"), "Done.")
    start: Agent[Any] = Agent(
        name="Start",
        model=ScriptedModel([call("to_second")]),
        handoffs=[first, handoff(second, tool_name_override="to_second")],
    )
    waiting = await Runner.run(start, "hi")
    state = await saved_and_read(waiting.to_state(), start)
    assert state.agent is second
    state.approve(state.get_interruptions()[0])
    result = await Runner.run(start, state)
    assert (result.final_output, result.last_agent, done) == ("Done.", second, ["helper 2"])


async def test_every_kind_of_item_is_read_back_as_it_was() -> None:
    other = Agent(name="B", model=ScriptedModel([turn(run_code("1"), web_search("x")), "Done."]))
    hosted = turn(think("hm"), mcp_tools("docs", ["ask"]), search_tools("x"), say("And now:"))
    agent: Agent[Any] = Agent(
        name="A", model=ScriptedModel([turn(*hosted.parts, hand_off("B"))]), handoffs=[other]
    )
    state = (await Runner.run(agent, "hi")).to_state()
    state.final_output = None  # a run that is over takes no more input
    state.add_input("more")
    state.admit_pending_input()
    again = await saved_and_read(state, agent)
    assert [type(item) for item in again.new_items] == [type(item) for item in state.new_items]
    assert [item.raw_item for item in again.new_items] == [i.raw_item for i in state.new_items]
    assert [item.agent for item in again.new_items] == [item.agent for item in state.new_items]
    assert again.model_input() == state.model_input()
    assert again.to_json() == state.to_json()
