from __future__ import annotations

import random
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentstream import UserError
from agentstream.trace import Trace, lifecycle
from agentstream.trace import png as png_module
from agentstream.trace.dataframes import Table, to_frame
from agentstream.trace.from_result import fold
from agentstream.trace.timeline.scale import Scale, length_label
from agentstream.trace.timeline.spans import spans
from agentstream.trace.timeline.svg import draw
from agentstream.trace.timeline.svg_writer import COLORS, shorten, text_width
from agentstream.trace.timeline.text import plain_timeline
from agentstream.trace.timeline.timeline import Timeline
from tests.trace.trace_streams import Script, Timed, chain

SVG = "{http://www.w3.org/2000/svg}"


def short() -> list[Timed]:
    return Script("Assistant").begin().say("Hello, world.").end().finish().events


def long() -> list[Timed]:
    """Return a run of more than 500 items in 40 turns, three agents in a circle."""
    dice = random.Random(4)
    agents = ["Planner", "Researcher", "Writer"]
    tools = ["search_flights", "get_weather", "read_page", "convert", "a", "b", "c", "d"]
    script, number = Script(agents[0]), 0
    for turn in range(40):
        script.begin(dice.uniform(0.3, 1.2)).think("Thinking")
        calls = [f"c{number + at}" for at in range(dice.choice([2, 4, 6, 8, 12]))]
        number += len(calls)
        for call_id in calls:
            script.call(dice.choice(tools), {"q": call_id}, call_id, pace=0.01)
        script.end()
        for call_id in calls:
            script.start(call_id)
        for call_id in calls:
            script.wait(dice.uniform(0.02, 0.4))
            script.result(call_id, "x", "ValueError: no" if dice.random() < 0.05 else None)
        if turn % 6 == 5:
            script.begin().call("transfer", {}, f"h{turn}", handoff=True).end()
            following = agents[(agents.index(script.agent or "") + 1) % 3]
            script.hand_over(following, f"h{turn}")
    return script.begin().say("done", 20).end().finish().events


def rich() -> list[Timed]:
    """Return a run with all that a timeline can show, and a wait of five minutes."""
    script = Script("Concierge").mark("GuardrailStarted", "off_topic").begin().wait(0.3)
    script.mark("GuardrailFinished", "off_topic", False)
    script.call("ask_local_expert", {"input": "Lisbon"}, "c1").call("get_weather", {}, "c2").end()
    script.start("c1").start("c2").wait(0.1).result("c2", "21 °C")
    inner = Script("Local expert").begin(0.3).call("search_events", {"q": "fado"}, "n1").end()
    inner.start("n1").wait(0.8).result("n1", "Fado night").begin(0.3).say("Go to Alfama.").end()
    script.nest(("c1",), inner.finish()).result("c1", "Go to Alfama.")
    script.begin(0.3).mark("ModelRetried", 1, 0.7, "rate limited").wait(0.7)
    script.call("transfer", {}, "c3", handoff=True).end().hand_over("Booking agent", "c3")
    script.begin().call("book_hotel", {"nights": 2}, "c4").end()
    script.mark("ApprovalRequested", "c4", "book_hotel").wait(300)
    script.mark("ApprovalDecided", "c4", True).start("c4").wait(0.9).result("c4", "booked")
    return script.begin().say("Booked.", 6).end((900, 60)).finish().events


def stopped(kind: str = "RunCancelled") -> list[Timed]:
    script = Script("Coder").begin().call("run_tests", {}, "c1").end().start("c1").wait(1.2)
    script.mark(kind, "the server closed the connection while it was sending the answer " * 4)
    return script.events


def waiting() -> list[Timed]:
    script = Script("Cashier").begin().call("pay", {"euro": 3}, "c1").end()
    script.mark("ApprovalRequested", "c1", "pay")
    return script.finish().events


RUNS: dict[str, list[Timed]] = {
    "empty": [],
    "short": short(),
    "chain": chain(),
    "without marks": chain(with_marks=False),
    "long": long(),
    "rich": rich(),
    "stopped": stopped(),
    "failed": stopped("RunFailed"),
    "running": chain()[:14],
    "waiting": waiting(),
}
every_run = pytest.mark.parametrize("events", RUNS.values(), ids=RUNS.keys())


def test_the_long_run_is_as_long_as_it_claims() -> None:
    trace = fold(RUNS["long"])
    assert len(trace.rows) >= 500
    assert len(trace.turns) >= 40


@every_run
def test_spans_lie_within_their_parents_and_start_no_earlier(events: list[Timed]) -> None:
    found = spans(fold(events))
    assert found[0].parent is None
    for index, span in enumerate(found[1:], 1):
        assert span.parent is not None
        assert span.parent < index
        outer = found[span.parent]
        assert outer.started <= span.started <= span.ended <= outer.ended
        if span.mark is not None:
            assert span.started <= span.mark <= span.ended


def test_parallel_tools_and_nested_agents_have_spans_of_their_own() -> None:
    found = spans(fold(RUNS["rich"]))
    named = {(span.kind, span.name): span for span in found}
    tool = named["tool", "ask_local_expert"]
    inner = named["tool", "search_events"]
    assert inner.depth == 1
    assert tool.started <= inner.started <= inner.ended <= tool.ended
    assert named["approval", "book_hotel"].ended - named["approval", "book_hotel"].started == 300
    assert named["retry", "retry 1"].detail == "rate limited"
    assert named["guardrail", "off_topic"].status == "completed"
    assert named["handoff", "Concierge → Booking agent"].target == "Booking agent"


def test_a_tool_never_runs_while_it_waits_for_approval() -> None:
    found = spans(fold(RUNS["rich"]))
    [tool] = [span for span in found if (span.kind, span.name) == ("tool", "book_hotel")]
    [wait] = [span for span in found if span.kind == "approval"]
    assert wait.ended <= tool.started


@every_run
@pytest.mark.parametrize("width", [420.0, 960.0, 1600.0])
def test_labels_overlap_nowhere_and_stay_on_the_card(events: list[Timed], width: float) -> None:
    drawing = draw(fold(events), width)
    for one, other in combinations(drawing.labels, 2):
        assert not one.overlaps(other, 0.1), (one, other)
    for label in drawing.labels:
        assert label.left >= 0, label
        assert label.right <= drawing.width, label
        assert label.bottom <= drawing.height, label


@every_run
def test_the_picture_is_whole_xml_that_needs_nothing_else(events: list[Timed]) -> None:
    svg = Timeline(fold(events)).svg()
    root = ET.fromstring(svg)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    drawn = {"svg", "style", "g", "title", "rect", "text", "polyline", "polygon", "circle"}
    assert tags <= drawn
    assert svg.count("http") == 1, "only the namespace"
    assert "id=" not in svg, "two pictures in one page must not share ids"
    assert root.get("aria-label", "").startswith("Timeline of")


@every_run
def test_live_and_recorded_runs_give_the_same_picture(events: list[Timed]) -> None:
    live = Trace()
    for t, event in events:
        live.add(event, t)
        if len(live.log) % 50 == 0:
            Timeline(live).svg()
    assert Timeline(live).svg() == Timeline(events).svg()
    assert str(Timeline(live)) == str(Timeline(events))


def test_every_agent_tool_and_moment_can_be_read() -> None:
    svg = Timeline(RUNS["rich"]).svg()
    words = {element.text for element in ET.fromstring(svg).iter(f"{SVG}text")}
    assert {"Concierge", "Local expert", "Booking agent", "handoff", "guardrail"} <= words
    assert "book_hotel: waited 5 min for approval" in words
    failed = Timeline(RUNS["failed"]).svg()
    assert "failed at 1.66 s: the server closed" in failed
    assert "stopped at 1.66 s" in Timeline(RUNS["stopped"]).svg()
    for shown in (Timeline(RUNS["waiting"]).svg(), str(Timeline(RUNS["waiting"]))):
        assert "pay: waits for approval" in shown


def test_a_crowded_lane_names_its_tools_in_front_and_counts_calls() -> None:
    drawing = draw(fold(RUNS["long"]))
    words = [label.text for label in drawing.labels]
    assert "search_flights" in words
    assert any(word.endswith(" more") for word in words)
    assert any(word.startswith("\u00d7") for word in words)
    assert drawing.height < 700


def test_hovering_tells_of_a_span() -> None:
    titles = [one.text or "" for one in ET.fromstring(Timeline(chain()).svg()).iter(f"{SVG}title")]
    assert any(title.startswith("turn 1: gpt-4o, completed\n0.00 s to 0.62 s") for title in titles)
    assert any("first token after 450 ms" in title for title in titles)
    assert any(title.startswith("handoff: Triage → Writer") for title in titles)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '"/><image href="https://x.example"/>',
        "a\x00\x1b\ud800b",
        "&amp;",
    ],
)
def test_hostile_names_stay_text(text: str) -> None:
    script = Script(text).begin().call(text, {}, text).end().start(text).wait(1)
    script.result(text, "x", text).mark("RunFailed", text)
    svg = Timeline(script.events, title=text).svg()
    tags = {element.tag for element in ET.fromstring(svg).iter()}
    assert f"{SVG}script" not in tags
    assert f"{SVG}image" not in tags


def test_the_text_form_reads_well_in_a_terminal() -> None:
    lines = plain_timeline(fold(chain(), "lisbon")).splitlines()
    assert (
        lines[0]
        == "lisbon (completed): 2.53 s · 2 agents · 3 model calls · 2 tool calls · 543 tokens"
    )
    assert [line[:8].strip() for line in lines[2:6]] == ["Triage", "", "", "Writer"]
    assert "get_weather" in lines[3] + lines[4]
    assert "▶" in lines[5]


@every_run
def test_the_text_form_keeps_to_its_columns(events: list[Timed]) -> None:
    for line in str(Timeline(events)).splitlines():
        assert len(line) <= 96


def test_it_shows_itself_as_picture_and_as_text() -> None:
    timeline = Timeline(chain())
    bundle = timeline._repr_mimebundle_()
    assert set(bundle) == {"image/svg+xml", "text/plain"}
    assert bundle["text/plain"] == repr(timeline)


def test_a_timeline_of_a_running_run_goes_on_with_it() -> None:
    trace = Trace()
    timeline = Timeline(trace)
    before = timeline.svg()
    for t, event in chain():
        trace.add(event, t)
    assert timeline.svg() != before
    assert "543 tokens" in timeline.svg()


def test_saving_goes_by_the_suffix(tmp_path: Path) -> None:
    timeline = Timeline(chain())
    svg = timeline.save(tmp_path / "run.svg").read_text(encoding="utf-8")
    page = timeline.save(tmp_path / "run.html").read_text(encoding="utf-8")
    assert svg == timeline.svg()
    assert svg in page
    assert page.startswith("<!doctype html>")
    with pytest.raises(UserError, match=r"\.svg, \.png or \.html"):
        timeline.save(tmp_path / "run.gif")


def test_a_png_is_drawn_where_a_library_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py", reason="resvg-py, which draws PNG, is not installed")
    data = Timeline(chain()).save(tmp_path / "run.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert int.from_bytes(data[16:20], "big") == 1920


def test_without_a_library_the_error_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(png_module, "import_module", missing)
    with pytest.raises(ImportError, match=r"pip install 'jupyter-agentstream\[trace\]'"):
        Timeline(chain()).save(tmp_path / "run.png")


@settings(deadline=None)
@given(
    st.floats(1e-3, 1e6),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=5),
)
def test_the_time_axis_rises_and_its_steps_are_apart(
    length: float, busy: list[tuple[float, float]]
) -> None:
    work = [(min(pair) * length, max(pair) * length) for pair in busy]
    scale = Scale(0, length, 100, 900, work)
    places = [scale(length * at / 50) for at in range(51)]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (pytest.approx(100), pytest.approx(900))
    ticks = scale.ticks(76)
    assert all(right - left > 75 for (left, _), (right, _) in pairwise(ticks))
    assert len({label for _, label in ticks}) == len(ticks)


def test_a_long_idle_stretch_is_cut_short() -> None:
    scale = Scale(0, 1_000, 0, 1_000, [(0, 10), (990, 1_000)])
    assert scale(10) == pytest.approx(460)
    assert scale(990) == pytest.approx(540)


def test_lengths_are_written_as_people_write_them() -> None:
    told = [length_label(seconds) for seconds in (0, 0.0021, 0.5, 59.96, 60, 3599.9)]
    assert told == ["0 s", "2.1 ms", "500 ms", "1 min", "1 min", "1 h"]


@given(st.text(max_size=40), st.floats(0, 200))
@settings(deadline=None)
def test_a_shortened_text_fits(text: str, width: float) -> None:
    assert text_width(shorten(text, width, 11), 11) <= width or shorten(text, width, 11) == ""


def luminance(color: str) -> float:
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        ("ink", "card"),
        ("ink", "band"),
        ("ink", "stint"),
        ("ink", "wait"),
        ("ink", "approval"),
        ("muted", "card"),
        ("muted", "band"),
        ("on-dark", "model"),
        ("on-light", "tool"),
        ("on-light", "hosted"),
        ("on-light", "guardrail"),
    ],
)
def test_text_stands_out_from_its_ground(theme: int, text: str, ground: str) -> None:
    lights = sorted((luminance(COLORS[text][theme]), luminance(COLORS[ground][theme])))
    # 4.5 is what WCAG 2.2 asks for (success criterion 1.4.3).
    assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5


def test_marks_of_a_paused_run_show_the_wait_as_going_on() -> None:
    script = Script().begin().call("pay", {}, "c").end().mark("ApprovalRequested", "c").wait(3)
    trace = fold([*script.events, (script.now, lifecycle.RunFinished())])
    [wait] = [span for span in spans(trace) if span.kind == "approval"]
    assert wait.is_open
    assert wait.ended == trace.now


@pytest.mark.slow
@given(st.sampled_from([rich(), chain(), stopped()]), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=50)
def test_a_stream_with_holes_and_out_of_order_still_has_tables_and_a_picture(
    events: list[Timed], dice: random.Random
) -> None:
    kept = [pair for pair in events if dice.random() > 0.1]
    at = dice.randint(0, max(len(kept) - 5, 0))
    kept[at : at + 4] = reversed(kept[at : at + 4])
    trace = fold(kept)
    found = spans(trace)
    for span in found[1:]:
        outer = found[span.parent or 0]
        assert outer.started <= span.started <= span.ended <= outer.ended
    tables: tuple[Table, ...] = ("items", "turns", "events", "spans")
    assert [to_frame(trace, table).columns.size for table in tables]
    ET.fromstring(Timeline(trace).svg())
    assert str(Timeline(trace))
