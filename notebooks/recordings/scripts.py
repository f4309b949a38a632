"""What the servers behind the recordings say: written by hand, but for notebook 14."""

from __future__ import annotations

import base64
import struct
import zlib

from agentstream.testing import (
    cite,
    make_image,
    mcp_approval,
    mcp_call,
    mcp_tools,
    run_code,
    say,
    search_files,
    think,
    turn,
    web_search,
)

WIKIPEDIA = "https://en.wikipedia.org/wiki/%C3%8Ele_Vierge"
TALLEST = "The Île Vierge lighthouse in Brittany is the tallest: its stone tower is 82.5 m high."
DICE = """\
from itertools import product

throws = [a + b for a, b in product(range(1, 7), repeat=2)]
print(throws.count(7), "of", len(throws))
print(round(throws.count(7) / len(throws), 4))"""
PASSAGE = (
    "Attendance is taken in the exercise classes. Two of the eight classes may be missed without a "
    "reason."
)


def lighthouse(rows: int = 100) -> str:
    """A PNG of 160 x 100 in base64: a lighthouse at dusk, of which `rows` are drawn."""
    sky, sea = [(255 - y, 150 - y, 90 + y) for y in range(70)], (30, 60, 110)
    picture = b""
    for y in range(100):
        line = bytearray()
        for x in range(160):
            colour = sky[y] if y < 70 else sea
            if y >= rows:
                colour = (220, 220, 220)
            elif 74 <= x <= 86 and 25 <= y < 74:
                colour = (250, 250, 250) if (y // 8) % 2 else (200, 40, 40)
            elif 72 <= x <= 88 and 18 <= y < 25:
                colour = (255, 240, 150)
            elif abs(y - 21) * 6 < x - 88 or abs(y - 21) * 6 < 72 - x:
                colour = (255, 235, 180)
            line += bytes(colour)
        picture += b"\0" + line

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 160, 100, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(picture, 9)), chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()


def _hosted() -> list[object]:
    return [
        turn(
            web_search("tallest lighthouse in Europe height", sources=[WIKIPEDIA]),
            say(TALLEST, annotations=[cite(WIKIPEDIA, "Île Vierge", start=4, end=26)]),
        ),
        turn(
            think("**Counting instead of guessing** 36 throws are few enough to list."),
            run_code(DICE, logs="6 of 36\n0.1667"),
            say("Six of the 36 throws sum to seven, so the probability is **1/6**, about 0.1667."),
        ),
        turn(
            search_files(
                "how many exercise classes may be missed",
                results=[
                    {
                        "file_id": "file-recorded",
                        "filename": "course_notes.md",
                        "score": 0.91,
                        "text": PASSAGE,
                    }
                ],
            ),
            say("Two of the eight exercise classes may be missed without a reason."),
        ),
        turn(
            make_image(
                lighthouse(),
                prompt="A red and white lighthouse at dusk, flat colours, no text.",
                partial=[lighthouse(30), lighthouse(65)],
            ),
            say("Here is the lighthouse for the title page of your report."),
        ),
        turn(
            mcp_tools("deepwiki", ["read_wiki_structure", "read_wiki_contents", "ask_question"]),
            mcp_approval("deepwiki", "ask_question", **_ASKED),
        ),
        turn(
            mcp_call("deepwiki", "ask_question", output=_ANSWERED, **_ASKED),
            say("They are written in **Cython**, which is compiled to C."),
        ),
    ]


_ASKED = {
    "repoName": "pandas-dev/pandas",
    "question": "Which language are the speed-critical parts written in?",
}
_ANSWERED = "The speed-critical parts of pandas, in pandas/_libs, are written in Cython."

TURNS = {"12": _hosted()}
