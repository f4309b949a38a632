"""What is shown: a run of agentstream, or of the OpenAI Agents SDK, by the shape of its events."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any

from .._approvals import approval_id
from .._utils.event_buffer import EventBuffer
from .._utils.tracebacks import attach_short_traceback
from .._utils.watchers import Watchers
from ..exceptions import UserError
from ..items import ToolApprovalItem
from ..trace import Trace
from ..trace.from_result import as_trace
from ..trace.lifecycle import RunCancelled, RunFailed, RunFinished

_CLOSING_TIME = 5.0  # seconds, as for runs of our own
_TICK = 0.2  # seconds


class RunInterrupted(Exception):
    """The cell was interrupted while it watched a run; shown as one line, not as a traceback."""

    def __init__(self) -> None:
        super().__init__("The run was stopped: the cell was interrupted. What arrived is kept.")

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class Decisions:
    """Tells those who listen that somebody has decided, also before they wait for it."""

    def __init__(self) -> None:
        self._event: asyncio.Event | None = None

    def listen(self) -> asyncio.Event:
        """What is set at the next decision."""
        if self._event is None:
            self._event = asyncio.Event()
        return self._event

    @staticmethod
    async def wait(event: asyncio.Event) -> None:
        """Wait until what `listen` gave is set; a kernel's interrupt cancels the wait.

        An interrupt is a signal, and an event loop that sleeps notices it when it wakes.
        """
        while not event.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), _TICK)

    def set(self) -> bool:
        """Tell all who listen; whether there was anybody."""
        event, self._event = self._event, None
        if event is not None:
            event.set()
        return event is not None


class RunAdapter:
    """A run that is watched.

    Runs of agentstream fold their own trace and tell their watchers; of others the events are read
    here, by one task, folded, and kept for whoever iterates: two readers of such a run would share
    its events between them.

    Attributes
    ----------
    result
        The same.
    trace : Trace
        The run as data.
    decisions : Decisions
        To be set when a person has decided on the calls that the run waited for, or stopped it.
    """

    def __init__(self, result: Any) -> None:
        self.result = result
        self.decisions = Decisions()
        own = getattr(result, "trace", None)
        self.has_ended = not hasattr(result, "stream_events")  # of Runner.run, or the SDK's
        self.foreign = not isinstance(own, Trace)
        self.trace: Trace = as_trace(result) if self.has_ended or not self.foreign else Trace()
        self._watchers = Watchers()
        self._reading: asyncio.Task[None] | None = None
        self._unread: EventBuffer[Any] = EventBuffer()
        self._keeps_events = True
        self._error: Exception | None = None
        self._done = False

    @property
    def is_complete(self) -> bool:
        """Whether the run has ended, and all of it has been folded."""
        if self.has_ended:
            return True
        if self.foreign:
            return self._done
        task = self.result.run_loop_task
        # A cancelled run counts as complete at once; it has ended when its task has.
        return bool(self.result.is_complete) and (task is None or task.done())

    @property
    def waits(self) -> bool:
        """Whether the run has paused for approvals that can be given here."""
        if not self.is_complete or self.trace.status == "cancelled":
            return False
        return self.can_resume and bool(self.result.interruptions)

    @property
    def can_resume(self) -> bool:
        """Whether a decision can be told to the run."""
        return hasattr(self.result, "resume")

    def watch(self, watcher: Callable[[], None]) -> None:
        """Have `watcher` called whenever the run has gone on."""
        if self.has_ended:
            return
        if self.foreign:
            self._watchers.append(watcher)
        else:
            self.result.observe(lambda event: watcher())

    def start(self) -> None:
        """See to it that the run is followed although nobody reads its events."""
        if self.foreign and not self.has_ended and self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read(), name="show")

    async def _read(self) -> None:
        """Read a run that is not ours to its end; what it failed with is kept for its readers."""
        began = time.monotonic()
        try:
            async for event in self.result.stream_events():
                self.trace.add(event, time.monotonic() - began)
                if self._keeps_events:
                    self._unread.put((event,))
                self._watchers.notify()
            if self.trace.status == "running":
                self.trace.add(RunFinished(), time.monotonic() - began)
        except Exception as error:  # noqa: BLE001 - it is raised where the events are read
            self._error = error
            self.trace.add(RunFailed(f"{type(error).__name__}: {error}"), time.monotonic() - began)
        finally:
            self._done = True
            self._unread.wake()
            self._watchers.notify()

    async def events(self, *, again: bool = False) -> AsyncGenerator[Any, None]:
        """The run's events; leaving early stops the run.

        Read `again`, after a pause perhaps, it is no mistake that there are none to come.
        """
        if self.has_ended:
            return
        if not self.foreign:
            async with aclosing(self.result.stream_events()) as events:
                if again and events.is_late:
                    return
                async for event in events:
                    yield event
                # Stopped from elsewhere, the events end at once, and the run a moment later.
                await self.closed()
            return
        self.start()
        try:
            while self._unread or not self._done:
                if self._unread:
                    yield self._unread.popleft()
                else:
                    await self._unread.changed()
        except (asyncio.CancelledError, GeneratorExit):
            self.cancel()
            raise
        if self._error is not None:
            attach_short_traceback(self._error)
            raise self._error

    async def over_pauses(
        self, can_decide: Callable[[], Awaitable[bool]], *, read: bool = False
    ) -> AsyncGenerator[Any, None]:
        """Follow the run to its end, over the pauses for approvals that a person can give.

        Its events are yielded where they are `read`. Where nobody `can_decide`, it ends at a pause.
        """
        again = False
        while True:
            # Before anything is awaited: a decision may come before the pause is known here.
            decided = self.decisions.listen()
            if read:
                async with aclosing(self.events(again=again)) as events:
                    async for event in events:
                        yield event
            else:
                await self.ended()
            again = True
            if decided.is_set():
                continue
            if not self.waits or not await can_decide():
                return
            await self.decisions.wait(decided)

    async def ended(self) -> None:
        """Wait until the run has ended; cheaper than reading events that nobody wants."""
        if self.has_ended:
            return
        if not self.foreign:
            await self.result.wait()
            return
        self._keeps_events = False
        self._unread.clear()
        async for _ in self.events():
            pass

    def events_now(self) -> Iterator[Any]:
        """The run's events without async.

        Raises
        ------
        UserError
            If the run is not one of agentstream, whose loop cannot be driven from here.
        """
        if self.has_ended:
            return iter(())
        if self.foreign:
            raise UserError(
                "A run of the OpenAI Agents SDK cannot be iterated without async: write "
                "`async for event in show(result)` or `await show(result)`."
            )
        return iter(self.result)

    async def closed(self) -> None:
        """Wait until a stopped run has closed what it held."""
        if not self.has_ended:
            task = self._reading if self.foreign else self.result.run_loop_task
            if task is not None and task is not asyncio.current_task():
                await asyncio.wait([task], timeout=_CLOSING_TIME)

    def cancel(self) -> None:
        """Stop the run, also one that waits for approvals; what arrived stays."""
        if self.has_ended:
            return
        waited = self.waits
        self.result.cancel()
        if waited or (self.foreign and self.trace.status == "running"):
            self.trace.add(RunCancelled(), self.trace.now)

    def decide(
        self,
        calls: Sequence[ToolApprovalItem],
        approve: bool,
        *,
        always: bool = False,
        reason: str | None = None,
    ) -> bool:
        """Approve or reject calls that wait; the run goes on when none is left.

        `always` holds for later calls of their tools, too; the model gets the `reason`.
        """
        context = self.result.context_wrapper
        for item in calls:
            if approve:
                context.approve_tool(item, always_approve=always)
            else:
                context.reject_tool(item, always_reject=always, rejection_message=reason)
        if self.undecided():
            return False
        self.result.resume()
        return True

    def handle_click(self, kind: str, id: str | None, reason: str | None = None) -> bool:
        """Decide on the call that a button stands at; whether the run goes on.

        A call whose `approval_id` is not waiting any more is decided on already. The model gets the
        `reason` of a rejection.
        """
        calls = [item for item in self.undecided() if approval_id(item) == id]
        if not calls:
            return False
        return self.decide(calls, kind != "reject", always=kind == "always", reason=reason)

    def undecided(self) -> list[ToolApprovalItem]:
        """The calls that wait and that nobody has decided on."""
        status = self.result.context_wrapper.get_approval_status
        return [
            item
            for item in self.result.interruptions
            if status(item.name, item.call_id, existing_pending=item) is None
        ]
