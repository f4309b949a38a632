"""Figures, images and frames in a card: the image or table, and what the model got of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..._utils.printable import clean_text
from ...displays import image_of_url
from ..markdown.sanitise import escape, sanitise_table, svg_image
from ..markdown.stream import rendered
from .values import LIMIT, image_html, more, one_line, parts_html, preformatted, table, text_or_json

if TYPE_CHECKING:
    from ...trace.state import TraceState

__all__ = [
    "display_brief",
    "display_html",
    "is_image_or_table",
    "model_output_html",
    "question_blocks",
    "question_blocks_html",
    "question_html",
]

_MOST_BLOCKS = 60
_LONGEST_HTML = 200_000
_LEAST = 200
_FOLDED_QUESTION = 280  # characters


def display_html(blocks: Sequence[Any], limit: int = LIMIT) -> str:
    """Show blocks of an output, of a question, or of what a tool displayed.

    `limit` is in characters of one text.
    """
    pieces, left = [], limit
    for block in blocks[:_MOST_BLOCKS]:
        if isinstance(block, dict):
            pieces.append(_block(block, max(left, _LEAST)))
            left -= len(str(block.get("text") or ""))
    return "".join(pieces) + more(len(blocks) - _MOST_BLOCKS, "part")


def _block(block: dict[str, Any], limit: int) -> str:
    kind, text = block.get("type"), str(block.get("text") or "")
    if kind == "image":
        return image_html(str(block.get("url") or ""), text or "Image")
    if kind == "svg":
        alt = one_line(text, 120)
        return f'<div class="as-image">{svg_image(str(block.get("svg") or ""), alt)}</div>'
    if kind == "table":
        return _table(block)
    if kind == "html":
        return (
            f'<div class="as-html">{_sanitised(str(block.get("html") or "")[:_LONGEST_HTML])}</div>'
        )
    if kind == "markdown":
        return f'<div class="as-text">{rendered(text[:limit])}</div>{more(len(text) - limit)}'
    if kind == "file":
        return f'<p class="as-file">{escape(one_line(text, 240))}</p>'
    if kind == "part" and isinstance(block.get("part"), dict):
        return parts_html([block["part"]], limit)
    return text_or_json(text, limit)


# A card is made again with each change of it.
@lru_cache(maxsize=32)
def _sanitised(html: str) -> str:
    return sanitise_table(html)


def _table(block: dict[str, Any]) -> str:
    columns = [str(name) for name in block.get("columns") or []]
    table_rows = [row for row in block.get("rows") or [] if isinstance(row, (list, tuple))]
    # A recording may be anybody's: its rows may be shorter than its head, or longer.
    rows = [[*row, *[""] * (len(columns) - len(row))][: len(columns)] for row in table_rows]
    in_all, wide = _count(block, "rows_in_all"), _count(block, "columns_in_all")
    return table(columns, rows, rows_in_all=in_all, columns_in_all=wide)


def _count(block: dict[str, Any], name: str) -> int:
    """A number of a block, which a recording may have put anything in the place of."""
    value = block.get(name)
    return value if isinstance(value, int) else 0


def printed_html(blocks: Sequence[Any], limit: int = LIMIT) -> str:
    """Show what a tool printed and displayed, in order; the end of a long text."""
    pieces = []
    for block in blocks[:_MOST_BLOCKS]:
        if not isinstance(block, dict):
            continue
        if block.get("type") != "stream":
            pieces.append(_block(block, limit))
            continue
        text = terminal_text(str(block.get("text") or ""))
        if text.strip():
            css = " as-stderr" if block.get("name") == "stderr" else ""
            left_out = more(len(text) - limit)
            written = preformatted(text[-limit:], limit, label="Printed")
            pieces.append(f'<div class="as-stream{css}">{left_out}{written}</div>')
    return "".join(pieces) + more(len(blocks) - _MOST_BLOCKS, "part")


_ESCAPE_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])"
)


def terminal_text(text: str) -> str:
    r"""Return text as a terminal shows it: without colours, each line as it was written last.

    Examples
    --------
    >>> terminal_text("\x1b[32m10 %\r100 %\x1b[0m\n")
    '100 %\n'
    """
    text = _ESCAPE_SEQUENCE.sub("", text).replace("\r\n", "\n")
    if "\r" not in text:
        return text
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def question_blocks(trace: TraceState) -> list[dict[str, Any]]:
    """Return what was asked as blocks; none where nothing is known of it."""
    text = (trace.input or "").strip()
    return trace.question or ([{"type": "text", "text": text}] if text else [])


def question_html(trace: TraceState) -> str:
    """Show what was asked; empty if nothing is known of it. A long text is folded."""
    blocks = question_blocks(trace)
    if not blocks:
        return ""
    text = (trace.input or "").strip()
    html = question_blocks_html(blocks)
    if not trace.question and len(text) > _FOLDED_QUESTION:
        brief = escape(one_line(clean_text(text), _FOLDED_QUESTION))
        html = f'<details><summary dir="auto">{brief}</summary>{html}</details>'
    return f'<div class="as-asked" role="group" aria-label="Input">{html}</div>'


def question_blocks_html(blocks: Sequence[Any], limit: int = LIMIT) -> str:
    """Show the blocks of a message: its texts as prose."""
    pieces, left = [], limit
    for block in blocks[:_MOST_BLOCKS]:
        if not isinstance(block, dict):
            continue
        if block.get("type") != "text":
            pieces.append(_block(block, max(left, _LEAST)))
            continue
        text = clean_text(str(block.get("text") or ""))
        lines = escape(text[: max(left, 0)]).replace("\n", "<br>")
        pieces.append(f'<p dir="auto">{lines}</p>{more(len(text) - max(left, 0))}')
        left -= len(text)
    return "".join(pieces) + more(len(blocks) - _MOST_BLOCKS, "part")


def is_image_or_table(blocks: Sequence[Any]) -> bool:
    """Whether there is something that nobody should have to unfold."""
    kinds = {block.get("type") for block in blocks if isinstance(block, dict)}
    return bool(kinds - {"text"})


def display_brief(blocks: Sequence[Any], longest: int = 60) -> str:
    """Return blocks in a few words, for a line of text."""
    pieces = []
    for block in blocks[:_MOST_BLOCKS]:
        if not isinstance(block, dict):
            continue
        if block.get("type") == "table":
            rows, columns = _count(block, "rows_in_all"), _count(block, "columns_in_all")
            pieces.append(f"{rows:,} rows \N{MULTIPLICATION SIGN} {columns:,} columns")
        else:
            pieces.append(str(block.get("text") or block.get("type") or ""))
    return one_line(", ".join(pieces), longest)


def model_output_html(parts: Any, limit: int = LIMIT) -> str:
    """What the model got of an output that is shown as an image or a table, folded."""
    if isinstance(parts, str):
        parts = [{"type": "input_text", "text": parts}]
    if not isinstance(parts, list) or not parts:
        return ""
    limit = max(limit // len(parts[:_MOST_BLOCKS]), _LEAST)
    html = "".join(_model_part_html(part, limit) for part in parts[:_MOST_BLOCKS])
    return (
        '<details class="as-fold as-told"><summary>What the model got</summary>'
        f"{html}{more(len(parts) - _MOST_BLOCKS, 'part')}</details>"
    )


def _model_part_html(part: Any, limit: int) -> str:
    if not isinstance(part, dict):
        return ""
    if part.get("type") == "input_text":
        return preformatted(str(part.get("text") or ""), limit, label="What the model got")
    if part.get("type") != "input_image":
        return parts_html([part], limit) if part.get("type") == "input_file" else ""
    # The image stands above: its bytes are not put on the page twice.
    sent = image_of_url(str(part.get("image_url") or ""))
    facts = ["Image"]
    if sent is not None:
        facts += [fact for fact in (sent.kind.upper(), sent.measure) if fact]
        facts.append(f"{len(sent.data) / 1000:,.0f} kB")
    return f'<p class="as-more">{escape(", ".join(facts))}</p>'
