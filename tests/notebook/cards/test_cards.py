"""Cards say what happened, for every kind of call; nothing hostile and nothing endless in them."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentstream.notebook import cards
from agentstream.notebook.cards.values import value_brief
from agentstream.trace.from_result import fold
from agentstream.trace.parts import Approval, Retry, Turn
from agentstream.trace.text import Text
from tests.notebook.cards.audit import (
    PNG,
    PNG_URI,
    Audit,
    every_kind,
    part,
    text_of,
    tool,
    trace_of,
)
from tests.notebook.hostile import OWN_PAYLOADS, dompurify_payloads
from tests.trace.trace_streams import RECORDED, Script, chain, recorded_calls

KINDS = sorted(every_kind("x"))
needs_streams = pytest.mark.skipif(
    not RECORDED.exists(), reason="the recorded streams are not here"
)


def recorded(name: str) -> Any:
    """Return the trace of a recorded stream of the Responses API."""
    events = [event for call in recorded_calls(RECORDED / name) for event in call]
    return fold(
        (index * 0.01, SimpleNamespace(type="raw_response_event", data=event))
        for index, event in enumerate(events)
    )


def of_kind(trace: Any, kind: str) -> list[str]:
    return [cards.card(one) for one in trace.parts if one.kind == kind]


# -- hostile text --


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_text_never_becomes_markup(kind: str) -> None:
    benign = {live: Audit(cards.card(every_kind("x")[kind], live=live)) for live in (True, False)}
    assert benign[True].faults == []
    found = {}
    for text in [*OWN_PAYLOADS, *dompurify_payloads()]:
        for live in (True, False):
            audit = Audit(cards.card(every_kind(text)[kind], live=live))
            extra = audit.tags["button"] - benign[live].tags["button"]
            if audit.faults or extra > 0 or audit.tags["progress"] != benign[live].tags["progress"]:
                found[text] = audit.faults or "a button"
    assert found == {}


def test_hostile_names_and_errors_never_become_markup() -> None:
    found = {}
    for text in [*OWN_PAYLOADS, *dompurify_payloads()]:
        for status in ("running", "paused", "cancelled", "failed"):
            trace = trace_of(every_kind(text)["tool, waiting"], agents=(text, "b", text + "c"))
            trace.status, trace.error = status, f"{text}: {text}"  # type: ignore[assignment]
            trace.turns[-1].model = trace.turns[-1].error = text
            trace.turns[-1].status = "incomplete"
            html = cards.header(trace, live=True) + cards.ending(trace) + cards.speaker(text)
            html += cards.retry_note(Retry(0.0, 1, 1, 2.0, text)) + cards.run_body(trace)
            if wrong := Audit(html).faults:
                found[text] = wrong
    assert found == {}


@given(st.text(alphabet=st.sampled_from("<>&\"'`=/ \n!-[](){}$\\aon:\u202e\x00"), max_size=40))
@settings(max_examples=60, deadline=None)
def test_no_text_at_all_becomes_markup(text: str) -> None:
    wrong = {kind: Audit(cards.card(one)).faults for kind, one in every_kind(text).items()}
    assert {kind: faults for kind, faults in wrong.items() if faults} == {}


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "/api/shutdown", "//h/x"]
)
@pytest.mark.parametrize("kind", ["text", "web_search", "web_search, opened", "tool, parts"])
def test_only_addresses_of_the_web_become_links(kind: str, url: str) -> None:
    assert Audit(cards.card(every_kind("x", url=url)[kind])).links == []
    assert (
        "https://ok.example/a"
        in Audit(cards.card(every_kind("x", url="https://ok.example/a")[kind])).links
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("junk", [5, "x", [1], {"a": 1}, [[["x"]]], [None], True], ids=repr)
def test_an_item_unlike_what_the_api_describes_is_shown_all_the_same(kind: str, junk: Any) -> None:
    made = every_kind("x")[kind]
    names = "action sources outputs results tools queries operation arguments server_label"
    made.item = dict.fromkeys(
        (names + " pending_safety_checks result revised_prompt").split(), junk
    )
    made.output, made.has_output = junk, True
    assert Audit(cards.card(made)).faults == []
    made.item = junk
    assert Audit(cards.card(made)).faults == []


# -- bounds --


@pytest.mark.parametrize("kind", KINDS)
def test_a_card_is_never_long(kind: str) -> None:
    made = every_kind("<&x\n" * 500_000)[kind]
    assert len(cards.card(made)) < 2_000_000


def test_what_is_left_out_is_counted() -> None:
    html = cards.card(tool("a" * 21_234))
    assert "… 1,234 more characters not shown" in text_of(html)
    assert html.count("a" * 20_000) == 1


def test_a_run_of_many_long_calls_stays_a_page() -> None:
    many = [tool("<x>" * 10_000, name=f"t{n}") for n in range(700)]
    html = cards.run_body(trace_of(*many, part("text", "message", text="The end.")))
    assert len(html) < 4_000_000
    assert "more parts not shown" in html


def test_many_large_images_become_lines_but_the_answer_stays() -> None:
    picture = PNG_URI + "A" * 3_000_000
    parts = [tool(picture, name=f"plot{n}") for n in range(5)]
    html = cards.run_body(trace_of(*parts, part("text", "message", text="The end.")))
    assert len(html) < 9_000_000
    assert html.count("<img") == 2
    assert "plot4" in html and "The end." in html


def test_agents_nested_without_end_come_to_an_end() -> None:
    trace = trace_of(part("text", "message", text="innermost"))
    for _ in range(40):
        trace = trace_of(tool("done", nested=trace))
    html = cards.run_body(trace)
    assert "innermost" not in html
    assert "1 more nested part not shown" in html
    assert Audit(html).faults == []


# -- calls of functions --


def test_arguments_stream_as_text_and_become_json_when_they_are_whole() -> None:
    made = tool(arguments='{"city": "Lis', status="in_progress", called=None, ended=None)
    html = cards.card(made)
    assert (
        '<pre class="as-arguments" dir="auto"><code>{&quot;city&quot;: &quot;Lis</code></pre>'
        in html
    )
    assert 'data-since="1.000"' in html and "writing" in html and "<details" in html
    made.input, made.called, made.status = Text('{"city": "Lisbon"}'), 1.5, "running"
    html = cards.card(made)
    assert '<span class="nt">"city"</span>' in html
    assert 'data-since="1.500"' in html and 'data-status="running"' in html and " open>" in html


def test_a_finished_call_says_in_one_line_what_was_asked_and_what_came() -> None:
    html = cards.card(tool("21 °C", arguments='{"city": "Lisbon", "days": 3}'))
    summary = html[: html.index("</summary>")]
    assert text_of(summary + "</summary></details>") == (
        'Tool look city="Lisbon", days=3 → 21 °C · done 2.00 s'
    )
    assert " open" not in html[: html.index(">")]


def test_texts_of_several_lines_in_arguments_keep_their_lines() -> None:
    html = cards.card(tool("ok", arguments='{"code": "a = 1\\nb = 2", "n": 1}'))
    assert ">a = 1\nb = 2</pre>" in html


def test_long_json_is_folded_behind_its_beginning() -> None:
    html = cards.card(tool({"days": list(range(300))}))
    assert '<details class="as-fold"><summary>' in html
    assert "1 key<" in html
    assert "300 items<" in cards.card(tool(list(range(300))))


def test_json_in_text_is_shown_as_json() -> None:
    assert '<span class="nt">"a"</span>' in cards.card(tool('{"a": [1, 2]}'))
    assert '<pre class="as-plain"' in cards.card(tool("{not json}"))


@pytest.mark.parametrize(
    "output",
    [
        PNG_URI,
        {"type": "image", "image_url": PNG_URI},
        {"type": "input_image", "image_url": PNG_URI},
        [
            {"type": "text", "text": "a plot"},
            {"type": "image", "data": PNG, "mimeType": "image/png"},
        ],
        b"\x89PNG\r\n\x1a\n" + bytes(31),
        SimpleNamespace,
    ],
    ids=lambda value: type(value).__name__,
)
def test_pictures_are_shown_and_unfolded(output: Any) -> None:
    if output is SimpleNamespace:
        output = type("Drawn", (), {"_repr_png_": lambda self: b"\x89PNG\r\n\x1a\n" + bytes(31)})()
    html = cards.card(tool(output))
    assert f'<img src="{PNG_URI}"' in html
    assert " open>" in html[: html.index("<summary>")]


def test_a_picture_elsewhere_is_a_link_and_is_not_loaded() -> None:
    audit = Audit(cards.card(tool({"type": "image", "image_url": "https://h.example/p.png"})))
    assert (audit.tags["img"], audit.links) == (0, ["https://h.example/p.png"])


def test_a_dataframe_is_a_table_of_ten_rows_and_twelve_columns() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({f"c{n}": [n + 0.5] * 25 for n in range(15)})
    html = cards.card(tool(frame))
    assert html.count("<tr>") == 11
    assert html.count("<th ") == 12
    assert "25 rows × 15 columns; 15 more rows and 3 more columns not shown" in text_of(html)
    assert " open>" in html


def test_a_dataframe_shows_an_index_that_says_something() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"t": [1, 2]}, index=pandas.Index(["Lisbon", "Porto"], name="city"))
    assert text_of(cards.card(tool(frame))).count("Porto") == 1


def test_a_list_of_records_is_a_table() -> None:
    records = [{"city": "Lisbon", "t": n} for n in range(12)] + [{"wind": 3}]
    html = cards.card(tool(records))
    assert "13 rows × 3 columns; 3 more rows not shown" in text_of(html)
    assert '<td class="as-number">9</td>' in html


def test_pandas_is_not_loaded_to_show_records() -> None:
    program = (
        "import sys\n"
        "from agentstream.notebook import cards, snapshot\n"
        "from agentstream.trace.parts import Part\n"
        "part = Part(0, 'tool', 'function_call', 1, 'a', 0.0, output=[{'a': 1}], has_output=True)\n"
        "part.status = 'completed'\n"
        "assert '<table>' in cards.card(part)\n"
        "print(sorted({'pandas', 'numpy', 'IPython', 'ipywidgets'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_failed_call_is_marked_unfolded_and_says_why() -> None:
    html = cards.card(tool("Please try again.", status="failed", error="no answer within 5 s"))
    assert 'data-status="failed"' in html and " open>" in html[: html.index("<summary>")]
    assert "Failed: no answer within 5 s" in text_of(html)
    told_once = cards.card(tool("Error: no answer", status="failed", error="no answer"))
    assert text_of(told_once).count("no answer") == 2  # in the line and in the output


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("cancelled", "stopped"),
        ("rejected", "rejected"),
        ("incomplete", "incomplete"),
        ("running", "running"),
    ],
)
def test_a_state_is_said_in_words(status: str, word: str) -> None:
    html = cards.card(tool(status=status))
    assert f'<span class="as-state">{word}</span>' in html
    assert f"look: {word}" in html


# -- approvals --


def test_a_waiting_call_has_buttons_while_someone_can_press_them() -> None:
    waits = Approval(1.0, id='c"1')
    made = tool(status="awaiting_approval", ended=None, approval=waits, name="delete")
    html = cards.card(made)
    assert 'class="as-approve" data-approval="c&quot;1" aria-label="Approve delete"' in html
    assert 'class="as-reject" data-approval="c&quot;1" aria-label="Reject delete"' in html
    still = cards.card(made, live=False)
    assert "<button" not in still
    assert "Waiting for approval" in still
    waits.id = None  # not paused yet, or a run of other code
    assert "<button" not in cards.card(made)
    assert "Waiting for approval" in cards.card(made)


def test_an_approval_of_an_mcp_call_can_be_given_for_one_call() -> None:
    waits = Approval(1.0, id="a1")
    html = cards.card(
        part("mcp_approval", name="search", approval=waits, status="awaiting_approval")
    )
    assert html.count('data-approval="a1"') == 2


def test_a_decision_stays_to_be_read() -> None:
    html = cards.card(tool("ok", approval=Approval(1.0, 4.0, True)))
    assert "Approved after 3.00 s" in text_of(html)
    rejected = cards.card(tool(status="rejected", approval=Approval(1.0, 1.0, False)))
    assert "Rejected" in text_of(rejected)


# -- other kinds, by hand --


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_it_was_given(kind: str) -> None:
    made = every_kind("Xyzzy", url="https://xyzzy.example/")[kind]
    # What a compaction holds is encrypted.
    assert ("xyzzy" in text_of(cards.card(made)).lower()) == (kind != "compaction")


def test_a_partial_image_is_shown_while_it_is_made() -> None:
    made = part("image_generation", status="in_progress", image=PNG, stage="generating", ended=None)
    html = cards.card(made)
    assert f'src="{PNG_URI}"' in html and "as-partial" in html and "generating" in html


def test_a_handoff_without_arguments_is_one_line() -> None:
    html = cards.card(part("handoff", "function_call", name="transfer_to_writer", target="Writer"))
    assert text_of(html) == "Handed over to Writer"
    waiting = part("handoff", "function_call", name="transfer_to_writer", status="running")
    assert text_of(cards.card(waiting)) == "Handing over to writer"


def test_reasoning_is_folded() -> None:
    html = cards.card(part("reasoning", text="**Plan**\n\nFirst this."))
    assert html.startswith('<details class="as-reasoning"><summary>Reasoning')
    assert "<strong>Plan</strong>" in html
    assert text_of(cards.card(part("reasoning"))) == "Reasoned without saying how"


def test_a_refusal_is_marked() -> None:
    html = cards.card(part("refusal", "message", text="I will not."))
    assert "as-refusal" in html and "The model declined" in html


def test_a_text_that_breaks_off_says_so() -> None:
    assert "broke off here" in cards.card(part("text", "message", text="Half a", status="failed"))


def test_a_text_lists_what_it_cites_once() -> None:
    note = {"type": "url_citation", "url": "https://a.example/x", "title": "A page"}
    html = cards.card(part("text", "message", text="See.", annotations=[note, note]))
    assert Audit(html).links == ["https://a.example/x"]
    assert "A page a.example" in text_of(html)


def test_an_answer_that_is_json_is_shown_as_data() -> None:
    html = cards.card(part("text", "message", text='{"mark": "*x* <b>"}'))
    assert "*x* &lt;b&gt;" in html and "<table>" in html
    html = cards.card(part("text", "message", text='["*x* <b>"]'))
    assert "*x* &lt;b&gt;" in html and '<pre class="highlight">' in html


def test_a_nested_run_is_shown_inside_the_card() -> None:
    inner = trace_of(tool("42", name="lookup"), part("text", "message", text="It is **42**."))
    html = cards.card(tool("It is 42.", nested=inner, name="researcher"))
    assert html.index("researcher") < html.index("lookup") < html.index("<strong>42</strong>")
    assert "Guide" in text_of(html)
    left_out = cards.card(tool("x", nested=inner), nested=False)
    assert '<div class="as-nested" role="group" aria-label="Nested run"></div>' in left_out


def test_a_nested_call_can_be_approved_while_the_run_is_live() -> None:
    waits = Approval(1.0, id="inner")
    inner = trace_of(tool(status="awaiting_approval", approval=waits), status="running")
    outer = tool(status="running", nested=inner, ended=None)
    assert 'data-approval="inner"' in cards.card(outer)
    assert "<button" not in cards.card(outer, live=False)


# -- real streams --


@needs_streams
def test_a_recorded_code_interpreter_shows_its_code() -> None:
    shown = of_kind(
        recorded("openai-responses-openai-responses-thinking-with-code-execution-tool-stream.json"),
        "code_interpreter",
    )
    assert len(shown) == 3
    assert "pow(123456, 123)" in text_of(shown[0])
    assert [Audit(html).faults for html in shown] == [[], [], []]


@needs_streams
def test_a_recorded_web_search_shows_its_query_and_the_answer_its_sources() -> None:
    trace = recorded("openai-responses-openai-include-raw-annotations-streaming.json")
    assert "tallest mountain in Alberta" in text_of("".join(of_kind(trace, "web_search")))
    texts = "".join(of_kind(trace, "text"))
    assert any(link.startswith("https://www.britannica.com/") for link in Audit(texts).links)


@needs_streams
def test_recorded_mcp_tools_are_listed() -> None:
    name = "openai-responses-openai-responses-model-mcp-list-tools-stream-backfills-missing-results"
    shown = of_kind(recorded(name + ".json"), "mcp_list_tools")
    assert text_of(shown[0]).startswith("MCP tools deepwiki 3 tools · done")
    assert "read_wiki_structure" in shown[0]


@needs_streams
def test_a_recorded_tool_search_and_its_output_are_one_card() -> None:
    trace = recorded("tool-search-openai-client-tool-search-streaming.json")
    assert len(of_kind(trace, "tool_search")) == 1
    assert of_kind(trace, "custom") == []


@needs_streams
@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.json")), ids=lambda path: path.stem)
def test_every_recorded_stream_is_shown(path: Any) -> None:
    try:
        trace = recorded(path.name)
    except (AttributeError, KeyError, ValueError):
        pytest.skip("not a stream of the Responses API")
    for live in (True, False):
        html = (
            cards.header(trace, live=live) + cards.run_body(trace, live=live) + cards.ending(trace)
        )
        assert Audit(html).faults == []


# -- header, speakers, endings --


def test_the_header_of_a_live_run_says_who_works_and_can_stop_it() -> None:
    script = Script("Guide").mark("RunStarted", "Guide", "x").begin().think("a" * 400).wait(2.0)
    trace = fold(script.events[:-2])
    trace.add(script.events[-2][1], script.now)
    html = cards.header(trace, live=True)
    said = text_of(html)
    assert said.startswith("running · Guide · gpt-4o · turn 1 · 2.5 s · ≈ 100 tokens out · ")
    assert "tokens/s" in said and said.endswith("Stop")
    assert '<button type="button" class="as-stop">' in html
    assert 'class="as-clock" role="timer" data-since="0.000"' in html


def test_the_clock_of_a_run_that_waits_for_an_approval_goes_on() -> None:
    trace = trace_of(tool(status="awaiting_approval"), status="paused")
    assert 'class="as-clock" role="timer" data-since="0.000"' in cards.header(trace, live=True)
    assert "data-since" not in cards.header(trace, live=False)


def test_the_header_of_a_finished_run_sums_up() -> None:
    html = cards.header(trace_of(agents=("Triage", "Writer")), live=False)
    assert text_of(html) == (
        "done · Triage → Writer · gpt-5 · 1 turn · 4.00 s · 1,200 tokens in (200 cached), 100 out"
        " · 50 tokens/s"
    )
    assert "<button" not in cards.header(trace_of(), live=True)


def test_an_empty_run_has_a_header() -> None:
    assert text_of(cards.header(fold([]), live=True)) == "running · Stop"


def test_hidden_reasoning_does_not_count_as_fast_writing() -> None:
    trace = trace_of()
    assert trace.turns[0].usage is not None
    trace.turns[0].usage["reasoning"] = 80
    assert "10 tokens/s" in text_of(cards.header(trace, live=False))


def test_a_run_that_is_complete_or_was_stopped_ends_without_a_line() -> None:
    assert cards.ending(trace_of()) == cards.ending(trace_of(status="running")) == ""
    stopped = trace_of(status="cancelled")
    assert cards.ending(stopped) == ""
    said = text_of(cards.header(stopped, live=False))
    assert said.startswith("stopped · ")
    assert "4.00 s" in said


def test_a_clock_that_goes_on_is_written_as_the_page_writes_it() -> None:
    trace = trace_of(status="running")
    trace.ended, trace.now = None, 2.47
    assert "2.5 s" in text_of(cards.header(trace, live=True))
    working = tool(status="running", started=0.0)
    assert ">1.0 s<" in cards.card(working, now=2.47)


@pytest.mark.parametrize(
    ("status", "error", "said", "role"),
    [
        ("cancelled", "its event loop was closed", "Stopped: its event loop was closed", "status"),
        ("failed", "MaxTurnsExceeded: Max turns (3) exceeded", None, "alert"),
        ("failed", "it broke", "Failed: it broke", "alert"),
        ("paused", None, "Waiting for approval of delete", "status"),
    ],
)
def test_any_other_end_is_said(status: str, error: str | None, said: str | None, role: str) -> None:
    waiting = tool(name="delete", status="awaiting_approval")
    html = cards.ending(trace_of(waiting, status=status, error=error))
    assert text_of(html) == (said or error)
    assert f'role="{role}"' in html


def test_an_answer_cut_off_by_the_model_is_said() -> None:
    trace = trace_of()
    trace.turns[-1] = Turn(1, "Guide", 0.0, status="incomplete", error="max_output_tokens")
    assert "answer is incomplete: max_output_tokens" in text_of(cards.ending(trace))


def test_a_change_of_agent_has_a_line() -> None:
    html = cards.run_body(fold(chain()))
    said = text_of(html)
    assert said.index("Triage") < said.index("Handed over to Writer") < said.rindex("Writer It is")
    assert html.count('class="as-speaker"') == 2


def test_a_retry_is_said_before_what_the_next_attempt_writes() -> None:
    script = Script("Guide").begin()
    script.mark("ModelRetried", 1, 2.0, "RateLimitError: slow down").wait(2.0).say("Here.")
    said = text_of(cards.run_body(fold(script.events)))
    assert said.startswith(
        "The model call failed: RateLimitError: slow down. Tried again after 2.00 s."
    )
    assert said.endswith("Here.")


def test_an_answer_of_several_texts_is_told_whole_on_one_line() -> None:
    days = [{"type": "text", "text": day} for day in ("Mon", "Tue", "Wed")]
    assert value_brief(days) == "Mon, Tue, Wed"
    assert value_brief(days[:1]) == "Mon"
    assert value_brief([{"type": "image", "data": "x"}]) == "image"
