"""Gives admissions of this process's gate to a worker, and settles them as it says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ...models.gate.gate import Gate, Line
from ...models.gate.limiter import Permit
from .job import PackedError

if TYPE_CHECKING:
    from .leases import LineName, Send

__all__ = ["Lessor"]

LEASE: Final = 1.0
"""Seconds before its time that an admission is given out."""


class Lessor:
    """The part of the gate that one worker has.

    `send` sends a message to the worker; `recall` has all workers give back the admissions of a
    line that were not used yet.
    """

    def __init__(self, gate: Gate, send: Send, recall: Callable[[LineName], None]) -> None:
        self._gate = gate
        self._send = send
        self._recall = recall
        self._waiting: dict[int, asyncio.Task[None]] = {}
        self._permits: dict[int, tuple[LineName, Line, Permit]] = {}
        self._hopeless: Counter[LineName] = Counter()
        self._last: dict[LineName, PackedError] = {}

    def handle(self, kind: str, *what: Any) -> None:
        """Take in a message of the worker: one of the methods below."""
        getattr(self, f"_on_{kind}")(*what)

    def abandon(self) -> None:
        """The worker is gone: what it was given comes back."""
        for task in self._waiting.values():
            task.cancel()
        permits, self._permits = self._permits, {}
        for _, line, permit in permits.values():
            line.withdrawn(permit)

    def _on_enter(
        self, number: int, name: LineName, amounts: Mapping[str, float], first: bool
    ) -> None:
        if first and self._hopeless[name]:
            self._hopeless[name] -= 1
            self._send(("fail", number, self._last[name]))
            return
        self._waiting[number] = asyncio.ensure_future(self._enter(number, name, amounts, first))

    async def _enter(
        self, number: int, name: LineName, amounts: Mapping[str, float], first: bool
    ) -> None:
        line = self._gate.line_named(name)
        try:
            permit = await line.enter(amounts, first=first, ahead=LEASE)
        except Exception as error:  # noqa: BLE001 - it is the worker's request that failed
            self._send(("fail", number, PackedError.of(error)))
            return
        finally:
            self._waiting.pop(number, None)
        self._permits[number] = name, line, permit
        self._send(("grant", number, max(0.0, permit.at - line.clock())))

    def _on_withdrawn(self, number: int) -> None:
        task = self._waiting.get(number)
        if task is not None:
            task.cancel()
        elif number in self._permits:
            _, line, permit = self._permits.pop(number)
            line.withdrawn(permit)

    def _on_note_limits(self, number: int, readings: Mapping[str, Any], is_error: bool) -> None:
        if number in self._permits:
            _, line, permit = self._permits[number]
            line.note_limits(permit, readings, is_error=is_error)

    def _on_succeeded(self, number: int, used: Mapping[str, float]) -> None:
        if number in self._permits:
            _, line, permit = self._permits.pop(number)
            line.succeeded(permit, used)

    def _on_refused(self, number: int, retry_after: float | None, error: PackedError) -> None:
        if number in self._permits:
            name, line, permit = self._permits.pop(number)
            if not line.refused(permit, retry_after, error.error()):
                self._hopeless[name] += 1
                self._last[name] = error
            self._recall(name)

    def _on_failed(self, number: int, server_error: bool) -> None:
        if number in self._permits:
            _, line, permit = self._permits.pop(number)
            line.failed(permit, server_error=server_error)

    def _on_stop(self, name: LineName, error: PackedError) -> None:
        self._gate.line_named(name).stop(error.error())
