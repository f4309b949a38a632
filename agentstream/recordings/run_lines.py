"""What a run tells beside its model calls, as plain data, and back: items, agents and marks."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any, Final, cast

from pydantic import BaseModel, TypeAdapter

from .. import items as item_kinds
from ..agent import Agent
from ..items import RunItem, RunItemBase
from ..models.output_items import output_item
from ..stream_events import AgentUpdatedStreamEvent, RunItemStreamEvent
from ..tools.origin import ToolOrigin
from ..trace import lifecycle
from ..usage import Usage
from .request_match import plain, without_private

_ITEMS: Final[dict[str, type[Any]]] = {
    cast(Any, kind).type: kind
    for kind in vars(item_kinds).values()
    if isinstance(kind, type) and issubclass(kind, RunItemBase) and kind is not RunItemBase
}
_MARKS: Final[dict[str, type[Any]]] = {
    str(kind.__dataclass_fields__["type"].default): kind
    for kind in vars(lifecycle).values()
    if dataclasses.is_dataclass(kind) and isinstance(kind, type)
}
_USAGE: TypeAdapter[Usage] = TypeAdapter(Usage)
_OWN: Final = ("agent", "raw_item", "type")


class Cast:
    """The agents of a recorded run, made again by their names."""

    def __init__(self) -> None:
        self._agents: dict[str, Agent[Any]] = {}

    def __getitem__(self, name: str) -> Agent[Any]:
        if name not in self._agents:
            self._agents[name] = Agent(name=name)
        return self._agents[name]


def news_to_plain(event: Any) -> dict[str, Any] | None:
    """An event or mark as it is recorded; None for an event of the model, which its call has."""
    if event.type == "run_item_stream_event":
        return {"event": event.name, "item": item_to_plain(event.item)}
    if event.type == "agent_updated_stream_event":
        return {"agent": event.new_agent.name}
    if event.type in _MARKS:
        fields = {name: getattr(event, name) for name in event.__dataclass_fields__}
        found = {name: plain(value) for name, value in fields.items() if value is not None}
        return {"mark": found}
    return None


def news_from_plain(line: dict[str, Any], cast: Cast) -> Any:
    """The event or mark that `news_to_plain` was given."""
    if "item" in line:
        return RunItemStreamEvent(name=line["event"], item=item_from_plain(line["item"], cast))
    if "agent" in line:
        return AgentUpdatedStreamEvent(new_agent=cast[line["agent"]])
    fields = dict(line["mark"])
    kind = fields.pop("type")
    if fields.get("usage") is not None:
        fields["usage"] = _USAGE.validate_python(fields["usage"])
    return _mark_reader(kind).validate_python(fields)


@cache
def _mark_reader(kind: str) -> TypeAdapter[Any]:
    """Reads the fields of one kind of mark; made when it is first needed, which takes a while."""
    return TypeAdapter(_MARKS[kind])


def item_to_plain(item: RunItem) -> dict[str, Any]:
    """An item as it is recorded: agents by their names, a tool's own output as far as JSON goes."""
    raw: Any = item.raw_item
    found: dict[str, Any] = {"type": item.type, "agent": item.agent.name}
    if isinstance(raw, BaseModel):
        raw, found["typed"] = raw.model_dump(mode="json", exclude_unset=True, warnings=False), True
    found["raw"] = without_private(plain(raw))
    for field in dataclasses.fields(item):
        value = getattr(item, field.name)
        if field.name in _OWN or value is None:
            continue
        if isinstance(value, ToolOrigin):
            found[field.name] = value.to_json_dict()
        else:
            found[field.name] = value.name if isinstance(value, Agent) else plain(value)
    return found


def item_from_plain(data: dict[str, Any], cast: Cast) -> Any:
    """The item that `item_to_plain` was given."""
    rest = dict(data)
    kind = _ITEMS[rest.pop("type")]
    raw = rest.pop("raw")
    if not isinstance(raw, dict):
        raise ValueError("an item is an object")
    if rest.pop("typed", False):
        raw = output_item(raw)
    for name in ("source_agent", "target_agent"):
        if name in rest:
            rest[name] = cast[rest[name]]
    if "tool_origin" in rest:
        rest["tool_origin"] = ToolOrigin.from_json_dict(rest["tool_origin"])
    if kind is item_kinds.ToolCallOutputItem:
        rest.setdefault("output", None)
    return kind(agent=cast[rest.pop("agent")], raw_item=raw, **rest)
