"""Policies: whether a failed model call is worth another attempt.

A policy is any function of a `RetryPolicyContext`, sync or async, that returns a bool or a
`RetryDecision`. How the ready-made ones combine was observed on openai-agents 0.24.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from .advice import ModelRetryAdvice, ModelRetryNormalizedError

__all__ = ["RetryDecision", "RetryPolicy", "RetryPolicyContext", "ask_policy", "retry_policies"]


@dataclass
class RetryDecision:
    """What a policy decides.

    Attributes
    ----------
    retry : bool
        Whether to try again.
    delay : float or None
        Seconds to wait; None uses the server's value, else the backoff.
    reason : str or None
        For people.
    approve_unsafe_replay : bool
        Retry even if the model says that the failed call had an effect on the server.

    Examples
    --------
    >>> RetryDecision(retry=True, delay=2.0, reason="The server is starting.").delay
    2.0
    """

    retry: bool
    delay: float | None = None
    reason: str | None = None
    approve_unsafe_replay: bool = False
    _veto: bool = field(default=False, repr=False, compare=False)


@dataclass
class RetryPolicyContext:
    """The argument of a retry policy.

    Attributes
    ----------
    error : Exception
        What the call raised.
    attempt, max_retries : int
        The number of the failed call, from 1, and how many may follow the first.
    stream : bool
        Whether it was streamed.
    normalized : ModelRetryNormalizedError
        The error's facts.
    provider_advice : ModelRetryAdvice or None
        What the model knows.
    previous_response_id, conversation_id : str or None
        The response or conversation on the server that the call continued.

    Examples
    --------
    >>> def early(context: RetryPolicyContext) -> bool:
    ...     return context.attempt < 3 and context.normalized.is_network_error
    """

    error: Exception
    attempt: int
    max_retries: int
    stream: bool
    normalized: ModelRetryNormalizedError
    provider_advice: ModelRetryAdvice | None = None
    previous_response_id: str | None = None
    conversation_id: str | None = None

    @property
    def stateful_request(self) -> bool:
        """Whether the call went on from what the server keeps."""
        return bool(self.previous_response_id or self.conversation_id)

    @property
    def replay_safety(self) -> str:
        """Whether to make the call again is ``"safe"``, ``"unsafe"`` or ``"unknown"``."""
        advice = self.provider_advice
        safety = advice and advice.replay_safety
        return safety if safety in ("safe", "unsafe") else "unknown"

    @property
    def response_started(self) -> bool:
        """Whether the answer had begun when the call failed."""
        return self.provider_advice is not None and self.provider_advice.response_started


RetryPolicy: TypeAlias = Callable[
    [RetryPolicyContext], bool | RetryDecision | Awaitable[bool | RetryDecision]
]


class _RetryPolicies:
    """Ready-made policies, and two ways to combine policies.

    Examples
    --------
    >>> policy = retry_policies.any(
    ...     retry_policies.network_error(), retry_policies.http_status([429, 503])
    ... )
    """

    def never(self) -> RetryPolicy:
        """Never try again."""
        return lambda context: False

    def network_error(self) -> RetryPolicy:
        """Try again when the connection failed or took too long."""
        return lambda context: context.normalized.is_network_error or context.normalized.is_timeout

    def http_status(self, statuses: Iterable[int]) -> RetryPolicy:
        """Try again after these HTTP statuses."""
        wanted = frozenset(statuses)
        return lambda context: context.normalized.status_code in wanted

    def retry_after(self) -> RetryPolicy:
        """Try again when the server says how long to wait, after that time."""

        def policy(context: RetryPolicyContext) -> bool | RetryDecision:
            delay = context.normalized.retry_after
            if delay is None and context.provider_advice is not None:
                delay = context.provider_advice.retry_after
            return False if delay is None else RetryDecision(retry=True, delay=delay)

        return policy

    def provider_suggested(self) -> RetryPolicy:
        """Do what the model's provider suggests; its no outvotes other policies in `any`."""

        def policy(context: RetryPolicyContext) -> bool | RetryDecision:
            advice = context.provider_advice
            if advice is None or advice.suggested is None:
                return False
            if not advice.suggested:
                return RetryDecision(retry=False, reason=advice.reason, _veto=True)
            return RetryDecision(retry=True, delay=advice.retry_after, reason=advice.reason)

        return policy

    def any(self, *policies: RetryPolicy) -> RetryPolicy:
        """Try again when one of the policies says so; the last delay given counts."""

        async def policy(context: RetryPolicyContext) -> bool | RetryDecision:
            decisions: list[RetryDecision] = []
            for each in policies:
                decision = await ask_policy(each, context)
                if decision._veto:
                    return decision
                decisions.append(decision)
            agreed = [decision for decision in decisions if decision.retry]
            if agreed:
                return _merged(agreed)
            return decisions[-1] if decisions else False

        return policy

    def all(self, *policies: RetryPolicy) -> RetryPolicy:
        """Try again when all of the policies say so; the last delay given counts."""

        async def policy(context: RetryPolicyContext) -> bool | RetryDecision:
            agreed: list[RetryDecision] = []
            for each in policies:
                decision = await ask_policy(each, context)
                if not decision.retry:
                    return decision
                agreed.append(decision)
            return _merged(agreed) if agreed else False

        return policy


retry_policies: Final = _RetryPolicies()


async def ask_policy(policy: RetryPolicy, context: RetryPolicyContext) -> RetryDecision:
    """Ask any policy, sync or async; a truthy answer that is no decision means to try again."""
    answer: Any = policy(context)
    if inspect.isawaitable(answer):
        answer = await answer
    return answer if isinstance(answer, RetryDecision) else RetryDecision(retry=bool(answer))


def _merged(decisions: list[RetryDecision]) -> RetryDecision:
    merged = RetryDecision(retry=True)
    for decision in decisions:
        merged.delay = merged.delay if decision.delay is None else decision.delay
        merged.reason = merged.reason if decision.reason is None else decision.reason
        merged.approve_unsafe_replay |= decision.approve_unsafe_replay
    return merged
