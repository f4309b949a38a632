"""Server-sent events: a pure decoder, bytes in, values out, no I/O.

    bytes in any fragments ──▶ SSESplitter ──▶ (name, data) ──▶ jiter ──▶ dict

Where the splitter is more lenient than the official client (3.x) it follows the WHATWG rules
(https://html.spec.whatwg.org/multipage/server-sent-events.html): a byte-order mark at the start is
dropped, and a block without ``data:`` is no event. Beyond them, a last event whose blank line is
missing is delivered when its JSON is whole, since some servers close right after it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import jiter

from ..._utils.json import read_json
from .bounds import too_large

__all__ = [
    "DONE",
    "SSEReader",
    "SSESplitter",
    "event_data",
    "parse_json",
]

_BOM: Final = b"\xef\xbb\xbf"
DONE: Final = b"[DONE]"
"""What ends a stream of either API: data that is no JSON."""

RawEvent = tuple[str | None, bytes]
"""The ``event:`` name (None where there is none) and the joined ``data:`` lines."""


class SSESplitter:
    r"""Split a byte stream into server-sent events, however it is cut into fragments.

    Lines end in LF, CR or CRLF, as the WHATWG rules say. The cost is linear in the bytes: a line
    that comes in many fragments is joined once, when its end has come.

    Parameters
    ----------
    most
        Bytes that an event may have; None: any number.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = math.inf if most is None else most
        self._held = 0  # bytes since the open event began, or a few more
        self._open = bytearray()  # the open line
        self._skip_lf = False  # the last fragment ended in CR: an LF that follows belongs to it
        self._at_start = True
        self._name: str | None = None
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[RawEvent]:
        """Take the next fragment; return the events that it completes.

        It may be cut anywhere, also inside a character or a line end.

        Raises
        ------
        AnswerTooLargeError
            An event goes on for longer than it may.
        """
        if self._skip_lf and chunk:
            self._skip_lf = False
            if chunk[0] == 10:
                chunk = chunk[1:]
        if b"\n" not in chunk and b"\r" not in chunk:
            self._open += chunk
            self._hold(len(chunk))
            return []
        lines = chunk.splitlines()
        rest = b"" if chunk.endswith((b"\n", b"\r")) else lines.pop()
        self._skip_lf = chunk.endswith(b"\r")
        if self._open:
            lines[0] = bytes(self._open) + lines[0]
        self._open = bytearray(rest)
        events = list(self._events(lines))
        if events:
            self._held = 0  # if the open event is too large already, the next fragment says so
        if self._data:
            self._hold(len(chunk), check=not events)
        else:
            self._held = len(rest)
        return events

    def _hold(self, size: int, *, check: bool = True) -> None:
        self._held += size
        if check and self._held > self._most:
            self._open, self._data = bytearray(), []
            raise too_large("an event", int(self._most), "event_bytes")

    def finish(self) -> list[RawEvent]:
        """Return the event left open at the end of the stream, if any.

        A stream that ends without the blank line may have been cut inside the data: the caller
        should take such an event only if it can be read.
        """
        self._hold(0)
        lines = [bytes(self._open)] if self._open else []
        self._open = bytearray()
        return list(self._events([*lines, b""]))

    def _events(self, lines: list[bytes]) -> Iterator[RawEvent]:
        if self._at_start and lines:
            self._at_start = False
            lines[0] = lines[0].removeprefix(_BOM)
        for line in lines:
            if not line:
                if self._data:
                    data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                    yield self._name, data
                    self._data = []
                self._name = None
                continue
            field, _, value = line.partition(b":")
            if field == b"data":
                self._data.append(value.removeprefix(b" "))
            elif field == b"event":
                self._name = value.removeprefix(b" ").decode("utf-8", "replace") or None


def parse_json(data: bytes) -> Any:
    """Parse JSON as the official client does, at the speed of jiter.

    jiter refuses what Python's parser takes: half a surrogate pair (models do emit them). Only then
    Python's parser is asked, whose error is the one users of the client know. What is nested deeper
    than 200 levels is refused (the client takes it): nothing that is built of it could be recorded.

    Raises
    ------
    json.JSONDecodeError
        The data is not JSON; a note says where it came from and what to do.
    UnicodeDecodeError
        The data is not UTF-8.
    """
    try:
        return jiter.from_json(data)
    except ValueError:
        try:
            return read_json(data)
        except ValueError as error:
            error.add_note(
                "The server sent an event whose data is not JSON. Check that the base URL is that "
                "of an OpenAI-compatible API, and whether a proxy alters its event stream."
            )
            raise


def event_data(name: str | None, data: bytes) -> Any:
    """The data of a server-sent event; that of one named "error" may be no JSON, but a text.

    Raises
    ------
    ValueError
        It is no JSON.

    Examples
    --------
    >>> event_data("error", b"out of memory")
    'out of memory'
    """
    if name != "error":
        return parse_json(data)
    try:
        return parse_json(data)
    except ValueError:
        return data.decode("utf-8", "replace")


class SSEReader:
    r"""Read the body of a streamed answer of either API: its events, up to ``[DONE]`` or the end.

    Parameters
    ----------
    most
        Bytes that an event may have, or a body without one; None: any number.

    Attributes
    ----------
    done : bool
        Whether ``[DONE]`` has come: what follows it is no event.

    Examples
    --------
    >>> reader = SSEReader()
    >>> reader.feed(b'data: {"n": 1}\n\ndata: [DO')
    [(None, b'{"n": 1}')]
    >>> reader.feed(b"NE]\n\n"), reader.done
    ([], True)
    """

    def __init__(self, most: int | None = None) -> None:
        self.done = False
        self._most = most
        self._splitter = SSESplitter(most)
        self._unread: bytearray | None = bytearray()  # until the first event

    def feed(self, chunk: bytes) -> list[RawEvent]:
        """Take the next fragment; return the events that it completes.

        Raises
        ------
        AnswerTooLargeError
            An event, or a body without one, goes on for longer than it may.
        """
        if self._unread is not None:
            self._unread += chunk
            if self._most is not None and len(self._unread) > self._most:
                raise too_large("an answer", self._most, "event_bytes")
        return self._up_to_done(self._splitter.feed(chunk))

    def finish(self) -> list[RawEvent]:
        """Return the event whose blank line never came; its data may be cut off."""
        return self._up_to_done(self._splitter.finish())

    def _up_to_done(self, events: list[RawEvent]) -> list[RawEvent]:
        if events:
            self._unread = None
            for at, (_, data) in enumerate(events):
                if data.startswith(DONE):
                    self.done = True
                    return events[:at]
        return events

    @property
    def body(self) -> bytes:
        """All that came, where that had no event: such a body is no stream."""
        return b"" if self._unread is None else bytes(self._unread).strip()
