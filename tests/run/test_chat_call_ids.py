"""Over Chat Completions, too, each call has an id of its own, is run once, and is answered once."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from agentstream import Agent, OpenAIChatCompletionsModel, Runner, RunState, function_tool
from tests.models.chat_completions.chunks import USAGE, call, chunk, sse


class Chat:
    """Answers with these calls, then with a text; keeps what it was sent."""

    def __init__(self, *calls: dict[str, Any]) -> None:
        self.calls = calls
        self.sent: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.sent.append(body)
        first = len(self.sent) == 1
        deltas: list[Any] = list(self.calls) if first else [{"content": "done"}]
        finish = "tool_calls" if first else "stop"
        if body.get("stream"):
            deltas = [
                piece
                for delta in deltas
                for piece in (delta.pieces() if isinstance(delta, Pieces) else [delta])
            ]
            chunks = [chunk(delta) for delta in deltas] + [chunk(finish=finish, usage=USAGE)]
            content = sse(chunks)
            return httpx.Response(
                200, content=content, headers={"content-type": "text/event-stream"}
            )
        message: dict[str, Any] = {"role": "assistant", "content": None if first else "done"}
        if first:
            entries = [entry for delta in deltas for entry in delta["tool_calls"]]
            message["tool_calls"] = [{"type": "function", **entry} for entry in entries]
        choice = {"index": 0, "message": message, "finish_reason": finish}
        whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
        return httpx.Response(200, json={**whole, "choices": [choice], "usage": USAGE})

    def model(self) -> Any:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        client = AsyncOpenAI(
            api_key="test", base_url="http://chat.test/v1", max_retries=0, http_client=http
        )
        return OpenAIChatCompletionsModel("m", client)


def pays(amount: int, id: Any, index: int = 0) -> dict[str, Any]:
    return call(index, id, "pay", json.dumps({"amount": amount}))


class Pieces(dict[str, Any]):
    """A delta of a call that comes in pieces: a name first, then the arguments bit by bit."""

    def pieces(self) -> list[dict[str, Any]]:
        """The deltas that a stream has instead of this one."""
        (entry,) = self["tool_calls"]
        function = entry["function"]
        index, text = entry["index"], function["arguments"]
        first = call(index, entry["id"], function["name"], "")
        return [
            first,
            *(call(index, None, None, text[at : at + 4]) for at in range(0, len(text), 4)),
        ]


def in_pieces(*calls: dict[str, Any]) -> list[dict[str, Any]]:
    return [Pieces(each) for each in calls]


def check_answered(body: dict[str, Any], count: int) -> None:
    """Each call in a request has an id of its own, and one answer that names it."""
    messages = body["messages"]
    called = [each["id"] for message in messages for each in message.get("tool_calls") or ()]
    answered = [message["tool_call_id"] for message in messages if message["role"] == "tool"]
    assert called == answered
    assert all(called)
    assert len(set(called)) == len(called) == count


@pytest.mark.pairwise
@pytest.mark.parametrize("needs_approval", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("calls", "ran"),
    [
        ([pays(1, None)], [1]),
        ([pays(1, "")], [1]),
        ([pays(1, None), pays(2, None, 1)], [1, 2]),
        ([pays(1, "c"), pays(2, "c", 1)], [1, 2]),
        ([pays(1, "c"), pays(1, "c", 1)], [1]),
        (in_pieces(pays(1, "c"), pays(2, "c", 1)), [1, 2]),
        (in_pieces(pays(1, "c"), pays(1, "c", 1)), [1]),
    ],
    ids=[
        "missing",
        "empty",
        "two without",
        "one id for two",
        "sent twice",
        "one id for two, in pieces",
        "sent twice, in pieces",
    ],
)
async def test_calls_whose_ids_say_nothing_run_once_each(
    calls: list[Any], ran: list[int], streamed: bool, needs_approval: bool
) -> None:
    done: list[int] = []

    @function_tool(needs_approval=needs_approval)
    def pay(amount: int) -> str:
        done.append(amount)
        return "paid"

    chat = Chat(*calls)
    agent = Agent(name="A", model=chat.model(), tools=[pay])
    asked: Any = "go"
    while True:
        if streamed:
            result: Any = Runner.run_streamed(agent, asked)
            await result.wait()
        else:
            result = await Runner.run(agent, asked)
        if not result.interruptions:
            break
        before = list(done)
        asked = await RunState.from_string(agent, result.to_state().to_string())
        asked.approve(asked.get_interruptions()[0])
        assert done == before
    assert sorted(done) == ran
    assert result.final_output == "done"
    assert len(chat.sent) == 2
    check_answered(chat.sent[-1], len(ran))


async def test_an_id_that_changes_within_a_stream_is_that_of_one_call() -> None:
    done: list[int] = []

    @function_tool
    def pay(amount: int) -> str:
        done.append(amount)
        return "paid"

    chat = Chat(call(0, "first", "pay", '{"amount"'), call(0, "second", None, ": 1}"))
    result = Runner.run_streamed(Agent(name="A", model=chat.model(), tools=[pay]), "go")
    await result.wait()
    assert done == [1]
    check_answered(chat.sent[-1], 1)
