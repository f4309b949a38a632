"""Values that tools take and give, as HTML: text, JSON, tables, images, content parts.

Nothing here is longer than a page can bear: a value is cut at `LIMIT` characters, and a line says
how much was left out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ...trace.parts import get, to_jsonable
from ..markdown.highlight import code_block
from ..markdown.sanitise import escape, image, link, safe_url

__all__ = [
    "LIMIT",
    "as_data_uri",
    "code",
    "data_html",
    "image_html",
    "is_unfolded",
    "json_html",
    "more",
    "one_line",
    "parse_json",
    "preformatted",
    "pretty",
    "table",
    "text_or_json",
    "value_brief",
    "value_html",
]

LIMIT = 20_000
"""Characters of one value that are shown."""

_FOLD_FROM = 400
_SHORT = 64
_LONGEST_JSON = 200_000
_LONGEST_IMAGE = 6_000_000
_ROWS, _COLUMNS, _CELL = 10, 12, 200
_ANSWER_ROWS, _FIELDS = 100, 50
_TALL = 16
_TEXTS = frozenset({"text", "input_text", "output_text"})
_IMAGES = frozenset({"image", "input_image", "image_url", "computer_screenshot"})
_FILES = frozenset({"file", "input_file"})
# How the base64 of each format begins that `image` takes.
_FORMATS = {"iVBOR": "png", "/9j/": "jpeg", "R0lGOD": "gif", "UklGR": "webp"}


# -- text --


def one_line(text: str, longest: int) -> str:
    r"""Return the beginning of a text as one line."""
    line = " ".join(text[: longest * 8].split())
    cut = len(line) > longest or len(text) > longest * 8
    return line[: longest - 1] + "…" if cut else line


def more(count: int, what: str = "character") -> str:
    """Say how much is not shown; empty if nothing."""
    if count <= 0:
        return ""
    return f'<p class="as-more">… {count:,} more {what}{"s" * (count != 1)} not shown</p>'


def preformatted(text: str, limit: int = LIMIT, *, label: str = "Text") -> str:
    """Show text as it is, with its lines."""
    excerpt = text[:limit]
    # What scrolls must be reached by keyboard.
    tall = excerpt.count("\n") > _TALL or len(excerpt) > 1_500
    scrolls = f' tabindex="0" role="region" aria-label="{escape(label)}"' if tall else ""
    rest = more(len(text) - limit)
    return f'<pre class="as-plain" dir="auto"{scrolls}>{escape(excerpt)}</pre>{rest}'


def code(text: str, language: str, limit: int = LIMIT) -> str:
    """Show code, highlighted."""
    return code_block(text[:limit], language) + more(len(text) - limit)


# -- JSON --


def parse_json(text: str) -> Any:
    """Return the object or list that a text is in JSON; None if it is neither, or very long."""
    if len(text) > _LONGEST_JSON or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def pretty(value: Any, *, indent: int | None = 2) -> str:
    """Write a value as JSON; what JSON does not know by its ``repr``."""
    try:
        return json.dumps(value, indent=indent, ensure_ascii=False, default=repr)
    except (ValueError, TypeError, RecursionError):  # a circle, odd keys, or very deep
        pass
    try:
        return repr(value)
    except RecursionError:
        return f"{type(value).__name__}, nested too deep to be shown"


def json_html(value: Any, limit: int = LIMIT) -> str:
    """Show a value as JSON, a long one folded behind its beginning."""
    text = pretty(value, indent=None)
    if len(text) <= _SHORT:
        return code(text, "json", limit)
    text = pretty(value)
    block = code(text, "json", limit)
    if len(text) < _FOLD_FROM:
        return block
    size = f"{len(text):,} characters"
    if isinstance(value, (dict, list)):
        count = len(value)
        size = f"{count:,} {'item' if isinstance(value, list) else 'key'}{'s' * (count != 1)}"
    return (
        f'<details class="as-fold"><summary><code>{escape(one_line(text, 80))}</code> '
        f'<span class="as-size">{size}</span></summary>{block}</details>'
    )


def text_or_json(text: str, limit: int = LIMIT, *, label: str = "Output") -> str:
    """Show a tool's text: as JSON or as an image if it is one, else as it is."""
    if text.startswith("data:image/"):
        return image_html(text, label)
    parsed = parse_json(text)
    if parsed is None:
        return preformatted(text, limit, label=label)
    parts = _content_parts(parsed)
    return parts_html(parts, limit) if parts else json_html(parsed, limit)


# -- tables --


def table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, rows_in_all: int, columns_in_all: int
) -> str:
    """Show rows as a table, and say how many more there are."""
    head = "".join(_head(name, [row[at] for row in rows]) for at, name in enumerate(columns))
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    size = (
        f"{rows_in_all:,} row{'s' * (rows_in_all != 1)} \N{MULTIPLICATION SIGN} {columns_in_all:,} "
    )
    size += f"column{'s' * (columns_in_all != 1)}"
    hidden = []
    if rows_in_all > len(rows):
        over = rows_in_all - len(rows)
        hidden.append(f"{over:,} more row{'s' * (over != 1)}")
    if columns_in_all > _COLUMNS:
        over = columns_in_all - _COLUMNS
        hidden.append(f"{over:,} more column{'s' * (over != 1)}")
    note = f"{size}; {' and '.join(hidden)} not shown" if hidden else size
    return (
        '<div class="as-table" tabindex="0" role="region" aria-label="Table">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        f'<p class="as-more">{note}</p>'
    )


def _head(name: str, cells: Sequence[Any]) -> str:
    """A column's name, over its numbers if it has nothing but numbers."""
    filled = [cell for cell in cells if cell is not None and cell != ""]
    over = ' class="as-number"' if filled and all(map(_is_number, filled)) else ""
    return f'<th dir="auto"{over}>{escape(one_line(name, 60))}</th>'


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if not _is_number(value):
        return f'<td dir="auto">{escape(one_line(str(value), _CELL))}</td>'
    text = f"{value:.6g}" if isinstance(value, float) else one_line(pretty(value), 40)
    return f'<td class="as-number">{escape(text)}</td>'


def _is_records(value: Any) -> bool:
    """Whether a list is a table: some dicts of plain values."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(one, dict)
            and one
            and all(cell is None or isinstance(cell, (str, int, float)) for cell in one.values())
            for one in value[:50]
        )
    )


def _records_html(records: list[dict[Any, Any]], most: int = _ROWS) -> str:
    columns = list(dict.fromkeys(key for one in records[:1_000] for key in one))
    visible = columns[:_COLUMNS]
    rows = [[one.get(key, "") for key in visible] for one in records[:most]]
    names = [str(name) for name in visible]
    return table(names, rows, rows_in_all=len(records), columns_in_all=len(columns))


def data_html(value: Any, limit: int = LIMIT) -> str:
    """Show structured output: records as a table, an object as its fields, else JSON.

    Examples
    --------
    >>> "<td" in data_html({"name": "Ada", "born": 1815})
    True
    """
    if isinstance(value, dict) and len(value) == 1:
        # An output type that is no object, such as a list, has been wrapped into one.
        (inner,) = value.values()
        if _is_records(inner):
            return _records_html(inner, _ANSWER_ROWS)
    if _is_records(value):
        return _records_html(value, _ANSWER_ROWS)
    if not isinstance(value, dict) or not 0 < len(value) <= _FIELDS:
        return json_html(value, limit)
    rows = "".join(
        f'<tr><th dir="auto">{escape(one_line(str(name), 60))}</th>{_field(one, limit)}</tr>'
        for name, one in value.items()
    )
    return (
        '<div class="as-table" tabindex="0" role="region" aria-label="Fields">'
        f"<table><tbody>{rows}</tbody></table></div>"
    )


def _field(value: Any, limit: int) -> str:
    if _is_records(value):
        return f"<td>{_records_html(value, _ANSWER_ROWS)}</td>"
    if isinstance(value, (dict, list)):
        return f"<td>{json_html(value, limit)}</td>"
    if isinstance(value, str):
        text = escape(value[:limit]).replace("\n", "<br>")
        return f'<td dir="auto">{text}{more(len(value) - limit)}</td>'
    return _cell("" if value is None else value)


# -- images --


def as_data_uri(data: str) -> str:
    """Return base64 as the address of an image; what is an address already stays as it is."""
    if data.startswith(("data:", "http:", "https:")):
        return data
    kind = next((name for start, name in _FORMATS.items() if data.startswith(start)), "png")
    return f"data:image/{kind};base64,{data}"


def image_html(source: str, alt: str) -> str:
    """Show an embedded image; one that lies elsewhere becomes a link."""
    if len(source) > _LONGEST_IMAGE:
        note = f"[image of {len(source):,} characters: too large to be shown]"
    elif source.startswith("data:") and ";sha256=" in source[:100]:
        note = f"[{one_line(alt, 120)}: the recording has no likeness of it]"
    elif source.startswith("data:"):
        return f'<div class="as-image">{image(source, one_line(alt, 120))}</div>'
    elif safe_url(source) is not None:
        return f'<p class="as-image">Image: {link(source, one_line(source, 100))}</p>'
    else:
        note = "[image that cannot be shown]"
    return f'<p class="as-image">{escape(note)}</p>'


# -- content parts --


def _content_parts(value: Any) -> list[dict[str, Any]]:
    """Return texts, images and files that a value consists of; empty if it is something else."""
    parts = to_jsonable(value if isinstance(value, (list, tuple)) else [value])
    known = _TEXTS | _IMAGES | _FILES
    whole = all(isinstance(one, dict) and one.get("type") in known for one in parts)
    return list(parts) if parts and whole else []


def parts_html(parts: list[dict[str, Any]], limit: int = LIMIT) -> str:
    """Show content parts in order; all texts together have the limit."""
    pieces, left = [], limit
    for one in parts[:50]:
        if one["type"] in _TEXTS:
            text = str(one.get("text", ""))
            pieces.append(text_or_json(text, max(left, 200)))
            left -= len(text)
        elif one["type"] in _IMAGES:
            pieces.append(_image_part(one))
        else:
            name = one.get("filename") or one.get("file_id") or one.get("file_url") or "file"
            pieces.append(
                f'<p class="as-file">File: {link(str(name), one_line(str(name), 100))}</p>'
            )
    return "".join(pieces) + more(len(parts) - 50, "part")


def _image_part(part: dict[str, Any]) -> str:
    address = part.get("image_url")
    source = get(address, "url") if isinstance(address, dict) else address
    data = part.get("data")
    if isinstance(source, str):
        return image_html(source, "Image")
    if isinstance(data, str):
        return image_html(as_data_uri(data), "Image")
    return f'<p class="as-image">Image: {escape(one_line(str(part.get("file_id")), 100))}</p>'


# -- any value --


def value_html(value: Any, limit: int = LIMIT) -> str:
    """Show what a tool returned, whatever it is.

    Examples
    --------
    >>> value_html("<21 °C>")
    '<pre class="as-plain" dir="auto">&lt;21 °C&gt;</pre>'
    """
    if isinstance(value, str):
        return text_or_json(value, limit)
    if parts := _content_parts(value):
        return parts_html(parts, limit)
    if _is_records(value):
        return _records_html(value)
    value = to_jsonable(value)
    if isinstance(value, (dict, list)):
        return json_html(value, limit)
    return preformatted(str(value), limit, label="Output")


def is_unfolded(value: Any) -> bool:
    """Whether a value is an image or a table, which nobody should have to unfold."""
    if isinstance(value, str):
        return value.startswith("data:image/")
    parts = _content_parts(value)
    if parts:
        return any(one["type"] in _IMAGES for one in parts)
    return _is_records(value)


def value_brief(value: Any, longest: int = 60) -> str:
    """Return a value in a few words, for a line of text."""
    if isinstance(value, str):
        if value.startswith("data:image/"):
            return "image"
        return one_line(value, longest)
    if parts := _content_parts(value):
        texts = [str(one.get("text", "")) for one in parts if one["type"] in _TEXTS]
        kind = str(parts[0]["type"]).removeprefix("input_")
        return one_line(", ".join(texts), longest) if texts else kind
    if _is_records(value):
        return f"{len(value):,} row{'s' * (len(value) != 1)}"
    value = to_jsonable(value)
    text = pretty(value, indent=None) if isinstance(value, (dict, list)) else str(value)
    return one_line(text, longest)
