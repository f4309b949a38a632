"""What is slow is marked; what is left without it tries every room and way of testing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.slow import SLOW, is_slow

TESTS = Path(__file__).parent
ROOT = TESTS.parent
FILES = sorted(path.relative_to(ROOT).as_posix() for path in TESTS.rglob("test_*.py"))
ROOMS = sorted(
    path.parent.relative_to(ROOT / "agentstream").as_posix()
    for path in (ROOT / "agentstream").rglob("__init__.py")
    if path.parent != ROOT / "agentstream"
)
WAYS = ("compat", "conformance", "faults", "fuzz")


def quick_tests(file: str) -> list[str]:
    """The tests of a file that `pytest -m "not slow"` runs."""
    if is_slow(file):
        return []
    tests = [
        node
        for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    return [
        test.name
        for test in tests
        if test.name.startswith("test_")
        and "kernel" not in [arg.arg for arg in test.args.args]
        and not any(ast.unparse(mark) == "pytest.mark.slow" for mark in test.decorator_list)
    ]


def test_what_the_table_names_is_there() -> None:
    for slow in SLOW:
        assert any(file == slow or file.startswith(slow + "/") for file in FILES), slow


def rooms_with_tests() -> list[str]:
    return [room for room in ROOMS if any(file.startswith(f"tests/{room}/") for file in FILES)]


@pytest.mark.parametrize("folder", [*rooms_with_tests(), *WAYS])
def test_each_room_has_quick_tests(folder: str) -> None:
    files = [file for file in FILES if file.startswith(f"tests/{folder}/")]
    assert any(quick_tests(file) for file in files)


def test_no_more_than_a_third_of_the_files_is_slow() -> None:
    assert sum(not quick_tests(file) for file in FILES) < len(FILES) / 3
