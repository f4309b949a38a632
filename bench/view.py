"""What watching costs: `show` beside print, update_display, HTML.value and chatlas' display.

Run ``python -m bench.view``, with ``--page`` for the part in JupyterLab and Chromium, too. Each
technique is a cell as a user would write it (`techniques`), run in a kernel of its own (`kernel`),
flat out and paced; 32,000 tokens only for techniques that do not send the whole text with each
token, unless ``--all``.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence

from . import techniques
from .kernel import Cost, measure
from .loopback import server
from .table import Target, table

Costs = dict[tuple[str, int], Cost]

LENGTHS = (2_000, 8_000, 32_000)
PACE = 100.0  # tokens a second
PACED = 500  # tokens


def costs(
    lengths: Sequence[int],
    rate: float,
    rounds: int,
    *,
    url: str | None = None,
    everything: bool = False,
) -> Costs:
    """Measure each technique at each length: medians of rounds in turns."""
    found: dict[tuple[str, int], list[Cost]] = {}
    for count in lengths:
        for _ in range(rounds if count <= 8_000 else 1):
            for name in techniques.CELLS:
                if count <= 8_000 or everything or name not in techniques.QUADRATIC:
                    found.setdefault((name, count), []).append(measure(name, count, rate, url))
    return {
        key: Cost(
            statistics.median(one.cpu for one in all_),
            all_[0].messages,
            all_[0].sent,
            all_[0].text,
        )
        for key, all_ in found.items()
    }


def show_costs(title: str, found: Costs) -> None:
    """Print one table: ratios against print and chatlas."""
    rows = []
    for (name, count), cost in sorted(found.items(), key=lambda one: one[0][1]):
        others = [found.get((other, count)) for other in ("print", "chatlas")]
        ratios = [other and cost.cpu / other.cpu for other in others]
        each = (cost.messages, cost.sent / 1000, cost.sent / cost.text)
        rows.append((name, f"{count:,}", cost.cpu, *ratios, *each))
    head = ("", "tokens", "CPU s", "x print", "x chatlas", "messages", "kB", "bytes/byte")
    print(table(title, head, rows), flush=True)


def report(rounds: int = 3, *, everything: bool = False) -> list[Target]:
    """Print both tables of the kernel's part; return the targets."""
    flat = costs(LENGTHS, 0, rounds, everything=everything)
    show_costs("Live view, flat out: the kernel", flat)
    paced = costs((PACED,), PACE, rounds)
    show_costs(f"Live view, {PACE:g} tokens/s, made in the cell: the kernel", paced)
    with server() as url:
        served = costs((PACED,), PACE, rounds, url=url)
    show_costs(f"Live view, {PACE:g} tokens/s, from a server: the kernel", served)
    targets = []
    for what, found, count, parts in (
        ("flat out, 8,000 tokens", flat, 8_000, {"chatlas": 20, "print": 8}),
        ("paced, made in the cell", paced, PACED, {"chatlas": 4, "print": 2}),
        ("paced, from a server", served, PACED, {"chatlas": 4, "print": 2}),
    ):
        ours = found["show", count]
        for other, part in parts.items():
            share = ours.cpu / found[other, count].cpu
            targets.append(Target(f"kernel CPU {what}, part of {other}", share, 1 / part))
    shortest, longest = flat["show", LENGTHS[0]], flat["show", LENGTHS[-1]]
    growth = (longest.sent / LENGTHS[-1]) / (shortest.sent / LENGTHS[0])
    targets.append(Target("bytes a token at 32,000, times those at 2,000", growth, 1.2))
    middle = flat["show", 8_000]
    sent = middle.sent / middle.text
    targets.append(Target("bytes sent for a byte of text, 8,000 tokens flat out", sent, 10))
    return targets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--all", action="store_true", help="quadratic techniques at 32,000, too")
    parser.add_argument("--page", action="store_true", help="in JupyterLab and Chromium, too")
    options = parser.parse_args()
    targets = report(options.rounds, everything=options.all)
    if options.page:
        from . import page

        targets += page.report()
    print("", *targets, sep="\n")


if __name__ == "__main__":
    main()
