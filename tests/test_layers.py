"""Rooms import only from rooms below; modules form no cycle; functions and modules stay small.

Read off the source with `ast`, so that an import inside a function counts as well. Imports under
``if TYPE_CHECKING:`` are annotations, and free.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1] / "agentstream"

ROOMS: tuple[tuple[str, ...], ...] = (
    ("_unsupported", "_extras", "realtime", "sandbox", "voice", "logger", "tracing", "_utils"),
    ("displays",),
    ("exceptions", "usage", "tools.output", "tools.origin", "items", "stream_events"),
    ("_approvals", "run_context", "tool_context"),
    ("model_settings",),
    ("strict_schema", "agent_output", "tools.docstrings", "tools.function_schema"),
    ("tools", "guardrails", "tool_guardrails", "handoffs", "prompts", "agent", "decorators"),
    ("extensions",),
    ("models",),
    ("trace",),
    ("run_config", "lifecycle", "run"),
    ("repl", "sessions", "mcp"),
    ("notebook",),
    ("recordings",),
    ("rows", "pandas"),
    ("testing",),
    ("_lazy", "__init__"),
    ("compat",),
    ("info", "__main__"),
)
"""Lowest first. A name is a module of the package, or a folder with all that is in it."""

STRANGERS = {("trace", "run"), ("notebook", "run")}
"""Pairs that may not meet although the order allows it: a view knows events, never the loop."""

EXEMPT: dict[tuple[str, str], str] = {
    ("agent", "mcp"): "an agent lists its servers' tools; without servers, mcp is never loaded",
    ("agent", "run.agent_tool"): "Agent.as_tool() is the SDK's name for a run inside a tool call",
    ("agent", "trace.graph"): "Agent.graph() draws what is configured, from above",
    ("agent", "notebook.agent_card"): "an agent that is a cell's last expression shows itself",
    ("run.result", "notebook.show"): "as a cell's last expression it shows itself",
    ("run.streamed_result", "notebook.show"): "as a cell's last expression it shows itself",
    ("notebook.show", "__init__"): "show(agent, input) starts a run, by the public name",
    ("testing.notebooks.template", "__init__"): "the template's run is recorded as a reader would",
    ("notebook.chat.chat", "__init__"): "each turn of chat(agent) is a run, by the public name",
    ("notebook.magic.magic", "compat"): "%agentstream_compat installs the import hook, from above",
    ("run_config", "sessions.base"): "a name that is no setting is told where it is written",
    ("run.state.run_state", "run.state.serialize"): "RunState.to_json() is the SDK's name",
}
"""Imports made inside a function, at call time, against the order: (from, to) and the reason."""

LONG_FUNCTIONS: dict[str, str] = {}
"""`module:qualified.name` of functions over 60 lines, and the reason."""

LONG_MODULES: dict[str, str] = {
    "__init__": "the list of public names, one a line, for type checkers and for `import *`",
}
"""Modules over 400 lines, and the reason."""


class Import(NamedTuple):
    """One import of a module of this package by another, by their names below the package."""

    source: str
    target: str
    line: int
    at_call_time: bool


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


def statements(node: ast.AST, at_call_time: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Every import statement under `node` that runs, and whether only when a function is called."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and is_type_checking(child.test):
            for other in child.orelse:
                yield from statements(ast.Module([other], []), at_call_time)
        elif isinstance(child, ast.Import | ast.ImportFrom):
            yield child, at_call_time
        else:
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from statements(child, at_call_time or function)


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
        Import(name, target, getattr(node, "lineno", 0), at_call_time)
        for name, tree in modules().items()
        for node, at_call_time in statements(tree)
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


def test_every_module_has_a_room() -> None:
    named = {name for room in ROOMS for name in room}
    assert {name.partition(".")[0] for name in modules()} <= named, "add it to ROOMS, at its height"


def test_a_room_imports_only_from_rooms_below() -> None:
    upward = [
        f"{name}:{line} imports {target}"
        for name, target, line, at_call_time in imports()
        if room_of(target) > room_of(name) and not (at_call_time and (name, target) in EXEMPT)
    ]
    assert upward == []


def test_views_know_events_and_never_the_loop() -> None:
    met = [
        f"{name}:{line} imports {target}"
        for name, target, line, _ in imports()
        if (name.partition(".")[0], target.partition(".")[0]) in STRANGERS
    ]
    assert met == []


def test_every_exemption_is_still_needed() -> None:
    used = {(name, target) for name, target, _, at_call_time in imports() if at_call_time}
    assert set(EXEMPT) <= used, "take the entry out of EXEMPT"


def test_modules_form_no_cycle() -> None:
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for name, target, _, _ in imports():
        if (name, target) not in EXEMPT:
            graph[name].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(f"import cycle: {' <- '.join(error.args[1])}") from None


def test_the_reader_of_imports_sees_every_form() -> None:
    tree = ast.parse(
        "import json\n"
        "from .stream_events import StreamEvent\n"
        "if TYPE_CHECKING:\n    from .agent import Agent\n"
        "else:\n    from .models.base import Model\n"
        "def late():\n    from . import items\n    import agentstream.models.base\n"
    )
    found = [
        (target, at_call_time)
        for node, at_call_time in statements(tree)
        for target in targets("exceptions", node)
    ]
    assert found == [
        ("stream_events", False),
        ("models.base", False),
        ("items", True),
        ("models.base", True),
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
