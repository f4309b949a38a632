"""Embedded images and files in a recording: a digest in their place, and once a small likeness.

A request with a picture is found again by the picture's digest; a card that is played shows the
picture itself if it is small, else a thumbnail. So a recording has kilobytes of it, not megabytes::

    "data:image/png;base64,iVBORw0..."   becomes   "data:image/png;sha256=9f86d0..."
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any, Final

from ..displays import picture_of_url, thumbnail

__all__ = ["thumbnail_url", "with_pictures", "without_embedded"]

_SHORTEST: Final = 1_000
_KEPT: Final = 100_000
"""Bytes of a picture that a recording has as it is."""

_THUMBNAIL: Final = 512  # pixels
_DATA_URL: Final = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*;base64,")
_REFERENCE: Final = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*;sha256=([0-9a-f]{64})\Z")


def without_embedded(value: Any, urls: dict[str, str] | None = None) -> Any:
    """Plain data with digests in the place of ``data:`` URLs.

    Parameters
    ----------
    value
        Plain data.
    urls : dict, optional
        Takes the URLs by their digests.

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
    """The picture in a ``data:`` URL, small enough to be kept; None where there is none."""
    picture = picture_of_url(url)
    small = None if picture is None else thumbnail(picture.data, _THUMBNAIL, _KEPT)
    if small is None:
        return None
    return f"data:image/{small.kind};base64,{base64.b64encode(small.data).decode()}"


def with_pictures(value: Any, pictures: dict[str, str]) -> Any:
    """Plain data with the pictures that are kept in the place of their digests."""
    if isinstance(value, str):
        reference = _REFERENCE.match(value) if value.startswith("data:") else None
        return value if reference is None else pictures.get(reference[1], value)
    if isinstance(value, list):
        return [with_pictures(entry, pictures) for entry in value]
    if isinstance(value, dict):
        return {name: with_pictures(entry, pictures) for name, entry in value.items()}
    return value
