"""SVG by hand: shapes, colours for light and dark, and labels whose width is certain.

An image stands for itself: no script, no font from elsewhere, no id that could clash with a second
image in the page. Text is set with ``textLength``, so that it takes the room that was reckoned
for it in whatever font is there.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from html import escape

from ..._utils.printable import printable

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"

# Light, dark. The colours of bars are those of Okabe and Ito (2008), which differ for colour-blind
# readers as well; shapes, places and labels say the same again.
COLORS: dict[str, tuple[str, str]] = {
    "card": ("#ffffff", "#161b22"),
    "edge": ("#d0d7de", "#30363d"),
    "ink": ("#1f2328", "#e6edf3"),
    "muted": ("#59636e", "#9aa4ae"),
    "grid": ("#e9edf1", "#262d36"),
    "band": ("#f6f8fa", "#1b212a"),
    "stint": ("#e3eef7", "#20303f"),
    "model": ("#0072b2", "#0072b2"),
    "wait": ("#9ccbe8", "#2f5a78"),
    "tool": ("#e69f00", "#e69f00"),
    "hosted": ("#009e73", "#14a67d"),
    "guardrail": ("#cc79a7", "#cc79a7"),
    "approval": ("#f7f0a8", "#5c5717"),
    "approval-edge": ("#8f8400", "#f0e442"),
    "error": ("#d55e00", "#e8752a"),
    "on-dark": ("#ffffff", "#ffffff"),
    "on-light": ("#1f2328", "#10151a"),
    "path": ("#0072b2", "#56b4e9"),
}

# Widths of Helvetica in thousandths of the size, from its Adobe font metrics.
_NARROW = {
    **dict.fromkeys("il'j|", 222),
    **dict.fromkeys(" tfI!.,:;/\\[]()-r·", 300),
    **dict.fromkeys('cksvxyzJ*"', 500),
    **dict.fromkeys("ABEKPSVXY&", 667),
    **dict.fromkeys("CDHNRUw", 722),
    **dict.fromkeys("GOQ", 778),
    **dict.fromkeys("mM", 833),
    **dict.fromkeys("W→…%@", 1000),
}
# How JupyterLab, VS Code and nbconvert's pages mark a dark theme; as in the live view's own style.
_DARK_THEME = ':is([data-jp-theme-light="false"],.vscode-dark,html[theme="dark"]) .as-run'


@dataclass(frozen=True, slots=True)
class Box:
    """Where a label lies."""

    text: str
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box, slack: float = 0.0) -> bool:
        """Whether two boxes share more than ``slack`` in both directions."""
        return (
            min(self.right, other.right) - max(self.left, other.left) > slack
            and min(self.bottom, other.bottom) - max(self.top, other.top) > slack
        )


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return the width that ``text`` takes at a font size."""
    total = 0
    for letter in text:
        if letter in _NARROW:
            total += _NARROW[letter]
        elif unicodedata.combining(letter):
            continue
        elif unicodedata.east_asian_width(letter) in "WF":
            total += 1000
        else:
            total += 556
    return total * size / 1000 * (1.07 if bold else 1.0)


def shorten(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """Cut ``text`` so that it fits, with an ellipsis where it was cut; empty if nothing fits."""
    if text_width(text, size, bold=bold) <= width:
        return text
    # Widths only grow with letters: look for the longest that fits.
    low, high = 0, min(len(text), int(width))
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(text[:middle].rstrip() + "…", size, bold=bold) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…" if low else ""


_LINE_BREAKS = re.compile(r"\s*[\n\r]\s*")


def clean(text: str) -> str:
    """Make any text safe as text or a quoted attribute of an SVG document, without empty lines."""
    return escape(_LINE_BREAKS.sub("\n", printable(text)), quote=True)


def number(value: float) -> str:
    """Write a coordinate as short as it can be."""
    return f"{value:.1f}".rstrip("0").rstrip(".") or "0"


class Drawing:
    """Collects shapes and turns them into an SVG document."""

    def __init__(self, width: float, label: str) -> None:
        self.width = width
        self.height = 0.0
        self.label = label
        self.labels: list[Box] = []
        self._parts: list[str] = []
        self._used: set[tuple[str, str]] = set()

    def _paint(self, kind: str, color: str) -> str:
        self._used.add((kind, color))
        return f'class="as-{kind}-{color}" {kind}="{COLORS[color][0]}"'

    def _put(self, shape: str, title: str | None) -> None:
        if title:
            shape = f"<g><title>{clean(title)}</title>{shape}</g>"
        self._parts.append(shape)

    def rect(
        self,
        left: float,
        top: float,
        width: float,
        height: float,
        color: str,
        *,
        radius: float = 0.0,
        title: str | None = None,
        edge: str | None = None,
        dashed: bool = False,
    ) -> None:
        """Draw a filled rectangle, with an edge if it has a colour."""
        at = f'x="{number(left)}" y="{number(top)}"'
        size = f'width="{number(width)}" height="{number(height)}"'
        round_ = f' rx="{number(radius)}"' if radius else ""
        fill = self._paint("fill", color)
        if edge:
            self._used.add(("stroke", edge))
            fill = fill.replace('class="', f'class="as-stroke-{edge} ', 1)
            fill += f' stroke="{COLORS[edge][0]}"'
            fill += ' stroke-dasharray="3 2"' if dashed else ""
        self._put(f"<rect {at} {size}{round_} {fill}/>", title)

    def line(
        self,
        points: list[tuple[float, float]],
        color: str,
        *,
        width: float = 1.0,
        dash: str | None = None,
        title: str | None = None,
    ) -> None:
        """Draw a line through points."""
        path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        stroke = self._paint("stroke", color)
        self._put(
            f'<polyline points="{path}" fill="none" {stroke} '
            f'stroke-width="{number(width)}"{dashes}/>',
            title,
        )

    def curve(self, path: str, color: str, *, width: float = 1.0, title: str | None = None) -> None:
        """Draw a line given as SVG path data."""
        stroke = self._paint("stroke", color)
        self._put(f'<path d="{path}" fill="none" {stroke} stroke-width="{number(width)}"/>', title)

    def polygon(
        self, points: list[tuple[float, float]], color: str, title: str | None = None
    ) -> None:
        """Draw a filled polygon."""
        path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        self._put(f'<polygon points="{path}" {self._paint("fill", color)}/>', title)

    def circle(self, x: float, y: float, radius: float, color: str) -> None:
        """Draw a filled circle."""
        at = f'cx="{number(x)}" cy="{number(y)}" r="{number(radius)}"'
        self._put(f"<circle {at} {self._paint('fill', color)}/>", None)

    def text(
        self,
        x: float,
        baseline: float,
        text: str,
        color: str,
        *,
        size: float = 11.0,
        anchor: str = "start",
        bold: bool = False,
        title: str | None = None,
    ) -> None:
        """Write one line, from, around or up to ``x``."""
        if not text:
            return
        width = text_width(text, size, bold=bold)
        left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        self.labels.append(
            Box(text, left, baseline - 0.8 * size, left + width, baseline + 0.22 * size)
        )
        weight = ' font-weight="bold"' if bold else ""
        self._put(
            f'<text x="{number(left)}" y="{number(baseline)}" font-size="{number(size)}"{weight} '
            f'textLength="{number(width)}" lengthAdjust="spacingAndGlyphs" '
            f"{self._paint('fill', color)}>{clean(text)}</text>",
            title,
        )

    def frame(self) -> None:
        """Put a card behind all of it, so that the page's own colour never matters."""
        drawn, self._parts = self._parts, []
        self.rect(0.5, 0.5, self.width - 1, self.height - 1, "card", radius=8, edge="edge")
        self._parts += drawn

    def svg(self, *, inline: bool = False, fluid: bool = False) -> str:
        """Return the document; ``inline`` in a page that has a theme of its own, as a notebook's.

        ``fluid`` has no width of its own: a program that makes an ``<img>`` of it, as nbconvert
        does, would keep that width in a page that is narrower.

        An image that stands alone knows only the reader's preference.
        """
        size = f'width="{number(self.width)}" height="{number(self.height)}"'
        most = "100%"
        if fluid:
            size, most = 'width="100%"', f"{number(self.width)}px"
        box = f'viewBox="0 0 {number(self.width)} {number(self.height)}"'
        within = f"{_DARK_THEME} " if inline else ""
        dark = "".join(
            f"{within}.as-{kind}-{color}{{{kind}:{COLORS[color][1]}}}"
            for kind, color in sorted(self._used)
            if COLORS[color][0] != COLORS[color][1]
        )
        rules = dark if inline else f"@media (prefers-color-scheme: dark){{{dark}}}"
        style = f"<style>{rules}</style>"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} role="img" '
            f'aria-label="{clean(self.label)}" font-family="{FONT}" '
            f'style="max-width:{most};height:auto">{style}{"".join(self._parts)}</svg>'
        )
