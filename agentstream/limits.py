"""How long things may take, and what servers may do: `TimeLimits`, for the whole of a run."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from .errors import UserError
from .short_repr import short_repr

__all__ = ["TimeLimits", "origin_of"]


@dataclass(frozen=True)
class TimeLimits:
    """How long the parts of a run may take, in seconds; None: without limit.

    Given as ``RunConfig(limits=...)``. They stand beside `ModelSettings.timeout` (one whole model
    call), the openai client's own ``timeout`` and a tool's own ``timeout``: the shortest counts.

    Attributes
    ----------
    connect : float or None
        Until the connection to the model's server is there. None leaves it to the client (5 s).
    first_event : float or None
        Until a streamed answer begins. Ten minutes by default: a local model may have to read a
        long prompt first.
    between_events : float or None
        Between two events of a streamed answer. Five minutes by default: reasoning is silent.
    run : float or None
        The whole run; pauses for approvals do not count.
    tool : float or None
        Each call of a function tool that has no timeout of its own. The thread of a function that
        is not async cannot be stopped: it goes on, and what it returns is dropped. An agent that
        runs as a tool has the limits of its own run.
    notice : float or None
        Silence of a streaming model after which the view says that it waits.
    event_bytes : int or None
        Bytes, not seconds: of one event of a streamed answer, and of an answer in one piece. 64 MiB
        by default; the largest real ones hold pictures. As all sizes, it is counted after the body
        was decompressed.
    answer_bytes : int or None
        Bytes of a whole streamed answer, 1 GiB by default.
    error_bytes : int or None
        Bytes of an error's body that are read, 1 MiB by default; the rest is left out.
    redirect_origins : collection of str
        Other origins, such as ``"https://eu.example.org"``, that a model's server may redirect
        requests to, with all that is in them: the conversation, and keys in headers. None by
        default: a redirect elsewhere is a `RedirectError`. Within an origin, and from http to https
        on one host, redirects are followed.

    Examples
    --------
    >>> from agentstream import RunConfig
    >>> RunConfig(limits=TimeLimits(between_events=30, run=600)).limits.first_event
    600.0
    """

    connect: float | None = None
    first_event: float | None = 600.0
    between_events: float | None = 300.0
    run: float | None = None
    tool: float | None = None
    notice: float | None = 5.0
    event_bytes: int | None = 64 * 1024**2
    answer_bytes: int | None = 1024**3
    error_bytes: int | None = 1024**2
    redirect_origins: Collection[str] = frozenset()

    def __repr__(self) -> str:
        return short_repr(self)

    def __post_init__(self) -> None:
        object.__setattr__(self, "redirect_origins", _origins(self.redirect_origins))
        for field in fields(self):
            if field.name == "redirect_origins":
                continue
            seconds: Any = getattr(self, field.name)
            number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
            if seconds is not None and not (number and math.isfinite(seconds) and seconds > 0):
                unit = "bytes" if field.name.endswith("bytes") else "seconds"
                raise UserError(
                    f"TimeLimits.{field.name} must be a positive number of {unit}, or None for "
                    f"no limit, got {seconds!r}"
                )


def _origins(given: Any) -> frozenset[str]:
    listed = [] if isinstance(given, str) or not isinstance(given, Collection) else list(given)
    origins = [origin_of(each) if isinstance(each, str) else None for each in listed]
    if None in origins or (not listed and given != () and given != frozenset()):
        raise UserError(
            "TimeLimits.redirect_origins must be a list of origins such as "
            f"'https://eu.example.org', got {given!r}"
        )
    return frozenset(origin for origin in origins if origin is not None)


def origin_of(url: str) -> str | None:
    """The origin of an address: its scheme, host and port; None where it has none.

    Examples
    --------
    >>> origin_of("HTTPS://me@Example.org:443/v1?key=1")
    'https://example.org'
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not parts.scheme or not host:
        return None
    host = f"[{host}]" if ":" in host else host
    known = port is None or port == {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{host}" + ("" if known else f":{port}")
