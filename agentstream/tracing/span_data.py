"""What a span is about: one class for each kind of span that the SDK names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar


class SpanData:
    """Base of what a span is about."""

    type: ClassVar[str] = "span"

    def export(self) -> dict[str, Any]:
        """The kind and the fields, as a dict.

        Examples
        --------
        >>> HandoffSpanData("Concierge", "Booking").export()
        {'type': 'handoff', 'from_agent': 'Concierge', 'to_agent': 'Booking'}
        """
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        return {"type": self.type, **{name: getattr(self, name) for name in names}}


@dataclass
class AgentSpanData(SpanData):
    """An agent at work; fields as in `SpanData.export`."""

    type = "agent"
    name: str
    handoffs: list[str] | None = None
    tools: list[str] | None = None
    output_type: str | None = None
    metadata: dict[str, Any] | None = None


@dataclass
class CustomSpanData(SpanData):
    """A part of your own program; fields as in `SpanData.export`."""

    type = "custom"
    name: str
    data: dict[str, Any]


@dataclass
class FunctionSpanData(SpanData):
    """A call of a function tool; fields as in `SpanData.export`."""

    type = "function"
    name: str
    input: str | None
    output: Any | None
    mcp_data: dict[str, Any] | None = None


@dataclass
class GenerationSpanData(SpanData):
    """A request to a model, in the terms of Chat Completions; fields as in `SpanData.export`."""

    type = "generation"
    input: Sequence[Mapping[str, Any]] | None = None
    output: Sequence[Mapping[str, Any]] | None = None
    model: str | None = None
    model_config: Mapping[str, Any] | None = None
    usage: dict[str, Any] | None = None


@dataclass
class GuardrailSpanData(SpanData):
    """A guardrail, and whether it stopped the run; fields as in `SpanData.export`."""

    type = "guardrail"
    name: str
    triggered: bool = False


@dataclass
class HandoffSpanData(SpanData):
    """A handoff between two agents; fields as in `SpanData.export`."""

    type = "handoff"
    from_agent: str | None
    to_agent: str | None


@dataclass
class MCPListToolsSpanData(SpanData):
    """A listing of an MCP server's tools; fields as in `SpanData.export`."""

    type = "mcp_tools"
    server: str | None = None
    result: list[str] | None = None


@dataclass
class ResponseSpanData(SpanData):
    """A request to the Responses API; fields as in `SpanData.export`.

    Its export names the response by its id alone.
    """

    type = "response"
    response: Any | None = None
    input: Any | None = None
    usage: dict[str, Any] | None = None

    def export(self) -> dict[str, Any]:
        """The kind, the id of the response, and the usage."""
        response_id = getattr(self.response, "id", None)
        return {"type": self.type, "response_id": response_id, "usage": self.usage}


@dataclass
class SpeechGroupSpanData(SpanData):
    """Several pieces of speech that belong together; fields as in `SpanData.export`."""

    type = "speech_group"
    input: str | None = None


@dataclass
class SpeechSpanData(SpanData):
    """Text that became speech; fields as in `SpanData.export`."""

    type = "speech"
    input: str | None = None
    output: str | None = None
    output_format: str | None = "pcm"
    model: str | None = None
    model_config: Mapping[str, Any] | None = None
    first_content_at: str | None = None


@dataclass
class TaskSpanData(SpanData):
    """A whole run; fields as in `SpanData.export`."""

    type = "task"
    name: str
    usage: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


@dataclass
class TranscriptionSpanData(SpanData):
    """Speech that became text; fields as in `SpanData.export`."""

    type = "transcription"
    input: str | None = None
    input_format: str | None = "pcm"
    output: str | None = None
    model: str | None = None
    model_config: Mapping[str, Any] | None = None


@dataclass
class TurnSpanData(SpanData):
    """One turn of an agent; fields as in `SpanData.export`."""

    type = "turn"
    turn: int
    agent_name: str
    usage: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
