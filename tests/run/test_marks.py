"""What no event says is marked in the run's trace: retries, tools, nested runs, the end."""

from __future__ import annotations

from typing import Any

from agentstream import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrail,
    ModelRetrySettings,
    ModelSettings,
    Runner,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrail,
    ToolOutputGuardrail,
    function_tool,
    retry_policies,
)
from agentstream.testing import Pace, ScriptedModel, call, http_error, turn


@function_tool
def look() -> str:
    """Look."""
    return "seen"


async def finished(agent: Agent[Any], text: str = "go") -> Any:
    result = Runner.run_streamed(agent, text)
    async for _ in result.stream_events():
        pass
    return result


async def test_a_retry_is_in_the_trace() -> None:
    settings = ModelSettings(
        retry=ModelRetrySettings(
            max_retries=2, policy=retry_policies.http_status([503]), backoff={"initial_delay": 0.0}
        )
    )
    model = ScriptedModel([turn(http_error(503)), "Here I am."])
    result = await finished(Agent(name="A", model=model, model_settings=settings))
    assert result.final_output == "Here I am."
    [retry] = result.trace.retries
    assert retry.attempt == 1
    assert "503" in retry.error or "server" in retry.error.lower()


async def test_an_agent_as_a_tool_streams_into_its_part() -> None:
    inner = Agent(
        name="Inner", tools=[look], model=ScriptedModel([turn(call("look")), "Inner answer."])
    )
    outer = Agent(
        name="Outer",
        tools=[inner.as_tool("ask", "Ask.")],
        model=ScriptedModel([turn(call("ask", input="?")), "Outer answer."]),
    )
    result = await finished(outer)
    [part] = [part for part in result.trace.parts if part.kind == "tool"]
    assert part.nested is not None
    assert [inside.kind for inside in part.nested.parts] == ["tool", "text"]
    assert part.nested.parts[1].text == "Inner answer."
    assert part.nested.status == "completed"
    frame = result.to_frame()
    assert list(frame["parent"].dropna().unique()) == [part.call_id]


async def test_a_run_that_is_not_streamed_has_turns_and_tokens() -> None:
    agent = Agent(name="A", tools=[look], model=ScriptedModel([turn(call("look")), "Done."]))
    result = await Runner.run(agent, "go")
    turns = result.to_frame("turns")
    assert list(turns["turn"]) == [1, 2]
    assert (turns["total_tokens"] > 0).all()
    assert turns["total_tokens"].sum() == result.context_wrapper.usage.total_tokens
    assert result.trace.status == "completed"


async def test_guardrails_and_the_end_are_in_the_trace() -> None:
    def check(context: Any, agent: Any, input: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(None, tripwire_triggered=False)

    agent = Agent(
        name="A",
        model=ScriptedModel(["Hello."]),
        input_guardrails=[InputGuardrail(check, "polite")],
    )
    result = await finished(agent)
    [guardrail] = result.trace.guardrails
    assert (guardrail.name, guardrail.stage, guardrail.tripped) == ("polite", "input", False)


async def test_guardrails_of_a_tool_are_in_the_trace_with_their_call() -> None:
    def before(data: Any) -> ToolGuardrailFunctionOutput:
        if "write" in data.context.tool_arguments:
            return ToolGuardrailFunctionOutput.reject_content("Only reading is allowed.")
        return ToolGuardrailFunctionOutput.allow()

    def after(data: Any) -> ToolGuardrailFunctionOutput:
        return ToolGuardrailFunctionOutput.allow()

    @function_tool(
        tool_input_guardrails=[ToolInputGuardrail(before, "reads only")],
        tool_output_guardrails=[ToolOutputGuardrail(after, "no names")],
    )
    def query(what: str) -> str:
        """Query."""
        return "42 rows"

    calls = turn(call("query", what="write"), call("query", what="read"))
    agent = Agent(name="A", tools=[query], model=ScriptedModel([calls, "Done."]))
    result = await finished(agent)
    written, read = [item.raw_item.call_id for item in result.new_items[:2]]
    spans = result.to_frame("spans")
    checks = spans[spans["kind"] == "guardrail"].sort_values(["call_id", "started_s"])
    assert checks[["name", "call_id", "status", "detail"]].to_numpy().tolist() == [
        ["reads only", written, "failed", "tool input guardrail, tripped"],
        ["reads only", read, "completed", "tool input guardrail"],
        ["no names", read, "completed", "tool output guardrail"],
    ]
    assert "reads only" in result.timeline().svg()
    assert result.trace.status == "completed"


async def test_a_stopped_run_says_so() -> None:
    agent = Agent(name="A", model=ScriptedModel(["word " * 300], pace=Pace(50, 0)))
    result = Runner.run_streamed(agent, "go")
    async for event in result.stream_events():
        if event.type == "raw_response_event":
            result.cancel()
    await result.wait()
    assert result.trace.status == "cancelled"


async def test_an_observer_is_told_until_nothing_of_the_run_is_left() -> None:
    result = Runner.run_streamed(Agent(name="A", model=ScriptedModel(["One two."])), "go")
    seen: list[bool] = []
    result.observe(lambda event: seen.append(result.is_complete))
    async for _ in result.stream_events():
        pass
    await result.wait()
    import asyncio

    await asyncio.sleep(0)
    assert seen[0] is False
    assert seen[-1] is True
