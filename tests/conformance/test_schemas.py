"""Strict schemas: what a schema of the program's own, or of a tool server's, becomes."""

from copy import deepcopy
from typing import Any

from .harness import conforms


def of(part: Any, **defs: Any) -> dict[str, Any]:
    """The schema of an object with one property."""
    schema = {"type": "object", "properties": {"a": part}}
    return {**schema, "$defs": defs} if defs else schema


TEXT = {"type": "string"}
B = {"properties": {"b": TEXT}}
OBJECT = {"type": "object", **B}
REF = {"$ref": "#/$defs/A"}

WITHOUT_A_TYPE = {
    "an object": of(B),
    "in a list": of({"type": "array", "items": B}),
    "in a choice": of({"anyOf": [B, {"type": "null"}]}),
    "in a definition": of(REF, A=B),
    "in an allOf of two": of({"allOf": [B, OBJECT]}),
    "open": of({"additionalProperties": True}),
    "open to anything": of({"additionalProperties": {}}),
    "closed": of({"additionalProperties": False}),
    "anything": of({}),
    "the root": B,
    "a list of one type": {**OBJECT, "type": ["object"]},
}

ONE_ALL_OF = {
    "a constraint": of({**TEXT, "description": "d", "allOf": [{"minLength": 1}]}),
    "the same type": of({**TEXT, "allOf": [{**TEXT, "maxLength": 3}]}),
    "another type": of({**TEXT, "allOf": [{"type": "integer"}]}),
    "a number for a truth": of({"const": 1, "allOf": [{"const": True}]}),
    "a reference": of({"title": "T", "default": None, "allOf": [REF]}, A=OBJECT),
    "a reference alone": of({"allOf": [REF]}, A=OBJECT),
    "a described reference": of({"allOf": [{**REF, "description": "d"}]}, A=OBJECT),
    "a reference beside a constraint": of({"maxLength": 5, "allOf": [REF]}, A=TEXT),
    "a reference beside its own constraint": of(
        {"maxLength": 5, "allOf": [REF]}, A={"maxLength": 4}
    ),
    "no properties": of({"type": "object", "properties": {}, "allOf": [OBJECT]}),
    "other properties": of({"type": "object", "properties": {"c": TEXT}, "allOf": [OBJECT]}),
    "a closed object": of({"type": "object", "additionalProperties": False, "allOf": [OBJECT]}),
    "required ones": of({"type": "object", "required": ["b"], "allOf": [OBJECT]}),
    "one in another": of({"description": "d", "allOf": [{"allOf": [TEXT]}]}),
    "a choice": of({"description": "d", "allOf": [{"anyOf": [TEXT, {"type": "null"}]}]}),
    "an enumeration": of({"default": "x", "allOf": [{**TEXT, "enum": ["x", "y"]}]}),
    "the root": {"type": "object", "title": "T", "allOf": [B]},
}


def fan_out(size: int) -> dict[str, Any]:
    """Each definition has the next twice: written out, the last stands there 2 ** size times."""
    twice = [
        {"type": "object", "properties": {name: ref(at + 1) for name in "xy"}} for at in range(size)
    ]
    return of(ref(0), **{f"D{at}": one for at, one in enumerate([*twice, TEXT])})


def chain(size: int) -> dict[str, Any]:
    """Definitions that each refer to the next."""
    return of(ref(0), **{f"D{at}": one for at, one in enumerate([*map(ref, range(1, size)), TEXT])})


def ref(at: int) -> dict[str, Any]:
    return {"$ref": f"#/$defs/D{at}", "description": str(at)}


def nested(size: int, *, as_list: bool = False) -> dict[str, Any]:
    part: Any = TEXT
    for _ in range(size):
        part = {"type": "array", "items": part} if as_list else of(part)
    return of(part)


BOUNDED = {
    "references to references to themselves": of({"allOf": [REF]}, A=REF),
    "a circle": of({"allOf": [REF]}, A={"$ref": "#/$defs/B"}, B=REF),
    "a recursive object": of(REF, A=of({"anyOf": [REF, {"type": "null"}]})),
    "a described recursive object": of({**REF, "title": "T"}, A=of({**REF, "title": "T"})),
    **{f"fan-out {size}": fan_out(size) for size in (3, 10, 25, 60)},
    **{f"chain {size}": chain(size) for size in (3, 60, 300)},
    **{f"objects {size}": nested(size) for size in (20, 60, 200)},
    **{f"lists {size}": nested(size, as_list=True) for size in (20, 80, 120, 200)},
}


def strict(sdk: Any, schema: dict[str, Any]) -> Any:
    """The schema as a tool sends it, or the error's type."""

    async def invoke(context: Any, arguments: str) -> str:
        return ""

    try:
        tool = sdk.FunctionTool("t", "T.", deepcopy(schema), invoke)
    except Exception as error:
        return type(error).__name__
    return tool.params_json_schema


@conforms
async def test_properties_without_a_type_are_an_object(sdk, server):
    return {name: strict(sdk, schema) for name, schema in WITHOUT_A_TYPE.items()}


@conforms
async def test_a_single_all_of_is_merged_with_what_stands_beside_it(sdk, server):
    return {name: strict(sdk, schema) for name, schema in ONE_ALL_OF.items()}


@conforms
async def test_what_references_and_nesting_grow_to_is_bounded(sdk, server):
    return {name: strict(sdk, schema) for name, schema in BOUNDED.items()}
