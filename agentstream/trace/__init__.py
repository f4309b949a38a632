"""A run as data: `Trace`, and what is read off it."""

from __future__ import annotations

from .frames import to_frame
from .trace import Trace

__all__ = ["Trace", "to_frame"]
