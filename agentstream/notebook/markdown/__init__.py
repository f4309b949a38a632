"""Markdown that is still being written, as sanitised HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .stream import MarkdownStream, render

__all__ = ["MarkdownStream", "render"]


def __getattr__(name: str) -> Any:
    # The parser takes long to import, and the sanitiser alone does without it.
    if name in __all__:
        from . import stream

        return getattr(stream, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
