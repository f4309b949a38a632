"""What folding a stream costs: time an event, and memory against the number of events.

Run ``python -m bench.trace``. To reach: at most 3 µs an event, and memory that depends on the text
alone, not on the number of events.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from typing import Any

from openai.types.responses import ResponseTextDeltaEvent

from agentstream.stream_events import RawResponsesStreamEvent
from agentstream.trace import Trace


def deltas(count: int, size: int) -> Iterator[tuple[Any, float]]:
    """Yield ``count`` text deltas of ``size`` characters, each a new object, as from a wire."""
    for number in range(count):
        data = ResponseTextDeltaEvent.model_construct(
            content_index=0,
            delta=chr(97 + number % 26) * size,
            item_id="msg_1",
            logprobs=[],
            output_index=0,
            sequence_number=number,
            type="response.output_text.delta",
        )
        yield RawResponsesStreamEvent(data=data), number * 1e-4


def seconds_an_event(count: int) -> float:
    """Return the processor time of the fold alone; events are made a thousand at a time."""
    trace, spent = Trace(), 0.0
    stream = deltas(count, 4)
    while batch := list(islice(stream, 1_000)):
        started = time.process_time()
        for event, t in batch:
            trace.add(event, t)
        spent += time.process_time() - started
    return spent / count


def bytes_held(count: int, size: int) -> int:
    """Return what a trace holds after ``count`` deltas of ``size`` characters."""
    tracemalloc.start()
    trace = Trace()
    for event, t in deltas(count, size):
        trace.add(event, t)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(trace.parts[0].body) == count * size
    return held


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    count = parser.parse_args().events
    print(f"fold of {count:,} deltas: {seconds_an_event(count) * 1e6:.2f} µs an event")
    text = count * 4
    for parts in (count // 100, count // 10, count):
        held = bytes_held(parts, text // parts)
        print(
            f"{text / 1e6:.0f} MB of text in {parts:>9,} deltas: {held / 1e6:6.2f} MB held, "
            f"{(held - text) / 1e6:5.2f} MB beside the text"
        )


if __name__ == "__main__":
    main()
