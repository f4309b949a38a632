"""A run as data: `Trace`, and what is read off it."""

from __future__ import annotations

from .trace import Trace

__all__ = ["Trace"]
