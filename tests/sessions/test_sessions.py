"""Sessions: order, durability, two kernels on one file, and the SDK's own files."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agentstream import Agent, Runner
from agentstream.exceptions import AgentsException, UserError
from agentstream.sessions import (
    Session,
    SessionABC,
    SessionLockedError,
    SessionSettings,
    SessionStorageError,
    SQLiteSession,
    database,
)
from agentstream.testing import ScriptedModel

REPOSITORY = Path(__file__).parents[2]


def numbered(*numbers: int) -> list[Any]:
    return [{"role": "user", "content": str(number)} for number in numbers]


def numbers(items: list[Any]) -> list[int]:
    return [int(item["content"]) for item in items]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest.fixture
def session(path: Path):
    session = SQLiteSession("one", path)
    yield session
    session.close()


# --- what a session is -------------------------------------------------------------------------


def test_any_object_of_the_shape_is_a_session():
    class Mine:
        session_id = "mine"
        session_settings = None

        async def get_items(self, limit=None):
            return []

        async def add_items(self, items): ...

        async def pop_item(self): ...

        async def clear_session(self): ...

    class Abstract(SessionABC): ...

    assert isinstance(Mine(), Session)
    assert not isinstance(object(), Session)
    with pytest.raises(TypeError, match="abstract"):
        Abstract()


def test_settings_overlay_and_name_what_is_unknown():
    assert SessionSettings(limit=3).resolve(None) == SessionSettings(limit=3)
    assert SessionSettings(limit=3).resolve(SessionSettings()) == SessionSettings(limit=3)
    assert SessionSettings(limit=3).resolve({"limit": 5}).to_dict() == {"limit": 5}
    with pytest.raises(TypeError, match=r"Unknown session settings: nope .*limit"):
        SQLiteSession("a", session_settings={"nope": 1})
    with pytest.raises(ValueError, match="valid integer"):
        SessionSettings(limit="many")


# --- items -------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["memory", "disk"])
async def test_items_come_back_in_order(where: str, path: Path):
    session = SQLiteSession("one", ":memory:" if where == "memory" else path)
    odd = {"role": "assistant", "content": [{"text": "é \ud800 \0", "n": [1, None, 1.5]}]}
    await session.add_items([*numbered(1, 2), odd])
    await session.add_items(numbered(3))
    await session.add_items([])
    assert await session.get_items() == [*numbered(1, 2), odd, *numbered(3)]
    assert await session.pop_item() == numbered(3)[0]
    assert await session.pop_item() == odd
    await session.clear_session()
    assert await session.get_items() == []
    assert await session.pop_item() is None
    session.close()


async def test_a_limit_gives_the_latest_items():
    session = SQLiteSession("one", session_settings={"limit": 2})
    await session.add_items(numbered(1, 2, 3, 4))
    assert numbers(await session.get_items()) == [3, 4]
    assert numbers(await session.get_items(3)) == [2, 3, 4]
    assert numbers(await session.get_items(limit=9)) == [1, 2, 3, 4]
    assert await session.get_items(0) == []
    session.close()


async def test_sessions_of_one_file_are_apart(path: Path, session: SQLiteSession):
    other = SQLiteSession("two", path)
    await asyncio.gather(session.add_items(numbered(1)), other.add_items(numbered(2)))
    await other.clear_session()
    assert numbers(await session.get_items()) == [1]
    assert await other.get_items() == []
    other.close()


async def test_an_item_that_is_not_json_saves_nothing_and_says_which():
    session = SQLiteSession("one")
    with pytest.raises(TypeError, match="Item 1 cannot be kept"):
        await session.add_items([*numbered(1), {"content": object()}])
    with pytest.raises(TypeError, match="a list of items"):
        await session.add_items("hello")
    assert await session.get_items() == []
    session.close()


async def test_items_are_saved_as_they_were_when_given(session: SQLiteSession):
    items = numbered(1)
    saving = asyncio.ensure_future(session.add_items(items))
    await asyncio.sleep(0)
    items[0]["content"] = "changed"
    await saving
    assert numbers(await session.get_items()) == [1]


async def test_a_cancelled_write_leaves_all_or_nothing(session: SQLiteSession):
    for number in range(20):
        saving = asyncio.ensure_future(session.add_items(numbered(2 * number, 2 * number + 1)))
        await asyncio.sleep(0.0005 * (number % 4))
        saving.cancel()
        await asyncio.gather(saving, return_exceptions=True)
    found = numbers(await session.get_items())
    assert found == sorted(found)
    assert {n ^ 1 for n in found} == set(found)


@pytest.mark.parametrize("name", ["we ird", 'x"y', "a;b", "select", "o'x", "1-a", "ünï"])
async def test_any_table_name_is_quoted(name: str, path: Path):
    session = SQLiteSession("one", path, sessions_table=name, messages_table=name + "_m")
    await session.add_items(numbered(1))
    assert numbers(await session.get_items()) == [1]
    assert await session.pop_item() is not None
    await session.clear_session()
    session.close()
    with closing(sqlite3.connect(path)) as raw, raw:
        tables = {row[0] for row in raw.execute("SELECT name FROM sqlite_master")}
    raw.close()
    assert {name, name + "_m"} <= tables


@pytest.mark.parametrize("names", [("", "m"), ("s", "a\0b"), ("same", "SAME")])
def test_impossible_table_names_are_refused(names: tuple[str, str]):
    with pytest.raises(UserError, match="name"):
        SQLiteSession("one", sessions_table=names[0], messages_table=names[1])


# --- damaged rows and files --------------------------------------------------------------------


async def test_a_damaged_row_is_left_out_and_reported_once(
    path: Path, session: SQLiteSession, caplog: pytest.LogCaptureFixture
):
    await session.add_items(numbered(1))
    raw = sqlite3.connect(path)
    for data in ("{broken", "3", b"\xff\x00", sqlite3.Binary(b"")):
        raw.execute("INSERT INTO agent_messages (session_id, message_data) VALUES ('one', ?)",
                    (data,))  # fmt: skip
    raw.commit()
    with caplog.at_level(logging.WARNING, "agentstream.sessions"):
        assert numbers(await session.get_items(1)) == [1]
        assert numbers(await session.get_items()) == [1]
    assert len(caplog.records) == 4
    assert "Row 2 of table 'agent_messages'" in caplog.text
    assert "{broken" in caplog.text
    assert await session.pop_item() == numbered(1)[0]
    assert await session.pop_item() is None
    assert raw.execute("SELECT count(*) FROM agent_messages").fetchone() == (4,)
    raw.close()


async def test_a_null_in_another_programs_table_is_left_out_and_reported(
    path: Path, caplog: pytest.LogCaptureFixture
):
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE agent_sessions (session_id TEXT PRIMARY KEY, updated_at TIMESTAMP)")
    raw.execute(
        "CREATE TABLE agent_messages (id INTEGER PRIMARY KEY, session_id TEXT, message_data)"
    )
    for data in (json.dumps(numbered(1)[0]), None, 7, 1.5, json.dumps(numbered(2)[0])):
        raw.execute(
            "INSERT INTO agent_messages (session_id, message_data) VALUES ('one', ?)", (data,)
        )
    raw.commit()
    raw.close()
    session = SQLiteSession("one", path)
    with caplog.at_level(logging.WARNING, "agentstream.sessions"):
        assert numbers(await session.get_items()) == [1, 2]
        assert numbers(await session.get_items(1)) == [2]
    assert len(caplog.records) == 3
    assert "is no JSON object; it is left out and left as it is: None" in caplog.text
    assert await session.pop_item() == numbered(2)[0]
    session.close()


def test_a_file_that_is_no_database_is_named(path: Path):
    path.write_bytes(b"hello world" * 1000)
    with pytest.raises(SessionStorageError, match=r"chat\.db.*not an SQLite database"):
        SQLiteSession("one", path)


def test_a_damaged_file_is_named(path: Path):
    session = SQLiteSession("one", path)
    asyncio.run(session.add_items([{"role": "user", "content": "x" * 5000} for _ in range(100)]))
    session.close()
    content = bytearray(path.read_bytes())
    content[16384:] = b"\x7f" * (len(content) - 16384)  # the rows, not the tables' definitions
    path.write_bytes(content)
    with (
        closing(SQLiteSession("one", path)) as damaged,
        pytest.raises(SessionStorageError, match=r"damaged.*\.recover"),
    ):
        asyncio.run(damaged.get_items())


def test_a_missing_folder_is_named_as_the_sdks_error_too(tmp_path: Path):
    with pytest.raises(sqlite3.OperationalError, match="folder exists") as caught:
        SQLiteSession("one", tmp_path / "missing" / "chat.db")
    assert isinstance(caught.value, AgentsException)
    with pytest.raises(SessionStorageError, match="that it is a file"):
        SQLiteSession("one", tmp_path)


def test_tables_of_another_program_are_named(path: Path):
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE agent_messages (other TEXT)")
    raw.close()
    with pytest.raises(SessionStorageError, match="other names as sessions_table"):
        SQLiteSession("one", path)


async def test_a_write_that_fails_half_way_is_taken_back(path: Path, session: SQLiteSession):
    raw = sqlite3.connect(path)
    raw.execute("ALTER TABLE agent_messages RENAME TO away")
    with pytest.raises(SessionStorageError, match="no such table"):
        await session.add_items(numbered(1))
    assert raw.execute("SELECT count(*) FROM agent_sessions").fetchone() == (0,)
    raw.execute("ALTER TABLE away RENAME TO agent_messages")
    raw.close()
    await session.add_items(numbered(2))
    assert numbers(await session.get_items()) == [2]


def test_a_file_deleted_under_the_session_is_not_written_into_the_void(path: Path):
    with closing(SQLiteSession("one", path)) as session:
        asyncio.run(session.add_items(numbered(1)))
        path.unlink()
        with pytest.raises(SessionStorageError, match="deleted, moved or replaced"):
            asyncio.run(session.add_items(numbered(2)))


async def test_a_relative_path_stays_when_the_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    session = SQLiteSession("one", "chat.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    await session.add_items(numbered(1))
    assert numbers(await session.get_items()) == [1]
    session.close()


# --- locks -------------------------------------------------------------------------------------


async def test_a_locked_file_is_waited_for_off_the_loop(path: Path, session: SQLiteSession):
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    saving = asyncio.ensure_future(session.add_items(numbered(1)))
    for _ in range(20):  # The loop goes on: 20 turns of 10 ms, while the write waits.
        await asyncio.sleep(0.01)
    assert not saving.done()
    raw.execute("COMMIT")
    await asyncio.wait_for(saving, 5)
    assert numbers(await session.get_items()) == [1]
    raw.close()


async def test_a_lock_that_stays_is_an_error_that_says_what_to_do(
    path: Path, session: SQLiteSession, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    with pytest.raises(SessionLockedError, match=r"another process.*repeat the call"):
        await asyncio.wait_for(session.add_items(numbered(1)), 5)
    assert await session.get_items() == [], "a reader does not wait for a writer"
    raw.execute("ROLLBACK")
    raw.close()
    await session.add_items(numbered(2))
    assert numbers(await session.get_items()) == [2]


async def test_opening_needs_no_lock_when_the_tables_are_there(path: Path, session: SQLiteSession):
    await session.add_items(numbered(1))
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    second = SQLiteSession("one", path)
    assert numbers(await second.get_items()) == [1]
    assert time.monotonic() - started < database.BUSY_SECONDS / 2
    raw.execute("ROLLBACK")
    raw.close()
    second.close()


def test_writes_are_synced_to_the_disk(session: SQLiteSession):
    async def mode(name: str) -> Any:
        return await session._run(lambda c: c.execute(f"PRAGMA {name}").fetchone()[0])

    assert asyncio.run(mode("journal_mode")) == "wal"
    assert asyncio.run(mode("synchronous")) == 2  # FULL


# --- threads, loops, processes -----------------------------------------------------------------


def test_one_session_serves_several_threads_and_loops(session: SQLiteSession):
    async def add(worker: int) -> None:
        for step in range(20):
            await session.add_items(numbered(100 * worker + step))

    workers = [threading.Thread(target=lambda n=n: asyncio.run(add(n))) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    found = numbers(asyncio.run(session.get_items()))
    for worker_number in range(4):
        mine = [n for n in found if n // 100 == worker_number]
        assert mine == list(range(100 * worker_number, 100 * worker_number + 20))


async def test_closing_finishes_what_is_under_way_and_leaves_no_file_open(path: Path):
    session = SQLiteSession("one", path)
    saving = [asyncio.ensure_future(session.add_items(numbered(n))) for n in range(5)]
    await asyncio.sleep(0)
    session.close()
    session.close()
    await asyncio.gather(*saving)
    # The last connection to leave removes the write-ahead log.
    assert not path.with_name("chat.db-wal").exists()
    with pytest.raises(RuntimeError, match="SQLiteSession is closed"):
        await session.get_items()
    again = SQLiteSession("one", path)
    assert numbers(await again.get_items()) == [0, 1, 2, 3, 4]
    again.close()


def test_a_forgotten_session_closes_its_file_and_its_thread(path: Path):
    session = SQLiteSession("one", path)
    asyncio.run(session.add_items(numbered(1)))
    (worker,) = session._database._worker._threads
    assert path.with_name("chat.db-wal").exists()
    del session
    gc.collect()
    worker.join(5)
    assert not worker.is_alive()
    assert not path.with_name("chat.db-wal").exists()


def run_script(script: str, *arguments: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        stdout=subprocess.PIPE, text=True, cwd=REPOSITORY,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_forked_child_goes_on_with_its_own_connection(path: Path):
    script = """
        import asyncio, os, sys, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork of a threaded process
        from agentstream.sessions import SQLiteSession, SessionStorageError
        session, memory = SQLiteSession("one", sys.argv[1]), SQLiteSession("two")
        async def add(name):
            await session.add_items([{"content": name}])
        asyncio.run(add("parent"))
        child = os.fork()
        asyncio.run(add("child" if child == 0 else "parent again"))
        if child == 0:
            try:
                asyncio.run(memory.get_items())
            except SessionStorageError:
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        print(sorted(item["content"] for item in asyncio.run(session.get_items())))
    """
    process = run_script(script, path)
    assert process.communicate(timeout=30)[0].strip() == "['child', 'parent', 'parent again']"
    assert process.returncode == 0


# --- the Agents SDK's files ---------------------------------------------------------------------


def layout(path: Path) -> Any:
    raw = sqlite3.connect(path)
    names = raw.execute("SELECT type, name, tbl_name FROM sqlite_master ORDER BY 1, 2").fetchall()
    columns = {
        name: raw.execute(f"SELECT * FROM pragma_{about}('{name}')").fetchall()
        for kind, name, _ in names
        for about in ("table_info", "foreign_key_list", "index_info")
        if (kind == "table") != (about == "index_info")
    }
    raw.close()
    return names, columns


async def test_files_of_the_agents_sdk_and_ours_are_the_same(tmp_path: Path):
    agents = pytest.importorskip("agents", reason="the OpenAI Agents SDK is the oracle here")
    ours, theirs = tmp_path / "ours.db", tmp_path / "theirs.db"
    items = [{"role": "user", "content": "é"}, {"n": [1, None, 1.5]}]
    for kind, path in ((SQLiteSession, ours), (agents.SQLiteSession, theirs)):
        writer = kind("one", path)
        await writer.add_items(items)
        writer.close()
    assert layout(ours) == layout(theirs)
    for path in (ours, theirs):
        raw = sqlite3.connect(path)
        rows = raw.execute("SELECT id, session_id, message_data FROM agent_messages").fetchall()
        raw.close()
        assert rows == [(i + 1, "one", json.dumps(item)) for i, item in enumerate(items)]


async def test_both_libraries_work_on_one_file_at_once(path: Path):
    agents = pytest.importorskip("agents", reason="the OpenAI Agents SDK is the oracle here")
    mine, other = SQLiteSession("one", path), agents.SQLiteSession("one", path)
    await mine.add_items(numbered(1, 2))
    assert numbers(await other.get_items()) == [1, 2]
    await other.add_items(numbered(3))
    assert await mine.pop_item() == numbered(3)[0]
    assert await other.pop_item() == numbered(2)[0]
    await asyncio.gather(*(s.add_items(numbered(n)) for n in range(10) for s in (mine, other)))
    assert numbers(await mine.get_items()) == numbers(await other.get_items())
    assert sorted(numbers(await mine.get_items())) == sorted([1, *range(10), *range(10)])
    await other.clear_session()
    assert await mine.get_items() == []
    mine.close()
    other.close()


@pytest.mark.parametrize("limit", [0, 1, 2, 5])
async def test_a_session_whose_class_knows_of_no_limit_is_cut_all_the_same(limit: int) -> None:
    class Plain:
        session_id, session_settings = "plain", SessionSettings(limit=limit)

        def __init__(self) -> None:
            self.items: list[Any] = []

        async def get_items(self) -> list[Any]:
            return list(self.items)

        async def add_items(self, items: list[Any]) -> None:
            self.items += items

    class Named(Plain):
        async def get_items(self, *, limit: int | None = None) -> list[Any]:  # type: ignore[override]
            return self.items[len(self.items) - (limit or 0) :] if limit != 5 else list(self.items)

    for kind in (Plain, Named):
        session: Any = kind()
        model = ScriptedModel(["One.", "Two."])
        agent = Agent(name="A", model=model)
        await Runner.run(agent, "1?", session=session)
        await Runner.run(agent, "2?", session=session)
        assert len(model.requests[-1].input) == min(limit, 2) + 1
        assert len(session.items) == 4


@pytest.mark.parametrize(
    "item",
    [
        {"type": ["x"]},
        {"type": "function_call", "call_id": ["c"], "name": {}, "arguments": 7},
        {"type": "function_call_output", "call_id": {"c": 1}, "output": None},
        {"type": "mcp_approval_response", "approval_request_id": [1]},
    ],
)
async def test_items_that_no_run_has_stored_are_no_end_of_a_run(item: Any) -> None:
    session = SQLiteSession("x")
    await session.add_items([{"role": "user", "content": "Hi"}, item])
    agent = Agent(name="A", model=ScriptedModel(["Hello."]))
    assert (await Runner.run(agent, "x", session=session)).final_output == "Hello."
    session.close()
