"""What goes past the client's transformation arrives as if it had gone through it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
from openai._utils import PropertyInfo
from openai.types.chat import completion_create_params
from openai.types.responses import ResponseInputTextParam, response_create_params
from pydantic import BaseModel
from typing_extensions import is_typeddict

from agentstream._utils.json import encodable_json
from agentstream.models.http.raw_body import bypass_request_transform, is_json
from agentstream.testing import ScriptedServer

TOOL = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True}


def annotations_in(hint: Any, seen: set[int]) -> Iterator[PropertyInfo]:
    """What the client would do to a value of this type."""
    if id(hint) in seen:
        return
    seen.add(id(hint))
    if get_origin(hint) is Annotated:
        yield from (one for one in get_args(hint)[1:] if isinstance(one, PropertyInfo))
    if is_typeddict(hint):
        for inner in get_type_hints(hint, include_extras=True).values():
            yield from annotations_in(inner, seen)
    for inner in get_args(hint):
        yield from annotations_in(inner, seen)


@pytest.mark.parametrize(
    "params",
    [
        response_create_params.ResponseCreateParamsStreaming,
        completion_create_params.CompletionCreateParamsStreaming,
    ],
)
def test_the_installed_client_renames_and_formats_no_field(params: Any) -> None:
    found = list(annotations_in(params, set()))
    assert [one for one in found if one.alias or one.format] == []


class Model(BaseModel):
    n: int = 1


@pytest.mark.parametrize(
    "value",
    [None, "x", 1, 1.5, True, [], {}, [{"a": [None, "b"]}]],
)
def test_json_is_json(value: Any) -> None:
    assert is_json(value)


@pytest.mark.parametrize("value", [(), {1}, b"x", Model(), [Model()], {"a": {"b": (1,)}}, ...])
def test_all_else_is_left_to_the_client(value: Any) -> None:
    assert not is_json(value)
    assert bypass_request_transform({"input": value}, ["input"]) == {"input": value}


def test_what_the_user_gave_as_extra_body_stays_and_goes_first() -> None:
    arguments = {"input": [], "tools": [TOOL], "extra_body": {"tools": [], "seed": 1}}
    moved = bypass_request_transform(arguments, ["input", "tools"])
    assert moved == {"extra_body": {"input": [], "tools": [], "seed": 1}}
    assert arguments["extra_body"] == {"tools": [], "seed": 1}


def test_an_extra_body_that_is_none_of_the_clients_is_left_to_it() -> None:
    arguments = {"input": [], "extra_body": "seed=1"}
    assert bypass_request_transform(arguments, ["input"]) == arguments


@pytest.mark.parametrize("extra", [{}, {"extra_body": {"seed": 1, "tools": []}}])
@pytest.mark.parametrize("tools", [[TOOL], [TOOL, {"type": "function", "parameters": Model()}]])
async def test_the_server_receives_the_same(extra: dict[str, Any], tools: list[Any]) -> None:
    said = ResponseInputTextParam(type="input_text", text="hi")
    asked: dict[str, Any] = {
        "model": "m",
        "input": [{"role": "user", "content": [said]}],
        "tools": tools,
        **extra,
    }
    async with ScriptedServer(["a", "b"]) as server:
        create = server.client().responses.create
        await create(**asked)
        await create(**bypass_request_transform(asked, ["input", "tools"]))
        plain, ours = (request.body for request in server.requests)
    assert json.dumps(plain, sort_keys=True) == json.dumps(ours, sort_keys=True)


def test_half_a_surrogate_pair_is_sent_as_the_replacement_character() -> None:
    arguments = {
        "instructions": "a\udce9",
        "input": [{"content": "\ud83d", "\ud83d": "\ud83d\ude00"}],
    }
    assert bypass_request_transform(arguments, ["input"]) == {
        "instructions": "a\ufffd",
        "extra_body": {"input": [{"content": "\ufffd", "\ufffd": "\U0001f600"}]},
    }


def test_text_that_can_be_sent_is_not_copied() -> None:
    value = [{"content": "caf\xe9 \U0001f600"}]
    assert bypass_request_transform({"input": value}, ["input"])["extra_body"]["input"] is value


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ('{"a": "\\ud83d"}', '{"a": "\\ufffd"}'),
        ('{"a": "\ud83d"}', '{"a": "\\ufffd"}'),
        ('{"a": "\\ud83d\\ude00"}', '{"a": "\\ud83d\\ude00"}'),
        ('{"a": "\\ud83d', '{"a": "\\ud83d'),
    ],
)
def test_json_with_half_a_surrogate_pair_is_made_readable(text: str, right: str) -> None:
    assert encodable_json(text) == right
