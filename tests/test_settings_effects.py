"""Every setting does what it says, or a warning says once that it has no effect."""

from __future__ import annotations

import ast
import logging
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from openai.types.shared import Reasoning

import agentstream
from agentstream import (
    Agent,
    FunctionTool,
    Handoff,
    ModelRetrySettings,
    ModelSettings,
    MultiProvider,
    OpenAIProvider,
    RunConfig,
    Runner,
    SessionSettings,
    TimeLimits,
    UserError,
    function_tool,
)
from agentstream.run_config import ToolExecutionConfig
from agentstream.testing import ScriptedModel
from tests.models.chat_completions.client import Kept
from tests.models.http.test_server_error import RESPONSE

SOURCE = Path(agentstream.__file__).parent
SAMPLES: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.5,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "truncation": "auto",
    "max_tokens": 5,
    "reasoning": Reasoning(effort="low"),
    "verbosity": "low",
    "metadata": {"a": "b"},
    "store": False,
    "prompt_cache_retention": "24h",
    "include_usage": False,
    "response_include": ["file_search_call.results"],
    "top_logprobs": 2,
    "extra_query": {"a": "b"},
    "extra_body": {"a": "b"},
    "extra_headers": {"x-a": "b"},
    "extra_args": {"user": "me"},
    "retry": ModelRetrySettings(max_retries=1),
    "context_management": [{"type": "compaction"}],
    "prompt_cache_options": {"mode": "auto"},
    "preserve_raw_usage": True,
    "timeout": 5.0,
}
# What is done here and not by the server; each has tests of its own.
LOCAL = {"retry", "preserve_raw_usage", "timeout"}


@function_tool
def ping() -> str:
    """Ping."""
    return "pong"


async def sent(api: str, settings: ModelSettings) -> Any:
    """What goes out over HTTP with these settings."""
    import httpx2

    if api == "chat":
        client = Kept()
        model: Any = agentstream.OpenAIChatCompletionsModel("m", client)
    else:
        client = Kept(lambda _: httpx2.Response(200, json=RESPONSE))
        model = agentstream.OpenAIResponsesModel("m", client)
    agent: Agent[Any] = Agent(name="A", tools=[ping], model=model, model_settings=settings)
    if api == "chat":
        result = Runner.run_streamed(agent, "Go")
        async for _ in result.stream_events():
            pass
    else:
        await Runner.run(agent, "Go")
    headers = {name: value for name, value in client.headers[0].items() if name.startswith("x-a")}
    return client.sent[0], client.urls[0], headers


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("name", [field.name for field in fields(ModelSettings)])
async def test_a_model_setting_is_sent_or_warned_about(
    api: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ModelSettings(**{name: SAMPLES[name]})
    with caplog.at_level(logging.WARNING):
        changed = await sent(api, settings) != await sent(api, ModelSettings())
    warned = [text for text in caplog.messages if name in text]
    if name in LOCAL:
        assert not warned
        return
    assert changed != bool(warned)
    assert len(warned) <= 1
    if warned and name != "include_usage":
        assert "Use " in warned[0] or "with RunConfig" in warned[0]


async def test_what_chat_leaves_out_of_reasoning_is_told(caplog: pytest.LogCaptureFixture) -> None:
    settings = ModelSettings(reasoning=Reasoning(effort="low", summary="auto"))
    body, _, _ = await sent("chat", settings)
    assert body["reasoning_effort"] == "low"
    assert "reasoning.summary" in caplog.text


async def test_a_warning_is_given_once_however_long_the_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for _ in range(3):
        await sent("chat", ModelSettings(truncation="auto"))
    assert len([text for text in caplog.messages if "truncation" in text]) == 1


async def test_who_wants_an_error_gets_one() -> None:
    model = agentstream.OpenAIChatCompletionsModel("m", Kept(), strict_feature_validation=True)
    agent: Agent[Any] = Agent(
        name="A", model=model, model_settings=ModelSettings(truncation="auto")
    )
    with pytest.raises(UserError, match="truncation"):
        await Runner.run(agent, "Go")


def reads(*places: str) -> set[str]:
    """The attributes that the code in these places reads, of whatever it is."""
    files = [f for place in places for f in SOURCE.glob(place)]
    assert files
    found: set[str] = set()
    for node in (n for file in files for n in ast.walk(ast.parse(file.read_text("utf-8")))):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            found.add(node.attr)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr":
            found |= {arg.value for arg in node.args[1:2] if isinstance(arg, ast.Constant)}
    return found


# Without effect, and why no warning is due: what they ask for is so.
SO_ANYWAY = {"tracing_disabled", "trace_include_sensitive_data"}
WITHOUT_EFFECT: dict[str, Any] = {
    "tracing": {"api_key": "sk-1"},
    "workflow_name": "Lesson",
    "trace_id": "trace_1",
    "group_id": "group_1",
    "trace_metadata": {"a": "b"},
}


@pytest.mark.parametrize("name", [field.name for field in fields(RunConfig)])
def test_a_setting_of_the_run_is_read_or_warned_about(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    if name in SO_ANYWAY:
        RunConfig(**{name: name == "tracing_disabled"})
        assert not caplog.messages
        return
    if name in WITHOUT_EFFECT:
        for _ in range(2):
            RunConfig(**{name: WITHOUT_EFFECT[name]})
        [warning] = caplog.messages
        assert f"RunConfig({name}=...) has no effect" in warning
        assert "result.timeline()" in warning
        return
    if name == "sandbox":
        with pytest.raises(UserError, match="sandbox"):
            RunConfig(sandbox=object())
        return
    loads = reads("run/*.py", "models/*.py", "handoffs.py", "extensions/*.py")
    assert name in loads


def test_a_default_of_the_run_is_not_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    Runner.run_sync(Agent(name="A", model=ScriptedModel(["Done."])), "Go", run_config=RunConfig())
    assert not caplog.messages


@pytest.mark.parametrize(
    "make",
    [
        lambda: OpenAIProvider(api_key="none-none", use_responses_websocket=True),
        lambda: OpenAIProvider(api_key="none-none", websocket_base_url="wss://localhost"),
        lambda: OpenAIProvider(api_key="none-none", agent_registration={"a": 1}),
        lambda: MultiProvider(openai_api_key="none-none", openai_use_responses_websocket=True),
        lambda: MultiProvider(
            openai_api_key="none-none", openai_responses_websocket_options={1: 2}
        ),
    ],
    ids=["websocket", "address", "registration", "multi", "options"],
)
def test_a_transport_that_is_not_here_is_told(
    make: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    make()
    [warning] = caplog.messages
    assert "requests go by HTTP" in warning


async def test_a_key_for_traces_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    result = await Runner.run(Agent(name="A", model=ScriptedModel(["Done."])), "Go")
    result.to_state().to_string(include_tracing_api_key=True)
    assert "no key is ever written" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        Agent,
        FunctionTool,
        Handoff,
        ModelRetrySettings,
        SessionSettings,
        TimeLimits,
        ToolExecutionConfig,
    ],
    ids=lambda kind: kind.__name__,
)
def test_every_field_of_what_a_program_configures_is_read_somewhere(kind: Any) -> None:
    names = {field.name for field in fields(kind) if not field.name.startswith("_")}
    assert not names - reads("**/*.py")
