"""What a session holds already, as turns of a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from ...displays import message_blocks
from ...trace import Trace
from ...trace.lifecycle import RunFinished
from .turn import PastTurn

_SKIPPED = frozenset({"system", "developer"})


def past_turns(items: Iterable[Any], agent: str) -> list[PastTurn]:
    """The turns of a session's items: each begins with what the user said."""
    return [_turn(question, answer, agent) for question, answer in _grouped(items)]


def _grouped(items: Iterable[Any]) -> Iterator[tuple[Any, list[Mapping[str, Any]]]]:
    question: Any = None
    answer: list[Mapping[str, Any]] = []
    for item in items:
        if not isinstance(item, Mapping) or item.get("role") in _SKIPPED:
            continue
        if item.get("role") != "user":
            answer.append(item)
            continue
        if question is not None or answer:
            yield question or "", answer
        question, answer = item.get("content") or "", []
    if question is not None or answer:
        yield question or "", answer


def _user_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [
        str(part["text"]) if part.get("text") else f"[{part.get('type', 'something else')}]"
        for part in parts
        if isinstance(part, Mapping)
    ]
    return "\n".join(texts)


def _turn(question: Any, answer: list[Mapping[str, Any]], agent: str) -> PastTurn:
    trace = Trace()
    trace.timed = False
    trace.set_agent(agent)
    speaker = SimpleNamespace(name=agent)
    for item in answer:
        raw, kind = _whole(item)
        run_item = SimpleNamespace(type=kind, raw_item=raw, agent=speaker, output=raw.get("output"))
        trace.add(SimpleNamespace(type="run_item_stream_event", name=kind, item=run_item), 0.0)
    trace.add(RunFinished(), 0.0)
    return PastTurn(_user_text(question), trace, message_blocks(question))


def _whole(item: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """An item in the provider's own form, and the type of the run's item that holds it."""
    kind = item.get("type") or "message"
    if kind == "message":
        content = item.get("content")
        if isinstance(content, str):
            content = [{"type": "output_text", "text": content, "annotations": []}]
        return {**item, "type": kind, "content": content}, "message_output_item"
    if kind == "reasoning":
        return {**item}, "reasoning_item"
    if kind == "mcp_approval_response":
        return {**item}, "mcp_approval_response_item"
    if kind.endswith("_output"):
        return {**item}, "tool_call_output_item"
    return {**item}, "tool_call_item"
