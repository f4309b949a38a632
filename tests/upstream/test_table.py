"""Which of the SDK's tests count, and what the table and the docs say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .scope import Sdk, Touch, classify
from .suite import SAMPLE, differences
from .table import BEGIN, DOCS, END, Table, counts, rendered

SOURCES = {
    "mkdocs.yml": "nav:\n  - Runner: ref/run.md\n  - Tracing: ref/tracing/index.md\n",
    "src/agents/__init__.py": 'from .run import Runner\n\n__all__ = ["Runner"]\n',
    "src/agents/run.py": (
        'class Runner:\n    """Runs."""\n\n\nclass Undocumented:\n    _held = 1\n\n\nLIMIT = 3\n'
    ),
    "src/agents/run_internal/__init__.py": "",
    "src/agents/run_internal/loop.py": "def turn():\n    ...\n",
    "src/agents/testing/__init__.py": "",
    "src/agents/testing/sandbox.py": "",
    "tests/helpers.py": (
        "from agents.run_internal.loop import turn\n\n\ndef go():\n    return turn()\n\n\n"
        "def stay():\n    return 1\n"
    ),
}
TESTS = {
    "from agents import Runner\ndef test_it(): Runner()": "public",
    "from agents.run import Runner\ndef test_it(): Runner()": "public",
    "from agents.run import Undocumented\ndef test_it(): Undocumented()": "internal",
    "from agents.run import _hidden\ndef test_it(): _hidden()": "internal",
    "from agents.run_internal import loop\ndef test_it(): loop.turn()": "internal",
    "from agents import Runner\ndef test_it(): Runner()._held": "internal",
    "from agents import Runner\nclass Own:\n    def __init__(self): self._held = 1\n"
    "def test_it(): Runner(); Own()._held": "public",
    "from agents import Runner\ndef test_it(monkeypatch):\n"
    "    monkeypatch.setattr(Runner, 'run', 1)": "internal",
    "import json\nfrom unittest.mock import patch\nfrom agents import Runner\n"
    "def test_it():\n    with patch.object(json, 'dumps'): Runner()": "internal",
    "from agents import Runner\nclass Own(Runner):\n    def _held(self): ...\n"
    "def test_it(): Own()": "internal",
    "from agents import Runner\nclass Own(Runner):\n    def _own(self): ...\n"
    "def test_it(): Own()": "public",
    "from unittest.mock import patch\nfrom agents import Runner\n"
    "@patch('agents.run.LIMIT', 4)\ndef test_it(): Runner()": "internal",
    "from agents import Runner\nfrom .helpers import go\ndef test_it(): go()": "internal",
    "from agents import Runner\nfrom .helpers import stay\ndef test_it():\n"
    "    stay(), Runner()": "public",
    "from agents import Runner\nimport pytest\n@pytest.fixture\ndef inner(): Runner()._held\n"
    "def test_it(inner): ...": "internal",
    "from agents.voice import Pipeline\ndef test_it(): Pipeline()": "left out",
    "from agents import ShellTool\ndef test_it(): ShellTool()": "left out",
    "from agents import Runner\ndef test_it(): Runner()['$schemaVersion']": "left out",
    "def test_it(): assert 1 + 1 == 2": "left out",
}


@pytest.mark.parametrize(("source", "kind"), TESTS.items())
def test_what_a_test_touches_decides_whether_it_counts(
    source: str, kind: str, tmp_path: Path
) -> None:
    for name, text in {**SOURCES, "tests/test_one.py": source}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (found,) = classify(Sdk(tmp_path), tmp_path / "tests" / "test_one.py").values()
    assert found.kind == kind, found


def outcomes(**tests: str) -> Any:
    return {"tests/t.py": {f"tests/t.py::{name}": (how, "") for name, how in tests.items()}}


def test_any_change_of_a_test_is_a_difference() -> None:
    table = Table(passed={"tests/t.py": 1}, declared={"so": ["tests/t.py::b"]})
    assert list(differences(table, outcomes(a="passed", b="failed"))) == []
    for other in (
        outcomes(a="failed", b="failed"),
        outcomes(a="passed", b="passed"),
        outcomes(a="passed", b="failed", c="passed"),
        outcomes(a="passed"),
        outcomes(b="failed"),
    ):
        assert list(differences(table, other)), other


def test_a_reason_stays_with_its_test_as_long_as_that_fails() -> None:
    table = Table(passed={"tests/t.py": 1}, declared={"so": ["tests/t.py::b"]})
    again = table.updated(outcomes(a="failed", b="failed"), {})
    assert again.declared == {"so": ["tests/t.py::b"]}
    assert [test for tests in again.open.values() for test in tests] == ["tests/t.py::a"]
    assert table.updated(outcomes(a="passed", b="passed"), {}).declared == {}


def test_a_file_whose_tests_turn_out_to_be_internal_leaves_the_table() -> None:
    table = Table(passed={"tests/t.py": 1, "tests/u.py": 1}, declared={"so": ["tests/t.py::b[1]"]})
    known = {"tests/t.py": {"a": Touch("", "internal"), "b": Touch("", "internal")}}
    again = table.updated({}, known)
    assert (again.passed, again.declared) == ({"tests/u.py": 1}, {})


def test_the_docs_say_what_the_table_says() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert f"{BEGIN}\n{rendered(Table.read())}\n{END}" in text


def test_no_test_is_listed_twice_and_the_sample_is_in_the_table() -> None:
    table = Table.read()
    listed = [
        one for reasons in table.kinds().values() for tests in reasons.values() for one in tests
    ]
    assert len(listed) == len(set(listed))
    assert set(SAMPLE) <= set(table.passed)
    assert counts(table)["passed"] > 1_500
