"""What a streamed run gives: its events while it goes on, then all that a result has."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from .._utils.aio import running_loop_or_none
from .._utils.event_buffer import EventBuffer
from .._utils.tracebacks import attach_short_traceback
from ..exceptions import UserError, check_choice
from ..stream_events import StreamEvent
from ..trace.lifecycle import RunCancelled, RunClosed
from .event_stream import EventStream
from .interrupts import RunAborted
from .loop import drive
from .options import LoopOptions
from .result_base import RunResultBase, described
from .state.run_state import RunState
from .sync import run_until_done, running_loop

if TYPE_CHECKING:
    from ..agent import Agent

logger = logging.getLogger("agentstream")

T = TypeVar("T")

# How long `async with` waits for a cancelled run to close its connection and its tools, in seconds.
_CLOSING_TIME = 5.0

_RUNNING: dict[asyncio.Task[None], RunResultStreaming] = {}


def running() -> list[RunResultStreaming]:
    """The runs that go on, the oldest first; those of agents that run as tools are not counted."""
    return [each for each in list(_RUNNING.values()) if not each._options.nested]


class RunResultStreaming(RunResultBase):
    """A run in the background, whose events you can read.

    Iterate `stream_events()` with ``async for``; leaving that loop early stops the run, and
    ``async with`` does so for certain. A plain ``for event in result`` works, too, in a notebook
    cell as in a script.

    Made by `Runner.run_streamed`; arguments are as for `Runner.run_streamed`.

    Attributes
    ----------
    is_complete : bool
        Whether the run has ended: finished, failed, interrupted for approvals or cancelled.
    started : float
        When it began, by `time.monotonic`; 0 before that.

    Examples
    --------
    It comes from `Runner.run_streamed`:

    >>> from agentstream import Agent, Runner
    >>> from agentstream.testing import ScriptedModel
    >>> guide = Agent(name="Guide", model=ScriptedModel(["Good morning."]))
    >>> result = Runner.run_streamed(guide, "Hello")
    >>> [event.name for event in result if event.type == "run_item_stream_event"]
    ['message_output_created']
    >>> result.final_output
    'Good morning.'
    """

    def __init__(self, state: RunState[Any], options: LoopOptions) -> None:
        super().__init__(state)
        self._options = options
        self._events: EventBuffer[StreamEvent] = EventBuffer()
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._error: BaseException | None = None
        self._error_raised = False
        self._cancelled = False
        self._unread = False
        self.started = 0.0
        running = running_loop_or_none()
        if running is not None:
            self._start(running)
        # Else the first reader starts the run.

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._task is not None:
            if self._loop is not loop and not self._task.done():
                if self._is_lost:
                    raise UserError(
                        "The event loop of this run was closed before the run had ended. What "
                        "arrived is in new_items and trace; to ask again, start another run. "
                        "asyncio.run(...) ends what goes on before it closes a loop."
                    )
                raise UserError(
                    "This run was started in another event loop (in another thread, or before "
                    "another asyncio.run); read its events there, or start it here."
                )
        elif not self._cancelled:
            self._loop = loop
            self._task = loop.create_task(self._pump(), name="agentstream run")
            # The event loop knows its tasks only weakly; a run goes on when its result is dropped.
            _RUNNING[self._task] = self
            self.started = time.monotonic()
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        _RUNNING.pop(task, None)
        if not task.cancelled():
            task.exception()  # Known by now: asyncio need not warn that nobody asked for it.
        else:
            # Before its first step, so that the loop could not tell.
            self._state.observe(RunCancelled())
            self._events.wake()
            self._emit_closed()

    async def _work(self) -> None:
        """Do what the run is; a recorded one is played instead."""
        await drive(self._state, self._options, self._observe)

    async def _pump(self) -> None:
        try:
            await self._work()
        except asyncio.CancelledError:
            self._cancelled = True
        except RunAborted as aborted:
            self._cancelled = isinstance(aborted.error, asyncio.CancelledError)
            self._error = None if self._cancelled else aborted.error
        except BaseException as error:
            if self._loop is not None and self._loop.is_closed():
                return  # Python throws away what was going on there.
            self._error = error
            raise  # for those who await the task
        finally:
            self._events.wake()
            # Once more when the task counts as done, for those who look at `is_complete`.
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon(self._emit_closed)

    def _observe(self, events: Iterable[StreamEvent]) -> None:
        if self._cancelled or self._unread:
            return
        self._events.put(events)

    def _emit_closed(self) -> None:
        if not self._options.nested:  # the outer run goes on
            self._state.observers.notify_all((RunClosed(),))

    def observe(self, observer: Callable[[Any], None]) -> None:
        """Call `observer` with each further event and lifecycle event of the run.

        It takes no events from the readers of `stream_events()`; what happened is in `trace`.

        Parameters
        ----------
        observer : callable
            Takes a stream event or one of `agentstream.trace.lifecycle`, `RunClosed` at the end;
            called on the run's loop; it must not block. What it raises is logged once, and does not
            fail the run.

        Examples
        --------
        >>> from agentstream import Agent, Runner
        >>> from agentstream.testing import ScriptedModel
        >>> guide = Agent(name="Guide", model=ScriptedModel(["Good morning."]))
        >>> result = Runner.run_streamed(guide, "Hello")
        >>> kinds = []
        >>> result.observe(lambda event: kinds.append(type(event).__name__))
        >>> for event in result:
        ...     pass
        >>> kinds[0], "RunFinished" in kinds
        ('RunStarted', True)
        """
        self._state.observers.append(observer)

    def resume(self) -> RunResultStreaming:
        """Resume a run that waits for approvals, in the same result.

        Decide first, with ``result.context_wrapper.approve_tool(...)`` or ``.reject_tool(...)``;
        what is not decided waits again. May be called from any thread.

        Returns
        -------
        RunResultStreaming
            This result; read its further events from `stream_events()`.

        Raises
        ------
        UserError
            If the run goes on or does not wait for anything.

        Examples
        --------
        >>> from agentstream import Agent, Runner, function_tool
        >>> from agentstream.testing import ScriptedModel, call
        >>> @function_tool(needs_approval=True)
        ... def book(nights: int) -> str:
        ...     return "booked"
        >>> model = ScriptedModel([call("book", nights=2), "Your room is booked."])
        >>> result = Runner.run_streamed(Agent(name="Desk", tools=[book], model=model), "A room")
        >>> for event in result:
        ...     pass
        >>> result.context_wrapper.approve_tool(result.interruptions[0])
        >>> for event in result.resume():
        ...     pass
        >>> result.final_output
        'Your room is booked.'
        """
        if not self.is_complete or not self.interruptions:
            raise UserError("resume() is for a run that has ended with interruptions.")
        self._state.interruptions = []
        self._task, self._cancelled = None, False
        self._options.stop_after_turn = False
        loop = self._loop
        if loop is None or loop.is_closed() or running_loop_or_none() is loop:
            running = running_loop_or_none()
            if running is not None:
                self._start(running)
        else:
            loop.call_soon_threadsafe(self._start, loop)
        return self

    @property
    def _is_lost(self) -> bool:
        """Whether the event loop was closed under the run, which can neither go on nor end."""
        task, loop = self._task, self._loop
        if task is None or task.done() or loop is None or not loop.is_closed():
            return False
        if _RUNNING.pop(task, None) is not None:
            self._state.trace.add(RunCancelled("its event loop was closed"), self.trace.now)
        return True

    @property
    def current_agent(self) -> Agent[Any]:
        """The agent at work."""
        return self._state.agent

    @property
    def current_turn(self) -> int:
        """The number of the turn, from 1."""
        return self._state.turn

    @property
    def is_complete(self) -> bool:
        """Whether the run has ended."""
        if self._cancelled or (self._task is not None and self._task.done()):
            return True
        return self._is_lost

    @property
    def run_loop_task(self) -> asyncio.Task[None] | None:
        """The task that runs the agent."""
        return self._task

    @property
    def run_loop_exception(self) -> BaseException | None:
        """The error that ended the run; None without one."""
        return self._error

    def stream_events(self) -> AsyncIterator[StreamEvent]:
        """The run's events in order, including those that have already arrived.

        Leaving the loop early (``break``, an error, a cancelled task) stops the run.

        Raises
        ------
        AgentsException
            The run failed; raised after the events before the failure.

        Examples
        --------
        >>> import asyncio
        >>> from agentstream import Agent, Runner
        >>> from agentstream.testing import ScriptedModel
        >>> guide = Agent(name="Guide", model=ScriptedModel(["Good morning."]))
        >>> async def main():
        ...     async for event in Runner.run_streamed(guide, "Hello").stream_events():
        ...         if event.type == "raw_response_event" and hasattr(event.data, "delta"):
        ...             print(repr(event.data.delta))
        >>> asyncio.run(main())
        'Good'
        ' morning'
        '.'
        """
        return EventStream(self)

    async def wait(self) -> None:
        """Wait until the run has ended, and discard its further events.

        Its connection is closed then, and its tools have ended. Of a run that was stopped, it waits
        at most 5 seconds for that, so that a tool that ignores its cancellation holds nobody.
        Cancelling the task that waits stops the run.

        Raises
        ------
        AgentsException
            What the run failed with.

        Examples
        --------
        >>> import asyncio
        >>> from agentstream import Agent, Runner
        >>> from agentstream.testing import ScriptedModel
        >>> async def main():
        ...     guide = Agent(name="Guide", model=ScriptedModel(["Good morning."]))
        ...     result = Runner.run_streamed(guide, "Hello")
        ...     await result.wait()
        ...     return result.final_output
        >>> asyncio.run(main())
        'Good morning.'
        """
        if not self._cancelled:
            self._unread = True
            self._events.clear()
            try:
                with suppress(StopAsyncIteration):
                    await self._available()
            finally:
                self._unread = False
        await self._closed()

    async def _available(self) -> None:
        """Wait until an event waits; StopAsyncIteration at the end, or the run's error."""
        self._start(running_loop())
        while not self._events:
            if self.is_complete:
                if self._error is not None:
                    self._error_raised = True
                    attach_short_traceback(self._error)
                    raise self._error
                raise StopAsyncIteration
            try:
                await self._events.changed()
            except asyncio.CancelledError:
                # Whoever waited for the run was cancelled; in a notebook, the cell was interrupted.
                self.cancel()
                raise

    def cancel(self, mode: Literal["immediate", "after_turn"] = "immediate") -> None:
        """Stop the run and keep what has arrived. Can be called from any thread.

        Parameters
        ----------
        mode : {"immediate", "after_turn"}
            `"immediate"` closes the connection, cancels running tools and drops waiting events.
            `"after_turn"` stops after this turn's tools have run and the session is saved.

        Raises
        ------
        UserError
            There is no such mode.

        Examples
        --------
        >>> from agentstream import Agent, Runner
        >>> from agentstream.testing import Pace, ScriptedModel
        >>> model = ScriptedModel(["word " * 100], pace=Pace(1000, 0))
        >>> result = Runner.run_streamed(Agent(name="Guide", model=model), "Hello")
        >>> for event in result:
        ...     if event.type == "raw_response_event" and hasattr(event.data, "delta"):
        ...         result.cancel()
        >>> result.trace.status
        'cancelled'
        """
        check_choice("cancel(mode=...)", mode, ("immediate", "after_turn"))
        self._options.stop_after_turn = True
        if mode == "after_turn" or self.is_complete:
            return
        self._cancelled = True
        self._events.clear()
        if self._task is None:
            self._state.observe(RunCancelled())
            return
        if self._loop is None or self._loop.is_closed():
            return
        if running_loop_or_none() is self._loop:
            self._stop()
        else:
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._events.wake()

    async def _closed(self) -> None:
        """Wait until a stopped run has closed its connection and ended its tools."""
        if self._task is not None and self._task is not asyncio.current_task():
            await asyncio.wait([self._task], timeout=_CLOSING_TIME)

    def __await__(self) -> NoReturn:
        """Say what to write: a run is started at once, and read while it goes on.

        Raises
        ------
        UserError
            Always.
        """
        raise UserError(
            "Runner.run_streamed(...) is not awaited, it gives its result at once: write "
            "`async for event in result.stream_events()` to read it, `await show(result)` to watch "
            "it, `await result.wait()` to wait for its end; or `await Runner.run(...)` instead."
        )

    async def __aenter__(self) -> RunResultStreaming:
        self._start(running_loop())
        return self

    async def __aexit__(self, *error: object) -> None:
        self.cancel()
        await self._closed()

    def __iter__(self) -> Iterator[StreamEvent]:
        """The run's events without async; leaving the loop early stops the run."""

        async def close() -> None:
            self.cancel()
            await self._closed()

        try:
            while True:
                if not self._events:
                    try:
                        # The loop is driven only when nothing waits: a nested run has its price.
                        run_until_done(self._available())
                    except StopAsyncIteration:
                        return
                yield self._events.popleft()
        finally:
            if self._task is not None and not self._task.done():
                run_until_done(close())

    def __del__(self) -> None:
        if self._error is not None and not self._error_raised:
            error = self._error
            what = f"{type(error).__name__}: {error}"
            logger.error("A run failed and nobody read its error: %s", what)
            logger.debug("Where it failed:", exc_info=error)

    def _ipython_display_(self) -> None:
        """Left as a cell's last expression, a run shows itself."""
        from ..notebook.show import show_result

        show_result(self)

    def _display_(self) -> Any:
        """What marimo shows of it as a cell's last expression."""
        from ..notebook.show import marimo_display

        return marimo_display(self)

    def __repr__(self) -> str:
        return described(self, "RunResultStreaming")
