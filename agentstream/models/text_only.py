"""Models that read text alone: a tool's image is told to them by the text beside it."""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["reads_text_only", "without_output_images"]

# From the providers' model pages; a model that is not known here is taken to have eyes.
_TEXT_ONLY: Final = re.compile(
    r"(?:.*/)?(?:gpt-3\.5|gpt-4(?:-\d{4}|-32k|-0\d{3}|\Z)|gpt-oss|o1-mini|o1-preview|o3-mini"
    r"|deepseek-(?!vl|ocr)|text-)"
)
_OMITTED: Final = "[An image, which this model cannot see]"


def reads_text_only(model: str | None) -> bool:
    """Whether a model is known to take no images.

    Examples
    --------
    >>> reads_text_only("o3-mini"), reads_text_only("gpt-4o"), reads_text_only("my-own")
    (True, False, False)
    """
    return model is not None and _TEXT_ONLY.match(model.lower()) is not None


def without_output_images(item: Any) -> Any:
    """An input item without the images that a tool returned; their texts stay."""
    if not isinstance(item, dict) or item.get("type") != "function_call_output":
        return item
    parts = item.get("output")
    if not isinstance(parts, list):
        return item
    kept = [part for part in parts if not _is_image(part)]
    if len(kept) == len(parts):
        return item
    return {**item, "output": kept or [{"type": "input_text", "text": _OMITTED}]}


def _is_image(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "input_image"
