"""Draws the pictures of docs/img from runs without a network: ``python docs/pictures.py``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from agentstream import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrail,
    Runner,
    WebSearchTool,
    function_tool,
)
from agentstream.testing import Pace, ScriptedModel, call, hand_off, think, turn
from agentstream.trace.timeline.timeline import Timeline

HERE = Path(__file__).parent / "img"


@function_tool
async def get_weather(city: str) -> str:
    """Tell the weather."""
    await asyncio.sleep(0.6)
    return f"{city}: 21 °C, sunny"


@function_tool
async def search_flights(origin: str, destination: str) -> str:
    """Find flights."""
    await asyncio.sleep(1.1)
    return "TP 537, 9:40"


@function_tool
async def search_events(topic: str) -> str:
    """Find events."""
    await asyncio.sleep(0.5)
    return "Fado night, Alfama, 21:00"


@function_tool(needs_approval=True)
async def book_hotel(nights: int) -> str:
    """Book a hotel."""
    await asyncio.sleep(0.5)
    return f"booked {nights} nights"


async def on_topic(_context: Any, _agent: Any, _input: Any) -> GuardrailFunctionOutput:
    """Pass every question."""
    await asyncio.sleep(0.4)
    return GuardrailFunctionOutput(None, tripwire_triggered=False)


def team() -> Agent[Any]:
    """A concierge with a local expert at hand, and a colleague who books."""

    def says(*turns: Any) -> ScriptedModel:
        return ScriptedModel(list(turns), pace=Pace(60, 0.35))

    expert = Agent(
        name="Local expert",
        tools=[search_events],
        model=says(turn(call("search_events", topic="music")), "Go to Alfama and hear fado."),
    )
    booking = Agent(
        name="Booking",
        tools=[book_hotel],
        model=says(
            turn(call("book_hotel", nights=2)),
            "Your room is booked: two nights in **Lisbon**, fado on Friday, sun all weekend.",
        ),
    )
    return Agent(
        name="Concierge",
        tools=[
            get_weather,
            search_flights,
            WebSearchTool(),
            expert.as_tool("ask_local_expert", "Ask who lives there."),
        ],
        handoffs=[booking, Agent(name="Complaints", handoffs=[booking])],
        input_guardrails=[InputGuardrail(on_topic, name="on_topic", run_in_parallel=True)],
        model=says(
            turn(
                think("Weather, flights and what to do, all at once."),
                call("get_weather", city="Lisbon"),
                call("search_flights", origin="Hamburg", destination="Lisbon"),
                call("ask_local_expert", input="What is on this weekend?"),
            ),
            turn("I hand you over to our booking desk.", hand_off(booking)),
        ),
    )


async def run(agent: Agent[Any]) -> Any:
    """Run it, with somebody who approves after a while."""
    result = Runner.run_streamed(agent, "A weekend in Lisbon, please.")
    result.observe(lambda event: None)  # an agent that runs as a tool streams when somebody watches
    async for _ in result.stream_events():
        pass
    await asyncio.sleep(0.9)
    result.context_wrapper.approve_tool(result.interruptions[0])
    async for _ in result.resume().stream_events():
        pass
    return result


def main() -> None:
    """Draw both."""
    HERE.mkdir(exist_ok=True)
    agent = team()
    result = asyncio.run(run(agent))
    Timeline(result, title="A weekend in Lisbon").save(HERE / "timeline.png")
    agent.graph(result).save(HERE / "graph.png")


if __name__ == "__main__":
    main()
