"""A recording is readable whatever the key is, and however the model says it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace as Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentstream._utils.redaction import is_ordinary
from agentstream.recordings.file_format import read_recording
from agentstream.recordings.recorder import Recorder


def replayed(key: str, deltas: list[str], *, interrupted: bool = False) -> tuple[str, bytes]:
    """The text of a recording of these deltas with this key, and the file."""
    path = Path(tempfile.mkdtemp()) / "r.jsonl"
    recorder = Recorder(path, "record")
    recorder.writer.secrets.add(key)
    call = recorder.begin({"model": "m", "instructions": "Go", "input": []})
    for number, delta in enumerate(deltas):
        where = {"item_id": "i", "output_index": 0, "content_index": 0}
        kind = "response.output_text.delta"
        call.event(Event(type=kind, delta=delta, sequence_number=2 * number, **where))
        if interrupted:
            call.event(Event(type="response.in_progress", sequence_number=2 * number + 1))
    call.event(Event(type="response.failed", sequence_number=2 * len(deltas)))
    call.close(None)
    recorder.close()
    file = read_recording(path)
    assert file.damage is None
    assert file.calls[1].is_whole
    return "".join(e.get("delta", "") for _, e in file.calls[1].events()), path.read_bytes()


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_key_that_the_model_says_in_pieces_is_masked(interrupted: bool) -> None:
    deltas = ["Your key is sk", "-1234", "", "5678", ". Or sk", "-", "not."]
    text, file = replayed("sk-12345678", deltas, interrupted=interrupted)
    assert text == "Your key is ***. Or sk-not."
    assert b"5678" not in file


def test_a_word_that_is_used_as_a_key_eats_no_text() -> None:
    assert replayed("lm-studio", ["Open lm", "-stu", "dio."])[0] == "Open lm-studio."


def test_a_key_is_masked_across_the_lines_that_long_texts_are_written_in() -> None:
    text, file = replayed("sk-12345678", ["x" * 119, "sk-1", "2345678", "y"])
    assert text == "x" * 119 + "***y"
    assert b"sk-1" not in file


@pytest.mark.slow
@pytest.mark.parametrize(
    "key", ["response", "sequence_number", "pieces, at", "12345678", '": {"call', "completed"]
)
def test_a_key_that_reads_like_the_file_leaves_it_readable(key: str) -> None:
    assert replayed(key, ["a ", "b ", "12", "34"])[0] == "a b 1234"


@pytest.mark.slow
@given(
    st.text(min_size=1, max_size=12),
    st.lists(st.text(alphabet="ab-1", max_size=12), max_size=6),
    st.data(),
)
def test_any_key_in_any_pieces_leaves_a_recording_that_is_read(
    key: str, around: list[str], data: st.DataObject
) -> None:
    whole = key.join(around)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    deltas = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    text, _ = replayed(key, deltas, interrupted=data.draw(st.booleans()))
    assert text == (whole if is_ordinary(key) else whole.replace(key, "***"))
