"""What is JSON already goes past the client's transformation of a request's body.

The openai client walks the type hints of every field that it is given, to rename fields and format
dates and files: half a millisecond for one tool and one message, half a second for a history of
2,000 items. No field of its responses and chat types is renamed or formatted (a test holds that for
the installed client), and JSON has no dates and no files. So the long fields are handed over in
``extra_body``, which the client merges into the body as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ..._utils.json import encodable

__all__ = ["bypass_request_transform", "is_json"]

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


def bypass_request_transform(arguments: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Move the named arguments of ``create()`` that are JSON into its ``extra_body``.

    What the user gave as ``extra_body`` stays, and goes before what is moved, as the client puts it
    before other arguments. Half a surrogate pair is sent as U+FFFD.
    """
    arguments = encodable(arguments)  # the client encodes the body strictly
    extra_body = arguments.get("extra_body")
    if extra_body is not None and not isinstance(extra_body, Mapping):
        return arguments  # the client says what is wrong with it
    moved = {name: arguments[name] for name in names if is_json(arguments.get(name, ...))}
    left = {name: value for name, value in arguments.items() if name not in moved}
    return {**left, "extra_body": {**moved, **(extra_body or {})}} if moved else arguments


def is_json(value: Any) -> bool:
    """Whether a value consists of plain lists, dicts, texts, numbers, booleans and None."""
    kind = type(value)
    if kind is dict:
        return all(map(is_json, value.values()))
    if kind is list:
        return all(map(is_json, value))
    return kind in _SCALARS
