"""A model's calls are recorded whole, found by their request, and replayed as they came."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentstream import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RecordedModel,
    RecordingError,
    Runner,
    UserError,
    function_tool,
)
from agentstream.models.base import Model, ModelTracing
from agentstream.recordings.event_lines import (
    DeltaCoalescer,
    model_event_from_dict,
    model_event_to_dict,
    separated,
)
from agentstream.recordings.file_format import read_recording
from agentstream.recordings.pace import Pace
from agentstream.recordings.request_match import difference, without_private
from agentstream.testing import (
    ScriptedModel,
    ScriptedServer,
    call,
    cut,
    http_error,
    incomplete,
    make_image,
    mcp_call,
    run_code,
    say,
    search_files,
    think,
    turn,
    web_search,
)

KEY = "sk-marked-2b1f"


@function_tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"Sunny in {city}"


def arguments(text: str = "Hello", **changes: Any) -> dict[str, Any]:
    """What a model is asked."""
    return {
        "system_instructions": "Be kind.\nBe brief.",
        "input": text,
        "model_settings": ModelSettings(),
        "tools": [],
        "output_schema": None,
        "handoffs": [],
        "tracing": ModelTracing.DISABLED,
        "previous_response_id": None,
        "conversation_id": None,
        "prompt": None,
    } | changes


async def events(model: Model, text: str = "Hello", **changes: Any) -> list[Any]:
    """The events of one call."""
    return [event async for event in model.stream_response(**arguments(text, **changes))]


async def answer(model: Model, text: str = "Hello", **changes: Any) -> str:
    """The text of one call's answer, in one piece."""
    response: Any = await model.get_response(**arguments(text, **changes))
    return "".join(part.text for item in response.output for part in item.content)


def replay(path: Path, **options: Any) -> RecordedModel:
    """A model that replays without any other model."""
    return RecordedModel("scripted", path, mode="replay", **{"speed": None, **options})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recording.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


EVERYTHING = turn(
    think("Let me see what there is."),
    web_search("trams in Lisbon", sources=["https://example.org"]),
    search_files("trams"),
    run_code("1 + 1", logs="2"),
    make_image("iVBORw0KGgo=", partial=["iVBO"]),
    mcp_call("maps", "find", output="here", city="Lisbon"),
    say("Take the tram; it is blue 🚋, and slow."),
    call("weather", city="Lisbon"),
)


async def test_replayed_events_are_those_that_came(path: Path) -> None:
    came = await events(RecordedModel(ScriptedModel([EVERYTHING]), path))
    replayed = await events(replay(path))
    assert [type(event) for event in replayed] == [type(event) for event in came]
    assert [model_event_to_dict(event) for event in replayed] == [
        model_event_to_dict(e) for e in came
    ]
    assert replayed[-1].response.usage == came[-1].response.usage


@given(
    st.lists(
        st.tuples(st.text(max_size=50), st.floats(0, 3), st.integers(0, 1), st.booleans()),
        max_size=30,
    )
)
def test_joined_texts_come_apart_in_the_same_pieces_at_the_same_times(pieces: list[Any]) -> None:
    joiner, at = DeltaCoalescer(), 0.0
    given_: list[tuple[float, dict[str, Any]]] = []
    written: list[dict[str, Any]] = []
    for number, (text, wait, item, is_text) in enumerate(pieces):
        at = round(at + wait, 6)
        event = {"type": "x.delta" if is_text else "x.done", "item_id": item}
        event |= {"sequence_number": number} | ({"delta": text} if is_text else {"text": text})
        given_.append((at, event))
        written += joiner.add(at, event)
    written += joiner.rest()
    found = [timed for line in written for timed in separated(line)]
    assert [event for _, event in found] == [event for _, event in given_]
    assert [at for at, _ in found] == pytest.approx([at for at, _ in given_], abs=2e-6 * 30)


def test_half_a_character_is_kept_as_it_came() -> None:
    joiner, halves = DeltaCoalescer(), ("\ud83d", "\ude8b")
    written: list[Any] = []
    for text in halves:
        written += joiner.add(0.0, {"type": "x.delta", "delta": text})
    written += joiner.rest()
    again = [json.loads(json.dumps(line)) for line in written]
    assert tuple(event["delta"] for line in again for _, event in separated(line)) == halves


async def test_a_text_with_half_a_character_is_written_and_read(path: Path) -> None:
    came = await events(RecordedModel(ScriptedModel(["ab \ud83d cd"]), path))
    assert [model_event_to_dict(e) for e in await events(replay(path))] == [
        model_event_to_dict(event) for event in came
    ]


def test_an_event_of_an_unknown_type_is_kept() -> None:
    data = {"type": "response.new_thing", "sequence_number": 3, "thing": {"a": [1]}}
    assert model_event_to_dict(model_event_from_dict(data)) == data


async def test_events_replay_at_the_recorded_pace_or_a_factor_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("agentstream.recordings.pace.asyncio.sleep", sleep)
    now = asyncio.get_running_loop().time()
    for speed in (1, 4, None, 0):
        await Pace(speed).wait(100.0, now)
    assert slept == [pytest.approx(100, abs=5), pytest.approx(25, abs=5), 0, 0]


@pytest.mark.parametrize("speed", [-1, "fast", True])
def test_a_speed_that_is_none_says_what_there_is(speed: Any, path: Path) -> None:
    with pytest.raises(UserError, match="a factor such as 1"):
        Pace(speed)


async def test_step_by_step_an_event_passes_when_asked(path: Path) -> None:
    came = len(await events(RecordedModel(ScriptedModel(["One two three"]), path)))
    model, seen = replay(path, speed="step"), []

    async def read() -> None:
        async for event in model.stream_response(**arguments()):
            seen.append(event.type)

    reading = asyncio.create_task(read())
    for count in (0, 1, 3):
        model.step(count)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(seen) == {0: 0, 1: 1, 3: 4}[count]
    model.step(came)
    await asyncio.wait_for(reading, 5)
    assert len(seen) == came


async def test_a_stream_is_replayed_as_one_answer_and_one_answer_as_a_stream(path: Path) -> None:
    both = RecordedModel(ScriptedModel(["Streamed.", "Whole."]), path)
    await events(both, "stream")
    await answer(both, "whole")
    assert await answer(replay(path), "stream") == "Streamed."
    streamed = await events(replay(path), "whole")
    assert streamed[-1].type == "response.completed"
    assert streamed[-1].response.output[0].content[0].text == "Whole."


async def test_usage_and_ids_of_an_answer_are_kept(path: Path) -> None:
    first = await RecordedModel(ScriptedModel(["Hi."]), path).get_response(**arguments())
    again = await replay(path).get_response(**arguments())
    assert again == first


async def test_calls_are_found_by_their_request_and_not_by_order(path: Path) -> None:
    model = RecordedModel(
        ScriptedModel(lambda request: f"You: {request.user_text}", loop=True), path
    )
    await asyncio.gather(*(events(model, text) for text in "abc"))
    replayed = replay(path)
    found = await asyncio.gather(*(answer(replayed, text) for text in "cab"))
    assert found == ["You: c", "You: a", "You: b"]


async def test_equal_requests_are_answered_in_order_of_recording_and_then_again(path: Path) -> None:
    model = RecordedModel(ScriptedModel(["One", "Two"]), path)
    await events(model)
    await events(model)
    replayed = replay(path)
    assert [await answer(replayed) for _ in range(3)] == ["One", "Two", "One"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"system_instructions": "Be kind.\nBe long."}, ["-  Be brief.", "+  Be long."]),
        ({"text": "Good bye"}, ["-    content: Hello", "+    content: Good bye"]),
        ({"tools": [weather]}, ["+    name: weather"]),
        ({"model_settings": ModelSettings(temperature=0.5)}, ["+  temperature: 0.5"]),
    ],
)
async def test_a_changed_request_is_told_with_what_differs(
    path: Path, changes: dict[str, Any], said: list[str]
) -> None:
    await events(RecordedModel(ScriptedModel(["Hi."]), path))
    with pytest.raises(RecordingError) as caught:
        await events(replay(path), **changes)
    assert caught.value.diff is not None
    changed = [line for line in caught.value.diff.splitlines()[3:] if line[0] in "+-"]
    assert set(said) <= set(changed)
    assert len(changed) < 20
    assert "mode='refresh'" in str(caught.value)


async def test_another_model_is_a_changed_request(path: Path) -> None:
    await events(RecordedModel(ScriptedModel(["Hi."], model="first"), path))
    with pytest.raises(RecordingError, match="(?s)-model: first.*\\+model: second"):
        await events(RecordedModel("second", path, mode="replay"))


async def test_the_error_compares_with_the_call_that_was_meant(path: Path) -> None:
    model = RecordedModel(ScriptedModel(["1", "2"], loop=True), path)
    await events(model, "About trams")
    await events(model, "About trams", system_instructions="Another agent.", tools=[weather])
    with pytest.raises(RecordingError, match="recorded, call 2"):
        await events(
            replay(path), "About boats", system_instructions="Another agent.", tools=[weather]
        )


def test_a_long_line_is_cut_in_the_diff_and_still_differs() -> None:
    one, two = ({"input": "x" * 500 + end} for end in "ab")
    diff = difference(one, two, "recorded")
    assert max(map(len, diff.splitlines())) < 200
    assert sum(line.startswith(("-in", "+in")) for line in diff.splitlines()) == 2


async def test_once_records_where_there_is_no_file_and_replays_where_there_is(path: Path) -> None:
    model = ScriptedModel(["First", "Second"])
    assert await answer(RecordedModel(model, path)) == "First"
    before = path.read_bytes()
    assert await answer(RecordedModel(model, path, speed=None)) == "First"
    assert len(model.requests) == 1
    assert path.read_bytes() == before


async def test_models_of_one_file_record_together(path: Path) -> None:
    one = RecordedModel(ScriptedModel(["One"]), path)
    two = RecordedModel(ScriptedModel(["Two"], model="other"), path)
    assert [await answer(one), await answer(two)] == ["One", "Two"]
    assert [call.request["model"] for call in read_recording(path).calls.values()] == [
        "scripted",
        "other",
    ]


async def test_replay_never_makes_a_file(path: Path) -> None:
    with pytest.raises(RecordingError, match="cannot be read"):
        replay(path)
    assert not path.exists()


async def test_record_adds_what_is_missing_and_replays_the_rest(path: Path) -> None:
    await events(RecordedModel(ScriptedModel(["First"]), path), "one")
    model = RecordedModel(ScriptedModel(["Second", "Third"]), path, mode="record", speed=None)
    assert [await answer(model, text) for text in ("one", "two", "one")] == [
        "First",
        "Second",
        "Third",
    ]
    again = replay(path)
    assert [await answer(again, text) for text in ("two", "one", "one")] == [
        "Second",
        "First",
        "Third",
    ]


async def test_refresh_replaces_the_recording_once_an_answer_has_come(path: Path) -> None:
    await events(RecordedModel(ScriptedModel(["Old"]), path))
    before = path.read_bytes()
    failing = ScriptedModel([turn(http_error(401, "No such key."))])
    with pytest.raises(Exception, match="No such key"):
        await events(RecordedModel(failing, path, mode="refresh"))
    assert path.read_bytes() == before
    del failing
    await events(RecordedModel(ScriptedModel(["New"]), path, mode="refresh"))
    assert await answer(replay(path)) == "New"
    assert "Old" not in path.read_text("utf-8")


def test_an_unknown_mode_says_what_there_is(path: Path) -> None:
    with pytest.raises(UserError, match="'once'"):
        RecordedModel("m", path, mode="never")  # type: ignore[arg-type]


def test_what_is_no_model_is_told(path: Path) -> None:
    with pytest.raises(UserError, match="wraps a Model"):
        RecordedModel(42, path)  # type: ignore[arg-type]


async def test_a_failed_attempt_is_not_played_when_another_was_answered(path: Path) -> None:
    model = RecordedModel(ScriptedModel([turn("Half of", cut()), "Whole."]), path)
    with pytest.raises(Exception, match="final response"):
        await events(model)
    await events(model)
    assert await answer(replay(path)) == "Whole."


async def test_a_call_that_was_stopped_plays_what_came_and_says_why(path: Path) -> None:
    stream: Any = RecordedModel(ScriptedModel(["One two three four"]), path).stream_response(
        **arguments()
    )
    async with aclosing(stream):
        async for event in stream:
            if event.type == "response.output_text.delta":
                break
    seen = []
    with pytest.raises(RecordingError, match="it was stopped"):
        async for event in replay(path).stream_response(**arguments()):
            seen.append(event.type)
    assert seen[-1] == "response.output_text.delta"


async def test_an_answer_that_is_incomplete_fails_in_the_replay_as_it_did(path: Path) -> None:
    with pytest.raises(Exception) as live:
        await events(RecordedModel(ScriptedModel([turn("Half", incomplete())]), path))
    for ask in (events, answer):
        with pytest.raises(type(live.value), match="incomplete") as replayed:
            await ask(replay(path))
        assert str(replayed.value) == str(live.value)


@pytest.mark.parametrize("api", [OpenAIResponsesModel, OpenAIChatCompletionsModel])
@pytest.mark.parametrize("streamed", [True, False])
async def test_no_key_header_organisation_or_user_reaches_the_file(
    path: Path, api: Any, streamed: bool
) -> None:
    said = f"Your key is {KEY}-key, is it not?"
    settings = ModelSettings(
        extra_headers={"x-team": f"{KEY}-header"},
        extra_query={"api-key": f"{KEY}-query"},
        metadata={"who": f"{KEY}-metadata"},
        extra_args={"user": f"{KEY}-user", "safety_identifier": f"{KEY}-safety"},
        extra_body={"prompt_cache_key": f"{KEY}-cache"},
    )
    with ScriptedServer([said]) as server:
        client = server.client(
            api_key=f"{KEY}-key", organization=f"{KEY}-organization", project=f"{KEY}-project"
        )
        model = RecordedModel(api("any", client), path)
        async with client:
            ask = events if streamed else answer
            await ask(model, model_settings=settings)
        assert server.requests[0].headers["x-team"] == f"{KEY}-header"
    written = path.read_text("utf-8")
    assert KEY not in written
    assert "Your key is ***" in written
    assert "x-request-id" not in written


@pytest.mark.parametrize("api", [OpenAIResponsesModel, OpenAIChatCompletionsModel])
async def test_models_of_both_apis_replay_without_a_server(path: Path, api: Any) -> None:
    turns = [turn("Let me look.", call("weather", city="Lisbon")), "Sunny."]
    agent: Agent[Any] = Agent(name="Guide", tools=[weather])
    with ScriptedServer(turns) as server:
        client = server.client()
        agent.model = RecordedModel(api("any", client), path)
        result = Runner.run_streamed(agent, "How is it?")
        live = [event.type async for event in result.stream_events()]
        await client.close()
    agent.model = RecordedModel("any", path, mode="replay", speed=None)
    again = Runner.run_streamed(agent, "How is it?")
    assert [event.type async for event in again.stream_events()] == live
    assert again.final_output == result.final_output == "Sunny."
    assert again.context_wrapper.usage == result.context_wrapper.usage
    assert again.to_input_list() == result.to_input_list()


async def test_no_time_of_day_is_in_the_file(path: Path) -> None:
    with ScriptedServer(["Hi."]) as server:
        async with server.client() as client:
            await events(RecordedModel(OpenAIResponsesModel("any", client), path))
    made = [line["response"]["created_at"] for line in lines(path) if "created_at" in str(line)]
    assert set(made) == {0}


async def test_lines_have_one_event_each_and_keys_in_order(path: Path) -> None:
    await events(RecordedModel(ScriptedModel([EVERYTHING]), path))
    text = path.read_text("utf-8").splitlines()
    leading = ("run", "call", "at", "type")

    def in_order(value: Any, first: tuple[str, ...] = ()) -> bool:
        if isinstance(value, list):
            return all(in_order(entry) for entry in value)
        if not isinstance(value, dict):
            return True
        names = [name for name in value if name not in first]
        return names == sorted(names) and all(in_order(entry) for entry in value.values())

    assert all(in_order(json.loads(line), leading) for line in text[1:])
    joined = [line for line in lines(path) if line.get("type", "").endswith("text.delta")]
    assert [line["delta"] for line in joined][-1] == "Take the tram; it is blue 🚋, and slow."


async def test_a_request_is_told_by_what_is_new_in_it(path: Path) -> None:
    agent: Agent[Any] = Agent(name="Guide", instructions="Guide. " * 50, tools=[weather])
    script = [call("weather", city=str(number)) for number in range(20)]
    model = ScriptedModel([*script, "Done."])
    agent.model = RecordedModel(model, path)
    await Runner.run(agent, "Go", max_turns=30)
    sizes = [len(json.dumps(line)) for line in lines(path) if "request" in line]
    assert sizes[0] > 400
    assert max(sizes[1:]) < 400
    requests = [call.request for call in read_recording(path).calls.values()]
    assert [len(request["input"]) for request in requests] == list(range(1, 43, 2))
    assert all(request["instructions"] == agent.instructions for request in requests)


@pytest.mark.slow
async def test_a_file_cut_anywhere_is_read_as_far_as_it_is_whole(path: Path) -> None:
    model = RecordedModel(ScriptedModel(["One two", "Three"]), path)
    await events(model, "a")
    await events(model, "b")
    content = path.read_bytes()
    whole = read_recording(path)
    header = content.index(b"\n") + 1
    for size in range(header, len(content), 7):
        path.write_bytes(content[:size])
        file = read_recording(path)
        assert file.whole_bytes <= size
        for number, found in file.calls.items():
            expected = whole.calls[number].lines[: len(found.lines)]
            assert found.lines == expected
        if file.damage is not None:
            at = content[:size].count(b"\n") + 1
            assert f"line {at} of" in file.damage
            assert file.damage_is_last


async def test_a_damaged_line_says_where_it_is_and_the_calls_before_it_play(path: Path) -> None:
    model = RecordedModel(ScriptedModel(["One", "Two"]), path)
    await events(model, "a")
    before = len(lines(path))
    await events(model, "b")
    rows = path.read_text("utf-8").splitlines()
    rows.insert(before + 1, "<<<<<<< HEAD")
    path.write_text("\n".join(rows), "utf-8")
    replayed = replay(path)
    assert await answer(replayed, "a") == "One"
    with pytest.raises(RecordingError, match=f"line {before + 2} of"):
        await answer(replayed, "b")
    with pytest.raises(RecordingError, match="cannot be added to"):
        RecordedModel("scripted", path, mode="record")


async def test_a_cut_recording_is_added_to_after_its_last_whole_line(path: Path) -> None:
    await events(RecordedModel(ScriptedModel(["One two three"]), path), "a")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(RecordingError, match="has no end"):
        await answer(replay(path), "a")
    model = RecordedModel(ScriptedModel(["Again"]), path, mode="record")
    assert await answer(model, "a") == "Again"
    assert read_recording(path).damage is None
    assert await answer(replay(path), "a") == "Again"


async def test_a_line_that_was_changed_is_told_when_it_is_played(path: Path) -> None:
    await answer(RecordedModel(ScriptedModel(["One"]), path))
    path.write_text(path.read_text("utf-8").replace('"usage"', '"usag_"'), "utf-8")
    for ask in (answer, events):
        with pytest.raises(RecordingError, match="Call 1 of the recording .* cannot be read"):
            await ask(replay(path))


def test_pieces_that_are_not_those_of_their_text_are_damage(path: Path) -> None:
    asyncio.run(events(RecordedModel(ScriptedModel(["One two"]), path)))
    path.write_text(path.read_text("utf-8").replace('"One two"', '"One"', 1), "utf-8")
    assert "pieces" in str(read_recording(path).damage)


@pytest.mark.parametrize("content", ["hello", '{"a": 1}\n', "[]\n"])
def test_a_file_that_is_no_recording_is_told_and_left_alone(path: Path, content: str) -> None:
    path.write_text(content, "utf-8")
    for mode in ("once", "replay", "record"):
        with pytest.raises(RecordingError, match="is no recording"):
            RecordedModel("scripted", path, mode=mode)
    assert path.read_text("utf-8") == content


def test_a_recording_of_a_later_version_is_told(path: Path) -> None:
    path.write_text('{"agentstream": "recording", "version": 99}\n', "utf-8")
    with pytest.raises(RecordingError, match="version 99"):
        replay(path)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    model = RecordedModel(ScriptedModel(["Hi."]), tmp_path / "file" / "recording.jsonl")
    with pytest.raises(RecordingError, match="cannot be written"):
        asyncio.run(answer(model))


def test_private_fields_go_and_parameters_of_tools_stay() -> None:
    tools = [
        {"type": "mcp", "headers": {"a": "b"}, "authorization": "x"},
        {"type": "function", "parameters": {"properties": {"user": {}, "headers": {}}}},
    ]
    assert without_private(tools) == [{"type": "mcp"}, tools[1]]


async def test_a_model_written_by_position_and_without_aclose_is_recorded(path: Path) -> None:
    class Steps:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __aiter__(self) -> AsyncIterator[Any]:
            return self

        async def __anext__(self) -> Any:
            return await anext(self._inner)

    class Own(Model):
        async def get_response(self, *args: Any, **named: Any) -> Any:
            raise NotImplementedError

        def stream_response(self, a, b, c, d, e, f, g, **named: Any) -> Any:  # type: ignore[no-untyped-def,override]
            inner: Any = ScriptedModel(["Own."])
            return Steps(inner.stream_response(a, b, c, d, e, f, g, **named))

    came = await events(RecordedModel(Own(), path))
    replayed = await events(RecordedModel("Own", path, mode="replay", speed=None))
    assert len(replayed) == len(came)


KILLED = """
import asyncio, sys
from agentstream import Agent, Runner, recording
from agentstream.testing import ScriptedModel, stall, turn

async def main():
    text = "word " * 100
    agent = Agent(name="Guide", model=ScriptedModel([turn(text, stall(after=90))]))
    with recording(sys.argv[1]):
        result = Runner.run_streamed(agent, "Go")
        count = 0
        async for event in result.stream_events():
            count += 1
            if count == 80:
                print("going", flush=True)

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_killed_process_leaves_a_recording_that_is_read(path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "going\n"
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.communicate(timeout=10)
    file = read_recording(path)
    text = "".join(event.get("delta", "") for _, event in file.calls[1].events())
    assert text.startswith("word word word")
    assert not file.calls[1].is_whole
    from agentstream import load_run

    run = load_run(path)
    assert run.trace.status == "failed"
    assert (run.to_frame()["text"][0] or "").startswith("word word")
    assert "ends" in str(run.run_loop_exception)
