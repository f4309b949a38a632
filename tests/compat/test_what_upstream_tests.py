"""What the SDK's own tests pin of its public interface, and had found to be another here."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated, Any

import pytest
from pydantic import Field

from agentstream import (
    Agent,
    HandoffInputData,
    ItemHelpers,
    RunConfig,
    Runner,
    RunState,
    ToolCallItem,
    UserError,
    function_tool,
    handoff,
)
from agentstream._utils.secrets import without_credentials
from agentstream.extensions.handoff_filters import remove_all_tools
from agentstream.models.retry.attempts import RetryPolicyContext
from agentstream.models.retry.policy import ModelRetryNormalizedError
from agentstream.run.agent_runner import set_default_agent_runner
from agentstream.testing import ScriptedModel, call
from agentstream.tool_context import ToolContext
from agentstream.tools.function_schema import function_schema


def team() -> Agent[Any]:
    second = Agent(name="Second", model=ScriptedModel(["Done."]))
    model = ScriptedModel([["Once.", call("transfer_to_second")]])
    return Agent(name="First", model=model, handoffs=[second])


def said(items: list[Any], text: str) -> int:
    """How many of the items are a message with that text."""
    contents = [item.get("content") for item in items]
    return sum(text in (content or "", *_texts(content)) for content in contents)


def _texts(content: Any) -> list[str]:
    return [part.get("text", "") for part in content] if isinstance(content, list) else []


async def test_a_message_that_a_nested_history_carries_on_is_read_once() -> None:
    result = await Runner.run(team(), "Go", run_config=RunConfig(nest_handoff_history=True))
    assert said(result.to_input_list(), "Once.") == 1
    saved = await RunState.from_string(team(), result.to_state().to_string())
    assert list(saved.carried) == list(result.to_state().carried) != []


async def test_an_input_that_a_program_has_changed_owns_nothing_of_the_run() -> None:
    result = await Runner.run(team(), "Go", run_config=RunConfig(nest_handoff_history=True))
    result.input = list(reversed(result.input))
    assert said(result.to_input_list(), "Once.") == 2


def test_a_default_inside_annotated_is_the_default() -> None:
    def move(steps: Annotated[int, Field(default=2, ge=1)], fast: bool) -> None: ...

    schema = function_schema(move)
    assert schema.params_json_schema["properties"]["steps"]["default"] == 2
    data = schema.params_pydantic_model.model_validate({"fast": True})
    assert schema.to_call_args(data)[0] == [2, True]


def test_a_runner_of_the_program_is_given_every_option_by_its_name() -> None:
    class Recorder:
        def run_streamed(self, starting_agent: Any, input: Any, **options: Any) -> Any:
            return options

    set_default_agent_runner(Recorder())
    try:
        options: Any = Runner.run_streamed(Agent(name="A"), "Hi", max_turns=3)
    finally:
        set_default_agent_runner(None)
    assert options["max_turns"] == 3
    assert options["previous_response_id"] is None


def test_a_retry_policy_sees_whether_the_server_keeps_the_conversation() -> None:
    about = RetryPolicyContext(
        ValueError(), 1, 2, False, ModelRetryNormalizedError(), previous_response_id="r"
    )
    assert about.stateful_request
    assert (about.replay_safety, about.response_started) == ("unknown", False)


async def test_a_filter_that_is_false_in_a_condition_is_still_the_filter() -> None:
    class Filter:
        calls = 0

        def __bool__(self) -> bool:
            return False

        def __call__(self, data: Any) -> Any:
            self.calls += 1
            return data

    chosen = Filter()
    agent = team()
    agent.handoffs = [handoff(agent.handoffs[0], input_filter=chosen)]  # type: ignore[arg-type]
    await Runner.run(agent, "Go", run_config=RunConfig(handoff_input_filter=lambda data: 1 / 0))  # type: ignore[arg-type,return-value]
    assert chosen.calls == 1


async def test_a_filter_that_cannot_be_called_is_named() -> None:
    agent = team()
    made = handoff(agent.handoffs[0])  # type: ignore[arg-type]
    made.input_filter = "last"  # type: ignore[assignment]
    agent.handoffs = [made]
    with pytest.raises(UserError, match="must be callable, got str"):
        await Runner.run(agent, "Go")


async def test_input_that_the_run_would_never_ask_about_is_refused() -> None:
    @function_tool(needs_approval=True)
    def book() -> str:
        return "booked"

    agent = Agent(
        name="A",
        tools=[book],
        model=ScriptedModel([call("book"), "Done."]),
        tool_use_behavior="stop_on_first_tool",
    )
    state = (await Runner.run(agent, "Go")).to_state()
    with pytest.raises(UserError, match="tool result may end the run"):
        state.add_input("And a taxi")
    agent.tool_use_behavior = {"stop_at_tool_names": ["another"]}
    state.add_input("And a taxi")
    over = (await Runner.run(Agent(name="B", model=ScriptedModel(["Done."])), "Go")).to_state()
    with pytest.raises(UserError, match="terminal RunState"):
        over.add_input("And a taxi")


async def test_what_an_error_handler_gives_is_of_the_output_type_and_told_as_an_item() -> None:
    def agent() -> Agent[Any]:
        return Agent(name="A", output_type=list[str], model=ScriptedModel(["no JSON"]))

    result = Runner.run_streamed(
        agent(), "Go", error_handlers={"invalid_final_output": lambda about: ["a", "b"]}
    )
    told = [e.item async for e in result.stream_events() if e.type == "run_item_stream_event"]
    assert result.final_output == ["a", "b"]
    assert ItemHelpers.text_message_output(told[-1]) == '{"response":["a","b"]}'  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no list"):
        await Runner.run(
            agent(), "Go", error_handlers={"invalid_final_output": lambda about: {"a": 1}}
        )


async def test_to_stop_after_the_turn_before_it_has_begun_is_to_stop_after_it() -> None:
    result = Runner.run_streamed(Agent(name="A", model=ScriptedModel(["Hello."])), "Hi")
    async for _ in result.stream_events():
        result.cancel(mode="after_turn")
    assert result.final_output == "Hello."


def test_the_context_of_a_call_hands_its_run_config_on() -> None:
    config = RunConfig(model="gpt-5")
    outer: ToolContext[None] = ToolContext(None, tool_name="a", run_config=config)
    inner = ToolContext.from_agent_context(outer, "call_2", tool_name="a")
    assert inner.run_config is config


def test_two_tools_of_one_name_are_a_warning_in_programs_of_the_sdk_only() -> None:
    assert RunConfig().tool_name_collision_policy == "error"
    program = (
        "import agentstream.compat as compat; compat.install()\n"
        "from agents import RunConfig\n"
        "print(RunConfig().tool_name_collision_policy)\n"
        "compat.uninstall()\n"
        "print(RunConfig().tool_name_collision_policy)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["warn", "error"], done.stderr


def test_all_tools_are_removed_from_what_a_nested_history_shows_too() -> None:
    said = ToolCallItem(agent=Agent(name="A"), raw_item={"type": "function_call", "name": "f"})
    data = HandoffInputData("Hi", (), (), input_items=(said,))
    assert remove_all_tools(data).input_items == ()
    patch: Any = ({"type": "apply_patch_call"}, {"role": "user", "content": "Hi"})
    assert len(remove_all_tools(HandoffInputData(patch, (), ())).input_history) == 1


def test_guardrails_of_an_mcp_server_are_copied_for_each_tool() -> None:
    pytest.importorskip("mcp")
    from mcp.types import Tool

    from agentstream.mcp import MCPServerStdio, MCPUtil

    server: Any = MCPServerStdio({"command": "true"}, tool_input_guardrails=[])
    described = Tool(name="look", input_schema={}, annotations={"readOnlyHint": True})
    tool = MCPUtil.to_function_tool(described, server, convert_schemas_to_strict=False)
    assert tool.tool_input_guardrails == []
    assert tool.tool_input_guardrails is not server.tool_input_guardrails
    assert tool.mcp_annotations.read_only_hint is True


def test_an_address_is_shown_without_its_fragment() -> None:
    assert without_credentials("sse: https://me:pw@h.org/x?key=1#token") == (
        "sse: https://***@h.org/x?key=***#***"
    )
