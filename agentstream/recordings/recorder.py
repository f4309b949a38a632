"""One recording in use: finds recorded calls by their request, and writes new ones."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from .._utils.keywords import suggest
from ..exceptions import RecordingError, UserError
from ..items import ModelResponse
from ..run.refusals import Refusal
from .event_lines import (
    ENDS,
    DeltaCoalescer,
    compress_response,
    model_event_to_dict,
    response_to_dict,
)
from .failures import failure_from_dict, failure_to_dict, says_nothing_of_the_request
from .file_format import RecordedCall, RecordingFile, Writer, read_recording, refuse_special
from .images import thumbnail_url, without_embedded
from .masking import Masker, secrets_now
from .pace import Pace
from .request_match import RequestDict, difference, digest, similarity
from .withheld import HeldLines, Hold

logger = logging.getLogger("agentstream")

Mode: TypeAlias = Literal["once", "replay", "record", "refresh"]


@dataclass
class CallContext:
    """Which run the next model call belongs to, and when that run began on the monotonic clock."""

    recorder: Recorder
    lines: Any
    began: float
    path: tuple[str, ...] = ()
    valid: bool = True

    def now(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.began


CALL_CONTEXT: ContextVar[CallContext | None] = ContextVar("agentstream_recorded_run", default=None)


def check_mode(mode: str) -> None:
    """Refuse a mode that there is not."""
    if mode not in get_args(Mode):
        raise UserError(
            f"mode must be 'once' (record if there is no file, else replay), 'replay' (never call "
            f"a model), 'record' (replay what there is, record the rest) or 'refresh' (record all "
            f"anew), got {mode!r}.{suggest(str(mode), get_args(Mode))}"
        )


def has_calls(path: Path) -> bool:
    """Whether there is a file with something in it."""
    return path.is_file() and path.stat().st_size > 0


def is_written(path: Path, mode: Mode) -> bool:
    """Whether a recording in this mode makes and records calls that are not in its file."""
    return mode in ("record", "refresh") or (mode == "once" and not has_calls(path))


class Recorder:
    """A recording in use.

    Parameters
    ----------
    path : str or path-like
        The file.
    mode : {"once", "replay", "record", "refresh"}
        See `agentstream.recording`.
    pace : Pace, optional
        That of a replay; as recorded by default.
    """

    def __init__(
        self, path: str | os.PathLike[str], mode: Mode = "once", pace: Pace | None = None
    ) -> None:
        check_mode(mode)
        self.path = Path(path)
        refuse_special(self.path)
        self.mode: Mode = mode
        self.pace = pace or Pace()
        there = has_calls(self.path)
        from_start = mode == "refresh" or not there
        self.file = (
            RecordingFile(self.path)
            if from_start and mode != "replay"
            else read_recording(self.path)
        )
        self.writes = is_written(self.path, mode)
        """Whether calls that are not in the file are made and recorded."""
        self.replays = not (self.writes and from_start)
        """Whether there are calls to replay."""
        damage = None
        if self.writes and self.file.damage is not None:
            if not self.file.damage_is_last:
                raise RecordingError(
                    f"The recording cannot be added to: {self.file.damage}. Repair the line, or "
                    f"record all again with recording({str(path)!r}, mode='refresh')."
                )
            damage = self.file.whole_bytes
        self.writer = Writer(self.path, from_start=from_start, whole_bytes=damage)
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._has_failed = False
        self._replaces = from_start and there
        self._waiting: list[dict[str, Any]] | None = []
        """Lines of calls that failed before anything was recorded; None from then on."""
        self._held = HeldLines()
        self._takes: dict[str, list[RecordedCall]] = defaultdict(list)
        self._usable: dict[str, list[RecordedCall]] = {}
        """Of those, by digest, what is played."""
        if self.replays:
            for call in self.file.calls.values():
                self._takes[call.digest].append(call)
        self._played: dict[str, int] = defaultdict(int)

    def find(self, request: RequestDict) -> RecordedCall | None:
        """The recorded call of this request: the next of equal ones, in order of recording.

        Where nothing is recorded, the first comes after the last, so that a cell can be run again.
        A call that failed is played where none of its request was answered later. None where the
        request is to be made and recorded.

        Raises
        ------
        RecordingError
            If it is not in the recording, and nothing is recorded.
        """
        key = digest(request)
        with self._lock:
            takes = self._takes.get(key, [])
            usable = self._usable_takes(key, takes)
            count = self._played[key]
            if usable and (count < len(usable) or not self.writes):
                self._played[key] += 1
                return usable[count % len(usable)]
            if self.writes:
                return None
            if takes:
                return takes[0]
        raise self._missing(request)

    def _usable_takes(self, key: str, takes: list[RecordedCall]) -> list[RecordedCall]:
        if key not in self._usable:
            answered = [call for call in takes if call.is_answered]
            usable = answered if self.writes else _final(takes)
            # Equal requests may have been made in a run of which nothing was refused.
            self._usable[key] = [call for call in usable if call.withheld is None] or usable
        return self._usable[key]

    def _missing(self, request: RequestDict) -> RecordingError:
        again = (
            f"To record again, with a key: recording({str(self.path)!r}, mode='refresh') asks "
            "everything anew, mode='record' keeps what is there and asks for what is missing."
        )
        if self.file.damage is not None:
            again = f"The file is damaged: {self.file.damage}. {again}"
        calls = list(self.file.calls.values())
        if not calls:
            return RecordingError(f"The recording {str(self.path)!r} has no model call. {again}")
        # Of those that are equally like it, the one that would have come next.
        nearest = max(
            calls,
            key=lambda call: (
                similarity(call.request, request),
                not self._played.get(call.digest),
                -call.number,
            ),
        )
        diff = difference(nearest.request, request, f"recorded, call {nearest.number}")
        hint = ""
        if "call_output" in diff:
            hint = (
                "Tools run for real in a replay, too: one whose output changes changes what the "
                "model is asked next. "
            )
        return RecordingError(
            f"This request is not in the recording {str(self.path)!r}; the most similar one is "
            f"call {nearest.number} (line {nearest.line}):\n\n{diff}\n\n{hint}{again}",
            diff=diff,
        )

    @contextmanager
    def reading(self, call: RecordedCall) -> Iterator[None]:
        """Tell which call it was that could not be read."""
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RecordingError(
                f"Call {call.number} of the recording {str(self.path)!r} (line {call.line}) cannot "
                f"be read ({type(error).__name__}: {error}): a line was changed, or was written by "
                "another version of agentstream. Record it again with mode='refresh'."
            ) from error

    def failure(self, call: RecordedCall) -> Exception:
        """The error that a call came to whose answer was not recorded to its end."""
        if call.raised is not None:
            with self.reading(call):
                error = failure_from_dict(call.raised)
            error.add_note(
                f"This error was recorded: call {call.number} of {str(self.path)!r} (line "
                f"{call.line}). To ask again, with a key: recording({str(self.path)!r}, "
                "mode='record')."
            )
            return error
        why = call.error or self.file.damage or "the recording ends in it"
        return RecordingError(
            f"Call {call.number} of the recording {str(self.path)!r} (line {call.line}) has no "
            f"end: {why}. To record it again, with a key: recording({str(self.path)!r}, "
            "mode='record')."
        )

    def begin(self, request: RequestDict) -> CallWriter:
        """Begin to record a call; nothing is written before something has arrived.

        Raises
        ------
        RecordingError
            If this process was forked from the one that records: the calls would be mixed up.
        """
        if os.getpid() != self._process:
            raise RecordingError(
                f"The recording {str(self.path)!r} is written by the process that this one was "
                "forked from. Give each process a recording of its own, such as "
                "recording(f'run-{os.getpid()}.jsonl')."
            )
        return CallWriter(self, request)

    def open_call(
        self, request: RequestDict, at: float | None, call_context: CallContext | None
    ) -> int:
        """Write that a call has begun; its number."""
        with self._lock:
            number = self.file.last_call + 1
            key = digest(request)
            line = self.file.request_line(number, request, key)
            self.file.add_call(RecordedCall(number, request, key))
        if call_context is not None and at is not None:
            call_context.lines.call(number, at, call_context.path)
        self.write(line)
        return number

    def call_context(self) -> CallContext | None:
        """The run that the call to be made belongs to, where this recording has that run."""
        call_context = CALL_CONTEXT.get()
        mine = call_context is not None and call_context.valid and call_context.recorder is self
        return call_context if mine else None

    def new_run(self) -> int:
        """The number of another run of the file."""
        with self._lock:
            number = self.file.last_run + 1
            self.file.add_run(number)
        return number

    def write(self, line: dict[str, Any]) -> None:
        """Append a line to the file; from any thread.

        Once the disk fails, nothing more is written: a run is worth more than its recording.

        Raises
        ------
        RecordingError
            If the file cannot be begun.
        """
        with self._lock:
            if self._held:
                self._held.add(line)
            else:
                self._pass(line)

    def _pass(self, line: dict[str, Any]) -> None:
        if self._waiting is not None:
            self._waiting.append(line)
        else:
            self._append(line)

    def hold(self) -> Hold:
        """Let all lines that come from now on wait, until `release`."""
        with self._lock:
            return self._held.hold()

    def release(self, hold: Hold) -> None:
        """Write the lines that waited for nothing else."""
        with self._lock:
            for line in self._held.release(hold):
                self._pass(line)

    def withhold(self, run: int | None, refusal: Refusal) -> None:
        """Take what a guardrail refuses out of the lines that are held."""
        with self._lock:
            self._held.withhold(run, refusal)

    def keep(self, failure: Exception | None = None) -> None:
        """Write from now on what is recorded: an answer has come, or an error that is one.

        A wrong key or a missing connection makes no recording, and replaces none.
        """
        with self._lock:
            if self._waiting is None or (
                failure is not None and (self._replaces or says_nothing_of_the_request(failure))
            ):
                return
            waiting, self._waiting = self._waiting, None
            for line in waiting:
                self._append(line)

    def _append(self, line: dict[str, Any]) -> None:
        if self._has_failed:
            return
        try:
            if "run" in line:
                line = self._with_thumbnails(line)
            self.writer.write(line)
        except OSError as error:
            self._has_failed = True
            logger.warning(
                "The recording %r is incomplete: it could not be written any further (%s). "
                "What was recorded before is whole, and the run goes on without. Make room, "
                "then run it again with recording(%r, mode='record') to record the rest.",
                str(self.path), error.strerror or error, str(self.path),
            )  # fmt: skip

    def _with_thumbnails(self, line: dict[str, Any]) -> dict[str, Any]:
        """The line with digests of its images, which are written once before it, or small."""
        urls: dict[str, str] = {}
        line = without_embedded(line, urls)
        for key, url in urls.items():
            small = None if key in self.file.images else thumbnail_url(url)
            if small is not None:
                self.file.images[key] = small
                self.writer.write({"picture": key, "url": small})
        return line

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.writer.close()


class CallWriter:
    """Writes one model call as it streams."""

    def __init__(self, recorder: Recorder, request: RequestDict) -> None:
        self._recorder = recorder
        self._request = request
        self._began = time.monotonic()
        self._masker = Masker(lambda: secrets_now(recorder.writer.secrets))
        self._coalescer = DeltaCoalescer()
        self._number: int | None = None
        self._ended = False
        self._first: dict[str, Any] | None = None
        self._call_context = recorder.call_context()

    def _write(self, line: dict[str, Any], failure: Exception | None = None) -> None:
        self._recorder.keep(failure)
        if self._number is None:
            at = None if self._call_context is None else self._began - self._call_context.began
            self._number = self._recorder.open_call(self._request, at, self._call_context)
        self._recorder.write({"call": self._number, **line})

    def event(self, event: Any) -> None:
        """Record an event that has arrived just now."""
        data = model_event_to_dict(event)
        self._ended = self._ended or data["type"] in ENDS
        if isinstance(data.get("response"), dict):
            if self._first is None:
                self._first = data["response"]
            else:
                data = compress_response(data, self._first)
        for at, masked in self._masker.add(time.monotonic() - self._began, data):
            self._join(at, masked)

    def _join(self, at: float, data: dict[str, Any]) -> None:
        for line in self._coalescer.add(at, data):
            self._write(line)

    def answer(self, answer: ModelResponse) -> None:
        """Record an answer in one piece that has arrived just now."""
        at = round(time.monotonic() - self._began, 6)
        self._write({"at": at, "answer": response_to_dict(answer)})

    def close(self, error: BaseException | None) -> None:
        """Write what is left, and how the call ended if it ended early."""
        for at, masked in self._masker.rest():
            self._join(at, masked)
        for line in self._coalescer.rest():
            self._write(line)
        at = round(time.monotonic() - self._began, 6)
        if isinstance(error, Exception):
            # One that the program is to be blamed for, before anything came, is no answer.
            if self._number is not None or not isinstance(error, UserError):
                message = f"{type(error).__name__}: {error}"
                line = {"at": at, "error": message, "raised": failure_to_dict(error)}
                self._write(line, error)
        elif not self._ended and self._number is not None:
            message = (
                "it was stopped" if error is not None else "its stream ended without an answer"
            )
            self._write({"at": at, "error": message})


def _final(takes: list[RecordedCall]) -> list[RecordedCall]:
    """The calls of one request that a replay plays: those answered, and failures after them."""
    last = max((at for at, call in enumerate(takes) if call.is_answered), default=-1)
    return [
        call
        for at, call in enumerate(takes)
        if call.is_answered or (at > last and (call.is_whole or call.raised is not None))
    ]
