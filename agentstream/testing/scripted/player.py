"""A turn as the Responses API streams it: from `response.created` to `response.completed`.

The shapes are those of recorded streams of api.openai.com. `ScriptedModel` and the scripted
server both play what `play` yields; the server turns it into chunks for Chat Completions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...exceptions import UserError
from .parts import call
from .shapes import Fault, HandOff, Part, ScriptRequest, TimedEvent, Turn

# A fixed time, so that a run of a script gives the same bytes each time: 2026-01-01, UTC.
CREATED = 1767225600

TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})


def handoff_tool_name(agent_name: str) -> str:
    """The name of the tool that hands off to an agent of this name.

    Examples
    --------
    >>> handoff_tool_name("Booking agent")
    'transfer_to_booking_agent'
    """
    return re.sub(r"[^a-zA-Z0-9_]", "_", f"transfer_to_{agent_name}").lower()


def play(
    turn: Turn, request: ScriptRequest, *, key: str, model: str
) -> Iterator[TimedEvent | Fault]:
    """The events of `turn`, with its faults where they happen."""
    refused = [part for part in turn.parts if isinstance(part, Fault) and part.kind == "http_error"]
    if refused:
        yield refused[0]
        return
    delayed = [part for part in turn.parts if isinstance(part, Fault) and part.after is not None]
    delayed.sort(key=lambda fault: fault.after or 0)
    timed_events = list(_Player(turn, request, key, model).timed_events())
    events = sum(isinstance(timed_event, TimedEvent) for timed_event in timed_events)
    if delayed and (delayed[-1].after or 0) >= events:
        fault = delayed[-1]
        raise UserError(
            f"{fault.kind}(after={fault.after}) would never happen: this turn has {events} events. "
            f"Write a number below {events}."
        )
    count = 0
    for timed_event in timed_events:
        while isinstance(timed_event, TimedEvent) and delayed and count == delayed[0].after:
            yield delayed.pop(0)
        yield timed_event
        count += isinstance(timed_event, TimedEvent)


@dataclass
class _Player:
    turn: Turn
    request: ScriptRequest
    key: str
    model: str
    output: list[dict[str, Any]] = field(default_factory=list)
    number: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    def timed_events(self) -> Iterator[TimedEvent | Fault]:
        for kind in ("response.created", "response.in_progress"):
            yield self.numbered(
                TimedEvent({"type": kind, "response": self.response("in_progress")})
            )
        parts = [part for part in self.turn.parts if getattr(part, "after", None) is None]
        for index, part in enumerate(parts):
            if isinstance(part, Fault):
                if part.kind in ("fail", "incomplete", "error"):
                    yield self.ending(part)
                    return
                yield part
            else:
                following = parts[index + 1] if index + 1 < len(parts) else None
                short = isinstance(following, Fault) and following.kind == "incomplete"
                yield from self.part(self.resolved(part), short)
        yield self.ending(None)

    def resolved(self, part: Part | HandOff) -> Part:
        if isinstance(part, Part):
            return part
        name = self.request.handoffs.get(part.agent) or handoff_tool_name(part.agent)
        resolved = call(name, part.arguments)
        return resolved.with_id(part.call_id) if part.call_id else resolved

    def part(self, part: Part, short: bool) -> Iterator[TimedEvent]:
        index = len(self.output)
        ids = {"id": part.done.get("id") or f"{part.prefix}_{self.key}_{index}"}
        if part.done.get("type") == "function_call":
            ids["call_id"] = part.done.get("call_id") or f"call_{self.key}_{index}"
        done = {**part.done, **ids}
        if short and "status" in done:
            done["status"] = "incomplete"
        where = {"output_index": index}
        added = {"type": "response.output_item.added", "item": {**part.added, **ids}, **where}
        yield self.numbered(TimedEvent(added))
        for timed_event in part.timed_events:
            event = {**timed_event.event, "item_id": ids["id"], **where}
            yield self.numbered(replace(timed_event, event=event))
        self.output.append(done)
        finished = {"type": "response.output_item.done", "item": done, **where}
        yield self.numbered(TimedEvent(finished))

    def numbered(self, timed_event: TimedEvent) -> TimedEvent:
        event = {**timed_event.event, "sequence_number": self.number}
        self.number += 1
        self.output_tokens += timed_event.tokens
        self.reasoning_tokens += timed_event.tokens if timed_event.reasoning else 0
        return replace(timed_event, event=event)

    def ending(self, fault: Fault | None) -> TimedEvent:
        if fault is None:
            kind, response = "completed", self.response("completed")
        elif fault.kind == "error":
            return self.numbered(
                TimedEvent(
                    {"type": "error", "code": fault.code, "message": fault.message, "param": None}
                )
            )
        elif fault.kind == "fail":
            kind, response = "failed", self.response("failed")
            response["error"] = {"code": fault.code, "message": fault.message}
        else:
            kind, response = "incomplete", self.response("incomplete")
            response["incomplete_details"] = {"reason": fault.code}
        if kind != "failed":
            response["usage"] = self.usage()
        return self.numbered(TimedEvent({"type": f"response.{kind}", "response": response}))

    def response(self, status: str) -> dict[str, Any]:
        body = self.request.body
        conversation = body.get("conversation")
        return {
            "id": f"resp_{self.key}",
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": self.request.instructions,
            "max_output_tokens": body.get("max_output_tokens"),
            "model": self.model,
            "output": list(self.output),
            "parallel_tool_calls": True,
            "previous_response_id": body.get("previous_response_id"),
            "reasoning": {"effort": None, "summary": None},
            "store": True,
            "temperature": 1.0,
            "text": {"format": {"type": "text"}, "verbosity": "medium"},
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": None,
            "user": None,
            "metadata": {},
            **({"conversation": {"id": conversation}} if isinstance(conversation, str) else {}),
        }

    def usage(self) -> dict[str, Any] | None:
        if self.turn.usage is False:
            return None
        usage: Mapping[str, int] = self.turn.usage or {}
        input_tokens = usage.get("input_tokens", estimated_tokens(self.request))
        output_tokens = usage.get("output_tokens", self.output_tokens)
        return {
            "input_tokens": input_tokens,
            "input_tokens_details": {
                "cached_tokens": usage.get("cached_tokens", 0),
                "cache_write_tokens": usage.get("cache_write_tokens", 0),
            },
            "output_tokens": output_tokens,
            "output_tokens_details": {
                "reasoning_tokens": usage.get("reasoning_tokens", self.reasoning_tokens)
            },
            "total_tokens": input_tokens + output_tokens,
        }


_EMBEDDED = re.compile(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]{1200,}")


def estimated_tokens(request: ScriptRequest) -> int:
    """About the tokens of a request: a quarter of its characters; an image counts as 300."""
    text = json.dumps([request.instructions, request.input], ensure_ascii=False, default=str)
    text = _EMBEDDED.sub("x" * 1_200, text)
    return max(1, len(text) // 4)
