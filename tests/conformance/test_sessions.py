"""Sessions: what is remembered between runs."""

import tempfile
from pathlib import Path

from agentstream.testing import call, fail, hand_off, http_error, think, turn

from .harness import conforms, drained, items, ran, run, streamed


@conforms
async def test_a_session_remembers_the_conversation(sdk, server):
    session = sdk.SQLiteSession("lesson")
    agent = server.agent(sdk)
    server.play(["Hello Ada.", "You are Ada.", "Still Ada."])
    shown = [
        await run(sdk, agent, "I am Ada", session=session),
        await streamed(sdk, agent, "Who am I?", session=session),
        await run(sdk, agent, "And now?", session=session),
        await session.get_items(),
    ]
    session.close()
    return shown


@conforms
async def test_a_session_remembers_tools_reasoning_and_handoffs(sdk, server):
    @sdk.function_tool
    def look(place: str) -> str:
        """Look."""
        return f"seen {place}"

    session = sdk.SQLiteSession("lesson")
    second = server.agent(sdk, "Second")
    first = server.agent(sdk, "First", tools=[look], handoffs=[second])
    server.play(
        [
            turn(think("I look."), "Looking.", call("look", place="sea")),
            hand_off("Second"),
            "Seen.",
            "Again.",
        ]
    )
    shown = [await streamed(sdk, first, "Look", session=session), await session.get_items()]
    shown += [await run(sdk, first, "Again", session=session), await session.get_items()]
    session.close()
    return shown


@conforms
async def test_a_session_on_disk_outlives_its_object(sdk, server):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "memory.db"
        agent = server.agent(sdk)
        server.play(["Hello Ada.", "Ada."])
        session = sdk.SQLiteSession("s", path)
        await run(sdk, agent, "I am Ada", session=session)
        session.close()
        session = sdk.SQLiteSession("s", path)
        other = sdk.SQLiteSession("t", path)
        shown = [
            await run(sdk, agent, "Who am I?", session=session),
            await session.get_items(),
            await session.get_items(limit=2),
            await other.get_items(),
            await session.pop_item(),
            await session.get_items(limit=1),
        ]
        await session.clear_session()
        shown += [await session.get_items(), await session.pop_item()]
        session.close()
        other.close()
    return shown


@conforms
async def test_a_list_as_input_is_remembered_too(sdk, server):
    session = sdk.SQLiteSession("s")
    server.play(["Hello.", "Again."])
    agent = server.agent(sdk)
    shown = [
        await run(sdk, agent, [{"role": "user", "content": "Hi"}], session=session),
        await run(sdk, agent, [{"role": "user", "content": "Again"}], session=session),
        await session.get_items(),
    ]
    session.close()
    return shown


@conforms
async def test_a_callback_merges_history_and_input(sdk, server):
    def merge(history, new):
        return [*history[-1:], *new]

    config = sdk.RunConfig(session_input_callback=merge)
    session = sdk.SQLiteSession("s")
    agent = server.agent(sdk)
    server.play(["One.", "Two.", "Three."])
    for text in ("1?", "2?", "3?"):
        shown = await run(sdk, agent, text, session=session, run_config=config)
    shown = [shown, await session.get_items()]
    session.close()
    return shown


@conforms
async def test_the_settings_of_a_session_limit_the_history(sdk, server):
    session = sdk.SQLiteSession("s", session_settings=sdk.SessionSettings(limit=2))
    agent = server.agent(sdk)
    server.play(["One.", "Two.", "Three.", "Four."])
    for text in ("1?", "2?", "3?"):
        await run(sdk, agent, text, session=session)
    config = sdk.RunConfig(session_settings=sdk.SessionSettings(limit=1))
    shown = [await run(sdk, agent, "4?", session=session, run_config=config)]
    session.close()
    return shown


@conforms
async def test_a_failed_run_keeps_what_the_user_said(sdk, server):
    session = sdk.SQLiteSession("s")
    agent = server.agent(sdk)
    server.play([http_error(500), http_error(400), fail()])
    shown = []
    for text in ("1?", "2?"):
        shown += [await run(sdk, agent, text, session=session), await session.get_items()]
    session.close()
    return shown


@conforms
async def test_a_failed_streamed_run_keeps_what_the_user_said(sdk, server):
    session = sdk.SQLiteSession("s")
    server.play([http_error(500)])
    shown = [
        await streamed(sdk, server.agent(sdk), "1?", session=session),
        await session.get_items(),
    ]
    session.close()
    return shown


@conforms
async def test_a_run_out_of_turns_keeps_its_items_in_the_session(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    session = sdk.SQLiteSession("s")
    agent = server.agent(sdk, tools=[look])
    server.play([call("look")], loop=True)
    shown = [await run(sdk, agent, "Look", session=session, max_turns=2)]
    shown += [await session.get_items()]
    session.close()
    return shown


@conforms
async def test_a_session_of_ones_own_is_used(sdk, server):
    log = []

    class Notes(sdk.SessionABC):
        session_id = "notes"

        def __init__(self):
            self.kept = []

        async def get_items(self, limit=None):
            log.append(["get", limit])
            return list(self.kept)

        async def add_items(self, items):
            log.append(["add", items])
            self.kept += items

        async def pop_item(self):
            return self.kept.pop() if self.kept else None

        async def clear_session(self):
            self.kept.clear()

    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    agent = server.agent(sdk, tools=[look])
    server.play([call("look"), "Seen.", call("look").with_id("again"), "Seen again."])
    notes = Notes()
    whole = await run(sdk, agent, "Look", session=notes)
    return [whole, await streamed(sdk, agent, "Look", session=notes), log, notes.kept]


@conforms
async def test_a_session_that_cannot_be_read_ends_the_run(sdk, server):
    class Broken(sdk.SessionABC):
        session_id = "broken"

        async def get_items(self, limit=None):
            raise OSError("disk is gone")

        async def add_items(self, items):
            raise OSError("disk is full")

        async def pop_item(self):
            return None

        async def clear_session(self):
            return None

    return await ran(sdk, server, ["Hello."], server.agent(sdk), "Hi", session=Broken())


@conforms
async def test_conversations_of_the_provider_serve_as_a_session(sdk, server):
    session = sdk.OpenAIConversationsSession(openai_client=server.client())
    agent = server.agent(sdk)
    server.play(["Hello Ada.", "Ada."])
    shown = [
        await run(sdk, agent, "I am Ada", session=session),
        await run(sdk, agent, "Who am I?", session=session),
        await session.get_items(),
        await session.get_items(limit=1),
        await session.pop_item(),
        len(await session.get_items()),
    ]
    await session.clear_session()
    return shown


@conforms
async def test_a_session_and_a_conversation_id_exclude_each_other(sdk, server):
    server.play(["Hello."])
    session = sdk.SQLiteSession("s")
    shown = await run(sdk, server.agent(sdk), "Hi", session=session, conversation_id="conv_1")
    session.close()
    return shown


@conforms
async def test_two_sessions_in_memory_are_apart(sdk, server):
    one, two = sdk.SQLiteSession("a"), sdk.SQLiteSession("b")
    await one.add_items([{"role": "user", "content": "x"}])
    shown = [await one.get_items(), await two.get_items(), one.session_id]
    one.close()
    two.close()
    return shown


@conforms
async def test_items_of_a_session_come_newest_limited_and_oldest_first(sdk, server):
    session = sdk.SQLiteSession("a")
    await session.add_items([{"role": "user", "content": str(n)} for n in range(5)])
    await session.add_items([])
    shown = [await session.get_items(limit) for limit in (None, 2, 0, 9)]
    shown.append(await session.pop_item())
    session.close()
    return shown


@conforms
async def test_a_guardrail_tripwire_leaves_the_session_in_order(sdk, server):
    @sdk.input_guardrail(run_in_parallel=False)
    def guard(context, agent, input):
        return sdk.GuardrailFunctionOutput(output_info=None, tripwire_triggered=True)

    session = sdk.SQLiteSession("s")
    server.play(["Hello."])
    agent = server.agent(sdk, input_guardrails=[guard])
    result = sdk.Runner.run_streamed(agent, "Hi", session=session)
    shown = [await drained(result), await session.get_items()]
    session.close()
    return [*shown, items(result.new_items)]


@conforms
async def test_what_a_server_refuses_is_left_out_of_a_stored_history(sdk, server):
    """Who made an item, and the ids of reasoning where the run leaves them out."""
    session = sdk.SQLiteSession("s")
    made = {"type": "compaction", "encrypted_content": "x", "created_by": "someone"}
    await session.add_items([made])
    agent = server.agent(sdk)
    server.play([turn(think("Hm."), "One."), turn(think("Hm."), "Two."), "Three.", "Four."])
    config = sdk.RunConfig(reasoning_item_id_policy="omit")
    shown = [
        await run(sdk, agent, "1?", session=session),
        await streamed(sdk, agent, "2?", session=session, run_config=config),
        await run(sdk, agent, "3?", session=session),
        await run(sdk, agent, [made, {"role": "user", "content": "4?"}]),
        await session.get_items(),
    ]
    session.close()
    return shown


@conforms
async def test_a_run_that_goes_on_keeps_to_leaving_out_the_ids_of_reasoning(sdk, server):
    @sdk.function_tool(needs_approval=True)
    def look() -> str:
        """Look."""
        return "seen"

    agent = server.agent(sdk, tools=[look])
    server.play([turn(think("Hm."), call("look")), turn(think("So."), call("look")), "Done."])
    config = sdk.RunConfig(reasoning_item_id_policy="omit")
    result = await sdk.Runner.run(agent, "Go", run_config=config)
    for _ in range(2):
        state = await sdk.RunState.from_json(agent, result.to_state().to_json())
        state.approve(state.get_interruptions()[0])
        result = await sdk.Runner.run(agent, state)
    return result.final_output
