"""The colours of a table's cells, as pandas' Styler writes them: in a style sheet, by their ids.

Style sheets and ids do not get past the sanitiser. A colour of a cell can do no harm, so what rules
say of colours is put into the cells, and the sanitiser lets that through, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["CELL_STYLE", "with_cell_colours"]

_COLOUR: Final = r"#[0-9a-f]{3,8}|[a-z]{3,25}|(?:rgb|hsl)a?\([\d.,%/ ]{5,40}\)"
_DECLARATION: Final = rf"(?:background-)?color: (?:{_COLOUR});"
CELL_STYLE: Final = re.compile(rf"(?:{_DECLARATION} ?){{1,2}}", re.IGNORECASE)
"""What a cell's style may be, as a whole."""

_SHEET: Final = re.compile(r"<style[^<>]*>([^<]*)</style", re.IGNORECASE)
_RULE: Final = re.compile(r"([^{}]+)\{([^{}]*)\}")
_ID: Final = re.compile(r"#([\w-]+)")
_SET: Final = re.compile(
    rf"(?:^|;)\s*(color|background-color)\s*:\s*({_COLOUR})\s*(?=;|$)", re.IGNORECASE
)
_CELL: Final = re.compile(r'<(t[dh])\b(?=[^<>]*\sid="([\w-]+)")', re.IGNORECASE)


def with_cell_colours(html: str) -> str:
    """Return `html` with the colours of its style sheets in its cells; it is not sanitised yet.

    Examples
    --------
    >>> with_cell_colours('<style>#a { color: red; width: 9px }</style><td id="a">1</td>')
    '<style>#a { color: red; width: 9px }</style><td style="color: red;" id="a">1</td>'
    """
    styles = dict(_styles(html))

    def coloured(cell: re.Match[str]) -> str:
        style = styles.get(cell[2])
        return f'<{cell[1]} style="{style}"' if style else cell[0]

    return _CELL.sub(coloured, html) if styles else html


def _styles(html: str) -> Iterator[tuple[str, str]]:
    """The colours of each id; of several rules for one, the last counts, as in a style sheet."""
    colours: dict[str, dict[str, str]] = {}
    for sheet in _SHEET.findall(html):
        for selectors, body in _RULE.findall(sheet):
            declared = {name.lower(): colour.lower() for name, colour in _SET.findall(body)}
            for selector in selectors.split(",") if declared else ():
                if simple := _ID.fullmatch(selector.strip()):
                    colours.setdefault(simple[1], {}).update(declared)
    for cell, values in colours.items():
        # Text on a colour of its own does not follow a dark theme.
        values = {"color": "#000", **values} if "background-color" in values else values
        yield cell, " ".join(f"{name}: {colour};" for name, colour in values.items())
