"""A decision holds for one call of one run: ids come again, and say nothing alone."""

from __future__ import annotations

import asyncio
import copy
import enum
import json
import pickle
from dataclasses import replace
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.types import CallToolResult, TextContent
from mcp.types import Tool as MCPTool
from openai.types.responses.response_output_item import McpApprovalRequest
from pydantic import AfterValidator, BaseModel, Field, field_validator

from agentstream import (
    Agent,
    FunctionTool,
    HostedMCPTool,
    RunConfig,
    RunContextWrapper,
    Runner,
    RunState,
    ToolApprovalItem,
    UserError,
    function_tool,
    handoff,
    load_run,
    recording,
)
from agentstream.mcp import MCPServer
from agentstream.notebook.live.dom import VirtualDom
from agentstream.notebook.live.trace_renderer import TraceRenderer
from agentstream.notebook.run_adapter import RunAdapter
from agentstream.testing import ScriptedModel, call, hand_off, mcp_approval, turn
from agentstream.trace import Trace
from agentstream.trace.parts import Part


def gated(ran: list[Any], name: str = "pay") -> Any:
    @function_tool(name_override=name, needs_approval=True)
    def pay(amount: int) -> str:
        ran.append(amount)
        return "paid"

    return pay


def pays(amount: int, call_id: str = "c", name: str = "pay") -> Any:
    return _with_id(call(name, amount=amount), call_id)


def asks(call_id: str, name: str = "ask") -> Any:
    return _with_id(call(name, input="x"), call_id)


def _with_id(part: Any, call_id: str) -> Any:
    added, done = ({**fields, "call_id": call_id} for fields in (part.added, part.done))
    return replace(part, added=added, done=done)


def amounts(result: Any) -> list[int]:
    return [json.loads(item.arguments)["amount"] for item in result.interruptions]


@pytest.mark.parametrize("second", [1, 1_000_000])
async def test_an_id_that_comes_again_is_decided_again(second: int) -> None:
    ran: list[Any] = []
    model = ScriptedModel([turn(pays(1)), turn(pays(second)), "Done."])
    payer = Agent(name="A", tools=[gated(ran)], model=model)
    result = await Runner.run(payer, "go")
    state = result.to_state()
    state.approve(result.interruptions[0])
    state = await RunState.from_string(payer, state.to_string())
    result = await Runner.run(payer, state)
    assert ran == [1]
    assert amounts(result) == [second]
    state = await RunState.from_string(payer, result.to_state().to_string())
    state.reject(state.get_interruptions()[0])
    result = await Runner.run(payer, state)
    assert ran == [1]
    assert result.final_output == "Done."


async def test_a_call_of_an_agent_as_a_tool_is_not_decided_by_one_outside_with_its_id() -> None:
    ran: list[Any] = []
    pay = gated(ran)
    inner = Agent(name="A", tools=[pay], model=ScriptedModel([turn(pays(1)), "Done."]))
    script = ScriptedModel([turn(pays(1), asks("o")), "Done."])
    outer = Agent(name="A", tools=[pay, inner.as_tool("ask", "")], model=script)
    result = await Runner.run(outer, "go")
    state = await RunState.from_string(outer, result.to_state().to_string())
    first, second = state.get_interruptions()
    state.approve(first, always_approve=True)
    result = await Runner.run(outer, state)
    assert ran == [1]
    assert amounts(result) == [1]
    assert result.interruptions[0].run_scope == second.run_scope


async def test_a_decision_is_not_of_another_run_with_the_same_context() -> None:
    ran: list[Any] = []
    payer = Agent(name="A", tools=[gated(ran)], model=ScriptedModel([turn(pays(1)), "Done."]))
    first = await Runner.run(payer, "go")
    first.context_wrapper.approve_tool(first.interruptions[0])
    again = Agent(name="A", tools=[gated(ran)], model=ScriptedModel([turn(pays(1)), "Done."]))
    second = await Runner.run(again, "go", context=first.context_wrapper)
    assert ran == []
    assert amounts(second) == [1]


async def test_always_is_about_the_tool_of_one_agent() -> None:
    ran: list[Any] = []
    worker = Agent(name="W", tools=[gated(ran)], model=ScriptedModel([turn(pays(2)), "Done."]))
    script = ScriptedModel([turn(pays(1)), turn(hand_off(worker))])
    first = Agent(name="A", tools=[gated(ran)], handoffs=[handoff(worker)], model=script)
    result = await Runner.run(first, "go")
    state = result.to_state()
    state.approve(result.interruptions[0], always_approve=True)
    result = await Runner.run(first, state)
    assert ran == [1]
    assert amounts(result) == [2]


def _request(server: str, name: str = "pay") -> Any:
    return McpApprovalRequest(
        id="r", arguments="{}", name=name, server_label=server, type="mcp_approval_request"
    )


def test_a_tool_is_known_by_its_server_and_its_namespace() -> None:
    from agentstream import RunContextWrapper

    agent = Agent(name="A")
    raw = {"type": "function_call", "call_id": "r", "arguments": "{}"}
    items = [
        ToolApprovalItem(agent, {**raw, "name": "pay"}),
        ToolApprovalItem(agent, _request("bank")),
        ToolApprovalItem(agent, _request("shop")),
        ToolApprovalItem(agent, {**raw, "name": "admin.pay"}),
        ToolApprovalItem(agent, {**raw, "name": "pay", "namespace": "admin"}),
        ToolApprovalItem(Agent(name="B"), {**raw, "name": "pay"}),
    ]
    for decided in items:
        context = RunContextWrapper(None)
        context.approve_tool(decided, always_approve=True)
        known = [
            context.get_approval_status(item.name or "", "r", existing_pending=item)
            for item in items
        ]
        assert known == [True if item is decided else None for item in items]


async def test_a_hosted_server_is_not_approved_by_a_local_tool_of_that_name() -> None:
    ran: list[Any] = []
    config: Any = {"type": "mcp", "server_label": "bank", "require_approval": "always"}
    script = ScriptedModel([turn(pays(1)), turn(mcp_approval("bank", "pay")), "Done."])
    tools = [gated(ran), HostedMCPTool(tool_config=config)]
    agent = Agent(name="A", tools=tools, model=script)
    result = await Runner.run(agent, "go")
    state = result.to_state()
    state.approve(result.interruptions[0], always_approve=True)
    result = await Runner.run(agent, state)
    assert [item.raw_item.server_label for item in result.interruptions] == ["bank"]


async def test_a_run_saved_by_an_earlier_version_is_decided_again() -> None:
    ran: list[Any] = []
    payer = Agent(name="A", tools=[gated(ran)], model=ScriptedModel([turn(pays(1)), "Done."]))
    saved = (await Runner.run(payer, "go")).to_state().to_json()
    decision = {"always": True, "calls": {"c": True}, "rejection_message": None, "messages": {}}
    saved["context"]["approvals"] = {"pay": decision}
    saved["schema"] = "agentstream/run-state/1"
    del saved["scope"]
    for item in [*saved["items"], *saved["interruptions"]]:
        item.pop("run_scope", None)
        item.pop("position", None)
    with pytest.warns(UserWarning, match="decide on its interruptions again"):
        state = await RunState.from_json(payer, saved)
    result = await Runner.run(payer, state)
    assert ran == []
    state = result.to_state()
    state.approve(result.interruptions[0])
    assert (await Runner.run(payer, state)).final_output == "Done."
    with pytest.raises(UserError, match="earlier version"):
        await RunState.from_json(payer, {**saved, "nested": {"o": {}}})


_CALL = st.tuples(st.sampled_from(["c", "d"]), st.integers(0, 1), st.booleans())
_STEP = st.tuples(st.booleans(), _CALL)  # whether an agent that runs as a tool makes the call


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(_STEP, min_size=1, max_size=4), st.booleans(), st.booleans())
async def test_a_gated_tool_runs_exactly_when_that_very_call_was_approved(
    steps: list[Any], saved: bool, moved: bool
) -> None:
    ran: list[Any] = []
    pay = gated(ran)
    inner_script: list[Any] = []
    script: list[Any] = []
    for nested, (call_id, amount, _) in steps:
        if nested:
            script.append(turn(asks(call_id)))
            inner_script += [turn(pays(amount, call_id)), "inner"]
        else:
            script.append(turn(pays(amount, call_id)))
    inner = Agent(name="A", tools=[pay], model=ScriptedModel(inner_script))
    model = ScriptedModel([*script, "Done."])
    agent: Agent[Any] = Agent(name="A", tools=[pay, inner.as_tool("ask", "")], model=model)
    if moved:
        first = ScriptedModel([turn(hand_off(agent))])
        agent = Agent(name="First", handoffs=[handoff(agent)], model=first)
    result = await Runner.run(agent, "go")
    expected = []
    for _, (_, amount, approved) in steps:
        assert amounts(result) == [amount]
        state = result.to_state()
        (state.approve if approved else state.reject)(result.interruptions[0])
        if saved:
            state = await RunState.from_string(agent, state.to_string())
        expected += [amount] if approved else []
        result = await Runner.run(agent, state)
        assert ran == expected
    assert result.final_output == "Done."


@pytest.mark.parametrize(
    "arguments", ['{"amount": ', "[1]", '{"amount": "many"}', "{}", "[" * 300, '{"a":' * 300]
)
@pytest.mark.parametrize("as_function", [True, False])
async def test_what_is_no_arguments_is_for_a_person_to_decide_and_not_for_the_policy(
    arguments: str, as_function: bool
) -> None:
    asked: list[Any] = []
    ran: list[Any] = []

    async def policy(_context: Any, given: Any, _call_id: str) -> bool:
        asked.append(given)
        return False

    @function_tool(needs_approval=policy)
    def pay(amount: int) -> str:
        ran.append(amount)
        return "paid"

    if not as_function:

        async def invoke(_context: Any, text: str) -> str:
            ran.append(text)
            return "paid"

        pay = FunctionTool("pay", "", {"type": "object"}, invoke, False, needs_approval=policy)
        if arguments.endswith("}"):
            return  # an object: what is in it is checked by the tool itself
    model = ScriptedModel([turn(call("pay", arguments)), "Done."])
    agent = Agent(name="A", tools=[pay], model=model)
    result = await Runner.run(agent, "go")
    assert (asked, ran, len(result.interruptions)) == ([], [], 1)
    state = result.to_state()
    state.reject(result.interruptions[0])
    result = await Runner.run(agent, state)
    assert (asked, ran) == ([], [])
    assert result.final_output == "Done."


class Currency(enum.Enum):
    EUR = "EUR"


class Payment(BaseModel):
    amount: int
    currency: Currency


class Checked(BaseModel):
    amount: int

    @field_validator("amount")
    @classmethod
    def bound(cls, amount: int) -> int:
        raise AssertionError("no code of the program runs before the call is approved")


class Posted(BaseModel):
    amount: int

    def model_post_init(self, _context: Any) -> None:
        raise AssertionError("no code of the program runs before the call is approved")


class Made(BaseModel):
    amount: int

    def __new__(cls, *_: Any, **__: Any) -> Any:
        raise AssertionError("no code of the program runs before the call is approved")


def _paid(amount: int = 1) -> str:
    return f"paid {amount}"


def _typed(annotation: Any) -> Any:
    def paid(value: Any) -> str:
        return "paid"

    paid.__annotations__ = {"value": annotation, "return": str}
    return paid


@pytest.mark.parametrize(
    ("function", "arguments", "is_asked"),
    [
        (_paid, '{"amount": 7}', True),
        (_paid, "{}", False),  # the default decides
        (_paid, '{"amount": "7"}', False),
        (_paid, '{"amount": true}', False),
        (_paid, '{"amount": 7, "more": 1}', False),
        (_paid, '{"amount": NaN}', False),
        (_typed(float), '{"value": 1.5}', True),
        (_typed(float), '{"value": 1}', False),
        (_typed(list[int] | None), '{"value": [1, 2]}', True),
        (_typed(list[int] | None), '{"value": null}', True),
        (_typed(dict[str, int]), '{"value": {"type": 1}}', True),
        (_typed(Payment), '{"value": {"amount": 7, "currency": "EUR"}}', True),
        (_typed(Payment), '{"value": {"amount": "7", "currency": "EUR"}}', False),
        (_typed(Checked), '{"value": {"amount": 7}}', False),
        (_typed(list[Checked]), '{"value": [{"amount": 7}]}', False),
        (_typed(Posted), '{"value": {"amount": 7}}', False),
        (_typed(Made), '{"value": {"amount": 7}}', False),
        (_typed(float), '{"value": 1e400}', False),
        (_typed(Annotated[str, AfterValidator(str.lower)]), '{"value": "x"}', False),
        (_typed(Annotated[str, Field(pattern="^x+$")]), '{"value": "x"}', False),
        (_typed(Annotated[str, Field(default_factory=str)]), '{"value": "x"}', False),
        (_typed(tuple[int, ...]), '{"value": [1]}', False),
    ],
)
async def test_the_policy_is_asked_only_about_arguments_that_the_tool_gets_as_they_are(
    function: Any, arguments: str, is_asked: bool
) -> None:
    asked: list[Any] = []

    async def policy(_context: Any, given: Any, _call_id: str) -> bool:
        asked.append(given)
        return False

    pay = function_tool(function, name_override="pay", needs_approval=policy, strict_mode=False)
    model = ScriptedModel([turn(call("pay", arguments)), "Done."])
    result = await Runner.run(Agent(name="A", tools=[pay], model=model), "go")
    assert asked == ([json.loads(arguments)] if is_asked else [])
    assert len(result.interruptions) == (not is_asked)


async def test_a_call_that_changes_while_the_policy_decides_is_for_a_person_to_decide() -> None:
    given: list[int] = []

    @function_tool(needs_approval=lambda *_: changes())
    def pay(amount: int) -> str:
        given.append(amount)
        return "paid"

    async def changes() -> bool:
        while not calls:  # of those who read the stream, one writes into an item
            await asyncio.sleep(0)
        calls[0].arguments = '{"amount": 1000}'
        return False

    calls: list[Any] = []
    model = ScriptedModel([turn(call("pay", amount=1)), "Done."])
    result = Runner.run_streamed(Agent(name="A", tools=[pay], model=model), "go")
    async for event in result.stream_events():
        if event.type == "run_item_stream_event" and event.name == "tool_called":
            calls.append(event.item.raw_item)
    assert (given, len(result.interruptions)) == ([], 1)


async def test_the_policy_of_an_agent_as_tool_is_asked_about_its_arguments_as_written() -> None:
    asked: list[Any] = []

    async def policy(_context: Any, given: Any, _call_id: str) -> bool:
        asked.append(given)
        return False

    def asking(arguments: str) -> Agent[Any]:
        inner = Agent(name="I", model=ScriptedModel(["inner"]))
        ask = inner.as_tool("ask", "", needs_approval=policy)
        model = ScriptedModel([turn(call("ask", arguments)), "Done."])
        return Agent(name="A", tools=[ask], model=model)

    result = await Runner.run(asking('{"input": "x"}'), "go")
    assert (result.final_output, asked) == ("Done.", [{"input": "x"}])
    result = await Runner.run(asking('{"input": "x", "more": 1}'), "go")
    assert len(result.interruptions) == 1
    assert asked == [{"input": "x"}]


def parts_of(trace: Trace) -> list[Part]:
    """The calls of a run and of the agents that run as its tools."""
    nested = [part for outer in trace.parts if outer.nested for part in parts_of(outer.nested)]
    return nested + [part for part in trace.parts if part.kind in ("tool", "mcp_approval")]


def buttons(trace: Trace) -> dict[str, str]:
    """What the cards of the live view can decide: the id that a button sends, by the arguments."""
    board = VirtualDom()
    TraceRenderer(trace, board).update()
    shown = str(board.keyframe())
    found = {}
    for part in parts_of(trace):
        id = part.approval.id if part.approval is not None else None
        if id is not None and f'data-approval="{id}"' in shown:
            assert shown.count(f'class="as-approve" data-approval="{id}"') == 1
            found[f"{part.name}{part.arguments}"] = id
    return found


@pytest.mark.parametrize("from_json", [False, True])
@pytest.mark.parametrize("chosen", range(4))
async def test_a_button_decides_the_call_that_it_stands_at(chosen: int, from_json: bool) -> None:
    """Two tools, an outer call and two nested agents wait with one id."""
    ran: list[Any] = []
    pay, peek = gated(ran), gated(ran, "peek")
    one = Agent(name="One", tools=[pay], model=ScriptedModel([turn(pays(1)), *["Done."] * 2]))
    two = Agent(name="Two", tools=[pay], model=ScriptedModel([turn(pays(2)), *["Done."] * 2]))
    last = Agent(
        name="Last", tools=[peek], model=ScriptedModel([turn(pays(4, name="peek")), *["Done."] * 2])
    )
    tools = [pay, *(agent.as_tool(f"ask_{agent.name}", "") for agent in (one, two, last))]
    calls = [asks(f"o{name}", f"ask_{name}") for name in ("One", "Two", "Last")]
    script = ScriptedModel([turn(pays(3), *calls), "Done."])
    outer = Agent(name="A", tools=tools, model=script)
    result = Runner.run_streamed(outer, "go")
    await result.wait()
    if from_json:
        state = await RunState.from_string(outer, result.to_state().to_string())
        result = Runner.run_streamed(outer, state)
        await result.wait()
    source, shown = RunAdapter(result), buttons(result.trace)
    assert len(set(shown.values())) == 4
    meant = sorted(shown, key=lambda name: name[-2])[chosen]
    assert not source.handle_click("approve", shown.pop(meant))
    assert not source.handle_click("approve", "another")
    left = list(shown.values())
    assert [source.handle_click("reject", id) for id in left] == [False, False, True]
    await result.wait()
    assert ran == [chosen + 1]
    assert not source.waits


async def test_a_nested_call_and_the_outer_one_with_its_id_are_two_cards() -> None:
    ran: list[Any] = []
    inner = Agent(name="I", tools=[gated(ran)], model=ScriptedModel([turn(pays(1)), "Done."]))
    outer = Agent(
        name="A", tools=[inner.as_tool("ask", "")], model=ScriptedModel([turn(asks("c")), "Done."])
    )
    result = Runner.run_streamed(outer, "go")
    await result.wait()
    assert [(part.name, part.status) for part in parts_of(result.trace)] == [
        ("pay", "awaiting_approval"),
        ("ask", "awaiting_approval"),
    ]
    assert [part.name for part in result.trace.waiting] == ["pay"]
    assert result.trace.status == "paused"
    assert len(buttons(result.trace)) == 1
    result.context_wrapper.approve_tool(result.interruptions[0])
    result.resume()
    await result.wait()
    assert [(part.name, part.output) for part in parts_of(result.trace)] == [
        ("pay", "paid"),
        ("ask", "Done."),
    ]
    assert result.trace.status == "completed"
    names = {(span.kind, span.name) for span in result.timeline().spans}
    assert {("approval", "pay"), ("tool", "ask"), ("tool", "pay")} <= names


async def test_a_nested_call_can_be_decided_on_only_when_the_whole_run_has_paused() -> None:
    """A decision made before that had no effect, and left buttons that do nothing."""
    go = asyncio.Event()

    @function_tool
    async def slow() -> str:
        await go.wait()
        return "slow"

    inner = Agent(name="I", tools=[gated([])], model=ScriptedModel([turn(pays(1)), "Done."]))
    calls = turn(asks("o"), call("slow", call_id="s"))
    tools = [inner.as_tool("ask", ""), slow]
    result = Runner.run_streamed(Agent(name="A", tools=tools, model=ScriptedModel([calls])), "go")
    while not result.trace.waiting:
        await asyncio.sleep(0.005)
    assert buttons(result.trace) == {}
    go.set()
    await result.wait()
    assert len(buttons(result.trace)) == 1


async def test_stopping_a_run_that_waits_in_a_nested_agent_leaves_nothing_to_press() -> None:
    inner = Agent(name="I", tools=[gated([])], model=ScriptedModel([turn(pays(1)), "Done."]))
    script = ScriptedModel([turn(asks("o"))])
    outer = Agent(name="A", tools=[inner.as_tool("ask", "")], model=script)
    result = Runner.run_streamed(outer, "go")
    await result.wait()
    RunAdapter(result).cancel()
    assert result.trace.status == "cancelled"
    assert buttons(result.trace) == {}


async def test_a_hosted_call_that_waits_is_one_card_with_its_own_buttons() -> None:
    tool = HostedMCPTool(tool_config={"type": "mcp", "server_label": "s", "server_url": "http://s"})
    script = ScriptedModel([turn(mcp_approval("s", "look", q=1)), "Done."])
    result = Runner.run_streamed(Agent(name="A", tools=[tool], model=script), "go")
    await result.wait()
    assert [part.kind for part in result.trace.parts] == ["mcp_approval"]
    assert len(buttons(result.trace)) == 1


class Operating(MCPServer):
    """A local MCP server with a tool that has to be approved."""

    def __init__(self, name: str, ran: list[str]) -> None:
        super().__init__(require_approval="always")
        self._name, self.ran = name, ran
        self.offered = ["operate"]

    @property
    def name(self) -> str:
        return self._name

    async def connect(self) -> None: ...

    async def cleanup(self) -> None: ...

    async def list_tools(self, *_: Any) -> list[MCPTool]:
        schema: Any = {"type": "object", "properties": {}}
        return [MCPTool(name=name, inputSchema=schema) for name in self.offered]

    async def call_tool(self, *_: Any, **__: Any) -> Any:
        self.ran.append(self.name)
        return CallToolResult(content=[TextContent(type="text", text="done")])

    async def list_prompts(self) -> Any: ...

    async def get_prompt(self, *_: Any) -> Any: ...


def operator(model: Any, ran: list[str], server: str) -> Agent[Any]:
    return Agent(name="A", model=model, mcp_servers=[Operating(server, ran)])


@pytest.mark.parametrize("how", ["one call", "always"])
@pytest.mark.parametrize("now", ["one", "two", "a function"])
async def test_a_decision_on_a_tool_of_a_local_mcp_server_holds_for_that_server(
    now: str, how: str
) -> None:
    ran: list[str] = []
    model = ScriptedModel([call("operate"), call("operate"), "Done."])
    asked = operator(model, ran, "one")
    state = (await Runner.run(asked, "go")).to_state()
    (waiting,) = state.get_interruptions()
    assert str(waiting.tool_origin) == "MCP server 'one'"
    state.approve(waiting, always_approve=how == "always")
    saved = state.to_string()

    @function_tool
    def operate() -> str:
        ran.append("a function")
        return "done"

    agent = operator(model, ran, now)
    if now == "a function":
        agent = Agent(name="A", model=model, tools=[operate])
    state = await RunState.from_string(agent, saved)
    if now != "one":
        with pytest.raises(UserError, match="made to MCP server 'one'"):
            await Runner.run(agent, state)
        assert ran == []
        state = await RunState.from_string(agent, saved)
        answer = RunConfig(tool_not_found_behavior="return_error_to_model")
        result = await Runner.run(agent, state, run_config=answer)
        assert "not found" in str(result.to_input_list())
    else:
        result = await Runner.run(agent, state)
    # The second call is made to the server of now; only "always" on that very server covers it.
    asks = now == "two" or (now == "one" and how == "one call")
    assert len(result.interruptions) == asks
    runs = {"one": ["one"] if asks else ["one", "one"], "two": [], "a function": ["a function"]}
    assert ran == runs[now]


async def test_a_decision_tells_servers_apart_whose_addresses_differ_in_a_key_only() -> None:
    ran: list[str] = []
    model = ScriptedModel([call("operate"), "Done."])
    names = ("https://host/mcp?key=1", "https://host/mcp?key=2")
    first, second = (Operating(name, ran) for name in names)
    first.offered = []
    agent = Agent(name="A", model=model, mcp_servers=[first, second])
    state = (await Runner.run(agent, "go")).to_state()
    state.approve(*state.get_interruptions())
    saved = state.to_string()
    assert "key=" not in saved
    now = operator(model, ran, names[0])
    with pytest.raises(UserError, match="number 2 of 2"):
        await Runner.run(now, await RunState.from_string(now, saved))
    assert ran == []


async def test_a_prefix_that_names_the_server_holds_nothing_of_its_credentials() -> None:
    model = ScriptedModel(["Done."])
    addresses = [f"https://user:secret@host/mcp?key=secret{at}" for at in range(2)]
    servers = [Operating(address, []) for address in addresses]
    prefix: Any = {"include_server_in_tool_names": True}
    await Runner.run(Agent(name="A", model=model, mcp_servers=servers, mcp_config=prefix), "go")
    names = model.requests[0].tools
    assert len(set(names)) == 2
    assert all(name.startswith("mcp_https___host_mcp__operate_") for name in names), names


async def test_recordings_and_states_name_the_tool_that_a_call_was_made_to(tmp_path: Any) -> None:
    inner = Agent(name="I", model=ScriptedModel(["inner"]))
    agent = operator(ScriptedModel([turn(call("operate"), asks("o")), "Done."]), [], "one")
    agent.tools.append(inner.as_tool("ask", ""))
    with recording(tmp_path / "run.jsonl"):
        result = await Runner.run(agent, "go")
    state = await RunState.from_string(agent, result.to_state().to_string())
    recorded = load_run(tmp_path / "run.jsonl").new_items
    origins = [str(getattr(item, "tool_origin", None)) for item in result.new_items]
    assert origins[:2] == ["MCP server 'one'", "agent 'I'"]
    for items in (recorded, [i for i in state.new_items if i.type != "tool_approval_item"]):
        named = [item.tool_origin for item in items if item.type == "tool_call_item"]
        assert [str(origin) for origin in named] == origins[:2]


@pytest.mark.parametrize("saved", [False, True])
async def test_always_does_not_hold_for_another_agent_of_the_same_name(saved: bool) -> None:
    ran: list[Any] = []
    others: list[Any] = []
    script = ScriptedModel([turn(pays(1_000)), "Done."])
    other = Agent(name="A", tools=[gated(others)], model=script)
    to_other = handoff(other, tool_name_override="to_other")
    script = ScriptedModel([turn(pays(1)), turn(pays(2)), call("to_other")])
    agent = Agent(name="A", tools=[gated(ran)], handoffs=[to_other], model=script)
    state = (await Runner.run(agent, "go")).to_state()
    state.approve(state.get_interruptions()[0], always_approve=True)
    if saved:
        state = await RunState.from_string(agent, state.to_string())
    result = await Runner.run(agent, state)
    assert (ran, others) == ([1, 2], [])
    assert amounts(result) == [1_000]
    state = result.to_state()
    if saved:
        state = await RunState.from_string(agent, state.to_string())
    state.approve(state.get_interruptions()[0])
    assert (await Runner.run(agent, state)).final_output == "Done."
    assert others == [1_000]


@pytest.mark.parametrize("said", ["false", "no", 1, None, {"x": 1}])
async def test_what_is_no_bool_approves_no_hosted_call(said: Any) -> None:
    config: Any = {"type": "mcp", "server_label": "s", "server_url": "http://s.test"}
    tool = HostedMCPTool(tool_config=config, on_approval_request=lambda _: {"approve": said})
    script = ScriptedModel([turn(mcp_approval("s", "look", q=1)), "Done."])
    with pytest.raises(UserError, match="on_approval_request must return"):
        await Runner.run(Agent(name="A", tools=[tool], model=script), "go")


@pytest.mark.parametrize("another", [False, True])
async def test_always_in_a_context_that_runs_share_is_about_the_very_agent(another: bool) -> None:
    ran: list[Any] = []
    script = [turn(pays(1)), turn(pays(1)), "Done."]
    first = Agent(name="A", tools=[gated(ran)], model=ScriptedModel(script))
    paused = await Runner.run(first, "Pay", context=(shared := RunContextWrapper(None)))
    shared.approve_tool(paused.interruptions[0], always_approve=True)
    next_agent = Agent(name="A", tools=[gated(ran)], model=ScriptedModel(script))
    result = await Runner.run(next_agent if another else first, "Pay", context=shared)
    assert ran == ([] if another else [1])
    assert amounts(result) == ([1] if another else [])


@pytest.mark.parametrize("pickled", [False, True])
async def test_a_copy_of_a_context_with_always_is_a_copy_of_its_decisions(pickled: bool) -> None:
    ran: list[Any] = []
    script = [turn(pays(1)), turn(pays(2)), "Done."]
    agent = Agent(name="A", tools=[gated(ran)], model=ScriptedModel(script))
    first = await Runner.run(agent, "Pay")
    first.context_wrapper.approve_tool(first.interruptions[0], always_approve=True)
    context = first.context_wrapper
    twin = pickle.loads(pickle.dumps(context)) if pickled else copy.deepcopy(context)
    assert twin._approvals == context._approvals
    second = await Runner.run(agent, "Pay", context=twin)
    assert (ran, amounts(second)) == (([], [2]) if pickled else ([2], []))


def of_one_name(ran: list[str], turned_round: bool) -> Agent[Any]:
    def payer(label: str) -> Agent[Any]:
        @function_tool(name_override="pay", needs_approval=True)
        def pay(amount: int) -> str:
            ran.append(label)
            return "paid"

        return Agent(name="Payer", tools=[pay], model=ScriptedModel([turn(pays(1)), "Done."]))

    ways = [
        handoff(payer(label), tool_name_override=f"to_{label}") for label in ("first", "second")
    ]
    model = ScriptedModel([turn(_with_id(call("to_first"), "h"))])
    return Agent(name="Root", handoffs=ways[::-1] if turned_round else ways, model=model)


@pytest.mark.parametrize("always", [False, True])
async def test_agents_of_one_name_are_told_apart_by_what_leads_to_them(always: bool) -> None:
    ran: list[str] = []
    before = of_one_name(ran, turned_round=False)
    state = (await Runner.run(before, "Pay")).to_state()
    state.approve(state.get_interruptions()[0], always_approve=always)
    after = of_one_name(ran, turned_round=True)
    await Runner.run(after, await RunState.from_string(after, state.to_string()))
    assert ran == (["first", "first"] if always else ["first"])  # it is called once more


@pytest.mark.parametrize("rejected", [False, True])
@pytest.mark.parametrize("now", ["the same", "another server", "another tool", "one server fewer"])
async def test_a_decision_holds_for_the_very_server_and_tool_behind_a_public_name(
    now: str, rejected: bool
) -> None:
    ran: list[str] = []
    one, two = Operating("docs", ran), Operating("docs", ran)
    one.offered, two.offered = ["operate!", "operate?"], []
    agent = Agent(
        name="A", mcp_servers=[one, two], mcp_config={"include_server_in_tool_names": True}
    )
    public, _ = [tool.name for tool in await agent.get_all_tools(RunContextWrapper(None))]
    agent.model = ScriptedModel([call(public), "Done."])
    state = (await Runner.run(agent, "go")).to_state()
    for item in state.get_interruptions():
        state.reject(item) if rejected else state.approve(item)
    if now == "another server":
        one.offered, two.offered = two.offered, one.offered
    elif now == "one server fewer":
        two.offered, agent.mcp_servers = one.offered, [two]
    elif now == "another tool":
        one.offered = ["operate?", public.removeprefix("mcp_docs__")]
    assert public in [tool.name for tool in await agent.get_all_tools(RunContextWrapper(None))]
    state = await RunState.from_string(agent, state.to_string())
    if now == "the same" or rejected:
        assert (await Runner.run(agent, state)).final_output == "Done."
    else:
        with pytest.raises(
            UserError, match="'docs', number 1 of 2 of that name, as its tool 'operate!'"
        ):
            await Runner.run(agent, state)
    assert ran == (["docs"] if now == "the same" and not rejected else [])


async def test_a_rejected_call_does_not_run_though_its_tool_needs_no_approval_any_more() -> None:
    ran: list[Any] = []
    agent = Agent(name="A", tools=[gated(ran)], model=ScriptedModel([turn(pays(1)), "Done."]))
    state = (await Runner.run(agent, "go")).to_state()
    state.reject(state.get_interruptions()[0])
    agent.tools[0].needs_approval = False  # type: ignore[union-attr]
    assert (await Runner.run(agent, state)).final_output == "Done."
    assert ran == []


async def test_a_rejected_hosted_call_does_not_run_though_a_function_would_approve_it() -> None:
    config: Any = {"type": "mcp", "server_label": "bank", "require_approval": "always"}
    tool = HostedMCPTool(tool_config=config)
    script = ScriptedModel([turn(mcp_approval("bank", "pay")), "Done."])
    agent = Agent(name="A", tools=[tool], model=script)
    state = (await Runner.run(agent, "go")).to_state()
    state.reject(state.get_interruptions()[0], rejection_message="Not today.")
    tool.on_approval_request = lambda request: {"approve": True}
    result = await Runner.run(agent, await RunState.from_string(agent, state.to_string()))
    answers = [item.raw_item for item in result.new_items if "Response" in type(item).__name__]
    assert [(each["approve"], each["reason"]) for each in answers] == [(False, "Not today.")]
