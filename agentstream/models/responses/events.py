"""Server-sent events of the Responses API as the `openai` client's typed events.

The official client tries each of the ~60 event types in turn until one validates; here the ``type``
field picks the one type that can. That is all the difference: the objects are equal.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from contextlib import aclosing
from functools import lru_cache, partial
from typing import Any, Final, cast, get_args

from openai import APIError, BaseModel
from openai.types.responses import ResponseStreamEvent
from pydantic import ValidationError

from ..._utils.redaction import redact_data
from ...exceptions import ModelStreamError
from ..http import warm_up
from ..http.server_error import api_error, error_in, no_stream
from ..http.sse import SSEReader, event_data, parse_json
from ..output_items import read_calls
from .unions import with_typed_members

__all__ = ["loosely", "responses_batches", "responses_event", "responses_events"]


async def responses_batches(
    chunks: AsyncIterable[bytes], request: Any = None, most: int | None = None
) -> AsyncGenerator[list[ResponseStreamEvent], None]:
    """Turn the byte stream of ``POST /responses`` into typed events, those of a fragment together.

    The events equal those of the official client for the same bytes; no list is empty. `request` is
    for the error that a server's ``{"error": ...}`` becomes.

    Raises
    ------
    openai.APIError
        The server sent an ``{"error": ...}`` payload, as the official client raises it.
    AnswerTooLargeError
        An event goes on for longer than it may.
    """
    await warm_up.wait_until_built()
    reader = SSEReader(most)
    short = _fast_validators()
    # Not kept in a local: its address may hold a key, and some tracebacks print locals.
    failure, request = partial(_failure, _Unshown(request)), None
    async for chunk in chunks:
        batch: list[ResponseStreamEvent] = []
        try:
            for name, data in reader.feed(chunk):
                event = _fast_path(short, name, data)
                if event is None:
                    if name in short:  # refused: this server leaves out fields each time
                        short = {kind: short[kind] for kind in short if kind != name}
                    payload = event_data(name, data)
                    if not isinstance(payload, dict):
                        if error := error_in(payload, name):
                            raise failure(error)
                        continue  # it has no type, so it is no event
                    event = _checked_event(payload, failure, name)
                batch.append(event)
        except Exception:
            if batch:
                yield batch  # what came before the damage is not lost
            raise
        if batch:
            yield batch
        if reader.done:
            return
    for name, data in reader.finish():
        try:
            payload = parse_json(data)
        except ValueError:  # cut off: the official client drops it, too
            return
        if isinstance(payload, dict):
            yield [_checked_event(payload, failure, name)]
    if reader.body:
        yield _whole(reader.body, failure)


def _whole(body: bytes, failure: Callable[[Any], APIError]) -> list[ResponseStreamEvent]:
    """What a body means that is no stream: a whole response, as its events, or an error."""
    try:
        response = parse_json(body)
    except ValueError:
        response = None
    error = error_in(response) if isinstance(response, dict) else None
    if error and response.get("object") != "response":
        raise failure(error)
    if not isinstance(response, dict) or not isinstance(response.get("output"), list):
        raise ModelStreamError(no_stream(body))
    status = response.get("status")
    end = status if status in ("failed", "incomplete") else "completed"
    events = [
        {"type": f"response.output_item.{step}", "output_index": at, "item": item}
        for at, item in enumerate(response["output"])
        for step in ("added", "done")
    ]
    if end == "failed":
        response = redact_data(response)
    events.append({"type": f"response.{end}", "response": response})
    return [responses_event({**event, "sequence_number": n}) for n, event in enumerate(events)]


async def responses_events(
    chunks: AsyncIterable[bytes], request: Any = None
) -> AsyncGenerator[ResponseStreamEvent, None]:
    """The typed events of ``POST /responses``, one by one; see `responses_batches`."""
    async with aclosing(responses_batches(chunks, request)) as batches:
        async for batch in batches:
            for event in batch:
                yield event


@lru_cache(maxsize=1)
def _fast_validators() -> Mapping[str | None, Callable[[bytes], Any]]:
    """What builds a delta from its bytes, by the event's name: the same for all streams."""
    return {kind: cls.__pydantic_validator__.validate_json for kind, cls in _SHORT.items()}


def _fast_path(
    short: Mapping[str | None, Callable[[bytes], Any]], name: str | None, data: bytes
) -> ResponseStreamEvent | None:
    """Build a delta from its bytes at once, without a dict in between; None: take the long way.

    Why: deltas are nearly all of a stream, and this halves what one costs (2.3 us to 1.3 us). The
    ``event:`` line names the class; its validator reads the JSON and refuses any other ``type``.
    """
    validate = short.get(name)
    if validate is None:
        return None
    try:
        event = validate(data)
    except ValidationError:
        return None
    return None if event.__pydantic_extra__.get("error") else event


class _Unshown:
    """Holds a value, and does not print it."""

    def __init__(self, value: Any) -> None:
        self.value = value


_ERROR_EVENTS: Final = ("error", "response.failed", "response.error")


def _failure(request: _Unshown, error: Any) -> APIError:
    return api_error(error, request.value)


def _checked_event(
    data: dict[str, Any], failure: Callable[[Any], APIError], name: str | None
) -> ResponseStreamEvent:
    if (data.get("error") or "type" not in data) and (error := error_in(data, name)):
        raise failure(error)
    return responses_event(redact_data(data) if data.get("type") in _ERROR_EVENTS else data)


def responses_event(data: dict[str, Any]) -> ResponseStreamEvent:
    """Build the typed event of one parsed payload.

    A type that the installed client does not know is passed on as the client passes it on: an
    object of the union's first class whose ``type`` and other fields are those of the payload.
    """
    kind = data.get("type")
    cls = _CLASSES.get(kind, _FALLBACK) if isinstance(kind, str) else _FALLBACK
    try:
        event = cls.model_validate(with_typed_members(data))
    except ValidationError:
        event = loosely(cls, data)
    return cast(ResponseStreamEvent, event)


def loosely(cls: type[BaseModel], data: dict[str, Any]) -> BaseModel:
    """Build what does not validate as the client does: known fields typed, none checked."""
    if cls in _FLAT and not any(isinstance(value, (list, dict, float)) for value in data.values()):
        return _copied_event(cls, data)
    try:
        event: BaseModel = cls.construct(**data)
    except (AttributeError, TypeError):  # a key is named like a parameter of construct() itself
        event = _copied_event(cls, data)
    read_calls(event)
    return event


def _copied_event(cls: type[BaseModel], data: dict[str, Any]) -> BaseModel:
    """Build an event by copying the payload's values, whatever their types.

    Why: local servers (llama.cpp, LiteLLM, ...) leave out ``logprobs`` or ``sequence_number``, so
    nearly all of their stream fails validation. The client's loose construction then inspects
    every field's annotation, 26 us an event; for plain values all that it does is this copy, 3 us.
    """
    fields = cls.model_fields
    event = cls.__new__(cls)
    # A required field has no default but None. The four names are those of pydantic's own
    # model_construct(), which the client overrides with its recursive one.
    object.__setattr__(event, "__dict__", {name: data.get(name) for name in fields})
    object.__setattr__(event, "__pydantic_private__", None)
    object.__setattr__(event, "__pydantic_extra__", {k: data[k] for k in data if k not in fields})
    object.__setattr__(event, "__pydantic_fields_set__", {k for k in fields if k in data})
    return event


def _event_classes() -> dict[str, type[BaseModel]]:
    """Map each ``type`` to its class, in the order of the installed client's union."""
    union, *_ = get_args(ResponseStreamEvent)
    return {
        literal: cls
        for cls in get_args(union)
        for literal in get_args(cls.model_fields["type"].annotation)
    }


_CLASSES: Final = _event_classes()
_FALLBACK: Final = next(iter(_CLASSES.values()))
# The deltas: nearly all of a stream.
_SHORT: Final[dict[str | None, type[BaseModel]]] = {
    kind: cls for kind, cls in _CLASSES.items() if kind.endswith(".delta")
}
# Those with an optional field would need its default.
_FLAT: Final = frozenset(
    cls
    for kind, cls in _CLASSES.items()
    if kind.endswith(".delta") and all(f.is_required() for f in cls.model_fields.values())
)
