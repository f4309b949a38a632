"""A blind vote between the answers of two agents."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import BaseModel

from agentstream import Agent, Comparison, UserError, map_frame
from agentstream.rows.compare import Scorer
from agentstream.rows.vote_widget import VoteWidget
from agentstream.testing import ScriptedModel, answer

FRAME = pd.DataFrame({"review": [f"review {number}" for number in (*range(10), 0)]})


def agent(name: str, turns: Any, **settings: Any) -> Agent[Any]:
    return Agent(name=name, model=ScriptedModel(turns), **settings)


def compared(path: Path | None = None, **how: Any) -> Comparison:
    """Two agents, whose answers to "review 3" are equal."""

    def turns(name: str) -> Any:
        return lambda request: (
            "same" if request.user_text == "review 3" else f"{name}: {request.user_text}"
        )

    agents = {name: agent(name, turns(name)) for name in ("mini", "full")}
    found = map_frame(agents, FRAME, "{review}", checkpoint=path, **how)
    found.wait()
    return found


def prefer(widget: VoteWidget, name: str, count: int = 100) -> int:
    """Vote for an agent by what is shown; how many votes there were."""
    votes = 0
    while not widget._is_over and votes < count:
        left, right = (str(one[0]) for one in widget._left[0].outputs)
        assert left.startswith(name) != right.startswith(name)
        press(widget, "left" if left.startswith(name) else "right")
        votes += 1
    return votes


def press(widget: VoteWidget, choice: str, at: str | None = None) -> None:
    shown = widget._at() if at is None else at
    widget._on_message(widget, {"kind": "vote", "choice": choice, "at": shown}, [])


def test_votes_are_scores_differences_and_a_plot() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    found = compared(scorers=[len])
    widget = found.vote()
    assert prefer(widget, "full") == 9  # one is equal, one row asks the same as another
    long = found.frame
    assert list(long.columns[:5]) == ["agent", "repeat", "final_output", "len", "vote"]
    by_agent = {name: list(part["vote"]) for name, part in long.groupby("agent")}
    assert by_agent["full"] == [1.0] * 3 + [0.5] + [1.0] * 7
    assert by_agent["mini"] == [0.0] * 3 + [0.5] + [0.0] * 7
    assert found.wide["vote", "full"].iloc[0] == 1.0
    assert found.summary().loc["full", "vote"] == pytest.approx(10.5 / 11)
    line = found.differences().set_index("score").loc["vote"]
    assert (line["from"], line["to"], line["rows"]) == ("mini", "full", 10)
    assert line["difference"] == pytest.approx(0.9)
    assert line["low"] > 0
    axes = found.plot()
    assert "full - mini: vote" in [label.get_text() for label in axes.get_yticklabels()]
    matplotlib.pyplot.close(axes.figure)
    assert "full: 9 better" in widget._bundle()["text/plain"]
    assert "mini: 0 better" in widget._bundle()["text/plain"]


def test_nobody_is_named_and_the_sides_are_drawn() -> None:
    agents = {
        name: agent(name, lambda request, add=add: request.user_text + add)
        for name, add in (("mini", "."), ("full", "!"))
    }
    frame = pd.DataFrame({"review": [f"review {number}" for number in range(60)]})
    found = map_frame(agents, frame, "{review}")
    found.wait()
    widget = found.vote()
    sides, order = [], []
    while not widget._is_over:
        assert "mini" not in widget.html
        assert "full" not in widget.html
        left, _ = widget._left[0].outputs
        sides.append(left[0].endswith("!"))
        order.append(widget._left[0].position)
        press(widget, "equal")
    assert 15 < sum(sides) < 45
    assert order != sorted(order)
    assert "mini" in widget.html
    assert found.differences().set_index("score").loc["vote", "difference"] == 0
    again = [ballot.position for ballot in found.vote(seed=1)._left]
    assert again != order


def test_another_kernel_goes_on_with_the_votes_of_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "rows.sqlite"
    first = compared(path).vote()
    assert prefer(first, "full", 4) == 4
    second = compared(path)
    widget = second.vote(seed=7)
    assert len(widget._left) == 5
    assert second.frame["vote"].notna().sum() >= 8
    prefer(widget, "full")
    assert second.summary().loc["full", "vote"] > 0.9


def test_a_vote_is_void_where_an_answer_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "rows.sqlite"
    prefer(compared(path).vote(), "full")
    other = {name: agent(name, lambda request, n=name: f"{n} now") for name in ("mini", "full")}
    changed = map_frame(other, FRAME, "Again: {review}", checkpoint=path, on_change="ask again")
    changed.wait()
    assert len(changed.vote()._left) == 10


def test_a_vote_can_be_taken_back_and_a_late_key_is_of_another_pair(tmp_path: Path) -> None:
    path = tmp_path / "rows.sqlite"
    found = compared(path)
    widget = found.vote()
    first = widget._at()
    press(widget, "left")
    press(widget, "left", at=first)  # pressed twice before the page had the next pair
    assert found._votes is not None
    assert found._votes.cast == 1
    press(widget, "back")
    assert widget._at() == first
    assert found._votes.cast == 0
    press(widget, "back")
    press(widget, "anything")
    for hostile in ("x", None, {"choice": "left"}, {"choice": ["left"], "at": first}):
        widget._on_message(widget, hostile, [])
    assert found._votes.cast == 0
    press(widget, "right")
    press(widget, "done")
    assert "1 of 9 pairs" in widget.html
    press(widget, "left", at="")
    assert len(compared(path).vote()._left) == 8


def test_a_vote_that_cannot_be_written_is_not_cast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = compared(tmp_path / "rows.sqlite")
    widget = found.vote()
    assert found._votes is not None

    def full(*given: Any) -> None:
        raise OSError("No space left on device")

    for pressed, cast in (("left", 0), ("back", 1)):
        at, left = widget._at(), len(widget._left)
        with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
            patched.setattr(found._votes, "_write", full)
            press(widget, pressed)
        assert (widget._at(), len(widget._left), found._votes.cast) == (at, left, cast)
        press(widget, "left" if pressed == "left" else "back")
    assert found._votes.cast == 0


def test_what_answers_say_is_no_markup_of_ours() -> None:
    class Verdict(BaseModel):
        label: str

    hostile = '<script>alert(1)</script><img src="x" onerror="alert(2)">'
    agents = {
        "a": agent("a", lambda request: answer({"label": hostile}), output_type=Verdict),
        "b": agent("b", lambda request: answer({"label": "good"}), output_type=Verdict),
    }
    found = map_frame(agents, FRAME, hostile.replace("x", "{review}", 1))
    found.wait()
    widget = found.vote()
    assert "<script" not in widget.html
    assert "<img" not in widget.html
    assert "good" in widget.html


def test_a_vote_needs_two_agents() -> None:
    alone = map_frame(agent("a", lambda request: "x"), FRAME, "{review}", repeat=2)
    alone.wait()
    with pytest.raises(UserError, match="two agents"):
        alone.vote()


def test_a_row_without_an_answer_is_no_pair() -> None:
    def turns(request: Any) -> Any:
        if request.user_text != "review 1":
            return request.user_text
        raise ValueError("broken")

    agents = {"a": agent("a", turns), "b": agent("b", lambda request: "b")}
    found = map_frame(agents, FRAME, "{review}", tries=1)
    found.wait()
    widget = found.vote()
    assert len(widget._left) == 9
    prefer_none = found.frame["vote"]
    assert prefer_none.isna().all()
    assert math.isnan(found.differences().set_index("score").loc["vote", "difference"])


def test_each_output_is_made_once_whatever_the_number_of_scorers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = 0
    outputs = Comparison.__init__.__globals__["FrameRun"].outputs

    def counted(run: Any) -> Any:
        nonlocal made
        for output in outputs(run):
            made += 1
            yield output

    monkeypatch.setattr("agentstream.rows.frame_run.FrameRun.outputs", counted)
    judge = agent("Judge", lambda request: "3")
    found = map_frame(
        agent("a", lambda request: "x"), FRAME, "{review}", scorers=[len, str.isalpha, judge]
    )
    found.wait()
    assert made == len(FRAME)
    assert isinstance(found._scorers[0], Scorer)
