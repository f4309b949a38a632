"""Run a scenario with the OpenAI Agents SDK and with agentstream, and compare all that shows.

A scenario is a function ``async def test_...(sdk, server)`` under `conforms`. It plays turns on
the server, uses `sdk` (the module ``agents``, then ``agentstream``) as a user would, and returns
what it observed. Compared are the two observations and the requests the server received.

CONFORMANCE_SUBJECT=agents runs the SDK against itself: a scenario that fails then is not
deterministic, and says nothing about agentstream.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import difflib
import enum
import gc
import importlib
import os
import pprint
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

import pydantic
import pytest

from agentstream.testing import ScriptedServer
from tests.leftovers import collect_leftovers

from .differences import DIFFERENCES

ORACLE = "agents"
SUBJECT = os.environ.get("CONFORMANCE_SUBJECT", "agentstream")
SECONDS = 30.0  # a scenario that takes longer hangs
RESPONSES, CHAT = "responses", "chat"
BOTH = (RESPONSES, CHAT)

pytest.importorskip(ORACLE, reason="the oracle, openai-agents, is in the extra 'dev'")
importlib.import_module(ORACLE).set_tracing_disabled(True)
gc.freeze()  # the modules of two SDKs are not garbage: without them a collection takes no time

Scenario = Callable[..., Awaitable[Any]]


class Bench(ScriptedServer):
    """A scripted server with what scenarios need around it."""

    def __init__(self, api: str) -> None:
        super().__init__()
        self.api = api
        self._client: Any = None

    def model(self, sdk: ModuleType) -> Any:
        """A model of the kind under test, asking this server."""
        if self._client is None:
            self._client = self.client()
        if self.api == CHAT:
            return sdk.OpenAIChatCompletionsModel("gpt-test", self._client)
        return sdk.OpenAIResponsesModel("gpt-test", self._client)

    def agent(self, sdk: ModuleType, name: str = "Assistant", **fields: Any) -> Any:
        """An agent on that model; of Chat Completions, usage is asked for (see `differences`)."""
        fields.setdefault("model", self.model(sdk))
        if self.api == CHAT:
            asked = sdk.ModelSettings(include_usage=True)
            fields["model_settings"] = asked.resolve(fields.get("model_settings"))
        return sdk.Agent(name=name, **fields)


def conforms(
    scenario: Scenario | None = None, *, apis: Iterable[str] = (RESPONSES,)
) -> Callable[..., Any]:
    """Make a test of a scenario: agentstream shows what the SDK shows."""

    def decorate(scenario: Scenario) -> Callable[..., Any]:
        async def test(api: str) -> None:
            theirs = await observe(scenario, ORACLE, api)
            ours = await observe(scenario, SUBJECT, api)
            assert_same(theirs, ours)

        return named(test, scenario, apis)

    return decorate(scenario) if scenario is not None else decorate


def differs(difference: str, *, theirs: Any, ours: Any, api: str = RESPONSES) -> Callable[..., Any]:
    """Make a test of a deliberate difference: what each of the two shows is written down.

    Parameters
    ----------
    difference : str
        Its name in `differences`, where the reason is.
    theirs, ours : object
        What the scenario returns with the SDK and with agentstream.
    """
    assert difference in DIFFERENCES, f"{difference!r} has no reason in differences.py"

    def decorate(scenario: Scenario) -> Callable[..., Any]:
        async def test(api: str) -> None:
            assert (await observe(scenario, ORACLE, api))["observed"] == theirs
            if SUBJECT != ORACLE:
                assert (await observe(scenario, SUBJECT, api))["observed"] == ours

        return named(test, scenario, (api,))

    return decorate


def named(test: Any, scenario: Scenario, apis: Iterable[str]) -> Any:
    test.__name__ = scenario.__name__
    test.__qualname__ = scenario.__qualname__
    test.__module__ = scenario.__module__
    test.__doc__ = scenario.__doc__
    test.scenario = scenario
    return pytest.mark.parametrize("api", list(apis))(test)


async def observe(scenario: Scenario, name: str, api: str) -> dict[str, Any]:
    """What a scenario shows with one of the two."""
    sdk = importlib.import_module(name)
    async with Bench(api) as server:
        observed = await asyncio.wait_for(scenario(sdk, server), SECONDS)
        requests = [
            {"request": f"{request.method} {request.path}", "body": as_chat_takes(request.body)}
            for request in server.requests
        ]
    if name == ORACLE:
        collect_leftovers()
    return {"observed": stable(plain(observed)), "requests": stable(plain(requests))}


def assert_same(theirs: Any, ours: Any) -> None:
    """Fail with a readable difference."""
    theirs, ours = what_arrived_is_kept(theirs, ours)
    if theirs == ours:
        return
    before, after = (
        pprint.pformat(value, width=150, sort_dicts=True).splitlines() for value in (theirs, ours)
    )
    lines = list(difflib.unified_diff(before, after, "the SDK", "agentstream", lineterm="", n=2))
    shown = lines[:120]
    if len(lines) > len(shown):
        shown.append(f"... and {len(lines) - len(shown)} more lines")
    pytest.fail("agentstream differs from the SDK:\n" + "\n".join(shown), pytrace=False)


def as_chat_takes(body: Any) -> Any:
    """A request's body without `strict: false`, which we leave out of Chat Completions on purpose.

    See `differences`; that our own requests do not have it is tested in
    tests/models/chat_completions/test_request.py.
    """
    if not isinstance(body, dict) or "messages" not in body:
        return body
    body = copy.deepcopy(body)
    schemas = [tool.get("function", {}) for tool in body.get("tools") or []]
    schemas.append((body.get("response_format") or {}).get("json_schema") or {})
    for schema in schemas:
        if schema.get("strict") is False:
            del schema["strict"]
    return body


def what_arrived_is_kept(theirs: Any, ours: Any) -> tuple[Any, Any]:
    """Take out of both what the SDK has lost of a failed run, where agentstream has no less.

    The difference "errors carry what arrived": at ``so far`` the SDK's items must begin ours, and
    all else of what the SDK tells must be told by both.
    """
    if isinstance(theirs, dict) and isinstance(ours, dict):
        theirs, ours = dict(theirs), dict(ours)
        if "so far" in ours and keeps(theirs.get("so far"), ours["so far"]):
            theirs.pop("so far", None)
            del ours["so far"]
        for key in theirs.keys() & ours.keys():
            theirs[key], ours[key] = what_arrived_is_kept(theirs[key], ours[key])
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        pairs = [what_arrived_is_kept(*pair) for pair in zip(theirs, ours, strict=True)]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return theirs, ours


def keeps(theirs: Any, ours: Any) -> bool:
    """Whether ours has all that theirs has, and perhaps more of what came later."""
    if theirs is None:
        return True
    if isinstance(theirs, dict):
        return all(keeps(value, ours.get(key)) for key, value in theirs.items())
    if isinstance(theirs, list):
        return ours[: len(theirs)] == theirs
    if isinstance(theirs, int):
        return ours >= theirs
    return theirs == ours


# What the two observations are made of.


async def ran(sdk: ModuleType, server: Bench, turns: Any, agent: Any, input: Any, **options: Any):
    """The same run twice: whole, and streamed with all its events."""
    server.play(turns)
    whole = await run(sdk, agent, input, **options)
    server.play(turns)
    return {"whole": whole, "streamed": await streamed(sdk, agent, input, **options)}


async def run(sdk: ModuleType, agent: Any, input: Any, **options: Any) -> dict[str, Any]:
    """The outcome of `Runner.run`, or its error."""
    try:
        return outcome(await sdk.Runner.run(agent, input, **options))
    except Exception as error:
        return {"error": failure(error)}


async def streamed(sdk: ModuleType, agent: Any, input: Any, **options: Any) -> dict[str, Any]:
    """The events and the outcome of `Runner.run_streamed`, or its error."""
    try:
        result = sdk.Runner.run_streamed(agent, input, **options)
    except Exception as error:
        return {"error at once": failure(error)}
    return await drained(result)


async def drained(result: Any) -> dict[str, Any]:
    """All events of a streamed result, then its outcome."""
    events: list[Any] = []
    error: Any = None
    try:
        async for event in result.stream_events():
            events.append(described(event))
    except Exception as raised:
        error = failure(raised)
    shown = {
        "events": events,
        "error": error,
        "current_turn": result.current_turn,
        "is_complete": result.is_complete,
        "current_agent": result.current_agent.name,
    }
    if error is None:
        return shown | outcome(result)
    return shown | {"so far": {"new_items": items(result.new_items)}}


def described(event: Any) -> list[Any]:
    """An event of any of the three levels."""
    if event.type == "raw_response_event":
        shown = plain(event.data)
        if event.data.type == "response.output_item.added" and shown["item"]["type"] == "reasoning":
            # The SDK goes on writing into the item that it has told, so what a reader sees of it
            # depends on when he looks.
            shown["item"] = {**shown["item"], "summary": "(being written)"}
        return ["raw", event.data.type, shown]
    if event.type == "run_item_stream_event":
        return ["item", event.name, item(event.item)]
    return ["agent", event.new_agent.name]


def outcome(result: Any) -> dict[str, Any]:
    """All that a result says."""
    return {
        "final_output": result.final_output,
        "new_items": items(result.new_items),
        "to_input_list": result.to_input_list(),
        "last_agent": result.last_agent.name,
        "last_response_id": result.last_response_id,
        "input": result.input,
        "usage": usage(result.context_wrapper.usage),
        "raw_responses": [
            {"output": one.output, "usage": usage(one.usage), "response_id": one.response_id}
            for one in result.raw_responses
        ],
        "guardrails": guardrails(result),
        "interruptions": items(result.interruptions),
    }


def usage(value: Any) -> dict[str, Any]:
    """The numbers of a usage."""
    names = ("requests", "input_tokens", "output_tokens", "total_tokens")
    return {
        **{name: getattr(value, name) for name in names},
        "cached": value.input_tokens_details.cached_tokens,
        "reasoning": value.output_tokens_details.reasoning_tokens,
        "entries": [
            (entry.input_tokens, entry.output_tokens, entry.total_tokens)
            for entry in value.request_usage_entries
        ],
    }


def guardrails(result: Any) -> dict[str, Any]:
    """The results of all guardrails that ran, or that had run."""
    shown: dict[str, Any] = {}
    for kind in ("input", "output", "tool_input", "tool_output"):
        results = getattr(result, f"{kind}_guardrail_results")
        shown[kind] = sorted(
            ([one.guardrail.get_name(), plain(one.output)] for one in results), key=repr
        )
    return shown


def items(values: Iterable[Any]) -> list[Any]:
    """Run items, described."""
    return [item(value) for value in values]


def item(value: Any) -> dict[str, Any]:
    """One run item: its class, its agents, what it says to the model and to the program."""
    shown = {"class": type(value).__name__, "type": value.type, "agent": value.agent.name}
    try:
        shown["input"] = value.to_input_item()
    except Exception as error:
        shown["input"] = failure(error)["type"]
    for name in ("output", "description", "title", "tool_name", "call_id", "arguments", "name"):
        if hasattr(value, name):
            shown[name] = getattr(value, name)
    origin = getattr(value, "tool_origin", None)
    shown["tool_origin"] = origin and origin.to_json_dict()
    for name in ("source_agent", "target_agent"):
        if hasattr(value, name):
            shown[name] = getattr(value, name).name
    return shown


def known_name(error: BaseException) -> str:
    """The name of an error's class; of one that only agentstream has, that of its nearest base."""
    sdk = importlib.import_module(ORACLE)
    own = type(error).__module__.startswith("agentstream")
    names = [cls.__name__ for cls in type(error).__mro__]
    return next((name for name in names if not own or hasattr(sdk, name)), names[0])


def failure(error: BaseException) -> dict[str, Any]:
    """An error: its type, where that is in the tree, and what the run had reached.

    Messages are each project's own, except where they come from the API.
    """
    shown: dict[str, Any] = {
        "type": known_name(error),
        "tree": [cls.__name__ for cls in type(error).__mro__ if "Exception" in cls.__name__],
    }
    data = getattr(error, "run_data", None)
    if data is not None:
        shown["so far"] = {
            "input": data.input,
            "new_items": items(data.new_items),
            "responses": len(data.raw_responses),
            "last_agent": data.last_agent.name,
            "usage": usage(data.context_wrapper.usage),
            "guardrails": guardrails(data),
        }
    return shown


def hooks(sdk: ModuleType, log: list[Any], *, of_agent: bool = False) -> Any:
    """Hooks that write down each call, for a run or for one agent."""

    def note(*words: Any) -> None:
        log.append([word if isinstance(word, str) else plain(word) for word in words])

    class OfRun(sdk.RunHooks):
        async def on_agent_start(self, context, agent):
            note("run: agent start", agent.name, len(context.turn_input))

        async def on_agent_end(self, context, agent, output):
            note("run: agent end", agent.name, output)

        async def on_handoff(self, context, from_agent, to_agent):
            note("run: handoff", from_agent.name, to_agent.name)

        async def on_tool_start(self, context, agent, tool):
            note("run: tool start", agent.name, tool.name, context.tool_call_id)

        async def on_tool_end(self, context, agent, tool, result):
            note("run: tool end", agent.name, tool.name, result)

        async def on_llm_start(self, context, agent, system_prompt, input_items):
            note("run: llm start", agent.name, system_prompt, input_items)

        async def on_llm_end(self, context, agent, response):
            note("run: llm end", agent.name, response.output, usage(context.usage))

    class OfAgent(sdk.AgentHooks):
        async def on_start(self, context, agent):
            note("agent: start", agent.name)

        async def on_end(self, context, agent, output):
            note("agent: end", agent.name, output)

        async def on_handoff(self, context, agent, source):
            note("agent: handoff", agent.name, source.name)

        async def on_tool_start(self, context, agent, tool):
            note("agent: tool start", agent.name, tool.name)

        async def on_tool_end(self, context, agent, tool, result):
            note("agent: tool end", agent.name, tool.name, result)

        async def on_llm_start(self, context, agent, system_prompt, input_items):
            note("agent: llm start", agent.name)

        async def on_llm_end(self, context, agent, response):
            note("agent: llm end", agent.name)

    return OfAgent() if of_agent else OfRun()


def plain(value: Any) -> Any:
    """A value as lists, dicts, strings and numbers, so that two libraries' can be compared."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value.value if isinstance(value, enum.Enum) else value
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(one) for one in value), key=repr)
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, pydantic.BaseModel):
        return value.model_dump(mode="json", exclude_unset=True, warnings=False)
    if isinstance(value, BaseException):
        return failure(value)
    if isinstance(value, type):
        return value.__name__
    if dataclasses.is_dataclass(value):
        fields = {
            field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
        return {"class": type(value).__name__, **fields}
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


TIMES = {"created_at", "completed_at"}


def stable(value: Any, key: str = "") -> Any:
    """The same without what is another in each run: the time, the order of what is a set."""
    if isinstance(value, dict):
        return {name: stable(one, name) for name, one in value.items()}
    if key == "include" and value:  # the SDK collects these in a set
        return sorted(value)
    if isinstance(value, list):
        return [stable(one) for one in value]
    return "(a time)" if key in TIMES and value is not None else value
