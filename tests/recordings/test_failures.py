"""A model call that failed is recorded with its error, and fails in a replay as it did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from agentstream import (
    Agent,
    ModelRetrySettings,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RecordingError,
    RunConfig,
    Runner,
    TimeLimits,
    UserError,
    load_run,
    recording,
    retry_policies,
)
from agentstream.exceptions import (
    AnswerTooLargeError,
    MaxTurnsExceeded,
    ModelBehaviorError,
    ModelRefusalError,
    ModelStalledError,
    ModelStreamError,
    ModelTimeoutError,
    RunTimeoutError,
    ToolTimeoutError,
)
from agentstream.models.retry.advice import normalize
from agentstream.recordings.failures import failure_from_dict, failure_to_dict
from agentstream.testing import (
    ScriptedModel,
    ScriptedServer,
    call,
    cut,
    fail,
    http_error,
    incomplete,
    reset,
    stall,
    stream_error,
    turn,
)

KEY = "sk-marked-2b1f"
FAULTS: dict[str, Any] = {
    "400": turn(http_error(400, "Too long.", code="context_length_exceeded")),
    "404": turn(http_error(404)),
    "429": turn(http_error(429, "Slow down.", code="rate_limit", retry_after=0.01)),
    "500": turn(http_error(500)),
    "cut": turn("Half of", cut()),
    "reset": turn("Half of", reset()),
    "error": turn("Half of", stream_error("It broke.")),
    "failed": turn("Half of", fail("It broke.")),
    "incomplete": turn("Half of", incomplete()),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recording.jsonl"


async def run(agent: Agent[Any], *, streamed: bool, **options: Any) -> Any:
    if not streamed:
        return await Runner.run(agent, "Go", **options)
    result = Runner.run_streamed(agent, "Go", **options)
    async for _ in result.stream_events():
        pass
    return result


async def failure(agent: Agent[Any], *, streamed: bool, **options: Any) -> Exception:
    with pytest.raises(Exception) as raised:
        await run(agent, streamed=streamed, **options)
    return raised.value


def facts(error: Any) -> dict[str, Any]:
    """What a program reads off an error."""
    names = ("status_code", "code", "body", "message", "limit", "timeout_seconds", "refusal")
    found = {name: getattr(error, name, None) for name in names}
    facts = normalize(error)
    facts.request_id = None  # a header, and left out
    return {"type": type(error), "text": str(error), "facts": facts, **found}


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_failed_call_fails_in_the_replay_as_it_did(
    path: Path, fault: str, streamed: bool
) -> None:
    agent: Agent[Any] = Agent(name="A", model=ScriptedModel([FAULTS[fault]]))
    with recording(path):
        live = await failure(agent, streamed=streamed)
    agent.model = "scripted"
    for mode in ("once", "replay"):
        with recording(path, mode=mode, speed=None):
            replayed = await failure(agent, streamed=streamed)
        assert facts(replayed) == facts(live)
        notes = "".join(getattr(replayed, "__notes__", ()))
        assert "recording" in notes or "Responses stream ended" in str(live)


@pytest.mark.pairwise
@pytest.mark.parametrize("api", [OpenAIResponsesModel, OpenAIChatCompletionsModel])
@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
async def test_a_servers_error_is_replayed_for_both_apis(
    path: Path, api: Any, streamed: bool, status: int
) -> None:
    with ScriptedServer([turn(http_error(status, f"Not with {KEY}.", code="c"))] * 3) as server:
        client = openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=0)
        agent: Agent[Any] = Agent(name="A", model=api("m", client))
        with recording(path):
            live = await failure(agent, streamed=streamed)
        await client.close()
    agent.model = "m"
    with recording(path, speed=None):
        replayed = await failure(agent, streamed=streamed)
    assert facts(replayed) == facts(live)
    assert type(replayed).__name__ != "RecordingError"
    assert replayed.response.status_code == status  # type: ignore[attr-defined]
    assert KEY not in path.read_text("utf-8")


@pytest.mark.parametrize("recorded", [True, False])
async def test_what_failed_as_a_stream_fails_in_one_piece_and_the_other_way_round(
    path: Path, recorded: bool
) -> None:
    agent: Agent[Any] = Agent(name="A", model=ScriptedModel([FAULTS["429"]]))
    with recording(path):
        live = await failure(agent, streamed=recorded)
    agent.model = "scripted"
    with recording(path, speed=None):
        assert facts(await failure(agent, streamed=not recorded)) == facts(live)


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_policy_and_a_handler_meet_in_the_replay_what_they_met(
    path: Path, streamed: bool
) -> None:
    seen: list[tuple[int | None, float | None]] = []

    def policy(context: Any) -> bool:
        seen.append((context.normalized.status_code, context.normalized.retry_after))
        return retry_policies.http_status([429])(context)  # type: ignore[return-value]

    retry = ModelRetrySettings(max_retries=2, policy=policy)
    agent: Agent[Any] = Agent(
        name="A",
        model=ScriptedModel([FAULTS["429"]] * 3),
        model_settings=ModelSettings(retry=retry),
    )
    with recording(path):
        live = await failure(agent, streamed=streamed)
    first, seen[:] = list(seen), []
    agent.model = "scripted"
    with recording(path, speed=None):
        replayed = await failure(agent, streamed=streamed)
    assert facts(replayed) == facts(live)
    assert seen == first == [(429, 0.01)] * 2


async def test_a_replay_waits_at_its_own_pace_before_it_tries_again(path: Path) -> None:
    slow = turn(http_error(429, retry_after=300))
    retry = ModelRetrySettings(max_retries=1, policy=retry_policies.provider_suggested())
    agent: Agent[Any] = Agent(name="A", model=ScriptedModel([slow]))
    with recording(path):
        await failure(agent, streamed=True)
    agent.model, agent.model_settings = "scripted", ModelSettings(retry=retry)
    with recording(path, speed=None):
        result = Runner.run_streamed(agent, "Go")
        with pytest.raises(openai.RateLimitError):
            async for _ in result.stream_events():
                pass
    assert [each.delay for each in result.trace.retries] == [300]


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_failed_attempt_is_not_replayed_when_another_was_answered(
    path: Path, streamed: bool
) -> None:
    retry = ModelRetrySettings(max_retries=1, policy=retry_policies.http_status([429]))
    agent: Agent[Any] = Agent(
        name="A",
        model=ScriptedModel([FAULTS["429"], "Done."]),
        model_settings=ModelSettings(retry=retry),
    )
    with recording(path):
        await run(agent, streamed=streamed)
    agent.model, agent.model_settings = "scripted", ModelSettings()
    with recording(path, speed=None):
        assert (await run(agent, streamed=streamed)).final_output == "Done."


async def test_a_question_that_was_answered_and_then_failed_does_so_again(path: Path) -> None:
    agent: Agent[Any] = Agent(name="A", model=ScriptedModel(["Done.", FAULTS["429"]]))
    with recording(path):
        await run(agent, streamed=True)
        await failure(agent, streamed=True)
    agent.model = "scripted"
    with recording(path, speed=None):
        assert (await run(agent, streamed=True)).final_output == "Done."
        assert isinstance(await failure(agent, streamed=True), openai.RateLimitError)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("status", [401, 403, None])
async def test_a_wrong_key_or_no_connection_makes_no_recording(
    path: Path, status: int | None, streamed: bool
) -> None:
    agent: Agent[Any] = Agent(name="A", model=ScriptedModel([turn(http_error(status or 500))]))
    if status is None:
        client = openai.AsyncOpenAI(base_url="http://127.0.0.1:9", api_key=KEY, max_retries=0)
        agent.model = OpenAIResponsesModel("m", client)
    with recording(path):
        await failure(agent, streamed=streamed)
        assert not path.exists()
    agent.model = ScriptedModel(["Done."])
    with recording(path):
        await run(agent, streamed=streamed)
    agent.model = "scripted"
    with recording(path, speed=None):
        assert (await run(agent, streamed=streamed)).final_output == "Done."


async def test_a_failed_call_is_asked_again_where_calls_are_recorded(path: Path) -> None:
    agent: Agent[Any] = Agent(name="A", model=ScriptedModel([FAULTS["500"], "Done."]))
    with recording(path):
        await failure(agent, streamed=True)
    with recording(path, mode="record"):
        assert (await run(agent, streamed=True)).final_output == "Done."
    agent.model = "scripted"
    with recording(path, speed=None):
        assert (await run(agent, streamed=True)).final_output == "Done."


async def test_an_error_before_the_first_answer_replaces_no_recording(path: Path) -> None:
    agent: Agent[Any] = Agent(name="A", model=ScriptedModel(["Old."]))
    with recording(path):
        await run(agent, streamed=True)
    before = path.read_bytes()
    agent.model = ScriptedModel([FAULTS["500"]])
    with recording(path, mode="refresh"):
        await failure(agent, streamed=True)
    assert path.read_bytes() == before
    agent.model = ScriptedModel([FAULTS["500"], "New."])
    with recording(path, mode="refresh"):
        await failure(agent, streamed=True)
        agent.instructions = "Again."
        await run(agent, streamed=True)
    agent.model, agent.instructions = "scripted", None
    with recording(path, speed=None):
        assert isinstance(await failure(agent, streamed=True), openai.InternalServerError)
    assert len([line for line in path.read_text("utf-8").splitlines() if '"request"' in line]) == 2


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_call_that_took_too_long_is_replayed_as_one(path: Path, streamed: bool) -> None:
    agent: Agent[Any] = Agent(
        name="A",
        model=ScriptedModel([turn("One two", stall(after=6))]),
        model_settings=ModelSettings(timeout=0.05),
    )
    with recording(path):
        live = await failure(agent, streamed=streamed)
    agent.model, agent.model_settings = "scripted", ModelSettings()
    with recording(path, speed=None):
        replayed = await failure(agent, streamed=streamed)
    assert isinstance(replayed, ModelTimeoutError)
    assert facts(replayed) == facts(live)


async def test_a_model_that_fell_silent_is_replayed_as_one(path: Path) -> None:
    agent: Agent[Any] = Agent(name="A", model=ScriptedModel([turn("One two", stall(after=6))]))
    limits = RunConfig(limits=TimeLimits(between_events=0.05))
    with recording(path):
        live = await failure(agent, streamed=True, run_config=limits)
    agent.model = "scripted"
    with recording(path, speed=None):
        replayed = await failure(agent, streamed=True)
    assert isinstance(replayed, ModelStalledError)
    assert facts(replayed) == facts(live)


async def test_a_program_that_cannot_ask_leaves_no_recording(path: Path) -> None:
    class Cannot(ScriptedModel):
        def stream_response(self, *args: Any, **named: Any) -> Any:
            raise UserError("There is no such tool choice.")

    with recording(path), pytest.raises(UserError):
        await run(Agent(name="A", model=Cannot([])), streamed=True)
    assert not path.exists()


async def test_a_recorded_run_fails_with_what_it_failed_with(path: Path) -> None:
    agent: Agent[Any] = Agent(name="A", model=ScriptedModel([call("no_such_tool")]))
    with recording(path):
        with pytest.raises(MaxTurnsExceeded):
            await Runner.run(agent, "Go", max_turns=0)
        await failure(agent, streamed=True)
    with recording(path, mode="record"):
        agent.model = ScriptedModel([FAULTS["429"]])
        agent.instructions = "Again."
        await failure(agent, streamed=True)
    kinds = [type(load_run(path, number).run_loop_exception) for number in (-2, -1)]
    assert kinds == [ModelBehaviorError, openai.RateLimitError]


class OutOfPaperError(Exception):
    """One of a program's own."""


class TooBusyError(openai.RateLimitError):
    """One of a library's own, such as litellm's."""


REQUEST = httpx2.Request("POST", "http://localhost")
ERRORS: list[Exception] = [
    ValueError("no"),
    KeyError("name"),
    OSError(111, "Connection refused"),
    FileNotFoundError(2, "No such file", "voices.txt"),
    TimeoutError(),
    httpx2.ReadError("gone", request=REQUEST),
    openai.APIConnectionError(request=REQUEST),
    openai.APITimeoutError(REQUEST),
    openai.APIError("odd", REQUEST, body={"code": "c", "message": "odd"}),
    openai.APIResponseValidationError(httpx2.Response(200, request=REQUEST), {"a": 1}),
    openai.BadRequestError("no", response=httpx2.Response(400, request=REQUEST), body="text"),
    ModelBehaviorError("odd"),
    ModelStreamError("cut"),
    AnswerTooLargeError("much", 5),
    ModelRefusalError("I will not."),
    ModelTimeoutError(3),
    ModelStalledError(3, "first_event"),
    RunTimeoutError(3),
    ToolTimeoutError("walk", 3),
    UserError("Write it otherwise."),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_the_same_behind_a_file(error: Exception) -> None:
    error.add_note("Look here.")
    again = failure_from_dict(json.loads(json.dumps(failure_to_dict(error))))
    assert facts(again) == facts(error)
    assert again.__notes__ == ["Look here."]


def test_of_a_librarys_own_class_the_nearest_base_is_raised_and_what_caused_it() -> None:
    busy = TooBusyError("busy", response=httpx2.Response(429, request=REQUEST), body=None)
    assert type(failure_from_dict(failure_to_dict(busy))) is openai.RateLimitError
    own = OutOfPaperError("Add some.")
    own.__cause__ = busy
    again = failure_from_dict(failure_to_dict(own))
    assert str(again) == "OutOfPaperError: Add some."
    assert normalize(again).status_code == 429


@pytest.mark.parametrize(
    "raised",
    [
        {},
        {"type": "RateLimitError", "message": "m"},
        {"type": "RateLimitError", "message": "m", "status": "429"},
        {"type": "ValueError", "message": 3},
        {"type": ["os"], "message": "m"},
        {"type": "UserError", "message": "m", "cause": []},
        {"type": "UserError", "message": "m", "notes": 5},
    ],
)
async def test_an_error_that_was_changed_is_a_recording_that_cannot_be_read(
    path: Path, raised: Any
) -> None:
    agent: Agent[Any] = Agent(name="A", model=ScriptedModel([FAULTS["500"]]))
    with recording(path):
        await failure(agent, streamed=True)
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for row in rows:
        if "raised" in row:
            row["raised"] = raised
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    agent.model = "scripted"
    with recording(path, speed=None):
        error = await failure(agent, streamed=True)
    assert isinstance(error, RecordingError)
