"""Members of the API's unions are looked up by their ``type``; pydantic would try each in turn.

Items of an answer are one of 28 classes, tools one of 18, told apart by the literal in ``type``.
The client notes that for itself, not for pydantic, which builds the errors of all that do not fit:
0.3 ms for each item, and 0.1 for each tool that an answer repeats. An object in the dict's place
costs a twentieth, and what comes of it is equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, get_args

from openai import BaseModel
from openai.types.responses import Response, ResponseOutputItem, Tool

__all__ = ["typed_item", "typed_response", "with_typed_members"]


def typed_item(data: Any) -> Any:
    """The output item in plain data; what has no known ``type`` is given back as it is.

    Raises
    ------
    pydantic.ValidationError
        It does not fit the class of its type, and so no other one.

    Examples
    --------
    >>> type(typed_item({"type": "reasoning", "id": "rs_1", "summary": []})).__name__
    'ResponseReasoningItem'
    >>> typed_item({"type": "of tomorrow"})
    {'type': 'of tomorrow'}
    """
    return _typed(_items(), data)


def typed_response(data: Mapping[str, Any]) -> Response:
    """The answer in plain data.

    Raises
    ------
    pydantic.ValidationError
        It does not fit.
    """
    members = {name: _each(table(), data[name]) for name, table in _LISTS.items() if name in data}
    return Response.model_validate({**data, **members})


def with_typed_members(data: dict[str, Any]) -> dict[str, Any]:
    """An event's data, with objects for the answer or the item in it.

    Raises
    ------
    pydantic.ValidationError
        One of them does not fit.
    """
    if isinstance(item := data.get("item"), dict):
        return {**data, "item": typed_item(item)}
    if isinstance(response := data.get("response"), dict):
        return {**data, "response": typed_response(response)}
    return data


def _each(table: Mapping[str, type[BaseModel]], entries: Any) -> Any:
    return [_typed(table, entry) for entry in entries] if isinstance(entries, list) else entries


def _typed(table: Mapping[str, type[BaseModel]], data: Any) -> Any:
    kind = data.get("type") if isinstance(data, Mapping) else None
    cls = table.get(kind) if isinstance(kind, str) else None
    return data if cls is None else cls.model_validate(data)


@cache
def _items() -> dict[str, type[BaseModel]]:
    return dict(_members(ResponseOutputItem))


@cache
def _tools() -> dict[str, type[BaseModel]]:
    return dict(_members(Tool))


_LISTS: Final = {"output": _items, "tools": _tools}
"""The fields of an answer that hold members of a union."""


def _members(union: Any) -> Any:
    """Each literal of ``type`` and its class; only of classes whose type no other one has."""
    classes: dict[str, type[BaseModel] | None] = {}
    for cls in _classes(union):
        for literal in get_args(cls.model_fields["type"].annotation):
            classes[literal] = None if literal in classes else cls
    return ((literal, cls) for literal, cls in classes.items() if cls is not None)


def _classes(union: Any) -> Any:
    if isinstance(union, type):
        yield union
        return
    arguments = get_args(union)
    for member in arguments[:1] if hasattr(union, "__metadata__") else arguments:
        yield from _classes(member)
