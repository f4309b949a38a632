"""Where the items of the open model call stand; servers give one output index to several items."""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from typing import Any

from .parts import Part, get

__all__ = ["Places"]

_TEXTS = ("text", "refusal", "reasoning")


class Places:
    """The parts of each item of the open model call, by a position that no other item has.

    That is the item's output index, or a negative number where another item began at that index.
    """

    def __init__(self) -> None:
        self.parts: dict[int, list[Part]] = {}
        """The parts at each position, in the order in which the items were announced."""
        self._by_ids: dict[tuple[Any, Any], list[int]] = {}
        """Positions by the ids of the first part there; those that ids were changed of, too."""
        self._now: dict[int, int] = {}
        """At which position an output index stands now."""
        self._fresh = itertools.count(-1, -1)

    def clear(self) -> None:
        """Forget all: a model call has ended, or is made again."""
        self.parts.clear()
        self._by_ids.clear()
        self._now.clear()

    def begin(self, index: int) -> int:
        """The position of an item that begins at an output index."""
        free = index not in self._now and index not in self.parts
        position = self._now[index] = index if free else self.fresh()
        self.parts[position] = []
        return position

    def fresh(self) -> int:
        """A position that no output index has."""
        return next(self._fresh)

    def at(self, index: int) -> int:
        """The position of the item that deltas with this output index are of."""
        position = self._now.get(index)
        return self.begin(index) if position is None else position

    def add(self, part: Part, position: int) -> None:
        """Add a part to the item at a position."""
        part.position = position
        self.parts.setdefault(position, []).append(part)
        self.note(part)

    def note(self, part: Part) -> None:
        """Take in that the ids of a part were changed."""
        position = part.position
        parts = None if position is None else self.parts.get(position)
        if parts and parts[0] is part:
            self._by_ids.setdefault(_ids(part), []).append(position)  # type: ignore[arg-type]

    def call_at(self, index: int) -> Part | None:
        """The part of the call that stands at an output index."""
        parts = self.parts.get(self._now.get(index, index), ())
        return next((part for part in parts if part.kind not in _TEXTS), None)

    def text_at(self, position: int, family: str) -> Part | None:
        """The part that holds a text of the item at a position."""
        parts = self.parts.get(position, ())
        return next((part for part in parts if part.family == family), None)

    def settle(self, item: Any, index: int) -> int:
        """The position of an item that is told whole at an output index.

        It is found by its ids where the index stands for another item by now. Servers are known to
        change an item's id between its begin and its end, so the item that is still open at the
        index is the next best.
        """
        position = self._now.get(index)
        if position is None:
            return self.begin(index)
        parts = self.parts[position]
        if not parts or _is_of(parts[0], item):
            return position
        others = self._by_ids.get(_ids(item), [])
        while others:
            if _is_of(self.parts[others[-1]][0], item):
                return others[-1]
            others.pop()
        if parts[0].item_type == get(item, "type") and not _is_whole(parts[0]):
            return position
        return self.begin(index)

    def match(self, output: list[Any]) -> list[int]:
        """The positions of the items of a whole answer; each item has one of its own.

        By ids at the same index, by ids, by type at the same index, by type in order: whatever a
        server has kept equal between its events and its answer.
        """
        matches: dict[int, int] = {}
        left = {at: parts[0] for at, parts in self.parts.items() if parts}
        bare = {at for at, parts in self.parts.items() if not parts}
        for key in (_ids, _type):
            for index, item in enumerate(output):
                if index not in matches and index in left and key(left[index]) == key(item):
                    matches[index] = index
                    del left[index]
            waiting: defaultdict[Any, deque[int]] = defaultdict(deque)
            for at, part in left.items():
                waiting[key(part)].append(at)
            for index, item in enumerate(output):
                if index not in matches and (same := waiting.get(key(item))):
                    matches[index] = same.popleft()
                    del left[matches[index]]
        for index in range(len(output)):
            if index not in matches:
                free = index in bare or index not in self.parts
                matches[index] = index if free else self.fresh()
        return [matches[index] for index in range(len(output))]


def _ids(one: Any) -> tuple[Any, Any]:
    call_id = get(one, "call_id")
    if isinstance(one, Part):
        return one.item_type, call_id if call_id is not None else one.item_id
    return get(one, "type"), call_id if call_id is not None else get(one, "id")


def _type(one: Any) -> Any:
    return one.item_type if isinstance(one, Part) else get(one, "type")


def _is_of(part: Part, item: Any) -> bool:
    return _ids(part) == _ids(item)


def _is_whole(part: Part) -> bool:
    return part.called is not None or part.ended is not None
