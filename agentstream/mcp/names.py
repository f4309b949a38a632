"""Names for the tools of several servers, none twice: ``mcp_<server>__<tool>``.

The form, its 64 characters and its hashes are those of the OpenAI Agents SDK (observed), so that a
conversation begun with one goes on with the other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from ..models.tool_names import distinct_names, safe_name


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
    plain = [f"mcp_{safe_name(t.server, 'server')}__{safe_name(t.tool, 'tool')}" for t in tools]
    return distinct_names(plain, ["\0".join(tool) for tool in tools], taken)
