"""Reasoning out of Chat chunks: four dialects, one Responses reasoning item.

The Chat API has no standard field for reasoning, so each provider has its own:

| field                             | who                      | becomes                    |
|-----------------------------------|--------------------------|----------------------------|
| `reasoning_content`               | DeepSeek, Z.ai, Qwen     | summary text               |
| `reasoning`                       | Groq, OpenRouter, Ollama | reasoning text             |
| `thinking_blocks`                 | LiteLLM for Anthropic    | reasoning text, signatures |
| `thinking` parts of `content`     | Mistral                  | summary text               |
| `reasoning_details` alone         | Snowflake                | summary text               |

The first three are as in the OpenAI Agents SDK; the last two it loses or stumbles over.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from openai import BaseModel
from openai.types.responses import (
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseReasoningItem,
    ResponseReasoningSummaryPartAddedEvent,
    ResponseReasoningSummaryPartDoneEvent,
    ResponseReasoningSummaryTextDeltaEvent,
    ResponseReasoningTextDeltaEvent,
    ResponseReasoningTextDoneEvent,
    ResponseStreamEvent,
)
from openai.types.responses.response_reasoning_item import Content, Summary
from openai.types.responses.response_reasoning_summary_part_added_event import Part as AddedPart
from openai.types.responses.response_reasoning_summary_part_done_event import Part as DonePart

__all__ = ["FAKE_ID", "EventSequence", "ReasoningFold", "plain_text", "with_origin"]

ItemT = TypeVar("ItemT", bound=BaseModel)

FAKE_ID = "__fake_id__"
"""The id of everything that the Chat API gives no id, as in the SDK: never sent to a server."""


@dataclass
class EventSequence:
    """What the items of one response share: their numbers, and whence they come."""

    model: str
    response_id: str | None = None
    output_indexes: Iterator[int] = field(default_factory=itertools.count)
    sequence: Iterator[int] = field(default_factory=itertools.count)

    def provider_data(self, **more: Any) -> dict[str, Any]:
        """The `provider_data` of an item, by which it is replayed to the model that made it."""
        data: dict[str, Any] = {"model": self.model}
        if self.response_id:
            data["response_id"] = self.response_id
        return data | more


class ReasoningFold:
    """Fold the reasoning in the deltas of one response; texts are joined once, at the end."""

    def __init__(self, event_sequence: EventSequence) -> None:
        self._event_sequence = event_sequence
        self._summaries: list[list[str]] = []  # the parts of the summary, each in pieces
        self._part_open = False
        self._text: list[str] = []
        self._blocks: list[_Block] = []
        self.output_index: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether a part of the summary goes on."""
        return self._part_open

    def feed(
        self, delta: Mapping[str, Any], thinking: str, *, answers: bool
    ) -> Iterator[ResponseStreamEvent]:
        """Fold one delta.

        `thinking` is the text of the thinking parts of its content. If the delta `answers`, the
        thought before it has ended.
        """
        summary, text = (
            plain_text(delta.get("reasoning_content")),
            plain_text(delta.get("reasoning")),
        )
        if text == summary:
            text = ""  # some servers send it under both names
        blocks = delta.get("thinking_blocks")
        blocks = blocks if isinstance(blocks, list) else []
        if not (summary or text or blocks):
            summary = plain_text(delta.get("reasoning_details"))
        summary, text = self._in_one_form(summary + thinking, text)
        if summary or text or blocks:
            yield from self._begin(bool(text and not summary and not blocks))
        for block in blocks:
            if isinstance(block, Mapping):
                self._take_block(block)
        if summary:
            yield from self._summarise(summary)
        if text:
            self._text.append(text)
            yield ResponseReasoningTextDeltaEvent(
                content_index=0,
                delta=text,
                item_id=FAKE_ID,
                output_index=self._index,
                sequence_number=next(self._event_sequence.sequence),
                type="response.reasoning_text.delta",
            )
        if answers and not summary:
            yield from self.end_part()

    def _in_one_form(self, summary: str, text: str) -> tuple[str, str]:
        """A thought stays in the field it began in: one that changes it midway is still one."""
        if summary and self._text:
            return "", summary + text
        if text and (summary or self._summaries):
            return summary + text, ""
        return summary, text

    def end_part(self) -> Iterator[ResponseStreamEvent]:
        """End the part of the summary that is open, if any."""
        if self._part_open:
            yield self._end_part()

    def finish(self) -> Iterator[ResponseStreamEvent]:
        """End the item, if there is one."""
        if self.output_index is None:
            return
        yield from self.end_part()
        content = self._content()
        if content and not self._summaries:
            yield ResponseReasoningTextDoneEvent(
                content_index=0,
                item_id=FAKE_ID,
                output_index=self.output_index,
                sequence_number=next(self._event_sequence.sequence),
                text=content[0].text,
                type="response.reasoning_text.done",
            )
        yield ResponseOutputItemDoneEvent(
            item=self.item(),
            output_index=self.output_index,
            sequence_number=next(self._event_sequence.sequence),
            type="response.output_item.done",
        )

    def item(self) -> ResponseReasoningItem:
        """The reasoning item with all that has arrived."""
        more: dict[str, Any] = {}
        if self._blocks:
            more["thinking_blocks"] = [block.value() for block in self._blocks]
        elif self._text and not self._summaries:
            more["_chat_completions_reasoning_field"] = "reasoning"
        item = ResponseReasoningItem(
            id=FAKE_ID,
            summary=[Summary(text="".join(p), type="summary_text") for p in self._summaries],
            type="reasoning",
        )
        # Fields that stay unset are left out when the item is sent as input.
        if content := self._content():
            item.content = content
        if signatures := [block.signature for block in self._blocks if block.signature]:
            item.encrypted_content = signatures[-1]
        return with_origin(item, self._event_sequence.provider_data(**more))

    @property
    def _index(self) -> int:
        assert self.output_index is not None  # set by _begin()
        return self.output_index

    def _begin(self, is_text: bool) -> Iterator[ResponseStreamEvent]:
        if self.output_index is not None:
            return
        self.output_index = next(self._event_sequence.output_indexes)
        more = {"_chat_completions_reasoning_field": "reasoning"} if is_text else {}
        item = ResponseReasoningItem(id=FAKE_ID, summary=[], type="reasoning")
        if is_text:
            item.content = [Content(text="", type="reasoning_text")]
        yield ResponseOutputItemAddedEvent(
            item=with_origin(item, self._event_sequence.provider_data(**more)),
            output_index=self.output_index,
            sequence_number=next(self._event_sequence.sequence),
            type="response.output_item.added",
        )

    def _summarise(self, text: str) -> Iterator[ResponseStreamEvent]:
        if not self._part_open:
            self._part_open = True
            self._summaries.append([])
            yield ResponseReasoningSummaryPartAddedEvent(
                item_id=FAKE_ID,
                output_index=self._index,
                part=AddedPart(text="", type="summary_text"),
                sequence_number=next(self._event_sequence.sequence),
                summary_index=len(self._summaries) - 1,
                type="response.reasoning_summary_part.added",
            )
        self._summaries[-1].append(text)
        yield ResponseReasoningSummaryTextDeltaEvent(
            delta=text,
            item_id=FAKE_ID,
            output_index=self._index,
            sequence_number=next(self._event_sequence.sequence),
            summary_index=len(self._summaries) - 1,
            type="response.reasoning_summary_text.delta",
        )

    def _end_part(self) -> ResponseStreamEvent:
        self._part_open = False
        return ResponseReasoningSummaryPartDoneEvent(
            item_id=FAKE_ID,
            output_index=self._index,
            part=DonePart(text="".join(self._summaries[-1]), type="summary_text"),
            sequence_number=next(self._event_sequence.sequence),
            summary_index=len(self._summaries) - 1,
            type="response.reasoning_summary_part.done",
        )

    def _take_block(self, block: Mapping[str, Any]) -> None:
        """Add to the open block; a signature, or a block of another kind, closes it."""
        last = self._blocks[-1] if self._blocks else None
        if block.get("type", "thinking") != "thinking" or not last or not last.is_open:
            last = _Block()
            self._blocks.append(last)
        last.add(block)

    def _content(self) -> list[Content]:
        texts = ["".join(self._text), "".join(t for block in self._blocks for t in block.pieces)]
        return [Content(text=text, type="reasoning_text") for text in texts if text]


class _Block:
    """One of Anthropic's thinking blocks as LiteLLM streams it: pieces, then the signature."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.signature = ""
        self._fields: dict[str, Any] = {}

    @property
    def is_open(self) -> bool:
        return self._fields.get("type", "thinking") == "thinking" and not self.signature

    def add(self, block: Mapping[str, Any]) -> None:
        if isinstance(block.get("thinking"), str):
            self.pieces.append(block["thinking"])
        if isinstance(block.get("signature"), str):
            self.signature = block["signature"]
        self._fields |= {k: v for k, v in block.items() if k not in ("thinking", "signature")}

    def value(self) -> dict[str, Any]:
        fields = dict(self._fields)
        if fields.setdefault("type", "thinking") == "thinking":
            fields["thinking"] = "".join(self.pieces)
        if self.signature:
            fields["signature"] = self.signature
        return fields


def plain_text(value: Any) -> str:
    """The text in what should be a string: in some dialects a part, or a list of parts.

    Examples
    --------
    >>> plain_text([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}])
    'Hm'
    """
    if isinstance(value, str):
        return value
    pieces: list[str] = []
    waiting = [value]  # a stack, not a recursion: nothing says how deep the parts stand
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            pieces.append(part)
        elif isinstance(part, list):
            waiting.extend(reversed(part))
        elif isinstance(part, Mapping):
            names = ("text", "thinking", "content", "summary")
            waiting.extend([part[name] for name in names if part.get(name)][:1])
    return "".join(pieces)


def with_origin(item: ItemT, provider_data: dict[str, Any]) -> ItemT:
    """Note on an item which model made it; the type has no such field, but allows it."""
    item.provider_data = provider_data  # type: ignore[attr-defined]
    return item
