"""Whatever calls come in whatever order: a tool runs exactly when that very call was approved."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.types import CallToolResult, TextContent
from mcp.types import Tool as MCPTool

from agentstream import (
    Agent,
    HostedMCPTool,
    MCPApprovalResponseItem,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunContextWrapper,
    Runner,
    RunState,
    function_tool,
)
from agentstream.mcp import MCPServer
from agentstream.testing import ScriptedModel, ScriptedServer, call, mcp_approval, turn

FREE = 0  # the amount that `wire` needs no approval for
HOSTED: Any = {"type": "mcp", "server_label": "bank", "server_url": "http://bank.test"}


class Bank(MCPServer):
    """A local MCP server with a tool that has to be approved."""

    def __init__(self, owner: str, ran: list[Any]) -> None:
        super().__init__(require_approval="always")
        self.owner, self.ran = owner, ran

    @property
    def name(self) -> str:
        return f"bank of {self.owner}"

    async def connect(self) -> None: ...

    async def cleanup(self) -> None: ...

    async def list_tools(self, *_: Any) -> list[MCPTool]:
        schema = {"type": "object", "properties": {"amount": {"type": "integer"}}}
        return [MCPTool(name="operate", inputSchema=schema)]

    async def call_tool(self, name: str, arguments: Any, *_: Any, **__: Any) -> Any:
        self.ran.append((self.owner, name, arguments["amount"]))
        return CallToolResult(content=[TextContent(type="text", text="done")])

    async def list_prompts(self) -> Any: ...

    async def get_prompt(self, *_: Any) -> Any: ...


def tools_of(owner: str, ran: list[Any]) -> list[Any]:
    async def policy(_context: Any, arguments: Any, _call_id: str) -> bool:
        return arguments["amount"] != FREE

    @function_tool(needs_approval=True)
    def pay(context: RunContextWrapper[Any], amount: int) -> str:
        ran.append((owner, "pay", amount))
        return "paid"

    @function_tool(needs_approval=policy)
    async def wire(context: RunContextWrapper[Any], amount: int) -> str:
        ran.append((owner, "wire", amount))
        return "wired"

    return [pay, wire]


def made(kind: str, amount: int, call_id: str) -> Any:
    """A call of the model."""
    if kind == "hosted":
        return mcp_approval("bank", "pay", amount=amount)
    part = call(kind, input="?") if kind == "ask" else call(kind, amount=amount)
    added, done = ({**fields, "call_id": call_id} for fields in (part.added, part.done))
    return replace(part, added=added, done=done)


ID = st.sampled_from(["c", "d"])
CALL = st.tuples(st.sampled_from(["pay", "pay", "wire", "operate"]), st.integers(0, 1), ID)
ANSWER = st.lists(CALL, min_size=1, max_size=3)
ASK = st.tuples(st.just("ask"), st.lists(ANSWER, max_size=2), ID)
HOSTED_CALL = st.tuples(st.just("hosted"), st.integers(0, 1), ID)
DECISION = st.sampled_from(
    ["approve", "approve", "reject", "leave", "leave", "approve always", "reject always"]
)
OUTER = st.lists(st.lists(CALL | ASK | HOSTED_CALL, min_size=1, max_size=3), min_size=1, max_size=3)


def scripts(answers: Any, api: str) -> tuple[list[Any], list[Any]]:
    """What the outer and the inner model say."""
    outer, inner = [], []
    for answer in answers:
        calls = []
        for kind, what, call_id in answer:
            if kind == "hosted" and api != "scripted":
                continue
            calls.append(made(kind, what if kind != "ask" else 0, call_id))
            if kind == "ask":
                inner += [turn(*(made(*each) for each in calls_)) for calls_ in what] + ["inner"]
        if calls:
            outer.append(turn(*calls))
    return [*outer, "Done."], inner


def key(item: Any) -> tuple[str, str, int]:
    """What a waiting call would do."""
    hosted = item.raw_item.type == "mcp_approval_request"
    owner = "Outer" if len(item.run_scope) == 1 else "Inner"  # both agents have one name
    return owner, "hosted" if hosted else item.name, json.loads(item.arguments)["amount"]


def answered(result: Any) -> list[Any]:
    """The hosted calls that the server was told to make."""
    requests = {item.raw_item.id: item for item in result.new_items if hasattr(item.raw_item, "id")}
    allowed = [
        requests[item.raw_item["approval_request_id"]].raw_item.arguments
        for item in result.new_items
        if isinstance(item, MCPApprovalResponseItem) and item.raw_item["approve"]
    ]
    return [("Outer", "hosted", json.loads(arguments)["amount"]) for arguments in allowed]


@pytest.mark.slow
@pytest.mark.parametrize("api", ["scripted", "responses", "chat"])
@settings(max_examples=60, deadline=None)
@given(answers=OUTER, data=st.data())
async def test_a_gated_tool_runs_exactly_when_that_very_call_was_approved(
    api: str, answers: Any, data: st.DataObject
) -> None:
    ran: list[Any] = []
    outer_script, inner_script = scripts(answers, api)
    async with AsyncExitStack() as stack:

        async def model(script: list[Any]) -> Any:
            if api == "scripted":
                return ScriptedModel(script)
            server = await stack.enter_async_context(ScriptedServer(script))
            kind = OpenAIChatCompletionsModel if api == "chat" else OpenAIResponsesModel
            return kind("m", server.client())

        inner = Agent(
            name="A",
            tools=tools_of("Inner", ran),
            mcp_servers=[Bank("Inner", ran)],
            model=await model(inner_script or ["inner"]),
        )
        outer = Agent(
            name="A",
            tools=[*tools_of("Outer", ran), inner.as_tool("ask", "")],
            mcp_servers=[Bank("Outer", ran)],
            model=await model(outer_script),
        )
        if api == "scripted":
            outer.tools.append(HostedMCPTool(tool_config=HOSTED))
        await _decide_until_done(outer, ran, data)


async def _decide_until_done(outer: Any, ran: list[Any], data: st.DataObject) -> None:
    approved: Counter[Any] = Counter()
    always: dict[tuple[str, str], bool] = {}
    given: Any = "go"
    for _ in range(60):
        if data.draw(st.booleans(), label="streamed"):
            result: Any = Runner.run_streamed(outer, given, max_turns=None)
            await result.wait()
        else:
            result = await Runner.run(outer, given, max_turns=None)
        waiting = result.interruptions
        assert not any(key(item)[:2] in always for item in waiting)
        done = Counter(one for one in ran if one[1:] != ("wire", FREE))
        done += Counter(answered(result))
        for one in done | approved:
            if always.get(one[:2]):
                assert done[one] >= approved[one]
            else:
                assert done[one] == approved[one]
        if not waiting:
            break
        state = result.to_state()
        if data.draw(st.booleans(), label="saved"):
            state = await RunState.from_string(outer, state.to_string())
        waiting = state.get_interruptions()
        first = data.draw(st.integers(0, len(waiting) - 1), label="first")
        for at, item in enumerate(waiting[first:] + waiting[:first]):
            what = data.draw(DECISION, label="decision")
            yes, whole = what.startswith("approve"), what.endswith("always")
            if what == "leave" and at > 0:  # one is decided, so that it comes to an end
                continue
            if whole:
                always[key(item)[:2]] = yes  # what is decided last stands
            (state.approve if yes else state.reject)(item, whole)
            approved[key(item)] += yes
        given = state
    assert result.final_output == "Done."
