"""A conversation as a snapshot: HTML, Markdown and plain text, made of those of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..._utils.printable import clean_text
from .. import cards
from ..markdown.sanitise import escape, one_block
from ..snapshot.bundle import UNTYPED, final_text, style, text_bundle
from ..snapshot.text import defuse_markdown, markdown_of, text_of
from .turn import Turn

PAST_LIMIT = 20
"""Turns of a session's past that are shown."""

LONGEST_QUESTION = 20_000
"""Characters of a message that are shown; the model gets all of it."""


def visible_text(text: str) -> str:
    """The part of a message that is shown."""
    text = clean_text(text)
    rest = len(text) - LONGEST_QUESTION
    return text if rest <= 0 else f"{text[:LONGEST_QUESTION]}… ({rest:,} more characters)"


def message_html(text: str, question: Sequence[Any] = ()) -> str:
    """Return a message as it stands in the conversation; `question` where it is more than text."""
    if question:
        blocks = cards.question_blocks_html(question, LONGEST_QUESTION)
        return f'<strong class="as-you">You</strong>{blocks}'
    return (
        f'<strong class="as-you">You</strong><p dir="auto">{_lines(escape(visible_text(text)))}</p>'
    )


def _lines(html: str) -> str:
    # Line breaks of a message are the person's own; where styles are dropped they stay.
    return html.replace("\n", "<br>")


def conversation(
    turns: Sequence[Turn], *, past: Sequence[Turn] = (), name: str, id: str
) -> dict[str, str]:
    """Return a conversation as a MIME bundle.

    Of the session's `past` the last turns are shown. `id` is that of the widget, which hides the
    snapshot as long as it is there itself.
    """
    turns, note = [*past[-PAST_LIMIT:], *turns], earlier(past)
    content = "".join(f'<div class="as-exchange">{past_html(turn)}</div>' for turn in turns)
    content = note + content if content else f"<p><em>{escape(_nothing(name))}</em></p>"
    html = (
        f'<div class="as-run as-snapshot as-chat-still as-still-{escape(id)} {UNTYPED}" '
        f'role="region" aria-label="Conversation with {escape(name)}">'
        f"<style>{style()}{style('chat.css')}</style>{content}</div>"
    )
    return {
        "text/html": one_block(html),
        "text/markdown": conversation_markdown(turns) or f"*{_nothing(name)}*\n",
        "text/plain": conversation_text(turns) or _nothing(name),
    }


def without_widget(turns: Sequence[Turn], error: Exception) -> dict[str, str]:
    """Return a conversation as its text alone, where `conversation` failed."""
    exchanges = [f"> {visible_text(turn.message)}\n\n{final_text(turn.trace)}" for turn in turns]
    return text_bundle("\n\n".join(exchanges), error, "conversation")


def _nothing(name: str) -> str:
    return f"A conversation with {clean_text(name)}, in which nothing has been said yet."


def past_html(turn: Turn) -> str:
    """Return a turn whose answer has ended, and where nothing can be pressed."""
    trace = turn.trace
    question = (
        f'<div class="as-question">{message_html(turn.message, turn.question)}</div>'
        if turn.message
        else ""
    )
    return (
        f"{question}{cards.header(trace, live=False)}"
        f'<div class="as-body">{cards.run_body(trace)}</div>{cards.ending(trace)}'
    )


def earlier(past: Sequence[Turn]) -> str:
    """Return a note on the turns of the past that are not shown; empty if all are."""
    more = len(past) - PAST_LIMIT
    if more <= 0:
        return ""
    return f'<p class="as-note"><em>{more:,} earlier turns are in the session.</em></p>'


def conversation_markdown(turns: Sequence[Turn]) -> str:
    """Return a conversation as Markdown."""
    parts = []
    for turn in turns:
        question = defuse_markdown(visible_text(turn.message))
        answer = markdown_of(turn.trace, asks=False)
        parts.append(f"**You:**\n\n{question}\n\n**{_names(turn)}:**\n\n{answer}")
    return "\n".join(parts)


def conversation_text(turns: Sequence[Turn]) -> str:
    """Return a conversation as text for a terminal."""
    parts = []
    for turn in turns:
        lines = visible_text(turn.message).splitlines()
        quote = "".join(f"> {line}".rstrip() + "\n" for line in lines)
        parts.append(f"{quote}\n{text_of(turn.trace, asks=False)}")
    return "\n".join(parts)


def _names(turn: Turn) -> str:
    names = turn.trace.agents or ["Agent"]
    return defuse_markdown(" → ".join(names)).replace("\n", " ").replace("*", "\\*")
