"""Many rows with faults of every kind: each exactly once, none lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pandas as pd
from pydantic import BaseModel

from agentstream import Agent, Gate, OpenAIResponsesModel, map_frame
from agentstream.testing import RateLimits, VirtualService, answer, fail, incomplete, turn
from agentstream.testing import run_in_virtual_time as run_virtual

ROWS = 1_000


class Double(BaseModel):
    number: int
    double: int


def test_each_row_comes_exactly_once_whatever_fails() -> None:
    rng, faults, answered = random.Random(5), Counter[str](), Counter[int]()

    def turns(request: Any) -> Any:
        number = int(request.user_text)
        kind = rng.choice(["fail", "incomplete", "text", "shape"]) if rng.random() < 0.05 else ""
        faults[kind] += 1
        if kind == "fail":
            return turn("Well", fail("server_error"))
        if kind == "incomplete":
            return turn("Well", incomplete())
        if kind == "text":
            return "no JSON"
        if kind == "shape":
            return answer({"number": "x"})
        answered[number] += 1
        return answer({"number": number, "double": 2 * number})

    def status(number: int) -> int | None:
        return rng.choice([429, 500, 502, 503, 400, 409]) if rng.random() < 0.05 else None

    async def main() -> tuple[pd.DataFrame, VirtualService]:
        loop = asyncio.get_running_loop()
        limits = RateLimits(requests=60_000, burst=200, clock=loop.time)
        service = VirtualService(turns, limits, fault=status, latency=lambda _: rng.random())
        agent = Agent(
            name="Doubler",
            model=OpenAIResponsesModel("any", service.client()),
            output_type=Double,
        )
        frame = pd.DataFrame({"number": range(ROWS)})
        run = map_frame(agent, frame, "{number}", limits=Gate(clock=loop.time))
        out = await run
        assert set(out["status"]) <= {"done", "failed"}
        for _ in range(10):
            if run.failed.empty:
                break
            out = await run.retry()
        return out, service

    out, service = run_virtual(main())
    assert list(out["number"]) == list(range(ROWS))
    assert list(out["double"]) == [2 * number for number in range(ROWS)]
    assert set(out["status"]) == {"done"}
    assert set(answered.values()) == {1}  # no answer was paid for twice
    assert len(faults) == 5  # every kind has happened
    assert service.request_count > ROWS
