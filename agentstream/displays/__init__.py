"""What values look like: a figure, an image, a frame, for a person at the page and for a model.

A value becomes plain data: blocks for a card (an image, a table, HTML that the page sanitises) and
the parts that a model takes (text, and an image where there is one). The libraries that draw are
never imported here: a value can only be a figure if somebody has loaded what makes figures.

Listed is what other rooms use; no module here is API.
"""

from __future__ import annotations

from .content import Block, Content
from .formatters import content_of_bundle
from .frames import MOST_CHARACTERS
from .images import EncodedImage, image_of, image_of_url, image_within, thumbnail
from .makers import content_of, is_displayable
from .messages import message_blocks, part_block
from .pixels import pixels_of
from .values import Displayed, MixedContent, displayed, is_displayed

__all__ = [
    "MOST_CHARACTERS",
    "Block",
    "Content",
    "Displayed",
    "EncodedImage",
    "MixedContent",
    "content_of",
    "content_of_bundle",
    "displayed",
    "image_of",
    "image_of_url",
    "image_within",
    "is_displayable",
    "is_displayed",
    "message_blocks",
    "part_block",
    "pixels_of",
    "thumbnail",
]
