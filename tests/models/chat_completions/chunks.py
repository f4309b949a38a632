"""Chunks of the Chat API, and folding them, for the tests of the chat model."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

from openai.types.responses import Response

from agentstream.models.chat_completions.stream import FAKE_ID, ChatFold

USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def chunk(delta: Any = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk as OpenAI sends it; `fields` are set at its top."""
    whole = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "m",
        "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}],
    }
    return whole | fields


def call(index: Any = 0, id: Any = None, name: Any = None, args: Any = None) -> dict[str, Any]:
    """A delta with one piece of a tool call."""
    function = {"name": name, "arguments": args}
    entry = {"index": index, "id": id, "type": "function", "function": function}
    return {"tool_calls": [{k: v for k, v in entry.items() if v is not None}]}


def template(model: str = "m") -> Response:
    """The response that a fold fills."""
    return Response(
        id=FAKE_ID,
        created_at=0,
        model=model,
        object="response",
        output=[],
        parallel_tool_calls=False,
        tool_choice="auto",
        tools=[],
    )


def folded(
    chunks: Iterable[Any], *, complete: bool = True, short: bool = False, **options: Any
) -> list[Any]:
    """The events that a stream of these chunks becomes; by the short path where there is one."""
    numbers = itertools.count(1)
    fold = ChatFold(template(), new_call_id=lambda: f"new_{next(numbers)}", **options)
    events: list[Any] = []
    for each in chunks:
        event = fold.feed_text_fast(each) if short else None
        events += fold.feed(each) if event is None else [event]
    return [*events, *fold.finish(complete=complete)]


def kinds(events: Iterable[Any]) -> list[str]:
    """The types of the events, without the prefix that all have."""
    return [event.type.removeprefix("response.") for event in events]


def sse(chunks: Iterable[Any], *, done: bool = True) -> bytes:
    """The bytes of a stream."""
    body = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks)
    return body + (b"data: [DONE]\n\n" if done else b"")
