"""`show`: watch a run in the cell. To an agent run what tqdm is to a loop.

The same object can be awaited, iterated with and without async, left as a cell's last expression,
and put among other widgets. In a notebook it is a widget (`show_widget`), else it writes to the
terminal.
"""

from __future__ import annotations

import atexit
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload
from weakref import WeakKeyDictionary, WeakSet, ref

from .._run_starter import run_starter
from .._utils.keywords import check_keywords, named_keywords
from .._utils.tracebacks import attach_short_traceback
from .._utils.watchers import log_failure
from ..exceptions import UserError, check_choice
from .cells import is_displayed_here as is_displayed_here
from .cells import mark_displayed
from .displayed_run import DisplayedRun, Event, Result
from .front_end import front_end
from .front_end import in_a_notebook as in_a_notebook
from .run_adapter import RunAdapter
from .terminal import TerminalView

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..agent import Agent
    from ..run.options import RunOptions
    from ..run.result import RunResult
    from ..run.state.run_state import RunState
    from ..run.streamed_result import RunResultStreaming
    from ..run_context import TContext
    from ..stream_events import StreamEvent

    OwnRun = TypeVar("OwnRun", RunResult, RunResultStreaming)


class _AnyRun(Protocol):
    """A run of agentstream or of the SDK, streamed or not."""

    @property
    def final_output(self) -> Any: ...

    @property
    def new_items(self) -> Sequence[Any]: ...


ForeignRun = TypeVar("ForeignRun", bound=_AnyRun)


class Recorded(Protocol):
    """A recorded run: data, and what can be played as it happened."""

    def play(self) -> RunResultStreaming:
        """Play it from its beginning."""


@overload
def show(
    run: Agent[TContext],
    input: str | list[Any] | RunState[TContext],
    *,
    table: bool = False,
    timeline: bool = False,
    **options: Unpack[RunOptions[TContext]],
) -> DisplayedRun[RunResultStreaming, StreamEvent]: ...


@overload
def show(
    run: Recorded, *, table: bool = False, timeline: bool = False
) -> DisplayedRun[RunResultStreaming, StreamEvent]: ...


@overload
def show(
    run: OwnRun, *, table: bool = False, timeline: bool = False
) -> DisplayedRun[OwnRun, StreamEvent]: ...


@overload
def show(
    run: ForeignRun, *, table: bool = False, timeline: bool = False
) -> DisplayedRun[ForeignRun, Any]: ...


def show(
    run: Any, input: Any = None, *, table: bool = False, timeline: bool = False, **options: Any
) -> DisplayedRun[Any, Any]:
    """Watch a run in the cell while it runs.

    Parameters
    ----------
    run : RunResultStreaming or RunResult or Agent
        A run of agentstream or of the OpenAI Agents SDK, or an agent to run with `input`. A
        finished run (`Runner.run`) is shown in its final state.
    input : str or list or RunState, optional
        The question, if `run` is an agent: a text, or a list of texts, figures, images, frames and
        files (`pathlib.Path`), which are shown above the answer, or any other input of
        `Runner.run`.
    table : bool
        Whether to show a table of the run's items below the answer. A long run shows the newest;
        ``result.to_frame()`` has all.
    timeline : bool
        Whether to show the timeline of the run below the answer, as ``result.timeline()`` does.
    **options
        As in `Runner.run_streamed`, if `run` is an agent.

    Returns
    -------
    object
        ``await`` it to watch until the run is done; it returns the result. Iterate over it, with
        ``async for`` or ``for``, to watch and handle each event. In a notebook it is a widget, too.

    Raises
    ------
    UserError
        If `run` is neither a run nor an agent with an input.

    Examples
    --------
    >>> from agentstream import Agent
    >>> from agentstream.testing import ScriptedModel
    >>> agent = Agent(name="Poet", model=ScriptedModel(["Rain on the roof."]))
    >>> for event in show(agent, "A line, please"):
    ...     pass
    > A line, please
    Poet
    Rain on the roof.
    """
    check_choice("show(table=...)", table, (True, False))
    check_choice("show(timeline=...)", timeline, (True, False))
    started = _started(run, input, options)
    source: RunAdapter = RunAdapter(started)
    front = front_end()
    if in_a_notebook() or front.kind != "text":
        try:
            from .show_widget import RunWidget

            starts = started is not run
            return RunWidget(source, table=table, timeline=timeline, starts=starts, front=front)
        except Exception:  # noqa: BLE001 - it is logged: the run has begun, and is shown as text
            log_failure(show)
    return TerminalRun(source, table=table, timeline=timeline)


def _started(run: Any, input: Any, options: dict[str, Any]) -> Any:
    check_options("show", options, "table", "timeline")
    if hasattr(run, "stream_events"):
        if input is not None or options:
            raise UserError(
                "show(result) takes no input and no options: this run has been started already. "
                "Write show(agent, input, ...) to start another."
            )
        # A recorded run is data; what is watched is its playing.
        play = getattr(run, "play", None)
        return run if play is None else play()
    if hasattr(run, "new_items") and input is None and not options:
        return run  # of Runner.run: it has ended
    if not hasattr(run, "get_system_prompt"):
        raise UserError(
            f"show() watches a run or an agent, not {type(run).__name__}: write "
            "show(Runner.run_streamed(agent, 'Hello')) or show(agent, 'Hello')."
        )
    if input is None:
        raise UserError("show(agent, ...) needs an input: what shall the agent be asked?")
    return run_starter().run_streamed(run, input, **options)


def check_options(callee: str, options: Mapping[str, Any], *own: str) -> None:
    """Refuse an option that neither `callee` takes nor a run.

    Raises
    ------
    TypeError
        With the name that is near.
    """
    if options:
        try:
            check_keywords(callee, options, [*own, *named_keywords(run_starter().run_streamed)])
        except TypeError as error:
            attach_short_traceback(error)
            raise


def show_result(result: Any) -> None:
    """Show a result that is a cell's last expression, unless the cell shows its run already."""
    if not is_displayed_here(result):
        show(result)._ipython_display_()


def marimo_display(run: Any) -> Any:
    """What marimo shows of a run, or of a recording, that is a cell's last expression."""
    view = show(run)
    if isinstance(view, TerminalRun):
        return repr(run)
    from .snapshot.bundle import Snapshot  # it loads what Markdown needs

    # What stays as it is needs no widget, and is there without a kernel.
    return view if not view.source.is_complete else Snapshot(view.trace)


def result_bundle(result: Any) -> dict[str, str]:
    """The snapshot of a run that has ended, for a result that is a cell's last expression."""
    from .snapshot.bundle import snapshot

    return snapshot(result.trace)


_UNCLOSED: WeakSet[TerminalRun[Any, Any]] = WeakSet()

_NEWEST: WeakKeyDictionary[Any, ref[TerminalRun[Any, Any]]] = WeakKeyDictionary()
"""What writes a run, by its result."""


@atexit.register
def _close_all() -> None:
    """End the line that a run was writing when the program ended."""
    for view in list(_UNCLOSED):
        view._close()


class TerminalRun(DisplayedRun[Result, Event]):
    """A run written to the terminal as it goes on."""

    def __init__(self, source: RunAdapter, *, table: bool = False, timeline: bool = False) -> None:
        self.source = source
        self._extras = {"table": table, "timeline": timeline}
        self._view = TerminalView(source.trace, whole_lines=True)  # until it is read
        self._closed = self._is_read = False
        if not source.foreign:
            mark_displayed(source.result)
            _NEWEST[source.result] = ref(self)
        source.watch(self._changed)
        _UNCLOSED.add(self)

    def _changed(self) -> None:
        """The run has gone on; nobody may be there to read its end."""
        newest = None if self.source.foreign else _NEWEST.get(self.source.result)
        if newest is not None and newest() is not self:
            return  # it is shown again, further down, and was resumed there
        if self.source.is_complete:
            if not self._is_read:
                self._close()
        else:
            self._closed = False
            self._view.update()

    def __await__(self) -> Generator[Any, None, Result]:
        return self._watched().__await__()

    async def _watched(self) -> Result:
        with self._reading():
            await self.source.ended()
        return self.result

    async def __aiter__(self) -> AsyncIterator[Event]:
        with self._reading():
            async with aclosing(self.source.events()) as events:
                async for event in events:
                    yield event

    def __iter__(self) -> Iterator[Event]:
        with self._reading():
            yield from self.source.events_now()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """The run is read: its end is written, and its error raised."""
        self._is_read, is_raised = True, False
        self._view.whole_lines = False
        if not self.source.foreign:
            mark_displayed(self.source.result)
        try:
            yield
        except Exception:
            is_raised = True
            raise
        finally:
            self._is_read = False
            self._close(reason=not is_raised)

    def _close(self, *, reason: bool = True) -> None:
        """Write the end; table and timeline once, as nothing that was written can be redrawn."""
        if self._closed:
            return
        self._closed = True
        _UNCLOSED.discard(self)
        self._view.close(reason=reason)
        from .live.panels import panels_text

        self._view.add(panels_text(self.trace, **self._extras))

    def _ipython_display_(self) -> None:
        """In a terminal there is no background: it watches until the run is done."""
        for _ in self:
            pass
