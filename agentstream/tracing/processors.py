"""Who hears the traces and spans that a program opens: processors of its own, and OpenTelemetry."""

from __future__ import annotations

import json
import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .spans import Span, Trace


class TracingProcessor:
    """Base of processors for traces and spans; see `add_trace_processor`.

    Examples
    --------
    >>> class Names(TracingProcessor):
    ...     def on_span_end(self, span):
    ...         print(span.span_data.name)
    """

    def on_trace_start(self, trace: Trace) -> None:
        """Called when `trace` begins."""

    def on_trace_end(self, trace: Trace) -> None:
        """Called when `trace` has ended."""

    def on_span_start(self, span: Span[Any]) -> None:
        """Called when `span` begins."""

    def on_span_end(self, span: Span[Any]) -> None:
        """Called when `span` has ended."""

    def shutdown(self) -> None:
        """Accepted for the SDK's programs; never called."""

    def force_flush(self) -> None:
        """Called by `flush_traces`."""


_processors: list[Any] = []


def _explain() -> None:
    warnings.warn(
        "The processor hears the traces and spans that your program opens itself. agentstream "
        "opens none for its runs: read those with result.to_frame('spans') or result.timeline().",
        UserWarning,
        stacklevel=3,
    )


def add_trace_processor(span_processor: Any) -> None:
    """Send the traces and spans that your program opens to a processor.

    Runs open no spans of their own; a warning says so.

    Parameters
    ----------
    span_processor : TracingProcessor
        Also one that was written for the SDK.

    Examples
    --------
    ::

        add_trace_processor(MyProcessor())
    """
    _explain()
    _processors.append(span_processor)


def set_trace_processors(processors: list[Any]) -> None:
    """Replace the processors that were added.

    Parameters
    ----------
    processors : list of TracingProcessor
        The processors; empty to remove all.

    Examples
    --------
    >>> set_trace_processors([])
    """
    if processors:
        _explain()
    _processors[:] = processors


def flush_traces() -> None:
    """Call `force_flush` of each processor.

    Examples
    --------
    >>> flush_traces()
    """
    for processor in _processors:
        processor.force_flush()


def set_tracing_export_api_key(api_key: str) -> None:
    """Accepted for programs of the SDK; nothing is exported, so no key is needed.

    Parameters
    ----------
    api_key : str
        Not looked at.

    Examples
    --------
    >>> set_tracing_export_api_key("sk-...")
    """


def notify(moment: str, of: Any) -> None:
    """Tell each processor of a beginning or an end."""
    for processor in _processors:
        getattr(processor, moment)(of)


class OpenTelemetrySpan:
    """The OpenTelemetry span beside one of ours; nothing where the program does not use it."""

    def __init__(self) -> None:
        self._span: Any = None
        self._token: Any = None

    def start(self, name: str, kind: str) -> None:
        """Open it as the current span. Nothing is imported: a program that traces has done so."""
        otel = sys.modules.get("opentelemetry.trace")
        if otel is None:
            return
        self._span = otel.get_tracer("agentstream").start_span(name)
        self._span.set_attribute("agentstream.type", kind)
        context = sys.modules["opentelemetry.context"]
        self._token = context.attach(otel.set_span_in_context(self._span))

    def end(self, data: dict[str, Any], error: Any = None) -> None:
        """Close it, with what is known by now."""
        if self._span is None:
            return
        for name, value in data.items():
            if value is not None:
                plain = isinstance(value, (str, bool, int, float))
                self._span.set_attribute(
                    f"agentstream.{name}", value if plain else json.dumps(value, default=str)
                )
        if error is not None:
            otel = sys.modules["opentelemetry.trace"]
            self._span.set_status(otel.Status(otel.StatusCode.ERROR, str(error.get("message"))))
        sys.modules["opentelemetry.context"].detach(self._token)
        self._span.end()
        self._span = None
