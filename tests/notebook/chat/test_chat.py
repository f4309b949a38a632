"""A conversation from code: its turns, its session, its errors, and what is kept of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from agentstream import Agent, SQLiteSession, UserError, chat, function_tool, handoff, recording
from agentstream._approvals import approval_id
from agentstream.notebook.chat.history import past_turns
from agentstream.notebook.chat.snapshot import LONGEST_QUESTION, PAST_LIMIT, conversation
from agentstream.testing import Pace, ScriptedModel, call, fail, hand_off, turn
from tests.notebook.hostile import OWN_PAYLOADS


def tutor(*script: Any, **options: Any) -> Agent[Any]:
    pace = options.pop("pace", None)
    return Agent(name="Tutor", model=ScriptedModel(list(script), pace=pace), **options)


def echo(**options: Any) -> Agent[Any]:
    return tutor(**options).clone(
        model=ScriptedModel(lambda request: f"**You** said: {request.user_text}")
    )


@function_tool(needs_approval=True)
def delete_file(name: str) -> str:
    "Delete a file."
    return f"{name} is gone"


def cleaner(*after: Any) -> Agent[Any]:
    return tutor(call("delete_file", name="old.txt"), *after, tools=[delete_file])


async def under_way(c: Any) -> asyncio.Task[Any]:
    """A turn that has been answered in part."""
    talking = asyncio.create_task(c.send("Talk"))
    async with asyncio.timeout(20):
        while not (c.turns and c.turns[0].trace.parts and c.turns[0].trace.parts[0].text):
            await asyncio.sleep(0.01)
    return talking


async def kinds(session: Any) -> list[str]:
    """What a session holds, in words."""
    items = await session.get_items()
    return [item.get("type") if "role" not in item else item["role"] for item in items]


async def test_a_conversation_that_is_awaited_says_what_to_write() -> None:
    with pytest.raises(UserError, match=r"await c\.send\('Hello'\)"):
        await chat(echo())


async def test_each_message_is_a_turn_and_the_model_sees_the_conversation() -> None:
    agent = tutor("Four.", "Because.")
    c = chat(agent)
    first = await c.send("What is 2 + 2?")
    await c.send("Why?")
    assert first.final_output == "Four."
    assert [(one.message, one.result.final_output) for one in c.turns] == [
        ("What is 2 + 2?", "Four."),
        ("Why?", "Because."),
    ]
    assert isinstance(agent.model, ScriptedModel)
    said = [item["content"] for item in agent.model.requests[1].input if item["role"] == "user"]
    assert said == ["What is 2 + 2?", "Why?"]
    assert (c.state, repr(c)) == ("ready", "chat('Tutor'): 2 turn(s), ready")


async def test_it_is_text_and_markdown_without_a_page() -> None:
    c = chat(echo())
    await c.send("Hello\n\nyou")
    assert str(c) == "> Hello\n>\n> you\n\nYou said: Hello\n\nyou\n"
    assert c._repr_markdown_() == (
        "**You:**\n\nHello\n\nyou\n\n**Tutor:**\n\n**You** said: Hello\n\nyou\n"
    )


async def test_in_a_terminal_it_is_written_as_it_goes_on(capsys: Any) -> None:
    c = chat(cleaner("Done."))
    await c.send("Tidy up")
    await c.approve()
    written = capsys.readouterr().out
    assert written.count("[waiting for approval]") == 1
    assert written.splitlines() == [
        "> Tidy up",
        "Tutor",
        '→ delete_file {"name":"old.txt"}',
        "[waiting for approval]",
        "← old.txt is gone",
        "Done.",
    ]


async def test_after_a_handoff_it_goes_on_with_the_new_agent() -> None:
    booking = Agent(name="Booking", model=ScriptedModel(["One table?", "Booked."]))
    guide = tutor(hand_off("Booking"), handoffs=[handoff(booking)])
    c = chat(guide)
    await c.send("A table, please")
    assert c.agent is booking
    assert (await c.send("Yes")).final_output == "Booked."


async def test_a_turn_that_fails_raises_its_error_and_the_conversation_goes_on() -> None:
    c = chat(tutor(turn("So far ", fail("The model caught fire.")), "Here I am again."))
    with pytest.raises(Exception, match="caught fire") as failure:
        await c.send("Go")
    assert c.turns[0].error is failure.value
    assert c.state == "ready"
    assert (await c.send("Go on")).final_output == "Here I am again."
    assert "[Failed: ModelBehaviorError" in str(c)


async def test_one_message_at_a_time() -> None:
    c = chat(tutor("word " * 500, "Next.", pace=Pace(200)))
    talking = await under_way(c)
    assert c.state == "running"
    with pytest.raises(UserError, match=r"chat\.stop\(\)"):
        await c.send("And now?")
    c.stop()
    result = await talking
    assert result.trace.status == "cancelled"
    assert result.trace.parts[0].text.startswith("word")
    assert (await c.send("And now?")).final_output == "Next."


async def test_a_cancelled_send_stops_the_turn() -> None:
    c = chat(tutor("word " * 500, pace=Pace(200)))
    talking = await under_way(c)
    talking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await talking
    assert c.turns[0].trace.status == "cancelled"
    assert c.state == "ready"


async def test_a_call_that_waits_is_approved_from_code() -> None:
    c = chat(cleaner("All tidy."))
    result = await c.send("Tidy up")
    assert [item.name for item in result.interruptions] == ["delete_file"]
    assert c.state == "waiting"
    with pytest.raises(UserError, match=r"chat\.approve\(\)"):
        await c.send("Well?")
    result = await c.approve()
    assert result.final_output == "All tidy."
    assert "old.txt is gone" in str(c)
    with pytest.raises(UserError, match="No call waits"):
        await c.reject()


async def test_of_two_calls_that_wait_one_is_approved_and_the_other_rejected() -> None:
    calls = turn(call("delete_file", name="a"), call("delete_file", name="b"))
    c = chat(tutor(calls, "Half of it.", tools=[delete_file]))
    waiting = [item.call_id for item in (await c.send("Both")).interruptions]
    with pytest.raises(UserError, match="call_none"):
        await c.approve("call_none")
    await c.approve(waiting[0])
    assert c.state == "waiting"
    result = await c.reject(waiting[1])
    assert result.final_output == "Half of it."
    assert [part.status for part in result.trace.parts[:2]] == ["completed", "rejected"]


async def test_a_rejection_from_code_tells_the_model_why() -> None:
    agent = cleaner("I left it.")
    c = chat(agent)
    await c.send("Tidy up")
    await c.reject(rejection_message="Keep the old one.")
    assert agent.model.requests[-1].input[-1]["output"] == "Keep the old one."


@pytest.mark.parametrize("how", ["approve", "reject"])
async def test_a_decision_from_code_can_hold_for_later_calls_of_the_tool(how: str) -> None:
    calls = [call("delete_file", name="a"), call("delete_file", name="b")]
    c = chat(tutor(*calls, "Done.", tools=[delete_file]))
    await c.send("Both")
    result = await getattr(c, how)(**{f"always_{how}": True})
    assert result.final_output == "Done."
    refused = ["Tool execution was not approved."] * 2
    outputs = {"approve": ["a is gone", "b is gone"], "reject": refused}
    assert [part.output for part in result.trace.parts[:2]] == outputs[how]


async def test_of_two_calls_with_one_id_code_has_to_say_which_is_meant() -> None:
    inner = tutor(call("delete_file", name="a"), "Done.", tools=[delete_file])
    calls = turn(call("delete_file", name="b"), call("ask", input="x"))
    c = chat(tutor(calls, "Half of it.", tools=[delete_file, inner.as_tool("ask", "")]))
    first, second = (await c.send("Both")).interruptions
    first.raw_item.call_id = second.raw_item.call_id = "c"
    with pytest.raises(UserError, match="2 calls wait with the id 'c'"):
        await c.approve("c")
    await c.reject(first)
    with pytest.raises(UserError, match="No call 'c' waits"):
        await c.approve(first)
    result = await c.approve("c")
    assert result.final_output == "Half of it."


@pytest.mark.parametrize("how", ["stop", "close"])
async def test_stopping_while_a_call_waits_leaves_no_call_open_in_the_session(how: str) -> None:
    c = chat(cleaner("Not asked for."))
    await c.send("Tidy up")
    getattr(c, how)()
    for _ in range(100):
        if c.turns[0].is_over:
            break
        await asyncio.sleep(0.01)
    assert await kinds(c.session) == ["user", "function_call", "function_call_output"]
    assert "rejected" in str(c)
    assert "Not asked for." not in str(c)


async def test_a_closed_conversation_takes_no_message() -> None:
    c = chat(tutor("Never."))
    c.close()
    c.close()
    assert c.state == "closed"
    with pytest.raises(UserError, match="run its cell again"):
        await c.send("Hello")


@pytest.mark.parametrize("text", ["", " \n", None, [], ("Hello",)])
async def test_a_message_is_a_text(text: Any) -> None:
    c = chat(tutor("Never."))
    with pytest.raises(UserError, match="A message is a text"):
        await c.send(text)
    assert c.turns == []


def test_what_is_no_agent_or_no_session_is_told_at_once() -> None:
    with pytest.raises(UserError, match=r"chat\(Agent\(name='Tutor'\)\)"):
        chat("Tutor")
    with pytest.raises(UserError, match="SQLiteSession"):
        chat(tutor(), session="ada")
    with pytest.raises(UserError, match="for notebooks"):
        _ = chat(tutor()).widget


async def test_options_are_those_of_each_run() -> None:
    seen = []

    @function_tool
    def who(context: Any) -> str:
        "Say who asks."
        return "?"

    def instructions(context: Any, agent: Any) -> str:
        seen.append(context.context)
        return "Help."

    c = chat(tutor("A", "B", instructions=instructions), context={"user": "Ada"}, max_turns=1)
    result = await c.send("1")
    await c.send("2")
    assert seen == [{"user": "Ada"}, {"user": "Ada"}]
    assert result.max_turns == 1


async def test_a_session_on_the_disk_is_gone_on_with_and_its_past_is_shown(
    tmp_path: Path, capsys: Any
) -> None:
    path = tmp_path / "chats.db"
    session = SQLiteSession("ada", path)
    await chat(cleaner("Done."), session=session).send("Tidy up")
    await chat(tutor("Hello **Ada**."), session=session).send("I am Ada")
    capsys.readouterr()
    again = chat(tutor("Still here."), session=SQLiteSession("ada", path))
    await again.send("And now?")
    assert [one.message for one in again.past] == ["Tidy up", "I am Ada"]
    written = capsys.readouterr().out
    assert written.index("> I am Ada") < written.index("Hello Ada.") < written.index("> And now?")
    assert str(again).count("> ") == 3
    bundle = conversation(again.turns, past=again.past, name="Tutor", id="x")
    assert "<strong>Ada</strong>" in bundle["text/html"]


def test_only_the_last_turns_of_a_long_past_are_shown() -> None:
    items: list[Any] = []
    for number in range(PAST_LIMIT + 5):
        items.append({"role": "user", "content": [{"type": "input_text", "text": f"q{number}"}]})
        items.append({"role": "assistant", "content": f"a{number}"})
    past = past_turns(items, "Tutor")
    html = conversation([], past=past, name="Tutor", id="x")["text/html"]
    assert "5 earlier turns are in the session." in html
    assert ">q4<" not in html
    assert ">q5<" in html
    assert html.count('class="as-exchange"') == PAST_LIMIT


def test_a_past_of_any_shape_is_read() -> None:
    items: list[Any] = [
        {"type": "message", "role": "assistant", "content": "Welcome."},
        {"role": "system", "content": "Be kind."},
        None,
        {"role": "user", "content": [{"type": "input_image", "image_url": "x"}, 7]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "a garden"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "message", "role": "assistant", "content": None},
    ]
    welcome, picture = past_turns(items, "Tutor")
    assert (welcome.message, welcome.trace.parts[0].text) == ("", "Welcome.")
    assert picture.message == "[input_image]"
    assert [part.kind for part in picture.trace.parts][:3] == ["reasoning", "tool", "web_search"]
    assert picture.trace.parts[1].output == "a garden"
    assert conversation([], past=[welcome, picture], name="Tutor", id="x")


async def test_a_recording_answers_it_without_a_model(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    agent = tutor("Four.", "Because.")
    with recording(path):
        c = chat(agent)
        await c.send("What is 2 + 2?")
        await c.send("Why?")
    agent.model = "scripted"
    with recording(path, speed=None):
        again = chat(agent)
        await again.send("What is 2 + 2?")
        await again.send("Why?")
    assert str(again) == str(c)


@pytest.mark.parametrize("payload", OWN_PAYLOADS, ids=range(len(OWN_PAYLOADS)))
async def test_what_is_asked_is_text_however_hostile(payload: str) -> None:
    if not payload.strip():
        pytest.skip("nothing is asked")
    c = chat(tutor("No."))
    await c.send(payload)
    bundle = conversation(c.turns, name=payload, id="x")
    html = bundle["text/html"].replace("<style>", "", 1).lower()
    for sign in ("<script", "<img", "<iframe", "<svg", "<a ", "<style"):
        assert sign not in html
    rendered = MarkdownIt("commonmark", {"html": True}).render(bundle["text/markdown"])
    assert "<script" not in rendered.lower()
    assert "\x1b" not in bundle["text/plain"]


async def test_a_very_long_message_is_shown_in_part_and_sent_whole() -> None:
    agent = tutor("Long.")
    c = chat(agent)
    await c.send("x" * (LONGEST_QUESTION + 10))
    assert "(10 more characters)" in conversation(c.turns, name="Tutor", id="x")["text/html"]
    assert isinstance(agent.model, ScriptedModel)
    assert len(agent.model.requests[0].user_text) == LONGEST_QUESTION + 10


def test_before_the_first_message_it_says_that_nothing_was_said() -> None:
    bundle = conversation([], name="Tutor", id="x")
    assert "nothing has been said yet" in bundle["text/plain"]
    assert "nothing has been said yet" in bundle["text/html"]


# -- what is done at the page --


class Page:
    """A page that notes what it is told."""

    def __init__(self) -> None:
        self.refused: list[tuple[str, str]] = []

    def refuse(self, text: str, why: str) -> None:
        self.refused.append((text, why))

    async def wait_for_frontend(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def at_a_page(agent: Agent[Any], **options: Any) -> tuple[Any, Page]:
    c: Any = chat(agent, **options)
    c._view = Page()
    return c, c._view


async def settled(c: Any, turns: int, state: str = "ready") -> None:
    async with asyncio.timeout(20):
        while len(c.turns) < turns or c.state != state:
            await asyncio.sleep(0.01)


async def test_the_page_asks_decides_and_stops() -> None:
    c, page = at_a_page(cleaner("Tidy.", call("delete_file", name="b"), "Left it.", "word " * 500))
    c.handle_message("say", "Tidy up")
    await settled(c, 1, "waiting")
    c.handle_message("approve", approval_id(c.turns[0].result.interruptions[0]))
    await settled(c, 1)
    assert c.turns[0].result.final_output == "Tidy."
    c.handle_message("say", "And b")
    await settled(c, 2, "waiting")
    c.handle_message("reject", approval_id(c.turns[1].result.interruptions[0]))
    await settled(c, 2)
    assert c.turns[1].result.final_output == "Left it."
    assert page.refused == []


async def test_the_page_decides_while_code_waits_for_the_turn() -> None:
    c, _ = at_a_page(cleaner("Tidy."))
    speaking = asyncio.create_task(c.send("Tidy up"))
    await settled(c, 1, "waiting")
    await asyncio.sleep(0.05)
    assert not speaking.done()
    c.handle_message("approve", approval_id(c.turns[0].result.interruptions[0]))
    assert (await speaking).final_output == "Tidy."


async def test_the_page_decides_before_the_code_knows_that_somebody_is_there() -> None:
    c, page = at_a_page(cleaner("Tidy."))

    async def somebody_presses() -> bool:
        c.handle_message("approve", approval_id(c.turns[0].result.interruptions[0]))
        return True

    page.wait_for_frontend = somebody_presses
    async with asyncio.timeout(20):
        assert (await c.send("Tidy up")).final_output == "Tidy."


async def test_code_decides_what_other_code_waits_for() -> None:
    c, _ = at_a_page(cleaner("Tidy."))
    speaking = asyncio.create_task(c.send("Tidy up"))
    await settled(c, 1, "waiting")
    await asyncio.sleep(0.05)
    async with asyncio.timeout(20):
        assert (await c.approve()).final_output == "Tidy."
        assert (await speaking).final_output == "Tidy."


async def test_a_send_that_is_cancelled_while_a_call_waits_leaves_no_call_open() -> None:
    c, _ = at_a_page(cleaner("Never."))
    speaking = asyncio.create_task(c.send("Tidy up"))
    await settled(c, 1, "waiting")
    speaking.cancel()
    await asyncio.wait([speaking])
    assert await kinds(c.session) == ["user", "function_call", "function_call_output"]
    assert c.state == "ready"


async def test_an_error_of_a_turn_from_the_page_is_in_the_turn_and_raised_nowhere() -> None:
    c, page = at_a_page(tutor(turn("So far ", fail("It caught fire.")), "Better."))
    c.handle_message("say", "Go")
    await settled(c, 1)
    assert "It caught fire." in str(c.turns[0].error)
    c.handle_message("say", "Again")
    await settled(c, 2)
    assert page.refused == []


async def test_a_message_that_cannot_be_taken_goes_back_to_the_page_with_the_reason() -> None:
    c, page = at_a_page(tutor("word " * 500, pace=Pace(200)))
    c.handle_message("say", "Talk")
    await settled(c, 1, "running")
    c.handle_message("say", "And now?")
    c.handle_message("approve", "call_none")
    async with asyncio.timeout(20):
        while not page.refused:
            await asyncio.sleep(0.01)
    ((text, why),) = page.refused
    assert text == "And now?"
    assert "still being answered" in why
    c.handle_message("stop", None)
    await settled(c, 1)
    assert c.turns[0].trace.status == "cancelled"


async def test_a_turn_from_the_page_is_under_the_recording_that_the_cell_was_under(
    tmp_path: Path,
) -> None:
    path = tmp_path / "talk.jsonl"
    with recording(path):
        c, _ = at_a_page(tutor("Four."))
    # Whoever hears the page does so in a context of its own, after the cell.
    c.handle_message("say", "What is 2 + 2?")
    await settled(c, 1)
    assert '"Four."' in path.read_text("utf-8")


async def test_a_session_that_cannot_be_read_is_told() -> None:
    class Lost(SQLiteSession):
        async def get_items(self, limit: int | None = None) -> Any:
            raise OSError("the disk is gone")

    c, page = at_a_page(tutor("Never."), session=Lost("ada"))
    with pytest.raises(OSError, match="the disk is gone"):
        await c.send("Hello")
    c.handle_message("say", "Hello")
    async with asyncio.timeout(20):
        while not page.refused:
            await asyncio.sleep(0.01)
    assert page.refused == [("Hello", "the disk is gone")]
    assert c.turns == []


# -- a view that fails --


@pytest.mark.parametrize("broken", ["conversation", "scene"])
async def test_a_view_that_fails_leaves_the_conversation_as_text(
    broken: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from agentstream.notebook import ipython
    from agentstream.notebook.chat import chat as module
    from agentstream.notebook.chat import widget
    from agentstream.notebook.front_end import FrontEnd

    def fail(*_: Any, **__: Any) -> Any:
        raise KeyError("an older renderer")

    shown: list[dict[str, Any]] = []
    monkeypatch.setattr(ipython, "publish", lambda data, *_, **__: shown.append(data))
    monkeypatch.setattr(module, "front_end", lambda: FrontEnd("widget"))
    c = chat(tutor("Four <script>it</script>\n\n.", "Because."))
    c._ipython_display_()
    if broken == "conversation":
        monkeypatch.setattr(widget, "conversation", fail)
    else:
        monkeypatch.setattr(widget.TraceRenderer, "update", fail)
    first = await c.send("What is 2 + 2?")
    second = await c.send("Why?")
    assert (first.final_output, second.final_output) == (
        "Four <script>it</script>\n\n.",
        "Because.",
    )
    for form in ("text/html", "text/plain"):
        saved = shown[-1][form]
        for said in ("What is 2 + 2?", "Four", "Why?", "Because."):
            assert said in saved
    assert "<script" not in shown[-1]["text/html"]
    assert "\n\n" not in shown[-1]["text/html"]
    assert len([one for one in caplog.records if "ChatView" in one.message]) == 1
