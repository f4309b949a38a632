"""The only two ways for text to reach the page: `escape` for plain text, `sanitise` for HTML.

Everything a model, a tool or a server says is hostile. ``escape`` makes it text; ``sanitise`` lets
through what is on the allow-list below and nothing else::

    element      text-level and block elements of prose, tables, details/summary, and MathML's
    attribute    href title open start align colspan rowspan dir, some classes, MathML's
    link         http, https, mailto only; opens a new tab with rel="noopener noreferrer nofollow"
    never        script, style (element or attribute), id, name, forms, images, media, frames, SVG,
                 comments; `sanitise_table` lets through the colours of cells

A request can therefore leave the page only by a click on a link. `image` and `link` build the two
elements that carry an address, for the view's own use; both validate, and neither raises on
hostile input.

Control characters, lone surrogates and bidirectional overrides (CVE-2021-42574, "Trojan Source")
become U+FFFD in every path: visible, and harmless. The marks of right-to-left prose (U+200E,
U+200F, U+061C) pass, since each acts on its own place only.
"""

from __future__ import annotations

import base64
import binascii
import html as _stdlib_html
import ipaddress
import re
import socket
import unicodedata
from collections.abc import Callable
from urllib.parse import urlsplit

import nh3

from ..._utils.printable import clean_text
from .cell_colours import CELL_STYLE, with_cell_colours

__all__ = [
    "escape",
    "host_of",
    "image",
    "link",
    "one_block",
    "safe_url",
    "sanitise",
    "sanitise_table",
    "svg_image",
]

_PROSE = frozenset(
    "a abbr b bdi blockquote br caption cite code col colgroup dd del details dfn div dl dt em h1"
    " h2 h3 h4 h5 h6 hr i ins kbd li mark ol p pre q rp rt ruby s samp small span strong sub"
    " summary sup table tbody td tfoot th thead tr u ul var wbr".split()
)
# MathML Core's presentational elements, menclose, and semantics with an annotation of text; neither
# maction nor annotation-xml, which can hold foreign markup: https://www.w3.org/TR/mathml-core/
_MATHML = frozenset(
    "annotation math menclose mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot"
    " mrow ms mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover none"
    " semantics".split()
)
# What a browser would run, load or parse by other rules goes with all it contains.
_DROPPED_WITH_CONTENT = frozenset(
    "audio canvas embed frameset iframe math-annotation noembed noframes noscript object script"
    " style svg template title video xmp".split()
)

# Short lengths only: a formula should not push itself over the page around it.
_ONE_LENGTH = r"[+-]?(?:(?:\d|\d?\.\d{1,6})(?:em|ex)|(?:\d{1,2}|\d{0,2}\.\d{1,6})(?:px|pt|%)?)"
_LENGTH = re.compile(rf"{_ONE_LENGTH}\Z")
_LENGTHS = re.compile(rf"{_ONE_LENGTH}(?: {_ONE_LENGTH}){{0,63}}\Z")
_SIZE = re.compile(r"(?:\d(?:\.\d{1,6})?em|[1-3]?\d\d%)\Z")
_COLOUR = re.compile(r"(?:#[0-9a-fA-F]{3,8}|[a-zA-Z]{3,24})\Z")
_WORDS = re.compile(r"[a-z-]{1,20}(?: [a-z-]{1,20}){0,63}\Z")
_BOOLEAN = re.compile(r"(?:true|false)\Z")
_LEVEL = re.compile(r"[+-]?\d\Z")
_MATHML_ATTRIBUTES: dict[str, re.Pattern[str]] = {
    name: pattern
    for names, pattern in (
        ("accent accentunder bevelled displaystyle fence largeop movablelimits", _BOOLEAN),
        ("separator stretchy symmetric", _BOOLEAN),
        ("depth height linethickness lspace maxsize minsize rspace voffset width", _LENGTH),
        ("columnspacing rowspacing", _LENGTHS),
        ("mathbackground mathcolor", _COLOUR),
        ("columnalign columnlines display form frame mathvariant notation rowlines", _WORDS),
        ("mathsize", _SIZE),
        ("scriptlevel", _LEVEL),
    )
    for name in names.split()
}
_NUMBER = re.compile(r"\d{1,9}\Z")
_SPAN = re.compile(r"[1-9]\d?\Z")
_SIDE = re.compile(r"(?:left|right|center)\Z")
_PROSE_ATTRIBUTES: dict[str, dict[str, re.Pattern[str]]] = {
    "ol": {"start": _NUMBER},
    "details": {"open": re.compile(r"(?:open)?\Z")},
    "td": {"align": _SIDE, "colspan": _SPAN, "rowspan": _SPAN},
    "th": {"align": _SIDE, "colspan": _SPAN, "rowspan": _SPAN},
    # pygments' short names (``k``, ``nf``, ``sd``, ``vm`` ...): notebooks style them under
    # ``.highlight``. ``as-tail`` is where the live view appends text that is not rendered yet.
    "span": {"class": re.compile(r"(?:[a-z][a-z0-9]{0,2}|as-tail)\Z")},
    "blockquote": {
        "class": re.compile(r"as-callout as-callout-(?:note|tip|important|warning|caution)\Z")
    },
    "pre": {"class": re.compile(r"highlight\Z")},
    "code": {"data-language": re.compile(r"[A-Za-z0-9_+#./-]{1,32}\Z")},
}
_ANYWHERE = {"dir": re.compile(r"(?:ltr|rtl|auto)\Z")}
_URL = re.compile(
    r"(?:https?://[^\s/\\?#\"'<>][^\s\"'<>\\]*|mailto:[^\s\"'<>\\]+)\Z", re.IGNORECASE
)
_SET_ON_LINKS = {"target": "_blank", "rel": "noopener noreferrer nofollow"}


def escape(text: str) -> str:
    """Make any text safe as the content of an element or of a quoted attribute."""
    return _stdlib_html.escape(clean_text(text), quote=True)


def safe_url(url: str) -> str | None:
    r"""Return `url` if a click on it may be offered, else None.

    Only absolute ``http:``, ``https:`` and ``mailto:`` addresses may: a relative one, ``http:path``
    among them, would lead into the Jupyter server the page came from, and so would one of this
    machine or its network. One with a user's name before its host (``https://wikipedia.org@host/``)
    reads as another host.
    """
    url = url.strip()
    if not _URL.match(url) or clean_text(url) != url:
        return None
    if url[:7].lower() == "mailto:":
        return url
    host = _host(url)
    return url if host is not None and not _is_local(host) else None


def _host(url: str) -> str | None:
    """The host of an address as a browser reads it; None if none can be told for certain."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").translate(_DOTS).rstrip(".")
        parts.port  # noqa: B018 -- raises on what is no number
    except ValueError:
        return None
    return host if parts.username is None and _HOST.match(host) else None


# Letters of any script; an address of version 6 in colons.
_HOST = re.compile(r"(?:[\w.-]+|[0-9a-f:.]+)\Z", re.IGNORECASE)

# What browsers read as dots, after https://www.unicode.org/reports/tr46/
_DOTS = dict.fromkeys(map(ord, "\u3002\uff0e\uff61"), ".")
_LOCAL_NAMES = ("localhost", "local", "internal", "lan", "home.arpa", "localdomain")
_NUMBER_IN_HOST = re.compile(r"(?:0x[0-9a-f]*|\d+)\Z", re.IGNORECASE)


def _is_local(host: str) -> bool:
    """Whether a host is this machine or one of its network, in any spelling of a number."""
    host = unicodedata.normalize("NFKC", host).lower()
    if ":" not in host and _NUMBER_IN_HOST.match(host.rpartition(".")[2]):
        try:  # "127.1", "0x7f000001", "2130706433": as the C library and browsers read it
            host = socket.inet_ntoa(socket.inet_aton(host))
        except OSError:
            return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        pass
    # A name without a dot is one of the local network.
    return "." not in host or any(host == one or host.endswith(f".{one}") for one in _LOCAL_NAMES)


def host_of(url: str, longest: int = 60) -> str:
    """Return the host of an address to be shown beside it: its end is what it belongs to.

    Letters that look like Latin ones, beside Latin ones, are shown as browsers do: encoded.
    """
    host = _with_distinct_letters(_host(url) or "")
    return host if len(host) <= longest else "…" + host[1 - longest :]


def _with_distinct_letters(host: str) -> str:
    if host.isascii() or not any("a" <= char <= "z" for char in host):
        return host
    labels = [
        "xn--" + label.encode("punycode").decode("ascii")
        if any(unicodedata.name(char, "").startswith(_LOOKALIKES) for char in label)
        else label
        for label in host.split(".")
    ]
    return ".".join(labels)


_LOOKALIKES = ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "GEORGIAN", "LISU")


def _allow(tag: str, attribute: str, value: str) -> str | None:
    """Decide on one attribute: its value, or None to drop it."""
    if attribute == "href":
        return safe_url(value)
    if attribute == "title":
        return clean_text(value)
    if attribute in _SET_ON_LINKS:
        return _SET_ON_LINKS[attribute]
    if tag in _MATHML:
        pattern = _MATHML_ATTRIBUTES.get(attribute)
    else:
        pattern = _PROSE_ATTRIBUTES.get(tag, _ANYWHERE).get(attribute) or _ANYWHERE.get(attribute)
    return value if pattern is not None and pattern.match(value) else None


def _attributes() -> dict[str, set[str]]:
    allowed = {tag: set(names) for tag, names in _PROSE_ATTRIBUTES.items()}
    allowed |= {tag: set(_MATHML_ATTRIBUTES) for tag in _MATHML}
    return allowed | {"a": {"href", "title"}, "abbr": {"title"}, "*": set(_ANYWHERE)}


def _allow_colours(tag: str, attribute: str, value: str) -> str | None:
    """Decide on one attribute of a table whose cells may have colours."""
    if attribute == "style":
        return value if CELL_STYLE.fullmatch(value) else None
    return _allow(tag, attribute, value)


def _cleaner(
    attributes: dict[str, set[str]], allow: Callable[[str, str, str], str | None]
) -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(_PROSE | _MATHML),
        clean_content_tags=set(_DROPPED_WITH_CONTENT),
        attributes=attributes,
        attribute_filter=allow,
        strip_comments=True,
        link_rel=_SET_ON_LINKS["rel"],
        set_tag_attribute_values={"a": {"target": _SET_ON_LINKS["target"]}},
        url_schemes={"http", "https", "mailto"},
        url_relative="deny",
    )


def _with_style() -> dict[str, set[str]]:
    attributes = _attributes()
    return attributes | {cell: attributes.get(cell, set()) | {"style"} for cell in ("td", "th")}


_CLEANER = _cleaner(_attributes(), _allow)
_TABLE_CLEANER = _cleaner(_with_style(), _allow_colours)


def sanitise(html: str) -> str:
    """Return `html` with all taken out that is not on the allow-list of this module."""
    # Twice: an entity such as &#x202e; is a character only after the parser has seen it.
    return clean_text(_CLEANER.clean(clean_text(html)))


def sanitise_table(html: str) -> str:
    """Return `html` as `sanitise` does, but with the colours of a table's cells.

    Examples
    --------
    >>> table = '<table><tr><td id="a">1</td></tr></table>'
    >>> sanitise_table("<style>#a {background-color: gold}</style>" + table)[14:73]
    '<tr><td style="color: #000; background-color: gold;">1</td>'
    """
    return clean_text(_TABLE_CLEANER.clean(with_cell_colours(clean_text(html))))


# Blocks that begin lines of their own: not inside text that keeps its line breaks.
_LINE = re.compile(
    r"(?<=>)(?=<(?:style|div|table|tr|ul|ol|li|p|h[1-6]|blockquote|img src=.data:image/svg)\b"
    r"|<details class=.as-(?:card|items|reasoning))|(?<=</style>)(?=<)"
)
_EMPTY_LINE = re.compile(r"\n(?=[ \t]*\n)")


def one_block(html: str) -> str:
    r"""Return `html` without an empty line, which would end it as a block of HTML in Markdown.

    ``nbconvert --to markdown`` puts an output's HTML into Markdown as it is: behind an empty line,
    a ``<pre>`` of what a tool said would be read as Markdown, its images would load. Blocks stand
    on lines of their own, the style sheet as well: git shows the cards that changed.
    """
    html = _LINE.sub("\n", html.replace("\r\n", "\n").replace("\r", "\n"))
    return _EMPTY_LINE.sub("&#10;", html).strip("\n")


def link(url: str, text: str) -> str:
    """Build a link to `url` that shows `text`, or the text alone where `url` may be no target."""
    target = safe_url(url)
    if target is None:
        return escape(text)
    attributes = "".join(f' {name}="{value}"' for name, value in _SET_ON_LINKS.items())
    return f'<a href="{escape(target)}"{attributes}>{escape(text)}</a>'


# An entity that stands for ten others, nine times over, is a billion of them.
_ENTITIES = re.compile(r"<!ENTITY|<!DOCTYPE[^>]*\[", re.IGNORECASE)
_SVG = re.compile(
    r"\A\ufeff?\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*|<!DOCTYPE[^>\[]*>\s*)*<svg\b", re.DOTALL
)
_LONGEST_SVG = 1_000_000


def svg_image(svg: str, alt: str = "") -> str:
    """Build an image of an SVG drawing.

    A browser runs no script of what an ``<img>`` embeds, follows no link and loads nothing for it;
    so a drawing that holds some is shown without.

    Where it is no drawing, is too long or defines entities, an escaped note says so.

    Examples
    --------
    >>> svg_image("<p>")
    '[image not shown: it is no SVG drawing]'
    """
    svg = clean_text(svg)
    beginning = _SVG.match(svg[:10_000])
    if len(svg) > _LONGEST_SVG:
        note = f"image not shown: its SVG has {len(svg):,} characters"
    elif beginning is None:
        note = "image not shown: it is no SVG drawing"
    elif _ENTITIES.search(svg):
        note = "image not shown: its SVG defines entities"
    else:
        if "http://www.w3.org/2000/svg" not in svg[:10_000]:  # a page needs no name of the language
            at = beginning.end()
            svg = f'{svg[:at]} xmlns="http://www.w3.org/2000/svg"{svg[at:]}'
        data = base64.b64encode(svg.encode()).decode()
        return f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(alt)}">'
    return escape(f"[{alt}: {note}]" if alt else f"[{note}]")


_DATA_URI = re.compile(r"data:image/(png|jpeg|gif|webp);base64,([A-Za-z0-9+/]+={0,2})\Z")
_MAGIC = {
    "png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "jpeg": re.compile(rb"\xff\xd8\xff"),
    "gif": re.compile(rb"GIF8[79]a"),
    "webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
}


def image(data_uri: str, alt: str = "") -> str:
    """Build an image from a ``data:`` URI that a tool or the API returned.

    The URI is ``data:image/<png|jpeg|gif|webp>;base64,...``, and the bytes must begin as that
    format does; otherwise an escaped note says so. SVG is none of them: it can hold scripts and
    addresses.
    """
    match = _DATA_URI.match(data_uri)
    if match:
        kind, data = match.groups()
        try:
            head = base64.b64decode(data[:24] if len(data) > 24 else data, validate=True)
        except binascii.Error:
            head = b""
        if _MAGIC[kind].match(head):
            return f'<img src="{match.group()}" alt="{escape(alt)}">'
    note = "image not shown: it is not an embedded PNG, JPEG, GIF or WebP image"
    return escape(f"[{alt}: {note}]" if alt else f"[{note}]")
