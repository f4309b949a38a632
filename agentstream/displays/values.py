"""Any value: figures, images and frames in it, alone or in lists, dicts and tuples, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from .content import Block, Content
from .figures import close_figure
from .frames import MOST_CHARACTERS
from .makers import content_of, is_displayable

__all__ = ["AsPart", "Displayed", "MixedContent", "displayed", "is_displayed"]

_DEEPEST: Final = 6
_MOST_VALUES: Final = 2_000
_MOST_FIGURES: Final = 20
"""Values of one output that are displayed; more stand in the text alone."""


AsPart: TypeAlias = Callable[[Any], tuple[dict[str, Any], Block] | None]


@dataclass
class Displayed:
    """What a value comes to.

    Attributes
    ----------
    parts : list of dict
        What the model gets: parts of the Responses API.
    blocks : list of dict
        What a card shows.
    """

    parts: list[dict[str, Any]] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)


def is_displayed(value: Any) -> bool:
    """Whether there is something in `value` that people look at.

    Examples
    --------
    >>> is_displayed({"mean": 21.4, "days": ["Mon"]})
    False
    """
    count = 0

    def search(one: Any, depth: int) -> bool:
        nonlocal count
        count += 1
        if one is None or isinstance(one, (str, int, float)) or count > _MOST_VALUES:
            return False
        if type(one) in (list, tuple, set, frozenset) or isinstance(one, (list, tuple, dict)):
            inner = one.values() if isinstance(one, dict) else one
            return depth < _DEEPEST and any(search(each, depth + 1) for each in inner)
        return is_displayable(one)

    return search(value, 0)


def displayed(
    value: Any,
    *,
    as_part: AsPart | None = None,
    budget: int = MOST_CHARACTERS,
    close: bool = True,
) -> Displayed | None:
    """What a value with figures, images or frames in it comes to; None where there are none.

    Parameters
    ----------
    value
        What a tool returned.
    as_part : callable, optional
        The part that an entry of a list is already, such as a `ToolOutputImage`, and the block that
        shows it; None for others.
    budget : int
        Characters of the text of one frame.
    close : bool
        Whether figures are closed once they are drawn.

    Notes
    -----
    It draws, which takes a while: call it where nothing waits. The entries of a list are told one
    after the other; in what is nested deeper, and in dicts, ``<1: Figure>`` stands for what is told
    and shown after it.
    """
    if not is_displayed(value):
        return None
    walk = MixedContent(as_part, budget)
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        for entry in value:
            walk.add(entry)
    else:
        walk.add(value)
    if close:
        walk.close_figures()
    return walk.result


class MixedContent:
    """Takes in entries one after the other: texts, parts, and values to look at.

    Parameters
    ----------
    as_part, budget
        As for `displayed`.

    Attributes
    ----------
    result : Displayed
        What has come of them.
    """

    def __init__(self, as_part: AsPart | None, budget: int) -> None:
        self.result = Displayed()
        self.figures: list[Any] = []
        self._as_part = as_part or (lambda _: None)
        self._budget = budget

    def add(self, entry: Any) -> None:
        """Take in an entry at the top: told by itself."""
        part = self._as_part(entry)
        if part is not None:
            self.result.parts.append(part[0])
            self.result.blocks.append(part[1])
        elif isinstance(entry, str):
            self._text(entry)
        elif not isinstance(entry, (list, tuple, dict)) and is_displayable(entry):
            self._content(self._display(entry))
        else:
            later: list[tuple[str, Content]] = []
            self._text(_as_text(self._replaced(entry, later, 0)))
            for label, content in later:
                self._content(content, label)

    def _display(self, value: Any) -> Content:
        self.figures.append(value)
        if len(self.figures) > _MOST_FIGURES:
            name = type(value).__name__
            text = f"{name}: not displayed, there are {_MOST_FIGURES} before it"
            return Content(name, text, None, [{"type": "text", "text": text}])
        return content_of(value, self._budget)

    def close_figures(self) -> None:
        """Close the figures that were drawn."""
        for one in self.figures:
            close_figure(one)
        self.figures = [None] * len(self.figures)

    def _text(self, text: str) -> None:
        self.result.parts.append({"type": "input_text", "text": text})
        self.result.blocks.append({"type": "text", "text": text})

    def _content(self, content: Content, label: str = "") -> None:
        first, *rest = content.parts
        if label:
            first = {**first, "text": f"{label}: {first['text']}"}
        self.result.parts += [first, *rest]
        self.result.blocks += content.blocks

    def _replaced(self, value: Any, later: list[tuple[str, Content]], depth: int) -> Any:
        """`value` with a name in the place of each that is displayed."""
        if depth > _DEEPEST:
            return value
        if isinstance(value, dict):
            return {key: self._replaced(one, later, depth + 1) for key, one in value.items()}
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            names = value._fields
            return {
                name: self._replaced(one, later, depth + 1)
                for name, one in zip(names, value, strict=True)
            }
        if isinstance(value, (list, tuple)):
            entries = [self._replaced(one, later, depth + 1) for one in value]
            return tuple(entries) if isinstance(value, tuple) else entries
        if value is None or isinstance(value, (str, int, float)) or not is_displayable(value):
            return value
        content = self._display(value)
        later.append((f"<{len(self.figures)}>", content))
        return _Named(f"<{len(self.figures)}: {content.name}>")


class _Named:
    """Stands for a value in the text of what holds it."""

    def __init__(self, label: str) -> None:
        self._label = label

    def __repr__(self) -> str:
        return self._label


def _as_text(value: Any) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - the repr of an object in it
        kind = "dict" if isinstance(value, Mapping) else type(value).__name__
        return f"[{kind}: its text cannot be made ({type(error).__name__}: {error})]"
