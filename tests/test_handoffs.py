"""handoff(): what it makes of an agent, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from agentstream import Agent, UserError, handoff


@pytest.mark.parametrize("wrong", ["Billing", None, 3, Agent])
def test_only_an_agent_can_be_handed_to(wrong: Any) -> None:
    with pytest.raises(UserError, match="agent to hand to"):
        handoff(wrong)


def test_an_input_filter_is_a_function() -> None:
    with pytest.raises(UserError, match="input_filter"):
        handoff(Agent(name="B"), input_filter="all")  # type: ignore[arg-type]


def test_input_and_callback_belong_together() -> None:
    with pytest.raises(UserError, match="on_handoff"):
        handoff(Agent(name="B"), input_type=int)
    with pytest.raises(UserError, match="callable"):
        handoff(Agent(name="B"), on_handoff="x")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="two arguments"):
        handoff(Agent(name="B"), on_handoff=lambda context: None, input_type=int)
    with pytest.raises(UserError, match="one argument"):
        handoff(Agent(name="B"), on_handoff=lambda context, given: None)
