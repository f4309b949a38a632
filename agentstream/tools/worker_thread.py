"""A tool that is no coroutine: it runs in a thread of its own, and what it yields is its output.

Not in asyncio's thread pool: a thread cannot be cancelled, so a tool that hangs keeps its thread
after its run was stopped. A few of those would fill the pool, and every later tool, of any run,
would wait for ever; and the program could not end, as it waits for the pool. These threads are
daemons, and nobody waits for them.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from typing import Any

from .output import shortened_note


class BoundedOutput:
    """What a generator yields, until it is more than `limit` characters.

    Examples
    --------
    >>> collected = BoundedOutput(None)
    >>> [collected.add(piece) for piece in ("4", "2")]
    [True, True]
    >>> collected.value
    '42'
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._pieces: list[Any] = []
        self._size = 0
        self.is_full = False
        """Whether the generator was stopped."""

    def add(self, piece: Any) -> bool:
        """Add a piece; False when it is enough."""
        self._pieces.append(piece)
        # At least one each, so that a generator of nothings has an end as well.
        self._size += max(len(piece if isinstance(piece, str) else repr(piece)), 1)
        self.is_full = self._limit is not None and self._size > self._limit
        return not self.is_full

    @property
    def value(self) -> Any:
        """Texts as one text, everything else as a list."""
        if not all(isinstance(piece, str) for piece in self._pieces):
            return self._pieces
        text = "".join(self._pieces)
        return text[: self._limit] + shortened_note(self._limit) if self.is_full else text


async def in_thread(
    function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], collected: BoundedOutput
) -> Any:
    """Call `function` in a thread of its own, with this task's context variables.

    Where the function gives a generator, its pieces are the output: read in the thread, taken by
    `collected`, and left when the call is cancelled.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def deliver(value: Any, error: BaseException | None) -> None:
        if answer.done():
            return  # Nobody waits any more.
        if error is None:
            answer.set_result(value)
        else:
            answer.set_exception(error)

    def work() -> None:
        value: Any = None
        error: BaseException | None = None
        try:
            value = function(*args, **kwargs)
            if inspect.isgenerator(value):
                value = _collect(value, collected, answer.cancelled)
        except StopIteration as stop:
            # A future cannot carry it (the call would never return), as in PEP 479.
            error = RuntimeError(f"The tool raised StopIteration({stop.value!r})")
        except BaseException as raised:  # noqa: BLE001 - it is raised in the task that waits
            error = raised
        try:
            loop.call_soon_threadsafe(deliver, value, error)
        except RuntimeError:  # The loop was closed meanwhile.
            return

    name = f"agentstream tool {getattr(function, '__name__', '')}".rstrip()
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name=name, daemon=True).start()
    return await answer


def _collect(pieces: Iterator[Any], collected: BoundedOutput, is_left: Callable[[], bool]) -> Any:
    with closing(pieces):  # type: ignore[type-var]
        for piece in pieces:
            if is_left() or not collected.add(piece):
                break
    return collected.value


async def collect(pieces: AsyncIterator[Any], collected: BoundedOutput) -> Any:
    """Read an async generator until its end, or until it is enough; then close it."""
    async with aclosing(pieces) as open_pieces:  # type: ignore[type-var]
        async for piece in open_pieces:
            if not collected.add(piece):
                break
    return collected.value
