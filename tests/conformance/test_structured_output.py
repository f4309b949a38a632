"""Structured output: schemas sent, answers read."""

import dataclasses
import datetime
import json

import pydantic
from typing_extensions import TypedDict

from agentstream.testing import answer, call, refuse, turn

from .harness import BOTH, conforms, differs, plain, ran, run, streamed


class City(pydantic.BaseModel):
    name: str
    people: int = pydantic.Field(description="Inhabitants")
    districts: list[str] = []


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Trip(TypedDict):
    city: str
    days: int


LISBON = {"name": "Lisbon", "people": 545000, "districts": ["Alfama"]}


@conforms(apis=BOTH)
async def test_a_pydantic_model_is_the_final_output(sdk, server):
    agent = server.agent(sdk, output_type=City)
    return await ran(sdk, server, [answer(LISBON)], agent, "Capital?")


@conforms
async def test_a_dataclass_is_the_final_output(sdk, server):
    agent = server.agent(sdk, output_type=Point)
    return await ran(sdk, server, [answer({"response": {"x": 1, "y": 2}})], agent, "Where?")


@conforms
async def test_a_typed_dict_is_the_final_output(sdk, server):
    agent = server.agent(sdk, output_type=Trip)
    return await ran(sdk, server, [answer({"city": "Lisbon", "days": 2})], agent, "Plan")


@conforms(apis=BOTH)
async def test_a_list_is_wrapped_and_unwrapped(sdk, server):
    agent = server.agent(sdk, output_type=list[City])
    return await ran(sdk, server, [answer({"response": [LISBON]})], agent, "Cities?")


@conforms
async def test_an_int_and_a_bool_are_wrapped(sdk, server):
    return [
        await ran(
            sdk, server, [answer({"response": 7})], server.agent(sdk, output_type=int), "How many?"
        ),
        await ran(
            sdk, server, [answer({"response": True})], server.agent(sdk, output_type=bool), "Is it?"
        ),
    ]


@conforms
async def test_plain_text_has_no_schema(sdk, server):
    agent = server.agent(sdk, output_type=str)
    return await ran(sdk, server, ["Just text."], agent, "Say")


@conforms
async def test_a_schema_that_is_not_strict_is_sent_as_such(sdk, server):
    agent = server.agent(
        sdk, output_type=sdk.AgentOutputSchema(dict[str, int], strict_json_schema=False)
    )
    return await ran(sdk, server, [answer({"a": 1})], agent, "Count")


@conforms
async def test_a_type_without_strict_schema_is_refused(sdk, server):
    agent = server.agent(sdk, output_type=dict[str, int])
    return await ran(sdk, server, [answer({"response": {"a": 1}})], agent, "Count")


@conforms(apis=BOTH)
async def test_json_that_does_not_fit_ends_the_run(sdk, server):
    agent = server.agent(sdk, output_type=City)
    return [
        await ran(sdk, server, [answer({"name": "Lisbon"})], agent, "Capital?"),
        await ran(sdk, server, ["Lisbon, I think."], agent, "Capital?"),
        await ran(sdk, server, [answer({"answer": [1]})], server.agent(sdk, output_type=int), "?"),
    ]


@conforms
async def test_a_schema_of_ones_own_reads_the_answer(sdk, server):
    class Shouted(sdk.AgentOutputSchemaBase):
        def is_plain_text(self):
            return False

        def name(self):
            return "Shouted"

        def json_schema(self):
            return {"type": "object", "properties": {"text": {"type": "string"}}}

        def is_strict_json_schema(self):
            return False

        def validate_json(self, json_str):
            return json_str.upper()

    agent = server.agent(sdk, output_type=Shouted())
    return await ran(sdk, server, [answer({"text": "hello"})], agent, "Shout")


@conforms
async def test_a_tool_is_called_before_the_structured_answer(sdk, server):
    @sdk.function_tool
    def count(city: str) -> int:
        """Count people."""
        return 545000

    agent = server.agent(sdk, output_type=City, tools=[count])
    turns = [turn("Counting.", call("count", city="Lisbon")), answer(LISBON)]
    return await ran(sdk, server, turns, agent, "Capital?")


@conforms
async def test_of_two_messages_the_last_is_the_answer(sdk, server):
    agent = server.agent(sdk, output_type=Point)
    turns = [turn("Here it is:", answer({"response": {"x": 1, "y": 2}}))]
    return await ran(sdk, server, turns, agent, "Where?")


@conforms
async def test_a_refusal_of_a_structured_answer_ends_the_run(sdk, server):
    agent = server.agent(sdk, output_type=City)
    return await ran(sdk, server, [refuse("I will not.")], agent, "Capital?")


@conforms
async def test_the_schema_can_be_asked(sdk, server):
    shown = []
    for output_type in (City, Point, Trip, list[City], int, str, None):
        try:
            schema = sdk.AgentOutputSchema(output_type)
            shown.append(
                [
                    schema.name(),
                    schema.is_plain_text(),
                    schema.is_strict_json_schema(),
                    None if schema.is_plain_text() else schema.json_schema(),
                ]
            )
        except Exception as error:
            shown.append(type(error).__name__)
    wrapped = sdk.AgentOutputSchema(list[int])
    return [shown, wrapped.validate_json('{"response": [1, 2]}')]


@conforms
async def test_the_final_output_can_be_cast(sdk, server):
    server.play([answer(LISBON)])
    result = await sdk.Runner.run(server.agent(sdk, output_type=City), "Capital?")
    cast = result.final_output_as(City)
    try:
        result.final_output_as(Point, raise_if_incorrect_type=True)
    except TypeError:
        refused = True
    return [plain(cast), type(cast).__name__, refused]


@conforms
async def test_a_tool_output_may_be_the_final_output_of_an_agent_with_output_type(sdk, server):
    @sdk.function_tool
    def build() -> City:
        """Build."""
        return City(name="Porto", people=1)

    agent = server.agent(
        sdk, output_type=City, tools=[build], tool_use_behavior="stop_on_first_tool"
    )
    return await ran(sdk, server, [call("build")], agent, "Build")


@differs(
    "an empty structured reply ends",
    theirs=["MaxTurnsExceeded", 3],
    ours=["ModelBehaviorError", 1],
)
async def test_an_empty_reply_where_structure_was_wanted(sdk, server):
    server.play([turn()], loop=True)
    shown = await run(sdk, server.agent(sdk, output_type=City), "Capital?", max_turns=3)
    return [shown["error"]["type"], len(server.requests)]


@conforms
async def test_structured_text_streams_as_text(sdk, server):
    server.play([answer(LISBON)])
    shown = await streamed(sdk, server.agent(sdk, output_type=City), "Capital?")
    return [one for one in shown["events"] if one[0] == "raw" and one[1].endswith("text.delta")]


class Reading(pydantic.BaseModel):
    count: int
    at: datetime.date | None = None
    share: float = 0.0
    sure: bool = True


NEARLY = (
    {"count": "5"},
    {"count": 5.0},
    {"count": True},
    {"count": 5, "share": 1},
    {"count": 5, "share": "1"},
    {"count": 5, "sure": "yes"},
    {"count": 5, "sure": 1},
    {"count": 5, "at": "2026-01-31"},
    {"count": 5, "at": 20000},
    {"count": 5, "more": 1},
)


def read(sdk, schema, value):
    """What an answer is read as, or the error's type."""
    try:
        return repr(schema.validate_json(json.dumps(value)))
    except Exception as error:
        return type(error).__name__


@conforms
async def test_a_strict_output_is_not_coerced(sdk, server):
    strict = sdk.AgentOutputSchema(Reading)
    loose = sdk.AgentOutputSchema(Reading, strict_json_schema=False)
    listed = sdk.AgentOutputSchema(list[int])
    return [
        *([read(sdk, strict, value), read(sdk, loose, value)] for value in NEARLY),
        [read(sdk, listed, {"response": value}) for value in ([1], ["1"], [1.0], "1")],
    ]


@conforms(apis=BOTH)
async def test_an_answer_that_only_nearly_fits_ends_the_run(sdk, server):
    agent = server.agent(sdk, output_type=Reading)
    return await ran(sdk, server, [answer({"count": "5"})], agent, "How many?")
