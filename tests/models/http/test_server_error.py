"""An error is an error, and an answer an answer, in whatever shape a server sends them."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest

import agentstream
from agentstream.exceptions import ModelBehaviorError, ModelStreamError
from agentstream.models.responses.model import OpenAIResponsesModel
from tests.models.chat_completions.chunks import chunk, folded
from tests.models.chat_completions.client import COMPLETION, Kept

RESPONSE: dict[str, Any] = {
    "id": "r",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m",
    "output": [
        {
            "id": "m1",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
SHAPES = [
    'data: {"object": "error", "message": "engine died", "code": 500}\n\ndata: [DONE]\n\n',
    'data: {"detail": "engine died"}\n\ndata: [DONE]\n\n',
    'event: error\ndata: {"message": "engine died"}\n\ndata: [DONE]\n\n',
    'event: error\ndata: {"error": "engine died"}\n\ndata: [DONE]\n\n',
]
DONE = "data: [DONE]\n\n"
CHUNK = '"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": '
FAILED = '{"type": "response.failed", "response": {"error": {"message": "engine died"}}}'
# What the other API, or none, says where an error is; each is told over both.
STRANGE = [
    "event: error\ndata: engine died\n\n" + DONE,
    'event: error\ndata: "engine died"\n\n' + DONE,
    'event: error\ndata: {"type": "error", "message": "engine died", "code": "x"}\n\n',
    f"data: {FAILED}\n\n",
    'data: {"type": "error", "error": {"type": "overloaded", "message": "engine died"}}\n\n',
    f'data: {{{CHUNK}{{}}}}], "error": {{"message": "engine died"}}}}\n\n',
    'data: [{"error": {"message": "engine died", "code": 429}}]\n\n',
    'data: {"errors": [{"message": "engine died"}]}\n\n' + DONE,
    'data: {"code": "InvalidParameter", "message": "engine died"}\n\n' + DONE,
    'data: {"code": 1302, "msg": "engine died"}\n\n',
]
BODIES = [
    '{"object": "error", "message": "engine died"}',
    '{"detail": "engine died"}',
    '{"error": {"message": "engine died"}}',
    "<html>engine died</html>",
]


def model(api: str, body: str, kind: str) -> Any:
    client = Kept(
        lambda _: httpx2.Response(200, content=body.encode(), headers={"content-type": kind})
    )
    if api == "chat":
        return agentstream.OpenAIChatCompletionsModel("m", client)
    return OpenAIResponsesModel("m", client)


async def end_of(api: str, body: str, kind: str) -> Any:
    run = agentstream.Runner.run_streamed(
        agentstream.Agent(name="a", model=model(api, body, kind)), "x"
    )
    async for _ in run.stream_events():
        pass
    return run


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("body", SHAPES)
async def test_an_error_in_a_stream_is_raised_with_the_servers_words(api: str, body: str) -> None:
    with pytest.raises((openai.APIError, ModelBehaviorError), match="engine died"):
        await end_of(api, body, "text/event-stream")


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("body", STRANGE)
async def test_an_error_in_a_stream_is_told_whoever_says_it(api: str, body: str) -> None:
    with pytest.raises((openai.APIError, ModelBehaviorError), match="engine died"):
        await end_of(api, body, "text/event-stream")


async def test_a_server_that_streams_the_other_api_is_told_of() -> None:
    chunks = f'data: {{{CHUNK}{{"content": "Hi"}}, "finish_reason": "stop"}}]}}\n\n' + DONE
    with pytest.raises(ModelStreamError, match="set_default_openai_api") as error:
        await end_of("responses", chunks, "text/event-stream")
    assert "Hi" in str(error.value)
    events = 'data: {"type": "response.output_text.delta", "delta": "Hi"}\n\n'
    with pytest.raises(ModelStreamError, match="use OpenAIResponsesModel"):
        await end_of("chat", events, "text/event-stream")


@pytest.mark.pairwise
@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("kind", ["application/json", "text/html", "text/event-stream"])
@pytest.mark.parametrize("body", BODIES)
async def test_a_body_in_the_place_of_a_stream_is_told(api: str, kind: str, body: str) -> None:
    with pytest.raises((openai.APIError, ModelStreamError), match="engine died"):
        await end_of(api, body, kind)


@pytest.mark.parametrize(("api", "body"), [("chat", COMPLETION), ("responses", RESPONSE)])
@pytest.mark.parametrize("indent", [None, 2])
async def test_a_whole_answer_to_a_request_for_a_stream_is_read(
    api: str, body: Any, indent: int | None
) -> None:
    run = await end_of(api, json.dumps(body, indent=indent), "application/json")
    assert run.final_output == "Hello"
    assert len(run.new_items) == 1


@pytest.mark.parametrize("reason", ["tool_calls", "function_call", "MALFORMED_FUNCTION_CALL"])
def test_a_call_that_was_lost_is_an_error(reason: str) -> None:
    with pytest.raises(ModelBehaviorError, match=reason):
        folded([chunk({"role": "assistant"}), chunk({}, reason)])


def test_an_answer_that_ended_in_an_error_is_an_error() -> None:
    with pytest.raises(ModelBehaviorError, match="finish_reason='error'"):
        folded([chunk({"content": "Half"}), chunk({}, "error")])


def test_text_before_the_reason_tool_calls_is_an_answer() -> None:
    events = folded([chunk({"content": "Done"}), chunk({}, "tool_calls")])
    assert events[-1].response.output_text == "Done"


def test_counts_that_came_as_text_are_read() -> None:
    usage = {"prompt_tokens": "3", "completion_tokens": "4", "total_tokens": "7"}
    events = folded([chunk({"content": "a"}), chunk({}, "stop", usage=usage)])
    assert events[-1].response.usage.total_tokens == 7


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("body", BODIES[:3])
async def test_an_error_with_status_200_in_the_place_of_an_answer_is_told(
    api: str, body: str
) -> None:
    agent = agentstream.Agent(name="a", model=model(api, body, "application/json"))
    with pytest.raises(ModelBehaviorError, match="engine died"):
        await agentstream.Runner.run(agent, "x")


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(("content", "text"), [(None, ""), ([], ""), ("Hello", "Hello")])
async def test_a_message_whose_content_is_no_list_is_read(
    content: Any, text: str, streamed: bool
) -> None:
    body = RESPONSE | {"output": [RESPONSE["output"][0] | {"content": content}]}
    agent = agentstream.Agent(
        name="a", model=model("responses", json.dumps(body), "application/json")
    )
    if streamed:
        result: Any = agentstream.Runner.run_streamed(agent, "x")
        async for _ in result.stream_events():
            pass
    else:
        result = await agentstream.Runner.run(agent, "x")
    assert result.final_output == text
    assert agentstream.ItemHelpers.text_message_outputs(result.new_items) == text
    assert agentstream.ItemHelpers.extract_last_content(result.raw_responses[0].output[0]) == text
    assert result.to_frame() is not None
    assert result.to_input_list()[1]["content"] == content


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        *((body, "application/json") for body in BODIES[:3]),
        (BODIES[3], "text/html"),
        *((body, "text/event-stream") for body in SHAPES),
        ('{"success": false, "message": "engine died"}', "application/json"),
        ('{"errors": [{"message": "engine died"}]}', "application/json"),
        ('{"code": 1302, "msg": "engine died"}', "application/json"),
        ('[{"error": {"message": "engine died"}}]', "application/json"),
        ('{"choices": null, "base_resp": {"status_msg": "engine died"}}', "application/json"),
    ],
)
async def test_what_is_no_answer_in_one_piece_is_an_error_with_the_servers_words(
    api: str, body: str, kind: str
) -> None:
    agent = agentstream.Agent(name="a", model=model(api, body, kind))
    with pytest.raises((openai.APIError, ModelBehaviorError), match="engine died"):
        await agentstream.Runner.run(agent, "x")
