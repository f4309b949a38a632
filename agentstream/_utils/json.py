"""JSON from elsewhere, read to a depth that everything else can cope with.

Python's parser takes some 1,000 levels, and then raises RecursionError, which no caller expects.
What it does take can still not be used: pydantic writes no value deeper than 255 levels, so such an
answer could be neither recorded, saved nor sent on.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

__all__ = ["DEEPEST", "encodable", "encodable_json", "escaped_halves", "read_json", "write_json"]

DEEPEST: Final = 200
"""Levels of lists and objects that are read: as many as jiter reads."""

_TOO_DEEP: Final = f"Nested deeper than {DEEPEST} levels"
_TOO_LONG: Final = "A number of more digits than are read"

_HALF: Final = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def encodable(value: Any) -> Any:
    r"""Make a JSON value one that UTF-8 can hold: half a surrogate pair becomes U+FFFD.

    Models emit such halves, and `os.listdir` gives them for names that are not UTF-8. The two
    halves of one pair become the character that they stand for.

    A value with nothing to repair, as nearly always, is given back itself; otherwise a copy.

    Examples
    --------
    >>> encodable({"name": "caf\udce9"}), encodable("\ud83d\ude00")
    ({'name': 'caf�'}, '😀')
    """
    return value if _is_encodable(value) else _repaired(value)


def encodable_json(text: str) -> str:
    r"""Make the text of some JSON such that pydantic reads it: no half of a surrogate pair.

    Text that is no JSON is given back as it is, for its reader to say so.
    """
    if _is_encodable(text) and not _SURROGATE_ESCAPE.search(text):
        return text
    try:
        value = read_json(text)
    except ValueError:
        return text
    return text if _is_encodable(text) and _is_encodable(value) else json.dumps(encodable(value))


def _is_encodable(value: Any) -> bool:
    if isinstance(value, str):
        if value.isascii():
            return True
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
        return True
    if isinstance(value, dict):
        return all(map(_is_encodable, value)) and all(map(_is_encodable, value.values()))
    return not isinstance(value, list) or all(map(_is_encodable, value))


def _repaired(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_repaired(name): _repaired(entry) for name, entry in value.items()}
    return [_repaired(entry) for entry in value] if isinstance(value, list) else value


def escaped_halves(text: str) -> str:
    r"""JSON text in which half a surrogate pair is escaped, so that UTF-8 holds it as it is.

    Examples
    --------
    >>> escaped_halves('"caf\udce9 é"').encode()
    b'"caf\\udce9 \xc3\xa9"'
    """
    return text if text.isascii() else _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def write_json(value: Any) -> str:
    r"""The JSON text of any value; what JSON does not hold becomes text, half a pair U+FFFD.

    Examples
    --------
    >>> write_json({"name": "caf\udce9"})
    '{"name":"caf�"}'
    """
    from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

    try:
        return to_json(value, fallback=str).decode()
    except PydanticSerializationError:
        plain = to_jsonable_python(value, fallback=str)
        return to_json(encodable(plain)).decode()


def read_json(text: str | bytes) -> Any:
    """Parse JSON as Python does, but no deeper than `DEEPEST` levels.

    Raises
    ------
    ValueError
        The text is no UTF-8 (`UnicodeDecodeError`), is no JSON, holds a number of more digits than
        Python reads, or is nested too deep (`json.JSONDecodeError`).
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    try:
        value = json.loads(text)
    except RecursionError:
        raise json.JSONDecodeError(_TOO_DEEP, text, 0) from None
    except json.JSONDecodeError:
        raise
    except ValueError:  # Python's limit on the digits of an integer, 4,300 unless set
        raise json.JSONDecodeError(_TOO_LONG, text, 0) from None
    if text.count("[") + text.count("{") > DEEPEST and _is_deep(value):
        raise json.JSONDecodeError(_TOO_DEEP, text, 0)
    return value


def _is_deep(value: Any) -> bool:
    """Whether lists and objects stand in one another deeper than `DEEPEST`; level by level."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            entry
            for holder in level
            if isinstance(holder, (list, dict))
            for entry in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(entry, (list, dict))
        ]
        if not level:
            return False
    return True
