"""What a model itself writes: messages, reasoning, calls, handoffs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..._utils.json import write_json
from ...exceptions import UserError
from .shapes import HandOff, Part, TimedEvent

# About the cut of the tokenizers in use: a word with the space before it, or some punctuation.
TOKEN = re.compile(r"\s*(?:\w{1,12}|[^\w\s]{1,4})|\s+")


def tokens_of(text: str) -> list[str]:
    """Cut `text` into pieces about as long as a model's tokens; joined, they are the text."""
    return TOKEN.findall(text)


def say(text: str, *, annotations: Iterable[Mapping[str, Any]] = ()) -> Part:
    """The model says `text`.

    Parameters
    ----------
    text : str
        The message.
    annotations : list of dict, optional
        Citations, as the API has them; `cite` builds one.

    Examples
    --------
    >>> say("It is sunny.").done["content"][0]["text"]
    'It is sunny.'
    """
    notes = [dict(note) for note in annotations]
    empty = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    full = {**empty, "annotations": notes, "text": text}
    kind = "response.output_text"
    timed_events = [_part_event("response.content_part.added", empty)]
    timed_events += [
        TimedEvent({"type": f"{kind}.delta", "content_index": 0, "delta": piece, "logprobs": []}, 1)
        for piece in tokens_of(text)
    ]
    timed_events += [
        TimedEvent(
            {
                "type": f"{kind}.annotation.added",
                "annotation": note,
                "annotation_index": index,
                "content_index": 0,
            }
        )
        for index, note in enumerate(notes)
    ]
    timed_events.append(
        TimedEvent({"type": f"{kind}.done", "content_index": 0, "logprobs": [], "text": text})
    )
    timed_events.append(_part_event("response.content_part.done", full))
    return message(full, tuple(timed_events))


def refuse(text: str) -> Part:
    """The model refuses, saying `text`.

    Examples
    --------
    >>> refuse("I cannot help with that.").done["content"][0]["refusal"]
    'I cannot help with that.'
    """
    empty = {"type": "refusal", "refusal": ""}
    full = {"type": "refusal", "refusal": text}
    timed_events = [_part_event("response.content_part.added", empty)]
    timed_events += [
        TimedEvent({"type": "response.refusal.delta", "content_index": 0, "delta": piece}, 1)
        for piece in tokens_of(text)
    ]
    timed_events.append(
        TimedEvent({"type": "response.refusal.done", "content_index": 0, "refusal": text})
    )
    timed_events.append(_part_event("response.content_part.done", full))
    return message(full, tuple(timed_events))


def message(content: Mapping[str, Any], timed_events: tuple[TimedEvent, ...]) -> Part:
    """A message of one content part."""
    item = {"id": None, "type": "message", "status": "completed", "role": "assistant"}
    return Part(
        "msg",
        added={**item, "status": "in_progress", "content": []},
        done={**item, "content": [content]},
        timed_events=timed_events,
    )


def _part_event(kind: str, part: Mapping[str, Any]) -> TimedEvent:
    return TimedEvent({"type": kind, "content_index": 0, "part": part})


def cite(url: str, title: str, *, start: int = 0, end: int = 0) -> dict[str, Any]:
    """A citation of a web page for `say`, standing for the characters from `start` to `end`.

    Parameters
    ----------
    url, title : str
        Of the page.
    start, end : int
        Which characters of the text.

    Examples
    --------
    >>> cite("https://example.org/tides", "Tides", end=12)["end_index"]
    12
    """
    return {
        "type": "url_citation",
        "start_index": start,
        "end_index": end,
        "title": title,
        "url": url,
    }


def answer(value: Any) -> Part:
    """The model answers with structured output: `value` as JSON.

    Parameters
    ----------
    value : object
        A pydantic model, dataclass, dict, list ... A type that is not an object is wrapped as
        ``{"response": value}`` by the schema of the agent; write the wrapping here too.

    Examples
    --------
    >>> answer({"city": "Lisbon"}).done["content"][0]["text"]
    '{"city":"Lisbon"}'
    """
    return say(write_json(value))


def think(*summaries: str, text: str | None = None, encrypted: str | None = None) -> Part:
    """The model reasons.

    Parameters
    ----------
    *summaries : str
        Paragraphs of the summary that the API shows; none: it reasons in silence.
    text : str, optional
        The reasoning itself, which open models stream.
    encrypted : str, optional
        The opaque `encrypted_content`.

    Examples
    --------
    >>> [part["text"] for part in think("**Looking up the weather**").done["summary"]]
    ['**Looking up the weather**']
    """
    timed_events: list[TimedEvent] = []
    for index, summary in enumerate(summaries):
        timed_events += _summary_events(index, summary)
    item: dict[str, Any] = {"id": None, "type": "reasoning", "summary": []}
    if encrypted is not None:
        item["encrypted_content"] = encrypted
    done = {**item, "summary": [{"type": "summary_text", "text": text} for text in summaries]}
    if text is not None:
        timed_events += _reasoning_events(text)
        done["content"] = [{"type": "reasoning_text", "text": text}]
    return Part("rs", added=item, done=done, timed_events=tuple(timed_events))


def _summary_events(index: int, text: str) -> list[TimedEvent]:
    def timed_event(kind: str, tokens: int = 0, **fields: Any) -> TimedEvent:
        event = {"type": f"response.reasoning_summary_{kind}", "summary_index": index, **fields}
        return TimedEvent(event, tokens, reasoning=True)

    return [
        timed_event("part.added", part={"type": "summary_text", "text": ""}),
        *(timed_event("text.delta", 1, delta=piece) for piece in tokens_of(text)),
        timed_event("text.done", text=text),
        timed_event("part.done", part={"type": "summary_text", "text": text}),
    ]


def _reasoning_events(text: str) -> list[TimedEvent]:
    kind = "response.reasoning_text"
    return [
        _part_event("response.content_part.added", {"type": "reasoning_text", "text": ""}),
        *(
            TimedEvent(
                {"type": f"{kind}.delta", "content_index": 0, "delta": piece}, 1, reasoning=True
            )
            for piece in tokens_of(text)
        ),
        TimedEvent({"type": f"{kind}.done", "content_index": 0, "text": text}),
        _part_event("response.content_part.done", {"type": "reasoning_text", "text": text}),
    ]


def call(tool: str, arguments: str | Mapping[str, Any] | None = None, /, **named: Any) -> Part:
    """The model calls a tool.

    Parameters
    ----------
    tool : str
        The tool's name.
    arguments : str or dict, optional
        The arguments as JSON text (which may be broken, to see what happens) or as a dict.
    **named
        The arguments by name.

    Examples
    --------
    >>> call("get_weather", city="Lisbon").done["arguments"]
    '{"city":"Lisbon"}'
    """
    text = arguments_text(arguments, named)
    item = {"id": None, "type": "function_call", "call_id": None, "name": tool}
    kind = "response.function_call_arguments"
    return Part(
        "fc",
        added={**item, "status": "in_progress", "arguments": ""},
        done={**item, "status": "completed", "arguments": text},
        timed_events=(
            *(
                TimedEvent({"type": f"{kind}.delta", "delta": piece}, 1)
                for piece in tokens_of(text)
            ),
            TimedEvent({"type": f"{kind}.done", "arguments": text, "name": tool}),
        ),
    )


def arguments_text(arguments: str | Mapping[str, Any] | None, named: Mapping[str, Any]) -> str:
    """The arguments of a call as the JSON text a model would write."""
    if isinstance(arguments, str):
        if named:
            raise UserError("Write a call's arguments as JSON text or by name, not both.")
        return arguments
    return write_json({**(arguments or {}), **named})


def hand_off(
    agent: Any, arguments: str | Mapping[str, Any] | None = None, /, **named: Any
) -> HandOff:
    """The model hands off to an agent.

    Parameters
    ----------
    agent : str or Agent
        The agent, or its name.
    arguments, **named
        Input of the handoff, as for `call`.

    Examples
    --------
    >>> hand_off("Booking").agent
    'Booking'
    """
    return HandOff(getattr(agent, "name", agent), arguments_text(arguments, named))
