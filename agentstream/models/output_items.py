"""Reads output items that were written down, as loosely as streams are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from openai.types.responses import ResponseOutputItemDoneEvent
from pydantic import BaseModel, ValidationError

from ..items import raw_field
from .responses.unions import typed_item

__all__ = ["output_item", "read_calls", "readable_call"]


def output_item(data: Any) -> Any:
    """The item in plain data: of the client's type, also where a server's shape does not fit it.

    Gateways leave out a message's annotations or status, send null for a list, or add types. A
    stream of theirs is read, so what was saved of it has to be read as well, and is written again
    as it came.

    Raises
    ------
    ValueError
        It is no object.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"An output item is an object, not {data!r:.100}")
    try:
        item = typed_item(data)
    except ValidationError:
        item = data
    if isinstance(item, Mapping):
        # The client's own loose construction, which `models.responses.events` uses for events, too.
        return ResponseOutputItemDoneEvent.construct(item=dict(data)).item
    return item


def readable_call(item: Any, *, begins: bool = False) -> Any:
    """The item; a function's call that has no text for its arguments is given one, in place.

    Some servers send null where a function has no parameters, or the object itself.

    `begins`: its arguments are still to come.

    Examples
    --------
    >>> readable_call({"type": "function_call", "arguments": {"city": "Rome"}})["arguments"]
    '{"city": "Rome"}'
    >>> readable_call({"type": "function_call", "arguments": None})["arguments"]
    '{}'
    """
    if raw_field(item, "type") != "function_call":
        return item
    arguments = raw_field(item, "arguments")
    if not isinstance(arguments, str):
        text = _arguments(arguments, begins)
        if isinstance(item, dict):
            item["arguments"] = text
        else:
            item.arguments = text
    return item


def _arguments(arguments: Any, begins: bool) -> str:
    if arguments is None or arguments == []:  # an empty object is an empty list in some languages
        return "" if begins else "{}"
    return json.dumps(arguments, ensure_ascii=False, default=str)


def read_calls(event: BaseModel) -> None:
    """Make the calls that an event of the Responses API tells of readable, in place."""
    kind = getattr(event, "type", None)
    readable_call(getattr(event, "item", None), begins=kind == "response.output_item.added")
    output = getattr(getattr(event, "response", None), "output", None)
    for item in output if isinstance(output, list) else ():
        readable_call(item)
    if kind == "response.function_call_arguments.done":
        arguments = getattr(event, "arguments", None)
        if isinstance(arguments, (dict, list)):
            object.__setattr__(event, "arguments", _arguments(arguments, begins=False))
