"""Images as bytes: their format and size, what is too large made smaller, as ``data:`` URLs."""

from __future__ import annotations

import base64
import io
import struct
import sys
import zlib
from dataclasses import dataclass
from typing import Any, Final

__all__ = [
    "LONGEST_SIDE",
    "MOST_BYTES",
    "EncodedImage",
    "encode_png",
    "image_of",
    "image_of_url",
    "image_within",
    "thumbnail",
]

LONGEST_SIDE: Final = 2_000
"""Pixels: models look at no more (OpenAI fits an image into 2,048 squared)."""

MOST_BYTES: Final = 1_000_000
"""Of an image in a card and in a request; a larger one is made smaller."""

_LARGEST_LEFT: Final = 4_000_000
"""Bytes of an image that may stay as it is where nothing can make it smaller."""

_MOST_PIXELS: Final = 100_000_000
_QUALITY: Final = 85


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image in a format that every browser and every model with eyes takes.

    Attributes
    ----------
    data : bytes
        PNG, JPEG, GIF or WebP.
    kind : str
        ``"png"``, ``"jpeg"``, ``"gif"`` or ``"webp"``.
    size : tuple of int or None
        Width and height in pixels, where the format says it at its beginning.
    """

    data: bytes
    kind: str
    size: tuple[int, int] | None

    @property
    def url(self) -> str:
        """The image itself as an address."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode()}"

    @property
    def measure(self) -> str:
        """Its size in words, such as 640 by 480; empty where it is not known."""
        return "" if self.size is None else f"{self.size[0]} \N{MULTIPLICATION SIGN} {self.size[1]}"


def image_of(data: bytes) -> EncodedImage | None:
    r"""Return the image that `data` is; None if it is none, or of another format.

    Examples
    --------
    >>> image_of(b"\x89PNG\r\n\x1a\n" + bytes(8) + b"\0\0\0\2\0\0\0\3").size
    (2, 3)
    >>> image_of(b"GIF89a\2\0\3\0").kind
    'gif'
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return EncodedImage(data, "png", _pair(">II", data, 16))
    if data.startswith(b"\xff\xd8\xff"):
        return EncodedImage(data, "jpeg", _jpeg_size(data))
    if data.startswith((b"GIF87a", b"GIF89a")):
        return EncodedImage(data, "gif", _pair("<HH", data, 6))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return EncodedImage(data, "webp", None)
    return None


def image_of_url(url: str) -> EncodedImage | None:
    """Return the image in a ``data:`` URL; None for any other address.

    Examples
    --------
    >>> image_of_url("data:image/gif;base64,R0lGODlhAQABAA==").size
    (1, 1)
    """
    head, _, data = url.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64")):
        return None
    try:
        return image_of(base64.b64decode(data))
    except ValueError:
        return None


def _pair(form: str, data: bytes, at: int) -> tuple[int, int] | None:
    try:
        width, height = struct.unpack_from(form, data, at)
    except struct.error:  # cut off
        return None
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from the frame header; the segments before it are stepped over."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        if data[at + 1] in range(0xC0, 0xD0) and data[at + 1] not in (0xC4, 0xC8, 0xCC):
            size = _pair(">HH", data, at + 5)
            return None if size is None else (size[1], size[0])
        (length,) = struct.unpack_from(">H", data, at + 2)
        at += 2 + length
    return None


def image_within(data: bytes) -> EncodedImage | None:
    """Return the image within the budget; None if it is none, or nothing can make it fit.

    Pillow makes it smaller where it is loaded: matplotlib loads it.
    """
    image = image_of(data)
    if image is None or not (image.size is None or _is_too_large(image, LONGEST_SIDE, MOST_BYTES)):
        return image
    if image.size is None and len(data) <= MOST_BYTES:
        return image
    smaller = _shrunk(data, LONGEST_SIDE, MOST_BYTES)
    if smaller is not None:
        return smaller
    return image if len(data) <= max(MOST_BYTES, _LARGEST_LEFT) else None


def thumbnail(data: bytes, longest: int, most: int) -> EncodedImage | None:
    """Return a thumbnail, the image itself if it is small; None where none can be made."""
    image = image_of(data)
    if image is None or len(data) <= most:
        return image
    return _shrunk(data, longest, most)


def _is_too_large(image: EncodedImage, longest: int, most: int) -> bool:
    return len(image.data) > most or (image.size is not None and max(image.size) > longest)


def _shrunk(data: bytes, longest: int, most: int) -> EncodedImage | None:
    pillow: Any = sys.modules.get("PIL.Image")
    if pillow is None:
        return None
    try:
        with pillow.open(io.BytesIO(data)) as image:
            if image.size[0] * image.size[1] > _MOST_PIXELS:
                return None
            return encoded(image, longest, most)
    except Exception:  # noqa: BLE001 - of an image that is damaged Pillow raises whatever it meets
        return None


def encoded(image: Any, longest: int = LONGEST_SIDE, most: int = MOST_BYTES) -> EncodedImage | None:
    """Return Pillow's `image` as PNG, as JPEG where that is too large, smaller until it fits."""
    side = min(max(image.size), longest)
    while True:
        small = image
        if max(image.size) > side:
            small = image.copy()
            small.thumbnail((side, side))
        for kind, modes, options in (
            ("PNG", ("1", "L", "LA", "P", "RGB", "RGBA"), {}),
            ("JPEG", ("L", "RGB"), {"quality": _QUALITY}),
        ):
            buffer = io.BytesIO()
            (small if small.mode in modes else _on_white(small, kind)).save(buffer, kind, **options)
            if buffer.tell() <= most:
                return image_of(buffer.getvalue())
        if side < 16:
            return None
        side //= 2


def _on_white(image: Any, kind: str) -> Any:
    """`image` in a mode that the format has; in JPEG what is transparent would be black."""
    if kind == "PNG":
        return image.convert("RGB")
    clear = image.convert("RGBA")
    white = clear.copy()
    white.paste((255, 255, 255, 255), (0, 0, *clear.size))
    white.alpha_composite(clear)
    return white.convert("RGB")


def encode_png(width: int, height: int, channels: int, rows: bytes) -> bytes:
    r"""Write 8-bit pixels as PNG: 1 channel is grey, 2 with alpha, 3 colour, 4 with alpha."""
    stride = width * channels
    lines = b"".join(b"\0" + rows[at * stride : (at + 1) * stride] for at in range(height))
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body
