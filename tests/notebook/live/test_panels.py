"""Table and timeline under the answer: up to date, cheap, bounded, and safe."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import Any

import pytest

from agentstream import Agent, Runner, function_tool, show
from agentstream.exceptions import UserError
from agentstream.notebook.live.dom import VirtualDom
from agentstream.notebook.live.panels import LIVE_ROWS, Panels, items_html, panels_text
from agentstream.notebook.live.trace_renderer import TraceRenderer
from agentstream.notebook.live.widget import AgentView
from agentstream.testing import ScriptedModel, call, turn
from agentstream.trace import Trace, lifecycle
from agentstream.trace.from_result import fold
from tests.notebook.hostile import OWN_PAYLOADS, dompurify_payloads
from tests.notebook.live.test_dom import Page
from tests.trace.timeline.test_timeline import RUNS
from tests.trace.trace_streams import Script, chain

SVG = "{http://www.w3.org/2000/svg}"


class Clock:
    """A clock that is set by hand, and moves by `step` whenever it is read."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def panels_of(trace: Trace, clock: Clock, **which: bool) -> tuple[Panels, VirtualDom]:
    board = VirtualDom()
    which = which or {"table": True, "timeline": True}
    return Panels(trace, board, clock=clock, **which), board


def put(board: VirtualDom) -> list[str]:
    return [op[1] for op in board.frame()]


def html_of(board: VirtualDom, id: str) -> str:
    return next(op[5] for op in board.keyframe() if op[1] == id)


@pytest.mark.slow
@pytest.mark.parametrize("step", [0.01, 0.2])
def test_they_are_drawn_at_most_twice_a_second(step: float) -> None:
    trace, clock = Trace(), Clock()
    panels, board = panels_of(trace, clock)
    drawn = []
    for t, event in RUNS["long"]:
        trace.add(event, t)
        clock.now += step
        panels.update()
        drawn += [(clock.now, id) for id in put(board)]
    for panel in ("items", "timeline"):
        times = [time for time, id in drawn if id == panel]
        assert len(times) > 5
        assert all(later - time >= 0.5 for time, later in pairwise(times))


def test_they_are_drawn_only_when_the_run_has_changed() -> None:
    trace, clock = fold(chain()), Clock()
    panels, board = panels_of(trace, clock)
    panels.update()
    assert put(board) == ["items", "timeline"]
    assert panels.wait is None
    clock.now = 100
    panels.update()
    assert put(board) == []


def test_what_was_not_due_is_drawn_later_and_says_when() -> None:
    trace, clock = Trace(), Clock()
    panels, board = panels_of(trace, clock, table=True)
    for at, (t, event) in enumerate(chain()):
        trace.add(event, t)
        if at == 12:
            panels.update()
    clock.now = 0.2
    panels.update()
    assert put(board) == ["items"]
    assert "21 °C" not in html_of(board, "items"), "nothing since"
    assert panels.wait == pytest.approx(0.3)
    clock.now = 0.5
    panels.update()
    assert put(board) == ["items"]
    assert "21 °C" in html_of(board, "items")


def test_the_picture_goes_on_while_the_run_is_silent_and_stands_still_afterwards() -> None:
    script = Script().begin().call("sleep", {}, "c1").end().start("c1")
    trace, clock = fold(script.events), Clock()
    panels, board = panels_of(trace, clock)
    panels.update()
    assert put(board) == ["items", "timeline"]
    assert "Timeline of Guide: 460 ms" in html_of(board, "timeline")
    clock.now = 3.0
    panels.update()
    assert put(board) == ["timeline"], "the table has nothing new"
    assert "Timeline of Guide: 3.46 s" in html_of(board, "timeline")
    assert panels.wait is not None
    trace.add(lifecycle.RunFinished(), 3.5)
    panels.update(at_once=True)
    assert "Timeline of Guide: 3.50 s" in html_of(board, "timeline")
    assert panels.wait is None


def test_a_picture_that_takes_long_is_drawn_more_rarely() -> None:
    trace, clock = fold(chain()[:10]), Clock(step=0.2)
    panels, _ = panels_of(trace, clock, timeline=True)
    panels.update()
    trace.add(*reversed(chain()[10]))
    clock.step = 0.0
    assert panels.wait is not None
    assert panels.wait > 3.5, "0.2 s of work are at most a twentieth of the time"


def test_a_large_picture_is_sent_more_rarely() -> None:
    trace, clock = fold(RUNS["long"]), Clock()
    panels, board = panels_of(trace, clock, timeline=True)
    panels.update()
    size = len(html_of(board, "timeline"))
    trace.touch()
    assert panels.wait is not None
    assert size / panels.wait <= 40_001


def test_the_end_is_drawn_at_once() -> None:
    trace, clock = Trace(), Clock()
    panels, board = panels_of(trace, clock)
    panels.update()
    put(board)
    for t, event in chain():
        trace.add(event, t)
    panels.update(at_once=True)
    assert put(board) == ["items", "timeline"]


def test_without_being_asked_there_are_none() -> None:
    panels, board = panels_of(fold(chain()), Clock(), table=False)
    panels.update()
    assert board.frame() == []
    assert panels_text(fold(chain()), table=False, timeline=False) == ""


def test_they_stand_under_the_answer_in_their_order() -> None:
    trace, board = fold(chain()), VirtualDom()
    scene = TraceRenderer(trace, board)
    panels = Panels(trace, board, table=True, timeline=True)
    panels.update()
    scene.update()
    roots = [op[1] for op in board.keyframe() if not op[2]]
    assert roots == ["header", "body", "ending", "items", "timeline"]


def test_a_long_run_shows_its_newest_items_and_counts_the_rest() -> None:
    trace = fold(RUNS["long"])
    count = len(trace.rows)
    panels, board = panels_of(trace, Clock(), table=True)
    panels.update()
    html = html_of(board, "items")
    assert html.count("<tr>") == LIVE_ROWS + 1
    assert f"{count:,} rows" in html
    assert f"{count - LIVE_ROWS:,} more rows not shown" in html
    assert "done" in html, "the answer, the last item"
    assert len(html) < 40_000


def test_rows_that_are_not_shown_are_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    from agentstream.trace import dataframes

    built = []
    real = dataframes._item
    monkeypatch.setattr(dataframes, "_item", lambda *row: built.append(1) or real(*row))  # type: ignore[func-returns-value]
    items_html(fold(RUNS["long"]), slice(-5, None))
    assert len(built) == 5


def test_a_page_that_follows_ends_like_one_that_opens_late() -> None:
    trace, clock = Trace(), Clock()
    panels, board = panels_of(trace, clock)
    followed, late = Page(), Page()
    for t, event in RUNS["rich"]:
        trace.add(event, t)
        clock.now += 0.3
        panels.update()
        followed.apply(board.frame())
    panels.update(at_once=True)
    followed.apply(board.frame())
    late.apply(board.keyframe())
    assert followed.html() == late.html()


def test_a_timeline_begins_with_an_agents_lane() -> None:
    trace, clock = Trace(), Clock()
    panels, board = panels_of(trace, clock, timeline=True)
    panels.update()
    assert "timeline" not in board
    trace.add(lifecycle.RunStarted("Ada"), 0.0)
    trace.add(lifecycle.ModelCalled("Ada", "gpt"), 0.001)
    panels.update()
    assert "timeline" not in board  # its scale would be a thousandth of a second
    clock.now += panels.wait or 0
    panels.update()
    assert "Ada" in html_of(board, "timeline")


def test_a_table_without_items_says_so() -> None:
    trace, clock = Trace(), Clock()
    panels, board = panels_of(trace, clock, table=True)
    panels.update()
    assert "items" not in board
    trace.add(lifecycle.RunFailed("ValueError: no"), 1.0)
    panels.update(at_once=True)
    assert "No items" in html_of(board, "items")


def test_the_kind_of_an_item_breaks_between_its_words() -> None:
    assert '<td dir="auto">tool_<wbr>call_<wbr>output_<wbr>item</td>' in items_html(
        fold(chain()), slice(None)
    )


async def test_an_agent_is_known_before_its_run_has_made_a_step() -> None:
    agent = Agent(name="Ada", model=ScriptedModel(["Hello."]))
    result = Runner.run_streamed(agent, "x")
    assert (result.trace.agent, result.trace.now) == ("Ada", 0)
    await result.wait()
    assert [name for _, name in result.trace.agent_intervals] == ["Ada"]


@pytest.mark.parametrize("name", [name for name in RUNS if name != "empty"])
def test_the_live_picture_is_whole_xml_without_anything_that_acts(name: str) -> None:
    panels, board = panels_of(fold(RUNS[name]), Clock(), timeline=True)
    panels.update()
    root = ET.fromstring(html_of(board, "timeline"))
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "style", "g", "title", "rect", "text", "polyline", "polygon", "circle"}
    assert {name for element in root.iter() for name in element.attrib if name[:2] == "on"} == set()


def test_the_live_picture_follows_the_pages_theme_and_touches_nothing_else() -> None:
    panels, board = panels_of(fold(chain()), Clock(), timeline=True)
    panels.update()
    style = next(ET.fromstring(html_of(board, "timeline")).iter(f"{SVG}style")).text or ""
    rules = [rule for rule in style.split("}") if rule]
    assert rules
    assert all('[data-jp-theme-light="false"]' in rule and ".as-run .as-" in rule for rule in rules)


@pytest.mark.slow
def test_hostile_text_stays_text_in_both() -> None:
    for text in [*OWN_PAYLOADS, *dompurify_payloads()]:
        script = Script(text).mark("RunStarted", text, text).begin().call(text, text, "c1").end()
        script.start("c1").wait(0.2).result("c1", text, text).mark("RunFailed", text)
        trace = fold(script.events, text)
        panels, board = panels_of(trace, Clock())
        panels.update()
        drawn = ET.fromstring(html_of(board, "timeline"))
        allowed = {"svg", "style", "g", "title", "rect", "text", "polyline", "polygon", "circle"}
        assert {element.tag.removeprefix(SVG) for element in drawn.iter()} <= allowed, text
        table = html_of(board, "items")
        tags = table.replace("<", "\n<").split("\n")
        known = ("summary strong div table thead tr th tbody td p wbr").split()
        opened = {tag[1:].split(">")[0].split(" ")[0].strip("/") for tag in tags if tag[:1] == "<"}
        assert opened <= set(known), text


def test_a_terminal_gets_them_as_text() -> None:
    text = panels_text(fold(chain()), table=True, timeline=True)
    lines = text.splitlines()
    assert lines[1].split() == ["turn", "agent", "type", "name", "duration_s", "text"]
    assert any("get_weather" in line and "21 °C" in line for line in lines)
    assert any("█ writing" in line for line in lines)
    escape = Script("a\x1b[2Jb").begin().say("x\x1b]0;y\x07").end().events
    assert "\x1b" not in panels_text(fold(escape), table=True, timeline=False)


def test_show_writes_them_once_at_the_end_of_a_terminal(capsys: Any) -> None:
    agent = Agent(name="Poet", model=ScriptedModel(["Rain."]))
    for _ in show(agent, "A line", table=True, timeline=True):
        pass
    out = capsys.readouterr().out
    assert out.index("Rain.") < out.index("message_output_item") < out.index("█ writing")
    assert out.count("message_output_item") == 1


def test_show_takes_them_for_a_run_that_was_started_already() -> None:
    run = Runner.run_streamed(Agent(name="Poet", model=ScriptedModel(["Rain."])), "A line")
    shown: Any = show(run, table=True)
    assert list(shown)
    with pytest.raises(UserError, match="no input and no options"):
        show(run, table=True, max_turns=3)


async def test_a_widget_keeps_them_up_to_date_although_the_run_falls_silent() -> None:
    import asyncio

    sent: list[Any] = []
    gate = asyncio.Event()

    @function_tool
    async def slow() -> str:
        """Wait."""
        await gate.wait()
        return "at last"

    script = ScriptedModel([turn(call("slow")), "Done."])
    run = Runner.run_streamed(Agent(name="A", tools=[slow], model=script), "go")
    view = AgentView(run.trace, table=True, timeline=True)
    view.send = lambda message, *_: sent.extend(message["ops"])  # type: ignore[method-assign]
    run.observe(lambda event: view.nudge())

    def page() -> str:
        shown = Page()
        shown.apply(sent)
        return str(shown.html()).replace("<wbr>", "")

    for _ in range(300):
        if "tool_call_item" in page():
            break
        await asyncio.sleep(0.02)
    assert "tool_call_item" in page(), "told half a second later, with no event in between"
    gate.set()
    async for _ in run.stream_events():
        pass
    view.close_run()
    assert "at last" in page()
    assert "Timeline of A" in page()
    assert view._later is None


def run_of() -> Any:
    """A run whose tool has answered, and its answer."""

    @function_tool
    def look(place: str) -> str:
        """Look."""
        return "`a` | b\n\n# c <img src=x>"

    model = ScriptedModel([turn(call("look", place="x|y")), "Done."])
    return Runner.run_sync(Agent(name="A", tools=[look], model=model), "x").trace


def test_saved_markdown_has_the_table_and_the_timeline() -> None:
    from markdown_it import MarkdownIt

    from agentstream.notebook.snapshot.bundle import snapshot

    trace = run_of()
    both = snapshot(trace, table=True, timeline=True)["text/markdown"]
    assert both.startswith(snapshot(trace)["text/markdown"])
    tokens = MarkdownIt("commonmark").enable("table").parse(both)
    kinds = [token.type for token in tokens]
    assert kinds.count("tr_open") == 1 + 3
    assert kinds.count("td_open") == 3 * kinds.count("th_open") == 18
    assert "heading_open" not in kinds
    drawn = [token.content for token in tokens if token.type == "fence"][-1]
    assert "writing" in drawn
    assert "█" in drawn


def test_the_items_show_output_and_status_and_no_empty_column() -> None:
    html = items_html(run_of(), slice(None))
    names = re.findall(r"<th[^>]*>([^<]*)</th>", html)
    expected = ["turn", "agent", "type", "name", "arguments", "output", "status", "duration_s"]
    assert names == expected
    assert re.findall(r'<th dir="auto" class="as-number">(\w+)</th>', html) == [
        "turn",
        "duration_s",
    ]
    assert "Done." in html
    assert html.count("<tr>") == 4
