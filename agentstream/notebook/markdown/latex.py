r"""LaTeX maths: which text is maths, and its MathML.

Four pairs of delimiters, as models write them: ``$..$`` and ``\(..\)`` inside a line of text,
``$$..$$`` and ``\[..\]`` for a formula of its own. Dollars are also money, so a pair of single
dollars is maths only when

- no letter, digit or dollar stands before the opening one, no digit or dollar after the closing;
- no space stands just inside either of them;
- there is no other dollar between them.

"It costs $5 and $6" and "$HOME and $PATH" are therefore text. A formula on lines of its own begins
with ``$$`` or ``\[`` at the start of a line, and ends with the line that ends in the closing mark;
a blank line, or the end of the text, before that makes it ordinary text. So does an environment of
its own, ``\begin{align} ... \end{align}``, which models often write without any delimiters.
"""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from .linear_math import linear
from .sanitise import escape

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.ruler import RuleOptionsType
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

__all__ = ["add_maths", "mathml"]

# Conversion takes some 10 s per million characters; a longer formula is shown as its source.
_LONGEST_FORMULA = 10_000
# How far a formula inside a line may reach: this bounds the work for thousands of opening marks.
_LONGEST_INLINE = 2_000
_HAS_CONTENT = re.compile(r"[^\W_]")
_BLOCK_OPENING = re.compile(r"\$\$(?!\$)|\\\[(?=[ \t\\]|\Z)|\\\[(?=.*\\\][ \t]*\Z)")
_CLOSING = {"$$": "$$", r"\[": r"\]", r"\(": r"\)"}
_BARE = re.compile(
    r"\\begin\{((?:align(?:at)?|flalign|gather|multline|eqnarray|equation|math|displaymath)\*?)\}"
)


def mathml(source: str, *, display: bool = False) -> str:
    r"""Convert a LaTeX formula to MathML, to be sanitised with what surrounds it.

    A ``<math>`` element; where the formula cannot be converted, its source in a ``<code>`` element.
    """
    from latex2mathml.converter import Converter

    kind = "block" if display else "inline"
    if len(source) <= _LONGEST_FORMULA:
        try:
            root = Converter(display=kind).convert_to_element(_known(source))
            if not any(_LEFT_OVER.match(one.text or "") for one in root.iter("mi")):
                linear(root)
                return _serialise(root)
        # The converter has an exception of its own for every mistake, and lets IndexError, KeyError
        # and RecursionError out for some; the source is shown then.
        except Exception:  # noqa: BLE001
            return f"<code>{escape(source)}</code>"
    return f"<code>{escape(source)}</code>"


_ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{([a-zA-Z]+\*?)\}")
# What the converter makes of a command it does not know, and of a mark between columns where it
# expects none: both would be shown as other mathematics.
_LEFT_OVER = re.compile(r"\\[a-zA-Z]|&(?:amp;)?\Z")
_AS_ALIGNED = frozenset("align align* aligned alignat alignat* alignedat flalign flalign*".split())
_AS_LINES = frozenset("gather gather* gathered multline multline*".split())
_CONVERTED = frozenset(
    "matrix pmatrix bmatrix Bmatrix vmatrix Vmatrix smallmatrix array cases split".split()
)
_WITH_COLUMNS = re.compile(r"(\\begin\{(?:alignat\*?|alignedat)\})\s*\{\d{1,2}\}")


def _known(source: str) -> str:
    r"""Write a formula with the environments that the converter knows.

    Examples
    --------
    >>> _known(r"\begin{gathered}a\end{gathered}")
    '\\begin{array}{c}a\\end{array}'
    """
    return _ENVIRONMENT.sub(_environment, _WITH_COLUMNS.sub(r"\1", source))


def _environment(match: re.Match[str]) -> str:
    edge, name = match[1], match[2]
    begins = edge == "begin"
    if name in _AS_ALIGNED:
        return rf"\{edge}{{align*}}"
    if name in _AS_LINES:
        return r"\begin{array}{c}" if begins else r"\end{array}"
    if name in ("eqnarray", "eqnarray*"):
        return r"\begin{array}{rcl}" if begins else r"\end{array}"
    if name in ("equation", "equation*", "math", "displaymath"):
        return "{" if begins else "}"
    if name == "dcases":
        return rf"\{edge}{{cases}}"
    if name == "rcases":
        return r"\left.\begin{array}{ll}" if begins else r"\end{array}\right\}"
    if name not in _CONVERTED:
        raise ValueError(f"no environment {name} is known to the converter")
    return match[0]


def _serialise(element: Element) -> str:
    r"""Write the tree with all text escaped: the library's writer makes a tag of ``\text{<b>}``."""
    attributes = "".join(
        f' {name}="{escape(unescape(value))}"'
        for name, value in element.attrib.items()
        if name != "xmlns"
    )
    # The library keeps its symbols as references (``&#x0003D;``) in the text.
    text = escape(unescape(element.text or ""))
    inside = text + "".join(map(_serialise, element))
    return f"<{element.tag}{attributes}>{inside}</{element.tag}>"


def add_maths(md: MarkdownIt) -> None:
    """Teach a parser the delimiters: tokens ``math_inline``, ``math_display``, ``math_block``."""
    md.inline.ruler.before("escape", "math", _inline)
    interrupts: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    md.block.ruler.before("reference", "math_block", _block, interrupts)


def _inline(state: StateInline, silent: bool) -> bool:
    """Find maths inside a paragraph; each look ahead ends at the next delimiter of its kind."""
    src, start = state.src, state.pos
    mark = src[start : start + 2]
    stop = min(state.posMax, start + _LONGEST_INLINE)
    if mark == "\\b" and (bare := _BARE.match(src, start, stop)):
        return _inline_environment(state, bare, stop, silent)
    if mark not in _CLOSING:
        if src[start] != "$":
            return False
        mark = "$"
    begin = start + len(mark)
    if mark == "$":
        end = _end_of_dollars(src, start, stop)
    else:
        end = _end_of_marks(state, mark, begin, stop)
    if end < 0 or not _HAS_CONTENT.search(src, begin, end):
        return False
    if not silent:
        token = state.push("math_inline" if mark in ("$", r"\(") else "math_display", "math", 0)
        token.content = src[begin:end].strip()
        token.markup = mark
    state.pos = end + len(mark)
    return True


def _inline_environment(
    state: StateInline, opening: re.Match[str], stop: int, silent: bool
) -> bool:
    closing = rf"\end{{{opening[1]}}}"
    end = _end_of_marks(state, closing, opening.end(), stop)
    if end < 0:
        return False
    end += len(closing)
    if not silent:
        token = state.push("math_display", "math", 0)
        token.content, token.markup = state.src[state.pos : end], ""
    state.pos = end
    return True


def _end_of_dollars(src: str, start: int, stop: int) -> int:
    before = src[start - 1] if start else " "
    if before.isalnum() or before in "$\\":
        return -1
    end = src.find("$", start + 1, stop)
    while end > 0 and src[end - 1] == "\\":
        end = src.find("$", end + 1, stop)
    after = src[end + 1] if 0 <= end < stop - 1 else " "
    spaced = src[start + 1 : start + 2].isspace() or src[end - 1 : end].isspace()
    return -1 if end < 0 or spaced or after.isdigit() or after == "$" else end


def _end_of_marks(state: StateInline, mark: str, begin: int, stop: int) -> int:
    closing = _CLOSING.get(mark, mark)
    if mark == "$$" and state.src.startswith("$", begin):
        return -1
    # One search from the right tells, once for the paragraph, that no closing mark follows.
    last: dict[str, int] = state.env.setdefault("last_marks", {})
    if closing not in last:
        last[closing] = state.src.rfind(closing)
    if last[closing] < begin:
        return -1
    return state.src.find(closing, begin, stop)


def _block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Read a formula on lines of its own.

    Its extent depends on no line after its end, so that a block before it is settled when it
    begins: unclosed, it reaches to the next blank line, and is then a paragraph.
    """
    if state.is_code_block(start):
        return False
    first = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]]
    bare = _BARE.match(first)
    opening = bare or _BLOCK_OPENING.match(first)
    if opening is None:
        return False
    closing = rf"\end{{{bare[1]}}}" if bare else _CLOSING[opening.group()]
    rest = first[opening.end() :].rstrip()
    if closing in rest.removesuffix(closing):
        return False
    if silent:
        return True
    closed = rest.endswith(closing)
    line = start + 1
    while not closed and line < end and not state.isEmpty(line):
        if state.sCount[line] < state.blkIndent:
            break
        closed = state.src[state.bMarks[line] : state.eMarks[line]].rstrip().endswith(closing)
        line += 1
    _push_block(state, (start, line), closed, opening.group(), closing)
    return True


def _push_block(
    state: StateBlock, lines: tuple[int, int], closed: bool, opening: str, closing: str
) -> None:
    content = state.getLines(lines[0], lines[1], state.blkIndent, False).strip()
    formula = content[len(opening) : -len(closing)].strip() if closed else ""
    state.line = lines[1]
    if _HAS_CONTENT.search(formula):
        token = state.push("math_block", "math", 0)
        is_bare = opening.startswith(r"\b")
        token.content = content if is_bare else formula
        token.markup, token.map = "" if is_bare else opening, list(lines)
        return
    state.push("paragraph_open", "p", 1).map = list(lines)
    token = state.push("inline", "", 0)
    token.content, token.map, token.children = content, list(lines), []
    state.push("paragraph_close", "p", -1)
