"""`load_run`: a recorded run as a result, to be read as data or played as it happened."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import EllipsisType
from typing import Any

from .._utils.keywords import suggesting
from ..agent import Agent
from ..exceptions import AgentsException, RecordingError
from ..run.options import LoopOptions
from ..run.result_base import RunResultBase
from ..run.state.run_state import RunState
from ..run.streamed_result import RunResultStreaming
from ..run_context import RunContextWrapper
from ..stream_events import RawResponsesStreamEvent, StreamEvent
from ..trace.lifecycle import Nested, RunCancelled, RunFailed
from .event_lines import answer_of, model_event_from_dict, response_from_dict
from .failures import failure_from_dict
from .file_format import RecordedCall, RecordingFile, read_recording
from .images import with_images
from .pace import Pace, Speed
from .run_lines import AgentRegistry, run_event_from_dict

_ENDS = ("mark.run_finished", "mark.run_failed", "mark.run_cancelled")
_STREAM = ("raw_response_event", "run_item_stream_event", "agent_updated_stream_event")

# The wait for a person's decision is not played: one second stands for it.
_PAUSE = 1.0

Timed = tuple[float, Any]


@suggesting
def load_run(path: str | os.PathLike[str], run: int = -1, *, speed: Speed = 1.0) -> RecordedRun:
    """Load a recorded run as a result, for `show`, `to_frame` and `timeline`.

    Parameters
    ----------
    path : str or path-like
        A file that ``recording(path)`` has written.
    run : int
        Which run of the file, as an index: 0 is the first, -1 the last.
    speed : float or "step" or None
        The pace of `stream_events` and `show`: 1 as it happened, 4 four times as fast, None at
        once, ``"step"`` by `RecordedRun.step`.

    Returns
    -------
    RecordedRun
        The run. If the file is cut off, it has the complete part, and `run_loop_exception` names
        the line.

    Raises
    ------
    RecordingError
        If the file cannot be read, is no recording, or has no such run.

    Examples
    --------
    >>> import tempfile
    >>> from agentstream import Agent, Runner, load_run, recording
    >>> from agentstream.testing import ScriptedModel
    >>> path = tempfile.mkdtemp() + "/lisbon.jsonl"
    >>> guide = Agent(name="Guide", model=ScriptedModel(["Take the tram."]))
    >>> with recording(path):
    ...     result = Runner.run_sync(guide, "How do I get up there?")
    >>> load_run(path).to_frame()["text"].to_list()
    ['Take the tram.']
    """
    file = read_recording(Path(path))
    numbers = sorted(file.runs)
    if not numbers:
        damage = f" The file is damaged: {file.damage}." if file.damage else ""
        raise RecordingError(
            f"{str(path)!r} has {len(file.calls)} model calls and no run.{damage} Record runs with "
            f"`with recording({str(path)!r}):`; a RecordedModel records its calls only."
        )
    try:
        number = numbers[run]
    except IndexError:
        raise RecordingError(
            f"{str(path)!r} has {len(numbers)} runs; there is no load_run(path, {run})."
        ) from None
    return RecordedRun(file, number, speed)


class RecordedRun(RunResultBase):
    """A recorded run; see `load_run`.

    It has what a run's result has. `stream_events`, `show` and a plain ``for`` play it, each from
    its beginning.
    """

    def __init__(self, file: RecordingFile, number: int, speed: Speed = 1.0) -> None:
        self._recording_file = file
        self._number = number
        self._pace = Pace(speed)
        with _reading(file, number):
            self._script = _read(file, number)
            self.run_loop_exception = _ending(file, number, self._script.ended)
            state = _state(self._script)
            super().__init__(state)
            for at, event in self._script.events:
                _take(state, self._script, event, at)
            if not self._script.ended:
                state.trace.add(RunFailed(f"RecordingError: {self.run_loop_exception}"), 0.0)

    @property
    def path(self) -> Path:
        """The recording."""
        return self._recording_file.path

    @property
    def is_complete(self) -> bool:
        """True: what is recorded has happened."""
        return True

    @suggesting
    def play(self, speed: Speed | EllipsisType = ...) -> Playback:
        """Play the run from its beginning.

        Parameters
        ----------
        speed : float or "step" or None
            As for `load_run`; the default is the speed passed there.
        """
        pace = self._pace if speed is ... else Pace(speed)
        with _reading(self._recording_file, self._number):
            script = _read(self._recording_file, self._number)
        return Playback(script, pace, self.run_loop_exception)

    def stream_events(self) -> AsyncIterator[StreamEvent]:
        """The run's events in their order, at the chosen pace."""
        return self.play().stream_events()

    def step(self, count: int = 1) -> None:
        """Release `count` more events, with ``speed="step"``; callable from any thread."""
        self._pace.step(count)

    def cancel(self) -> None:
        """Do nothing: a playback stops when you leave its loop."""

    def __iter__(self) -> Iterator[StreamEvent]:
        return iter(self.play())

    def _ipython_display_(self) -> None:
        """Left as a cell's last expression, it plays itself."""
        from ..notebook.show import show_result

        show_result(self.play())

    def _display_(self) -> Any:
        """What marimo shows of it as a cell's last expression."""
        from ..notebook.show import marimo_display

        return marimo_display(self)

    def __repr__(self) -> str:
        trace = self.trace
        return (
            f"RecordedRun({str(self.path)!r}, {trace.status}, {trace.now:.1f} s, "
            f"{len(trace.turns)} turns, {len(self.new_items)} items)"
        )


class Playback(RunResultStreaming):
    """A recorded run that is played: a run that goes on, like any other."""

    def __init__(self, script: Script, pace: Pace, error: Exception | None) -> None:
        self._script = script
        self._pace = pace
        self._ending = error
        super().__init__(_state(script), LoopOptions(recording=None))

    def step(self, count: int = 1) -> None:
        """Release `count` more events, with ``speed="step"``; callable from any thread."""
        self._pace.step(count)

    async def _work(self) -> None:
        began, late, last = asyncio.get_running_loop().time(), 0.0, 0.0
        paused = False
        state = self._state
        try:
            for at, event in self._script.events:
                if paused and at - last > _PAUSE:
                    late += at - last - _PAUSE
                await self._pace.wait(at - late, began)
                last, paused = at, event.type in _ENDS
                _take(state, self._script, event, at)
                state.observers.notify_all((event,))
                if event.type in _STREAM:
                    self._observe([event])
        except asyncio.CancelledError:
            state.observe(RunCancelled())
            raise
        if not self._script.ended:
            state.trace.add(RunFailed(f"RecordingError: {self._ending}"), state.trace.now)
        if self._ending is not None:
            raise self._ending

    def __repr__(self) -> str:
        return f"Playback({self._script.agent.name!r}, {self.trace.status}, {self.trace.now:.1f} s)"


def _state(script: Script) -> RunState[Any]:
    return RunState(RunContextWrapper(None), script.input, script.agent, None)


class Script:
    """The events of a recorded run with their times, and what they come to."""

    def __init__(self) -> None:
        self.events: list[Timed] = []
        self.answers: dict[int, Any] = {}
        """The answer that is whole with an event, by the event's id."""
        self.in_one_piece: dict[str | None, deque[Any]] = defaultdict(deque)
        """The answers that came without events, by their response's id."""
        self.agent = Agent[Any](name="recorded")
        self.input: Any = ""
        self.final_output: Any = None
        self.ended = False
        self.failure: str | None = None


@contextmanager
def _reading(file: RecordingFile, number: int) -> Iterator[None]:
    """Say which run it was that could not be read.

    Raises
    ------
    RecordingError
        If a line of it says what no recording of this version says.
    """
    try:
        yield
    # What a changed line brings about has no end of kinds: it goes through all that folds a run.
    except Exception as error:
        raise RecordingError(
            f"Run {number} of the recording {str(file.path)!r} cannot be read "
            f"({type(error).__name__}: {error}): a line was changed, or was written by another "
            "version of agentstream. Take the file from where it was whole, or record it again "
            "with mode='refresh'."
        ) from error


def _read(file: RecordingFile, number: int) -> Script:
    script, registry = Script(), AgentRegistry()
    began = False
    for line in file.runs[number]:
        at, path = float(line["at"]), tuple(line.get("path", ()))
        if "call" in line:
            call = file.calls.get(line["call"])
            if call is not None:
                if not began and not script.input:
                    script.input = call.request.get("input", "")
                began = True
                script.events += _events_of(call, at, path, script, line.get("replayed", False))
            continue
        expanded = with_images(line, file.images) if file.images else line
        event = run_event_from_dict(expanded, registry)
        if not path:
            _note(script, line, event, registry)
        script.events.append((at, Nested(path, event) if path else event))
    # Calls at the same time write between each other; sorted() keeps the order of equal times.
    script.events.sort(key=lambda timed: timed[0])
    return script


def _note(script: Script, line: dict[str, Any], event: Any, registry: AgentRegistry) -> None:
    if event.type == "mark.run_started":
        script.agent = registry[event.agent] if event.agent else script.agent
        script.ended, script.failure = False, None
        script.input = script.input or event.input or ""
    elif event.type in _ENDS:
        script.ended = True
        script.final_output = line.get("final_output")
        script.failure = getattr(event, "error", None)


def _events_of(
    call: RecordedCall, began: float, path: tuple[str, ...], script: Script, replayed: bool
) -> Iterator[Timed]:
    """The events of a call in its run; of one that was replayed there, at once."""
    events = [(0.0 if replayed else at, data) for at, data in call.events()]
    event: Any = None
    for at, data in events:
        event = RawResponsesStreamEvent(model_event_from_dict(data))
        yield round(began + at, 6), Nested(path, event) if path else event
    if path or not call.is_whole:
        return
    if event is not None and event.data.type == "response.completed":
        script.answers[id(event)] = answer_of([data for _, data in events])
    elif call.answer is not None:
        whole = response_from_dict(call.answer)
        script.in_one_piece[whole.response_id].append(whole)


def _take(state: RunState[Any], script: Script, event: Any, at: float) -> None:
    """Fold an event into the state, as the run itself had it then."""
    state.trace.add(event, at)
    answer = script.answers.get(id(event))
    if event.type == "agent_updated_stream_event":
        state.agent = event.new_agent
    elif event.type == "run_item_stream_event":
        state.new_items.append(event.item)
        state.model_items.append(event.item)
    elif event.type == "mark.model_called":
        state.turn += 1
    elif event.type == "mark.model_answered":
        waiting = script.in_one_piece[event.response_id]
        answer = waiting.popleft() if waiting else None
    elif event.type == "mark.run_finished":
        state.final_output = script.final_output
    if answer is not None:
        state.responses.append(answer)
        state.context.usage.add(answer.usage)


def _ending(file: RecordingFile, number: int, ended: bool) -> Exception | None:
    """The error that a recorded run ends with: its own, or that the recording ends before it."""
    if not ended:
        where = file.damage or f"{str(file.path)!r} ends after line {file.lines}"
        return RecordingError(
            f"The recording of this run has no end: {where}. What is whole is in the result; to "
            "record it again, run its cell with a key and mode='refresh'."
        )
    for line in reversed(file.runs[number]):
        event = line.get("mark", {})
        if event.get("type") in _ENDS and "error" in event and not line.get("path"):
            return _failure(event["error"], line.get("raised", {}))
    return None


def _failure(message: str, raised: dict[str, Any]) -> Exception:
    """What the run failed with; of a class that is not known here, what was told of it."""
    error: Exception = AgentsException(f"The recorded run failed: {message}")
    if "type" in raised and "name" not in raised:
        error = failure_from_dict(raised)
        error.add_note("The recorded run failed with this.")
    return error
