"""Whatever holds a run, as a `Trace`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from .fold.run_items import OUTPUTS
from .fold.stream_events import usage_of
from .lifecycle import RunFinished
from .parts import Turn, get
from .trace import Trace


class _Event:
    """A stream event made from a finished result's item."""

    __slots__ = ("item", "name", "new_agent", "type")

    def __init__(self, type: str, name: str = "", item: Any = None, new_agent: Any = None) -> None:
        self.type, self.name, self.item, self.new_agent = type, name, item, new_agent


def as_trace(run: Any) -> Trace:
    """Return the trace of a run.

    Parameters
    ----------
    run
        A `Trace`; a result with a ``trace``; recorded ``(seconds, event)`` pairs; or a result of
        the OpenAI Agents SDK, whose items are read without times, as it kept none.

    Raises
    ------
    TypeError
        If it is none of these.
    """
    if isinstance(run, Trace):
        return run
    own = getattr(run, "trace", None)
    if isinstance(own, Trace):
        return own
    if hasattr(run, "new_items"):
        return _trace_of_result(run)
    if isinstance(run, Iterable) and not isinstance(run, (str, bytes, dict)):
        return fold(run)
    raise TypeError(
        f"cannot read a run from {type(run).__name__}: "
        "pass a result, a Trace, or (seconds, event) pairs"
    )


def fold(events: Iterable[tuple[float, Any]], name: str | None = None) -> Trace:
    """Fold recorded ``(seconds, event)`` pairs."""
    trace = Trace(name)
    for time, event in events:
        trace.add(event, time)
    return trace


def _trace_of_result(result: Any) -> Trace:
    trace = Trace()
    trace.timed = False
    responses = list(get(result, "raw_responses", []))
    turn_of = _Responses(trace, responses)
    for item in result.new_items:
        agent = get(get(item, "agent"), "name")
        if item.type not in OUTPUTS:
            turn_of.enter(get(item, "raw_item"), agent)
        elif agent is not None and agent != trace.agent:
            trace.add(_Event("agent_updated_stream_event", new_agent=item.agent), 0.0)
        name = "handoff_requested" if item.type == "handoff_call_item" else item.type
        trace.add(_Event("run_item_stream_event", name, item), 0.0)
    turn_of.enter_rest()
    if get(result, "is_complete", True) and not get(result, "interruptions", []):
        trace.add(RunFinished(), 0.0)
    return trace


class _Responses:
    """Begins a turn whenever an item belongs to the next model response."""

    def __init__(self, trace: Trace, responses: list[Any]) -> None:
        self._trace = trace
        self._responses = responses
        self._at = -1
        self._by_identity = self._index(id)
        self._by_text: dict[Any, deque[int]] | None = None

    def _index(self, key: Callable[[Any], Any]) -> dict[Any, deque[int]]:
        """Which responses have an item, in order."""
        positions: dict[Any, deque[int]] = {}
        for at, response in enumerate(self._responses):
            for item in get(response, "output", []):
                positions.setdefault(key(item), deque()).append(at)
        return positions

    def enter(self, raw: Any, agent: str | None) -> None:
        events = self._by_identity.get(id(raw))
        if events is None:  # a copy: of a run that was saved and read
            if self._by_text is None:
                self._by_text = self._index(repr)
            events = self._by_text.get(repr(raw))
        while events and events[0] < self._at:
            events.popleft()
        while events and self._at < events[0]:
            self._next(agent)

    def enter_rest(self) -> None:
        while self._at + 1 < len(self._responses):
            self._next(self._trace.agent)

    def _next(self, agent: str | None) -> None:
        self._at += 1
        if agent is not None and agent != self._trace.agent:
            self._trace.set_agent(agent)
        response = self._responses[self._at]
        turn: Turn = self._trace.open_turn(0.0)
        turn.response_id = get(response, "response_id")
        usage = get(response, "usage")
        self._trace.set_usage(turn, usage_of(usage) if usage is not None else None)
        self._trace.close_turn(0.0, "completed")
