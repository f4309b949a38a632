"""The table of outcomes, ``outcomes.toml``, and what the docs say of it."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .scope import Touch

PATH = Path(__file__).parent / "outcomes.toml"
DOCS = Path(__file__).parents[2] / "docs" / "agents-sdk.md"
BEGIN, END = "<!-- upstream: begin -->", "<!-- upstream: end -->"
INTERNAL = "what the SDK's own sources call internally"


@dataclass
class Table:
    """What is known of the SDK's tests.

    Attributes
    ----------
    passed : dict
        File to how many tests of its public interface pass.
    outside : dict
        Why tests are not of the public interface in scope, to how many functions that are.
    declared, left_out, open : dict
        Reason to the tests that do not pass for it; of `open`, no reason is known yet.
    """

    passed: dict[str, int] = field(default_factory=dict)
    outside: dict[str, int] = field(default_factory=dict)
    declared: dict[str, list[str]] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    open: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Table:
        """The table as it is committed."""
        return cls(**tomllib.loads(PATH.read_text(encoding="utf-8"))) if PATH.exists() else cls()

    def kinds(self) -> dict[str, dict[str, list[str]]]:
        """The kinds of what does not pass."""
        return {"declared": self.declared, "left_out": self.left_out, "open": self.open}

    def listed(self, file: str) -> dict[str, str]:
        """The tests of a file that do not pass, to their kind."""
        return {
            test: kind
            for kind, reasons in self.kinds().items()
            for tests in reasons.values()
            for test in map(str, tests)
            if test.partition("::")[0] == file
        }

    def updated(self, outcomes: Any, known: dict[str, dict[str, Touch]]) -> Table:
        """The table with new outcomes; a reason stays with its test as long as that fails."""
        failing = {
            test: outcome
            for found in outcomes.values()
            for test, (outcome, _) in found.items()
            if outcome != "passed"
        }
        kept = {
            kind: {
                reason: still
                for reason, tests in reasons.items()
                if (
                    still := [
                        one
                        for one in tests
                        if _is_public(one, known) and _keep(one, kind, failing, outcomes)
                    ]
                )
            }
            for kind, reasons in self.kinds().items()
        }
        listed = {test for reasons in kept.values() for tests in reasons.values() for test in tests}
        for test, outcome in sorted(failing.items()):
            if test not in listed:
                kind, reason = _NEW.get(outcome, ("open", "not looked at yet"))
                kept[kind].setdefault(reason, []).append(test)
        passed = {
            file: sum(outcome == "passed" for outcome, _ in found.values())
            for file, found in outcomes.items()
        }
        passed = {
            file: number
            for file, number in {**self.passed, **passed}.items()
            if any(touch.kind == "public" for touch in known.get(file, {"": _UNREAD}).values())
        }
        outside = Counter(
            touch.why if touch.kind == "left out" else INTERNAL
            for touches in known.values()
            for touch in touches.values()
            if touch.kind != "public"
        )
        return replace(self, passed=passed, outside=dict(outside.most_common()), **kept)

    def write(self) -> None:
        """Write the table."""
        lines = ["# Written by `python -m tests.upstream.suite --write`; reasons by hand."]
        for name in ("passed", "outside"):
            lines += ["", f"[{name}]"]
            pairs = getattr(self, name).items()
            lines += [f"{json.dumps(key, ensure_ascii=False)} = {value}" for key, value in pairs]
        for kind, reasons in self.kinds().items():
            lines += ["", f"[{kind}]"]
            for reason, tests in reasons.items():
                lines.append(f"{json.dumps(reason, ensure_ascii=False)} = [")
                lines += [f"  {json.dumps(test)}," for test in sorted(tests)]
                lines.append("]")
        PATH.write_text("\n".join(lines) + "\n", encoding="utf-8")


_NEW = {
    "worded": ("declared", "An error is of the same class; its text is agentstream's own."),
    "skipped": ("left_out", "skipped by the test itself, on this Python or without a package"),
    "internal": ("left_out", "reaches into the SDK by a double that its tests share"),
    "left out": (
        "left_out",
        "uses a part that is left to the SDK by a double that its tests share",
    ),
}


_UNREAD = Touch("", "public")


def _is_public(test: str, known: dict[str, dict[str, Touch]]) -> bool:
    """Whether a test still counts, as far as its file was read."""
    file, _, name = test.partition("[")[0].partition("::")
    return known.get(file, {}).get(name, _UNREAD).kind == "public"


def _keep(test: str, kind: str, failing: dict[str, str], outcomes: Any) -> bool:
    if test.partition("::")[0] not in outcomes:
        return True
    return test in failing and not (kind == "open" and failing[test] in _NEW)


def counts(table: Table) -> dict[str, int]:
    """How many public tests in scope pass, are declared differences, and are open."""
    found = {kind: sum(map(len, reasons.values())) for kind, reasons in table.kinds().items()}
    return {"passed": sum(table.passed.values()), **found}


def summary(table: Table) -> str:
    """The counts in a line."""
    found = counts(table)
    in_scope = found["passed"] + found["declared"] + found["open"]
    share = found["passed"] / in_scope if in_scope else 0
    return (
        f"{found['passed']} of {in_scope} pass ({share:.1%}), {found['declared']} declared, "
        f"{found['open']} open"
    )


def rendered(table: Table) -> str:
    """What the docs say."""
    found = counts(table)
    lines = [
        "| Tests of the SDK's suite that use its public interface only, in scope | |",
        "|---|---:|",
        f"| pass | {found['passed']:,} |",
        f"| declared differences, below | {found['declared']:,} |",
        f"| differences that are not explained yet | {found['open']:,} |",
        "",
        "| Declared | Tests |",
        "|---|---:|",
        *(f"| {reason} | {len(tests)} |" for reason, tests in _by_size(table.declared)),
        "",
        "| Not in scope | Test functions |",
        "|---|---:|",
        *(f"| {why} | {number:,} |" for why, number in table.outside.items()),
    ]
    return "\n".join(lines)


def _by_size(reasons: dict[str, list[str]]) -> list[tuple[str, list[str]]]:
    return sorted(reasons.items(), key=lambda pair: -len(pair[1]))


def write_docs(table: Table) -> None:
    """Put what the docs say between the marks."""
    text = DOCS.read_text(encoding="utf-8")
    block = f"{BEGIN}\n{rendered(table)}\n{END}"
    text = re.sub(f"{BEGIN}.*{END}", lambda _: block, text, flags=re.DOTALL)
    DOCS.write_text(text, encoding="utf-8")
