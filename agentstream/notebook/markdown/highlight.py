"""Code as HTML: pygments' classes, no colours.

Colours are left to the page's stylesheet, so that they follow its light or dark theme. A saved
notebook keeps the class names under ``.highlight``, which nbconvert's own stylesheet colours;
GitHub strips classes and inline styles alike, and shows plain code.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import groupby

from pygments.lexer import Lexer
from pygments.lexers import find_lexer_class, get_all_lexers
from pygments.token import STANDARD_TYPES, _TokenType

from .sanitise import escape, sanitise

__all__ = ["code_block", "render_code"]

# Most of pygments' lexers are quadratic on some input: measured with pygments 2.21, 10,000 empty
# lines take the C lexer 4 s, "x " 5,000 times the Java lexer 4 s. These stayed linear in all that
# was tried, and get longer code.
_LINEAR = frozenset(
    "bash javascript js json php py pycon python python3 r ruby sh shell sql toml ts"
    " typescript".split()
)
_LONGEST_LINEAR = 50_000
_LONGEST_OTHER = 6_000
_PATHOLOGICAL = re.compile(r"[^\n]{1000}|(?:[ \t]*\n){50}")
_LANGUAGE = re.compile(r"[A-Za-z0-9_+#./-]{1,32}")


def code_block(code: str, language: str = "") -> str:
    r"""Show code, highlighted where the language is known.

    `language` is its name or alias as pygments knows it; an unknown one means plain text.
    """
    return sanitise(render_code(code, language))


def render_code(code: str, language: str) -> str:
    """Write the ``<pre>`` of a code block, to be sanitised with what surrounds it."""
    name = match.group() if (match := _LANGUAGE.match(language)) else ""
    attribute = f' data-language="{escape(name)}"' if name else ""
    return f'<pre class="highlight"><code{attribute}>{_highlighted(code, name)}</code></pre>\n'


def _highlighted(code: str, language: str) -> str:
    name = language.lower()
    longest = _LONGEST_LINEAR if name in _LINEAR else _LONGEST_OTHER
    lexer = (
        _lexer(name) if name and len(code) <= longest and not _PATHOLOGICAL.search(code) else None
    )
    if lexer is None:
        return escape(code)
    runs = groupby(lexer.get_tokens(code), key=lambda token: _css_class(token[0]))
    pieces = ((css, escape("".join(text for _, text in run))) for css, run in runs)
    return "".join(f'<span class="{css}">{text}</span>' if css else text for css, text in pieces)


# Names, operators, punctuation and white space have the colour of plain code: no element for each,
# which would be two thirds of a block's elements and half of its bytes.
_INK = frozenset({"", "n", "nn", "nx", "o", "p", "w"})


def _css_class(kind: _TokenType) -> str:
    while (
        css := STANDARD_TYPES.get(kind)
    ) is None:  # a lexer's own subtype: its nearest known parent
        kind = kind.parent
    return "" if css in _INK else css


def is_language(name: str) -> bool:
    """Whether a fence's word is a language that pygments knows by that name."""
    return name.lower() in _aliases()


@lru_cache(maxsize=64)
def _lexer(name: str) -> Lexer | None:
    known = _aliases().get(name)
    return find_lexer_class(known)(ensurenl=False, stripnl=False) if known else None


@lru_cache(maxsize=1)
def _aliases() -> dict[str, str]:
    """The names of pygments' own lexers, by their aliases.

    Not `get_lexer_by_name`: it looks for a name it does not know among the plugins of all installed
    packages, a quarter of a second, and a language that is still being written ("pyth") is unknown.
    """
    known = {"ipython": "Python", "ipython3": "Python"}
    for name, aliases, *_ in get_all_lexers(plugins=False):
        for alias in aliases:
            known.setdefault(alias.lower(), name)
    return known
