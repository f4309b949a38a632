"""Streaming: the three levels of events, for everything a model can stream."""

import asyncio

import pytest

from agentstream.testing import (
    call,
    cite,
    hand_off,
    incomplete,
    item,
    make_image,
    mcp_approval,
    mcp_call,
    mcp_tools,
    raw,
    refuse,
    run_code,
    say,
    search_files,
    search_tools,
    think,
    turn,
    web_search,
)

from .harness import BOTH, CHAT, conforms, differs, drained, outcome, ran, streamed


@conforms(apis=BOTH)
async def test_text_streams_as_deltas_and_ends_as_an_item(sdk, server):
    server.play(["The tide comes in, the tide goes out."])
    return await streamed(sdk, server.agent(sdk), "Tell me of the sea")


@conforms(apis=BOTH)
async def test_a_tool_is_told_when_called_and_when_it_has_answered(sdk, server):
    @sdk.function_tool
    def weather(city: str) -> str:
        """Look the weather up."""
        return f"sunny in {city}"

    server.play([turn("Let me look.", call("weather", city="Lisbon")), "It is sunny."])
    return await streamed(sdk, server.agent(sdk, tools=[weather]), "Weather?")


@conforms(apis=BOTH)
async def test_a_handoff_is_told_with_the_agent_that_takes_over(sdk, server):
    booking = server.agent(sdk, "Booking")
    triage = server.agent(sdk, "Triage", handoffs=[booking])
    server.play([hand_off("Booking"), "Booked."])
    return await streamed(sdk, triage, "Book a table")


@conforms
async def test_reasoning_with_summaries_streams_before_the_answer(sdk, server):
    server.play([turn(think("**One**\n\nFirst.", "**Two**"), "Done.")])
    return await streamed(sdk, server.agent(sdk), "Think")


@conforms
async def test_reasoning_without_summary_or_with_encrypted_content_is_an_item(sdk, server):
    server.play([turn(think(encrypted="gAAA"), think(text="step by step"), "Done.")])
    return await streamed(sdk, server.agent(sdk), "Think")


@conforms(apis=(CHAT,))
async def test_reasoning_content_of_a_chat_provider_streams(sdk, server):
    server.play([turn(think("step by step"), "Done.")])
    return await streamed(sdk, server.agent(sdk), "Think")


@conforms
async def test_a_web_search_and_its_citations_pass_through(sdk, server):
    cited = say("Sunny (example).", annotations=[cite("https://example.org", "Example", end=5)])
    agent = server.agent(sdk, tools=[sdk.WebSearchTool()])
    return await ran(sdk, server, [turn(web_search("Lisbon weather"), cited)], agent, "Weather?")


@conforms
async def test_a_web_search_tool_has_its_options(sdk, server):
    tool = sdk.WebSearchTool(
        user_location={"type": "approximate", "city": "Lisbon"}, search_context_size="low"
    )
    return await ran(sdk, server, ["Done."], server.agent(sdk, tools=[tool]), "Weather?")


@conforms
async def test_code_of_the_code_interpreter_streams(sdk, server):
    tool = sdk.CodeInterpreterTool(
        tool_config={"type": "code_interpreter", "container": {"type": "auto"}}
    )
    turns = [turn(run_code("print(6 * 7)", logs="42\n"), "42.")]
    return await ran(sdk, server, turns, server.agent(sdk, tools=[tool]), "6 * 7?")


@conforms
async def test_a_file_search_passes_through(sdk, server):
    tool = sdk.FileSearchTool(
        vector_store_ids=["vs_1"], max_num_results=3, include_search_results=True
    )
    found = [{"file_id": "f", "filename": "a.md", "score": 0.5, "text": "tide"}]
    turns = [turn(search_files("tide", results=found), "Found.")]
    return await ran(sdk, server, turns, server.agent(sdk, tools=[tool]), "Search")


@conforms
async def test_an_image_arrives_in_parts_and_whole(sdk, server):
    tool = sdk.ImageGenerationTool(tool_config={"type": "image_generation", "partial_images": 1})
    turns = [turn(make_image("QUJD", prompt="a cat", partial=["QQ=="]), "There.")]
    return await ran(sdk, server, turns, server.agent(sdk, tools=[tool]), "Draw a cat")


@conforms
async def test_a_hosted_mcp_server_lists_and_calls_its_tools(sdk, server):
    tool = sdk.HostedMCPTool(
        tool_config={
            "type": "mcp",
            "server_label": "wiki",
            "server_url": "https://example.org/mcp",
            "require_approval": "never",
        }
    )
    turns = [
        turn(mcp_tools("wiki", ["ask"]), mcp_call("wiki", "ask", output="42", q="life"), "42."),
    ]
    return await ran(sdk, server, turns, server.agent(sdk, tools=[tool]), "Ask the wiki")


@conforms
async def test_a_hosted_mcp_call_that_fails_passes_through(sdk, server):
    tool = sdk.HostedMCPTool(
        tool_config={"type": "mcp", "server_label": "wiki", "server_url": "https://example.org"}
    )
    turns = [turn(mcp_call("wiki", "ask", error="no such page"), "It failed.")]
    return await ran(sdk, server, turns, server.agent(sdk, tools=[tool]), "Ask")


@conforms
async def test_a_hosted_mcp_approval_is_asked_of_the_function(sdk, server):
    asked = []

    def approve(request):
        asked.append([request.data.name, request.data.arguments, request.data.server_label])
        return {"approve": False, "reason": "not today"}

    tool = sdk.HostedMCPTool(
        tool_config={"type": "mcp", "server_label": "wiki", "server_url": "https://example.org"},
        on_approval_request=approve,
    )
    turns = [mcp_approval("wiki", "erase", page="Main"), "Not erased."]
    return [await ran(sdk, server, turns, server.agent(sdk, tools=[tool]), "Erase"), asked]


@conforms
async def test_a_hosted_mcp_approval_may_be_given_asynchronously(sdk, server):
    async def approve(request):
        await asyncio.sleep(0)
        return {"approve": True}

    tool = sdk.HostedMCPTool(
        tool_config={"type": "mcp", "server_label": "wiki", "server_url": "https://example.org"},
        on_approval_request=approve,
    )
    turns = [mcp_approval("wiki", "read"), turn(mcp_call("wiki", "read", output="x"), "Read.")]
    return await ran(sdk, server, turns, server.agent(sdk, tools=[tool]), "Read")


@conforms
async def test_a_tool_search_passes_through(sdk, server):
    @sdk.function_tool(defer_loading=True)
    def lookup(key: str) -> str:
        """Look a customer up."""
        return key

    turns = [
        turn(search_tools("lookup"), call("lookup", key="7").with_fields(namespace="lookup")),
        "Found.",
    ]
    agent = server.agent(sdk, tools=[lookup, sdk.ToolSearchTool()])
    return await ran(sdk, server, turns, agent, "Customer 7?")


@conforms
async def test_a_compaction_item_passes_through(sdk, server):
    turns = [turn(item({"type": "compaction", "encrypted_content": "x"}, prefix="cmp"), "Hello.")]
    return await ran(sdk, server, turns, server.agent(sdk), "Hi")


@conforms
async def test_two_messages_in_one_answer_are_two_items(sdk, server):
    return await ran(sdk, server, [turn("First.", "Second.")], server.agent(sdk), "Hi")


@conforms(apis=BOTH)
async def test_a_refusal_streams_and_is_the_message(sdk, server):
    return await ran(sdk, server, [refuse("I cannot.")], server.agent(sdk), "Do evil")


@conforms
async def test_an_answer_cut_at_the_limit_of_tokens(sdk, server):
    return await ran(sdk, server, [turn("Once upon a", incomplete())], server.agent(sdk), "Tell")


@differs(
    "a cut Chat answer says why",
    api=CHAT,
    theirs=["Once upon a", None, "Once upon a"],
    ours=["Once upon a", {"reason": "max_output_tokens"}, "Once upon a"],
)
async def test_a_chat_answer_cut_at_the_limit_of_tokens(sdk, server):
    shown = await ran(sdk, server, [turn("Once upon a", incomplete())], server.agent(sdk), "Tell")
    (done,) = [event[2] for event in shown["streamed"]["events"] if "completed" in event[1]]
    return [
        shown["streamed"]["final_output"],
        done["response"].get("incomplete_details"),
        shown["whole"]["final_output"],
    ]


@conforms
async def test_an_event_of_an_unknown_type_is_passed_on(sdk, server):
    def sse(*events):
        return "".join(f"data: {event}\n\n" for event in events)

    head = '{"id":"resp_1","object":"response","created_at":1,"model":"m","output":[%s]}'
    message = (
        '{"id":"m","type":"message","role":"assistant","status":"completed",'
        '"content":[{"type":"output_text","text":"x","annotations":[]}]}'
    )
    data = sse(
        '{"type":"response.created","sequence_number":0,"response":' + head % "" + "}",
        '{"type":"keepalive","sequence_number":1}',
        '{"type":"response.brand_new","sequence_number":2,"shiny":true}',
        '{"type":"response.output_item.done","sequence_number":3,"output_index":0,"item":'
        + message
        + "}",
        '{"type":"response.completed","sequence_number":4,"response":' + head % message + "}",
    )
    server.play([raw(data)])
    return await streamed(sdk, server.agent(sdk), "Hi")


@conforms
async def test_current_agent_and_turn_follow_the_events(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    booking = server.agent(sdk, "Booking")
    triage = server.agent(sdk, "Triage", tools=[look], handoffs=[booking])
    server.play([call("look"), hand_off("Booking"), "Booked."])
    result = sdk.Runner.run_streamed(triage, "Book")
    seen = [[result.is_complete, result.current_turn, result.current_agent.name]]
    async for event in result.stream_events():
        if event.type == "run_item_stream_event":
            seen.append([event.name, result.is_complete])
    return [seen, result.is_complete, result.current_turn, result.current_agent.name]


@conforms
async def test_events_wait_until_they_are_read(sdk, server):
    server.play(["Hello there."])
    result = sdk.Runner.run_streamed(server.agent(sdk), "Hi")
    while not result.is_complete:
        await asyncio.sleep(0.005)
    return await drained(result)


# Ours says so, in a warning.
@pytest.mark.filterwarnings("ignore:This run has ended:UserWarning")
@conforms
async def test_a_second_reading_of_the_events_is_empty(sdk, server):
    server.play(["Hello."])
    result = sdk.Runner.run_streamed(server.agent(sdk), "Hi")
    first = [event.type async for event in result.stream_events()]
    second = [event.type async for event in result.stream_events()]
    return [first, second, outcome(result)]


@conforms
async def test_a_cancelled_run_ends_its_events_and_keeps_what_arrived(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    server.play([call("look"), "Seen."])
    result = sdk.Runner.run_streamed(server.agent(sdk, tools=[look]), "Look")
    names = []
    async for event in result.stream_events():
        if event.type == "run_item_stream_event":
            names.append(event.name)
            if event.name == "tool_output":
                result.cancel()
    return [names, result.is_complete, result.final_output, len(server.requests)]


@conforms
async def test_a_run_cancelled_after_the_turn_finishes_that_turn(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    server.play([turn("Let me look.", call("look")), "Seen."])
    result = sdk.Runner.run_streamed(server.agent(sdk, tools=[look]), "Look")
    names = []
    async for event in result.stream_events():
        if event.type == "run_item_stream_event":
            names.append(event.name)
            result.cancel(mode="after_turn")
    return [names, outcome(result), result.is_complete, result.current_turn]


@differs("break stops the run", theirs=["tool ran"], ours=[])
async def test_leaving_the_loop_stops_the_run(sdk, server):
    ran_tools = []

    @sdk.function_tool
    async def look() -> str:
        """Look."""
        ran_tools.append("tool ran")
        return "seen"

    server.play([turn("Let me look around for a moment. " * 20, call("look"), pace=100), "Seen."])
    result = sdk.Runner.run_streamed(server.agent(sdk, tools=[look]), "Look")
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type.endswith("output_text.delta"):
            break
    async with asyncio.timeout(20):
        while server.calls[0].disconnected is None and not ran_tools:
            await asyncio.sleep(0.005)
    return ran_tools
