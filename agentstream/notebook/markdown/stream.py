"""Markdown that renders while it is written.

A text is a row of top-level blocks. `MarkdownStream` holds the *finished* ones, whose HTML stays as
it is, and one *open* piece at the end. Its law: however a text is cut into pieces, the finished
blocks' HTML together is what `render` makes of the whole text.

When is a block finished? CommonMark reads lines from the top, and looks ahead at most to the end of
a paragraph. So all before a block is settled when that block begins after a blank line, or after a
block that ends by itself (``# heading``, a closed fence, a rule), on a line that is complete or
begins with a letter. Before that, a later line may still turn a paragraph into a heading, a table
or a link definition.

What acts at a distance: a link definition holds for the text before it too. A block that asked in
vain for a label which is defined later is rendered once more at the end of the text; `finish`
returns the numbers of the blocks that changed by it. Nothing else changes a finished block.

What it costs: reading is lazy, it happens when the result is asked for. Each time only the open
piece is parsed; its paragraphs, cells and code that did not change are not rendered again. Between
two readings, plain words are only appended (`OpenBlock.tail`), and an open piece that has become
long is read again only when it has grown by a fraction of its length. All work together is linear
in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..._utils.printable import clean_text
from ...exceptions import UserError
from ..live.diff import difference
from .half_written import ends_half_written
from .highlight import code_block
from .plain_text import to_plain
from .renderer import Definitions, Group, InlineCache, groups, render_group
from .sanitise import escape

__all__ = [
    "MarkdownStream",
    "OpenBlock",
    "code_block",
    "difference",
    "render",
    "rendered",
    "to_plain",
]

# Up to this length the open piece is read again whenever something arrived that is more than plain
# words; beyond, when it has grown by one part in `_PARTS`.
_SHORT = 4_000
_PARTS = 8
# Plain words may wait for this many characters, or this share of the open piece, before it is read
# again.
_WORD_WAIT = 160
_WORD_SHARE = 4

_PLAIN_WORDS = re.compile(r"[^\n*_`\[\]<>$|#\\~!&:;@=\ue200]*\Z")
_PLAIN_CODE = re.compile(r"[^`~]*\Z")
# A line that could still become a marker of a list, a rule, a heading; and one that may end in an
# address.
_MAYBE_MARKER = re.compile(r"[\s\d>*+.)#=|-]*\Z")
# The beginning of a last line that is nothing but marks: "-" under a paragraph would show it as a
# heading, and one character later as a list. It is not shown before more of the line has come.
_BARE_MARKER = re.compile(r"[ \t]*(?:[-=*+#>~`$]{1,6}|\d{1,9}[.)]?|[-:| \t]{1,200})[ \t]*")
_MAYBE_ADDRESS = re.compile(r"(?:://|www\.)\S*\Z")
_CLOSING_TAGS = re.compile(
    r"(?:\s|</(?:p|li|ul|ol|blockquote|h[1-6]|t[dhr]|tbody|thead|table|dl|d[dt]|details)>)*\Z"
)
_TAIL_MARK = '<span class="as-tail"></span>'


@dataclass(frozen=True, slots=True)
class OpenBlock:
    """The end of a text that is still being written.

    Attributes
    ----------
    html : str
        Sanitised HTML of what was read. It holds one ``<span class="as-tail"></span>``.
    tail : str
        Text (not HTML) that came since; the page shows it inside that span. While `revision` stays
        the same, the tail only grows.
    revision : int
        Counts the changes of `html`.
    """

    html: str
    tail: str
    revision: int


@dataclass(slots=True)
class _Unresolved:
    """A finished block that asked for link definitions in vain."""

    number: int
    group: Group
    labels: frozenset[str]


class MarkdownStream:
    r"""A Markdown text that arrives in pieces, as HTML.

    Attributes
    ----------
    source : str
        All text so far.
    finished : list of str
        Sanitised HTML of the blocks that are finished; it only grows until `finish`.
    """

    def __init__(self) -> None:
        self.finished: list[str] = []
        self._source: list[str] = []
        self._held = ""  # a "\r" or half a surrogate pair that waits for its other half
        self._read = ""  # the open piece as it was read last
        self._unread: list[str] = []  # what came since
        self._unread_length = 0
        self._plain: re.Pattern[str] | None = None  # what may wait in the tail, None for nothing
        self._only_plain = True
        self._space = ""  # spaces at the end of what was read, which HTML leaves out
        self._open = OpenBlock(_TAIL_MARK, "", 0)
        self._definitions: dict[str, dict[str, str]] = {}
        self._known: tuple[int, dict[str, dict[str, str]]] = (0, {})
        self._unresolved: list[_Unresolved] = []
        self._cache: InlineCache = {}
        self._ended = False

    # -- what arrives --

    def feed(self, text: str) -> None:
        """Take the next piece of text; nothing is rendered before it is asked for.

        Raises
        ------
        UserError
            The text has ended: `finish` was called.
        """
        if self._ended:
            raise UserError(
                "feed() came after finish(): this text has ended. Begin a new MarkdownStream."
            )
        text = self._held + text
        self._held = ""
        if text and (text[-1] == "\r" or "\ud800" <= text[-1] <= "\udbff"):
            text, self._held = text[:-1], text[-1]
        self._append(text)

    def _append(self, text: str) -> None:
        if text:
            text = _normalise(text)
            self._source.append(text)
            self._unread.append(text)
            self._unread_length += len(text)
            self._only_plain = bool(self._only_plain and self._plain and self._plain.match(text))

    def finish(self) -> list[int]:
        """End the text: what is open becomes finished.

        The numbers of blocks, finished before, whose HTML changed: a link they use was defined
        after them.
        """
        if self._ended:
            return []
        before = len(self.finished)
        self._append(self._held)
        self._held = ""
        self._ended = True
        self._read_on()
        changed = [block.number for block in self._unresolved if self._resolve(block)]
        self._unresolved.clear()
        _remember(self.source, "".join(self.finished))
        return [number for number in changed if number < before]

    def _resolve(self, block: _Unresolved) -> bool:
        if block.labels.isdisjoint(self._definitions):
            return False
        html, _ = render_group(block.group, Definitions(self._definitions))
        changed = html != self.finished[block.number]
        self.finished[block.number] = html
        return changed

    # -- what is shown --

    @property
    def source(self) -> str:
        """All text so far."""
        self._source = ["".join(self._source)]
        return self._source[0]

    @property
    def open(self) -> OpenBlock:
        """The open end of the text, brought up to date, and with it `finished`."""
        if self._unread and self._must_read():
            self._read_on()
        elif self._unread:
            self._unread = ["".join(self._unread)]
            self._open = OpenBlock(
                self._open.html, self._space + self._unread[0], self._open.revision
            )
        return self._open

    @property
    def html(self) -> str:
        """All HTML so far; when the text has ended, exactly what `render` makes of it."""
        end = self.open
        return "".join(self.finished) + end.html.replace(_TAIL_MARK, escape(end.tail))

    # -- reading --

    def _must_read(self) -> bool:
        length = len(self._read)
        if self._only_plain and self._plain is not None:
            return self._unread_length > max(_WORD_WAIT, length // _WORD_SHARE)
        return length <= _SHORT or self._unread_length * _PARTS >= length

    def _read_on(self) -> None:
        """Parse the open piece with what came since; render what is settled, the rest for now."""
        text = self._read + "".join(self._unread)
        self._unread, self._unread_length = [], 0
        held = "" if self._ended else _bare_marker(text.rpartition("\n")[2])
        text = text[: len(text) - len(held)]
        open_groups = groups(text)
        lines = text.split("\n")
        settled = len(open_groups) if self._ended else _settled(open_groups, lines)
        for group in open_groups[:settled]:
            for label, target in group.definitions().items():
                self._definitions.setdefault(label, target)
        ahead = self._definitions_ahead(open_groups[settled:])
        if self._known != (len(self._definitions), ahead):
            self._known = (len(self._definitions), ahead)
            self._cache = {}
        # A definition ahead may still get its title: what was rendered with it does not last.
        cache = {} if ahead else self._cache
        for group in open_groups[:settled]:
            self._finish_group(group, cache)
        if settled:
            first = open_groups[settled].first_line if settled < len(open_groups) else len(lines)
            lines = lines[first:]
            text = "\n".join(lines)
        self._read = text + held
        # What is held back may close the code it stands in: nothing may wait behind it.
        self._show(open_groups[settled:], lines, ahead, may_wait=not held)

    def _definitions_ahead(self, open_groups: list[Group]) -> dict[str, dict[str, str]]:
        ahead: dict[str, dict[str, str]] = {}
        for group in open_groups:
            for label, target in group.definitions().items():
                ahead.setdefault(label, target)
        return ahead

    def _finish_group(self, group: Group, cache: InlineCache) -> None:
        definitions = Definitions(self._definitions)
        html, _ = render_group(group, definitions, cache)
        if definitions.missed:
            missed = frozenset(definitions.missed)
            self._unresolved.append(_Unresolved(len(self.finished), group, missed))
        if html or definitions.missed:
            self.finished.append(html)

    def _show(
        self,
        open_groups: list[Group],
        lines: list[str],
        ahead: dict[str, dict[str, str]],
        *,
        may_wait: bool,
    ) -> None:
        parts: list[str] = []
        used: InlineCache = {}
        for group in open_groups:
            known = Definitions(self._definitions, ahead)
            is_open = group is open_groups[-1] and not self._ended
            html, cache = render_group(group, known, self._cache, is_open=is_open)
            parts.append(html)
            used |= cache
        self._cache = used
        html = "".join(parts)
        self._plain, self._only_plain, self._space = None, True, ""
        mark = len(html)
        plain = _may_wait(open_groups[-1], lines) if open_groups and may_wait else None
        if plain is not None:
            self._plain = plain
            if plain is _PLAIN_CODE:
                mark = html.rindex("</code></pre>")
            else:
                self._space = lines[-1][len(lines[-1].rstrip()) :]
                end = _CLOSING_TAGS.search(html, max(0, mark - 1000))
                mark = end.start() if end else mark
        html = "" if self._ended else html[:mark] + _TAIL_MARK + html[mark:]
        self._open = OpenBlock(html, self._space, self._open.revision + 1)


# -- what is settled, what may wait --


def _normalise(text: str) -> str:
    return clean_text(text.replace("\r\n", "\n").replace("\r", "\n"))


def _bare_marker(line: str) -> str:
    return line if len(line) <= 200 and _BARE_MARKER.fullmatch(line) else ""


def _settled(open_groups: list[Group], lines: list[str]) -> int:
    """Count the groups that no further text can change: those before the last safe boundary."""
    for number in range(len(open_groups) - 1, 0, -1):
        first = open_groups[number].first_line
        # A line that begins with a letter marks no list item, whatever follows.
        begun = first < len(lines) - 1 or lines[first][0].isalpha()
        if begun and (
            not lines[first - 1].strip(" \t") or _ends_by_itself(open_groups[number - 1])
        ):
            return number
    return 0


def _ends_by_itself(group: Group) -> bool:
    token = group.tokens[-1]
    return token.type in ("fence", "hr", "math_block") or (
        token.type == "heading_close" and token.markup.startswith("#")
    )


def _may_wait(group: Group, lines: list[str]) -> re.Pattern[str] | None:
    """Tell which text may follow `group` unread, since it would only be appended to it."""
    leaf = next(token for token in reversed(group.tokens) if token.nesting != -1)
    if leaf.type == "fence" and leaf.level == 0:
        fence = leaf.markup[0]
        body = lines[group.first_line + 1 :] if len(group.tokens) == 1 else []
        closed = any(line.lstrip().startswith(fence) for line in body[-2:])
        return _PLAIN_CODE if body and not closed else None
    last = lines[-1]
    if leaf.type != "inline" or _MAYBE_MARKER.match(last) or _MAYBE_ADDRESS.search(last[-200:]):
        return None
    if ends_half_written(leaf.content):
        return None
    closing = group.tokens[group.tokens.index(leaf) + 1]
    setext = closing.type == "heading_close" and not closing.markup.startswith("#")
    return None if setext or closing.type in ("td_close", "th_close") else _PLAIN_WORDS


def render(text: str) -> str:
    r"""Render a whole Markdown text to sanitised HTML."""
    all_groups = groups(_normalise(text))
    definitions: dict[str, dict[str, str]] = {}
    for group in all_groups:
        for label, target in group.definitions().items():
            definitions.setdefault(label, target)
    return "".join(render_group(group, Definitions(definitions))[0] for group in all_groups)


_streamed: dict[str, str] = {}
_REMEMBERED = 16


def _remember(text: str, html: str) -> None:
    _streamed[text] = html
    while len(_streamed) > _REMEMBERED:
        del _streamed[next(iter(_streamed))]


def rendered(text: str) -> str:
    """Return what `render` gives, without the work if a stream of this text has just ended.

    The snapshot that follows a live view shows the same texts; to render them again would double
    the cost of watching a run.
    """
    html = _streamed.get(_normalise(text))
    return render(text) if html is None else html
