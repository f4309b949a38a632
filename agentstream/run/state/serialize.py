"""A run's state as JSON, and back: how a run waits for an approval overnight."""

from __future__ import annotations

import dataclasses
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from ... import items as item_kinds
from ..._agent_info import AgentInfo
from ..._approvals import Approvals
from ..._utils.json import read_json
from ...agent import Agent
from ...exceptions import UserError
from ...handoffs import Handoff
from ...items import ModelResponse, RunItem, RunItemBase, raw_field
from ...models.output_items import output_item
from ...run_context import RunContextWrapper
from ...tools.origin import ToolOrigin
from ...usage import Usage
from .guardrail_json import guardrails_from_json, guardrails_to_json
from .json_shape import JSON_TYPES, saved_run
from .run_state import RunState

SCHEMA = "agentstream/run-state/2"
# Its decisions do not say which call they are about, as its calls are known by their ids only.
OLD_SCHEMA = "agentstream/run-state/1"

_KINDS: dict[str, type[Any]] = {
    cast(Any, kind).type: kind
    for kind in vars(item_kinds).values()
    if isinstance(kind, type) and issubclass(kind, RunItemBase) and kind is not RunItemBase
}
_USAGE: TypeAdapter[Usage] = TypeAdapter(Usage)
_APPROVALS: TypeAdapter[Approvals] = TypeAdapter(Approvals)


def state_to_json(
    state: RunState[Any], context_serializer: Callable[[Any], Any] | None, strict_context: bool
) -> dict[str, Any]:
    """`state` as a dict that JSON can hold; see `RunState.to_json`."""
    names = _Names(state.starting_agent)
    return {
        "schema": SCHEMA,
        "input": _plain(state.input),
        "question": state.trace.question,
        "waiting_ids": sorted(state.waiting_ids),
        "starting_agent": names[state.starting_agent],
        "agent": names[state.agent],
        "turn": state.turn,
        "input_checked": state.input_checked,
        "max_turns": state.max_turns,
        "conversation_id": state.conversation_id,
        "previous_response_id": state.previous_response_id,
        "auto_previous_response_id": state.auto_previous_response_id,
        "reasoning_item_id_policy": state.reasoning_item_id_policy,
        "agent_started": state.agent_started,
        "tools_used": sorted(state.tools_used),
        "saved_items": state.saved_items,
        "unsaved": state.unsaved,
        "carried": _plain(state.carried),
        "history": _plain(state.history),
        "unsent": _plain(state.unsent),
        "pending_input": _plain(state.pending_input),
        "items": [_item(item, names) for item in state.new_items],
        "model_items": _positions(state, names),
        "responses": [_response(response) for response in state.responses],
        "interruptions": [_item(item, names) for item in state.interruptions],
        "guardrails": guardrails_to_json(state, names),
        "scope": list(state.scope),
        "nested": {
            key: {
                "agent": names[inner.starting_agent],
                "state": state_to_json(inner, context_serializer, strict_context),
            }
            for key, inner in state.nested.items()
        },
        "context": _context(state.context, context_serializer, strict_context),
    }


def _plain(value: Any) -> Any:
    try:
        return to_jsonable_python(value, fallback=str)
    except Exception:  # noqa: BLE001 - a tool may return anything; its text went to the model
        return str(value)


class _Names:
    """The names of a run's agents, as `reachable_agents` tells two of one name apart."""

    def __init__(self, agent: Agent[Any]) -> None:
        self._names = {id(named): name for name, named in reachable_agents(agent).items()}

    def __getitem__(self, agent: AgentInfo) -> str:
        return self._names.get(id(agent), agent.name)


def _item(item: RunItem, names: _Names) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "type": item.type,
        "agent": names[item.agent],
        "raw": _raw(item.raw_item),
    }
    if isinstance(item.raw_item, BaseModel):
        plain["typed"] = True
    for field in dataclasses.fields(item):
        if field.name in ("agent", "raw_item", "type"):
            continue
        value = getattr(item, field.name)
        if isinstance(value, Agent):
            plain[field.name] = names[value]
        elif isinstance(value, ToolOrigin):
            plain[field.name] = value.to_json_dict()
        elif value is not None:
            plain[field.name] = _plain(value)
    return plain


def _raw(raw: Any) -> Any:
    if isinstance(raw, BaseModel):
        return raw.model_dump(mode="json", exclude_unset=True, warnings=False)
    return _plain(raw)


def _positions(state: RunState[Any], names: _Names) -> list[Any]:
    """The model's items: by place among the run's items, or whole where a filter made them."""
    places = {id(item): at for at, item in enumerate(state.new_items)}
    return [
        places[id(item)] if id(item) in places else _item(item, names) for item in state.model_items
    ]


def _response(response: ModelResponse) -> dict[str, Any]:
    return {
        "output": [_raw(item) for item in response.output],
        "usage": _plain(dataclasses.asdict(cast(Any, response.usage))),
        "response_id": response.response_id,
        "request_id": response.request_id,
        "raw_usage": response.raw_usage,
    }


def _context(
    context: RunContextWrapper[Any], serialize: Callable[[Any], Any] | None, strict: bool
) -> dict[str, Any]:
    value, whole = context.context, True
    try:
        value = to_jsonable_python(serialize(value) if serialize is not None else value)
    except (PydanticSerializationError, ValueError, TypeError) as error:
        if strict:
            raise UserError(
                f"The context ({type(context.context).__name__}) cannot be saved as JSON: {error}. "
                "Give to_json(context_serializer=...) a function that makes plain data of it."
            ) from error
        value, whole = None, False
    return {
        "value": value,
        "whole": whole,
        "type": type(context.context).__name__,
        "usage": _plain(dataclasses.asdict(cast(Any, context.usage))),
        "approvals": dataclasses.asdict(context._approvals),
        "tool_input": _plain(context.tool_input),
    }


def parse_state(text: str) -> Any:
    """The data in JSON text.

    Raises
    ------
    UserError
        If it is no JSON.
    """
    try:
        return read_json(text)
    except (ValueError, TypeError) as error:
        raise UserError(
            f"Failed to parse run state JSON, so this is no saved run: {error}. Give what "
            "to_string() returned."
        ) from error


def state_from_json(
    agent: Agent[Any],
    data: Any,
    context_override: Any,
    context_deserializer: Callable[[Any], Any] | None,
    strict_context: bool,
) -> RunState[Any]:
    """The state in `data`; see `RunState.from_json`."""
    data = _upgraded(data)
    if not isinstance(data, dict):
        hint = " Read a text with RunState.from_string()." if isinstance(data, str) else ""
        raise UserError(
            "RunState.from_json() takes the dict that to_json() returned, got "
            f"{type(data).__name__}.{hint}"
        )
    if data.get("schema") != SCHEMA:
        raise UserError(
            f"This is no run saved by this version of agentstream (schema {data.get('schema')!r}, "
            f"wanted {SCHEMA!r}); give what RunState.to_json() returned."
        )
    if not isinstance(agent, Agent):
        raise UserError(
            f"Give the agent that the run was started with, got {type(agent).__name__}."
        )
    agents = reachable_agents(agent)
    try:
        saved_run().validate_python(data)
        context = _context_from(
            data["context"], context_override, context_deserializer, strict_context
        )
        state = RunState(context, data["input"], _agent(agents, data["starting_agent"]))
        _fill(state, data, agents)
        for key, inner in data["nested"].items():
            state.nested[key] = _nested_from(agents, inner, state)
        return state
    except ValidationError as error:
        raise _damaged(_first_fault(error)) from error
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(f"{type(error).__name__}: {error}") from error


def _upgraded(data: Any) -> Any:
    """What an earlier version saved, as this one does; its decisions have to be made again."""
    if not isinstance(data, dict) or data.get("schema") != OLD_SCHEMA:
        return data
    if data.get("nested"):
        raise UserError(
            "This run was saved by an earlier version of agentstream while an agent that runs as a "
            "tool waited for an approval; finish it with that version, or start it again."
        )
    context = data.get("context")
    context = context if isinstance(context, dict) else {}
    if context.get("approvals"):
        warnings.warn(
            "This run was saved by an earlier version of agentstream, whose decisions on calls do "
            "not say which call they are about: decide on its interruptions again.",
            stacklevel=2,
        )
    scope = [uuid.uuid4().hex]
    approvals: dict[str, Any] = {"calls": {}, "tools": {}}
    return {
        **data,
        "schema": SCHEMA,
        "unsaved": [],
        "scope": scope,
        "context": {**context, "approvals": approvals},
    }


def _damaged(why: str) -> UserError:
    return UserError(
        f"The saved run is damaged ({why}); give what RunState.to_json() returned, whole."
    )


def _first_fault(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(place) for place in first['loc'])}: {first['msg']}"


def _fill(state: RunState[Any], data: dict[str, Any], agents: dict[str, Agent[Any]]) -> None:
    for name in (
        "turn",
        "input_checked",
        "max_turns",
        "conversation_id",
        "previous_response_id",
        "auto_previous_response_id",
        "reasoning_item_id_policy",
        "agent_started",
        "saved_items",
        "history",
        "unsent",
        "pending_input",
    ):
        setattr(state, name, data[name])
    state.unsaved = data["unsaved"]
    state.carried = data.get("carried", [])
    state.scope = tuple(data["scope"])
    state.trace.question = data.get("question", [])
    state.waiting_ids = frozenset(data.get("waiting_ids", []))
    state.agent = _agent(agents, data["agent"])
    state.tools_used = set(data["tools_used"])
    state.new_items = [_item_from(plain, agents) for plain in data["items"]]
    state.model_items = [
        state.new_items[entry] if isinstance(entry, int) else _item_from(entry, agents)
        for entry in data["model_items"]
    ]
    for at in state.unsaved:
        state.new_items[at]  # an IndexError here tells of damaged data
    state.responses = [_response_from(plain) for plain in data["responses"]]
    state.interruptions = [_item_from(plain, agents) for plain in data["interruptions"]]
    guardrails_from_json(state, data["guardrails"], agents)


def _nested_from(
    agents: dict[str, Agent[Any]], data: dict[str, Any], outer: RunState[Any]
) -> RunState[Any]:
    agent = _agent(agents, data["agent"])
    inner = state_from_json(agent, data["state"], outer.context.context, None, False)
    inner.context.usage = outer.context.usage
    return inner


def reachable_agents(agent: Agent[Any]) -> dict[str, Agent[Any]]:
    """The agents that can be reached from `agent` by handoffs and as tools, by name.

    Where several have one name, the handoffs and tools that lead to each are part of it: their
    order may be another when the run goes on, and what was decided about one agent's call must not
    be taken for the other's.
    """
    paths: dict[int, tuple[Agent[Any], tuple[str, ...]]] = {}
    waiting: list[tuple[Agent[Any], tuple[str, ...]]] = [(agent, ())]
    while waiting:
        current, path = waiting.pop(0)
        if id(current) in paths:
            continue
        paths[id(current)] = current, path
        for name, target in sorted(_led_to(current), key=lambda pair: pair[0]):
            waiting.append((target, (*path, name)))
    shared = Counter(each.name for each, _ in paths.values())
    agents: dict[str, Agent[Any]] = {}
    for each, path in paths.values():
        name = each.name
        if path and shared[name] > 1:
            name = f"{name}#{'/'.join(path)}"
        while name in agents:
            name += "#"
        agents[name] = each
    return agents


def _led_to(agent: Agent[Any]) -> Iterator[tuple[str, Agent[Any]]]:
    """The agents that an agent hands over to or has as tools, with the tool's name."""
    for entry in agent.handoffs:
        target = entry if isinstance(entry, Agent) else entry._agent_ref and entry._agent_ref()
        if isinstance(target, Agent):
            name = None if isinstance(entry, Agent) else entry.tool_name
            yield name or Handoff.default_tool_name(target), target
    for tool in agent.tools:
        if isinstance(target := getattr(tool, "_agent_instance", None), Agent):
            yield tool.name, target


def _agent(agents: dict[str, Agent[Any]], name: str) -> Agent[Any]:
    if name not in agents:
        raise UserError(
            f"Run state agent not found in agent map: {name!r} cannot be reached from the agent "
            f"given; found: {', '.join(agents)}. Give the agent that the run was started with."
        )
    return agents[name]


def _item_from(plain: dict[str, Any], agents: dict[str, Agent[Any]]) -> Any:
    kind = _KINDS.get(plain["type"])
    if kind is None:
        raise UserError(
            f"The saved run has an item of unknown type {plain['type']!r}; "
            "it was made by a newer agentstream."
        )
    raw = plain["raw"]
    if plain.get("typed"):
        raw = output_item(raw)
    for name in ("id", "call_id", "name"):
        if isinstance(value := raw_field(raw, name), (list, dict)):
            raise UserError(
                f"The saved run has an item of type {plain['type']!r} whose {name!r} is no text "
                f"but a {type(value).__name__}: it was changed after it was saved."
            )
    extra = {
        name: _agent(agents, value) if name in ("source_agent", "target_agent") else value
        for name, value in plain.items()
        if name not in ("type", "agent", "raw", "typed")
    }
    if "tool_origin" in extra:
        extra["tool_origin"] = ToolOrigin.from_json_dict(extra["tool_origin"])
    if kind is item_kinds.ToolCallOutputItem:
        extra.setdefault("output", None)
    return kind(agent=_agent(agents, plain["agent"]), raw_item=raw, **extra)


def _response_from(plain: dict[str, Any]) -> ModelResponse:
    return ModelResponse(
        output=[output_item(item) for item in plain["output"]],
        usage=_USAGE.validate_python(plain["usage"]),
        response_id=plain["response_id"],
        request_id=plain["request_id"],
        raw_usage=plain["raw_usage"],
    )


def _context_from(
    plain: dict[str, Any],
    override: Any,
    deserialize: Callable[[Any], Any] | None,
    strict: bool,
) -> RunContextWrapper[Any]:
    value = plain["value"]
    if override is not None:
        value = override.context if isinstance(override, RunContextWrapper) else override
    elif deserialize is not None:
        value = deserialize(value)
    elif strict and not (plain["whole"] and plain["type"] in JSON_TYPES):
        raise UserError(
            f"The saved run's context was of type {plain['type']}, which JSON does not bring back; "
            "give context_deserializer, a function that makes one of it, or context_override."
        )
    wrapper: RunContextWrapper[Any] = RunContextWrapper(value, tool_input=plain["tool_input"])
    wrapper.usage = _USAGE.validate_python(plain["usage"])
    wrapper._approvals = _APPROVALS.validate_python(plain["approvals"])
    return wrapper
