"""A small real MCP server for the tests of agentstream.mcp.

``python mcp_server.py stdio`` speaks over its pipes; ``python mcp_server.py streamable-http`` and
``python mcp_server.py sse`` serve on a free loopback port and print it on stdout.
"""

import asyncio
import base64
import os
import sys
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context, MCPServer
from mcp.types import (
    AudioContent,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)
from pydantic import BaseModel, Field

server = MCPServer("test-server", instructions="For tests.")
PIXEL = base64.b64encode(b"not really a picture").decode()
calls = {"flaky": 0}


class Place(BaseModel):
    """Where."""

    city: str
    country: str = "PT"


@server.tool()
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


@server.tool(structured_output=False)
def echo(text: Annotated[str, Field(description="What to say")]) -> str:
    """Say it again."""
    return text


@server.tool(
    title="Weather of a place",
    annotations=ToolAnnotations(title="Weather", read_only_hint=True, open_world_hint=False),
    meta={"team": "sky"},
)
def weather(
    place: Place, unit: Literal["c", "f"] = "c", days: list[int] | None = None
) -> dict[str, Any]:
    """Tell the weather."""
    return {"city": place.city, "unit": unit, "days": days or [], "sunny": True}


@server.tool(structured_output=False)
def nothing() -> None:
    """Take nothing and say nothing."""


@server.tool(structured_output=False)
def several() -> list[Any]:
    """Give several kinds of content."""
    return [
        TextContent(text="one"),
        ImageContent(data=PIXEL, mime_type="image/png"),
        TextContent(text="two"),
    ]


@server.tool(structured_output=False)
def picture() -> list[Any]:
    """Give one picture."""
    return [ImageContent(data=PIXEL, mime_type="image/png")]


@server.tool(structured_output=False)
def sound() -> list[Any]:
    """Give a sound, a link and an embedded text."""
    return [
        AudioContent(data=PIXEL, mime_type="audio/wav"),
        ResourceLink(name="note", uri="note://one", description="a note"),
        EmbeddedResource(
            resource=TextResourceContents(uri="note://one", text="é", mime_type="text/plain")
        ),
    ]


@server.tool(structured_output=False)
def failing(reason: str = "no reason") -> str:
    """Raise an error."""
    raise ValueError(reason)


@server.tool(structured_output=False)
def refused() -> CallToolResult:
    """Answer with isError and two texts."""
    return CallToolResult(
        is_error=True, content=[TextContent(text="refused"), TextContent(text="for good")]
    )


@server.tool(structured_output=False)
def both() -> CallToolResult:
    """Answer with text and structured content that differ."""
    return CallToolResult(
        content=[TextContent(text="as text")], structured_content={"as": "data", "é": 1}
    )


@server.tool(structured_output=False)
async def slow(seconds: float) -> str:
    """Take a while."""
    await asyncio.sleep(seconds)
    return "late"


@server.tool(structured_output=False)
def die() -> str:
    """End the server's process in the middle of the call."""
    print("the server is dying now", file=sys.stderr, flush=True)
    os._exit(3)


@server.tool(structured_output=False)
def meta(context: Context) -> str:  # type: ignore[type-arg]
    """Tell the request's _meta."""
    given = context.request_context.meta or {}
    return repr({key: value for key, value in given.items() if "/" not in key and "_" not in key})


@server.tool(structured_output=False)
def environment(name: str) -> str:
    """Tell a variable of the server's environment, its folder or its process id."""
    return {"PWD": os.getcwd(), "PID": str(os.getpid())}.get(name) or os.environ.get(name, "")


@server.tool(structured_output=False)
def chatter(lines: int) -> str:
    """Write a lot to stderr."""
    for number in range(lines):
        print("chatter", number, "x" * 1000, file=sys.stderr)
    return "done"


@server.prompt(description="A greeting.")
def greeting(name: str) -> str:
    """Greet."""
    return f"Hello {name}"


@server.resource("note://one", name="one", mime_type="text/plain")
def note() -> str:
    """Give a note."""
    return "a note"


@server.resource("note://{number}/of/{topic}", name="many")
def notes(number: str, topic: str) -> str:
    """Give one of many notes."""
    return f"note {number} of {topic}"


async def serve(transport: str) -> None:
    """Serve on a free port and tell it."""
    import uvicorn

    app = server.sse_app() if transport == "sse" else server.streamable_http_app()
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="error", timeout_graceful_shutdown=1
    )
    uvicorn_server = uvicorn.Server(config)
    serving = asyncio.ensure_future(uvicorn_server.serve())
    while not uvicorn_server.started:
        await asyncio.sleep(0.01)
    print(uvicorn_server.servers[0].sockets[0].getsockname()[1], flush=True)
    await serving


if __name__ == "__main__":
    transport = sys.argv[1] if len(sys.argv) > 1 else "stdio"
    if transport == "stdio":
        print("test server speaks", file=sys.stderr, flush=True)
        server.run("stdio")
    elif transport == "broken":
        print("Traceback: no such module 'weather'", file=sys.stderr, flush=True)
        sys.exit(1)
    else:
        asyncio.run(serve(transport))
