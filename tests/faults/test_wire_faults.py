"""Thirty recorded streams of all providers, each fault at each of their events.

Whatever happens, the run ends in a full result or a named error, within its bound; what arrived
before the fault is in the events, the trace and the result, and nothing is there twice; no task,
socket, thread or file is left open.
"""

from __future__ import annotations

import pytest

from tests.faults.reader import LAST, PATIENCE, SILENCE, check, check_left, opened, play
from tests.faults.wire import FAULTS, STREAMS, Played, Stream, Wire, has_ended, without_folder

pytestmark = pytest.mark.skipif(not STREAMS, reason=without_folder)


def cases(stream: Stream, fault: str) -> list[tuple[int, Played]]:
    blocks = stream.blocks
    return [(at, FAULTS[fault](blocks, at)) for at in stream.events]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stream", STREAMS, ids=str)
async def test_a_fault_at_any_event_ends_in_a_result_or_a_named_error(
    stream: Stream, fault: str
) -> None:
    wire = Wire()
    async with wire.client() as client:
        clean = await play(stream, wire.plays(client, stream.blocks, [LAST[stream.api]]))
        before = opened()
        for at, played in cases(stream, fault):
            limits = SILENCE if fault == "stall" else PATIENCE
            asked = wire.plays(client, played, [LAST[stream.api]])
            seen = await play(stream, asked, limits=limits)
            try:
                check(stream, played, seen)
                if not has_ended(played, stream.api):
                    assert not seen.is_whole
                elif stream.api == "responses":  # a chat's chunks have no numbers to tell them by
                    assert seen.is_whole == clean.is_whole and seen.shown == clean.shown
                await check_left(wire, before)
            except AssertionError as error:
                error.add_note(f"{fault} at event {at} of {stream}")
                raise
