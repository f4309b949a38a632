"""What watching costs: `show` beside print, update_display, HTML.value and chatlas' display.

Run ``python -m bench.view``, with ``--page`` for the part in JupyterLab and Chromium, too. Each
technique is a cell as a user would write it (`techniques`), run in a kernel of its own (`kernel`),
flat out and paced; 32,000 tokens only for techniques that do not send the whole text with each
token, unless ``--all``.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Sequence

from . import contenders, techniques
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
    names: Sequence[str] = tuple(techniques.CELLS),
    everything: bool = False,
) -> Costs:
    """Measure each technique at each length: medians of rounds in turns."""
    found: dict[tuple[str, int], list[Cost]] = {}
    for count in lengths:
        for _ in range(rounds if count <= 8_000 else 1):
            for name in names:
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
    """Print the tables of the kernel's part; return the targets."""
    flat = costs(LENGTHS, 0, rounds, everything=everything)
    show_costs("Live view, flat out: the kernel", flat)
    targets = [
        *_parts_of("flat out, 8,000 tokens", flat, 8_000, {"chatlas": 1 / 20, "print": 1 / 8})
    ]
    shortest, longest = flat["show", LENGTHS[0]], flat["show", LENGTHS[-1]]
    growth = (longest.sent / LENGTHS[-1]) / (shortest.sent / LENGTHS[0])
    targets.append(Target("bytes a token at 32,000, times those at 2,000", growth, 1.2))
    middle = flat["show", 8_000]
    sent = middle.sent / middle.text
    targets.append(Target("bytes sent for a byte of text, 8,000 tokens flat out", sent, 10))
    return targets + paced_report(rounds)


def paced_report(rounds: int = 3) -> list[Target]:
    """Print the table of the pace of a model, from a server, as it is for a user."""
    with server() as url:
        served = costs((PACED,), PACE, rounds, url=url, names=("print", "chatlas", "show"))
    show_costs(f"Live view, {PACE:g} tokens/s, from a server: the kernel", served)
    # Up to 30 frames a second, where it was eight: tokens are shown for this, not held back.
    parts = {"chatlas": 1 / 2, "print": 0.7}
    return [*_parts_of("paced, from a server", served, PACED, parts)]


def _parts_of(what: str, found: Costs, count: int, parts: dict[str, float]) -> Iterator[Target]:
    ours = found["show", count]
    for other, part in parts.items():
        if (other, count) in found:
            share = ours.cpu / found[other, count].cpu
            yield Target(f"kernel CPU {what}, part of {other}", share, part)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--all", action="store_true", help="quadratic techniques at 32,000, too")
    parser.add_argument("--paced", action="store_true", help="only at the pace of a model")
    parser.add_argument("--page", action="store_true", help="in JupyterLab and Chromium, too")
    options = parser.parse_args()
    contenders.require_all()
    if options.paced:
        targets = paced_report(options.rounds)
    else:
        targets = report(options.rounds, everything=options.all)
    if options.page:
        from . import page

        targets += page.report()
    print("", *targets, sep="\n")


if __name__ == "__main__":
    main()
