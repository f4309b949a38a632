"""Run the SDK's own tests of its public interface on agentstream, and compare with the table.

    python -m tests.upstream.suite             # all, 10 to 20 minutes on two cores
    python -m tests.upstream.suite --sample    # one file of each area, about a minute
    python -m tests.upstream.suite tests/test_usage.py
    python -m tests.upstream.suite --write     # all, and write the table and the docs anew

`scope` tells which tests these are. The table, ``outcomes.toml``, has what does not pass, and how
many pass in each file; so a change of any test is a difference, and an error.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from .scope import Sdk, Touch, classify
from .sdist import Unreachable, unpacked
from .table import Table, summary, write_docs

HERE = Path(__file__).parent
OTHER_PRODUCTS = ("sandbox", "realtime", "voice", "docs", "extensions/sandbox", "extensions/exper")
"""Folders of tests of parts that agentstream leaves to the SDK as a whole."""

SAMPLE = (
    "tests/test_usage.py",
    "tests/test_function_schema.py",
    "tests/test_strict_schema.py",
    "tests/test_tool_guardrails.py",
    "tests/test_handoff_tool.py",
    "tests/test_stream_events.py",
    "tests/test_run_hooks.py",
    "tests/test_cancel_streaming.py",
    "tests/memory/test_session.py",
    "tests/mcp/test_runner_calls_mcp.py",
    "tests/models/test_default_models.py",
    "tests/test_handoff_history_duplication.py",
)


def classes(root: Path) -> dict[str, dict[str, Touch]]:
    """Each file of tests, with what decides the class of each function in it."""
    sdk, tests = Sdk(root), root / "tests"
    found = {}
    for path in sorted(tests.rglob("test_*.py")):
        if not path.relative_to(tests).as_posix().startswith(OTHER_PRODUCTS):
            found[path.relative_to(root).as_posix()] = classify(sdk, path)
    return found


def run(root: Path, found: dict[str, dict[str, Touch]]) -> dict[str, dict[str, tuple[str, str]]]:
    """The outcome of each public test, by file, with the line at which it failed."""
    conftest = (HERE / "conftest_of_upstream.py").read_text(encoding="utf-8")
    (root / "tests" / "conftest.py").write_text(conftest, encoding="utf-8")
    public = [
        f"{file}::{name}"
        for file, touches in found.items()
        for name, touch in touches.items()
        if touch.kind == "public"
    ]
    (root / "selected.json").write_text(json.dumps(public), encoding="utf-8")
    files = sorted({test.partition("::")[0] for test in public})
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "UPSTREAM_SELECTED": str(root / "selected.json")}
        subprocess.run(
            [sys.executable, str(HERE / "worker.py"), folder, *files],
            cwd=root,
            env=env,
            check=True,
        )
        outcomes = {}
        for file in files:
            path = Path(folder) / f"{file.replace('/', '__')}.json"
            if path.exists():
                outcomes[file] = json.loads(path.read_text(encoding="utf-8"))
            else:
                outcomes[file] = {file: ("failed", "its process was ended, or crashed")}
    return outcomes


def differences(
    table: Table, outcomes: dict[str, dict[str, tuple[str, str]]]
) -> Iterable[tuple[str, str]]:
    """What is another than in the table: a test or a file, and how."""
    for file, found in outcomes.items():
        listed = table.listed(file)
        for test, (outcome, where) in sorted(found.items()):
            if outcome == "passed" and test in listed:
                yield test, f"passes; the table has it as {listed[test]}"
            elif outcome != "passed" and test not in listed:
                yield test, f"{outcome}: {where}"
        for test in sorted(set(listed) - set(found)):
            yield test, "is in the table, and was not run"
        passed = sum(outcome == "passed" for outcome, _ in found.values())
        if passed != table.passed.get(file, 0) and found.keys() >= set(listed):
            yield file, f"{passed} tests pass; {table.passed.get(file, 0)} in the table"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run tests of the SDK; 1 if an outcome is not that of the table."""
    parser = argparse.ArgumentParser("python -m tests.upstream.suite", description=__doc__)
    parser.add_argument("--sample", action="store_true", help="one file of each area")
    parser.add_argument("--write", action="store_true", help="write table and docs anew")
    parser.add_argument("files", nargs="*", help="such as tests/test_usage.py; all unless given")
    options = parser.parse_args(arguments)
    table = Table.read()
    try:
        with unpacked() as root:
            known = classes(root)
            chosen = options.files or (SAMPLE if options.sample else known)
            outcomes = run(root, {file: known[file] for file in chosen})
            changes = list(differences(table, outcomes))
            if changes and not options.write:
                # A test that ran out of time on a busy machine is no change of ours.
                again = {what.partition("::")[0] for what, _ in changes}
                outcomes |= run(root, {file: known[file] for file in sorted(again)})
                changes = list(differences(table, outcomes))
    except Unreachable as error:
        print(f"skipped: {error}")
        return 0
    if options.write:
        table = table.updated(outcomes, known)
        table.write()
        write_docs(table)
        changes = list(differences(table, outcomes))
    for what, how in changes:
        print(f"{what}: {how}")
    counts = Counter(outcome for found in outcomes.values() for outcome, _ in found.values())
    print(f"{dict(counts)} in {len(outcomes)} files; the table: {summary(table)}")
    return int(bool(changes))


if __name__ == "__main__":
    sys.exit(main())
