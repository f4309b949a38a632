"""What a run is asked beside text: figures, images, frames and files, as parts of a message."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from ..displays import (
    Block,
    MixedContent,
    image_within,
    is_displayed,
    message_blocks,
    part_block,
)
from ..exceptions import UserError
from ..items import read_once
from ..tools.output import ToolOutputPart, part_param

__all__ = ["as_input"]

_PARTS: Final = frozenset({"input_text", "input_image", "input_file", "input_audio"})
_LARGEST_FILE: Final = 50_000_000
_LONGEST_TEXT: Final = 200_000


def as_input(parts: Sequence[Any], budget: int) -> tuple[list[Any], list[Block]]:
    """The input items of a list, and what a view shows of it.

    Texts, images, figures, frames and files that follow one another are one message of the user;
    input items between them stay as they are.

    `budget` is in characters of the text of one frame.

    Raises
    ------
    UserError
        One of them is neither; or a file cannot be read, or is too large.
    """
    parts = list(map(read_once, parts))
    if all(_is_item(entry) for entry in parts):
        return parts, _display_block(parts)
    items: list[Any] = []
    blocks: list[Block] = []
    message: MixedContent | None = None
    for at, entry in enumerate(parts):
        if _is_item(entry):
            items.append(entry)
            message = None
            continue
        if message is None:
            message = MixedContent(_part, budget)
            items.append({"role": "user", "content": message.result.parts})
        _check(entry, at)
        before = len(message.result.blocks)
        message.add(entry)
        blocks += message.result.blocks[before:]
        message.close_figures()
    return items, blocks


def _is_item(entry: Any) -> bool:
    """Whether an entry is an input item, and no part of a message."""
    if isinstance(entry, Mapping):
        return "role" in entry or ("type" in entry and entry["type"] not in _PARTS)
    return isinstance(entry, BaseModel) and not isinstance(entry, ToolOutputPart)


def _check(entry: Any, at: int) -> None:
    is_part = isinstance(entry, Mapping) and entry.get("type") in _PARTS
    if is_part or isinstance(entry, (str, Path, ToolOutputPart)) or is_displayed(entry):
        return
    what = type(entry).__name__
    if isinstance(entry, Mapping):
        what += " without a role or a type"
    raise UserError(
        f"input[{at}] is a {what}: a list holds input items, or what a message consists of: texts, "
        "figures, images, frames, files (pathlib.Path) and parts such as "
        "{'type': 'input_image', 'image_url': ...}. Write other values as text, with str(...)."
    )


def _part(entry: Any) -> tuple[dict[str, Any], Block] | None:
    """The part that an entry is already, or the file that it names, and how it is shown."""
    if isinstance(entry, Path):
        return _file(entry)
    part = part_param(entry) if isinstance(entry, ToolOutputPart) else entry
    return (dict(part), part_block(part)) if isinstance(part, Mapping) else None


def _file(path: Path) -> tuple[dict[str, Any], Block]:
    """A file as a part: an image as one, text as text, which every model reads."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"The file {str(path)!r} cannot be read: {error.strerror or error}. A text that is no "
            "file is given as str."
        ) from error
    if len(data) > _LARGEST_FILE:
        raise UserError(
            f"The file {str(path)!r} has {len(data):,} bytes; models take at most "
            f"{_LARGEST_FILE:,}. Give a part of it."
        )
    block: Block = {"type": "file", "text": f"File {path.name}, {len(data) / 1000:,.1f} kB"}
    image = image_within(data)
    if image is not None:
        name = f"{path.name}, {image.measure} pixels" if image.measure else path.name
        part = {"type": "input_image", "image_url": image.url, "detail": "auto"}
        return part, {"type": "image", "url": image.url, "text": name}
    text = _as_text(data)
    if text is not None:
        return {"type": "input_text", "text": f"File {path.name}:\n{text}"}, block
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    url = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return {"type": "input_file", "filename": path.name, "file_data": url}, block


def _as_text(data: bytes) -> str | None:
    if len(data) > _LONGEST_TEXT or b"\0" in data:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _display_block(items: Sequence[Any]) -> list[Block]:
    """What a view shows of items: the last message, if that is the user's."""
    last = items[-1] if items else None
    if not isinstance(last, Mapping) or last.get("role") != "user":
        return []
    content = last.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return message_blocks(content, also_text=True)
