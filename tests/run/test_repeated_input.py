"""What a call_model_input_filter repeats is sent once."""

from __future__ import annotations

from typing import Any

import pytest

from agentstream import Agent, CallModelData, ModelInputData, RunConfig, Runner
from agentstream.testing import ScriptedModel

CALL = {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "1", "output": "old"}
NEW_OUTPUT = {**OUTPUT, "output": "new"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": []}
USER = {"role": "user", "content": "Go"}


async def sent(given: list[Any], added: list[Any]) -> list[Any]:
    """What the model is sent of `given` where a filter adds items."""

    def add(data: CallModelData[Any]) -> ModelInputData:
        model_data = data.model_data
        return ModelInputData([*model_data.input, *added], model_data.instructions)

    model = ScriptedModel(["Done."])
    config = RunConfig(call_model_input_filter=add)
    await Runner.run(Agent(name="A", model=model), given, run_config=config)
    return list(model.requests[-1].input)


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ([CALL, OUTPUT, CALL], [CALL, OUTPUT]),
        ([CALL, OUTPUT, NEW_OUTPUT], [CALL, NEW_OUTPUT]),
        ([OUTPUT, CALL, NEW_OUTPUT], [CALL, NEW_OUTPUT]),
        ([THOUGHT, CALL, OUTPUT, THOUGHT], [THOUGHT, CALL, OUTPUT]),
        ([USER, USER], [USER, USER]),
    ],
)
async def test_an_item_that_a_filter_repeats_is_sent_once_as_it_was_given_last(
    added: list[Any], expected: list[Any]
) -> None:
    assert await sent([USER], added) == [USER, *expected]
    first, *rest = added
    assert await sent([USER, first], rest) == [USER, *expected]


async def test_calls_of_a_server_that_begins_its_ids_again_are_all_sent() -> None:
    twice = [USER, CALL, OUTPUT, CALL, NEW_OUTPUT]
    assert await sent(twice, [USER]) == [*twice, USER]
