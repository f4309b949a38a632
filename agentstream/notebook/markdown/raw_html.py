"""Raw HTML in Markdown: harmless tags pass, all else is shown as text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from html import unescape

from markdown_it.token import Token

from .sanitise import escape

__all__ = ["OpenTags", "details_balance", "paired_tags", "sanitise_tags"]

# Raw tags in one another, over all blocks of a group: the sanitiser's time grows with the square of
# their depth, and its parser opens each style that is open again in each paragraph.
_DEEPEST_TAGS = 20


def details_balance(raw: str) -> int:
    """How many more ``<details>`` a piece of raw HTML opens than it ends."""
    names = [f"{m['slash']}{m['name'].lower()}" for m in _TAG.finditer(raw)]
    return names.count("details") - names.count("/details")


def paired_tags(tokens: Sequence[Token]) -> set[int]:
    """Find the raw tags of a paragraph that stand alone or have their partner in it.

    In ``if a<b and c>d`` there is none. Pairs that stand too deep in others are left out.
    """
    alone: set[int] = set()
    partner: dict[int, int] = {}  # of a closing tag
    opened: dict[str, list[int]] = {}
    for index, token in enumerate(tokens):
        tag = _TAG.fullmatch(token.content) if token.type == "html_inline" else None
        if tag is None:
            continue
        name = tag["name"].lower()
        if name in ("br", "hr", "wbr"):
            alone.add(index)
        elif not tag["slash"]:
            opened.setdefault(name, []).append(index)
        elif opened.get(name):
            partner[index] = opened[name].pop()
    shallow: set[int] = set()
    depth = 0
    for index in sorted([*partner, *partner.values()]):
        if index not in partner:
            depth += 1
            if depth <= _DEEPEST_TAGS:
                shallow.add(index)
        else:
            depth -= 1
            if partner[index] in shallow:
                shallow.add(index)
    return alone | shallow


class OpenTags:
    """The raw tags that are open in a group, over all its blocks; tells which stand too deep."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._beyond: Counter[str] = Counter()

    def shows(self, name: str, *, closing: bool) -> bool:
        """Note a tag; whether it is shown as one."""
        if name in _NO_DEPTH:
            return True
        if closing and self._beyond[name]:
            self._beyond[name] -= 1
            return False
        if closing:
            if name in self._open:  # as a browser does: what stands open in it ends with it
                while self._open.pop() != name:
                    pass
        elif len(self._open) < _DEEPEST_TAGS:
            self._open.append(name)
        else:
            self._beyond[name] += 1
            return False
        return True


_TAGS = frozenset(
    "a abbr b bdi blockquote br caption cite code dd del details dfn dl dt em h1 h2 h3 h4 h5 h6"
    " hr i ins kbd li mark ol p pre q rp rt ruby s samp small strong sub summary sup table tbody"
    " td tfoot th thead tr u ul var wbr".split()
)
# Wrappers that only carry styles: their content is shown, they are not.
_IGNORED_TAGS = frozenset("center div font section span".split())
# Empty ones, and those that the next of their kind ends.
_NO_DEPTH = frozenset("br caption dd dt hr li p rp rt tbody td tfoot th thead tr wbr".split())
_ATTRIBUTES = frozenset("align colspan dir href open rowspan start title".split())
_TAG = re.compile(
    r"<(?P<slash>/?)(?P<name>[A-Za-z][A-Za-z0-9]*)"
    r"(?P<rest>(?:\s[^<>\"']*(?:\"[^<>\"]*\"[^<>\"']*|'[^<>']*'[^<>\"']*)*)?)/?>"
)
_ATTRIBUTE = re.compile(r"([A-Za-z]+)\s*(?:=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'=<>`]+)))?")


def sanitise_tags(raw: str, tags: OpenTags | None = None) -> str:
    """Rebuild the harmless tags of raw HTML and escape all else; the sanitiser sees the result."""
    parts: list[str] = []
    done = 0
    for match in _TAG.finditer(raw):
        name = match["name"].lower()
        if name not in _TAGS and name not in _IGNORED_TAGS:
            continue
        if tags and name in _TAGS and not tags.shows(name, closing=bool(match["slash"])):
            continue
        parts.append(escape(unescape(raw[done : match.start()])))
        if name in _TAGS:
            parts.append(f"<{match['slash']}{name}{_kept_attributes(match)}>")
        done = match.end()
    parts.append(escape(unescape(raw[done:])))
    return "".join(parts)


def _kept_attributes(tag: re.Match[str]) -> str:
    if tag["slash"]:
        return ""
    return "".join(
        f' {match[1].lower()}="{escape(unescape(match[2] or match[3] or match[4] or ""))}"'
        for match in _ATTRIBUTE.finditer(tag["rest"])
        if match[1].lower() in _ATTRIBUTES
    )
