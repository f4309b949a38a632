"""Agents: instructions, settings, clones, agents as tools."""

from agentstream.testing import call, turn

from .harness import BOTH, conforms, hooks, outcome, ran, run, streamed


@conforms(apis=BOTH)
async def test_an_agent_without_instructions_answers(sdk, server):
    return await ran(sdk, server, ["Hello."], server.agent(sdk), "Hi")


@conforms(apis=BOTH)
async def test_instructions_are_sent(sdk, server):
    agent = server.agent(sdk, instructions="Answer in one word.")
    return await ran(sdk, server, ["Hello."], agent, "Hi")


@conforms
async def test_instructions_may_be_a_function(sdk, server):
    def instructions(context, agent):
        return f"You are {agent.name} for {context.context['user']}."

    agent = server.agent(sdk, "Helper", instructions=instructions)
    return await ran(sdk, server, ["Hello."], agent, "Hi", context={"user": "Ada"})


@conforms
async def test_instructions_may_be_an_async_function(sdk, server):
    async def instructions(context, agent):
        return f"Context: {context.context}, turn input: {len(context.turn_input)}."

    agent = server.agent(sdk, instructions=instructions)
    return await ran(sdk, server, ["Hello."], agent, "Hi", context=7)


@conforms
async def test_a_list_of_items_may_be_the_input(sdk, server):
    asked = [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "One."},
        {"role": "user", "content": [{"type": "input_text", "text": "Two?"}]},
    ]
    return await ran(sdk, server, ["Two."], server.agent(sdk), asked)


@conforms(apis=BOTH)
async def test_all_model_settings_are_sent(sdk, server):
    settings = sdk.ModelSettings(
        temperature=0.5,
        top_p=0.9,
        max_tokens=100,
        store=False,
        parallel_tool_calls=False,
        metadata={"lesson": "3"},
        extra_body={"seed": 7},
        extra_query={"trace": "1"},
        verbosity="low",
    )

    @sdk.function_tool
    def look(place: str) -> str:
        """Look."""
        return place

    agent = server.agent(sdk, model_settings=settings, tools=[look])
    return await ran(sdk, server, ["Hello."], agent, "Hi")


@conforms
async def test_settings_of_the_run_win_over_those_of_the_agent(sdk, server):
    agent = server.agent(
        sdk, model_settings=sdk.ModelSettings(temperature=0.1, top_p=0.2, extra_body={"a": 1})
    )
    config = sdk.RunConfig(
        model_settings=sdk.ModelSettings(temperature=0.9, max_tokens=5, extra_body={"b": 2})
    )
    return await ran(sdk, server, ["Hello."], agent, "Hi", run_config=config)


@conforms
async def test_the_model_of_the_run_wins_over_that_of_the_agent(sdk, server):
    server.play(["Hello."])
    agent = sdk.Agent(name="A", model="never-asked")
    return await run(sdk, agent, "Hi", run_config=sdk.RunConfig(model=server.model(sdk)))


@conforms
async def test_reasoning_settings_and_includes_are_sent(sdk, server):
    from openai.types.shared import Reasoning

    settings = sdk.ModelSettings(
        reasoning=Reasoning(effort="low", summary="auto"),
        response_include=["reasoning.encrypted_content"],
        truncation="auto",
        top_logprobs=2,
    )
    return await ran(sdk, server, ["Hello."], server.agent(sdk, model_settings=settings), "Hi")


@conforms
async def test_a_clone_shares_what_is_not_replaced(sdk, server):
    server.play(["Hello."])
    agent = server.agent(sdk, "First", instructions="Be short.")
    copy = agent.clone(name="Second", instructions="Be long.")
    return [
        await run(sdk, copy, "Hi"),
        agent.name,
        agent.instructions,
        copy.tools == agent.tools,
    ]


@conforms
async def test_an_agent_as_a_tool_runs_inside_the_call(sdk, server):
    poet = server.agent(sdk, "Poet", instructions="Write verse.")
    writer = server.agent(
        sdk,
        "Writer",
        tools=[poet.as_tool(tool_name="write_verse", tool_description="Write a verse.")],
    )
    turns = [call("write_verse", input="Of the sea"), "Blue is the sea.", "Here: Blue is the sea."]
    return await ran(sdk, server, turns, writer, "A poem, please")


@conforms
async def test_the_output_of_an_agent_as_a_tool_may_be_extracted(sdk, server):
    async def extract(result):
        return f"{result.final_output} ({len(result.new_items)} item)"

    poet = server.agent(sdk, "Poet")
    tool = poet.as_tool("verse", "Write a verse.", custom_output_extractor=extract)
    writer = server.agent(sdk, "Writer", tools=[tool])
    turns = [call("verse", input="Sea"), "Blue.", "Done."]
    return await ran(sdk, server, turns, writer, "Poem")


@conforms
async def test_events_of_an_agent_as_a_tool_can_be_heard(sdk, server):
    heard = []

    async def listen(event):
        inner = event["event"]
        heard.append([event["agent"].name, inner.type, getattr(inner, "name", None)])

    poet = server.agent(sdk, "Poet")
    writer = server.agent(
        sdk, "Writer", tools=[poet.as_tool("verse", "Write a verse.", on_stream=listen)]
    )
    turns = [call("verse", input="Sea"), "Blue.", "Done."]
    return [await ran(sdk, server, turns, writer, "Poem"), heard]


@conforms
async def test_an_agent_as_a_tool_that_fails_tells_the_model(sdk, server):
    @sdk.function_tool(failure_error_function=None)
    def explode() -> str:
        """Explode."""
        raise RuntimeError("boom")

    inner = server.agent(sdk, "Inner", tools=[explode])
    outer = server.agent(sdk, "Outer", tools=[inner.as_tool("inner", "Ask inner.")])
    turns = [call("inner", input="go"), call("explode"), "It failed."]
    return await ran(sdk, server, turns, outer, "Go")


@conforms
async def test_usage_of_an_agent_as_a_tool_counts_in_the_run(sdk, server):
    poet = server.agent(sdk, "Poet")
    writer = server.agent(sdk, "Writer", tools=[poet.as_tool("verse", "Write a verse.")])
    server.play(
        [
            turn(call("verse", input="Sea"), usage={"input_tokens": 10, "output_tokens": 1}),
            turn("Blue.", usage={"input_tokens": 100, "output_tokens": 10}),
            turn("Done.", usage={"input_tokens": 1000, "output_tokens": 100}),
        ]
    )
    return (await run(sdk, writer, "Poem"))["usage"]


@conforms
async def test_the_context_reaches_hooks_tools_and_instructions(sdk, server):
    log = []

    @sdk.function_tool
    def who(context: sdk.RunContextWrapper[dict]) -> str:
        """Tell who asks."""
        context.context["seen"] = True
        return context.context["user"]

    agent = server.agent(sdk, tools=[who], instructions=lambda c, a: f"For {c.context['user']}.")
    context = {"user": "Ada"}
    server.play([call("who"), "Ada."])
    result = await sdk.Runner.run(agent, "Who am I?", context=context, hooks=hooks(sdk, log))
    return [outcome(result), context, log, result.context_wrapper.context is context]


@conforms
async def test_a_prompt_stored_with_the_provider_is_sent(sdk, server):
    agent = server.agent(sdk, prompt={"id": "pmpt_1", "version": "2", "variables": {"name": "Ada"}})
    return await ran(sdk, server, ["Hello."], agent, "Hi")


@conforms
async def test_a_prompt_may_be_a_function(sdk, server):
    def prompt(data):
        return {"id": "pmpt_1", "variables": {"agent": data.agent.name}}

    return await ran(sdk, server, ["Hello."], server.agent(sdk, prompt=prompt), "Hi")


@conforms
async def test_the_system_prompt_and_tools_of_an_agent_can_be_asked(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    @sdk.function_tool(is_enabled=False)
    def hidden() -> str:
        """Hide."""
        return "hidden"

    agent = server.agent(sdk, instructions=lambda c, a: a.name, tools=[look, hidden])
    context = sdk.RunContextWrapper(None)
    return [
        await agent.get_system_prompt(context),
        [tool.name for tool in await agent.get_all_tools(context)],
    ]


@conforms
async def test_an_empty_input_is_sent_as_it_is(sdk, server):
    server.play(["Hello.", "Hello."])
    return [await streamed(sdk, server.agent(sdk), ""), await run(sdk, server.agent(sdk), [])]


def refused(make):
    """The error's type, and that it names the setting that is none; or what was made."""
    try:
        return repr(make())
    except Exception as error:
        return [type(error).__name__, "temperatur" in str(error) or "limt" in str(error)]


@conforms
async def test_a_setting_in_a_dict_that_is_none_is_refused_where_it_is_written(sdk, server):
    wrong = {"temperatur": 1}
    return [
        refused(lambda: sdk.Agent(name="A", model_settings=wrong)),
        refused(lambda: sdk.Agent(name="A").clone(model_settings=wrong)),
        refused(lambda: sdk.ModelSettings().resolve(wrong)),
        refused(lambda: sdk.RunConfig(model_settings=wrong)),
        refused(lambda: sdk.RunConfig(tool_execution=wrong)),
        refused(lambda: sdk.RunConfig(session_settings={"limt": 1})),
        refused(lambda: sdk.SQLiteSession("s", session_settings={"limt": 1})),
        await run(sdk, server.agent(sdk), "Hi", run_config=wrong),
        sdk.Agent(name="A", model_settings={"temperature": 1}).model_settings.temperature,
    ]
