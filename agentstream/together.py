"""What asyncio leaves to be said again and again: which loop runs here, several things at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any


def loop_here() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread; None where none does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def together(work: Sequence[Awaitable[Any]]) -> list[Any]:
    """The results of `work`, in order.

    At the first error, or when the caller is cancelled, the rest is cancelled and awaited before
    that error goes on: `asyncio.gather` would leave it running.

    Parameters
    ----------
    work : sequence of awaitable
        Run concurrently; a single one runs in the caller's own task.

    Examples
    --------
    >>> asyncio.run(together([asyncio.sleep(0, "a"), asyncio.sleep(0, "b")]))
    ['a', 'b']
    """
    if len(work) == 1:
        return [await work[0]]
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        pending = [task for task in tasks if not task.done()]
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.gather(*pending, return_exceptions=True)
