"""Sessions that need a package of their own: encrypted, and in any database."""

from __future__ import annotations

import asyncio
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from agentstream import (
    Agent,
    OpenAIResponsesCompactionSession,
    Runner,
    SessionSettings,
    SQLiteSession,
    UserError,
)
from agentstream.extensions import memory
from agentstream.testing import ScriptedModel

KEY = "x" * 44


def user(text: str) -> Any:
    return {"role": "user", "content": text}


@pytest.fixture
def encrypted() -> Any:
    pytest.importorskip("cryptography")
    return memory.EncryptedSession


@pytest.fixture
def database(tmp_path: Path) -> str:
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("aiosqlite")
    return f"sqlite+aiosqlite:///{tmp_path / 'x.db'}"


async def test_a_run_on_an_encrypted_session_remembers_and_stores_no_text(encrypted: Any) -> None:
    kept = SQLiteSession("ada")
    session = encrypted("ada", kept, KEY)
    model = ScriptedModel(["Secret answer.", "Yes."])
    for text in ("Secret question", "And?"):
        await Runner.run(Agent(name="A", model=model), text, session=session)
    assert "Secret question" in str(model.requests[1].input)
    assert "Secret" not in str(await kept.get_items())
    assert await encrypted("ada", kept, "another").get_items() == []


async def test_the_limit_counts_items_that_can_be_read(
    encrypted: Any, caplog: pytest.LogCaptureFixture
) -> None:
    kept = SQLiteSession("ada", session_settings=SessionSettings(limit=2))
    session = encrypted("ada", kept, KEY)
    await session.add_items([user("a"), user("b"), user("c")])
    await kept.add_items([user("plain")])
    assert await session.get_items() == [user("b"), user("c")]
    assert await session.get_items(limit=1) == [user("c")]
    assert "1 items of session 'ada' cannot be decrypted" in caplog.text
    few = encrypted("ada", kept, KEY, max_scan_items=2)
    assert await few.get_items(limit=1) == [user("c")]
    with pytest.raises(RuntimeError, match="max_scan_items exhausted"):
        await few.get_items(limit=2)


async def test_expired_items_are_left_out_and_popped_on_the_way(
    encrypted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000]
    monkeypatch.setattr("cryptography.fernet.time.time", lambda: clock[0])
    kept = SQLiteSession("ada")
    await encrypted("ada", kept, KEY).add_items([user("long")])
    await encrypted("ada", kept, KEY).add_items([user("short")])
    clock[0] += 100
    assert await encrypted("ada", kept, KEY, ttl=50).get_items() == []
    assert await encrypted("ada", kept, KEY, ttl=500).get_items() == [user("long"), user("short")]
    assert await encrypted("ada", kept, KEY, ttl=50).pop_item() is None
    assert await kept.get_items() == []


async def test_a_wrong_key_pops_nothing(encrypted: Any) -> None:
    kept = SQLiteSession("ada")
    session = encrypted("ada", kept, KEY)
    await session.add_items([user("a"), user("b")])
    with pytest.raises(UserError, match="left as it is"):
        await encrypted("ada", kept, "another").pop_item()
    assert await session.pop_item() == user("b")
    assert await session.get_items() == [user("a")]


async def test_an_encrypted_session_around_a_compacting_one_compacts_what_it_can_read(
    encrypted: Any,
) -> None:
    kept, seen = SQLiteSession("ada"), []

    def never(about: dict[str, Any]) -> bool:
        seen.append(about["session_items"])
        return False

    inner = OpenAIResponsesCompactionSession("ada", kept, should_trigger_compaction=never)
    session = encrypted("ada", inner, KEY)
    model = ScriptedModel(["Hello."])
    await Runner.run(Agent(name="A", model=model), "Secret", session=session)
    assert seen[0][0] == user("Secret")
    assert "Secret" not in str(await kept.get_items())
    assert (await session.get_items())[0] == user("Secret")


async def test_a_session_whose_methods_name_the_wrapper_is_given_the_context() -> None:
    class Tenants:
        session_id, session_settings = "ada", None

        def __init__(self) -> None:
            self.items: dict[str, list[Any]] = {}

        async def get_items(self, limit: int | None = None, *, wrapper: Any = None) -> list[Any]:
            return list(self.items.get(wrapper.context, []))

        async def add_items(self, items: list[Any], *, wrapper: Any = None) -> None:
            self.items.setdefault(wrapper.context, []).extend(items)

        async def pop_item(self, *, wrapper: Any = None) -> Any: ...

        async def clear_session(self, *, wrapper: Any = None) -> None: ...

    session: Any = Tenants()
    agent = Agent(name="A", model=ScriptedModel(["Hello.", "Hello."]))
    await Runner.run(agent, "Hi", session=session, context="north")
    await Runner.run(agent, "Hi", session=session, context="south")
    assert {tenant: len(items) for tenant, items in session.items.items()} == {
        "north": 2, "south": 2,
    }  # fmt: skip


def test_an_encrypted_session_without_a_key_is_refused(encrypted: Any) -> None:
    with pytest.raises(ValueError, match="empty"):
        encrypted("ada", SQLiteSession("ada"), "")


async def test_the_sdk_reads_what_is_encrypted_here_and_the_other_way_round(
    encrypted: Any, tmp_path: Path
) -> None:
    agents = pytest.importorskip("agents")
    from agents.extensions.memory import EncryptedSession as Theirs
    from cryptography.fernet import Fernet

    for number, key in enumerate((KEY, Fernet.generate_key().decode())):
        file = tmp_path / f"{number}.db"
        ours = encrypted("ada", SQLiteSession("ada", file), key)
        theirs = Theirs("ada", agents.SQLiteSession("ada", file), key)
        await ours.add_items([user("a")])
        await theirs.add_items([user("b")])
        assert await ours.get_items() == await theirs.get_items() == [user("a"), user("b")]


@pytest.mark.slow
async def test_a_database_keeps_sessions_apart_and_in_order(database: str) -> None:
    session = memory.SQLAlchemySession.from_url("ada", url=database, create_tables=True)
    other = memory.SQLAlchemySession("bob", engine=session.engine)
    try:
        await asyncio.gather(*[session.add_items([user(f"{n}"), user("-")]) for n in range(5)])
        await other.add_items([user("bob")])
        items = await session.get_items()
        assert [item["content"] for item in items[1::2]] == ["-"] * 5
        assert await session.get_items(limit=1) == [user("-")]
        assert await session.pop_item() == user("-")
        await session.replace_items([user("é")])
        assert await session.get_items() == [user("é")]
        await session.clear_session()
        assert await session.pop_item() is None
        assert await other.get_items() == [user("bob")]
    finally:
        await session.engine.dispose()


async def test_sqlite_reads_what_sqlalchemy_has_written(database: str, tmp_path: Path) -> None:
    session = memory.SQLAlchemySession.from_url("ada", url=database, create_tables=True)
    await Runner.run(Agent(name="A", model=ScriptedModel(["Hello."])), "Hi", session=session)
    written = await session.get_items()
    await session.engine.dispose()
    kept = SQLiteSession("ada", tmp_path / "x.db")
    assert await kept.get_items() == written
    assert len(written) == 2
    kept.close()


@pytest.mark.parametrize(
    ("package", "name", "extra"),
    [
        ("cryptography", "EncryptedSession", "encrypt"),
        ("sqlalchemy", "SQLAlchemySession", "sqlalchemy"),
    ],
)
def test_without_its_package_a_session_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, package: str, name: str, extra: str
) -> None:
    importlib.import_module("agentstream.sessions.encrypted")  # so that both are put back
    importlib.import_module("agentstream.sessions.sql")
    for module in list(sys.modules):
        if module.split(".")[0] == package or module in (
            "agentstream.sessions.encrypted",
            "agentstream.sessions.sql",
        ):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    others: list[Any] = [SQLiteSession("ada"), KEY] if name == "EncryptedSession" else []
    named: dict[str, Any] = {} if others else {"engine": None}
    with pytest.raises(ImportError, match=rf"agentstream\[{extra}\]"):
        getattr(memory, name)("ada", *others, **named)


def test_sessions_that_are_left_out_say_so() -> None:
    for name in ("DaprSession", "MongoDBSession"):
        with pytest.raises(ImportError, match="left to the OpenAI Agents SDK"):
            getattr(memory, name)


async def test_a_row_that_is_nested_beyond_reason_is_left_out_and_the_rest_is_read(
    database: str, encrypted: Any
) -> None:
    import sqlalchemy as sa

    session = memory.SQLAlchemySession.from_url("ada", url=database, create_tables=True)
    await session.add_items([user("a"), user("b")])
    deep = "[" * 100_000 + "]" * 100_000
    async with session.engine.begin() as connection:
        await connection.execute(
            sa.text("UPDATE agent_messages SET message_data = :deep WHERE id = 1"), {"deep": deep}
        )
    assert await session.get_items() == [user("b")]
    with pytest.raises(TypeError, match="Item 1 cannot be kept"):
        await session.add_items([user("c"), {"x": object()}])
    await session.engine.dispose()

    kept = SQLiteSession("ada")
    secret = encrypted("ada", kept, KEY)
    token = secret.cipher.encrypt(deep.encode()).decode()
    await kept.add_items([{"__enc__": 1, "v": 1, "kid": "hkdf-v1", "payload": token}])
    await secret.add_items([user("b")])
    assert await secret.get_items() == [user("b")]


async def test_sessions_that_make_their_tables_at_once_all_store(database: str) -> None:
    made = memory.SQLAlchemySession.from_url
    sessions = [made(str(at), url=database, create_tables=True) for at in range(4)]
    item: Any = {"role": "user", "content": "Hi"}
    await asyncio.gather(*(session.add_items([item]) for session in sessions))
    assert [await session.get_items() for session in sessions] == [[item]] * 4
    for session in sessions:
        await session.engine.dispose()


@pytest.fixture
def redis() -> Any:
    return pytest.importorskip("fakeredis.aioredis").FakeRedis()


@pytest.mark.slow
async def test_a_run_on_a_session_in_redis_remembers(redis: Any) -> None:
    model = ScriptedModel(["Hello, Ada.", "Ada."])
    session = memory.RedisSession("ada", redis_client=redis)
    agent = Agent(name="A", model=model)
    await Runner.run(agent, "I am Ada.", session=session)
    again = memory.RedisSession("ada", redis_client=redis)  # as another program would
    await Runner.run(agent, "Who am I?", session=again)
    assert model.requests[1].input[0]["content"] == "I am Ada."
    assert await memory.RedisSession("bob", redis_client=redis).get_items() == []


async def test_what_lives_for_a_while_in_redis_ends_with_all_its_keys(redis: Any) -> None:
    key = "agents:session:ada"
    await redis.set(f"{key}:counter", "7")  # as the SDK leaves it
    session = memory.RedisSession("ada", redis_client=redis, ttl=60)
    await session.add_items([user("Hi")])
    for name in (key, f"{key}:messages", f"{key}:counter"):
        assert 0 < await redis.ttl(name) <= 60
    await session.clear_session()
    assert await redis.exists(key, f"{key}:messages", f"{key}:counter") == 0


async def test_a_life_that_redis_cannot_count_is_refused_before_anything_is_written(
    redis: Any,
) -> None:
    session = memory.RedisSession("ada", redis_client=redis, ttl=2**63)
    with pytest.raises(ValueError, match="outside Redis's supported expiration range"):
        await session.add_items([user("Hi")])
    assert await session.get_items() == []


async def test_a_session_in_redis_is_stored_as_the_sdk_stores_it(redis: Any) -> None:
    sdk = pytest.importorskip("agents.extensions.memory.redis_session")
    theirs = sdk.RedisSession("ada", redis_client=redis, ttl=50)
    ours = memory.RedisSession("ada", redis_client=redis, ttl=50)
    await theirs.add_items([user("Hé"), user("2")])
    await ours.add_items([user("3")])
    assert await theirs.get_items() == await ours.get_items() == [user("Hé"), user("2"), user("3")]
    assert await ours.get_items(2) == [user("2"), user("3")]
    assert await ours.get_items(0) == []
    assert await theirs.pop_item() == user("3")
    assert await ours.pop_item() == user("2")
    assert await redis.ttl("agents:session:ada:messages") == 50
    await ours.replace_items([user("new")])
    assert await theirs.get_items() == [user("new")]
    await ours.clear_session()
    assert await redis.keys("*") == []
    assert await ours.pop_item() is None


async def test_a_session_in_redis_leaves_out_what_is_no_item(redis: Any) -> None:
    session = memory.RedisSession("ada", redis_client=redis)
    await session.add_items([user("1")])
    await redis.rpush("agents:session:ada:messages", "{", "[1]", "7")
    assert await session.get_items() == [user("1")]
    assert await session.pop_item() == user("1")
    with pytest.raises(TypeError, match="Item 1"):
        await session.add_items([user("2"), {"role": object()}])
    assert await session.get_items() == []


async def test_a_session_in_redis_closes_its_own_connection_alone(redis: Any) -> None:
    shared = memory.RedisSession("ada", redis_client=redis)
    await shared.close()
    assert await shared.ping()
    assert await shared.get_items() == []
    own = memory.RedisSession.from_url("ada", url="redis://127.0.0.1:1/0", key_prefix="x")
    assert not await own.ping()
    await own.close()
    await own.close()
    with pytest.raises(RuntimeError, match="closed"):
        await own.get_items()


async def test_programs_that_add_to_a_session_in_redis_at_once_lose_nothing(redis: Any) -> None:
    session = memory.RedisSession("ada", redis_client=redis)
    await session.add_items([user("1"), user("2")])
    await asyncio.gather(*(session.add_items([user(str(at))]) for at in range(20)))
    assert len(await session.get_items()) == 22


async def test_the_async_sqlite_session_is_read_by_the_other_one(tmp_path: Path) -> None:
    session = memory.AsyncSQLiteSession("ada", tmp_path / "x.db")
    await session.add_items([user("1")])
    await session.close()
    await session.close()
    with pytest.raises(RuntimeError, match="closed"):
        await session.get_items()
    again = SQLiteSession("ada", tmp_path / "x.db")
    assert await again.get_items() == [user("1")]
    again.close()
