"""What values look like: a figure, an image, a frame, for a person at the page and for a model.

A value becomes plain data: blocks for a card (a picture, a table, HTML that the page sanitises) and
the parts that a model takes (text, and an image where there is one). The libraries that draw are
never imported here: a value can only be a figure if somebody has loaded what makes figures.

Listed is what other rooms use; no module here is API.
"""

from __future__ import annotations

from .content import Block, Content
from .formatters import content_of_bundle
from .frames import MOST_CHARACTERS
from .makers import content_of, is_displayable
from .messages import message_blocks, part_block
from .pictures import Picture, picture_of, picture_of_url, picture_within, thumbnail
from .pixels import pixels_of
from .values import Displayed, MixedContent, displayed, is_displayed

__all__ = [
    "MOST_CHARACTERS",
    "Block",
    "Content",
    "Displayed",
    "MixedContent",
    "Picture",
    "content_of",
    "content_of_bundle",
    "displayed",
    "is_displayable",
    "is_displayed",
    "message_blocks",
    "part_block",
    "picture_of",
    "picture_of_url",
    "picture_within",
    "pixels_of",
    "thumbnail",
]
