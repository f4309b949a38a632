"""Agents compared over the same rows: repeats, scores, pass@k, differences with intervals."""

from __future__ import annotations

import math
import random
import statistics
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from agentstream import Agent, Comparison, UserError, map_frame
from agentstream.rows.statistics import _student, interval, pass_at_k
from agentstream.testing import ScriptedModel, answer, http_error

FRAME = pd.DataFrame(
    {"review": [f"review {number}" for number in range(12)]}, index=[f"r{i}" for i in range(12)]
)


class Verdict(BaseModel):
    label: str
    score: int


def agent(name: str, turns: Any, **settings: Any) -> Agent[Any]:
    return Agent(name=name, model=ScriptedModel(turns), **settings)


def exact(output: str) -> bool:
    return output == "good"


def test_a_dict_of_agents_gives_a_long_and_a_wide_frame() -> None:
    agents = {
        "mini": agent("Mini", lambda request: "bad"),
        "full": agent("Full", lambda request: "good"),
    }
    compared = map_frame(agents, FRAME, "{review}", scorers=[exact])
    assert isinstance(compared, Comparison)
    long = compared.wait()
    assert len(long) == 24
    assert list(long.columns[:4]) == ["agent", "repeat", "final_output", "exact"]
    assert list(long.index[:2]) == ["r0", "r1"]
    assert long.groupby("agent")["exact"].mean().to_dict() == {"mini": 0.0, "full": 1.0}
    wide = compared.wide
    assert len(wide) == 12
    assert wide["final_output", "mini"].iloc[0] == "bad"
    assert wide["exact", "full"].iloc[0] == 1.0
    assert "2 agents" in repr(compared)


def test_prompts_that_can_be_read_once_serve_all_agents() -> None:
    frame = pd.DataFrame({"review": ["Great!", "Bad."]})
    agents = {name: Agent(name=name, model=ScriptedModel(["x"], loop=True)) for name in "ab"}
    compared = map_frame(agents, frame, (f"Read: {one}" for one in frame["review"]), repeat=2)
    assert list(compared.wait()["status"]) == ["done"] * 8


def test_repeats_are_asked_each_and_give_pass_at_k() -> None:
    def turns(request: Any) -> Any:
        return "good" if request.number % 3 == 0 else "bad"

    one = agent("Mini", turns)
    compared = map_frame(one, FRAME, "{review}", repeat=3, scorers=[exact])
    long = compared.wait()
    assert len(one.model.requests) == len(long) == 36
    summary = compared.summary().loc["Mini"]
    assert summary["exact"] == pytest.approx(1 / 3)
    assert summary["exact pass@1"] == pytest.approx(1 / 3)
    assert summary["exact pass@3"] >= summary["exact pass@2"] >= summary["exact pass@1"]
    assert compared.wide["final_output", "Mini", 2].notna().all()


def test_paired_differences_have_intervals() -> None:
    def better(request: Any) -> Any:
        return "good" if int(request.user_text.split()[-1]) % 4 else "bad"

    agents = {
        "a": agent("A", lambda request: "bad"),
        "b": agent("B", better),
        "c": agent("C", better),
    }
    compared = map_frame(agents, FRAME, "{review}", scorers=[exact])
    compared.wait()
    table = compared.differences().set_index(["from", "to"])
    assert table.loc[("a", "b"), "difference"] == pytest.approx(0.75)
    assert table.loc[("a", "b"), "low"] > 0
    assert table.loc[("b", "c"), "difference"] == 0
    assert table.loc[("b", "c"), "low"] == table.loc[("b", "c"), "high"] == 0
    assert set(table["rows"]) == {12}


def test_scorers_are_functions_types_and_agents() -> None:
    class Sure(BaseModel):
        label: str
        score: int = Field(ge=3)

    async def known(output: Verdict, row: dict[str, Any]) -> float:
        return float(output.score + len(row["review"]) * 0)

    def judge_turns(request: Any) -> Any:
        assert "<request>\nClassify: review" in request.user_text
        return answer({"because": "so", "points": 4 if '"good"' in request.user_text else 1})

    class Judgement(BaseModel):
        because: str
        points: int

    judge = agent("Judge", judge_turns, output_type=Judgement)
    said = [{"label": "good", "score": 5}, {"label": "bad", "score": 1}]
    worker = Agent(
        name="W",
        model=ScriptedModel([answer(one) for one in said], loop=True),
        output_type=Verdict,
    )
    compared = map_frame(
        worker, FRAME, "Classify: {review}", scorers=[Sure, known, judge], concurrency=1
    )
    long = compared.wait()
    assert list(long["Sure"])[:2] == [1.0, 0.0]
    assert list(long["known"])[:2] == [5.0, 1.0]
    assert list(long["Judge"])[:2] == [4.0, 1.0]
    assert len(judge.model.requests) == 12


def test_a_row_that_failed_has_no_score_and_counts_as_failed() -> None:
    def turns(request: Any) -> Any:
        return http_error(400) if request.user_text == "review 0" else "good"

    agents = {"a": agent("A", turns), "b": agent("B", lambda request: "good")}
    compared = map_frame(agents, FRAME, "{review}", scorers=[exact])
    long = compared.wait()
    assert math.isnan(long[long["agent"] == "a"]["exact"].iloc[0])
    assert compared.summary().loc["a", "failed"] == 1
    assert compared.differences()["rows"].iloc[0] == 11


def test_a_comparison_resumes_from_its_checkpoint(tmp_path: Path) -> None:
    agents = {"a": agent("A", lambda request: "x"), "b": agent("B", lambda request: "y")}
    how: Any = {"repeat": 2, "checkpoint": tmp_path / "c", "scorers": [exact]}
    first = map_frame(agents, FRAME, "{review}", **how).wait()
    second = map_frame(agents, FRAME, "{review}", **how).wait()
    assert [len(one.model.requests) for one in agents.values()] == [24, 24]
    assert set(second["source"]) == {"checkpoint"}
    assert list(first["final_output"]) == list(second["final_output"])


def test_retry_asks_again_what_failed_and_scores_it() -> None:
    def turns(request: Any) -> Any:
        return http_error(400) if request.number <= 3 else "good"

    compared = map_frame({"a": agent("A", turns)}, FRAME, "{review}", scorers=[exact])
    assert compared.wait()["exact"].isna().sum() == 3
    assert compared.retry().wait()["exact"].mean() == 1.0


def test_a_budget_is_that_of_all_agents_together() -> None:
    from agentstream import Limits, RowError
    from agentstream.testing import turn

    usage = {"input_tokens": 50, "output_tokens": 50}
    agents = {name: agent(name, lambda request: turn("Hi", usage=usage)) for name in ("one", "two")}
    compared = map_frame(agents, FRAME, "{review}", limits=Limits(tokens=1000))
    with pytest.raises(RowError, match="budget"):
        compared.wait()
    assert compared.progress.tokens == 1000


def test_a_plot_shows_the_differences() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    agents = {"a": agent("A", lambda request: "x"), "b": agent("B", lambda request: "good")}
    compared = map_frame(agents, FRAME, "{review}", scorers=[exact])
    compared.wait()
    axes = compared.plot()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b - a: exact"]
    matplotlib.pyplot.close(axes.figure)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"agent": {}}, "no agent"),
        ({"repeat": 0}, "repeat"),
        ({"scorers": ["exact"]}, "scorer"),
        ({"agent": {"a": "b"}}, "dict of them"),
    ],
)
def test_what_cannot_be_compared_is_told(how: dict[str, Any], message: str) -> None:
    given = {"agent": {"a": agent("A", ["x"])}, **how}
    with pytest.raises(UserError, match=message):
        map_frame(given.pop("agent"), FRAME, "{review}", **given)


def test_a_scorer_that_gives_no_number_is_told() -> None:
    with pytest.raises(UserError, match="number or a bool"):
        map_frame(
            agent("A", lambda request: "x"), FRAME, "{review}", scorers=[lambda output: "good"]
        ).wait()


@given(st.integers(1, 12), st.data())
def test_pass_at_k_is_a_chance_that_grows_with_k(tries: int, data: Any) -> None:
    passed = data.draw(st.integers(0, tries))
    chances = [pass_at_k(tries, passed, k) for k in range(1, tries + 1)]
    assert all(0 <= chance <= 1 for chance in chances)
    assert chances == sorted(chances)
    assert chances[0] == pytest.approx(passed / tries)
    assert chances[-1] == (1.0 if passed else 0.0)


def test_pass_at_k_is_what_counting_all_choices_gives() -> None:
    for tries in range(1, 8):
        for passed in range(tries + 1):
            outcomes = [True] * passed + [False] * (tries - passed)
            for k in range(1, tries + 1):
                chosen = [any(each) for each in combinations(outcomes, k)]
                assert pass_at_k(tries, passed, k) == pytest.approx(sum(chosen) / len(chosen))


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(4, 2.7764), (9, 2.2622), (29, 2.0452), (200, 1.9719)]
)
def test_students_quantiles_are_those_of_the_tables(freedom: int, quantile: float) -> None:
    assert _student(0.975, freedom) == pytest.approx(quantile, rel=0.003)


@pytest.mark.slow
def test_the_interval_holds_the_mean_as_often_as_it_says_also_of_few_rows() -> None:
    draw, held = random.Random(1), 0
    for _ in range(200):
        low, high = interval([draw.gauss(0.3, 1) for _ in range(10)])
        held += low <= 0.3 <= high
    assert 0.91 <= held / 200 <= 0.99


def test_the_interval_of_many_rows_is_the_one_of_the_textbook() -> None:
    draw = random.Random(2)
    values = [draw.gauss(0, 1) for _ in range(200)]
    around = 1.972 * statistics.stdev(values) / math.sqrt(200)
    low, high = interval(values)
    assert low == pytest.approx(statistics.mean(values) - around, abs=0.02)
    assert high == pytest.approx(statistics.mean(values) + around, abs=0.02)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30))
def test_the_interval_lies_around_the_mean(values: list[float]) -> None:
    low, high = interval(values)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
