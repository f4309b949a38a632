"""What rendering Markdown costs while it streams: processor time per token, at three lengths.

Run ``python bench/markdown.py``. A made-up answer of the kind models write (prose, lists, tables,
code, maths, links) arrives token by token, and is looked at once a frame at two paces, and once a
token.

- ``whole``: at each look all text so far is rendered, as for ``update_display(Markdown(text))``;
- ``stream``: `agentstream.notebook.markdown.stream.MarkdownStream`; ``sent/char`` is the HTML and
  text sent by a view that keeps what the page has (`difference`).
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator

from agentstream.notebook.markdown.stream import MarkdownStream, difference, render

LENGTHS = (2_000, 8_000, 32_000)
TOKENS_PER_FRAME = {"100 tokens/s": 3, "1,000 tokens/s": 33, "a look per token": 1}

WORDS = (
    "the of a to in is that for with as data model value result each when then which table column"
    " row index function returns list plot figure mean variance sample estimate error we you can"
    " should first next finally because however therefore about between under over large small"
).split()


def sentence(dice: random.Random) -> str:
    words = [dice.choice(WORDS) for _ in range(dice.randint(6, 18))]
    for mark in ("**{}**", "*{}*", "`{}`", "[{}](https://example.org/page?q=1)", "${}_i^2$"):
        if dice.random() < 0.2:
            at = dice.randrange(len(words))
            words[at] = mark.format(words[at])
    return " ".join(words).capitalize() + "."


def paragraph(dice: random.Random) -> str:
    return " ".join(sentence(dice) for _ in range(dice.randint(1, 5)))


def items(dice: random.Random) -> str:
    ordered = dice.random() < 0.4
    lines = []
    for number in range(1, dice.randint(3, 9)):
        lines.append(f"{number}. {sentence(dice)}" if ordered else f"- {sentence(dice)}")
        if dice.random() < 0.25:
            lines += [f"   - {sentence(dice)}" for _ in range(dice.randint(1, 3))]
    return "\n".join(lines)


def code(dice: random.Random) -> str:
    lines = ["import pandas as pd", "", "def summarise(frame: pd.DataFrame) -> pd.Series:"]
    for _ in range(dice.randint(4, 20)):
        name = dice.choice(WORDS)
        lines.append(
            f"    {name} = frame['{dice.choice(WORDS)}'].mean() * {dice.random():.3f}  # {name}"
        )
    return "\n".join(["```python", *lines, "    return frame.describe()", "```"])


def table(dice: random.Random) -> str:
    rows = [
        f"| {dice.choice(WORDS)} | {dice.random():.3f} | **{dice.choice(WORDS)}** |"
        for _ in range(8)
    ]
    return "\n".join(["| name | value | note |", "|:--|--:|---|", *rows[: dice.randint(2, 8)]])


def formula(dice: random.Random) -> str:
    lost = dice.randint(1, 9)
    return f"$$\n\\hat{{\\sigma}}^2 = \\frac{{1}}{{n - {lost}}}\\sum_i (x_i - \\mu)^2\n$$"


def tokens(count: int, seed: int = 1) -> Iterator[str]:
    """Write an answer of `count` tokens of four characters on average, as models' tokens have."""
    dice = random.Random(seed)
    kinds = [paragraph] * 5 + [items] * 3 + [code, table, formula]
    left = count
    while left > 0:
        block = dice.choice(kinds)(dice)
        if dice.random() < 0.2:
            block = f"{'#' * dice.randint(2, 3)} {sentence(dice)}\n\n{block}"
        block += "\n\n"
        at = 0
        while at < len(block) and left > 0:
            width = dice.randint(2, 6)
            yield block[at : at + width]
            at += width
            left -= 1


def stream(pieces: list[str], step: int) -> tuple[float, int]:
    """Return processor time and bytes to send of the incremental way."""
    sent, finished, revision, shown, tail = 0, 0, -1, "", 0
    start = time.process_time()
    markdown = MarkdownStream()
    for number, piece in enumerate(pieces, 1):
        markdown.feed(piece)
        if number % step:
            continue
        end = markdown.open
        if end.revision == revision:
            sent += len(end.tail) - tail
        else:
            now = "".join(markdown.finished[finished:]) + end.html
            sent += len(difference(shown, now)[2]) + len(end.tail)
            finished, revision, shown = len(markdown.finished), end.revision, end.html
        tail = len(end.tail)
    markdown.finish()
    sent += len(difference(shown, "".join(markdown.finished[finished:]))[2])
    spent = time.process_time() - start
    assert markdown.html == render("".join(pieces))
    return spent, sent


def whole(pieces: list[str], step: int) -> tuple[float, int]:
    """Return processor time and bytes to send when all is rendered at each look."""
    text, sent = "", 0
    start = time.process_time()
    for number, piece in enumerate(pieces, 1):
        text += piece
        if number % step == 0 or number == len(pieces):
            sent += len(render(text))
    return time.process_time() - start, sent


def main() -> None:
    stream(list(tokens(500)), 1)  # pygments loads its lexers
    print(f"{'':10}{'looks':>18}{'tokens':>8}{'ms':>10}{'µs/token':>10}{'sent/char':>12}")
    for name, way in (("stream", stream), ("whole", whole)):
        for pace, step in TOKENS_PER_FRAME.items():
            costs = []
            for length in LENGTHS:
                pieces = list(tokens(length))
                # Rendering all at each look is quadratic: longer ones would take minutes.
                if way is whole and length / step * length > 3e6:
                    continue
                spent, sent = way(pieces, step)
                costs.append(spent / length)
                characters = sum(map(len, pieces))
                row = (
                    f"{name:10}{pace:>18}{length:8}{spent * 1e3:10.0f}{spent / length * 1e6:10.1f}"
                )
                print(f"{row}{sent / characters:12.1f}")
                sys.stdout.flush()
            if len(costs) > 1:
                print(f"{'':10}{'':18}per token, longest to shortest: {costs[-1] / costs[0]:.2f}")


if __name__ == "__main__":
    main()
