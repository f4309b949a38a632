"""Results by column hold what a dict of results would, and make the same frame."""

from __future__ import annotations

import gc
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentstream.rows.columns import META, Columns
from agentstream.rows.frame import output_frame
from agentstream.rows.result import RowResult
from agentstream.rows.results import Results

KEYS = [b"key %d" % number for number in range(6)]
POSITIONS = {key: 2 * number for number, key in enumerate(KEYS)}
LENGTH = 2 * len(KEYS)

numbers = st.integers(0, 2**70)
results = st.builds(
    RowResult,
    key=st.sampled_from(KEYS),
    status=st.just("done"),
    values=st.tuples(st.text(max_size=3) | st.none() | st.just("\ud83d")),
    attempts=st.integers(0, 5),
    seconds=st.floats(0, 1e9),
    input_tokens=numbers,
    cached_tokens=numbers,
    output_tokens=numbers,
    cost_usd=st.just(math.nan) | st.floats(0, 9),
    source=st.sampled_from(["asked", "checkpoint", "recording"]),
) | st.builds(
    RowResult,
    key=st.sampled_from(KEYS),
    status=st.just("failed"),
    error=st.text(max_size=3),
    error_type=st.just("ValueError"),
    attempts=st.integers(0, 5),
    source=st.sampled_from(["asked", None]),
)
steps = st.lists(results | st.sampled_from(KEYS), max_size=20)


def kept(work: list[RowResult | bytes]) -> tuple[Results, dict[bytes, RowResult]]:
    """Results are set, and keys deleted, in the columns and in a dict."""
    columns, simple = Results(LENGTH, POSITIONS), dict[bytes, RowResult]()
    for step in work:
        if isinstance(step, RowResult):
            step.position = POSITIONS[step.key]
            columns[step.key] = simple[step.key] = step
        elif step in simple:
            del columns[step], simple[step]
        else:
            with pytest.raises(KeyError):
                del columns[step]
    return columns, simple


@given(steps)
def test_what_is_set_is_found(work: list[RowResult | bytes]) -> None:
    columns, simple = kept(work)
    assert len(columns) == len(simple)
    assert set(columns) == set(simple)
    for key in KEYS:
        assert (key in columns) == (key in simple)
        assert repr(columns.get(key)) == repr(simple.get(key))
    assert b"no key" not in columns


@pytest.mark.slow
@given(steps)
def test_the_frame_is_that_of_the_results(work: list[RowResult | bytes]) -> None:
    columns, simple = kept(work)
    keys = [key for key in KEYS for _ in range(2)]
    asked = [POSITIONS[key] for key in keys[:-1]] + [-1]  # the last is not planned yet
    frame = output_frame(pd.RangeIndex(LENGTH), Columns(), columns, range(LENGTH), asked)
    for position, key in enumerate(keys):
        row, result = frame.iloc[position], simple.get(key)
        if result is None or position == LENGTH - 1:
            assert row["status"] == "waiting"
            assert frame.drop(columns="status").iloc[position].isna().all()
            continue
        assert row["status"] == result.status
        assert same(row["final_output"], result.values[0] if result.values else None)
        assert same(row["source"], result.source_at(position))
        for name in set(META) - {"status", "source"}:
            assert same(row[name], getattr(result, name)), name


def same(cell: Any, value: Any) -> bool:
    if value is None or value != value:
        return bool(pd.isna(cell))
    return bool(cell == (value.replace("\ud83d", "�") if isinstance(value, str) else value))


def test_numbers_have_their_dtypes_before_any_row_has_ended() -> None:
    frame = output_frame(pd.RangeIndex(2), Columns(), Results(2, {b"key": 0}), range(2), [0, -1])
    assert frame["attempts"].dtype == "Int64"
    assert frame["cost_usd"].dtype == np.float64
    assert frame["seconds"].dtype == "Float64"


def test_an_empty_frame_has_the_same_columns() -> None:
    frame = output_frame(pd.RangeIndex(0), Columns(), Results(0, {}), [], [])
    assert list(frame) == ["final_output", *META]
    assert len(frame) == 0


@pytest.mark.slow
def test_the_collector_has_no_object_a_row_to_look_at() -> None:
    length = 5_000
    positions = {b"%d" % number: number for number in range(length)}
    columns = Results(length, positions)
    gc.collect()
    before = len(gc.get_objects())
    for key in positions:
        columns[key] = RowResult(key, "done", ("good",))
    gc.collect()
    assert len(gc.get_objects()) - before < length / 10
