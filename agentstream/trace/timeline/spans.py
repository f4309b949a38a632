"""What took time in a run: nested intervals, for the timeline and for ``to_frame("spans")``."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..parts import OPEN_STATUSES, Part

if TYPE_CHECKING:
    from ..state import TraceState

SpanKind: TypeAlias = Literal[
    "run",
    "agent",
    "model",
    "retry",
    "tool",
    "hosted",
    "handoff",
    "guardrail",
    "approval",
    "stop",
    "error",
]

_TEXTS = frozenset({"text", "reasoning", "refusal", "compaction"})
_LOCAL = frozenset({"tool", "computer", "shell", "apply_patch", "custom"})


@dataclass(slots=True)
class Span:
    """An interval of a run; a moment has equal ends.

    Attributes
    ----------
    lane
        The agent it belongs to, with the positions of the calls that lead to its run: the same for
        all intervals of one agent in one run.
    parent
        Position, in the list of spans, of the span that encloses it; None for the run.
    started, ended
        Seconds since the start of the run. A span that still goes on ends now, and ``is_open``.
    mark
        For a model call, the time of the first token.
    """

    kind: SpanKind
    name: str
    agent: str | None
    lane: tuple[int | str, ...]
    depth: int
    started: float
    ended: float
    status: str
    parent: int | None
    turn: int | None = None
    call_id: str | None = None
    mark: float | None = None
    detail: str | None = None
    target: str | None = None
    is_open: bool = False


class _Builder:
    def __init__(self, now: float = 0.0) -> None:
        self.spans: list[Span] = []
        self.now = now

    def add(self, span: Span) -> int:
        """Append a span, kept within the one that encloses it."""
        if span.parent is not None:
            outer = self.spans[span.parent]
            span.started = min(max(span.started, outer.started), outer.ended)
            span.ended = min(max(span.ended, span.started), outer.ended)
        self.spans.append(span)
        return len(self.spans) - 1


def spans(trace: TraceState, now: float = 0.0) -> list[Span]:
    """Return the spans of a run, each after the one that encloses it.

    What goes on reaches to the last event, or to ``now`` where that is later.
    """
    builder = _Builder(now)
    _run(builder, trace, (), None, 0)
    return builder.spans


def _run(
    builder: _Builder,
    trace: TraceState,
    path: tuple[int | str, ...],
    parent: int | None,
    depth: int,
) -> None:
    end = max(trace.now, builder.now) if trace.ended is None else trace.ended
    name = trace.name or (trace.agents[0] if trace.agents else "run")
    run = builder.add(
        Span(
            "run",
            name,
            None,
            path,
            depth,
            trace.started,
            end,
            trace.status,
            parent,
            is_open=trace.ended is None,
        )
    )
    agent_intervals = _agent_intervals(builder, trace, path, run, depth)
    _Fill(builder, trace, path, run, depth, agent_intervals).all()


def _agent_intervals(
    builder: _Builder, trace: TraceState, path: tuple[int | str, ...], run: int, depth: int
) -> list[int]:
    taken = trace.agent_intervals or [(trace.started, trace.name or "model")]
    # The first agent is at work from the start, although its event comes a moment later.
    taken = [(trace.started, taken[0][1]), *taken[1:]]
    ends = [start for start, _ in taken[1:]] + [builder.spans[run].ended]
    intervals = []
    for (start, agent), end in zip(taken, ends, strict=True):
        last = end == ends[-1] and trace.ended is None
        status = trace.status if end == ends[-1] else "completed"
        lane = (*path, agent)
        intervals.append(
            builder.add(
                Span("agent", agent, agent, lane, depth, start, end, status, run, is_open=last)
            )
        )
    return intervals


class _Fill:
    """Puts the calls, tools, guardrails, ... of one run into its intervals."""

    def __init__(
        self,
        builder: _Builder,
        trace: TraceState,
        path: tuple[int | str, ...],
        run: int,
        depth: int,
        agent_intervals: list[int],
    ) -> None:
        self.builder, self.trace, self.path = builder, trace, path
        self.run, self.depth, self.agent_intervals = run, depth, agent_intervals
        self.models: dict[int, int] = {}
        self.begun: dict[str | None, tuple[list[float], list[int]]] = {}
        """When the intervals of each agent, and of any (None), begin, and their indexes."""
        for index in agent_intervals:
            span = builder.spans[index]
            for agent in {None, span.agent}:
                starts, indexes = self.begun.setdefault(agent, ([], []))
                starts.append(span.started)
                indexes.append(index)

    def all(self) -> None:
        self.model_calls()
        for part in self.trace.parts:
            if part.kind in _LOCAL:
                self.tool(part)
            elif part.kind not in _TEXTS and part.kind != "handoff":
                self.hosted(part)
        self.guardrails()
        self.handoffs()
        self.end()

    def agent_interval(self, agent: str | None, time: float) -> int:
        """Return the last interval of ``agent`` that began by ``time``."""
        starts, indexes = self.begun.get(agent, ([], []))
        at = bisect_right(starts, time)
        return indexes[at - 1] if at else self.agent_intervals[0]

    def put(
        self, kind: SpanKind, name: str, parent: int, start: float, end: float | None, status: str
    ) -> Span:
        outer = self.builder.spans[parent]
        now = self.builder.spans[self.run].ended
        span = Span(
            kind,
            name,
            outer.agent,
            outer.lane,
            self.depth,
            start,
            now if end is None else end,
            status,
            parent,
            is_open=end is None,
        )
        self.builder.add(span)
        return span

    def model_calls(self) -> None:
        for turn in self.trace.turns:
            parent = self.agent_interval(turn.agent, turn.started)
            name = turn.model or "model"
            span = self.put("model", name, parent, turn.started, turn.ended, turn.status)
            span.turn, span.mark, span.detail = turn.index, turn.first_token, turn.error
            self.models[turn.index] = len(self.builder.spans) - 1
        for retry in self.trace.retries:
            parent = self.models[retry.turn]
            until = retry.time + retry.delay
            span = self.put("retry", f"retry {retry.attempt}", parent, retry.time, until, "failed")
            span.turn, span.detail = retry.turn, retry.error
            span.name = f"resumed {retry.attempt}" if retry.resumed else span.name

    def tool(self, part: Part) -> None:
        start = part.run_started
        if start is None and part.approval is not None:
            start = part.approval.decided
        if start is None:
            start = part.called
        if start is None and part.status not in OPEN_STATUSES:
            start = part.ended  # broken off while it was written
        parent = self.agent_interval(part.agent, part.started)
        self.approval(part, parent)
        has_run = part.nested is not None  # and it is that run which waits
        if start is None or (not has_run and part.status in ("awaiting_approval", "rejected")):
            return
        span = self.put("tool", part.name or "tool", parent, start, part.ended, part.status)
        span.turn, span.call_id, span.detail = part.turn, part.call_id, part.error
        if part.nested is not None:
            own = len(self.builder.spans) - 1
            _run(self.builder, part.nested, (*self.path, part.index), own, self.depth + 1)

    def approval(self, part: Part, parent: int) -> None:
        wait = part.approval
        if wait is not None:
            status = {None: "awaiting_approval", True: "completed", False: "rejected"}[
                wait.approved
            ]
            span = self.put(
                "approval", part.name or "call", parent, wait.requested, wait.decided, status
            )
            span.turn, span.call_id = part.turn, part.call_id

    def hosted(self, part: Part) -> None:
        parent = self.models.get(part.turn or 0, self.agent_interval(part.agent, part.started))
        span = self.put(
            "hosted", part.name or part.kind, parent, part.started, part.ended, part.status
        )
        span.turn, span.call_id, span.detail = part.turn, part.call_id, part.error

    def guardrails(self) -> None:
        for guardrail in self.trace.guardrails:
            parent = self.agent_interval(guardrail.agent, guardrail.started)
            status = {None: "running", True: "failed", False: "completed"}[guardrail.tripped]
            span = self.put(
                "guardrail", guardrail.name, parent, guardrail.started, guardrail.ended, status
            )
            span.detail = f"{guardrail.stage.replace('_', ' ')} guardrail" + (
                ", tripped" if guardrail.tripped else ""
            )
            span.call_id = guardrail.call_id

    def handoffs(self) -> None:
        for handoff in self.trace.handoffs:
            name = f"{handoff.source} → {handoff.target}"
            span = self.put("handoff", name, self.run, handoff.time, handoff.time, "completed")
            span.agent, span.target, span.call_id = handoff.source, handoff.target, handoff.call_id
            span.lane = (*self.path, handoff.source or "")

    def end(self) -> None:
        trace = self.trace
        if trace.ended is not None and trace.status in ("cancelled", "failed"):
            kind: SpanKind = "stop" if trace.status == "cancelled" else "error"
            name = "stopped" if trace.status == "cancelled" else "failed"
            span = self.put(
                kind, name, self.agent_intervals[-1], trace.ended, trace.ended, trace.status
            )
            span.detail = trace.error
