"""The shapes of a script: turns made of parts, parts made of beats, and what was asked."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class TimedEvent:
    """One event, and what a model spends before it.

    Attributes
    ----------
    event : dict
        The event, as the API sends it.
    tokens : int
        Tokens generated for it.
    seconds : float
        Time of work elsewhere, such as a search; waited for only where a pace is set.
    reasoning : bool
        Whether the tokens are of reasoning.
    """

    event: Mapping[str, Any]
    tokens: int = 0
    seconds: float = 0.0
    reasoning: bool = False


@dataclass(frozen=True)
class Part:
    """One output item: as it is announced, what streams, as it is done.

    Attributes
    ----------
    prefix : str
        What the item's id starts with, such as ``"msg"``.
    added, done : dict
        The item as in `response.output_item.added` and `.done`; an id of None is filled in.
    timed_events : tuple of TimedEvent
        The events between, without `item_id`, `output_index` and `sequence_number`.

    Examples
    --------
    >>> from agentstream.testing import call
    >>> call("get_weather", city="Lisbon").done["arguments"]
    '{"city":"Lisbon"}'
    """

    prefix: str
    added: Mapping[str, Any]
    done: Mapping[str, Any]
    timed_events: tuple[TimedEvent, ...] = ()

    def with_fields(self, **fields: Any) -> Part:
        """The same part, whose item has `fields`, too (or instead).

        Examples
        --------
        >>> from agentstream.testing import call
        >>> call("lookup", key=1).with_fields(namespace="crm").done["namespace"]
        'crm'
        """
        return dataclasses.replace(
            self, added={**self.added, **fields}, done={**self.done, **fields}
        )

    def with_id(self, id: str) -> Part:
        """The same part under this `id`: the call's id for a call, else the item's.

        Examples
        --------
        >>> from agentstream.testing import call
        >>> call("get_weather", city="Lisbon").with_id("call_7").done["call_id"]
        'call_7'
        """
        return self.with_fields(**{"call_id" if "call_id" in self.done else "id": id})


@dataclass(frozen=True)
class HandOff:
    """A call of the handoff to `agent`, whatever the tool for it is called."""

    agent: str
    arguments: str
    call_id: str | None = None

    def with_id(self, id: str) -> HandOff:
        """The same handoff under this call id."""
        return dataclasses.replace(self, call_id=id)


FaultKind = Literal["http_error", "cut", "reset", "stall", "fail", "incomplete", "error"]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, where it stands in the turn or after `after` events of it."""

    kind: FaultKind
    after: int | None = None
    seconds: float | None = None
    status: int = 500
    message: str = ""
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pace:
    """How fast a model is.

    Attributes
    ----------
    tokens_per_second : float
        Tokens generated per second.
    first_token : float
        Seconds until the first token.

    Examples
    --------
    >>> Pace(tokens_per_second=80, first_token=0.2)
    Pace(tokens_per_second=80, first_token=0.2)
    """

    tokens_per_second: float = 50.0
    first_token: float = 0.4


@dataclass(frozen=True)
class RawTurn:
    """Recorded bytes of a stream, played by a server as they are."""

    fragments: tuple[bytes, ...]
    seconds: float = 0.0
    content_type: str = "text/event-stream"


@dataclass(frozen=True)
class Turn:
    """One answer of the model; `turn` builds it.

    Attributes
    ----------
    parts : tuple
        What it says and calls, and what goes wrong.
    usage : dict or False or None
        The tokens it tells; False: none are told; None: as counted.
    pace : Pace or None
        Its own pace, in place of the script's.
    raw : RawTurn or None
        Recorded bytes in place of all that.

    Examples
    --------
    >>> from agentstream.testing import say, turn
    >>> len(turn(say("Let me look."), say("Sunny.")).parts)
    2
    """

    parts: tuple[Part | HandOff | Fault, ...]
    usage: Mapping[str, int] | Literal[False] | None = None
    pace: Pace | None = None
    raw: RawTurn | None = None


@dataclass(frozen=True)
class ScriptRequest:
    """What the model was asked: given to turns that are functions, and kept in `requests`.

    Attributes
    ----------
    number : int
        Which request of the script this is; the first is 1.
    instructions : str or None
        The agent's instructions.
    input : list of dict
        The conversation, in the Responses API's form.
    tools : tuple of str
        Names (or types, for hosted ones) of the tools offered.
    handoffs : dict
        Agent name to tool name of the handoffs offered, where known.
    body : dict
        The JSON body sent to a server; empty for a `ScriptedModel`.

    Examples
    --------
    >>> ScriptRequest(1, input=[{"role": "user", "content": "Hello"}]).user_text
    'Hello'
    """

    number: int
    instructions: str | None = None
    input: list[Any] = field(default_factory=list)
    tools: tuple[str, ...] = ()
    handoffs: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def user_text(self) -> str:
        """The last message of the user; empty where there is none."""
        for item in reversed(self.input):
            if item.get("role") == "user":
                return text_of(item.get("content"))
        return ""

    @property
    def tool_outputs(self) -> list[str]:
        """What the tools answered since the model last spoke, in order."""
        outputs: list[str] = []
        for item in reversed(self.input):
            if item.get("type") != "function_call_output":
                break
            outputs.append(text_of(item.get("output")))
        return outputs[::-1]

    def __str__(self) -> str:
        last = self.input[-1] if self.input else {}
        return json.dumps(last, ensure_ascii=False, default=str)[:200]


def text_of(content: Any) -> str:
    """The text in a message's content or a tool's output, joined."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content or [] if isinstance(part, dict))
