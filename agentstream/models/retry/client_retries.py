"""The openai client's own retries, made here, so that they can be seen.

The client tries a failed request again by itself (``max_retries``, 2 by default) and tells nobody.
The same is done here by the same rules, with the client's own switched off, and told to the run's
view, timeline and trace. Beyond the client's rules, a stream that is cut before its first delta
counts as a failed request, and a stream of a background response is resumed where it was cut.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakKeyDictionary

import openai

from ..._utils.redaction import (
    guard_logs,
    redact_error,
    remember_request,
    remember_sent,
    remember_url,
)
from ...exceptions import ModelStalledError
from ..create import is_wrapped_here
from ..gate.admission import Admission, input_tokens
from ..gate.refusals import is_fatal
from ..http.bounds import bounded, install
from ..http.client_pool import refuse_forked
from .advice import ModelRetryAdviceRequest, advice_for, normalize
from .stall_timer import current_stall_timer

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from ...model_settings import TimeLimits

__all__ = ["ClientRetries", "guarded_requests"]

# The openai client's rules, in seconds (3.54, `_constants.py`).
_FIRST_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 8.0
_JITTER: Final = 0.25
_LONGEST_RETRY_AFTER: Final = 120.0

_COUNT_HEADER: Final = "x-stainless-retry-count"  # the client tells the server, so do we

# What a copy of a client is made of; a user may set these on a client at any time.
_MADE_OF: Final = (
    "api_key",
    "organization",
    "project",
    "_base_url",
    "timeout",
    "_custom_headers",
    "_custom_query",
    "_client",
)

_SECRETS: Final = ("api_key", "webhook_secret", "admin_api_key")

_copies: WeakKeyDictionary[Any, tuple[list[Any], Any]] = WeakKeyDictionary()

T = TypeVar("T")


@contextmanager
def guarded_requests(
    client: AsyncOpenAI, limits: TimeLimits, *, stream: bool = False
) -> Iterator[None]:
    """Guard the requests that are made outside of a model call, as those of sessions are.

    What is sent is remembered as secret, what comes back is bounded, and errors do not repeat keys.

    `stream`: the caller reads the answer piece by piece, and counts what it keeps of it.
    """
    install(client)
    remember_client(client)
    try:
        with bounded(limits, stream=stream):
            yield
    except openai.APIError as error:
        remember_request(getattr(error, "request", None))
        redact_error(error)
        raise


class ClientRetries:
    """The retries of one model call that the openai client would make by itself.

    Attributes
    ----------
    client : openai.AsyncOpenAI
        Makes each request once.
    count : int
        Retries made since something new arrived.
    """

    def __init__(self, client: AsyncOpenAI) -> None:
        refuse_forked(client)
        install(client)
        self.stall_timer = current_stall_timer()
        self.count = 0
        self._refused = False
        self.client: Any
        if is_wrapped_here(client):  # a copy would go past the wrapper: its own retries count
            self._limit, self.client = 0, client
        else:
            self._limit = client.max_retries if self.stall_timer.client_retries else 0
            self.client = _client_without_retries(client, self.stall_timer.limits)
        remember_client(client)

    async def call(
        self, make: Callable[[], Awaitable[T]], arguments: Mapping[str, Any] | None = None
    ) -> T:
        """Make a request until it succeeds.

        `arguments` are those of a request to the model, which goes through the gate; others do not.

        Raises
        ------
        openai.APIError
            The last attempt failed.
        AnswerTooLargeError, RedirectError
            The server did what the limits do not allow.
        """
        while True:
            try:
                async with self.admission(arguments) as admission:
                    with bounded(self.stall_timer.limits), admission.listening():
                        answer = await make()
                    admission.spent(getattr(answer, "usage", None))
                return answer
            except openai.APIError as error:
                if not await self.again(error):
                    raise

    def admission(self, arguments: Mapping[str, Any] | None) -> Admission:
        """The way of a request through the run's gate; where there is none, it is free."""
        gate = self.stall_timer.gate
        if gate is None or arguments is None:
            return Admission(None, self.stall_timer)
        client, limit = self.client, arguments.get("max_output_tokens")
        if limit is None:
            limit = arguments.get("max_completion_tokens") or arguments.get("max_tokens")
        line = gate.line(str(client.base_url), client.api_key, str(arguments.get("model")))
        amounts = line.amounts(input_tokens(arguments), limit if isinstance(limit, int) else None)
        return Admission(line, self.stall_timer, amounts, again=self._refused)

    def extra(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a request, with the number of the attempt as the client tells it."""
        headers = arguments.get("extra_headers") or {}
        if not self.count or any(name.lower() == _COUNT_HEADER for name in headers):
            return arguments
        return {**arguments, "extra_headers": {**headers, _COUNT_HEADER: str(self.count)}}

    async def again(self, error: Exception, *, resumed: bool = False) -> bool:
        """Wait for the time of another attempt; False if there is none.

        Every error of a request comes by here, so that here the keys are taken out of it.

        `resumed`: the next attempt goes on where the last one broke off.
        """
        remember_request(getattr(error, "request", None))
        redact_error(error)
        self._refused = self.stall_timer.returns_to_line(error)
        if self._refused:
            return True
        if self.stall_timer.gate is not None and (
            normalize(error).status_code == 429 or is_fatal(error)
        ):
            return False  # a rate limit that will pass has been dealt with above
        if self.count >= self._limit:
            return False
        delay = self._delay(error)
        if delay is None:
            return False
        self.count += 1
        await self.stall_timer.pause(delay, error, resumed=resumed)
        return True

    def _delay(self, error: Exception) -> float | None:
        """Seconds to wait; None where trying again makes no sense."""
        advice = advice_for(ModelRetryAdviceRequest(error, self.count + 1, stream=True))
        suggested = advice is not None and advice.suggested
        if not suggested and not isinstance(error, ModelStalledError):
            return None
        retry_after = normalize(error).retry_after
        if retry_after is not None and retry_after > _LONGEST_RETRY_AFTER:
            error.add_note(
                f"The server asks to wait {retry_after:g} seconds before the next try. Run it "
                "again then."
            )
            return None
        if retry_after:
            return retry_after
        delay = min(_FIRST_DELAY * 2.0 ** min(self.count, 10), _LONGEST_DELAY)
        return delay * (1 - _JITTER * random.random())


def remember_client(client: Any) -> None:
    """Remember what a client sends with each request, and what else it keeps to itself."""
    guard_logs()
    remember_sent({name: getattr(client, name, None) for name in _SECRETS})
    remember_sent(getattr(client, "_custom_headers", None))
    remember_sent(getattr(client, "_custom_query", None))
    remember_url(getattr(client, "base_url", ""))


def _client_without_retries(client: Any, limits: Any) -> Any:
    """The client, without retries of its own and with the run's time limits.

    A copy costs 0.1 ms, so it is kept as long as the client is what it was.
    """
    timeout = _timeout(client.timeout, limits)
    if client.max_retries == 0 and timeout is client.timeout:
        return _without_a_thread(client)
    made_of = [getattr(client, name, None) for name in _MADE_OF] + [timeout]
    known = _copies.get(client)
    if known is not None and known[0] == made_of:
        return known[1]
    copy = _without_a_thread(client.with_options(max_retries=0, timeout=timeout))
    _copies[client] = (made_of, copy)
    return copy


def _without_a_thread(client: Any) -> Any:
    """The client, which then need not find out in a thread what its platform is, for a header.

    The thread would live as long as the loop, and Python warns of a process with threads that is
    forked. On Windows, where the answer takes long, there is no fork.
    """
    if hasattr(os, "fork") and getattr(client, "_platform", "") is None:
        with suppress(ImportError):
            from openai._base_client import get_platform

            client._platform = get_platform()
    return client


def _timeout(timeout: Any, limits: Any) -> Any:
    """The client's timeout, with the run's limits laid over it.

    A client that was given no timeout has openai's ten minutes for each read: they give way to
    longer limits of the run, which notices a silence itself.
    """
    silence = [limits.first_event, limits.between_events]
    longest = math.inf if None in silence else max(silence)
    default = openai.DEFAULT_TIMEOUT
    patient = timeout == default and longest > (default.read or math.inf)
    if limits.connect is None and not patient:
        return timeout
    values = timeout.as_dict() if hasattr(timeout, "as_dict") else dict.fromkeys(_PHASES, timeout)
    if limits.connect is not None:
        values["connect"] = limits.connect
    if patient:
        values["read"] = None if longest == math.inf else longest
    return openai.Timeout(**values)


_PHASES: Final = ("connect", "read", "write", "pool")
