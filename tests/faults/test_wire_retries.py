"""Requests that fail are made again, in sight: in the view, the timeline and the trace."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest

import agentstream
from agentstream import Agent, ModelRetrySettings, ModelSettings, Runner, retry_policies
from agentstream.models.retry import client_retries
from agentstream.notebook.live.dom import VirtualDom
from agentstream.notebook.live.trace_renderer import TraceRenderer
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.testing import ScriptedServer, http_error, say, turn
from tests.faults.wire import RESET, Wire

BODY = {"error": {"message": "Slow down.", "type": "requests", "param": None, "code": None}}
ANSWER = [
    b'data: {"type":"response.completed","sequence_number":0,"response":{"id":"r","object":'
    b'"response","created_at":0,"model":"m","status":"completed","output":[{"id":"i","type":'
    b'"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":'
    b'"Here I am.","annotations":[]}]}],"parallel_tool_calls":true,"tool_choice":"auto","tools":'
    b"[]}}\n\n"
]
CHAT = [
    b'data: {"id":"c","object":"chat.completion.chunk","created":0,"model":"m","choices":[{"index"'
    b':0,"delta":{"content":"Here I am."},"finish_reason":"stop"}]}\n\n',
    b"data: [DONE]\n\n",
]
MODELS = {
    "responses": (agentstream.OpenAIResponsesModel, ANSWER),
    "chat": (agentstream.OpenAIChatCompletionsModel, CHAT),
}


def answer(status: int, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, json=BODY, headers=named)


def refused() -> Exception:
    return httpx2.ConnectError("[Errno 111] Connection refused")


def unknown_host() -> Exception:
    return httpx2.ConnectError("[Errno -2] Name or service not known")


def tls() -> Exception:
    error = httpx2.ConnectError("certificate verify failed")
    error.__cause__ = ssl.SSLCertVerificationError("certificate verify failed")
    return error


FAILURES: dict[str, Callable[[], Any]] = {
    "connection refused": refused,
    "DNS": unknown_host,
    "TLS": tls,
    "connecting takes too long": lambda: httpx2.ConnectTimeout("timed out"),
    "408": lambda: answer(408),
    "409": lambda: answer(409),
    "429": lambda: answer(429),
    "500": lambda: answer(500),
    "502": lambda: answer(502),
    "503": lambda: answer(503),
    "529": lambda: answer(529),
    "400, and the server says to try again": lambda: answer(400, x_should_retry="true"),
    "reset before the first byte": lambda: [RESET],
    "cut before the first byte": list,
    "cut within the first event": lambda: [b'data: {"type":"response.crea'],
    "a first event that is no JSON": lambda: [b"data: <html>\n\n"],
}


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, without waiting."""
    waited: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float, *rest: Any) -> None:
        if seconds > 0:
            waited.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", note)
    return waited


async def run(
    api: str, *scripts: Any, max_retries: int = 2, settings: ModelSettings | None = None
) -> tuple[Any, BaseException | None, Wire]:
    """A run of an agent whose model is answered so."""
    wire = Wire()
    async with wire.client(max_retries=max_retries) as client:
        model = MODELS[api][0]("m", wire.plays(client, *scripts))
        agent = Agent(name="A", model=model, model_settings=settings or ModelSettings())
        result = Runner.run_streamed(agent, "go")
        error = None
        try:
            async for _ in result.stream_events():
                pass
            await result.wait()
        except Exception as caught:
            error = caught
    return result, error, wire


@pytest.mark.parametrize("api", MODELS)
@pytest.mark.parametrize("failure", FAILURES.values(), ids=list(FAILURES))
async def test_what_may_pass_is_tried_again_in_sight(
    failure: Callable[[], Any], api: str, waits: list[float]
) -> None:
    result, error, wire = await run(api, failure(), failure(), MODELS[api][1])
    assert error is None and result.final_output == "Here I am."
    counts = [request.headers["x-stainless-retry-count"] for request in wire.requests]
    assert counts == ["0", "1", "2"]
    # The client's own backoff: half a second, doubled, less up to a quarter.
    assert [0.375 <= waits[0] <= 0.5, 0.75 <= waits[1] <= 1.0, len(waits)] == [True, True, 2]
    first, second = result.trace.retries
    assert (first.attempt, second.attempt) == (1, 2)
    assert [first.delay, second.delay] == waits
    assert first.error and type(first.error) is str
    assert len(result.trace.turns) == 1 and result.trace.turns[0].status == "completed"
    assert list(result.to_frame("turns")["retries"]) == [2]
    events = result.to_frame("events")["type"]
    assert sum(events == "mark.model_retried") == 2
    spans = result.to_frame("spans")
    assert sum(spans["kind"] == "retry") == 2
    assert "retry" in result.timeline().svg()
    board = VirtualDom()
    TraceRenderer(result.trace, board).update()
    assert str(board.keyframe()).count("The model call failed") == 2
    assert snapshot(result.trace)["text/html"].count("The model call failed") == 2


@pytest.mark.parametrize("api", MODELS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_what_will_not_pass_is_not_tried_again(status: int, api: str) -> None:
    result, error, wire = await run(api, answer(status))
    assert isinstance(error, openai.APIStatusError)
    assert len(wire.requests) == 1 and result.trace.retries == []


@pytest.mark.parametrize("api", MODELS)
async def test_the_server_says_how_long_to_wait(api: str, waits: list[float]) -> None:
    scripts = [answer(429, retry_after="7"), answer(503, retry_after_ms="250"), MODELS[api][1]]
    result, error, _ = await run(api, *scripts)
    assert error is None
    assert waits == [7.0, 0.25]
    board = VirtualDom()
    TraceRenderer(result.trace, board).update()
    assert "Tried again after 7.00 s." in str(board.keyframe())


async def test_a_server_that_asks_for_more_than_two_minutes_is_not_waited_for() -> None:
    _result, error, wire = await run("responses", answer(429, retry_after="3600"))
    assert isinstance(error, openai.RateLimitError) and len(wire.requests) == 1
    assert "asks to wait 3600 seconds" in error.__notes__[0]


@pytest.mark.parametrize("api", MODELS)
async def test_retries_are_bounded_and_end_in_the_last_error(api: str, waits: list[float]) -> None:
    result, error, wire = await run(api, answer(500), answer(500), answer(503))
    assert isinstance(error, openai.InternalServerError) and error.status_code == 503
    assert len(wire.requests) == 3 and len(result.trace.retries) == 2
    assert result.trace.status == "failed"


async def test_a_client_without_retries_makes_none() -> None:
    _, error, wire = await run("responses", answer(500), max_retries=0)
    assert isinstance(error, openai.InternalServerError) and len(wire.requests) == 1


@pytest.mark.parametrize("api", MODELS)
async def test_an_answer_in_one_piece_is_tried_again_in_sight(api: str, waits: list[float]) -> None:
    async with ScriptedServer([http_error(429), turn(say("Here I am."))]) as server:
        model = MODELS[api][0]("m", server.client(max_retries=1))
        result = await Runner.run(Agent(name="A", model=model), "go")
    assert result.final_output == "Here I am."
    [retry] = result.trace.retries
    assert "RateLimitError" in retry.error


async def test_a_policys_retries_do_not_multiply_with_the_clients(waits: list[float]) -> None:
    settings = ModelSettings(
        retry=ModelRetrySettings(max_retries=2, policy=retry_policies.http_status([500]))
    )
    result, _, wire = await run("responses", answer(500), settings=settings)
    # The client's two of the first attempt, and the policy's two.
    assert len(wire.requests) == 5
    assert [retry.attempt for retry in result.trace.retries] == [1, 2, 3, 4]


async def test_the_wait_is_shown_while_it_lasts() -> None:
    async with Wire(scripts=[answer(429, retry_after="30"), ANSWER]).client(
        max_retries=1
    ) as client:
        model = agentstream.OpenAIResponsesModel("m", client)
        result = Runner.run_streamed(Agent(name="A", model=model), "go")
        for _ in range(500):
            if result.trace.retries:
                break
            await asyncio.sleep(0.002)
        board = VirtualDom()
        TraceRenderer(result.trace, board).update()
        result.cancel()
        await result.wait()
    assert "after 30.0 s" in str(board.keyframe())


async def test_a_copy_of_a_client_is_kept_as_long_as_the_client_is_the_same() -> None:
    wire = Wire(scripts=[ANSWER])
    async with wire.client(max_retries=2) as client:
        model = agentstream.OpenAIResponsesModel("m", client)
        agent = Agent(name="A", model=model)
        for key in ("first", "first", "second"):
            client.api_key = key
            await Runner.run_streamed(agent, "go").wait()
        copies = [client_retries.ClientRetries(client).client for _ in range(2)]
    assert [request.headers["authorization"] for request in wire.requests] == [
        "Bearer first",
        "Bearer first",
        "Bearer second",
    ]
    assert copies[0] is copies[1] is not client


async def test_a_stream_that_broke_off_is_asked_again_only_if_the_settings_say_so() -> None:
    begun = (
        b'data: {"type":"response.output_text.delta","item_id":"i","output_index":0,'
        b'"content_index":0,"delta":"Half an","logprobs":[],"sequence_number":1}\n\n'
    )
    policy = ModelSettings(
        retry=ModelRetrySettings(max_retries=2, policy=retry_policies.network_error())
    )
    result, error, wire = await run("responses", [begun, RESET], ANSWER, settings=policy)
    assert isinstance(error, openai.APIConnectionError) and len(wire.requests) == 1
    assert [part.text for part in result.trace.parts] == ["Half an"]
    kept = result.raw_responses[-1].output[0]
    assert (kept.content[0].text, kept.status) == ("Half an", "incomplete")
    assert "replace_partial" in error.__notes__[-1]


async def test_a_replaced_answer_is_replayed_from_a_recording_as_it_was_in_the_end(
    tmp_path: Any,
) -> None:
    path = tmp_path / "run.jsonl"
    wire = Wire(scripts=[answer(500), ANSWER])
    async with wire.client(max_retries=1) as client:
        model = agentstream.OpenAIResponsesModel("m", client)
        with agentstream.recording(path):
            first = Runner.run_streamed(Agent(name="A", model=model), "go")
            await first.wait()
    with agentstream.recording(path, mode="replay"):
        again = Runner.run_streamed(Agent(name="A", model=model), "go")
        await again.wait()
    assert again.final_output == first.final_output == "Here I am."
