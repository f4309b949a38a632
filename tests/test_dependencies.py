"""What is imported is declared, where it is needed, and nothing else is."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]

EXTRAS_OF = {
    "mcp": ("mcp",),
    "models": ("local",),
    "rows": ("dask", "rows", "lab"),
    "sessions": ("encrypt", "redis", "sqlalchemy"),
    "testing": ("lab",),
    "trace": ("trace",),
}
"""The extras that a room's own imports may come from."""

LOADED_BY_NEED = {
    "mcp",
    "rows/cluster/asker.py",
    "rows/cluster/crew.py",
    "rows/frames.py",
    "sessions/encrypted.py",
    "sessions/redis.py",
    "sessions/sql.py",
}
"""Modules that are imported where their extra is needed: their imports may stand at the top."""

NOT_IMPORTED = {
    "genai-prices": "lab repeats the trace extra's: notebook 07 works out costs",
    "ipykernel": "the kernel of the notebooks",
    "jupyterlab": "an application",
    "matplotlib": "notebook 07 plots",
    "notebook": "an application",
    "pyarrow": "pandas asks for it: to_parquet",
    "resvg-py": "imported by its name: trace/png.py",
}
"""Declared for the package and not imported by a statement in it, and why."""

WHERE_LOADED = {("agentstream/displays/pixels.py", "PIL")}
"""Imported only where the program has loaded that package itself."""

ELSEWHERE = {"atheris", "chatlas", "inline_snapshot", "pydantic_ai", "pypandoc", "xllamacpp"}
"""Imported by tests and tools that skip without it; CONTRIBUTING says how to get them."""


def imports(folder: Path) -> Iterator[tuple[str, Path, bool]]:
    """Foreign top-level modules, the file, and whether a program meets it at import time."""
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        late = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            else:
                continue
            for name in {name.partition(".")[0] for name in names}:
                if name not in sys.stdlib_module_names | {"agentstream", "tests", "bench"}:
                    yield name, path.relative_to(ROOT), id(node) not in late


@cache
def declared(extra: str | None = None) -> frozenset[str]:
    """Distributions of the project or one of its extras, with the extras within."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found = set[str]()
    for line in project["dependencies"] if extra is None else optional(project, extra):
        name = re.match(r"[\w.-]+", line)
        assert name is not None
        found.add(normal(name[0]))
    return frozenset(found)


def optional(project: dict[str, Any], extra: str) -> Iterator[str]:
    for line in project["optional-dependencies"][extra]:
        if within := re.match(r"jupyter-agentstream\[(.+)\]", line):
            for name in within[1].split(","):
                yield from optional(project, name)
        else:
            yield line


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def distributions() -> dict[str, set[str]]:
    return {name: set(map(normal, ones)) for name, ones in packages_distributions().items()}


@pytest.mark.slow
def test_what_the_package_imports_is_declared_for_it() -> None:
    missing = []
    for name, path, at_once in imports(ROOT / "agentstream"):
        known = set(declared())
        inner = path.relative_to("agentstream").as_posix()
        if not at_once or inner in LOADED_BY_NEED or path.parts[1] in LOADED_BY_NEED:
            for extra in EXTRAS_OF.get(path.parts[1], ()):
                known |= declared(extra)
        is_there = (path.as_posix(), name) in WHERE_LOADED
        if not is_there and not distributions().get(name, {normal(name)}) & known:
            missing.append(f"{path} imports {name}")
    assert missing == []


@pytest.mark.slow
def test_what_tests_and_tools_import_is_declared_for_development() -> None:
    known = declared() | declared("dev")
    missing = {
        f"{path} imports {name}"
        for folder in ("tests", "docs", "bench")
        for name, path, _ in imports(ROOT / folder)
        if name not in ELSEWHERE and not distributions().get(name, {normal(name)}) & known
    }
    assert sorted(missing) == []


@pytest.mark.slow
def test_what_is_declared_for_the_package_is_imported() -> None:
    imported = {
        one
        for name, _, _ in imports(ROOT / "agentstream")
        for one in distributions().get(name, {normal(name)})
    }
    extras = {one for names in EXTRAS_OF.values() for name in names for one in declared(name)}
    assert (declared() | extras) - imported == set(NOT_IMPORTED) - imported
    assert set(NOT_IMPORTED) <= declared() | extras


@pytest.mark.parametrize(
    "extra",
    [
        *(None, "any-llm", "bench", "dev", "docs", "encrypt", "lab", "litellm", "local", "mcp"),
        *("redis", "rows", "sqlalchemy", "trace"),
    ],
)
def test_every_dependency_has_a_lower_bound(extra: str | None) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = project["dependencies"] if extra is None else list(optional(project, extra))
    assert [line for line in lines if not re.search(r">=\d|==\d", line)] == []
