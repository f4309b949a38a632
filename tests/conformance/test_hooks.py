"""Hooks: in their order, with what they are given."""

from agentstream.testing import call, hand_off, turn

from .harness import BOTH, conforms, hooks, outcome, run, streamed


@conforms(apis=BOTH)
async def test_hooks_of_the_run_and_the_agent_are_called_in_order(sdk, server):
    log = []

    @sdk.function_tool
    def look(place: str) -> str:
        """Look."""
        return f"seen {place}"

    agent = server.agent(
        sdk, instructions="Look well.", tools=[look], hooks=hooks(sdk, log, of_agent=True)
    )
    server.play([turn("Looking.", call("look", place="sea")), "Seen."])
    return [await run(sdk, agent, "Look", hooks=hooks(sdk, log)), log]


@conforms
async def test_hooks_of_a_streamed_run_are_called_in_the_same_order(sdk, server):
    log = []

    @sdk.function_tool
    def look(place: str) -> str:
        """Look."""
        return f"seen {place}"

    second = server.agent(sdk, "Second", tools=[look], hooks=hooks(sdk, log, of_agent=True))
    first = server.agent(sdk, "First", handoffs=[second], hooks=hooks(sdk, log, of_agent=True))
    server.play([hand_off("Second"), call("look", place="sea"), "Seen."])
    return [await streamed(sdk, first, "Look", hooks=hooks(sdk, log)), log]


@conforms
async def test_hooks_hear_of_tools_that_fail(sdk, server):
    log = []

    @sdk.function_tool
    def explode() -> str:
        """Explode."""
        raise RuntimeError("boom")

    server.play([call("explode"), "It failed."])
    agent = server.agent(sdk, tools=[explode])
    return [await run(sdk, agent, "Go", hooks=hooks(sdk, log)), log]


@conforms
async def test_hooks_hear_the_value_that_a_tool_returned(sdk, server):
    log = []

    @sdk.function_tool
    def give() -> dict:
        """Give."""
        return {"a": 1}

    server.play([call("give"), "Given."])
    agent = server.agent(sdk, tools=[give], hooks=hooks(sdk, log, of_agent=True))
    return [await run(sdk, agent, "Go", hooks=hooks(sdk, log)), log]


@conforms
async def test_hooks_hear_a_final_output_of_a_type(sdk, server):
    log = []
    server.play(['{"response":[1,2]}'])
    agent = server.agent(sdk, output_type=list[int])
    return [await run(sdk, agent, "Go", hooks=hooks(sdk, log)), log]


@conforms
async def test_a_hook_that_raises_ends_the_run(sdk, server):
    class Broken(sdk.RunHooks):
        async def on_tool_start(self, context, agent, tool):
            raise ValueError("broken hook")

    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    server.play([call("look"), "Seen."])
    return await run(sdk, server.agent(sdk, tools=[look]), "Go", hooks=Broken())


@conforms
async def test_hooks_may_change_the_context(sdk, server):
    class Counting(sdk.RunHooks):
        async def on_llm_start(self, context, agent, system_prompt, input_items):
            context.context["asked"] = context.context.get("asked", 0) + 1

    context = {}

    @sdk.function_tool
    def asked(context: sdk.RunContextWrapper) -> int:
        """Tell how often."""
        return context.context["asked"]

    server.play([call("asked"), "Twice."])
    result = await sdk.Runner.run(
        server.agent(sdk, tools=[asked]), "Go", context=context, hooks=Counting()
    )
    return [outcome(result), context]


@conforms
async def test_hooks_of_an_agent_as_a_tool_are_its_own(sdk, server):
    log = []
    inner = server.agent(sdk, "Inner", hooks=hooks(sdk, log, of_agent=True))
    tool = inner.as_tool("inner", "Ask inner.", hooks=hooks(sdk, log))
    outer = server.agent(sdk, "Outer", tools=[tool])
    server.play([call("inner", input="go"), "Inner says.", "Done."])
    return [await run(sdk, outer, "Go"), log]


@conforms
async def test_the_first_agent_starts_once_and_each_turn_asks_the_model(sdk, server):
    log = []

    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    server.play([call("look"), call("look"), "Seen."])
    await run(sdk, server.agent(sdk, tools=[look]), "Go", hooks=hooks(sdk, log))
    return [one[0] for one in log]
