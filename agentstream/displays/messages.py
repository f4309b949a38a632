"""Messages as they are kept, in parts of the API: how each is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .content import Block

__all__ = ["message_blocks", "part_block"]


def part_block(part: Mapping[str, Any]) -> Block:
    """How a part of a message is shown: texts and images themselves, of a file its name."""
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        return {"type": "text", "text": str(part.get("text") or "")}
    address = part.get("image_url")
    if isinstance(address, str) and address.startswith("data:"):
        return {"type": "image", "url": address, "text": "Image"}
    name = part.get("filename") or part.get("file_id") or part.get("file_url") or address or ""
    what = str(kind).removeprefix("input_").replace("_url", "")
    return {"type": "file", "text": f"{what.capitalize()} {str(name)[:200]}".strip()}


def message_blocks(content: Any, *, also_text: bool = False) -> list[Block]:
    """How the content of a message is shown; empty where it is text alone, unless `also_text`."""
    parts = content if isinstance(content, list) else []
    blocks = [part_block(part) for part in parts if isinstance(part, Mapping)]
    return blocks if also_text or any(block["type"] != "text" for block in blocks) else []
