"""JSON from elsewhere, read to a depth that everything else can cope with.

Python's parser takes some 1,000 levels, and then raises RecursionError, which no caller expects.
What it does take can still not be used: pydantic writes no value deeper than 255 levels, so such an
answer could be neither recorded, saved nor sent on.
"""

from __future__ import annotations

import json
from typing import Any, Final

__all__ = ["DEEPEST", "read_json"]

DEEPEST: Final = 200
"""Levels of lists and objects that are read: as many as jiter reads."""

_TOO_DEEP: Final = f"Nested deeper than {DEEPEST} levels"
_TOO_LONG: Final = "A number of more digits than are read"


def read_json(text: str | bytes) -> Any:
    """Parse JSON as Python does, but no deeper than `DEEPEST` levels.

    Parameters
    ----------
    text : str or bytes
        JSON from a model, a server or a file; bytes are UTF-8.

    Raises
    ------
    ValueError
        The text is no UTF-8 (`UnicodeDecodeError`), is no JSON, holds a number of more digits than
        Python reads, or is nested too deep (`json.JSONDecodeError`).

    Examples
    --------
    >>> read_json('{"a": [1, 2]}')
    {'a': [1, 2]}
    >>> read_json("[" * 100_000)
    Traceback (most recent call last):
        ...
    json.decoder.JSONDecodeError: Nested deeper than 200 levels: line 1 column 1 (char 0)
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
