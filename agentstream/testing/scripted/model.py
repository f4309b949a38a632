"""A model that plays a script, without network: for notebooks, lessons and tests."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NoReturn

import httpx2
import openai

from ..._utils.keywords import suggesting_init
from ...exceptions import ModelStreamError
from ...items import ModelResponse
from ...model_settings import ModelSettings
from ...models.base import ModelTracing
from ...models.request import ModelRequest
from ...models.request_model import RequestModel
from ...models.responses.events import responses_event, responses_events
from ...models.responses.stream import FAILURES, response_failure
from ...usage import usage_of
from .player import play
from .shapes import Fault, Pace, RawTurn, ScriptRequest, TimedEvent
from .turns import Script, as_pace

if TYPE_CHECKING:
    from ...items import TResponseStreamEvent
    from ...model_settings import ModelSettings

URL = "http://scripted.invalid/v1/responses"


@suggesting_init
class ScriptedModel(RequestModel):
    """A model that answers with the turns of a script, event by event, as the API streams them.

    Parameters
    ----------
    turns : list or callable
        One for each request: a string (which is said), a part such as ``call(...)``, a list of
        parts, ``turn(...)``, or a function of the `ScriptRequest` (also async) that returns one of
        these. A single function instead of the list answers every request.
    pace : Pace or float, optional
        How fast it streams: `Pace`, or tokens per second. None: at once.
    loop : bool
        Whether to begin again after the last turn.
    model : str
        The name in its responses.

    Attributes
    ----------
    requests : list of ScriptRequest
        What it was asked, in order.

    Examples
    --------
    >>> import asyncio
    >>> from agentstream.testing import ScriptedModel, call, hand_off, say, turn
    >>> model = ScriptedModel([
    ...     turn(say("Let me look."), call("get_weather", city="Lisbon")),
    ...     hand_off("Booking"),
    ...     lambda request: f"You said: {request.user_text}",
    ...     "A plain string is a turn that says it.",
    ... ])
    >>> async def types():
    ...     return [event.type async for event in model.ask("How is the weather?")]
    >>> asyncio.run(types())[:4]  # doctest: +NORMALIZE_WHITESPACE
    ['response.created', 'response.in_progress', 'response.output_item.added',
     'response.content_part.added']
    """

    passes_gate = True  # there is no service behind it

    def __init__(
        self,
        turns: Any,
        *,
        pace: Pace | float | None = None,
        loop: bool = False,
        model: str = "scripted",
    ) -> None:
        self.model = model
        self.pace = as_pace(pace)
        self.requests: list[ScriptRequest] = []
        self._script = Script(turns, loop=loop)

    def __repr__(self) -> str:
        script = self._script
        return f"ScriptedModel({len(script.turns)} turns, {script.request_count} asked for)"

    def rewind(self) -> None:
        """Begin the script again, as when a notebook's cell is run a second time."""
        self._script.request_count = 0

    def ask(self, text: str) -> AsyncIterator[TResponseStreamEvent]:
        """Stream the next turn as the answer to `text`, without an agent."""
        return self._play(self._request(ModelRequest(None, text, ModelSettings(), [], None, [])))

    async def _respond(self, request: ModelRequest, tracing: ModelTracing) -> ModelResponse:
        script_request = self._request(request)
        async with aclosing(self._play(script_request)) as events:
            async for event in events:
                if event.type == "response.completed":
                    response = event.response
                    usage = usage_of(response.usage)
                    return ModelResponse(list(response.output), usage, response.id)
        raise cut_short(script_request)

    def _stream(
        self, request: ModelRequest, tracing: ModelTracing
    ) -> AsyncIterator[TResponseStreamEvent]:
        return self._play(self._request(request))

    def _request(self, request: ModelRequest) -> ScriptRequest:
        """Keep what a function of the script, or a test, may want to know of a request."""
        model_input = request.input
        items: list[Any] = (
            [{"role": "user", "content": model_input}]
            if isinstance(model_input, str)
            else model_input
        )
        self._script.request_count += 1
        recorded = ScriptRequest(
            number=self._script.request_count,
            instructions=request.system_instructions,
            input=list(items),
            tools=tuple(tool.name for tool in request.tools),
            handoffs={handoff.agent_name: handoff.tool_name for handoff in request.handoffs},
        )
        self.requests.append(recorded)
        return recorded

    async def _play(self, request: ScriptRequest) -> AsyncGenerator[TResponseStreamEvent, None]:
        turn = await self._script.next(request)
        if turn.raw is not None:
            async with aclosing(responses_events(paced_fragments(turn.raw))) as recorded:
                async for event in recorded:
                    yield event
            return
        timed_events = play(turn, request, key=digest(request), model=self.model)
        async with aclosing(paced(timed_events, turn.pace or self.pace)) as events:
            async for data in events:
                if not isinstance(data, Fault):
                    event = responses_event(dict(data))
                    yield event
                    if event.type in FAILURES:
                        raise response_failure(event.type, event)
                elif data.kind == "cut":
                    raise cut_short(request)
                else:
                    raise_fault(data)


def cut_short(request: ScriptRequest) -> ModelStreamError:
    """What a stream without its last event comes to."""
    return ModelStreamError(
        f"Model did not produce a final response! Turn {request.number} of the script ends without "
        "response.completed: take cut() out of it if you do not want to see this."
    )


def digest(request: ScriptRequest) -> str:
    """What makes ids of one answer: the same in each run, and another for another request."""
    text = json.dumps([request.number, request.input], default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]


async def paced_fragments(raw: RawTurn) -> AsyncIterator[bytes]:
    """The fragments of recorded bytes, one after the other."""
    for fragment in raw.fragments:
        await asyncio.sleep(raw.seconds)
        yield fragment


async def paced(
    events: Iterable[TimedEvent | Fault], pace: Pace | None
) -> AsyncGenerator[Mapping[str, Any] | Fault, None]:
    """The events of a turn when they are due, and the faults that end it; a stall is waited for.

    Without a pace they are due at once, though other tasks get their turn between two events.
    """
    clock = asyncio.get_running_loop().time
    due = clock()
    waiting = pace.first_token if pace else 0.0
    for timed_event in events:
        if isinstance(timed_event, Fault):
            if timed_event.kind != "stall":
                yield timed_event
                return
            # Nothing sets this event: a stall without a length ends when its task is cancelled.
            await (
                asyncio.Event().wait()
                if timed_event.seconds is None
                else asyncio.sleep(timed_event.seconds)
            )
            due = clock()
            continue
        if pace:
            due += timed_event.seconds + timed_event.tokens / pace.tokens_per_second
            if waiting and timed_event.event["type"] == "response.output_item.added":
                due, waiting = due + waiting, 0.0
        await asyncio.sleep(max(0.0, due - clock()))
        yield timed_event.event


STATUS_ERRORS: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
}


def raise_fault(fault: Fault) -> NoReturn:
    """Raise what the API's client raises when it meets `fault`."""
    request = httpx2.Request("POST", URL)
    if fault.kind == "reset":
        raise openai.APIConnectionError(message="Connection reset by the script.", request=request)
    response = httpx2.Response(fault.status, headers=dict(fault.headers), request=request)
    error = {"message": fault.message, "type": "scripted", "code": fault.code}
    default = openai.InternalServerError if fault.status >= 500 else openai.APIStatusError
    kind = STATUS_ERRORS.get(fault.status, default)
    text = f"Error code: {fault.status} - {fault.message}"
    raise kind(text, response=response, body=error)
