"""Trying a failed model call again: the deciders, in the order in which an error comes by them.

    what failed                          who decides               the next attempt
    ──────────────────────────────────── ───────────────────────── ────────────────────────────────
    a cut stream of a background answer  `ResumableResponseStream` goes on where it was cut
    a request that the service refused   the gate, if there is one at once, at the head of the line
      for now (429)                        (`returns_to_line`)
    a request, or a stream cut before    `ClientRetries`: rules    after 0.5 to 8 s, or retry-after;
      its first delta                      of the openai client      `max_retries` of the client
    a conversation that is locked        `_try_unlocked`           after 1, 2 and 4 s
    anything else                        `ModelRetrySettings`:     after the policy's delay, or
                                           its policy                retry-after, or its backoff

The first three deal with requests, inside a model (the gate also here, for a model that knows of
none); the others with the whole call, here. What none of them tries again is raised. All read and
write the one `StallTimer` of the call: its limits, its gate, how often it was tried, whether its
answer has begun.

- Without `ModelRetrySettings.policy` or `max_retries` nothing is tried again here. From the second
  attempt on `ClientRetries` makes none, so that the two do not multiply, and with
  ``max_retries=0`` none from the first.
- The answer has begun for a request with its first delta: a model that began to speak is not asked
  again behind the caller's back. For the call it has begun with the first event but
  `response.created` and `response.in_progress`, which say nothing of it. From then on it is tried
  again only where `ModelRetrySettings.replace_partial` is set.
- A call that goes on from the server's own memory (a previous response, a conversation) is tried
  again only if the model says that it left nothing behind there.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ...exceptions import ModelTimeoutError
from ...model_settings import ModelRetryBackoffSettings
from ...usage import RequestUsage, Usage, no_input_details, no_output_details
from ..gate.admission import Admission
from ..http.batches import batches_of
from .advice import (
    ModelRetryAdvice,
    ModelRetryAdviceRequest,
    ModelRetryNormalizedError,
    advice_for,
    normalize,
)
from .policy import RetryDecision, RetryPolicy, RetryPolicyContext, ask_policy, retry_policies
from .stall_timer import PAUSED, STALL_TIMER, Listener, StallTimer, pausable

if TYPE_CHECKING:
    from ...items import ModelResponse, TResponseStreamEvent
    from ...model_settings import ModelSettings, TimeLimits
    from ..base import Model
    from ..gate.gate import Gate

__all__ = [
    "Listener",
    "ModelRetryAdvice",
    "ModelRetryAdviceRequest",
    "ModelRetryNormalizedError",
    "RetryDecision",
    "RetryPolicy",
    "RetryPolicyContext",
    "add_failed_requests",
    "advice_for",
    "call_with_retry",
    "retry_policies",
    "stream_with_retry",
]

# Seconds and factors of openai-agents 0.24 where the settings say nothing.
_INITIAL_DELAY: Final = 0.25
_MULTIPLIER: Final = 2.0
_MAX_DELAY: Final = 2.0
_JITTER: Final = 0.125

_NOT_YET_AN_ANSWER: Final = ("response.created", "response.in_progress")

# How often at most, where `replace_partial` is set and nothing else: as often as the client.
_MAX_RETRIES: Final = 2

T = TypeVar("T")


async def call_with_retry(
    make_call: Callable[[], Awaitable[ModelResponse]],
    settings: ModelSettings,
    *,
    model: Model,
    previous_response_id: str | None = None,
    conversation_id: str | None = None,
    limits: TimeLimits | None = None,
    listener: Listener | None = None,
    gate: Gate | None = None,
) -> ModelResponse:
    """Make a model call, and again after failures as the settings allow.

    `settings.timeout` is in seconds for one attempt; of the `limits` only `connect` counts for an
    answer in one piece.

    Raises
    ------
    ModelTimeoutError
        The last attempt took longer than `settings.timeout` seconds.
    Exception
        What the last attempt raised.
    """
    memory = (previous_response_id, conversation_id)
    state = _Attempts(settings, model, False, memory, StallTimer(limits, listener, gate))
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
    limits: TimeLimits | None = None,
    listener: Listener | None = None,
    gate: Gate | None = None,
) -> AsyncGenerator[list[TResponseStreamEvent], None]:
    """Stream a model call, from its start again after failures as the settings allow.

    The events come as they come, those together that came together; after a failure the stream
    starts again, with a `response.created`. The time an attempt may take includes that of its
    reader. `failures` gets the error of each attempt that another followed; see
    `add_failed_requests`.

    Raises
    ------
    ModelStalledError
        The model was silent for longer than the limits allow.
    Exception
        What the last attempt raised, or its `ModelTimeoutError`.
    """
    stall_timer = StallTimer(limits, listener, gate)
    memory = (previous_response_id, conversation_id)
    state = _Attempts(settings, model, True, memory, stall_timer)
    stall_timer.start()
    monotonic, paused = time.monotonic, PAUSED
    try:
        while True:
            failure: Exception | None = None  # of this attempt
            async with AsyncExitStack() as stack:
                stream = make_stream()
                if hasattr(stream, "aclose"):
                    stack.push_async_callback(stream.aclose)
                batches = await stack.enter_async_context(aclosing(batches_of(stream)))
                following = batches.__anext__
                first: Callable[[], Awaitable[Any]] | None = state.first(batches)
                while failure is None:
                    # Only the model's errors are caught: none that the reader throws in.
                    stall_timer.waiting_since = monotonic()
                    try:
                        batch = await (following() if first is None else first())
                    except StopAsyncIteration:
                        return
                    except asyncio.CancelledError:
                        failure = stall_timer.stall_error()
                        if failure is None:
                            raise
                    except Exception as error:  # noqa: BLE001 - raised below, or tried again
                        failure = error
                    else:
                        stall_timer.waiting_since = paused
                        if stall_timer.is_silent:
                            stall_timer.recovered()
                        yield batch
                        if not stall_timer.begun:
                            first = state.later(batches)
                            if any(event.type not in _NOT_YET_AN_ANSWER for event in batch):
                                stall_timer.begin()
            if not await state.try_again(failure):
                raise failure
            if failures is not None:
                failures.append(failure)
    finally:
        stall_timer.stop()


def add_failed_requests(usage: Usage, count: int) -> None:
    """Count failed attempts of a call as requests without tokens, before the one that succeeded.

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


_MAX_LOCKED: Final = 3
"""How often a conversation that is locked is waited for: 1, 2 and 4 seconds."""


class _Attempts:
    """The attempts of one call: which is under way, and whether another follows."""

    def __init__(
        self,
        settings: ModelSettings,
        model: Model,
        stream: bool,
        memory: tuple[str | None, str | None],
        stall_timer: StallTimer,
    ) -> None:
        self.attempt = 1
        self._deadline: float | None = None
        self._waited = 0.0
        self._timeout = settings.timeout
        self._settings = settings.retry
        self._model = model
        self._stream = stream
        self._memory = memory
        self._stall_timer = stall_timer
        self._locked = 0
        """How often the server's conversation was locked by another request."""
        self._again = 0
        """How often a rate limit refused it: these are no tries."""

    def first(self, stream: AsyncIterator[T]) -> Callable[[], Awaitable[T]]:
        """How the events of an attempt are awaited until the first is there: it is begun so."""
        self._deadline = deadline = _deadline(self._timeout)
        self._waited = self._stall_timer.waited
        return lambda: self.call(stream.__anext__, deadline)

    def later(self, stream: AsyncIterator[T]) -> Callable[[], Awaitable[T]] | None:
        """How the other events are awaited; None: just so, as the request has been made."""
        if self._deadline is None:
            return None
        # What was spent in the gate's line is not held against the model.
        deadline = self._deadline + self._stall_timer.waited - self._waited
        return lambda: self._in_time(stream.__anext__, deadline)

    async def call(self, make_call: Callable[[], Awaitable[T]], deadline: float | None) -> T:
        """Await the call of this attempt, until the deadline on the loop's clock."""
        self._stall_timer.client_retries = not self._client_retries_off()
        token = STALL_TIMER.set(self._stall_timer)
        try:
            before = self._stall_timer.waited
            async with self._admission():
                if deadline is not None:
                    deadline += self._stall_timer.waited - before
                return await self._in_time(make_call, deadline)
        finally:
            STALL_TIMER.reset(token)

    def _admission(self) -> Admission:
        """The way through the gate of a call of a model that knows of none."""
        gate, model = self._stall_timer.gate, self._model
        if gate is None or getattr(model, "passes_gate", False):
            return Admission(None, self._stall_timer)
        line = gate.line("", type(model).__qualname__, str(getattr(model, "model", "")))
        return Admission(line, self._stall_timer, line.amounts(0.0))

    async def _in_time(self, make_call: Callable[[], Awaitable[T]], deadline: float | None) -> T:
        if self._timeout is None:
            return await make_call()
        scope = asyncio.timeout_at(deadline)
        self._stall_timer.timeout = self._timeout, scope
        try:
            async with scope:
                with pausable(scope):
                    return await make_call()
        except TimeoutError:
            if scope.expired():
                raise ModelTimeoutError(self._timeout) from None
            raise  # the model's own

    def _client_retries_off(self) -> bool:
        """Whether the client's own retries would add to these."""
        if self._settings is None:
            return self.attempt > 1
        # A replay that the client makes by itself would pass the check of the server's memory.
        stateful = any(self._memory) and self._settings.policy is not None
        limit = self._settings.max_retries
        return self.attempt > 1 or limit == 0 or (limit is not None and stateful)

    async def try_again(self, error: Exception) -> bool:
        """Decide on another attempt and, if there is one, wait for its time."""
        retry = self._settings
        if self._stall_timer.returns_to_line(error):
            self._again += 1
            self.attempt += 1
            return True
        if await self._try_unlocked(error):
            return True
        if retry is None or (self._stall_timer.begun and not retry.replace_partial):
            return False
        policy, limit = retry.policy, retry.max_retries or 0
        if retry.replace_partial:
            policy = policy or _WORTH_IT
            limit = _MAX_RETRIES if retry.max_retries is None else limit
        attempt = self.attempt - self._locked - self._again
        if policy is None or attempt > limit:
            return False
        advice = self._model.get_retry_advice(
            ModelRetryAdviceRequest(error, attempt, self._stream, *self._memory)
        )
        facts = _facts(error, advice)
        decision = await ask_policy(
            policy,
            RetryPolicyContext(error, attempt, limit, self._stream, facts, advice, *self._memory),
        )
        if not decision.retry or not self._may_replay(decision, advice):
            return False
        delay = facts.retry_after if decision.delay is None else decision.delay
        if delay is None:
            delay = _backoff(retry.backoff, attempt)
        await self._stall_timer.pause(delay, error)
        self.attempt += 1
        return True

    async def _try_unlocked(self, error: Exception) -> bool:
        """Wait for a conversation that another request has locked: nothing was done yet.

        As in the SDK this needs no settings; only `max_retries=0` forbids it.
        """
        locked = getattr(error, "code", None) == "conversation_locked"
        forbidden = self._settings is not None and self._settings.max_retries == 0
        if not locked or forbidden or self._stall_timer.begun or self._locked == _MAX_LOCKED:
            return False
        await self._stall_timer.pause(2.0**self._locked, error)
        self._locked += 1
        self.attempt += 1
        return True

    def _may_replay(self, decision: RetryDecision, advice: ModelRetryAdvice | None) -> bool:
        safety = None if advice is None else advice.replay_safety
        if safety == "unsafe":
            return decision.approve_unsafe_replay
        return safety == "safe" or not any(self._memory)


_WORTH_IT: Final = retry_policies.any(
    retry_policies.provider_suggested(), retry_policies.network_error()
)
"""The policy where `replace_partial` is set and no policy."""


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
    try:
        delay = min(initial * multiplier ** (attempt - 1), limit)
    except OverflowError:  # after a thousand attempts, where a server is waited for overnight
        delay = limit
    if settings.jitter is not False:
        delay *= random.uniform(1 - _JITTER, 1 + _JITTER)
    return min(delay, limit)


def _deadline(seconds: float | None) -> float | None:
    return None if seconds is None else asyncio.get_running_loop().time() + seconds
