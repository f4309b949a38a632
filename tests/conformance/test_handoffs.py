"""Handoffs: what the model is offered, what happens, and what the next agent sees."""

from importlib import import_module

import pydantic

from agentstream.testing import call, hand_off, turn, web_search

from .harness import BOTH, conforms, differs, hooks, ran, run, streamed


class Reason(pydantic.BaseModel):
    why: str
    urgent: bool = False


@conforms(apis=BOTH)
async def test_an_agent_hands_off_to_another(sdk, server):
    booking = server.agent(sdk, "Booking agent", handoff_description="Books tables.")
    triage = server.agent(sdk, "Triage", instructions="Route.", handoffs=[booking])
    return await ran(sdk, server, [hand_off("Booking agent"), "Booked."], triage, "Book")


@conforms
async def test_a_chain_of_handoffs_goes_on_and_back(sdk, server):
    first, second = server.agent(sdk, "First"), server.agent(sdk, "Second")
    first.handoffs, second.handoffs = [second], [first]
    turns = [turn("On it.", hand_off("Second")), hand_off("First"), hand_off("Second"), "Done."]
    return await ran(sdk, server, turns, first, "Go")


@conforms
async def test_a_handoff_has_overrides(sdk, server):
    booking = server.agent(sdk, "Booking")
    offered = sdk.handoff(
        booking, tool_name_override="book_it", tool_description_override="Book it now."
    )
    triage = server.agent(sdk, "Triage", handoffs=[offered])
    return await ran(sdk, server, [call("book_it"), "Booked."], triage, "Book")


@conforms
async def test_a_handoff_runs_a_callback_with_its_input(sdk, server):
    seen = []

    async def taken(context, reason):
        seen.append([context.context, reason.why, reason.urgent])

    booking = server.agent(sdk, "Booking")
    offered = sdk.handoff(booking, on_handoff=taken, input_type=Reason)
    triage = server.agent(sdk, "Triage", handoffs=[offered])
    turns = [hand_off("Booking", why="hungry", urgent=True), "Booked."]
    return [await ran(sdk, server, turns, triage, "Book", context="c"), seen]


@conforms
async def test_a_handoff_runs_a_callback_without_input(sdk, server):
    seen = []
    booking = server.agent(sdk, "Booking")
    offered = sdk.handoff(booking, on_handoff=lambda context: seen.append(context.context))
    triage = server.agent(sdk, "Triage", handoffs=[offered])
    return [await ran(sdk, server, [hand_off("Booking"), "Ok."], triage, "Book", context=1), seen]


@conforms
async def test_input_of_a_handoff_that_does_not_fit_ends_the_run(sdk, server):
    booking = server.agent(sdk, "Booking")
    offered = sdk.handoff(booking, on_handoff=lambda context, reason: None, input_type=Reason)
    triage = server.agent(sdk, "Triage", handoffs=[offered])
    return await ran(sdk, server, [hand_off("Booking", urgent="perhaps")], triage, "Book")


async def filtered(sdk, server):
    filters = import_module(f"{sdk.__name__}.extensions.handoff_filters")

    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    booking = server.agent(sdk, "Booking")
    offered = sdk.handoff(booking, input_filter=filters.remove_all_tools)
    triage = server.agent(sdk, "Triage", tools=[look], handoffs=[offered])
    return await ran(sdk, server, [call("look"), hand_off("Booking"), "Ok."], triage, "Book")


@conforms
async def test_an_input_filter_decides_what_the_next_agent_sees(sdk, server):
    shown = await filtered(sdk, server)
    return [one["final_output"] for one in shown.values()]


@differs(
    "what a filter hides is still told",
    theirs=[["tool_call_item", "tool_call_output_item", "message_output_item"], False],
    ours=[
        [
            "tool_call_item",
            "tool_call_output_item",
            "handoff_call_item",
            "handoff_output_item",
            "message_output_item",
        ],
        True,
    ],
)
async def test_what_an_input_filter_hides_from_the_next_agent(sdk, server):
    shown = (await filtered(sdk, server))["streamed"]
    told = [event[1] for event in shown["events"]]
    return [[item["type"] for item in shown["new_items"]], "handoff_occured" in told]


@conforms
async def test_an_input_filter_of_ones_own_may_cut_the_history(sdk, server):
    seen = []

    def keep_last(data):
        seen.append(
            [
                data.input_history
                if isinstance(data.input_history, str)
                else len(data.input_history),
                [item.type for item in data.pre_handoff_items],
                [item.type for item in data.new_items],
            ]
        )
        return data.clone(input_history="A user wants a table.", pre_handoff_items=())

    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    booking = server.agent(sdk, "Booking")
    offered = sdk.handoff(booking, input_filter=keep_last)
    triage = server.agent(sdk, "Triage", tools=[look], handoffs=[offered])
    return [
        await ran(sdk, server, [call("look"), hand_off("Booking"), "Ok."], triage, "Book"),
        seen,
    ]


@conforms
async def test_the_filter_of_the_run_serves_handoffs_without_one(sdk, server):
    def only_news(data):
        return data.clone(input_history=())

    booking = server.agent(sdk, "Booking")
    triage = server.agent(sdk, "Triage", handoffs=[booking])
    config = sdk.RunConfig(handoff_input_filter=only_news)
    turns = [turn("Moment.", hand_off("Booking")), "Ok."]
    return await ran(sdk, server, turns, triage, "Book", run_config=config)


@conforms(apis=BOTH)
async def test_of_several_handoffs_in_a_turn_the_first_is_taken(sdk, server):
    agents = [server.agent(sdk, "B"), server.agent(sdk, "C")]
    first = server.agent(sdk, "A", handoffs=agents)
    return await ran(sdk, server, [turn(hand_off("B"), hand_off("C")), "From B."], first, "Go")


@conforms(apis=BOTH)
async def test_tools_beside_a_handoff_run_before_it(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    booking = server.agent(sdk, "Booking")
    triage = server.agent(sdk, "Triage", tools=[look], handoffs=[booking])
    turns = [turn(hand_off("Booking"), call("look")), "Booked."]
    return await ran(sdk, server, turns, triage, "Book")


@conforms
async def test_a_handoff_may_be_hidden(sdk, server):
    booking, refunds = server.agent(sdk, "Booking"), server.agent(sdk, "Refunds")
    triage = server.agent(
        sdk,
        "Triage",
        handoffs=[
            sdk.handoff(booking, is_enabled=False),
            sdk.handoff(refunds, is_enabled=lambda context, agent: context.context == "angry"),
        ],
    )
    return [
        await ran(sdk, server, ["Hello."], triage, "Hi", context="angry"),
        await ran(sdk, server, ["Hello."], triage, "Hi", context="calm"),
    ]


@conforms
async def test_hooks_hear_of_a_handoff(sdk, server):
    log = []
    booking = server.agent(sdk, "Booking", hooks=hooks(sdk, log, of_agent=True))
    triage = server.agent(sdk, "Triage", handoffs=[booking], hooks=hooks(sdk, log, of_agent=True))
    server.play([hand_off("Booking"), "Booked."])
    return [await run(sdk, triage, "Book", hooks=hooks(sdk, log)), log]


@conforms
async def test_the_description_of_a_handoff_names_the_agent(sdk, server):
    plain = sdk.handoff(sdk.Agent(name="Refund desk (EU)"))
    described = sdk.handoff(sdk.Agent(name="Café", handoff_description="Serves coffee."))
    return [
        [one.tool_name, one.tool_description, one.input_json_schema, one.agent_name]
        for one in (plain, described)
    ]


@conforms
async def test_a_run_can_go_on_with_the_last_agent(sdk, server):
    booking = server.agent(sdk, "Booking")
    triage = server.agent(sdk, "Triage", handoffs=[booking])
    server.play([hand_off("Booking"), "For how many?", "Booked."])
    first = await sdk.Runner.run(triage, "Book")
    again = [*first.to_input_list(), {"role": "user", "content": "Two"}]
    return await streamed(sdk, first.last_agent, again)


@conforms
async def test_nested_history_is_offered_to_the_next_agent_as_one_message(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    booking = server.agent(sdk, "Booking")
    triage = server.agent(sdk, "Triage", tools=[look], handoffs=[booking])
    config = sdk.RunConfig(nest_handoff_history=True)
    counted = {"input_tokens": 1, "output_tokens": 1}
    turns = [turn(one, usage=counted) for one in (call("look"), hand_off("Booking"), "Ok.")]
    shown = await ran(sdk, server, turns, triage, "Book", run_config=config)
    for request in server.requests:
        without_the_words_before_it(request.body["input"])
    for one in shown.values():
        without_the_words_before_it(one["input"])
        without_the_words_before_it(one["to_input_list"])
    return shown


def without_the_words_before_it(items):
    """Take the sentence that introduces a history out of it: each project has its own."""
    for item in items:
        text = item.get("content")
        if isinstance(text, str) and "<CONVERSATION HISTORY>" in text:
            item["content"] = text[text.index("<CONVERSATION HISTORY>") :]


@conforms
async def test_input_of_a_handoff_is_not_coerced(sdk, server):
    class Count(pydantic.BaseModel):
        number: int

    seen = []

    def taken(context, count):
        seen.append(count.number)

    booking = server.agent(sdk, "Booking")
    offered = sdk.handoff(booking, on_handoff=taken, input_type=Count)
    triage = server.agent(sdk, "Triage", handoffs=[offered])
    shown = []
    for number in (5, "5", 5.0, None):
        server.play([hand_off("Booking", number=number), "Booked."])
        shown.append(await run(sdk, triage, "Book"))
    return [shown, seen]


def nested_requests(server):
    """What the models were sent, without each project's own words before a history."""
    for request in server.requests:
        without_the_words_before_it(request.body["input"])
    return [request.body["input"] for request in server.requests]


HISTORIES = {
    "text": "Book",
    "names": [
        {"role": "user", "name": "Ada", "content": "Book a table"},
        {"role": "assistant", "content": "For how many?\nAnd when?"},
        {"role": "user", "name": "Bob", "content": "Two: at noon (12.00)"},
        {"role": "developer", "content": ""},
        {"role": "user", "content": [{"type": "input_text", "text": "Soon"}]},
    ],
}


@conforms
async def test_the_histories_of_several_handoffs_are_one_flat_list_with_names(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen\nit"

    third = server.agent(sdk, "Third")
    second = server.agent(sdk, "Second", tools=[look], handoffs=[third])
    first = server.agent(sdk, "First", tools=[look, sdk.WebSearchTool()], handoffs=[second])
    config = sdk.RunConfig(nest_handoff_history=True)
    counted = {"input_tokens": 1, "output_tokens": 1}
    answers = [
        [web_search("tables"), call("look")],
        ["On it.", hand_off("Second")],
        [call("look")],
        [hand_off("Third")],
        ["Booked."],
    ]
    shown = []
    for history in HISTORIES.values():
        server.play([turn(*parts, usage=counted) for parts in answers])
        result = await sdk.Runner.run(first, history, run_config=config)
        shown.append([result.final_output, [item.type for item in result.new_items]])
    return [shown, nested_requests(server)]


@conforms
async def test_a_mapper_of_ones_own_is_given_all_items(sdk, server):
    seen = []

    def mapper(items):
        seen.append([item.get("role") or item.get("type") for item in items])
        return [{"role": "user", "content": f"{len(items)} items"}]

    third = server.agent(sdk, "Third")
    second = server.agent(sdk, "Second", handoffs=[third])
    first = server.agent(sdk, "First", handoffs=[sdk.handoff(second, nest_handoff_history=True)])
    config = sdk.RunConfig(nest_handoff_history=True, handoff_history_mapper=mapper)
    server.play([turn("On it.", hand_off("Second")), hand_off("Third"), "Booked."])
    return [await run(sdk, first, "Book", run_config=config), seen]


@conforms
async def test_the_markers_of_a_history_may_be_ones_own(sdk, server):
    sdk.set_conversation_history_wrappers(start="<CONVERSATION HISTORY> [", end="]")
    try:
        second = server.agent(sdk, "Second", handoffs=[server.agent(sdk, "Third")])
        first = server.agent(sdk, "First", handoffs=[second])
        server.play([hand_off("Second"), hand_off("Third"), "Booked."])
        config = sdk.RunConfig(nest_handoff_history=True)
        result = await sdk.Runner.run(first, "Book", run_config=config)
        shown = sdk.get_conversation_history_wrappers()
    finally:
        sdk.reset_conversation_history_wrappers()
    nested_requests(server)
    return [result.final_output, shown, sdk.get_conversation_history_wrappers()]


@conforms
async def test_a_history_that_the_server_keeps_is_not_nested(sdk, server):
    shown = []
    for kept in (
        {"conversation_id": "conv_1"},
        {"previous_response_id": "resp_0"},
        {"auto_previous_response_id": True},
    ):
        second = server.agent(sdk, "Second")
        first = server.agent(sdk, "First", handoffs=[second])
        config = sdk.RunConfig(nest_handoff_history=True)
        turns = [hand_off("Second"), "Booked."]
        shown.append(await ran(sdk, server, turns, first, "Book", run_config=config, **kept))
        filtered = sdk.RunConfig(handoff_input_filter=lambda data: data)
        server.play(turns)
        shown.append((await run(sdk, first, "Book", run_config=filtered, **kept))["error"]["type"])
    return shown
