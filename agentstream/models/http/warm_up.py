"""Builds the validators of the API's types while the first request is on its way.

The openai client leaves it to the first use of each type (``defer_build``). That use would be the
first event of the first answer: pydantic then takes some tenths of a second, in which neither token
nor click comes through. So a thread builds them when the first answer is asked for; servers take
longer to begin theirs. Built before what they are parts of, types are built once and not again for
each event, which is a fourth of the work.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Final

from openai import BaseModel
from openai.types import responses

__all__ = ["prebuild", "wait_until_built"]

_IN_ORDER: Final[tuple[type[BaseModel], ...]] = (
    responses.ResponseOutputMessage,
    responses.ResponseFunctionToolCall,
    responses.ResponseReasoningItem,
    responses.Response,
    responses.ResponseCreatedEvent,
    responses.ResponseInProgressEvent,
    responses.ResponseOutputItemAddedEvent,
    responses.ResponseContentPartAddedEvent,
    responses.ResponseTextDeltaEvent,
    responses.ResponseFunctionCallArgumentsDeltaEvent,
    responses.ResponseTextDoneEvent,
    responses.ResponseContentPartDoneEvent,
    responses.ResponseFunctionCallArgumentsDoneEvent,
    responses.ResponseOutputItemDoneEvent,
    responses.ResponseCompletedEvent,
)
"""Those of nearly every answer, each after its parts."""

_building: Future[None] | None = None
_lock = threading.Lock()


def prebuild() -> None:
    """Begin to build, unless that has been done in this process."""
    global _building
    with _lock:
        if _building is not None:
            return
        _building = Future()
    threading.Thread(target=_build, args=(_building,), name="agentstream validators").start()


async def wait_until_built() -> None:
    """Wait until what was begun is built; at once where nothing was."""
    if _building is not None and not _building.done():
        await asyncio.shield(asyncio.wrap_future(_building))


def _build(building: Future[None]) -> None:
    try:
        for kind in _IN_ORDER:
            kind.model_rebuild()
    finally:
        building.set_result(None)  # what is missing is built at its first use
