"""The assistant's message out of Chat deltas: text, refusal, log probabilities, citations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeVar

import pydantic
from openai import BaseModel
from openai.types.responses import (
    ResponseContentPartAddedEvent,
    ResponseContentPartDoneEvent,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseOutputMessage,
    ResponseOutputRefusal,
    ResponseOutputText,
    ResponseRefusalDeltaEvent,
    ResponseStreamEvent,
    ResponseTextDeltaEvent,
)
from openai.types.responses.response_output_text import AnnotationURLCitation, Logprob
from openai.types.responses.response_text_delta_event import Logprob as DeltaLogprob

from .reasoning import FAKE_ID, EventSequence, plain_text, with_origin

__all__ = ["MessageFold", "delta_event", "split_content"]

EventT = TypeVar("EventT", bound=BaseModel)
Part = ResponseOutputText | ResponseOutputRefusal


class MessageFold:
    """Fold text and refusals into one message; pieces are joined once, at the end."""

    def __init__(self, event_sequence: EventSequence) -> None:
        self._event_sequence = event_sequence
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._logprobs: list[Logprob] = []
        self._annotations: list[AnnotationURLCitation] = []
        self._text_index: int | None = None
        self._refusal_index: int | None = None
        self.output_index: int | None = None

    @property
    def has_text(self) -> bool:
        """Whether the message has a text part."""
        return self._text_index is not None

    def add_text(self, text: str, logprobs: Any) -> Iterator[ResponseStreamEvent]:
        """Add a piece of the answer."""
        if self._text_index is None:
            yield from self._begin()
            self._text_index = 0 if self._refusal_index is None else 1
            part = ResponseOutputText(annotations=[], text="", type="output_text", logprobs=[])
            yield self._part_added(part, self._text_index)
        yield self.more_text(text, self._take_logprobs(logprobs) if logprobs else [])

    def more_text(self, text: str, logprobs: list[DeltaLogprob]) -> ResponseStreamEvent:
        """Add a further piece of the answer, after `add_text` has added the first."""
        self._text.append(text)
        return delta_event(
            ResponseTextDeltaEvent,
            {
                "content_index": self._text_index,
                "delta": text,
                "item_id": FAKE_ID,
                "logprobs": logprobs,
                "output_index": self.output_index,
                "sequence_number": next(self._event_sequence.sequence),
                "type": "response.output_text.delta",
            },
        )

    def add_refusal(self, text: str) -> Iterator[ResponseStreamEvent]:
        """Add a piece of the model's refusal."""
        if self._refusal_index is None:
            yield from self._begin()
            self._refusal_index = 0 if self._text_index is None else 1
            part = ResponseOutputRefusal(refusal="", type="refusal")
            yield self._part_added(part, self._refusal_index)
        self._refusal.append(text)
        yield delta_event(
            ResponseRefusalDeltaEvent,
            {
                "content_index": self._refusal_index,
                "delta": text,
                "item_id": FAKE_ID,
                "output_index": self.output_index,
                "sequence_number": next(self._event_sequence.sequence),
                "type": "response.refusal.delta",
            },
        )

    def add_annotations(self, annotations: Any) -> None:
        """Keep the URL citations; they are told with the whole text."""
        for annotation in annotations if isinstance(annotations, list) else ():
            citation = annotation.get("url_citation") if isinstance(annotation, Mapping) else None
            if isinstance(citation, Mapping) and citation.get("url"):
                self._annotations.append(
                    AnnotationURLCitation.construct(
                        start_index=citation.get("start_index") or 0,
                        end_index=citation.get("end_index") or 0,
                        title=citation.get("title") or "",
                        url=citation["url"],
                        type="url_citation",
                    )
                )

    def end_parts(self) -> Iterator[ResponseStreamEvent]:
        """End the parts, the text first."""
        parts = self._parts()
        for index in (self._text_index, self._refusal_index):
            if index is not None and self.output_index is not None:
                yield ResponseContentPartDoneEvent(
                    content_index=index,
                    item_id=FAKE_ID,
                    output_index=self.output_index,
                    part=parts[index],
                    sequence_number=next(self._event_sequence.sequence),
                    type="response.content_part.done",
                )

    def finish(self) -> Iterator[ResponseStreamEvent]:
        """End the message, if there is one."""
        if self.output_index is not None:
            yield ResponseOutputItemDoneEvent(
                item=self.item("completed"),
                output_index=self.output_index,
                sequence_number=next(self._event_sequence.sequence),
                type="response.output_item.done",
            )

    def item(self, status: Literal["in_progress", "completed"]) -> ResponseOutputMessage:
        """The message with all that has arrived."""
        message = ResponseOutputMessage(
            id=FAKE_ID,
            content=list(self._parts()),
            role="assistant",
            status=status,
            type="message",
        )
        return with_origin(message, self._event_sequence.provider_data())

    def _begin(self) -> Iterator[ResponseStreamEvent]:
        if self.output_index is not None:
            return
        self.output_index = next(self._event_sequence.output_indexes)
        yield ResponseOutputItemAddedEvent(
            item=self.item("in_progress"),
            output_index=self.output_index,
            sequence_number=next(self._event_sequence.sequence),
            type="response.output_item.added",
        )

    def _part_added(self, part: Part, index: int) -> ResponseStreamEvent:
        return ResponseContentPartAddedEvent(
            content_index=index,
            item_id=FAKE_ID,
            output_index=self.output_index or 0,
            part=part,
            sequence_number=next(self._event_sequence.sequence),
            type="response.content_part.added",
        )

    def _parts(self) -> list[Part]:
        parts: list[tuple[int, Part]] = []
        if self._text_index is not None:
            text = ResponseOutputText(
                annotations=list(self._annotations),
                text="".join(self._text),
                type="output_text",
                logprobs=list(self._logprobs),
            )
            parts.append((self._text_index, text))
        if self._refusal_index is not None:
            refusal = ResponseOutputRefusal(refusal="".join(self._refusal), type="refusal")
            parts.append((self._refusal_index, refusal))
        return [part for _, part in sorted(parts, key=lambda pair: pair[0])]

    def _take_logprobs(self, logprobs: Any) -> list[DeltaLogprob]:
        """Keep the log probabilities in full, and return the form that a delta has."""
        content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
        deltas = []
        for entry in content if isinstance(content, list) else ():
            try:
                kept = Logprob.model_validate(_with_bytes(entry))
                delta = DeltaLogprob.model_validate(
                    {
                        "token": kept.token,
                        "logprob": kept.logprob,
                        "top_logprobs": [
                            {"token": top.token, "logprob": top.logprob}
                            for top in kept.top_logprobs
                        ]
                        or None,
                    }
                )
            except (pydantic.ValidationError, AttributeError, TypeError):
                continue  # an addition to the answer: its text is kept, whatever this is
            self._logprobs.append(kept)
            deltas.append(delta)
        return deltas


# The four that pydantic's own `model_construct` sets, by their slots: a third faster than by name.
_set_values, _set_fields, _set_extra, _set_private = (
    pydantic.BaseModel.__dict__[name].__set__
    for name in (
        "__dict__",
        "__pydantic_fields_set__",
        "__pydantic_extra__",
        "__pydantic_private__",
    )
)


def delta_event(cls: type[EventT], values: dict[str, Any]) -> EventT:
    """Build a delta event from values known to be right, without validating them.

    Deltas are nearly all of a stream; this takes half the time of the constructor.
    """
    event = cls.__new__(cls)
    _set_values(event, values)
    _set_fields(event, set(values))
    _set_extra(event, {})
    _set_private(event, None)
    return event


def split_content(content: Any) -> tuple[str, str]:
    """Divide a list of content parts (Mistral) into the answer's text and the thinking.

    Examples
    --------
    >>> split_content([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
    ...                {"type": "text", "text": "Yes"}])
    ('Yes', 'Hm')
    """
    text: list[str] = []
    thinking: list[str] = []
    for part in content if isinstance(content, list) else [content]:
        is_thought = isinstance(part, Mapping) and part.get("type") in ("thinking", "reasoning")
        (thinking if is_thought else text).append(plain_text(part))
    return "".join(text), "".join(thinking)


def _with_bytes(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in what servers leave out: llama.cpp sends no `top_logprobs`, others no `bytes`."""
    tops = entry.get("top_logprobs") or []
    return {
        **entry,
        "bytes": entry.get("bytes") or [],
        "top_logprobs": [{**top, "bytes": top.get("bytes") or []} for top in tops],
    }
