"""One value: whether it can be displayed, by whom, and what comes of it."""

from __future__ import annotations

import sys
from typing import Any

from . import figures, frames
from .content import Content, library_of
from .formatters import general_content, has_formatter
from .images import image_of, image_within

__all__ = ["content_of", "is_displayable"]


def maker_of(value: Any) -> str | None:
    """How `value` is displayed; None for what is text, such as numbers, texts and plain objects."""
    kind = type(value)
    if kind.__module__ == "builtins":
        return "bytes" if kind in (bytes, bytearray) and image_of(bytes(value[:32])) else None
    library = library_of(value)
    if library == "numpy":
        return _maker_of_array(value)
    if library in ("pandas", "polars"):
        if kind.__name__ == "Styler":
            return "styler"
        frames = ("DataFrame", "Series")
        return library if any(base.__name__ in frames for base in kind.__mro__) else _general(value)
    if library == "PIL" and hasattr(value, "getbands"):
        return "pillow"
    if library == "plotly" and hasattr(value, "to_image"):
        return "plotly"
    if library == "altair" and hasattr(value, "to_dict") and hasattr(value, "save"):
        return "altair"
    if "matplotlib" in sys.modules and figures.figure_of(value) is not None:
        return "matplotlib"
    return _general(value)


def _maker_of_array(value: Any) -> str | None:
    if not hasattr(value, "ndim") or not hasattr(value, "flat") or not hasattr(value, "sort"):
        return None
    if value.dtype.kind == "O" and "matplotlib" in sys.modules:
        return "matplotlib" if figures.figure_of(value) is not None else "numpy"
    return "numpy"


def _general(value: Any) -> str | None:
    return "general" if has_formatter(value) else None


def is_displayable(value: Any) -> bool:
    """Whether a value is one that people look at and do not read.

    Examples
    --------
    >>> is_displayable("a text"), is_displayable({"a": 1})
    (False, False)
    """
    try:
        return maker_of(value) is not None
    except Exception:  # noqa: BLE001 - an object of the author's may raise at every look at it
        return False


def content_of(value: Any, budget: int = 4_000) -> Content:
    """What `value` looks like.

    Notes
    -----
    It never raises: a value that cannot be displayed says so.
    """
    try:
        return _made(value, maker_of(value), budget)
    except Exception as error:  # noqa: BLE001 - an object of the author's may raise anything
        name = type(value).__name__
        text = f"{name}: it could not be displayed ({type(error).__name__}: {error})"[:budget]
        return Content(name, text, None, [{"type": "text", "text": text}])


def _made(value: Any, maker: str | None, budget: int) -> Content:
    if maker in ("pandas", "polars"):
        return frames.frame_content(value, maker, budget)
    if maker == "styler":
        return frames.styler_content(value, budget)
    if maker == "numpy":
        return frames.array_content(value, budget)
    if maker == "bytes":
        image = image_within(bytes(value))
        return figures.content_with_image("Image", [], image, [])
    if maker is None or maker == "general":
        return general_content(value, budget)
    draw = {
        "matplotlib": figures.matplotlib_content,
        "pillow": figures.pillow_content,
        "plotly": figures.plotly_content,
        "altair": figures.altair_content,
    }[maker]
    return draw(value, budget)
