"""What a saved run looks like: its data is checked against this before any of it is used.

What came from a file is not what was written there for certain, and a wrong type would otherwise
come to light in the middle of the run that goes on.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

Json = dict[str, Any]
Count = Annotated[int, Field(ge=0, lt=2**53)]
# Names of the types that JSON brings back as they were.
JSON_TYPES = frozenset(kind.__name__ for kind in (type(None), bool, int, float, str, dict, list))

# Strict: a text "1" is no number. Further fields pass, a later version may have written them.
_CHECKED = with_config(ConfigDict(strict=True, extra="allow"))


@_CHECKED
class Item(TypedDict):
    """An item of the run."""

    type: str
    agent: str
    raw: Json
    typed: NotRequired[bool]
    description: NotRequired[str | None]
    title: NotRequired[str | None]
    source_agent: NotRequired[str]
    target_agent: NotRequired[str]
    tool_name: NotRequired[str | None]
    tool_namespace: NotRequired[str | None]
    tool_origin: NotRequired[Json | None]
    run_scope: NotRequired[list[str]]
    position: NotRequired[Count]
    input_id: NotRequired[str]
    custom_data: NotRequired[Json | None]
    display: NotRequired[list[Json]]
    traceback: NotRequired[str]


@_CHECKED
class Response(TypedDict):
    """An answer of the model."""

    output: list[Json]
    usage: Json
    response_id: str | None
    request_id: str | None
    raw_usage: Json | None


@_CHECKED
class Decision(TypedDict):
    """What was decided about one call, or all calls of one tool."""

    approved: bool
    tool_name: str
    call_id: str
    message: str | None


@_CHECKED
class Decisions(TypedDict):
    """All decisions, by what they are about."""

    calls: dict[str, Decision]
    tools: dict[str, Decision]


@_CHECKED
class Context(TypedDict):
    """The user's context, and what the run counts and knows beside its items."""

    value: Any
    whole: bool
    type: str
    usage: Json
    approvals: Decisions
    tool_input: Any


@_CHECKED
class Checked(TypedDict):
    """What a guardrail of the run's input or output found."""

    name: str
    output_info: Any
    tripwire_triggered: bool
    agent: NotRequired[str]


@_CHECKED
class Behaved(TypedDict):
    """What a guardrail of a tool found."""

    name: str
    output_info: Any
    behavior: Json


@_CHECKED
class Guardrails(TypedDict):
    """What all guardrails found."""

    input: list[Checked]
    output: list[Checked]
    tool_input: list[Behaved]
    tool_output: list[Behaved]


@_CHECKED
class Nested(TypedDict):
    """A paused run inside this one; its state is checked when it is read."""

    agent: str
    state: Json


@_CHECKED
class SavedRun(TypedDict):
    """A whole state, as `RunState.to_json` gives it."""

    input: str | list[Json]
    question: NotRequired[list[Json]]
    waiting_ids: NotRequired[list[str]]
    starting_agent: str
    agent: str
    turn: Count
    input_checked: bool
    max_turns: Count | None
    conversation_id: str | None
    previous_response_id: str | None
    auto_previous_response_id: bool
    reasoning_item_id_policy: Literal["preserve", "omit"] | None
    agent_started: bool
    tools_used: list[str]
    saved_items: Count
    unsaved: list[Count]
    carried: NotRequired[list[Json]]
    history: list[Json]
    unsent: list[Json]
    pending_input: list[Json]
    items: list[Item]
    model_items: list[Count | Item]
    responses: list[Response]
    interruptions: list[Item]
    guardrails: Guardrails
    scope: Annotated[list[str], Field(min_length=1)]
    nested: dict[str, Nested]
    context: Context


@cache
def saved_run() -> TypeAdapter[Any]:
    """Checks a saved run; made when it is first needed, which takes a while."""
    return TypeAdapter(SavedRun)
