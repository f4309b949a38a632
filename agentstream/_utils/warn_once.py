"""Warnings that are worth reading once: what a program sets, and what has no effect here."""

from __future__ import annotations

import logging
from typing import Any, Final

__all__ = ["NO_TRACES", "warn_once", "warn_without_effect"]

logger = logging.getLogger("agentstream")

NO_TRACES: Final = (
    "agentstream sends no traces. A run's spans are in result.to_frame('spans') and "
    "result.timeline(); recording('run.jsonl') keeps the whole run."
)

_seen: set[str] = set()
_MOST: Final = 1_000


def warn_once(text: str) -> None:
    """Log a warning, unless this process has logged it already."""
    if text in _seen or len(_seen) >= _MOST:
        return
    _seen.add(text)
    logger.warning("%s", text)


def warn_without_effect(owner: str, values: dict[str, Any], instead: str) -> None:
    """Warn about settings that are taken and have no effect, each once.

    Settings that are None or False ask for nothing; `instead` says why, and what to use.
    """
    for name, value in values.items():
        if value is not None and value is not False:
            warn_once(f"{owner}({name}=...) has no effect: {instead}")
