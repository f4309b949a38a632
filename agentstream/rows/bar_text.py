"""How far the rows are, in words, as HTML and as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .._utils.printable import printable, printable_line
from ..notebook.markdown.sanitise import escape, one_block
from ..notebook.snapshot.bundle import UNTYPED, style
from .result import Progress, RowResult

if TYPE_CHECKING:
    from ..trace.trace import Trace

__all__ = ["bar_bundle", "bar_html", "bar_line", "rows_bundle"]

_ERROR_CHARACTERS = 200
_INDEX_CHARACTERS = 40


def bar_line(at: Progress, *, live: bool = True) -> str:
    """One line: what is done and failed, how fast, what it costs, what is waited for."""
    parts = [f"{at.done:,} done"]
    if at.failed:
        parts.append(f"{at.failed:,} failed")
    if at.waiting:
        parts.append(f"{at.waiting:,} waiting")
    sentences = [", ".join(parts)]
    if live and at.rate and at.waiting:
        sentences.append(f"{at.rate:.1f} rows/s, {at.tokens / max(at.seconds, 0.1):,.0f} tokens/s")
    else:
        sentences.append(f"{_seconds(at.seconds)}, {at.tokens:,} tokens")
    if at.usd:
        sentences.append(f"{at.usd:.4f} USD")
    if live and at.waiting and not math.isnan(at.left):
        sentences.append(f"{_seconds(at.left)} left")
    if live and at.reason:
        sentences.append(at.reason)
    return " · ".join(sentences)


def bar_html(
    at: Progress,
    errors: Sequence[RowResult] = (),
    *,
    ending: str = "",
    live: bool = False,
    under_way: Sequence[tuple[str, str]] = (),
    watched: Trace | None = None,
) -> str:
    """The bar as HTML.

    `under_way` has key and index of rows that can be looked at, `watched` is the run of the one
    that is.
    """
    done = 100 * at.done / max(at.rows, 1)
    failed = 100 * at.failed / max(at.rows, 1)
    doing = "Asking" if live else ("Ended early" if at.waiting else "Done")
    html = (
        f'<div class="as-rows-head"><strong>{doing}</strong> {at.done + at.failed:,} of '
        f"{at.rows:,} rows</div>"
        '<div class="as-rows-bar">'
        f'<span class="as-rows-done" style="width:{done:.2f}%"></span>'
        f'<span class="as-rows-failed" style="width:{failed:.2f}%"></span></div>'
        f'<div class="as-rows-line">{escape(bar_line(at, live=live))}</div>'
    )
    if ending:
        message = escape(printable(ending)[:600]).replace("\n", "<br>")
        html += f'<div class="as-rows-ending">{message}</div>'
    if under_way:
        rows = " ".join(_button(key, index) for key, index in under_way)
        html += f'<div class="as-rows-under-way">Under way: {rows}</div>'
    if watched is not None:
        html += _watched(watched)
    if errors:
        lines = "".join(f"<li>{_error(result, live=live)}</li>" for result in errors)
        html += (
            f"<details{' open' if live else ''}><summary>Last errors</summary>"
            f'<ul class="as-rows-errors">{lines}</ul></details>'
        )
    return html


def bar_bundle(at: Progress, errors: Sequence[RowResult], ending: str = "") -> dict[str, str]:
    """What stays in the saved notebook."""
    text = f"{at.done + at.failed:,} of {at.rows:,} rows: {bar_line(at, live=False)}"
    lines = [text, *([ending] if ending else [])]
    lines += [f"{result.index!r}: {result.error_type}: {result.error}" for result in errors]
    return rows_bundle(bar_html(at, errors, ending=ending), lines)


def rows_bundle(body: str, lines: Sequence[str]) -> dict[str, str]:
    """What stays in the saved notebook: HTML with its style, and lines of text."""
    sheet = style() + style("rows.css")
    html = f'<div class="as-run as-rows {UNTYPED}"><style>{sheet}</style>{body}</div>'
    return {"text/html": one_block(html), "text/plain": "\n".join(map(printable_line, lines))}


def _watched(trace: Trace) -> str:
    """The run of one row, as a live view shows it."""
    from ..notebook import cards

    close = '<button type="button" class="as-rows-close" data-row="">Close</button>'
    return (
        f'<div class="as-rows-run" role="region" aria-label="Run of a row">{close}'
        f"{cards.header(trace, live=False)}"
        f'<div class="as-body">{cards.question_html(trace)}{cards.run_body(trace)}</div>'
        f"{cards.ending(trace)}</div>"
    )


def _button(key: str, index: str) -> str:
    text = escape(printable_line(index)[:_INDEX_CHARACTERS])
    return f'<button type="button" class="as-rows-row" data-row="{escape(key)}">{text}</button>'


def _error(result: RowResult, *, live: bool = False) -> str:
    text = printable_line(f"{result.error_type}: {result.error}")
    if len(text) > _ERROR_CHARACTERS:
        text = text[:_ERROR_CHARACTERS] + "…"
    index = repr(result.index)
    index_html = _button(result.key.hex(), index) if live else f"<code>{escape(index)}</code>"
    return f"{index_html} {escape(text)}"


def _seconds(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
