"""What asyncio leaves to be said again and again: which loop runs here, several things at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

T = TypeVar("T")

_GRACE: Final = 10.0  # seconds; a SQLite file that another process holds is waited for as long


def running_loop_or_none() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread; None where none does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def call_where_it_runs(
    loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: object
) -> None:
    """Call `function` on `loop`: now if it is the one that runs here, never if it is closed."""
    if loop is running_loop_or_none():
        function(*args)
    elif not loop.is_closed():
        loop.call_soon_threadsafe(function, *args)


async def gather_or_cancel(work: Sequence[Awaitable[Any]]) -> list[Any]:
    """The results of `work`, in order.

    At the first error, or when the caller is cancelled, the rest is cancelled and awaited before
    that error goes on: `asyncio.gather` would leave it running.

    Examples
    --------
    >>> asyncio.run(gather_or_cancel([asyncio.sleep(0, "a"), asyncio.sleep(0, "b")]))
    ['a', 'b']
    """
    if len(work) == 1:
        return [await work[0]]
    tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(each) for each in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        pending = [task for task in tasks if not task.done()]
        for task in pending:
            # `gather` has cancelled them with the caller; twice would end what they clean up.
            if not (isinstance(task, asyncio.Task) and task.cancelling()):
                task.cancel()
        if pending:
            await asyncio.gather(*pending, return_exceptions=True)


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which goes on to its end also where the caller is cancelled.

    The cancellation is raised after that, however often it came. Ten seconds after the first one
    the work is cancelled as well, so that a server that never answers holds no Stop button.

    Examples
    --------
    >>> asyncio.run(uninterrupted(asyncio.sleep(0, "saved")))
    'saved'
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    deadline: float | None = None
    while not task.done():
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            task.cancel()
            left = None
        try:
            await asyncio.wait([task], timeout=left)
        except asyncio.CancelledError as error:
            cancelled, deadline = error, deadline or time.monotonic() + _GRACE
    if cancelled is None or not (task.cancelled() or task.exception() is None):
        return task.result()  # or the error, which says more than that somebody has stopped
    raise cancelled
