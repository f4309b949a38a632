"""The bar: how far the rows are, live in a notebook's cell or in a terminal."""

from __future__ import annotations

import sys
from typing import Any

from .._extras import install_command
from ..exceptions import UserError
from .pace import Pace

__all__ = ["attach"]


def attach(run: Any, progress: bool | None) -> None:
    """Give a run its bar: in a notebook below the cell, in a terminal by `tqdm`.

    Where `progress` is None, there is one in a notebook, and where standard error is a terminal.

    Raises
    ------
    UserError
        It is asked for, and `tqdm` is not installed.
    """
    if progress is False:
        return
    from ..notebook.show import in_a_notebook

    if in_a_notebook():
        from .bar_widget import RowsWidget

        RowsWidget(run)
    elif progress or sys.stderr.isatty():
        _in_a_terminal(run, is_wanted=progress is True)


def _in_a_terminal(run: Any, *, is_wanted: bool) -> None:
    try:
        from tqdm import tqdm
    except ImportError:
        if is_wanted:
            raise UserError(f"progress=True needs tqdm: {install_command('rows')}") from None
        return
    from .bar_text import bar_line  # Markdown's parser, only where rows are shown

    bar: Any = None

    def update() -> None:
        nonlocal bar
        at = run.progress
        if bar is None:
            bar = tqdm(total=at.rows, unit="row", file=sys.stderr, leave=True)
        bar.n = at.done + at.failed
        bar.set_postfix_str(bar_line(at), refresh=False)
        bar.refresh()
        if run.is_complete:
            pace.stop()
            bar.close()

    pace = Pace(update)

    def changed() -> None:
        nonlocal bar
        if run.is_complete:
            update()
            pace.stop()
        else:
            if bar is not None and bar.disable:
                bar = None  # it is closed: `retry` has another
            pace.nudge()

    run.watch(changed)
