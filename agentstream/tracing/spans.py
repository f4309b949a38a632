"""Traces and spans that a program opens itself. They are sent nowhere but to who listens."""

from __future__ import annotations

import uuid
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from typing_extensions import TypedDict

from .processors import OpenTelemetrySpan, notify
from .span_data import SpanData

DataT = TypeVar("DataT", bound=SpanData)

_disabled = False
_trace: ContextVar[Trace | None] = ContextVar("trace", default=None)
_span: ContextVar[Span[Any] | None] = ContextVar("span", default=None)


class SpanError(TypedDict):
    """What went wrong in a span: a `message`, and `data` of your own."""

    message: str
    data: dict[str, Any] | None


def gen_trace_id() -> str:
    """A new id for a trace.

    Examples
    --------
    >>> gen_trace_id().startswith("trace_"), len(gen_trace_id())
    (True, 38)
    """
    return f"trace_{uuid.uuid4().hex}"


def gen_span_id() -> str:
    """A new id for a span.

    Examples
    --------
    >>> gen_span_id().startswith("span_"), len(gen_span_id())
    (True, 29)
    """
    return f"span_{uuid.uuid4().hex[:24]}"


def set_tracing_disabled(disabled: bool) -> None:
    """Disable or enable traces and spans.

    Parameters
    ----------
    disabled : bool
        Whether to disable those opened from now on. agentstream sends traces nowhere in any case.

    Examples
    --------
    >>> set_tracing_disabled(False)
    """
    global _disabled
    _disabled = disabled


def get_current_trace() -> Trace | None:
    """The trace that the running code is in.

    Examples
    --------
    >>> with trace("Weekend planner"):
    ...     get_current_trace().name
    'Weekend planner'
    """
    return _trace.get()


def get_current_span() -> Span[Any] | None:
    """The innermost span that the running code is in.

    Examples
    --------
    >>> get_current_span() is None
    True
    """
    return _span.get()


class Trace(AbstractContextManager["Trace"]):
    """Runs and other work that belong together; made by `trace`, parameters as in `trace`."""

    def __init__(
        self,
        name: str,
        trace_id: str,
        group_id: str | None,
        metadata: dict[str, Any] | None,
        disabled: bool = False,
    ) -> None:
        self.name = name
        self.trace_id = trace_id
        self.group_id = group_id
        self.metadata = metadata
        self.disabled = disabled
        self.tracing_api_key = None
        self._token: Token[Trace | None] | None = None
        self._otel = OpenTelemetrySpan()
        self._open = False

    def __enter__(self) -> Trace:
        self.start(mark_as_current=True)
        return self

    def __exit__(self, *error: object) -> None:
        self.finish(reset_current=True)

    def start(self, mark_as_current: bool = False) -> None:
        """Begin; with `mark_as_current` spans that are opened now belong to it."""
        if mark_as_current and self._token is None:
            self._token = _trace.set(self)
        if not self._open and not self.disabled:
            self._open = True
            self._otel.start(self.name, "trace")
            notify("on_trace_start", self)

    def finish(self, reset_current: bool = False) -> None:
        """End; with `reset_current` the trace from before is the current one again."""
        if self._open:
            self._open = False
            self._otel.end({"group_id": self.group_id, "metadata": self.metadata})
            notify("on_trace_end", self)
        if reset_current and self._token is not None:
            _trace.reset(self._token)
            self._token = None

    def export(self) -> dict[str, Any]:
        """The trace as a dict."""
        return {
            "object": "trace",
            "id": self.trace_id,
            "workflow_name": self.name,
            "group_id": self.group_id,
            "metadata": self.metadata,
        }

    def to_json(self, *, include_tracing_api_key: bool = False) -> dict[str, Any]:
        """As `export`: there is no key for `include_tracing_api_key` to include."""
        return self.export()


def trace(
    workflow_name: str,
    trace_id: str | None = None,
    group_id: str | None = None,
    metadata: dict[str, Any] | None = None,
    tracing: Any = None,
    disabled: bool = False,
) -> Trace:
    """A context manager for programs that group runs in a trace; nothing is sent anywhere.

    Processors (`add_trace_processor`) and OpenTelemetry, where the program uses it, hear of it.

    Parameters
    ----------
    workflow_name, trace_id, group_id : str
        Kept as attributes.
    metadata : dict, optional
        Kept as an attribute.
    tracing
        Accepted.
    disabled : bool
        Whether it stays silent.

    Examples
    --------
    >>> with trace("Weekend planner") as t:
    ...     t.name
    'Weekend planner'
    """
    silent = disabled or _disabled
    return Trace(workflow_name, trace_id or gen_trace_id(), group_id, metadata, silent)


class Span(AbstractContextManager["Span[DataT]"], Generic[DataT]):
    """A piece of work with a beginning and an end; parameters as in `custom_span`.

    `span_data` is what it is about.
    """

    def __init__(
        self,
        span_data: DataT,
        span_id: str | None = None,
        parent: Trace | Span[Any] | None = None,
        disabled: bool = False,
    ) -> None:
        within: Any = parent or _span.get() or _trace.get()
        self.span_data = span_data
        self.span_id = span_id or gen_span_id()
        self.trace_id: str = within.trace_id if within is not None else "no-op"
        self.parent_id: str | None = within.span_id if isinstance(within, Span) else None
        self.started_at: str | None = None
        self.ended_at: str | None = None
        self.error: SpanError | None = None
        self.tracing_api_key = None
        self.disabled = disabled or _disabled
        self._token: Token[Span[Any] | None] | None = None
        self._otel = OpenTelemetrySpan()

    @property
    def trace_metadata(self) -> dict[str, Any] | None:
        """The metadata of the current trace."""
        within = _trace.get()
        return within.metadata if within is not None else None

    def __enter__(self) -> Span[DataT]:
        self.start(mark_as_current=True)
        return self

    def __exit__(self, kind: Any, error: BaseException | None, where: Any) -> None:
        if isinstance(error, Exception) and self.error is None:
            self.set_error({"message": f"{type(error).__name__}: {error}", "data": None})
        self.finish(reset_current=True)

    def start(self, mark_as_current: bool = False) -> None:
        """Begin; with `mark_as_current` spans that are opened now lie in it."""
        if mark_as_current and self._token is None:
            self._token = _span.set(self)
        if self.started_at is None:
            self.started_at = datetime.now(UTC).isoformat()
            if not self.disabled:
                name = getattr(self.span_data, "name", None) or self.span_data.type
                self._otel.start(str(name), self.span_data.type)
                notify("on_span_start", self)

    def finish(self, reset_current: bool = False) -> None:
        """End; with `reset_current` the span from before is the current one again."""
        if self.ended_at is None and self.started_at is not None:
            self.ended_at = datetime.now(UTC).isoformat()
            if not self.disabled:
                self._otel.end(self.span_data.export(), self.error)
                notify("on_span_end", self)
        if reset_current and self._token is not None:
            _span.reset(self._token)
            self._token = None

    def set_error(self, error: SpanError) -> None:
        """Keep `error` as what went wrong."""
        self.error = error

    def export(self) -> dict[str, Any]:
        """The span as a dict."""
        return {
            "object": "trace.span",
            "id": self.span_id,
            "trace_id": self.trace_id,
            "parent_id": self.parent_id,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "span_data": self.span_data.export(),
            "error": self.error,
        }
