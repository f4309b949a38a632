"""A program may put a runner of its own behind `Runner`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from agentstream import Agent, Runner
from agentstream.run.agent_runner import (
    AgentRunner,
    get_default_agent_runner,
    set_default_agent_runner,
)
from agentstream.testing import ScriptedModel


class Counting(AgentRunner):
    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []

    async def run(self, starting_agent: Any, input: Any, **options: Any) -> Any:
        self.seen.append(("run", input))
        return await super().run(starting_agent, input, **options)

    def run_streamed(self, starting_agent: Any, input: Any, **options: Any) -> Any:
        self.seen.append(("run_streamed", options.get("max_turns")))
        return super().run_streamed(starting_agent, input, **options)


@pytest.fixture(autouse=True)
def ours_again() -> Iterator[None]:
    yield
    set_default_agent_runner(None)


def agent() -> Agent[Any]:
    return Agent(name="A", model=ScriptedModel(["Hi."], loop=True))


async def test_every_way_to_run_goes_through_it() -> None:
    counting = Counting()
    set_default_agent_runner(counting)
    assert get_default_agent_runner() is counting
    assert (await Runner.run(agent(), "a")).final_output == "Hi."
    streamed = Runner.run_streamed(agent(), "b", max_turns=3)
    await streamed.wait()
    assert streamed.final_output == "Hi."
    assert counting.seen == [("run", "a"), ("run_streamed", 3)]


def test_run_sync_goes_through_its_run() -> None:
    set_default_agent_runner(Counting())
    assert Runner.run_sync(agent(), "c").final_output == "Hi."
    assert get_default_agent_runner().seen == [("run", "c")]


async def test_without_one_agentstream_runs_and_mistakes_are_told_as_before() -> None:
    assert type(get_default_agent_runner()) is AgentRunner
    with pytest.raises(TypeError, match="Did you mean 'session'"):
        await Runner.run(agent(), "a", sesion=None)  # type: ignore[call-arg]
    assert (await AgentRunner().run(agent(), "a")).final_output == "Hi."
