"""One streamed answer of the Responses API, read over as many connections as it takes.

    POST /responses ──cut before the first delta──▶ POST again
          │ cut later, the answer is made in the background
          └──▶ GET /responses/{id}?stream=true&starting_after=n ──cut──▶ GET again ...

Each event has a number. An answer that the server makes in the background goes on while nobody is
connected, so it is read on from the last number: no event is lost, and none comes twice.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Final

import openai
from openai.types.responses import Response

from ..._utils.redaction import redact
from ...exceptions import ModelBehaviorError, ModelStalledError, ModelStreamError
from ..create import stream_response
from ..gate.admission import Admission
from ..http.server_error import no_answer
from ..http.streamed_body import StreamedBody, open_stream
from ..retry.client_retries import ClientRetries
from .events import responses_batches

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from ...items import TResponseStreamEvent

__all__ = [
    "FAILURES",
    "NOT_JSON",
    "ResumableResponseStream",
    "damaged",
    "poll_until_complete",
    "response_failure",
]

# After one of these the answer is not usable; the SDK delivers the event and then raises.
FAILURES: Final = ("response.failed", "response.incomplete", "error")

# What a stream may tell before the first delta: asked again, nothing of it counts.
_BEFORE_THE_FIRST_DELTA: Final = frozenset(
    {
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_summary_part.added",
    }
)
# An event repeated, by a proxy or a server, comes soon; to keep more of them costs the collector.
_REPEATS_LIE_WITHIN: Final = 8  # events

_DRAIN_SECONDS: Final = 0.1

# Seconds until an answer that is made in the background is looked for.
_FIRST_LOOK: Final = 0.5
_LONGEST_PAUSE: Final = 5.0

NOT_JSON: Final = (json.JSONDecodeError, UnicodeDecodeError)
"""What `parse_json` raises."""


class ResumableResponseStream:
    """Reads one answer."""

    def __init__(self, client: AsyncOpenAI, make_arguments: Callable[[], dict[str, Any]]) -> None:
        self._client = client
        self._make_arguments = make_arguments
        self._response_id: str | None = None
        self._resumed = False
        self._begun = False
        """Whether the answer has begun: from here on it cannot be asked again."""
        self._ended = False
        self._last: Any = None
        self._stray: Any = None  # the last that is no event of the API
        """The event that the answer has ended or failed with."""
        self._first = -1
        self._next = -1
        """The number that the next event should have."""
        self._floor = -1
        """Events up to this number have been delivered before the stream was resumed."""
        self._recent: deque[Any] = deque(maxlen=_REPEATS_LIE_WITHIN)

    async def batches(self) -> AsyncGenerator[list[TResponseStreamEvent], None]:
        """Yield the events of the answer, those together that came together.

        The HTTP response is closed when this generator is.

        Raises
        ------
        openai.APIError
            The request failed, or the connection broke, or the server sent an error.
        ModelBehaviorError
            The stream ended with a failure (after its event), or without an end.
        """
        # Not before the first event is asked for: the caller's watch is known from then on.
        self._retries = ClientRetries(self._client)
        self._arguments = self._make_arguments()
        self._background = _is_background(self._arguments)
        while True:
            try:
                async with (
                    self._admission() as admission,
                    open_stream(self._request(), self._retries.stall_timer, admission) as body,
                ):
                    async with aclosing(self._events(body)) as batches:
                        async for batch in batches:
                            taken = self._take(batch, body)
                            if taken:
                                yield taken
                            if self._last is None:
                                continue
                            if not self._ended:
                                raise response_failure(self._last.type, self._last)
                            admission.spent(self._last.response.usage)
                            late = await self._after_the_end(batch, batches)
                            if late:
                                yield late
                            return
                    raise self._cut_off(body)
            except asyncio.CancelledError:
                stall_error = self._retries.stall_timer.stall_error()
                if stall_error is None:
                    raise
                if not await self._should_retry(stall_error):
                    raise stall_error from None
            except NOT_JSON as error:
                damage = damaged(error)
                if not await self._should_retry(damage):
                    raise damage from error
            except (openai.APIConnectionError, openai.APIStatusError, ModelStreamError) as error:
                if not await self._should_retry(error):
                    raise

    def _events(self, body: StreamedBody) -> AsyncGenerator[list[Any], None]:
        most = self._retries.stall_timer.limits.event_bytes
        return responses_batches(body.chunks, body.request, most)

    def _take(self, batch: list[Any], body: StreamedBody) -> list[Any]:
        """Take in what came: the events that are new, up to the answer's last."""
        new: list[Any] = []
        for event in batch:
            fields = event.__dict__  # getattr of what is not there: 2 us
            if fields.get("sequence_number") == self._next:
                self._next += 1
                self._recent.append(event)
            elif self._is_repeat(event):
                continue
            new.append(event)
            if fields.get("delta") is not None:  # nearly all have one: their way ends here
                self._begun = True
                continue
            if "response" in fields:
                self._note(event, body)
            if event.type not in _BEFORE_THE_FIRST_DELTA:
                self._begun = True
                if not str(event.type).startswith("response."):
                    self._stray = event
            if self._ended or event.type in FAILURES:
                self._last = event
                break
        return new

    async def _after_the_end(
        self, batch: list[Any], batches: AsyncGenerator[list[Any], None]
    ) -> list[Any]:
        """Read what follows the answer's last event, without waiting for the server to hang up.

        What the last event holds already, by its number, is left out: it came late.
        """
        last = next(at for at, event in enumerate(batch) if event is self._last)
        late = batch[last + 1 :]
        with suppress(TimeoutError, openai.APIError, *NOT_JSON):  # the answer is whole
            async with asyncio.timeout(_DRAIN_SECONDS):
                async for more in batches:
                    late += more
        return [event for event in late if self._is_new(event)]

    def _is_new(self, event: Any) -> bool:
        number = event.__dict__.get("sequence_number")
        return not isinstance(number, int) or number >= self._next

    def _admission(self) -> Admission:
        """The way of the request through the gate; what is read on has been let through."""
        return self._retries.admission(None if self._resumed else self._arguments)

    def _request(self) -> Any:
        """Make the request, or that for the rest of the answer."""
        client = self._retries.client
        if not self._resumed:
            return stream_response(client, self._retries.extra(self._arguments))
        return client.responses.with_streaming_response.retrieve(
            self._response_id,
            stream=True,
            starting_after=self._floor,
            **self._retries.extra(_passed_on(self._arguments)),
        )

    async def _should_retry(self, error: Exception) -> bool:
        """Whether the answer is asked for once more: its rest, or all of it."""
        if self._background and self._response_id is not None and self._next >= 0:
            if self._next - 1 > self._floor:
                self._retries.count = 0  # something came: these retries are not in vain
            self._floor, self._resumed = self._next - 1, True
            return await self._retries.again(error, resumed=True)
        if self._begun or isinstance(error, ModelStalledError):
            return False
        if not await self._retries.again(error):
            return False
        self._first = self._next = -1
        self._recent.clear()
        return True

    def _is_repeat(self, event: Any) -> bool:
        """Whether an event that is not the next in number has been delivered already."""
        number = event.__dict__.get("sequence_number")
        if not isinstance(number, int):
            return False
        if self._next < 0:
            self._first = number
        elif number < self._next:
            if self._resumed and number <= self._floor:
                return True
            # Some servers give one number to all events: there equal ones are no repeats.
            rising = self._background or self._next > self._first + 1
            if rising and any(event == one for one in self._recent):
                return True
        self._recent.append(event)
        self._next = number + 1
        return False

    def _note(self, event: Any, body: StreamedBody) -> None:
        """Note what an event tells of the answer as a whole."""
        response = event.response
        if isinstance(response, Response):
            # Under this name the client itself hands out the request's id.
            response._request_id = body.request_id
            self._response_id = response.id or self._response_id
            self._ended = self._ended or event.type == "response.completed"

    def _cut_off(self, body: StreamedBody) -> ModelBehaviorError:
        """The error for a stream that has no end."""
        streams = "event-stream" in body.content_type or self._next >= 0
        kind = ModelStreamError if streams else ModelBehaviorError
        sent = "" if self._stray is None else f"; it sent {no_answer(self._stray)}"
        return kind(
            "Model did not produce a final response! Its stream ended without "
            "response.completed: the connection was cut, or the server does not speak the "
            f"Responses API (its content type was {body.content_type!r}{sent}). Try again; for "
            "a server that has Chat Completions only, call "
            "set_default_openai_api('chat_completions')."
        )


async def poll_until_complete(
    response: Any, retries: ClientRetries, arguments: Mapping[str, Any]
) -> Any:
    """The answer, when a server that makes it in the background has made it."""
    pause = _FIRST_LOOK
    while getattr(response, "status", None) in ("queued", "in_progress"):
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
        retrieve, name = retries.client.responses.retrieve, response.id
        retries.count = 0
        response = await retries.call(
            lambda: retrieve(name, **retries.extra(_passed_on(arguments)))  # noqa: B023 - awaited
        )
    return response


def _passed_on(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Of a request's arguments, those of the requests that look for its answer."""
    names = ("extra_headers", "extra_query", "timeout")
    return {name: arguments[name] for name in names if name in arguments}


def _is_background(arguments: Mapping[str, Any]) -> bool:
    body = arguments.get("extra_body")
    background = body.get("background") if isinstance(body, Mapping) else None
    return bool(arguments.get("background") if background is None else background)


def damaged(error: ValueError) -> ModelStreamError:
    """Tell of bytes that are no event of the API."""
    return ModelStreamError(
        f"The server sent what is no event of the API ({type(error).__name__}: {error}). Try "
        "again; if it happens every time, check that the base URL is that of an OpenAI-compatible "
        "API, and whether a proxy alters its event stream."
    )


def response_failure(
    kind: str, failure: Any, error_type: type[ModelBehaviorError] = ModelBehaviorError
) -> ModelBehaviorError:
    """Tell of a failed answer in the SDK's words; the hint is a note, so the text stays theirs."""
    source = getattr(failure, "response", failure)
    names = ("status", "error", "incomplete_details", "code", "message", "param")
    facts = [(name, getattr(source, name, None)) for name in names]
    details = "; ".join(f"{name}={_plain(value)}" for name, value in facts if value is not None)
    error = error_type(
        f"Responses stream ended with terminal event `{kind}`."
        + (f" {redact(details).removesuffix('.')}." if details else "")
    )
    known = None if error_type is ModelStreamError else _HINTS.get(kind)
    error.add_note(known or "Try again, or set ModelSettings.retry.")
    return error


def _plain(value: Any) -> str:
    """What the server says of an error, without the client's classes and the fields it left out."""
    if not hasattr(value, "model_dump"):
        return str(value)
    data: dict[str, Any] = value.model_dump(exclude_none=True)
    texts = [str(data.pop(name)) for name in ("code", "reason", "message") if name in data]
    return ": ".join(texts + [f"{name}={rest}" for name, rest in data.items()])


_HINTS: Final = {
    "response.incomplete": (
        "The model stopped before its answer was complete. Raise ModelSettings.max_tokens if it "
        "ran out of tokens; what arrived is in the run's events."
    ),
}
