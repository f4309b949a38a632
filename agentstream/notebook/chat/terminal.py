"""A conversation in a terminal: each message behind a mark, each answer as it streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..._utils.printable import write_text
from ..cells import mark_displayed
from ..front_end import in_a_notebook
from ..run_adapter import RunInterrupted
from ..terminal import TerminalView
from .turn import ChatTurn, PastTurn


class ChatTerminal:
    """Writes a conversation to standard output as it goes on."""

    def __init__(self) -> None:
        self._answer: TerminalView | None = None
        self._paused = False

    def show(self) -> None:
        """Before the first turn, write how to go on: there is no box to write in.

        A notebook that names no cells is taken for a console, although it could show the widget.
        """
        if self._answer is None:
            widget = "; AGENTSTREAM_SHOW=widget shows a box to write in" if in_a_notebook() else ""
            write_text(f"[c = chat(agent), then await c.send('...'){widget}]\n")

    def remember(self, past: list[PastTurn]) -> None:
        """Write what was said before."""
        from .snapshot import PAST_LIMIT, conversation_text

        text = conversation_text(past[-PAST_LIMIT:])
        write_text(f"{text}\n" if text else "")

    def begin(self, turn: ChatTurn) -> None:
        """Write what was asked."""
        from .snapshot import visible_text

        write_text(
            "".join(f"> {line}".rstrip() + "\n" for line in visible_text(turn.message).splitlines())
        )
        self._answer = TerminalView(turn.trace, asks=False)
        mark_displayed(turn.result)

    def update(self, turn: ChatTurn, *, at_once: bool = False) -> None:
        """Write what is new; where the turn waits, that as well."""
        if self._answer is not None and not (at_once and self._paused):
            (self._answer.close if at_once else self._answer.update)()
        self._paused = at_once

    def end(self, turn: ChatTurn) -> None:
        """Write the answer's end."""
        if self._answer is not None:
            self._answer.close()

    def changed(self, state: str) -> None:
        """Whether it can be asked is nothing to write."""

    def refuse(self, text: str, why: str) -> None:
        """Messages come from code only, which gets its errors raised."""

    async def wait_for_frontend(self) -> bool:
        """Nobody can press a button."""
        return False

    def interruption(self) -> BaseException:
        """What a cancelled wait raises: one line in a kernel, whose interrupt cancels the cell."""
        return RunInterrupted() if in_a_notebook() else asyncio.CancelledError()

    def on_loop(self, function: Callable[[], None]) -> None:
        """Call `function`."""
        function()
