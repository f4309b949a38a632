"""Events and answers of a model as plain data, and back; pieces of one text go together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter

from ..items import ModelResponse
from ..models.output_items import output_item
from ..models.responses.events import responses_event
from ..models.responses.stream import response_failure
from ..usage import Usage, usage_of
from .request_match import to_jsonable, without_private

ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})

# A joined text is written when it is this long, or this old: what a killed kernel may lose of it.
_CHARACTERS = 120
_SECONDS = 1.0

_USAGE: TypeAdapter[Usage] = TypeAdapter(Usage)


def model_event_to_dict(event: Any) -> dict[str, Any]:
    """An event as it is recorded: without times of day, and without who asked."""
    if isinstance(event, BaseModel):
        data = event.model_dump(mode="json", exclude_unset=True, warnings=False)
    else:
        data = to_jsonable(vars(event) if hasattr(event, "__dict__") else event)
    data.pop("obfuscation", None)  # random padding, for the network only
    if isinstance(data.get("response"), dict):
        data["response"] = _timeless(data["response"])
    raw_usage = getattr(getattr(event, "response", None), "_raw_usage", None)
    if raw_usage:
        data["raw_usage"] = to_jsonable(raw_usage)
    data["type"] = str(data.get("type") or "")  # a server may have put anything there, or nothing
    if data["type"].endswith(".delta"):
        return dict(data)
    kept: dict[str, Any] = without_private(data)
    return kept


def _timeless(response: dict[str, Any]) -> dict[str, Any]:
    times = {name: 0 for name in ("created_at", "completed_at") if response.get(name)}
    return response | times


def compress_response(data: dict[str, Any], first: dict[str, Any]) -> dict[str, Any]:
    """An event whose response repeats that of the call's first event, by what is new in it.

    A server tells instructions and tools with each of them; so they are in the file once.
    """
    response = data["response"]
    if not first.keys() <= response.keys():
        return data
    changes = {name: value for name, value in response.items() if first.get(name, ...) != value}
    return data | {"response": changes, "response_again": True}


def expand_response(data: dict[str, Any], first: dict[str, Any]) -> dict[str, Any]:
    """The event that `compress_response` was given."""
    whole = {name: value for name, value in data.items() if name != "response_again"}
    return whole | {"response": first | data["response"]}


def model_event_from_dict(data: dict[str, Any]) -> Any:
    """The event that `model_event_to_dict` was given."""
    data = dict(data)
    raw_usage = data.pop("raw_usage", None)
    event = responses_event(data)
    if raw_usage is not None:
        event.response._raw_usage = raw_usage  # type: ignore[union-attr]
    return event


class DeltaCoalescer:
    """Joins the pieces of one text, with the length and the time of each.

    Times are in seconds since the start of the call; those of the pieces in microseconds since the
    piece before.
    """

    def __init__(self) -> None:
        self._line: dict[str, Any] | None = None
        self._last = 0.0

    def add(self, at: float, data: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Take in an event; yield the lines that are complete with it."""
        if self._line is not None and not self._joins(data):
            yield from self.rest()
        if not _is_text(data):
            yield {"at": round(at, 6), **data}
            return
        size = len(data["delta"])
        if self._line is None:
            self._line = {"at": round(at, 6), **data, "pieces": [[size, 0]]}
            self._last = self._line["at"]
        else:
            self._line["delta"] += data["delta"]
            micros = round((at - self._last) * 1e6)
            self._line["pieces"].append([size, micros])
            self._last += micros / 1e6
        if len(self._line["delta"]) >= _CHARACTERS or at - self._line["at"] >= _SECONDS:
            yield from self.rest()

    def rest(self) -> Iterator[dict[str, Any]]:
        """Yield the line that is open, if there is one."""
        line, self._line = self._line, None
        if line is not None:
            if len(line["pieces"]) == 1:
                del line["pieces"]
            yield line

    def _joins(self, data: dict[str, Any]) -> bool:
        line = self._line
        if line is None or not _is_text(data) or line.keys() - {"at", "pieces"} != data.keys():
            return False
        number = line.get("sequence_number")
        if number is not None and data["sequence_number"] != number + len(line["pieces"]):
            return False
        return all(line[name] == data[name] for name in data.keys() - {"delta", "sequence_number"})


def _is_text(data: dict[str, Any]) -> bool:
    """Whether the event is a piece of text; half a character of two halves stands alone."""
    text = data.get("delta")
    return (
        data["type"].endswith(".delta")
        and isinstance(text, str)
        and text.encode("utf-8", "replace") == text.encode("utf-8", "surrogatepass")
    )


def separated(line: dict[str, Any]) -> Iterator[tuple[float, dict[str, Any]]]:
    """The events of a line, each with its time: a joined text in its pieces."""
    data = {name: value for name, value in line.items() if name not in ("at", "pieces")}
    at, place = line["at"], 0
    for number, (size, micros) in enumerate(line.get("pieces") or [[None, 0]]):
        at = round(at + micros / 1e6, 6)
        if size is None:
            yield at, data
            return
        piece = data | {"delta": data["delta"][place : place + size]}
        place += size
        if "sequence_number" in data:
            piece["sequence_number"] = data["sequence_number"] + number
        yield at, piece


def response_to_dict(answer: ModelResponse) -> dict[str, Any]:
    """A whole answer as it is recorded; its request id is a header, and left out."""
    data = {
        "output": without_private([_item(item) for item in answer.output]),
        "usage": _USAGE.dump_python(answer.usage, mode="json", warnings=False),
        "response_id": answer.response_id,
        "raw_usage": to_jsonable(answer.raw_usage),
    }
    return {name: value for name, value in data.items() if value is not None}


def _item(item: Any) -> Any:
    if isinstance(item, BaseModel):
        return item.model_dump(mode="json", exclude_unset=True, warnings=False)
    return to_jsonable(item)


def response_from_dict(data: dict[str, Any]) -> ModelResponse:
    """The answer that `response_to_dict` was given."""
    return ModelResponse(
        output=[output_item(item) for item in data["output"]],
        usage=_USAGE.validate_python(data["usage"]),
        response_id=data.get("response_id"),
        raw_usage=data.get("raw_usage"),
    )


def answer_of(events: list[dict[str, Any]], *, raw_usage: bool = False) -> ModelResponse:
    """The whole answer that a stream ended with.

    Raises
    ------
    ModelBehaviorError
        If it ended with a failure, as the model's own `get_response` raises it.
    """
    last = model_event_from_dict(events[-1])
    if last.type != "response.completed":
        raise response_failure(last.type, last)
    response = last.response
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    raw = (
        (getattr(response, "_raw_usage", None) or to_jsonable(response.usage))
        if raw_usage
        else None
    )
    return ModelResponse(
        # Some servers leave `output` empty here; the items told as done stand in for it.
        output=list(response.output or [output_item(item) for item in done]),
        usage=usage_of(response.usage),
        response_id=response.id,
        raw_usage=raw,
    )


def events_of(answer: dict[str, Any], model: str) -> Iterator[dict[str, Any]]:
    """A stream that tells an answer that was recorded in one piece."""
    usage = answer["usage"]
    tokens = (
        "input_tokens",
        "input_tokens_details",
        "output_tokens",
        "output_tokens_details",
        "total_tokens",
    )
    response: dict[str, Any] = {
        "id": answer.get("response_id") or "recorded",
        "object": "response",
        "created_at": 0,
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    number = 0
    first = response | {"status": "in_progress"}
    yield {"type": "response.created", "sequence_number": number, "response": first}
    for index, item in enumerate(answer["output"]):
        for kind in ("added", "done"):
            number += 1
            yield {
                "type": f"response.output_item.{kind}",
                "sequence_number": number,
                "output_index": index,
                "item": item,
            }
    whole = response | {
        "status": "completed",
        "output": answer["output"],
        "usage": {name: usage[name] for name in tokens},
    }
    yield {"type": "response.completed", "sequence_number": number + 1, "response": whole}
