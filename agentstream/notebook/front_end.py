"""What the front end can do: the one place that decides how a run is shown.

A kernel does not know who displays what it sends. What tells is the request that it executes: a
notebook says which cell of its document the code is of, a program that executes a notebook takes no
input, and a console does neither. Whether there are widgets tells only a front end that answers.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Final, Literal, NamedTuple

from .._utils.warn_once import warn_once
from ..displays.formatters import running_shell
from .cells import is_at_work

__all__ = ["FrontEnd", "front_end", "in_a_notebook", "in_marimo", "kernel", "messages_arrive"]

VARIABLE: Final = "AGENTSTREAM_SHOW"

Kind = Literal["widget", "html", "text"]

_FIRST_WITH_COMMS: Final = (7, 4)
"""The ipykernel that handles widgets' messages while a cell awaits, on its main channel."""

_without_widgets: set[str] = set()
"""The sessions of front ends that were found to show no widgets, by the ids of their messages."""


class FrontEnd(NamedTuple):
    """How a run is shown.

    Attributes
    ----------
    kind : {"widget", "html", "text"}
        A live widget; a snapshot that display updates replace; text that is written as it comes.
    unanswered : {"html", "text"} or None
        What to change to where no front end answers the widget; None where it stays.
    session : str
        The client that asked for the cell.
    """

    kind: Kind
    unanswered: Literal["html", "text"] | None = None
    session: str = ""

    def has_no_widgets(self) -> None:
        """Remember that this client shows none, so that the next run need not find out again."""
        _without_widgets.add(self.session)


def front_end() -> FrontEnd:
    """Tell how a run is shown to the front end that executes this cell.

    The environment variable ``AGENTSTREAM_SHOW`` overrides what is found out: ``text``, ``html`` or
    ``widget``. In a script there is nothing but text.
    """
    wanted = _wanted()
    if kernel() is None:
        return FrontEnd(wanted or "widget") if in_marimo() else FrontEnd("text")
    if wanted is not None:
        return FrontEnd(wanted)
    request = _request()
    if request.get("metadata"):
        return FrontEnd("widget", "html")  # a cell of a document, whose outputs can be replaced
    if not (request.get("content") or {}).get("allow_stdin"):
        return FrontEnd("widget")  # nobody sits there: a program executes a notebook
    session = str((request.get("header") or {}).get("session", ""))
    if session in _without_widgets or not messages_arrive():
        return FrontEnd("text")
    return FrontEnd("widget", "text", session)


def _wanted() -> Kind | None:
    value = os.environ.get(VARIABLE, "").strip().lower()
    if value in ("widget", "html", "text"):
        return value  # type: ignore[return-value] # it is one of them
    if value:
        warn_once(f"{VARIABLE}={value!r} has no effect: it is text, html or widget.")
    return None


def kernel() -> Any:
    """The Jupyter kernel of this process; None in a script, in IPython's terminal and in marimo."""
    return getattr(running_shell(), "kernel", None)


def in_a_notebook() -> bool:
    """Whether this is a kernel, whose front end can show widgets."""
    return kernel() is not None


def in_marimo() -> bool:
    """Whether this is a cell of a marimo notebook."""
    marimo: Any = sys.modules.get("marimo")
    return marimo is not None and bool(marimo.running_in_notebook())


def messages_arrive() -> bool:
    """Whether messages are handled now, so that silence means that there is no front end.

    While it executes a cell, an ipykernel before 7.0 is helped to them (`comm_messages`), and since
    7.4 it takes them by itself. Those between take them over subshells, which JupyterLab opens, and
    xeus-python does not.
    """
    if not is_at_work() or hasattr(kernel(), "msg_queue"):
        return True
    ipykernel = sys.modules.get("ipykernel")
    return getattr(ipykernel, "version_info", (0,))[:2] >= _FIRST_WITH_COMMS


def _request() -> dict[str, Any]:
    """The request that is being executed."""
    for owner in (running_shell(), kernel()):
        if hasattr(owner, "get_parent"):
            return dict(owner.get_parent() or {})
    return {}
