"""Computers that the model operates: made for a run, asked, and put away."""

import asyncio
from typing import Any

from agentstream.testing import item as other_item
from agentstream.testing import turn

from .harness import conforms, differs, failure, run, streamed


def screen(sdk, log, name="screen", *, modifiers=True):
    """A computer that notes what is done with it."""

    def noted(method: str) -> Any:
        if modifiers:
            return lambda self, *args, keys=None: log.append([name, method, args, keys])
        return lambda self, *args: log.append([name, method, args])

    methods = ("click", "double_click", "scroll", "type", "wait", "move", "keypress", "drag")
    return type(
        "Screen",
        (sdk.Computer,),
        {
            "screenshot": lambda self: f"picture of {name}",
            "environment": "browser",
            "dimensions": (800, 600),
            **{method: noted(method) for method in methods},
        },
    )()


def operates(*actions: Any, checks: Any = (), call_id: str = "c1"):
    """A call of the computer."""
    call = {"type": "computer_call", "call_id": call_id, "status": "completed"}
    action = {"action": actions[0]} if len(actions) == 1 else {"actions": list(actions)}
    return turn(other_item({**call, **action, "pending_safety_checks": list(checks)}, prefix="cc"))


CLICK = {"type": "click", "x": 1, "y": 2, "button": "left"}
PICTURE = {"type": "screenshot"}


def made(sdk, log, kind):
    """How the computers of a run are made: by a function, or by a provider that puts them away."""

    def create(*, run_context):
        log.append(["create", run_context.context])
        return screen(sdk, log, f"screen {sum(one[0] == 'create' for one in log)}")

    async def create_later(*, run_context):
        await asyncio.sleep(0)
        return create(run_context=run_context)

    async def dispose(*, run_context, computer):
        log.append(["dispose", run_context.context, computer.screenshot()])

    def broken(*, run_context, computer):
        log.append(["dispose", run_context.context, computer.screenshot()])
        raise RuntimeError("stuck")

    return {
        "function": create,
        "async function": create_later,
        "provider": sdk.ComputerProvider(create=create, dispose=dispose),
        "provider that cannot": sdk.ComputerProvider(create=create_later, dispose=broken),
        "provider without dispose": sdk.ComputerProvider(create=create),
    }[kind]


KINDS = (
    "function",
    "async function",
    "provider",
    "provider that cannot",
    "provider without dispose",
)


@conforms
async def test_a_computer_is_made_once_a_run_and_put_away_after_it(sdk, server):
    shown = []
    for kind in KINDS:
        log: list[Any] = []
        tool = sdk.ComputerTool(computer=made(sdk, log, kind))
        agent = server.agent(sdk, tools=[tool])
        turns = [operates(CLICK), operates(PICTURE, call_id="c2"), "Done."]
        server.play(turns)
        whole = await run(sdk, agent, "Go", context="first")
        server.play(turns)
        shown.append([kind, whole, await streamed(sdk, agent, "Go", context="second"), log])
    return shown


@conforms
async def test_a_computer_is_put_away_after_a_run_that_failed(sdk, server):
    log: list[Any] = []
    agent = server.agent(sdk, tools=[sdk.ComputerTool(computer=made(sdk, log, "provider"))])
    server.play([operates({"type": "dance"})])
    first = await run(sdk, agent, "Go", max_turns=1)
    server.play([operates(CLICK), operates(CLICK)])
    second = await run(sdk, agent, "Go", max_turns=1)
    return [first["error"]["type"], second["error"]["type"], log]


@conforms
async def test_runs_at_once_have_computers_of_their_own(sdk, server):
    log: list[Any] = []
    agent = server.agent(sdk, tools=[sdk.ComputerTool(computer=made(sdk, log, "provider"))])
    server.play([operates(CLICK), operates(CLICK), "Done.", "Done."])
    runs = [sdk.Runner.run(agent, "Go", context=number) for number in (1, 2)]
    results = await asyncio.gather(*runs)
    screens = sorted(
        str(item["output"])
        for request in server.requests
        for item in request.body["input"]
        if item.get("type") == "computer_call_output"
    )
    server.requests.clear()  # whose comes first is anybody's guess
    return [sorted(one.final_output for one in results), sorted(log, key=repr), screens]


@differs(
    "a run's own computer leaves the tool as it was",
    theirs=[False, False, True],
    ours=[True, True, True],
)
async def test_a_tool_that_makes_a_computer_for_each_run_is_as_it_was(sdk, server):
    factory = made(sdk, [], "function")
    tool = sdk.ComputerTool(computer=factory)
    seen = []

    class Watching(sdk.AgentHooks):
        async def on_llm_start(self, context, agent, system_prompt, input_items):
            seen.append(tool.computer is factory)

    server.play([operates(CLICK), "Done."])
    await sdk.Runner.run(server.agent(sdk, tools=[tool], hooks=Watching()), "Go")
    return [*seen, tool.computer is factory]


@conforms
async def test_what_makes_no_computer_ends_the_run(sdk, server):
    shown = []
    for wrong in (lambda *, run_context: None, lambda *, run_context: 1 / 0):
        agent = server.agent(sdk, tools=[sdk.ComputerTool(computer=wrong)])
        server.play(["Done."])
        shown.append((await run(sdk, agent, "Go"))["error"]["type"])
    return shown


@conforms
async def test_a_computer_may_be_made_and_put_away_by_hand(sdk, server):
    log: list[Any] = []
    tool = sdk.ComputerTool(computer=made(sdk, log, "provider"))
    one, other = sdk.RunContextWrapper(context=1), sdk.RunContextWrapper(context=2)
    first = await sdk.resolve_computer(tool=tool, run_context=one)
    same = await sdk.resolve_computer(tool=tool, run_context=one) is first
    second = await sdk.resolve_computer(tool=tool, run_context=other)
    for context in (one, one, other):
        await sdk.dispose_resolved_computers(run_context=context)
    fixed = screen(sdk, log)
    kept = await sdk.resolve_computer(tool=sdk.ComputerTool(computer=fixed), run_context=one)
    return [same, first is second, kept is fixed, log]


@conforms
async def test_keys_that_are_held_reach_a_computer_that_knows_of_them(sdk, server):
    held = [
        {**CLICK, "keys": ["SHIFT"]},
        {"type": "double_click", "x": 1, "y": 2, "keys": ["CTRL"]},
        {"type": "move", "x": 1, "y": 2, "keys": ["ALT"]},
        {"type": "scroll", "x": 1, "y": 2, "scroll_x": 0, "scroll_y": 9, "keys": ["CTRL"]},
        {"type": "drag", "path": [{"x": 0, "y": 1}, {"x": 2, "y": 3}], "keys": ["SHIFT"]},
        {"type": "keypress", "keys": ["ENTER"]},
        CLICK,
    ]
    log: list[Any] = []
    for modifiers in (True, False):
        tool = sdk.ComputerTool(computer=screen(sdk, log, modifiers=modifiers))
        server.play([operates(*held), "Done."])
        await run(sdk, server.agent(sdk, tools=[tool]), "Go")
    return log


@conforms
async def test_data_of_ones_own_is_kept_with_what_the_computer_showed(sdk, server):
    def extractor(data):
        return {"call": data.tool_call.call_id, "tool": data.tool.name, "shows": data.output}

    tool = sdk.ComputerTool(computer=screen(sdk, []), custom_data_extractor=extractor)
    server.play([operates(CLICK), "Done."])
    result = await sdk.Runner.run(server.agent(sdk, tools=[tool]), "Go")
    return [getattr(one, "custom_data", None) for one in result.new_items]


CHECK = {"id": "s1", "code": "malicious_instructions", "message": "Beware."}


@conforms
async def test_a_safety_check_is_the_programs_to_acknowledge(sdk, server):
    shown = []
    for answer in (True, False):
        seen: list[Any] = []

        def acknowledged(data, seen=seen, answer=answer):
            seen.append([data.safety_check.code, data.tool_call.call_id, data.agent.name])
            return answer

        log: list[Any] = []
        tool = sdk.ComputerTool(computer=screen(sdk, log), on_safety_check=acknowledged)
        server.play([operates(CLICK, checks=[CHECK]), "Done."])
        whole = await run(sdk, server.agent(sdk, tools=[tool]), "Go")
        shown.append([whole.get("final_output"), seen, log])
    return shown


@differs(
    "a safety check that nobody acknowledged stops the run",
    theirs=["Done.", [["screen", "click", [1, 2, "left"], None]]],
    ours=["UserError", []],
)
async def test_a_safety_check_that_no_program_acknowledges(sdk, server):
    log: list[Any] = []
    tool = sdk.ComputerTool(computer=screen(sdk, log))
    server.play([operates(CLICK, checks=[CHECK]), "Done."])
    try:
        result = await sdk.Runner.run(server.agent(sdk, tools=[tool]), "Go")
    except sdk.UserError as error:
        return [failure(error)["type"], log]
    return [result.final_output, log]
