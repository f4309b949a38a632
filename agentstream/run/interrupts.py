"""What makes an interrupt reach a run: a loop that wakes up, and a signal that raises.

A kernel (and `asyncio.run`) answers Ctrl-C by cancelling the task of the cell. Two things are then
in the way:

- ipykernel asks for the cancellation by tornado's ``IOLoop.add_callback``, which does not wake a
  loop that waits (ipykernel 7.4, ``IPythonKernel._cancel_on_sigint``). A run that waits for a
  silent server would go on until the server speaks: so the loop is woken by a clock.
- a synchronous run inside that task keeps it from being cancelled until the run has ended: so the
  signal raises KeyboardInterrupt there, as in a cell without ``await``.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_TICK = 0.2  # seconds; an interrupt is to stop a run within one


@contextmanager
def awake_in_a_notebook() -> Iterator[None]:
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
def interrupts_raise() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt where it would cancel the task that waits here."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGINT)
    of = getattr(getattr(handler, "func", handler), "__module__", None) or ""
    if of.split(".")[0] not in ("asyncio", "ipykernel"):
        yield  # A program's own handler is its own business.
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
