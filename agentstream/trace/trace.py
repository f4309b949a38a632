"""`Trace`: the one fold over a run's events that every reader of a run shares.

The live view, the tables, the timeline and the snapshot read a `Trace` and nothing else. It goes by
the shape of the events (``type``, ``data``, ``name``, ``item``, ``new_agent``), so it folds the
events of this package, of a recording and of the OpenAI Agents SDK alike.

| event                        | what it changes                       | where                    |
|------------------------------|---------------------------------------|--------------------------|
| `raw_response_event`         | the open turn, the part being written | fold/stream_events.py    |
| `run_item_stream_event`      | items' order; tool outputs; handoffs  | fold/run_items.py        |
| `agent_updated_stream_event` | the agent at work                     | here                     |
| `mark.*` (lifecycle.py)      | retries, guardrails, approvals, end   | fold/lifecycle_events.py |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .._utils.keywords import Suggesting
from .fold.lifecycle_events import LIFECYCLE_FOLDS
from .fold.run_items import fold_item
from .fold.stream_events import DELTAS, RAW
from .parts import Part, Turn
from .state import TraceState

Fold = Callable[[TraceState, Any, float], Part | None]

_RAW: dict[str, Fold] = RAW
_LIFECYCLE_FOLDS: dict[str, Fold] = LIFECYCLE_FOLDS


class Trace(Suggesting, TraceState):
    """A run as data, brought up to date by one event at a time.

    Parameters
    ----------
    name
        What the run is called in tables and titles.
    log_limit
        How many events are kept one by one for ``to_frame("events")``; further ones are counted by
        part.

    Attributes
    ----------
    parts : list of Part
        All texts, calls, ... in the order in which they appeared.
    rows : list of ItemRow
        The run's items in order: a part that the run confirmed, or a part's output.
    turns : list of Turn
        The model calls.
    agents : list of str
        Names in order of appearance.
    agent : str or None
        Name of the agent at work.
    status : {"running", "paused", "completed", "cancelled", "failed"}
        A stream without marks stays ``"running"`` until `RunFinished` or the like is added.
    now : float
        Seconds since the start of the run, at the last event.
    version : int
        Grows with every change.
    timed : bool
        False for a trace made of a result that kept no times.

    Examples
    --------
    >>> from types import SimpleNamespace as Event
    >>> trace = Trace()
    >>> trace.add(Event(type="agent_updated_stream_event", new_agent=Event(name="Guide")), 0.1)
    >>> trace.agents, trace.status
    (['Guide'], 'running')
    """

    def __init__(self, name: str | None = None, *, log_limit: int = 65_536) -> None:
        super().__init__(name, log_limit=log_limit)
        self._deltas = {kind: self.slots[family] for kind, family in DELTAS.items()}

    def add_all(self, events: Iterable[Any], t: float) -> None:
        """Fold events that came at the same time.

        Parameters
        ----------
        events
            As for `add`.
        t
            As for `add`.
        """
        self.before = self.now
        if t > self.now:
            self.now = t
        else:
            t = self.now
        slots_of, log = self._deltas.get, self.log.add
        for event in events:
            kind = event.type
            if kind != "raw_response_event":
                self._add_other(kind, event, t)
                continue
            data = event.data
            kind = data.type
            if not isinstance(kind, str):
                kind = str(kind)
            slots = slots_of(kind)
            if slots is not None:
                index = getattr(data, "output_index", 0)
                slot = slots.get(index) if isinstance(index, int) else None
                piece = getattr(data, "delta", None) or ""
                if slot is not None and isinstance(piece, str):
                    # Deltas are nearly all of a stream: their way ends here.
                    part, text = slot
                    log(t, kind, part.turn or -1, part.index, text.length, len(piece))
                    text.append(piece)
                    self.version = part.version = self.version + 1
                    if self._newest is not part:
                        self.touch(part)
                    continue
            self._add_raw(kind, data, t)

    def _add_raw(self, kind: str, data: Any, t: float) -> None:
        fold = None if self._is_answered(data) else _RAW.get(kind)
        before = self.turn
        part = fold(self, data, t) if fold is not None else None
        piece = (
            getattr(data, "delta", None) if part is not None and kind.endswith("delta") else None
        )
        size = len(piece) if isinstance(piece, str) else 0
        offset = 0
        if part is not None and size:
            text = part.input if DELTAS.get(kind) == "input" else part.body
            offset = text.length - size
        self._note(t, kind, self.turn or before, part, offset, size)

    def _is_answered(self, data: Any) -> bool:
        """Whether an event comes after the answer it is of, so that it changes nothing."""
        last = self.turns[-1] if self.turns else None
        if self.turn is not None or self.fresh_turn_due or last is None:
            return False
        response = getattr(data, "response", None)
        same = response is None or getattr(response, "id", None) == last.response_id
        return same and last.status == "completed"

    def _add_other(self, kind: str, event: Any, t: float) -> None:
        label = kind
        before = self.turn
        part: Part | None = None
        if kind == "run_item_stream_event":
            label = str(event.name)
            part = fold_item(self, event, t)
        elif kind == "agent_updated_stream_event":
            self.set_agent(event.new_agent.name)
        else:
            fold = _LIFECYCLE_FOLDS.get(kind)
            part = fold(self, event, t) if fold is not None else None
        self._note(t, label, self.turn or before, part)

    def _note(
        self,
        t: float,
        kind: str,
        turn: Turn | None,
        part: Part | None,
        offset: int = 0,
        size: int = 0,
    ) -> None:
        self.log.add(
            t,
            kind,
            -1 if turn is None else turn.index,
            -1 if part is None else part.index,
            offset,
            size,
        )
