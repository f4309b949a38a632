"""Answers as the Responses API streams them, as bytes: what the server of the benchmarks sends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

MESSAGE = "msg_0ac6a4d9e19151d50169fb7cb6c4b88193b9300f32c048c50b"
RESPONSE: dict[str, Any] = {
    "id": "resp_0ac6a4d9e19151d50169fb7cb61e388193",
    "object": "response",
    "created_at": 1754000000,
    "status": "in_progress",
    "model": "m",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": None,
}
USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 500,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 600,
}


class Stream:
    """Server-sent events, numbered as the API numbers them."""

    def __init__(self) -> None:
        self.events: list[bytes] = []

    def send(self, kind: str, **fields: Any) -> None:
        data = {"type": f"response.{kind}", **fields, "sequence_number": len(self.events)}
        body = json.dumps(data, separators=(",", ":"))
        self.events.append(f"event: response.{kind}\ndata: {body}\n\n".encode())

    def begin(self) -> None:
        self.send("created", response=RESPONSE)
        self.send("in_progress", response=RESPONSE)

    def end(self, output: list[dict[str, Any]]) -> None:
        whole = {**RESPONSE, "status": "completed", "output": output, "usage": USAGE}
        self.send("completed", response=whole)


def text(pieces: Sequence[str]) -> list[bytes]:
    """A message that comes in these pieces."""
    stream = Stream()
    place = {"item_id": MESSAGE, "output_index": 0, "content_index": 0}
    item: dict[str, Any] = {"id": MESSAGE, "type": "message", "role": "assistant", "content": []}
    part: dict[str, Any] = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    stream.begin()
    stream.send("output_item.added", output_index=0, item={**item, "status": "in_progress"})
    stream.send("content_part.added", **place, part=part)
    for number, piece in enumerate(pieces):
        padding = "x" * (number % 16)
        stream.send("output_text.delta", **place, delta=piece, logprobs=[], obfuscation=padding)
    whole = {**part, "text": "".join(pieces)}
    item = {**item, "status": "completed", "content": [whole]}
    stream.send("output_text.done", **place, text=whole["text"], logprobs=[])
    stream.send("content_part.done", **place, part=whole)
    stream.send("output_item.done", output_index=0, item=item)
    stream.end([item])
    return stream.events


def call(name: str, arguments: str, call_id: str, width: int = 5) -> list[bytes]:
    """A call of a function, whose arguments come `width` bytes at a time."""
    stream = Stream()
    item = {"id": f"fc_{call_id}", "type": "function_call", "call_id": call_id, "name": name}
    place = {"item_id": item["id"], "output_index": 0}
    open_item = {**item, "arguments": "", "status": "in_progress"}
    whole = {**item, "arguments": arguments, "status": "completed"}
    stream.begin()
    stream.send("output_item.added", output_index=0, item=open_item)
    for start in range(0, len(arguments), width):
        piece = arguments[start : start + width]
        stream.send("function_call_arguments.delta", **place, delta=piece, obfuscation="")
    stream.send("function_call_arguments.done", **place, name=name, arguments=arguments)
    stream.send("output_item.done", output_index=0, item=whole)
    stream.end([whole])
    return stream.events


def words(count: int) -> list[str]:
    """As many tokens."""
    return [f" word{number}" for number in range(count)]


def chat(pieces: Sequence[str]) -> list[bytes]:
    """The same message as Chat Completions stream it, with its usage and its end."""
    chunk = {
        "id": "chatcmpl-C0ac6a4d9e19151d50169fb7cb6c4b",
        "object": "chat.completion.chunk",
        "created": 1754000000,
        "model": "m",
        "service_tier": "default",
        "system_fingerprint": "fp_0ac6a4d9e1",
    }

    def sent(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
        body = json.dumps({**chunk, "choices": choices, "usage": usage}, separators=(",", ":"))
        return f"data: {body}\n\n".encode()

    def choice(delta: dict[str, Any], reason: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]

    usage = {"prompt_tokens": 100, "completion_tokens": 500, "total_tokens": 600}
    return [
        sent(choice({"role": "assistant", "content": "", "refusal": None})),
        *(sent(choice({"content": piece})) for piece in pieces),
        sent(choice({}, "stop")),
        sent([], usage),
        b"data: [DONE]\n\n",
    ]
