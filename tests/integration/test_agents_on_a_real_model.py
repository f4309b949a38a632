"""Agents on a real model: what is streamed, how it ends, and that leaving early stops the work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from openai import AsyncOpenAI
from openai.types.responses import ResponseTextDeltaEvent
from pydantic import BaseModel

from agentstream import (
    Agent,
    ItemHelpers,
    Model,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    RunResultStreaming,
    SQLiteSession,
)
from tests.integration.conftest import LlamaServer

MakeModel = Callable[[AsyncOpenAI], Model]
ENDLESS = ModelSettings(temperature=0, max_tokens=3000, extra_body={"ignore_eos": True})
"""Settings under which the server goes on to 3,000 tokens unless it is stopped."""


def responses(client: AsyncOpenAI) -> Model:
    return OpenAIResponsesModel(model="smollm2", openai_client=client)


def chat(client: AsyncOpenAI) -> Model:
    return OpenAIChatCompletionsModel(model="smollm2", openai_client=client)


both_apis = pytest.mark.parametrize("make_model", [responses, chat])


def teller(model: Model, settings: ModelSettings) -> Agent[Any]:
    return Agent(
        name="Teller", instructions="Tell short stories.", model=model, model_settings=settings
    )


def deltas_in(event: Any) -> str:
    is_delta = event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent)
    return event.data.delta if is_delta else ""


@both_apis
async def test_text_arrives_in_pieces_that_make_up_the_final_output(
    llama_client: AsyncOpenAI, make_model: MakeModel
) -> None:
    agent = teller(make_model(llama_client), ModelSettings(temperature=0, max_tokens=40))
    result = Runner.run_streamed(agent, "A story of a boat.")
    pieces, names = [], []
    async for event in result.stream_events():
        if piece := deltas_in(event):
            pieces.append(piece)
        if event.type == "run_item_stream_event":
            names.append(event.name)
    assert len(pieces) > 10
    assert "".join(pieces) == result.final_output
    assert names == ["message_output_created"]
    assert ItemHelpers.text_message_outputs(result.new_items) == result.final_output
    assert result.is_complete


@both_apis
async def test_usage_is_what_the_server_counted(
    llama_server: LlamaServer, llama_client: AsyncOpenAI, make_model: MakeModel
) -> None:
    before = llama_server.metric("tokens_predicted_total")
    agent = teller(make_model(llama_client), ModelSettings(temperature=0, max_tokens=20))
    result = Runner.run_streamed(agent, "A story of a lamp.")
    async for _ in result.stream_events():
        pass
    usage = result.context_wrapper.usage
    assert usage.requests == 1
    assert usage.output_tokens == llama_server.metric("tokens_predicted_total") - before > 0
    assert usage.input_tokens > 10
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens


class City(BaseModel):
    """What the model is made to answer with."""

    name: str
    population: int
    is_capital: bool


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_follows_the_schema_of_output_type(
    llama_client: AsyncOpenAI, streamed: bool
) -> None:
    # The server turns the schema into a grammar, so that even this model can only follow it;
    # through /v1/responses it takes no schema (llama.cpp of 2026-10).
    agent = Agent(
        name="Geographer",
        instructions="Answer in JSON.",
        model=chat(llama_client),
        model_settings=ModelSettings(temperature=0, max_tokens=200),
        output_type=City,
    )
    if streamed:
        result: Any = Runner.run_streamed(agent, "Describe Paris.")
        async for _ in result.stream_events():
            pass
    else:
        result = await Runner.run(agent, "Describe Paris.")
    assert isinstance(result.final_output, City)
    assert result.final_output_as(City).name


async def idle(server: LlamaServer) -> None:
    """Wait until no slot generates; half a minute is for a busy machine."""
    limit = time.monotonic() + 30
    while server.is_processing():
        assert time.monotonic() < limit, "the server still generates for a run that was left"
        await asyncio.sleep(0.02)


async def by_break(result: RunResultStreaming) -> None:
    """Leave the loop after 20 pieces of text."""
    count = 0
    async for event in result.stream_events():
        count += bool(deltas_in(event))
        if count == 20:
            break


async def by_cancel(result: RunResultStreaming) -> None:
    """Ask the run to stop after 20 pieces of text, and read what is left."""
    count = 0
    async for event in result.stream_events():
        count += bool(deltas_in(event))
        if count == 20:
            result.cancel()


@both_apis
@pytest.mark.parametrize("leave", [by_break, by_cancel])
async def test_leaving_a_run_stops_the_servers_work(
    llama_server: LlamaServer,
    llama_client: AsyncOpenAI,
    make_model: MakeModel,
    leave: Callable[[RunResultStreaming], Any],
) -> None:
    before = llama_server.metric("tokens_predicted_total")
    result = Runner.run_streamed(teller(make_model(llama_client), ENDLESS), "A story of a road.")
    await leave(result)
    await idle(llama_server)
    generated = llama_server.metric("tokens_predicted_total") - before
    assert 20 <= generated < 1500, "of the 3,000 that were asked for"
    assert result.is_complete


async def test_cancelling_the_task_that_reads_a_run_stops_the_servers_work(
    llama_server: LlamaServer, llama_client: AsyncOpenAI
) -> None:
    # Streamed: a request that is not streamed this server finishes even for a client that is gone.
    async def read() -> None:
        agent = teller(responses(llama_client), ENDLESS)
        async with Runner.run_streamed(agent, "A story of a tree.") as result:
            async for event in result.stream_events():
                if deltas_in(event):
                    arrived.set()

    arrived = asyncio.Event()
    before = llama_server.metric("tokens_predicted_total")
    task = asyncio.create_task(read())
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await idle(llama_server)
    assert llama_server.metric("tokens_predicted_total") - before < 1500


async def test_a_session_gives_the_second_turn_the_first(
    llama_server: LlamaServer, llama_client: AsyncOpenAI
) -> None:
    session = SQLiteSession("real model")
    agent = teller(chat(llama_client), ModelSettings(temperature=0, max_tokens=16))
    first = await Runner.run(agent, "A story of a hat.", session=session)
    second = await Runner.run(agent, "And then?", session=session)
    roles = [item["role"] for item in await session.get_items()]
    assert roles == ["user", "assistant", "user", "assistant"]
    assert second.context_wrapper.usage.input_tokens > first.context_wrapper.usage.input_tokens
