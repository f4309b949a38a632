"""Tools may be called anything; what is sent is what the APIs take, and finds its way back."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI

from agentstream import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    RunState,
    function_tool,
    handoff,
    recording,
    tool_namespace,
)
from agentstream.models.tool_names import ToolNames
from agentstream.testing import ScriptedModel, ScriptedServer, call, turn

APIS = [OpenAIResponsesModel, OpenAIChatCompletionsModel]
FITS = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}").fullmatch
LONG = "search_in_all_of_the_documents_that_were_ever_written_by_anybody_at_all"
NAMES = [
    "notes.search",
    "notes search",
    "notes_search",
    "検索",
    "東京",
    LONG,
    LONG + "_now",
    "7zip",
    "ok",
]

both = pytest.mark.parametrize("api", APIS, ids=["responses", "chat"])
ways = pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])


def tool(name: str, calls: list[str]) -> Any:
    def run() -> str:
        """Note that it was called."""
        calls.append(name)
        return f"{name} ran"

    return function_tool(run, name_override=name)


def sent_names(body: dict[str, Any]) -> list[str]:
    """The names of the functions that a request has."""
    return [each.get("function", each)["name"] for each in body["tools"]]


def called_names(body: dict[str, Any]) -> list[str]:
    """The names of the calls in the conversation that a request has."""
    if "messages" in body:
        calls = [c for message in body["messages"] for c in message.get("tool_calls") or ()]
        return [each["function"]["name"] for each in calls]
    return [item["name"] for item in body["input"] if item.get("type") == "function_call"]


async def run(agent: Any, text: Any = "Go", *, streamed: bool) -> Any:
    if not streamed:
        return await Runner.run(agent, text)
    result = Runner.run_streamed(agent, text)
    async for _ in result.stream_events():
        pass
    return result


def by_what_was_sent(number: int) -> Callable[[Any], Any]:
    """A turn that calls the tool of this number by the name that it was sent under."""
    return lambda request: call(sent_names(request.body)[number])


@pytest.mark.pairwise
@both
@ways
@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
async def test_a_tool_of_any_name_is_called(api: Any, streamed: bool, number: int) -> None:
    calls: list[str] = []
    with ScriptedServer([by_what_was_sent(number), "Done."]) as server:
        client = AsyncOpenAI(base_url=server.base_url, api_key="none-at-all")
        agent: Agent[Any] = Agent(
            name="A", tools=[tool(name, calls) for name in NAMES], model=api("m", client)
        )
        result = await run(agent, streamed=streamed)
        first, second = (request.body for request in server.requests)
        await client.close()
    assert calls == [NAMES[number]]
    names = sent_names(first)
    assert all(map(FITS, names))
    assert len(set(names)) == len(NAMES)
    assert called_names(second) == [names[number]]
    assert names[2] == "notes_search"
    # Whoever looks at the run sees the author's name.
    assert result.new_items[0].tool_name == NAMES[number]
    assert result.raw_responses[0].output[0].name == NAMES[number]
    assert NAMES[number] in result.to_frame("items")["name"].to_list()
    assert result.to_input_list()[1]["name"] == NAMES[number]
    assert result.trace.parts[0].name == NAMES[number]


@both
async def test_events_of_a_call_have_the_authors_name(api: Any) -> None:
    with ScriptedServer([by_what_was_sent(0), "Done."]) as server:
        client = AsyncOpenAI(base_url=server.base_url, api_key="none-at-all")
        agent: Agent[Any] = Agent(name="A", tools=[tool("a.b", [])], model=api("m", client))
        result = Runner.run_streamed(agent, "Go")
        names = set()
        async for event in result.stream_events():
            data = getattr(event, "data", None)
            item = getattr(data, "item", None)
            outputs = getattr(getattr(data, "response", None), "output", None) or []
            names |= {each.name for each in (item, *outputs) if hasattr(each, "name")}
            if getattr(data, "type", "") == "response.function_call_arguments.done":
                names.add(data.name)  # type: ignore[union-attr]
        await client.close()
    assert names == {"a.b"}


@both
@ways
async def test_a_handoff_of_any_name_leads_to_its_agent(api: Any, streamed: bool) -> None:
    with ScriptedServer([by_what_was_sent(0), "I am here."]) as server:
        client = AsyncOpenAI(base_url=server.base_url, api_key="none-at-all")
        model = api("m", client)
        other: Agent[Any] = Agent(name="The one who knows everything there is to know " * 2)
        other.model = model
        named = handoff(Agent(name="B", model=model), tool_name_override="to.b")
        agent: Agent[Any] = Agent(name="A", handoffs=[other, named], model=model)
        result = await run(agent, streamed=streamed)
        first, second = (request.body for request in server.requests)
        await client.close()
    assert result.last_agent is other
    assert all(map(FITS, sent_names(first)))
    # The other agent has no such handoff: its name in the conversation fits all the same.
    assert called_names(second) == sent_names(first)[:1]


@both
async def test_the_tool_choice_names_the_tool_as_it_is_sent(api: Any) -> None:
    with ScriptedServer(["Done."]) as server:
        client = AsyncOpenAI(base_url=server.base_url, api_key="none-at-all")
        agent: Agent[Any] = Agent(
            name="A",
            tools=[tool("a.b", [])],
            model_settings=ModelSettings(tool_choice="a.b"),
            model=api("m", client),
        )
        await run(agent, streamed=True)
        choice = server.requests[0].body["tool_choice"]
        await client.close()
    assert choice.get("function", choice)["name"] == "a_b"


@ways
async def test_tools_of_a_namespace_have_any_name(streamed: bool) -> None:
    calls: list[str] = []
    script = turn(call("a_b"))
    with ScriptedServer([script, "Done."]) as server:
        client = AsyncOpenAI(base_url=server.base_url, api_key="none-at-all")
        spaced = tool_namespace(name="my notes", description="Notes.", tools=[tool("a.b", calls)])
        agent: Agent[Any] = Agent(name="A", tools=spaced, model=OpenAIResponsesModel("m", client))
        with pytest.raises(Exception, match="a.b"):  # the script calls it without its namespace
            await run(agent, streamed=streamed)
        [space] = server.requests[0].body["tools"]
        await client.close()
    assert (space["name"], space["tools"][0]["name"]) == ("my_notes", "a_b")
    names = ToolNames(["a.b", "my notes"])
    said = {"type": "function_call", "name": "a_b", "namespace": "my_notes"}
    assert names.items([said]) == [said | {"name": "a.b", "namespace": "my notes"}]
    assert names.input([said | {"name": "a.b", "namespace": "my notes"}]) == [said]


@both
async def test_an_approval_names_the_tool_as_its_author_does(api: Any) -> None:
    calls: list[str] = []
    gated = tool("notes.delete", calls)
    gated.needs_approval = True
    with ScriptedServer([by_what_was_sent(0), "Done."]) as server:
        client = AsyncOpenAI(base_url=server.base_url, api_key="none-at-all")
        agent: Agent[Any] = Agent(name="A", tools=[gated], model=api("m", client))
        saved = (await run(agent, streamed=True)).to_state().to_string()
        assert "notes.delete" in saved
        state = await RunState.from_string(agent, saved)
        [item] = state.get_interruptions()
        assert item.name == "notes.delete"
        state.approve(item, always_approve=True)
        await Runner.run(agent, state)
        assert called_names(server.requests[1].body) == ["notes_delete"]
        await client.close()
    assert calls == ["notes.delete"]


@both
@ways
async def test_a_recording_has_the_authors_names(path: Path, api: Any, streamed: bool) -> None:
    agent: Agent[Any] = Agent(name="A", tools=[tool("a.b", [])])
    with ScriptedServer([by_what_was_sent(0), "Done."]) as server:
        client = AsyncOpenAI(base_url=server.base_url, api_key="none-at-all")
        agent.model = api("m", client)
        with recording(path):
            await run(agent, streamed=streamed)
        await client.close()
    assert "a_b" not in path.read_text("utf-8")
    agent.model = "m"
    with recording(path, speed=None):
        assert (await run(agent, streamed=not streamed)).final_output == "Done."


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recording.jsonl"


async def test_a_model_of_ones_own_is_given_the_names_as_they_are() -> None:
    calls: list[str] = []
    model = ScriptedModel([call("a.b"), "Done."])
    await run(Agent(name="A", tools=[tool("a.b", calls)], model=model), streamed=True)
    assert calls == ["a.b"]


@given(st.lists(st.text(st.characters(), max_size=80), unique=True, max_size=8))
def test_names_that_are_sent_fit_and_are_as_many(names: list[str]) -> None:
    mapped = ToolNames(names)
    sent = [mapped.sent(name) for name in names]
    assert all(map(FITS, sent))
    assert len(set(sent)) == len(names)
    calls = [{"type": "function_call", "name": name} for name in sent]
    assert [each["name"] for each in mapped.items(calls)] == names
    assert [mapped.sent(name) for name in sent] == sent
