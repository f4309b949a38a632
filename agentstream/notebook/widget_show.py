"""`show` in a notebook: a widget that follows the run, and a still picture of it afterwards."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections import deque
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

from ..together import loop_here
from . import place
from .cells import OfCells, is_held, remember_shown
from .shown import Result, Shown
from .snapshot import snapshot_or_text
from .source import Bell, RunInterrupted, Source
from .view import AgentView

# ipywidgets keeps what is open for good, and with it the run and all it holds.
_KEPT_OPEN = 5
_ENDED: deque[ShownWidget[Any]] = deque()

_OF_CELLS: OfCells[ShownWidget[Any]] = OfCells()


class ShownWidget(Shown[Result], AgentView):
    """A run in the cell: await it, iterate it, or leave it there.

    Parameters
    ----------
    source : Source
        The run.
    table, timeline : bool
        Whether the run's items and its timeline are shown under the answer.
    starts : bool
        Whether the run was started to be shown here.
    """

    def __init__(
        self,
        source: Source,
        *,
        table: bool = False,
        timeline: bool = False,
        starts: bool = False,
    ) -> None:
        self.source = source
        self._starts = starts
        self._extras = {"table": table, "timeline": timeline}
        self._place: place.Place | None = None
        self._ended = False
        self._decisions = Bell()
        source.trace.shown = True  # what its tools print goes into their cards
        super().__init__(source.trace, on_press=self._press, **self._extras)
        self._home = loop_here()
        if source.is_complete and not source.waits:
            # Nobody will tell of it any more.
            self._ended = True
            self.close_run()
        source.watch(self._changed)
        if self._home is not None:
            source.start()
        for earlier in _OF_CELLS.replace(self):
            earlier._give_way(self)
        place.show_in_time(self._show_in_time, self._home)

    # -- on the page --

    def _ipython_display_(self, **_: Any) -> None:
        """Display the widget, so that it can be replaced by a still picture afterwards."""
        self.show()

    def show(self) -> None:
        """Display the run here; once it is displayed, nothing happens."""
        if self._place is not None:
            return
        self._place = place.Place(uuid.uuid4().hex)
        if not self.source.foreign:
            remember_shown(self.source.result)
        if self._ended:
            self._place.show(self._still())
            self._retire()
            return
        self.flush()
        data, metadata = self.bundle()
        self._place.show(data, metadata=metadata)

    def _show_in_time(self) -> None:
        if self._place is None and not place.is_inside_another(self):
            self.show()

    def _still(self) -> dict[str, str]:
        return snapshot_or_text(self.source.trace, **self._extras)

    def _changed(self) -> None:
        """The run has gone on."""
        if self.is_due and not self._ended and self.source.trace.status == "running":
            return  # a frame will tell, as for nearly all events
        if not self.source.is_complete:
            self._ended = False
            self.nudge()
        elif self.source.waits:
            self.flush()
        else:
            self._end()

    def _end(self) -> None:
        """The run is over: the still picture takes the widget's place."""
        if self._ended:
            return
        self._ended = True
        self._decisions.ring()
        try:
            self.close_run(keep=self._place is None)
        finally:
            # Also of a run that the live view cannot show: what is saved is made of the run itself.
            self._picture()
            if self._place is not None:
                self._retire()

    def _retire(self) -> None:
        """Stay open for a page that was away when the run ended; the oldest of those is closed."""
        if self not in _ENDED:
            _ENDED.append(self)
        if len(_ENDED) > _KEPT_OPEN:
            oldest = _ENDED.popleft()
            oldest.layout.close()
            oldest.close()

    def _picture(self) -> None:
        """Put the still picture in the widget's place; a run that goes on is told there, too."""
        if self._place is not None:
            self._place.replace(self._still())

    # -- what is pressed --

    def _press(self, kind: str, approval_id: str | None, reason: str | None = None) -> None:
        place.call_on(self._home, lambda: self._obey(kind, approval_id, reason))

    def _obey(self, kind: str, approval_id: str | None, reason: str | None) -> None:
        if kind == "stop":
            self._stop()
        elif self.source.waits and self.source.press(kind, approval_id, reason):
            self._decisions.ring()

    def _stop(self) -> None:
        """Stop the run, also where it waits and nothing else will tell of its end."""
        waited = self.source.waits
        self.source.cancel()
        if waited:
            self._end()
        self._decisions.ring()

    def _give_way(self, newer: ShownWidget[Any]) -> None:
        """The cell is executed again: a run that nobody sees or holds any more is stopped."""
        result = self.source.result
        is_over = self.source.is_complete or result is newer.source.result
        if is_over or not (self._starts or not is_held(result)):
            return
        self.source.cancel()
        sys.stdout.write(
            "The earlier run of this cell was still going on. It has been stopped; to keep it, "
            "hold its result: result = Runner.run_streamed(...), then show(result).\n"
        )

    # -- in the program --

    def __await__(self) -> Generator[Any, None, Result]:
        return self._watched().__await__()

    async def _watched(self) -> Result:
        __tracebackhide__ = True  # IPython leaves such frames out
        async for _ in self._guarded(read=False):
            pass
        return self.result

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._guarded(read=True)

    async def _guarded(self, *, read: bool) -> AsyncIterator[Any]:
        """The run's events, none where nobody reads them; its end is shown whatever it is."""
        __tracebackhide__ = True
        self.show()
        try:
            async for event in self._events(read=read):
                yield event
        except (asyncio.CancelledError, KeyboardInterrupt):
            if self.source.waits:
                self.source.cancel()
            await self.source.closed()
            self._end()
            raise RunInterrupted from None
        finally:
            if self.source.is_complete and not self.source.waits:
                self._end()

    async def _events(self, *, read: bool) -> AsyncIterator[Any]:
        """The run's events, over the pauses for approvals that a person on the page can give."""
        again = False
        while True:
            # Before anything is awaited: a press may come before the pause is known here.
            decided = self._decisions.listen()
            if read:
                async for event in self.source.events(again=again):
                    yield event
            else:
                await self.source.ended()
            again = True
            if decided.is_set():
                continue
            if not self.source.waits:
                return
            if not await self.somebody_is_there():
                self._picture()
                return
            await self._decisions.wait(decided)

    def __iter__(self) -> Iterator[Any]:
        self.show()
        try:
            yield from self.source.events_now()
        except KeyboardInterrupt:
            raise RunInterrupted from None
        finally:
            self._end()

    __repr__ = Shown.__repr__  # not the widget's
