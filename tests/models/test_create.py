"""How the client's `create()` is called: a program that wraps it sees what is asked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai
import pytest
from openai.resources.chat.completions import AsyncCompletions
from openai.resources.responses import AsyncResponses

from agentstream import (
    Agent,
    ModelSettings,
    MultiProvider,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    function_tool,
)
from agentstream.models.create import create_response, is_wrapped, stream_response
from agentstream.testing import ScriptedServer


@function_tool
def look(city: str) -> str:
    """Look."""
    return city


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer(["Fine."], loop=True) as server:
        yield server


def agent_of(server: ScriptedServer, kind: Any, client: openai.AsyncOpenAI) -> Agent[Any]:
    return Agent(name="A", instructions="Be brief.", model=kind("any", client), tools=[look])


async def ask(agent: Agent[Any], *, streamed: bool) -> Any:
    if not streamed:
        return (await Runner.run(agent, "Hi")).final_output
    result = Runner.run_streamed(agent, "Hi")
    async for _ in result.stream_events():
        pass
    return result.final_output


APIS = {
    "responses": (OpenAIResponsesModel, AsyncResponses, "input"),
    "chat": (OpenAIChatCompletionsModel, AsyncCompletions, "messages"),
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", APIS)
async def test_a_tracer_that_wraps_the_class_sees_input_and_tools(
    api: str, streamed: bool, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, resource, field = APIS[api]
    create, seen = resource.create, []

    async def traced(self: Any, **arguments: Any) -> Any:
        seen.append(arguments)
        return await create(self, **arguments)

    monkeypatch.setattr(resource, "create", traced)
    assert await ask(agent_of(server, kind, server.client()), streamed=streamed) == "Fine."
    assert "Hi" in str(seen[0][field])
    assert seen[0]["tools"]
    assert "extra_body" not in seen[0]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", APIS)
async def test_a_tracer_that_wraps_the_class_sees_them_of_a_model_that_is_named_as_well(
    api: str, streamed: bool, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, resource, field = APIS[api]
    create, seen = resource.create, []

    async def traced(self: Any, **arguments: Any) -> Any:
        seen.append(arguments)
        return await create(self, **arguments)

    monkeypatch.setattr(resource, "create", traced)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", str(server.client().base_url))
    provider = MultiProvider(openai_use_responses=api == "responses")
    config = RunConfig(model_provider=provider)
    agent = agent_of(server, OpenAIResponsesModel, server.client()).clone(model="any")
    if streamed:
        result: Any = Runner.run_streamed(agent, "Hi", run_config=config)
        await result.wait()
    else:
        result = await Runner.run(agent, "Hi", run_config=config)
    assert result.final_output == "Fine."
    assert "Hi" in str(seen[0][field])
    assert seen[0]["tools"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", APIS)
async def test_a_tracer_that_wraps_the_client_sees_input_and_tools(
    api: str, streamed: bool, server: ScriptedServer
) -> None:
    kind, _, field = APIS[api]
    client, seen = server.client(max_retries=2), []
    place: Any = client.responses if api == "responses" else client.chat.completions
    create = place.create

    async def traced(**arguments: Any) -> Any:
        seen.append(arguments)
        return await create(**arguments)

    place.create = traced
    assert await ask(agent_of(server, kind, client), streamed=streamed) == "Fine."
    assert "Hi" in str(seen[0][field])
    assert seen[0]["tools"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", APIS)
async def test_the_request_is_the_same_whether_somebody_looks_on_or_not(
    api: str, streamed: bool, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, resource, _ = APIS[api]
    settings = ModelSettings(
        temperature=0.5,
        metadata={"a": "b"},
        extra_headers={"x-mine": "1"},
        extra_query={"q": "2"},
        extra_body={"seed": 3},
    )
    agent = agent_of(server, kind, server.client()).clone(model_settings=settings)
    await ask(agent, streamed=streamed)
    create = resource.create

    async def traced(self: Any, **arguments: Any) -> Any:
        return await create(self, **arguments)

    monkeypatch.setattr(resource, "create", traced)
    await ask(agent, streamed=streamed)
    ours, theirs = server.requests
    assert json.dumps(ours.body, sort_keys=True) == json.dumps(theirs.body, sort_keys=True)
    assert ours.path == theirs.path
    assert ours.headers["x-mine"] == theirs.headers["x-mine"] == "1"
    assert ours.body["seed"] == 3


@pytest.mark.parametrize("timeout", [None, 3.0, openai.NOT_GIVEN, openai.Timeout(4.0, read=9.0)])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_timeout_counts_as_the_client_counts_it(timeout: Any, streamed: bool) -> None:
    seen: list[Any] = []

    def refuse(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.extensions["timeout"])
        return httpx2.Response(400)

    transport = httpx2.MockTransport(refuse)
    client = openai.AsyncOpenAI(api_key="k", http_client=httpx2.AsyncClient(transport=transport))
    arguments: dict[str, Any] = {"model": "any", "input": "Hi", "timeout": timeout}
    with pytest.raises(openai.BadRequestError):
        await client.responses.create(**arguments)
    with pytest.raises(openai.BadRequestError):
        if streamed:
            async with stream_response(client, arguments):
                pass
        else:
            await create_response(client, arguments)
    assert seen[0] == seen[1]


async def test_half_a_surrogate_in_an_extra_body_is_sent_as_the_replacement_character(
    server: ScriptedServer,
) -> None:
    extra = {"user_name": "caf\udce9"}
    arguments = {"model": "any", "input": "Hi", "extra_body": extra}
    await create_response(server.client(), arguments)
    assert server.requests[-1].body["user_name"] == "caf\ufffd"
    assert arguments["extra_body"] is extra


async def test_an_answer_is_what_the_client_makes_of_it(server: ScriptedServer) -> None:
    client = server.client()
    ours = await create_response(client, {"model": "any", "input": "Hi"})
    theirs = await client.responses.create(model="any", input="Hi")
    skipped = {"id", "created_at"}
    dumped = [each.model_dump(exclude=skipped, warnings=False) for each in (ours, theirs)]
    for each in dumped:
        for item in each["output"]:
            item.pop("id")
    assert dumped[0] == dumped[1]
    assert type(ours) is type(theirs)
    assert [type(item) for item in ours.output] == [type(item) for item in theirs.output]


def test_what_is_wrapped_is_known() -> None:
    client = openai.AsyncOpenAI(api_key="none")
    for own in (client.responses.create, client.chat.completions.create):
        assert not is_wrapped(own)
    for other in (lambda **arguments: None, print, None, object()):
        assert is_wrapped(other)
