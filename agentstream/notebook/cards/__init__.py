"""What of a run is not running text, as HTML: cards of calls, the header, the ending.

The live view and the static snapshot show the same markup. Classes begin with ``as-``; without any
class, style or script it still reads from top to bottom.

All text of a model, a tool or a server goes through `html.escape` or `html.sanitise`, or through
what is built on them; every length has a bound (`LIMIT`), and what is left out is counted.
"""

from __future__ import annotations

from .banner import (
    STOP,
    can_stop,
    ending,
    header,
    header_attributes,
    header_inside,
    retry_note,
    speaker,
)
from .compose import card, run_body
from .displays import question_blocks_html, question_html
from .prose import answer, citations, reasoning_summary, text_note
from .values import LIMIT

__all__ = [
    "LIMIT",
    "STOP",
    "answer",
    "can_stop",
    "card",
    "citations",
    "ending",
    "header",
    "header_attributes",
    "header_inside",
    "question_blocks_html",
    "question_html",
    "reasoning_summary",
    "retry_note",
    "run_body",
    "speaker",
    "text_note",
]
