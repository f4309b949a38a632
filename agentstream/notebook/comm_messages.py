"""Messages from a front end to its view, while an ipykernel before 7.0 executes a cell.

Such a kernel handles one message after the other, and what a front end says waits for the end of
the cell: Stop would stop nothing. So the messages to open views are taken out of its queue and
handled in between; all others keep their order. Later kernels do that by themselves.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final
from weakref import WeakSet

from .._utils.watchers import FailureLog
from .cells import is_at_work
from .front_end import kernel

__all__ = ["deliver_to"]

_SECONDS: Final = 0.05
"""Between two looks into the queue."""

_DELIMITER: Final = b"<IDS|MSG>"

_views: WeakSet[Any] = WeakSet()
_deliveries: list[_Delivery] = []


def deliver_to(view: Any) -> None:
    """Have the messages to `view`, a widget, delivered also while a cell is executed."""
    here = kernel()
    if not hasattr(here, "msg_queue"):
        return
    _views.add(view)
    if not _deliveries:
        _deliveries.append(_Delivery(here))
    _deliveries[0].begin()


class _Delivery:
    """Looks into the queue of a kernel as long as a cell is executed."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._loop: asyncio.AbstractEventLoop = kernel.io_loop.asyncio_loop
        self._timer: asyncio.TimerHandle | None = None
        self._failures = FailureLog()
        is_at_work()  # begins to look
        kernel.shell.events.register("pre_run_cell", self._cell_begins)

    def _cell_begins(self, info: Any = None) -> None:
        self.begin()

    def begin(self) -> None:
        """Look from now on to the end of the cell, if there are views."""
        if self._timer is None and _views:
            self._timer = self._loop.call_later(_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        if not is_at_work():
            return
        self.begin()
        try:
            if self._kernel.msg_queue.qsize():
                self._deliver()
        except Exception:  # noqa: BLE001 - it is logged; the kernel handles what is in its queue
            self._failures.note(type(self))

    def _deliver(self) -> None:
        queue = self._kernel.msg_queue
        waiting = [queue.get_nowait() for _ in range(queue.qsize())]
        comms = {view.comm.comm_id for view in _views if view.comm is not None}
        taken = []
        for entry in waiting:
            frames = entry[2]
            if len(frames) == 1 and _comm_of(frames[0]) in comms:
                taken.append(frames[0])
            else:
                queue.put_nowait(entry)
        for message in taken:
            self._handle(message)

    def _handle(self, frames: Any) -> None:
        session = self._kernel.session
        identities, rest = session.feed_identities(frames, copy=False)
        message = session.deserialize(rest, content=True, copy=False)  # checks its signature, too
        self._kernel.comm_manager.comm_msg(None, identities, message)


def _comm_of(frames: Any) -> str | None:
    """The comm that a message is for, by its bytes; None where it is none to a comm."""
    try:
        parts = [bytes(getattr(frame, "buffer", frame)) for frame in frames[:8]]
        at = parts.index(_DELIMITER)
        # After the signature: header, parent header, metadata, content.
        if json.loads(parts[at + 2]).get("msg_type") != "comm_msg":
            return None
        named: str | None = json.loads(parts[at + 5]).get("comm_id")
    except (ValueError, IndexError, TypeError, AttributeError):
        return None
    return named
