"""Puts a run in the virtual DOM: header, speakers, texts block by block, cards, the end.

It reads the `Trace` and writes to the `VirtualDom`; it knows neither the loop nor the front end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...trace.parts import Part
from .. import cards
from ..markdown.stream import MarkdownStream
from .dom import VirtualDom

if TYPE_CHECKING:
    from ...trace.state import TraceState

_HEADER_EVERY = 0.5
"""Seconds between two looks at the header's numbers."""

_PROSE = frozenset({"text", "reasoning", "refusal"})
"""Kinds of parts that are running text; all others are cards."""


class _Writing:
    """A text part in the virtual DOM: finished blocks that stay, and one open block."""

    def __init__(self, dom: VirtualDom, parent_id: str, rewrites: int) -> None:
        self.dom = dom
        self.parent_id = parent_id
        self.rewrites = rewrites
        self.frame = f"{parent_id}.frame"
        self.stream = MarkdownStream()
        self.read = 0
        self.blocks = 0
        self.revision = -1
        self.tail = 0
        self.ended = False

    def update(self, part: Part) -> None:
        """Bring the virtual DOM up to date with the part's text."""
        if self.ended:
            return
        if self.read == 0:
            self.open_frame(part)
        self.stream.feed(part.text_from(self.read))
        self.read = len(part.body)
        if not part.is_open:
            self.finish(part)
            return
        end = self.stream.open
        self.show_finished()
        id = self.id_of(self.blocks)
        if end.revision != self.revision or id not in self.dom:
            self.dom.put(id, "div", end.html, parent=self.frame)
            self.revision, self.tail = end.revision, 0
        self.dom.write(id, end.tail[self.tail :])
        self.tail = len(end.tail)

    def show_finished(self) -> None:
        """Show the blocks that were finished since; the first takes the open block's place."""
        for html in self.stream.finished[self.blocks :]:
            self.dom.put(self.id_of(self.blocks), "div", html, parent=self.frame)
            self.blocks += 1
            self.revision = -1

    def open_frame(self, part: Part) -> None:
        """Make the element that the text is written in."""
        if part.kind != "reasoning":
            attributes = {"class": f"as-text as-{part.kind}"}
            self.dom.put(self.frame, "div", parent=self.parent_id, attributes=attributes)
            return
        folded = f"{self.parent_id}.folded"
        self.dom.put(folded, "details", parent=self.parent_id, attributes={"class": "as-reasoning"})
        self.dom.put(f"{folded}.summary", "summary", cards.reasoning_summary(part), parent=folded)
        attributes = {"class": "as-reasoning-body"}
        self.dom.put(self.frame, "blockquote", parent=folded, attributes=attributes)

    def finish(self, part: Part) -> None:
        """The text is whole: show its last block, its sources, and what a late link changed."""
        revised = self.stream.finish()
        self.show_finished()
        self.dom.remove(self.id_of(self.blocks))
        for number in revised:
            self.dom.put(self.id_of(number), "div", self.stream.finished[number])
        if part.kind == "reasoning":
            self.dom.put(
                f"{self.parent_id}.folded.summary", "summary", cards.reasoning_summary(part)
            )
        elif part.text[:1] in ("{", "["):
            # The answer of an agent with an output type: shown as the data that it is.
            for number in range(1, self.blocks):
                self.dom.remove(self.id_of(number))
            self.dom.put(self.id_of(0), "div", cards.answer(part.text))
        note = cards.citations(part) + cards.text_note(part)
        if note:
            self.dom.put(f"{self.parent_id}.note", "div", note, parent=self.parent_id)
        self.ended = True

    def forget(self) -> None:
        """The text was replaced, not continued: take away what was shown of it."""
        for id in (self.frame, f"{self.parent_id}.folded", f"{self.parent_id}.note"):
            self.dom.remove(id)

    def id_of(self, number: int) -> str:
        """The name of the node with block `number`."""
        return f"{self.parent_id}.{number}"


class TraceRenderer:
    """A run on a virtual DOM.

    Several runs can share a virtual DOM: `parent_id` is the node of this one.
    """

    def __init__(
        self,
        trace: TraceState,
        dom: VirtualDom,
        *,
        parent_id: str = "",
        live: bool = True,
        nested: bool = False,
    ) -> None:
        self.trace = trace
        self.dom = dom
        self.live = live
        self.nested = nested
        self._prefix = f"{parent_id}/" if parent_id else ""
        self._parent_id = parent_id
        self._version = -1
        self._speaker: str | None = None
        self._headed: object = None
        self._header_due = 0.0
        self._speakers = 0
        self._retries = 0
        self._writings: dict[int, _Writing] = {}
        self._streaming: dict[int, tuple[int, str, int]] = {}
        self._inner: dict[int, TraceRenderer] = {}
        self._begin()

    def _begin(self) -> None:
        """Make the places that every run has."""
        if not self.nested:
            self.dom.put(self._id("header"), "div", parent=self._parent_id)
        self.dom.put(self._id("body"), "div", parent=self._parent_id, attributes=self._body())
        self.dom.put(self._id("ending"), "div", parent=self._parent_id)

    def _body(self) -> dict[str, str]:
        """The attributes of the place of the answer; one agent alone is named by the header."""
        if self.nested:
            return {"class": "as-body as-nested"}
        css = "as-body" if self._speakers > 1 else "as-body as-solo"
        return {"class": css, "role": "log", "aria-live": "polite", "aria-label": "answer"}

    def _id(self, name: str) -> str:
        return self._prefix + name

    def update(self) -> None:
        """Bring the virtual DOM up to date with the trace."""
        trace = self.trace
        if trace.version != self._version:
            is_alone = not self._parent_id and not self.nested  # a chat shows what was asked itself
            if is_alone and "question" not in self.dom and (question := cards.question_html(trace)):
                self.dom.put("question", "div", question, parent="body")
            for part in trace.changed_since(self._version):
                self._show_retries(part.started)
                self._speak(part.agent)
                self._show(part)
            if not is_alone or "question" in self.dom or trace.parts:
                self._speak(trace.agent)  # below the question, which is known a moment later
            self._show_retries(trace.now)
            self._version = trace.version
            self.dom.put(self._id("ending"), "div", cards.ending(trace))
        for renderer in self._inner.values():
            renderer.update()
        if not self.nested:
            self._show_header()

    def _show_header(self) -> None:
        """Show who is at work; its numbers move twice a second, its button stays where it is."""
        trace, parent_id = self.trace, self._id("header")
        attributes = cards.header_attributes(trace)
        state = (trace.status, trace.agent, self.live)
        if state == self._headed and trace.now < self._header_due:
            return
        self._headed, self._header_due = state, trace.now + _HEADER_EVERY
        self.dom.put(parent_id, "div", attributes=attributes)
        inside = cards.header_inside(trace, live=self.live)
        text_attributes = {"class": "as-said"}
        self.dom.put(
            f"{parent_id}.said", "span", inside, parent=parent_id, attributes=text_attributes
        )
        button = f"{parent_id}.stop"
        if not cards.can_stop(trace, self.live):
            self.dom.remove(button)
        elif button not in self.dom:
            look = {"class": "as-stop", "type": "button"}
            self.dom.put(button, "button", cards.STOP, parent=parent_id, attributes=look)

    def _speak(self, agent: str | None) -> None:
        """Show who speaks when that has changed."""
        if agent is None or agent == self._speaker:
            return
        self._speaker = agent
        self._speakers += 1
        self.dom.put(self._id("body"), "div", attributes=self._body())
        id = self._id(f"s{self._speakers}")
        self.dom.put(id, "div", cards.speaker(agent), parent=self._id("body"))

    def _show_retries(self, until: float) -> None:
        """Say which model calls failed and were made again, before what came after them."""
        for retry in self.trace.retries[self._retries :]:
            if retry.time > until:
                return
            self._retries += 1
            id = self._id(f"r{self._retries}")
            self.dom.put(id, "div", cards.retry_note(retry), parent=self._id("body"))

    def _show(self, part: Part) -> None:
        if part.status == "superseded":
            # Another answer takes its place; a note says so.
            self.dom.remove(self._id(f"p{part.index}"))
            return
        if part.kind in _PROSE:
            self._write(part)
        else:
            self._deal(part)

    def _write(self, part: Part) -> None:
        """Show a part that is running text."""
        parent_id = self._place(part)
        if not part.body:
            # Reasoning that stays hidden has a line of its own; an empty text has nothing.
            if part.kind == "reasoning":
                self.dom.put(f"{parent_id}.card", "div", cards.card(part), parent=parent_id)
            return
        writing = self._writings.get(part.index)
        if writing is None or writing.rewrites != part.rewrites:
            self.dom.remove(f"{parent_id}.card")
            if writing is not None:
                writing.forget()
            writing = self._writings[part.index] = _Writing(self.dom, parent_id, part.rewrites)
        writing.update(part)

    def _place(self, part: Part) -> str:
        """The node that the part is shown in."""
        parent_id = self._id(f"p{part.index}")
        if parent_id not in self.dom:
            attributes = {"class": "as-part"}
            self.dom.put(parent_id, "div", parent=self._id("body"), attributes=attributes)
        return parent_id

    def _deal(self, part: Part) -> None:
        """Show a part that is a card; while they stream, its arguments grow inside it."""
        parent_id = self._place(part)
        card = f"{parent_id}.card"
        writing = part.status == "in_progress" and part.ended is None and bool(part.input)
        writing = writing and part.kind != "handoff"  # one line, where it has no arguments
        html = cards.card(part, live=self.live, nested=False, writing=writing)
        before = self._streaming.pop(part.index, None)
        if not writing:
            self.dom.put(card, "div", html, parent=parent_id)
        else:
            read = before[2] if before and before[:2] == (part.rewrites, html) else 0
            if not read:
                self.dom.put(card, "div", html, parent=parent_id)
            self.dom.write(card, part.arguments_from(read))
            self._streaming[part.index] = (part.rewrites, html, len(part.input))
        if part.nested is not None:
            self._nest(part, parent_id)

    def _nest(self, part: Part, parent_id: str) -> None:
        """Show the run of an agent that runs as this tool inside its card's place."""
        if part.index not in self._inner and part.nested is not None:
            frame = f"{parent_id}.nested"
            self.dom.put(frame, "div", parent=parent_id, attributes={"class": "as-nested"})
            self._inner[part.index] = TraceRenderer(
                part.nested, self.dom, parent_id=frame, live=self.live, nested=True
            )
