"""Frames of other libraries, the accessor, and what rows will cost."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pandas as pd
import pytest
from pydantic import BaseModel

from agentstream import Agent, UserError, estimate, map_frame
from agentstream.testing import ScriptedModel, answer, http_error


class Verdict(BaseModel):
    label: str
    score: int


def critic(turns: Any, **settings: Any) -> Agent[Any]:
    return Agent(name="Critic", model=ScriptedModel(turns), **settings)


def test_a_frame_of_polars_gives_a_frame_of_polars() -> None:
    pl = pytest.importorskip("polars")
    pytest.importorskip("narwhals")

    def turns(request: Any) -> Any:
        if request.user_text == "b":
            return http_error(400)
        return answer({"label": request.user_text, "score": 3})

    frame = pl.DataFrame({"review": ["a", "b", None]})
    run = map_frame(critic(turns, output_type=Verdict), frame, "{review}")
    out = run.wait()
    assert isinstance(out, pl.DataFrame)
    assert out["label"].to_list() == ["a", None, None]
    assert out["score"].dtype == pl.Int64
    assert out["status"].to_list() == ["done", "failed", "failed"]
    assert run.failed.height == 2


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_a_number_that_fits_no_type_of_the_library_loses_no_row(library: str) -> None:
    made = pytest.importorskip(library)
    pytest.importorskip("narwhals")
    scores = {"a": 3, "b": 10**30}
    agent = critic(
        lambda request: answer({"label": "x", "score": scores[request.user_text]}),
        output_type=Verdict,
    )
    columns = {"review": ["a", "b"]}
    frame = made.DataFrame(columns) if library == "polars" else made.table(columns)
    out = map_frame(agent, frame, "{review}").wait()
    cells = out["score"].to_list() if library == "polars" else out["score"].to_pylist()
    assert cells == ["3", "1" + "0" * 30]


def test_a_lazy_frame_is_told_to_be_collected() -> None:
    pl = pytest.importorskip("polars")
    pytest.importorskip("narwhals")
    with pytest.raises(UserError, match="Collect"):
        map_frame(critic(["x"]), pl.LazyFrame({"review": ["a"]}), "{review}")


def test_the_program_may_change_its_frame_while_rows_are_asked() -> None:
    frame = pd.DataFrame({"review": ["a", "b"]})
    run = map_frame(critic(lambda request: request.user_text), frame, "{review}")
    frame["review"] = ["x", "y"]
    assert list(run.wait()["final_output"]) == ["a", "b"]


def test_the_accessor_maps_the_frame() -> None:
    import agentstream.pandas  # noqa: F401

    frame = pd.DataFrame({"review": ["a"]})
    out = frame.agent.map(critic(["good"]), "{review}").wait()
    assert out["final_output"][0] == "good"
    assert frame.agent.estimate(critic(["good"]), "{review}").requests == 1


def test_the_package_loads_no_pandas_for_it() -> None:
    code = "import sys, agentstream; agentstream.map_frame; print('pandas' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_an_estimate_counts_the_requests_the_tokens_and_the_price() -> None:
    frame = pd.DataFrame({"review": ["x" * 400, "y" * 400, "x" * 400]})
    agent = Agent(name="Critic", model="gpt-5-mini", instructions="i" * 4000)
    known = estimate(agent, frame, "{review}", output_tokens=50)
    assert (known.rows, known.requests, known.output_tokens) == (3, 2, 100)
    assert 2 * 1100 <= known.input_tokens <= 2 * 1200
    assert 0 < known.usd < 0.01
    assert math.isnan(estimate(critic(["x"]), frame, "{review}").usd)


def test_an_estimate_of_nothing_says_so() -> None:
    with pytest.raises(UserError, match="nothing would be asked"):
        estimate(critic(["x"]), pd.DataFrame({"review": [None]}), "{review}")
