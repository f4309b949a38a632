"""Runs a coroutine from code that is not async, in a script and inside a running loop.

In a notebook cell the kernel's loop is running already. A nested run on that same loop keeps
clients and tools that are bound to it working; nest-asyncio2 makes asyncio allow it. It is applied
only when such a call is made, and never over a patch that is there.
"""

from __future__ import annotations

import asyncio
import atexit
import warnings
from collections.abc import Coroutine
from typing import Any, TypeVar

from ..errors import UserError
from .interrupts import interrupts_raise

T = TypeVar("T")


def run_until_done(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, waited for here.

    An interrupt (KeyboardInterrupt) cancels the work and waits until it has closed what it holds,
    then goes on to the caller.

    Parameters
    ----------
    work : coroutine
        Runs on the running loop if there is one, else on this thread's own.

    Raises
    ------
    UserError
        If the running loop cannot run nested, as uvloop's.
    """
    try:
        loop = running_loop_for_nesting()
    except UserError:
        work.close()
        raise
    if loop is None:
        loop = thread_loop()
    task = loop.create_task(work)
    try:
        with interrupts_raise():
            return loop.run_until_complete(task)
    except BaseException:
        # KeyboardInterrupt leaves the loop without ending the task; its connection would stay open.
        if not task.done():
            task.cancel()
            loop.run_until_complete(asyncio.wait([task]))
        raise


def running_loop_for_nesting() -> asyncio.AbstractEventLoop | None:
    """The running loop, made fit for nested runs; None where no loop is running.

    Raises
    ------
    UserError
        If it cannot be made fit.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    if not _nests(loop):
        import nest_asyncio2

        try:
            nest_asyncio2.apply(loop)
        except ValueError as error:
            raise UserError(
                f"A synchronous run inside a running {type(loop).__module__} loop is not possible: "
                "it cannot run nested. Write `await Runner.run(...)` or `async for` instead."
            ) from error
    return loop


def _nests(loop: asyncio.AbstractEventLoop) -> bool:
    # Both nest-asyncio and nest-asyncio2 mark the loops they have patched so.
    return hasattr(loop, "_nest_patched")


def thread_loop() -> asyncio.AbstractEventLoop:
    """The loop of this thread, made when there is none.

    It stays open for the next call, so that a client's pooled connections go on working.
    """
    with warnings.catch_warnings():
        # Python 3.12 warns when there is no loop yet, 3.14 raises; both are answered below.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            loop: asyncio.AbstractEventLoop | None = asyncio.get_event_loop()
        except RuntimeError:
            loop = None
    if loop is None or loop.is_closed():
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        atexit.register(loop.close)
    return loop
