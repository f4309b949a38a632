"""Finds the part that an item or an answer is about, without a look at every part there is.

A part's ids change while it is written: a server names a call late, or another way in the end. So
the index is told whenever they do; an entry that no longer holds is dropped where it is met.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container
from typing import Any

from .parts import Part, get

__all__ = ["PartIndex"]


class PartIndex:
    """The parts of a trace by their ids.

    `unclaimed` has the indexes of the parts that no item of the run has been found to be about yet.
    """

    def __init__(self, unclaimed: Container[int]) -> None:
        self._unclaimed = unclaimed
        self._abandoned: set[int] = set()
        self._by_id: dict[tuple[Any, Any], deque[Part]] = {}
        self._by_call: dict[Any, _Calls] = {}
        self._searches: list[Part] = []
        self._answers: dict[Any, Part] = {}
        self._approvals: dict[Any, list[Part]] = {}

    def note(self, part: Part) -> None:
        """Take in a new part, or one whose ``item_id`` has changed."""
        self._by_id.setdefault((part.item_type, part.item_id), deque()).append(part)
        if part.kind == "mcp_approval":
            self._approvals.setdefault(part.item_id, []).append(part)

    def note_call(self, part: Part) -> None:
        """Take in a part whose ``call_id`` has been set or has changed."""
        self._by_call.setdefault(part.call_id, _Calls()).add(part)

    def note_search(self, part: Part) -> None:
        """Take in a search for tools."""
        self._searches.append(part)

    def note_answer(self, part: Part) -> None:
        """Take in the output of a search for tools."""
        if part.kind == "tool_search":
            self._answers[get(part.output, "id")] = part

    def give_up(self, part: Part) -> None:
        """Find a part no more by the id of its call."""
        self._abandoned.add(part.index)

    def unclaimed(self, item_type: str, item_id: Any) -> Part | None:
        """The first part of this type and id that waits for its item."""
        return _first(
            self._by_id.get((item_type, item_id)),
            lambda part: part.index in self._unclaimed and part.item_id == item_id,
        )

    def unclaimed_call(self, call_id: Any) -> Part | None:
        """The first call of this id that waits for its item."""
        calls = self._by_call.get(call_id)
        if calls is None:
            return None
        return _first(
            calls.unclaimed,
            lambda part: part.index in self._unclaimed and self._is_of(part, call_id),
        )

    def call(self, call_id: Any) -> Part | None:
        """The first call of this id that has no output, else the last of this id."""
        calls = self._by_call.get(call_id)
        if calls is None:
            return None
        waiting = _first(
            calls.waiting, lambda part: not part.has_output and self._is_of(part, call_id)
        )
        return waiting or self.last_call(call_id)

    def last_call(self, call_id: Any) -> Part | None:
        """The last call of this id."""
        calls = self._by_call.get(call_id)
        return _last(
            calls.all if calls is not None else None, lambda part: self._is_of(part, call_id)
        )

    def newest_call(self, call_id: Any) -> Part | None:
        """The last call or request for an approval of this id that has no output."""
        calls = self._by_call.get(call_id)
        newest = _last(
            calls.newest if calls is not None else None,
            lambda part: not part.has_output and self._is_of(part, call_id),
        )
        request = self.approval(call_id)
        if request is None or request.has_output or request.status == "superseded":
            return newest
        return max(newest or request, request, key=lambda part: part.index)

    def search(self, answer: Any) -> Part | None:
        """The last search for tools that lacks its output, or has `answer` already."""
        waiting = _last(self._searches, lambda part: not part.has_output)
        known = get(answer, "id")
        answered = self._answers.get(known) if known is not None else None
        if answered is None or get(answered.output, "id") != known:
            return waiting
        return max(filter(None, (waiting, answered)), key=lambda part: part.index)

    def approval(self, request_id: Any) -> Part | None:
        """The last request of a hosted MCP server for an approval that has this id."""
        return _last(self._approvals.get(request_id), lambda part: part.item_id == request_id)

    def _is_of(self, part: Part, call_id: Any) -> bool:
        return part.call_id == call_id and part.index not in self._abandoned


class _Calls:
    """The calls of one id, in order."""

    def __init__(self) -> None:
        self.all: list[Part] = []
        self.newest: list[Part] = []
        self.waiting: deque[Part] = deque()
        self.unclaimed: deque[Part] = deque()

    def add(self, part: Part) -> None:
        for parts in (self.all, self.newest):
            parts.append(part)
        for queue in (self.waiting, self.unclaimed):
            queue.append(part)


def _first(parts: deque[Part] | None, holds: Callable[[Part], bool]) -> Part | None:
    while parts:
        if holds(parts[0]):
            return parts[0]
        parts.popleft()
    return None


def _last(parts: list[Part] | None, holds: Callable[[Part], bool]) -> Part | None:
    while parts:
        if holds(parts[-1]):
            return parts[-1]
        parts.pop()
    return None
