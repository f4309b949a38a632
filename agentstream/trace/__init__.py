"""A run as data: `Trace`, and what is read off it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .trace import Trace

if TYPE_CHECKING:
    from .dataframes import to_frame

__all__ = ["Trace", "to_frame"]


def __getattr__(name: str) -> Any:
    # Every run has a trace, few make a table of it.
    if name == "to_frame":
        from .dataframes import to_frame

        return to_frame
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
