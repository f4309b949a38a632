"""Traces and spans that a program opens itself: heard by its processors and by OpenTelemetry."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import agentstream
from agentstream import (
    TracingProcessor,
    add_trace_processor,
    custom_span,
    flush_traces,
    get_current_span,
    get_current_trace,
    handoff_span,
    set_trace_processors,
    set_tracing_disabled,
    trace,
)


class Heard(TracingProcessor):
    def __init__(self) -> None:
        self.moments: list[tuple[str, str]] = []

    def on_trace_start(self, trace: Any) -> None:
        self.moments.append(("trace starts", trace.name))

    def on_trace_end(self, trace: Any) -> None:
        self.moments.append(("trace ends", trace.name))

    def on_span_start(self, span: Any) -> None:
        self.moments.append(("span starts", span.span_data.type))

    def on_span_end(self, span: Any) -> None:
        self.moments.append(("span ends", span.span_data.type))

    def force_flush(self) -> None:
        self.moments.append(("flushed", ""))


@pytest.fixture
def heard() -> Iterator[Heard]:
    set_tracing_disabled(False)  # whatever other tests have left
    processor = Heard()
    with pytest.warns(UserWarning, match="opens itself"):
        add_trace_processor(processor)
    yield processor
    set_trace_processors([])
    set_tracing_disabled(False)


def test_a_processor_hears_what_the_program_opens_in_its_order(heard: Heard) -> None:
    with trace("Plan", group_id="g") as outer, custom_span("load") as load:
        assert get_current_trace() is outer
        with handoff_span("A", "B") as inner:
            assert inner.parent_id == load.span_id
            assert inner.trace_id == load.trace_id == outer.trace_id
            assert get_current_span() is inner
        assert get_current_span() is load
    flush_traces()
    assert heard.moments == [
        ("trace starts", "Plan"),
        ("span starts", "custom"),
        ("span starts", "handoff"),
        ("span ends", "handoff"),
        ("span ends", "custom"),
        ("trace ends", "Plan"),
        ("flushed", ""),
    ]
    assert get_current_trace() is None
    assert get_current_span() is None


def test_a_disabled_one_is_silent_and_still_a_context_manager(heard: Heard) -> None:
    with trace("Plan", disabled=True), custom_span("load", disabled=True):
        pass
    set_tracing_disabled(True)
    with trace("Plan"), custom_span("load") as span:
        assert span.span_data.export() == {"type": "custom", "name": "load", "data": {}}
    assert heard.moments == []


def test_an_error_is_kept_and_goes_on(heard: Heard) -> None:
    with pytest.raises(ValueError, match="no"), custom_span("load") as span:
        raise ValueError("no")
    assert span.error == {"message": "ValueError: no", "data": None}
    assert span.ended_at is not None


def test_tasks_at_once_do_not_see_each_others_spans() -> None:
    async def work(name: str) -> str:
        with custom_span(name):
            await asyncio.sleep(0)
            current = get_current_span()
            assert current is not None
            return str(current.span_data.name)

    async def both() -> list[str]:
        return list(await asyncio.gather(work("a"), work("b")))

    assert asyncio.run(both()) == ["a", "b"]


def test_starting_and_finishing_by_hand_is_as_the_sdk_has_it() -> None:
    opened = trace("Plan")
    opened.start(mark_as_current=True)
    span = custom_span("load")
    span.start(mark_as_current=True)
    assert get_current_span() is span
    span.finish(reset_current=True)
    opened.finish(reset_current=True)
    opened.finish(reset_current=True)
    assert get_current_trace() is None


def test_opentelemetry_hears_them_nested() -> None:
    pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry is not installed")
    from opentelemetry import trace as otel
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    otel.set_tracer_provider(provider)
    with trace("Plan"), custom_span("load", {"rows": 3, "by": ["a"]}):
        otel.get_tracer("mine").start_span("inside").end()
    with pytest.raises(ValueError, match="no"), custom_span("bad"):
        raise ValueError("no")
    inside, load, plan, bad = exporter.get_finished_spans()
    assert [one.name for one in (inside, load, plan)] == ["inside", "load", "Plan"]
    assert inside.parent is not None and load.parent is not None
    assert inside.parent.span_id == load.context.span_id
    assert load.parent.span_id == plan.context.span_id
    assert load.attributes is not None
    assert load.attributes["agentstream.data"] == '{"rows": 3, "by": ["a"]}'
    assert bad.status.description == "ValueError: no"


def test_every_span_function_takes_what_it_says_and_exports_it() -> None:
    opened = [
        agentstream.agent_span("A", tools=["t"]),
        agentstream.function_span("f", input="{}"),
        agentstream.generation_span(model="m"),
        agentstream.response_span(None),
        agentstream.guardrail_span("g", triggered=True),
        agentstream.mcp_tools_span("s", ["t"]),
        agentstream.speech_group_span("hi"),
        agentstream.speech_span(model="m"),
        agentstream.task_span("t"),
        agentstream.transcription_span(model="m"),
        agentstream.turn_span(1, "A"),
    ]
    kinds = [span.export()["span_data"]["type"] for span in opened]
    assert kinds == [
        "agent",
        "function",
        "generation",
        "response",
        "guardrail",
        "mcp_tools",
        "speech_group",
        "speech",
        "task",
        "transcription",
        "turn",
    ]
