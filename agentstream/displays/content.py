"""What a value looks like, as plain data; and which library has made it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from .images import EncodedImage

__all__ = ["Block", "Content", "library_of"]

Block: TypeAlias = dict[str, Any]
"""A piece of a card as plain data: ``type`` is image, svg, table, html, markdown or text."""

_LIBRARIES: Final = frozenset(
    {"matplotlib", "plotly", "altair", "PIL", "pandas", "polars", "numpy"}
)


@dataclass(frozen=True, slots=True)
class Content:
    """What a value looks like.

    Attributes
    ----------
    name : str
        What it is, in a few words: ``"Figure, 640 by 480"``.
    text : str
        What a model gets as text.
    image : EncodedImage or None
        What a model is shown where it takes images.
    blocks : list of dict
        What a card shows.
    """

    name: str
    text: str
    image: EncodedImage | None = None
    blocks: list[Block] = field(default_factory=list)

    @property
    def parts(self) -> list[dict[str, Any]]:
        """The content parts of the Responses API."""
        parts: list[dict[str, Any]] = [{"type": "input_text", "text": self.text}]
        if self.image is not None:
            parts.append({"type": "input_image", "image_url": self.image.url, "detail": "auto"})
        return parts


def library_of(value: Any) -> str | None:
    """Which of the libraries known here has made the type of `value`, or a base of it."""
    for base in type(value).__mro__:
        library = (base.__module__ or "").partition(".")[0]
        if library in _LIBRARIES:
            return library
    return None
