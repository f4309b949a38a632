r"""What must not be shown while it is half written, or at all: addresses, and marks of citations.

A link that is being written, ``[the docs](https://exa``, is its text until it is closed; at the
end of a text it is what it is. OpenAI's models write citations into the text as
``\ue200cite\ue202turn0search0\ue201``, three characters of private use around names that mean
nothing to a reader; what they stand for comes as annotations, which are listed as sources.
"""

from __future__ import annotations

import re

__all__ = ["as_rendered_while_open", "ends_half_written", "half_mark", "without_citation_marks"]

_LONGEST = 2_000
"""How far from the end of a text a half-written link may begin."""

# Closed, or a name that broke off at the end.
_CITATION = re.compile(
    "([ \t]?)\ue200(?:([^\ue200\ue201\n]{0,2000})\ue201|[^\ue200\ue201\\s]{0,200}\\Z)"
)
_REFERENCE = re.compile(r"turn\d+[a-z_]+\d*|L\d+(?:-L?\d+)?")
_LOST = re.compile("[\ue200-\ue204\ue206]")
# The beginning of a callout's marker, "[!NO", and of an image inside a link.
_HALF_MARKER = re.compile(r"\[![A-Za-z]{0,9}\Z")
# An address with balanced brackets, or one in angles, and perhaps the beginning of a title.
_HALF_TARGET = re.compile(
    r"""\s*(?:<[^<>\n]*|(?:<[^<>\n]*>|(?:[^\s()<>]|\([^\s()<>]*\))*)(?:\([^\s()<>]*)?(?:\s+(?:"[^"]*"?|'[^']*'?)?)?)\Z"""
)


def without_citation_marks(text: str) -> str:
    r"""Return text without the marks of citations; what a mark holds besides references is kept."""
    if "\ue200" not in text:
        return text
    return _LOST.sub("", _CITATION.sub(_kept, text))


def _kept(mark: re.Match[str]) -> str:
    fields = (mark[2] or "").split("\ue202")[1:]
    fields_kept = " ".join(field for field in fields if not _REFERENCE.fullmatch(field))
    return fields_kept and mark[1] + fields_kept


def half_mark(text: str) -> int:
    """Where a citation's mark begins that is not closed within the last characters, else -1."""
    begin = text.rfind("\ue200", max(0, len(text) - _LONGEST))
    return begin if begin >= 0 and text.find("\ue201", begin) < 0 else -1


def as_rendered_while_open(source: str) -> str:
    """Return a paragraph that is being written as it is shown: what is half written is held back.

    Of a half-written link at its end, the text is shown.
    """
    if _HALF_MARKER.fullmatch(source):
        return ""
    if (mark := half_mark(source)) >= 0:
        return source[:mark].rstrip(" ")
    link = _half_link(source)
    if link is None:
        return source
    begin, end = link
    is_image = source[begin - 1 : begin] == "!"
    return source[: begin - is_image] + source[begin + 1 : end]


def ends_half_written(text: str) -> bool:
    """Whether what comes next may belong to what is not shown before it is whole."""
    end = text[-_LONGEST:]
    if end.endswith("]") or half_mark(end) >= 0:
        return True
    return bool(_HALF_MARKER.match(text)) or _half_link(end) is not None


def _half_link(source: str) -> tuple[int, int] | None:
    """Where the text of a half-written link at the end begins and ends."""
    lowest = max(0, len(source) - _LONGEST)
    end = source.rfind("](", lowest)
    if end < 0 or not _HALF_TARGET.match(source, end + 2):
        return None
    depth, at = 1, end
    while depth and at > lowest:
        at -= 1
        depth += {"]": 1, "[": -1}.get(source[at], 0)
    is_escaped = source[at - 1 : at] == "\\" if at else False
    # Behind an odd number of backticks it stands in code that is still open.
    is_code = source.count("`", 0, at) % 2 or source.count("`", at, end) % 2
    return None if depth or is_escaped or is_code else (at, end)
