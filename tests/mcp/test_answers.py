"""What MCP servers answer when they fail, and with text that is no Unicode."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import AsyncOpenAI

from agentstream import Agent, OpenAIResponsesModel, Runner
from agentstream.testing import ScriptedModel, ScriptedServer
from agentstream.testing import call as call_tool

pytest.importorskip("mcp", reason="the mcp extra is not installed")

from mcp.types import (
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    TextContent,
    TextResourceContents,
)

from tests.mcp.test_servers import Answers, bare

IMAGE = ImageContent(data="iVBORw0KGgo=", mime_type="image/png")
FILE = EmbeddedResource(resource=TextResourceContents(uri="file:///log", text="line 7"))
ERRORS: list[tuple[list[Any], str, bool]] = [
    ([TextContent(text="no such place")], "no such place", False),
    ([TextContent(text="one"), TextContent(text="two")], "one\ntwo", False),
    ([], "nothing else", False),
    ([IMAGE], "nothing else", True),
    ([TextContent(text="no such place"), IMAGE], "no such place", True),
    ([FILE], "line 7", False),
    ([TextContent(text="no such place"), FILE], "no such place", False),
    ([TextContent(text="caf\udce9")], "caf\udce9", False),
]


@pytest.mark.parametrize(("content", "text", "has_image"), ERRORS, ids=[str(n) for n in range(8)])
@pytest.mark.parametrize("streamed", [True, False])
async def test_what_a_server_calls_an_error_is_a_failed_call_whatever_it_holds(
    content: list[Any], text: str, has_image: bool, streamed: bool
):
    server = Answers(tools=[bare("find")])
    server.answer = CallToolResult(content=content, is_error=True)
    model = ScriptedModel([call_tool("find"), "Done."])
    agent = Agent(name="A", mcp_servers=[server], model=model)
    if streamed:
        result: Any = Runner.run_streamed(agent, "Go")
        async for _ in result.stream_events():
            pass
    else:
        result = await Runner.run(agent, "Go")
    part = next(part for part in result.trace.parts if part.name == "find")
    assert part.status == "failed"
    assert text in str(part.error)
    output = result.to_input_list()[2]["output"]
    assert any(each["type"] == "input_image" for each in output) if has_image else text in output


@pytest.mark.parametrize("kind", ["text", "resource", "structured"])
async def test_half_a_surrogate_pair_of_a_server_goes_out(kind: str):
    text = "caf\udce9"
    server = Answers(tools=[bare("find")])
    resource = EmbeddedResource(resource=TextResourceContents(uri="file:///x", text=text))
    server.answer = {
        "text": CallToolResult(content=[TextContent(text=text)]),
        "resource": CallToolResult(content=[resource]),
        "structured": CallToolResult(content=[], structured_content={"name": text}),
    }[kind]
    heard: list[Any] = []

    async def listen(tool_name: str, arguments: Any) -> Any:
        heard.append(arguments)
        return server.answer

    server.call_tool = listen  # type: ignore[method-assign, assignment]
    with ScriptedServer([call_tool("find", '{"name": "caf\\udce9"}'), "Done."]) as models:
        client = AsyncOpenAI(base_url=models.base_url, api_key="none-at-all")
        agent = Agent(name="A", mcp_servers=[server], model=OpenAIResponsesModel("m", client))
        result = await Runner.run(agent, "Go")
        sent = json.dumps(models.requests[1].body)
        await client.close()
    assert result.final_output == "Done."
    assert "caf" in sent
    json.dumps(heard, ensure_ascii=False).encode()


def test_a_stream_that_broke_is_not_named_where_something_broke_it() -> None:
    import anyio

    from agentstream.mcp.connection import root_of

    said = ValueError("more than 262,144 bytes")
    broken = ExceptionGroup("g", [anyio.BrokenResourceError()])
    assert root_of(ExceptionGroup("all", [broken, ExceptionGroup("h", [said])])) is said
    assert isinstance(root_of(broken), anyio.BrokenResourceError)
