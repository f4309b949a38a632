"""What starts the runs that `show` and `chat` are asked for.

Views know events and never the loop: nothing here imports `Runner`. The package hands it in, once,
by `set_run_starter`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class RunStarter(Protocol):
    """What `Runner` has of this."""

    @property
    def run_streamed(self) -> Callable[..., Any]:
        """Start a run; parameters and result are as of `Runner.run_streamed`."""
        ...


_load: Callable[[], RunStarter] | None = None


def set_run_starter(load: Callable[[], RunStarter]) -> None:
    """Hand in what starts runs.

    `load` is called for each run: to import the loop before the first one would cost programs that
    only show recordings.
    """
    global _load
    _load = load


def run_starter() -> RunStarter:
    """What was handed in.

    Raises
    ------
    RuntimeError
        If nothing was.
    """
    if _load is None:
        raise RuntimeError("Nothing starts runs here: import agentstream, which hands it in.")
    return _load()
