"""What a notebook says, without what differs between two runs of it: times, ids, addresses.

So that a saved notebook can be compared with a fresh run of it, and only a change of what a reader
is told counts as one.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import html
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..._utils.json import read_json
from ...exceptions import UserError

__all__ = ["differences", "normalised", "read"]

_TIMES = "#s"
_UNITS = r"(?:ns|µs|us|ms|s|sec|secs|seconds?|min|mins|minutes?|h|hours?)"

_RULES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\x1b\[[0-9;]*[A-Za-z]"), ""),
    # Only where the answer took long enough is there a rate.
    (re.compile(r'(<span class="as-sep"> · </span>)?<span class="as-rate">[^<]*</span>'), ""),
    (re.compile(r"( · )?≈? ?\d[\d,.]* tokens/s"), ""),
    (re.compile(r"<style>.*?</style>", re.DOTALL), ""),
    # Which blocks stand on lines of their own says nothing.
    (re.compile(r"(?<=>)\n+(?=<)"), ""),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?"), "#time"),
    (re.compile(r"\b\d{1,2}:\d\d(:\d\d)?(\.\d+)? (min|h)\b"), _TIMES),
    (re.compile(r"\b\d\d:\d\d:\d\d([.,]\d+)?\b"), "#time"),
    (re.compile(rf"(?<![\w.#-])\d[\d,]*(\.\d+)?(e-?\d+)? ?{_UNITS}\b"), _TIMES),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "#id"),
    (re.compile(r"\b0x[0-9a-f]{4,}\b", re.IGNORECASE), "#address"),
    (
        re.compile(
            r"\b(resp|msg|call|fc|rs|ws|fs|ci|ig|mcp|mcpl|mcpr|cm|run|conv|chatcmpl|tc|toolu|item|req"
            r"|trace|group|thread)([_-])(?=\w*\d)[A-Za-z0-9_-]{5,}"
        ),
        r"\1\2#id",
    ),
    (re.compile(r"\b[0-9a-f]{24,}\b"), "#id"),
    (re.compile(r"(127\.0\.0\.1|localhost):\d+"), r"\1:#port"),
    (re.compile(r"\b(pid|process)([ =:]+)\d+", re.IGNORECASE), r"\1\2#id"),
    (re.compile(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)"), lambda m: _embedded(m[1])),
    (re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+"), r"#\1"),
    (re.compile(r"<svg\b.*?</svg>", re.DOTALL), lambda m: _drawing(m[0])),
    (re.compile(r"<table\b.*?</table>", re.DOTALL), lambda m: _table(m[0])),
)
_BARS = re.compile(r"[█░▒▶]")
_ROW = re.compile(r"<tr\b.*?</tr>", re.DOTALL)
_CELL = re.compile(r"(<(t[hd])\b[^>]*>)(.*?)(</\2>)", re.DOTALL)
# A duration that is too short to be told is a plain 0.
_FLOAT = re.compile(r"(?<![\w.])\d+\.\d+(e-?\d+)?\b|(?<![\w.])\d+e-\d+\b|(?<=  )0(?=  |\n|$)")


def read(notebook: Any) -> dict[str, Any]:
    """A notebook as plain data.

    Raises
    ------
    UserError
        If there is no such file, or it is no notebook.
    """
    name = "This notebook" if isinstance(notebook, Mapping) else repr(os.fspath(notebook))
    try:
        if isinstance(notebook, Mapping):
            text = json.dumps(notebook)
        else:
            path = Path(os.fspath(notebook))
            if path.exists() and not (path.is_file() or path.is_dir()):
                raise OSError("it is a pipe or a device")
            text = path.read_text(encoding="utf-8")
        data = read_json(text)
    except FileNotFoundError:
        raise UserError(f"There is no notebook {name}.") from None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{name} cannot be read as a notebook: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("cells"), list):
        raise UserError(f"{name} is no notebook in the format of nbformat 4: it has no cells.")
    for number, cell in enumerate(data["cells"], 1):
        if fault := _fault_of(cell):
            raise UserError(
                f"{name} is no notebook in the format of nbformat 4: {fault} of cell {number} is "
                "not as that has it. Open it in JupyterLab and save it, or take it from where it "
                "was whole."
            )
    return data


def _fault_of(cell: Any) -> str:
    """What of a cell does not fit; empty if all does. What may be missing is filled in."""
    if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
        return "the type"
    if not _is_text(cell.setdefault("source", "")):
        return "the source"
    if not isinstance(cell.get("metadata", {}), dict):
        return "the metadata"
    outputs = cell.get("outputs", [])
    if not isinstance(outputs, list):
        return "the list of outputs"
    return next((f"output {at}" for at, one in enumerate(outputs, 1) if not _fits(one)), "")


def _fits(output: Any) -> bool:
    kind = output.get("output_type") if isinstance(output, dict) else None
    if kind == "stream":
        return isinstance(output.get("name"), str) and _is_text(output.get("text"))
    if kind == "error":
        texts = (output.get("ename"), output.get("evalue", ""))
        return all(map(_is_text, texts)) and _is_text(output.get("traceback", []))
    known = kind in ("display_data", "execute_result", "update_display_data")
    return known and isinstance(output.get("data", {}), dict)


def _is_text(value: Any) -> bool:
    """Whether a value is a text, or a list of its lines."""
    if isinstance(value, list):
        return all(isinstance(line, str) for line in value)
    return isinstance(value, str)


def normalised(notebook: Any) -> dict[str, Any]:
    """What a notebook says: its cells and outputs, without times, ids and addresses.

    Two runs of one notebook are equal in this form; a saved notebook that no longer is has drifted.
    Images count by their kind only, drawings by their words, style sheets and widgets not at all.

    Parameters
    ----------
    notebook : str or path-like or mapping
        Its file, or itself.

    Returns
    -------
    dict
        ``cells``, each with ``cell_type``, ``source`` and, of code, ``outputs``.

    Examples
    --------
    >>> output = {"output_type": "stream", "name": "stdout", "text": "done in 1.24 s"}
    >>> cell = {"cell_type": "code", "source": "work()", "outputs": [output]}
    >>> normalised({"cells": [cell]})["cells"][0]["outputs"]
    [{'output_type': 'stream', 'name': 'stdout', 'text': 'done in #s'}]
    """
    return {"cells": [_cell(cell) for cell in read(notebook)["cells"]]}


def differences(saved: Any, fresh: Any) -> list[str]:
    """How two runs of a notebook differ in what they say: one text for each cell that does."""
    before, after = normalised(saved)["cells"], normalised(fresh)["cells"]
    if len(before) != len(after):
        return [f"{len(before)} cells were saved, {len(after)} are there now"]
    result = []
    for number, (old, new) in enumerate(zip(before, after, strict=True), 1):
        if old != new:
            lines = difflib.unified_diff(
                list(_lines(old)), list(_lines(new)), "saved", "now", lineterm="", n=1
            )
            excerpt = [line if len(line) <= 200 else f"{line[:200]}…" for line in lines]
            more = [f"… {len(excerpt) - 40} more lines"] if len(excerpt) > 40 else []
            result.append("\n".join([f"cell {number}:", *excerpt[:40], *more]))
    return result


def _lines(cell: dict[str, Any]) -> Iterator[str]:
    yield from str(cell["source"]).splitlines()
    for output in cell.get("outputs", ()):
        for name, value in output.items():
            pairs = value.items() if isinstance(value, dict) else [(name, value)]
            for key, text in pairs:
                # A line of HTML is a page: a tag a line shows where it differs.
                for line in str(text).replace("><", ">\n<").splitlines():
                    yield f"{key}: {line}"


def _cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    data = {"cell_type": cell["cell_type"], "source": text_of(cell.get("source", ""))}
    if cell["cell_type"] == "code":
        data["outputs"] = list(_outputs(cell.get("outputs", ())))
    return data


def _outputs(outputs: Any) -> Iterator[dict[str, Any]]:
    stream: dict[str, Any] | None = None
    for output in outputs:
        kind = output["output_type"]
        if kind == "stream":
            # How print's text is cut into pieces is chance.
            if stream is not None and stream["name"] == output["name"]:
                stream["text"] += text_of(output["text"])
                continue
            if stream is not None:
                yield {**stream, "text": _calm(stream["text"])}
            stream = {"output_type": kind, "name": output["name"], "text": text_of(output["text"])}
            continue
        if stream is not None:
            yield {**stream, "text": _calm(stream["text"])}
            stream = None
        if kind == "error":
            trace = _calm("\n".join(output.get("traceback", ())))
            yield {"output_type": kind, "ename": output["ename"], "traceback": trace}
        elif data := _data(output.get("data", {})):
            yield {"output_type": kind, "data": data}
    if stream is not None:
        yield {**stream, "text": _calm(stream["text"])}


def _data(data: Mapping[str, Any]) -> dict[str, str]:
    data_by_type: dict[str, str] = {}
    has_table = "<table" in text_of(data.get("text/html", ""))
    for kind, value in sorted(data.items()):
        if is_silent(kind, value):
            continue
        text = text_of(value)
        if kind.startswith("image/") and kind != "image/svg+xml":
            data_by_type[kind] = "#picture"
        elif kind in ("text/plain", "text/markdown") and has_table:
            # Its columns are as wide as their widest number.
            data_by_type[kind] = re.sub(r"[ -]{2,}", "  ", _FLOAT.sub("#", _calm(text)))
        else:
            data_by_type[kind] = _calm(text)
    return data_by_type


def is_silent(kind: str, value: Any) -> bool:
    """Whether this kind of an output says nothing without its kernel: a widget, or an empty text.

    A widget's text is empty where something else tells what it shows.
    """
    return kind.endswith(("widget-view+json", "widget-state+json")) or not text_of(value).strip()


def text_of(value: Any) -> str:
    """The text of an output, which a notebook keeps whole, in lines or as data."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _calm(text: str) -> str:
    """Text without what differs between two runs."""
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    if _BARS.search(text):
        # A timeline as text: how long a bar is, and where its label fits, is time.
        text = "\n".join(_without_bars(text.split("\n")))
    return text


def _without_bars(lines: list[str]) -> Iterator[str]:
    for line in lines:
        bar = _BARS.search(line)
        if bar is not None:
            tag = line.find("</", bar.start())
            yield "#bars" + (line[tag:] if tag >= 0 else "")
        elif line.replace(_TIMES, "").strip() not in ("", "0") or not line.strip():
            yield line


def _embedded(data: str) -> str:
    try:
        return _drawing(base64.b64decode(data).decode())
    except (binascii.Error, UnicodeDecodeError):
        return "#svg"


def _drawing(svg: str) -> str:
    """A drawing by its words; where they stand, and how long a bar is, is time."""
    label = re.search(r'aria-label="([^"]*)"', svg)
    if label is not None and label[1].startswith("Timeline of"):
        return f"#svg {_calm(html.unescape(label[1]))}"
    texts = re.findall(r"<(?:text|tspan|title|desc)\b[^>]*>([^<]+)<", svg)
    return "#svg " + " | ".join(dict.fromkeys(_calm(word.strip()) for word in texts))


def _table(table: str) -> str:
    """A table without the numbers of its columns of seconds, whose names end in ``_s``."""
    rows = list(_ROW.finditer(table))
    if not rows:
        return table
    names = [_cell_text(cell[3]) for cell in _CELL.finditer(rows[0][0])]
    timed = {at for at, name in enumerate(names) if name.endswith("_s")}
    if not timed:
        return table

    def row(match: re.Match[str]) -> str:
        cells = iter(range(len(names)))

        def cell(match: re.Match[str]) -> str:
            at = next(cells, None)
            number = at in timed and match[2] == "td" and _cell_text(match[3])
            return f"{match[1]}{'#' if number else match[3]}{match[4]}"

        return _CELL.sub(cell, match[0])

    end = rows[0].end()
    return table[:end] + _ROW.sub(row, table[end:])


def _cell_text(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", markup)).strip()
