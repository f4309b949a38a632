"""Text that may be shown: without what a terminal, a browser or a drawing program would obey.

Everything a model, a tool or a server says is hostile. An escape sequence in it renames the window
of a terminal, moves its cursor or writes to the clipboard (OSC 52); a bidirectional override makes
text read as another one (CVE-2021-42574, "Trojan Source"); half a surrogate pair is no text to a
file. Each way out asks one of three functions here::

    page, table, saved text          clean_text
    terminal, SVG, repr              printable; printable_line where it must stay one line
    writing to a terminal            write_text, which is `printable` for the terminal's encoding
"""

from __future__ import annotations

import re
import sys
from typing import Final, TextIO

__all__ = ["clean_text", "printable", "printable_line", "write_text"]

# C0 and C1 controls but tab, LF, CR; bidirectional embeddings, overrides and isolates; surrogates;
# noncharacters of the BMP. No more than XML allows.
_UNFIT: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_SURROGATE_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_NEW_LINES: Final = re.compile("\r\n?|[\n\t\u2028\u2029]")


def clean_text(text: str) -> str:
    r"""Replace what nobody should be shown by U+FFFD; join split surrogate pairs.

    The marks of right-to-left prose (U+200E, U+200F, U+061C) pass, since each acts on its own place
    only.
    """
    if _UNFIT.search(text) is None:
        return text
    text = _SURROGATE_PAIR.sub(_join_pair, text)
    return _UNFIT.sub("\ufffd", text)


def _join_pair(match: re.Match[str]) -> str:
    pair = match.group()
    return chr(0x10000 + ((ord(pair[0]) - 0xD800) << 10) + (ord(pair[1]) - 0xDC00))


def printable(text: str) -> str:
    r"""Text for a terminal: as `clean_text`, and no carriage return writes over the line.

    Examples
    --------
    >>> printable("\x1b]0;title\x07safe\r\n")
    '\ufffd]0;title\ufffdsafe\n'
    """
    text = clean_text(text)
    return text.replace("\r", "") if "\r" in text else text


def printable_line(text: str) -> str:
    r"""Text for a terminal that stays one line, such as a name."""
    return printable(_NEW_LINES.sub(" ", text))


def write_text(text: str, out: TextIO | None = None, *, style: str = "") -> None:
    r"""Write text to a terminal or a file, whatever is in it.

    Characters that the encoding of `out`, or of standard output, lacks become ``?``. `style` is a
    control sequence of our own, which is ended behind the text.
    """
    out = out or sys.stdout
    text = f"{style}{printable(text)}\033[0m" if style else printable(text)
    try:
        out.write(text)
    except UnicodeEncodeError:
        encoding = getattr(out, "encoding", None) or "ascii"
        out.write(text.encode(encoding, "replace").decode(encoding))
