"""`AdvancedSQLiteSession`: branches and turns, in files that the SDK's session reads too."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agentstream import Agent, Runner, function_tool
from agentstream.extensions.memory import AdvancedSQLiteSession
from agentstream.sessions import SQLiteSession
from agentstream.testing import ScriptedModel, call

TURNS: list[Any] = [
    {"role": "user", "content": "Lisbon?"},
    {"role": "assistant", "content": "Sunny."},
    {"role": "user", "content": "Hotels?"},
    {"role": "assistant", "content": "Many."},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chats.db"


@pytest.fixture
def session(path: Path) -> Iterator[AdvancedSQLiteSession]:
    one = AdvancedSQLiteSession(session_id="trip", db_path=path, create_tables=True)
    yield one
    one.close()


def rows(path: Path, table: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()


def layout(path: Path) -> dict[str, Any]:
    """Columns, foreign keys and indexes of each table."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            name: [
                sorted(connection.execute(f"PRAGMA {what}({name})").fetchall(), key=str)
                for what in ("table_info", "foreign_key_list", "index_list")
            ]
            for (name,) in names.fetchall()
        }


async def test_a_branch_has_the_earlier_turns_and_goes_its_own_way(
    session: AdvancedSQLiteSession,
) -> None:
    await session.add_items(TURNS)
    assert await session.create_branch_from_turn(2, "porto") == "porto"
    porto = {"role": "user", "content": "Porto?"}
    await session.add_items([porto])
    assert await session.get_items() == [*TURNS[:2], porto]
    assert await session.get_items(1) == [porto]
    assert await session.get_items(branch_id="main") == TURNS
    await session.switch_to_branch("main")
    assert await session.get_items() == TURNS
    branches = {one["branch_id"]: one for one in await session.list_branches()}
    assert branches["main"]["is_current"] and not branches["porto"]["is_current"]
    assert (branches["porto"]["message_count"], branches["porto"]["user_turns"]) == (3, 2)


async def test_what_branches_share_stays_until_the_last_of_them_is_rid_of_it(
    session: AdvancedSQLiteSession, path: Path
) -> None:
    await session.add_items(TURNS)
    await session.create_branch_from_turn(2, "porto")
    assert await session.pop_item() == TURNS[1]
    assert await session.get_items(branch_id="main") == TURNS
    await session.switch_to_branch("main")
    for item in reversed(TURNS):
        assert await session.pop_item() == item
    assert await session.pop_item() is None
    assert len(rows(path, "agent_messages")) == 1
    await session.delete_branch("porto")
    assert rows(path, "agent_messages") == rows(path, "message_structure") == []


async def test_deleting_a_branch_leaves_what_a_plain_session_stored_in_the_file(
    session: AdvancedSQLiteSession, path: Path
) -> None:
    plain = SQLiteSession("trip", path)
    await plain.add_items([{"role": "user", "content": "plain"}])
    await session.add_items(TURNS)
    await session.create_branch_from_turn(2, "porto")
    await session.delete_branch("porto", force=True)
    await session.replace_items(TURNS[:1])
    assert await session.get_items() == TURNS[:1]
    assert await plain.get_items() == [{"role": "user", "content": "plain"}, TURNS[0]]
    plain.close()


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (lambda s: s.create_branch_from_turn(9), "Turn 9 does not contain a user message"),
        (lambda s: s.create_branch_from_turn(1, " "), "cannot be empty"),
        (lambda s: s.create_branch_from_turn(1, "caf\udce9"), "no valid text"),
        (lambda s: s.create_branch_from_turn(2, "main"), "already been used"),
        (lambda s: s.create_branch_from_turn(2, "gone"), "already been used"),
        (lambda s: s.create_branch_from_content("Faro"), "No user turns found"),
        (lambda s: s.switch_to_branch("gone"), "does not exist"),
        (lambda s: s.delete_branch("gone"), "does not exist"),
        (lambda s: s.delete_branch("main"), "Cannot delete the 'main' branch"),
        (lambda s: s.delete_branch("porto"), "Cannot delete current branch"),
        (lambda s: s.delete_branch(""), "cannot be empty"),
    ],
)
async def test_an_error_about_a_branch_changes_nothing(
    session: AdvancedSQLiteSession, path: Path, act: Any, why: str
) -> None:
    await session.add_items(TURNS)
    await session.create_branch_from_turn(2, "gone")
    await session.delete_branch("gone", force=True)
    await session.add_items(TURNS[2:])
    await session.create_branch_from_turn(3, "porto")
    before = [rows(path, table) for table in layout(path)]
    with pytest.raises(ValueError, match=why):
        await act(session)
    assert [rows(path, table) for table in layout(path)] == before
    assert await session.get_items() == TURNS


async def test_runs_store_their_turns_calls_and_usage(session: AdvancedSQLiteSession) -> None:
    @function_tool
    def weather(city: str) -> str:
        return f"Sunny in {city}"

    model = ScriptedModel([call("weather", city="Lisbon"), "Sunny.", "Many."])
    agent = Agent(name="Guide", model=model, tools=[weather])
    first = await Runner.run(agent, "Lisbon?", session=session)
    await session.store_run_usage(first)
    second = Runner.run_streamed(agent, "Hotels?", session=session)
    async for _ in second.stream_events():
        pass
    await session.store_run_usage(second)
    turns = await session.get_conversation_turns()
    assert [(turn["turn"], turn["content"]) for turn in turns] == [(1, "Lisbon?"), (2, "Hotels?")]
    assert await session.get_tool_usage() == [("weather", 1, 1)]
    kinds = [item["type"] for item in (await session.get_conversation_by_turns())[1]]
    assert kinds == ["user", "function_call", "function_call_output", "assistant"]
    used = await session.get_turn_usage(1)
    assert isinstance(used, dict)
    assert used["requests"] == first.context_wrapper.usage.requests == 2
    total = await session.get_session_usage()
    assert total is not None
    assert (total["requests"], total["total_turns"]) == (3, 2)
    assert await session.get_turn_usage(7) == {}


async def test_usage_that_cannot_be_stored_is_logged(
    session: AdvancedSQLiteSession, caplog: pytest.LogCaptureFixture
) -> None:
    result = await Runner.run(Agent(name="Guide", model=ScriptedModel(["Sunny."])), "Lisbon?")
    await session.store_run_usage(result)  # no turn that it could belong to
    assert await session.get_session_usage() is None
    session.close()
    with caplog.at_level(logging.ERROR, "agentstream.sessions"):
        await session.store_run_usage(result)
    assert "closed" in caplog.text


@pytest.mark.parametrize(("wanted", "found"), [("LISBON", [1]), ("é", [2]), ("%", []), ("\\", [])])
async def test_turns_are_found_by_the_text_of_their_message(
    session: AdvancedSQLiteSession, wanted: str, found: list[int]
) -> None:
    await session.add_items(TURNS[:1])
    await session.add_items(
        [{"role": "user", "content": [{"type": "input_text", "text": "Café?"}]}]
    )
    assert [turn["turn"] for turn in await session.find_turns_by_content(wanted)] == found


async def test_a_session_that_another_object_cleared_goes_on_in_main(
    session: AdvancedSQLiteSession, path: Path
) -> None:
    await session.add_items(TURNS)
    await session.create_branch_from_turn(2, "porto")
    with closing(AdvancedSQLiteSession(session_id="trip", db_path=path)) as other:
        await other.clear_session()
        await other.add_items(TURNS[:1])
    assert await session.get_items() == TURNS[:1]
    assert [(one["branch_id"], one["is_current"]) for one in await session.list_branches()] == [
        ("main", True)
    ]
    with pytest.raises(ValueError, match="already been used"):
        await session.create_branch_from_turn(1, "porto")


async def test_a_file_of_other_tables_or_without_tables_is_refused(
    session: AdvancedSQLiteSession, path: Path, tmp_path: Path
) -> None:
    await session.add_items(TURNS)
    with pytest.raises(ValueError, match="already belongs to the table 'agent_sessions'"):
        AdvancedSQLiteSession(
            session_id="trip", db_path=path, create_tables=True, sessions_table="others"
        )
    assert "others" not in layout(path)
    with pytest.raises(ValueError, match="create_tables=True"):
        AdvancedSQLiteSession(session_id="trip", db_path=tmp_path / "new.db")


async def test_items_added_at_once_by_two_objects_keep_their_turns(
    session: AdvancedSQLiteSession, path: Path
) -> None:
    with closing(AdvancedSQLiteSession(session_id="trip", db_path=path)) as other:
        await asyncio.gather(*(one.add_items(TURNS[:2]) for one in (session, other) * 10))
    turns = await session.get_conversation_by_turns()
    assert list(turns) == list(range(1, 21))
    assert all([item["type"] for item in one] == ["user", "assistant"] for one in turns.values())
    numbers = [row[5] for row in rows(path, "message_structure")]
    assert sorted(numbers) == list(range(1, 41))


@pytest.mark.parametrize("dropped", ["branch_reservations", "session_clear_generations"])
async def test_a_file_of_an_earlier_version_gets_its_later_tables_with_the_first_write(
    session: AdvancedSQLiteSession, path: Path, dropped: str
) -> None:
    await session.add_items(TURNS)
    await session.create_branch_from_turn(2, "porto")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"DROP TABLE {dropped}")
    await session.switch_to_branch("main")
    assert await session.get_items() == TURNS
    assert dropped not in layout(path)
    await session.delete_branch("porto")
    with pytest.raises(ValueError, match="already been used"):
        await session.create_branch_from_turn(2, "porto")


async def story(kind: Any, path: Path) -> list[Any]:
    """What one library's session answers, with the times left out."""
    session = kind(session_id="trip", db_path=path, create_tables=True)
    await session.add_items([{"role": "system", "content": "Be brief."}, *TURNS])
    await session.add_items(
        [
            {"role": "user", "content": [{"type": "input_text", "text": "x" * 200}]},
            {"type": "function_call", "name": "f", "namespace": "n", "call_id": "1"},
            {"type": "function_call_output", "call_id": "1", "output": "2"},
            {"type": "mcp_call", "name": "read", "server_label": "files"},
            {"type": "tool_search_output"},
        ]
    )
    await session.create_branch_from_turn(3, "porto")
    await session.add_items(TURNS[2:])
    await session.create_branch_from_content("lisbon", "faro")
    answers = [
        await session.get_items(),
        await session.get_items(branch_id="porto"),
        await session.get_conversation_by_turns("main"),
        await session.get_tool_usage("main"),
        await session.get_conversation_turns("main"),
        await session.find_turns_by_content("hotels", "porto"),
        await session.list_branches(),
    ]
    session.close()
    for answer in answers[4:]:
        for one in answer:
            one.pop("timestamp", None)
            one.pop("created_at", None)
    return answers


async def test_the_file_and_the_answers_are_those_of_the_agents_sdk(tmp_path: Path) -> None:
    memory = pytest.importorskip("agents.extensions.memory", reason="the SDK is the oracle here")
    ours, theirs = tmp_path / "ours.db", tmp_path / "theirs.db"
    assert await story(AdvancedSQLiteSession, ours) == await story(
        memory.AdvancedSQLiteSession, theirs
    )
    assert layout(ours) == layout(theirs)
    for table, columns in (("message_structure", 9), ("branch_reservations", 2)):
        mine, other = ([row[:columns] for row in rows(path, table)] for path in (ours, theirs))
        assert sorted(mine) == sorted(other)


async def test_the_agents_sdk_and_agentstream_go_on_with_each_others_branches(path: Path) -> None:
    memory = pytest.importorskip("agents.extensions.memory", reason="the SDK is the oracle here")
    kinds = [AdvancedSQLiteSession, memory.AdvancedSQLiteSession] * 2
    with closing(kinds[0](session_id="trip", db_path=path, create_tables=True)) as first:
        await first.add_items(TURNS)
    for at, kind in enumerate(kinds):
        with closing(kind(session_id="trip", db_path=path)) as session:
            if at:
                await session.switch_to_branch(f"branch {at - 1}")
            await session.create_branch_from_turn(2, f"branch {at}")
            await session.add_items(TURNS[2:])
            assert await session.get_items() == TURNS
    with closing(kinds[1](session_id="trip", db_path=path)) as last:
        assert len(await last.list_branches()) == 5
        await last.clear_session()
        with pytest.raises(ValueError, match="already been used"):
            await last.add_items(TURNS)
            await last.create_branch_from_turn(1, "branch 2")
