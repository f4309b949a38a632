"""Figures of matplotlib, plotly and altair, and images of Pillow: an image, and words for it.

matplotlib and Pillow always draw. plotly needs kaleido with a browser, altair vl-convert; where
they are missing, a table of what is plotted stands for the image.
"""

from __future__ import annotations

import importlib.util
import io
import json
import sys
import threading
from collections.abc import Iterator
from typing import Any, Final

from .content import Block, Content, library_of
from .images import LONGEST_SIDE, MOST_BYTES, EncodedImage, encoded, image_within

__all__ = ["altair_content", "close_figure", "figure_of", "matplotlib_content", "pillow_content"]

_LONGEST_TITLE: Final = 200
_MOST_TRACES: Final = 20
_SPEC_CHARACTERS: Final = 2_000

# matplotlib is not thread-safe, and tools run in threads: one figure is drawn at a time.
_drawing: Final = threading.Lock()


def content_with_image(
    name: str,
    description: list[str],
    image: EncodedImage | None,
    instead: list[Block],
    why: str = "",
) -> Content:
    """The content of a figure: its image if it could be drawn, else what stands for it."""
    if image is None:
        text = ". ".join([name, *description, f"It could not be drawn{why}"])
        return Content(name, text, None, [{"type": "text", "text": text}, *instead])
    measure = f", {image.measure} pixels" if image.measure else ""
    text = ". ".join([f"{name}{measure}", *description])
    block = {"type": "image", "url": image.url, "text": f"{name}{measure}"}
    return Content(f"{name}{measure}", text, image, [block])


# -- matplotlib --


def figure_of(value: Any) -> Any:
    """The matplotlib figure that `value` is or belongs to: axes, an array of axes, seaborn's grids.

    None where it is none.
    """
    if (
        library_of(value) == "numpy"
        and getattr(getattr(value, "dtype", None), "kind", "") == "O"
        and value.size
    ):
        value = value.flat[0]
    for _ in range(5):  # a figure within a figure
        if hasattr(value, "savefig") and library_of(value) == "matplotlib":
            return value
        inner = getattr(value, "figure", None)
        if inner is None or inner is value:
            return None
        value = inner
    return None


def matplotlib_content(value: Any, budget: int) -> Content:
    """A figure as PNG within the budget of pixels and bytes; its titles and labels in words."""
    figure = figure_of(value)
    image, why = None, ""
    try:
        with _drawing:
            image = _drawn(figure)
    except Exception as error:  # noqa: BLE001 - whatever the author's artists and labels raise
        why = f": {type(error).__name__}: {error}"
    description = list(_axes_text(figure))
    return content_with_image("Figure", _within(description, budget), image, [], why)


def _drawn(figure: Any) -> EncodedImage | None:
    dots = float(figure.dpi)
    longest = max(float(length) for length in figure.get_size_inches()) * dots
    dots *= min(1.0, LONGEST_SIDE / longest)
    for how in ({"bbox_inches": "tight"}, {}):
        for _ in range(4):
            buffer = io.BytesIO()
            try:
                figure.savefig(buffer, format="png", dpi=dots, **how)
            except ValueError:
                if not how:
                    raise
                break  # Tight around something far away: larger than any image.
            image = image_within(buffer.getvalue())
            drawn = image.size if image is not None else None
            if drawn is not None and buffer.tell() <= MOST_BYTES and max(drawn) <= LONGEST_SIDE:
                return image
            dots /= 2
    return None


def _axes_text(figure: Any) -> Iterator[str]:
    try:
        title = figure.get_suptitle() if hasattr(figure, "get_suptitle") else ""
        if title:
            yield f"Title: {title[:_LONGEST_TITLE]}"
        axes = list(figure.axes)
        if not axes:
            yield "It has no axes"
        for one in axes[:_MOST_TRACES]:
            parts = [("title", one.get_title()), ("x", one.get_xlabel()), ("y", one.get_ylabel())]
            named = [f"{name} {text[:_LONGEST_TITLE]!r}" for name, text in parts if text]
            labels = [text for text in one.get_legend_handles_labels()[1] if text]
            named += [f"series {', '.join(labels[:_MOST_TRACES])[:_LONGEST_TITLE]}"] * bool(labels)
            counts = [("line", one.lines), ("image", one.images), ("patch", one.patches)]
            counts += [("collection", one.collections)]
            drawn = [_counted(len(number), what) for what, number in counts if number]
            yield "Axes: " + ", ".join([*named, *drawn]) if named or drawn else "Empty axes"
    except Exception as error:  # noqa: BLE001 - axes may be of a class of the author's
        yield f"Its axes cannot be described ({type(error).__name__})"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 'es' if what == 'patch' else 's'}"


def close_figure(value: Any) -> None:
    """Take a figure off pyplot's list, so that no notebook shows it once more below the cell.

    One with a window stays open: the script that opened it may want to show it.
    """
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    figure = None if pyplot is None else figure_of(value)
    manager = getattr(getattr(figure, "canvas", None), "manager", None)
    if manager is None or hasattr(manager, "window") or "Mac" in type(manager).__name__:
        return
    with _drawing:
        pyplot.close(figure)


# -- Pillow --


def pillow_content(image: Any, budget: int) -> Content:
    """An image, made smaller if it is large."""
    width, height = image.size
    name = f"Image ({image.mode})"
    description = []
    encoded_image = encoded(image)
    if encoded_image is not None and encoded_image.size != (width, height):
        description = [f"Made smaller, from {width} \N{MULTIPLICATION SIGN} {height}"]
    return content_with_image(name, description, encoded_image, [])


# -- plotly --


def plotly_content(figure: Any, budget: int) -> Content:
    """A figure as PNG where kaleido is there and finds its browser; its traces in words."""
    image, why = None, ": plotly draws a still picture with kaleido, which is not installed"
    if importlib.util.find_spec("kaleido") is not None:
        try:
            image = image_within(figure.to_image(format="png"))
        except Exception as error:  # noqa: BLE001 - without a browser, kaleido raises various errors
            why = f": {type(error).__name__}: {str(error)[:300]}"
    rows = [_trace_row(trace) for trace in list(figure.data)[:_MOST_TRACES]]
    title = _title(getattr(figure.layout, "title", None))
    axes = [_title(getattr(getattr(figure.layout, f"{x}axis", None), "title", None)) for x in "xy"]
    description = [f"Title: {title}"] if title else []
    description += [f"{name} axis: {text}" for name, text in zip("xy", axes, strict=True) if text]
    description += [
        f"{kind} {name!r}: {points} points, x {x}, y {y}" for name, kind, points, x, y in rows
    ] or ["No data"]
    columns = ["trace", "type", "points", "x", "y"]
    table: Block = {
        "type": "table",
        "columns": columns,
        "rows": rows,
        "rows_in_all": len(figure.data),
        "columns_in_all": len(columns),
    }
    name = "Plotly figure"
    return content_with_image(
        name, _within(description, budget), image, [table] if rows else [], why
    )


def _title(title: Any) -> str:
    return str(getattr(title, "text", None) or "")[:_LONGEST_TITLE]


def _trace_row(trace: Any) -> list[Any]:
    x, y = getattr(trace, "x", None), getattr(trace, "y", None)
    points = next((len(one) for one in (y, x) if one is not None), 0)
    name = str(getattr(trace, "name", None) or "")[:_LONGEST_TITLE]
    return [name, str(trace.type), points, _range(x), _range(y)]


def _range(values: Any) -> str:
    """From where to where: for numbers and dates by size, for others the first and the last."""
    if values is None or not len(values):
        return "none"
    try:
        low, high = min(values), max(values)
    except (TypeError, ValueError):
        low, high = values[0], values[-1]
    ends = [f"{end:.6g}" if isinstance(end, float) else str(end)[:40] for end in (low, high)]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


# -- altair --


def altair_content(chart: Any, budget: int) -> Content:
    """A chart as PNG where vl-convert is there; its specification, without the data, in words."""
    image, why = None, ": altair draws a still picture with vl-convert-python"
    buffer = io.BytesIO()
    try:
        chart.save(buffer, format="png")
        image = image_within(buffer.getvalue())
    except Exception as error:  # noqa: BLE001 - without vl-convert ImportError or ValueError
        why += f" ({type(error).__name__})"
    description = []
    try:
        whole = chart.to_dict()
        dropped = ("$schema", "config", "data", "datasets")
        spec = {key: value for key, value in whole.items() if key not in dropped}
        description = [json.dumps(spec, ensure_ascii=False, default=str)[:_SPEC_CHARACTERS]]
    except Exception as error:  # noqa: BLE001 - a chart that is not valid raises in many ways
        why = f": {type(error).__name__}: {str(error)[:300]}"
    return content_with_image("Altair chart", _within(description, budget), image, [], why)


def _within(lines: list[str], budget: int) -> list[str]:
    """Sentences as far as the budget goes."""
    kept: list[str] = []
    for sentence in lines:
        budget -= len(sentence) + 2
        if budget < 0:
            break
        kept.append(sentence)
    return kept
