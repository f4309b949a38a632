"""Kernels of their own for tests: each runs `map_frame` over numbers on a server, until killed.

Importing takes seconds, so it is done once: for each line on standard input a process is forked,
and its number written; when it has ended, how.

python counting_kernel.py BASE_URL CHECKPOINT ROWS CONCURRENCY
"""

from __future__ import annotations

import asyncio
import os
import sys

import pandas as pd

import agentstream
from agentstream import Agent, OpenAIResponsesModel, Runner, map_frame

_ = (agentstream.Limits, Runner)


async def main(base_url: str, checkpoint: str, rows: int, concurrency: int) -> None:
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0)
    agent = Agent(name="Counter", model=OpenAIResponsesModel("any", client))
    frame = pd.DataFrame({"number": range(rows)})
    out = await map_frame(
        agent, frame, "{number}", checkpoint=checkpoint, limits=None, concurrency=concurrency
    )
    await client.close()
    assert set(out["status"]) == {"done"}
    assert sorted(map(int, out["final_output"])) == list(range(rows))


if __name__ == "__main__":
    url, path, rows, concurrency = sys.argv[1:]
    for _line in sys.stdin:
        child = os.fork()
        if child == 0:
            asyncio.run(main(url, path, int(rows), int(concurrency)))
            os._exit(0)
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)
