"""`TraceState`: what is known of a run, and the changes that events make to it.

The modules of `fold` say which event makes which change; `Trace` gives each event to them.
"""

from __future__ import annotations

import itertools
import time as clock
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from .index import PartIndex
from .log import EventLog
from .parts import (
    COUNTS,
    Approval,
    Guardrail,
    Handoff,
    ItemRow,
    Part,
    PartKind,
    Retry,
    RunStatus,
    Silence,
    Status,
    Turn,
)
from .places import Places
from .text import Text

Slots = dict[int, tuple[Part, Text]]


class TraceState(ABC):
    """What a run has come to: the agents, the model calls, their parts.

    A `Trace` is one; its documentation names the attributes.
    """

    def __init__(self, name: str | None = None, *, log_limit: int = 65_536) -> None:
        self.name = name
        self.timed = True
        self.now = 0.0
        self.before = 0.0
        self.version = 0
        self.status: RunStatus = "running"
        self.error: str | None = None
        self.started = 0.0
        self.ended: float | None = None
        self.input: str | None = None
        self.question: list[dict[str, Any]] = []
        self.has_view = False
        self.agent: str | None = None
        self.agents: list[str] = []
        self.agent_intervals: list[tuple[float, str]] = []
        """When which agent took over."""
        self.parts: list[Part] = []
        self.rows: list[ItemRow] = []
        self.turns: list[Turn] = []
        self.handoffs: list[Handoff] = []
        self.guardrails: list[Guardrail] = []
        self.retries: list[Retry] = []
        self.silences: list[Silence] = []
        self.log = EventLog(log_limit)
        self.turn: Turn | None = None
        """The open model call."""
        self.slots: dict[str, Slots] = {
            family: {} for family in ("text", "refusal", "summary", "content", "input")
        }
        self.places = Places()
        """Where the open model call's items stand."""
        self.unclaimed: dict[int, Part] = {}
        self.texts_at: dict[tuple[int | None, Any], list[Part]] = {}
        """Texts that belong to one item, by its turn and position, until it is claimed."""
        self.index = PartIndex(self.unclaimed)
        self.open_guardrails: defaultdict[Any, deque[Guardrail]] = defaultdict(deque)
        """Those that have not ended, by what tells them apart."""
        self.approval_parts: dict[str, Part] = {}
        """The calls that a decision was asked for, by the name of that."""
        self.fresh_turn_due = True
        self.sequence = itertools.count()
        self._changed: dict[int, Part] = {}
        self._known_agents: set[str] = set()
        self._attempt = 0
        """The index of the first part that the present attempt of the model call may have."""
        self._closed = 0
        """Parts before this index were ended with their model call."""
        self._open: dict[int, Part] = {}
        """All parts that may be open; some have ended."""
        self._newest: Part | None = None
        self._pending_approvals: dict[int, Part] = {}
        """The parts that a decision was asked for."""
        self.spent = (0,) * len(COUNTS)
        """Tokens of all model calls, those of nested agents included, in the order of `COUNTS`."""

    def add(self, event: Any, t: float) -> None:
        """Fold one event.

        Parameters
        ----------
        event
            A stream event of this package or of the OpenAI Agents SDK, or a mark. One of an unknown
            type is logged and changes nothing else.
        t
            Seconds since the start of the run, of a monotonic clock; a time before the last one
            counts as that one.
        """
        self.add_all((event,), t)

    @abstractmethod
    def add_all(self, events: Iterable[Any], t: float) -> None:
        """Fold events that came at the same time; parameters are as for `add`."""

    async def follow(self, events: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Pass events through and fold each, with times of the monotonic clock."""
        started = clock.monotonic() - self.now
        async for event in events:
            self.add(event, clock.monotonic() - started)
            yield event

    def changed_since(self, version: int) -> list[Part]:
        """Return the parts that changed after ``version``, in their order.

        Takes time for what changed, not for all that there is. A part that appears as a tool's
        nested agent is found in ``part.nested``, and its tool's part counts as changed.
        """
        changed = []
        for part in reversed(self._changed.values()):
            if part.version <= version:
                break
            changed.append(part)
        return sorted(changed, key=lambda part: part.index)

    def spend(self, counts: Iterable[int], *, instead_of: Iterable[int]) -> None:
        """Add tokens to those of the run, in the place of others that are counted already."""
        deltas = zip(self.spent, counts, instead_of, strict=True)
        self.spent = tuple(total + new - old for total, new, old in deltas)

    def set_usage(self, turn: Turn, usage: dict[str, int] | None) -> None:
        """Note what a model call took, which may be told more than once."""
        before, turn.usage = turn.counts, usage
        self.spend(turn.counts, instead_of=before)

    def touch(self, part: Part | None = None) -> None:
        """Note a change of ``part``, or of the run as a whole."""
        self.version += 1
        if part is None:
            return
        part.version = self.version
        if self._newest is not part:
            self._changed.pop(part.index, None)
            self._changed[part.index] = part
            self._newest = part

    def set_agent(self, name: str) -> None:
        """Make ``name`` the agent at work."""
        if name != self.agent:
            self.agent_intervals.append((self.now, name))
        self.agent = name
        if name not in self._known_agents:
            self._known_agents.add(name)
            self.agents.append(name)
        self.touch()

    def open_turn(self, started: float) -> Turn:
        """Return the open model call, or begin one."""
        if self.turn is None:
            self.turn = Turn(len(self.turns) + 1, self.agent, started)
            self.turns.append(self.turn)
            self._attempt = len(self.parts)
            self.places.clear()
            self.fresh_turn_due = False
            self.touch()
        return self.turn

    def close_turn(self, t: float, status: Status, error: str | None = None) -> None:
        """End the open model call; what it left unfinished gets ``status``."""
        turn = self.turn
        if turn is None:
            return
        turn.ended, turn.status, turn.error = t, status, error
        if (silence := self.silence) is not None:
            silence.ended = t
        self.turn = None
        self.forget_slots()
        written = self.parts[max(self._attempt, self._closed) :]
        turn.has_reasoning = any(part.kind == "reasoning" and part.body for part in written)
        for part in written:
            if part.index in self.unclaimed and part.status == "in_progress":
                self.end_part(part, t, status)
        self._closed = len(self.parts)
        self.touch()

    def forget_slots(self, index: int | None = None) -> None:
        """Forget which part an output index (or each) stands for: another item begins there."""
        for slots in self.slots.values():
            if index is None:
                slots.clear()
            else:
                slots.pop(index, None)
        if index is None:
            self.places.clear()

    def drop_attempt(self, t: float) -> int:
        """Give up what the open model call wrote, which is asked again; its characters."""
        self.forget_slots()
        lost = 0
        for part in self.parts[self._attempt :]:
            if part.index in self.unclaimed:
                lost += part.body.length
                self.supersede(part, t)
        self._attempt = len(self.parts)
        self.touch()
        return lost

    def supersede(self, part: Part, t: float) -> None:
        """Give up a part that is none of the answer."""
        part.status, part.ended = "superseded", t
        self.touch(part)
        self.unclaimed.pop(part.index, None)
        self.index.give_up(part)

    def siblings(self, part: Part) -> list[Part]:
        """Return, once, the other parts of the item: a refusal beside a text, and the like."""
        if part.item_type not in ("message", "reasoning"):
            return []
        parts = self.texts_at.pop((part.turn, part.position), ())
        return [other for other in parts if other is not part and other.index in self.unclaimed]

    def place(self, part: Part, position: int, family: str) -> None:
        """Note of which item a text is."""
        part.family = family
        self.places.add(part, position)
        self.texts_at.setdefault((part.turn, position), []).append(part)

    def new_part(self, kind: PartKind, item_type: str, t: float) -> Part:
        """Append a part of the open turn."""
        turn = self.turn
        part = Part(
            index=len(self.parts),
            kind=kind,
            item_type=item_type,
            turn=turn.index if turn is not None else (len(self.turns) or None),
            agent=turn.agent if turn is not None else self.agent,
            started=t,
        )
        self.parts.append(part)
        self.unclaimed[part.index] = self._open[part.index] = part
        self.index.note(part)
        self.touch(part)
        return part

    def identify(self, part: Part, item_id: Any) -> None:
        """Note the id of a part's item, and again where a server has changed it."""
        if part.item_id != item_id:
            part.item_id = item_id
            self.index.note(part)
            self.places.note(part)

    def name_call(self, part: Part, call_id: Any) -> None:
        """Note the id of a part's call, and again where it was given another one."""
        part.call_id = call_id
        self.index.note_call(part)
        self.places.note(part)

    def go_on(self, part: Part, status: Status) -> None:
        """Let a part be open, also one that had ended."""
        part.status, part.ended = status, None
        self._open[part.index] = part

    def ask_about(self, part: Part, approval: Approval) -> None:
        """Note that a decision on a part is asked for."""
        part.approval = approval
        self._pending_approvals[part.index] = part

    def end_part(self, part: Part, t: float, status: Status) -> None:
        """End a part, unless it has ended."""
        if part.is_open:
            part.status = status
            part.ended = t
            self.touch(part)

    def find_call(self, call_id: str, *, name: str | None = None, t: float = 0.0) -> Part:
        """Return the call's part, one without output if there is one; begin it if need be.

        A resumed run answers calls that were made in an earlier one.
        """
        known = self.index.call(call_id)
        if known is not None:
            return known
        part = self.new_part("tool", "function_call", t)
        del self.unclaimed[part.index]
        self.name_call(part, call_id)
        part.name, part.status, part.called = name, "running", t
        return part

    def finish(self, t: float, status: RunStatus, error: str | None = None) -> None:
        """End the run; parts still open take the run's status."""
        final_status: Status = {"cancelled": "cancelled", "failed": "failed"}.get(
            status, "incomplete"
        )  # type: ignore[assignment]
        self.close_turn(t, final_status, error)
        waiting = False
        unfinished: dict[int, Part] = {}
        for part in sorted(self._open.values(), key=lambda part: part.index):
            inner = part.nested
            if inner is not None and part.is_open:
                waits = inner.status == "paused"
                if inner.status == "running" or (waits and status != "completed"):
                    inner.finish(t, status, error)
                elif waits:
                    part.status = "awaiting_approval"
                    self.touch(part)
            if part.status == "awaiting_approval" and status == "completed":
                waiting = True
                unfinished[part.index] = part
            elif part.is_open:
                self.end_part(part, t, final_status)
        self._open = unfinished
        self.status = "paused" if waiting else status
        self.error, self.ended = error, t
        self.touch()

    def __iter__(self) -> Iterator[Part]:
        return iter(self.parts)

    def __repr__(self) -> str:
        name = "" if self.name is None else f"{self.name!r}, "
        size = f"{len(self.turns)} turns, {len(self.parts)} parts"
        return f"<Trace {name}{self.status}, {self.now:.2f} s, {size}>"

    @property
    def silence(self) -> Silence | None:
        """The silence of the model that is under way, if it is long enough to be told."""
        silence = self.silences[-1] if self.silences else None
        return silence if silence is not None and silence.ended is None else None

    @property
    def approvals(self) -> list[tuple[Part, Approval]]:
        """The calls that waited, or wait, for a person."""
        waiting = [self._pending_approvals[index] for index in sorted(self._pending_approvals)]
        return [(part, part.approval) for part in waiting if part.approval is not None]

    @property
    def waiting(self) -> list[Part]:
        """The calls that wait for a person now, those of nested agents included."""
        self._open = {index: part for index, part in self._open.items() if part.is_open}
        parts = []
        for index in sorted(self._open):
            part = self._open[index]
            inner = part.nested.waiting if part.nested is not None else []
            parts += inner or ([part] if part.status == "awaiting_approval" else [])
        return parts

    @property
    def usage(self) -> dict[str, int]:
        """Tokens of all model calls, those of nested agents included."""
        return dict(zip(COUNTS, self.spent, strict=True))
