"""Rooms import only from rooms below; circles of imports stay small, as do functions and modules.

Read off the source with `ast`, so that an import inside a function counts as well, and one for
annotations only, under ``if TYPE_CHECKING:``.  ``python tests/test_layers.py`` prints a report.
"""

from __future__ import annotations

import ast
import importlib.util
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent / "agentstream"

ROOMS: tuple[tuple[str, ...], ...] = (
    (
        "_unsupported",
        "_run_starter",
        "_extras",
        "realtime",
        "sandbox",
        "voice",
        "logger",
        "tracing",
        "_utils",
    ),
    ("displays",),
    (
        "_agent_info",
        "exceptions",
        "usage",
        "tools.output",
        "tools.origin",
        "items",
        "_approvals",
        "run_context",
        "_guardrails",
    ),
    ("trace", "sessions.base"),
    ("model_settings", "tool_context"),
    ("strict_schema", "agent_output", "tools.docstrings", "tools.function_schema"),
    (
        "tools",
        "guardrails",
        "tool_guardrails",
        "handoffs",
        "prompts",
        "agent",
        "decorators",
        "extensions",
        "lifecycle",
        "stream_events",
        "mcp.server",
        "mcp.approval",
    ),
    ("models",),
    ("run_config", "run"),
    ("repl", "sessions", "mcp", "extensions.memory", "extensions.tool_output_trimmer"),
    ("notebook",),
    ("recordings",),
    ("rows", "pandas"),
    ("testing",),
    ("__init__", "__main__", "_info", "_lazy", "compat"),
)
"""Lowest first. A name is a module of the package, or a folder with all that is in it."""

STRANGERS = {("trace", "run"), ("notebook", "run")}
"""Pairs that may not meet although the order allows it: a view knows events, never the loop.

Its annotations may name a result of a run."""

EXEMPT: dict[tuple[str, str], str] = {
    ("agent", "mcp"): "an agent lists its servers' tools; without servers, mcp is never loaded",
    ("agent", "run.agent_tool"): "Agent.as_tool() is the SDK's name for a run inside a tool call",
    ("agent", "notebook.agent_card"): "an agent that is a cell's last expression shows itself",
    ("run.result", "notebook.show"): "as a cell's last expression it shows itself",
    ("run.streamed_result", "notebook.show"): "as a cell's last expression it shows itself",
    ("notebook.magic.magic", "compat"): "%agentstream_compat installs the import hook, from above",
    ("run.state.run_state", "run.state.serialize"): "RunState.to_json() is the SDK's name",
}
"""Imports made inside a function, at call time, against the order: (from, to) and the reason."""

LONG_FUNCTIONS: dict[str, str] = {}
"""`module:qualified.name` of functions over 60 lines, and the reason."""

LONG_MODULES: dict[str, str] = {}
"""Modules over 400 lines, and the reason."""


OURS_AT_THE_TOP = {
    "guardrails": "as `tool_guardrails` and `handoffs`; the SDK's is `guardrail`",
    "pandas": "importing it gives frames their accessor",
}
"""Public modules at the top that the SDK has not, and the reason."""

WAYS_OF_TESTING = frozenset(
    {"browser", "conformance", "faults", "fuzz", "integration", "typing", "upstream"}
)
"""Folders of tests for no room: each holds one way of testing."""

BESIDE_THE_PACKAGE = frozenset({"bench", "docs"})
"""Folders of tests for the folders of that name."""

LARGEST_CIRCLE = 7
"""How many modules may import each other in a circle, annotations and calls counted."""

When: TypeAlias = Literal["load", "call", "annotation"]
"""When an import takes place: an annotation's never does."""


class Import(NamedTuple):
    """One import of a module of this package by another, by their names below the package."""

    source: str
    target: str
    line: int
    when: When


def name_of(path: Path) -> str:
    """Name of the module in `path`, below the package: ``models.http.sse``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


@cache
def modules() -> dict[str, ast.Module]:
    """Source tree of every module of the package."""
    return {
        name_of(path): ast.parse(path.read_text(encoding="utf-8"), str(path))
        for path in sorted(ROOT.rglob("*.py"))
    }


def is_type_checking(test: ast.expr) -> bool:
    """Whether `test` is ``TYPE_CHECKING`` or ``typing.TYPE_CHECKING``."""
    return getattr(test, "id", getattr(test, "attr", None)) == "TYPE_CHECKING"


def statements(node: ast.AST, when: When = "load") -> Iterator[tuple[ast.AST, When]]:
    """Every import statement under `node`, and when it takes place."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and is_type_checking(child.test):
            yield from statements(ast.Module(child.body, []), "annotation")
            yield from statements(ast.Module(child.orelse, []), when)
        elif isinstance(child, ast.Import | ast.ImportFrom):
            yield child, when
        else:
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from statements(child, "call" if function and when == "load" else when)


def targets(name: str, node: ast.AST) -> Iterator[str]:
    """Modules of this package that the import statement `node` in module `name` names."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            package, _, below = alias.name.partition(".")
            if package == ROOT.name:
                yield below or "__init__"
        return
    assert isinstance(node, ast.ImportFrom)
    if node.level == 0:
        package, _, base = (node.module or "").partition(".")
        if package != ROOT.name:
            return
    else:
        here = name.split(".") if name != "__init__" else []
        is_package = name == "__init__" or (ROOT / Path(*here) / "__init__.py").is_file()
        parts = here if is_package else here[:-1]
        parts = parts[: len(parts) - (node.level - 1)]
        base = ".".join([*parts, *(node.module.split(".") if node.module else [])])
    for alias in node.names:
        inner = f"{base}.{alias.name}" if base else alias.name
        yield inner if inner in modules() else base or "__init__"


@cache
def imports() -> tuple[Import, ...]:
    """Every import of one module of this package by another."""
    return tuple(
        Import(name, target, getattr(node, "lineno", 0), when)
        for name, tree in modules().items()
        for node, when in statements(tree)
        for target in targets(name, node)
        if target != name
    )


def room_of(name: str) -> int:
    """Index of the room that holds the module `name`; the top where none does."""
    while name:
        for index, room in enumerate(ROOMS):
            if name in room:
                return index
        name = name.rpartition(".")[0]
    return len(ROOMS)


def upward() -> list[Import]:
    """The imports that run against the order of the rooms; those that are exempt left out."""
    return [
        each
        for each in imports()
        if room_of(each.target) > room_of(each.source)
        and not (each.when == "call" and (each.source, each.target) in EXEMPT)
    ]


def circles(edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """The strongly connected components of more than one node, the largest first."""
    forward: dict[str, set[str]] = defaultdict(set)
    backward: dict[str, set[str]] = defaultdict(set)
    for source, target in edges:
        forward[source].add(target)
        backward[target].add(source)

    def reached(start: str, graph: dict[str, set[str]]) -> set[str]:
        found, waiting = {start}, [start]
        while waiting:
            new = graph.get(waiting.pop(), set()) - found
            found |= new
            waiting += new
        return found

    result, seen = [], set[str]()
    for node in list(forward):
        if node not in seen:
            circle = reached(node, forward) & reached(node, backward)
            seen |= circle
            result.append(sorted(circle))
    return sorted((circle for circle in result if len(circle) > 1), key=len, reverse=True)


def edges() -> list[tuple[str, str]]:
    """All imports as pairs, without those at call time that are exempt."""
    return [
        (each.source, each.target)
        for each in imports()
        # The list of the public names, for type checkers, is no import that anybody follows.
        if each.source != "__init__"
        and not (each.when == "call" and (each.source, each.target) in EXEMPT)
    ]


@pytest.mark.slow
def test_every_module_has_a_room() -> None:
    named = {name for room in ROOMS for name in room}
    assert {name.partition(".")[0] for name in modules()} <= named, "add it to ROOMS, at its height"


def test_a_room_imports_only_from_rooms_below() -> None:
    found = [f"{each.source}:{each.line} imports {each.target}" for each in upward()]
    assert found == [], "\n".join(found)


def test_each_room_says_what_is_public() -> None:
    silent = [
        name
        for name, tree in modules().items()
        if (ROOT / name / "__init__.py").is_file()
        and not name.startswith("_")
        and not any("__all__" in ast.unparse(node).partition("=")[0] for node in tree.body)
    ]
    assert silent == [], "list the public names in __all__, or say with [] that there are none"


def test_the_folders_of_the_tests_are_those_of_the_package() -> None:
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    others = WAYS_OF_TESTING | BESIDE_THE_PACKAGE
    own = {str(path) for path in folders if path.parts and path.parts[0] not in others}
    assert {path for path in own if not (ROOT / path / "__init__.py").is_file()} == set()
    assert {path for path in BESIDE_THE_PACKAGE if not (ROOT.parent / path).is_dir()} == set()


def test_modules_at_the_top_have_the_names_of_the_sdks_or_an_underscore() -> None:
    spec = importlib.util.find_spec("agents")
    if spec is None or spec.origin is None:
        pytest.skip("openai-agents is not installed")
    known = {path.stem for path in Path(spec.origin).parent.iterdir()} | set(OURS_AT_THE_TOP)
    ours = {name for name in modules() if "." not in name and (ROOT / f"{name}.py").is_file()}
    assert {name for name in ours if not name.startswith("_")} - known == set()


def test_views_know_events_and_never_the_loop() -> None:
    met = [
        f"{name}:{line} imports {target}"
        for name, target, line, when in imports()
        if when != "annotation" and (name.partition(".")[0], target.partition(".")[0]) in STRANGERS
    ]
    assert met == []


def test_every_exemption_is_still_needed() -> None:
    used = {(each.source, each.target) for each in imports() if each.when == "call"}
    assert set(EXEMPT) <= used, "take the entry out of EXEMPT"


def test_circles_of_imports_are_small() -> None:
    large = [circle for circle in circles(edges()) if len(circle) > LARGEST_CIRCLE]
    assert large == [], [len(circle) for circle in large]


def test_modules_form_no_cycle_when_they_are_loaded() -> None:
    found = circles(
        (each.source, each.target)
        for each in imports()
        if each.when != "annotation" and (each.source, each.target) not in EXEMPT
    )
    assert found == []


def test_the_reader_of_circles_finds_each_once() -> None:
    pairs = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "c"), ("f", "a")]
    assert circles(pairs) == [["c", "d", "e"], ["a", "b"]]


def test_the_reader_of_imports_sees_every_form() -> None:
    tree = ast.parse(
        "import json\n"
        "from .stream_events import StreamEvent\n"
        "if TYPE_CHECKING:\n    from .agent import Agent\n"
        "else:\n    from .models.base import Model\n"
        "def late():\n    from . import items\n    import agentstream.models.base\n"
    )
    found = [
        (target, when) for node, when in statements(tree) for target in targets("exceptions", node)
    ]
    assert found == [
        ("stream_events", "load"),
        ("agent", "annotation"),
        ("models.base", "load"),
        ("items", "call"),
        ("models.base", "call"),
    ]


def docstring_lines(node: ast.AST) -> int:
    """Lines that the docstrings in and under `node` take."""
    owners = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    total = 0
    for child in ast.walk(node):
        if isinstance(child, owners) and ast.get_docstring(child, clean=False) is not None:
            first = child.body[0]
            total += (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Qualified name of every function under `node`, and its lines without docstrings."""
    for child in ast.iter_child_nodes(node):
        name = f"{prefix}{getattr(child, 'name', '')}"
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (child.end_lineno or child.lineno) - child.lineno + 1
            yield name, length - docstring_lines(child)
            yield from functions(child, f"{name}.")
        elif isinstance(child, ast.ClassDef):
            yield from functions(child, f"{name}.")
        else:
            yield from functions(child, prefix)


def test_functions_have_at_most_60_lines() -> None:
    long = {
        f"{name}:{function}": length
        for name, tree in modules().items()
        for function, length in functions(tree)
        if length > 60
    }
    assert set(long) == set(LONG_FUNCTIONS), long


def test_modules_have_at_most_400_lines() -> None:
    lengths = {
        name: max((node.end_lineno or 0 for node in tree.body), default=0) - docstring_lines(tree)
        for name, tree in modules().items()
    }
    long = {name: length for name, length in lengths.items() if length > 400}
    assert set(long) == set(LONG_MODULES), long


def report() -> None:
    """Print how far the code is from the law."""
    against = upward()
    for each in against:
        print(f"{each.source}:{each.line} imports {each.target} ({each.when})")
    kinds = Counter(each.when for each in against)
    print(f"upward: {len(against)} {dict(kinds)}, and {len(EXEMPT)} exempt")
    for circle in circles(edges()):
        print(f"circle of {len(circle)}: {' '.join(circle)}")
    rooms = {str(Path(*name.split(".")[:-1])) for name in modules() if "." in name}
    print(f"{len(modules())} modules in {len(rooms)} folders, {len(ROOMS)} floors")


if __name__ == "__main__":
    report()
