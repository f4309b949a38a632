"""`RecordedModel`: any model, recorded once and replayed anywhere."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from .._utils.redaction import remember
from ..exceptions import UserError
from ..model_settings import default_model_name
from ..models.base import Model, ModelTracing
from ..models.request import ModelRequest
from ..models.request_model import RequestModel
from ..models.responses.stream import response_failure
from ..models.retry.advice import advice_for
from ..models.retry.client_retries import remember_client
from ..models.retry.stall_timer import current_stall_timer
from ..run.refusals import played_run
from .event_lines import answer_of, events_of, model_event_from_dict, response_from_dict
from .file_format import RecordedCall
from .pace import Pace, Speed
from .recorder import CallWriter, Mode, Recorder
from .request_match import RequestDict, request_dict

if TYPE_CHECKING:
    from ..items import ModelResponse, TResponseStreamEvent
    from ..models.retry.attempts import ModelRetryAdvice, ModelRetryAdviceRequest

FAILURES = ("response.failed", "response.incomplete", "error")

# Models of one file share what is found and written there.
_recorders: WeakValueDictionary[tuple[Path, str], Recorder] = WeakValueDictionary()


class RecordedModel(RequestModel):
    """A model whose calls are recorded the first time and replayed afterwards.

    Parameters
    ----------
    model : Model or str or None
        The model, or its name. A name is looked up at the first call, so a replay needs no key.
    path : str or path-like
        The recording, a file of JSON lines.
    mode : {"once", "replay", "record", "refresh"}
        See `agentstream.recording`.
    speed : float or "step" or None
        Of a replay: 1 is the recorded pace, 4 four times as fast, None at once.

    Raises
    ------
    RecordingError
        If the file cannot be read, or is no recording.

    Examples
    --------
    >>> import tempfile
    >>> from agentstream import Agent, RecordedModel, Runner
    >>> from agentstream.testing import ScriptedModel
    >>> path = tempfile.mkdtemp() + "/poem.jsonl"
    >>> poet = Agent(name="Poet", model=RecordedModel(ScriptedModel(["Rain on the roof."]), path))
    >>> Runner.run_sync(poet, "A line").final_output
    'Rain on the roof.'
    >>> poet.model = RecordedModel("scripted", path, mode="replay")
    >>> Runner.run_sync(poet, "A line").final_output
    'Rain on the roof.'
    """

    passes_gate = True  # a replay goes past it; what is recorded goes through by its own model

    def __init__(
        self,
        model: Model | str | None,
        path: str | os.PathLike[str],
        *,
        mode: Mode = "once",
        speed: Speed = 1.0,
    ) -> None:
        if model is not None and not isinstance(model, (Model, str)):
            raise UserError(
                f"RecordedModel wraps a Model or the name of one, got {type(model).__name__}"
            )
        key = (Path(path).absolute(), mode)
        recorder = _recorders.get(key)
        if recorder is None:
            recorder = _recorders[key] = Recorder(path, mode, Pace(speed))
        recorder.pace.speed = speed
        self._set(recorder, model, lambda: _by_name(model))

    @classmethod
    def of(cls, recorder: Recorder, model: Any, find: Callable[[], Model]) -> RecordedModel:
        """A model on a recording that is in use.

        Parameters
        ----------
        recorder : Recorder
            The recording.
        model : Model or str or None
            The model as it was given.
        find : callable
            Finds it when it is first called.
        """
        self = cls.__new__(cls)
        self._set(recorder, model, find)
        return self

    def _set(self, recorder: Recorder, model: Any, find: Callable[[], Model]) -> None:
        named = model if isinstance(model, str) else getattr(model, "model", None)
        self.model = str(named or (default_model_name() if model is None else type(model).__name__))
        self._recorder = recorder
        self._find = find
        self._inner: Model | None = None if isinstance(model, str) else model

    def __repr__(self) -> str:
        return f"RecordedModel({self.model!r}, {str(self._recorder.path)!r})"

    def step(self, count: int = 1) -> None:
        """Let `count` more events pass, of a replay with ``speed="step"``."""
        self._recorder.pace.step(count)

    async def _respond(self, request: ModelRequest, tracing: ModelTracing) -> ModelResponse:
        key = request_dict(request, self.model)
        call = self._recorder.find(key)
        if call is not None:
            return await self._answer(call, raw_usage=bool(request.settings.preserve_raw_usage))
        positional, named = _arguments(request, tracing)
        model = self._called()
        writer = self._recorder.begin(key)
        stall_timer = current_stall_timer()
        try:
            answer = await model.get_response(*positional, **named)
        except BaseException as error:
            writer.close(stall_timer.reason(error))
            raise
        writer.answer(answer)
        return answer

    async def _stream(
        self, request: ModelRequest, tracing: ModelTracing
    ) -> AsyncGenerator[TResponseStreamEvent, None]:
        key = request_dict(request, self.model)
        call = self._recorder.find(key)
        events = self._record(request, tracing, key) if call is None else self._replay(call)
        try:
            async for event in events:
                yield event
        finally:
            await events.aclose()

    async def _record(
        self, request: ModelRequest, tracing: ModelTracing, key: RequestDict
    ) -> AsyncGenerator[Any, None]:
        positional, named = _arguments(request, tracing)
        model = self._called()
        writer: CallWriter = self._recorder.begin(key)
        stall_timer = current_stall_timer()
        ending: BaseException | None = None
        async with AsyncExitStack() as stack:
            events = model.stream_response(*positional, **named)
            if hasattr(events, "aclose"):
                stack.push_async_callback(events.aclose)
            try:
                async for event in events:
                    writer.event(event)
                    yield event
            except BaseException as error:
                ending = stall_timer.reason(error)
                raise
            finally:
                writer.close(ending)

    async def _replay(self, call: RecordedCall) -> AsyncGenerator[Any, None]:
        self._note(call)
        pace, began = self._recorder.pace, asyncio.get_running_loop().time()
        if call.answer is not None:
            await pace.wait(call.seconds, began)
            with self._recorder.reading(call):
                events = [
                    model_event_from_dict(data) for data in events_of(call.answer, self.model)
                ]
            for event in events:
                yield event
            return
        for at, data in call.events():
            await pace.wait(at, began)
            with self._recorder.reading(call):
                event = model_event_from_dict(data)
            yield event
            if event.type in FAILURES and call.raised is None:
                raise response_failure(event.type, event)
        if call.raised is not None or not call.is_whole:
            await pace.wait(call.seconds, began)
            raise self._recorder.failure(call)

    async def _answer(self, call: RecordedCall, *, raw_usage: bool) -> ModelResponse:
        self._note(call)
        await self._recorder.pace.wait(call.seconds, asyncio.get_running_loop().time())
        if call.raised is not None or not call.is_whole:
            raise self._recorder.failure(call)
        with self._recorder.reading(call):
            if call.answer is not None:
                return response_from_dict(call.answer)
            return answer_of([data for _, data in call.events()], raw_usage=raw_usage)

    def _note(self, call: RecordedCall) -> None:
        """Tell the run that this call of it is replayed, at the recording's pace."""
        stall_timer = current_stall_timer()
        stall_timer.stop()  # the pauses are those of the recording, or a person's
        stall_timer.sleep = self._recorder.pace.sleep
        run = played_run()
        if call.withheld is not None and run is not None:
            run.note(call.withheld)
        call_context = self._recorder.call_context()
        if call_context is not None:
            call_context.lines.replayed(call.number, call_context)

    def _called(self) -> Model:
        """The model itself, which is needed now; what its client knows stays out of the file."""
        if self._inner is None:
            self._inner = self._find()
        client = getattr(self._inner, "_client", None)
        remember_client(client)
        remember(os.environ.get("OPENAI_API_KEY"), under="api_key")
        known = [getattr(client, name, None) for name in ("organization", "project")]
        self._recorder.writer.secrets |= {value for value in known if isinstance(value, str)}
        return self._inner

    async def close(self) -> None:
        """Close the file, and release what the model holds."""
        self._recorder.close()
        if self._inner is not None:
            await self._inner.close()

    def get_retry_advice(self, request: ModelRetryAdviceRequest) -> ModelRetryAdvice | None:
        """What the model itself knows about trying again after an error."""
        # In a replay a model given by name is not there: what it would say is in the error.
        return advice_for(request) if self._inner is None else self._inner.get_retry_advice(request)


def _arguments(request: ModelRequest, tracing: ModelTracing) -> tuple[list[Any], dict[str, Any]]:
    # By position, as the SDK gives them: a model written for it may name them as it likes.
    positional = [
        request.system_instructions,
        request.input,
        request.settings,
        request.tools,
        request.output_schema,
        request.handoffs,
        tracing,
    ]
    return positional, {
        "previous_response_id": request.previous_response_id,
        "conversation_id": request.conversation_id,
        "prompt": request.prompt,
    }


def _by_name(model: Any) -> Model:
    """The model; one that is given by name is found as for an agent."""
    if isinstance(model, Model):
        return model
    from ..models.provider import MultiProvider

    return MultiProvider().get_model(model)
