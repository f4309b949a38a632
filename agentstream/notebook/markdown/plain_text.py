"""Markdown as plain text for terminals: the marks go, the structure stays."""

from __future__ import annotations

from markdown_it.token import Token

from ..._utils.printable import clean_text
from .callouts import callout_title
from .renderer import inline_tokens

__all__ = ["to_plain"]


def to_plain(text: str) -> str:
    r"""Write Markdown as text for a terminal.

    Headings are underlined, list items keep their bullets and numbers, code is indented, a link
    shows its address behind its text. No control sequence comes through: a terminal would obey it.
    """
    writer = _Writer()
    for token in inline_tokens(clean_text(text)):
        writer.take(token)
    lines = "".join(writer.parts).strip("\n")
    return clean_text(lines) + "\n" if lines else ""


class _Writer:
    """Follows the tokens of a text, and knows how deep it is in lists and quotes."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._indent: list[str] = []
        self._numbers: list[int | None] = []
        self._bullet = ""
        self._cells = 0

    def take(self, token: Token) -> None:
        kind = token.type
        if kind in ("bullet_list_open", "ordered_list_open"):
            start = int(token.attrGet("start") or 1) if kind == "ordered_list_open" else None
            self._numbers.append(start)
        elif kind in ("bullet_list_close", "ordered_list_close"):
            self._numbers.pop()
            if not self._numbers:
                self.parts.append("\n")
        elif kind == "list_item_open":
            self._begin_item(token)
        elif kind == "blockquote_open":
            self._indent.append("> ")
            if title := callout_title(token):
                self._lines([title])
        elif kind in ("list_item_close", "blockquote_close"):
            self._flush_bullet()
            self._indent.pop()
        elif kind in ("fence", "code_block", "html_block", "math_block"):
            indent = "" if kind in ("html_block", "math_block") else "    "
            self._lines([indent + line for line in token.content.rstrip("\n").split("\n")])
        elif kind == "hr":
            self._lines(["-" * 20])
        else:
            self._take_leaf(token)

    def _take_leaf(self, token: Token) -> None:
        if token.type == "inline":
            self._inline = _inline_text(token.children or [])
        elif token.type == "paragraph_close":
            if self._inline or not token.hidden:
                self._lines(self._inline.split("\n"), tight=token.hidden)
        elif token.type == "heading_close":
            rule = "=" if token.tag == "h1" else "-"
            self._lines([self._inline, rule * max(3, min(len(self._inline), 72))])
        elif token.type in ("th_close", "td_close"):
            self.parts.append((" | " if self._cells else "".join(self._indent)) + self._inline)
            self._cells += 1
        elif token.type == "tr_close":
            self.parts.append("\n")
            self._cells = 0
        elif token.type == "table_close":
            self.parts.append("\n")

    def _begin_item(self, token: Token) -> None:
        self._flush_bullet()
        number = self._numbers[-1]
        self._bullet = "- " if number is None else f"{number}. "
        if number is not None:
            self._numbers[-1] = number + 1
        checked = token.meta.get("checked")
        mark = "" if checked is None else ("[x] " if checked else "[ ] ")
        self._indent.append(" " * len(self._bullet))
        self._bullet += mark

    def _flush_bullet(self) -> None:
        if self._bullet:
            self._lines([""], tight=True)

    def _lines(self, lines: list[str], *, tight: bool = False) -> None:
        margin = "".join(self._indent)
        first = "".join(self._indent[:-1]) + self._bullet if self._bullet else margin
        self._bullet = ""
        for number, line in enumerate(lines):
            self.parts.append(f"{margin if number else first}{line}".rstrip() + "\n")
        if not tight:
            self.parts.append(margin.rstrip() + "\n")


def _inline_text(tokens: list[Token]) -> str:
    parts: list[str] = []
    targets: list[tuple[str, int]] = []
    for token in tokens:
        if token.type == "link_open":
            targets.append((str(token.attrGet("href") or ""), len(parts)))
        elif token.type == "link_close":
            target, begin = targets.pop()
            if "".join(parts[begin:]) != target:
                parts.append(f" ({target})")
        elif token.type in ("softbreak", "hardbreak"):
            parts.append("\n")
        elif token.type == "image":
            parts.append(f"{token.content} ({token.attrGet('src')})")
        else:
            parts.append(token.content)
    return "".join(parts)
