"""What a trace costs grows as the run does: looks are counted, no seconds."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace as Event
from typing import Any

import pytest

from agentstream.trace import Trace


class Counting(dict[int, Any]):
    """A dict that counts how many of its values were looked at."""

    looks = 0

    def values(self) -> Iterator[Any]:  # type: ignore[override]
        for value in list(super().values()):
            self.looks += 1
            yield value


def looks(count: int, kind: str) -> int:
    trace = Trace()
    trace.unclaimed = counting = Counting()
    items = [
        Event(type=kind, id=f"i{at}", content=[Event(type="output_text", text="x")], summary=[])
        for at in range(count)
    ]
    for at, item in enumerate(items):
        done = Event(type="response.output_item.done", output_index=at, item=item)
        trace.add(Event(type="raw_response_event", data=done), 0.0)
    name = {"message": "message_output_item", "reasoning": "reasoning_item"}[kind]
    for item in items:
        run_item = Event(type=name, raw_item=item, agent=None)
        trace.add(Event(type="run_item_stream_event", name="x", item=run_item), 0.0)
    assert len(trace.rows) == count
    assert not trace.unclaimed
    return counting.looks


@pytest.mark.parametrize("kind", ["message", "reasoning"])
def test_four_times_the_items_cost_four_times_the_looks(kind: str) -> None:
    assert looks(400, kind) <= 4 * looks(100, kind) + 8
