"""Streams that break are read on, or asked for anew: all of the text is there, none of it twice."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest

from agentstream import (
    Agent,
    ModelRetrySettings,
    ModelSettings,
    ModelStalledError,
    OpenAIResponsesModel,
    Runner,
)
from agentstream.models.responses import stream as responses_stream
from agentstream.models.retry import client_retries
from agentstream.notebook.snapshot.text import text_of
from tests.faults.reader import LAST, PATIENCE, REST, SILENCE, Seen, check_left, opened, page, play
from tests.faults.wire import (
    FAULTS,
    RESET,
    STREAMS,
    Played,
    Stream,
    Wire,
    deltas,
    has_ended,
    parsed,
    without_folder,
)

pytestmark = pytest.mark.skipif(not STREAMS, reason=without_folder)

BACKGROUND = ModelSettings(extra_args={"background": True})
REPLACED = ModelSettings(retry=ModelRetrySettings(replace_partial=True, backoff={"max_delay": 0}))
BREAKS = ("cut", "stall", "reset", "truncate", "corrupt")
"""The faults that end a stream before its time."""

NUMBERED = [stream for stream in STREAMS if stream.api == "responses"]
ONE = NUMBERED[5:6]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_retries, "_FIRST_DELAY", 0.0001)


class Background:
    """A server that makes its answer whether somebody listens or not."""

    def __init__(self, stream: Stream, *connections: Played) -> None:
        self.blocks = stream.blocks
        self.connections = list(connections)
        self.asked: list[str] = []
        """What was asked: ``"new"``, or the number after which to go on."""

    def __call__(self, request: httpx2.Request) -> Any:
        if request.method == "POST" and len(json.loads(request.content)["input"]) > 1:
            return [LAST["responses"]]  # the next turn
        if request.method == "POST":
            self.asked.append("new")
            rest = self.blocks
        else:
            started = parsed(self.blocks[0])["response"]["id"]
            assert request.url.path == f"/v1/responses/{started}"
            assert request.url.params["stream"] == "true"
            after = request.url.params["starting_after"]
            self.asked.append(after)
            rest = [block for block in self.blocks if number(block) > int(after)]
        if not self.connections:
            return rest
        faulty = self.connections.pop(0)
        return faulty(rest) if callable(faulty) else faulty


def number(block: bytes) -> int:
    event = parsed(block)
    return -1 if event is None else int(event["sequence_number"])


def told(seen: Seen) -> list[str]:
    return seen.deltas[:-1] if seen.deltas[-1:] == [REST] else seen.deltas


def check_as_clean(seen: Seen, clean: Seen, *, tables: bool = True) -> None:
    """The run is what it would have been without a fault."""
    assert type(seen.error) is type(clean.error), repr(seen.error)
    assert seen.shown == clean.shown
    assert seen.kept == clean.kept
    assert len(seen.result.new_items) == len(clean.result.new_items)
    if tables:
        assert list(seen.result.to_frame()["text"]) == list(clean.result.to_frame()["text"])
    assert without_times(seen) == without_times(clean)


def without_times(seen: Seen) -> list[str]:
    """The run as text, without how long its calls took."""
    return [line.partition(" · ")[0] for line in text_of(seen.result.trace).splitlines()]


@pytest.mark.parametrize("fault", BREAKS)
@pytest.mark.parametrize("stream", NUMBERED, ids=str)
async def test_a_background_answer_is_read_on_wherever_it_breaks(
    stream: Stream, fault: str
) -> None:
    wire = Wire()
    async with wire.client(max_retries=2) as client:
        last = [LAST[stream.api]]
        clean = await play(stream, wire.plays(client, stream.blocks, last), BACKGROUND)
        before = opened()
        for at in stream.events:
            played = FAULTS[fault](stream.blocks, at)
            server = Background(stream, played)
            limits = SILENCE if fault == "stall" else PATIENCE
            seen = await play(stream, wire.plays(client, server), BACKGROUND, limits=limits)
            try:
                if fault == "stall" and at == 0:
                    # Nobody knows its id, and a server that is silent may be at work.
                    assert isinstance(seen.error, ModelStalledError)
                    continue
                check_as_clean(seen, clean, tables=at % 4 == 0)
                assert told(seen) == told(clean)
                if not has_ended(played, stream.api):
                    arrived = [number(block) for block in stream.blocks[:at]]
                    assert server.asked[1:] == ([str(arrived[-1])] if arrived else ["new"])
                    assert [retry.resumed for retry in seen.result.trace.retries] == [bool(at)]
                await check_left(wire, before)
            except AssertionError as error:
                error.add_note(f"{fault} at event {at} of {stream}; asked {server.asked}")
                raise


@pytest.mark.parametrize("stream", NUMBERED, ids=str)
async def test_a_background_answer_is_read_on_after_every_event(stream: Stream) -> None:
    """The connection breaks after each single event, and the answer is whole all the same."""
    wire = Wire()
    async with wire.client(max_retries=1) as client:
        clean = await play(
            stream, wire.plays(client, stream.blocks, [LAST[stream.api]]), BACKGROUND
        )
        server = Background(stream, *[one_and_reset] * len(stream.blocks))
        seen = await play(stream, wire.plays(client, server), BACKGROUND)
    check_as_clean(seen, clean)
    assert told(seen) == told(clean)
    assert [int(after) for after in server.asked[1:]] == [
        number(block) for block in stream.blocks[: len(server.asked) - 1]
    ]
    retries = seen.result.trace.retries
    assert all(retry.resumed for retry in retries) and len(retries) == len(server.asked) - 1
    assert "Read on from there" in str(page(seen.board))


def one_and_reset(blocks: list[bytes]) -> Played:
    return [*blocks[:1], RESET]


async def test_reading_on_in_vain_has_an_end() -> None:
    [stream] = ONE
    wire = Wire()
    async with wire.client(max_retries=3) as client:
        server = Background(stream, [*stream.blocks[:6], RESET], *[[RESET]] * 10)
        seen = await play(stream, wire.plays(client, server), BACKGROUND)
    assert isinstance(seen.error, openai.APIConnectionError)
    assert server.asked == ["new", "5", "5", "5"]
    assert seen.kept == seen.shown == "".join(deltas(stream.blocks[:6], "responses")) != ""


async def test_a_client_without_retries_does_not_read_on() -> None:
    [stream] = ONE
    wire = Wire()
    async with wire.client() as client:
        server = Background(stream, [*stream.blocks[:6], RESET])
        seen = await play(stream, wire.plays(client, server), BACKGROUND)
    assert isinstance(seen.error, openai.APIConnectionError)
    assert server.asked == ["new"]


async def test_a_server_that_tells_all_again_is_not_shown_twice() -> None:
    [stream] = ONE
    wire = Wire()
    async with wire.client(max_retries=2) as client:
        scripts = [[*stream.blocks[:7], RESET], stream.blocks]
        seen = await play(stream, wire.plays(client, *scripts), BACKGROUND)
    assert seen.is_whole
    assert told(seen) == deltas(stream.blocks, "responses")


async def test_what_is_gone_from_the_server_is_an_error_with_its_name() -> None:
    [stream] = ONE
    gone = httpx2.Response(404, json={"error": {"message": "no such response"}})
    wire = Wire()
    async with wire.client(max_retries=2) as client:
        seen = await play(stream, wire.plays(client, [*stream.blocks[:6], RESET], gone), BACKGROUND)
    assert isinstance(seen.error, openai.NotFoundError)
    assert seen.kept == seen.shown == "".join(deltas(stream.blocks[:6], "responses")) != ""


@pytest.mark.parametrize("stream", STREAMS, ids=str)
async def test_an_answer_that_is_asked_anew_replaces_what_broke(stream: Stream) -> None:
    wire = Wire()
    async with wire.client() as client:
        last = [LAST[stream.api]]
        clean = await play(stream, wire.plays(client, stream.blocks, last))
        before = opened()
        for at in stream.events:
            fault = ("cut", "reset", "truncate", "corrupt")[at % 4]
            played = FAULTS[fault](stream.blocks, at)
            if has_ended(played, stream.api):
                continue
            seen = await play(stream, wire.plays(client, played, stream.blocks, last), REPLACED)
            try:
                check_as_clean(seen, clean, tables=at % 4 == 0)
                lost = "".join(deltas(played, stream.api))
                assert told(seen) == deltas(played, stream.api) + told(clean)
                [retry] = seen.result.trace.retries
                assert retry.lost == sum(
                    part.body.length
                    for part in seen.result.trace.parts
                    if part.status == "superseded"
                )
                assert retry.lost >= len(lost)
                assert str(page(seen.board)).count("The model call failed") == 1
                await check_left(wire, before)
            except AssertionError as error:
                error.add_note(f"{fault} at event {at} of {stream}")
                raise


async def test_a_background_answer_in_one_piece_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(responses_stream, "_FIRST_LOOK", 0.001)
    promise = {"id": "resp_1", "object": "response", "created_at": 0, "model": "m", "output": []}
    promise |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    message = {"id": "i", "type": "message", "role": "assistant", "status": "completed"}
    message["content"] = [{"type": "output_text", "text": "Here I am.", "annotations": []}]
    failed = httpx2.Response(500, json={"error": {"message": "down"}})
    answers = [
        httpx2.Response(200, json={**promise, "status": status, "output": output})
        for status, output in (("queued", []), ("in_progress", []), ("completed", [message]))
    ]
    wire = Wire()
    async with wire.client(max_retries=1) as client:
        model = OpenAIResponsesModel("m", wire.plays(client, *answers[:2], failed, answers[2]))
        agent = Agent(name="A", model=model, model_settings=BACKGROUND)
        result = await Runner.run(agent, "go")
    assert result.final_output == "Here I am."
    assert [request.method for request in wire.requests] == ["POST", "GET", "GET", "GET"]
    assert wire.requests[-1].url.path == "/v1/responses/resp_1"
    assert len(result.trace.retries) == 1
