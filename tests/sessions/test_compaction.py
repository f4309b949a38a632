"""A session that OpenAI's Responses API shortens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from agentstream import (
    Agent,
    ModelSettings,
    OpenAIConversationsSession,
    OpenAIResponsesCompactionAwareSession,
    OpenAIResponsesCompactionSession,
    RunConfig,
    Runner,
    SessionSettings,
    SQLiteSession,
    function_tool,
    is_openai_responses_compaction_aware_session,
)
from agentstream.run_config import ModelInputData
from agentstream.testing import ScriptedModel, call

COMPACTED = {"id": "cmp_1", "type": "compaction", "encrypted_content": "e", "created_by": "server"}
USAGE = {
    "input_tokens": 1500,
    "input_tokens_details": {"cached_tokens": 500, "cache_write_tokens": 0},
    "output_tokens": 42,
    "output_tokens_details": {"reasoning_tokens": 7},
    "total_tokens": 1542,
}


class Api:
    """What `POST /responses/compact` was sent, and what it answers."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.output: list[dict[str, Any]] = [COMPACTED]
        self.meanwhile: Callable[[], Any] | None = None
        transport = httpx2.MockTransport(self._answer)
        self.http = httpx2.AsyncClient(transport=transport)
        self.client = openai.AsyncOpenAI(api_key="sk-test", http_client=self.http, max_retries=0)

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        assert request.url.path.endswith("/responses/compact")
        self.requests.append(json.loads(request.content))
        if self.meanwhile is not None:
            await self.meanwhile()
        about = {"id": "r", "object": "response.compaction", "created_at": 1}
        return httpx2.Response(200, json={**about, "output": self.output, "usage": USAGE})

    def session(self, underlying: Any = None, **options: Any) -> OpenAIResponsesCompactionSession:
        return OpenAIResponsesCompactionSession(
            "ada", SQLiteSession("ada") if underlying is None else underlying,
            client=self.client, **options,
        )  # fmt: skip


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    api = Api()
    yield api
    await api.client.close()


def always(_: dict[str, Any]) -> bool:
    return True


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def assistant(text: str) -> Any:
    return {"role": "assistant", "content": text}


async def test_a_run_compacts_its_session_once_and_counts_what_it_used(api: Api) -> None:
    session = api.session(should_trigger_compaction=always)
    agent = Agent(name="A", model=ScriptedModel(["Hello."]))
    result = Runner.run_streamed(agent, "Hi", session=session)
    async for _ in result.stream_events():
        pass
    response_id = result.raw_responses[-1].response_id
    assert response_id
    assert api.requests == [{"model": "gpt-4.1", "previous_response_id": response_id}]
    assert await session.get_items() == [COMPACTED]
    plain = await Runner.run(Agent(name="A", model=ScriptedModel(["Hello."])), "Hi")
    usage, without = result.context_wrapper.usage, plain.context_wrapper.usage
    assert usage.requests == 2
    assert usage.total_tokens == without.total_tokens + 1542
    assert usage.request_usage_entries[-1].output_tokens_details.reasoning_tokens == 7


async def test_the_next_run_sends_the_compaction_without_who_made_it(api: Api) -> None:
    session = api.session(should_trigger_compaction=lambda context: not api.requests)
    model = ScriptedModel(["One.", "Two."])
    for text in ("Hi", "More"):
        await Runner.run(Agent(name="A", model=model), text, session=session)
    sent = {key: value for key, value in COMPACTED.items() if key != "created_by"}
    assert model.requests[1].input[0] == sent
    assert len(api.requests) == 1


async def test_below_ten_items_of_the_model_nothing_is_compacted(api: Api) -> None:
    session = api.session()
    await session.add_items([user("?"), assistant("!")] * 9 + [COMPACTED])
    await session.run_compaction()
    assert api.requests == []
    await session.add_items([assistant("!")])
    await session.run_compaction()
    assert len(api.requests) == 1


async def test_a_response_that_is_not_stored_is_compacted_by_its_items(api: Api) -> None:
    session = api.session(should_trigger_compaction=always)
    settings = ModelSettings(store=False)
    agent = Agent(name="A", model=ScriptedModel(["Hello."]), model_settings=settings)
    await Runner.run(agent, "Hi", session=session)
    (request,) = api.requests
    assert [item["role"] for item in request["input"]] == ["user", "assistant"]


async def test_what_the_response_has_not_seen_is_sent_and_not_lost(api: Api) -> None:
    session = api.session(should_trigger_compaction=lambda _: False)
    await Runner.run(Agent(name="A", model=ScriptedModel(["Hello."])), "Hi", session=session)
    await session.add_items([user("added by the program")])
    await session.run_compaction({"force": True})
    (request,) = api.requests
    assert "previous_response_id" not in request
    assert request["input"][-1] == user("added by the program")


async def test_another_run_on_the_session_meanwhile_is_not_lost(api: Api) -> None:
    session = api.session(should_trigger_compaction=always)

    @function_tool
    async def wait() -> str:
        await session.add_items([user("of another run")])
        return "waited"

    agent = Agent(name="A", tools=[wait], model=ScriptedModel([call("wait"), "Done."]))
    await Runner.run(agent, "Hi", session=session)
    assert not api.requests
    assert user("of another run") in await session.get_items()
    await session.run_compaction({"force": True})
    assert user("of another run") in api.requests[0]["input"]


async def test_what_a_filter_hides_from_the_model_is_not_sent_to_be_compacted(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    session = api.session(should_trigger_compaction=always)
    await session.add_items([user("for us alone")])
    hide = RunConfig(
        call_model_input_filter=lambda data: ModelInputData(
            data.model_data.input[1:], data.model_data.instructions
        )
    )
    agent = Agent(name="A", model=ScriptedModel(["Hello.", "Hello again."]))
    await Runner.run(agent, "Hi", session=session, run_config=hide)
    assert not api.requests
    assert "Session history was retained" in caplog.text
    await Runner.run(agent, "And now?", session=session)
    assert len(api.requests) == 1


async def test_a_filter_that_hides_nothing_lets_a_session_be_compacted(api: Api) -> None:
    session = api.session(should_trigger_compaction=always)
    config = RunConfig(call_model_input_filter=lambda data: data.model_data)
    agent = Agent(name="A", model=ScriptedModel(["Hello."]))
    await Runner.run(agent, "Hi", session=session, run_config=config)
    assert len(api.requests) == 1


async def test_a_run_that_ends_with_the_output_of_a_tool_leaves_it_to_the_next(api: Api) -> None:
    session = api.session(should_trigger_compaction=always)
    tool = function_tool(lambda: "7", name_override="number")
    stop = Agent(
        name="A", tools=[tool], model=ScriptedModel([call("number")]),
        tool_use_behavior="stop_on_first_tool",
    )  # fmt: skip
    await Runner.run(stop, "Hi", session=session)
    assert api.requests == []
    await Runner.run(Agent(name="B", model=ScriptedModel(["7."])), "And?", session=session)
    assert len(api.requests) == 1


async def test_an_explicit_mode_without_a_response_says_what_is_missing(api: Api) -> None:
    session = api.session(compaction_mode="previous_response_id")
    with pytest.raises(ValueError, match="requires a response_id"):
        await session.run_compaction()
    await session.add_items([assistant("a")])
    await session.run_compaction({"response_id": "resp_1", "store": False, "force": True})
    assert api.requests[-1]["previous_response_id"] == "resp_1"


@pytest.mark.parametrize("change", ["pop_item", "clear_session"])
async def test_a_history_that_was_cut_is_no_longer_that_of_the_response(
    api: Api, change: str
) -> None:
    session = api.session(
        compaction_mode="previous_response_id", should_trigger_compaction=lambda _: False
    )
    await session.add_items([user("a"), assistant("b")])
    await session.run_compaction({"response_id": "resp_1"})
    await getattr(session, change)()
    with pytest.raises(ValueError, match="requires a response_id"):
        await session.run_compaction({"force": True})
    assert api.requests == []


async def test_a_call_without_an_output_is_not_sent(api: Api) -> None:
    session = api.session()
    half = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    await session.add_items([user("a"), half])  # type: ignore[list-item]
    await session.run_compaction({"force": True})
    assert api.requests[0]["input"] == [user("a")]


async def test_what_the_settings_limit_hides_from_runs_stays(api: Api) -> None:
    underlying = SQLiteSession("ada", session_settings=SessionSettings(limit=2))
    session = api.session(underlying)
    await session.add_items([user("old"), user("a"), assistant("b")])
    await session.run_compaction({"force": True})
    assert api.requests[0]["input"] == [user("a"), assistant("b")]
    assert await session.get_items(limit=9) == [user("old"), COMPACTED]


async def test_output_is_made_fit_for_input(api: Api) -> None:
    image = {"type": "input_image", "image_url": "data:,", "file_id": None, "detail": None}
    api.output = [
        {"type": "message", "role": "user", "content": [image]},
        {"type": "message", "role": "assistant", "id": "msg_1", "content": []},
    ]
    session = api.session()
    await session.add_items([user("a")])
    await session.run_compaction({"force": True})
    picture, message = await session.get_items()
    assert picture["content"] == [{"type": "input_image", "image_url": "data:,"}]  # type: ignore[typeddict-item]
    assert "id" not in message


class Plain:
    """A session of a user's own, which fails at one of its steps."""

    session_id, session_settings = "plain", None

    def __init__(self, items: list[Any], fails: str = "", times: int = 1) -> None:
        self.items, self.fails, self.times = items, fails, times

    def _fail(self, step: str) -> None:
        if step == self.fails and self.times:
            self.times -= 1
            raise OSError(f"{step} failed")

    async def get_items(self, limit: int | None = None) -> list[Any]:
        return self.items[-limit:] if limit else list(self.items)

    async def add_items(self, items: list[Any]) -> None:
        await asyncio.sleep(0)
        self._fail("add")
        self.items += items

    async def pop_item(self) -> Any:
        return self.items.pop() if self.items else None

    async def clear_session(self) -> None:
        self._fail("clear at first")
        self.items.clear()
        self._fail("clear at last")


@pytest.mark.parametrize(
    ("step", "times"),
    [("add", 1), ("clear at first", 1), ("clear at last", 1), ("clear at last", 2)],
)
async def test_a_replacement_that_fails_restores_the_history(
    api: Api, step: str, times: int
) -> None:
    underlying = Plain([user("a"), assistant("b")], fails=step, times=times)
    session = api.session(underlying)
    with pytest.raises(OSError, match=f"{step} failed"):
        await session.run_compaction({"force": True})
    assert underlying.items == [user("a"), assistant("b")]


async def test_a_restore_that_fails_is_told_with_the_first_error(api: Api) -> None:
    session = api.session(Plain([user("a")], fails="add", times=2))
    with pytest.raises(OSError, match="add failed") as caught:
        await session.run_compaction({"force": True})
    assert "1 items of session 'ada' could not be restored" in caught.value.__notes__[0]


async def test_cancelling_again_and_again_restores_the_history(api: Api) -> None:
    adding, restored = asyncio.Event(), asyncio.Event()

    class Slow(Plain):
        async def add_items(self, items: list[Any]) -> None:
            if not adding.is_set():
                adding.set()
                await asyncio.Event().wait()
            await restored.wait()
            await super().add_items(items)

    underlying = Slow([user("a")])
    task = asyncio.create_task(api.session(underlying).run_compaction({"force": True}))
    await adding.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.01)
    restored.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert underlying.items == [user("a")]


async def test_items_added_meanwhile_come_after_the_compaction(api: Api) -> None:
    session, added = api.session(), []

    async def add() -> None:
        added.append(asyncio.create_task(session.add_items([user("later")])))
        await asyncio.sleep(0.01)

    api.meanwhile = add
    await session.add_items([user("a")])
    await session.run_compaction({"force": True})
    await added[0]
    assert await session.get_items() == [COMPACTED, user("later")]


async def test_a_subclass_of_sqlite_that_adds_in_its_own_way_is_respected(api: Api) -> None:
    class Stamped(SQLiteSession):
        async def add_items(self, items: list[Any]) -> None:
            await super().add_items([{**item, "stamp": 1} for item in items])

    session = api.session(Stamped("ada"))
    await session.add_items([user("a")])
    await session.run_compaction({"force": True})
    assert await session.get_items() == [{**COMPACTED, "stamp": 1}]


async def test_a_longer_history_than_could_be_restored_is_refused_before_a_request(
    api: Api,
) -> None:
    session = api.session(max_rollback_items=2)
    await session.add_items([user("a"), user("b")])
    await session.run_compaction({"force": True})
    await session.add_items([user("a"), user("b")])
    with pytest.raises(ValueError, match="exceeds max_rollback_items=2"):
        await session.run_compaction({"force": True})
    assert len(api.requests) == 1


def test_what_cannot_be_compacted_is_refused_at_once(api: Api) -> None:
    with pytest.raises(ValueError, match="Unsupported model"):
        api.session(model="claude-3")
    with pytest.raises(ValueError, match="must be positive"):
        api.session(max_rollback_items=0)
    conversation = OpenAIConversationsSession(openai_client=api.client)
    with pytest.raises(ValueError, match="manages the history itself"):
        api.session(conversation)


async def test_a_session_of_ones_own_is_told_of_the_response() -> None:
    class Own(Plain):
        told: Any = None

        async def run_compaction(self, args: Any = None) -> None:
            assert len(self.items) == 2  # stored before
            self.told = args

    session = Own([])
    settings = ModelSettings(store=False)
    agent = Agent(name="A", model=ScriptedModel(["Hello."]), model_settings=settings)
    result = await Runner.run(agent, "Hi", session=session)
    assert session.told == {"response_id": result.raw_responses[-1].response_id, "store": False}
    assert is_openai_responses_compaction_aware_session(session)
    assert isinstance(session, OpenAIResponsesCompactionAwareSession)
    assert not is_openai_responses_compaction_aware_session(None)


@pytest.mark.parametrize("change", ["append", "pop", "clear"])
async def test_what_another_object_does_to_the_session_meanwhile_is_not_lost(
    api: Api, tmp_path: Path, change: str
) -> None:
    path = tmp_path / "history.db"
    mine, others = SQLiteSession("ada", path), SQLiteSession("ada", path)
    session = api.session(mine, should_trigger_compaction=always)

    async def meanwhile() -> None:
        if change == "append":
            await others.add_items([user("Wait")])
        elif change == "pop":
            await others.pop_item()
        else:
            await others.clear_session()

    api.meanwhile = meanwhile
    await Runner.run(Agent(name="A", model=ScriptedModel(["Hello."])), "Hi", session=session)
    left = await mine.get_items()
    assert len(left) == {"append": 3, "pop": 1, "clear": 0}[change]
    assert "compaction" not in str(left)
    mine.close()
    others.close()


async def test_what_a_run_has_read_and_added_is_compacted_together_beyond_the_limit(
    api: Api,
) -> None:
    underlying = SQLiteSession("ada", session_settings=SessionSettings(limit=2))
    session = api.session(underlying, should_trigger_compaction=always, compaction_mode="input")
    # The third is as one that is read: it was not read for that.
    await session.add_items([user("old"), user("two"), user("one"), user("two")])
    agent = Agent(name="A", model=ScriptedModel(["Hello.", "Hello."]))
    await Runner.run(agent, "Hi", session=session)
    sent = [item["content"] for item in api.requests[0]["input"]]
    assert sent[:3] == ["one", "two", "Hi"] and len(sent) == 4
    kept = await underlying.get_items(limit=9)
    assert kept[:2] == [user("old"), user("two")] and kept[2]["type"] == "compaction"
    config = RunConfig(session_settings=SessionSettings(limit=9))
    await Runner.run(agent, "All?", session=session, run_config=config)
    assert len(api.requests[1]["input"]) == 5
    assert len(await underlying.get_items(limit=9)) == 1
