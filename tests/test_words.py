"""Names and docstrings are in the field's terms.

A reader who knows the OpenAI API, Jupyter and asyncio should not have to learn a second vocabulary.
The words below were ours alone, or name a value by what was done to it; each stands beside the term
to use. The terms that are ours on purpose are in the glossary of CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "agentstream"

TERMS = {
    "anew": "from_start, again",
    "asked": "request, question, input",
    "bell": "signal",
    "board": "virtual DOM",
    "cast": "registry",
    "dressed": "attributes_changed",
    "elsewhere": "name the other place",
    "fate": "final_status",
    "found": "match, result, or what the value is",
    "given": "argument, value, or what the value is",
    "harmless": "sanitised, escaped",
    "hear": "on_message",
    "heard": "responded, recovered",
    "homes": "lazy_imports",
    "joiner": "coalescer",
    "keeper": "guard",
    "ledger": "sequence",
    "likeness": "thumbnail, similarity",
    "news": "events, changes",
    "obey": "handle",
    "picture": "image, snapshot",
    "pictures": "images",
    "press": "on_click",
    "ring": "set",
    "rounds": "scheduler",
    "said": "text, message",
    "scene": "renderer",
    "shown": "displayed, visible, or what the value is",
    "spoken": "message",
    "stint": "interval",
    "stints": "intervals",
    "tape": "recording file",
    "tell": "notify, emit, send",
    "tells": "notifies, is_...",
    "ticket": "context, permit",
    "told": "sent, emitted, or what the value is",
    "unprinted": "secret",
    "words": "text",
}
"""Parts of identifiers that are not used, and what is."""

ALLOWED = {
    "ToolNotFoundBehavior": "the SDK's name",
    "cast": "a vote is cast",
    "not_found": "as in HTTP",
    "tool_not_found": "as in the SDK's option",
    "tool_not_found_behavior": "the SDK's name",
    "_PLAIN_WORDS": "a pattern of words",
    "_WORDS": "a pattern of words",
}
"""Identifiers that have such a part, each with the reason."""

PHRASES = {
    r"\banew\b": "again",
    r"\bfate\b": "status",
    r"\bledger\b": "sequence",
    r"\blikeness\b": "thumbnail, similarity",
    r"\bmodel is told\b": "the model gets",
    r"\bpictures?\b": "image, snapshot",
    r"\bstints?\b": "interval",
    r"\bthe board\b": "the virtual DOM",
    r"\bunprinted\b": "secret",
}
"""What docstrings do not say, and what they say."""

QUOTED = {
    r"`[^`]*`": "code",
    r'\{"picture": .*': "a key of recordings, which saved files have",
    r"\| a picture, or its thumbnail.*": "the same",
}
"""What of a docstring is not prose, and why."""


def parts(name: str) -> set[str]:
    """The words that an identifier is made of."""
    return {part.lower() for part in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def identifiers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The names of functions, classes, parameters, attributes, variables, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


def foreign_names(source: str, module: str = "module") -> Iterator[str]:
    """The names in a module, and its own, that are not in the field's terms."""
    for line, name in [(1, module), *identifiers(ast.parse(source))]:
        for part in sorted(parts(name) & TERMS.keys() - {*ALLOWED}):
            if name not in ALLOWED:
                yield f"{line}: {name!r}: not {part!r}, but {TERMS[part]}"


def foreign_phrases(source: str) -> Iterator[str]:
    """The phrases in a module's docstrings that are not in the field's terms."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        prose = ast.get_docstring(node) or ""
        for quoted in QUOTED:
            prose = re.sub(quoted, "", prose)
        for phrase, term in PHRASES.items():
            for match in re.finditer(phrase, " ".join(prose.split()), re.IGNORECASE):
                yield f"{getattr(node, 'name', 'module')}: not {match.group()!r}, but {term}"


def modules() -> list[Path]:
    """The modules of the package."""
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.slow
def test_names_are_in_the_fields_terms() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{each}"
        for path in modules()
        for each in foreign_names(path.read_text("utf-8"), path.stem)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_docstrings_are_in_the_fields_terms() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}: {each}"
        for path in modules()
        for each in foreign_phrases(path.read_text("utf-8"))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_each_exception_is_needed() -> None:
    names = {
        name
        for path in modules()
        for _, name in [(1, path.stem), *identifiers(ast.parse(path.read_text("utf-8")))]
    }
    assert set(ALLOWED) <= names


@pytest.mark.parametrize(
    "planted",
    [
        "def told(items): ...",
        "class StillPicture: ...",
        "def send(self, *, wasTold=True): ...",
        "self._heard = 1",
        "found = [1]",
        "for shown, other in pairs: ...",
        "def act(said): ...",
        "with open(path) as tape: ...",
    ],
)
def test_a_planted_name_is_seen(planted: str) -> None:
    assert list(foreign_names(planted))
    assert not list(foreign_names("matches = [one.text for one in items]"))


def test_a_planted_module_and_a_planted_docstring_are_seen() -> None:
    assert list(foreign_names("", "pictures"))
    assert list(foreign_phrases('def draw():\n    """What the model\n    is told."""'))
    assert not list(foreign_phrases('def draw():\n    """What `the model is told`."""'))


def test_the_glossary_has_what_the_package_has() -> None:
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text("utf-8")
    rows = re.findall(
        r"^\| \*\*(.+?)\*\* \| .+ \| (.+) \|$", text.partition("## Glossary")[2], re.M
    )
    assert len(rows) >= 20
    for term, where in rows:
        for path in re.findall(r"`(agentstream/[\w/]+(?:\.py)?/?)`", where):
            assert (PACKAGE.parent / path).exists(), f"{term}: {path}"
