"""A run in a terminal: plain text as it streams, in colour where there is a tty."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from .._utils.printable import printable, printable_line, write_text
from .._utils.watchers import FailureLog
from ..trace import Trace
from ..trace.parts import Part, output_text
from ..trace.timeline.scale import length_label
from .front_end import in_a_notebook
from .markdown.half_written import half_mark, without_citation_marks

_DIM, _BOLD, _CYAN, _RED = "\033[2m", "\033[1m", "\033[36m", "\033[31m"
_OUTPUT_CHARACTERS = 500  # characters of a tool's output
_ENDS = {"cancelled": "stopped", "failed": "failed", "paused": "waiting for approval"}


class TerminalView:
    """Writes a run to a terminal as it goes on.

    Parameters
    ----------
    trace : Trace
        The run; call `update` when it has changed.
    out : file, optional
        Where to write; standard output where not given.
    asks : bool
        Whether to write what was asked.
    whole_lines : bool
        Whether only whole lines are written, as the program may write something in between.
    """

    def __init__(
        self,
        trace: Trace,
        out: TextIO | None = None,
        *,
        asks: bool = True,
        whole_lines: bool = False,
    ) -> None:
        self.trace = trace
        self.whole_lines = whole_lines
        self.out = out or sys.stdout
        # A kernel sends what is written five times a second by itself, and flushing waits for it.
        self._flushes = not in_a_notebook()
        self.colour = self.out.isatty()
        self._version = -1
        self._agent: str | None = None
        self._written: dict[int, int] = {}
        self._printed: dict[int, str] = {}
        self._at_line_start = True
        self._failures = FailureLog()
        self._last: int | None = None
        self._retries = self._silences = 0
        self._asks = asks
        self._looked: dict[int, int] = {}
        self._rewrites: dict[int, int] = {}

    def update(self) -> None:
        """Write what is new."""
        self._safely(self._update)

    def close(self, *, reason: bool = True) -> None:
        """The run is over: write its end, and why it failed unless that is raised as well."""
        self._safely(lambda: self._close(reason))

    def add(self, text: str) -> None:
        """Write text below the run."""
        self._safely(lambda: self._add(text))

    def _safely(self, write: Callable[[], None]) -> None:
        """Write, or tell in a line that it failed: a view never fails a run."""
        try:
            write()
        except Exception as error:  # noqa: BLE001 - it is logged
            self._version = self.trace.version
            if self._failures.is_used:
                return
            self._failures.note(type(self))
            with suppress(Exception):  # where it is shown may be what is broken
                message = f"{type(error).__name__}: {error}"
                self._write(f"\n[This view failed ({message}); the run goes on]", _RED, line=True)

    def _update(self) -> None:
        if self.trace.version == self._version:
            return
        if self._asks and (self.trace.question or self.trace.input):
            from .snapshot.text import (
                question_text_lines,  # Markdown's parser, only where a run is written
            )

            self._asks = False
            for line in question_text_lines(self.trace):
                self._write(f"> {line}".rstrip(), _DIM, line=True)
        for part in self.trace.changed_since(self._version):
            self._show_retries(part.started)
            if part.status == "superseded":
                continue
            self._speaker(part.agent)
            if part.kind in ("text", "reasoning", "refusal"):
                self._text(part)
            else:
                self._card(part)
        self._show_retries(self.trace.now)
        self._show_silence()
        self._version = self.trace.version
        if self._flushes:
            self.out.flush()

    def _close(self, reason: bool) -> None:
        self.update()
        self._line()
        end = _ENDS.get(self.trace.status)
        if end is not None:
            why = f": {self.trace.error}" if reason and self.trace.error else ""
            self._write(f"[{end}{why}]", _RED, line=True)
        self.out.flush()

    def _add(self, text: str) -> None:
        self._line()
        self._write(text)
        self.out.flush()

    def _show_retries(self, until: float) -> None:
        from .cards.banner import retried  # the cards load the sanitiser

        for retry in self.trace.retries[self._retries :]:
            if retry.time > until:
                return
            self._retries += 1
            self._line()
            self._write(f"[{retried(retry)}]", _RED, line=True)

    def _show_silence(self) -> None:
        silence = self.trace.silence
        if silence is not None and len(self.trace.silences) > self._silences:
            self._silences = len(self.trace.silences)
            self._line()
            duration = length_label(self.trace.now - silence.started)
            for_what = (
                f"rate limit, {duration}: {silence.reason}"
                if silence.reason
                else f"model, {duration}"
            )
            self._write(f"[waiting for the {for_what}]", _DIM, line=True)

    def _speaker(self, agent: str | None) -> None:
        if agent is not None and agent != self._agent:
            self._line()
            self._write(printable_line(agent), _BOLD, line=True)
            self._agent = agent

    def _text(self, part: Part) -> None:
        if self._rewrites.get(part.index, part.rewrites) != part.rewrites:
            # What is written cannot be taken back: the text that replaces it stands below, whole.
            self._line()
            self._written.pop(part.index, None)
            self._looked.pop(part.index, None)
        self._rewrites[part.index] = part.rewrites
        start = self._written.get(part.index, 0)
        if self.whole_lines and part.is_open:
            # Only what has come since decides whether a line is whole: a line may be long.
            looked = self._looked.get(part.index, start)
            fresh = part.text_from(looked)
            if "\n" not in fresh:
                self._looked[part.index] = looked + len(fresh)
                return
        new = part.text_from(start)
        if part.is_open and "\ud800" <= new[-1:] <= "\udbff":
            new = new[:-1]  # half a character, whose other half comes next
        if part.is_open and (mark := half_mark(new)) >= 0:
            new = new[:mark].rstrip(" ")
        if self.whole_lines and part.is_open:
            new = new[: new.rfind("\n") + 1]
        if not new:
            return
        if self._last != part.index:
            self._line()
            self._last = part.index
        self._written[part.index] = start + len(new)
        text = without_citation_marks(new)
        self._write(text, _DIM if part.kind == "reasoning" else "")
        if self.whole_lines:
            self._line()

    def _card(self, part: Part) -> None:
        if part.kind == "handoff":
            self._handoff(part)
            return
        called = f"{printable_line(part.name or part.kind)} {part.arguments}".rstrip()
        if part.index not in self._printed and part.status != "in_progress":
            self._line()
            self._write(f"→ {called}", _CYAN, line=True)
            self._printed[part.index] = "called"
        if part.has_output and self._printed.get(part.index) != "answered" and not part.is_open:
            self._line()
            text = printable(_message_text(part))
            more = len(text) - _OUTPUT_CHARACTERS
            excerpt = text[:_OUTPUT_CHARACTERS] + (
                f"… ({more} more characters)" if more > 0 else ""
            )
            self._write(f"← {excerpt}", _CYAN, line=True)
            self._printed[part.index] = "answered"

    def _handoff(self, part: Part) -> None:
        if part.target is not None and part.index not in self._printed:
            self._line()
            self._write(f"⇒ hands off to {printable_line(part.target)}", _CYAN, line=True)
            self._printed[part.index] = "called"

    def _line(self) -> None:
        """Begin a new line if one is under way."""
        if not self._at_line_start:
            self._write("\n")

    def _write(self, text: str, colour: str = "", *, line: bool = False) -> None:
        """Write text, in a colour where there is a tty; a `line` is ended."""
        write_text(text, self.out, style=colour if self.colour else "")
        if line:
            self.out.write("\n")
        self._at_line_start = line or text.endswith("\n")


def _message_text(part: Part) -> str:
    """A tool's output as text; of a figure or a frame, what it is."""
    if not part.display:
        return output_text(part.output)
    from .cards.displays import display_brief

    return display_brief(part.display, _OUTPUT_CHARACTERS)
