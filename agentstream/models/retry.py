"""Trying a failed model call again, as `ModelSettings.retry` and `ModelSettings.timeout` ask.

    attempt ──fails──▶ retries left? ──▶ policy says yes? ──▶ safe to replay? ──▶ wait ──▶ attempt
                           │ no              │ no                 │ no
                           └─────────────────┴────────────────────┴──────▶ the error is raised

- Without `ModelRetrySettings.policy` or `max_retries` nothing is tried again here. The openai
  client's own retries are the client's; from the second attempt on they are off, so that the two
  do not multiply, and with ``max_retries=0`` from the first.
- A stream is tried again only until it delivered its first event; `response.created` and
  `response.in_progress` do not count, they say nothing of the answer.
- A call that goes on from the server's own memory (a previous response, a conversation) is tried
  again only if the model says that it left nothing behind there.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, TypeVar

from ..errors import ModelTimeoutError
from ..model_settings import ModelRetryBackoffSettings
from ..usage import RequestUsage, Usage, no_input_details, no_output_details
from .retry_advice import (
    ModelRetryAdvice,
    ModelRetryAdviceRequest,
    ModelRetryNormalizedError,
    advice_for,
    normalize,
)
from .retry_policy import (
    RetryDecision,
    RetryPolicy,
    RetryPolicyContext,
    ask_policy,
    retry_policies,
)

if TYPE_CHECKING:
    from ..items import ModelResponse, TResponseStreamEvent
    from ..model_settings import ModelSettings
    from .base import Model

__all__ = [
    "ModelRetryAdvice",
    "ModelRetryAdviceRequest",
    "ModelRetryNormalizedError",
    "RetryDecision",
    "RetryPolicy",
    "RetryPolicyContext",
    "add_failed_requests",
    "advice_for",
    "call_with_retry",
    "client_for_attempt",
    "retry_policies",
    "stream_with_retry",
]

# Seconds and factors of openai-agents 0.24 where the settings say nothing.
_INITIAL_DELAY: Final = 0.25
_MULTIPLIER: Final = 2.0
_MAX_DELAY: Final = 2.0
_JITTER: Final = 0.125

_NOT_YET_AN_ANSWER: Final = ("response.created", "response.in_progress")

_client_retries_off: ContextVar[bool] = ContextVar("client_retries_off", default=False)

ClientT = TypeVar("ClientT")
T = TypeVar("T")


async def call_with_retry(
    make_call: Callable[[], Awaitable[ModelResponse]],
    settings: ModelSettings,
    *,
    model: Model,
    previous_response_id: str | None = None,
    conversation_id: str | None = None,
) -> ModelResponse:
    """Make a model call, and again after failures as the settings allow.

    Parameters
    ----------
    make_call
        Calls ``model.get_response``; asked anew for each attempt.
    settings
        Their `retry` and `timeout` (seconds for one attempt) count here.
    model
        Asked for advice after a failure.
    previous_response_id, conversation_id
        The server's memory the call goes on from.

    Returns
    -------
    ModelResponse
        Its usage counts the failed attempts as requests, too.

    Raises
    ------
    ModelTimeoutError
        The last attempt took longer than `settings.timeout` seconds.
    Exception
        What the last attempt raised.
    """
    state = _Attempts(settings, model, False, previous_response_id, conversation_id)
    while True:
        try:
            response = await state.call(make_call, _deadline(settings.timeout))
        except Exception as error:
            if not await state.try_again(error):
                raise
        else:
            add_failed_requests(response.usage, state.attempt - 1)
            return response


async def stream_with_retry(
    make_stream: Callable[[], AsyncIterator[TResponseStreamEvent]],
    settings: ModelSettings,
    *,
    model: Model,
    previous_response_id: str | None = None,
    conversation_id: str | None = None,
    failures: list[Exception] | None = None,
) -> AsyncGenerator[TResponseStreamEvent, None]:
    """Stream a model call, from its start again after failures as the settings allow.

    Parameters
    ----------
    make_stream
        Calls ``model.stream_response``; asked anew for each attempt.
    settings, model, previous_response_id, conversation_id
        As for `call_with_retry`. The time an attempt may take includes that of its reader.
    failures
        Gets the error of each attempt that another followed; see `add_failed_requests`.

    Yields
    ------
    openai.types.responses.ResponseStreamEvent
        The events as they come. After a failure the stream starts anew, with a `response.created`.

    Raises
    ------
    Exception
        What the last attempt raised, or its `ModelTimeoutError`.
    """
    state = _Attempts(settings, model, True, previous_response_id, conversation_id)
    while True:
        failure: Exception | None = None
        async with AsyncExitStack() as stack:
            stream = make_stream()
            if hasattr(stream, "aclose"):
                stack.push_async_callback(stream.aclose)
            deadline = _deadline(settings.timeout)
            started = answering = False
            while failure is None:
                # Only the model's errors are caught: none that the reader throws in at the yield.
                try:
                    # The request is made at the first event; later ones need no guard of it.
                    plain = started and deadline is None
                    event = await (
                        anext(stream) if plain else state.call(stream.__anext__, deadline)
                    )
                except StopAsyncIteration:
                    return
                except Exception as error:
                    if answering:
                        raise
                    failure = error
                else:
                    yield event
                    started, answering = True, answering or event.type not in _NOT_YET_AN_ANSWER
        if not await state.try_again(failure):
            raise failure
        if failures is not None:
            failures.append(failure)


def add_failed_requests(usage: Usage, count: int) -> None:
    """Count failed attempts of a call as requests without tokens, before the one that succeeded.

    Parameters
    ----------
    usage
        Of the successful attempt; changed in place.
    count
        Attempts that failed before it.

    Examples
    --------
    >>> usage = Usage(requests=1, input_tokens=5, total_tokens=5)
    >>> add_failed_requests(usage, 2)
    >>> usage.requests, [entry.total_tokens for entry in usage.request_usage_entries]
    (3, [0, 0, 5])
    """
    if not count:
        return
    entries = usage.request_usage_entries or [
        RequestUsage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            total_tokens=usage.total_tokens,
            input_tokens_details=usage.input_tokens_details,
            output_tokens_details=usage.output_tokens_details,
        )
    ]
    failed = [RequestUsage(0, 0, 0, no_input_details(), no_output_details()) for _ in range(count)]
    usage.requests += count
    usage.request_usage_entries = [*failed, *entries]


def client_for_attempt(client: ClientT) -> ClientT:
    """Return the openai client for the attempt under way: without its own retries where off.

    Parameters
    ----------
    client : openai.AsyncOpenAI
        The model's client.
    """
    if not _client_retries_off.get():
        return client
    copy: ClientT = client.with_options(max_retries=0)  # type: ignore[attr-defined]
    return copy


class _Attempts:
    """The attempts of one call: which is under way, and whether another follows."""

    def __init__(
        self,
        settings: ModelSettings,
        model: Model,
        stream: bool,
        previous_response_id: str | None,
        conversation_id: str | None,
    ) -> None:
        self.attempt = 1
        self._timeout = settings.timeout
        self._settings = settings.retry
        self._model = model
        self._stream = stream
        self._memory = (previous_response_id, conversation_id)

    async def call(self, make_call: Callable[[], Awaitable[T]], deadline: float | None) -> T:
        """Await the call of this attempt, until the deadline on the loop's clock."""
        with self._client_retries():
            if self._timeout is None:
                return await make_call()
            scope = asyncio.timeout_at(deadline)
            try:
                async with scope:
                    return await make_call()
            except TimeoutError:
                if scope.expired():
                    raise ModelTimeoutError(self._timeout) from None
                raise  # the model's own

    @contextmanager
    def _client_retries(self) -> Iterator[None]:
        """Switch the client's own retries off for the attempt, where they would add to these."""
        off = self.attempt > 1
        if self._settings is not None:
            # A replay that the client makes by itself would pass the check of the server's memory.
            stateful = any(self._memory) and self._settings.policy is not None
            limit = self._settings.max_retries
            off = off or limit == 0 or (limit is not None and stateful)
        token = _client_retries_off.set(off)
        try:
            yield
        finally:
            _client_retries_off.reset(token)

    async def try_again(self, error: Exception) -> bool:
        """Decide on another attempt and, if there is one, wait for its time."""
        retry = self._settings
        if retry is None or retry.policy is None or self.attempt > (retry.max_retries or 0):
            return False
        advice = self._model.get_retry_advice(
            ModelRetryAdviceRequest(error, self.attempt, self._stream, *self._memory)
        )
        facts = _facts(error, advice)
        decision = await ask_policy(
            retry.policy,
            RetryPolicyContext(
                error,
                self.attempt,
                retry.max_retries or 0,
                self._stream,
                facts,
                advice,
                *self._memory,
            ),
        )
        if not decision.retry or not self._may_replay(decision, advice):
            return False
        delay = facts.retry_after if decision.delay is None else decision.delay
        if delay is None:
            delay = _backoff(retry.backoff, self.attempt)
        if delay > 0:
            await asyncio.sleep(delay)
        self.attempt += 1
        return True

    def _may_replay(self, decision: RetryDecision, advice: ModelRetryAdvice | None) -> bool:
        safety = None if advice is None else advice.replay_safety
        if safety == "unsafe":
            return decision.approve_unsafe_replay
        return safety == "safe" or not any(self._memory)


def _facts(error: Exception, advice: ModelRetryAdvice | None) -> ModelRetryNormalizedError:
    facts = normalize(error)
    if advice is not None:
        facts = facts.overlaid(advice.normalized)
        if advice.retry_after is not None:
            facts.retry_after = advice.retry_after
    return facts


def _backoff(settings: ModelRetryBackoffSettings | None, attempt: int) -> float:
    """Seconds to wait after the attempt of this number, from 1."""
    settings = settings or ModelRetryBackoffSettings()
    initial = _INITIAL_DELAY if settings.initial_delay is None else settings.initial_delay
    multiplier = _MULTIPLIER if settings.multiplier is None else settings.multiplier
    limit = _MAX_DELAY if settings.max_delay is None else settings.max_delay
    delay = min(initial * multiplier ** (attempt - 1), limit)
    if settings.jitter is not False:
        delay *= random.uniform(1 - _JITTER, 1 + _JITTER)
    return min(delay, limit)


def _deadline(seconds: float | None) -> float | None:
    return None if seconds is None else asyncio.get_running_loop().time() + seconds
