"""The functions that open a span, one for each kind, as the SDK names them.

Each returns a `Span`, a context manager. Where there is no parent, it lies in the current span or
trace. `span_id`, `parent` and `disabled` mean the same in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .span_data import (
    AgentSpanData,
    CustomSpanData,
    FunctionSpanData,
    GenerationSpanData,
    GuardrailSpanData,
    HandoffSpanData,
    MCPListToolsSpanData,
    ResponseSpanData,
    SpeechGroupSpanData,
    SpeechSpanData,
    TaskSpanData,
    TranscriptionSpanData,
    TurnSpanData,
)
from .spans import Span, Trace


def custom_span(
    name: str,
    data: dict[str, Any] | None = None,
    span_id: str | None = None,
    parent: Trace | Span[Any] | None = None,
    disabled: bool = False,
) -> Span[CustomSpanData]:
    """Open a span for a part of your program, for processors and OpenTelemetry.

    Parameters
    ----------
    name : str
        What it is called.
    data : dict, optional
        Additional data.
    span_id : str, optional
        A new one unless given.
    parent : Trace or Span, optional
        The parent; by default the current span or trace.
    disabled : bool
        Whether it stays silent.

    Examples
    --------
    >>> with custom_span("load the data", {"rows": 3}) as span:
    ...     span.span_data.export()
    {'type': 'custom', 'name': 'load the data', 'data': {'rows': 3}}
    """
    return Span(CustomSpanData(name, data or {}), span_id, parent, disabled)


def agent_span(
    name: str,
    handoffs: list[str] | None = None,
    tools: list[str] | None = None,
    output_type: str | None = None,
    span_id: str | None = None,
    parent: Trace | Span[Any] | None = None,
    disabled: bool = False,
) -> Span[AgentSpanData]:
    """A span for an agent; parameters as in `custom_span`."""
    data = AgentSpanData(name=name, handoffs=handoffs, tools=tools, output_type=output_type)
    return Span(data, span_id, parent, disabled)


def function_span(
    name: str,
    input: str | None = None,
    output: str | None = None,
    span_id: str | None = None,
    parent: Trace | Span[Any] | None = None,
    disabled: bool = False,
) -> Span[FunctionSpanData]:
    """A call of a function tool, as a span; parameters as in `custom_span`."""
    data = FunctionSpanData(name=name, input=input, output=output)
    return Span(data, span_id, parent, disabled)


def generation_span(
    input: Sequence[Mapping[str, Any]] | None = None,
    output: Sequence[Mapping[str, Any]] | None = None,
    model: str | None = None,
    model_config: Mapping[str, Any] | None = None,
    usage: dict[str, Any] | None = None,
    span_id: str | None = None,
    parent: Trace | Span[Any] | None = None,
    disabled: bool = False,
) -> Span[GenerationSpanData]:
    """A request to a model, as a span; parameters as in `custom_span`."""
    data = GenerationSpanData(
        input=input, output=output, model=model, model_config=model_config, usage=usage
    )
    return Span(data, span_id, parent, disabled)


def response_span(
    response: Any | None = None,
    span_id: str | None = None,
    parent: Trace | Span[Any] | None = None,
    disabled: bool = False,
) -> Span[ResponseSpanData]:
    """A request to the Responses API, as a span; parameters as in `custom_span`."""
    data = ResponseSpanData(response=response)
    return Span(data, span_id, parent, disabled)


def guardrail_span(
    name: str,
    triggered: bool = False,
    span_id: str | None = None,
    parent: Trace | Span[Any] | None = None,
    disabled: bool = False,
) -> Span[GuardrailSpanData]:
    """A guardrail, as a span; parameters as in `custom_span`."""
    data = GuardrailSpanData(name=name, triggered=triggered)
    return Span(data, span_id, parent, disabled)


def handoff_span(
    from_agent: str | None = None,
    to_agent: str | None = None,
    span_id: str | None = None,
    parent: Trace | Span[Any] | None = None,
    disabled: bool = False,
) -> Span[HandoffSpanData]:
    """A handoff between two agents, as a span; parameters as in `custom_span`."""
    data = HandoffSpanData(from_agent=from_agent, to_agent=to_agent)
    return Span(data, span_id, parent, disabled)


def mcp_tools_span(
    server: str | None = None,
    result: list[str] | None = None,
    span_id: str | None = None,
    parent: Trace | Span[Any] | None = None,
    disabled: bool = False,
) -> Span[MCPListToolsSpanData]:
    """A listing of an MCP server's tools, as a span; parameters as in `custom_span`."""
    data = MCPListToolsSpanData(server=server, result=result)
    return Span(data, span_id, parent, disabled)


def speech_group_span(
    input: str | None = None,
    span_id: str | None = None,
    parent: Trace | Span[Any] | None = None,
    disabled: bool = False,
) -> Span[SpeechGroupSpanData]:
    """Pieces of speech that belong together, as a span; parameters as in `custom_span`."""
    data = SpeechGroupSpanData(input=input)
    return Span(data, span_id, parent, disabled)


def speech_span(
    model: str | None = None,
    input: str | None = None,
    output: str | None = None,
    output_format: str | None = "pcm",
    model_config: Mapping[str, Any] | None = None,
    first_content_at: str | None = None,
    span_id: str | None = None,
    parent: Trace | Span[Any] | None = None,
    disabled: bool = False,
) -> Span[SpeechSpanData]:
    """Text that became speech, as a span; parameters as in `custom_span`."""
    data = SpeechSpanData(
        model=model,
        input=input,
        output=output,
        output_format=output_format,
        model_config=model_config,
        first_content_at=first_content_at,
    )
    return Span(data, span_id, parent, disabled)


def task_span(
    name: str,
    span_id: str | None = None,
    parent: Trace | Span[Any] | None = None,
    disabled: bool = False,
) -> Span[TaskSpanData]:
    """A whole run, as a span; parameters as in `custom_span`."""
    data = TaskSpanData(name=name)
    return Span(data, span_id, parent, disabled)


def transcription_span(
    model: str | None = None,
    input: str | None = None,
    input_format: str | None = "pcm",
    output: str | None = None,
    model_config: Mapping[str, Any] | None = None,
    span_id: str | None = None,
    parent: Trace | Span[Any] | None = None,
    disabled: bool = False,
) -> Span[TranscriptionSpanData]:
    """Speech that became text, as a span; parameters as in `custom_span`."""
    data = TranscriptionSpanData(
        model=model,
        input=input,
        input_format=input_format,
        output=output,
        model_config=model_config,
    )
    return Span(data, span_id, parent, disabled)


def turn_span(
    turn: int,
    agent_name: str,
    span_id: str | None = None,
    parent: Trace | Span[Any] | None = None,
    disabled: bool = False,
) -> Span[TurnSpanData]:
    """One turn of an agent, as a span; parameters as in `custom_span`."""
    data = TurnSpanData(turn=turn, agent_name=agent_name)
    return Span(data, span_id, parent, disabled)
