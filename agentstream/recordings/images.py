"""Embedded images and files in a recording: a digest in their place, and once a thumbnail.

A request with an image is found again by the image's digest; a card that is played shows the
image itself if it is small, else a thumbnail. So a recording has kilobytes of it, not megabytes::

    "data:image/png;base64,iVBORw0..."   becomes   "data:image/png;sha256=9f86d0..."
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any, Final

from ..displays import image_of_url, thumbnail

__all__ = ["thumbnail_url", "with_images", "without_embedded"]

_SHORTEST: Final = 1_000
_KEPT: Final = 100_000
"""Bytes of an image that a recording has as it is."""

_THUMBNAIL: Final = 512  # pixels
_DATA_URL: Final = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*;base64,")
_REFERENCE: Final = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*;sha256=([0-9a-f]{64})\Z")


def without_embedded(value: Any, urls: dict[str, str] | None = None) -> Any:
    """Plain data with digests in the place of ``data:`` URLs.

    Examples
    --------
    >>> url = "data:image/png;base64," + "QUJD" * 400
    >>> without_embedded([url])[0][:34], without_embedded("data: none")
    ('data:image/png;sha256=b7b794808bef', 'data: none')
    """
    if isinstance(value, str):
        return _reference(value, urls) if value.startswith("data:") else value
    if isinstance(value, list):
        return [without_embedded(entry, urls) for entry in value]
    if isinstance(value, dict):
        return {name: without_embedded(entry, urls) for name, entry in value.items()}
    return value


def _reference(url: str, urls: dict[str, str] | None) -> str:
    head = _DATA_URL.match(url) if len(url) > _SHORTEST else None
    if head is None:
        return url
    digest = hashlib.sha256(url[head.end() :].encode("ascii", "replace")).hexdigest()
    if urls is not None:
        urls[digest] = url
    return head.group().removesuffix(";base64,") + f";sha256={digest}"


def thumbnail_url(url: str) -> str | None:
    """The image in a ``data:`` URL, small enough to be kept; None where there is none."""
    image = image_of_url(url)
    small = None if image is None else thumbnail(image.data, _THUMBNAIL, _KEPT)
    if small is None:
        return None
    return f"data:image/{small.kind};base64,{base64.b64encode(small.data).decode()}"


def with_images(value: Any, images: dict[str, str]) -> Any:
    """Plain data with the images that are kept in the place of their digests."""
    if isinstance(value, str):
        reference = _REFERENCE.match(value) if value.startswith("data:") else None
        return value if reference is None else images.get(reference[1], value)
    if isinstance(value, list):
        return [with_images(entry, images) for entry in value]
    if isinstance(value, dict):
        return {name: with_images(entry, images) for name, entry in value.items()}
    return value
