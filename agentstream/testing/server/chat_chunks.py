"""A turn's events as Chat Completions: chunks of a stream, or the whole completion.

The shapes are those of recorded streams of api.openai.com; reasoning comes as
`reasoning_content`, as DeepSeek and the servers for open models send it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...exceptions import UserError
from ..scripted.shapes import ScriptRequest

REASONING = {"response.reasoning_summary_text.delta", "response.reasoning_text.delta"}
FINISH = {"max_output_tokens": "length", "content_filter": "content_filter"}


class ChatChunks:
    """Turns the events of one turn into chunks.

    `with_usage` is what `stream_options.include_usage` asked for; the key makes the completion's
    id.
    """

    def __init__(self, key: str, model: str, *, with_usage: bool) -> None:
        self.key, self.model, self.with_usage = key, model, with_usage
        self.calls: dict[int, int] = {}  # output index -> index of the tool call

    def chunks(self, event: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The chunks that say what `event` says; often none."""
        kind = event["type"]
        if kind == "response.created":
            return [self.chunk({"role": "assistant", "content": "", "refusal": None})]
        if kind == "response.output_text.delta":
            return [self.chunk({"content": event["delta"]})]
        if kind == "response.refusal.delta":
            return [self.chunk({"refusal": event["delta"]})]
        if kind in REASONING:
            return [self.chunk({"reasoning_content": event["delta"]})]
        if kind == "response.output_item.added":
            return self.item(event)
        if kind == "response.function_call_arguments.delta":
            index = self.calls[event["output_index"]]
            call = {"index": index, "function": {"arguments": event["delta"]}}
            return [self.chunk({"tool_calls": [call]})]
        if kind in ("response.completed", "response.incomplete"):
            return self.last(event["response"])
        if kind in ("response.failed", "error"):
            error = event["response"]["error"] if kind == "response.failed" else event
            return [{"error": {"message": error["message"], "code": error["code"]}}]
        return []

    def item(self, event: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The chunk that announces a tool call."""
        item = event["item"]
        if item["type"] in ("message", "reasoning"):
            return []
        check_role(item)
        index = self.calls[event["output_index"]] = len(self.calls)
        function = {"name": item["name"], "arguments": ""}
        call = {"index": index, "id": item["call_id"], "type": "function", "function": function}
        return [self.chunk({"tool_calls": [call]})]

    def last(self, response: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The chunk with the reason of the end, and the one with the usage."""
        chunks = [self.chunk({}, finish_reason(response))]
        if self.with_usage and response["usage"]:
            chunks.append({**self.chunk({}), "choices": [], "usage": chat_usage(response["usage"])})
        return chunks

    def chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        """One chunk of the stream."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**head(self.key, self.model, "chat.completion.chunk"), "choices": [choice]}


def head(key: str, model: str, kind: str) -> dict[str, Any]:
    """What every chunk and completion starts with."""
    return {
        "id": f"chatcmpl-{key}",
        "object": kind,
        "created": 1767225600,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_scripted",
    }


def completion(response: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The whole completion for a finished response."""
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    calls: list[dict[str, Any]] = []
    for item in response["output"]:
        if item["type"] == "message":
            for part in item["content"]:
                field = "refusal" if part["type"] == "refusal" else "content"
                message[field] = (message[field] or "") + (part.get("text") or part.get("refusal"))
        elif item["type"] == "reasoning":
            parts = [*item["summary"], *item.get("content", ())]
            message["reasoning_content"] = "\n".join(part["text"] for part in parts)
        else:
            check_role(item)
            function = {"name": item["name"], "arguments": item["arguments"]}
            calls.append({"id": item["call_id"], "type": "function", "function": function})
    if calls:
        message["tool_calls"] = calls
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": finish_reason(response),
    }
    usage = response["usage"] and chat_usage(response["usage"])
    start = head(key, response["model"], "chat.completion")
    return {**start, "choices": [choice], **({"usage": usage} if usage else {})}


def check_role(item: Mapping[str, Any]) -> None:
    """Refuse what Chat Completions has no words for."""
    if item["type"] != "function_call":
        raise UserError(
            f"A turn holds a {item['type']}, which Chat Completions cannot say. Ask with the "
            "Responses API, or take that part out of the turn."
        )


def finish_reason(response: Mapping[str, Any]) -> str:
    """Why the completion ends."""
    if response["status"] == "incomplete":
        return FINISH.get(response["incomplete_details"]["reason"], "stop")
    return "tool_calls" if response["output"] and has_calls(response) else "stop"


def has_calls(response: Mapping[str, Any]) -> bool:
    """Whether the model calls tools in this response."""
    return any(item["type"] == "function_call" for item in response["output"])


def chat_usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The usage in the names of Chat Completions."""
    return {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
        "prompt_tokens_details": {
            "cached_tokens": usage["input_tokens_details"]["cached_tokens"],
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage["output_tokens_details"]["reasoning_tokens"],
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def request_of(body: Mapping[str, Any], number: int) -> ScriptRequest:
    """What a body of either API asks, in one form."""
    if "messages" not in body:
        input_items = body.get("input", [])
        items = (
            [{"role": "user", "content": input_items}]
            if isinstance(input_items, str)
            else list(input_items)
        )
        tools = tuple(tool.get("name") or tool["type"] for tool in body.get("tools") or ())
        return ScriptRequest(number, body.get("instructions"), items, tools, body=body)
    items, instructions = [], None
    for message in body["messages"]:
        if message["role"] in ("system", "developer") and not items:
            instructions = message["content"]
        elif message["role"] == "tool":
            output = {"call_id": message["tool_call_id"], "output": message["content"]}
            items.append({"type": "function_call_output", **output})
        else:
            items.append(message)
    tools = tuple(tool.get("function", tool).get("name", "") for tool in body.get("tools") or ())
    return ScriptRequest(number, instructions, items, tools, body=body)
