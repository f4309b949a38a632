"""Half of a pair stays in the session's store, and is left out of the request."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import agentstream
from agentstream.run.memory import without_halves
from agentstream.testing import ScriptedModel


def call(name: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": name, "name": "f", "arguments": "{}"}


def output(name: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": name, "output": "x"}


USER = {"role": "user", "content": "q"}
THOUGHT = {"type": "reasoning", "id": "r", "summary": []}


def test_a_half_is_left_out_with_the_thought_that_led_to_it() -> None:
    assert without_halves([USER, THOUGHT, call("a"), USER], []) == [USER, USER]
    whole = [USER, THOUGHT, call("a"), output("a")]
    assert without_halves(whole, []) == whole
    assert without_halves([THOUGHT, call("a"), call("b"), output("b")], []) == [
        THOUGHT,
        call("b"),
        output("b"),
    ]


def test_an_output_in_the_question_makes_a_stored_call_whole() -> None:
    assert without_halves([call("a")], [output("a")]) == [call("a")]


@given(st.lists(st.sampled_from([USER, THOUGHT, *map(call, "ab"), *map(output, "ab")])))
def test_no_half_goes_out_and_what_is_whole_stays(stored: list[dict[str, Any]]) -> None:
    kept = without_halves(stored, [])
    halves = [
        {item["call_id"] for item in kept if item.get("type") == kind}
        for kind in ("function_call", "function_call_output")
    ]
    assert halves[0] == halves[1]
    assert kept.count(USER) == stored.count(USER)
    assert without_halves(kept, []) == kept


async def test_a_callback_that_repeats_the_history_does_not_make_the_session_grow() -> None:
    session = agentstream.SQLiteSession("s")
    config = agentstream.RunConfig(
        session_input_callback=lambda before, news: [*before, *before, *news]
    )
    for count in (2, 4, 6):
        agent = agentstream.Agent(name="a", model=ScriptedModel(["hi"]))
        await agentstream.Runner.run(agent, "q", session=session, run_config=config)
        assert len(await session.get_items()) == count
