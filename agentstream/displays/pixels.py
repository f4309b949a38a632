"""An array as pixels, and a frame as the image of its text: for those who want an image of it."""

from __future__ import annotations

import io
import sys
from typing import Any, Final

from .content import library_of
from .images import EncodedImage, encode_png, image_within
from .makers import content_of

__all__ = ["pixels_of"]

_CHANNELS: Final = (1, 2, 3, 4)
_MOST_PIXELS: Final = 4_000_000
_COLUMNS_OF_TEXT: Final = 110
_MARGIN: Final = 12


def pixels_of(value: Any) -> EncodedImage | None:
    """Return the image that an array of numpy holds, or that a frame's text makes; else None.

    An array has two dimensions, or a third one of 1 to 4 channels. Bytes are taken as they are,
    numbers of other types are stretched over their range. For a frame Pillow has to be loaded.
    """
    library = library_of(value)
    if library == "numpy" and getattr(value, "ndim", 0) in (2, 3) and value.dtype.kind in "buif":
        return _array(value)
    return _drawn_text(content_of(value).text) if library in ("pandas", "polars") else None


def _array(array: Any) -> EncodedImage | None:
    step = max(1, -(-array.shape[0] * array.shape[1] // _MOST_PIXELS))
    pixels = array[::step, ::step]
    if pixels.ndim == 3 and pixels.shape[2] not in _CHANNELS:
        return None
    if not pixels.size:
        return None
    if pixels.dtype.name != "uint8":
        pixels = pixels.astype("float64")
        finite = pixels[abs(pixels) < float("inf")]  # neither what is infinite nor NaN
        low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
        pixels = ((pixels - low) / ((high - low) or 1.0) * 255).clip(0, 255)
        pixels[pixels != pixels] = 0  # NaN
        pixels = pixels.round().astype("uint8")
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    height, width = pixels.shape[:2]
    return image_within(encode_png(width, height, channels, pixels.tobytes()))


def _drawn_text(text: str) -> EncodedImage | None:
    pillow: Any = sys.modules.get("PIL.Image")
    if pillow is None:
        return None
    from PIL import ImageDraw, ImageFont

    lines = [line[:_COLUMNS_OF_TEXT] for line in text.splitlines()]
    font = ImageFont.load_default()
    probe = ImageDraw.Draw(pillow.new("L", (1, 1)))
    left, top, right, bottom = probe.multiline_textbbox((0, 0), "\n".join(lines), font=font)
    size = (int(right - left) + 2 * _MARGIN, int(bottom - top) + 2 * _MARGIN)
    image = pillow.new("L", size, 255)
    ImageDraw.Draw(image).multiline_text((_MARGIN, _MARGIN), "\n".join(lines), fill=0, font=font)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return image_within(buffer.getvalue())
