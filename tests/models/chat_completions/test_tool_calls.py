"""Tool calls are told apart and put together, whatever the provider's fragments look like."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentstream.models.chat_completions.tool_calls import ToolCallAssembler


def entry(index: Any = None, id: Any = None, name: Any = None, args: Any = None) -> dict[str, Any]:
    fields = {"index": index, "id": id, "function": {"name": name, "arguments": args}}
    return {key: value for key, value in fields.items() if value is not None}


def assembler(*tools: str) -> ToolCallAssembler:
    numbers = itertools.count(1)
    return ToolCallAssembler(frozenset(tools or ("f", "g")), new_id=lambda: f"new_{next(numbers)}")


def calls(fragments: list[dict[str, Any]], *tools: str) -> list[tuple[str, str, str]]:
    ours = assembler(*tools)
    for fragment in fragments:
        ours.take(fragment)
    ours.settle_twins()
    for call in ours.calls:
        ours.settle_id(call)
    return [(call.id, call.name, call.arguments()) for call in ours.calls]


CASES: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str, str]]]] = {
    "as OpenAI sends them": (
        [
            entry(0, "a", "f", ""),
            entry(0, args='{"x"'),
            entry(0, args=":1}"),
            entry(1, "b", "g", ""),
            entry(1, args="{}"),
        ],
        [("a", "f", '{"x":1}'), ("b", "g", "{}")],
    ),
    "interleaved": (
        [entry(0, "a", "f"), entry(1, "b", "g"), entry(1, args="{}"), entry(0, args="[]")],
        [("a", "f", "[]"), ("b", "g", "{}")],
    ),
    "index missing, ids given": (
        [entry(None, "a", "f", "{}"), entry(None, "b", "f", "{}")],
        [("a", "f", "{}"), ("b", "f", "{}")],
    ),
    "index missing, id on every fragment": (
        [entry(None, "a", "f", '{"x"'), entry(None, "a", None, ":1}")],
        [("a", "f", '{"x":1}')],
    ),
    "index missing, fragments with arguments only": (
        [entry(None, "a", "f", ""), entry(args='{"x"'), entry(args=":1}")],
        [("a", "f", '{"x":1}')],
    ),
    "index always 0, no id, whole arguments": (
        [entry(0, None, "f", '{"x":1}'), entry(0, None, "f", '{"x":2}'), entry(0, None, "g", "{}")],
        [("new_1", "f", '{"x":1}'), ("new_2", "f", '{"x":2}'), ("new_3", "g", "{}")],
    ),
    "index always 0, ids differ, arguments in pieces": (
        [entry(0, "a", "f", ""), entry(0, args="{}"), entry(0, "b", "g", ""), entry(0, args="[]")],
        [("a", "f", "{}"), ("b", "g", "[]")],
    ),
    "a new id with every fragment": (
        [entry(0, "a", "f", ""), entry(0, "b", None, '{"x"'), entry(0, "c", None, ":1}")],
        [("a", "f", '{"x":1}')],
    ),
    "a new id and the name with every fragment": (
        [entry(0, "a", "f", '{"x"'), entry(0, "b", "f", ":1}")],
        [("a", "f", '{"x":1}')],
    ),
    "the same id for two calls": (
        [entry(0, "a", "f", '{"x":1}'), entry(1, "a", "f", '{"x":2}')],
        [("a", "f", '{"x":1}'), ("new_1", "f", '{"x":2}')],
    ),
    "the same id for two calls, in pieces at two indexes": (
        [
            entry(0, "a", "f", ""),
            entry(1, "a", "f", ""),
            entry(0, args='{"x":'),
            entry(1, args='{"x":'),
            entry(0, args="1}"),
            entry(1, args="2}"),
        ],
        [("a", "f", '{"x":1}'), ("new_1", "f", '{"x":2}')],
    ),
    "the same id on each piece of two calls": (
        [
            entry(0, "a", "f", ""),
            entry(0, "a", None, '{"x":1}'),
            entry(1, "a", "f", ""),
            entry(1, "a", None, '{"x":'),
            entry(1, "a", None, "2}"),
        ],
        [("a", "f", '{"x":1}'), ("new_1", "f", '{"x":2}')],
    ),
    "the same id and name on each piece of two calls": (
        [
            entry(0, "a", "f", '{"x"'),
            entry(0, "a", "f", ":1}"),
            entry(1, "a", "f", '{"x"'),
            entry(1, "a", "f", ":2}"),
        ],
        [("a", "f", '{"x":1}'), ("new_1", "f", '{"x":2}')],
    ),
    "the same id on each piece of calls of two tools": (
        [
            entry(0, "a", "f", ""),
            entry(0, "a", "f", '{"x":1}'),
            entry(1, "a", "g", ""),
            entry(1, "a", "g", '{"x":2}'),
        ],
        [("a", "f", '{"x":1}'), ("new_1", "g", '{"x":2}')],
    ),
    "the same id and index for two calls, in pieces": (
        [
            entry(0, "a", "f", ""),
            entry(0, args='{"x":1}'),
            entry(0, "a", "f", ""),
            entry(0, args="{}"),
        ],
        [("a", "f", '{"x":1}'), ("new_1", "f", "{}")],
    ),
    "a call told again in pieces, at another index": (
        [
            entry(0, "a", "f", ""),
            entry(0, args='{"x":1}'),
            entry(1, "a", "f", ""),
            entry(1, args='{"x":'),
            entry(1, args=" 1}"),
        ],
        [("a", "f", '{"x":1}')],
    ),
    "a call told again behind another of its id": (
        [entry(0, "a", "f", '{"x":1}'), entry(1, "a", "f", "[]"), entry(2, "a", "f", '{"x":1}')],
        [("a", "f", '{"x":1}'), ("new_1", "f", "[]")],
    ),
    "the arguments told again as JSON in JSON": (
        [
            entry(0, "a", "f", '{"x"'),
            entry(0, "a", None, ':"y"}'),
            entry(0, "a", "f", json.dumps('{"x": "y"}')),
        ],
        [("a", "f", '{"x":"y"}')],
    ),
    "the arguments told again as JSON in JSON, without a name": (
        [entry(0, "a", "f", '{"x":"y"}'), entry(0, None, None, json.dumps('{"x": "y"}'))],
        [("a", "f", '{"x":"y"}')],
    ),
    "arguments that hold a bracket and a quotation mark": (
        [entry(0, "a", "f", '{"x": "}'), entry(0, None, None, r'\"y"}')],
        [("a", "f", '{"x": "}\\"y"}')],
    ),
    "id and name once more behind the arguments": (
        [entry(0, "a", "f", '{"x":1}'), entry(0, "a", "f", "")],
        [("a", "f", '{"x":1}')],
    ),
    "an empty id": ([entry(0, "", "f", "{}")], [("new_1", "f", "{}")]),
    "an id that comes late": (
        [entry(0, None, "f", ""), entry(0, "late", None, "{}")],
        [("late", "f", "{}")],
    ),
    "the name with every fragment": (
        [entry(0, "a", "f", '{"x"'), entry(0, None, "f", ":1}"), entry(0, None, "f", "")],
        [("a", "f", '{"x":1}')],
    ),
    "the name in two pieces": (
        [entry(0, "a", "get_", ""), entry(0, None, "weather", "{}")],
        [("a", "get_weather", "{}")],
    ),
    "the name longer each time": (
        [entry(0, "a", "get_", ""), entry(0, None, "get_weather", "{}")],
        [("a", "get_weather", "{}")],
    ),
    "the name after the arguments": (
        [entry(0, "a", None, "{"), entry(0, None, "f", "}")],
        [("a", "f", "{}")],
    ),
    "two calls without arguments, told apart by the tools": (
        [entry(0, None, "f"), entry(0, None, "g")],
        [("new_1", "f", ""), ("new_2", "g", "")],
    ),
    "arguments as an object": (
        [entry(0, "a", "f", {"x": "ü"})],
        [("a", "f", '{"x": "ü"}')],
    ),
    "the whole call told again": (
        [entry(0, "a", "f", '{"x":1}'), entry(0, "a", "f", '{"x": 1}')],
        [("a", "f", '{"x":1}')],
    ),
    "an empty object before the arguments": (
        [entry(0, "a", "f", "{}"), entry(0, None, None, '{"x":1}')],
        [("a", "f", '{"x":1}')],
    ),
    "an index that changes within a call": (
        [entry(0, "a", "f", '{"x"'), entry(3, args=":1}")],
        [("a", "f", '{"x":1}')],
    ),
    "an index as text": (
        [entry("0", "a", "f", "{"), entry("1", "b", "g", "{}"), entry("0", args="}")],
        [("a", "f", "{}"), ("b", "g", "{}")],
    ),
    "a function that is None": (
        [{"index": 0, "id": "a", "function": None}, entry(0, None, "f", "{}")],
        [("a", "f", "{}")],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_calls_come_out_whole_with(name: str) -> None:
    fragments, expected = CASES[name]
    assert calls(fragments) == expected


def test_brackets_in_strings_do_not_end_the_arguments() -> None:
    pieces = ['{"x": "}', '\\"}{', "\\", '\\"', ', "y": 1}']
    fragments = [entry(0, None, "f", piece) for piece in pieces]
    assert calls(fragments) == [("new_1", "f", "".join(pieces))]
    assert json.loads("".join(pieces)) == {"x": '}"}{\\', "y": 1}


def test_arguments_that_are_no_json_are_left_to_the_tool() -> None:
    assert calls([entry(0, "a", "f", '{"x":1} {"x":')]) == [("a", "f", '{"x":1} {"x":')]


ARGUMENTS = st.dictionaries(st.text(max_size=5), st.text(max_size=8) | st.integers(), max_size=3)


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.sampled_from("fg"), ARGUMENTS), min_size=1, max_size=4),
    st.booleans(),
    st.data(),
)
def test_any_calls_cut_anywhere_come_out_whole(
    made: list[tuple[str, dict[str, Any]]], repeat_name: bool, data: st.DataObject
) -> None:
    """As from a server that numbers every call 0 and gives no ids."""
    fragments = []
    for name, arguments in made:
        text = json.dumps(arguments, ensure_ascii=data.draw(st.booleans()))
        cuts = sorted(data.draw(st.sets(st.integers(1, len(text) - 1), max_size=3)))
        pieces = [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])]
        fragments.append(entry(0, None, name, pieces[0]))
        fragments += [entry(0, None, name if repeat_name else None, p) for p in pieces[1:]]
    result = calls(fragments)
    assert [(name, json.loads(arguments)) for _, name, arguments in result] == made
    assert len({call_id for call_id, _, _ in result}) == len(made)
