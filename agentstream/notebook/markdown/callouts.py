"""Callouts: a quote that begins with ``[!NOTE]`` on a line of its own, as on GitHub.

The five kinds are those of
https://docs.github.com/en/get-started/writing-on-github/getting-started-with-writing-and-formatting-on-github/basic-writing-and-formatting-syntax#alerts.
Models write them inside lists as well, where GitLab shows them and GitHub does not; so they hold
at any depth. Without a style sheet, a callout is a quote with its title in bold.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it.token import Token

__all__ = ["callout_title", "mark_callouts", "title_html"]

_MARKER = re.compile(r"\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\][ \t]*(?:\n|\Z)", re.IGNORECASE)


def mark_callouts(tokens: Sequence[Token]) -> None:
    r"""Take the marker out of the text of each quote that is a callout, and note its kind.

    Examples
    --------
    >>> from agentstream.notebook.markdown.renderer import parser
    >>> tokens = parser().parse("> [!TIP]\n> Save often.")
    >>> mark_callouts(tokens)
    >>> callout_title(tokens[0]), tokens[2].content
    ('Tip', 'Save often.')
    """
    for at, token in enumerate(tokens[:-2]):
        if token.type != "blockquote_open" or tokens[at + 1].type != "paragraph_open":
            continue
        inside = tokens[at + 2]
        if marker := _MARKER.match(inside.content):
            kind = marker[1].lower()
            token.meta = {**token.meta, "callout": kind}
            token.attrSet("class", f"as-callout as-callout-{kind}")
            inside.content = inside.content[marker.end() :]
            if not inside.content:  # the marker was a paragraph of its own
                for one in tokens[at + 1 : at + 4]:
                    one.hidden = True


def callout_title(token: Token) -> str:
    """What stands above a callout: "Note"; empty for any other token."""
    return str(token.meta.get("callout", "")).capitalize()


def title_html(token: Token) -> str:
    """The title as HTML; its direction is its own, so that the callout has that of its text."""
    title = callout_title(token)
    return f'<div><strong dir="ltr">{title}</strong></div>\n' if title else ""
