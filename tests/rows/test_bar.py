"""The bar: how far the rows are, live and in the saved notebook."""

from __future__ import annotations

import asyncio
import io
import math
import re
import sys
import time
from typing import Any

import pandas as pd
import pytest

from agentstream import Agent, map_frame
from agentstream.rows.bar_text import bar_bundle, bar_html, bar_line
from agentstream.rows.bar_widget import RowsWidget
from agentstream.rows.pace import Pace
from agentstream.rows.result import Progress, RowResult
from agentstream.testing import ScriptedModel, http_error


def progress(**changes: Any) -> Progress:
    facts: dict[str, Any] = {
        "rows": 100,
        "done": 20,
        "failed": 2,
        "waiting": 78,
        "asking": 8,
        "seconds": 10.0,
        "tokens": 5000,
        "usd": 0.25,
        "rate": 2.0,
        "left": 39.0,
        "reason": "600 of 600 requests a minute",
    }
    return Progress(**{**facts, **changes})


def critic(turns: Any = "Fine.", **settings: Any) -> Agent[Any]:
    return Agent(name="Critic", model=ScriptedModel(turns, loop=True), **settings)


def frame_of(count: int) -> pd.DataFrame:
    return pd.DataFrame({"review": [str(number) for number in range(count)]})


def test_the_line_says_all_that_one_wants_to_know() -> None:
    assert bar_line(progress()) == (
        "20 done, 2 failed, 78 waiting · 2.0 rows/s, 500 tokens/s · 0.2500 USD · 39 s left · "
        "600 of 600 requests a minute"
    )
    over = progress(done=98, waiting=0, left=0.0, reason="", seconds=3725)
    assert bar_line(over) == "98 done, 2 failed · 1 h 2 min, 5,000 tokens · 0.2500 USD"
    assert "left" not in bar_line(progress(left=math.nan))


def test_what_errors_say_is_escaped() -> None:
    hostile = RowResult(b"", "failed", (), "<img src=x onerror=alert(1)>", "<b>", index="<i>")
    bundle = bar_bundle(progress(), [hostile], "<script>alert(2)</script>")
    html = bundle["text/html"].partition("</style>")[2]
    assert "<img" not in html
    assert "<script" not in html
    assert "<i>" not in html
    assert "onerror=alert(1)" in bundle["text/plain"]


def test_the_saved_bar_is_readable_without_style_and_script() -> None:
    html = re.sub(r"<style>.*?</style>", "", bar_bundle(progress(), [])["text/html"])
    text = re.sub(r"<[^>]+>", " ", html)
    assert "22 of 100 rows" in text
    assert "20 done, 2 failed" in text
    assert "style=" in bar_html(progress())


async def test_at_most_eight_messages_a_second_are_sent() -> None:
    calls: list[float] = []
    pace = Pace(lambda: calls.append(time.monotonic()))
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        pace.nudge()
        await asyncio.sleep(0.001)
    pace.stop()
    assert 3 <= len(calls) <= 9
    await asyncio.sleep(0.2)
    assert len(calls) <= 9


async def test_the_clock_goes_on_while_nothing_happens() -> None:
    calls: list[float] = []
    pace = Pace(lambda: calls.append(1))
    pace.nudge()
    await asyncio.sleep(1.3)
    pace.stop()
    assert len(calls) == 2


async def test_the_widget_follows_the_rows_and_tells_the_last_errors() -> None:
    def turns(request: Any) -> Any:
        return http_error(400, "No.") if request.user_text == "3" else "Fine."

    run = map_frame(critic(turns), frame_of(6), "{review}", progress=False)
    widget = RowsWidget(run)
    sent: list[str] = []
    widget.observe(lambda change: sent.append(change["new"]), "html")
    await run
    await asyncio.sleep(0.05)
    assert "6 of 6 rows" in widget.html
    assert "<code>3</code>" in widget.html
    assert len(sent) <= 4
    assert "5 done, 1 failed" in widget._bundle()["text/plain"]


async def test_the_button_stops_the_rows() -> None:
    async def never(request: Any) -> Any:
        await asyncio.Event().wait()

    run = map_frame(critic(never), frame_of(5), "{review}", progress=False)
    widget = RowsWidget(run)
    await asyncio.sleep(0.05)
    widget._on_message(widget, {"kind": "stop"}, [])
    await asyncio.wait_for(run, 5)
    assert run.is_complete
    widget._on_message(widget, "anything", [])


def test_a_bar_of_tqdm_is_written_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm")
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    map_frame(critic(), frame_of(3), "{review}", progress=True).wait()
    assert "3/3" in written.getvalue()
    assert "3 done" in written.getvalue()


def test_nothing_is_written_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    map_frame(critic(), frame_of(3), "{review}").wait()
    assert capsys.readouterr() == ("", "")
