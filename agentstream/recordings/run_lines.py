"""What a run tells beside its model calls, as plain data, and back: items, agents and marks."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any, Final, cast, get_args

from pydantic import BaseModel, TypeAdapter

from .. import items as item_kinds
from ..agent import Agent
from ..items import RunItem, RunItemBase
from ..models.output_items import output_item
from ..stream_events import AgentUpdatedStreamEvent, RunItemStreamEvent
from ..tools.origin import ToolOrigin
from ..trace import lifecycle
from ..usage import Usage
from .request_match import to_jsonable, without_private

_ITEMS: Final[dict[str, type[Any]]] = {
    cast(Any, kind).type: kind
    for kind in vars(item_kinds).values()
    if isinstance(kind, type) and issubclass(kind, RunItemBase) and kind is not RunItemBase
}
_LIFECYCLE_EVENTS: Final[dict[str, type[Any]]] = {
    str(kind.__dataclass_fields__["type"].default): kind
    for kind in get_args(lifecycle.LifecycleEvent)
}
_USAGE: TypeAdapter[Usage] = TypeAdapter(Usage)
_OWN: Final = ("agent", "raw_item", "type")


class AgentRegistry:
    """The agents of a recorded run, made again by their names."""

    def __init__(self) -> None:
        self._agents: dict[str, Agent[Any]] = {}

    def __getitem__(self, name: str) -> Agent[Any]:
        if name not in self._agents:
            self._agents[name] = Agent(name=name)
        return self._agents[name]


def run_event_to_dict(event: Any) -> dict[str, Any] | None:
    """An event or mark as it is recorded; None for an event of the model, which its call has."""
    if event.type == "run_item_stream_event":
        return {"event": event.name, "item": item_to_dict(event.item)}
    if event.type == "agent_updated_stream_event":
        return {"agent": event.new_agent.name}
    if event.type in _LIFECYCLE_EVENTS:
        fields = {name: getattr(event, name) for name in event.__dataclass_fields__}
        data = {name: to_jsonable(value) for name, value in fields.items() if value is not None}
        return {"mark": data}
    return None


def run_event_from_dict(line: dict[str, Any], registry: AgentRegistry) -> Any:
    """The event or mark that `run_event_to_dict` was given."""
    if "item" in line:
        return RunItemStreamEvent(name=line["event"], item=item_from_dict(line["item"], registry))
    if "agent" in line:
        return AgentUpdatedStreamEvent(new_agent=registry[line["agent"]])
    fields = dict(line["mark"])
    kind = fields.pop("type")
    if fields.get("usage") is not None:
        fields["usage"] = _USAGE.validate_python(fields["usage"])
    return _lifecycle_adapter(kind).validate_python(fields)


@cache
def _lifecycle_adapter(kind: str) -> TypeAdapter[Any]:
    """Reads the fields of one kind of mark; made when it is first needed, which takes a while."""
    return TypeAdapter(_LIFECYCLE_EVENTS[kind])


def item_to_dict(item: RunItem) -> dict[str, Any]:
    """An item as it is recorded: agents by their names, a tool's own output as far as JSON goes."""
    raw: Any = item.raw_item
    data: dict[str, Any] = {"type": item.type, "agent": item.agent.name}
    if isinstance(raw, BaseModel):
        raw, data["typed"] = raw.model_dump(mode="json", exclude_unset=True, warnings=False), True
    data["raw"] = without_private(to_jsonable(raw))
    for field in dataclasses.fields(item):
        value = getattr(item, field.name)
        if field.name in _OWN or value is None:
            continue
        if isinstance(value, ToolOrigin):
            data[field.name] = value.to_json_dict()
        else:
            data[field.name] = value.name if isinstance(value, Agent) else to_jsonable(value)
    return data


def item_from_dict(data: dict[str, Any], registry: AgentRegistry) -> Any:
    """The item that `item_to_dict` was given."""
    rest = dict(data)
    kind = _ITEMS[rest.pop("type")]
    raw = rest.pop("raw")
    if not isinstance(raw, dict):
        raise ValueError("an item is an object")
    if rest.pop("typed", False):
        raw = output_item(raw)
    for name in ("source_agent", "target_agent"):
        if name in rest:
            rest[name] = registry[rest[name]]
    if "tool_origin" in rest:
        rest["tool_origin"] = ToolOrigin.from_json_dict(rest["tool_origin"])
    if kind is item_kinds.ToolCallOutputItem:
        rest.setdefault("output", None)
    return kind(agent=registry[rest.pop("agent")], raw_item=raw, **rest)
