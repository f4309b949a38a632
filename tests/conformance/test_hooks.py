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


@conforms(apis=BOTH)
async def test_a_handoff_is_told_to_the_hooks_of_the_agent_that_hands_off(sdk, server):
    log = []

    class Named(sdk.AgentHooks):
        def __init__(self, name):
            self.name = name

        async def on_handoff(self, context, agent, source):
            log.append((self.name, agent.name, source.name))

    second = server.agent(sdk, "Second", hooks=Named("hooks of Second"))
    first = server.agent(sdk, "First", handoffs=[second], hooks=Named("hooks of First"))
    server.play([hand_off("Second"), "Done."])
    whole = await run(sdk, first, "Go")
    server.play([hand_off("Second"), "Done."])
    return [whole, await streamed(sdk, first, "Go"), log]


@conforms(apis=BOTH)
async def test_what_on_agent_start_changes_counts_in_that_turn(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    @sdk.function_tool(is_enabled=lambda context, agent: context.context["may peek"])
    def peek() -> str:
        """Peek."""
        return "peeked"

    class Opening(sdk.RunHooks):
        async def on_agent_start(self, context, agent):
            context.context["may peek"] = True
            if look not in agent.tools:
                agent.tools.append(look)

    def agent():
        # (instructions read what the hook wrote)
        return server.agent(
            sdk,
            tools=[peek],
            instructions=lambda context, agent: f"peek: {context.context['may peek']}",
        )

    server.play([call("peek"), call("look"), "Seen."])
    whole = await run(sdk, agent(), "Go", context={"may peek": False}, hooks=Opening())
    server.play([call("peek"), call("look"), "Seen."])
    context = {"may peek": False}
    return [whole, await streamed(sdk, agent(), "Go", context=context, hooks=Opening())]


@conforms
async def test_on_start_of_an_agent_that_is_handed_to_may_take_a_tool_away(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    class Closing(sdk.AgentHooks):
        async def on_start(self, context, agent):
            agent.tools.clear()

    second = server.agent(sdk, "Second", tools=[look], hooks=Closing())
    first = server.agent(sdk, "First", handoffs=[second])
    server.play([hand_off("Second"), "Done."])
    return await run(sdk, first, "Go")
