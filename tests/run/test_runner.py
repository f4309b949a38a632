"""Runner: what is wrong with a run's arguments is told at once, in words."""

from __future__ import annotations

from typing import Any

import pytest

from agentstream import Agent, AgentHooks, RunHooks, Runner, UserError
from agentstream.testing import ScriptedModel

WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"input": None}, UserError, "input must be a string"),
    ({"input": b"hi"}, UserError, "input must be a string"),
    ({"input": {"role": "user"}}, UserError, "input must be a string"),
    ({"starting_agent": "A"}, UserError, "must be an Agent"),
    ({"starting_agent": None}, UserError, "must be an Agent"),
    ({"starting_agent": Agent}, UserError, "must be an Agent"),
    ({"max_turns": "5"}, UserError, "max_turns must be a number"),
    ({"error_handlers": print}, UserError, "error_handlers must be a dict"),
    ({"hooks": AgentHooks()}, TypeError, "AgentHooks belong to Agent"),
    ({"hooks": RunHooks}, TypeError, "instance of RunHooks"),
    ({"run_config": 3}, TypeError, "must be a RunConfig instance or a dict"),
    ({"run_config": {"nope": 1}}, TypeError, "Unknown run_config settings: nope"),
]


@pytest.mark.parametrize(("given", "kind", "words"), WRONG, ids=[str(w[0]) for w in WRONG])
async def test_wrong_arguments_are_refused(
    given: dict[str, Any], kind: type[Exception], words: str
) -> None:
    agent = Agent(name="A", model=ScriptedModel(["Hello."]))
    arguments = {"starting_agent": agent, "input": "hi", **given}
    with pytest.raises(kind, match=words):
        await Runner.run(**arguments)
    with pytest.raises(kind, match=words):
        Runner.run_streamed(**arguments)
