"""Reads output items that were written down, as loosely as streams are read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from openai.types.responses import ResponseOutputItem, ResponseOutputItemDoneEvent
from pydantic import TypeAdapter, ValidationError

__all__ = ["output_item"]


@cache
def _strictly() -> TypeAdapter[Any]:
    return TypeAdapter(ResponseOutputItem)


def output_item(data: Any) -> Any:
    """The item in plain data: of the client's type, also where a server's shape does not fit it.

    Gateways leave out a message's annotations or status, send null for a list, or add types. A
    stream of theirs is read, so what was saved of it has to be read as well, and is written again
    as it came.

    Raises
    ------
    ValueError
        It is no object.

    Examples
    --------
    >>> item = output_item({"type": "message", "role": "assistant",
    ...                     "content": [{"type": "output_text", "text": "Hi"}]})
    >>> type(item).__name__, item.content[0].text
    ('ResponseOutputMessage', 'Hi')
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"An output item is an object, not {data!r:.100}")
    try:
        return _strictly().validate_python(data)
    except ValidationError:
        # The client's own loose construction, which `models.wire` uses for events, too.
        return ResponseOutputItemDoneEvent.construct(item=dict(data)).item
