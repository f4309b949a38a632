"""Under `recording` a run is recorded the first time, replayed from then on, and kept as data."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from openai import OpenAIError
from pandas.testing import assert_frame_equal

from agentstream import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrailTripwireTriggered,
    ModelSettings,
    RecordedModel,
    RecordingError,
    RunConfig,
    Runner,
    UserError,
    function_tool,
    handoff,
    input_guardrail,
    load_run,
    recording,
    set_default_openai_key,
    show,
)
from agentstream.models.base import Model
from agentstream.models.http import credentials
from agentstream.recordings.file_format import read_recording
from agentstream.run.active_recording import active
from agentstream.testing import (
    ScriptedModel,
    ScriptedServer,
    call,
    cut,
    hand_off,
    stall,
    think,
    turn,
)
from agentstream.trace import dataframes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recording.jsonl"


@pytest.fixture(autouse=True)
def nothing_is_recorded_afterwards() -> Iterator[None]:
    yield
    assert active() is None


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, moved by the test: runs and recorder read it."""
    now = [1000.0]
    fake = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("agentstream.run.state.run_state.time", fake)
    monkeypatch.setattr("agentstream.recordings.recorder.time", fake)
    return now


class Ticking(Model):
    """A model that takes a while for each event."""

    def __init__(self, inner: Any, clock: list[float]) -> None:
        self.inner, self.clock, self.model = inner, clock, "ticking"

    async def get_response(self, *args: Any, **named: Any) -> Any:
        self.clock[0] += 0.25
        return await self.inner.get_response(*args, **named)

    async def stream_response(self, *args: Any, **named: Any) -> Any:
        async for event in self.inner.stream_response(*args, **named):
            self.clock[0] += 0.015625
            yield event


class Guides:
    """A guide with a tool and a colleague, and what became of them."""

    def __init__(self, model: Any = None, other: Any = None) -> None:
        self.asked: list[str] = []
        self.handed: list[str] = []
        self.checked: list[str] = []

        @function_tool
        def weather(city: str) -> str:
            """Tell the weather."""
            self.asked.append(city)
            return f"Sunny in {city}"

        @input_guardrail(run_in_parallel=False)
        def polite(context: Any, agent: Any, input: Any) -> GuardrailFunctionOutput:
            self.checked.append(str(input))
            return GuardrailFunctionOutput(None, tripwire_triggered="stupid" in str(input))

        self.booking: Agent[Any] = Agent(name="Booking", model=other or "scripted")
        self.guide: Agent[Any] = Agent(
            name="Guide",
            instructions="Guide them.",
            model=model or "scripted",
            tools=[weather],
            handoffs=[handoff(self.booking, on_handoff=lambda context: self.handed.append("yes"))],
            input_guardrails=[polite],
        )


def scripts() -> tuple[ScriptedModel, ScriptedModel]:
    first = turn(think("Let me see."), "I look.", call("weather", city="Lisbon"))
    return ScriptedModel([first, hand_off("Booking")]), ScriptedModel(["Booked a blue tram."])


def in_thread(work: Any) -> Any:
    """What `work` returns in a thread of its own, where no loop is running."""
    box: list[Any] = []
    thread = threading.Thread(target=lambda: box.append(work()))
    thread.start()
    thread.join(30)
    return box[0]


async def streamed(agent: Agent[Any], text: str = "Go", **options: Any) -> Any:
    """A streamed run, read to its end."""
    result = Runner.run_streamed(agent, text, **options)
    async for _ in result.stream_events():
        pass
    return result


async def test_without_a_key_the_same_cells_replay_and_tools_run_for_real(path: Path) -> None:
    for guides in (Guides(*scripts()), Guides()):
        with recording(path, speed=None) as file:
            assert file.is_replaying == path.exists()
            result = await streamed(guides.guide)
        assert result.final_output == "Booked a blue tram."
        assert result.last_agent is guides.booking
        assert (guides.asked, guides.handed, len(guides.checked)) == (["Lisbon"], ["yes"], 1)


async def test_a_replay_leaves_the_file_as_it_is(path: Path) -> None:
    with recording(path):
        await streamed(Guides(*scripts()).guide)
    before = path.read_bytes()
    for mode in ("once", "replay", "record"):
        with recording(path, mode, speed=None):
            await streamed(Guides().guide)
        assert path.read_bytes() == before


async def test_without_a_file_and_a_key_the_error_is_that_of_the_missing_key(path: Path) -> None:
    with recording(path), pytest.raises(UserError, match="There is no OpenAI key") as caught:
        await streamed(Agent(name="Guide"))
    assert isinstance(caught.value, OpenAIError)  # which the openai client raises for that
    assert not path.exists()


async def test_every_way_to_run_replays_the_same_recording(path: Path) -> None:
    with recording(path):
        await streamed(Guides(*scripts()).guide)
    with recording(path, speed=None):
        assert (await Runner.run(Guides().guide, "Go")).final_output == "Booked a blue tram."

    def without_async() -> tuple[Any, Any]:
        with recording(path, speed=None):
            events = list(Runner.run_streamed(Guides().guide, "Go"))
            return Runner.run_sync(Guides().guide, "Go").final_output, events[-1].type

    assert in_thread(without_async) == ("Booked a blue tram.", "run_item_stream_event")


async def test_started_at_the_top_it_holds_from_then_on(path: Path) -> None:
    file = recording(path).start()
    await streamed(Guides(*scripts()).guide)
    file.close()
    assert len(read_recording(path).calls) == 3
    file = recording(path, speed=None).start()
    assert (await streamed(Guides().guide)).final_output == "Booked a blue tram."
    file.close()


def test_a_recording_that_is_not_started_does_nothing(path: Path) -> None:
    path.write_text("this is no recording", encoding="utf-8")
    record = recording(path, mode="replay")
    assert active() is None and "not started" in repr(record)
    made = recording(path.with_name("new.jsonl"))
    assert not made.is_replaying and record.is_replaying
    made.close()
    assert active() is None and not made.path.exists()
    for begin in (record.start, record.__enter__):
        with pytest.raises(RecordingError, match="is no recording"):
            begin()
        assert active() is None


async def test_a_recording_is_an_asynchronous_context_manager_as_well(path: Path) -> None:
    async with recording(path) as record:
        await streamed(Guides(*scripts()).guide)
        assert "recording" in repr(record) and active() is record
    assert active() is None
    async with recording(path, speed=None) as record:
        assert record.is_replaying
        assert (await streamed(Guides().guide)).final_output == "Booked a blue tram."


async def test_what_is_started_twice_is_closed_once(path: Path) -> None:
    record = recording(path).start()
    assert record.start() is record is active()
    with record:
        await streamed(Guides(*scripts()).guide)
    assert active() is None
    assert len(read_recording(path).calls) == 3


def test_what_is_closed_records_nothing_though_another_was_started_after_it(path: Path) -> None:
    first = recording(path).start()
    second = recording(path.with_name("second.jsonl")).start()
    first.close()
    assert active() is second
    second.close()
    assert active() is None


async def test_a_block_comes_before_what_is_on_for_all(path: Path) -> None:
    outer = recording(path).start()
    with recording(path.with_name("inner.jsonl")):
        await streamed(Agent(name="A", model=ScriptedModel(["In the block."])))
    await streamed(Agent(name="A", model=ScriptedModel(["Outside."])))
    outer.close()
    assert "Outside." in path.read_text("utf-8")
    assert "In the block." in path.with_name("inner.jsonl").read_text("utf-8")
    assert "In the block." not in path.read_text("utf-8")


async def test_recordings_side_by_side_do_not_meet(tmp_path: Path) -> None:
    async def record(name: str) -> None:
        with recording(tmp_path / name):
            await streamed(Agent(name=name, model=ScriptedModel([f"I am {name}."])))

    await asyncio.gather(*(record(name) for name in "abc"))
    for name in "abc":
        file = read_recording(tmp_path / name)
        assert len(file.calls) == len(file.runs) == 1
        assert f"I am {name}." in (tmp_path / name).read_text("utf-8")


def test_a_run_that_starts_when_it_is_read_belongs_to_the_block_it_was_made_in(path: Path) -> None:
    def late() -> int:
        with recording(path):
            result = Runner.run_streamed(Guides(*scripts()).guide, "Go")
        assert not path.exists()
        return len(list(result))

    assert in_thread(late) > 10
    assert load_run(path).final_output == "Booked a blue tram."


async def test_the_model_of_the_run_is_recorded_too(path: Path) -> None:
    agent: Agent[Any] = Agent(name="A", model="unused")
    with recording(path):
        await streamed(agent, run_config=RunConfig(model=ScriptedModel(["By the run."])))
    with recording(path, speed=None):
        result = await streamed(agent, run_config=RunConfig(model="scripted"))
    assert result.final_output == "By the run."


async def test_a_model_with_a_recording_of_its_own_keeps_it(path: Path) -> None:
    own = path.with_name("own.jsonl")
    with recording(path):
        await streamed(Agent(name="A", model=RecordedModel(ScriptedModel(["Own."]), own)))
    assert len(read_recording(own).calls) == 1
    assert not path.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda guide: setattr(guide, "instructions", "Guide them well."),
        lambda guide: guide.tools.clear(),
        lambda guide: setattr(guide, "model", "another"),
        lambda guide: setattr(guide, "model_settings", ModelSettings(temperature=0.1)),
        lambda guide: setattr(guide, "output_type", list[int]),
        lambda guide: guide.handoffs.clear(),
    ],
)
async def test_a_changed_agent_is_told_with_a_diff(path: Path, change: Any) -> None:
    with recording(path):
        await streamed(Guides(*scripts()).guide)
    guide = Guides().guide
    change(guide)
    with recording(path, speed=None), pytest.raises(RecordingError) as caught:
        await streamed(guide)
    assert caught.value.diff is not None
    assert "recorded, call 1" in caught.value.diff
    assert f"recording('{path}', mode='refresh')" in str(caught.value)


async def test_a_tool_that_answers_differently_is_told(path: Path) -> None:
    with recording(path):
        await streamed(Guides(*scripts()).guide)
    guides = Guides()

    @function_tool
    def weather(city: str) -> str:
        """Tell the weather."""
        return f"Rain in {city}"

    guides.guide.tools[:] = [weather]
    with recording(path, speed=None), pytest.raises(RecordingError) as caught:
        await streamed(guides.guide)
    assert "-    output: Sunny in Lisbon\n+    output: Rain in Lisbon" in str(caught.value)
    assert "Tools run for real" in str(caught.value)


async def test_a_guardrail_checks_a_replayed_run(path: Path) -> None:
    with recording(path):
        await streamed(Guides(*scripts()).guide)
    with recording(path, speed=None), pytest.raises(InputGuardrailTripwireTriggered):
        await streamed(Guides().guide, "stupid")


def same(one: Any, other: Any) -> None:
    """Two runs give the same tables and the same picture."""
    for table in ("items", "turns", "events", "spans"):
        first, second = (dataframes.to_frame(run, table) for run in (one, other))
        assert_frame_equal(first, second, check_exact=False, atol=2e-6, rtol=0)
    pictures = [run.timeline()._repr_mimebundle_()["image/svg+xml"] for run in (one, other)]
    assert pictures[0] == pictures[1]


async def test_a_run_and_its_recording_give_the_same_tables_and_picture(
    path: Path, clock: list[float]
) -> None:
    first, second = scripts()
    with recording(path):
        live = await streamed(Guides(Ticking(first, clock), Ticking(second, clock)).guide)
    same(live, load_run(path))
    assert load_run(path).to_frame()["ended_s"].iloc[-1] > 0.3


async def test_a_run_in_one_piece_is_recorded_as_well(path: Path, clock: list[float]) -> None:
    first, second = scripts()
    with recording(path):
        guide = Guides(Ticking(first, clock), Ticking(second, clock)).guide
        live = await Runner.run(guide, "Go")
    loaded = load_run(path)
    same(live, loaded)
    assert [one.output for one in loaded.raw_responses] == [
        one.output for one in live.raw_responses
    ]


async def test_a_recorded_run_has_what_its_result_had(path: Path) -> None:
    with recording(path):
        live = await streamed(Guides(*scripts()).guide)
    loaded = load_run(path)
    assert loaded.final_output == live.final_output
    assert loaded.last_agent.name == "Booking"
    assert loaded.context_wrapper.usage == live.context_wrapper.usage
    assert loaded.to_input_list() == live.to_input_list()
    assert [item.type for item in loaded.new_items] == [item.type for item in live.new_items]
    assert loaded.trace.status == "completed"
    assert loaded.last_response_id == live.last_response_id
    assert "RecordedRun" in repr(loaded)


async def test_an_agent_as_a_tool_is_part_of_the_run_that_called_it(
    path: Path, clock: list[float]
) -> None:
    inner: Agent[Any] = Agent(name="Expert", model=Ticking(ScriptedModel(["Forty-two."]), clock))
    outer: Agent[Any] = Agent(
        name="Boss",
        model=Ticking(ScriptedModel([call("expert", input="What?"), "It is 42."]), clock),
        tools=[inner.as_tool("expert", "Asks the expert.")],
    )
    with recording(path):
        live = await streamed(outer)
    assert len(read_recording(path).runs) == 1
    loaded = load_run(path)
    same(live, loaded)
    assert "Forty-two." in loaded.to_frame()["text"].dropna().to_list()
    inner.model = outer.model = "ticking"
    with recording(path, speed=None):
        assert (await streamed(outer)).final_output == "It is 42."


async def test_a_run_inside_a_tool_is_a_run_of_its_own(path: Path) -> None:
    @function_tool
    async def think_hard() -> str:
        """Run another agent."""
        return str((await streamed(Agent(name="In", model=ScriptedModel(["Deep."])))).final_output)

    outer: Agent[Any] = Agent(
        name="Out", tools=[think_hard], model=ScriptedModel([call("think_hard"), "Done."])
    )
    with recording(path):
        await streamed(outer)
    assert sorted(str(load_run(path, at).final_output) for at in (0, 1)) == ["Deep.", "Done."]


async def test_runs_at_the_same_time_are_told_apart(path: Path) -> None:
    agent: Agent[Any] = Agent(
        name="Echo", model=ScriptedModel(lambda request: request.user_text * 30, loop=True)
    )
    with recording(path):
        lives = await asyncio.gather(*(streamed(agent, f"{text} ") for text in "abc"))
    runs = [load_run(path, at) for at in range(3)]
    assert sorted(run.final_output for run in runs) == sorted(live.final_output for live in lives)
    assert all(len(run.trace.turns) == 1 for run in runs)
    assert len(dataframes.to_frame(runs)["run"].unique()) == 3


async def test_a_run_that_waited_for_approval_is_one_run(path: Path) -> None:
    @function_tool(needs_approval=True)
    def pay() -> str:
        """Pay."""
        return "paid"

    agent: Agent[Any] = Agent(name="A", tools=[pay], model=ScriptedModel([call("pay"), "Done."]))
    with recording(path):
        result = await streamed(agent)
        state = result.to_state()
        state.approve(result.interruptions[0])
        assert (await streamed(agent, state)).final_output == "Done."
    assert len(read_recording(path).runs) == 1
    loaded = load_run(path)
    assert loaded.trace.status == "completed"
    assert [approval.approved for _, approval in loaded.trace.approvals] == [True]
    assert loaded.final_output == "Done."


async def test_a_failed_run_is_recorded_with_its_error(path: Path) -> None:
    with recording(path), pytest.raises(Exception, match="final response"):
        await streamed(Agent(name="A", model=ScriptedModel([turn("Half of", cut())])))
    loaded = load_run(path, speed=None)
    assert loaded.trace.status == "failed"
    assert "final response" in str(loaded.trace.error)
    with pytest.raises(Exception, match="The recorded run failed"):
        async for _ in loaded.stream_events():
            pass


async def test_a_stopped_run_is_recorded_as_stopped(path: Path) -> None:
    agent: Agent[Any] = Agent(name="A", model=ScriptedModel([turn("One two", stall(after=6))]))
    with recording(path):
        result = Runner.run_streamed(agent, "Go")
        async for event in result.stream_events():
            if event.type == "raw_response_event" and "delta" in event.data.type:
                result.cancel()
        await result.wait()
    assert load_run(path).trace.status == "cancelled"


async def test_playing_gives_the_events_as_they_happened(
    path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = scripts()
    guide = Guides(Ticking(first, clock), Ticking(second, clock)).guide
    with recording(path):
        result = Runner.run_streamed(guide, "Go")
        live = [event.type async for event in result.stream_events()]
    waits: list[float] = []

    async def wait(self: Any, at: float, began: float) -> None:
        waits.append(at)

    monkeypatch.setattr("agentstream.recordings.pace.Pace.wait", wait)
    playback = load_run(path).play()
    assert [event.type async for event in playback.stream_events()] == live
    same(result, playback)
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(result.trace.now, abs=1e-5)
    assert playback.final_output == result.final_output


async def test_a_recorded_run_plays_from_its_beginning_each_time(path: Path) -> None:
    with recording(path):
        await streamed(Guides(*scripts()).guide)
    loaded = load_run(path, speed=None)
    counts = [len([event async for event in loaded.stream_events()]) for _ in range(2)]
    assert counts[0] == counts[1] == in_thread(lambda: len(list(loaded)))


async def test_playing_goes_step_by_step_and_stops(path: Path) -> None:
    with recording(path):
        await streamed(Guides(*scripts()).guide)
    loaded = load_run(path, speed="step")
    playback = loaded.play()
    loaded.step(4)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(playback.trace.log) == 4
    playback.cancel()
    await playback.wait()
    assert playback.trace.status == "cancelled"


async def test_show_plays_a_recorded_run(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with recording(path):
        await show(Guides(*scripts()).guide, "Go")
    live = capsys.readouterr().out
    await show(load_run(path, speed=None))
    assert capsys.readouterr().out == live
    assert "Booked a blue tram." in live


async def test_a_recording_that_is_cut_off_loads_as_far_as_it_is_whole(path: Path) -> None:
    with recording(path):
        await streamed(Guides(*scripts()).guide)
    content = path.read_bytes()
    text = content.index(b"Sunny in Lisbon")
    path.write_bytes(content[:text])
    line = content[:text].count(b"\n") + 1
    loaded = load_run(path, speed=None)
    assert loaded.trace.status == "failed"
    assert f"line {line} of" in str(loaded.trace.error)
    assert "I look." in loaded.to_frame()["text"].to_list()
    seen = []
    with pytest.raises(RecordingError, match=f"line {line} of"):
        async for event in loaded.stream_events():
            seen.append(event)
    assert len(seen) > 10


async def test_a_line_that_says_what_no_recording_says_is_told(path: Path) -> None:
    with recording(path):
        await streamed(Guides(*scripts()).guide)
    path.write_text(path.read_text("utf-8").replace("mark.tool_started", "mark.tool_x"), "utf-8")
    with pytest.raises(RecordingError, match=r"Run 1 .* cannot be read \(KeyError"):
        load_run(path)


async def test_a_recording_cut_between_two_lines_says_so(path: Path) -> None:
    with recording(path):
        await streamed(Guides(*scripts()).guide)
    rows = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(rows[:9]))
    assert "ends after line 9" in str(load_run(path).run_loop_exception)


async def test_cells_after_a_cut_recording_are_recorded_in_its_place(path: Path) -> None:
    with recording(path):
        await streamed(Guides(*scripts()).guide)
    path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 3])
    with recording(path, mode="record", speed=None):
        result = await streamed(Guides(*scripts()).guide)
    assert result.final_output == "Booked a blue tram."
    assert load_run(path).trace.status == "completed"
    with recording(path, speed=None):
        assert (await streamed(Guides().guide)).final_output == "Booked a blue tram."


async def test_a_run_partly_replayed_is_recorded_whole(path: Path) -> None:
    with recording(path):
        await streamed(Guides(*scripts()).guide)
    guides = Guides(None, ScriptedModel(["Another answer."], model="new"))
    with recording(path, mode="record", speed=None):
        await streamed(guides.guide)
    assert len(read_recording(path).runs) == 2
    loaded = load_run(path)
    assert [turn_.model for turn_ in loaded.trace.turns] == ["scripted", "scripted", "new"]
    assert loaded.final_output == "Another answer."
    assert loaded.to_frame()["text"].to_list()[:2] == ["Let me see.", "I look."]


async def test_a_file_without_runs_and_a_run_that_is_not_there_are_told(path: Path) -> None:
    agent: Agent[Any] = Agent(name="A", model=RecordedModel(ScriptedModel(["Hi."]), path))
    await streamed(agent)
    with pytest.raises(RecordingError, match="1 model calls and no run"):
        load_run(path)
    other = path.with_name("other.jsonl")
    with recording(other):
        await streamed(Agent(name="A", model=ScriptedModel(["Hi."])))
    with pytest.raises(RecordingError, match="has 1 runs"):
        load_run(other, 1)
    with pytest.raises(RecordingError, match="cannot be read"):
        load_run(path.with_name("nowhere.jsonl"))


async def test_a_model_given_by_name_is_recorded_with_a_key_and_replayed_without(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "_defaults", credentials._Defaults())  # put back afterwards
    key = "sk-marked-key-51c8"
    agent: Agent[Any] = Agent(name="Guide", model="any")
    with ScriptedServer(["Take the tram."]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        with recording(path):
            set_default_openai_key(key)
            await streamed(agent)
            set_default_openai_key("")
        assert len(server.requests) == 1
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert key not in path.read_text("utf-8")
    with recording(path, speed=None):
        assert (await streamed(agent)).final_output == "Take the tram."
    with pytest.raises(UserError, match="There is no OpenAI key"):
        await streamed(agent)


async def test_keys_that_a_tool_or_an_error_tells_are_not_recorded(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-marked-key-7f3a"
    monkeypatch.setenv("OPENAI_API_KEY", key)

    @function_tool
    def environment() -> str:
        """Read the environment."""
        return f"key={key}"

    agent: Agent[Any] = Agent(
        name="A", tools=[environment], model=ScriptedModel([call("environment"), "Done."])
    )
    with recording(path):
        await streamed(agent)
    assert key not in path.read_text("utf-8")
    assert "key=***" in path.read_text("utf-8")


async def test_the_file_reads_in_the_order_of_what_happened(path: Path) -> None:
    with recording(path):
        await streamed(Guides(*scripts()).guide)
    rows = [json.loads(row) for row in path.read_text("utf-8").splitlines()]
    calls = [row["call"] for row in rows if "request" in row]
    assert calls == [1, 2, 3]
    for row in rows[1:]:
        assert ("run" in row) or ("call" in row)
    marks = [row["mark"]["type"] for row in rows if "mark" in row]
    assert marks[0] == "mark.run_started"
    assert marks[-1] == "mark.run_finished"
