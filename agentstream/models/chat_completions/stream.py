"""Chat Completions chunks to Responses events: a pure fold, dicts in, typed events out, no I/O.

    chunk ──▶ ChatFold.feed ──▶ created, item added, deltas ...
    end   ──▶ ChatFold.finish ──▶ parts and items done, completed | incomplete

The events are those of the OpenAI Agents SDK's model for the same bytes, so that nothing above
`models/` knows that there are two APIs. Where a provider leaves the specification, as their users
report, nothing that arrived is lost. Differences from the SDK, all where it loses data or fails:

- a stream that breaks off (neither a finish_reason nor `[DONE]`) ends in `response.incomplete`;
  one without a single chunk, or without a choice in any, raises;
- a finish_reason of `length` or `content_filter` is kept as `response.incomplete_details`;
- tool calls are told apart by the law in `tool_calls`, and each has an id;
- reasoning that begins after the answer has an output index of its own;
- thinking parts, content parts, `message` instead of `delta`, the old `function_call`, citations
  before the text and usage in unusual places are read;
- an error keeps its text even if it is a bare string; errors in other servers' shapes are errors;
- a finish_reason of `error`, or of a tool call where there is none and no text, raises.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from uuid import uuid4

from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseCreatedEvent,
    ResponseError,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseFunctionToolCall,
    ResponseIncompleteEvent,
    ResponseOutputItem,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseStreamEvent,
    ResponseUsage,
)
from openai.types.responses.response import IncompleteDetails

from ...exceptions import AgentsException, ModelBehaviorError, ModelStreamError, UserError
from ..http.server_error import api_error, error_in, no_answer
from .message import MessageFold, delta_event, split_content
from .reasoning import FAKE_ID, EventSequence, ReasoningFold, plain_text, with_origin
from .tool_calls import OpenCall, ToolCallAssembler, call_entries, thought_signature
from .usage import response_usage

__all__ = ["BROKE_OFF", "FAKE_ID", "ChatFold"]

logger = logging.getLogger(__name__)

_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
_WITHHELD: Final = "Response withheld by the provider's content filter."  # the SDK's words
# Ends of a call: without one, and without a word, it was lost.
_AGAIN: Final = "Try again, or set ModelSettings.retry; the server's log may say more."
_NEEDED: Final[dict[str, tuple[str, str]]] = {
    "length": ("answer", "Raise ModelSettings.max_tokens, or lower the reasoning effort."),
    "tool_calls": ("answer", _AGAIN),
    "function_call": ("answer", _AGAIN),
    "malformed_function_call": ("call", _AGAIN),
    "error": ("nothing helps", _AGAIN),
}
"""What an answer must hold that ends with a reason, or it is an error; and what to do then."""
BROKE_OFF: Final = (
    "The server closed the connection without a finish_reason or [DONE]. Try again; if it always "
    "ends so, look into the server's or the proxy's log."
)
_OTHER_CHOICES: Final = (
    "Chat Completions streaming with multiple choices or nonzero choice indexes is not fully "
    "supported; only choice index 0 can be processed."
)


# What `feed` reads of a delta beside its text.
_BESIDE_TEXT: Final = (
    "refusal",
    "tool_calls",
    "function_call",
    "reasoning_content",
    "reasoning",
    "thinking_blocks",
    "reasoning_details",
    "annotations",
    "audio",
)

_OF_ANY_CHUNK: Final = frozenset({"id", "object", "created", "model", "usage"})
_REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking_blocks", "reasoning_details")


class ChatFold:
    """Fold the chunks of one Chat completion into Responses events.

    Parameters
    ----------
    response
        What the final response holds besides its output and usage (model, tool choice, ...).
    tool_names
        The tools and handoffs that were offered, to tell split names from further calls.
    strict
        Raise where the provider uses what has no counterpart, instead of leaving it out.
    buffer_tool_calls
        Tell of tool calls only when all of them have arrived, in the order of their indexes.
    request
        The HTTP request, for the `openai.APIError` of an error chunk.
    new_call_id
        Makes the id of a call that has none.
    """

    def __init__(
        self,
        response: Response,
        *,
        tool_names: frozenset[str] = frozenset(),
        strict: bool = False,
        buffer_tool_calls: bool = False,
        request: Any = None,
        new_call_id: Callable[[], str] = lambda: f"call_{uuid4().hex}",
    ) -> None:
        self._response = response
        self._strict = strict
        self._buffer = buffer_tool_calls
        self.request = request
        self._event_sequence = EventSequence(model=response.model)
        self._reasoning = ReasoningFold(self._event_sequence)
        self._message = MessageFold(self._event_sequence)
        self._assembler = ToolCallAssembler(tool_names, new_call_id)
        self._started = False
        self._has_choice = False
        self._stray: Any = None  # the last chunk that is none
        self._warned = False
        self._finish_reason: str | None = None
        self._came_in_deltas = False
        self.raw_usage: dict[str, Any] | None = None

    def feed(self, chunk: Any, name: str | None = None) -> Iterator[ResponseStreamEvent]:
        """Fold one parsed chunk.

        `chunk` may also be a whole completion, which is read as its only chunk; `name` is that of
        the server-sent event: chunks have none, errors may. Events before a fault come also if one
        is raised.

        Raises
        ------
        openai.APIError
            The chunk is an error of the server.
        ModelBehaviorError
            The chunk is not a JSON object.
        UserError
            Strict, and the provider sends what has no counterpart.
        """
        if chunk is None:
            return
        if error := error_in(chunk, name):
            raise api_error(error, self.request, whole=True)
        if not isinstance(chunk, Mapping):
            raise ModelBehaviorError(
                f"The server sent {no_answer(chunk)} where a chat completion chunk "
                "should be. Check that base_url points at an OpenAI-compatible Chat API."
            )
        if not self._started:
            self._started = True
            yield ResponseCreatedEvent(
                response=self._response,
                sequence_number=next(self._event_sequence.sequence),
                type="response.created",
            )
        self._take_usage(chunk.get("usage"))
        choice = self._choice(chunk.get("choices"))
        if "choices" not in chunk and chunk.keys() - _OF_ANY_CHUNK:
            self._stray = chunk
        if choice:
            self._has_choice = True
            if chunk.get("id"):  # Groq's last chunk, without choices, has the id "stub"
                self._event_sequence.response_id = str(chunk["id"])
            yield from self._choice_events(choice)
            if choice.get("finish_reason"):
                self._finish_reason = str(choice["finish_reason"])
                self._take_provider_usage(chunk, choice)
                if self._finish_reason == "content_filter" and not self._has_answer:
                    yield from self._message.add_refusal(_WITHHELD)

    def feed_text_fast(self, chunk: Any) -> ResponseStreamEvent | None:
        """Fold a chunk that holds a further piece of text and nothing else; None: it is for `feed`.

        Why: nearly all chunks are such, and `feed` looks in each for what some server puts there.
        Whatever is in doubt takes the long way; a property test holds both equal.
        """
        if not self._message.has_text or self._reasoning.is_open or type(chunk) is not dict:
            return None
        choices = chunk.get("choices")
        if type(choices) is not list or len(choices) != 1 or type(choices[0]) is not dict:
            return None
        more = choices[0].get
        if more("finish_reason") or more("logprobs") or more("index") or more("error"):
            return None
        delta = more("delta")
        if type(delta) is not dict or type(delta.get("content")) is not str:
            return None
        if len(delta) > 1 and any(map(delta.get, _BESIDE_TEXT)):
            return None
        if chunk.get("usage") or chunk.get("error"):
            return None
        if chunk.get("id"):
            self._event_sequence.response_id = str(chunk["id"])
        return self._message.more_text(delta["content"], [])

    def finish(self, *, complete: bool) -> Iterator[ResponseStreamEvent]:
        """End the response.

        The ends of all open parts and items, then `response.completed`, or `response.incomplete`
        where the stream broke off. It is `complete` after `[DONE]`; a finish_reason will do too.

        Raises
        ------
        ModelStreamError
            There was no chunk at all, or none with a choice.
        ModelBehaviorError
            The tokens ran out before the answer began.
        """
        self._check_end()
        # One that broke off is told as that.
        if not self._has_choice and (complete or self._stray is not None):
            raise self._no_choice()
        complete = complete or self._finish_reason is not None
        yield from self._late_calls()
        yield from self._reasoning.finish()
        yield from self._message.end_parts()
        yield from map(self._call_done, self._assembler.calls)
        yield from self._message.finish()
        response = self._final_response(complete)
        number = next(self._event_sequence.sequence)
        if complete:
            yield ResponseCompletedEvent(
                response=response, sequence_number=number, type="response.completed"
            )
        else:
            yield ResponseIncompleteEvent(
                response=response, sequence_number=number, type="response.incomplete"
            )

    def output(self) -> list[ResponseOutputItem]:
        """The items that have arrived so far, in the order of their output indexes."""
        items: list[tuple[int, ResponseOutputItem]] = []
        if self._reasoning.output_index is not None:
            items.append((self._reasoning.output_index, self._reasoning.item()))
        if self._message.output_index is not None:
            items.append((self._message.output_index, self._message.item("completed")))
        items.extend(
            (call.output_index, self._call_item(call, call.arguments()))
            for call in self._assembler.calls
            if call.output_index is not None
        )
        return [item for _, item in sorted(items, key=lambda pair: pair[0])]

    def usage(self) -> ResponseUsage | None:
        """The tokens used, None if the provider did not say."""
        return None if self.raw_usage is None else response_usage(self.raw_usage)

    @property
    def has_begun(self) -> bool:
        """Whether any of the answer has been told."""
        return self._has_answer or self._reasoning.output_index is not None

    @property
    def has_ended(self) -> bool:
        """Whether the server said why it ended."""
        return self._finish_reason is not None

    def _no_choice(self) -> ModelStreamError:
        """The error for a stream that is no answer, with what came in its place."""
        sent = "" if self._stray is None else f"; it sent {no_answer(self._stray)}"
        known = str((self._stray or {}).get("type"))
        other = " The server speaks the Responses API: use OpenAIResponsesModel."
        return ModelStreamError(
            f"The server ended the answer of model {self._response.model!r} without a choice in it"
            f"{sent}. {_AGAIN}{other if known.startswith('response.') else ''}"
        )

    def _check_end(self) -> None:
        if not self._started:
            raise ModelStreamError(
                f"The server ended the stream of model {self._response.model!r} without sending "
                "a single chunk. Check the server's log, and that it supports streaming."
            )
        needed = _NEEDED.get((self._finish_reason or "").lower())
        has = {"answer": self._has_answer, "call": bool(self._assembler.calls)}
        if needed is None or has.get(needed[0]):
            return
        raise ModelBehaviorError(
            f"The model ended with finish_reason={self._finish_reason!r}"
            + (". " if self._has_answer else " and gave no text, tool call or refusal. ")
            + needed[1]
        )

    @property
    def _has_answer(self) -> bool:
        return self._message.output_index is not None or bool(self._assembler.calls)

    def _take_usage(self, usage: Any) -> None:
        # Some send it once, some with every chunk, counting up: the last one is the whole.
        if isinstance(usage, Mapping):
            self.raw_usage = dict(usage)

    def _take_provider_usage(self, chunk: Mapping[str, Any], choice: Mapping[str, Any]) -> None:
        """Groq without `stream_options` and Moonshot tell the usage in a field of their own."""
        if self.raw_usage is None:
            x_groq = chunk.get("x_groq")
            self._take_usage(choice.get("usage"))
            self._take_usage(x_groq.get("usage") if isinstance(x_groq, Mapping) else None)

    def _choice(self, choices: Any) -> Mapping[str, Any] | None:
        """The one choice that is read: that of index 0, or without an index."""
        mine = None
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, Mapping):
                continue
            if choice.get("index") or mine is not None:
                if self._strict:
                    raise UserError(_OTHER_CHOICES)
                if not self._warned:
                    self._warned = True
                    logger.warning(
                        "%s The others are left out; pass strict_feature_validation=True to "
                        "get an error instead.",
                        _OTHER_CHOICES,
                    )
            else:
                mine = choice
        if mine and mine.get("error"):
            raise api_error(mine["error"], self.request, whole=True)
        return mine

    def _choice_events(self, choice: Mapping[str, Any]) -> Iterator[ResponseStreamEvent]:
        delta = choice.get("delta")
        if delta:
            self._came_in_deltas = True
        else:
            delta = self._not_repeated(choice.get("message"))
        if not isinstance(delta, Mapping):
            return
        content = delta.get("content")
        text, thinking = (content, "") if isinstance(content, str) else split_content(content)
        if delta.get("audio"):
            raise AgentsException("Audio is not currently supported")
        calls = bool(delta.get("tool_calls") or delta.get("function_call"))
        answers = content is not None or bool(delta.get("refusal")) or (calls and not self._buffer)
        yield from self._reasoning.feed(delta, thinking, answers=answers)
        if text or (content is not None and self._message.has_text):
            yield from self._message.add_text(text, choice.get("logprobs"))
        if delta.get("refusal"):
            yield from self._message.add_refusal(plain_text(delta["refusal"]))
        if delta.get("annotations"):
            self._message.add_annotations(delta["annotations"])
        if calls:
            for entry in call_entries(delta):
                yield from self._call_events(entry)

    def _not_repeated(self, message: Any) -> Any:
        """What a whole message adds to the deltas before it: some servers repeat them in it."""
        if not self._came_in_deltas or not isinstance(message, Mapping):
            return message
        began = (
            (self._message.output_index is not None, ("content", "refusal")),
            (bool(self._assembler.calls), ("tool_calls", "function_call")),
            (self._reasoning.output_index is not None, _REASONING_FIELDS),
        )
        repeated = {field for is_there, fields in began if is_there for field in fields}
        return {field: value for field, value in message.items() if field not in repeated}

    def _call_events(self, entry: Mapping[str, Any]) -> Iterator[ResponseStreamEvent]:
        if entry.get("type") == "custom":
            if self._strict:
                raise UserError("Custom tool calls are not supported by the Chat Completions API")
            logger.warning("Left out a custom tool call: Chat Completions tools are functions.")
            return
        call = self._assembler.take(entry)
        signature = thought_signature(entry)
        if signature:
            call.provider_data["thought_signature"] = signature
        if self._buffer:
            return
        # Without a name there is nothing to show yet; the id may still come with the arguments.
        waits = call.is_twin or not call.name
        if not call.announced and not waits and (call.id or call.parts):
            yield self._announce(call)
        if call.announced:
            yield from self._arguments(call)

    def _late_calls(self) -> Iterator[ResponseStreamEvent]:
        """Announce what has waited: buffered calls, twins, and whose name or id never came."""
        self._assembler.settle_twins()
        if self._buffer and self._assembler.calls:
            self._assembler.calls.sort(key=lambda call: call.index or 0)
            yield from self._reasoning.end_part()
        for call in self._assembler.calls:
            if not call.announced:
                yield self._announce(call)
                yield from self._arguments(call)

    def _announce(self, call: OpenCall) -> ResponseStreamEvent:
        call.announced = True
        call.output_index = next(self._event_sequence.output_indexes)
        self._assembler.settle_id(call)
        return ResponseOutputItemAddedEvent(
            item=self._call_item(call, ""),
            output_index=call.output_index,
            sequence_number=next(self._event_sequence.sequence),
            type="response.output_item.added",
        )

    def _arguments(self, call: OpenCall) -> Iterator[ResponseStreamEvent]:
        if call.sent < len(call.parts) and call.output_index is not None:
            pieces = call.parts[call.sent :]
            call.sent = len(call.parts)
            yield delta_event(
                ResponseFunctionCallArgumentsDeltaEvent,
                {
                    "delta": pieces[0] if len(pieces) == 1 else "".join(pieces),
                    "item_id": FAKE_ID,
                    "output_index": call.output_index,
                    "sequence_number": next(self._event_sequence.sequence),
                    "type": "response.function_call_arguments.delta",
                },
            )

    def _call_item(self, call: OpenCall, arguments: str) -> ResponseFunctionToolCall:
        item = ResponseFunctionToolCall(
            id=FAKE_ID,
            call_id=call.id,
            name=call.name,
            arguments=arguments,
            type="function_call",
        )
        return with_origin(item, self._event_sequence.provider_data(**call.provider_data))

    def _call_done(self, call: OpenCall) -> ResponseStreamEvent:
        return ResponseOutputItemDoneEvent(
            item=self._call_item(call, call.arguments()),
            output_index=call.output_index or 0,
            sequence_number=next(self._event_sequence.sequence),
            type="response.output_item.done",
        )

    def _final_response(self, complete: bool) -> Response:
        response = self._response.model_copy(update={"output": self.output()})
        response.usage = self.usage()
        reason = _INCOMPLETE.get(self._finish_reason or "")
        if reason:
            response.incomplete_details = IncompleteDetails.model_validate({"reason": reason})
        if not complete:
            response.status = "incomplete"
            response.error = ResponseError(code="server_error", message=BROKE_OFF)
        return response
