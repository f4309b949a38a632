"""`recording`: model calls are recorded the first time, and replayed from then on."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import ContextVar
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from .._utils.keywords import suggesting_init
from ..models.base import Model
from ..run import refusals
from ..run.active_recording import set_here, start_everywhere, stop_everywhere
from ..run.refusals import Refusal, Withheld
from .failures import failure_to_dict
from .pace import Pace, Speed
from .recorded_model import RecordedModel
from .recorder import CALL_CONTEXT, CallContext, Mode, Recorder, check_mode, is_written
from .request_match import to_jsonable
from .run_lines import run_event_to_dict
from .withheld import Hold, without_refused

if TYPE_CHECKING:
    from types import TracebackType

    from ..run.state.run_state import RunState
    from ..trace import Trace

_RUN: ContextVar[Follower | None] = ContextVar("agentstream_followed_run", default=None)

# A model call that is made after one of these is none of the turn that was told before.
_AFTER_A_CALL = frozenset(
    {
        "run_item_stream_event",
        "mark.model_answered",
        "mark.tool_started",
        "mark.run_finished",
        "mark.run_failed",
        "mark.run_cancelled",
    }
)


@suggesting_init
class recording:
    """Record model calls the first time, and replay them afterwards.

    As a context manager it holds for its block and the runs started there; from `start` on it holds
    for all cells of a notebook, until `close`. Before that it does nothing: no file is read or
    made. Tools, handoffs and guardrails run for real.

    Parameters
    ----------
    path : str or path-like
        The recording, a file of JSON lines.
    mode : {"once", "replay", "record", "refresh"}
        ``"once"``: record if there is no such file, else replay. ``"replay"``: never call a model.
        ``"record"``: replay what the file has, record what it does not have. ``"refresh"``: record
        everything again; the old recording is deleted when the first new answer arrives.
    speed : float or "step" or None
        Of a replay: 1 is the recorded pace, 4 four times as fast, 0 or None at once; ``"step"``
        lets an event pass when `step` is called.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    mode : str
        As given.

    Raises
    ------
    RecordingError
        By ``with`` and `start`, if the file cannot be read, or is no recording. A run whose request
        is not in the recording fails with it, too; the message has a diff.

    Examples
    --------
    >>> import tempfile
    >>> from agentstream import Agent, Runner, recording
    >>> from agentstream.testing import ScriptedModel
    >>> path = tempfile.mkdtemp() + "/lisbon.jsonl"
    >>> guide = Agent(name="Guide", model=ScriptedModel(["Take the tram."]))
    >>> with recording(path):
    ...     Runner.run_sync(guide, "How do I get up there?").final_output
    'Take the tram.'
    >>> guide.model = "scripted"  # from now on no key and no server is needed
    >>> with recording(path):
    ...     Runner.run_sync(guide, "How do I get up there?").final_output
    'Take the tram.'
    """

    def __init__(
        self, path: str | os.PathLike[str], mode: Mode = "once", *, speed: Speed = 1.0
    ) -> None:
        check_mode(mode)
        self._path, self._mode, self._pace = Path(path), mode, Pace(speed)
        self._opened: Recorder | None = None
        self._runs: WeakKeyDictionary[Trace, RunLines] = WeakKeyDictionary()
        self._holds: WeakKeyDictionary[Trace, Hold] = WeakKeyDictionary()
        self._here: list[Any] = []
        self._is_everywhere = False

    @property
    def _recorder(self) -> Recorder:
        """What reads and writes the file, opened when it is first needed."""
        if self._opened is None:
            self._opened = Recorder(self._path, self._mode, self._pace)
        return self._opened

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def mode(self) -> Mode:
        """The mode, as given."""
        return self._mode

    @property
    def is_replaying(self) -> bool:
        """Whether no model is called."""
        opened = self._opened
        return not (is_written(self._path, self._mode) if opened is None else opened.writes)

    @property
    def speed(self) -> Speed:
        """The pace of a replay; may be changed at any time."""
        return self._pace.speed

    @speed.setter
    def speed(self, speed: Speed) -> None:
        self._pace.speed = speed

    def step(self, count: int = 1) -> None:
        """Release ``count`` more events of a ``speed="step"`` replay; callable from any thread."""
        self._pace.step(count)

    def start(self) -> recording:
        """Start recording or replaying, for example at the top of a notebook, until `close`.

        Returns
        -------
        recording
            This one.

        Raises
        ------
        RecordingError
            If the file cannot be read, or is no recording.

        Examples
        --------
        >>> import tempfile
        >>> from agentstream import Agent, Runner, recording
        >>> from agentstream.testing import ScriptedModel
        >>> recording_file = recording(tempfile.mkdtemp() + "/lisbon.jsonl").start()
        >>> guide = Agent(name="Guide", model=ScriptedModel(["Take the tram."]))
        >>> Runner.run_sync(guide, "How do I get up there?").final_output
        'Take the tram.'
        >>> recording_file.close()
        """
        if not self._is_everywhere:
            _ = self._recorder  # a file that is no recording is an error here, not in a run
            start_everywhere(self)
            self._is_everywhere = True
        return self

    def close(self) -> None:
        """Stop what `start` started, and close the file."""
        self._leave_everywhere()
        if self._opened is not None:
            self._opened.close()

    def _leave_everywhere(self) -> None:
        if self._is_everywhere:
            self._is_everywhere = False
            stop_everywhere(self)

    def __enter__(self) -> recording:
        _ = self._recorder
        self._leave_everywhere()
        self._here.append(set_here(self))
        return self

    async def __aenter__(self) -> recording:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        set_here(self._here.pop())
        self._recorder.close()

    def __repr__(self) -> str:
        doing = "replaying" if self.is_replaying else "recording"
        if self._opened is None:
            doing = "not started; write `with` before it, or .start() behind it"
        return f"recording({str(self.path)!r}, mode={self.mode!r}): {doing}"

    def wrap(self, model: Any, find: Callable[[], Model]) -> Model:
        """Wrap the model of a run to record or replay it; a `RecordedModel` is returned unchanged.

        Parameters
        ----------
        model : Model or str or None
            The model of the run or the agent.
        find : callable
            Finds it when it is called.
        """
        if isinstance(model, RecordedModel):
            return model
        return RecordedModel.of(self._recorder, model, find)

    def follow(self, state: RunState[Any]) -> None:
        """Record the events of the run of `state`, for `load_run`; called in the run's task."""
        set_here(self)
        refusals.begin(state.context.usage)
        outer = _RUN.get()
        if not self._recorder.writes:
            return
        if outer is not None and outer.is_nested_run(state):
            self._runs[state.trace] = outer.lines
            return
        lines = self._runs.get(state.trace)
        if lines is None:
            lines = self._runs[state.trace] = RunLines(self._recorder)
        follower = Follower(lines, state)
        # A run that goes on after an approval is told by a new one.
        state.observers[:] = [one for one in state.observers if not isinstance(one, Follower)]
        state.observers.append(follower)
        _RUN.set(follower)

    def hold(self, state: RunState[Any]) -> None:
        """Write nothing more: a guardrail may withhold what tools of the run return.

        Parameters
        ----------
        state : RunState
            The run.
        """
        if state.trace in self._runs and state.trace not in self._holds:
            self._holds[state.trace] = self._recorder.hold()

    def release(self, state: RunState[Any]) -> None:
        """Write what was held for the run.

        Parameters
        ----------
        state : RunState
            The run.
        """
        hold = self._holds.pop(state.trace, None)
        if hold is not None:
            self._recorder.release(hold)

    def withheld(self) -> Withheld | None:
        """What stands in the place of the run's own answer, where a replay has come to it."""
        run = refusals.played_run()
        return None if run is None else run.answer

    def refusal(self, call_id: str | None = None) -> Withheld | None:
        """What a guardrail refused of the run when it was recorded: its output, or that of a call.

        Parameters
        ----------
        call_id : str, optional
            The call whose own guardrail it was.
        """
        run = refusals.played_run()
        return None if run is None else run.refused.get(call_id)


class RunLines:
    """The lines of one run; they wait until the recording has something new of it."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._waiting: list[dict[str, Any]] = []
        self._number: int | None = None

    def add(self, line: dict[str, Any]) -> None:
        """Add what the run tells."""
        if self._number is None:
            self._waiting.append(line)
        else:
            self.recorder.write({"run": self._number, **line})

    def call(self, number: int, at: float, path: tuple[str, ...]) -> None:
        """Add a model call that is recorded, and with it all that waits."""
        self.begin()
        self.add(_line(at, path, {"call": number}))

    def replayed(self, number: int, call_context: CallContext) -> None:
        """Add a model call that was recorded earlier."""
        self.add(_line(call_context.now(), call_context.path, {"call": number, "replayed": True}))

    def withhold(self, refusal: Refusal) -> None:
        """Take what a guardrail refuses out of what is not written yet."""
        waiting = [{**line, "run": None} for line in self._waiting]
        left = chain.from_iterable(without_refused(waiting, None, refusal))
        self._waiting = [{k: v for k, v in line.items() if k != "run"} for line in left]
        self.recorder.withhold(self._number, refusal)

    def end(self) -> None:
        """Write a run without model calls, too, if all that happens is recorded."""
        if not self.recorder.replays and self.recorder.writer.begun:
            self.begin()
        if self._number is None:
            self._waiting.clear()

    def begin(self) -> None:
        """Write what waits."""
        if self._number is None:
            self._number = self.recorder.new_run()
            waiting, self._waiting = self._waiting, []
            for line in waiting:
                self.add(line)


class Follower:
    """Observes one run and adds what it tells to its lines."""

    def __init__(self, lines: RunLines, state: RunState[Any]) -> None:
        self.lines = lines
        self._state = state
        self._call_contexts: dict[tuple[str, ...], CallContext] = {}

    def is_nested_run(self, state: RunState[Any]) -> bool:
        """Whether `state` is a run of an agent as a tool, whose events this run tells as its own.

        Such a run counts its tokens in the outer run's usage.
        """
        return state is not self._state and state.context.usage is self._state.context.usage

    def __call__(self, event: Any) -> None:
        """Take in an event or a mark of the run."""
        path: tuple[str, ...] = ()
        while event.type == "mark.nested":
            path, event = path + tuple(event.path), event.event
        if event.type == "raw_response_event":
            return
        fields = run_event_to_dict(event)
        if fields is None:
            return
        if event.type == "mark.model_called":
            # This is the task that makes the call: what it starts finds the call context.
            call_context = CallContext(
                self.lines.recorder, self.lines, self._state.began or 0.0, path
            )
            self._call_contexts[path] = call_context
            CALL_CONTEXT.set(call_context)
        elif event.type == "mark.output_withheld":
            about = (event.message, event.guardrail, event.stage, event.raises)
            self.lines.withhold(Refusal(path, event.call_id, *about))
        elif event.type in _AFTER_A_CALL and path in self._call_contexts:
            self._call_contexts[path].valid = False
        if event.type == "mark.run_finished" and not path:
            fields["final_output"] = to_jsonable(self._state.final_output)
        elif self._state.failure is not None and not path:
            fields["raised"] = failure_to_dict(self._state.failure)
        self.lines.add(_line(self._state.trace.now, path, fields))
        if not path and event.type in (
            "mark.run_finished",
            "mark.run_failed",
            "mark.run_cancelled",
        ):
            self.lines.end()


def _line(at: float, path: tuple[str, ...], fields: dict[str, Any]) -> dict[str, Any]:
    line: dict[str, Any] = {"at": round(at, 6), **fields}
    if path:
        line["path"] = list(path)
    return line
