"""What makes an interrupt reach a run: a loop that wakes up, and a signal that cancels.

A kernel (and `asyncio.run`) answers Ctrl-C by cancelling the task of the cell. Two things are then
in the way:

- ipykernel asks for the cancellation by tornado's ``IOLoop.add_callback``, which does not wake a
  loop that waits (ipykernel 7.4, ``IPythonKernel._cancel_on_sigint``). A run that waits for a
  silent server would go on until the server speaks: so the loop is woken by a clock.
- a synchronous run inside that task keeps it from being cancelled until the run has ended: so the
  signal cancels the run there, and the cell gets its KeyboardInterrupt from that.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import asyncio
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..exceptions import UserError


class Interrupt(KeyboardInterrupt):
    """Ctrl-C, raised in a step that has the event loop to itself.

    Attributes
    ----------
    handled : bool
        Whether the program's own handler has answered it, by cancelling a task.
    """

    def __init__(self, handled: bool) -> None:
        super().__init__()
        self.handled = handled


class RunAborted(BaseException):
    """A KeyboardInterrupt or SystemExit of a run, on its way to whoever awaits the run.

    asyncio lets these two out of the event loop at once, whichever task they come from; in a
    notebook that would be the kernel's loop, and its end.

    Attributes
    ----------
    error : BaseException
        What is raised in the end. Where a handler has answered an interrupt by cancelling, that is
        CancelledError, as for every run that an interrupt stops.
    """

    def __init__(self, error: BaseException, where: str = "") -> None:
        super().__init__(f"KeyboardInterrupt{where}" if where else type(error).__name__)
        is_answered = isinstance(error, Interrupt) and error.handled
        self.error = asyncio.CancelledError(str(self)) if is_answered else error


@contextmanager
def contain_tool_exit(tool_name: str) -> Iterator[None]:
    """Keep a tool that raises what ends tasks and programs from ending more than its run.

    Raises
    ------
    UserError
        The tool raised CancelledError, KeyboardInterrupt or SystemExit by itself.
    Halted
        An interrupt reached the tool.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise failed(tool_name, "it raised CancelledError") from error
    except Interrupt as interrupt:
        raise RunAborted(interrupt, f" in the tool {tool_name!r}") from None
    except (KeyboardInterrupt, SystemExit) as error:
        raise failed(tool_name, f"it raised {type(error).__name__}") from error


def failed(tool_name: str, why: str) -> UserError:
    """The error for a tool whose failure is no answer for the model."""
    return UserError(f"Error running tool {tool_name}: {why}")


# Not the functions of `signal`: those make enums of handlers, by way of a text with the repr of the
# handler's task, at 50 us a call. A step of a tool is to cost less.
_SIGINT = int(signal.SIGINT)

_TICK = 0.2  # seconds; an interrupt is to stop a run within one


@contextmanager
def keep_loop_awake() -> Iterator[None]:
    """Wake the running loop now and then while a run is under way; only in a kernel."""
    if "ipykernel" not in sys.modules:
        yield
        return
    loop = asyncio.get_running_loop()
    clock: asyncio.TimerHandle

    def tick() -> None:
        nonlocal clock
        clock = loop.call_later(_TICK, tick)

    clock = loop.call_later(_TICK, tick)
    try:
        yield
    finally:
        clock.cancel()


@contextmanager
def interrupts_cancel(
    loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]
) -> Iterator[list[int]]:
    """Let Ctrl-C cancel `task`, whatever the loop is at; a second one raises KeyboardInterrupt.

    Raised where it comes, KeyboardInterrupt could hit a task of the kernel, which a nested loop
    runs as well, and the kernel would answer no more.
    """
    came: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not _is_known(handler):
        yield came  # A program's own handler is its own business.
        return

    def interrupt(number: int, frame: object) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)
        loop.call_soon_threadsafe(task.cancel)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, handler)


@contextmanager
def interrupts_raise(task: asyncio.Task[Any] | None) -> Iterator[None]:
    """Let Ctrl-C raise `Interrupt` in a step of `task` that has the event loop to itself.

    Where `task` is not the one at work (the step drives a nested loop), it does what it did before.
    """
    handler: Any = _signal.getsignal(_SIGINT)
    if threading.current_thread() is not threading.main_thread() or not _is_known(handler):
        yield
        return
    is_on = True

    def interrupt(number: int, frame: Any) -> None:
        if not is_on or asyncio.current_task() is not task:
            handler(number, frame)
            return
        try:
            handler(number, frame)
        except KeyboardInterrupt:
            raise Interrupt(handled=False) from None
        raise Interrupt(handled=True)

    _signal.signal(_SIGINT, interrupt)
    try:
        try:
            yield
        finally:
            is_on = False
    finally:
        _signal.signal(_SIGINT, handler)


def _is_known(handler: Any) -> bool:
    """Whether `handler` is Python's, asyncio's, a kernel's, or one of `interrupts_cancel`."""
    if handler is signal.default_int_handler:
        return True
    of = getattr(getattr(handler, "func", handler), "__module__", None) or ""
    return of.split(".")[0] in ("asyncio", "ipykernel") or of == __name__
