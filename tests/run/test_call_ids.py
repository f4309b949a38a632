"""Each call of an answer has an id of its own, is run once, and is answered once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from openai.types.responses import Response, ResponseFunctionToolCall

from agentstream import Agent, ModelBehaviorError, Runner, RunState, function_tool, recording
from agentstream.items import (
    HandoffOutputItem,
    ModelResponse,
    ToolCallItem,
    ToolCallOutputItem,
)
from agentstream.models.base import Model
from agentstream.models.output_items import output_item
from agentstream.run.call_ids import with_call_ids
from agentstream.run.decide import Act, Ask, decide
from agentstream.testing import ScriptedModel, call, turn
from agentstream.usage import Usage

BOTH_WAYS = pytest.mark.parametrize("streamed", [False, True], ids=["run", "streamed"])
UNUSABLE = pytest.mark.parametrize("call_id", [None, "", ...], ids=["null", "empty", "missing"])


def called(call_id: Any, amount: int = 1, name: str = "charge", **more: Any) -> Any:
    fields = {"type": "function_call", "name": name, "arguments": f'{{"amount": {amount}}}', **more}
    if call_id is not ...:
        fields["call_id"] = call_id
    return ResponseFunctionToolCall.model_construct(**fields)


def message(text: str) -> Any:
    part = {"type": "output_text", "text": text, "annotations": []}
    fields = {"type": "message", "id": "m", "role": "assistant", "status": "completed"}
    return output_item({**fields, "content": [part]})


class Given(Model):
    """A model of a user's own: gives these answers, streamed in one piece or not at all."""

    def __init__(self, *answers: list[Any]) -> None:
        self.answers = [*answers, [message("done")]]
        self.inputs: list[Any] = []

    def _next(self, input: Any) -> list[Any]:
        self.inputs.append(list(input))
        return self.answers[min(len(self.inputs), len(self.answers)) - 1]

    async def get_response(self, system_instructions: Any, input: Any, *_: Any, **__: Any) -> Any:
        return ModelResponse(output=self._next(input), usage=Usage(), response_id="r")

    async def stream_response(
        self, system_instructions: Any, input: Any, *_: Any, **__: Any
    ) -> Any:
        from openai.types.responses import (
            ResponseCompletedEvent,
            ResponseOutputItemAddedEvent,
            ResponseOutputItemDoneEvent,
        )

        output = self._next(input)
        for at, item in enumerate(output):
            for kind, name in (
                (ResponseOutputItemAddedEvent, "added"),
                (ResponseOutputItemDoneEvent, "done"),
            ):
                yield kind.model_construct(
                    type=f"response.output_item.{name}", item=item, output_index=at
                )
        response = Response.model_construct(id="r", output=output, usage=None, status="completed")
        yield ResponseCompletedEvent.model_construct(type="response.completed", response=response)


class Till:
    def __init__(self) -> None:
        self.done: list[int] = []

    def tool(self, **more: Any) -> Any:
        @function_tool(**more)
        def charge(amount: int) -> str:
            self.done.append(amount)
            return f"charged {amount}"

        return charge


async def run(agent: Agent[Any], given: Any = "go", streamed: bool = False, **more: Any) -> Any:
    async def drain() -> Any:
        if not streamed:
            return await Runner.run(agent, given, **more)
        result = Runner.run_streamed(agent, given, **more)
        async for _ in result.stream_events():
            pass
        return result

    return await asyncio.wait_for(drain(), 5)


def pairs(items: list[Any]) -> list[tuple[str, str]]:
    """The ids of calls and outputs in what a model was sent."""
    return [
        ("out" if item["type"].endswith("output") else "call", item["call_id"])
        for item in items
        if item.get("type", "").startswith("function_call")
    ]


def is_whole(items: list[Any]) -> bool:
    calls = [call_id for kind, call_id in pairs(items) if kind == "call"]
    outs = [call_id for kind, call_id in pairs(items) if kind == "out"]
    return sorted(calls) == sorted(outs) and len(set(calls)) == len(calls) and all(calls)


@BOTH_WAYS
@UNUSABLE
async def test_a_call_without_an_id_is_given_one_and_runs_once(
    call_id: Any, streamed: bool
) -> None:
    till, model = Till(), Given([called(call_id, id="f")])
    result = await run(Agent(name="A", model=model, tools=[till.tool()]), streamed=streamed)
    assert till.done == [1]
    assert result.final_output == "done"
    assert is_whole(model.inputs[-1])
    assert len(pairs(model.inputs[-1])) == 2
    assert is_whole(result.to_input_list())
    assert is_whole(
        [i for r in result.raw_responses for i in r.to_input_items()]
        + [i.to_input_item() for i in result.new_items if isinstance(i, ToolCallOutputItem)]
    )
    (part,) = [part for part in result.trace.parts if part.kind == "tool"]
    assert (part.output, part.status) == ("charged 1", "completed")


@BOTH_WAYS
async def test_several_calls_without_ids_are_several_calls(streamed: bool) -> None:
    till, model = Till(), Given([called(None, 1), called("", 2), called(..., 2)])
    result = await run(Agent(name="A", model=model, tools=[till.tool()]), streamed=streamed)
    assert sorted(till.done) == [1, 2, 2]
    assert is_whole(model.inputs[-1])
    parts = [part for part in result.trace.parts if part.kind == "tool"]
    assert [part.output for part in parts] == ["charged 1", "charged 2", "charged 2"]


@BOTH_WAYS
async def test_a_call_that_is_sent_twice_runs_once(streamed: bool) -> None:
    for twice in (
        [called("c", id="f"), called("c", id="f")],
        [called("c", id="f"), called("c", id="g", status="completed")],
        [called(None, id="f"), called(None, id="f")],
    ):
        till, model = Till(), Given(twice)
        await run(Agent(name="A", model=model, tools=[till.tool()]), streamed=streamed)
        assert till.done == [1]
        assert [kind for kind, _ in pairs(model.inputs[-1])] == ["call", "out"]
        assert is_whole(model.inputs[-1])


@BOTH_WAYS
async def test_two_calls_with_one_id_are_told_apart(streamed: bool) -> None:
    till, model = Till(), Given([called("c", 1), called("c", 1000)])
    result = await run(Agent(name="A", model=model, tools=[till.tool()]), streamed=streamed)
    assert sorted(till.done) == [1, 1000]
    assert is_whole(model.inputs[-1])
    parts = [part for part in result.trace.parts if part.kind == "tool"]
    assert [part.output for part in parts] == ["charged 1", "charged 1000"]


async def test_an_approval_covers_one_of_two_calls_with_one_id() -> None:
    till, model = Till(), Given([called("c", 1), called("c", 1000)])
    agent = Agent(name="A", model=model, tools=[till.tool(needs_approval=True)])
    result = await run(agent)
    assert len({item.call_id for item in result.interruptions}) == 2
    state = await RunState.from_string(agent, result.to_state().to_string())
    state.approve(state.get_interruptions()[0])
    state.reject(state.get_interruptions()[1])
    await run(agent, state)
    assert till.done == [1]
    assert is_whole(model.inputs[-1])


@pytest.mark.parametrize("calls", [[called(None)], [called("c", 1), called("c", 2)]])
async def test_where_the_server_keeps_the_history_such_a_call_is_an_error(calls: Any) -> None:
    till = Till()
    agent = Agent(name="A", model=Given(calls), tools=[till.tool()])
    with pytest.raises(ModelBehaviorError, match="cannot be answered"):
        await run(agent, previous_response_id="r0")
    assert till.done == []


async def test_a_call_without_an_id_waits_for_its_approval_also_in_json() -> None:
    till, model = Till(), Given([called(None)])
    agent = Agent(name="A", model=model, tools=[till.tool(needs_approval=True)])
    result = await run(agent)
    assert till.done == []
    state = await RunState.from_string(agent, result.to_state().to_string())
    state.approve(state.get_interruptions()[0])
    result = await run(agent, state)
    assert till.done == [1]
    assert is_whole(model.inputs[-1])


async def test_nested_agents_without_ids_run_once_each() -> None:
    till = Till()
    inner_model = Given([called(None)])
    inner = Agent(name="Inner", model=inner_model, tools=[till.tool()])
    tool = inner.as_tool("inner", None)
    calls = [
        called(None, name="inner", arguments='{"input": "a"}'),
        called(None, name="inner", arguments='{"input": "b"}'),
    ]
    inner_model.answers = [[called(None)], [called(None)], [message("x")], [message("x")]]
    model = Given(calls)
    await run(Agent(name="Outer", model=model, tools=[tool]))
    assert till.done == [1, 1]
    assert is_whole(model.inputs[-1])


@BOTH_WAYS
async def test_a_handoff_without_an_id_is_made_once(streamed: bool) -> None:
    model = Given([called(None, name="transfer_to_b", arguments="{}")] * 2)
    agent = Agent(name="A", model=model, handoffs=[Agent(name="B", model=model)])
    result = await run(agent, streamed=streamed)
    assert result.last_agent.name == "B"
    assert sum(isinstance(item, HandoffOutputItem) for item in result.new_items) == 1
    assert is_whole(model.inputs[-1])


def asks(request_id: Any, arguments: str = "{}") -> Any:
    return {
        "type": "mcp_approval_request",
        "id": request_id,
        "name": "f",
        "server_label": "one",
        "arguments": arguments,
    }


def test_an_approval_request_is_kept_once_and_must_have_an_id_of_its_own() -> None:
    assert with_call_ids([asks("r"), asks("r")]) == [asks("r")]
    for wrong in ([asks(None)], [asks("")], [asks("r"), asks("r", '{"all": true}')]):
        with pytest.raises(ModelBehaviorError, match="mcp_approval_request of f"):
            with_call_ids(wrong)


def test_what_is_no_call_of_this_side_stays_as_it_is() -> None:
    output = [{"type": "web_search_call", "id": "w"}, {"type": "message"}, {}] * 2
    assert with_call_ids(output) == output


@pytest.mark.parametrize("call_id", [None, "", "c"])
def test_a_call_is_not_answered_twice_whatever_its_id(call_id: Any) -> None:
    agent = Agent(name="A")
    item = ToolCallItem(agent, called(call_id, id="f"))
    assert decide(agent, [item]) == Act((item,))
    raw = {"type": "function_call_output", "call_id": call_id, "output": "7"}
    assert decide(agent, [item, ToolCallOutputItem(agent, raw, "7")]) == Ask()


async def test_a_call_whose_output_does_not_name_it_is_an_error_and_no_spin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from agentstream.items import ItemHelpers

    till = Till()

    def other(call: Any, output: Any, **_: Any) -> Any:
        return {"type": "function_call_output", "call_id": "another", "output": output}

    monkeypatch.setattr(ItemHelpers, "tool_call_output_item", other)
    agent = Agent(name="A", model=Given([called("c")]), tools=[till.tool()])
    with pytest.raises(ModelBehaviorError, match="does not name it"):
        await run(agent)
    assert till.done == [1]


async def test_a_replay_gives_a_call_without_an_id_the_same_one(tmp_path: Any) -> None:
    def agent(model: Any) -> Any:
        return Agent(name="A", model=model, tools=[look])

    @function_tool
    def look(n: int) -> str:
        return f"saw {n}"

    def nameless(n: int) -> Any:
        part = call("look", n=n)
        added, done = ({**fields, "call_id": ""} for fields in (part.added, part.done))
        return replace(part, added=added, done=done)

    answer = turn(nameless(1), nameless(1), nameless(2))
    for model in (ScriptedModel([answer, answer, "Done."]), "scripted"):
        with recording(tmp_path / "run.jsonl", speed=None):
            result = await Runner.run(agent(model), "go")
        assert result.final_output == "Done."
        ids = {item.call_id for item in result.new_items if item.type == "tool_call_output_item"}
        assert len(ids) >= 4
