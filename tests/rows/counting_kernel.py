"""A kernel of its own for tests: runs `map_frame` over numbers against a server, until killed.

python counting_kernel.py BASE_URL CHECKPOINT ROWS CONCURRENCY
"""

from __future__ import annotations

import asyncio
import sys

import pandas as pd

from agentstream import Agent, OpenAIResponsesModel, map_frame


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
    print(sorted(map(int, out["final_output"])) == list(range(rows)))


if __name__ == "__main__":
    url, path, rows, concurrency = sys.argv[1:]
    asyncio.run(main(url, path, int(rows), int(concurrency)))
