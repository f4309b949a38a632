"""What a stream is read of is read again from what was written down, and written as it came."""

from __future__ import annotations

from typing import Any

import pytest

from agentstream.models.output_items import output_item

SHAPES: list[dict[str, Any]] = [
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
    {"type": "message", "id": "m", "role": "assistant", "content": None},
    {"type": "message", "id": "m", "role": "assistant", "content": "a text"},
    {"type": "reasoning", "id": "r", "summary": None},
    {"type": "web_search_call", "id": "w", "status": "completed"},
    {"type": "image_generation_call", "id": "i", "status": "odd", "result": None},
    {"type": "brand_new_call", "id": "n", "anything": {"a": [1]}},
    {"id": "no type"},
]


@pytest.mark.parametrize("data", SHAPES, ids=str)
def test_a_shape_that_does_not_fit_goes_round_as_it_came(data: dict[str, Any]) -> None:
    item = output_item(data)
    assert item.model_dump(mode="json", exclude_unset=True, warnings=False) == data


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="is an object"):
        output_item("text")
