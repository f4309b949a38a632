"""What a docstring says of a function and its parameters.

Griffe reads Google, NumPy and reST (Sphinx) docstrings. It is the parser of the OpenAI Agents SDK,
so that a tool's descriptions are the same in both; it takes about 80 ms to import, and is imported
when the first docstring of more than one line is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, get_args

from ..exceptions import check_choice

DocstringStyle = Literal["google", "numpy", "sphinx"]

# What tells the styles apart, one pattern for each kind of section; on a tie the first style wins,
# without any match it is Google.
_MARKS: dict[DocstringStyle, tuple[str, ...]] = {
    "sphinx": (r"^:param\s", r"^:type\s", r"^:return:", r"^:rtype:"),
    "numpy": tuple(rf"^{name}\s*\n\s*-{{3,}}" for name in ("Parameters", "Returns", "Yields")),
    "google": (r"^(Args|Arguments):", r"^Returns:", r"^Raises:"),
}
_PARAMETERS_HEADING = re.compile(
    r"(?<=\S)[ \t]*\n(?=[ \t]*(args|arguments|parameters|params):[ \t]*\n[ \t]+\S)", re.I
)


@dataclass
class Documentation:
    """A function's docstring, taken apart.

    Attributes
    ----------
    description : str or None
        The text before the sections; None without a docstring.
    parameters : dict of str to str
        Description of each parameter, by name; ``*`` of ``*args`` is left out.
    """

    description: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)


def read_docstring(text: str | None, style: DocstringStyle | None = None) -> Documentation:
    r"""Take a docstring apart.

    The style is found out by default.

    Examples
    --------
    >>> read_docstring("Add.\n\nArgs:\n    a: The first.\n").parameters
    {'a': 'The first.'}
    """
    check_choice("docstring_style", style, (None, *get_args(DocstringStyle)))
    if not text or not text.strip():
        return Documentation()
    if "\n" not in text and not text.startswith(":"):
        return Documentation(text)
    style = style or docstring_style(text)
    if style == "google":
        # Without an empty line before it, Griffe reads a heading as text.
        text = _PARAMETERS_HEADING.sub("\n\n", text)
    from griffe import Docstring, DocstringSectionKind

    # Its warnings are about parameters without a type: the types are in the signature.
    # The leading newline: Griffe takes indentation away once more, relative to the second line.
    sections = Docstring("\n" + text, lineno=1).parse(style, warnings=False)
    description: str | None = None
    parameters: dict[str, str] = {}
    for section in sections:
        if section.kind is DocstringSectionKind.text and description is None:
            description = section.value
        elif section.kind is DocstringSectionKind.parameters:
            parameters.update({p.name.lstrip("*"): p.description for p in section.value})
    return Documentation(description, parameters)


def docstring_style(text: str) -> DocstringStyle:
    """The style of a docstring: the one with most of its marks."""
    scores = {
        style: sum(bool(re.search(mark, text, re.M)) for mark in marks)
        for style, marks in _MARKS.items()
    }
    best = max(scores, key=lambda style: scores[style])
    return best if scores[best] else "google"
