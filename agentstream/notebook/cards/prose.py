"""Texts of a run: answers with what they cite, reasoning, refusals."""

from __future__ import annotations

from typing import Any

from ...trace.parts import Part, get
from ...trace.timeline.scale import length_label
from ..markdown.sanitise import escape, host_of, link
from ..markdown.stream import rendered
from .values import data_html, more, one_line, parse_json

__all__ = [
    "LONGEST_TEXT",
    "answer",
    "citations",
    "prose",
    "reasoning_summary",
    "source_links",
    "text_note",
]

LONGEST_TEXT = 200_000
"""Characters of one text that are shown once it is no longer streaming."""

_LONGEST_LIST = 50
_NOTES = {
    "failed": "The model call broke off here.",
    "cancelled": "Stopped here.",
    "incomplete": "The model's answer ends here, incomplete.",
}


def prose(part: Part, limit: int = LONGEST_TEXT) -> str:
    """Show a text, a refusal or a reasoning part as a whole."""
    if part.kind == "reasoning":
        return _reasoning(part, limit)
    body = answer(part.text, limit) + citations(part) + text_note(part)
    if part.kind == "refusal":
        return (
            '<div class="as-text as-refusal" role="note" aria-label="Refusal">'
            f"<p><strong>The model declined</strong></p>{body}</div>"
        )
    return f'<div class="as-text as-is-{part.status}">{body}</div>'


def answer(text: str, limit: int = LONGEST_TEXT) -> str:
    """Show a model's text: as data if all of it is JSON, else as Markdown."""
    excerpt = text[:limit]
    parsed = parse_json(excerpt)
    html = rendered(excerpt) if parsed is None else data_html(parsed, limit)
    return html + more(len(text) - limit)


def reasoning_summary(part: Part) -> str:
    """Return what the folded reasoning is called: the inside of its ``<summary>``."""
    if part.is_open:
        return (
            f'Reasoning <span class="as-clock" role="timer" data-since="{part.started:.3f}"></span>'
        )
    took = (part.ended or part.started) - part.started
    length = f" {length_label(took)}" if took > 0 else ""
    return f'Reasoning<span class="as-clock">{length}</span>'


def _reasoning(part: Part, limit: int) -> str:
    if not part.body:
        if part.is_open:
            return '<p class="as-line as-reasoning-hidden">Reasoning …</p>'
        return '<p class="as-line as-reasoning-hidden">Reasoned without saying how</p>'
    text = part.text
    body = rendered(text[:limit]) + more(len(text) - limit)
    return (
        f'<details class="as-reasoning"><summary>{reasoning_summary(part)}</summary>'
        f'<blockquote class="as-reasoning-body">{body}</blockquote></details>'
    )


def text_note(part: Part) -> str:
    """Say that a text breaks off; empty for one that does not."""
    note = _NOTES.get(part.status)
    return f'<p class="as-note" role="note"><em>{note}</em></p>' if note and part.body else ""


# -- sources --


def citations(part: Part) -> str:
    """Show what a text cites: pages as links, files by name; each once; empty if nothing."""
    pages: dict[str, str] = {}
    files: dict[str, None] = {}
    for note in part.annotations:
        url = get(note, "url")
        if url is not None:
            pages.setdefault(str(url), str(get(note, "title") or url))
            continue
        name = get(note, "filename") or get(note, "file_id")
        if name is not None:
            files.setdefault(str(name))
    items = [_source(url, title) for url, title in pages.items()]
    items += [f"<li><bdi>{escape(one_line(name, 120))}</bdi></li>" for name in files]
    if not items:
        return ""
    return (
        '<div class="as-citations" role="group" aria-label="Sources"><strong>Sources</strong>'
        f"<ol>{''.join(items[:_LONGEST_LIST])}</ol>"
        f"{more(len(items) - _LONGEST_LIST, 'source')}</div>"
    )


def source_links(sources: list[dict[str, Any]]) -> str:
    """Show pages as a list of links."""
    items = [_source(one["url"], str(one.get("title") or one["url"])) for one in sources]
    html = "".join(items[:_LONGEST_LIST])
    return f'<ol class="as-sources">{html}</ol>{more(len(items) - _LONGEST_LIST, "source")}'


def _source(url: str, title: str) -> str:
    """One link; its host stands beside a title, since a title may claim anything."""
    host = host_of(url) if title != url else ""
    host_html = f' <small class="as-host">{escape(host)}</small>' if host else ""
    return f"<li><bdi>{link(url, one_line(title, 120))}</bdi>{host_html}</li>"
