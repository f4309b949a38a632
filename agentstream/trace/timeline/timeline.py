"""`Timeline`: what a run did with its time, as an image that shows itself anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...exceptions import UserError
from ..from_result import as_trace
from ..png import png
from .spans import Span, spans
from .svg import draw, title_of
from .svg_writer import clean
from .text import plain_timeline


class Timeline:
    """Agents as lanes, model calls and tools in them, handoffs as arrows.

    Displays as SVG where images can be shown, and as text in a terminal. Reads the run again
    whenever it is shown, so that one of a running run goes on with it.

    Parameters
    ----------
    run
        Anything `to_frame` reads: a result, a `Trace`, a recording, a result of the OpenAI Agents
        SDK.
    width
        In pixels, as `svg` and `save` have it. JupyterLab and nbconvert show the image as wide as
        the page: the smaller this is, the larger is its text there.
    title
        Instead of the run's name.

    Examples
    --------
    >>> from agentstream.trace import Trace
    >>> timeline = Timeline(Trace("nothing yet"))
    >>> timeline.svg()[:4]
    '<svg'
    """

    def __init__(self, run: Any, *, width: float = 960, title: str | None = None) -> None:
        self.trace = as_trace(run)
        self.width = max(float(width), 420.0)
        self.title = title

    @property
    def spans(self) -> list[Span]:
        """The intervals that are drawn, as in ``to_frame("spans")``."""
        return spans(self.trace)

    def svg(self) -> str:
        """Return the image as an SVG document of its own."""
        return draw(self.trace, self.width, self.title).svg()

    def save(self, path: str | Path) -> Path:
        """Write the image to ``.svg``, ``.png`` or ``.html``.

        Parameters
        ----------
        path
            Its suffix says the format. PNG needs the package `resvg-py` (or `cairosvg`), and has
            twice the size in pixels.

        Returns
        -------
        pathlib.Path
            The path written to.

        Raises
        ------
        UserError
            If the suffix is none of these.
        ImportError
            If no package is installed that can draw PNG.
        """
        return save_svg(self.svg(), path, self.title or title_of(self.trace))

    def __str__(self) -> str:
        return plain_timeline(self.trace, self.title)

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        fluid = draw(self.trace, self.width, self.title).svg(fluid=True)
        return {"image/svg+xml": fluid, "text/plain": str(self)}


def save_svg(svg: str, path: str | Path, title: str) -> Path:
    """Write an SVG document as what the suffix of ``path`` asks for."""
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix == ".svg":
        target.write_text(svg, encoding="utf-8", newline="\n")
    elif suffix == ".html":
        target.write_text(_html_page(svg, title), encoding="utf-8", newline="\n")
    elif suffix == ".png":
        target.write_bytes(png(svg))
    else:
        raise UserError(
            f"cannot save an image as {target.name!r}: end the name in .svg, .png or .html"
        )
    return target


def _html_page(svg: str, title: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" '
        f'content="light dark"><title>{clean(title)}</title></head>'
        f'<body style="margin:24px">{svg}</body></html>'
    )
