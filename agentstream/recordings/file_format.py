"""The file of a recording: JSON lines, one event a line, read as far as they are whole.

| line                                                     | what it tells                         |
|----------------------------------------------------------|---------------------------------------|
| `{"agentstream": "recording", "version": 1}`             | the first line                        |
| `{"call": 1, "digest": ..., "request": {...}}`           | a model call begins                   |
| `{"call": 2, "like": 1, "keep": 3, "request": ...}`      | the same, told by what differs        |
| `{"call": 1, "at": 0.2, "type": ..., ...}`               | an event of its stream                |
| `{"call": 1, ..., "response_again": true}`               | its response as in the first, but for |
|                                                          | the fields that it has                |
| `{"call": 1, "at": 0.9, "answer": {...}}`                | its answer in one piece               |
| `{"call": 1, ..., "withheld": {...}}`                    | a guardrail refused what the message  |
|                                                          | in `answer` stands for                |
| `{"call": 1, "at": 0.5, "error": ..., "raised": {...}}`  | it ended early, with this error       |
| `{"run": 1, "at": 0.1, "call": 1}`                       | a run makes the call                  |
| `{"run": 1, "at": 0.7, "item"/"agent"/"mark": ...}`      | what a run tells beside its calls     |
| `{"picture": "9f86...", "url": "data:image/png;..."}`    | a picture, or its thumbnail, by the   |
|                                                          | digest that other lines have of it    |

Times are in seconds since the start of the call or the run; ``pieces`` of a joined text are
(characters, microseconds since the piece before).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._utils.json import read_json
from ..exceptions import RecordingError
from ..run.refusals import Withheld, withheld_from
from .event_lines import ENDS, expand_response, separated
from .images import without_embedded
from .masking import masked_line, secrets_now
from .request_match import RequestDict, common_start, digest

VERSION = 1
# Of what one agent asks, turn by turn, this stays.
_SETTING = ("instructions", "tools")
_MOST_INPUT = 10_000_000  # entries of all requests: 4,000 calls of one conversation
_LONGEST = 1e9  # seconds: no run takes thirty years
_HEADER = {"agentstream": "recording", "version": VERSION}


@dataclass
class RecordedCall:
    """One model call of a recording.

    Attributes
    ----------
    number : int
        From 1, in the order in which the calls began.
    request : dict
        What was asked.
    digest : str
        The request's digest.
    line : int
        Where it begins in the file.
    """

    number: int
    request: RequestDict
    digest: str
    line: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)
    answer: dict[str, Any] | None = None
    seconds: float = 0.0
    error: str | None = None
    raised: dict[str, Any] | None = None
    first_response: dict[str, Any] | None = None
    withheld: Withheld | None = None
    """Says that the answer is a message in the place of the one that a guardrail refused."""

    def take(self, line: dict[str, Any]) -> None:
        """Take in a line of the call."""
        self.seconds = seconds_of(line)
        if "answer" in line:
            self.answer = dict(line["answer"])
            if "withheld" in line:
                text = self.answer["output"][0]["content"][0]["text"]
                self.withheld = withheld_from(line["withheld"], str(text))
        elif "type" not in line:
            self.error = str(line["error"])
            if "raised" in line:
                self.raised = dict(line["raised"])
        else:
            pieces = line.get("pieces")
            if pieces is not None:
                _check_pieces(pieces, line["delta"])
                self.seconds += sum(micros for _, micros in pieces) / 1e6
            if line.get("response_again"):
                line = expand_response(line, self.first_response or {})
            elif self.first_response is None:
                self.first_response = line.get("response")
            self.lines.append(line)

    @property
    def is_whole(self) -> bool:
        """Whether the answer is there to its end."""
        last = self.lines[-1]["type"] if self.lines else None
        return self.answer is not None or last in ENDS

    @property
    def is_answered(self) -> bool:
        """Whether it ended with an answer, and with no error."""
        completed = bool(self.lines) and self.lines[-1]["type"] == "response.completed"
        return (self.answer is not None or completed) and self.raised is None

    def events(self) -> Iterator[tuple[float, dict[str, Any]]]:
        """The events with their times; an answer in one piece has none."""
        for line in self.lines:
            yield from separated(line)


@dataclass
class RecordingFile:
    """What a file holds.

    Attributes
    ----------
    calls : dict of int to RecordedCall
        The model calls.
    runs : dict of int to list of dict
        The lines of each run.
    images : dict of str to str
        Images as ``data:`` URLs, by the digests that stand for them.
    damage : str or None
        What is wrong with the file's end, and in which line it ends; None where nothing is.
    damaged_line : int or None
        That line's number.
    whole_bytes : int
        How many bytes are whole.
    """

    path: Path
    calls: dict[int, RecordedCall] = field(default_factory=dict)
    runs: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    damage: str | None = None
    damaged_line: int | None = None
    images: dict[str, str] = field(default_factory=dict)
    whole_bytes: int = 0
    lines: int = 0
    damage_is_last: bool = False
    last_call: int = 0
    """The highest number of a call."""
    last_run: int = 0
    _input_entries: int = 0
    _latest: dict[str, RecordedCall] | None = None
    """The latest call with equal settings; None until one is looked for."""

    def take(self, line: dict[str, Any]) -> None:
        """Take in a line.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is none that a recording has.
        """
        if "picture" in line:
            self.images[str(line["picture"])] = str(line["url"])
            return
        if "run" in line:
            seconds_of(line)
            self.add_run(_number(line["run"])).append(line)
            return
        number = _number(line["call"])
        if "request" in line:
            request, key = self._request(line), str(line["digest"])
            # Earlier versions kept images whole. What a line leaves to those before it has none.
            if without_embedded(line) != line:
                request = without_embedded(request)
                key = digest(request)
            self.add_call(RecordedCall(number, request, key, self.lines))
            return
        self.calls[number].take({k: v for k, v in line.items() if k != "call"})

    def add_call(self, call: RecordedCall) -> None:
        """Add a call, after all others or in the place of one of its number."""
        self.calls[call.number] = call
        self.last_call = max(self.last_call, call.number)
        if self._latest is not None:
            self._latest[_settings(call.request)] = call

    def add_run(self, number: int) -> list[dict[str, Any]]:
        """The lines of a run, which is added where it is not there."""
        self.last_run = max(self.last_run, number)
        return self.runs.setdefault(number, [])

    def _request(self, line: dict[str, Any]) -> RequestDict:
        whole = request = dict(line["request"])
        if "like" in line:
            like = self.calls[line["like"]].request
            whole = {k: v for k, v in like.items() if k not in line.get("without", ())} | request
            if line.get("keep"):
                whole["input"] = like["input"][: line["keep"]] + request.get("input", [])
        entries = whole.get("input", [])
        self._input_entries += len(entries)
        # A line can say "all of that again" in few bytes, over and over.
        if not isinstance(entries, list) or self._input_entries > _MOST_INPUT:
            raise ValueError("the input is no list, or longer than memory should hold")
        return whole

    def request_line(self, number: int, request: RequestDict, digest: str) -> dict[str, Any]:
        """The line that tells a request, by what differs from an earlier one where it can."""
        line: dict[str, Any] = {"call": number, "digest": digest}
        if self._latest is None:
            self._latest = {_settings(call.request): call for call in self.calls.values()}
        parent = self._latest.get(_settings(request))
        if parent is None:
            return line | {"request": request}
        like = parent.request
        changes = {name: value for name, value in request.items() if like.get(name) != value}
        line["like"] = parent.number
        keep = common_start(like.get("input", []), request.get("input", []))
        if "input" in changes and keep:
            line["keep"], changes["input"] = keep, request["input"][keep:]
        if without := sorted(like.keys() - request.keys()):
            line["without"] = without
        return line | {"request": changes}


def _settings(request: RequestDict) -> str:
    return digest({name: request.get(name) for name in _SETTING})


def _number(value: Any) -> int:
    if type(value) is not int or not 0 < value < 2**31:
        raise ValueError("calls and runs have numbers from 1 on")
    return value


def seconds_of(line: dict[str, Any]) -> float:
    """The time of a line.

    Raises
    ------
    KeyError, TypeError, ValueError
        It has none, or none that a run can have.
    """
    value = line["at"]
    if not isinstance(value, (int, float)) or not 0 <= value < _LONGEST:  # NaN is neither
        raise ValueError("a time is a number of seconds since the start")
    return float(value)


def _check_pieces(pieces: list[Any], text: str) -> None:
    total = 0
    for size, micros in pieces:
        if type(size) is not int or size < 0 or not abs(micros) < 1e6 * _LONGEST:
            raise ValueError("a piece has a length and a time")
        total += size
    if total != len(text):
        raise ValueError("the pieces are not those of the text")


def read_recording(path: Path) -> RecordingFile:
    """Read a recording as far as it is whole.

    Raises
    ------
    RecordingError
        If the file cannot be read, or is no recording.
    """
    refuse_special(path, devices=True)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordingError(
            f"The recording {str(path)!r} cannot be read: {error.strerror or error}. Check the "
            "path; to make it, run the same cells with a key inside "
            f"`with recording({str(path)!r}):`."
        ) from error
    file = RecordingFile(path)
    rows = content.split(b"\n")
    for number, row in enumerate(rows, start=1):
        is_last = number == len(rows)
        if not row.strip() and (is_last or number > 1):
            file.whole_bytes += 0 if is_last else len(row) + 1
            continue
        file.lines = number
        try:
            line = read_json(row)
            if number == 1:
                _check_header(line, path)
            else:
                file.take(line)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            _note_damage(file, number, rows, error)
            break
        file.whole_bytes += len(row) + (0 if is_last else 1)
    return file


def refuse_special(path: Path, *, devices: bool = False) -> None:
    """Refuse a pipe, which may wait for ever, and a device that is to be read to its end.

    Raises
    ------
    RecordingError
        It is one.
    """
    is_device = path.is_char_device() or path.is_block_device()
    if path.is_fifo() or path.is_socket() or (devices and is_device):
        raise RecordingError(
            f"{str(path)!r} is a pipe or a device, and a recording is a file: it is read to its "
            "end, and added to. Give the path of a file."
        )


def _note_damage(file: RecordingFile, number: int, rows: list[bytes], error: Exception) -> None:
    """Tell where a file ends that is damaged, or raise if nothing before that is whole."""
    if number == 1:
        raise RecordingError(
            f"{str(file.path)!r} is no recording: its first line is not {json.dumps(_HEADER)}. "
            "Give the path of a file that `recording(path)` wrote, or remove this one."
        ) from error
    file.damage_is_last = not b"".join(rows[number:]).strip()
    what = "is cut off" if file.damage_is_last else "cannot be read"
    file.damaged_line = number
    file.damage = (
        f"line {number} of {str(file.path)!r} {what} ({type(error).__name__}: {error}); "
        f"what comes before it is whole: {len(file.calls)} model calls, {len(file.runs)} runs"
    )


def _check_header(line: Any, path: Path) -> None:
    if line.get("agentstream") != "recording":
        raise ValueError("no header")
    if line.get("version") != VERSION:
        raise RecordingError(
            f"{str(path)!r} is a recording of version {line.get('version')!r}; this agentstream "
            f"reads version {VERSION}. Update agentstream, or record again with "
            f"recording({str(path)!r}, mode='refresh')."
        )


class Writer:
    """Appends lines to a file, each at once and whole, so that a killed kernel leaves them.

    Parameters
    ----------
    path : Path
        The file.
    from_start : bool
        Whether to begin it again at the first line.
    whole_bytes : int or None
        Cut the file after so many bytes, in front of a last line that is cut off.
    """

    def __init__(self, path: Path, *, from_start: bool, whole_bytes: int | None = None) -> None:
        self.path = path
        self.secrets: set[str] = set()
        """What never reaches the file, whoever says it: keys and account names."""
        self._from_start = from_start
        self._whole_bytes = whole_bytes
        self._file: int | None = None
        self.begun = False
        """Whether a line was written."""

    def write(self, line: dict[str, Any]) -> None:
        """Append a line: its number and time first, the rest in the alphabet's order."""
        if self._file is None:
            self._open()
        self._put(line)

    def _put(self, line: dict[str, Any]) -> None:
        line = masked_line(line, secrets_now(self.secrets))
        leading = {name: line[name] for name in ("run", "call", "at", "type") if name in line}
        rest = {name: _sorted(line[name]) for name in sorted(line.keys() - leading.keys())}
        text = json.dumps(leading | rest, ensure_ascii=False, separators=(", ", ": "))
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError:  # half a surrogate pair: models do emit them
            data = text.encode("ascii", "backslashreplace")
        self._append(data + b"\n")

    def _append(self, data: bytes) -> None:
        assert self._file is not None
        left = data
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            # The beginning of a line would damage the file for whoever adds to it.
            with suppress(OSError):
                size = os.fstat(self._file).st_size
                os.ftruncate(self._file, size - (len(data) - len(left)))
            raise

    def _open(self) -> None:
        refuse_special(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._whole_bytes is not None and not self._from_start and not self.begun:
                os.truncate(self.path, self._whole_bytes)
            from_start = os.O_TRUNC if self._from_start and not self.begun else 0
            # Without a buffer: each line is handed to the system at once.
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | from_start | getattr(os, "O_BINARY", 0)
            self._file = os.open(self.path, flags, 0o666)
            self._begin_line()
        except OSError as error:
            self.close()
            raise RecordingError(
                f"The recording {str(self.path)!r} cannot be written: {error.strerror or error}. "
                "Give recording() a path in a folder that you may write to, on a disk with room."
            ) from error
        self.begun = True

    def _begin_line(self) -> None:
        """Write the header into an empty file; end a last line that has no end."""
        if self.path.stat().st_size == 0:
            self._put(_HEADER)
            return
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            ended = file.read(1) == b"\n"
        if not ended:
            self._append(b"\n")

    def close(self) -> None:
        """Close the file; a later line opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __del__(self) -> None:
        self.close()


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_sorted(entry) for entry in value]
    return value
