r"""Markdown to HTML, one top-level block at a time.

CommonMark, with GitHub's tables, strikethrough, task lists and bare addresses, and maths.

What differs from CommonMark, and why:

=====================  ===========================================================================
raw HTML               harmless tags pass (see `_TAGS`), all else is shown as text
image                  a link with the image's text: no request may leave the page
relative link          its text only: it would lead into the Jupyter server
bare http(s) address   a link, as on GitHub; bare ``www.`` and e-mail addresses stay text
``$ $$ \( \[``           maths, see `agentstream.notebook.markdown.latex`
``<details>``          one block up to its ``</details>``, with the Markdown between them
a run of text of more  plain text: inline markup takes time that grows faster than the text
than 100,000 signs
nesting deeper than    plain text
40, raw tags: 20
``> [!NOTE]``            a callout with a title, see `agentstream.notebook.markdown.callouts`
marks of citations     left out, see `agentstream.notebook.markdown.half_written`
footnotes              none; ``[^1]: https://...`` is a link definition, as in CommonMark
a link definition of   text
more than 32 lines
=====================  ===========================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import unescapeAll
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import reference
from markdown_it.rules_core import StateCore, text_join
from markdown_it.token import Token

from .callouts import mark_callouts, title_html
from .flanking import add_flanking
from .half_written import as_rendered_while_open, without_citation_marks
from .highlight import render_code
from .latex import add_maths, mathml
from .links import settled_links
from .raw_html import OpenTags, details_balance, sanitise_tags
from .sanitise import escape, link, sanitise

if TYPE_CHECKING:
    from markdown_it.rules_block import StateBlock
    from markdown_it.utils import EnvType, OptionsDict

__all__ = [
    "Definitions",
    "Group",
    "InlineCache",
    "groups",
    "inline_tokens",
    "parser",
    "render_group",
]

_LONGEST_INLINE = 100_000
_DEEPEST = 40
# Lines of one link definition. The parser of markdown-it-py 3 reads the whole paragraph for each.
_LONGEST_DEFINITION = 32
# Tokens that one <details> may hold; the sanitiser's time grows faster than their depth.
_LARGEST_DETAILS = 2_000


# -- the parser --


@lru_cache(maxsize=1)
def parser() -> MarkdownIt:
    """Return the configured parser; it holds no state of a text, so all texts share it."""
    options = {"maxNesting": _DEEPEST, "inline_definitions": True, "html": True}
    md = MarkdownIt("commonmark", options)
    md.enable(["table", "strikethrough"])
    add_maths(md)
    add_flanking(md)
    md.block.ruler.before("table", "too_deep", _too_deep)
    md.block.ruler.at("reference", _definition)
    # A link is always parsed as one; whether it becomes clickable is for the renderer and the
    # sanitiser.
    md.validateLink = lambda url: True  # type: ignore[method-assign]
    return md


def _too_deep(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Keep what stands deeper than the parser goes: it would be left out otherwise."""
    if silent or state.level < _DEEPEST - 4:
        return False
    token = state.push("code_block", "code", 0)
    token.content = state.getLines(start, end, state.blkIndent, True)
    token.map = [start, end]
    state.line = end
    return True


def _definition(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Read a link definition within a few lines, so that many take time that grows as the text."""
    whole = state.lineMax
    state.lineMax = min(whole, start + _LONGEST_DEFINITION)
    try:
        return reference(state, start, end, silent)
    finally:
        state.lineMax = whole


# -- link definitions --


class Definitions:
    """Link definitions as the parser asks for them; notes the labels that are missing."""

    def __init__(self, *layers: Mapping[str, dict[str, str]]) -> None:
        self._layers = layers
        self.missed: set[str] = set()

    def afresh(self) -> Definitions:
        """Return the same definitions with nothing missed yet."""
        return Definitions(*self._layers)

    def __contains__(self, label: str) -> bool:
        return self.get(label) is not None

    def __getitem__(self, label: str) -> dict[str, str]:
        definition = self.get(label)
        if definition is None:
            raise KeyError(label)
        return definition

    def get(self, label: str, default: None = None) -> dict[str, str] | None:
        """Return the first definition of `label`."""
        for layer in self._layers:
            if label in layer:
                return layer[label]
        self.missed.add(label)
        return default


# Inline source, or the key of a code block -> its HTML and the labels it missed.
InlineCache = dict[str, tuple[str, frozenset[str]]]


# -- groups of tokens --


class Group:
    """The tokens of one top-level block, or of a ``<details>`` and all up to its end."""

    __slots__ = ("first_line", "tokens")

    def __init__(self, tokens: list[Token], first_line: int) -> None:
        self.tokens = tokens
        self.first_line = first_line

    def definitions(self) -> dict[str, dict[str, str]]:
        """Return the link definitions made here, the first of each label."""
        definitions: dict[str, dict[str, str]] = {}
        for token in self.tokens:
            if token.type == "definition":
                href = {"href": token.meta["url"], "title": token.meta["title"]}
                definitions.setdefault(token.meta["id"], href)
        return definitions


def groups(source: str) -> list[Group]:
    """Parse `source` into its top-level blocks; inline markup is left for `render_group`."""
    tokens: list[Token] = []
    # A definition counts for its label once; which one is decided by who gathers the groups.
    parser().block.parse(source, parser(), {}, tokens)
    _mark_tasks(tokens)
    mark_callouts(tokens)
    result: list[Group] = []
    open_details = 0
    for token in tokens:
        if open_details == 0 and token.level == 0 and token.nesting >= 0:
            result.append(Group([], token.map[0] if token.map else 0))
        result[-1].tokens.append(token)
        if len(result[-1].tokens) >= _LARGEST_DETAILS:
            open_details = 0
        elif token.type == "html_block" and token.level == 0:
            # One that is very long is shown as text.
            balance = 0 if len(token.content) > _LONGEST_INLINE else details_balance(token.content)
            open_details = max(0, open_details + balance)
    return result


def inline_tokens(source: str) -> list[Token]:
    """Parse `source` with its inline markup; what is too long for that becomes one text."""
    md, env, tokens = parser(), dict[str, Any](), list[Token]()
    md.block.parse(source, md, env, tokens)
    _mark_tasks(tokens)
    mark_callouts(tokens)
    for token in tokens:
        if token.type == "inline" and len(token.content) <= _LONGEST_INLINE:
            token.children = []
            md.inline.parse(without_citation_marks(token.content), md, env, token.children)
            text_join(StateCore("", md, {}, [token]))
        elif token.type == "inline":
            token.children = [Token("text", "", 0, content=token.content)]
    return tokens


# -- rendering --

# The letters of Hebrew, Arabic and their neighbours: where a block has any, it and each block in it
# find their own directions, and code is read from the left.
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_BLOCK = re.compile(
    r"<(?:(p|h[1-6]|[ou]l|dl|blockquote|table|t[dh]|details|summary)|pre|code)(?=[ >])(?! dir=)"
)


def render_group(
    group: Group,
    definitions: Definitions,
    cache: InlineCache | None = None,
    *,
    is_open: bool = False,
) -> tuple[str, InlineCache]:
    """Render one group to sanitised HTML.

    `definitions` notes the labels that it lacks. What the `cache` of the block's last rendering has
    is not rendered again. A half-written link at the end of an open block is shown as its text.
    """
    md = parser()
    env: dict[str, Any] = {
        "references": definitions,
        "cache": cache or {},
        "used": {},
        "tags": OpenTags(),
        "open": _last_inline(group) if is_open else None,
    }
    html = sanitise(_renderer().render(group.tokens, md.options, env))
    if _RIGHT_TO_LEFT.search(html):
        html = _BLOCK.sub(_with_direction, html)
    return html, env["used"]


def _with_direction(tag: re.Match[str]) -> str:
    return f'{tag[0]} dir="{"auto" if tag[1] else "ltr"}"'


def _last_inline(group: Group) -> Token | None:
    """The text at the end of a block, if it ends in one; a row's missing cells are empty texts."""
    leaves = (token for token in reversed(group.tokens) if token.nesting == 0)
    leaf = next((token for token in leaves if token.type != "inline" or token.content), None)
    return leaf if leaf is not None and leaf.type == "inline" else None


def _render_inline(source: str, md: MarkdownIt, env: EnvType) -> str:
    source = without_citation_marks(source)
    if len(source) > _LONGEST_INLINE:
        return escape(source)
    outer: Definitions = env["references"]
    cached: tuple[str, frozenset[str]] | None = env["cache"].get(source) or env["used"].get(source)
    if cached is None:
        own = outer.afresh()
        children: list[Token] = []
        md.inline.parse(source, md, {"references": own}, children)
        token = Token("inline", "", 0, children=children)
        text_join(StateCore("", md, {}, [token]))
        html = str(_renderer().renderInline(token.children or [], md.options, env))
        cached = (html, frozenset(own.missed))
    env["used"][source] = cached
    outer.missed |= cached[1]
    return cached[0]


@lru_cache(maxsize=1)
def _renderer() -> _Renderer:
    return _Renderer(parser())


class _Renderer(RendererHTML):
    """The library's renderer, with what differs; a rule is a method named after its token."""

    def render(self, tokens: Sequence[Token], options: OptionsDict, env: EnvType) -> str:
        parts: list[str] = []
        for index, token in enumerate(tokens):
            if token.type == "inline":
                is_open = token is env["open"]
                source = as_rendered_while_open(token.content) if is_open else token.content
                parts.append(_render_inline(source, parser(), env))
            elif token.type in self.rules:
                parts.append(self.rules[token.type](tokens, index, options, env))
            else:
                parts.append(self.renderToken(tokens, index, options, env))
        return "".join(parts)

    def renderInline(self, tokens: Sequence[Token], options: OptionsDict, env: EnvType) -> str:
        return super().renderInline(list(settled_links(tokens)), options, env)

    def definition(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        return ""

    def text(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        return escape(tokens[index].content)

    def code_inline(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        return f"<code>{escape(tokens[index].content)}</code>"

    def fence(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        info = unescapeAll(tokens[index].info).split()
        return self._code(tokens[index].content, info[0] if info else "", env)

    def code_block(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        return render_code(tokens[index].content, "")

    def _code(self, content: str, language: str, env: EnvType) -> str:
        key = f"\0{language}\0{content}"  # no inline source holds a NUL
        if key not in env["used"]:
            code = env["cache"].get(key) or (render_code(content, language), frozenset[str]())
            env["used"][key] = code
        return str(env["used"][key][0])

    def math_inline(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        return mathml(tokens[index].content)

    def math_display(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        return mathml(tokens[index].content, display=True)

    def math_block(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        return f"<p>{mathml(tokens[index].content, display=True)}</p>\n"

    def link_open(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        title = str(tokens[index].attrGet("title") or "")
        named = f' title="{escape(title)}"' if title else ""
        return f'<a href="{escape(str(tokens[index].attrGet("href")))}"{named}>'

    def image(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[index]
        source = str(token.attrGet("src") or "")
        alt = self.renderInlineAsText(token.children or [], options, env)
        # A link inside a link would end the outer one.
        return escape(alt) if token.meta.get("linked") else link(source, alt or source)

    def html_inline(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        return sanitise_tags(tokens[index].content)

    def html_block(
        self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
    ) -> str:
        content = tokens[index].content
        long = len(content) > _LONGEST_INLINE
        html = escape(content) if long else sanitise_tags(content, env["tags"])
        return html if html.startswith("<") else f"<p>{html}</p>\n"

    def list_item_open(
        self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
    ) -> str:
        loose = index + 1 < len(tokens) and not tokens[index + 1].hidden
        return self.renderToken(tokens, index, options, env) + (
            "" if loose else _task_box(tokens[index])
        )

    def paragraph_open(
        self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
    ) -> str:
        opening = self.renderToken(tokens, index, options, env)
        hidden = tokens[index].hidden or index == 0
        return opening if hidden else opening + _task_box(tokens[index - 1])

    def blockquote_open(
        self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
    ) -> str:
        return self.renderToken(tokens, index, options, env) + title_html(tokens[index])

    def th_open(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        return self._cell(tokens[index])

    def td_open(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        return self._cell(tokens[index])

    def _cell(self, token: Token) -> str:
        side = str(token.attrGet("style") or "").removeprefix("text-align:")
        return f'<{token.tag} align="{side}">' if side else f"<{token.tag}>"


_TASK = re.compile(r"\[([ xX])\][ \t\n]+(?=\S)")


def _mark_tasks(tokens: Sequence[Token]) -> None:
    """Find the items of task lists: ``[x]`` at the beginning of an item is taken from its text."""
    for at, token in enumerate(tokens[:-2]):
        inside = tokens[at + 2]
        if token.type != "list_item_open" or inside.type != "inline":
            continue
        if tokens[at + 1].type == "paragraph_open" and (box := _TASK.match(inside.content)):
            token.meta = {**token.meta, "checked": box[1] != " "}
            inside.content = inside.content[box.end() :]


def _task_box(item: Token) -> str:
    """Return the box of a task list's item as a character: the page gets no form controls."""
    if item.type != "list_item_open" or "checked" not in item.meta:
        return ""
    return "\N{BALLOT BOX WITH CHECK} " if item.meta["checked"] else "\N{BALLOT BOX} "
