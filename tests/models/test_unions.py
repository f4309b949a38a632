"""Members of unions are looked up by type: what comes of it is what pydantic finds by trying."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from openai import BaseModel
from openai.types.responses import Response, ResponseOutputItem, Tool
from pydantic import TypeAdapter, ValidationError

from agentstream.models.output_items import output_item
from agentstream.models.responses import unions

ITEMS: list[dict[str, Any]] = [
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [
            {"type": "output_text", "text": "Hi", "annotations": [], "of_tomorrow": 1},
            {"type": "refusal", "refusal": "No."},
        ],
    },
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "more": [1]},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}]},
    {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "query": "x", "queries": ["x"]},
    },
    {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "text"},
    {"type": "mcp_list_tools", "id": "m", "server_label": "s", "tools": []},
]
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True},
    {"type": "web_search"},
    {"type": "mcp", "server_label": "s", "server_url": "https://example.org"},
    {"type": "code_interpreter", "container": {"type": "auto"}},
]
ANSWER: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1.0,
    "model": "m",
    "status": "completed",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "output": ITEMS,
    "tools": TOOLS,
}


def test_an_answer_is_what_pydantic_makes_of_it() -> None:
    by_type, by_trying = unions.typed_response(ANSWER), Response.model_validate(ANSWER)
    assert by_type == by_trying
    for ours, theirs in zip(
        [*by_type.output, *by_type.tools], [*by_trying.output, *by_trying.tools], strict=True
    ):
        assert type(ours) is type(theirs)
        assert ours.model_fields_set == theirs.model_fields_set
        assert ours.model_extra == theirs.model_extra


@pytest.mark.parametrize("data", ITEMS, ids=lambda data: data["type"])
def test_an_item_is_what_pydantic_makes_of_it(data: dict[str, Any]) -> None:
    assert output_item(data) == TypeAdapter(ResponseOutputItem).validate_python(data)


@pytest.mark.parametrize("data", [*ITEMS, {"type": "message"}], ids=lambda data: data["type"])
@pytest.mark.parametrize("wrong", [{"id": 5, "call_id": 5, "role": 5}, {"type": "of tomorrow"}])
def test_what_does_not_fit_its_class_fits_no_other(data: Any, wrong: dict[str, Any]) -> None:
    answer = {**ANSWER, "output": [{**data, **wrong}]}
    with pytest.raises(ValidationError):
        Response.model_validate(answer)
    with pytest.raises(ValidationError):
        unions.typed_response(answer)


@pytest.mark.parametrize("union", [ResponseOutputItem, Tool], ids=["items", "tools"])
def test_every_type_of_the_union_is_known(union: Any) -> None:
    table = dict(unions._members(union))
    classes = list(unions._classes(union))
    assert len(classes) > 10
    assert {cls for cls in classes if cls not in table.values()} == set()


def test_a_type_of_two_classes_is_left_to_pydantic() -> None:
    class First(BaseModel):
        type: Literal["a", "b"]
        first: int

    class Second(BaseModel):
        type: Literal["b", "c"]
        second: int

    assert dict(unions._members(First | Second)) == {"a": First, "c": Second}


@pytest.mark.parametrize("output", [None, {"type": "message"}, [5], "text"])
def test_an_output_that_is_no_list_of_objects_is_refused_as_before(output: Any) -> None:
    with pytest.raises(ValidationError):
        unions.typed_response({**ANSWER, "output": output})
