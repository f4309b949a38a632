"""A conversation in a notebook: one widget for its turns and the box to write in.

Two outputs stand in the cell. The snapshot of the conversation is what a saved notebook keeps;
the widget hides it as long as it is there itself, and takes it from nobody when it is gone: without
a kernel, on GitHub, in a converted page.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import traitlets

from ..._utils.aio import running_loop_or_none
from ..._utils.watchers import FailureLog
from ...trace import Trace
from ..cells import OfCells, count, mark_displayed
from ..front_end import in_marimo
from ..ipython import CellOutput, call_on, is_inside_another, show_in_time
from ..live.dom import VirtualDom
from ..live.panels import Panels
from ..live.trace_renderer import TraceRenderer
from ..live.widget import AgentView, script
from ..marimo import MarimoOutput
from ..run_adapter import RunInterrupted
from ..snapshot.bundle import static, style
from .snapshot import PAST_LIMIT, conversation, earlier, message_html, past_html, without_widget
from .turn import ChatTurn, PastTurn

if TYPE_CHECKING:
    from ...agent import Agent


class Conversation(Protocol):
    """What of a `Chat` its view needs."""

    agent: Agent[Any]
    turns: list[ChatTurn]
    past: list[PastTurn]

    def close(self) -> None:
        """End it."""

    def handle_message(self, kind: str, text: str | None, reason: str | None = None) -> None:
        """Handle what the front end sends."""


_NUMBERS = itertools.count(1)
_OPEN: OfCells[ChatView] = OfCells()
"""The conversations of each cell; they are closed when it is run again."""


@lru_cache(maxsize=1)
def _module() -> str:
    """The front end's code: that of a run, and around it the conversation's."""
    form = static("chat.js")
    before, default, after = script().partition("export default ")
    assert default, "view.js has no default export"
    return f"{before}const board = {after}\n{form}"


class ConversationRenderer:
    """The turns of a conversation on a virtual DOM."""

    def __init__(self, dom: VirtualDom) -> None:
        self._dom = dom
        self._count = 0
        self._last = ""
        self._renderer: TraceRenderer | None = None

    def begin(self, turn: ChatTurn) -> None:
        """Put a new turn at the end."""
        parent_id = self._place()
        attributes = {"class": "as-question"}
        self._dom.put(
            f"{parent_id}/asked",
            "div",
            message_html(turn.message, turn.question),
            parent=parent_id,
            attributes=attributes,
        )
        self._renderer = TraceRenderer(turn.trace, self._dom, parent_id=parent_id)

    def remember(self, past: Sequence[PastTurn]) -> None:
        """Put the turns there that a session kept."""
        if note := earlier(past):
            self._dom.put("earlier", "div", note)
        for turn in past[-PAST_LIMIT:]:
            self._dom.put(f"{self._place()}/past", "div", past_html(turn), parent=self._last)

    def _place(self) -> str:
        """Make a place for a turn; its name."""
        self._count += 1
        self._last = f"turn{self._count}"
        attributes = {"class": "as-exchange", "role": "group", "aria-label": f"Turn {self._count}"}
        self._dom.put(self._last, "div", attributes=attributes)
        return self._last

    def update(self) -> None:
        """Bring the newest turn up to date; the others have ended."""
        if self._renderer is not None:
            self._renderer.update()

    @property
    def live(self) -> bool:
        """Whether there are buttons to press in the newest turn."""
        return self._renderer is not None and self._renderer.live

    @live.setter
    def live(self, live: bool) -> None:
        if self._renderer is not None:
            self._renderer.live = live


class ChatView(AgentView):
    """The widget of a conversation.

    Attributes
    ----------
    state : str
        Whether it can be asked.
    speaker : str
        The agent's name.
    """

    _esm: Any = _module()
    _css = style(live=True) + style("chat.css", live=True)

    state = traitlets.Unicode("ready").tag(sync=True)
    speaker = traitlets.Unicode().tag(sync=True)
    chat_id = traitlets.Unicode().tag(sync=True)

    def __init__(self, chat: Conversation) -> None:
        # Counted, not drawn: a notebook that is executed again is saved the same.
        id = f"agentstream-chat-{next(_NUMBERS)}"
        self._chat = chat
        self._displayed_in: int | None = None  # the number of the cell
        self._cell_output: CellOutput | None = None
        self._home_loop = running_loop_or_none()
        self._snapshot_failures = FailureLog()
        super().__init__(
            Trace(), on_click=self._on_click, model_id=id, chat_id=id, speaker=chat.agent.name
        )
        self.live = False
        for older in _OPEN.replace(self):
            older._chat.close()  # its place is gone
        if in_marimo():
            self.show()
        show_in_time(self._show_in_time, self._home_loop)

    def _lay_out(self, trace: Trace, **_: Any) -> None:
        self._renderer = ConversationRenderer(self._dom)
        self._panels = Panels(trace, self._dom)

    # -- its place in the notebook --

    def _ipython_display_(self, **_: Any) -> None:
        """Display it with its snapshot."""
        self.show()

    def show(self) -> None:
        """Display it here, also once more; in a cell that shows it already, nothing happens."""
        if self._displayed_in == count():
            return
        self._displayed_in = count()
        self.flush()
        if in_marimo():
            MarimoOutput().show_widget(self)  # it keeps its last page by itself
            return
        self._cell_output = CellOutput(self.chat_id)
        self._cell_output.show(self._snapshot_bundle())
        # The snapshot is there already. The HTML is a blank, not empty: Jupyter Book 2 takes an
        # empty one for none, and says in its place that a kernel is required.
        nothing = {"text/html": " ", "text/plain": ""}
        CellOutput(f"{self.chat_id}-live").show_widget(self, nothing)

    def _snapshot_bundle(self) -> dict[str, str]:
        chat = self._chat
        try:
            return conversation(chat.turns, past=chat.past, name=chat.agent.name, id=self.chat_id)
        except Exception as error:  # noqa: BLE001 - it is logged
            self._snapshot_failures.note(type(self))
            return without_widget([*chat.past[-PAST_LIMIT:], *chat.turns], error)

    def _show_in_time(self) -> None:
        if self._displayed_in is None and not is_inside_another(self):
            self.show()

    # -- its turns --

    def remember(self, past: Sequence[PastTurn]) -> None:
        """Show what the session holds already."""
        self._renderer.remember(past)
        self._set_keyframe()
        self.nudge()
        self._snapshot()

    def _snapshot(self) -> None:
        """Bring the snapshot up to date."""
        if self._cell_output is not None:
            self._cell_output.replace(self._snapshot_bundle())

    def begin(self, turn: ChatTurn) -> None:
        """Show a new turn."""
        mark_displayed(turn.result)
        turn.trace.has_view = True  # what its tools print goes into their cards
        self._renderer.begin(turn)
        self._panels = Panels(turn.trace, self._dom)
        self.live = True

    def update(self, turn: ChatTurn, *, at_once: bool = False) -> None:
        """The turn has gone on."""
        self.live = True
        if at_once:
            # It waits for a decision; whoever opens the notebook elsewhere sees for which.
            self.flush()
            self._snapshot()
        else:
            self.nudge()

    def end(self, turn: ChatTurn) -> None:
        """The turn is over: its buttons go, and the snapshot has it, too."""
        try:
            self.close_run()
        finally:
            # Also of a turn that the live view cannot show, as of a run.
            self._snapshot()

    def changed(self, state: str) -> None:
        """Say whether it can be asked, and who answers."""
        self.state = state
        self.speaker = self._chat.agent.name

    def refuse(self, text: str, why: str) -> None:
        """Give a message back to the front end, with the reason."""
        self.send({"refused": text, "why": why})

    # -- the front end --

    def interruption(self) -> BaseException:
        """What a cancelled wait raises: one line."""
        return RunInterrupted()

    def _on_message(self, widget: Any, message: Any, buffers: Any) -> None:
        if isinstance(message, dict) and message.get("kind") == "say":
            self._on_click("say", str(message.get("text", "")))
        else:
            super()._on_message(widget, message, buffers)

    def _on_click(self, kind: str, text: str | None, reason: str | None = None) -> None:
        self.on_loop(lambda: self._chat.handle_message(kind, text, reason))

    def on_loop(self, function: Callable[[], None]) -> None:
        """Call `function` on the conversation's loop; messages come in on another thread."""
        call_on(self._home_loop, function)
