"""What the SDK's own tests pin of its public interface, and had found to be another here."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field

from agentstream import (
    Agent,
    RunConfig,
    Runner,
    RunState,
    UserError,
    handoff,
)
from agentstream.function_schema import function_schema
from agentstream.models.retry import RetryPolicyContext
from agentstream.models.retry_policy import ModelRetryNormalizedError
from agentstream.run.agent_runner import set_default_agent_runner
from agentstream.testing import ScriptedModel, call


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
