"""What a Chat Completions model is sent: the same as the OpenAI Agents SDK sends, word for word."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

import agentstream
from agentstream.exceptions import UserError
from agentstream.models.chat_completions.reasoning_replay import ReasoningContentReplayContext
from tests.models.chat_completions.client import Kept, ask

OPENAI = "https://api.openai.com/v1"


class Answer(BaseModel):
    number: int
    unit: str = "m"


@dataclass
class Kit:
    """What agentstream and the SDK both have, made by one of them."""

    sdk: Any

    def tool(self, name: str = "add", **options: Any) -> Any:
        async def invoke(context: Any, arguments: str) -> str:
            return ""

        schema = {
            "type": "object",
            "properties": {"a": {"type": "integer"}},
            "required": ["a"],
            "additionalProperties": False,
        }
        return self.sdk.FunctionTool(
            name=name,
            description="Adds.",
            params_json_schema=schema,
            on_invoke_tool=invoke,
            **options,
        )

    def request(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Replace what only names a thing by the thing."""
        made = copy.deepcopy(asked)
        if "tools" in made:
            made["tools"] = [self.tool(**options) for options in made["tools"]]
        if "handoffs" in made:
            agents = [self.sdk.Agent(**options) for options in made["handoffs"]]
            made["handoffs"] = [self.sdk.handoff(agent) for agent in agents]
        if "schema" in made:
            made["schema"] = self.sdk.AgentOutputSchema(**made["schema"])
        return made

    async def sent(self, asked: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The URL and the body of the request."""
        made = self.request(asked)
        client = Kept(base_url=made.pop("base_url", "http://localhost/v1"))
        names = ("strict_feature_validation", "should_replay_reasoning_content")
        options = {name: made.pop(name) for name in names if name in made}
        model = self.sdk.OpenAIChatCompletionsModel(made.pop("model", "m"), client, **options)
        await ask(model, self.sdk, **made)
        return client.urls[0], client.sent[0]


OURS = Kit(agentstream)


@pytest.fixture(scope="module")
def theirs() -> Kit:
    return Kit(pytest.importorskip("agents", reason="openai-agents, the oracle, is not installed"))


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def told(*parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "message", "id": "m1", "role": "assistant", "status": "completed",
        "content": list(parts),
    }  # fmt: skip


def text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def called(call_id: str = "c1", arguments: str = "{}", **more: Any) -> dict[str, Any]:
    return {
        "type": "function_call", "call_id": call_id, "name": "f", "arguments": arguments, **more
    }  # fmt: skip


def output(value: Any = "out", call_id: str = "c1") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": value}


def thought(*summary: str, content: list[str] | None = None, **origin: Any) -> dict[str, Any]:
    item: dict[str, Any] = {
        "type": "reasoning",
        "id": "r1",
        "summary": [{"type": "summary_text", "text": each} for each in summary],
    }
    if content is not None:
        item["content"] = [{"type": "reasoning_text", "text": each} for each in content]
    return item | ({"provider_data": origin} if origin else {})


FIELD = {"model": "m", "_chat_completions_reasoning_field": "reasoning"}
Q = {"role": "user", "content": "q"}
IMAGE = {"type": "input_image", "image_url": "https://example.org/x.png"}
FILE = {"type": "input_file", "file_data": "data:;base64,AA", "filename": "a.pdf"}

REQUESTS: dict[str, dict[str, Any]] = {
    "text": {},
    "instructions": {"system": "Be brief."},
    "empty instructions": {"system": ""},
    "tools": {"tools": [{}, {"name": "loose", "strict_json_schema": False}]},
    "handoffs": {"handoffs": [{"name": "Other Agent", "handoff_description": "Knows it."}]},
    "tools and handoffs": {"tools": [{}], "handoffs": [{"name": "B"}]},
    "parallel calls": {"tools": [{}], "settings": {"parallel_tool_calls": True}},
    "no parallel calls": {"tools": [{}], "settings": {"parallel_tool_calls": False}},
    "parallel calls without tools": {"settings": {"parallel_tool_calls": True}},
    "choice auto": {"tools": [{}], "settings": {"tool_choice": "auto"}},
    "choice required": {"tools": [{}], "settings": {"tool_choice": "required"}},
    "choice none": {"tools": [{}], "settings": {"tool_choice": "none"}},
    "choice of a tool": {"tools": [{}], "settings": {"tool_choice": "add"}},
    "choice of what is hosted elsewhere": {"settings": {"tool_choice": "web_search"}},
    "choice without tools": {"settings": {"tool_choice": "required"}},
    "output type": {"schema": {"output_type": Answer}},
    "wrapped output type": {"schema": {"output_type": list[int]}},
    "loose output type": {
        "schema": {"output_type": dict[str, Any], "strict_json_schema": False}
    },
    "text as output type": {"schema": {"output_type": str}},
    "all settings": {
        "settings": {
            "temperature": 0.5,
            "top_p": 0.4,
            "frequency_penalty": 0.1,
            "presence_penalty": 0.2,
            "truncation": "auto",
            "max_tokens": 9,
            "metadata": {"a": "b"},
            "verbosity": "low",
            "top_logprobs": 2,
            "reasoning": {"effort": "low", "summary": "auto"},
            "prompt_cache_retention": "24h",
            "prompt_cache_options": {"mode": "explicit"},
            "response_include": ["reasoning.encrypted_content"],
            "context_management": [{"type": "compaction", "compact_threshold": 1000}],
            "extra_query": {"q": "1"},
            "extra_body": {"own": 1},
            "extra_args": {"seed": 3, "service_tier": "flex"},
            "timeout": 30,
        }
    },
    "zeroes": {
        "settings": {
            "temperature": 0,
            "top_p": 0,
            "max_tokens": 0,
            "frequency_penalty": 0,
            "top_logprobs": 0,
        }
    },
    "store": {"settings": {"store": True}},
    "do not store": {"settings": {"store": False}},
    "usage asked for": {"stream": True, "settings": {"include_usage": True}},
    "usage not wanted": {"stream": True, "settings": {"include_usage": False}},
    "usage asked for, whole answer": {"settings": {"include_usage": True}},
    "own stream options": {
        "stream": True,
        "settings": {"extra_args": {"stream_options": {"include_obfuscation": False}}},
    },
    "OpenAI": {"base_url": OPENAI},
    "OpenAI, streamed": {"base_url": OPENAI, "stream": True},
    "OpenAI, do not store": {"base_url": OPENAI, "settings": {"store": False}},
    "OpenAI, usage not wanted": {
        "base_url": OPENAI,
        "stream": True,
        "settings": {"include_usage": False, "metadata": {"a": "b"}},
    },
    "roles": {
        "input": [
            {"role": "system", "content": "s"},
            {"role": "developer", "content": [{"type": "input_text", "text": "d"}, IMAGE]},
            {"type": "message", "role": "user", "content": "u"},
            {"role": "assistant", "content": "a"},
        ]
    },
    "parts": {
        "input": [
            user(
                {"type": "input_text", "text": "See"},
                IMAGE,
                {**IMAGE, "detail": "high"},
                {**IMAGE, "detail": "original"},
                FILE,
                {"type": "input_file", "file_id": "f1"},
                {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
            )
        ]
    },
    "an answer": {"input": [Q, told(text("a"), text("b")), Q]},
    "a refusal": {"input": [Q, told({"type": "refusal", "refusal": "no"}), Q]},
    "an answer and a refusal": {
        "input": [Q, told(text("a"), {"type": "refusal", "refusal": "no"}), called(), output()]
    },
    "an empty answer": {"input": [Q, told(), told(text("a")), Q]},
    "two answers": {"input": [Q, told(text("a")), told(text("b")), Q]},
    "a call": {"input": [Q, called(id="fc_1", status="completed"), output()]},
    "two calls": {"input": [Q, called(), called("c2", ""), output(), output("x", "c2")]},
    "an answer with a call": {"input": [Q, told(text("a")), called(), output()]},
    "a call before its answer": {"input": [Q, called(), told(text("a")), output()]},
    "calls of two turns": {
        "input": [Q, called(), output(), called("c2"), output("x", "c2"), told(text("z")), Q]
    },
    "a call between answers": {
        "input": [Q, told(text("a")), called(), told(text("b")), output()]
    },
    "an output in parts": {
        "input": [Q, called(), output([{"type": "input_text", "text": "a"}, IMAGE])]
    },
    "an output that is an image": {"input": [Q, called(), output([IMAGE])]},
    "an output that is a file": {"input": [Q, called(), output([FILE])]},
    "an empty output": {"input": [Q, called(), output([])]},
    "a file search": {
        "input": [
            Q,
            {"type": "file_search_call", "id": "fs", "queries": ["a"], "status": "completed"},
            told(text("z")),
        ]
    },
    "a thought of another model": {"input": [Q, thought("a", model="x"), called(), output()]},
    "a thought in a field of its own": {
        "input": [Q, thought(content=["a", "b"], **FIELD), called(), output()]
    },
    "a field of another model": {
        "input": [Q, thought(content=["a"], **{**FIELD, "model": "x"}), called(), output()]
    },
    "a signed call, to Gemini": {
        "model": "gemini-3-pro",
        "input": [Q, called(provider_data={"thought_signature": "sig"}), output()],
    },
    "a signed call, to another": {
        "input": [Q, called(provider_data={"thought_signature": "sig"}), output()]
    },
    **{
        f"DeepSeek: {name}": {"model": "deepseek-chat", "input": items}
        for name, items in {
            "thought and call": [Q, thought("a", "b"), called(), output()],
            "thought and answer": [Q, thought("a"), told(text("x")), Q],
            "thought, answer and call": [Q, thought("a"), told(text("x")), called(), output()],
            "thought between answer and call": [
                Q, told(text("x")), thought("a"), called(), output()
            ],
            "thought between calls": [
                Q, called(), thought("a"), called("c2"), output(), output("x", "c2")
            ],
            "two thoughts": [Q, thought("a"), thought("b"), called(), output()],
            "thought of its own": [
                Q, thought("a", model="deepseek-reasoner"), called(), output()
            ],
            "thought of another model": [Q, thought("a", model="gpt-5"), called(), output()],
            "thought without an answer": [Q, thought("a"), Q, called(), output()],
            "thought of two turns": [
                Q, thought("a"), called(), output(), thought("b"), told(text("z")), Q
            ],
            "thought before the program's words": [
                Q, thought("a"), {"role": "assistant", "content": "x"}, Q
            ],
            "field and summary": [Q, thought("s", content=["r"], **FIELD), called(), output()],
        }.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
async def test_the_request_is_the_same_with(name: str, theirs: Kit) -> None:
    ours, same = await OURS.sent(REQUESTS[name]), await theirs.sent(REQUESTS[name])
    _leave_out_what_servers_refuse(same[1])
    assert ours == same


def _leave_out_what_servers_refuse(body: dict[str, Any]) -> None:
    """Two differences: `strict: false` is not sent, and texts of a tool's output are one text."""
    for tool in body.get("tools") or ():
        if tool["function"].get("strict") is False:
            del tool["function"]["strict"]
    schema = (body.get("response_format") or {}).get("json_schema", {})
    if schema.get("strict") is False:
        del schema["strict"]
    for message in body["messages"]:
        if message["role"] == "tool" and isinstance(message["content"], list):
            message["content"] = "\n".join(part["text"] for part in message["content"])


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_hook_decides_what_is_replayed(wanted: bool, theirs: Kit) -> None:
    seen: list[Any] = []

    def hook(context: Any) -> bool:
        seen.append(context)
        return wanted

    items = [Q, thought("a", model="x", response_id="y"), called(), output()]
    asked = {"input": items, "should_replay_reasoning_content": hook}
    ours, same = await OURS.sent(asked), await theirs.sent(asked)
    assert ours == same
    assert ("reasoning_content" in ours[1]["messages"][1]) is wanted
    context, expected = seen
    assert isinstance(context, ReasoningContentReplayContext)
    assert (context.model, context.base_url) == (expected.model, expected.base_url)
    assert vars(context.reasoning) == vars(expected.reasoning)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown part": ({"input": [user({"type": "zzz"})]}, "Unknown content"),
    "an image by its id": (
        {"input": [user({"type": "input_image", "file_id": "f"})]},
        "Only image URLs",
    ),
    "a file by its URL": (
        {"input": [user({"type": "input_file", "file_url": "http://x"})]},
        "Only file_data or file_id",
    ),
    "audio without data": (
        {"input": [user({"type": "input_audio", "input_audio": {}})]},
        "Only audio data",
    ),
    "audio in an answer": (
        {"input": [told({"type": "output_audio", "data": "", "transcript": ""})]},
        "Only audio IDs",
    ),
    "an unknown part of an answer": ({"input": [told({"type": "zzz"})]}, "Unknown content type"),
    "an item reference": ({"input": [{"type": "item_reference", "id": "x"}]}, "item_reference"),
    "a compaction": ({"input": [{"type": "compaction", "id": "x"}]}, "Compaction items"),
    "an unknown role": ({"input": [{"role": "critic", "content": "x"}]}, "Unhandled item"),
    "what is no item": ({"input": ["x"]}, "Unhandled item"),
    "what has no type": ({"input": [{"a": 1}]}, "Unhandled item"),
    "a choice of an MCP tool": ({"mcp_choice": True}, "MCPToolChoice is not supported"),
    "a deferred tool": ({"tools": [{"defer_loading": True}]}, "defer_loading=True"),
    "an image as a tool's output, strict": (
        {"input": [Q, called(), output([IMAGE])], "strict_feature_validation": True},
        "tool.* output",
    ),
    "a previous response, strict": (
        {"previous_response_id": "r", "strict_feature_validation": True},
        "previous_response_id",
    ),
    "a conversation, strict": (
        {"conversation_id": "c", "strict_feature_validation": True},
        "conversation_id",
    ),
    "a prompt, strict": (
        {"prompt": {"id": "p"}, "strict_feature_validation": True},
        "`prompt`",
    ),
} | {
    f"{kind} items": ({"input": [Q, {"type": kind, "id": "x"}]}, "Unhandled item")
    for kind in ("web_search_call", "computer_call", "mcp_call", "code_interpreter_call", "zzz")
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_cannot_be_sent_is_a_user_error_as_in_the_sdk(name: str, theirs: Kit) -> None:
    asked, message = WRONG[name]
    for kit, error in ((OURS, UserError), (theirs, theirs.sdk.UserError)):
        made = dict(asked)
        if made.pop("mcp_choice", False):
            choice = kit.sdk.model_settings.MCPToolChoice(server_label="a", name="b")
            made["settings"] = {"tool_choice": choice}
        with pytest.raises(error, match=message):
            await kit.sent(made)


async def test_a_hosted_tool_is_refused_with_the_way_out() -> None:
    model = agentstream.OpenAIChatCompletionsModel("m", Kept())
    with pytest.raises(UserError, match="WebSearchTool.*OpenAIResponsesModel"):
        await ask(model, agentstream, tools=[agentstream.WebSearchTool()])


async def test_an_argument_given_twice_is_named(theirs: Kit) -> None:
    asked = {"settings": {"temperature": 0.5, "extra_args": {"temperature": 0.9}}}
    for kit in (OURS, theirs):
        with pytest.raises(TypeError, match="multiple values for keyword argument 'temperature'"):
            await kit.sent(asked)


async def test_stream_is_no_extra_argument() -> None:
    with pytest.raises(UserError, match="run_streamed"):
        await OURS.sent({"settings": {"extra_args": {"stream": True}}})


async def test_headers_go_along() -> None:
    client = Kept()
    model = agentstream.OpenAIChatCompletionsModel("m", client)
    await ask(model, agentstream, settings={"extra_headers": {"X-Team": "blue"}})
    assert client.headers[0]["x-team"] == "blue"


LENIENT: dict[str, tuple[list[Any], list[Any]]] = {
    "an answer without id and type": (
        [{"role": "assistant", "content": [text("a")]}],
        [{"role": "assistant", "content": "a"}],
    ),
    "an image without detail": (
        [user({**IMAGE, "detail": None})],
        [user({"type": "image_url", "image_url": {"url": IMAGE["image_url"], "detail": "auto"}})],
    ),
    "a call without arguments": (
        [{"type": "function_call", "call_id": "c1", "name": "f"}],
        [
            {
                "role": "assistant", "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            }
        ],
    ),
    "an output that is JSON": (
        [output({"a": "ü"})],
        [{"role": "tool", "tool_call_id": "c1", "content": '{"a": "ü"}'}],
    ),
    "no output": ([output(None)], [{"role": "tool", "tool_call_id": "c1", "content": ""}]),
}  # fmt: skip


@pytest.mark.parametrize("name", LENIENT)
async def test_what_the_sdk_stumbles_over_is_sent(name: str) -> None:
    items, messages = LENIENT[name]
    assert (await OURS.sent({"input": items}))[1]["messages"] == messages


async def test_a_stream_asks_for_its_usage_everywhere() -> None:
    _, body = await OURS.sent({"stream": True})
    assert body["stream_options"] == {"include_usage": True}


def test_the_texts_of_a_tools_output_are_one_string() -> None:
    from agentstream.models.chat_completions.content import tool_content

    def sent(*parts: dict[str, str]) -> object:
        return tool_content(list(parts), lambda *left_out: None)

    a, b = ({"type": "input_text", "text": text} for text in "ab")
    assert sent(a, b) == "a\nb"


async def test_extra_args_may_ask_for_the_logprobs_that_top_logprobs_asks_for_too() -> None:
    given = {"settings": {"top_logprobs": 2, "extra_args": {"logprobs": True}}}
    _, body = await OURS.sent(given)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)
