from __future__ import annotations

import json
import tracemalloc
from types import SimpleNamespace
from typing import Any

import pytest

from agentstream.trace import Trace, content, lifecycle
from agentstream.trace.fold.stream_events import RAW
from agentstream.trace.from_result import fold
from tests.trace.trace_streams import (
    RECORDED,
    Script,
    chain,
    raw,
    recorded_calls,
    response,
    run_item,
)

RESPONSES = [
    path
    for path in sorted(RECORDED.glob("*.json"))
    if json.loads(path.read_text(encoding="utf-8"))["api"] == "responses"
]


def kinds(trace: Trace) -> list[str]:
    return [part.kind for part in trace.parts]


def test_a_chain_of_tools_and_agents_becomes_turns_and_parts() -> None:
    trace = fold(chain())
    assert kinds(trace) == ["reasoning", "tool", "tool", "handoff", "text"]
    assert [part.status for part in trace.parts] == ["completed"] * 5
    assert trace.parts[0].text == "The user wants the weather.\n\nTwo tools will do."
    assert trace.parts[4].text == "It is **21 °C** in Lisbon, at noon."
    assert [(turn.index, turn.agent) for turn in trace.turns] == [
        (1, "Triage"),
        (2, "Triage"),
        (3, "Writer"),
    ]
    assert trace.agents == ["Triage", "Writer"]
    assert [(one.source, one.target, one.call_id) for one in trace.handoffs] == [
        ("Triage", "Writer", "c3")
    ]
    assert trace.usage == {
        "input": 500,
        "cached": 250,
        "output": 43,
        "reasoning": 3,
        "total": 543,
    }
    assert trace.status == "completed"


def test_a_call_knows_its_arguments_output_and_times() -> None:
    weather = fold(chain()).parts[1]
    assert (weather.name, weather.call_id, weather.output) == ("get_weather", "c1", "21 °C")
    assert content.arguments(weather) == {"city": "Lisbon"}
    times = [weather.started, weather.called, weather.run_started, weather.ended]
    assert times == pytest.approx([0.5, 0.56, 0.62, 1.42])


def test_without_marks_the_times_follow_from_the_events() -> None:
    trace = fold(chain(with_marks=False))
    assert trace.status == "running"
    assert [turn.started for turn in trace.turns] == pytest.approx([0.0, 1.42, 1.88])
    assert trace.turns[0].first_token == pytest.approx(0.45)
    assert kinds(trace) == kinds(fold(chain()))


def test_arguments_are_readable_while_they_stream() -> None:
    trace = Trace()
    for t, event in chain()[:11]:
        trace.add(event, t)
    call = trace.parts[1]
    assert call.status == "in_progress"
    assert call.arguments == '{"city": '
    assert call.arguments_from(3) == 'ity": '


@pytest.mark.skipif(not RESPONSES, reason="the recorded streams are not in this checkout")
@pytest.mark.parametrize("path", RESPONSES, ids=lambda path: path.stem)
def test_recorded_streams_keep_all_that_the_response_says(path: Any) -> None:
    for events in recorded_calls(path):
        trace = Trace()
        for number, data in enumerate(events):
            event = SimpleNamespace(type="raw_response_event", data=data)
            trace.add(event, number * 0.01)
        final = next((one.response for one in events if one.type == "response.completed"), None)
        if final is None:
            continue
        assert [turn.response_id for turn in trace.turns] == [final.id]
        items = [(one.type, getattr(one, "id", None)) for one in final.output]
        found = [(part.item_type, part.item_id) for part in trace.parts]
        assert found == items
        for part, item in zip(trace.parts, final.output, strict=True):
            if item.type == "message":
                assert part.text == "".join(one.text for one in item.content)
                assert len(part.annotations) == sum(len(one.annotations) for one in item.content)
            elif item.type == "function_call":
                assert (part.arguments, part.status) == (item.arguments, "running")
            elif item.type == "reasoning":
                assert part.text == "\n\n".join(
                    one.text for one in item.summary or item.content or []
                )
            elif item.type == "code_interpreter_call":
                assert part.arguments == item.code
        assert not trace.turns[0].usage or trace.usage["total"] == final.usage.total_tokens
        again = Trace()
        for data in events:
            if not data.type.endswith((".delta", ".done", ".added")):
                again.add(SimpleNamespace(type="raw_response_event", data=data), 0.0)
        assert [part.text for part in again] == [part.text for part in trace]


def test_hosted_tools_show_what_they_found() -> None:
    search = {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {
            "type": "search",
            "query": "Lisbon",
            "sources": [{"type": "url", "url": "https://a.example"}] * 2,
        },
    }
    code = {
        "type": "code_interpreter_call",
        "id": "ci_1",
        "status": "completed",
        "container_id": "c",
        "code": "1+1",
        "outputs": [{"type": "logs", "logs": "2"}, {"type": "image", "url": "https://i.example"}],
    }
    trace = Trace()
    trace.add(raw("response.created", response=response("in_progress", 1)), 0.1)
    for index, item in enumerate((search, code)):
        begun = item | {"status": "in_progress"}
        trace.add(raw("response.output_item.added", output_index=index, item=begun), 0.2)
    trace.add(raw("response.web_search_call.searching", output_index=0, item_id="ws_1"), 0.3)
    assert trace.parts[0].stage == "searching"
    trace.add(raw("response.output_item.done", output_index=0, item=search), 0.5)
    trace.add(raw("response.output_item.done", output_index=1, item=code), 0.6)
    web, interpreter = trace.parts
    assert content.sources(web) == [{"url": "https://a.example"}]
    assert (content.queries(web), web.status, web.ended) == (["Lisbon"], "completed", 0.5)
    assert (content.logs(interpreter), content.images(interpreter)) == ("2", ["https://i.example"])
    assert interpreter.arguments == "1+1"


def test_a_partial_image_is_replaced_by_the_next() -> None:
    trace = Trace()
    item = {"type": "image_generation_call", "id": "ig", "status": "in_progress", "result": None}
    trace.add(raw("response.output_item.added", output_index=0, item=item), 0.1)
    for number, data in enumerate(("AAAA", "BBBB")):
        fields = {"output_index": 0, "item_id": "ig", "partial_image_index": number}
        kind = "response.image_generation_call.partial_image"
        trace.add(raw(kind, partial_image_b64=data, **fields), 0.2)
    assert content.images(trace.parts[0]) == ["BBBB"]
    done = item | {"status": "completed", "result": "CCCC"}
    trace.add(raw("response.output_item.done", output_index=0, item=done), 0.3)
    assert content.images(trace.parts[0]) == ["CCCC"]


def test_a_refusal_is_a_part_of_its_own() -> None:
    trace = Trace()
    at = {"output_index": 0, "item_id": "m", "content_index": 0}
    trace.add(raw("response.refusal.delta", delta="I can", **at), 0.1)
    trace.add(raw("response.refusal.delta", delta="not.", **at), 0.2)
    assert [(part.kind, part.text) for part in trace] == [("refusal", "I cannot.")]


def test_two_calls_of_one_id_in_two_turns_each_get_their_output() -> None:
    script = Script()
    for output in ("one", "two"):
        script.begin().call("f", {}, "call_0").end().start("call_0").wait(0.1)
        script.result("call_0", output)
    trace = fold(script.events)
    assert [part.output for part in trace.parts] == ["one", "two"]


def test_an_error_marks_the_call_as_failed() -> None:
    script = Script().begin().call("f", {}, "c").end().start("c").wait(0.1)
    trace = fold(script.result("c", "An error occurred", "ValueError: no").events)
    assert (trace.parts[0].status, trace.parts[0].error) == ("failed", "ValueError: no")


@pytest.mark.parametrize(
    ("kind", "status"), [("RunCancelled", "cancelled"), ("RunFailed", "failed")]
)
def test_a_broken_run_keeps_what_arrived(kind: str, status: str) -> None:
    script = Script().begin().say("All of it")
    events = script.events[:-3]  # the text goes on when the run ends
    trace = fold([*events, (2.0, getattr(lifecycle, kind)("why"))])
    assert (trace.status, trace.error, trace.ended) == (status, "why", 2.0)
    part = trace.parts[0]
    assert (part.status, part.ended) == (status, 2.0)
    assert "All of it".startswith(part.text)
    assert part.text
    assert trace.turns[0].status == status


def test_a_call_that_waits_for_a_person_pauses_the_run_and_goes_on_after() -> None:
    script = Script().begin().call("pay", {"eur": 3}, "c").end()
    script.mark("ApprovalRequested", "c", "pay").finish()
    trace = fold(script.events)
    assert (trace.status, trace.parts[0].status) == ("paused", "awaiting_approval")
    more = Script(None)
    more.now, more.agent = 9.0, "Guide"
    more.mark("RunStarted").mark("ApprovalDecided", "c", True).start("c").wait(0.5)
    more.result("c", "paid").finish()
    for t, event in more.events:
        trace.add(event, t)
    part = trace.parts[0]
    assert part.approval is not None
    assert (part.approval.decided, part.run_started, part.ended) == (9.0, 9.0, 9.5)
    assert (trace.status, part.status, part.output) == ("completed", "completed", "paid")


def test_a_rejected_call_stays_rejected() -> None:
    script = Script().begin().call("pay", {}, "c").end().mark("ApprovalRequested", "c")
    script.wait(1).mark("ApprovalDecided", "c", False)
    script.item(
        "tool_output",
        "tool_call_output_item",
        {"type": "function_call_output", "call_id": "c", "output": "not approved"},
        output="not approved",
    )
    assert fold(script.events).parts[0].status == "rejected"


def test_a_retry_gives_up_what_the_first_attempt_wrote() -> None:
    script = Script().begin()
    at = {"output_index": 0, "item_id": "m", "content_index": 0}
    script.add(raw("response.output_text.delta", delta="half an", **at))
    script.mark("ModelRetried", 1, 0.5, "connection lost").wait(0.5)
    script.add(raw("response.created", response=response("in_progress", 2)))
    script.say("the whole answer").end()
    trace = fold(script.events)
    assert len(trace.turns) == 1
    assert [(part.text, part.status) for part in trace] == [
        ("half an", "superseded"),
        ("the whole answer", "completed"),
    ]
    assert [row.part.text for row in trace.rows] == ["the whole answer"]
    assert [(retry.attempt, retry.delay) for retry in trace.retries] == [(1, 0.5)]


def test_a_guardrail_has_a_span_and_a_verdict() -> None:
    script = Script().mark("GuardrailStarted", "homework").wait(0.3)
    trace = fold(script.mark("GuardrailFinished", "homework", True).events)
    guardrail = trace.guardrails[0]
    assert (guardrail.tripped, guardrail.started, guardrail.ended) == (True, 0.0, 0.3)


def test_nested_events_make_a_trace_inside_the_call() -> None:
    inner = Script("Helper").begin().say("inside").end().finish()
    script = Script().begin().call("ask_helper", {"input": "x"}, "c").end().start("c")
    script.nest(("c",), inner).result("c", "inside").finish()
    trace = fold(script.events)
    nested = trace.parts[0].nested
    assert nested is not None
    assert (nested.agents, nested.status, nested.parts[0].text) == (
        ["Helper"],
        "completed",
        "inside",
    )
    assert trace.usage["total"] == 240


def test_changes_name_the_parts_that_a_view_must_draw_again() -> None:
    trace, seen = Trace(), 0
    copies: dict[int, str] = {}
    for t, event in chain():
        trace.add(event, t)
        for part in trace.changed_since(seen):
            copy = copies.get(part.index, "")
            copies[part.index] = copy + part.text_from(len(copy))
        seen = trace.version
        assert trace.changed_since(seen) == []
    assert copies == {part.index: part.text for part in trace}


def test_a_nested_change_is_a_change_of_its_call() -> None:
    inner = Script("Helper").begin().say("inside")
    script = Script().begin().call("ask", {}, "c").end().nest(("c",), inner)
    trace = Trace()
    for t, event in script.events:
        before = trace.version
        trace.add(event, t)
        if isinstance(event, lifecycle.Nested):
            assert trace.changed_since(before) == [trace.parts[0]]


def test_times_never_go_back() -> None:
    trace = Trace()
    for t, event in chain():
        trace.add(event, t)
    trace.add(raw("response.created", response=response("in_progress", 9)), 0.5)
    assert trace.now == trace.turns[-1].started == chain()[-1][0]


def test_an_event_of_an_unknown_kind_changes_nothing_but_the_log() -> None:
    trace = fold(chain())
    parts, length = len(trace.parts), len(trace.log)
    trace.add(SimpleNamespace(type="news_of_tomorrow"), 9.0)
    data = SimpleNamespace(type="response.mood.changed")
    trace.add(SimpleNamespace(type="raw_response_event", data=data), 9.1)
    assert (len(trace.parts), len(trace.log)) == (parts, length + 2)


def test_items_without_any_stream_make_parts_and_turns() -> None:
    trace = Trace()
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "id": "x"}
    answer = {"type": "function_call_output", "call_id": "c", "output": "7"}
    message = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "Seven"}]}
    for t, (name, kind, item) in enumerate(
        (
            ("tool_called", "tool_call_item", call),
            ("tool_output", "tool_call_output_item", answer),
            ("message_output_created", "message_output_item", message),
        )
    ):
        trace.add(run_item(name, kind, item, "Guide"), float(t))
    assert [(part.kind, part.turn) for part in trace] == [("tool", 1), ("text", 2)]
    assert [row.type for row in trace.rows] == [
        "tool_call_item",
        "tool_call_output_item",
        "message_output_item",
    ]


def test_items_with_one_placeholder_id_are_told_apart_by_their_order() -> None:
    trace = Trace()
    trace.add(raw("response.created", response=response("in_progress", 1)), 0.0)
    texts = ("first", "second")
    items = []
    for index, text in enumerate(texts):
        at = {"output_index": index, "item_id": "__fake_id__", "content_index": 0}
        trace.add(raw("response.output_text.delta", delta=text, **at), 0.1)
        item = {
            "type": "message",
            "id": "__fake_id__",
            "content": [{"type": "output_text", "text": text}],
        }
        items.append(item)
        trace.add(raw("response.output_item.done", output_index=index, item=item), 0.2)
    for item in items:
        trace.add(run_item("message_output_created", "message_output_item", item, "A"), 0.3)
    assert [row.part.text for row in trace.rows] == list(texts)
    assert len(trace.parts) == 2


def test_memory_follows_the_text_and_not_the_number_of_deltas() -> None:
    def held(count: int) -> int:
        event = raw(
            "response.output_text.delta",
            delta="x" * (400_000 // count),
            output_index=0,
            item_id="m",
            content_index=0,
        )
        tracemalloc.start()
        trace = Trace(log_limit=1_000)
        for number in range(count):
            trace.add(event, number * 0.001)
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert len(trace.parts[0].body) == 400_000
        return size

    assert held(100_000) < held(1_000) + 500_000


@pytest.mark.parametrize("kind", [*RAW, *(f"{name}.later" for name in RAW)])
def test_an_event_that_lacks_its_fields_breaks_nothing(kind: str) -> None:
    for begun in (False, True):
        trace = Trace()
        if begun:
            trace.add(raw("response.created", response=response("in_progress", 1)), 0.0)
        for _ in range(2):
            data = SimpleNamespace(type=kind)
            trace.add(SimpleNamespace(type="raw_response_event", data=data), 0.1)
        assert len(trace.log) == 2 + begun
        assert all(isinstance(part.text + part.arguments, str) for part in trace)
