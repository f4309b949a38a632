"""The scripted model: turns in, the API's events out."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import openai
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent

from agentstream import Agent, ModelBehaviorError, Runner, UserError, function_tool, handoff
from agentstream.testing import (
    Pace,
    ScriptedModel,
    ScriptRequest,
    answer,
    call,
    cite,
    cut,
    fail,
    hand_off,
    http_error,
    incomplete,
    item,
    make_image,
    mcp_approval,
    mcp_call,
    mcp_tools,
    raw,
    refuse,
    reset,
    run_code,
    say,
    search_files,
    search_tools,
    stall,
    stream_error,
    think,
    turn,
    web_search,
)
from agentstream.testing.scripted.parts import tokens_of

STREAMS = Path(__file__).parents[4] / "shared" / "streams"
EVENT = pydantic.TypeAdapter(ResponseStreamEvent)

EVERYTHING = turn(
    think("**Plan**", "Then act."),
    think(text="step by step", encrypted="gAAA"),
    say("See the example.", annotations=[cite("https://example.org", "Example", end=3)]),
    web_search("tide", sources=["https://example.org"]),
    search_files("tide", results=[{"file_id": "f", "filename": "a", "score": 1.0, "text": "t"}]),
    run_code("print(1)", logs="1", images=["https://example.org/a.png"]),
    make_image("QUJD", prompt="a cat", partial=["QQ=="]),
    mcp_tools("wiki", ["ask", {"name": "read", "input_schema": {}}]),
    mcp_call("wiki", "ask", output="42", q="life"),
    mcp_call("wiki", "ask", error="gone"),
    mcp_approval("wiki", "erase", page="Main"),
    search_tools("crm", tools=[{"type": "function", "name": "lookup", "parameters": {}}]),
    item({"type": "compaction", "encrypted_content": "x"}, prefix="cmp"),
    refuse("I would rather not."),
    call("get_weather", city="Lisbon"),
    hand_off("Booking agent", why="hungry"),
)


async def events_of(model: ScriptedModel, text: str = "Hi") -> list[Any]:
    return [event async for event in model.ask(text)]


def shape(events: list[dict[str, Any]]) -> list[str]:
    """Types of the events, those in a row once, with the type of their item."""
    names: list[str] = []
    for event in events:
        name = event["type"] + (":" + event["item"]["type"] if "item" in event else "")
        if not names or names[-1] != name:
            names.append(name)
    return names


async def test_a_string_is_a_turn_that_says_it() -> None:
    events = await events_of(ScriptedModel(["It is sunny."]))
    assert [event.type.removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        *["output_text.delta"] * 4,
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert "".join(getattr(event, "delta", "") for event in events) == "It is sunny."
    assert events[-1].response.output_text == "It is sunny."
    assert [event.sequence_number for event in events] == list(range(len(events)))


async def test_each_event_is_valid_for_the_official_types() -> None:
    events = await events_of(ScriptedModel([EVERYTHING]))
    loose = {"web_search_call", "file_search_call"}  # the API, too, leaves fields out of these
    for event in events:
        if getattr(getattr(event, "item", None), "type", None) in loose:
            continue
        EVENT.validate_python(event.model_dump(exclude_unset=True, warnings=False))
    types = {output.type for output in events[-1].response.output}
    assert len(types) == 13


async def test_streams_have_the_shape_of_recorded_ones() -> None:
    if not STREAMS.is_dir():
        pytest.skip("the recorded streams are not here")

    def recorded(name: str, number: int) -> list[str]:
        sse = json.loads((STREAMS / name).read_text("utf-8"))["calls"][number]["sse"]
        lines = [line[6:] for line in sse.splitlines() if line.startswith("data: {")]
        return shape([json.loads(line) for line in lines])

    async def played(*parts: Any) -> list[str]:
        events = await events_of(ScriptedModel([turn(*parts)]))
        return shape([event.model_dump() for event in events])

    assert await played(call("a", x=1), call("b", x=2)) == recorded("chat-chat-callbacks.json", 0)
    assert await played("Red.") == recorded("chat-chat-callbacks.json", 1)
    name = "openai-responses-openai-responses-thinking-with-code-execution-tool-stream.json"
    code = [run_code("n = pow(123456, 123)") for _ in range(2)]
    one_delta = run_code("n")
    assert await played(think("**Plan**"), *code, one_delta, "It has 627 digits.") == recorded(
        name, 0
    )
    name = "openai-responses-openai-include-raw-annotations-streaming.json"
    cited = say("Sunny.", annotations=[cite("https://example.org", "Example")])
    assert await played(web_search("a"), web_search("b"), cited) == recorded(name, 0)
    assert await played(think(), "Red.") == recorded(
        "openai-responses-openai-responses-moderation-stream.json", 0
    )


async def test_the_same_script_gives_the_same_bytes() -> None:
    def bare(events: list[Any]) -> list[str]:
        return [event.model_dump_json(warnings=False) for event in events]

    one, two = [await events_of(ScriptedModel([EVERYTHING])) for _ in range(2)]
    assert bare(one) == bare(two)


async def test_ids_differ_from_request_to_request() -> None:
    model = ScriptedModel(call("look"), loop=True)
    ids = {(await events_of(model))[-1].response.output[0].call_id for _ in range(3)}
    assert len(ids) == 3


async def test_ids_can_be_given() -> None:
    model = ScriptedModel(
        [turn(say("x").with_id("msg_mine"), call("f").with_id("c1"), hand_off("B").with_id("c2"))]
    )
    output = (await events_of(model))[-1].response.output
    assert [output[0].id, output[1].call_id, output[2].call_id] == ["msg_mine", "c1", "c2"]


async def test_an_agent_runs_on_it_with_a_tool_and_a_handoff() -> None:
    @function_tool
    def get_weather(city: str) -> str:
        """Look the weather up."""
        return f"sunny in {city}"

    model = ScriptedModel(
        [
            turn(say("Let me look."), call("get_weather", city="Lisbon")),
            turn(hand_off("Booking")),
            "A table is booked.",
        ]
    )
    booking = Agent(name="Booking", model=model)
    offered = handoff(booking, tool_name_override="book_it")
    agent = Agent(name="Triage", model=model, tools=[get_weather], handoffs=[offered])
    result = Runner.run_streamed(agent, "Plan my day")
    names = [event.name async for event in result.stream_events() if hasattr(event, "name")]
    assert names == [
        "message_output_created",
        "tool_called",
        "tool_output",
        "handoff_requested",
        "handoff_occured",
        "message_output_created",
    ]
    assert result.final_output == "A table is booked."
    assert result.last_agent is booking
    assert model.requests[1].tool_outputs == ["sunny in Lisbon"]
    assert model.requests[0].tools == ("get_weather",)
    assert model.requests[0].handoffs == {"Booking": "book_it"}


async def test_the_whole_answer_is_that_of_the_stream() -> None:
    events = await events_of(ScriptedModel([EVERYTHING]))
    agent = Agent(name="A", model=ScriptedModel([turn("One.", "Two.")]))
    result = await Runner.run(agent, "Hi")
    assert result.final_output == "Two."
    usage = events[-1].response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    deltas = [event for event in events if event.type.endswith(".delta")]
    assert usage.output_tokens == len(deltas)
    reasoning = [event for event in deltas if "reasoning" in event.type]
    assert usage.output_tokens_details.reasoning_tokens == len(reasoning)


async def test_usage_can_be_given_or_left_out() -> None:
    given = turn("x", usage={"input_tokens": 7, "output_tokens": 3, "cached_tokens": 2})
    model = ScriptedModel([given, turn("x", usage=False)])
    usage = (await events_of(model))[-1].response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (7, 3, 10)
    assert usage.input_tokens_details.cached_tokens == 2
    assert (await events_of(model))[-1].response.usage is None


async def test_a_function_answers_what_was_asked() -> None:
    async def later(request: ScriptRequest) -> Any:
        await asyncio.sleep(0)
        return turn(f"Request {request.number}.")

    model = ScriptedModel([lambda request: f"You said: {request.user_text}", later])
    assert (await events_of(model, "Hello"))[-1].response.output_text == "You said: Hello"
    assert (await events_of(model))[-1].response.output_text == "Request 2."
    echo = ScriptedModel(lambda request: request.user_text)
    for text in ("one", "two", "three"):
        assert (await events_of(echo, text))[-1].response.output_text == text


async def test_structured_output_is_read_by_the_agent() -> None:
    class City(pydantic.BaseModel):
        name: str

    @dataclasses.dataclass
    class Point:
        x: int

    model = ScriptedModel([answer(City(name="Lisbon")), answer({"response": Point(1)})])
    result = await Runner.run(Agent(name="A", model=model, output_type=City), "Where?")
    assert result.final_output == City(name="Lisbon")


async def test_a_script_that_is_over_says_how_to_go_on() -> None:
    model = ScriptedModel(["Hello."])
    await events_of(model)
    with pytest.raises(UserError, match=r"1 turn\(s\) and this is request 2.*\"Again\".*loop=True"):
        await events_of(model, "Again")
    model.rewind()
    assert (await events_of(model))[-1].response.output_text == "Hello."


async def test_a_script_can_begin_again() -> None:
    model = ScriptedModel(["One.", "Two."], loop=True)
    texts = [(await events_of(model))[-1].response.output_text for _ in range(5)]
    assert texts == ["One.", "Two.", "One.", "Two.", "One."]


@pytest.mark.parametrize("wrong", [7, {"say": "x"}, [3], None])
async def test_what_is_no_turn_is_refused_when_the_script_is_made(wrong: object) -> None:
    with pytest.raises(UserError, match="write a string, or one of"):
        ScriptedModel([wrong])


async def test_arguments_are_given_once() -> None:
    assert call("f", '{"broken').done["arguments"] == '{"broken'
    assert call("f", {"a": 1}, b=2).done["arguments"] == '{"a":1,"b":2}'
    with pytest.raises(UserError, match="not both"):
        call("f", "{}", a=1)


@pytest.mark.parametrize(
    ("fault", "error", "seen"),
    [
        (http_error(429, retry_after=2), openai.RateLimitError, 0),
        (http_error(500, "overloaded"), openai.InternalServerError, 0),
        (http_error(401), openai.AuthenticationError, 0),
        (http_error(418), openai.APIStatusError, 0),
        (reset(), openai.APIConnectionError, 8),
        (reset(after=0), openai.APIConnectionError, 0),
        (cut(), ModelBehaviorError, 8),
        (cut(after=4), ModelBehaviorError, 4),
        (fail("broken"), ModelBehaviorError, 9),
        (incomplete("content_filter"), ModelBehaviorError, 9),
        (stream_error("overloaded"), ModelBehaviorError, 9),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
async def test_a_fault_is_the_error_that_the_api_would_give(
    fault: Any, error: type[Exception], seen: int
) -> None:
    model = ScriptedModel([turn("Hello", fault)] * 2)
    events: list[Any] = []
    with pytest.raises(error):
        async for event in model.ask("Hi"):
            events.append(event)
    assert len(events) == seen
    with pytest.raises(error):
        await Runner.run(Agent(name="A", model=model), "Hi")


async def test_an_http_error_has_its_headers_and_code() -> None:
    model = ScriptedModel([http_error(429, "slow down", code="rate_limit", retry_after=1.5)])
    with pytest.raises(openai.RateLimitError, match="slow down") as caught:
        await events_of(model)
    assert caught.value.response.headers["retry-after"] == "1.5"
    assert caught.value.code == "rate_limit"


async def test_an_incomplete_answer_says_why_and_marks_its_message() -> None:
    events: list[Any] = []
    with pytest.raises(ModelBehaviorError, match="incomplete"):
        async for event in ScriptedModel([turn("Once upon a", incomplete())]).ask("Tell"):
            events.append(event)
    response = events[-1].response
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output[0].status == "incomplete"


async def test_a_fault_that_would_never_happen_is_refused() -> None:
    with pytest.raises(UserError, match=r"cut\(after=99\) would never happen: this turn has 9"):
        await events_of(ScriptedModel([turn("Hello", cut(after=99))]))


async def test_a_stall_ends_when_the_run_is_cancelled_or_its_time_is_over() -> None:
    model = ScriptedModel([turn(stall(after=0)), turn("a", stall(0.05), "b")])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await events_of(model)
    started = time.monotonic()
    assert (await events_of(model))[-1].response.output[-1].content[0].text == "b"
    assert time.monotonic() - started >= 0.05


async def test_an_empty_turn_is_an_empty_reply() -> None:
    events = await events_of(ScriptedModel([turn()]))
    assert [event.type for event in events][-1] == "response.completed"
    assert events[-1].response.output == []


async def test_recorded_bytes_play_without_a_server() -> None:
    data = b'data: {"type":"response.output_text.delta","delta":"x"}\n\ndata: [DONE]\n\n'
    events = await events_of(ScriptedModel([raw(data, size=5)]))
    assert [event.delta for event in events] == ["x"]


class Clock:
    """Time that only sleeping makes go by."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        sleep = asyncio.sleep

        async def pass_by(seconds: float) -> None:
            self.now += seconds
            await sleep(0)

        monkeypatch.setattr(asyncio, "sleep", pass_by)
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)


async def test_a_pace_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    model = ScriptedModel(["one two three four"], pace=Pace(tokens_per_second=10, first_token=0.5))
    times = [clock.now async for event in model.ask("Hi") if event.type.endswith(".delta")]
    assert times == pytest.approx([0.6, 0.7, 0.8, 0.9])


async def test_a_turn_may_have_its_own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    model = ScriptedModel([turn("one two", pace=4), turn(web_search("x"), pace=4), "three"])
    await events_of(model)
    assert clock.now == pytest.approx(0.4 + 2 / 4)
    await events_of(model)
    assert clock.now == pytest.approx(0.4 + 2 / 4 + 0.4 + 0.8)
    before = clock.now
    await events_of(model)
    assert clock.now == before


def test_a_pace_is_above_zero() -> None:
    with pytest.raises(UserError, match="tokens per second and above 0"):
        ScriptedModel(["x"], pace=0)


@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(tokens_of(text)) == text


async def test_a_stream_that_is_left_is_closed() -> None:
    model = ScriptedModel(["A long story of the sea."])
    stream = model.ask("Tell")
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    assert len(model.requests) == 1
