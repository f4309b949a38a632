"""Arguments and counts in shapes that are none of the API's, over both APIs, streamed and not."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from agentstream import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
)
from tests.models.chat_completions.client import Kept

ways = pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
both = pytest.mark.parametrize("api", ["responses", "chat"])
MISSING = object()


def response(output: list[Any], usage: Any) -> dict[str, Any]:
    return {
        "id": "r",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "m",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
    }


def responses_events(output: list[Any], usage: Any) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    for at, item in enumerate(output):
        for step in ("added", "done"):
            kind = f"response.output_item.{step}"
            events.append({"type": kind, "output_index": at, "item": item})
        if "arguments" in item:
            done = {"type": "response.function_call_arguments.done", "item_id": item["id"]}
            events.insert(-1, {**done, "output_index": at, "arguments": item["arguments"]})
    events.append({"type": "response.completed", "response": response(output, usage)})
    return [event | {"sequence_number": at} for at, event in enumerate(events)]


def responses_output(arguments: Any) -> list[Any]:
    if arguments is None:
        text = {"type": "output_text", "text": "Done.", "annotations": []}
        message = {"type": "message", "id": "m", "role": "assistant", "status": "completed"}
        return [{**message, "content": [text]}]
    [given] = arguments
    call = {"type": "function_call", "id": "f", "call_id": "c", "name": "ping", "arguments": given}
    if given is MISSING:
        del call["arguments"]
    return [{**call, "status": "completed"}]


def chat_message(arguments: Any) -> dict[str, Any]:
    if arguments is None:
        return {"role": "assistant", "content": "Done."}
    [given] = arguments
    function = {"name": "ping"} | ({} if given is MISSING else {"arguments": given})
    call = {"index": 0, "id": "c", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def body(api: str, streamed: bool, arguments: Any, usage: Any) -> httpx2.Response:
    if api == "responses":
        output = responses_output(arguments)
        whole: Any = response(output, usage)
        events = responses_events(output, usage)
    else:
        message, finish = chat_message(arguments), "tool_calls" if arguments else "stop"
        choice = {"index": 0, "finish_reason": finish}
        base = {"id": "c", "created": 1, "model": "m", "usage": usage}
        whole = {**base, "object": "chat.completion", "choices": [{**choice, "message": message}]}
        chunk = {**base, "object": "chat.completion.chunk"}
        events = [{**chunk, "choices": [{**choice, "delta": message}]}]
    if not streamed:
        return httpx2.Response(200, json=whole)
    text = "".join(
        (f"event: {event['type']}\n" if "type" in event else "") + f"data: {json.dumps(event)}\n\n"
        for event in events
    )
    kind = {"content-type": "text/event-stream"}
    return httpx2.Response(200, content=f"{text}data: [DONE]\n\n".encode(), headers=kind)


async def run(api: str, streamed: bool, *, arguments: Any = None, usage: Any = None) -> Any:
    """A run whose model calls `ping` once, if `arguments` are given, and then ends."""
    calls: list[int] = []

    @function_tool
    def ping(times: int = 5) -> str:
        """Ping."""
        calls.append(times)
        return "pong"

    def answer(_: Any) -> httpx2.Response:
        return body(api, streamed, arguments if len(client.sent) == 1 else None, usage)

    client = Kept(answer)
    kind = OpenAIChatCompletionsModel if api == "chat" else OpenAIResponsesModel
    agent: Agent[Any] = Agent(name="A", tools=[ping], model=kind("m", client))
    if streamed:
        result: Any = Runner.run_streamed(agent, "Go")
        async for _ in result.stream_events():
            pass
    else:
        result = await Runner.run(agent, "Go")
    return result, calls, client.sent


@pytest.mark.pairwise
@both
@ways
@pytest.mark.parametrize(
    ("arguments", "times"),
    [(None, 5), ({}, 5), ({"times": 7}, 7), ("", 5), (" \n", 5), (MISSING, 5), ('{"times": 8}', 8)],
    ids=["null", "object", "full object", "empty", "blank", "missing", "text"],
)
async def test_arguments_of_a_call_are_read(
    api: str, streamed: bool, arguments: Any, times: int
) -> None:
    result, calls, asked = await run(api, streamed, arguments=[arguments])
    assert (calls, result.final_output) == ([times], "Done.")
    # They are text wherever they are seen, and where they are sent back.
    [item] = [item for item in result.new_items if item.type == "tool_call_item"]
    assert isinstance(item.raw_item.arguments, str)
    shown = result.to_frame()["arguments"][0]
    found = json.loads(shown) if isinstance(shown, str) else {}
    assert found == ({} if times == 5 else {"times": times})
    sent = asked[1]["input"][1] if api == "responses" else asked[1]["messages"][1]["tool_calls"][0]
    text = sent.get("function", sent)["arguments"]
    assert json.loads(text.strip() or "{}") == found
    assert result.to_state().to_string()


def counts(read: Any, written: Any, total: Any = MISSING, **more: Any) -> dict[str, Any]:
    """Counts under the names of both APIs."""
    named = {"input_tokens": read, "output_tokens": written}
    named |= {"prompt_tokens": read, "completion_tokens": written}
    return named | ({} if total is MISSING else {"total_tokens": total}) | more


@pytest.mark.pairwise
@both
@ways
@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, (0, 0, 0)),
        ({}, (0, 0, 0)),
        ("none", (0, 0, 0)),
        ([], (0, 0, 0)),
        (counts(None, None, None), (0, 0, 0)),
        (counts("3", "4", "7"), (3, 4, 7)),
        (counts(3, 4), (3, 4, 7)),
        (counts(3.0, "4.0", 7), (3, 4, 7)),
        (counts(3, 4, 7, input_tokens_details="x", prompt_tokens_details=[]), (3, 4, 7)),
        (counts("many", {"a": 1}, True), (0, 0, 1)),
    ],
)
async def test_usage_is_read(api: str, streamed: bool, usage: Any, expected: Any) -> None:
    result, _, _ = await run(api, streamed, usage=usage)
    used = result.context_wrapper.usage
    assert (used.input_tokens, used.output_tokens, used.total_tokens) == expected
    turns = result.to_frame("turns")
    if usage:
        names = ("input_tokens", "output_tokens", "total_tokens")
        assert tuple(turns[name].fillna(0).iloc[0] for name in names) == expected
