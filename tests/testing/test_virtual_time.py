"""The clock that jumps: what it waits for all the same."""

from __future__ import annotations

import asyncio
import time
import warnings

from agentstream.testing import run_in_virtual_time


def test_threads_that_still_run_at_the_end_are_waited_for_without_a_warning() -> None:
    ended = []

    def work() -> None:
        time.sleep(0.2)
        ended.append(True)

    async def main() -> float:
        loop = asyncio.get_running_loop()
        work_done = loop.run_in_executor(None, work)
        work_done.cancel()  # nobody waits for it here: the end of the loop does
        await asyncio.sleep(3600)
        return loop.time()

    with warnings.catch_warnings(action="error"):
        assert run_in_virtual_time(main()) >= 3600
    assert ended == [True]
