"""`docs/data.md` is true: its examples run, and its tables are those of a run."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from agentstream.trace import Trace, to_frame
from agentstream.trace.dataframes import _STATUSES
from agentstream.trace.log import EventLog
from tests.trace.trace_streams import chain

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
TEXT = PAGE.read_text(encoding="utf-8")
TABLES = ["items", "turns", "events", "spans"]


def described(table: str) -> dict[str, str]:
    """Columns and types of a table as the page has them."""
    rows = TEXT.partition(f"<!-- table: {table} -->")[2].partition("\n#")[0]
    found = re.findall(r"^\| (\w+) \| (\w+) \|", rows, re.MULTILINE)
    return dict(found[1:])  # the first is the head


def test_its_examples_do_what_they_show() -> None:
    # Fences end an example; doctest would take them for output.
    programs = "\n".join(re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))
    test = doctest.DocTestParser().get_doctest(programs, {}, PAGE.name, str(PAGE), 0)
    report: list[str] = []
    with pd.option_context("display.width", 200, "display.max_columns", 20):
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
        runner.run(test, out=report.append)
    assert len(test.examples) > 8
    assert runner.failures == 0, "".join(report)


@pytest.mark.parametrize("run", [Trace(), chain()], ids=["empty", "full"])
@pytest.mark.parametrize("table", TABLES)
def test_its_tables_are_those_of_a_run(table: Any, run: Any) -> None:
    frame = to_frame(run, table)
    kinds = {
        name: "category" if isinstance(kind, pd.CategoricalDtype) else str(kind)
        for name, kind in frame.dtypes.items()
    }
    assert kinds == described(table)
    assert frame.index.name not in (None, *frame.columns)


def test_its_words_for_a_status_are_those_of_the_table() -> None:
    row = re.search(r"^\| status \| category \| (in_progress.*) \|$", TEXT, re.MULTILINE)
    assert row
    assert tuple(row[1].split(", ")) == _STATUSES


def test_its_pictures_are_there_and_small() -> None:
    pictures = re.findall(r"\]\((img/[\w.]+)\)", TEXT)
    assert len(pictures) == 2
    for picture in pictures:
        assert 1_000 < (PAGE.parent / picture).stat().st_size < 100_000


def test_its_number_of_events_is_the_traces() -> None:
    trace = Trace()
    assert isinstance(trace.log, EventLog)
    assert "After 65,536 events" in TEXT
    assert Trace.__init__.__kwdefaults__ == {"log_limit": 65_536}
