"""``python -m bench``: all that is measured, in one table, and what is to be reached."""

from __future__ import annotations

import argparse

from . import contenders, delay, events, first, imports, many, row_memory, rows, shapes


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, shorter streams")
    parser.add_argument("--no-view", action="store_true", help="without the live view")
    parser.add_argument("--page", action="store_true", help="in Chromium, too")
    parser.add_argument("--python", action="append", default=[], help="where other packages are")
    options = parser.parse_args()
    quick = options.quick
    if not options.no_view:
        contenders.require_all()
    targets = events.report((5_000,) if quick else events.COUNTS, rounds=3 if quick else 9)
    targets += first.report(rounds=2 if quick else 5)
    targets += delay.report((40, 400) if quick else delay.RATES)
    targets += many.report(50 if quick else many.RUNS, rounds=1 if quick else 3)
    targets += rows.report(100 if quick else rows.ROWS, rounds=1 if quick else 3)
    targets += row_memory.report(*((1_000, 2_000) if quick else ()))
    targets += shapes.report()
    targets += imports.report(options.python, rounds=3 if quick else 9)
    if not options.no_view:
        from . import many_views, view

        targets += view.report(rounds=1 if quick else 3)
        targets += many_views.report()
    if options.page:
        from . import page, screen, stop

        targets += page.report()
        targets += screen.report((50,) if quick else screen.RATES)
        targets += stop.report(rounds=1 if quick else 5)
    print("\nTo reach", *targets, sep="\n")


if __name__ == "__main__":
    main()
