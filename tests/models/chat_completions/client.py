"""An openai client whose requests are answered and kept by the test itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import openai

from tests.models.chat_completions.chunks import chunk, sse

COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 5,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Hello"},
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}
STREAM = sse([chunk({"content": "Hello"}), chunk({}, "stop")])

Answer = Callable[[dict[str, Any]], httpx2.Response]


def answer(body: dict[str, Any]) -> httpx2.Response:
    """Say hello, in the manner that was asked for."""
    if body.get("stream"):
        return httpx2.Response(200, content=STREAM, headers={"content-type": "text/event-stream"})
    return httpx2.Response(200, json=COMPLETION)


class Kept(openai.AsyncOpenAI):
    """A client that keeps its requests in `sent` and reaches no network."""

    def __init__(self, answer: Answer = answer, base_url: str = "http://localhost/v1") -> None:
        self.sent: list[dict[str, Any]] = []
        self.urls: list[str] = []
        self.headers: list[dict[str, str]] = []

        def handle(request: httpx2.Request) -> httpx2.Response:
            body = json.loads(request.content)
            self.sent.append(body)
            self.urls.append(str(request.url))
            self.headers.append(dict(request.headers))
            return answer(body)

        http_client = httpx2.AsyncClient(transport=httpx2.MockTransport(handle))
        super().__init__(base_url=base_url, api_key="test", max_retries=0, http_client=http_client)


async def ask(model: Any, sdk: Any, *, stream: bool = False, **asked: Any) -> Any:
    """Ask a model of agentstream or of the SDK; returns its response, or its events.

    `sdk` is the package that the model is of; `settings` are those of `ModelSettings`.
    """
    arguments = {
        "system_instructions": asked.get("system"),
        "input": asked.get("input", "hi"),
        "model_settings": sdk.ModelSettings(**asked.get("settings", {})),
        "tools": asked.get("tools", []),
        "output_schema": asked.get("schema"),
        "handoffs": asked.get("handoffs", []),
        "tracing": sdk.ModelTracing.DISABLED,
        "previous_response_id": asked.get("previous_response_id"),
        "conversation_id": asked.get("conversation_id"),
        "prompt": asked.get("prompt"),
    }
    if stream:
        return [event async for event in model.stream_response(**arguments)]
    return await model.get_response(**arguments)
