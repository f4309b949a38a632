"""Names of the SDK's tracing, accepted so that its programs run; nothing is ever sent anywhere."""

from __future__ import annotations

import logging
import sys
import uuid
from contextlib import AbstractContextManager
from typing import Any


class Trace(AbstractContextManager["Trace"]):
    """What `trace` gives: a context manager that remembers its names and does nothing."""

    def __init__(
        self, name: str, trace_id: str, group_id: str | None, metadata: dict[str, Any] | None
    ) -> None:
        self.name = name
        self.trace_id = trace_id
        self.group_id = group_id
        self.metadata = metadata

    def __exit__(self, *error: object) -> None:
        return None

    def start(self, mark_as_current: bool = False) -> None:
        """Accepted; nothing is traced."""

    def finish(self, reset_current: bool = False) -> None:
        """Accepted; nothing is traced."""


def trace(
    workflow_name: str,
    trace_id: str | None = None,
    group_id: str | None = None,
    metadata: dict[str, Any] | None = None,
    tracing: Any = None,
    disabled: bool = False,
) -> Trace:
    """A context manager for programs that group runs in a trace; nothing is sent anywhere.

    Parameters
    ----------
    workflow_name, trace_id, group_id : str
        Kept as attributes.
    metadata : dict, optional
        Kept as an attribute.
    tracing, disabled
        Accepted.

    Examples
    --------
    >>> with trace("Weekend planner") as t:
    ...     t.name
    'Weekend planner'
    """
    return Trace(workflow_name, trace_id or f"trace_{uuid.uuid4().hex}", group_id, metadata)


def set_tracing_disabled(disabled: bool) -> None:
    """Accepted: agentstream never sends traces, whatever `disabled` says.

    Examples
    --------
    >>> set_tracing_disabled(True)
    """


def enable_verbose_stdout_logging() -> None:
    """Write what agentstream logs, at every level, to standard output.

    Examples
    --------
    At a notebook's top, to see each model call::

        enable_verbose_stdout_logging()
    """
    logger = logging.getLogger("agentstream")
    logger.setLevel(logging.DEBUG)
    if not any(getattr(h, "stream", None) is sys.stdout for h in logger.handlers):
        logger.addHandler(logging.StreamHandler(sys.stdout))
