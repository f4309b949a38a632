"""What both kinds of guardrails share: what they find, and how their functions are called."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar

from ._utils.keywords import suggesting_init
from .exceptions import UserError

T = TypeVar("T")
MaybeAwaitable: TypeAlias = Awaitable[T] | T


async def call_guardrail(function: Callable[..., Any], *args: Any) -> Any:
    """Call a guardrail's function, async or not."""
    if not callable(function):
        raise UserError(
            f"A guardrail needs a function, got {type(function).__name__}; "
            "give one that returns GuardrailFunctionOutput."
        )
    result = function(*args)
    return await result if inspect.isawaitable(result) else result


def guardrail_name(guardrail: Any) -> str:
    """The name of any guardrail: its own, or that of its function."""
    return guardrail.name or getattr(
        guardrail.guardrail_function, "__name__", type(guardrail.guardrail_function).__name__
    )


@suggesting_init
@dataclass
class GuardrailFunctionOutput:
    """The result of a guardrail function.

    Attributes
    ----------
    output_info
        Details of the check.
    tripwire_triggered : bool
        True stops the run.

    Examples
    --------
    >>> GuardrailFunctionOutput({"words": 3}, tripwire_triggered=False).tripwire_triggered
    False
    """

    output_info: Any
    tripwire_triggered: bool


class AllowBehavior(TypedDict):
    """The call goes on."""

    type: Literal["allow"]


class RejectContentBehavior(TypedDict):
    """The model is given `message` in place of the tool's output."""

    type: Literal["reject_content"]
    message: str


class RaiseExceptionBehavior(TypedDict):
    """The run ends with a tripwire error."""

    type: Literal["raise_exception"]


def _allow() -> AllowBehavior:
    return {"type": "allow"}


@dataclass
class ToolGuardrailFunctionOutput:
    """The result of a tool guardrail, and what happens next.

    Attributes
    ----------
    output_info
        Details of the check.
    behavior : dict
        Made by `allow`, `reject_content` or `raise_exception`.

    Examples
    --------
    >>> ToolGuardrailFunctionOutput.reject_content("Ask for fewer rows.").behavior
    {'type': 'reject_content', 'message': 'Ask for fewer rows.'}
    """

    output_info: Any
    behavior: RejectContentBehavior | RaiseExceptionBehavior | AllowBehavior = field(
        default_factory=_allow
    )

    @classmethod
    def allow(cls, output_info: Any = None) -> ToolGuardrailFunctionOutput:
        """Let the call go on; `output_info` is kept with the result."""
        return cls(output_info=output_info, behavior={"type": "allow"})

    @classmethod
    def reject_content(cls, message: str, output_info: Any = None) -> ToolGuardrailFunctionOutput:
        """Give the model `message` in place of the tool's output; `output_info` is kept."""
        return cls(output_info=output_info, behavior={"type": "reject_content", "message": message})

    @classmethod
    def raise_exception(cls, output_info: Any = None) -> ToolGuardrailFunctionOutput:
        """End the run with a tripwire error; `output_info` is kept."""
        return cls(output_info=output_info, behavior={"type": "raise_exception"})
