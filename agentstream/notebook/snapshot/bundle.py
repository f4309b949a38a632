"""A run as a snapshot: HTML, Markdown and plain text that need no kernel and no widget.

The HTML is the live view's own markup in one ``<div class="as-run">``. JupyterLab shows it with its
small style sheet; in a notebook that is not trusted it drops ``<style>``, ``role`` and ``aria-*``,
GitHub drops classes as well: what is left are headings in bold, ``<details>``, ``<pre>``, lists,
tables and quotes, in reading order. A timeline is an image, because an ``<svg>`` would lose its
tags there and leave its labels behind as one jumble of words.
"""

from __future__ import annotations

import base64
import logging
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..._utils.printable import clean_text
from .. import cards
from ..live.panels import items_html, panels_markdown, panels_text
from ..markdown.sanitise import escape, one_block
from .text import markdown_of, text_of

if TYPE_CHECKING:
    from ...trace.trace import Trace

__all__ = ["snapshot", "snapshot_or_text"]

logger = logging.getLogger("agentstream")

UNTYPED = "tex2jax_ignore mathjax_ignore"
"""Classes for what is no TeX of ours, as what a model says: TeX can make links and styles.

JupyterLab and nbconvert run MathJax over outputs. The names are those of MathJax 2, and of 3 and
later.
"""

_STATIC = Path(__file__).parents[1] / "static"
_LIVE_ONLY = "/* live view only */"
_TABLE_ROWS = 200


def snapshot(
    trace: Trace, *, table: bool = False, timeline: bool = False, reason: bool = True
) -> dict[str, str]:
    """Return a run as a MIME bundle.

    Without `reason` it does not say why it failed: a traceback below says it.
    """
    plain = text_of(trace, reason=reason)
    added = (_table(trace) if table else "") + (_timeline(trace) if timeline else "")
    html = (
        f'<div class="as-run as-snapshot {UNTYPED}" role="region" aria-label="Agent run">'
        f"<style>{style()}</style>{cards.header(trace, live=False)}"
        f'<div class="as-body">{cards.question_html(trace)}{cards.run_body(trace)}</div>'
        f"{cards.ending(trace, reason=reason)}{added}</div>"
    )
    plain += panels_text(trace, table=table, timeline=timeline)
    markdown = markdown_of(trace, reason=reason)
    markdown += panels_markdown(trace, table=table, timeline=timeline)
    return {"text/html": one_block(html), "text/markdown": markdown, "text/plain": plain}


def snapshot_or_text(trace: Trace, **how: bool) -> dict[str, str]:
    """Return a run as a MIME bundle: as its text alone where its snapshot cannot be made.

    A run has cost time and money, and this is what a notebook keeps of it. The failure is logged.
    """
    try:
        return snapshot(trace, **how)
    except Exception as error:
        logger.exception("The run's snapshot could not be made; its text is shown instead.")
        return text_bundle(final_text(trace), error, "run")


class Snapshot:
    """A run's snapshot for front ends that ask an object for its HTML."""

    def __init__(self, trace: Trace) -> None:
        self._bundle = snapshot_or_text(trace)

    def _repr_html_(self) -> str:
        return self._bundle["text/html"]


def final_text(trace: Trace) -> str:
    """The texts of a run, as they were written."""
    return "\n\n".join(part.text for part in trace.parts if part.kind == "text")


def text_bundle(text: str, error: Exception, what: str) -> dict[str, str]:
    """Return text as a MIME bundle, with why there is nothing better of `what` it is."""
    content = clean_text(text)
    failed = f"The view failed ({type(error).__name__}: {error})."
    why = clean_text(f"{failed} This is the {what}'s text.")
    # No empty line inside: Markdown would take what follows one for its own.
    html = escape(content).replace("\n", "<br>")
    return {
        "text/html": one_block(f"<div><p><em>{escape(why)}</em></p><p>{html}</p></div>"),
        "text/plain": f"{why}\n\n{content}",
    }


def static(name: str) -> str:
    """Return the text of a file that a page gets."""
    return (_STATIC / name).read_text(encoding="utf-8")


@lru_cache
def style(sheet_name: str = "view.css", *, live: bool = False) -> str:
    """Return a style sheet without comments: the part for a snapshot, or all of it."""
    sheet = static(sheet_name)
    if not live:
        sheet = sheet.partition(_LIVE_ONLY)[0]
    sheet = re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)
    sheet = re.sub(r"\s+", " ", sheet)
    return re.sub(r" ?([{}:;,>]) ?", _tight, sheet).replace(";}", "}").strip()


def _tight(match: re.Match[str]) -> str:
    # Before a colon a space means "any descendant": ".a :focus".
    return match[0].rstrip() if match[1] == ":" else match[1]


def _table(trace: Trace) -> str:
    html = items_html(trace, slice(_TABLE_ROWS))
    return (
        f'<details class="as-items" open><summary><strong>Items</strong></summary>{html}</details>'
    )


def _timeline(trace: Trace) -> str:
    from ...trace.timeline.svg import summary
    from ...trace.timeline.timeline import Timeline

    drawn = Timeline(trace)
    source = base64.b64encode(drawn.svg().encode()).decode()
    return (
        '<div class="as-timeline"><strong>Timeline</strong><br>'
        f'<img src="data:image/svg+xml;base64,{source}" alt="Timeline: {escape(summary(trace))}">'
        f"<details><summary>Timeline as text</summary><pre>{escape(str(drawn))}</pre>"
        "</details></div>"
    )
