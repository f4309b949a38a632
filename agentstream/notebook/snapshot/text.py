"""A run as Markdown and as plain text: what was said, and a line for each call.

A Markdown viewer may load images, and some run raw HTML. Which text is code is for each viewer to
say, and viewers differ; so nothing here depends on their reading but one case that is beyond doubt:
a fence at the first column between blank lines. Everywhere else a zero-width space parts ``<`` from
a tag's name and ``!`` from ``[``: text and code look as they did, a tag becomes text, and an image
becomes a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from itertools import chain
from typing import TYPE_CHECKING, Any

from markdown_it.token import Token

from ..._utils.printable import clean_text, printable
from ...trace.parts import Part
from ...trace.timeline.scale import length_label
from ..cards.banner import kind_and_message
from ..cards.bodies import body_of
from ..cards.displays import display_brief, question_blocks
from ..cards.shell import duration, kind_label, label_of, state_of
from ..cards.values import one_line
from ..markdown.half_written import without_citation_marks
from ..markdown.highlight import is_language
from ..markdown.plain_text import to_plain
from ..markdown.renderer import parser
from ..markdown.sanitise import safe_url

if TYPE_CHECKING:
    from ...trace.state import TraceState

__all__ = ["as_code", "fenced", "markdown_of", "question_text_lines", "text_of"]

LONGEST = 200_000
"""Characters of a whole run in Markdown or plain text."""

LONGEST_TEXT = 50_000
"""Characters of one text of it."""

LONGEST_LINE = 1_000
"""Characters of one line of the question."""

_DEEPEST = 6
_MOST_QUESTION_LINES = 60
_MOST_LINES = 40
_TAG = re.compile(r"<(?=[A-Za-z/!?])(?!(?:https?:|mailto:)[^\s<>]+>)")
_IMAGE = re.compile(r"!(?=\[)")
# Where Markdown has the address of a link; a name alone is that of a file beside, or code: a[0](x).
_ANGLED = re.compile(r"(\][(:][\s>]*<)([^<>\n]*)")
_ADDRESS = re.compile(r"(\][(:][\s>]*|<)(?=[^\s<>()]*[:&/\\%])([^\s<>()]*)")
_BARE = re.compile(r"(?:(?<=<)https?://[^\s<>]+(?=>))|(https?:)(//[^\s<]*)", re.IGNORECASE)
_ENTITY = re.compile(r"&#?\w+;")
_FENCE = re.compile(r"(`{3,}|~{3,})[^`]*\Z")
_ACTED_ON = frozenset("dot geojson graphviz latex math mermaid plantuml stl tex topojson".split())
_PART = "\u200b"


# -- Markdown --


def markdown_of(trace: TraceState, *, asks: bool = True, reason: bool = True) -> str:
    """Return a run as Markdown: the texts as they were written, calls as quoted lines.

    `asks` is whether the question stands above; a conversation has it already. `reason` is whether
    it is said why the run failed; a traceback below says it, too.
    """
    lines = question_text_lines(trace) if asks else []
    question = "\n".join(f"> {as_code(line, LONGEST_LINE)}  ".rstrip("\n") for line in lines)
    return _bounded(chain([question] * bool(question), _markdown_blocks(trace, 0, reason)))


def question_text_lines(trace: TraceState) -> list[str]:
    """Return what a run was asked as lines; the first of many."""
    lines = [line[:LONGEST_LINE] for line in question_lines(question_blocks(trace))]
    more = len(lines) - _MOST_LINES
    return lines if more <= 0 else [*lines[:_MOST_LINES], f"… {more:,} more lines"]


def question_lines(blocks: list[Any]) -> list[str]:
    """Return the lines of a question; of a figure or a frame, what it is."""
    lines: list[str] = []
    for block in blocks[:_MOST_QUESTION_LINES]:
        if isinstance(block, dict):
            brief = display_brief([block], 400)
            text = str(block.get("text") or "")
            lines += (
                text[:LONGEST_TEXT].splitlines() if block.get("type") == "text" else [f"[{brief}]"]
            )
    return lines


def _markdown_blocks(trace: TraceState, depth: int, reason: bool = True) -> Iterator[str]:
    quote = "> " * depth
    agent = None
    for part in _visible_parts(trace):
        if len(trace.agents) > 1 and part.agent is not None and part.agent != agent:
            agent = part.agent
            yield f"{quote}**{as_code(agent)}**"
        if part.kind in ("text", "refusal"):
            text = defuse_markdown(part.text[:LONGEST_TEXT]) + _rest(part)
            yield "\n".join(f"{quote}{line}" for line in text.split("\n")) if depth else text
        elif part.kind == "reasoning":
            continue
        else:
            yield f"{quote}> {_markdown_line(part)}"
        if part.nested is not None and depth < _DEEPEST:
            yield from _markdown_blocks(part.nested, depth + 1)
    if end := _end(trace, reason):
        word, _, rest = end.partition(": ")
        yield f"{quote}**{word}**" + (f": {as_code(rest)}" if rest else "")


def _markdown_line(part: Part) -> str:
    if part.kind in ("handoff", "compaction"):
        target = f" {as_code(label_of(part))}" if label_of(part) else ""
        return f"{kind_label(part)}{target}"
    brief, brief_output = _input_and_output(part)
    pieces = [kind_label(part)] + [as_code(one) for one in (label_of(part), brief) if one]
    line = " ".join(pieces) + (f" → {as_code(brief_output)}" if brief_output else "")
    return f"{line} · {_facts(part)}"


def as_code(text: str, longest: int = 160) -> str:
    """Return text as code: the only form in which no Markdown is read."""
    text = _apart(one_line(clean_text(text), longest)) or " "
    ticks = "`" * (_longest_run(text) + 1)
    edge = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{ticks}{edge}{text}{edge}{ticks}"


def fenced(text: str) -> str:
    """Return text of several lines as a block of code, whatever it holds."""
    text = clean_text(text).strip("\n")
    mark = "`" * max(3, _longest_run(text) + 1)
    return f"{mark}text\n{text}\n{mark}"


def _longest_run(text: str) -> int:
    """How many backticks stand in a row."""
    return max((len(run) for run in re.findall("`+", text)), default=0)


def defuse_markdown(text: str) -> str:
    """Return Markdown whose images are links and whose tags are text, wherever it is shown."""
    lines = clean_text(text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    done, result = 0, list[str]()
    tokens: list[Token] = []
    parser().block.parse("\n".join(lines), parser(), {}, tokens)
    for token in tokens:
        if token.type != "fence" or token.level or token.map is None:
            continue
        begin, end = token.map
        opening = _FENCE.match(lines[begin])
        if opening is None:
            continue
        result += _defused(lines[done:begin])
        result += [""] * bool(result and result[-1].strip())
        body = lines[begin:end]
        mark = opening.group(1)
        closing = re.compile(rf"{re.escape(mark[0])}{{{len(mark)},}}[ \t]*\Z")
        if len(body) > 1 and closing.match(body[-1].strip()):
            body = body[:-1]
        result += [mark + _language(body[0][len(mark) :]), *body[1:], mark]
        done = end
        result += [""] * bool(done < len(lines) and lines[done].strip())
    result += _defused(lines[done:])
    return "\n".join(result).strip("\n")


def _language(info: str) -> str:
    """What stands behind an opening fence, such that no viewer does more than colour the code.

    nbconvert's page draws ``mermaid`` with a script, GitHub draws maps and bodies, Quarto and R
    Markdown run ``{r}``. So only the name of a language that pygments colours stays.
    """
    name = info.split()[0] if info.split() else ""
    return name if is_language(name) and name.lower() not in _ACTED_ON else ""


def _defused(lines: list[str]) -> list[str]:
    text = without_citation_marks("\n".join(lines))
    return _apart(text).split("\n") if lines else []


def _apart(text: str) -> str:
    """Part what would be a tag, an image or a link to elsewhere than the web."""
    for address in (_ANGLED, _ADDRESS):
        text = address.sub(_checked, text)
    text = _BARE.sub(_checked_bare, text)
    return _IMAGE.sub("!" + _PART, _TAG.sub("<" + _PART, text))


def _checked(match: re.Match[str]) -> str:
    """An address where Markdown has one for a link, or text that is none."""
    opening, url = match[1], match[2]
    if _may_be_clicked(url):
        return match[0]
    return opening[0] + _PART + opening[1:].replace("<", "<" + _PART) + url


def _checked_bare(match: re.Match[str]) -> str:
    """An address in a text: of these, too, most viewers make links, up to a mark at their end."""
    url = match[0].rstrip("'\"?!.,:*_~)]};`|")
    return match[0] if match[1] is None or _may_be_clicked(url) else f"{match[1]}{_PART}{match[2]}"


def _may_be_clicked(url: str) -> bool:
    # A viewer reads entities and escapes before it makes an address of it.
    return "\\" not in url and safe_url(_ENTITY.sub(lambda one: unescape(one[0]), url)) is not None


# -- plain text --


def text_of(trace: TraceState, *, asks: bool = True, reason: bool = True) -> str:
    """Return a run as text for a terminal; `asks` and `reason` as for `markdown_of`."""
    lines = question_text_lines(trace) if asks else []
    question = "\n".join(f"> {line}".rstrip() for line in lines)
    return printable(_bounded(chain([question] * bool(question), _text_blocks(trace, 0, reason))))


def _text_blocks(trace: TraceState, depth: int, reason: bool = True) -> Iterator[str]:
    margin = "    " * depth
    agent = None
    for part in _visible_parts(trace):
        if len(trace.agents) > 1 and part.agent is not None and part.agent != agent:
            agent = part.agent
            yield f"{margin}{_plain(agent)}:"
        if part.kind in ("text", "refusal"):
            text = to_plain(part.text[:LONGEST_TEXT]).rstrip("\n") + _rest(part)
            yield "\n".join(f"{margin}{line}".rstrip() for line in text.split("\n"))
        elif part.kind != "reasoning":
            yield margin + _text_line(part)
        if part.nested is not None and depth < _DEEPEST:
            yield from _text_blocks(part.nested, depth + 1)
    if end := _end(trace, reason):
        yield f"{margin}[{_plain(end, 500)}]"


def _text_line(part: Part) -> str:
    if part.kind in ("handoff", "compaction"):
        return f"[{kind_label(part)} {_plain(label_of(part))}".rstrip() + "]"
    brief, brief_output = _input_and_output(part)
    pieces = [kind_label(part), _plain(label_of(part)), _plain(brief, 160)]
    pieces.append(f"→ {_plain(brief_output)}" if brief_output else "")
    return f"[{' '.join(word for word in pieces if word)} · {_facts(part)}]"


def _plain(text: str, longest: int = 80) -> str:
    return one_line(clean_text(text), longest)


# -- both --


def _visible_parts(trace: TraceState) -> Iterator[Part]:
    """The parts that are not superseded by those of another attempt."""
    return (part for part in trace.parts if part.status != "superseded")


def _input_and_output(part: Part) -> tuple[str, str]:
    body = body_of(part, 1_000)
    return body.brief_input, body.brief_output or one_line(part.error or "", 120)


def _facts(part: Part) -> str:
    took = duration(part)
    state = _plain(state_of(part))
    return f"{state} · {length_label(took)}" if took > 0 and not part.is_open else state


def _end(trace: TraceState, reason: bool = True) -> str:
    if trace.status == "cancelled":
        return f"Stopped: {trace.error}" if trace.error else "Stopped"
    if trace.status == "failed":
        why = trace.error if reason else kind_and_message(trace.error or "")[0]
        return f"Failed: {why}".rstrip(": ") if why else "Failed"
    return "Waiting for approval" if trace.status == "paused" else ""


def _rest(part: Part) -> str:
    over = part.body.length - LONGEST_TEXT
    return f"\n\n… {over:,} more characters not shown" if over > 0 else ""


def _bounded(blocks: Iterator[str]) -> str:
    """Join blocks until there is enough of them."""
    result: list[str] = []
    left = LONGEST
    for block in blocks:
        left -= len(block)
        if left < 0:
            result.append("… The rest is not shown: it is too long.")
            break
        result.append(block)
    return "\n\n".join(result).rstrip("\n") + "\n"
