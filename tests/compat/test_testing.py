"""The SDK's scripted model: what it answers, streams, keeps and refuses, as the SDK's does."""

from __future__ import annotations

import asyncio
import importlib
from types import ModuleType
from typing import Any

import pytest

from agentstream import Agent, ModelRetryAdvice, ModelSettings, ModelTracing, Runner, function_tool
from agentstream.compat import testing as ours
from agentstream.compat.testing import ModelStep, ScriptedModel, assistant_message, function_call
from agentstream.items import ModelResponse
from agentstream.usage import Usage

theirs = pytest.importorskip("agents.testing")
SETTINGS: dict[str, Any] = {
    "previous_response_id": None,
    "conversation_id": None,
    "prompt": None,
}


def reasoning() -> Any:
    return {
        "id": "r",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "Let me see."}],
    }


def refusal() -> Any:
    from openai.types.responses import ResponseOutputMessage, ResponseOutputRefusal

    return ResponseOutputMessage(
        id="m",
        content=[ResponseOutputRefusal(refusal="No.", type="refusal")],
        role="assistant",
        status="completed",
        type="message",
    )


def outputs(module: ModuleType) -> dict[str, list[Any]]:
    """Steps that both are given, made with the functions of each."""
    from openai.types.responses import ResponseReasoningItem

    say, call = module.assistant_message, module.function_call
    return {
        "a message": [say("Hello.")],
        "an empty message": [say("")],
        "a call": [call("f", {"city": "Tokyo"}, call_id="c1")],
        "a call with an empty id": [call("f", "{}", call_id="c1", item_id="")],
        "a call in a namespace": [call("f", "{}", call_id="c1", item_id="i", namespace="n")],
        "reasoning, then a message": [ResponseReasoningItem(**reasoning()), say("Yes.")],
        "a refusal": [refusal()],
        "nothing": [],
    }


async def streamed(module: ModuleType, output: list[Any]) -> list[tuple[Any, ...]]:
    model: Any = module.ScriptedModel([output])
    package: Any = package_of(module)
    ask = (None, "hi", package.ModelSettings(), [], None, [], package.ModelTracing.DISABLED)
    events = model.stream_response(*ask, **SETTINGS)
    found = []
    async for event in events:
        data = event.model_dump(exclude_none=True)
        data.pop("response", None)
        for item in (data.get("item"), data.get("part")):
            if isinstance(item, dict) and item.get("type") == "reasoning":
                item.pop("status", None)
        found.append((event.type, data))
    return found


def package_of(module: ModuleType) -> ModuleType:
    return importlib.import_module(module.__name__.partition(".")[0])


@pytest.mark.parametrize("name", outputs(ours))
async def test_a_step_streams_the_events_that_the_sdk_streams(name: str) -> None:
    assert await streamed(ours, outputs(ours)[name]) == await streamed(
        theirs, outputs(theirs)[name]
    )


@pytest.mark.parametrize(
    "kind", ["code_interpreter_call", "custom_tool_call", "image_generation_call", "mcp_call"]
)
async def test_items_with_events_of_their_own_kind_are_refused_before_anything_is_streamed(
    kind: str,
) -> None:
    for module in (ours, theirs):
        with pytest.raises(Exception, match=r"Automatic streaming does not support.*Step\.stream"):
            await streamed(module, [items_of_other_kinds()[kind]])


def items_of_other_kinds() -> dict[str, Any]:
    from openai.types.responses import (
        ResponseCodeInterpreterToolCall,
        ResponseCustomToolCall,
        response_output_item,
    )

    code: Any = ResponseCodeInterpreterToolCall
    return {
        "code_interpreter_call": code(
            id="i", code="1", container_id="c", status="completed", type="code_interpreter_call"
        ),
        "custom_tool_call": ResponseCustomToolCall(
            call_id="c", input="x", name="n", type="custom_tool_call"
        ),
        "image_generation_call": response_output_item.ImageGenerationCall(
            id="i", result="x", status="completed", type="image_generation_call"
        ),
        "mcp_call": response_output_item.McpCall(
            id="i", arguments="{}", name="n", server_label="s", type="mcp_call"
        ),
    }


async def test_a_change_of_one_event_is_in_no_other() -> None:
    events = ScriptedModel([[assistant_message("whole")]]).stream_response(
        None, "hi", ModelSettings(), [], None, [], ModelTracing.DISABLED, **SETTINGS
    )
    async for event in events:
        if event.type == "response.output_item.done":
            event.item.content[0].text = "changed"  # type: ignore[union-attr]
    assert event.response.output[0].content[0].text == "whole"  # type: ignore[union-attr]


@pytest.mark.parametrize("keeps", [None, True])
async def test_a_step_without_an_id_has_none_and_its_raw_usage_is_there_if_it_is_kept(
    keeps: bool | None,
) -> None:
    step = ModelStep(output=[assistant_message("a")], response_id=None, raw_usage={"of": "step"})
    agent = Agent(
        name="A",
        model=ScriptedModel([step, step]),
        model_settings=ModelSettings(preserve_raw_usage=keeps),
    )
    result = await Runner.run(agent, "hi")
    assert result.last_response_id is None
    assert result.raw_responses[0].raw_usage == ({"of": "step"} if keeps else None)
    live = Runner.run_streamed(agent, "hi")
    async for _ in live.stream_events():
        pass
    assert live.last_response_id is None


async def test_a_run_uses_the_steps_in_order_and_the_calls_are_kept() -> None:
    @function_tool
    def weather(city: str) -> str:
        return f"{city}: sunny"

    model = ScriptedModel(
        [
            [function_call("weather", {"city": "Tokyo"}, call_id="call_1")],
            {"output": [assistant_message("Sunny.")], "response_id": "resp-1"},
        ]
    )
    result = await Runner.run(Agent(name="A", model=model, tools=[weather]), "How is Tokyo?")
    assert result.final_output == "Sunny."
    assert result.raw_responses[-1].response_id == "resp-1"
    assert model.first_call is not None and model.last_call is not None
    assert model.first_call.streamed is False
    assert [item.get("type") for item in model.last_call.input][-1] == "function_call_output"
    model.assert_complete()


async def test_what_is_kept_of_a_call_is_a_copy() -> None:
    given = [{"role": "user", "content": "hi"}]
    model = ScriptedModel([[assistant_message("a")]])
    await Runner.run(Agent(name="A", model=model), given)  # type: ignore[arg-type]
    model.calls[0].input.append("x")
    assert model.calls[0].input == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("streaming", [False, True])
async def test_each_kind_of_step(streaming: bool) -> None:
    async def late(call: Any) -> Any:
        await asyncio.sleep(0)
        return [assistant_message(f"to {call.input[0]['content']}")]

    steps = [
        ModelStep.respond(late),
        ModelStep.respond(lambda call: ModelStep(output=[assistant_message("by function")])),
        ModelResponse([assistant_message("whole")], Usage(requests=1), "r"),
        ModelStep.raise_error(RuntimeError("no"), retry_advice=ModelRetryAdvice(suggested=True)),
        ValueError("nor this"),
    ]
    model = ScriptedModel(steps)
    agent = Agent(name="A", model=model)

    async def run() -> Any:
        if not streaming:
            return (await Runner.run(agent, "you")).final_output
        result = Runner.run_streamed(agent, "you")
        async for _ in result.stream_events():
            pass
        return result.final_output

    assert [await run() for _ in range(3)] == ["to you", "by function", "whole"]
    with pytest.raises(RuntimeError, match="no"):
        await run()
    with pytest.raises(ValueError, match="nor this"):
        await run()
    with pytest.raises(ours.UnexpectedModelCall, match="call #6") as caught:
        await run()
    assert caught.value.call_index == 5
    assert caught.value.call.streamed is streaming


async def test_exact_events_are_streamed_as_they_are() -> None:
    output = [assistant_message("Exact.")]
    first = ScriptedModel([output])
    ask: tuple[Any, ...] = (None, "hi", ModelSettings(), [], None, [], ModelTracing.DISABLED)
    events = [event async for event in first.stream_response(*ask)]

    async def later(call: Any) -> Any:
        for event in events:
            yield event

    for given in (events, later):
        model = ScriptedModel([ModelStep.stream(given, output=output)])
        assert [event async for event in model.stream_response(*ask)] == events
    model = ScriptedModel([ModelStep.stream(events, output=output)])
    assert (await model.get_response(*ask)).output == output


@pytest.mark.parametrize("module", [ours, theirs])
@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (5, "invalid_input"),
        ("text", "invalid_input"),
        ({"foo": 1}, "unsupported_field"),
    ],
)
def test_what_is_no_step_is_refused_before_it_is_queued(
    module: Any, step: Any, reason: str
) -> None:
    model = module.ScriptedModel()
    with pytest.raises(module.InvalidModelStep) as caught:
        model.extend([[module.assistant_message("a")], step])
    assert (caught.value.reason, caught.value.input_index) == (reason, 1)
    assert model.remaining_steps == 0


def test_steps_that_are_left_over_are_counted() -> None:
    model = ScriptedModel([[assistant_message("a")]])
    model.enqueue([assistant_message("b")])
    with pytest.raises(ours.UnconsumedModelSteps) as caught:
        model.assert_complete()
    assert caught.value.remaining_steps == 2


async def test_the_default_usage_is_that_of_steps_without_one() -> None:
    model = ScriptedModel(
        [[assistant_message("a")], ModelStep([assistant_message("b")], Usage(input_tokens=1))],
        default_usage=Usage(requests=1, input_tokens=7, output_tokens=2, total_tokens=9),
    )
    agent = Agent(name="A", model=model)
    spent = [(await Runner.run(agent, "hi")).context_wrapper.usage.input_tokens for _ in "ab"]
    assert spent == [7, 1]
