"""`show` in a notebook: a widget that follows the run, and a snapshot of it afterwards."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing
from typing import Any

from .._utils.aio import running_loop_or_none
from .._utils.tracebacks import has_full_traceback
from . import ipython
from .cells import OfCells, is_held, mark_displayed, once_post_execute
from .displayed_run import DisplayedRun, Event, Result
from .front_end import FrontEnd, in_marimo, messages_arrive
from .live.widget import BLOCKED, UNREAD, AgentView
from .marimo import MarimoOutput
from .plain_updates import HtmlUpdates, PlainUpdates, TextUpdates
from .run_adapter import RunAdapter, RunInterrupted
from .snapshot.bundle import snapshot_or_text

# ipywidgets keeps what is open for good, and with it the run and all it holds.
_KEPT_OPEN = 5
_ENDED: deque[RunWidget[Any, Any]] = deque()

_LAST_RAISED: list[Callable[[], None]] = []
"""Forgets what the end of the cell is to do about the last error; it holds the error's run."""

_OF_CELLS: OfCells[RunWidget[Any, Any]] = OfCells()

# Seconds that a front end has to load the view and to answer. In a document it may have to fetch
# the code first, and the widget is there already; in a console nothing is seen until then.
_PATIENCE = {"html": 5.0, "text": 1.0}


_RUNNING = {
    "text/html": "<p><em>The agent is running.</em></p>",
    "text/plain": "The agent is running.",
}
"""What is seen where there are no widgets, until the first snapshot."""


class RunWidget(DisplayedRun[Result, Event], AgentView):
    """A run in the cell: await it, iterate it, or leave it there.

    Parameters
    ----------
    source : RunAdapter
        The run.
    table, timeline : bool
        Whether the run's items and its timeline are shown under the answer.
    starts : bool
        Whether the run was started to be shown here.
    front : FrontEnd, optional
        How it is shown; as a widget where not given.
    """

    def __init__(
        self,
        source: RunAdapter,
        *,
        table: bool = False,
        timeline: bool = False,
        starts: bool = False,
        front: FrontEnd | None = None,
    ) -> None:
        self.source = source
        self._front = front or FrontEnd("widget")
        self._plain: PlainUpdates | None = None
        self._is_read = self._is_raised = False
        self._starts = starts
        self._extras = {"table": table, "timeline": timeline}
        self._cell_output: ipython.CellOutput | MarimoOutput | None = None
        self._ended = False
        source.trace.has_view = True  # what its tools print goes into their cards
        super().__init__(source.trace, on_click=self._on_click, **self._extras)
        self._home_loop = running_loop_or_none()
        if source.is_complete and not source.waits:
            # Nobody will tell of it any more.
            self._ended = True
            self.close_run()
        source.watch(self._changed)
        if self._home_loop is not None:
            source.start()
        for earlier in _OF_CELLS.replace(self):
            earlier._give_way(self)
        if in_marimo():
            self.show()  # marimo: what its last expression is takes the place of it
        ipython.show_in_time(self._show_in_time, self._home_loop)

    # -- in the front end --

    def _ipython_display_(self, **_: Any) -> None:
        """Display the widget, so that it can be replaced by a snapshot afterwards."""
        self.show()

    def show(self) -> None:
        """Display the run here; once it is displayed, nothing happens.

        That it cannot be displayed is logged, and does not fail the run.
        """
        if self._cell_output is not None:
            return
        if not self.source.foreign:
            mark_displayed(self.source.result)
        self._safely(self._display)

    def _safely(self, show: Callable[[], None]) -> None:
        try:
            show()
        except Exception:  # noqa: BLE001 - it is logged
            self._failures.note(type(self))

    def _display(self) -> None:
        self._cell_output = MarimoOutput() if in_marimo() else ipython.CellOutput(uuid.uuid4().hex)
        if self._front.kind != "widget":
            self._show_plainly(self._front.kind)
        elif self._ended and self._front.unanswered != "text":
            self._cell_output.show(self._snapshot_bundle())
            self._retire()
        else:
            self.flush()
            # Where text would follow, it is to be all that is seen.
            self._cell_output.show_widget(
                self, {} if self._front.unanswered == "text" else _RUNNING
            )
            if kind := self._front.unanswered:
                self._look_in(_PATIENCE[kind])

    def _show_plainly(self, kind: str) -> None:
        """Show it without a widget, from now on."""
        if kind == "text":
            self._plain = TextUpdates(self.source.trace, **self._extras)
        else:
            assert self._cell_output is not None
            if self._front.kind == kind:
                self._cell_output.show(self._snapshot_bundle())
            self._plain = HtmlUpdates(self.source.trace, self._replace)
        self._plain.whole_lines = not self._is_read
        if self._ended or self.source.waits:
            self._end_plainly()
        else:
            self._plain.nudge()

    def _end_plainly(self) -> None:
        """Show the end where there is no widget; why it failed, unless that is raised as well."""
        if self._plain is not None:
            self._plain.pause(reason=not self._is_raised)

    async def _on_front_end_known(self) -> None:
        """Wait until it is known whether to write text, which is to stand in its cell."""
        if self._front.unanswered == "text" and self._plain is None:
            await self.wait_for_frontend(_PATIENCE["text"])
            self._safely(self._see_who_answers)

    def _look_in(self, seconds: float) -> None:
        """See who answers after some time, in which the loop can read what a front end says."""
        if (loop := self._home_loop) is None:
            return
        due = loop.time() + seconds

        def look() -> None:
            # Late, the loop was held by something else: an answer may lie there unread.
            if loop.time() - due > BLOCKED:
                self._look_in(UNREAD)
            else:
                self._safely(self._see_who_answers)

        loop.call_later(seconds, look)

    def _see_who_answers(self) -> None:
        """Show the run without a widget if no front end has answered by now."""
        kind = self._front.unanswered
        if kind is None or self._plain is not None or (kind == "html" and self._ended):
            return
        if not self._visibility.is_loaded and (kind == "text" or messages_arrive()):
            if kind == "text":
                self._front.has_no_widgets()
            self._show_plainly(kind)
        elif kind == "text" and self._ended:
            self._replace()

    def _show_in_time(self) -> None:
        if self._cell_output is None and not ipython.is_inside_another(self):
            self.show()

    def _snapshot_bundle(self, *, reason: bool = True) -> dict[str, str]:
        return snapshot_or_text(self.source.trace, **self._extras, reason=reason)

    def _changed(self) -> None:
        """The run has gone on."""
        if self._plain is not None:
            self._plain.nudge()
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
        """The run is over: the snapshot takes the widget's place."""
        if self._ended:
            return
        self._ended = True
        self.source.decisions.set()
        try:
            self.close_run(keep=self._cell_output is None or not self._cell_output.can_replace)
        finally:
            # Also of a run that the live view cannot show: what is saved is made of the run itself.
            self._snapshot()
            if self._cell_output is not None:
                self._retire()

    def _retire(self) -> None:
        """Stay open for a front end that was away when the run ended; close the oldest of those."""
        if self not in _ENDED:
            _ENDED.append(self)
        if len(_ENDED) > _KEPT_OPEN:
            oldest = _ENDED.popleft()
            oldest.layout.close()
            oldest.close()

    def _snapshot(self) -> None:
        """Put the snapshot in the widget's place; a run that goes on is told there, too."""
        if self._plain is not None:
            if not self._is_read:  # else its error may be raised where it is read
                self._end_plainly()
        elif self._front.unanswered != "text" or self._visibility.is_loaded:
            self._replace()

    def _replace(self) -> None:
        if self._cell_output is not None:
            output = self._cell_output
            self._safely(lambda: output.replace(self._snapshot_bundle()))

    def _report_once(self, error: Exception) -> None:
        """Leave the message to the traceback, where IPython shows one below the run."""

        def report() -> None:
            here, is_text = self._cell_output, isinstance(self._plain, TextUpdates)
            if is_text or not isinstance(here, ipython.CellOutput) or not here.is_of_this_cell:
                return
            if has_full_traceback(error):
                self._safely(lambda: here.replace(self._snapshot_bundle(reason=False)))

        # A cell ends with one error at most, the last; those before were caught, and are let go.
        while _LAST_RAISED:
            _LAST_RAISED.pop()()
        _LAST_RAISED.append(once_post_execute(report))

    # -- what is pressed --

    def _on_click(self, kind: str, approval_id: str | None, reason: str | None = None) -> None:
        ipython.call_on(self._home_loop, lambda: self._handle(kind, approval_id, reason))

    def _handle(self, kind: str, approval_id: str | None, reason: str | None) -> None:
        if kind == "stop":
            self._stop()
        elif self.source.waits and self.source.handle_click(kind, approval_id, reason):
            self.source.decisions.set()

    def _stop(self) -> None:
        """Stop the run, also where it waits and nothing else will tell of its end."""
        waited = self.source.waits
        self.source.cancel()
        if waited:
            self._end()
        self.source.decisions.set()

    def _give_way(self, newer: RunWidget[Any, Any]) -> None:
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

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._guarded(read=True)

    async def _guarded(self, *, read: bool) -> AsyncIterator[Event]:
        """The run's events, none where nobody reads them; its end is shown whatever it is."""
        __tracebackhide__ = True
        self._is_read = True
        self.show()
        try:
            # Closed with this, not when Python gets to it: leaving early stops the run.
            async with aclosing(self.source.over_pauses(self._can_decide, read=read)) as events:
                async for event in events:
                    yield event
            await self._on_front_end_known()
        except Exception as error:
            self._is_raised = True
            self._report_once(error)
            await self._on_front_end_known()
            raise
        except (asyncio.CancelledError, KeyboardInterrupt):
            if self.source.waits:
                self.source.cancel()
            await self.source.closed()
            self._end()
            raise RunInterrupted from None
        finally:
            self._is_read = False
            if self.source.is_complete and not self.source.waits:
                self._end()
                self._end_plainly()

    async def _can_decide(self) -> bool:
        """Whether a person can; else the run is shown as it stands."""
        has_buttons = await self._has_buttons()
        if not has_buttons:
            self._snapshot()
            self._end_plainly()
        return has_buttons

    async def _has_buttons(self) -> bool:
        """Whether a front end shows the run as a widget: what stands in its place has no buttons.

        A front end may ask for the widget, and be heard, after something else was put there.
        """
        if self._plain is not None:
            return False
        loading = _PATIENCE["html"] if self._front.unanswered == "html" else 2.0
        return await self.wait_for_frontend(loading) and self._plain is None

    def __iter__(self) -> Iterator[Event]:
        self._is_read = True
        self.show()
        try:
            yield from self.source.events_now()
        except KeyboardInterrupt:
            raise RunInterrupted from None
        except Exception as error:
            self._is_raised = True
            self._report_once(error)
            raise
        finally:
            self._is_read = False
            self._end()
            self._end_plainly()

    __repr__ = DisplayedRun.__repr__  # not the widget's
