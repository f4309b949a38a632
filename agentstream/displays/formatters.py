"""Objects that can be displayed: by IPython's formatters, or by ``_repr_png_`` and the like.

Only what stands still is taken: an image, SVG, HTML without its scripts, Markdown, LaTeX.
"""

from __future__ import annotations

import base64
import re
import sys
from typing import Any, Final

from .content import Block, Content
from .images import EncodedImage, image_within

__all__ = ["bundle_of", "content_of_bundle", "general_content", "has_formatter"]

_METHODS: Final = {
    "image/png": "_repr_png_",
    "image/jpeg": "_repr_jpeg_",
    "image/svg+xml": "_repr_svg_",
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "text/latex": "_repr_latex_",
}
"""What is taken, the best first."""

_IMAGES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
_LONGEST: Final = 2_000_000
_NO_TEXT: Final = re.compile(r"<[\w.]+(?: object)?(?: at 0x[0-9a-f]+)?>\Z")


def running_shell() -> Any:
    """IPython's shell; None in a script, which does not load IPython to find that out."""
    ipython: Any = sys.modules.get("IPython.core.getipython")
    return None if ipython is None else ipython.get_ipython()


def _formatters() -> dict[str, Any]:
    """IPython's formatters; none where no shell runs."""
    formatter = getattr(running_shell(), "display_formatter", None)
    return dict(formatter.formatters) if formatter is not None else {}


def has_formatter(value: Any) -> bool:
    """Whether there is a still form of `value` beside its text."""
    kind = type(value)
    if isinstance(value, type) or kind.__module__ == "builtins":
        return False
    if any(callable(getattr(kind, name, None)) for name in _METHODS.values()):
        return True
    formatters = _formatters()
    if any(_is_registered(formatters.get(mime), kind) for mime in _METHODS):
        return True
    if not callable(getattr(kind, "_repr_mimebundle_", None)):
        return False
    bundle = bundle_of(value)
    return any(mime in bundle for mime in (*_METHODS, *_IMAGES))


def _is_registered(formatter: Any, kind: type) -> bool:
    try:
        return formatter is not None and formatter.lookup_by_type(kind) is not None
    except KeyError:
        return False


def bundle_of(value: Any) -> dict[str, Any]:
    """The still forms of `value` by their MIME types, and its text; what fails is left out."""
    forms: dict[str, Any] = {}
    kind = type(value)
    whole = getattr(kind, "_repr_mimebundle_", None)
    if callable(whole):
        try:
            bundle = whole(value)
        except Exception:  # noqa: BLE001 - then its other forms are asked for
            bundle = None
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if isinstance(data, dict):
            forms.update((mime, form) for mime, form in data.items() if form is not None)
    formatters = _formatters()
    for mime, name in _METHODS.items():
        if mime in forms:
            continue
        form = _form(value, formatters.get(mime), getattr(kind, name, None))
        if form is not None:
            forms[mime] = form
    return forms


def _form(value: Any, formatter: Any, method: Any) -> Any:
    try:
        if _is_registered(formatter, type(value)):
            form = formatter.lookup_by_type(type(value))(value)
        else:
            form = method(value) if callable(method) else None
    except Exception:  # noqa: BLE001 - of an object of the author's, which may have other forms
        return None
    return form[0] if isinstance(form, tuple) else form  # with metadata


def general_content(value: Any, budget: int) -> Content:
    """What an object says of itself: its text alone where its other forms cannot be made."""
    bundle = bundle_of(value)
    try:
        text = str(value)
    except Exception as error:  # its other forms may be whole
        if not bundle:
            raise ValueError("none of its forms could be made") from error
        text = f"{type(value).__name__}: its text cannot be made ({type(error).__name__}: {error})"
    return content_of_bundle(bundle, type(value).__name__, text, budget)


def content_of_bundle(bundle: dict[str, Any], name: str, text: str, budget: int) -> Content:
    """What a MIME bundle shows, the best of it that stands still.

    `text` stands in where the bundle has none that says more.
    """
    if _NO_TEXT.match(text):
        text = _plain_text(bundle, text)
    text = text if len(text) <= budget else text[: budget - 1] + "…"
    for mime in (*_IMAGES, *_METHODS):
        form = bundle.get(mime)
        if form is None:
            continue
        if mime in _IMAGES:
            image = _image(form)
            if image is not None:
                description = f"{name}, {image.measure} pixels" if image.measure else name
                block: Block = {"type": "image", "url": image.url, "text": description}
                return Content(description, text, image, [block])
        elif isinstance(form, (str, list)):
            source = "".join(form) if isinstance(form, list) else form
            return Content(name, text, None, [_block(mime, source, name)])
    return Content(name, text, None, [{"type": "text", "text": text}])


def _plain_text(bundle: dict[str, Any], text: str) -> str:
    """The words of an object whose own text is none: ``<IPython.core.display.HTML object>``."""
    for mime in ("text/markdown", "text/plain", "text/latex", "text/html"):
        form = bundle.get(mime)
        if isinstance(form, str) and not _NO_TEXT.match(form):
            return form
    return text


def _image(form: Any) -> EncodedImage | None:
    if isinstance(form, str):
        try:
            form = base64.b64decode(form)
        except ValueError:
            return None
    return image_within(bytes(form)) if isinstance(form, (bytes, bytearray)) else None


def _block(mime: str, source: str, name: str) -> Block:
    if len(source) > _LONGEST:
        note = f"{name}: {len(source):,} characters, too many to be shown"
        return {"type": "text", "text": note}
    if mime == "image/svg+xml":
        return {"type": "svg", "svg": source, "text": name}
    if mime == "text/html":
        return {"type": "html", "html": source, "text": name}
    return {"type": "markdown", "text": source}
