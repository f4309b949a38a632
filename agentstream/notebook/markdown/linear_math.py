"""MathML that still says the same where its tags are taken out, and where no font can stretch.

JupyterLab in a notebook that is not trusted, GitHub and mail programs take MathML's tags out of a
saved page and leave the text: one half becomes "12". So the tree gets marks that only then are
seen, as hidden annotations: "1/2", "x^2", "√(x+1)", "(a, b; c, d)". They are those of the linear
format of Unicode Technical Note 28 where that is readable.

Brackets and large operators are stretched by browsers only with a font for mathematics. So they get
a size that fits about what is within, from which such a font still stretches them.
"""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from xml.etree.ElementTree import Element

__all__ = ["linear"]

_TOKENS = frozenset("mi mn mo ms mtext mspace".split())
_ROWS = frozenset("math mrow mstyle mpadded mtd".split())
_SCRIPTS = {
    "msub": ("_",),
    "msup": ("^",),
    "msubsup": ("_", "^"),
    "munder": ("_",),
    "mover": ("^",),
    "munderover": ("_", "^"),
}
_ARGUMENTS = {tag: 1 + len(marks) for tag, marks in _SCRIPTS.items()} | {"mfrac": 2, "mroot": 2}
_ACCENTS = {"mover": "┴", "munder": "┬"}
_PRIMES = frozenset("\u2032\u2033\u2034\u2057'")
# Sums, products, integrals; and the large forms of cup, cap, or, and, plus, times, dot, square cup.
_LARGE = frozenset("∑∏∐∫∬∭∮\u22c3\u22c2\u22c1\u22c0⨁⨂⨀⨆")
_KNOWN = frozenset(
    [*_TOKENS, *_ROWS, *_ARGUMENTS, "msqrt", "menclose", "mtable", "mtr", "mphantom"]
)


def linear(root: Element) -> None:
    r"""Add to a tree of MathML what keeps its meaning without tags, and sizes.

    Raises
    ------
    ValueError
        If it holds an element of which there is no linear form.
    """
    _mend(root)
    _sizes(root, displayed=root.get("display") == "block")
    _write(root)


# -- the linear form --


def _write(element: Element) -> None:
    if element.tag not in _KNOWN:
        raise ValueError(f"no linear form of {element.tag} is known")
    for child in element:
        _write(child)
    if element.tag in _ROWS:
        _row(element)
    elif writer := _WRITERS.get(element.tag):
        writer(element)


def _mend(element: Element) -> None:
    """Put in order what the converter leaves: `(matrix)^T` has four arguments, a phantom text."""
    wanted = _ARGUMENTS.get(element.tag)
    if wanted is not None and len(element) > wanted:
        base = _element("mrow", list(element)[: 1 - wanted])
        element[:] = [base, *list(element)[1 - wanted :]]
    if wanted is not None and len(element) < wanted:
        raise ValueError(f"{element.tag} lacks an argument")
    for at, child in enumerate(element):
        if child.tag == "mphantom":
            width = min(9.0, 0.6 * len(_text(child)))
            element[at] = Element("mspace", {"width": f"{width:.1f}em"})
        else:
            _mend(child)


def _row(row: Element) -> None:
    """Part what would run together: `sin x`, `x^2 3`; a fraction beside letters is in brackets."""
    whole = list(row)
    for at, child in enumerate(whole):
        beside = (*whole[max(at - 1, 0) : at], *whole[at + 1 : at + 2])
        if child.tag == "mfrac" and any(one.tag not in ("mo", "mspace") for one in beside):
            whole[at] = _element("mrow", [_mark("("), child, _mark(")")])
    parted: list[Element] = []
    before, spaced = "", False
    last: Element | None = None
    for child in whole:
        text = _text(child)
        if text:
            if before and (spaced or (last is not None and _runs_on(last, before, child, text))):
                parted.append(_mark(" "))
                if not spaced and (_is_word(last) or _is_word(child)):
                    parted.append(Element("mspace", {"width": "0.167em"}))
            before, last, spaced = text, child, False
        elif child.tag == "mspace" and not child.get("width", "").startswith("-"):
            spaced = True
        parted.append(child)
    row[:] = parted


def _runs_on(left: Element, before: str, right: Element, after: str) -> bool:
    if not (before[-1].isalnum() and after[0].isalnum()):
        return False
    if left.tag not in _TOKENS or (before[-1].isdigit() and after[0].isdigit()):
        return True
    return _is_word(left) or _is_word(right)


def _is_word(element: Element | None) -> bool:
    """Whether it is a name of letters, as `sin`; also with an index."""
    while element is not None and len(element) and element.tag in (*_ROWS, *_SCRIPTS):
        element = element[0]
    return element is not None and element.tag in ("mi", "mo") and len(_text(element)) > 1


def _fraction(element: Element) -> None:
    thick = element.get("linethickness", "1")
    mark = "¦" if thick.startswith("0") else "/"
    element[:] = [_group(element[0]), _marked(mark, _group(element[1]))]


def _scripts(element: Element) -> None:
    base, *scripts = element
    accent = _ACCENTS.get(element.tag)
    if accent is not None and scripts[0].tag == "mo" and _core(base).tag != "mo":
        element[:] = [_element("mrow", [_group(base), _mark(accent)]), *scripts]
        return
    marked = [
        script if set(_text(script)) <= _PRIMES else _marked(mark, _group(script))
        for mark, script in zip(_SCRIPTS[element.tag], scripts, strict=True)
    ]
    element[:] = [_group(base), *marked]


def _root(element: Element) -> None:
    if element.tag == "msqrt":
        element[:] = [_mark("√"), _group(_element("mrow", list(element)))]
        _row(element[-1])
    else:
        power = [_mark("^(1/"), _group(element[1]), _mark(")")]
        element[:] = [_group(element[0]), _element("mrow", power)]


def _enclosed(element: Element) -> None:
    notation = element.get("notation", "")
    name = "cancel" if "strike" in notation else "box" if notation == "box" else "enclose"
    inside = _element("mrow", list(element))
    _row(inside)
    element[:] = [_mark(f"{name}("), inside, _mark(")")]


def _table(element: Element) -> None:
    aligned = element.get("columnspacing", "").startswith("0em")
    rows = list(element)
    for number, row in enumerate(rows, 1):
        cells = list(row)
        for at, cell in enumerate(cells, 1):
            end = "" if aligned else ", "
            if at == len(cells):
                end = "; " if number < len(rows) else ""
            if end:
                cell[:] = [_element("mrow", list(cell)), _mark(end)]


_WRITERS: dict[str, Callable[[Element], None]] = {
    "mfrac": _fraction,
    "msqrt": _root,
    "mroot": _root,
    "menclose": _enclosed,
    "mtable": _table,
    **dict.fromkeys(_SCRIPTS, _scripts),
}


def _group(element: Element) -> Element:
    """Return an argument, in brackets unless it is one thing."""
    if _is_one(element):
        return element
    return _element("mrow", [_mark("("), element, _mark(")")])


def _is_one(element: Element) -> bool:
    if len(element) == 1 and element.tag in _ROWS:
        return _is_one(element[0])
    if element.tag in _TOKENS or not len(element):
        return " " not in _text(element)
    first, last = element[0], element[-1]
    return element.tag == "mrow" and first.get("form") == "prefix" and last.get("form") == "postfix"


def _core(element: Element) -> Element:
    while len(element) == 1 and element.tag in _ROWS:
        element = element[0]
    return element


def _text(element: Element) -> str:
    return unescape("".join(element.itertext()))


def _element(tag: str, children: list[Element]) -> Element:
    made = Element(tag)
    made[:] = children
    return made


def _marked(mark: str, element: Element) -> Element:
    return _element("mrow", [_mark(mark), element])


def _mark(text: str) -> Element:
    """Return text that is seen only where the tags around it are not."""
    annotation = Element("annotation")
    annotation.text = text
    return _element("semantics", [Element("mrow"), annotation])


# -- sizes --


def _sizes(element: Element, *, displayed: bool) -> None:
    for child in element:
        _sizes(child, displayed=displayed)
    if element.tag == "mo":
        height = float(element.get("minsize", "0em").removesuffix("em"))
        if (size := round(_FENCE * height, 1)) > 1:
            within = f"{height / size:.3f}em"  # an em of its own size
            element.attrib |= {"mathsize": f"{size}em", "minsize": within, "maxsize": within}
        elif displayed and _text(element) in _LARGE:
            element.set("largeop", "false")
            element.set("mathsize", "1.5em")
    elif element.tag in _ROWS:
        _fences(element, displayed=displayed)


def _fences(row: Element, *, displayed: bool) -> None:
    """Let the brackets of a row reach over what is between them."""
    children = list(row)
    for at, child in enumerate(children):
        # The converter marks those of \left and \right, and not those of a matrix.
        for beside, form in ((at - 1, "prefix"), (at + 1, "postfix")):
            if child.tag == "mtable" and 0 <= beside < len(children):
                mark = children[beside]
                if mark.tag == "mo" and _text(mark) in _FENCES:
                    mark.attrib |= {"stretchy": "true", "fence": "true", "form": form}
    fences = [one for one in children if one.get("fence") == "true" and one.tag == "mo"]
    within = [one for one in children if one not in fences]
    if fences and within:
        size = _FENCE * max(map(_height, within)) * (1.0 if displayed else 0.7)
        for one in fences if size > 1.1 else ():
            one.set("mathsize", f"{min(9.0, size):.1f}em")


_FENCES = frozenset("( ) [ ] { } | ‖".split())
# Of the height: a font that puts brackets together of pieces begins at twice this size.
_FENCE = 0.6


def _height(element: Element) -> float:
    """About how tall an element is, in the height of a line."""
    heights = [_height(child) for child in element] or [1.0]
    if element.tag in ("mfrac", "mtable"):
        return sum(heights) * (1.2 if element.tag == "mtable" else 1.0)
    if element.tag in ("munder", "mover", "munderover"):
        return heights[0] + 0.6 * sum(heights[1:])
    if element.tag in _SCRIPTS:
        return heights[0] + 0.3 * sum(heights[1:])
    return max(heights)
