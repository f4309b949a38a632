"""What the SDK's scripted model raises about its script, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..exceptions import AgentsException
from ..models.retry.advice import ModelRetryAdvice
from ..usage import Usage

if TYPE_CHECKING:
    from .testing import ModelCall, ModelStep


class ModelScriptError(AgentsException):
    """Base of what is wrong with a script, or with how far it came."""


class InvalidModelStep(ModelScriptError):
    """A step is none.

    Attributes
    ----------
    reason : str
        What is wrong with it, such as ``"unsupported_field"`` or ``"invalid_input"``.
    input_index : int
        Which step it is, from 0.
    """

    def __init__(self, message: str, *, reason: str, input_index: int) -> None:
        super().__init__(message)
        self.reason = reason
        self.input_index = input_index


class UnexpectedModelCall(ModelScriptError):
    """The model was called after its last step.

    Attributes
    ----------
    call : ModelCall
        What it was asked.
    call_index : int
        Which call it was, from 0.
    """

    def __init__(self, message: str, *, call: ModelCall, call_index: int) -> None:
        super().__init__(message)
        self.call = call
        self.call_index = call_index


class UnconsumedModelSteps(ModelScriptError):
    """Steps are left over.

    Attributes
    ----------
    remaining_steps : int
        How many.
    """

    def __init__(self, message: str, *, remaining_steps: int) -> None:
        super().__init__(message)
        self.remaining_steps = remaining_steps


def check_step(step: ModelStep, invalid: Callable[..., InvalidModelStep]) -> None:
    """Refuse a step whose fields are of other types, or contradict each other."""
    output: Any = step.output
    events: Any = step.stream_events
    if not isinstance(output, Sequence) or isinstance(output, (str, bytes)):
        raise invalid("must use a sequence for output.")
    for name, kinds in _KINDS.items():
        if not isinstance(getattr(step, name), kinds):
            raise invalid(f"has a {name} of type {type(getattr(step, name)).__name__}.")
    if step.error is not None and not isinstance(step.error, Exception):
        raise invalid("must use an exception for error.", "invalid_error")
    if step.responder is not None and not callable(step.responder):
        raise invalid("must use a callable for responder.", "invalid_responder")
    if events is not None and not (callable(events) or isinstance(events, tuple)):
        raise invalid("must use a sequence or callable for stream_events.", "invalid_stream_events")
    means = (step.error, step.responder, step.stream_events)
    if sum(one is not None for one in means) > 1:
        raise invalid(
            "must set at most one of error, responder and stream_events.", "conflicting_outcomes"
        )
    advice: Any = step.retry_advice
    if advice is not None and not (isinstance(advice, ModelRetryAdvice) and step.error):
        raise invalid("may have ModelRetryAdvice beside an error only.", "invalid_retry_advice")


_KINDS: dict[str, tuple[type, ...]] = {
    "usage": (Usage,),
    "response_id": (str, type(None)),
    "request_id": (str, type(None)),
    "raw_usage": (dict, type(None)),
}
