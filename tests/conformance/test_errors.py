"""Errors: their types, and what they carry of the run."""

from agentstream.testing import call, cut, fail, reset, stream_error, turn

from .harness import BOTH, CHAT, conforms, differs, failure, hooks, outcome, ran, run, streamed


@conforms(apis=BOTH)
async def test_a_run_out_of_turns_fails_with_what_it_had(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    agent = server.agent(sdk, tools=[look])
    turns = [call("look"), call("look"), call("look")]
    return await ran(sdk, server, turns, agent, "Look", max_turns=2)


@conforms
async def test_turns_may_be_without_limit(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    agent = server.agent(sdk, tools=[look])
    turns = [*(call("look") for _ in range(12)), "Seen."]
    return await ran(sdk, server, turns, agent, "Look", max_turns=None)


@conforms
async def test_a_handler_may_answer_for_a_run_out_of_turns(sdk, server):
    seen = []

    def handler(data):
        seen.append([type(data.error).__name__, data.run_data.last_agent.name])
        return {"final_output": "I gave up.", "include_in_history": True}

    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    agent = server.agent(sdk, tools=[look])
    turns = [call("look"), call("look")]
    shown = await ran(
        sdk, server, turns, agent, "Look", max_turns=1, error_handlers={"max_turns": handler}
    )
    return [shown, seen]


@conforms(apis=BOTH)
async def test_a_tool_that_does_not_exist_ends_the_run(sdk, server):
    return await ran(sdk, server, [turn("I call.", call("nobody"))], server.agent(sdk), "Go")


@conforms
async def test_a_tool_that_does_not_exist_may_be_told_to_the_model(sdk, server):
    config = sdk.RunConfig(tool_not_found_behavior="return_error_to_model")
    turns = [call("nobody", x=1), "I see."]
    shown = await ran(sdk, server, turns, server.agent(sdk), "Go", run_config=config)
    return [shown["whole"]["final_output"], len(shown["streamed"]["new_items"])]


@conforms
async def test_a_handoff_to_nowhere_ends_the_run(sdk, server):
    return await ran(sdk, server, [call("transfer_to_nobody")], server.agent(sdk), "Go")


@conforms
async def test_a_stream_without_its_last_event_is_an_error(sdk, server):
    server.play([turn("Hello there.", cut(after=6))])
    return await streamed(sdk, server.agent(sdk), "Hi")


@differs(
    "a truncated Chat stream is an error",
    api=CHAT,
    theirs=["Hello there", None],
    ours=[None, "ModelBehaviorError"],
)
async def test_a_chat_stream_without_its_last_chunk_is_an_error(sdk, server):
    server.play([turn("Hello there.", cut(after=6))])
    shown = await streamed(sdk, server.agent(sdk), "Hi")
    return [shown.get("final_output"), (shown["error"] or {}).get("type")]


@conforms
async def test_a_broken_connection_is_an_error_of_the_client(sdk, server):
    server.play([turn("Hello there.", reset(after=6)), reset()])
    return [await streamed(sdk, server.agent(sdk), "Hi"), await run(sdk, server.agent(sdk), "Hi")]


@conforms
async def test_a_failed_response_is_an_error(sdk, server):
    server.play([turn("Hello", fail("The model failed.")), turn("Hello", fail())])
    return [await streamed(sdk, server.agent(sdk), "Hi"), await run(sdk, server.agent(sdk), "Hi")]


@conforms
async def test_an_error_event_is_an_error(sdk, server):
    server.play([turn("Hello", stream_error("overloaded"))])
    return await streamed(sdk, server.agent(sdk), "Hi")


@conforms
async def test_no_agent_is_an_error(sdk, server):
    shown = []
    for nobody in (None, "Assistant"):
        try:
            await sdk.Runner.run(nobody, "Hi")
        except Exception as error:
            shown.append(bool(failure(error)))
    return shown


def two_of_one_name(sdk):
    def make(text):
        @sdk.function_tool(name_override="look")
        def tool() -> str:
            """Look."""
            return text

        return tool

    return [make("a"), make("b")]


@conforms
async def test_two_tools_of_one_name_may_be_an_error_or_a_warning(sdk, server):
    agent = server.agent(sdk, tools=two_of_one_name(sdk))
    turns = [call("look"), "Seen."]
    return [
        await ran(
            sdk,
            server,
            turns,
            agent,
            "Go",
            run_config=sdk.RunConfig(tool_name_collision_policy=policy),
        )
        for policy in ("error", "warn")
    ]


@differs("two tools of one name are an error", theirs=["Seen.", None], ours=[None, "UserError"])
async def test_two_tools_of_one_name(sdk, server):
    server.play([call("look"), "Seen."])
    shown = await run(sdk, server.agent(sdk, tools=two_of_one_name(sdk)), "Go")
    return [shown.get("final_output"), shown.get("error", {}).get("type")]


@conforms
async def test_wrong_kinds_of_fields_are_refused_when_the_agent_is_made(sdk, server):
    shown = []
    for fields in (
        {"name": 7},
        {"tools": "look"},
        {"handoffs": "b"},
        {"instructions": 7},
        {"model_settings": "warm"},
        {"output_type": "City"},
        {"tool_use_behavior": "whatever"},
        {"input_guardrails": "guard"},
    ):
        try:
            sdk.Agent(**{"name": "A", **fields})
        except TypeError as error:
            shown.append([sorted(fields), type(error).__name__])
        else:
            shown.append([sorted(fields), "accepted"])
    return shown


@conforms
async def test_instructions_with_the_wrong_parameters_are_an_error(sdk, server):
    agent = server.agent(sdk, instructions=lambda: "nothing")
    return await ran(sdk, server, ["Hello."], agent, "Hi")


@conforms
async def test_instructions_that_raise_end_the_run(sdk, server):
    def instructions(context, agent):
        raise LookupError("no instructions")

    return await ran(sdk, server, ["Hello."], server.agent(sdk, instructions=instructions), "Hi")


@conforms
async def test_a_callback_of_a_handoff_without_parameters_is_refused(sdk, server):
    shown = []
    for function, kind in ((lambda: None, None), (lambda context: None, int), (None, int)):
        try:
            sdk.handoff(sdk.Agent(name="B"), on_handoff=function, input_type=kind)
        except Exception as error:
            shown.append(type(error).__name__)
        else:
            shown.append("accepted")
    return shown


@conforms
async def test_an_error_of_one_tool_cancels_its_siblings(sdk, server):
    import asyncio

    log = []

    @sdk.function_tool(failure_error_function=None)
    async def explode() -> str:
        """Explode."""
        await asyncio.sleep(0.02)
        raise RuntimeError("boom")

    @sdk.function_tool
    async def slow() -> str:
        """Take long."""
        try:
            await asyncio.sleep(3)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise
        log.append("finished")
        return "slow"

    server.play([turn(call("explode"), call("slow"))])
    shown = await run(sdk, server.agent(sdk, tools=[explode, slow]), "Go")
    await asyncio.sleep(0.05)
    return [shown, log]


@conforms
async def test_cancelling_the_awaiting_task_cancels_the_run(sdk, server):
    import asyncio

    log = []

    @sdk.function_tool
    async def slow() -> str:
        """Take long."""
        log.append("started")
        try:
            await asyncio.sleep(3)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise
        return "slow"

    server.play([call("slow"), "Done."])
    task = asyncio.create_task(sdk.Runner.run(server.agent(sdk, tools=[slow]), "Go"))
    while not log:
        await asyncio.sleep(0.01)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        log.append("run cancelled")
    await asyncio.sleep(0.05)
    return log


@conforms
async def test_an_error_that_is_not_of_the_tree_passes_through_with_hooks(sdk, server):
    log = []

    class Picky(sdk.RunHooks):
        async def on_llm_end(self, context, agent, response):
            log.append("end")
            raise KeyError("picky")

    server.play(["Hello.", "Hello."])
    return [
        await run(sdk, server.agent(sdk), "Hi", hooks=Picky()),
        await streamed(sdk, server.agent(sdk), "Hi", hooks=Picky()),
        log,
        outcome.__name__,
        hooks.__name__,
    ]
