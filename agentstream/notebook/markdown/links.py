"""Links in a paragraph: which may be clicked, and bare addresses, which become links."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from markdown_it.token import Token

from .raw_html import paired_tags
from .sanitise import safe_url

__all__ = ["settled_links"]

_BARE_ADDRESS = re.compile(r"(?<![A-Za-z0-9])https?://[^\s<>\"'`|\\]{1,2000}")


def settled_links(tokens: Sequence[Token]) -> Iterator[Token]:
    """Settle the links: those that may not be clicked lose their tags, bare addresses get them."""
    visible: list[bool] = []
    paired = paired_tags(tokens)
    for index, token in enumerate(tokens):
        if token.type == "html_inline" and index not in paired:
            yield Token("text", "", 0, content=token.content)
        elif token.type == "link_open":
            visible.append(safe_url(str(token.attrGet("href") or "")) is not None)
            if visible[-1]:
                yield token
        elif token.type == "link_close":
            if visible.pop():
                yield token
        elif token.type == "text" and not visible and "://" in token.content:
            yield from _link_bare_addresses(token.content)
        else:
            if token.type == "image":
                token.meta = {**token.meta, "linked": any(visible)}
            yield token


def _link_bare_addresses(text: str) -> Iterator[Token]:
    done = 0
    for match in _BARE_ADDRESS.finditer(text):
        address = _without_punctuation(match.group())
        if safe_url(address) is None:
            continue
        yield Token("text", "", 0, content=text[done : match.start()])
        yield Token("link_open", "a", 1, attrs={"href": address})
        yield Token("text", "", 0, content=address)
        yield Token("link_close", "a", -1)
        done = match.start() + len(address)
    yield Token("text", "", 0, content=text[done:])


def _without_punctuation(address: str) -> str:
    """Leave out what ends the sentence, not the address.

    As https://github.github.com/gfm/#extended-autolink-path-validation has it.
    """
    for at, char in enumerate(address):
        # Full-width punctuation, and spaces that are no ASCII, end the address and not the text.
        if char > "\x7f" and unicodedata.category(char)[0] in "PZ":
            address = address[:at]
            break
    while address:
        unbalanced = address[-1] == ")" and address.count(")") > address.count("(")
        if address[-1] not in "?!.,:*_~;]}" and not unbalanced:
            break
        address = address[:-1]
    return address
