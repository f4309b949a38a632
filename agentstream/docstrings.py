"""What a docstring says of a function and its parameters.

Griffe reads Google, NumPy and reST (Sphinx) docstrings. It is the parser of the OpenAI Agents SDK,
so that a tool's descriptions are the same in both; it takes about 80 ms to import, and is imported
when the first docstring of more than one line is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

DocstringStyle = Literal["google", "numpy", "sphinx"]

# What tells the styles apart; on a tie the first one wins, without any match it is Google.
_MARKS: dict[DocstringStyle, re.Pattern[str]] = {
    "sphinx": re.compile(r"^:(param|type|return|rtype)\b", re.M),
    "numpy": re.compile(r"^(Parameters|Returns|Yields)\s*\n\s*-{3,}", re.M),
    "google": re.compile(r"^(Args|Arguments|Returns|Raises):", re.M),
}
_GOOGLE_SECTION = re.compile(r"^(Args|Arguments|Parameters|Params|Returns|Raises):\s*$")


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

    Parameters
    ----------
    text : str or None
        The docstring, as `inspect.getdoc` gives it.
    style : {"google", "numpy", "sphinx"}, optional
        Its style; found out by default.

    Examples
    --------
    >>> read_docstring("Add.\n\nArgs:\n    a: The first.\n").parameters
    {'a': 'The first.'}
    """
    if not text or not text.strip():
        return Documentation()
    if "\n" not in text and not text.startswith(":"):
        return Documentation(text)
    style = style or docstring_style(text)
    if style == "google":
        text = _separate_sections(text)
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
    scores: dict[DocstringStyle, int] = {
        style: len({m.group(1) for m in mark.finditer(text)}) for style, mark in _MARKS.items()
    }
    best = max(scores, key=lambda style: scores[style])
    return best if scores[best] else "google"


def _separate_sections(text: str) -> str:
    """Put an empty line before each Google section: Griffe reads it as text without one."""
    lines: list[str] = []
    for line in text.split("\n"):
        if lines and lines[-1].strip() and _GOOGLE_SECTION.match(line):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)
