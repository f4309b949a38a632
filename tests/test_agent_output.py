"""Output types: their schemas, the check of an answer; side by side with the SDK."""

from __future__ import annotations

import datetime
from typing import Any, Literal, Optional, Union

import pytest

from agentstream import AgentOutputSchema, AgentOutputSchemaBase, ModelBehaviorError, UserError
from tests.tools.signatures import City, Colour, Open, Options, Pair, Point, Tree

TYPES: list[Any] = [
    str,
    int,
    bool,
    float,
    type(None),
    Any,
    object,
    bytes,
    datetime.datetime,
    list,
    list[int],
    list[City],
    list[Union[int, str]],  # noqa: UP007
    set[int],
    tuple[int, str],
    dict,
    dict[str, int],
    dict[str, City],
    City,
    Open,
    Tree,
    Point,
    Options,
    Pair,
    Colour,
    Literal["a", "b"],
    Optional[City],  # noqa: UP045
    City | None,
    Union[City, Point],  # noqa: UP007
]


def outcome(schema_class: Any, kind: Any, strict: bool) -> Any:
    """What a schema class says of a type, or that it refuses it."""
    try:
        schema = schema_class(kind, strict_json_schema=strict)
    except Exception as error:
        return type(error).__name__
    plain = schema.is_plain_text()
    return (
        schema.name(),
        plain,
        schema.is_strict_json_schema(),
        None if plain else schema.json_schema(),
    )


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "loose"])
@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_a_schema_is_that_of_the_sdk(kind: Any, strict: bool) -> None:
    sdk = pytest.importorskip("agents")
    theirs = outcome(sdk.AgentOutputSchema, kind, strict)
    assert outcome(AgentOutputSchema, kind, strict) == theirs


@pytest.mark.parametrize(
    ("kind", "answer", "output"),
    [
        (City, '{"name": "Lisbon"}', City(name="Lisbon")),
        (City, '{"name": "Lisbon", "more": 1}', City(name="Lisbon")),
        (list[int], '{"response": [1, 2]}', [1, 2]),
        (Point, '{"response": {"x": 2}}', Point(x=2)),
        (Options, '{"key": "k"}', {"key": "k"}),
        (dict, '{"a": 1}', {"a": 1}),
        (Pair, '{"response": [1, "b"]}', Pair(1, "b")),
        (Colour, '{"response": "r"}', Colour.RED),
        (int, '{"response": 3}', 3),
        (City | None, '{"response": null}', None),
        (City | Point, '{"response": {"x": 1}}', Point(x=1)),
    ],
    ids=str,
)
def test_an_answer_becomes_a_value_of_the_type(kind: Any, answer: str, output: Any) -> None:
    assert AgentOutputSchema(kind, strict_json_schema=False).validate_json(answer) == output


def test_text_has_no_schema() -> None:
    schema = AgentOutputSchema(str)
    assert schema.is_plain_text()
    with pytest.raises(UserError, match="plain text"):
        schema.json_schema()


@pytest.mark.parametrize(
    ("kind", "answer", "what"),
    [
        (City, '{"name": 3}', "name: Input should be a valid string"),
        (City, '{"name": "Lis', "the answer: Invalid JSON"),
        (City, "", "the answer: Invalid JSON"),
        (City, "null", "the answer: Input should be an object"),
        (City, '{"name": "a"} and more', "trailing characters"),
        (City, '```json\n{"name": "a"}\n```', "the answer: Invalid JSON"),
        (list[int], "[1]", "the answer: Input should be an object"),
        (list[int], '{"response": [1, "x"]}', "response.1: Input should be a valid integer"),
        (list[int], "{}", "response: Field required"),
    ],
)
def test_an_answer_that_does_not_fit_says_what_is_wrong_and_how_it_begins(
    kind: Any, answer: str, what: str
) -> None:
    with pytest.raises(ModelBehaviorError) as caught:
        AgentOutputSchema(kind).validate_json(answer)
    message = str(caught.value)
    assert message.startswith("Invalid JSON when parsing model output")
    assert what in message
    assert repr(answer[:200]) in message


def test_of_a_long_answer_only_the_beginning_is_shown() -> None:
    with pytest.raises(ModelBehaviorError) as caught:
        AgentOutputSchema(City).validate_json("x" * 100_000)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("kind", [dict, dict[str, int], Open])
def test_a_type_that_cannot_be_strict_says_how_to_turn_it_off(kind: Any) -> None:
    with pytest.raises(UserError, match=r"AgentOutputSchema\(YourType, strict_json_schema=False\)"):
        AgentOutputSchema(kind)


class Unfit:
    pass


@pytest.mark.parametrize("kind", [Unfit, list[Unfit], "Unknown"])
def test_a_type_without_a_schema_says_what_to_use(kind: Any) -> None:
    with pytest.raises(UserError, match="Use a pydantic model"):
        AgentOutputSchema(kind)


def test_a_schema_of_ones_own_needs_all_methods() -> None:
    with pytest.raises(TypeError, match="abstract"):
        AgentOutputSchemaBase()  # type: ignore[abstract]
