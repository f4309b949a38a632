from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agentstream.trace.text import Text


@given(st.lists(st.text(max_size=3), max_size=1500), st.data())
@settings(deadline=None, max_examples=30)
def test_text_reads_as_its_pieces_joined_wherever_reading_starts(
    pieces: list[str], data: st.DataObject
) -> None:
    text, whole = Text(), ""
    for number, piece in enumerate(pieces):
        text.append(piece)
        whole += piece
        if number % 97 == 0:
            start = data.draw(st.integers(0, len(whole) + 1))
            assert text.since(start) == whole[start:]
    assert len(text) == len(whole)
    assert bool(text) is bool(whole)
    assert str(text) == whole
    assert text.since(len(whole)) == ""


def test_a_follower_copies_only_what_is_new() -> None:
    text, seen = Text(), ""
    for number in range(3_000):
        text.append(f"{number} ")
        if number % 7 == 0:
            seen += text.since(len(seen))
    assert seen + text.since(len(seen)) == str(text)


def test_replacing_forgets_what_was_written() -> None:
    text = Text("draft")
    text.append(" one")
    text.replace("final")
    assert (str(text), len(text), text.since(2), text.between(1, 3)) == ("final", 5, "nal", "in")
    text.replace("")
    assert not text
