"""The live view: a widget that a run fills, frame by frame.

The kernel folds events into the trace, puts the trace in the virtual DOM, and sends what changed,
at most thirty times a second, as one numbered frame; how often is paid from a budget that all views
share, and a view that no front end shows sends nothing until it comes into sight. A keyframe, the
whole page, is kept in the widget's state whenever the page has grown fourfold, ever more
rarely while no front end has answered, and at the end where no snapshot takes its place; a front
end that opens late or has missed a frame asks for one. All bytes together stay linear in the text.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

import anywidget
import traitlets
from ipywidgets import Layout

from ..._utils.watchers import FailureLog
from ...trace import Trace
from ..comm_messages import deliver_to
from ..ipython import call_on
from ..snapshot.bundle import static, style
from .dom import VirtualDom
from .frame_budget import FrameBudget
from .panels import Panels
from .trace_renderer import TraceRenderer
from .visibility import Visibility

# Characters. A reason goes into the conversation, and is sent with each later request: a few
# paragraphs are one, a file that was pasted into the field by mistake is none.
_LONGEST_REASON = 4_000

# How much the page grows between two keyframes in the widget's state. They are for a front end that
# opens late and cannot ask, so each may be a few times smaller than the page; all together they
# stay below a third more than the last one.
_KEY_GROWTH = 4
_KEY_FROM = 8_000

# Seconds that a front end takes to load a view, at least: then a keyframe is worth its bytes.
_LOADING = 0.25

BLOCKED = 0.3
"""Seconds by which a timer is late where the loop was blocked, and no front end could be heard."""

UNREAD = 0.5
"""Seconds in which what came meanwhile is read."""

_BLOCKED_AT_MOST = 3


def script() -> str:
    """The front end's code, which is one module there."""
    return "\n".join(map(static, ("growth.js", "view.js")))


class AgentView(anywidget.AnyWidget):
    """A run in an output area.

    Parameters
    ----------
    trace : Trace
        The run; call `nudge` when it has changed.
    on_click : callable, optional
        Called with what is pressed in the front end (``"stop"``, ``"approve"``, ``"always"``,
        ``"reject"``), the call's id and the reason that was written for it, on the thread that
        widget messages come in on.
    table, timeline : bool
        Whether the run's items and its timeline are kept under the answer.

    Attributes
    ----------
    live : bool
        Whether the run goes on: clocks tick, buttons are there.
    """

    # Its text: with a file, anywidget has each widget listen to it, and keeps them all for good.
    _esm: Any = script()
    _css = style(live=True)

    run_id = traitlets.Unicode().tag(sync=True)
    keyframe = traitlets.Dict().tag(sync=True)
    live = traitlets.Bool(True).tag(sync=True)

    def __init__(
        self,
        trace: Trace,
        *,
        on_click: Callable[[str, str | None, str | None], None] | None = None,
        table: bool = False,
        timeline: bool = False,
        **traits: Any,
    ) -> None:
        # Beside others each view keeps its share of the width, whatever is written in it.
        super().__init__(
            layout=Layout(flex="1 1 0%", min_width="0", width="auto"),
            run_id=uuid.uuid4().hex,
            **traits,
        )
        self._visibility = Visibility()
        self._dom = VirtualDom()
        self._lay_out(trace, table=table, timeline=timeline)
        self._click_handler = on_click
        self._number = -1
        self._key_size = _KEY_FROM // _KEY_GROWTH
        self._due: asyncio.Handle | None = None
        self._later: asyncio.TimerHandle | None = None
        self._last = 0.0
        self._made, self._silence = time.monotonic(), _LOADING
        self._behind = False
        self._failures = FailureLog()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.on_msg(self._on_message)
        deliver_to(self)

    def _lay_out(self, trace: Trace, *, table: bool, timeline: bool) -> None:
        """Give the run its place in the virtual DOM."""
        self._renderer: Any = TraceRenderer(trace, self._dom)
        self._panels = Panels(trace, self._dom, table=table, timeline=timeline)

    @property
    def is_due(self) -> bool:
        """Whether a frame is about to be sent."""
        return self._due is not None

    def nudge(self) -> None:
        """Say that the run has changed; the next frame shows it, if the view is in sight."""
        if self._due is not None:
            return
        self._loop = asyncio.get_running_loop()
        if self._visibility.is_hidden():
            self._behind = True
            return
        wait = self._last + FrameBudget.of_loop(self._loop).interval() - time.monotonic()
        self._due = self._loop.call_later(max(0.0, wait), self._send_due, self._loop)

    def _send_due(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send the frame that is due, unless other views have held the loop for long enough."""
        budget = FrameBudget.of_loop(loop)
        if budget.is_used_up():
            self._due = loop.call_soon(self._send_due, loop)
            return
        began = time.thread_time()
        self.flush()
        budget.note(self, began, loop)

    def flush(self) -> None:
        """Send the front end what has changed since the last frame."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        self._last, self._behind = time.monotonic(), False
        self._update()
        self._look_again()
        ops = self._dom.frame()
        if not ops:
            return
        self._number += 1
        frame: dict[str, Any] = {"n": self._number, "t": self._panels.now, "ops": ops}
        if images := self._dom.new_images():
            frame["images"] = images
        self.send(frame)
        if self._dom.size > _KEY_GROWTH * self._key_size or self._is_unanswered():
            self._set_keyframe()

    def _update(self, *, at_once: bool = False) -> None:
        """Put what is new in the virtual DOM; log the first failure, and keep the rest.

        It is tried again with each frame: a text that is half written may fail, and be whole later.
        """
        try:
            self._renderer.update()
            self._panels.update(at_once=at_once)
        except Exception:  # noqa: BLE001 - it is logged
            self._failures.note(type(self))

    def _look_again(self) -> None:
        """See to it that a panel that was not due yet is not left behind when the run is silent."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        wait, loop = self._panels.wait, self._loop
        if wait is not None and loop is not None and loop.is_running():
            self._later = loop.call_later(wait, self.nudge)

    def close_run(self, *, keep: bool = True) -> None:
        """The run is over: show its end.

        Without `keep`, the widget's state does not keep the whole page: a snapshot takes the
        widget's place.
        """
        self._renderer.live = False
        self._update(at_once=True)
        self.flush()
        self.live = False
        if keep:
            self._set_keyframe()

    async def wait_for_frontend(self, seconds: float = 2) -> bool:
        """Whether a front end shows the run; one that is still loading has `seconds` to say so."""
        until, blocked = time.monotonic() + seconds, 0
        seen = self._visibility
        while not seen.is_loaded and (now := time.monotonic()) < until:
            await asyncio.sleep(0.05)  # not an event: told by a thread, maybe
            woke = time.monotonic()
            # Its answer may lie there unread; what blocks the loop for ever is not waited for.
            if woke - now > BLOCKED and blocked < _BLOCKED_AT_MOST:
                blocked += 1
                until = max(until, woke + UNREAD)
        return seen.is_loaded

    def _is_unanswered(self) -> bool:
        """Whether no front end has answered for twice as long as at the last keyframe.

        It may be there and not be heard, as the kernel executes a cell: it missed what was sent
        while it was loading, and cannot ask.
        """
        silence = time.monotonic() - self._made
        if self._visibility.is_loaded or silence < self._silence:
            return False
        self._silence = 2 * silence
        return True

    def _set_keyframe(self) -> None:
        self._key_size = max(self._dom.size, _KEY_FROM)
        self.keyframe = self._whole()

    def _whole(self) -> dict[str, Any]:
        whole = {"n": self._number, "t": self._panels.now, "ops": self._dom.keyframe()}
        return {**whole, "images": self._dom.images} if self._dom.images else whole

    def _on_message(self, widget: Any, message: Any, buffers: Any) -> None:
        """Hear the front end; on another thread where its messages come over a subshell."""
        kind = message.get("kind") if isinstance(message, dict) else None
        if kind == "keyframe":
            self._visibility.note(str(message.get("page")), True)
            call_on(self._loop, self._answer)
        elif kind == "visible":
            self._visibility.note(str(message.get("page")), bool(message.get("visible")))
            call_on(self._loop, self._catch_up)
        elif kind in ("stop", "approve", "always", "reject") and self._click_handler is not None:
            reason = str(message.get("reason") or "").strip()[:_LONGEST_REASON]
            self._click_handler(kind, message.get("approval_id"), reason or None)

    def _catch_up(self) -> None:
        """Send all that a front end has missed while it was out of sight."""
        if self._behind and not self._visibility.is_hidden():
            self.flush()

    def _answer(self) -> None:
        self.flush()
        self.send({**self._whole(), "key": True})
