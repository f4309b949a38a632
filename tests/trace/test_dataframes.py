from __future__ import annotations

import io
import json
import math
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from agentstream import UserError
from agentstream.trace import Trace, lifecycle
from agentstream.trace.dataframes import to_frame
from agentstream.trace.from_result import fold
from tests.trace.trace_streams import Script, chain, raw, response

TABLES = ["items", "turns", "events", "spans"]


def test_items_have_a_row_each_in_order() -> None:
    frame = to_frame(fold(chain()))
    assert frame.index.name == "item"
    assert list(zip(frame["type"], frame["name"].fillna("-"), strict=True)) == [
        ("reasoning_item", "-"),
        ("tool_call_item", "get_weather"),
        ("tool_call_item", "get_time"),
        ("tool_call_output_item", "get_time"),
        ("tool_call_output_item", "get_weather"),
        ("handoff_call_item", "Writer"),
        ("handoff_output_item", "Writer"),
        ("message_output_item", "-"),
    ]
    weather = frame.loc[4]
    assert weather["arguments"] == '{"city": "Lisbon"}'
    assert weather["output"] == "21 °C"
    assert (weather["turn"], weather["agent"], weather["status"]) == (1, "Triage", "completed")
    assert weather["duration_s"] == pytest.approx(0.8)
    assert (frame["ended_s"] >= frame["started_s"]).all()


def test_turns_have_tokens_times_and_cost() -> None:
    frame = to_frame(fold(chain()), "turns")
    assert list(frame["agent"]) == ["Triage", "Triage", "Writer"]
    assert list(frame["total_tokens"]) == [120, 189, 234]
    assert list(frame["cached_tokens"]) == [50, 90, 110]
    assert frame["time_to_first_token_s"].tolist() == pytest.approx([0.45, 0.4, 0.35])
    assert frame["tokens_per_s"].tolist() == pytest.approx([20 / 0.62, 9 / 0.46, 14 / 0.65])


def test_cost_follows_the_price_table_and_is_nan_where_it_has_none() -> None:
    pytest.importorskip("genai_prices", reason="the price tables are not installed")
    trace = fold(chain())
    trace.turns[1].model = "a-model-nobody-sells"
    trace.turns[2].usage = None
    cost = to_frame(trace, "turns")["cost_usd"]
    # gpt-4o in October 2025: 2.50 USD a million tokens in, 1.25 cached, 10 out.
    assert cost[0] == pytest.approx((50 * 2.5 + 50 * 1.25 + 20 * 10) / 1e6)
    assert cost[1:].isna().all()


def test_tokens_that_no_one_told_are_missing_and_not_zero() -> None:
    frame = to_frame(fold(Script().begin().say("hi").end(None).events), "turns")
    assert frame["total_tokens"].isna().all()
    assert math.isnan(frame["tokens_per_s"][0])


def test_events_have_every_event_with_its_time_and_text() -> None:
    events = chain()
    frame = to_frame(fold(events), "events")
    assert len(frame) == len(events)
    assert frame["time_s"].tolist() == [t for t, _ in events]
    deltas = frame[frame["type"] == "response.output_text.delta"]
    assert "".join(deltas["text"]) == "It is **21 °C** in Lisbon, at noon."
    reasoning = frame[frame["type"] == "response.reasoning_summary_text.delta"]
    assert list(reasoning["text"]) == ["The user wants the weather.", "Two tools will do."]


def test_a_full_log_counts_further_deltas() -> None:
    trace = Trace(log_limit=10)
    for t, event in chain():
        trace.add(event, t)
    frame = to_frame(trace, "events")
    assert frame["count"].sum() == len(chain())
    assert len(frame) < len(chain())


@pytest.mark.parametrize("table", TABLES)
def test_an_empty_run_has_the_same_columns_and_types(table: Any) -> None:
    empty, full = to_frame(Trace(), table), to_frame(fold(chain()), table)
    assert list(empty.columns) == list(full.columns)
    assert empty.index.name == full.index.name
    assert full.index.name not in full.columns

    def kinds(frame: pd.DataFrame) -> list[str]:
        return [
            "category" if isinstance(kind, pd.CategoricalDtype) else str(kind)
            for kind in frame.dtypes
        ]

    assert kinds(empty) == kinds(full)


@pytest.mark.parametrize("table", TABLES)
def test_a_run_in_progress_is_readable_after_each_event(table: Any) -> None:
    trace = Trace()
    lengths = []
    for t, event in chain():
        trace.add(event, t)
        lengths.append(len(to_frame(trace, table)))
    # A call may turn out to be a handoff, whose span is another: only spans can become fewer.
    assert table == "spans" or lengths == sorted(lengths)
    assert lengths[-1] > lengths[0]


def test_a_part_that_is_still_written_is_a_row() -> None:
    script = Script().begin()
    at = {"output_index": 0, "item_id": "m", "content_index": 0}
    script.add(raw("response.output_text.delta", delta="so far", **at))
    frame = to_frame(fold(script.events))
    assert list(frame["text"]) == ["so far"]
    assert list(frame["status"]) == ["in_progress"]
    assert frame["duration_s"].isna().all()
    assert to_frame(fold(script.events), "turns")["duration_s"].isna().all()


def test_items_of_nested_agents_name_the_call_they_belong_to() -> None:
    inner = Script("Helper").begin().say("inside").end().finish()
    script = Script().begin().call("ask_helper", {}, "c").end().start("c")
    script.nest(("c",), inner).result("c", "inside").begin().say("done").end().finish()
    trace = fold(script.events)
    frame = to_frame(trace)
    assert list(zip(frame["agent"], frame["parent"].fillna("-"), strict=True)) == [
        ("Guide", "-"),
        ("Helper", "c"),
        ("Guide", "-"),
        ("Guide", "-"),
    ]
    assert list(to_frame(trace, "turns")["parent"].fillna("-")) == ["-", "-", "c"]


def test_several_runs_share_a_table_with_a_column_run() -> None:
    first, second = fold(chain(), "lisbon"), fold(chain())
    frame = to_frame([first, second, first], "turns")
    assert frame.columns[0] == "run"
    assert list(dict.fromkeys(frame["run"])) == ["lisbon", "2", "lisbon (3)"]
    assert len(frame) == 9
    named = to_frame({"a": first, "b": chain()}, "turns")
    assert list(named["run"].cat.categories) == ["a", "b"]
    assert list(to_frame([]).columns) == ["run", *to_frame(Trace()).columns]


def test_attrs_name_the_run() -> None:
    attrs = to_frame(fold(chain(), "lisbon")).attrs
    assert attrs == {"run": "lisbon", "status": "completed", "duration_s": chain()[-1][0]}
    json.dumps(attrs)


def test_live_and_recorded_runs_give_the_same_tables() -> None:
    live = Trace()
    for t, event in chain():
        live.add(event, t)
        to_frame(live)  # reading in between changes nothing
    for table in TABLES:
        pd.testing.assert_frame_equal(to_frame(live, table), to_frame(chain(), table))  # type: ignore[arg-type]


def assert_same_values(again: pd.DataFrame, frame: pd.DataFrame) -> None:
    assert list(again.columns) == list(frame.columns)
    for name in frame.columns:
        told = [None if pd.isna(value) else value for value in frame[name]]
        read = [None if pd.isna(value) else value for value in again[name]]
        assert read == (pytest.approx(told) if frame[name].dtype == "float64" else told), name


@pytest.mark.parametrize("table", TABLES)
def test_plain_columns_survive_csv_and_json(table: Any) -> None:
    frame = to_frame(fold(chain()), table)
    types = {
        name: "string" if isinstance(kind, pd.CategoricalDtype) else kind
        for name, kind in frame.dtypes.items()
    }
    again = pd.read_csv(io.StringIO(frame.to_csv()), index_col=0, dtype=types)
    assert_same_values(again, frame)
    text = frame.to_json(orient="table", double_precision=15)
    assert_same_values(pd.read_json(io.StringIO(text), orient="table", precise_float=True), frame)


@pytest.mark.parametrize("table", TABLES)
def test_plain_columns_survive_parquet(table: Any, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow, which reads and writes parquet, is missing")
    frame = to_frame(fold(chain()), table)
    frame.to_parquet(tmp_path / "run.parquet")
    again = pd.read_parquet(tmp_path / "run.parquet")
    pd.testing.assert_frame_equal(again, frame, check_categorical=False)
    assert again.attrs == frame.attrs


def assert_writable(frame: pd.DataFrame) -> None:
    """Write a table in each format that pandas offers for it."""
    pytest.importorskip("pyarrow", reason="pyarrow, which reads and writes parquet, is missing")
    pytest.importorskip("openpyxl", reason="openpyxl, which writes Excel's files, is missing")
    again = pd.read_parquet(io.BytesIO(frame.to_parquet()))
    assert_same_values(again, frame)
    frame.to_csv(io.StringIO())
    frame.to_json(orient="table")
    frame.to_excel(io.BytesIO())
    with closing(sqlite3.connect(":memory:")) as database:
        assert (frame.to_sql("run", database) or 0) == len(frame)


@pytest.mark.parametrize("table", TABLES)
def test_calls_without_arguments_and_of_any_signs_can_be_written_everywhere(table: Any) -> None:
    script = Script().begin().call("ping", {}, "c").end().result("c", "\x1b[31m\x0bred\ud83d")
    assert_writable(to_frame(fold(script.events), table))
    mixed = script.begin().call("look", {"n": 3, "\ud83d": {"deep": [1, "\x1b"]}}, "d").end()
    assert_writable(to_frame(fold(mixed.events), table))
    assert_writable(to_frame(Trace(), table))


def test_arguments_are_json_and_keep_their_types() -> None:
    script = Script().begin().call("ping", {}, "c").end().begin().call("look", {"n": 3}, "d").end()
    frame = to_frame(fold(script.events))
    again = pd.read_parquet(io.BytesIO(frame.to_parquet()))
    assert [json.loads(text) for text in again["arguments"]] == [{}, {"n": 3}]


@pytest.mark.slow
def test_jupyter_shows_tables_as_text_and_typesets_no_formula_of_a_tool() -> None:
    """Also tables that were derived from ours; a user's own setting stays afterwards."""
    program = """
import pandas as pd, IPython
from agentstream.trace import Trace, to_frame
frame = to_frame(Trace())
assert type(frame) is pd.DataFrame
for shown in (frame, frame.merge(frame), frame.groupby("turn").size().to_frame()):
    head = shown._repr_html_().partition("<thead>")[0]
    assert "tex2jax_ignore" in head, head
    # pandas 2 knows the class of MathJax 2 only.
    assert "mathjax_ignore" in head or pd.__version__ < "3", head
pd.set_option("display.html.use_mathjax", True)
to_frame(Trace())
assert "mathjax_ignore" not in frame._repr_html_()
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow
def test_jupyter_does_not_break_the_texts_of_our_tables_at_each_word() -> None:
    program = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
import pandas as pd
from agentstream import Agent, Runner
from agentstream.testing import ScriptedModel
agent = Agent(name="A", model=ScriptedModel(["It is **21** degrees in Lisbon, and sunny."]))
frame = Runner.run_sync(agent, "Hello").to_frame()
html = lambda frame: shell.display_formatter.format(frame)[0]["text/html"]
wide = '<td style="min-width: 15em; text-align: left">'
assert wide + "It is **21" in html(frame[["text", "status"]]), html(frame)
assert "<td>completed</td>" in html(frame)
assert wide not in html(pd.DataFrame({"a": ["a text of a user's own that is long"]}))
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


def test_an_unknown_table_or_run_says_what_there_is() -> None:
    with pytest.raises(UserError, match="or .spans., got"):
        to_frame(Trace(), "tokens")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="pass a result"):
        to_frame(3)


def test_a_failed_call_says_why() -> None:
    script = Script().begin().call("f", {}, "c").end().start("c").wait(1)
    frame = to_frame(fold(script.result("c", "sorry", "ValueError: no").events))
    assert list(frame["status"]) == ["failed", "failed"]
    assert list(frame["error"]) == ["ValueError: no"] * 2


def test_a_stopped_run_says_what_was_stopped() -> None:
    events = [pair for pair in chain() if not isinstance(pair[1], lifecycle.RunFinished)][:-3]
    frame = to_frame(fold([*events, (9.0, lifecycle.RunCancelled())]))
    assert frame["status"].iloc[-1] == "cancelled"
    assert frame["ended_s"].iloc[-1] == 9.0


def test_a_response_that_ends_early_is_marked() -> None:
    told = response("incomplete", 1, (5, 5)) | {
        "incomplete_details": {"reason": "max_output_tokens"}
    }
    script = Script().begin().say("cut")
    script.add(raw("response.incomplete", response=told))
    turns = to_frame(fold(script.events), "turns")
    assert (turns["status"][0], turns["error"][0]) == ("incomplete", "max_output_tokens")


def test_the_texts_of_an_mcp_servers_answer_are_its_output() -> None:
    days = [{"type": "text", "text": "Mon"}, {"type": "text", "text": "Tue"}]
    trace = fold(chain())
    part = next(one for one in trace.parts if one.kind == "tool")
    part.output = days
    assert "Mon\nTue" in list(to_frame(trace)["output"].dropna())
    part.output = [*days, {"type": "image", "data": "x"}]
    assert '{"type": "image", "data": "x"}' in "".join(to_frame(trace)["output"].dropna())
