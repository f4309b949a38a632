"""Names for the tools of several servers, none twice: ``mcp_<server>__<tool>``.

The form, its 64 characters and its hashes are those of the OpenAI Agents SDK (observed), so that a
conversation begun with one goes on with the other.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import count
from typing import NamedTuple

MAX_LENGTH = 64
"""Longest name of a function in OpenAI's API, in characters."""


class Named(NamedTuple):
    """A tool's name and its server's."""

    server: str
    tool: str


def prefixed(tools: Sequence[Named], taken: Collection[str] = ()) -> list[str]:
    """Make a name for each tool; one that would be twice, or is taken, ends in a hash.

    Examples
    --------
    >>> prefixed([Named("files", "read"), Named("my web!", "read")])
    ['mcp_files__read', 'mcp_my_web__read']
    >>> prefixed([Named("a", "x"), Named("a", "x")])
    ['mcp_a__x_c0d67a9d', 'mcp_a__x_e82367ad']
    """
    plain = [f"mcp_{_safe(t.server, 'server')}__{_safe(t.tool, 'tool')}" for t in tools]
    often = Counter(plain)
    used = set(taken)
    names = []
    for tool, base in zip(tools, plain, strict=True):
        clash = often[base] > 1 or base in used
        name = _hashed(base, tool, 0) if clash or len(base) > MAX_LENGTH else base
        for attempt in count(1):
            if name not in used:
                break
            name = _hashed(base, tool, attempt)
        used.add(name)
        names.append(name)
    return names


def _safe(name: str, otherwise: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name).strip("_") or otherwise


def _hashed(base: str, tool: Named, attempt: int) -> str:
    seed = "\0".join([*tool, str(attempt)] if attempt else tool)
    digest = hashlib.sha1(seed.encode(), usedforsecurity=False).hexdigest()[:8]
    return f"{base[: MAX_LENGTH - 9]}_{digest}"
