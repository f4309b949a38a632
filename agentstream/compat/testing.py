"""The SDK's test doubles, `agents.testing`: a model that answers with steps of whole output items.

`agentstream.testing.ScriptedModel` is another one, which writes its answers as a user says them and
streams them token by token.
"""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)
from typing_extensions import TypedDict

from ..items import ModelResponse
from ..models.request_model import RequestModel
from ..models.responses.events import responses_event
from ..models.retry.advice import ModelRetryAdvice
from ..usage import Usage
from ._script_errors import (
    InvalidModelStep,
    ModelScriptError,
    UnconsumedModelSteps,
    UnexpectedModelCall,
    check_step,
)
from ._step_events import step_events

if TYPE_CHECKING:
    from openai.types.responses.response_prompt_param import ResponsePromptParam

    from ..agent_output import AgentOutputSchemaBase
    from ..handoffs import Handoff
    from ..items import TResponseOutputItem, TResponseStreamEvent
    from ..model_settings import ModelSettings
    from ..models.base import ModelTracing
    from ..models.request import ModelRequest
    from ..models.retry.attempts import ModelRetryAdviceRequest
    from ..tools.function_tool import Tool

__all__ = [
    "InvalidModelStep",
    "ModelCall",
    "ModelScriptError",
    "ModelStep",
    "ModelStepSpec",
    "ScriptedModel",
    "UnconsumedModelSteps",
    "UnexpectedModelCall",
    "assistant_message",
    "function_call",
]


@dataclass(frozen=True)
class ModelCall:
    """What a `ScriptedModel` was asked; fields as in `Model.get_response`, and `streamed`."""

    system_instructions: str | None
    input: Any
    model_settings: ModelSettings
    tools: list[Tool]
    output_schema: AgentOutputSchemaBase | None
    handoffs: list[Handoff[Any, Any]]
    tracing: ModelTracing
    previous_response_id: str | None
    conversation_id: str | None
    prompt: ResponsePromptParam | None
    streamed: bool


ModelResponder: TypeAlias = Callable[[ModelCall], Any]
ModelStreamFactory: TypeAlias = Callable[[ModelCall], "AsyncIterator[TResponseStreamEvent]"]


@dataclass
class ModelStep:
    """What one call of the model comes to.

    Attributes
    ----------
    output : list
        The output items.
    usage : Usage
        What it cost; one request where it is empty.
    response_id, request_id : str or None
        Of the answer.
    raw_usage : dict or None
        The usage as a provider writes it.
    error : Exception or None
        Raised in place of an answer.
    responder : callable or None
        Makes the step from the `ModelCall`; also async.
    stream_events : list or callable or None
        The very events of a streamed call; a function makes them from the `ModelCall`.
    retry_advice : ModelRetryAdvice or None
        What a retry policy is advised about `error`.

    Examples
    --------
    >>> ModelStep(output=[assistant_message("Hello.")]).output[0].content[0].text
    'Hello.'
    """

    output: Sequence[TResponseOutputItem] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    response_id: str | None = "resp-789"
    request_id: str | None = None
    raw_usage: dict[str, Any] | None = None
    error: Exception | None = None
    responder: ModelResponder | None = None
    stream_events: Sequence[TResponseStreamEvent] | ModelStreamFactory | None = None
    retry_advice: ModelRetryAdvice | None = None

    def __post_init__(self) -> None:
        events = self.stream_events
        if isinstance(events, Iterable) and not callable(events):
            self.stream_events = tuple(events)

    @classmethod
    def raise_error(
        cls, error: Exception, *, retry_advice: ModelRetryAdvice | None = None
    ) -> ModelStep:
        """A step that raises `error`; `retry_advice` is what a retry policy is told of it."""
        return cls(error=error, retry_advice=retry_advice)

    @classmethod
    def respond(cls, responder: ModelResponder) -> ModelStep:
        """A step that `responder` makes from the call."""
        return cls(responder=responder)

    @classmethod
    def stream(
        cls,
        events: Sequence[TResponseStreamEvent] | ModelStreamFactory,
        *,
        output: Sequence[TResponseOutputItem] = (),
    ) -> ModelStep:
        """A step that streams `events`; `output` answers where nothing is streamed."""
        return cls(output=output, stream_events=events)


class ModelStepSpec(TypedDict, total=False):
    """A step as a dict; keys as in `ModelStep`."""

    output: Sequence[Any]
    usage: Usage
    response_id: str | None
    request_id: str | None
    raw_usage: dict[str, Any] | None
    error: Exception | None
    responder: ModelResponder | None
    stream_events: Any
    retry_advice: Any


def assistant_message(text: str, *, item_id: str = "scripted-message") -> TResponseOutputItem:
    """An output item that says `text`, under the id `item_id`.

    Examples
    --------
    >>> assistant_message("Hello.").role
    'assistant'
    """
    content = ResponseOutputText(annotations=[], text=text, type="output_text", logprobs=[])
    return ResponseOutputMessage(
        id=item_id, content=[content], role="assistant", status="completed", type="message"
    )


def function_call(
    name: str,
    arguments: str | Mapping[str, Any],
    *,
    call_id: str,
    item_id: str | None = None,
    namespace: str | None = None,
) -> TResponseOutputItem:
    """An output item that calls the tool `name` with `arguments`.

    Parameters
    ----------
    name, call_id, item_id, namespace : str
        Of the call.
    arguments : str or dict
        JSON, or what becomes JSON.

    Examples
    --------
    >>> function_call("get_weather", {"city": "Tokyo"}, call_id="call_1").arguments
    '{"city":"Tokyo"}'
    """
    text = (
        arguments
        if isinstance(arguments, str)
        else json.dumps(dict(arguments), separators=(",", ":"))
    )
    named: dict[str, Any] = {} if namespace is None else {"namespace": namespace}
    return ResponseFunctionToolCall(
        id=call_id if item_id is None else item_id,
        call_id=call_id,
        name=name,
        arguments=text,
        type="function_call",
        **named,
    )


class ScriptedModel(RequestModel):
    """A model that answers each call with the next step.

    Parameters
    ----------
    steps : iterable
        Each a `ModelStep`, a dict of its fields, a `ModelResponse`, a list of output items, or an
        exception.
    emit_traces : bool
        Accepted; no spans are opened.
    default_usage : Usage, optional
        The usage of steps that have none of their own.

    Examples
    --------
    >>> from agentstream import Agent, Runner
    >>> model = ScriptedModel([[assistant_message("Paris.")]])
    >>> Runner.run_sync(Agent(name="A", model=model), "The capital of France?").final_output
    'Paris.'
    >>> model.assert_complete()
    """

    def __init__(
        self,
        steps: Iterable[Any] = (),
        *,
        emit_traces: bool = False,
        default_usage: Usage | None = None,
    ) -> None:
        self._steps: list[ModelStep] = []
        self._calls: list[ModelCall] = []
        self._advice: list[tuple[Exception, ModelRetryAdvice]] = []
        self.set_default_usage(default_usage)
        self.extend(steps)

    @property
    def calls(self) -> tuple[ModelCall, ...]:
        """What the model was asked, in order."""
        return tuple(map(_detached, self._calls))

    @property
    def first_call(self) -> ModelCall | None:
        """The first of `calls`."""
        return self.calls[0] if self._calls else None

    @property
    def last_call(self) -> ModelCall | None:
        """The last of `calls`."""
        return self.calls[-1] if self._calls else None

    @property
    def remaining_steps(self) -> int:
        """How many steps are left."""
        return len(self._steps)

    def enqueue(self, step: Any) -> None:
        """Add `step` behind the others.

        Raises
        ------
        InvalidModelStep
            It is none.
        """
        self.extend([step])

    def extend(self, steps: Iterable[Any]) -> None:
        """Add `steps` behind the others; none of them if one is wrong.

        Raises
        ------
        InvalidModelStep
            One is none.
        """
        self._steps.extend([_snapshot(_as_step(step, index)) for index, step in enumerate(steps)])

    def set_default_usage(self, usage: Usage | None) -> None:
        """Set the `usage` of steps that have none of their own."""
        self._default_usage = copy.deepcopy(usage)

    def assert_complete(self) -> None:
        """See that every step was used.

        Raises
        ------
        UnconsumedModelSteps
            Some were not.
        """
        if self._steps:
            left = len(self._steps)
            raise UnconsumedModelSteps(
                f"{left} scripted model step(s) were not consumed.", remaining_steps=left
            )

    def get_retry_advice(self, request: ModelRetryAdviceRequest) -> ModelRetryAdvice | None:
        """The advice that the step gave about the error of `request`."""
        advice = (advice for error, advice in self._advice if error is request.error)
        return copy.deepcopy(next(advice, None))

    async def _respond(self, request: ModelRequest, tracing: ModelTracing) -> ModelResponse:
        """Answer with the next step."""
        step = await self._next(self._record(request, tracing, streamed=False))
        return ModelResponse(
            output=list(step.output),
            usage=step.usage,
            response_id=step.response_id,
            request_id=step.request_id,
            raw_usage=step.raw_usage if request.settings.preserve_raw_usage else None,
        )

    async def _stream(
        self, request: ModelRequest, tracing: ModelTracing
    ) -> AsyncGenerator[TResponseStreamEvent, None]:
        """Stream the next step."""
        call = self._record(request, tracing, streamed=True)
        step = await self._next(call)
        events = step.stream_events
        if callable(events):
            made: Any = events(call)
            made = await made if inspect.isawaitable(made) else made
            async with _closing(made):
                async for event in made:
                    yield event
        elif events is not None:
            for event in events:
                yield event
        else:
            for number, data in enumerate(step_events(step)):
                # What its reader changes in one event is not to change the others.
                yield responses_event(copy.deepcopy({**data, "sequence_number": number}))

    def _record(self, request: ModelRequest, tracing: ModelTracing, *, streamed: bool) -> ModelCall:
        """Keep a call."""
        arguments = {one.name: getattr(request, one.name) for one in fields(request)}
        settings = arguments.pop("settings")
        call = _detached(
            ModelCall(**arguments, model_settings=settings, tracing=tracing, streamed=streamed)
        )
        self._calls.append(call)
        return _detached(call)

    async def _next(self, call: ModelCall) -> ModelStep:
        number = len(self._calls)
        if not self._steps:
            kind = "streaming" if call.streamed else "non-streaming"
            raise UnexpectedModelCall(
                f"Unexpected {kind} model call #{number}: no scripted steps remain.",
                call=call,
                call_index=number - 1,
            )
        step = self._steps.pop(0)
        self._advice.clear()
        while step.responder is not None:
            made = step.responder(call)
            step = _as_step(await made if inspect.isawaitable(made) else made, number - 1)
        if step.error is not None:
            if step.retry_advice is not None:
                self._advice.append((step.error, step.retry_advice))
            raise step.error
        usage = step.usage
        if usage == Usage():
            usage = Usage(requests=1) if self._default_usage is None else self._default_usage
        return replace(step, usage=copy.deepcopy(usage))


_FIELDS = frozenset(one.name for one in fields(ModelStep))


def _as_step(value: Any, index: int) -> ModelStep:
    """A step, from what a script may hold.

    Raises
    ------
    InvalidModelStep
        It is none.
    """

    def invalid(text: str, reason: str = "invalid_input") -> InvalidModelStep:
        return InvalidModelStep(
            f"Scripted model step #{index + 1} {text}", reason=reason, input_index=index
        )

    if isinstance(value, ModelStep):
        step = value
    elif isinstance(value, Exception):
        step = ModelStep(error=value)
    elif isinstance(value, ModelResponse):
        step = ModelStep(
            value.output, value.usage, value.response_id, value.request_id, value.raw_usage
        )
    elif isinstance(value, Mapping):
        if not set(value) <= _FIELDS:
            raise invalid("contains unsupported fields.", "unsupported_field")
        step = ModelStep(**value)
    else:
        step = ModelStep(output=value)
    check_step(step, invalid)
    return step


def _snapshot(step: ModelStep) -> ModelStep:
    """A step that later changes of what it was made of leave as it is."""
    data = {name: getattr(step, name) for name in _FIELDS - {"error", "responder", "stream_events"}}
    return replace(step, **copy.deepcopy(data))


def _detached(call: ModelCall) -> ModelCall:
    return replace(
        call,
        input=copy.deepcopy(call.input),
        model_settings=copy.deepcopy(call.model_settings),
        prompt=copy.deepcopy(call.prompt),
        tools=list(call.tools),
        handoffs=list(call.handoffs),
    )


@asynccontextmanager
async def _closing(stream: Any) -> AsyncIterator[None]:
    """Closes a stream, also one that is no generator; what it raises yields to a cancellation."""
    try:
        yield
    except BaseException:
        with suppress(Exception):
            await _close(stream)
        raise
    await _close(stream)


async def _close(stream: Any) -> None:
    if hasattr(stream, "aclose"):
        await stream.aclose()
