"""Guardrails: of the input, the output and the tools, and their tripwires."""

import asyncio

from agentstream.testing import call, hand_off, turn

from .harness import conforms, hooks, plain, ran, run, streamed


def input_guard(sdk, *, trips=False, name="topic", wait=0.0, blocking=False):
    @sdk.input_guardrail(name=name, run_in_parallel=not blocking)
    async def guard(context, agent, input):
        await asyncio.sleep(wait)
        info = {"agent": agent.name, "input": plain(input), "context": context.context}
        return sdk.GuardrailFunctionOutput(output_info=info, tripwire_triggered=trips)

    return guard


def output_guard(sdk, *, trips=False, name="tone"):
    @sdk.output_guardrail(name=name)
    def guard(context, agent, output):
        info = {"agent": agent.name, "output": plain(output)}
        return sdk.GuardrailFunctionOutput(output_info=info, tripwire_triggered=trips)

    return guard


@conforms
async def test_input_guardrails_that_pass_leave_their_results(sdk, server):
    agent = server.agent(sdk, input_guardrails=[input_guard(sdk)])
    config = sdk.RunConfig(input_guardrails=[input_guard(sdk, name="of the run", blocking=True)])
    return await ran(sdk, server, ["Hello."], agent, "Hi", run_config=config, context=1)


@conforms
async def test_a_blocking_input_guardrail_stops_the_run_before_the_model_is_asked(sdk, server):
    agent = server.agent(sdk, input_guardrails=[input_guard(sdk, trips=True, blocking=True)])
    return await ran(sdk, server, ["Hello."], agent, "Hi")


@conforms
async def test_a_parallel_input_guardrail_stops_the_run(sdk, server):
    agent = server.agent(sdk, input_guardrails=[input_guard(sdk, trips=True)])
    server.play([turn("Hello.", pace=5)])
    shown = [await run(sdk, agent, "Hi")]
    server.play([turn("Hello.", pace=5)])
    result = sdk.Runner.run_streamed(agent, "Hi")
    try:
        async for _ in result.stream_events():
            pass
    except sdk.InputGuardrailTripwireTriggered as error:
        shown.append([error.guardrail_result.guardrail.get_name(), error.guardrail_result.output])
    server.requests.clear()  # whether the model was asked by then is a matter of time
    for one in shown[:1]:
        one["error"].pop("so far", None)
    return shown


@conforms
async def test_input_guardrails_run_for_the_first_agent_only(sdk, server):
    seen = []

    @sdk.input_guardrail
    def guard(context, agent, input):
        seen.append(agent.name)
        return sdk.GuardrailFunctionOutput(output_info=None, tripwire_triggered=False)

    second = server.agent(sdk, "Second", input_guardrails=[guard])
    first = server.agent(sdk, "First", input_guardrails=[guard], handoffs=[second])
    return [await ran(sdk, server, [hand_off("Second"), "Hello."], first, "Hi"), seen]


@conforms
async def test_output_guardrails_that_pass_leave_their_results(sdk, server):
    agent = server.agent(sdk, output_guardrails=[output_guard(sdk)])
    config = sdk.RunConfig(output_guardrails=[output_guard(sdk, name="of the run")])
    return await ran(sdk, server, ["Hello."], agent, "Hi", run_config=config)


@conforms
async def test_an_output_guardrail_refuses_the_final_output(sdk, server):
    agent = server.agent(sdk, output_guardrails=[output_guard(sdk, trips=True)])
    return await ran(sdk, server, ["Hello."], agent, "Hi")


@conforms
async def test_output_guardrails_are_those_of_the_last_agent(sdk, server):
    second = server.agent(sdk, "Second", output_guardrails=[output_guard(sdk, name="second")])
    first = server.agent(
        sdk,
        "First",
        output_guardrails=[output_guard(sdk, name="first", trips=True)],
        handoffs=[second],
    )
    return await ran(sdk, server, [hand_off("Second"), "Hello."], first, "Hi")


@conforms
async def test_a_guardrail_that_raises_ends_the_run(sdk, server):
    @sdk.output_guardrail
    def broken(context, agent, output):
        raise ValueError("broken guardrail")

    return await ran(sdk, server, ["Hello."], server.agent(sdk, output_guardrails=[broken]), "Hi")


@conforms
async def test_a_guardrail_may_be_made_by_hand_and_called(sdk, server):
    async def check(context, agent, input):
        return sdk.GuardrailFunctionOutput(output_info="by hand", tripwire_triggered=False)

    guard = sdk.InputGuardrail(guardrail_function=check)
    named = sdk.InputGuardrail(guardrail_function=check, name="mine", run_in_parallel=False)
    agent = server.agent(sdk, input_guardrails=[guard, named])
    result = await guard.run(agent, "Hi", sdk.RunContextWrapper(None))
    return [
        guard.get_name(),
        named.get_name(),
        plain(result.output),
        await ran(sdk, server, ["Hello."], agent, "Hi"),
    ]


def guarded_tool(sdk, *, before=None, after=None):
    @sdk.tool_input_guardrail(name="before")
    def check_input(data):
        return before(data) if before else sdk.ToolGuardrailFunctionOutput.allow("fine")

    @sdk.tool_output_guardrail(name="after")
    async def check_output(data):
        return after(data) if after else sdk.ToolGuardrailFunctionOutput.allow("good")

    @sdk.function_tool(tool_input_guardrails=[check_input], tool_output_guardrails=[check_output])
    def look(place: str) -> str:
        """Look."""
        return f"seen {place}"

    return look


@conforms
async def test_guardrails_of_a_tool_let_it_pass(sdk, server):
    seen = []

    def before(data):
        seen.append([data.context.tool_name, data.context.tool_arguments, data.agent.name])
        return sdk.ToolGuardrailFunctionOutput(output_info={"ok": True})

    def after(data):
        seen.append([data.output, data.agent.name])
        return sdk.ToolGuardrailFunctionOutput.allow()

    tool = guarded_tool(sdk, before=before, after=after)
    turns = [call("look", place="sea"), "Seen."]
    return [await ran(sdk, server, turns, server.agent(sdk, tools=[tool]), "Look"), seen]


@conforms
async def test_a_guardrail_of_a_tool_may_reject_the_input(sdk, server):
    tool = guarded_tool(
        sdk, before=lambda data: sdk.ToolGuardrailFunctionOutput.reject_content("Not there.", 1)
    )
    turns = [call("look", place="sea"), "Not seen."]
    return await ran(sdk, server, turns, server.agent(sdk, tools=[tool]), "Look")


@conforms
async def test_a_guardrail_of_a_tool_may_reject_the_output(sdk, server):
    tool = guarded_tool(
        sdk, after=lambda data: sdk.ToolGuardrailFunctionOutput.reject_content("Secret.")
    )
    turns = [call("look", place="sea"), "Not told."]
    return await ran(sdk, server, turns, server.agent(sdk, tools=[tool]), "Look")


@conforms
async def test_a_guardrail_of_a_tools_input_may_end_the_run(sdk, server):
    tool = guarded_tool(
        sdk, before=lambda data: sdk.ToolGuardrailFunctionOutput.raise_exception("bad")
    )
    return await ran(
        sdk, server, [call("look", place="sea")], server.agent(sdk, tools=[tool]), "Look"
    )


@conforms
async def test_a_guardrail_of_a_tools_output_may_end_the_run(sdk, server):
    tool = guarded_tool(
        sdk, after=lambda data: sdk.ToolGuardrailFunctionOutput.raise_exception("bad")
    )
    return await ran(
        sdk, server, [call("look", place="sea")], server.agent(sdk, tools=[tool]), "Look"
    )


@conforms
async def test_the_guardrails_of_a_run_check_agents_that_run_as_its_tools(sdk, server):
    """Unless those have a RunConfig of their own."""
    shown = []

    def guard(stage, trips=""):
        async def check(context, agent, value):
            shown.append([stage, agent.name, str(value)])
            tripped = bool(trips) and trips in str(value)
            return sdk.GuardrailFunctionOutput(None, tripwire_triggered=tripped)

        return check

    for own in ({}, {"run_config": sdk.RunConfig(tracing_disabled=True)}):
        for trips in ("", "inner", "outer"):
            inner = server.agent(sdk, "Inner")
            outer = server.agent(sdk, "Outer", tools=[inner.as_tool("ask", "", **own)])
            server.play([[call("ask", input="?")], "inner says", "outer says"])
            config = sdk.RunConfig(
                input_guardrails=[sdk.InputGuardrail(guard("input"), name="in")],
                output_guardrails=[sdk.OutputGuardrail(guard("output", trips), name="out")],
            )
            shown.append(await run(sdk, outer, "Hi", run_config=config))
            server.requests.clear()
    return shown


@conforms
async def test_hooks_run_around_guardrails(sdk, server):
    log = []
    agent = server.agent(
        sdk,
        input_guardrails=[input_guard(sdk, blocking=True)],
        output_guardrails=[output_guard(sdk, trips=True)],
        hooks=hooks(sdk, log, of_agent=True),
    )
    server.play(["Hello."])
    return [await streamed(sdk, agent, "Hi", hooks=hooks(sdk, log)), log]


def _plainly(values):
    return [{key: plain(one[key]) for key in sorted(one) if key != "id"} for one in values]


@conforms
async def test_an_output_of_tools_that_is_refused_is_withheld_from_session_and_error(sdk, server):
    @sdk.function_tool
    def look_up(n: int) -> str:
        return f"secret {n}"

    def no_text(args):
        raise ValueError(args.default_message)

    told = [None, "Not for you.", no_text]
    told.append(lambda args: f"{args.guardrail_name} of {args.agent.name}: {args.default_message}")
    shown = []
    for behavior in ("stop_on_first_tool", lambda context, results: _final(sdk, results)):
        for message in told:
            session = sdk.SQLiteSession(f"s{len(shown)}")
            agent = server.agent(
                sdk,
                tools=[look_up],
                output_guardrails=[output_guard(sdk, trips=True)],
                tool_use_behavior=behavior,
            )
            config = sdk.RunConfig(output_guardrail_blocked_message=message)
            server.play([[call("look_up", n=1), call("look_up", n=2)]])
            result = sdk.Runner.run_streamed(agent, "Hi", session=session, run_config=config)
            try:
                async for _ in result.stream_events():
                    pass
            except sdk.OutputGuardrailTripwireTriggered as error:
                refused = error.guardrail_result
                shown.append([refused.agent_output, refused.output.output_info])
            shown.append([getattr(item, "output", None) for item in result.new_items])
            shown.append(_plainly(await session.get_items()))
            assert "secret" not in str(shown)
    return shown


def _final(sdk, results):
    return sdk.ToolsToFinalOutputResult(is_final_output=True, final_output=results[0].output)


@conforms
async def test_what_is_stored_when_an_output_guardrail_raises(sdk, server):
    @sdk.output_guardrail
    def broken(context, agent, output):
        raise ValueError("no verdict")

    @sdk.function_tool
    def look_up() -> str:
        return "found"

    shown = []
    for turns, options in (
        ([call("look_up")], {}),
        (["Hello."], {}),
        ([], {"max_turns": 0, "error_handlers": {"max_turns": lambda given: "Out of turns."}}),
    ):
        session = sdk.SQLiteSession(f"s{len(shown)}")
        agent = server.agent(
            sdk,
            tools=[look_up],
            output_guardrails=[broken],
            tool_use_behavior="stop_on_first_tool",
        )
        server.play(turns)
        try:
            await sdk.Runner.run(agent, "Hi", session=session, **options)
        except ValueError as error:
            shown.append(str(error))
        shown.append(_plainly(await session.get_items()))
    return shown
