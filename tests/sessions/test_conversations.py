"""The session of OpenAI's Conversations API, against a loopback server and beside the SDK's."""

from __future__ import annotations

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from openai import AsyncOpenAI, AuthenticationError

from agentstream.exceptions import AnswerTooLargeError, RedirectError, UserError
from agentstream.model_settings import TimeLimits
from agentstream.sessions import OpenAIConversationsSession, Session, conversations
from tests.hostile_server import hostile_server

KEY = "sk-MARKED-0123456789abcdef"


class ConversationServer:
    """OpenAI's Conversations API on loopback: items in memory, requests in a log."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.conversations: dict[str, list[Any]] = {}
        self.failures: list[int] = []  # status of the next answers; 0 lets one through
        self.count = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None: ...

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                url = urlparse(self.path)
                query = {k: v[0] for k, v in parse_qs(url.query).items()}
                given = json.loads(body) if body else None
                outer.log.append((self.command, url.path, query, given))
                status, reply = outer.reply(self.command, url.path, query, given)
                data = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = answer

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def reply(self, method: str, path: str, query: Any, body: Any) -> tuple[int, Any]:
        if self.failures and (status := self.failures.pop(0)):
            return status, {"error": {"message": f"failed on purpose, with {KEY}"}}
        _, _, *rest = path.strip("/").split("/")
        self.count += 1
        if not rest:
            name = f"conv_{self.count}"
            self.conversations[name] = []
            return 200, {"id": name, "object": "conversation", "created_at": 1, "metadata": {}}
        items = self.conversations[rest[0]]
        whole = {"id": rest[0], "object": "conversation", "created_at": 1, "metadata": {}}
        if method == "POST":
            added = [
                {**item, "id": f"item_{self.count}_{i}"} for i, item in enumerate(body["items"])
            ]
            items += added
            return 200, {"object": "list", "data": added, "first_id": added[0]["id"],
                         "last_id": added[-1]["id"], "has_more": False}  # fmt: skip
        if method == "DELETE" and len(rest) == 3:
            items[:] = [item for item in items if item["id"] != rest[2]]
            return 200, whole
        if method == "DELETE":
            del self.conversations[rest[0]]
            return 200, {"id": rest[0], "object": "conversation.deleted", "deleted": True}
        found = items if query["order"] == "asc" else items[::-1]
        if "after" in query:
            found = found[[item["id"] for item in found].index(query["after"]) + 1 :]
        page = found[:20]
        return 200, {"object": "list", "data": page, "first_id": page[0]["id"] if page else None,
                     "last_id": page[-1]["id"] if page else None,
                     "has_more": len(found) > 20}  # fmt: skip

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def server():
    server = ConversationServer()
    yield server
    server.close()


def messages(*texts: Any) -> list[Any]:
    part = "input_text"
    return [
        {"type": "message", "role": "user", "status": "completed",
         "content": [{"type": part, "text": str(text)}]}
        for text in texts
    ]  # fmt: skip


def texts(items: list[Any]) -> list[str]:
    return [item["content"][0]["text"] for item in items]


async def conversation_story(kind: Any, url: str) -> list[Any]:
    """The same calls for the SDK's class and ours; what each of them gave."""
    from openai import AsyncOpenAI

    async with AsyncOpenAI(api_key="test", base_url=url, max_retries=1) as client:
        session = kind(openai_client=client)
        told: list[Any] = []
        await session.add_items([])
        await session.clear_session()
        told.append(await session.get_items())
        told.append(await session.pop_item())
        await session.add_items(messages("a", "b", "c"))
        call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
        await session.add_items([call])
        told += [await session.get_items(), await session.get_items(2), await session.get_items(0)]
        told += [await session.pop_item(), await session.get_items(limit=1)]
        await session.add_items(messages(*range(45)))
        told += [await session.get_items(), await session.get_items(30), session.session_id]
        limited = kind(
            openai_client=client, conversation_id=session.session_id, session_settings={"limit": 2}
        )
        told.append(await limited.get_items())
        await session.clear_session()
        await session.add_items(messages("new"))
        told += [session.session_id, await session.get_items()]
        return told


@pytest.mark.slow
async def test_conversations_send_and_give_what_the_sdks_do():
    agents = pytest.importorskip("agents", reason="the OpenAI Agents SDK is the oracle here")
    told, requests = [], []
    for kind in (OpenAIConversationsSession, agents.OpenAIConversationsSession):
        server = ConversationServer()
        told.append(await conversation_story(kind, server.url))
        requests.append(server.log)
        server.close()
    assert told[0] == told[1]
    assert requests[0] == requests[1]
    assert texts(told[0][-1]) == ["new"]


async def test_a_conversation_has_no_id_before_its_first_request(server: ConversationServer):
    from openai import AsyncOpenAI

    async with AsyncOpenAI(api_key="test", base_url=server.url) as client:
        session = OpenAIConversationsSession(openai_client=client)
        with pytest.raises(ValueError, match="Session ID not yet available"):
            _ = session.session_id
        await asyncio.gather(*(session.get_items() for _ in range(3)))
        assert [method for method, *_ in server.log].count("POST") == 1
        assert session.session_id in server.conversations
        assert isinstance(session, Session)


async def test_a_write_in_several_requests_that_fails_says_how_far_it_came(
    server: ConversationServer,
):
    from openai import AsyncOpenAI, InternalServerError

    async with AsyncOpenAI(api_key="test", base_url=server.url, max_retries=3) as client:
        session = OpenAIConversationsSession(openai_client=client)
        await session.get_items()
        server.failures = [0, 500]
        with pytest.raises(InternalServerError) as caught:
            await session.add_items(messages(*range(45)))
        assert "20 of 45 items were saved" in caught.value.__notes__[0]
        assert texts(await session.get_items()) == [str(n) for n in range(20)]


def test_a_conversation_serves_one_loop_after_another(server: ConversationServer):
    from openai import AsyncOpenAI

    async def use(session: OpenAIConversationsSession) -> int:
        # A client belongs to a loop; the session's own lock must not.
        async with AsyncOpenAI(api_key="test", base_url=server.url) as client:
            session._own_client = client
            await asyncio.gather(*(session.add_items(messages(n)) for n in range(3)))
            return len(await session.get_items())

    session = OpenAIConversationsSession(openai_client=AsyncOpenAI(api_key="replaced below"))
    assert [asyncio.run(use(session)) for _ in range(3)] == [3, 6, 9]


async def test_without_a_client_it_takes_the_one_a_run_would_take(
    server: ConversationServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    session = OpenAIConversationsSession()
    await session.add_items(messages("hello"))
    assert texts(await session.get_items()) == ["hello"]
    await session._openai_client.close()
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UserError, match="set a key"):
        OpenAIConversationsSession()


async def test_a_server_of_conversations_gets_no_key_into_an_error(server: ConversationServer):
    async with AsyncOpenAI(base_url=server.url, api_key=KEY, max_retries=0) as client:
        session = OpenAIConversationsSession(openai_client=client)
        for call in (session.get_items, lambda: session.add_items(messages("a"))):
            server.failures = [401]
            with pytest.raises(
                AuthenticationError, match=r"failed on purpose, with \*\*\*"
            ) as caught:
                await call()
            assert KEY not in repr(caught.value) + repr(caught.value.body)


async def test_a_server_of_conversations_cannot_send_a_request_to_another_origin():
    async with hostile_server() as server:
        client = AsyncOpenAI(base_url=server.url("redirect"), api_key=KEY, max_retries=0)
        async with client:
            session = OpenAIConversationsSession(conversation_id="c", openai_client=client)
            for call in (
                session.get_items,
                session.pop_item,
                session.clear_session,
                lambda: session.add_items(messages("a")),
            ):
                with pytest.raises(RedirectError):
                    await call()
    assert len(server.requests) == 4
    assert server.received == []


@pytest.mark.slow
async def test_what_a_server_of_conversations_answers_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(conversations, "_LIMITS", TimeLimits(event_bytes=100_000))
    async with hostile_server() as server:
        client = AsyncOpenAI(base_url=server.url("bomb-json"), api_key=KEY, max_retries=0)
        async with client:
            session = OpenAIConversationsSession(conversation_id="c", openai_client=client)
            with pytest.raises(AnswerTooLargeError):
                await session.get_items()
