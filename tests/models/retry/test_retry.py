"""Trying again: when, how often and after which wait, held against the SDK."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from types import ModuleType
from typing import Any

import agents
import agents.retry
import anyio
import httpx2
import openai
import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpx2Client
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseCreatedEvent,
    ResponseInProgressEvent,
    ResponseOutputMessage,
    ResponseQueuedEvent,
    ResponseTextDeltaEvent,
)

import agentstream
from agentstream.exceptions import ModelTimeoutError
from agentstream.model_settings import ModelRetrySettings, ModelSettings
from agentstream.models.retry import attempts as our_retry
from agentstream.models.retry.advice import normalize
from agentstream.models.retry.attempts import call_with_retry, stream_with_retry

agents.set_tracing_disabled(True)

RETRY_MODULES: dict[ModuleType, Any] = {agents: agents.retry, agentstream: our_retry}
LIBS = list(RETRY_MODULES)

MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "hi", "annotations": []}],
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m",
    "output": [MESSAGE],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
REQUEST = httpx2.Request("POST", "http://localhost/v1/responses")


def answer() -> Response:
    return Response.model_validate(RESPONSE)


COMPLETED = ResponseCompletedEvent(response=answer(), sequence_number=9, type="response.completed")
EVENTS: dict[str, Any] = {
    "created": ResponseCreatedEvent(response=answer(), sequence_number=0, type="response.created"),
    "in_progress": ResponseInProgressEvent(
        response=answer(), sequence_number=1, type="response.in_progress"
    ),
    "queued": ResponseQueuedEvent(response=answer(), sequence_number=1, type="response.queued"),
    "delta": ResponseTextDeltaEvent(
        item_id="msg_1",
        output_index=0,
        content_index=0,
        delta="h",
        logprobs=[],
        sequence_number=2,
        type="response.output_text.delta",
    ),
}


def status(code: int, body: Any = None, **headers: str) -> openai.APIStatusError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx2.Response(code, headers=named, request=REQUEST)
    kinds: dict[int, Any] = {429: openai.RateLimitError, 400: openai.BadRequestError}
    kind = kinds.get(code, openai.APIStatusError)
    return kind(f"status {code}", response=response, body=body)


def wrapped(cause: Exception) -> Exception:
    error = RuntimeError("wrapped")
    error.__cause__ = cause
    return error


ERRORS: dict[str, Callable[[ModuleType], Exception]] = {
    "connection": lambda lib: openai.APIConnectionError(request=REQUEST),
    "timeout": lambda lib: openai.APITimeoutError(request=REQUEST),
    "model_timeout": lambda lib: lib.ModelTimeoutError(3),
    "python_timeout": lambda lib: TimeoutError(),
    "http_library": lambda lib: httpx2.ReadError("gone"),
    "429": lambda lib: status(429),
    "429_retry_after": lambda lib: status(429, retry_after="2.5"),
    "429_retry_after_ms": lambda lib: status(429, retry_after_ms="1500", retry_after="9"),
    "429_retry_after_date_past": lambda lib: status(
        429, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"
    ),
    "429_retry_after_junk": lambda lib: status(429, retry_after="soon"),
    "429_do_not": lambda lib: status(429, x_should_retry="false"),
    "429_quota": lambda lib: status(429, {"code": "insufficient_quota"}),
    "429_with_id": lambda lib: status(429, x_request_id="req_1"),
    "400": lambda lib: status(400),
    "400_do": lambda lib: status(400, x_should_retry="true"),
    "400_retry_after": lambda lib: status(400, retry_after="3"),
    "401": lambda lib: status(401),
    "404": lambda lib: status(404),
    "408": lambda lib: status(408),
    "409": lambda lib: status(409),
    "422": lambda lib: status(422),
    "500": lambda lib: status(500),
    "503": lambda lib: status(503),
    "529": lambda lib: status(529),
    "error_payload": lambda lib: openai.APIError("x", request=REQUEST, body={"code": "busy"}),
    "wrapped_429": lambda lib: wrapped(status(429, retry_after="4")),
    "value": lambda lib: ValueError("v"),
    "os": lambda lib: ConnectionResetError("reset"),
    "behaviour": lambda lib: lib.ModelBehaviorError("x"),
}

FACTS = ("status_code", "error_code", "message", "request_id", "retry_after")
FACTS += ("is_abort", "is_network_error", "is_timeout")


def facts(normalized: Any) -> dict[str, Any]:
    return {name: getattr(normalized, name) for name in FACTS}


class FakeModel:
    """Fails as often as it has errors, then answers; made for either library by `fake_model`."""

    def __init__(
        self, errors: list[Exception], advice: Any = None, events: tuple[str, ...] = ()
    ) -> None:
        self.errors, self.advice, self.events = list(errors), advice, events
        self.calls = 0
        self.asked: list[Any] = []

    async def get_response(self, *args: Any, **named: Any) -> Any:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        lib = self.lib  # type: ignore[attr-defined]
        return lib.ModelResponse(
            output=[ResponseOutputMessage.model_validate(MESSAGE)],
            usage=lib.Usage(requests=1, input_tokens=4, total_tokens=4),
            response_id="resp_1",
        )

    async def stream_response(self, *args: Any, **named: Any) -> AsyncIterator[Any]:
        self.calls += 1
        if self.errors:
            for name in self.events:
                yield EVENTS[name]
            raise self.errors.pop(0)
        yield COMPLETED

    def get_retry_advice(self, request: Any) -> Any:
        self.asked.append(request)
        return self.advice


def fake_model(lib: ModuleType, *args: Any, **named: Any) -> Any:
    return type("Fake", (FakeModel, lib.Model), {"lib": lib})(*args, **named)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, without waiting."""
    waited: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float, *rest: Any) -> None:
        if seconds > 0:
            waited.append(seconds)
        await sleep(0)

    async def pass_over(seconds: float) -> None:
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", note)
    monkeypatch.setattr(anyio, "sleep", pass_over)  # the openai client's own waits
    return waited


async def run(
    lib: ModuleType, model: Any, settings: Any, *, stream: bool = False, **options: Any
) -> tuple[Any, list[str]]:
    """The final output or the error's name, the usage's requests, and the raw events."""
    agent = lib.Agent(name="a", model=model, model_settings=lib.ModelSettings(**settings))
    seen: list[str] = []
    try:
        if stream:
            result = lib.Runner.run_streamed(agent, "hello", **options)
            async for event in result.stream_events():
                if event.type == "raw_response_event":
                    seen.append(event.data.type)
        else:
            result = await lib.Runner.run(agent, "hello", **options)
    except Exception as error:
        return type(error).__name__, seen
    return (result.final_output, result.context_wrapper.usage.requests), seen


def no_jitter(**backoff: Any) -> dict[str, Any]:
    return {"jitter": False, **backoff}


# --- the error's facts, and the OpenAI models' advice


@pytest.mark.parametrize("make", ERRORS.values(), ids=ERRORS)
async def test_an_errors_facts_are_those_the_sdk_reads(make: Any, waits: list[float]) -> None:
    seen: list[dict[str, Any]] = []

    def note(context: Any) -> bool:
        seen.append(facts(context.normalized))
        return False

    for lib in LIBS:
        settings = {"retry": lib.ModelRetrySettings(max_retries=1, policy=note)}
        await run(lib, fake_model(lib, [make(lib)]), settings)
    assert seen[0] == seen[1]


MEMORIES: tuple[dict[str, str], ...] = ({}, {"previous_response_id": "r"}, {"conversation_id": "c"})


@pytest.mark.parametrize("make", ERRORS.values(), ids=ERRORS)
def test_the_models_advice_is_the_sdks(make: Any) -> None:
    client = AsyncOpenAI(api_key="none", base_url="http://localhost/v1")
    models = {lib: lib.OpenAIResponsesModel("m", client) for lib in LIBS}
    for memory in MEMORIES:
        told = []
        for lib, model in models.items():
            request = RETRY_MODULES[lib].ModelRetryAdviceRequest(
                error=make(lib), attempt=1, stream=False, **memory
            )
            advice = model.get_retry_advice(request)
            told.append(
                advice
                and (
                    advice.suggested,
                    advice.retry_after,
                    advice.replay_safety,
                    advice.reason,
                    facts(advice.normalized),
                    advice.response_started,
                )
            )
        assert told[0] == told[1], memory


def test_a_date_to_wait_for_becomes_seconds() -> None:
    error = status(429, retry_after="Wed, 21 Oct 2099 07:28:00 GMT")
    seconds = normalize(error).retry_after
    assert seconds is not None
    assert seconds > 1_000_000


def test_facts_that_were_not_given_replace_none() -> None:
    base = normalize(status(429, retry_after="2"))
    over = our_retry.ModelRetryNormalizedError(status_code=418, retry_after=None)
    assert facts(base.overlaid(over)) == {**facts(base), "status_code": 418, "retry_after": None}


def test_an_unknown_fact_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        our_retry.ModelRetryNormalizedError(colour="red")


# --- policies

POLICIES: dict[str, Callable[[Any], Any]] = {
    "never": lambda r: r.retry_policies.never(),
    "network_error": lambda r: r.retry_policies.network_error(),
    "http_status": lambda r: r.retry_policies.http_status(code for code in (429, 503)),
    "retry_after": lambda r: r.retry_policies.retry_after(),
    "provider_suggested": lambda r: r.retry_policies.provider_suggested(),
    "any": lambda r: r.retry_policies.any(),
    "all": lambda r: r.retry_policies.all(),
    "any_yes": lambda r: r.retry_policies.any(lambda c: False, lambda c: True),
    "any_no": lambda r: r.retry_policies.any(lambda c: False, refuse(r)),
    "any_delays": lambda r: r.retry_policies.any(wait(r, 1), wait(r, 2), lambda c: True),
    "any_approved": lambda r: r.retry_policies.any(approve(r), lambda c: True),
    "any_suggested_or_yes": lambda r: r.retry_policies.any(
        r.retry_policies.provider_suggested(), lambda c: True
    ),
    "any_yes_or_suggested": lambda r: r.retry_policies.any(
        lambda c: True, r.retry_policies.provider_suggested()
    ),
    "any_suggested_or_retry_after": lambda r: r.retry_policies.any(
        r.retry_policies.provider_suggested(), r.retry_policies.retry_after()
    ),
    "all_yes": lambda r: r.retry_policies.all(lambda c: True, lambda c: True),
    "all_but_one": lambda r: r.retry_policies.all(lambda c: True, refuse(r), lambda c: True),
    "all_delays": lambda r: r.retry_policies.all(wait(r, 2), wait(r, 1), lambda c: True),
    "all_approved": lambda r: r.retry_policies.all(lambda c: True, approve(r)),
    "all_suggested": lambda r: r.retry_policies.all(
        r.retry_policies.provider_suggested(), lambda c: True
    ),
    "nested": lambda r: r.retry_policies.any(
        r.retry_policies.all(r.retry_policies.http_status([429]), r.retry_policies.retry_after()),
        r.retry_policies.network_error(),
    ),
}


def wait(r: Any, seconds: float) -> Any:
    return lambda context: r.RetryDecision(retry=True, delay=seconds, reason=f"wait {seconds}")


def refuse(r: Any) -> Any:
    return lambda context: r.RetryDecision(retry=False, reason="no")


def approve(r: Any) -> Any:
    return lambda context: r.RetryDecision(retry=True, approve_unsafe_replay=True)


CONTEXTS: dict[str, Callable[[Any], tuple[dict[str, Any], Any]]] = {
    "429": lambda r: ({"status_code": 429}, None),
    "429_and_retry_after": lambda r: ({"status_code": 429, "retry_after": 5}, None),
    "network": lambda r: ({"is_network_error": True}, None),
    "timeout": lambda r: ({"is_timeout": True}, None),
    "abort": lambda r: ({"is_network_error": True, "is_abort": True}, None),
    "suggested": lambda r: ({}, r.ModelRetryAdvice(suggested=True, reason="do")),
    "suggested_later": lambda r: ({}, r.ModelRetryAdvice(suggested=True, retry_after=3)),
    "not_suggested": lambda r: ({}, r.ModelRetryAdvice(suggested=False, reason="do not")),
    "not_suggested_later": lambda r: ({}, r.ModelRetryAdvice(suggested=False, retry_after=3)),
    "both_retry_after": lambda r: ({"retry_after": 5}, r.ModelRetryAdvice(retry_after=3)),
    "unsafe": lambda r: ({}, r.ModelRetryAdvice(suggested=True, replay_safety="unsafe")),
    "silent": lambda r: ({}, r.ModelRetryAdvice(replay_safety="safe")),
}


async def decision_of(r: Any, policy: Any, context: Any) -> Any:
    """What this policy of this library decides there: whether, or all that a decision says."""
    given, advice = context(r)
    decision = policy(r)(
        r.RetryPolicyContext(
            error=ValueError(),
            attempt=1,
            max_retries=3,
            stream=False,
            normalized=r.ModelRetryNormalizedError(**given),
            provider_advice=advice,
        )
    )
    if inspect.isawaitable(decision):
        decision = await decision
    if isinstance(decision, bool):
        return decision
    return (decision.retry, decision.delay, decision.reason, decision.approve_unsafe_replay)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
async def test_a_policy_decides_as_the_sdks(policy: Any) -> None:
    ours, theirs = [
        {name: await decision_of(r, policy, context) for name, context in CONTEXTS.items()}
        for r in RETRY_MODULES.values()
    ]
    assert ours == theirs


# --- a run with a model that fails


def asynchronous(answer: Any) -> Any:
    async def policy(context: Any) -> Any:
        await asyncio.sleep(0)
        return answer

    return policy


SETTINGS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "nothing": lambda r: {},
    "no_policy": lambda r: {"max_retries": 2},
    "no_limit": lambda r: {"policy": lambda c: True},
    "zero": lambda r: {"max_retries": 0, "policy": lambda c: True},
    "network": lambda r: {"max_retries": 2, "policy": r.retry_policies.network_error()},
    "statuses": lambda r: {"max_retries": 2, "policy": r.retry_policies.http_status([429])},
    "suggested": lambda r: {"max_retries": 2, "policy": r.retry_policies.provider_suggested()},
    "retry_after": lambda r: {"max_retries": 2, "policy": r.retry_policies.retry_after()},
    "yes": lambda r: {"max_retries": 6, "policy": lambda c: True},
    "yes_later": lambda r: {"max_retries": 2, "policy": asynchronous(True)},
    "truthy": lambda r: {"max_retries": 2, "policy": lambda c: "yes"},
    "nothing_said": lambda r: {"max_retries": 2, "policy": lambda c: None},
    "wait": lambda r: {"max_retries": 2, "policy": wait(r, 4.5)},
    "no_wait": lambda r: {"max_retries": 2, "policy": wait(r, 0)},
    "negative_wait": lambda r: {"max_retries": 2, "policy": wait(r, -1)},
    "approved": lambda r: {"max_retries": 2, "policy": approve(r)},
    "backoff": lambda r: {
        "max_retries": 6,
        "policy": lambda c: True,
        "backoff": no_jitter(initial_delay=1, multiplier=3, max_delay=10),
    },
    "tight_backoff": lambda r: {
        "max_retries": 6,
        "policy": lambda c: True,
        "backoff": no_jitter(max_delay=0.1),
    },
    "no_backoff": lambda r: {
        "max_retries": 2,
        "policy": lambda c: True,
        "backoff": no_jitter(initial_delay=0),
    },
}
ADVICE: dict[str, dict[str, Any] | None] = {
    "none": None,
    "suggested": {"suggested": True},
    "suggested_later": {"suggested": True, "retry_after": 7.0},
    "not_suggested": {"suggested": False},
    "safe": {"suggested": True, "replay_safety": "safe"},
    "unsafe": {"suggested": True, "replay_safety": "unsafe"},
    "started": {"suggested": True, "response_started": True},
}


def settings_for(lib: ModuleType, make: Any) -> dict[str, Any]:
    options = make(RETRY_MODULES[lib])
    options.setdefault("backoff", no_jitter())
    return {"retry": lib.ModelRetrySettings(**options)}


def advice_of(lib: ModuleType, advice: Any) -> Any:
    return None if advice is None else RETRY_MODULES[lib].ModelRetryAdvice(**advice)


@pytest.mark.pairwise
@pytest.mark.parametrize("make", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("error", ["connection", "429_retry_after", "value"])
async def test_a_run_tries_again_as_the_sdks_run_does(
    make: Any, stream: bool, error: str, waits: list[float]
) -> None:
    seen = []
    for lib in LIBS:
        model = fake_model(lib, [ERRORS[error](lib) for _ in range(5)])
        outcome = await run(lib, model, settings_for(lib, make), stream=stream)
        seen.append((outcome, model.calls, list(waits)))
        waits.clear()
    assert seen[0] == seen[1]


@pytest.mark.pairwise
@pytest.mark.parametrize("advice", ADVICE.values(), ids=ADVICE)
@pytest.mark.parametrize("name", ["network", "suggested", "yes", "approved", "wait"])
@pytest.mark.parametrize("memory", MEMORIES)
async def test_advice_and_the_servers_memory_count_as_in_the_sdk(
    advice: Any, name: str, memory: Any, waits: list[float]
) -> None:
    seen = []
    for lib in LIBS:
        model = fake_model(lib, [ERRORS["connection"](lib)], advice_of(lib, advice))
        outcome = await run(lib, model, settings_for(lib, SETTINGS[name]), **memory)
        seen.append((outcome, model.calls, list(waits), len(model.asked)))
        waits.clear()
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    "events",
    [(), ("created",), ("created", "in_progress"), ("queued",), ("delta",), ("created", "delta")],
)
async def test_a_stream_starts_anew_only_before_its_answer_began(
    events: tuple[str, ...], waits: list[float]
) -> None:
    seen = []
    for lib in LIBS:
        model = fake_model(lib, [ERRORS["connection"](lib)], events=events)
        outcome = await run(lib, model, settings_for(lib, SETTINGS["yes"]), stream=True)
        seen.append((outcome[0], model.calls))
    assert seen[0] == seen[1]
    # Here the SDK's reader may miss the last event before an error; ours has all that arrived.
    told = [EVENTS[name].type for name in events]
    assert outcome[1] == told + ["response.completed"] * (model.calls - 1)


async def test_waits_vary_by_an_eighth_and_never_pass_the_limit(waits: list[float]) -> None:
    settings = ModelSettings(retry=ModelRetrySettings(max_retries=40, policy=lambda c: True))
    model = fake_model(agentstream, [ValueError() for _ in range(40)])
    await call_with_retry(model.get_response, settings, model=model)
    assert all(0.875 * 0.25 <= seconds <= 1.125 * 0.25 for seconds in waits[:1])
    assert all(0.875 * 2 <= seconds <= 2 for seconds in waits[4:])
    assert len(set(waits)) > 10


async def test_a_server_that_is_away_for_long_is_tried_as_often_as_allowed(
    waits: list[float],
) -> None:
    """Doubled a thousand times, the delay is beyond what a float holds."""
    settings = ModelSettings(retry=ModelRetrySettings(max_retries=1_100, policy=lambda c: True))
    model = fake_model(agentstream, [ValueError() for _ in range(1_100)])
    response = await call_with_retry(model.get_response, settings, model=model)
    assert response.usage.requests == 1_101
    assert 0.875 * 2 <= waits[-1] <= 2


async def test_an_error_of_the_policy_is_not_swallowed() -> None:
    def broken(context: Any) -> bool:
        raise RuntimeError("broken policy")

    settings = ModelSettings(retry=ModelRetrySettings(max_retries=1, policy=broken))
    model = fake_model(agentstream, [ValueError("v")])
    with pytest.raises(RuntimeError, match="broken policy") as caught:
        await call_with_retry(model.get_response, settings, model=model)
    assert isinstance(caught.value.__context__, ValueError)


async def test_failed_attempts_are_counted_as_requests_without_tokens(waits: list[float]) -> None:
    entries = []
    for lib in LIBS:
        model = fake_model(lib, [ValueError(), ValueError()])
        settings = settings_for(lib, SETTINGS["yes"])
        agent = lib.Agent(name="a", model=model, model_settings=lib.ModelSettings(**settings))
        result = await lib.Runner.run(agent, "hello")
        usage = result.context_wrapper.usage
        entries.append([entry.total_tokens for entry in usage.request_usage_entries])
        assert usage.requests == 3
    assert entries[0] == entries[1] == [0, 0, 4]


async def test_cancelling_is_never_tried_again() -> None:
    settings = ModelSettings(retry=ModelRetrySettings(max_retries=3, policy=lambda c: True))
    model = fake_model(agentstream, [])
    calls = 0

    async def hang() -> Any:
        nonlocal calls
        calls += 1
        await asyncio.Event().wait()

    task = asyncio.create_task(call_with_retry(hang, settings, model=model))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls == 1


async def test_what_the_reader_throws_in_is_not_the_models_error() -> None:
    settings = ModelSettings(retry=ModelRetrySettings(max_retries=3, policy=lambda c: True))
    model = fake_model(agentstream, [ValueError()], events=("created",))
    events = stream_with_retry(model.stream_response, settings, model=model)
    await anext(events)
    with pytest.raises(KeyError):
        await events.athrow(KeyError("the reader's"))
    assert model.calls == 1


async def test_a_stream_that_is_left_closes_the_models() -> None:
    closed = asyncio.Event()

    async def stream() -> AsyncIterator[Any]:
        try:
            yield EVENTS["created"]
            yield EVENTS["delta"]
        finally:
            closed.set()

    model = fake_model(agentstream, [])
    events = stream_with_retry(stream, ModelSettings(), model=model)
    async with aclosing(events):
        await anext(events)
    assert closed.is_set()


async def test_failures_are_told_to_the_caller(waits: list[float]) -> None:
    settings = ModelSettings(retry=ModelRetrySettings(max_retries=3, policy=lambda c: True))
    errors: list[Exception] = [ValueError("one"), ValueError("two")]
    model = fake_model(agentstream, errors)
    failures: list[Exception] = []
    events = stream_with_retry(model.stream_response, settings, model=model, failures=failures)
    kinds = [event.type async for batch in events for event in batch]
    assert kinds == ["response.completed"]
    assert failures == errors


# --- the openai client's own retries


CLIENT_CASES: dict[str, Callable[[Any], dict[str, Any]]] = {
    **{name: SETTINGS[name] for name in ("nothing", "no_policy", "no_limit", "zero")},
    "zero_without_policy": lambda r: {"max_retries": 0},
    "once": lambda r: {"max_retries": 1, "policy": lambda c: True},
    "never": lambda r: {"max_retries": 1, "policy": r.retry_policies.never()},
    "statuses": lambda r: {"max_retries": 3, "policy": r.retry_policies.http_status([500])},
}


@pytest.mark.pairwise
@pytest.mark.parametrize("make", CLIENT_CASES.values(), ids=CLIENT_CASES)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("memory", [{}, {"conversation_id": "c"}], ids=["plain", "conversation"])
@pytest.mark.parametrize("failures", [2, 9])
async def test_the_clients_retries_are_on_and_off_as_in_the_sdk(
    make: Any, stream: bool, memory: Any, failures: int, waits: list[float]
) -> None:
    seen = []
    for lib in LIBS:
        attempts: list[str] = []

        def serve(request: httpx2.Request, attempts: list[str] = attempts) -> httpx2.Response:
            attempts.append(request.headers["x-stainless-retry-count"])
            if len(attempts) <= failures:
                return httpx2.Response(500, json={"error": {"message": "down"}})
            if not json.loads(request.content).get("stream"):
                return httpx2.Response(200, json=RESPONSE)
            event = {"type": "response.completed", "sequence_number": 0, "response": RESPONSE}
            body = f"data: {json.dumps(event)}\n\n"
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

        http = DefaultAsyncHttpx2Client(transport=httpx2.MockTransport(serve))
        async with AsyncOpenAI(
            api_key="none", base_url="http://localhost/v1", http_client=http
        ) as client:
            model = lib.OpenAIResponsesModel("m", client)
            outcome = await run(lib, model, settings_for(lib, make), stream=stream, **memory)
        seen.append((outcome[0], attempts))
    assert seen[0] == seen[1]


# --- time


def slow_model(lib: ModuleType, seconds: float) -> Any:
    """Takes this long for its answer, and this long after each of two events."""

    class Slow(lib.Model):
        calls = cancelled = 0

        async def get_response(self, *args: Any, **named: Any) -> Any:
            return await self.wait()

        async def stream_response(self, *args: Any, **named: Any) -> AsyncIterator[Any]:
            yield EVENTS["created"]
            await self.wait()
            yield EVENTS["delta"]
            await self.wait()
            yield COMPLETED

        async def wait(self) -> Any:
            self.calls += 1
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            return lib.ModelResponse(
                output=[ResponseOutputMessage.model_validate(MESSAGE)],
                usage=lib.Usage(requests=1),
                response_id="r",
            )

    return Slow()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_call_that_takes_too_long_is_cancelled_and_told(stream: bool) -> None:
    for lib in LIBS:
        model = slow_model(lib, 5)
        outcome, _ = await run(lib, model, {"timeout": 0.05}, stream=stream)
        assert outcome == "ModelTimeoutError"
        assert (model.calls, model.cancelled) == (1, 1)


async def test_the_time_is_that_of_the_whole_stream() -> None:
    model = slow_model(agentstream, 0.5)
    events = stream_with_retry(model.stream_response, ModelSettings(timeout=0.9), model=model)
    kinds = [event.type for _ in range(2) for event in await anext(events)]
    assert kinds == ["response.created", "response.output_text.delta"]
    with pytest.raises(ModelTimeoutError) as caught:
        await anext(events)
    assert caught.value.timeout_seconds == 0.9


async def test_a_call_that_is_fast_enough_is_not_disturbed() -> None:
    for stream in (False, True):
        outcome, _ = await run(
            agentstream, slow_model(agentstream, 0), {"timeout": 30}, stream=stream
        )
        assert outcome == ("hi", 1)


async def test_each_attempt_has_its_own_time() -> None:
    for lib in LIBS:
        model = slow_model(lib, 5)
        settings = {
            "timeout": 0.03,
            "retry": lib.ModelRetrySettings(
                max_retries=2,
                policy=RETRY_MODULES[lib].retry_policies.network_error(),
                backoff={"initial_delay": 0.001},
            ),
        }
        outcome, _ = await run(lib, model, settings)
        assert (outcome, model.calls) == ("ModelTimeoutError", 3)


async def test_a_timeout_of_the_models_own_stays_its_own() -> None:
    async def fail() -> Any:
        raise TimeoutError("the model's own")

    model = fake_model(agentstream, [])
    with pytest.raises(TimeoutError, match="the model's own"):
        await call_with_retry(fail, ModelSettings(timeout=30), model=model)
