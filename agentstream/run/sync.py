"""Runs a coroutine from code that is not async, in a script and inside a running loop.

In a notebook cell the kernel's loop is running already. A nested run on that same loop keeps
clients and tools that are bound to it working; nest-asyncio2 makes asyncio allow it. It is applied
only when such a call is made, and never over a patch that is there.

A forked process leaves the loops it has inherited alone, and makes its own: they share the sockets
and the epoll instance of its parent's, and closing one would deafen the parent's.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import warnings
import weakref
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from .._utils.aio import running_loop_or_none
from ..exceptions import UserError
from .interrupts import interrupts_cancel

T = TypeVar("T")

# How long a program waits at exit for runs that it left unread, in seconds.
_CLOSE_SECONDS = 5.0


def run_until_done(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, waited for here.

    An interrupt (KeyboardInterrupt) cancels the work and waits until it has closed what it holds,
    then goes on to the caller.

    It runs on the running loop if there is one, else on this thread's own.

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
    with preserve_ready_count(loop), interrupts_cancel(loop, task) as came:
        try:
            result = loop.run_until_complete(task)
        except BaseException as error:
            # KeyboardInterrupt leaves the loop without ending the task; its connection would stay
            # open.
            if not task.done():
                task.cancel()
                loop.run_until_complete(asyncio.wait([task]))
            if came:
                raise KeyboardInterrupt from error
            raise
    if came:
        raise KeyboardInterrupt
    return result


@contextmanager
def preserve_ready_count(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Leave at least as many callbacks waiting in `loop` as there were before.

    asyncio counts those that are ready, then takes so many. Around the first nested run of a
    process it is still asyncio that counts; where the nested run has taken some, it would find
    none, and its IndexError would end the loop, in a notebook the kernel.
    """
    ready: Any = getattr(loop, "_ready", ())
    before = len(ready)
    try:
        yield
    finally:
        for _ in range(before - len(ready)):
            loop.call_soon(_nothing)


def _nothing() -> None:
    """Do nothing."""


def running_loop() -> asyncio.AbstractEventLoop:
    """The event loop that runs in this thread.

    Raises
    ------
    UserError
        If none does: under trio, for example.
    """
    loop = running_loop_or_none()
    if loop is None:
        raise UserError(
            "agentstream runs on asyncio, and no asyncio event loop is running here. Start the "
            "program with asyncio.run(main()) or anyio.run(main), not with another library's loop; "
            "under trio, ask in a thread: await trio.to_thread.run_sync(Runner.run_sync, agent, "
            "'Hello')."
        )
    return loop


def running_loop_for_nesting() -> asyncio.AbstractEventLoop | None:
    """The running loop, made fit for nested runs; None where no loop is running.

    Raises
    ------
    UserError
        If it cannot be made fit.
    """
    loop = running_loop_or_none()
    if loop is None:
        return None
    if not _nests(loop):
        import nest_asyncio2

        try:
            nest_asyncio2.apply(loop, run_close_loop=True)
        except ValueError as error:
            raise UserError(
                f"A synchronous run inside a running {type(loop).__module__} loop is not possible: "
                "it cannot run nested. Write `await Runner.run(...)` or `async for` instead."
            ) from error
    return loop


def _nests(loop: asyncio.AbstractEventLoop) -> bool:
    # Both nest-asyncio and nest-asyncio2 mark the loops they have patched so.
    return hasattr(loop, "_nest_patched")


class _Owner:
    """Owns the loop of a thread that is not the main one, and closes it when the thread ends."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._process = os.getpid()

    def __del__(self) -> None:
        if os.getpid() != self._process:
            _inherited.append(self.loop)
        elif not self.loop.is_closed():
            self.loop.close()


_of_thread = threading.local()
_registered_at_exit: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()

_main_loop: asyncio.AbstractEventLoop | None = None

_inherited: list[Any] = []
"""The parent's loops, in a forked process. A loop that nobody refers to closes itself."""

_is_forked = False
"""Whether this process was forked, and its main thread has no loop of its own yet."""


def _begin_fork() -> None:
    global _is_forked
    _is_forked = True
    if hasattr(asyncio, "_nest_patched"):
        # With nesting applied, asyncio.run takes the thread's loop: no longer the parent's.
        _leave_inherited()


def _leave_inherited() -> None:
    global _is_forked, _main_loop
    _is_forked = False
    _inherited.extend([_loop_of_thread(), _main_loop])
    _main_loop = None
    asyncio.set_event_loop(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_fork)


def _loop_of_thread() -> asyncio.AbstractEventLoop | None:
    """The loop that is set in this thread.

    Asked for it, asyncio may make one where there is none, and always does once nesting is applied:
    one more after each `asyncio.Runner`, which nobody would close. So it is read, where it is kept.
    """
    with warnings.catch_warnings():
        # Python 3.12 warns when there is no loop yet, 3.14 raises: both mean that there is none.
        warnings.simplefilter("ignore", DeprecationWarning)
        local: Any = getattr(asyncio.get_event_loop_policy(), "_local", None)
        if hasattr(local, "_loop"):
            loop: asyncio.AbstractEventLoop | None = local._loop
            return loop
        try:
            return asyncio.get_event_loop()
        except RuntimeError:
            return None


def thread_loop() -> asyncio.AbstractEventLoop:
    """The loop of this thread, made when there is none.

    It stays open for the next call, so that a client's pooled connections go on working: until the
    thread ends, or the program.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and _is_forked:
        _leave_inherited()
    loop = _loop_of_thread()
    if loop is None or loop.is_closed():
        # asyncio.run leaves its thread without a loop: the one made before is open still.
        loop = _own_loop(in_main)
        asyncio.set_event_loop(loop)
    if in_main and loop not in _registered_at_exit:
        _registered_at_exit.add(loop)
        atexit.register(_end, loop, os.getpid())
    return loop


def _own_loop(in_main: bool) -> asyncio.AbstractEventLoop:
    """The loop that was made here for this thread; a new one where it is closed."""
    global _main_loop
    if not in_main:
        owner: _Owner | None = getattr(_of_thread, "owner", None)
        if owner is None or owner.loop.is_closed():
            owner = _of_thread.owner = _Owner()
        return owner.loop
    if _main_loop is None or _main_loop.is_closed():
        _main_loop = asyncio.new_event_loop()
    return _main_loop


def _end(loop: asyncio.AbstractEventLoop, process: int) -> None:
    """Cancel what a program leaves behind in its loop at exit, as `asyncio.run` does, and close."""
    if loop.is_closed() or loop.is_running() or os.getpid() != process:
        return
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=_CLOSE_SECONDS))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
