"""What the SDK refuses is refused: mistakes that would pass for something else."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pydantic import ValidationError

from agentstream import (
    Agent,
    ModelRetryBackoffSettings,
    ModelRetrySettings,
    MultiProvider,
    Runner,
    SQLiteSession,
    ToolExecutionConfig,
    UserError,
    function_tool,
)
from agentstream.models.provider import MultiProviderMap
from agentstream.testing import ScriptedModel, call


def lookup() -> str:
    return "found"


@pytest.mark.parametrize("wanted", ["always", None, 1])
def test_an_approval_policy_is_a_bool_or_a_function(wanted: Any) -> None:
    with pytest.raises(UserError, match="needs_approval of tool 'lookup'"):
        function_tool(lookup, needs_approval=wanted)


def test_a_text_is_no_bool_of_the_early_input_guardrails() -> None:
    with pytest.raises(ValueError, match="must be a bool"):
        ToolExecutionConfig(pre_approval_tool_input_guardrails=cast(Any, "false"))


@pytest.mark.parametrize("name", ["initial_delay", "max_delay", "multiplier"])
def test_no_wait_is_negative(name: str) -> None:
    for make in (lambda: ModelRetryBackoffSettings(**{name: -0.1}),
                 lambda: ModelRetrySettings(backoff=cast(Any, {name: -0.1}))):  # fmt: skip
        with pytest.raises(ValidationError, match="greater than or equal to 0"):
            make()


@pytest.mark.parametrize("bad", [object(), float("nan"), float("inf")])
async def test_custom_data_is_what_json_can_hold(bad: Any) -> None:
    tool = function_tool(lookup, custom_data_extractor=lambda _: {"bad": [bad]})
    agent = Agent(name="A", tools=[tool], model=ScriptedModel([call("lookup"), "Done."]))
    with pytest.raises(UserError, match="JSON-compatible"):
        await Runner.run(agent, "Hi")


async def test_a_closed_session_takes_no_items_not_even_none() -> None:
    session = SQLiteSession("s")
    session.close()
    with pytest.raises(RuntimeError, match="closed"):
        await session.add_items([])


async def test_every_provider_is_closed_though_one_cannot_be() -> None:
    class Provider:
        def __init__(self, error: Exception | None) -> None:
            self.error, self.closed = error, False

        async def aclose(self) -> None:
            self.closed = True
            if self.error is not None:
                raise self.error

    first = RuntimeError("first")
    providers = [Provider(first), Provider(RuntimeError("second")), Provider(None)]
    known = MultiProviderMap()
    for at, provider in enumerate(providers):
        known.add_provider(str(at), cast(Any, provider))
    with pytest.raises(RuntimeError) as caught:
        await MultiProvider(provider_map=known, openai_api_key="k").aclose()
    assert caught.value is first
    assert all(provider.closed for provider in providers)
