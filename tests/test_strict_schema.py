"""Strict JSON schemas; the schema of a function from its signature and docstring."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from agentstream import ModelBehaviorError, RunContextWrapper, UserError
from agentstream.strict_schema import ensure_strict_json_schema
from agentstream.tool_context import ToolContext
from agentstream.tools.docstrings import read_docstring
from agentstream.tools.function_schema import FuncSchema, function_schema
from tests.tools import postponed, signatures

OBJECT: dict[str, Any] = {"type": "object", "properties": {"x": {"type": "integer"}}}
CLOSED = {**OBJECT, "required": ["x"], "additionalProperties": False}


def property_of(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A root object with one property `a`."""
    return {"type": "object", "properties": {"a": schema}, **more}


def strict_property(schema: dict[str, Any], **more: Any) -> Any:
    """What becomes of that property."""
    return ensure_strict_json_schema(property_of(schema, **more))["properties"]["a"]


# ---- strict


def test_an_object_admits_nothing_else_and_all_its_properties_are_required() -> None:
    assert ensure_strict_json_schema(OBJECT) == CLOSED
    assert strict_property(OBJECT) == CLOSED
    assert strict_property({"type": "array", "items": OBJECT})["items"] == CLOSED
    assert strict_property({"anyOf": [OBJECT, {"type": "null"}]})["anyOf"][0] == CLOSED


def test_the_schema_given_is_not_changed() -> None:
    given_schema = property_of(
        {"$ref": "#/$defs/A", "description": "d"}, **{"$defs": {"A": OBJECT}}
    )
    before = json.dumps(given_schema)
    ensure_strict_json_schema(given_schema)
    assert json.dumps(given_schema) == before


def test_an_empty_schema_is_an_object_without_properties() -> None:
    expected = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    assert ensure_strict_json_schema({}) == expected


def test_a_default_of_null_is_left_out_and_others_stay() -> None:
    assert strict_property({"type": "string", "default": None}) == {"type": "string"}
    assert strict_property({"type": "integer", "default": 0})["default"] == 0
    named = ensure_strict_json_schema({"type": "object", "properties": {"default": {}}})
    assert named["required"] == ["default"]


def test_a_reference_with_a_description_is_replaced_by_what_it_means() -> None:
    defs = {"$defs": {"A": {**OBJECT, "description": "old"}}}
    assert strict_property({"$ref": "#/$defs/A", "description": "new"}, **defs) == {
        **CLOSED,
        "description": "new",
    }
    assert strict_property({"$ref": "#/$defs/A"}, **defs) == {"$ref": "#/$defs/A"}


def test_a_reference_finds_names_that_json_pointers_escape() -> None:
    defs = {"$defs": {"A/B c": {"type": "string"}}}
    found = strict_property({"$ref": "#/$defs/A~1B%20c", "title": "t"}, **defs)
    assert found == {"type": "string", "title": "t"}


def test_one_of_becomes_any_of_and_all_of_one_becomes_that_one() -> None:
    assert strict_property({"oneOf": [OBJECT, {"type": "null"}]}) == {
        "anyOf": [CLOSED, {"type": "null"}]
    }
    defs = {"$defs": {"A": OBJECT}}
    entry = {"allOf": [{"$ref": "#/$defs/A"}], "description": "d"}
    assert strict_property(entry, **defs) == {**CLOSED, "description": "d"}


def test_a_recursive_schema_keeps_its_references() -> None:
    node = property_of({"type": "array", "items": {"$ref": "#/$defs/Node"}})
    strict = ensure_strict_json_schema({"$ref": "#/$defs/Node", "$defs": {"Node": node}})
    assert strict["properties"]["a"]["items"] == {"$ref": "#/$defs/Node"}


@pytest.mark.parametrize(
    ("schema", "where", "why"),
    [
        ({"type": "object", "additionalProperties": True}, "at root", "not declared"),
        (property_of({"type": "object", "additionalProperties": {}}), "root.properties.a", "dict"),
        ({"anyOf": [OBJECT]}, "at root", "choice"),
        ({"type": ["object", "null"]}, "at root", "must be one object"),
        (property_of({"$ref": "#/$defs/Z", "title": "t"}), "root.properties.a", "nothing"),
        (property_of({"$ref": "http://x", "title": "t"}), "root.properties.a", "into this schema"),
        (property_of({"$ref": 5, "title": "t"}), "root.properties.a", "into this schema"),
        (
            property_of({"$ref": "#/$defs/A", "minLength": 2}, **{"$defs": {"A": {}}}),
            "root.properties.a",
            "minLength beside a $ref",
        ),
        (
            property_of({"allOf": [{"type": "string"}], "type": "integer"}),
            "root.properties.a",
            "beside a singleton `allOf`",
        ),
        (property_of(True), "root.properties.a", "a schema is expected"),  # type: ignore[arg-type]
        (property_of({"anyOf": {}}), "root.properties.a", "must be a list"),
        (
            {
                "$ref": "#/$defs/A",
                "$defs": {"A": property_of({"$ref": "#/$defs/A", "description": "d"})},
            },
            "A.properties.a",
            "contains itself",
        ),
    ],
)
def test_what_cannot_be_strict_says_where_and_how_to_turn_it_off(
    schema: dict[str, Any], where: str, why: str
) -> None:
    with pytest.raises(UserError) as caught:
        ensure_strict_json_schema(schema)
    for part in (where, why, "strict_mode=False", "strict_json_schema=False"):
        assert part in str(caught.value)


def test_a_schema_that_is_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(300):
        schema = property_of(schema)
    with pytest.raises(UserError, match="too deeply nested"):
        ensure_strict_json_schema(schema)


leaves = st.sampled_from(
    [{"type": "string"}, {"type": "null"}, {"$ref": "#/$defs/A"}, {"enum": [1]}, {"default": None}]
)
schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda p: {"type": "object", "properties": p}, st.dictionaries(st.text(), inner)),
        st.builds(lambda i: {"type": "array", "items": i}, inner),
        st.builds(lambda i: {"anyOf": i}, st.lists(inner, min_size=1)),
        st.builds(lambda i: {"oneOf": i, "description": "d"}, st.lists(inner, min_size=1)),
        st.builds(lambda i: {"allOf": [i], "title": "t"}, inner),
    ),
    max_leaves=12,
)


def objects_in(schema: Any) -> list[dict[str, Any]]:
    """All schemas of objects in a schema."""
    if isinstance(schema, list):
        return [found for entry in schema for found in objects_in(entry)]
    if not isinstance(schema, dict):
        return []
    mine = [schema] if schema.get("type") == "object" else []
    return mine + [found for entry in schema.values() for found in objects_in(entry)]


@settings(deadline=None)  # the first example imports the SDK
@given(schemas)
def test_every_object_of_a_strict_schema_is_closed_and_strict_schemas_stay(
    schema: dict[str, Any],
) -> None:
    root = property_of(schema, **{"$defs": {"A": OBJECT}})
    strict = ensure_strict_json_schema(root)
    for found in objects_in(strict):
        assert found["additionalProperties"] is False
        assert found.get("required", []) == list(found.get("properties", {}))
    assert ensure_strict_json_schema(strict) == strict
    oracle = pytest.importorskip("agents.strict_schema")
    assert oracle.ensure_strict_json_schema(json.loads(json.dumps(root))) == strict


# ---- functions, side by side with the SDK


def outcome(read: Callable[..., Any], function: Any, **options: Any) -> Any:
    """Name, description, context and schema; or that it is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK lets pydantic warn of defaults
        try:
            schema = read(function, **options)
        except Exception as error:
            return f"refused: {type(error).__name__}"
    parameters = json.dumps(schema.params_json_schema, sort_keys=True)
    return schema.name, schema.description, schema.takes_context, parameters


@pytest.fixture(scope="module")
def sdk() -> Any:
    return pytest.importorskip("agents.function_schema")


WITHOUT_CONTEXT = {**signatures.plain(), **signatures.documented()}


def test_there_are_enough_functions_in_the_table() -> None:
    assert len(WITHOUT_CONTEXT) >= 60


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "loose"])
@pytest.mark.parametrize("name", WITHOUT_CONTEXT)
def test_a_schema_is_that_of_the_sdk(sdk: Any, name: str, strict: bool) -> None:
    function = WITHOUT_CONTEXT[name]
    theirs = outcome(sdk.function_schema, function, strict_json_schema=strict)
    assert outcome(function_schema, function, strict_json_schema=strict) == theirs


@pytest.mark.parametrize("name", signatures.with_context(RunContextWrapper, ToolContext))
def test_a_context_parameter_is_that_of_the_sdk(sdk: Any, name: str) -> None:
    their_context = pytest.importorskip("agents.tool_context").ToolContext
    theirs = signatures.with_context(sdk.RunContextWrapper, their_context)[name]
    ours = signatures.with_context(RunContextWrapper, ToolContext)[name]
    assert outcome(function_schema, ours) == outcome(sdk.function_schema, theirs)


@pytest.mark.parametrize(
    "options",
    [
        {"use_docstring_info": False},
        {"name_override": "other", "description_override": "Other."},
        {"docstring_style": "google"},
        {"docstring_style": "numpy"},
        {"docstring_style": "sphinx"},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", signatures.documented())
def test_options_are_those_of_the_sdk(sdk: Any, name: str, options: dict[str, Any]) -> None:
    function = WITHOUT_CONTEXT[name]
    if not (function.__doc__ or "").strip():
        pytest.skip("an empty docstring has no description; the SDK's may be '' for Sphinx")
    theirs = outcome(sdk.function_schema, function, **options)
    assert outcome(function_schema, function, **options) == theirs


CALLS = [
    ("positional_only", {"a": 1, "b": 2}),
    ("variadic", {"args": [1, 2]}),
    ("variadic", {}),
    ("annotated_variadic", {"args": [1], "b": 4}),
    ("keywords", {"a": 1, "kw": {"z": "3"}}),
    ("all_kinds", {"a": 1, "b": 3, "args": [5], "c": 6, "kw": {"z": 3, "a": 9}}),
    ("defaults", {"a": 1}),
    ("models", {"city": {"name": "x"}, "colour": "r", "point": {"x": 1}, "options": {"key": "k"}}),
    ("fields", {"d": 4}),
    ("factory", {}),
    ("alias", {"xx": 4}),
]


@pytest.mark.parametrize(("name", "arguments"), CALLS)
def test_the_arguments_of_a_call_are_those_of_the_sdk(
    sdk: Any, name: str, arguments: dict[str, Any]
) -> None:
    function = signatures.plain()[name]
    if name == "models":
        arguments = {**arguments, "pair": [1, "q"]}
    calls = []
    for read in (sdk.function_schema, function_schema):
        schema = read(function, strict_json_schema=False)
        calls.append(schema.to_call_args(schema.params_pydantic_model(**arguments)))
    assert calls[1] == calls[0]


texts = st.lists(
    st.sampled_from(
        [
            "Do it.",
            "Longer text\nhere.",
            "Args:\n    a: one\n    b (int): two\n        more",
            "args:\n  a: one",
            "Parameters:\n    a: one",
            "Returns:\n    int: r",
            "Raises:\n    ValueError: no",
            "Example:\n    >>> f()",
            "Note:\n    careful",
            "Keyword Args:\n    b: kw",
            "Args:\na: not indented",
            "Args: in a sentence",
            "Parameters\n----------\na : int\n    one\nb\n    two",
            "Returns\n-------\nint\n    r",
            "Notes\n-----\nfoo",
            ":param a: one\n    more",
            ":param int a: one\n:type b: int",
            ":return: r",
            ":returns: r",
            "    indented text",
        ]
    ),
    min_size=1,
    max_size=5,
)


@settings(deadline=None)  # the first example imports the SDK and Griffe
@given(
    texts,
    st.sampled_from(["\n", "\n\n", "\n\n\n"]),
    st.sampled_from([None, "google", "numpy", "sphinx"]),
)
def test_any_docstring_is_read_as_the_sdk_reads_it(
    parts: list[str], separator: str, style: Any
) -> None:
    oracle = pytest.importorskip("agents.function_schema")

    def function(a: int, b: int = 1) -> None: ...

    function.__doc__ = separator.join(parts)
    theirs = oracle.generate_func_documentation(function, style)
    ours = read_docstring(inspect.getdoc(function), style)
    assert (ours.description, ours.parameters) == (
        theirs.description,
        theirs.param_descriptions or {},
    )


# ---- functions, where we go further than the SDK


def arguments_of(schema: FuncSchema, **arguments: Any) -> tuple[list[Any], dict[str, Any]]:
    return schema.to_call_args(schema.params_pydantic_model(**arguments))


def test_annotations_that_are_strings_are_resolved() -> None:
    schema = function_schema(postponed.simple)
    assert schema.params_json_schema["properties"]["a"]["type"] == "integer"
    assert schema.params_json_schema["$defs"]["Item"]["properties"]["name"]["type"] == "string"
    described = function_schema(postponed.described).params_json_schema
    assert described["properties"]["a"]["description"] == "the a"


def test_a_string_annotation_may_name_a_class_that_is_local_to_a_function() -> None:
    assert "Local" in function_schema(postponed.closure()).params_json_schema["$defs"]
    assert "Local" in postponed.local(function_schema).params_json_schema["$defs"]


def test_a_return_annotation_that_cannot_be_resolved_does_no_harm() -> None:
    assert function_schema(postponed.unresolved_result).params_json_schema["required"] == ["a"]


@pytest.mark.parametrize("function", [postponed.hidden_context, postponed.hidden_tool_context])
def test_a_context_imported_for_type_checking_only_is_recognised(function: Any) -> None:
    with pytest.raises(NameError):
        get_type_hints(function)
    schema = function_schema(function)
    assert schema.takes_context
    assert schema.params_json_schema["required"] == ["a"]


class MyContext(RunContextWrapper[Any]):
    pass


def optional_context(ctx: RunContextWrapper[Any] | None, a: int) -> None: ...
def either_context(ctx: RunContextWrapper[Any] | ToolContext[Any], a: int) -> None: ...
def own_context(ctx: MyContext, a: int) -> None: ...


@pytest.mark.parametrize("function", [optional_context, either_context, own_context])
def test_a_context_may_be_optional_a_union_or_a_subclass(function: Any) -> None:
    schema = function_schema(function)
    assert schema.takes_context
    assert schema.params_json_schema["required"] == ["a"]
    assert arguments_of(schema, a=3) == ([3], {})


def test_none_alone_is_no_context() -> None:
    def function(a: None) -> None: ...

    assert not function_schema(function).takes_context


def odd_names(_a: int, copy: int, model_dump: int, model_config: int, schema: int = 5) -> None: ...


def test_parameters_may_have_names_that_pydantic_keeps_for_itself() -> None:
    schema = function_schema(odd_names)
    names = ["_a", "copy", "model_dump", "model_config", "schema"]
    assert schema.params_json_schema["required"] == names
    given_arguments = dict(zip(names, [1, 2, 3, 4, 5], strict=True))
    data = schema.params_pydantic_model.model_validate_json(json.dumps(given_arguments))
    assert schema.to_call_args(data) == ([1, 2, 3, 4, 5], {})


def test_an_argument_given_twice_is_the_models_error() -> None:
    def function(a: int, **kw: int) -> None: ...

    schema = function_schema(function, strict_json_schema=False)
    with pytest.raises(
        ModelBehaviorError, match=r"'a' is both a named parameter and a key in 'kw'"
    ):
        arguments_of(schema, a=1, kw={"a": 2})


def test_a_default_that_json_cannot_carry_is_used_all_the_same() -> None:
    marker = object()

    def function(a: Any = marker) -> None: ...

    schema = function_schema(function)
    assert arguments_of(schema) == ([marker], {})


class Unfit:
    pass


def unfit(a: int, b: Unfit) -> None: ...
def callback(f: Callable[[int], int]) -> None: ...
def free_keys(a: int, b: dict[str, int]) -> None: ...
def free_keywords(a: int, **rest: int) -> None: ...
def late_context(a: int, ctx: RunContextWrapper[Any]) -> None: ...


@pytest.mark.parametrize(
    ("function", "parameter", "way_out"),
    [
        (unfit, "'b'", "params_json_schema"),
        (callback, "'f'", "params_json_schema"),
        (free_keys, "'b'", "strict_mode=False"),
        (free_keywords, "`**rest`", "strict_mode=False"),
        (late_context, "'ctx'", "first parameter"),
        (postponed.unresolved, "'a'", "Import or define"),
        (signatures.Service.method, "'self'", "instance.method"),
    ],
)
def test_a_signature_that_is_no_schema_names_function_parameter_and_way_out(
    function: Any, parameter: str, way_out: str
) -> None:
    with pytest.raises(UserError) as caught:
        function_schema(function)
    for part in (function.__name__, parameter, way_out):
        assert part in str(caught.value)


def test_a_function_without_a_signature_is_refused_with_the_way_out() -> None:
    with pytest.raises(UserError, match="explicit wrapper function"):
        function_schema(max)


def test_a_model_may_be_read_back_from_the_schema_it_made() -> None:
    class Local(BaseModel):
        x: int

    def function(a: Local) -> None: ...

    function.__annotations__ = {"a": Local}
    [value], _ = arguments_of(function_schema(function), a={"x": 1})
    assert value == Local(x=1)


def test_the_docstring_parser_is_imported_when_it_is_needed() -> None:
    code = (
        "import sys; from agentstream import function_tool\n"
        "def f(a: int):\n    'One line.'\n"
        "function_tool(f); assert 'griffe' not in sys.modules\n"
        "f.__doc__ = 'Two.\\n\\nArgs:\\n    a: the a'\n"
        "function_tool(f); assert 'griffe' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
