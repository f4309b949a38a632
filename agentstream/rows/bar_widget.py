"""The bar in a notebook's cell: a widget while the rows are asked, a static snapshot afterwards."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from .._utils.aio import running_loop_or_none
from ..notebook import ipython
from ..notebook.snapshot.bundle import static, style
from .bar_text import bar_bundle, bar_html
from .pace import FAST, SLOW, Pace

if TYPE_CHECKING:
    from ..trace.trace import Trace

__all__ = ["RowsWidget"]

_UNDER_WAY = 8
_KEY = re.compile("([0-9a-f]{2}){0,40}")


class RowsWidget(anywidget.AnyWidget):
    """Shows how far a run's rows are, with a button that stops them."""

    # Its text: with a file, anywidget has each widget listen to it, and keeps them all for good.
    _esm: Any = static("rows.js")
    _css = style(live=True) + style("rows.css", live=True)

    html = traitlets.Unicode("").tag(sync=True)
    is_live = traitlets.Bool(True).tag(sync=True)

    def __init__(self, run: Any) -> None:
        super().__init__(html=bar_html(run.progress, live=True))
        self._run = run
        self._watched: Trace | None = None
        self._place: ipython.CellOutput | None = None
        self._has_ended = False
        self._pace = Pace(self._update)
        self.on_msg(self._on_message)
        run._display = self.show
        run.watch(self._changed)
        ipython.show_in_time(self.show, running_loop_or_none())

    def show(self) -> None:
        """Display the bar here; once it is displayed, nothing happens."""
        if self._place is not None:
            return
        self._place = ipython.CellOutput(uuid.uuid4().hex)
        if self._run.is_complete:
            self._place.show(self._bundle())
        else:
            self._place.show_widget(self, {"text/plain": repr(self._run)})

    def _changed(self) -> None:
        if not self._run.is_complete:
            if self._has_ended:
                self._begin_again()
            self._pace.nudge()
            return
        self._has_ended = True
        self._pace.stop()
        self._update()
        if self._place is not None:
            self._place.replace(self._bundle())

    def _begin_again(self) -> None:
        """Be shown below the cell of `retry`: a snapshot, without Stop, stands where it was."""
        self._has_ended, self._place = False, None
        self._update()
        ipython.show_in_time(self.show, running_loop_or_none())

    def _update(self) -> None:
        run = self._run
        live, watched = not run.is_complete, self._watched
        self._pace.tick = FAST if watched is not None and watched.status == "running" else SLOW
        html = bar_html(
            run.progress,
            run.last_errors(),
            live=live,
            under_way=run.under_way(_UNDER_WAY) if live else (),
            watched=watched,
        )
        # In one message: where no snapshot follows, nobody is to see Stop beside the end.
        with self.hold_sync():
            self.html, self.is_live = html, live

    def _bundle(self) -> dict[str, str]:
        run = self._run
        ending = "" if run.error is None else f"{type(run.error).__name__}: {run.error}"
        return bar_bundle(run.progress, run.last_errors(), ending)

    def _on_message(self, _: Any, content: Any, buffers: Any) -> None:
        if not isinstance(content, dict):
            return
        if content.get("kind") == "stop":
            self._run.stop()
        elif content.get("kind") == "watch" and _KEY.fullmatch(str(content.get("row"))):
            self._watched = self._run.trace(str(content["row"]))
            self._pace.nudge()
