"""A blind vote in a notebook's cell: two answers side by side, by keyboard or by click."""

from __future__ import annotations

import uuid
from typing import Any, Final, Protocol

import anywidget
import traitlets

from .._utils.aio import running_loop_or_none
from .._utils.printable import clean_text, printable_line
from ..notebook import ipython
from ..notebook.cards.values import value_html
from ..notebook.markdown.sanitise import escape
from ..notebook.markdown.stream import rendered
from ..notebook.snapshot.bundle import static, style
from .bar_text import rows_bundle
from .statistics import interval, mean
from .votes import Ballot, Votes

__all__ = ["VoteWidget"]

_KEYS: Final = (
    ("left", "Left is better", "←"),
    ("equal", "Equal", "↓"),
    ("right", "Right is better", "→"),
    ("back", "Back", "Backspace"),
    ("done", "Done", "Esc"),
)


class Compared(Protocol):
    """What of a `Comparison` a vote shows."""

    @property
    def output_names(self) -> list[str]:
        """The columns that the agents fill."""
        ...

    def request(self, position: int) -> Any:
        """What was asked for the row at a position."""
        ...


class VoteWidget(anywidget.AnyWidget):
    """Shows pairs of answers without saying whose they are; made by `Comparison.vote`."""

    # Its text: with a file, anywidget has each widget listen to it, and keeps them all for good.
    _esm: Any = static("vote.js")
    _css = style(live=True) + style("rows.css", live=True)

    html = traitlets.Unicode("").tag(sync=True)

    def __init__(self, comparison: Compared, votes: Votes) -> None:
        super().__init__()
        self._comparison, self._votes = comparison, votes
        self._left = votes.open
        self._past: list[Ballot] = []
        self._place: ipython.CellOutput | None = None
        self._is_over = not self._left
        self.html = self._inside()
        self.on_msg(self._on_message)
        ipython.show_in_time(self.show, running_loop_or_none())

    def show(self) -> None:
        """Display it here; once it is displayed, nothing happens."""
        if self._place is not None:
            return
        self._place = ipython.CellOutput(uuid.uuid4().hex)
        if self._is_over:
            self._place.show(self._bundle())
        else:
            self._place.show_widget(self, {"text/plain": self._bundle()["text/plain"]})

    def _ipython_display_(self) -> None:
        self.show()

    def _on_message(self, _: Any, content: Any, buffers: Any) -> None:
        choice = content.get("choice") if isinstance(content, dict) else None
        # A key that was pressed before the last vote had come back is of another pair.
        if self._is_over or choice is None or content.get("at") != self._at():
            return
        if choice == "back" and self._past:
            ballot = self._past[-1]
            self._votes.vote(ballot, None)  # first: where the file cannot be written it stays
            self._past.pop()
            self._left.insert(0, ballot)
        elif choice in ("left", "right", "equal"):
            ballot = self._left[0]
            self._votes.vote(ballot, choice)
            self._left.pop(0)
            self._past.append(ballot)
        self._is_over = choice == "done" or not self._left
        self.html = self._inside()
        if self._is_over and self._place is not None:
            self._place.replace(self._bundle())

    def _at(self) -> str:
        return self._left[0].digest if self._left else ""

    def _inside(self) -> str:
        if self._is_over:
            return self._result()
        ballot, votes = self._left[0], self._votes
        request = self._comparison.request(ballot.position)
        sides = "".join(
            f'<section class="as-vote-answer" aria-label="{name} answer">{self._answer(values)}'
            "</section>"
            for name, values in zip(("Left", "Right"), ballot.outputs, strict=True)
        )
        buttons = " ".join(
            f'<button type="button" data-choice="{choice}">{text} <kbd>{key}</kbd></button>'
            for choice, text, key in _KEYS
        )
        return (
            f'<div class="as-rows-head" data-at="{self._at()}"><strong>Which answer is better?'
            f"</strong> {votes.cast + 1:,} of {len(votes.ballots):,}</div>"
            f'<div class="as-vote-asked">{_text(request)}</div>'
            f'<div class="as-vote-answers">{sides}</div>'
            f'<div class="as-vote-keys">{buttons}</div>'
        )

    def _answer(self, values: tuple[Any, ...]) -> str:
        names = self._comparison.output_names
        if len(names) == 1:
            return _text(values[0])
        return value_html(dict(zip(names, values, strict=True)))

    def _result(self) -> str:
        votes = self._votes
        lines = "".join(
            f"<tr><td>{escape(printable_line(a))}</td><td>{first}</td>"
            f"<td>{escape(printable_line(b))}</td><td>{second}</td><td>{tie}</td>"
            f"<td>{self._share(a, b)}</td></tr>"
            for a, b, first, second, tie in votes.counts()
        )
        return (
            f'<div class="as-rows-head"><strong>Votes</strong> {votes.cast:,} of '
            f"{len(votes.ballots):,} pairs; {votes.equal:,} pairs are equal</div>"
            "<table><thead><tr><th>Agent</th><th>better</th><th>Agent</th><th>better</th>"
            f"<th>equal</th><th>difference, 95 %</th></tr></thead><tbody>{lines}</tbody></table>"
        )

    def _share(self, one: str, other: str) -> str:
        values = [mean(each) for each in self._votes.differences(one, other).values()]
        if not values:
            return "no votes"
        low, high = interval(values)
        return f"{mean(values):+.2f} ({low:+.2f} to {high:+.2f})"

    def _bundle(self) -> dict[str, str]:
        votes = self._votes
        lines = [f"{votes.cast:,} of {len(votes.ballots):,} pairs are voted on."]
        lines += [
            f"{a}: {first} better; {b}: {second} better; {tie} equal"
            for a, b, first, second, tie in votes.counts()
        ]
        return rows_bundle(self._result(), lines)


def _text(value: Any) -> str:
    return rendered(clean_text(value)) if isinstance(value, str) else value_html(value)
