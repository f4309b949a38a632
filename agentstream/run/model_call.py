"""One model call: what it is sent, its stream passed on, its answer read into items."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

from .._utils.aio import gather_or_cancel
from ..agent_output import AgentOutputSchemaBase, schema_of
from ..exceptions import ModelStreamError, UserError
from ..items import ModelResponse, RunItem
from ..models.base import Model, ModelTracing
from ..models.responses.stream import response_failure
from ..models.retry.attempts import add_failed_requests, call_with_retry, stream_with_retry
from ..run_config import CallModelData, ModelInputData, RunConfig
from ..stream_events import RawResponsesStreamEvent, RunItemStreamEvent, StreamEvent
from ..trace.fold.partial_items import open_items, streamed_items
from ..trace.lifecycle import ModelAnswered, ModelRetried, StreamRecovered, StreamStalled
from ..usage import Usage, usage_of
from .call_ids import with_call_ids
from .options import LoopOptions, call
from .parse_output import EVENT_NAMES, read_output
from .state.run_state import RunState
from .toolbox import Toolbox

if TYPE_CHECKING:
    from ..agent import Agent
    from ..model_settings import ModelSettings
    from .active_recording import ActiveRecording

_BY_POSITION = (
    "system_instructions",
    "input",
    "model_settings",
    "tools",
    "output_schema",
    "handoffs",
    "tracing",
)

# The events of a stream that tell of its answer; "error" and the three kinds of end are its last.
_RESPONSE_EVENTS = frozenset(
    {
        "response.output_item.done",
        "response.completed",
        "response.incomplete",
        "response.failed",
        "response.error",  # of no API; a gateway's
        "error",
    }
)


@dataclass
class Request:
    """What one model call is sent; the arguments of `Model.stream_response`."""

    model: Model
    instructions: str | None
    input: list[Any]
    settings: ModelSettings
    toolbox: Toolbox
    schema: AgentOutputSchemaBase | None
    prompt: Any
    previous_response_id: str | None
    conversation_id: str | None

    def arguments(self) -> dict[str, Any]:
        """The arguments of the model's methods, by name."""
        return {
            "system_instructions": self.instructions,
            "input": self.input,
            "model_settings": self.settings,
            "tools": self.toolbox.tools,
            "output_schema": self.schema,
            "handoffs": self.toolbox.handoffs,
            "tracing": ModelTracing.DISABLED,
            "previous_response_id": self.previous_response_id,
            "conversation_id": self.conversation_id,
            "prompt": self.prompt,
        }


def output_schema(agent: Agent[Any]) -> AgentOutputSchemaBase | None:
    """The structure the agent's final output must have; None for plain text."""
    kind = agent.output_type
    if kind is None or kind is str:
        return None
    return kind if isinstance(kind, AgentOutputSchemaBase) else schema_of(kind)


def find_model(
    agent: Agent[Any], config: RunConfig, recording: ActiveRecording | None = None
) -> Model:
    """The model for the agent in this run: the run's, else the agent's, else the default.

    Where a recording is on, its provider is asked only when a model is really called, so that a
    replay needs no key.

    Raises
    ------
    UserError
        If there is no key, no local server and no model to call.
    """
    chosen = agent.model if config.model is None else config.model

    def find() -> Model:
        if chosen is not None and not isinstance(chosen, str):
            return cast(Model, chosen)  # or an object of its shape
        return config.model_provider.get_model(chosen)

    return find() if recording is None else recording.wrap(chosen, find)


def find_settings(agent: Agent[Any], config: RunConfig, state: RunState[Any]) -> ModelSettings:
    """The agent's settings with the run's over them; a forced tool only until one was used."""
    settings = agent.model_settings.resolve(config.model_settings)
    if agent.reset_tool_choice and agent.name in state.tools_used:
        settings = replace(settings, tool_choice=None)
    return settings


async def prepare(state: RunState[Any], options: LoopOptions, toolbox: Toolbox) -> Request:
    """Everything the next model call is sent."""
    agent, config = state.agent, options.config
    model = find_model(agent, config, options.recording)
    instructions, prompt = await _instructions(agent, state.context)
    if instructions is not None and not isinstance(instructions, str):
        raise UserError(
            f"The instructions of agent {agent.name!r} must be text, but their function returned "
            f"{type(instructions).__name__}."
        )
    data = ModelInputData(input=state.model_input(), instructions=instructions)
    if config.call_model_input_filter is not None:
        before = Counter(filter(None, map(_identity, data.input)))
        data = await call(
            config.call_model_input_filter,
            CallModelData(model_data=data, agent=agent, context=state.context.context),
        )
        if not isinstance(data, ModelInputData):
            raise UserError(
                "call_model_input_filter must return ModelInputData(input=..., instructions=...), "
                f"got {type(data).__name__}"
            )
        data = replace(data, input=_without_repeats(data.input, before))
    return Request(
        model=model,
        instructions=data.instructions,
        input=data.input,
        settings=find_settings(agent, config, state),
        toolbox=toolbox,
        schema=output_schema(agent),
        prompt=prompt,
        previous_response_id=state.previous_response_id,
        conversation_id=state.conversation_id,
    )


def _identity(item: Any) -> tuple[str, str] | None:
    """What the API tells an item by: its type and its call's id, or its own."""
    if not isinstance(item, dict):
        return None
    kind, key = item.get("type"), item.get("call_id") or item.get("id")
    return (kind, key) if isinstance(kind, str) and isinstance(key, str) else None


def _without_repeats(items: list[Any], before: Counter[tuple[str, str]]) -> list[Any]:
    """Send an item that a filter has repeated once, as it was given last.

    It is sent at its first place, but an output at its last one, which is behind its call.
    The API refuses a call or an output that comes twice. One that came twice `before` the filter
    stays: some servers begin their call ids again in each answer.
    """
    last = {_identity(item): at for at, item in enumerate(items)}
    seen, once = set(), []
    for at, item in enumerate(items):
        identity = _identity(item)
        if identity is None or before[identity] > 1:
            once.append(item)
        elif at == last[identity] if identity[0].endswith("_output") else identity not in seen:
            seen.add(identity)
            once.append(items[last[identity]])
    return once


async def _instructions(agent: Agent[Any], context: Any) -> tuple[Any, Any]:
    """The agent's instructions and its stored prompt, both at once where both may take a while."""
    if callable(agent.prompt):
        work = [agent.get_system_prompt(context), agent.get_prompt(context)]
        instructions, prompt = await gather_or_cancel(work)
        return instructions, prompt
    return await agent.get_system_prompt(context), await agent.get_prompt(context)


async def ask(
    state: RunState[Any], options: LoopOptions, request: Request
) -> AsyncGenerator[list[StreamEvent], None]:
    """Call the model, pass its events on, and add its answer to the state."""
    agent, context = state.agent, state.context
    await options.call_hooks(
        agent, "on_llm_start", context, agent, request.instructions, list(request.input)
    )
    failures: list[Exception] = []
    collector = ResponseCollector()
    listener = ModelCallListener(options, collector)
    if options.streamed:
        try:
            async with aclosing(_stream(request, listener, failures)) as batches:
                async for batch in batches:
                    for event in batch:
                        if event.type in _RESPONSE_EVENTS:
                            collector.note(event)
                    yield list(map(RawResponsesStreamEvent, batch))
            answer = collector.whole_answer(state, request.settings)
        except Exception as error:
            collector.keep_part(state, request.settings, error)
            raise
    else:
        answer = await _call(request, listener)
        options.emit(ModelAnswered(answer.response_id, answer.usage))
    add_failed_requests(answer.usage, len(failures))
    yield item_events(take(state, options, answer, request))
    await options.call_hooks(agent, "on_llm_end", context, agent, answer)


def item_events(items: list[RunItem]) -> list[StreamEvent]:
    """The events that tell of `items`."""
    return [
        RunItemStreamEvent(name=EVENT_NAMES[item.type], item=item)
        for item in items
        if item.type in EVENT_NAMES
    ]


def take(
    state: RunState[Any], options: LoopOptions, answer: ModelResponse, request: Request
) -> list[RunItem]:
    """Add the model's answer to the state; its items."""
    state.context.usage.add(answer.usage)
    state.responses.append(answer)
    answer.output = with_call_ids(
        answer.output,
        server_managed=state.server_managed,
        taken=state.waiting_ids,
        after=len(state.history),
    )
    items = read_output(answer.output, request.toolbox, options.config.tool_not_found_behavior)
    state.unsent.clear()
    if state.conversation_id is None and state.server_managed and answer.response_id:
        state.previous_response_id = answer.response_id
    state.add(items, from_model=True)
    state.last_exchange = request.input, items
    return items


async def _call(request: Request, listener: ModelCallListener) -> ModelResponse:
    keywords = request.arguments()
    return await call_with_retry(
        lambda: request.model.get_response(**keywords),
        request.settings,
        model=request.model,
        previous_response_id=request.previous_response_id,
        conversation_id=request.conversation_id,
        limits=listener.limits,
        listener=listener,
        gate=listener.gate,
    )


def _stream(
    request: Request, listener: ModelCallListener, failures: list[Exception]
) -> AsyncGenerator[list[Any], None]:
    """The model's events; `failures` gets the errors of attempts that were made again."""
    keywords = request.arguments()
    # The SDK gives these by position; a model written for it may name them as it likes.
    positional = [keywords.pop(name) for name in _BY_POSITION]

    def start() -> AsyncIterator[Any]:
        return request.model.stream_response(*positional, **keywords)

    return stream_with_retry(
        start,
        request.settings,
        model=request.model,
        previous_response_id=request.previous_response_id,
        conversation_id=request.conversation_id,
        failures=failures,
        limits=listener.limits,
        listener=listener,
        gate=listener.gate,
    )


class ModelCallListener:
    """Marks in the run what a model call tells beside its events."""

    def __init__(self, options: LoopOptions, collector: ResponseCollector) -> None:
        self.limits = options.config.limits
        self.gate: Any = options.config.gate
        self._options = options
        self._collector = collector

    def retried(self, attempt: int, delay: float, error: Exception, *, resumed: bool) -> None:
        """Mark that the call is made again, or its stream resumed, after `delay` seconds."""
        if not resumed:
            self._collector.begin_again()
        message = f"{type(error).__name__}: {error}"
        self._options.emit(ModelRetried(attempt, delay, message, resumed=resumed))

    def stalled(self, seconds: float, limit: float | None, reason: str = "") -> None:
        """Mark that nothing has come for `seconds`, and why, where that is known."""
        self._options.emit(StreamStalled(seconds, limit, reason))

    def recovered(self) -> None:
        """Mark that the model speaks again."""
        self._options.emit(StreamRecovered())


class ResponseCollector:
    """What a stream tells of its answer as a whole."""

    def __init__(self) -> None:
        self.last: Any = None
        self.done: list[Any] = []

    def begin_again(self) -> None:
        """Forget what an attempt told: its answer is asked for again."""
        self.last = None
        self.done.clear()

    def note(self, event: Any) -> None:
        """Take in one of the events that tell; what follows the answer is none of it."""
        if self.last is not None and self.last.type == "response.completed":
            return
        if event.type == "response.output_item.done":
            self.done.append(event.item)
        else:
            self.last = event

    def whole_answer(self, state: RunState[Any], settings: ModelSettings) -> ModelResponse:
        """The whole answer; what was only streamed where the answer holds nothing.

        Raises
        ------
        ModelStreamError
            If the stream did not end with one.
        ModelBehaviorError
            If it ended with a failure.
        """
        if self.last is None:
            raise ModelStreamError(
                "Model did not produce a final response! Its stream ended without "
                "response.completed; what arrived is in the run's events. Run it again, or set "
                "ModelSettings.retry."
            )
        if self.last.type != "response.completed":
            raise response_failure(self.last.type, self.last)
        if not self.last.response.output:
            self.done += streamed_items(state.trace)
        return self._answer(settings)

    def keep_part(self, state: RunState[Any], settings: ModelSettings, error: Exception) -> None:
        """Keep what arrived of an answer that failed, with the tokens that it cost."""
        if getattr(self.last, "response", None) is not None:
            part = self._answer(settings)
        else:
            items = open_items(state.trace)
            if not items and not self.done:
                return
            turn = state.trace.turns[-1]
            part = ModelResponse(
                output=[*self.done, *items], usage=Usage(requests=1), response_id=turn.response_id
            )
            error.add_note(_KEPT)
        state.context.usage.add(part.usage)
        state.responses.append(part)

    def _answer(self, settings: ModelSettings) -> ModelResponse:
        response = self.last.response
        return ModelResponse(
            # Some servers leave `output` empty here; the items told as done stand in for it.
            output=list(response.output or self.done),
            usage=usage_of(response.usage),
            response_id=response.id,
            request_id=getattr(response, "_request_id", None),
            raw_usage=_raw_usage(response) if settings.preserve_raw_usage else None,
        )


_KEPT: Final = (
    "What had arrived of the answer is in the run's trace, and the last of its raw_responses. To "
    "have a broken answer replaced by a new one, set ModelSettings(retry=ModelRetrySettings("
    "replace_partial=True)); to have it resumed, with the Responses API, "
    'ModelSettings(extra_args={"background": True}).'
)


def _raw_usage(response: Any) -> dict[str, Any] | None:
    """The usage as the provider sent it: chat models put it beside the one they translate it to."""
    if response.usage is None:
        return None
    raw: dict[str, Any] | None = getattr(response, "_raw_usage", None)
    return raw or response.usage.model_dump(exclude_unset=True)
