"""What a trace costs grows as the run does, whatever is in it: work is counted, no seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace as Event
from typing import Any

import pytest

from agentstream.notebook.cards.banner import header
from agentstream.notebook.live.dom import VirtualDom
from agentstream.notebook.live.trace_renderer import TraceRenderer
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.trace import Trace, lifecycle
from agentstream.trace.dataframes import to_frame
from agentstream.trace.from_result import as_trace
from agentstream.trace.timeline.timeline import Timeline
from tests.work import growth

LINEAR = 4.8
"""Four times the events may cost so many times the work; quadratic were sixteen."""


def raw(kind: str, **fields: Any) -> Event:
    return Event(type="raw_response_event", data=Event(type=kind, **fields))


def done(index: int, item: Any) -> Event:
    return raw("response.output_item.done", output_index=index, item=item)


def told(kind: str, item: Any, name: str = "x", **fields: Any) -> Event:
    item = Event(type=kind, raw_item=item, agent=Event(name="A"), **fields)
    return Event(type="run_item_stream_event", name=name, item=item)


def answered(call_id: str, **fields: Any) -> Event:
    return told("tool_call_output_item", {"call_id": call_id}, output="x", **fields)


def at_work(name: str) -> Event:
    return Event(type="agent_updated_stream_event", new_agent=Event(name=name))


def function_call(at: int, call_id: str) -> Event:
    return Event(type="function_call", id=f"f{at}", call_id=call_id, name="t", arguments="{}")


def message(at: int) -> Event:
    return Event(type="message", id=f"m{at}", content=[Event(type="output_text", text="x")])


def response(at: int, output: tuple[Any, ...] = ()) -> Event:
    return Event(id=f"r{at}", output=list(output), usage=None, model="m")


Events = Iterator[Any]


def calls_of_one_id(n: int) -> Events:
    for at in range(n):
        yield raw("response.output_item.added", output_index=at, item=function_call(at, "c"))
        yield done(at, function_call(at, "c"))
    yield from (told("tool_call_item", function_call(at, "c")) for at in range(n))
    yield from (lifecycle.ToolStarted("c", "t") for _ in range(n))
    yield from (answered("c") for _ in range(n))


def calls_that_get_other_ids(n: int) -> Events:
    yield from (done(at, function_call(at, f"c{at}")) for at in range(n))
    yield from (told("tool_call_item", function_call(at, f"new{at}")) for at in range(n))


def messages_told_backwards(n: int) -> Events:
    yield from (done(at, message(at)) for at in range(n))
    yield from (told("message_output_item", message(at)) for at in reversed(range(n)))


def items_that_nobody_announced(n: int) -> Events:
    yield from (done(at, message(at)) for at in range(n))
    yield from (told("odd_item", Event(type="odd", id=f"o{at}")) for at in range(n))


def agents(n: int) -> Events:
    for at in range(n):
        yield at_work(f"A{at}")
        yield told("tool_call_item", function_call(at, f"c{at}"))
        yield answered(f"c{at}")


def two_agents_in_turn(n: int) -> Events:
    for at in range(n):
        yield at_work(f"A{at % 2}")
        yield told("tool_call_item", function_call(at, f"c{at}"))


def handoffs(n: int) -> Events:
    for at in range(n):
        yield told("handoff_call_item", function_call(at, f"c{at}"), "handoff_requested")
        agents = {"source_agent": Event(name=f"A{at}"), "target_agent": Event(name=f"A{at + 1}")}
        yield told("handoff_output_item", {"call_id": f"c{at}"}, **agents)
        yield at_work(f"A{at + 1}")


def searches(n: int) -> Events:
    yield from (done(at, Event(type="tool_search_call", id=f"s{at}")) for at in range(n))
    for at in range(n):
        output = Event(type="tool_search_output", id=f"o{at}", tools=[])
        yield told("tool_search_output_item", output)


def answers_without_a_search(n: int) -> Events:
    yield from (done(at, message(at)) for at in range(n))
    for at in range(n):
        output = Event(type="tool_search_output", id=f"o{at}", tools=[])
        yield told("tool_search_output_item", output)


def requests_of_a_hosted_server(n: int) -> Events:
    for at in range(n):
        yield done(at, Event(type="mcp_approval_request", id=f"r{at}", name="t", arguments="{}"))
    for at in range(n):
        answer = {"approval_request_id": f"r{at}", "approve": True}
        yield told("mcp_approval_response_item", answer)


def decisions_that_nobody_asked_for(n: int) -> Events:
    for at in range(n):
        answer = {"approval_request_id": f"r{at}", "approve": True}
        yield told("mcp_approval_response_item", answer)


def attempts(n: int) -> Events:
    for at in range(n):
        yield raw("response.output_text.delta", output_index=at, item_id=f"i{at}", delta="x")
        yield lifecycle.ModelRetried(at, 0.0, "e")


def attempts_of_many_turns(n: int) -> Events:
    for at in range(n):
        yield done(0, Event(type="web_search_call", id=f"w{at}"))
        yield raw("response.incomplete", response=response(at))
        yield lifecycle.ModelCalled(None, "m")
        yield lifecycle.ModelRetried(at, 0.0, "e")


def answers_that_break_off(n: int) -> Events:
    for at in range(n):
        yield raw("response.created", response=response(at))
        item = Event(type="web_search_call", id=f"w{at}")
        yield raw("response.output_item.added", output_index=0, item=item)
        yield raw("response.incomplete", response=response(at))


def one_large_answer(n: int) -> Events:
    output = tuple(message(at) for at in range(n))
    yield raw("response.completed", response=response(0, output))


def guardrails(n: int) -> Events:
    yield from (lifecycle.GuardrailStarted(f"g{at}") for at in range(n))
    yield from (lifecycle.GuardrailFinished(f"g{at}", False) for at in reversed(range(n)))


def calls_at_one_index(n: int) -> Events:
    for at in range(n):
        yield raw("response.output_item.added", output_index=0, item=function_call(at, f"c{at}"))
    yield from (done(0, function_call(at, f"c{at}")) for at in range(n))


def messages_at_one_index(n: int) -> Events:
    yield from (done(0, message(at)) for at in range(n))


def approvals(n: int) -> Events:
    yield from (lifecycle.ApprovalRequested(f"c{at}", "t") for at in range(n))
    yield from (lifecycle.ApprovalDecided(f"c{at}", True) for at in range(n))


def a_run_that_waits_again_and_again(n: int) -> Events:
    for at in range(n):
        yield lifecycle.RunStarted("A", "x")
        yield lifecycle.ApprovalRequested(f"c{at}", "t")
        yield lifecycle.RunFinished()
        yield lifecycle.ApprovalDecided(f"c{at}", True)
        yield answered(f"c{at}")


def a_run_that_fails_again_and_again(n: int) -> Events:
    for at in range(n):
        yield told("tool_call_item", function_call(at, f"c{at}"))
        yield lifecycle.RunFailed("e")


def nested_runs(n: int) -> Events:
    yield from (lifecycle.Nested((f"c{at}",), at_work(f"A{at}")) for at in range(n))


def one_nested_run(n: int) -> Events:
    yield from (lifecycle.Nested(("c",), at_work(f"A{at}")) for at in range(n))


SHAPES: list[Callable[[int], Events]] = [
    calls_of_one_id, calls_that_get_other_ids, messages_told_backwards,
    items_that_nobody_announced, agents, two_agents_in_turn, handoffs, searches,
    answers_without_a_search, requests_of_a_hosted_server, decisions_that_nobody_asked_for,
    attempts, attempts_of_many_turns, answers_that_break_off, one_large_answer, guardrails,
    calls_at_one_index, messages_at_one_index, approvals, a_run_that_waits_again_and_again,
    a_run_that_fails_again_and_again, nested_runs, one_nested_run,
]  # fmt: skip


def folded(events: list[Any]) -> Trace:
    trace = Trace()
    for at, event in enumerate(events):
        trace.add(event, at * 0.001)
    return trace


def first_frame(trace: Trace) -> Any:
    board = VirtualDom()
    TraceRenderer(trace, board).update()
    return board.frame()


READERS: dict[str, Callable[[Trace], Any]] = {
    "items": lambda trace: to_frame(trace, "items"),
    "turns": lambda trace: to_frame(trace, "turns"),
    "events": lambda trace: to_frame(trace, "events"),
    "spans": lambda trace: to_frame(trace, "spans"),
    "timeline": lambda trace: Timeline(trace).svg(),
    "text": lambda trace: str(Timeline(trace)),
    "view": first_frame,
    "picture": snapshot,
}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_four_times_the_events_cost_four_times_the_work(shape: Callable[[int], Events]) -> None:
    def folding(n: int) -> Callable[[], object]:
        events = list(shape(n))
        return lambda: folded(events)

    assert growth(folding, 60) < LINEAR


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_reading_a_trace_of_four_times_the_events_costs_four_times_the_work(
    shape: Callable[[int], Events], reader: str
) -> None:
    def reading(n: int) -> Callable[[], object]:
        trace = folded(list(shape(n)))
        return lambda: READERS[reader](trace)

    assert growth(reading, 60) < LINEAR


def told_usage(at: int) -> Event:
    tokens = {"input_tokens": 10, "output_tokens": 3, "total_tokens": 13}
    return Event(id=f"r{at}", output=[], usage=tokens, model="m")


def a_long_run(n: int) -> Trace:
    """Turns with reasoning, tokens, a nested agent each, and a decision; then an open call."""
    events: list[Any] = []
    for at in range(n):
        thought = Event(type="reasoning", id=f"t{at}", summary=[Event(text="hm")], content=[])
        events += [
            lifecycle.ModelCalled("A", "m"),
            raw("response.created", response=response(at)),
            raw("response.output_item.added", output_index=0, item=thought),
            raw("response.reasoning_text.delta", output_index=0, content_index=0, delta="hm"),
            done(1, function_call(at, f"c{at}")),
            raw("response.completed", response=told_usage(at)),
            lifecycle.ApprovalRequested(f"c{at}", "t"),
            lifecycle.ApprovalDecided(f"c{at}", True),
            lifecycle.ToolStarted(f"c{at}", "t"),
            lifecycle.Nested((f"c{at}",), lifecycle.ModelAnswered(f"n{at}", told_usage(at).usage)),
            lifecycle.ToolFinished(f"c{at}", None, "x"),
            answered(f"c{at}"),
        ]
    events += [lifecycle.ModelCalled("A", "m"), raw("response.created", response=response(n))]
    return folded(events)


QUESTIONS: dict[str, Callable[[Trace], Any]] = {
    "usage": lambda trace: trace.usage,
    "waiting": lambda trace: trace.waiting,
    "header": lambda trace: header(trace, live=True),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_a_live_view_asks_for_costs_the_same_however_long_the_run_is(question: str) -> None:
    def asking(n: int) -> Callable[[], object]:
        trace = a_long_run(n)
        QUESTIONS[question](trace)  # once after what has changed
        return lambda: QUESTIONS[question](trace)

    assert growth(asking, 60) < 1.2


def test_a_header_with_reasoning_and_tokens_costs_four_times_the_work() -> None:
    def ended(n: int) -> Callable[[], object]:
        trace = a_long_run(n)
        trace.add(lifecycle.RunFinished(), n * 1.0)
        return lambda: header(trace, live=False)

    assert growth(ended, 60) < LINEAR


def test_the_tokens_of_a_long_run_are_those_of_its_turns_and_nested_agents() -> None:
    trace = a_long_run(7)
    assert trace.usage == {
        "input": 140, "cached": 0, "output": 42, "reasoning": 0, "total": 182
    }  # fmt: skip
    assert len(trace.approvals) == 7
    assert trace.waiting == []
    trace.add(lifecycle.Nested(("c3",), lifecycle.ModelAnswered("again", told_usage(0).usage)), 9.0)
    assert trace.usage["total"] == 195
    trace.add(lifecycle.ModelAnswered("r7", told_usage(7).usage), 9.0)
    assert trace.usage["total"] == 208
    trace.add(lifecycle.ApprovalRequested("c9", "t"), 9.0)
    trace.add(lifecycle.Nested(("c10",), lifecycle.ApprovalRequested("d", "u")), 9.0)
    assert [part.call_id for part in trace.waiting] == ["c9", "d"]


class Name(str):
    """A name that counts what it is compared with, which is done in C."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_an_agent_is_not_compared_with_all_others() -> None:
    trace = Trace()
    Name.compared = 0
    for at in range(500):
        trace.set_agent(Name(f"A{at}"))
    assert len(trace.agents) == 500
    assert Name.compared < 3_000


@pytest.mark.parametrize("copied", [False, True])
def test_the_items_of_a_result_are_not_looked_for_in_all_its_answers(copied: bool) -> None:
    def reading(n: int) -> Callable[[], object]:
        kept = [{"type": "message", "id": f"m{at}", "content": "x"} for at in range(n)]
        strangers = [{"type": "message", "id": f"s{at}", "content": "x"} for at in range(n)]
        told = [dict(item) for item in kept] if copied else kept
        items = [
            Event(type="message_output_item", raw_item=raw, agent=Event(name="A"))
            for pair in zip(strangers, told, strict=True)
            for raw in pair
        ]
        answers = [Event(output=[item], response_id=f"r{at}") for at, item in enumerate(kept)]
        result = Event(new_items=items, raw_responses=answers)
        assert len(as_trace(result).turns) == n + 1  # a stranger comes before the first answer
        return lambda: as_trace(result)

    assert growth(reading, 60) < LINEAR
