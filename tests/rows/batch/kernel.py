"""A kernel for tests: submits rows as a batch, and waits for it until it is killed.

python kernel.py BASE_URL CHECKPOINT ROWS
"""

from __future__ import annotations

import asyncio
import sys

import pandas as pd
from openai import AsyncOpenAI

from agentstream import Agent, OpenAIResponsesModel, map_frame


async def main(base_url: str, checkpoint: str, rows: int) -> None:
    client = AsyncOpenAI(base_url=base_url, api_key="none")
    agent = Agent(name="Critic", model=OpenAIResponsesModel("gpt-5-mini", client))
    frame = pd.DataFrame({"number": range(rows)})
    run = map_frame(agent, frame, "{number}", mode="batch", checkpoint=checkpoint)
    while " answered" not in run.progress.reason:
        await asyncio.sleep(0.02)
    print(run.progress.reason, flush=True)
    await run


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
