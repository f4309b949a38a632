"""Chat Completions as a `Model`: the client asks, the fold makes Responses events of the answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from openai import APIConnectionError, APIStatusError, BaseModel
from openai.types.responses import Response

from ...exceptions import ModelBehaviorError, ModelStreamError
from ...items import ModelResponse
from ...usage import usage_of
from ..base import ModelTracing
from ..create import sent_by
from ..http.batches import BatchedStream, gathered
from ..http.server_error import no_answer, no_stream
from ..http.sse import SSEReader, event_data, parse_json
from ..http.streamed_body import StreamedBody, open_stream
from ..request import ModelRequest
from ..request_model import RequestModel
from ..responses.stream import NOT_JSON, damaged, response_failure
from ..retry.attempts import ModelRetryAdvice, ModelRetryAdviceRequest, advice_for
from ..retry.client_retries import ClientRetries
from ..retry.stall_timer import connection_error
from ..unsent_settings import unsent_in_chat
from .messages import ReplayPolicy
from .reasoning_replay import ShouldReplayReasoningContent
from .request import chat_arguments, response_tool_choice
from .stream import BROKE_OFF, FAKE_ID, ChatFold

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from ...items import TResponseStreamEvent
    from ...model_settings import ModelSettings

__all__ = ["OpenAIChatCompletionsModel"]

logger = logging.getLogger(__name__)

_NO_MESSAGES: Final[dict[str, Any]] = {"messages": []}
"""The client insists on messages; these give way to those in the extra body."""
_REFUSALS: Final = (400, 422)  # "bad request", and what FastAPI servers answer to an unknown field


class OpenAIChatCompletionsModel(RequestModel):
    """A model with the Chat Completions API, at OpenAI or a compatible server.

    A stream asks for its usage. A server that refuses `stream_options` (status 400 or 422, with an
    error that names it) is asked again without it, and not asked for it any more, unless
    `ModelSettings.include_usage` is set: then its error is raised. The last `response` of a stream
    carries the usage as it came as ``_raw_usage`` if `ModelSettings.preserve_raw_usage` is set.

    Parameters
    ----------
    model : str
        The model's name.
    openai_client : openai.AsyncOpenAI
        Makes the requests, with its key, base URL, retries and timeouts.
    should_replay_reasoning_content : callable, optional
        Decides whether `reasoning_content` of earlier answers is sent back; by default it is to
        DeepSeek's models.
    strict_feature_validation : bool
        Raise UserError for what the Chat API cannot do, instead of leaving it out with a warning.
    buffer_streamed_tool_calls : bool
        Whether to deliver a streamed tool call only when it is complete.

    Examples
    --------
    >>> from openai import AsyncOpenAI
    >>> client = AsyncOpenAI(base_url="http://localhost:11434/v1", api_key="ollama")
    >>> OpenAIChatCompletionsModel("qwen3", client).model
    'qwen3'
    """

    passes_gate = True

    def __init__(
        self,
        model: str,
        openai_client: AsyncOpenAI,
        should_replay_reasoning_content: ShouldReplayReasoningContent | None = None,
        strict_feature_validation: bool = False,
        buffer_streamed_tool_calls: bool = False,
    ) -> None:
        self.model = model
        self._client = openai_client
        self._strict = strict_feature_validation
        self._buffer = buffer_streamed_tool_calls
        self._policy = ReplayPolicy(
            model=model,
            base_url=str(openai_client.base_url).rstrip("/"),
            hook=should_replay_reasoning_content,
            strict=strict_feature_validation,
        )
        self._has_stream_options = True  # until the server says that it has not

    async def _respond(self, request: ModelRequest, tracing: ModelTracing) -> ModelResponse:
        arguments = self._arguments(request, stream=False)
        retries = ClientRetries(self._client)
        create = retries.client.chat.completions.create
        completion = await retries.call(
            lambda: create(**sent_by(create, retries.extra(arguments), _NO_MESSAGES)), arguments
        )
        fold = self._fold(request, arguments)
        for _ in (*fold.feed(_completion(completion)), *fold.finish(complete=True)):
            pass
        return ModelResponse(
            output=request.names.items(fold.output()),
            usage=usage_of(fold.usage()),
            response_id=None,
            request_id=getattr(completion, "_request_id", None),
            raw_usage=fold.raw_usage if request.settings.preserve_raw_usage else None,
        )

    def _stream(
        self, request: ModelRequest, tracing: ModelTracing
    ) -> BatchedStream[TResponseStreamEvent]:
        return BatchedStream(request.names.batches(self._batches(request)))

    def get_retry_advice(self, request: ModelRetryAdviceRequest) -> ModelRetryAdvice | None:
        """Say what the error's status and headers tell about trying again."""
        return advice_for(request)

    async def _batches(
        self, request: ModelRequest
    ) -> AsyncGenerator[list[TResponseStreamEvent], None]:
        retries = ClientRetries(self._client)
        api = retries.client.chat.completions
        create = api.with_streaming_response.create
        while True:
            arguments = self._arguments(request, stream=True)
            reading = _Reading(
                self._fold(request, arguments), retries.stall_timer.limits.event_bytes
            )
            fold = reading.fold
            try:
                async with (
                    retries.admission(arguments) as admission,
                    open_stream(
                        create(**sent_by(api.create, retries.extra(arguments), _NO_MESSAGES)),
                        retries.stall_timer,
                        admission,
                    ) as body,
                ):
                    fold.request = body.request
                    async with aclosing(reading.batches(body.chunks)) as batches:
                        async for batch in batches:
                            yield batch
                    broken = reading.broken(body)
                    if broken and not fold.has_begun and await retries.again(broken):
                        continue
                    batch = list(reading.finish(request.settings, body.request_id))
                    admission.spent(fold.usage())
                    yield batch
                    if broken:
                        raise response_failure(batch[-1].type, batch[-1], ModelStreamError)
                    return
            except APIStatusError as error:  # raised before the first event
                if self._refuses_stream_options(error, request):
                    logger.warning(
                        "%s has no stream_options: it may not report the usage.", self.model
                    )
                    self._has_stream_options = False
                elif not await retries.again(error):
                    raise
            except NOT_JSON as error:
                damage = damaged(error)
                if fold.has_begun or not await retries.again(damage):
                    raise damage from error
            except (APIConnectionError, asyncio.CancelledError) as error:
                lost = connection_error(error, retries.stall_timer)
                if fold.has_ended:  # the answer is whole: [DONE] alone is missing
                    yield list(reading.finish(request.settings, None))
                    return
                if lost is not error:
                    raise lost from None
                if fold.has_begun or not await retries.again(lost):
                    raise

    def _arguments(self, request: ModelRequest, *, stream: bool) -> dict[str, Any]:
        self._check_features(request)
        arguments = chat_arguments(request, self.model, self._client, self._policy, stream=stream)
        if request.settings.include_usage is None and not self._has_stream_options:
            arguments.pop("stream_options", None)
        return arguments

    def _check_features(self, request: ModelRequest) -> None:
        for what, instead in unsent_in_chat(request.settings):
            self._policy.leave_out(what, f"It is left out. {instead}")
        kept = {
            "previous_response_id": request.previous_response_id,
            "conversation_id": request.conversation_id,
        }
        names = [name for name, value in kept.items() if value is not None]
        if names:
            self._policy.leave_out(
                "OpenAIChatCompletionsModel does not support server-managed conversation state "
                f"({', '.join(names)}). Send the whole conversation, or use OpenAIResponsesModel.",
                "It is left out.",
            )
        if request.prompt is not None:
            self._policy.leave_out(
                "Reusable prompts are only supported by the Responses API: "
                "OpenAIChatCompletionsModel does not support `prompt`.",
                "It is left out.",
            )

    def _fold(self, request: ModelRequest, arguments: dict[str, Any]) -> ChatFold:
        settings = request.settings
        response = Response(
            id=FAKE_ID,
            created_at=time.time(),
            model=self.model,
            object="response",
            output=[],
            parallel_tool_calls=bool(arguments.get("parallel_tool_calls")),
            reasoning=settings.reasoning,
            temperature=settings.temperature,
            tool_choice=response_tool_choice(settings),
            tools=[],
            top_p=settings.top_p,
        )
        return ChatFold(
            response,
            tool_names=request.names.all_sent(),
            strict=self._strict,
            buffer_tool_calls=self._buffer,
        )

    def _refuses_stream_options(self, error: APIStatusError, request: ModelRequest) -> bool:
        return (
            self._has_stream_options
            and request.settings.include_usage is None
            and error.status_code in _REFUSALS
            and "stream_options" in f"{error.message} {error.body}"
        )


class _Reading:
    """The bytes of one attempt: their chunks, and whether they came to their end."""

    def __init__(self, fold: ChatFold, most: int | None) -> None:
        self.fold = fold
        self._reader = SSEReader(most)

    async def batches(
        self, fragments: AsyncIterator[bytes]
    ) -> AsyncGenerator[list[TResponseStreamEvent], None]:
        """Yield what the fragments mean, up to the end; what came before a fault comes first."""
        async for fragment in fragments:
            batch, fault = gathered(self._events(fragment))
            if batch:
                yield batch
            if fault is not None:
                raise fault
            if self._reader.done:
                return
        batch, fault = gathered(self._rest())
        if batch:
            yield batch
        if fault is not None:
            raise fault

    def _events(self, fragment: bytes) -> Iterator[TResponseStreamEvent]:
        """Yield what the chunks mean that a fragment completes."""
        for name, data in self._reader.feed(fragment):
            chunk = event_data(name, data)
            event = self.fold.feed_text_fast(chunk)
            if event is None:
                yield from self.fold.feed(chunk, name)
            else:
                yield event

    def _rest(self) -> Iterator[TResponseStreamEvent]:
        """Yield what the chunk means whose blank line never came, if it is whole."""
        for name, data in self._reader.finish():
            try:
                chunk = event_data(name, data)
            except ValueError:  # cut within its data: it cannot be read
                continue
            yield from self.fold.feed(chunk, name)
        if self._reader.body:
            yield from self._whole(self._reader.body)

    def _whole(self, body: bytes) -> Iterator[TResponseStreamEvent]:
        """Yield what a body means that is no stream: a whole completion, or an error."""
        try:
            completion = parse_json(body)
        except ValueError:
            completion = None
        if not isinstance(completion, dict):
            raise ModelStreamError(no_stream(body))
        yield from self.fold.feed(completion)
        if not completion.get("choices"):
            raise ModelStreamError(no_stream(body))
        self._reader.done = True

    def finish(
        self, settings: ModelSettings, request_id: str | None
    ) -> Iterator[TResponseStreamEvent]:
        """Yield the events that end the answer; the last knows the request's id and the usage."""
        for event in self.fold.finish(complete=self._reader.done):
            if event.type in ("response.completed", "response.incomplete"):
                # Not fields of the type; the first under the name that the client uses.
                event.response._request_id = request_id
                if settings.preserve_raw_usage:
                    object.__setattr__(event.response, "_raw_usage", self.fold.raw_usage)
            yield event

    def broken(self, body: StreamedBody) -> ModelStreamError | None:
        """The error for a stream that broke off; None for one that came to its end."""
        if self._reader.done or self.fold.has_ended or "event-stream" not in body.content_type:
            return None
        return ModelStreamError(BROKE_OFF)


def _completion(completion: Any) -> dict[str, Any]:
    """The completion as JSON values, whatever types its fields have.

    Raises
    ------
    ModelBehaviorError
        The server answered with something else.
    """
    data = (
        completion.model_dump(exclude_unset=True, warnings=False)
        if isinstance(completion, BaseModel)
        else None
    )
    if data is None or not data.get("choices"):
        raise ModelBehaviorError(
            "ChatCompletion response has no choices (possible provider error payload): "
            f"{no_answer(completion)}"
        )
    return data
