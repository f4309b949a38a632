"""Emphasis beside full-width punctuation: `**「重点」**内容` is bold.

CommonMark takes spaces between words for granted: a mark between punctuation and a letter neither
opens nor closes there. The rule here is the CJK-friendly amendment
(https://github.com/tats-u/markdown-cjk-friendly): punctuation that is CJK itself does not count as
such, and a CJK character counts as a space does where other punctuation stands on the other side.
Text without CJK characters is read as CommonMark says.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.rules_inline import emphasis, strikethrough
from markdown_it.rules_inline.state_inline import Scanned

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline

__all__ = ["add_flanking"]


def add_flanking(md: MarkdownIt) -> None:
    """Teach a parser where emphasis and strikethrough begin and end in CJK text."""
    md.inline.ruler.at("emphasis", _emphasis)
    md.inline.ruler.at("strikethrough", _strikethrough)


def _emphasis(state: StateInline, silent: bool) -> bool:
    state.scanDelims = partial(_scan, state)  # type: ignore[method-assign]
    return emphasis.tokenize(state, silent)


def _strikethrough(state: StateInline, silent: bool) -> bool:
    state.scanDelims = partial(_scan, state)  # type: ignore[method-assign]
    return strikethrough.tokenize(state, silent)


@lru_cache(maxsize=4_096)
def _is_cjk(char: str) -> bool:
    if char < "\u1100" or unicodedata.east_asian_width(char) not in "WFH":
        return False
    # Emoji are wide as well; symbols of the CJK blocks are none.
    return unicodedata.category(char)[0] != "S" or "\u2e80" <= char <= "\uffee"


def _scan(state: StateInline, start: int, can_split_word: bool) -> Scanned:
    """As `StateInline.scanDelims`, with the CJK-friendly flanking rule."""
    src, end = state.src, start
    while end < state.posMax and src[end] == src[start]:
        end += 1
    before = src[start - 1] if start > 0 else " "
    after = src[end] if end < state.posMax else " "
    punct_before, punct_after = _is_punctuation(before), _is_punctuation(after)
    cjk_before, cjk_after = _is_cjk(before), _is_cjk(after)
    space_before, space_after = isWhiteSpace(ord(before)), isWhiteSpace(ord(after))
    left = not space_after and (
        not punct_after or cjk_after or space_before or punct_before or cjk_before
    )
    right = not space_before and (
        not punct_before or cjk_before or space_after or punct_after or cjk_after
    )
    can_open, can_close = left, right
    if not can_split_word:
        can_open = left and (not right or punct_before)
        can_close = right and (not left or punct_after)
    return Scanned(can_open, can_close, end - start)


def _is_punctuation(char: str) -> bool:
    return isMdAsciiPunct(ord(char)) or isPunctChar(char)
