"""More of what the SDK's own tests pin and was another here: inputs, tools, resumed runs."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from openai import AsyncOpenAI
from openai.types.responses import ResponseInputItemParam
from pydantic import TypeAdapter
from pydantic_core import to_json

from agentstream import (
    Agent,
    ItemHelpers,
    ModelRetrySettings,
    ModelSettings,
    RunConfig,
    RunContextWrapper,
    RunHooks,
    Runner,
    RunState,
    ToolGuardrailFunctionOutput,
    UserError,
    function_tool,
    handoff,
    retry_policies,
    tool_input_guardrail,
)
from agentstream.exceptions import ModelBehaviorError
from agentstream.items import ToolApprovalItem, ToolCallOutputItem
from agentstream.model_settings import default_model_settings
from agentstream.models.chat_completions.model import OpenAIChatCompletionsModel
from agentstream.models.retry.advice import ModelRetryAdvice
from agentstream.models.retry.attempts import RetryPolicyContext
from agentstream.models.retry.policy import ModelRetryNormalizedError
from agentstream.repl import run_demo_loop
from agentstream.testing import ScriptedModel, call
from agentstream.tools.hosted import ImageGenerationTool

MESSAGE = {
    "id": "m1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}],
}


def test_input_that_pydantic_validated_can_be_read_twice_and_is_json() -> None:
    validated = TypeAdapter(list[ResponseInputItemParam]).validate_python([MESSAGE])
    items = ItemHelpers.input_to_new_input_list(validated)
    assert json.loads(json.dumps(items)) == [MESSAGE]
    same: Any = {"role": "user", "content": "Hi"}
    assert ItemHelpers.input_to_new_input_list([same])[0] is same


async def test_input_that_pydantic_validated_reaches_the_model_whole() -> None:
    validated: Any = TypeAdapter(list[ResponseInputItemParam]).validate_python([MESSAGE])
    model = ScriptedModel(["Done."])
    result = await Runner.run(Agent(name="A", model=model), validated)
    assert result.to_input_list()[0] == MESSAGE


def test_the_schema_of_an_image_tool_can_be_made() -> None:
    adapter = TypeAdapter(ImageGenerationTool)
    assert adapter.json_schema()["required"] == ["tool_config"]
    made = adapter.validate_python({"tool_config": {"type": "image_generation", "quality": "max"}})
    assert made == ImageGenerationTool({"type": "image_generation", "quality": "max"})

    @function_tool
    def quality(tool: ImageGenerationTool) -> str:
        "Its quality."
        return tool.tool_config.get("quality", "auto")

    assert quality.strict_json_schema


@pytest.mark.parametrize(
    ("retry", "message"),
    [
        ({"max_retry": 2}, r"Unknown model settings in retry: max_retry \(did you mean"),
        ({"backoff": {"initial_delai": 1}}, r"in retry\.backoff: initial_delai"),
    ],
)
def test_a_misspelt_setting_of_retries_is_named(retry: Any, message: str) -> None:
    for make in (
        lambda: Agent(name="A", model_settings={"retry": retry}),  # type: ignore[arg-type]
        lambda: ModelSettings(retry=retry),
    ):
        with pytest.raises(TypeError, match=message):
            make()
    right: Any = {"max_retries": 2, "backoff": {"initial_delay": 1}}
    settings = ModelSettings(retry=right)
    assert settings.retry and settings.retry.backoff and settings.retry.backoff.initial_delay == 1


async def test_a_chat_model_refuses_an_output_without_a_call_before_it_is_asked() -> None:
    model = OpenAIChatCompletionsModel("gpt-4o", openai_client=AsyncOpenAI(api_key="k"))
    output: Any = {"type": "function_call_output", "name": "news", "output": "Ada wrote."}
    with pytest.raises(UserError, match="no call_id.*Use a Responses model"):
        await Runner.run(Agent(name="A", model=model), [output])


async def test_what_an_extractor_does_with_the_raw_item_does_not_reach_the_model() -> None:
    def extract(about: Any) -> dict[str, Any]:
        about.raw_item["renderer"] = "chart"
        return {"call_id": about.raw_item["call_id"]}

    @function_tool(custom_data_extractor=extract)
    def data() -> str:
        return "3"

    model = ScriptedModel([call("data"), "Done."])
    result = await Runner.run(Agent(name="A", tools=[data], model=model), "Go")
    (output,) = [item for item in result.new_items if isinstance(item, ToolCallOutputItem)]
    assert output.custom_data == {"call_id": output.raw_item["call_id"]}
    assert "renderer" not in output.to_input_item()


async def test_is_enabled_may_change_the_agents_own_list_of_tools() -> None:
    agent: Agent[Any] = Agent(name="A")

    async def enabled(context: Any, agent: Any) -> bool:
        await asyncio.sleep(0)
        agent.tools.clear()
        return True

    @function_tool(is_enabled=enabled)
    def first() -> str:
        return ""

    @function_tool(is_enabled=False)
    def second() -> str:
        return ""

    agent.tools = [first, second]
    assert await agent.get_all_tools(RunContextWrapper(None)) == [first]


async def test_an_agents_own_prompt_has_all_its_fields() -> None:
    agent: Agent[Any] = Agent(name="A", prompt={"id": "pmpt_1"})
    prompt = await agent.get_prompt(RunContextWrapper(None))
    assert prompt == {"id": "pmpt_1", "version": None, "variables": None}


def test_as_tool_refuses_what_is_no_on_stream_and_no_number_of_events() -> None:
    agent: Agent[Any] = Agent(name="A")
    config: Any = RunConfig()
    with pytest.raises(UserError, match="on_stream must be callable or None.*run_config="):
        agent.as_tool("a", "b", None, True, config)
    for most in (0, -1, True, 1.5):
        with pytest.raises(UserError, match="on_stream_max_pending_events must be a positive"):
            agent.as_tool("a", "b", on_stream_max_pending_events=most)  # type: ignore[arg-type]


async def test_an_input_builder_is_asked_for_the_plain_input_too() -> None:
    inner = ScriptedModel(["Bonjour."])
    tool = Agent(name="Translator", model=inner).as_tool(
        "translate", "Translate.", input_builder=lambda options: f"French: {options.params}"
    )
    model = ScriptedModel([call("translate", input="Hello"), "Done."])
    await Runner.run(Agent(name="A", tools=[tool], model=model), "Go")
    assert "French: {'input': 'Hello'}" in str(inner.requests[0].input)


def test_a_deferred_tool_is_shown_by_its_bare_name() -> None:
    raw: Any = {"type": "function_call", "name": "weather", "namespace": "weather", "call_id": "c"}
    item = ToolApprovalItem(agent=Agent(name="A"), raw_item=raw)
    assert item.qualified_name == "weather"
    context: RunContextWrapper[Any] = RunContextWrapper(None)
    context.approve_tool(item)
    assert context.is_tool_approved("weather", "c")
    assert context.get_approval_status("weather", "c", tool_namespace="weather")


async def test_a_strict_context_is_one_of_its_class_again() -> None:
    @dataclass
    class Account:
        name: str

    agent = Agent(name="A", model=ScriptedModel(["Done."]))
    state = (await Runner.run(agent, "Go", context=Account("Ada"))).to_state()
    saved = state.to_json()
    with pytest.raises(UserError, match="of type Account.*context_deserializer"):
        await RunState.from_json(agent, saved, strict_context=True)
    back = await RunState.from_json(
        agent, saved, strict_context=True, context_deserializer=lambda plain: Account(**plain)
    )
    assert back.context.context == Account("Ada")
    plain = (
        await Runner.run(agent.clone(model=ScriptedModel(["x"])), "Go", context={"a": 1})
    ).to_state()
    assert await RunState.from_json(agent, plain.to_json(), strict_context=True)


def delicate(effects: list[str], name: str = "delicate") -> Any:
    def run() -> str:
        effects.append(name)
        return "ok"

    return function_tool(run, name_override=name, needs_approval=True)


async def test_input_may_be_added_where_a_handoff_waits_beside_a_tool_that_would_end_the_run() -> (
    None
):
    finish = function_tool(lambda: "Finished", name_override="finish")
    second = Agent(name="Second", model=ScriptedModel(["Continued."]))
    calls = [call("finish"), call("delicate"), call("transfer_to_second")]
    first = Agent(
        name="First",
        model=ScriptedModel([calls]),
        tools=[finish, delicate([])],
        handoffs=[second],
        tool_use_behavior={"stop_at_tool_names": ["finish"]},
    )
    result = await Runner.run(first, "Go")
    state = result.to_state()
    state.approve(result.interruptions[0])
    state.add_input("Late")
    resumed = await Runner.run(first, state)
    assert resumed.final_output == "Continued."
    assert str(resumed.to_input_list()).count("Late") == 1


@pytest.mark.parametrize("lost", ["tool", "handoff"])
async def test_a_resumed_run_that_lost_a_tool_or_handoff_fails_before_any_call_has_an_effect(
    lost: str,
) -> None:
    effects: list[str] = []
    other = "gone" if lost == "tool" else "transfer_to_second"
    second = Agent(name="Second")
    agent = Agent(
        name="First",
        model=ScriptedModel([[call("delicate"), call(other)]]),
        tools=[delicate(effects), delicate(effects, "gone")],
        handoffs=[handoff(second)],
    )
    state = (await Runner.run(agent, "Go")).to_state()
    for item in state.get_interruptions():
        state.approve(item)
    agent.tools, agent.handoffs = agent.tools[:1], []
    with pytest.raises(ModelBehaviorError, match=f"Tool {other} not found"):
        await Runner.run(agent, state)
    assert effects == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_agent_as_a_tool_that_goes_on_has_been_checked_and_told_before(
    streamed: bool,
) -> None:
    told: list[str] = []

    class Hooks(RunHooks[Any]):
        async def on_tool_start(self, context: Any, agent: Any, tool: Any) -> None:
            told.append(f"start {tool.name}")

        async def on_tool_end(self, context: Any, agent: Any, tool: Any, result: Any) -> None:
            told.append(f"end {tool.name}")

    @tool_input_guardrail
    def check(data: Any) -> ToolGuardrailFunctionOutput:
        told.append("check")
        return ToolGuardrailFunctionOutput.allow()

    effects: list[str] = []
    inner = Agent(
        name="Inner", tools=[delicate(effects)], model=ScriptedModel([call("delicate"), "Inner."])
    )
    tool = inner.as_tool("delegate", "Delegate.")
    tool.tool_input_guardrails = [check]
    agent = Agent(
        name="A", tools=[tool], model=ScriptedModel([call("delegate", input="x"), "Done."])
    )

    async def run(given: Any) -> Any:
        if not streamed:
            return await Runner.run(agent, given, hooks=Hooks())
        result = Runner.run_streamed(agent, given, hooks=Hooks())
        await result.wait()
        return result

    state = (await run("Go")).to_state()
    state.approve(state.get_interruptions()[0])
    restored = await RunState.from_json(agent, state.to_json())
    assert (await run(restored)).final_output == "Done."
    assert effects == ["delicate"]
    assert told == ["check", "start delegate", "end delegate"]


async def test_the_demo_loop_writes_what_the_sdks_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    second = Agent(name="Second", model=ScriptedModel(["All done."]))
    foo = function_tool(lambda: "tool result", name_override="foo")
    model = ScriptedModel([call("foo"), call("transfer_to_second")])
    lines = iter(["Hello", "exit"])
    monkeypatch.setattr("builtins.input", lambda _: next(lines))
    await run_demo_loop(Agent(name="First", tools=[foo], handoffs=[second], model=model))
    shown = capsys.readouterr().out
    for text in ("[tool called]", "[tool output: tool result]", "[Agent updated: Second]", "done."):
        assert text in shown


def test_settings_that_nobody_chose_follow_the_model_of_a_clone() -> None:
    agent: Agent[Any] = Agent(name="A", model="gpt-5")
    cloned = agent.clone(model="gpt-5.4-mini")
    assert cloned.model_settings == default_model_settings("gpt-5.4-mini")
    assert agent.clone(model="gpt-4o").model_settings == ModelSettings()
    assert agent.clone(name="B").model_settings == agent.model_settings
    chosen = Agent(name="A", model="gpt-5", model_settings=ModelSettings(temperature=0.5))
    assert chosen.clone(model="gpt-4o").model_settings.temperature == 0.5


def test_settings_with_a_policy_of_retries_are_json_without_it() -> None:
    policy = retry_policies.http_status([429])
    settings = ModelSettings(retry=ModelRetrySettings(max_retries=2, policy=policy))
    back = TypeAdapter(ModelSettings).validate_json(to_json(settings))
    assert back.retry == ModelRetrySettings(max_retries=2)
    traceable = ModelSettings(extra_body={"a": "b"}, preserve_raw_usage=True).to_traceable_dict()
    assert not {"extra_body", "preserve_raw_usage"} & traceable.keys()


def test_advice_about_retries_in_other_words_is_unknown() -> None:
    context: Any = RetryPolicyContext(
        error=ConnectionError(),
        attempt=1,
        max_retries=1,
        stream=False,
        normalized=ModelRetryNormalizedError(),
        provider_advice=ModelRetryAdvice(replay_safety="conditional"),
    )
    assert context.replay_safety == "unknown"
