"""What a row costs: an agent with a structured output, asked for many rows at once.

Run ``python -m bench.rows``. Each row is one request, answered at once by the server of
`bench.loopback`, in one piece or as a stream. Processor time of this process, a row; each contender
in a process of its own.
"""

from __future__ import annotations

import asyncio
import copy
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import openai
from pydantic import BaseModel

from . import contenders
from .loopback import server
from .table import Target, table

ROWS = 600
CONCURRENCY = (1, 16, 64, 256)
BARE = "bare client, aiohttp"
FRAME = "agentstream, map_frame"

OTHERS = {"chatlas": "chatlas", "pydantic-ai": "pydantic_ai"}
"""Packages that have a structured answer of their own, over their own client."""

Ask = Callable[[str], Awaitable[Any]]


class Verdict(BaseModel):
    """What is asked for."""

    label: str
    score: int
    because: str


FORMAT: Any = {
    "format": {
        "type": "json_schema",
        "name": "verdict",
        "strict": True,
        "schema": {**Verdict.model_json_schema(), "additionalProperties": False},
    }
}


def names() -> list[str]:
    """The contenders that are installed."""
    others = [name for name, module in OTHERS.items() if importlib.util.find_spec(module)]
    return [BARE, FRAME, *contenders.runners(), *others]


def asker(name: str, client: openai.AsyncOpenAI, *, streamed: bool) -> Ask:
    """How a contender asks for one row; agentstream's client is its own."""
    if name == BARE:
        return lambda text: bare(client, text, streamed=streamed)
    if name == "chatlas":
        return by_chatlas(str(client.base_url), streamed=streamed)
    if name == "pydantic-ai":
        return by_pydantic_ai(client, streamed=streamed)
    api = contenders.runner(name)
    api.set_default_openai_key("none")
    agent = api.Agent(
        name="Critic", instructions="Classify.", model="gpt-5-mini", output_type=Verdict
    )
    if name != "agentstream":
        api.set_default_openai_client(client)

    async def ask(text: str) -> Any:
        if not streamed:
            return (await api.Runner.run(agent, text)).final_output
        return await contenders.stream(api, agent)

    return ask


def by_chatlas(url: str, *, streamed: bool) -> Ask:
    """A chat for each row, of one client: a chat keeps what was said before."""
    import chatlas

    chat = chatlas.ChatOpenAI(
        system_prompt="Classify.", model="gpt-5-mini", base_url=url, api_key="none"
    )

    async def ask(text: str) -> Any:
        one = copy.copy(chat)
        one.set_turns([])
        return await one.chat_structured_async(text, data_model=Verdict, stream=streamed)

    return ask


def by_pydantic_ai(client: openai.AsyncOpenAI, *, streamed: bool) -> Ask:
    """An agent whose output is the API's structured one, as that of the others."""
    from pydantic_ai import Agent, NativeOutput
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIResponsesModel("gpt-5-mini", provider=OpenAIProvider(openai_client=client))
    agent = Agent(model, instructions="Classify.", output_type=NativeOutput(Verdict))

    async def ask(text: str) -> Any:
        if not streamed:
            return (await agent.run(text)).output
        async with agent.run_stream(text) as result:
            return await result.get_output()

    return ask


async def bare(client: openai.AsyncOpenAI, text: str, *, streamed: bool) -> Verdict:
    """Ask with the client alone."""
    asked: dict[str, Any] = {"model": "gpt-5-mini", "instructions": "Classify.", "input": text}
    if not streamed:
        answer = await client.responses.create(**asked, text=FORMAT)
        return Verdict.model_validate_json(answer.output_text)
    said = [
        event.delta
        async for event in await client.responses.create(**asked, text=FORMAT, stream=True)
        if event.type == "response.output_text.delta"
    ]
    return Verdict.model_validate_json("".join(said))


async def all_rows(ask: Ask, rows: int, concurrency: int) -> None:
    """Ask for all rows, so many at once: workers pull them, as cheaply as can be."""
    left = iter(range(rows))

    async def work() -> None:
        for number in left:
            await ask(f"Review {number}")

    await asyncio.gather(*(work() for _ in range(concurrency)))


async def measure(name: str, url: str, rows: int, concurrency: int, *, streamed: bool) -> float:
    """Processor time of a row, in milliseconds."""
    if name == FRAME:
        return await frame(url, rows, concurrency)
    async with contenders.client(url, "row-1", aiohttp=name == BARE) as client:
        ask = asker(name, client, streamed=streamed)
        await all_rows(ask, 20, 4)
        start = time.process_time()
        await all_rows(ask, rows, concurrency)
        return (time.process_time() - start) / rows * 1e3


async def frame(url: str, rows: int, concurrency: int) -> float:
    """The same by `map_frame`, with its gate and without a checkpoint."""
    import pandas as pd

    from agentstream import Agent, map_frame, set_default_openai_key

    set_default_openai_key("none")
    agent = Agent(name="Critic", instructions="Classify.", model="gpt-5-mini", output_type=Verdict)
    spent = 0.0
    for count in (20, rows):
        reviews = pd.DataFrame({"review": [f"Review {number}" for number in range(count)]})
        start = time.process_time()
        await map_frame(agent, reviews, "{review}", concurrency=concurrency, progress=False)
        spent = time.process_time() - start
    return spent / rows * 1e3


def load(name: str, rows: int, concurrency: int, streamed: bool) -> float:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "bench.rows", name, str(rows), str(concurrency)]
    command += ["streamed"] if streamed else []
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    return float(json.loads(done.stdout))


def report(rows: int = ROWS, rounds: int = 3) -> list[Target]:
    """Print the table; return the targets."""
    found: dict[tuple[str, bool, int], float] = {}
    for streamed in (False, True):
        for name in names():
            if streamed and name == FRAME:
                continue  # it asks for answers in one piece
            for concurrency in CONCURRENCY:
                times = [load(name, rows, concurrency, streamed) for _ in range(rounds)]
                found[name, streamed, concurrency] = statistics.median(times)
    lines = [
        (name + ", streamed" * streamed, *(found[name, streamed, number] for number in CONCURRENCY))
        for name, streamed in dict.fromkeys((name, streamed) for name, streamed, _ in found)
    ]
    head = ("", *(f"{number} at once" for number in CONCURRENCY))
    print(table("Processor time of a row with a structured answer, ms", head, lines), flush=True)
    ours = found["agentstream", False, 64]
    targets = [
        Target("a row, 64 at once: part of the bare client", ours / found[BARE, False, 64], 1.5)
    ]
    for streamed, limit in ((False, 0.33), (True, 0.25)):
        theirs = found.get(("openai-agents", streamed, 64))
        if theirs:
            what = f"a row, 64 at once{', streamed' if streamed else ''}: part of openai-agents"
            targets.append(Target(what, found["agentstream", streamed, 64] / theirs, limit))
    return targets


def main(name: str, rows: str, concurrency: str, how: str = "") -> None:
    """Measure in this process and print the number."""
    import os

    with server() as url:
        os.environ["OPENAI_BASE_URL"] = f"{url}/row-1/v1"
        print(
            json.dumps(
                asyncio.run(
                    measure(name, url, int(rows), int(concurrency), streamed=how == "streamed")
                )
            )
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(*sys.argv[1:])
    else:
        print(*report(), sep="\n")
