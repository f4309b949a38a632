"""An SVG document as PNG, with its text: on a machine without fonts, too, or with a warning."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from .._extras import install_command

_LETTER = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20">'
    '<text x="2" y="15" font-size="14" font-family="sans-serif">A</text></svg>'
)
_BLANK = _LETTER.replace(">A<", "><")


def png(svg: str) -> bytes:
    """Draw an SVG document at twice its size.

    Raises
    ------
    ImportError
        No package is installed that draws SVG.
    """
    draw = _drawer()
    fonts: dict[str, Any] = {}
    # A drawer leaves out text for which it has no font, and says nothing.
    if draw(_LETTER) == draw(_BLANK):
        fonts = _font_of_matplotlib()
        if not fonts or draw(_LETTER, **fonts) == draw(_BLANK):
            warnings.warn(
                "The image has no text: there is no font on this machine. Install one (such as "
                "the system's package fonts-dejavu-core, or matplotlib, which brings one), or "
                "save as .svg or .html, which are drawn where they are read.",
                stacklevel=4,
            )
            fonts = {}
    return draw(svg, **fonts)


def _drawer() -> Callable[..., bytes]:
    for name in ("resvg_py", "cairosvg"):
        try:
            library = import_module(name)
        except ImportError:
            continue
        if name == "resvg_py":
            return lambda svg, **fonts: bytes(library.svg_to_bytes(svg_string=svg, zoom=2, **fonts))
        return lambda svg, **_: bytes(library.svg2png(bytestring=svg.encode(), scale=2))
    raise ImportError(
        "a PNG needs a package that draws SVG, resvg-py or cairosvg, and none is installed: "
        f"{install_command('trace')}, or save as .svg or .html"
    )


def _font_of_matplotlib() -> dict[str, Any]:
    """What has resvg take the font that matplotlib brings; empty where there is none."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return {}
    folder = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    files = [str(folder / name) for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")]
    family = "DejaVu Sans"
    return {"font_files": files, "font_family": family, "sans_serif_family": family}
