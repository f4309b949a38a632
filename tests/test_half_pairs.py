"""Half a surrogate pair, wherever somebody says one: what keeps a run keeps it, too.

Models emit such halves, and `os.listdir` gives them for names that are not UTF-8.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from agentstream import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    RunState,
    SQLiteSession,
    UserError,
    function_tool,
    handoff,
    load_run,
    recording,
)
from agentstream.testing import ScriptedModel, ScriptedServer, call

HALF = "caf\udce9 \ud83d!"
ESCAPED = r'{"text": "caf\udce9 \ud83d!"}'
READ = "caf� �!"


@function_tool
def echo(text: str) -> str:
    """Say it again, with a half of its own."""
    return f"{text} {HALF}"


def helper(*script: Any, **fields: Any) -> Agent[Any]:
    model = ScriptedModel([*script, "Done " + HALF])
    return Agent(name="Helper", instructions=HALF, tools=[echo], model=model, **fields)


async def run(agent: Agent[Any], text: Any = HALF, *, streamed: bool = True, **options: Any) -> Any:
    if not streamed:
        return await Runner.run(agent, text, **options)
    result = Runner.run_streamed(agent, text, **options)
    async for _ in result.stream_events():
        pass
    return result


CALLS = [call("echo", ESCAPED), call("echo", text=HALF)]
ways = pytest.mark.parametrize("streamed", [True, False])
spelled = pytest.mark.parametrize("said", CALLS, ids=["escaped", "raw"])


@ways
@spelled
async def test_a_saved_run_is_text_that_a_file_holds(
    tmp_path: Path, streamed: bool, said: Any
) -> None:
    agent = helper(said)
    agent.tools = [replace(echo, needs_approval=True)]
    file = tmp_path / "state.json"
    file.write_text((await run(agent, streamed=streamed)).to_state().to_string(), "utf-8")
    state = await RunState.from_string(agent, file.read_text("utf-8"))
    state.approve(state.get_interruptions()[0])
    result = await run(agent, state, streamed=streamed)
    assert result.final_output == "Done " + HALF
    again = result.to_state().to_string()
    again.encode()
    loaded = await RunState.from_string(agent, again)
    assert loaded.to_string() == again
    json.dumps(result.to_state().to_json()).encode()


@ways
@spelled
async def test_a_recording_replays_and_loads(path: Path, streamed: bool, said: Any) -> None:
    agent = helper(said)
    with recording(path):
        live = await run(agent, streamed=streamed)
    path.read_text("utf-8")
    agent.model = "scripted"
    with recording(path, speed=None):
        replayed = await run(agent, streamed=not streamed)
    assert replayed.final_output == live.final_output
    loaded = load_run(path, speed=None)
    assert loaded.final_output == live.final_output
    assert loaded.to_frame()["text"].to_list() == live.to_frame()["text"].to_list()


@ways
@spelled
async def test_a_session_keeps_it(tmp_path: Path, streamed: bool, said: Any) -> None:
    session = SQLiteSession("s", tmp_path / "s.db")
    await run(helper(said), streamed=streamed, session=session)
    stored = await SQLiteSession("s", tmp_path / "s.db").get_items()
    assert len(stored) == 4
    agent = helper()
    await run(agent, "And now?", streamed=streamed, session=session)
    assert len(agent.model.requests[0].input) == 5  # type: ignore[union-attr]
    assert (await session.pop_item())["role"] == "assistant"  # type: ignore[index]


@ways
@spelled
async def test_tables_and_files_of_them_hold_it(tmp_path: Path, streamed: bool, said: Any) -> None:
    result = await run(helper(said), streamed=streamed)
    for kind in ("items", "turns", "events", "spans"):
        table = result.to_frame(kind)
        table.to_json(tmp_path / f"{kind}.json")
        table.to_csv(tmp_path / f"{kind}.csv")
    assert "caf" in (tmp_path / "items.csv").read_text("utf-8")


@pytest.mark.parametrize("api", [OpenAIResponsesModel, OpenAIChatCompletionsModel])
@ways
@spelled
async def test_a_request_has_the_replacement_character(api: Any, streamed: bool, said: Any) -> None:
    with ScriptedServer([said, "Done."]) as server:
        client = AsyncOpenAI(base_url=server.base_url, api_key="none-at-all")
        agent = helper()
        agent.model = api("m", client)
        await run(agent, streamed=streamed)
        sent = json.dumps(server.requests[1].body, ensure_ascii=False)
        await client.close()
    sent.encode()
    assert READ in sent


@ways
@pytest.mark.parametrize("text", [ESCAPED, json.dumps({"text": HALF}, ensure_ascii=False)])
async def test_a_handoffs_input_is_read(streamed: bool, text: str) -> None:
    class Why(BaseModel):
        text: str

    heard: list[str] = []
    other: Agent[Any] = Agent(name="Other", model=ScriptedModel(["Done."]))
    to_other = handoff(other, on_handoff=lambda _, why: heard.append(why.text), input_type=Why)
    agent: Agent[Any] = Agent(
        name="A", handoffs=[to_other], model=ScriptedModel([call("transfer_to_other", text)])
    )
    result = await run(agent, streamed=streamed)
    assert (heard, result.final_output) == ([READ], "Done.")


@ways
async def test_a_tools_output_is_final(streamed: bool) -> None:
    @function_tool
    def listed() -> dict[str, str]:
        """List."""
        return {"name": HALF}

    agent: Agent[Any] = Agent(
        name="A",
        tools=[listed],
        tool_use_behavior="stop_on_first_tool",
        model=ScriptedModel([call("listed")]),
    )
    assert "caf" in str((await run(agent, streamed=streamed)).final_output)


@ways
async def test_an_agent_as_a_tool_passes_it_on(streamed: bool) -> None:
    inner: Agent[Any] = Agent(name="Inner", model=ScriptedModel(["It is " + HALF]))
    agent: Agent[Any] = Agent(
        name="A",
        tools=[inner.as_tool("ask", "Ask.")],
        model=ScriptedModel([call("ask", r'{"input": "caf\udce9"}'), "Done."]),
    )
    result = await run(agent, streamed=streamed)
    assert result.final_output == "Done."
    result.to_state().to_string().encode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recording.jsonl"


@pytest.mark.parametrize("name", ["\ud83d", os.fsdecode(b"caf\xe9.txt"), "a\0b"])
async def test_a_session_of_any_name_is_that_one(tmp_path: Path, name: str) -> None:
    others = [name.encode("unicode_escape").decode(), name[:-1], name + "x"]
    sessions = [SQLiteSession(each, tmp_path / "s.db") for each in (name, *others)]
    for session in sessions:
        await session.add_items([{"role": "user", "content": session.session_id}] * 2)
        session.close()
    sessions = [SQLiteSession(each, tmp_path / "s.db") for each in (name, *others)]
    for session in sessions:
        assert await session.pop_item() == (await session.get_items())[0]
        assert [item["content"] for item in await session.get_items()] == [session.session_id]
    await sessions[0].clear_session()
    assert [len(await session.get_items()) for session in sessions] == [0, 1, 1, 1]
    for session in sessions:
        session.close()


def test_what_is_no_name_of_a_file_or_table_is_refused(tmp_path: Path) -> None:
    for path in ("a\0b", "\ud83d"):
        with pytest.raises(UserError, match="db_path"):
            SQLiteSession("x", tmp_path / path)
    with pytest.raises(UserError, match="name of a table"):
        SQLiteSession("x", sessions_table="\ud83d")
