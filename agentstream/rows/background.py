"""What goes on in a task of its own, can be awaited, and shows its bar in the cell."""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from typing import ClassVar, Generic, NoReturn, TypeVar

from .._utils.aio import running_loop_or_none
from .._utils.keywords import Suggesting
from ..exceptions import UserError
from ..run.sync import run_until_done

__all__ = ["Background", "Frame"]

Frame = TypeVar("Frame")
"""What a frame of outputs is: of the library whose frame was given."""

_going_on: set[asyncio.Task[None]] = set()
"""Held: an event loop holds its tasks weakly."""


class Background(Suggesting, ABC, Generic[Frame]):
    """Base of `FrameRun` and `Comparison`: how they begin, are awaited, and end."""

    _task: asyncio.Task[None] | None = None
    _task_name: ClassVar[str]
    _display: Callable[[], None] | None = None
    """Shows the bar in the cell, in a notebook."""

    @property
    @abstractmethod
    def frame(self) -> Frame:
        """The frame of what there is."""

    @property
    @abstractmethod
    def error(self) -> Exception | None:
        """What ended it early; None where nothing did."""

    @abstractmethod
    def stop(self) -> None:
        """Start no further row, stop the active ones, and keep what is done."""

    @abstractmethod
    async def _main(self) -> None: ...

    def __await__(self) -> Generator[object, None, Frame]:
        return self._wait().__await__()

    def wait(self) -> Frame:
        """Wait for the end, where nothing can be awaited; the frame of outputs.

        Raises
        ------
        RowError
            As ``await run``.
        """
        return run_until_done(self._wait())

    @property
    def is_complete(self) -> bool:
        """Whether nothing goes on."""
        return self._task is not None and self._task.done()

    def start(self) -> None:
        """Begin, if a loop is running and it has not begun yet."""
        loop = running_loop_or_none()
        if self._task is None and loop is not None:
            self._task = loop.create_task(self._main(), name=self._task_name)
            _going_on.add(self._task)
            self._task.add_done_callback(_going_on.discard)

    async def _wait(self) -> Frame:
        self.start()
        assert self._task is not None
        try:
            await asyncio.shield(self._task)
        except asyncio.CancelledError:
            # The cell was interrupted, or what waits here was cancelled.
            self.stop()
            await asyncio.wait([self._task])
            raise
        self._raise()
        # A frame of many rows takes a while, which others on this loop need not wait for.
        return await asyncio.to_thread(lambda: self.frame)

    def _raise(self) -> None:
        if self.error is not None:
            raise self.error

    def _refuse_while_asking(self, what: str) -> None:
        if self._task is not None and not self._task.done():
            raise UserError(f"The rows are still being asked: {what}.")

    def __getitem__(self, key: object) -> NoReturn:
        """Refuse to be read as the frame it makes.

        Raises
        ------
        UserError
            Says where the frame is.
        """
        raise UserError(f"{self._where_the_frame_is()} Write (await run)[{key!r}].")

    def _hint(self, name: str) -> str:
        import pandas as pd

        if hasattr(pd.DataFrame, name):
            return f" {self._where_the_frame_is()}"
        return super()._hint(name)

    def _where_the_frame_is(self) -> str:
        return (
            f"A {type(self).__name__} goes on in the background: `await run` is the frame, and "
            "run.frame what there is of it now."
        )

    def _ipython_display_(self) -> None:
        if self._display is None:
            sys.stdout.write(f"{self!r}\n")
        else:
            self._display()
