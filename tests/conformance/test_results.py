"""Results: what a run leaves behind, and going on from it."""

import asyncio
import sys

from agentstream.testing import call, hand_off, think, turn, web_search

from .harness import BOTH, conforms, differs, items, outcome, plain, ran, run, streamed


@conforms
async def test_the_result_of_many_turns_holds_everything(sdk, server):
    @sdk.function_tool
    def look(place: str) -> str:
        """Look."""
        return f"seen {place}"

    second = server.agent(sdk, "Second", tools=[look, sdk.WebSearchTool()])
    first = server.agent(sdk, "First", tools=[look], handoffs=[second])
    turns = [
        turn(think("I look."), "Looking.", call("look", place="sea"), call("look", place="sky")),
        turn(think(encrypted="x"), hand_off("Second")),
        turn(web_search("sea"), call("look", place="sand")),
        "All seen.",
    ]
    return await ran(sdk, server, turns, first, "Look")


@conforms(apis=BOTH)
async def test_a_conversation_goes_on_from_the_input_list(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    agent = server.agent(sdk, tools=[look])
    server.play([turn("Looking.", call("look")), "Seen.", "As I said: seen."])
    first = await sdk.Runner.run(agent, "Look")
    again = [*first.to_input_list(), {"role": "user", "content": "And?"}]
    return [outcome(first), await streamed(sdk, agent, again)]


@conforms
async def test_usage_adds_up_over_requests(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    turns = [
        turn(
            call("look"),
            usage={"input_tokens": 100, "output_tokens": 20, "cached_tokens": 64},
        ),
        turn("Seen.", usage={"input_tokens": 150, "output_tokens": 5, "reasoning_tokens": 3}),
    ]
    return await ran(sdk, server, turns, server.agent(sdk, tools=[look]), "Look")


@conforms(apis=BOTH)
async def test_an_answer_without_usage_counts_the_request(sdk, server):
    return await ran(sdk, server, [turn("Hello.", usage=False)], server.agent(sdk), "Hi")


@conforms
async def test_an_empty_answer_of_plain_text_ends_the_run(sdk, server):
    return await ran(sdk, server, [turn(), "Never said."], server.agent(sdk), "Hi", max_turns=3)


@conforms
async def test_only_reasoning_ends_or_goes_on(sdk, server):
    turns = [turn(think("Hm.")), "Then I said."]
    return await ran(sdk, server, turns, server.agent(sdk), "Hi", max_turns=3)


@conforms
async def test_an_empty_message_is_an_empty_output(sdk, server):
    return await ran(sdk, server, [turn("")], server.agent(sdk), "Hi", max_turns=3)


@conforms
async def test_only_a_hosted_call_asks_again(sdk, server):
    agent = server.agent(sdk, tools=[sdk.WebSearchTool()])
    return await ran(sdk, server, [web_search("sea"), "Found."], agent, "Search", max_turns=3)


@conforms
async def test_the_text_of_items_can_be_extracted(sdk, server):
    server.play([turn("One.", "Two.")])
    result = await sdk.Runner.run(server.agent(sdk), "Hi")
    helpers = sdk.ItemHelpers
    message = result.new_items[0]
    return [
        helpers.text_message_outputs(result.new_items),
        helpers.text_message_output(message),
        helpers.extract_last_content(message.raw_item),
        helpers.extract_last_text(message.raw_item),
        helpers.input_to_new_input_list("Hi"),
        helpers.input_to_new_input_list([{"role": "user", "content": "x"}]),
    ]


@conforms
async def test_the_output_of_a_call_can_be_made_an_item(sdk, server):
    server.play([call("look"), "Seen."])

    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    result = await sdk.Runner.run(server.agent(sdk, tools=[look]), "Look")
    tool_call = result.new_items[0].raw_item
    outputs = ["text", [sdk.ToolOutputText(text="a")], {"type": "text", "text": "b"}, 7]
    return [plain(sdk.ItemHelpers.tool_call_output_item(tool_call, one)) for one in outputs]


@conforms
async def test_previous_response_ids_chain_the_turns(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    agent = server.agent(sdk, tools=[look])
    turns = [call("look"), "Seen."]
    return await ran(sdk, server, turns, agent, "Look", previous_response_id="resp_before")


@conforms
async def test_previous_response_ids_may_chain_by_themselves(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    agent = server.agent(sdk, tools=[look])
    turns = [call("look"), "Seen."]
    return await ran(sdk, server, turns, agent, "Look", auto_previous_response_id=True)


@conforms
async def test_a_conversation_id_sends_only_what_is_new(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    agent = server.agent(sdk, tools=[look])
    turns = [call("look"), "Seen."]
    return await ran(sdk, server, turns, agent, "Look", conversation_id="conv_1")


@conforms
async def test_a_filter_may_change_what_the_model_is_sent(sdk, server):
    def shorten(data):
        new = [*data.model_data.input[-1:], {"role": "user", "content": "Be kind."}]
        return type(data.model_data)(input=new, instructions="Filtered.")

    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    config = sdk.RunConfig(call_model_input_filter=shorten)
    agent = server.agent(sdk, instructions="Original.", tools=[look])
    return await ran(sdk, server, [call("look"), "Seen."], agent, "Look", run_config=config)


@conforms
async def test_run_sync_returns_the_same_result(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    # The client is bound to this loop, and the run has its own: the model must need no client.
    server.play([call("look"), "Seen."])
    agent = server.agent(sdk, model=from_the_server(sdk, server), tools=[look])
    return outcome(await asyncio.to_thread(in_a_loop_of_its_own, sdk.Runner.run_sync, agent, "Hi"))


def in_a_loop_of_its_own(function, *args):
    """Call a function in a thread whose loop is closed afterwards; the SDK leaves it open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return function(*args)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def from_the_server(sdk, server):
    """A model that asks the server with a new client for each request."""

    class Patient(sdk.Model):
        async def get_response(self, *args, **named):
            async with server.client() as client:
                model = sdk.OpenAIResponsesModel("gpt-test", client)
                return await model.get_response(*args, **named)

        async def stream_response(self, *args, **named):
            async with server.client() as client:
                model = sdk.OpenAIResponsesModel("gpt-test", client)
                async for event in model.stream_response(*args, **named):
                    yield event

    return Patient()


@conforms
async def test_the_input_of_a_run_is_left_as_it_was(sdk, server):
    asked = [{"role": "user", "content": "Hi"}]
    server.play(["Hello."])
    result = await sdk.Runner.run(server.agent(sdk), asked)
    return [asked, result.input == asked, items(result.new_items), result.max_turns]


@conforms
async def test_the_names_of_the_run_config_are_accepted(sdk, server):
    config = sdk.RunConfig(
        tracing_disabled=True,
        workflow_name="Lesson",
        trace_id="trace_1",
        group_id="group",
        trace_metadata={"a": "b"},
        trace_include_sensitive_data=False,
    )
    server.play(["Hello."])
    return await run(sdk, server.agent(sdk), "Hi", run_config=config)


# In a process of its own: to run a loop inside a loop, nest-asyncio2 patches asyncio for good.
IN_A_CELL = """
import asyncio, importlib, sys
import openai

sdk = importlib.import_module(sys.argv[1])

async def cell():
    http = openai.DefaultAsyncHttpxClient(trust_env=False, verify=False)
    async with openai.AsyncOpenAI(base_url=sys.argv[2], api_key="x", http_client=http) as client:
        agent = sdk.Agent(name="A", model=sdk.OpenAIResponsesModel("m", client))
        try:
            return sdk.Runner.run_sync(agent, "Hi").final_output
        except RuntimeError as error:
            return type(error).__name__

sys.stdout.write(asyncio.run(cell()))
"""


@differs("run_sync inside a running loop", theirs="RuntimeError", ours="Hello.")
async def test_run_sync_inside_a_running_loop(sdk, server):
    server.play(["Hello."])
    command = [sys.executable, "-W", "ignore", "-c", IN_A_CELL, sdk.__name__, server.base_url]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode()


@conforms
async def test_the_task_of_a_run_raises_what_the_run_failed_with(sdk, server):
    def instructions(context, agent):
        raise ValueError("no instructions")

    agent = server.agent(sdk, instructions=instructions)
    result = sdk.Runner.run_streamed(agent, "Hi")
    shown = []
    try:
        async for _ in result.stream_events():
            pass
    except ValueError as error:
        shown.append(str(error))
    try:
        await result.run_loop_task
    except ValueError as error:
        shown.append(str(error))
    return shown


@differs(
    "the task of a run raises every error",
    theirs=["Max turns (0) exceeded"],
    ours=["Max turns (0) exceeded"] * 2,
)
async def test_the_task_of_a_run_raises_that_its_turns_are_over(sdk, server):
    agent = server.agent(sdk)
    server.play(["Hello."])
    result = sdk.Runner.run_streamed(agent, "Hi", max_turns=0)
    shown = []
    try:
        async for _ in result.stream_events():
            pass
    except sdk.MaxTurnsExceeded as error:
        shown.append(str(error))
    try:
        await result.run_loop_task
    except sdk.MaxTurnsExceeded as error:
        shown.append(str(error))
    return shown
