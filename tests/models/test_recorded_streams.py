"""Recorded streams of many providers, played by a server: nothing of them is lost on the way.

Each file is one conversation of a client with a provider: its requests and the bytes that came
back. The official client parses the same bytes; what it sees, a model and a run must deliver.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

import agentstream
from agentstream.models.chat_completions.stream import ChatFold
from agentstream.models.http.sse import SSESplitter
from agentstream.testing import ScriptedServer, raw, say
from tests.models.chat_completions.chunks import template
from tests.trace.test_dataframes import assert_writable

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "streams"
FILES = sorted(FOLDER.glob("*.json"))
CALLS = [
    (path.stem, number)
    for path in FILES
    for number in range(len(json.loads(path.read_bytes())["calls"]))
]

pytestmark = pytest.mark.skipif(
    not FILES, reason=f"needs the recorded streams, which are not in the repository: {FOLDER}"
)


@dataclass
class Seen:
    """What a stream told, by the official client or by us."""

    events: list[dict[str, Any]] = field(default_factory=list)
    deltas: list[str] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    usage: int | None = None
    error: str | None = None

    @property
    def text(self) -> str:
        return "".join(self.deltas)


@cache
def recording(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_bytes())
    return loaded


def body(name: str, number: int) -> bytes:
    sse: str = recording(name)["calls"][number]["sse"]
    return sse.encode()


def fragments(name: str, number: int) -> list[bytes]:
    """The bytes, cut anywhere: in characters and line ends, and sometimes byte by byte."""
    data, dice = body(name, number), random.Random(f"{name} {number}")
    pieces = []
    while data:
        size = dice.choice((1, 2, 3, 17, 61, 509, 4093))
        pieces.append(data[:size])
        data = data[size:]
    return pieces


async def official(name: str, number: int) -> Seen:
    """What the official client makes of the bytes."""
    headers = {"content-type": "text/event-stream"}
    answer = httpx2.Response(200, content=body(name, number), headers=headers)
    http_client = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: answer))
    client = openai.AsyncOpenAI(
        api_key="test", base_url="http://localhost/v1", max_retries=0, http_client=http_client
    )
    seen = Seen()
    try:
        if recording(name)["api"] == "responses":
            responses = await client.responses.create(model="m", input="", stream=True)
            read_events(seen, [event async for event in responses])
        else:
            chunks = await client.chat.completions.create(model="m", messages=[], stream=True)
            await read_chunks(seen, chunks)
    except openai.APIError as error:
        seen.error = error.message
    finally:
        await client.close()
    return seen


def read_events(seen: Seen, events: list[Any]) -> None:
    for event in events:
        seen.events.append(event.model_dump(warnings=False))
        if event.type == "response.output_text.delta" and event.delta:
            seen.deltas.append(event.delta)
        elif event.type == "response.output_item.done" and event.item.type == "function_call":
            seen.calls.append((event.item.name, event.item.arguments))
        elif event.type == "response.completed" and event.response.usage:
            seen.usage = event.response.usage.total_tokens


async def read_chunks(seen: Seen, chunks: Any) -> None:
    calls: dict[int, list[str]] = {}
    try:
        async for chunk in chunks:
            usage = chunk.usage
            if usage is None and chunk.model_extra:
                usage = (chunk.model_extra.get("x_groq") or {}).get("usage")
            if usage:
                seen.usage = (
                    usage["total_tokens"] if isinstance(usage, dict) else usage.total_tokens
                )
            for choice in chunk.choices:
                text = answer_text(choice.delta.content)
                if text:
                    seen.deltas.append(text)
                for call in choice.delta.tool_calls or []:
                    kept = calls.setdefault(call.index, ["", ""])
                    kept[0] += call.function.name or ""
                    kept[1] += call.function.arguments or ""
    finally:
        seen.calls = [(name, arguments) for name, arguments in calls.values()]


def answer_text(content: Any) -> str:
    """The text of a delta's content; Mistral's is a list in which thoughts stand, too."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part["type"] == "text")
    return content or ""


def test_the_short_path_of_chat_chunks_comes_to_the_same_for_every_recording() -> None:
    short = pieces = 0
    for name, number in CALLS:
        if recording(name)["api"] == "responses":
            continue
        found = [data for _, data in SSESplitter().feed(body(name, number))]
        chunks = [json.loads(data) for data in found if not data.startswith(b"[DONE]")]
        one, other = ChatFold(template()), ChatFold(template())
        for chunk in chunks:
            if isinstance(chunk, dict) and chunk.get("error"):
                break
            event = one.feed_text_fast(chunk)
            events = list(one.feed(chunk)) if event is None else [event]
            assert events == list(other.feed(chunk))
            short += event is not None
            pieces += sum(event.type == "response.output_text.delta" for event in events)
    assert short > 0.9 * pieces > 1_000, (short, pieces)


def check(name: str, seen: Seen, expected: Seen) -> None:
    assert seen.error == expected.error
    assert seen.deltas == expected.deltas
    if expected.error is None:
        assert seen.calls == expected.calls
        assert seen.usage == expected.usage
    if recording(name)["api"] == "responses":
        assert seen.events == expected.events


def model(name: str, client: openai.AsyncOpenAI) -> agentstream.Model:
    if recording(name)["api"] == "responses":
        return agentstream.OpenAIResponsesModel("m", client)
    return agentstream.OpenAIChatCompletionsModel("m", client)


@pytest.mark.parametrize(("name", "number"), CALLS)
async def test_a_model_delivers_what_the_official_client_sees(name: str, number: int) -> None:
    seen = Seen()
    events: list[Any] = []
    async with ScriptedServer([raw(fragments(name, number))]) as server:
        stream = model(name, server.client()).stream_response(
            None,
            "hi",
            agentstream.ModelSettings(),
            [],
            None,
            [],
            agentstream.ModelTracing.DISABLED,
            previous_response_id=None,
            conversation_id=None,
            prompt=None,
        )
        try:
            async for event in stream:
                events.append(event)
        except openai.APIError as error:
            seen.error = error.message
    read_events(seen, events)
    check(name, seen, await official(name, number))


def tools(name: str) -> list[agentstream.Tool]:
    """Tools of the names and schemas in the recorded requests, that answer the same to all."""

    async def invoke(context: Any, arguments: str) -> str:
        return "Done."

    found: dict[str, agentstream.Tool] = {}
    for call in recording(name)["calls"]:
        for sent in call["request"].get("tools") or []:
            function = sent.get("function", sent)
            if sent["type"] == "function":
                found[function["name"]] = agentstream.FunctionTool(
                    name=function["name"],
                    description=function.get("description") or "",
                    params_json_schema=function.get("parameters") or {"type": "object"},
                    on_invoke_tool=invoke,
                    strict_json_schema=False,
                )
    return list(found.values())


@pytest.mark.parametrize("name", [path.stem for path in FILES])
async def test_a_run_delivers_what_the_official_client_sees(name: str) -> None:
    """The calls are played in order; when a run has its answer, the next one begins."""
    total = len(recording(name)["calls"])

    def turn(request: Any) -> Any:
        number = request.number - 1
        return raw(fragments(name, number)) if number < total else say("That is all.")

    async with ScriptedServer(turn) as server:
        agent = agentstream.Agent(
            name="Player", model=model(name, server.client()), tools=tools(name)
        )
        while (first := len(server.calls)) < total:
            seen = Seen()
            events: list[Any] = []
            result = agentstream.Runner.run_streamed(agent, "Go on.", max_turns=total + 1)
            try:
                async for event in result.stream_events():
                    if event.type == "raw_response_event":
                        events.append(event.data)
            except openai.APIError as error:
                seen.error = error.message
            assert len(server.calls) > first, "the run asked nothing"
            played = range(first, min(len(server.calls), total))
            expected = [await official(name, number) for number in played]
            check_run(name, result, events, seen, expected, server.calls[first:])
            for table in ("items", "turns", "events", "spans"):
                assert_writable(result.to_frame(table))


def check_run(
    name: str, result: Any, events: list[Any], seen: Seen, expected: list[Seen], asked: list[Any]
) -> None:
    whole = Seen()
    for each in expected:
        whole.events += each.events
        whole.deltas += each.deltas
        whole.calls += each.calls
        whole.usage = each.usage if each.usage is not None else whole.usage
        whole.error = whole.error or each.error
    if len(asked) > len(expected):  # the recording ends in a call: the server has said the rest
        ended = [n for n, e in enumerate(events) if e.type == "response.created"][len(expected)]
        events = events[:ended]
        assert result.final_output == "That is all."
    elif whole.error is None:
        assert isinstance(result.final_output, str)
        assert result.final_output == expected[-1].text
    read_events(seen, events)
    check(name, seen, whole)
