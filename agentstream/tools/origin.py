"""Where a function tool is from: a function, an MCP server, an agent.

Two tools of one name are not one tool. What a call was made to is kept with it, so that a decision
on it, and a run that goes on elsewhere, hold for that tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class ToolOriginType(StrEnum):
    """The kind of origin of a tool.

    Examples
    --------
    >>> ToolOriginType("mcp") is ToolOriginType.MCP
    True
    """

    FUNCTION = "function"
    MCP = "mcp"
    AGENT_AS_TOOL = "agent_as_tool"


@dataclass(frozen=True)
class ToolOrigin:
    """The origin of a tool.

    Attributes
    ----------
    type : ToolOriginType
        The kind of origin.
    mcp_server_name : str or None
        The local MCP server that it is a tool of.
    agent_name : str or None
        The agent that runs as this tool.
    agent_tool_name : str or None
        The tool's name, if it is an agent.
    recipient : tuple or None
        Of an MCP tool: its name at the server, which of the agent's servers of one name has it,
        from 0, and how many there are. What is public of it, another tool may have another day.

    Examples
    --------
    >>> str(ToolOrigin(ToolOriginType.MCP, mcp_server_name="files"))
    "MCP server 'files'"
    """

    type: ToolOriginType
    mcp_server_name: str | None = None
    agent_name: str | None = None
    agent_tool_name: str | None = None
    recipient: tuple[str, int, int] | None = field(default=None, compare=False)

    def is_another(self, tool: ToolOrigin) -> bool:
        """Whether a call that was made to this would now go to another one, that of `tool`."""
        return self != tool or self.recipient not in (None, tool.recipient)

    def __str__(self) -> str:
        if self.type is ToolOriginType.MCP:
            return f"MCP server {self.mcp_server_name!r}"
        if self.type is ToolOriginType.AGENT_AS_TOOL:
            return f"agent {self.agent_name!r}"
        return "a function"

    def in_full(self) -> str:
        """Where the tool is from, and what it is called there."""
        if self.recipient is None:
            return str(self)
        name, place, count = self.recipient
        return f"{self}, number {place + 1} of {count} of that name, as its tool {name!r}"

    def to_json_dict(self) -> dict[str, Any]:
        """These fields as plain data, without those that are None."""
        fields = {name: value for name, value in vars(self).items() if value is not None}
        if self.recipient is not None:
            fields["recipient"] = list(self.recipient)
        return {**fields, "type": self.type.value}

    @classmethod
    def from_json_dict(cls, data: Any) -> ToolOrigin | None:
        """What `to_json_dict` was called on; None for anything else.

        Parameters
        ----------
        data : dict
            What `to_json_dict` gave.

        Examples
        --------
        >>> ToolOrigin.from_json_dict({"type": "function"})
        ToolOrigin(type=<ToolOriginType.FUNCTION: 'function'>)
        """
        if not isinstance(data, Mapping):
            return None
        names = ("mcp_server_name", "agent_name", "agent_tool_name")
        more = {name: data.get(name) for name in names}
        try:
            kind = ToolOriginType(str(data.get("type")))
        except ValueError:
            return None
        texts: Any = {k: v if isinstance(v, str) else None for k, v in more.items()}
        match data.get("recipient"):
            case [str(name), int(place), int(count)]:
                texts["recipient"] = (name, place, count)
        return cls(kind, **texts)

    def __repr__(self) -> str:
        fields = {name: value for name, value in vars(self).items() if value is not None}
        fields.pop("recipient", None)
        return f"ToolOrigin({', '.join(f'{name}={value!r}' for name, value in fields.items())})"


FUNCTION = ToolOrigin(ToolOriginType.FUNCTION)


def origin_of(tool: Any) -> ToolOrigin:
    """Where a function tool is from."""
    return getattr(tool, "_tool_origin", None) or FUNCTION
