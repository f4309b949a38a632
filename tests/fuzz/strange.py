"""Strange input for every reader: odd values, changed data, changed bytes, and what work costs."""

from __future__ import annotations

import copy
import gc
import math
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from tests.leftovers import collect_leftovers

# Few and always the same in CI. `FUZZ_EXAMPLES=5000 pytest tests/fuzz` looks elsewhere, too.
MANY = os.environ.get("FUZZ_EXAMPLES")


def examples(count: int) -> settings:
    """So many examples of a test, unless more are asked for."""
    return settings(
        max_examples=int(MANY or count),
        derandomize=MANY is None,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # a smaller example is not worth minutes
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def nested(depth: int, leaf: Any = 0, key: str | None = None) -> Any:
    """A leaf in so many lists, or objects."""
    for _ in range(depth):
        leaf = [leaf] if key is None else {key: leaf}
    return leaf


ODD = st.sampled_from(
    [
        None, True, False, -1, 0, 1, 7, 2**31, 2**63, 10**400, -(10**400), -0.5, 1e308, math.nan,
        math.inf, -math.inf, "", " ", "²", "٣", "1" * 5_000, "a" * 300, "\ud800", "a\udc00b", "\0",
        "\x1b[2J\u202e", "<script>alert(1)</script>", "{}", "[1", "\n\n# a\n| b |", "data: x",
        "2026-01-01T00:00:00Z", [], {}, [[]], [None], [{}], {"": None}, {"type": "message"},
        {"type": ["a"]}, {"text": 1, "content": [1]}, ["a", 1, None, {}], nested(50),
        nested(50, "text", "text"), "[" * 100_000, "]" * 1_000,
    ]
)  # fmt: skip
"""What no sane program would write, in places where something else is meant."""


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a value in a list or an object: (holder, key)."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, entry in list(entries):
        yield value, key
        if isinstance(entry, (dict, list)):
            yield from places(entry)


def change_a_value(value: Any, data: st.DataObject) -> Any:
    """A copy of `value` with one thing in it replaced, left out, told twice or renamed."""
    changed = copy.deepcopy(value)
    found = list(places(changed))
    if not found:
        return data.draw(ODD)
    holder, key = found[data.draw(st.integers(0, len(found) - 1))]
    way = data.draw(st.sampled_from(["replace", "replace", "replace", "remove", "swap", "rename"]))
    if way == "remove":
        del holder[key]
    elif way == "swap":
        other, place = found[data.draw(st.integers(0, len(found) - 1))]
        holder[key] = copy.deepcopy(other[place]) if place in range_of(other) else None
    elif way == "rename" and isinstance(holder, dict):
        holder[data.draw(st.sampled_from(["type", "text", "id", "x", "error"]))] = holder.pop(key)
    else:
        holder[key] = data.draw(ODD)
    return changed


def range_of(holder: Any) -> Any:
    """The keys that a holder has."""
    return holder.keys() if isinstance(holder, dict) else range(len(holder))


def change_bytes(body: bytes, data: st.DataObject) -> bytes:
    """`body` with bytes flipped, cut away, doubled or put elsewhere."""
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body)))
        to = min(len(body), at + data.draw(st.sampled_from([1, 1, 3, 40, 1000])))
        way = data.draw(st.sampled_from(["flip", "cut", "double", "end", "insert", "line"]))
        if way == "flip" and at < len(body):
            bit = 1 << data.draw(st.integers(0, 7))
            body = body[:at] + bytes([body[at] ^ bit]) + body[at + 1 :]
        elif way == "cut":
            body = body[:at] + body[to:]
        elif way == "double":
            body = body[:to] + body[at:to] + body[to:]
        elif way == "end":
            body = body[:at]
        elif way == "insert":
            strange = [b"\n", b"\n\n", b"\r", b"\0", b"\xff", b"{", b'"', b"\xef\xbb\xbf"]
            body = body[:at] + data.draw(st.sampled_from(strange)) + body[at:]
        else:
            lines = body.split(b"\n")
            one, other = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
            lines[one], lines[other] = lines[other], lines[one]
            body = b"\n".join(lines)
    return body


def seconds(work: Callable[[], object]) -> float:
    """The processor time that `work` takes; the collector's grows with all that is in memory."""
    collect_leftovers()
    gc.disable()
    start = time.process_time()
    try:
        work()
    finally:
        gc.enable()
    return time.process_time() - start


def is_linear(work: Callable[[int], object], size: int) -> bool:
    """Whether four times the size costs less than eight times the time; quadratic were sixteen.

    Below some 10 ms other things than the size decide; a machine at work has three attempts.
    """

    def ratio() -> float:
        few = min(seconds(lambda: work(size)) for _ in range(2))
        return seconds(lambda: work(4 * size)) / max(few, 0.01)

    return any(ratio() < 8 for _ in range(3))
