"""Approvals: a run that stops to ask, its state, and going on from it."""

import json

from agentstream.testing import call, hand_off, turn

from .harness import conforms, differs, drained, items, outcome, plain, run, streamed


def tools(sdk, log):
    @sdk.function_tool(needs_approval=True)
    def erase(name: str) -> str:
        """Erase a file."""
        log.append(f"erased {name}")
        return f"erased {name}"

    @sdk.function_tool
    def look(name: str) -> str:
        """Look at a file."""
        log.append(f"looked {name}")
        return f"seen {name}"

    return [erase, look]


async def first(sdk, server, log, turns, **fields):
    agent = server.agent(sdk, tools=tools(sdk, log), **fields)
    server.play(turns)
    return agent, await sdk.Runner.run(agent, "Clean up")


TURNS = [turn(call("erase", name="a"), call("look", name="b")), "Cleaned."]


@conforms
async def test_a_run_stops_where_an_approval_is_needed(sdk, server):
    log = []
    _, result = await first(sdk, server, log, TURNS)
    return [outcome(result), log]


@conforms
async def test_a_streamed_run_stops_where_an_approval_is_needed(sdk, server):
    log = []
    agent = server.agent(sdk, tools=tools(sdk, log))
    server.play(TURNS)
    return [await streamed(sdk, agent, "Clean up"), log]


@conforms
async def test_an_approved_call_runs_and_its_sibling_not_again(sdk, server):
    log = []
    agent, result = await first(sdk, server, log, TURNS)
    state = result.to_state()
    for interruption in result.interruptions:
        state.approve(interruption)
    return [outcome(await sdk.Runner.run(agent, state)), log]


@conforms
async def test_an_approved_run_goes_on_streamed(sdk, server):
    log = []
    agent, result = await first(sdk, server, log, TURNS)
    state = result.to_state()
    state.approve(result.interruptions[0])
    return [await drained(sdk.Runner.run_streamed(agent, state)), log]


@conforms
async def test_a_rejected_call_tells_the_model(sdk, server):
    log = []
    agent, result = await first(sdk, server, log, TURNS)
    state = result.to_state()
    state.reject(result.interruptions[0])
    return [outcome(await sdk.Runner.run(agent, state)), log]


@conforms
async def test_a_rejection_may_have_a_message(sdk, server):
    log = []
    agent, result = await first(sdk, server, log, TURNS)
    state = result.to_state()
    state.reject(result.interruptions[0], rejection_message="Ask me tomorrow.")
    return [outcome(await sdk.Runner.run(agent, state)), log]


@conforms
async def test_the_words_of_a_rejection_may_be_the_runs(sdk, server):
    log = []
    agent, result = await first(sdk, server, log, TURNS)
    state = result.to_state()
    state.reject(result.interruptions[0])

    def words(data):
        return f"{data.tool_name} was {data.kind}"

    config = sdk.RunConfig(tool_error_formatter=words)
    return [outcome(await sdk.Runner.run(agent, state, run_config=config)), log]


@conforms
async def test_one_of_two_may_be_approved_first(sdk, server):
    log = []
    turns = [turn(call("erase", name="a"), call("erase", name="b")), "Cleaned."]
    agent, result = await first(sdk, server, log, turns)
    state = result.to_state()
    state.approve(result.interruptions[0])
    second = await sdk.Runner.run(agent, state)
    shown = [outcome(second), list(log)]
    state = second.to_state()
    state.reject(second.interruptions[0])
    return [*shown, outcome(await sdk.Runner.run(agent, state)), log]


@conforms
async def test_a_tool_may_be_approved_for_always(sdk, server):
    log = []
    turns = [call("erase", name="a"), call("erase", name="b"), "Cleaned."]
    agent, result = await first(sdk, server, log, turns)
    state = result.to_state()
    state.approve(result.interruptions[0], always_approve=True)
    return [outcome(await sdk.Runner.run(agent, state)), log]


@conforms
async def test_a_tool_may_be_rejected_for_always(sdk, server):
    log = []
    turns = [call("erase", name="a"), call("erase", name="b"), "Cleaned."]
    agent, result = await first(sdk, server, log, turns)
    state = result.to_state()
    state.reject(result.interruptions[0], always_reject=True)
    return [outcome(await sdk.Runner.run(agent, state)), log]


@conforms
async def test_a_function_decides_whether_an_approval_is_needed(sdk, server):
    log = []

    async def dangerous(context, arguments, call_id):
        log.append([arguments, call_id])
        return arguments["name"] == "root"

    @sdk.function_tool(needs_approval=dangerous)
    def erase(name: str) -> str:
        """Erase."""
        log.append(f"erased {name}")
        return "erased"

    agent = server.agent(sdk, tools=[erase])
    server.play([turn(call("erase", name="tmp"), call("erase", name="root")), "Cleaned."])
    result = await sdk.Runner.run(agent, "Clean")
    shown = [outcome(result), list(log)]
    state = result.to_state()
    state.approve(state.get_interruptions()[0])
    return [*shown, outcome(await sdk.Runner.run(agent, state)), log]


@conforms
async def test_a_state_goes_through_json(sdk, server):
    log = []
    agent, result = await first(sdk, server, log, TURNS)
    text = result.to_state().to_string()
    state = await sdk.RunState.from_string(agent, text)
    for interruption in state.get_interruptions():
        state.approve(interruption)
    again = await sdk.RunState.from_json(agent, json.loads(json.dumps(state.to_json())))
    return [outcome(await sdk.Runner.run(agent, again)), log]


@conforms
async def test_a_context_goes_through_json(sdk, server):
    log = []
    agent = server.agent(sdk, tools=tools(sdk, log))
    server.play(TURNS)
    result = await sdk.Runner.run(agent, "Clean", context={"user": "Ada"})
    state = await sdk.RunState.from_string(agent, result.to_state().to_string())
    state.approve(state.get_interruptions()[0])
    final = await sdk.Runner.run(agent, state)
    return [plain(final.context_wrapper.context), outcome(final)]


@conforms
async def test_a_state_after_a_handoff_goes_through_json(sdk, server):
    log = []
    cleaner = server.agent(sdk, "Cleaner", tools=tools(sdk, log))
    triage = server.agent(sdk, "Triage", handoffs=[cleaner])
    server.play([hand_off("Cleaner"), call("erase", name="a"), "Cleaned."])
    result = await sdk.Runner.run(triage, "Clean")
    state = await sdk.RunState.from_string(triage, result.to_state().to_string())
    state.approve(state.get_interruptions()[0])
    return [outcome(await sdk.Runner.run(triage, state)), log]


@conforms
async def test_an_approval_inside_an_agent_as_a_tool_stops_the_outer_run(sdk, server):
    log = []
    inner = server.agent(sdk, "Inner", tools=tools(sdk, log))
    outer = server.agent(sdk, "Outer", tools=[inner.as_tool("inner", "Ask inner.")])
    server.play([call("inner", input="erase a"), call("erase", name="a"), "Erased.", "Done."])
    result = await sdk.Runner.run(outer, "Clean")
    shown = [items(result.interruptions), list(log)]
    state = result.to_state()
    for interruption in result.interruptions:
        state.approve(interruption)
    return [*shown, outcome(await sdk.Runner.run(outer, state)), log]


@conforms
async def test_an_agent_as_a_tool_may_need_an_approval(sdk, server):
    inner = server.agent(sdk, "Inner")
    tool = inner.as_tool("inner", "Ask inner.", needs_approval=True)
    outer = server.agent(sdk, "Outer", tools=[tool])
    server.play([call("inner", input="go"), "Inner says.", "Done."])
    result = await sdk.Runner.run(outer, "Go")
    shown = outcome(result)
    state = result.to_state()
    state.approve(result.interruptions[0])
    return [shown, outcome(await sdk.Runner.run(outer, state))]


@conforms
async def test_an_interrupted_run_in_a_session_keeps_the_session_whole(sdk, server):
    log = []
    session = sdk.SQLiteSession("s")
    agent = server.agent(sdk, tools=tools(sdk, log))
    server.play(TURNS)
    result = await sdk.Runner.run(agent, "Clean", session=session)
    shown = [outcome(result), await session.get_items()]
    state = result.to_state()
    state.approve(result.interruptions[0])
    final = await sdk.Runner.run(agent, state, session=session)
    shown += [outcome(final), await session.get_items()]
    session.close()
    return shown


@differs(
    "a finished state stays finished",
    theirs=[[], "Again.", 2],
    ours=[[], "Hello.", 1],
)
async def test_a_finished_run_has_a_state_too(sdk, server):
    server.play(["Hello.", "Again."])
    agent = server.agent(sdk)
    result = await sdk.Runner.run(agent, "Hi")
    state = result.to_state()
    shown = await run(sdk, agent, state)
    return [items(state.get_interruptions()), shown["final_output"], len(server.requests)]


@conforms
async def test_a_state_is_generic_in_the_context_and_the_agent(sdk, server):
    agent = server.agent(sdk)
    kind = sdk.RunState[dict, sdk.Agent]
    state = kind(sdk.RunContextWrapper({}), "Hi", agent, 3)
    return [isinstance(state, sdk.RunState), len(kind.__args__)]
