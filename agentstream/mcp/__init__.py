"""Local MCP servers: their tools become the agent's function tools.

================  ===========================================================================
server.py         `MCPServer`: what a server is, for your own kinds too
approval.py       which of its calls a person must allow
filters.py        which of its tools the agent sees
connection.py     one connection, owned from connect to cleanup by one task of its own
client.py         a server reached through a connection: lists, calls, retries
transports.py     the three ways to reach one: stdio, SSE, streamable HTTP
manager.py        `MCPServerManager`: several servers, connected and left together
util.py           `MCPUtil`: the SDK's names for what convert.py does
convert.py        an MCP tool as a function tool; `mcp_tools` does it for an agent
================  ===========================================================================

The ``mcp`` package is loaded when a server is connected:
``pip install 'jupyter-agentstream[mcp]'``.
"""

from __future__ import annotations

from .approval import LocalMCPApprovalCallable
from .connection import MCPConnectionError
from .convert import mcp_tools
from .filters import (
    ToolFilter,
    ToolFilterCallable,
    ToolFilterContext,
    ToolFilterStatic,
    create_static_tool_filter,
)
from .manager import MCPServerManager
from .server import (
    MCPServer,
    MCPToolCustomDataContext,
    MCPToolCustomDataExtractor,
    MCPToolMetaContext,
    MCPToolMetaResolver,
)
from .transports import (
    MCPServerSse,
    MCPServerSseParams,
    MCPServerStdio,
    MCPServerStdioParams,
    MCPServerStreamableHttp,
    MCPServerStreamableHttpParams,
)
from .util import MCPUtil

__all__ = [
    "LocalMCPApprovalCallable",
    "MCPConnectionError",
    "MCPServer",
    "MCPServerManager",
    "MCPServerSse",
    "MCPServerSseParams",
    "MCPServerStdio",
    "MCPServerStdioParams",
    "MCPServerStreamableHttp",
    "MCPServerStreamableHttpParams",
    "MCPToolCustomDataContext",
    "MCPToolCustomDataExtractor",
    "MCPToolMetaContext",
    "MCPToolMetaResolver",
    "MCPUtil",
    "ToolFilter",
    "ToolFilterCallable",
    "ToolFilterContext",
    "ToolFilterStatic",
    "create_static_tool_filter",
    "mcp_tools",
]
