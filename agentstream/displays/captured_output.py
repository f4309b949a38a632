"""What a tool prints, warns of and displays in a notebook: it belongs into the tool's card.

A context variable says which call is at work: each task has its own, and the thread of a tool that
is no coroutine gets its task's. While calls are at work in a kernel, ``sys.stdout``, ``sys.stderr``
and IPython's display publisher look there first; outside of a kernel nothing is touched.

Where no view shows the run, output goes on to where it would have gone, and a card that is made
later has it as well. Nothing is lost: what comes after the call, from a thread that the tool
started itself, or beyond `MOST_CHARACTERS`, goes below the cell as ever.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from . import Block, content_of_bundle
from .formatters import running_shell

__all__ = ["MOST_CHARACTERS", "CapturedOutput", "capturing"]

MOST_CHARACTERS: Final = 100_000
"""Of one call that its card takes; what is beyond goes below the cell."""

_MOST_DISPLAYS: Final = 20
_SECONDS: Final = 0.05  # between two reports of what was printed
_WIDGETS: Final = "application/vnd.jupyter.widget-view+json"

_CALL: ContextVar[CapturedOutput | None] = ContextVar("agentstream_captured_output", default=None)


class CapturedOutput:
    """What one call has printed and displayed.

    Parameters
    ----------
    report : callable
        Told on the loop's thread what is new, as blocks, and whether what was there before is
        cleared.
    is_visible : callable
        Whether a view shows the run now.
    loop : asyncio.AbstractEventLoop
        The run's loop.
    nested : bool
        Whether the run is told in the card of the call around it, and shown where that is.
    """

    def __init__(
        self,
        report: Callable[[list[Block], bool], None],
        is_visible: Callable[[], bool],
        loop: asyncio.AbstractEventLoop,
        nested: bool = False,
    ) -> None:
        self._report = report
        self._nested = nested
        self._is_visible = is_visible
        self._loop = loop
        self._outer = _CALL.get()
        self._lock = threading.Lock()
        self._waiting: list[Block] = []
        self._clears = self._clears_next = self._is_due = self._closed = False
        self._left = MOST_CHARACTERS
        self._names: set[str] = set()
        self._displays = 0

    @property
    def is_visible(self) -> bool:
        """Whether a view shows the run."""
        if self._nested and self._outer is not None:
            return self._outer.is_visible
        return self._is_visible()

    @property
    def _next(self) -> CapturedOutput | None:
        """Who takes in as well what this call has, as no view shows it here."""
        return None if self._nested else self._outer

    def write(self, stream: str, text: str) -> bool:
        """Take in text; whether it is to be written nowhere else."""
        with self._lock:
            taken = not self._closed and self._left > 0
            if taken:
                self._left -= len(text)
                last = self._waiting[-1] if self._waiting else {}
                if last.get("name") == stream and not self._clears_next:
                    last["text"] += text
                else:
                    self._add({"type": "stream", "name": stream, "text": text})
        if taken:
            self._wake()
            if self.is_visible:
                return True
        return self._next is not None and self._next.write(stream, text)

    def display(self, data: dict[str, Any], name: str | None, update: bool) -> bool:
        """Take in a MIME bundle; whether it is to be displayed nowhere else."""
        if _WIDGETS in data:
            return False
        full = not update and self._displays >= _MOST_DISPLAYS
        if self._closed or full or (update and name not in self._names):
            return self._next is not None and self._next.display(data, name, update)
        text = str(data.get("text/plain") or "")
        blocks = content_of_bundle(data, "Display", text, MOST_CHARACTERS).blocks
        with self._lock:
            self._displays += not update
            for block in blocks:
                if name is not None:
                    self._names.add(name)
                    block["id"] = name
                self._add(block)
        self._wake()
        if self.is_visible:
            return True
        return self._next is not None and self._next.display(data, name, update)

    def clear(self, wait: bool) -> bool:
        """Forget what was taken in so far, or with the next that comes."""
        with self._lock:
            if self._closed:
                return False
            self._clears_next = True
            if not wait:
                self._clear()
        self._wake()
        return self.is_visible or (self._next is not None and self._next.clear(wait))

    def _add(self, block: Block) -> None:
        if self._clears_next:
            self._clear()
        self._waiting.append(block)

    def _clear(self) -> None:
        self._waiting.clear()
        self._clears, self._clears_next = True, False
        self._displays = 0

    def _wake(self) -> None:
        with self._lock:
            if self._is_due or self._closed:
                return
            self._is_due = True
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.call_later, _SECONDS, self.flush)

    def flush(self) -> None:
        """Report what has come since the last time; on the loop's thread."""
        with self._lock:
            blocks, self._waiting = self._waiting, []
            clears, self._clears = self._clears, False
            self._is_due = False
        if blocks or clears:
            self._report(blocks, clears)

    def close(self) -> None:
        """The call is over: report the rest; what comes now goes where it would have gone."""
        with self._lock:
            self._closed = True
        self.flush()


@contextmanager
def capturing(
    report: Callable[[list[Block], bool], None],
    is_visible: Callable[[], bool],
    *,
    nested: bool = False,
) -> Iterator[None]:
    """Take in what is printed and displayed inside, in this task and the threads of its tools."""
    shell = _kernel_shell()
    if shell is None:
        yield
        return
    captured = CapturedOutput(report, is_visible, asyncio.get_running_loop(), nested)
    token = _CALL.set(captured)
    _install(shell)
    try:
        yield
    finally:
        _uninstall()
        _CALL.reset(token)
        captured.close()


def _kernel_shell() -> Any:
    """IPython's shell, if it is a kernel's; None in scripts and terminals."""
    shell = running_shell()
    return shell if getattr(shell, "kernel", None) is not None else None


# -- what stands in the place of the streams and the publisher while calls are at work --


class _Stream:
    """A standard stream that asks first whether a call is at work here."""

    def __init__(self, name: str, stream: Any) -> None:
        self.__dict__.update(_name=name, _stream=stream)

    def write(self, text: str) -> int:
        call = _CALL.get()
        if call is not None and call.write(self._name, text):
            return len(text)
        written: int = self._stream.write(text)
        return written

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "write":
            # IPython puts a `write` here for the time of a cell, which calls the one that it found:
            # ours. Handed on to the stream beneath, the two would call each other without end.
            self.__dict__["write"] = value
        else:
            setattr(self._stream, name, value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stream)


def _publish_for(publisher: Any) -> Callable[..., Any]:
    real = publisher.publish

    def publish(data: Any, metadata: Any = None, **how: Any) -> Any:
        call, name = _CALL.get(), (how.get("transient") or {}).get("display_id")
        update = bool(how.get("update"))
        if call is not None and isinstance(data, dict) and call.display(data, name, update):
            return None
        return real(data, metadata, **how)

    return publish


def _clear_for(publisher: Any) -> Callable[..., Any]:
    real = publisher.clear_output

    def clear_output(wait: bool = False) -> Any:
        call = _CALL.get()
        return None if call is not None and call.clear(wait) else real(wait)

    return clear_output


_STREAMS: Final[deque[_Stream]] = deque(maxlen=16)
"""Kept, and used again: CPython's `print` borrows ``sys.stdout``, and crashes where another thread
takes it away meanwhile and nobody else holds it."""

_lock = threading.Lock()
_calls = 0
_publisher: Any = None
_before: dict[str, Any] = {}
"""What somebody else has put in the place of the publisher's methods."""


def _install(shell: Any) -> None:
    global _calls, _publisher
    with _lock:
        _calls += 1
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            # Again with each call: a cell may have put another in its place.
            if stream is not None and not isinstance(stream, _Stream):
                ours = next((one for one in _STREAMS if one._stream is stream), None)
                if ours is None:
                    ours = _Stream(name, stream)
                    _STREAMS.append(ours)
                setattr(sys, name, ours)
        if _publisher is None:
            _publisher = shell.display_pub
            own = {name: vars(_publisher).get(name) for name in ("publish", "clear_output")}
            _before.update({name: method for name, method in own.items() if method is not None})
            _publisher.publish = _publish_for(_publisher)
            _publisher.clear_output = _clear_for(_publisher)


def _uninstall() -> None:
    global _calls, _publisher
    with _lock:
        _calls -= 1
        if _calls:
            return
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if isinstance(stream, _Stream):
                setattr(sys, name, stream._stream)
        del _publisher.publish, _publisher.clear_output
        vars(_publisher).update(_before)
        _before.clear()
        _publisher = None
