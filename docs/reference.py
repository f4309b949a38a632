"""Writes docs/reference.md, the list of public names, from their docstrings.

    python docs/reference.py

`tests/test_reference.py` holds the page to the code.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import agentstream
from agentstream import mcp, testing

PAGE = Path(__file__).with_name("reference.md")

INTRODUCTION = """# Reference

Every public name, with the first line of what it says of itself, and a link to where it is. The
whole text, with parameters, errors and examples, is where you work: `show?` in a cell, or
`help(show)`. Written by `docs/reference.py`; do not edit.
"""

GROUPS = {
    "Watch, keep, replay": ("notebook", "recordings"),
    "Run": ("run", "run_config", "run_context", "lifecycle", "repl"),
    "Agents and handoffs": ("agent", "agent_output", "prompts", "handoffs", "extensions"),
    "Tools": ("tools", "tool_context", "decorators"),
    "Hosted tools": ("tools.hosted", "tools.computers"),
    "Guardrails": ("_guardrails", "guardrails", "tool_guardrails"),
    "Items, events, usage": ("items", "stream_events", "usage", "trace"),
    "Models": ("models", "model_settings"),
    "Sessions": ("sessions",),
    "Many rows": ("rows",),
    "Errors": ("exceptions",),
    "Traces and spans of your program": ("tracing", "logger"),
}
"""Titles, and the modules below ``agentstream`` whose names stand there."""

RESULT = "Of a result"


def line(value: Any) -> str:
    """The first paragraph of a docstring, in one line."""
    text = inspect.getdoc(value) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("``", "`").replace("|", "\\|")


def module_of(value: Any) -> str:
    """Where it is made, below ``agentstream``; empty for aliases and what comes from elsewhere."""
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        value = type(value)
    name = getattr(value, "__module__", None) or ""
    return name.removeprefix("agentstream.") if name.startswith("agentstream") else ""


def source(module: str) -> str:
    """The file of a module below ``agentstream``, as seen from this folder."""
    path = PAGE.parent.parent / "agentstream" / module.replace(".", "/")
    file = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    return "../" + file.relative_to(PAGE.parent.parent).as_posix()


def called(name: str, value: Any) -> str:
    """The name, and what a function takes."""
    if not inspect.isfunction(value):
        return name
    kinds = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    parameters = inspect.signature(value).parameters.values()
    names = [f"{kinds.get(one.kind, '')}{one.name}" for one in parameters]
    return f"{name}({', '.join(one for one in names if one != 'self')})"


def row(name: str, value: Any, module: str) -> str:
    """A row of a table."""
    return f"| [`{called(name, value)}`]({source(module)}) | {line(value)} |"


def table(rows: Iterator[str] | list[str]) -> str:
    """A table of rows."""
    return "\n".join(["| | |", "|---|---|", *rows]) + "\n"


def group_of(module: str) -> str:
    """The title under which a module's names stand."""
    fits = [
        (len(prefix), title)
        for title, prefixes in GROUPS.items()
        for prefix in prefixes
        if module == prefix or module.startswith(f"{prefix}.")
    ]
    return max(fits, default=(0, ""))[1]


def result_rows() -> Iterator[str]:
    """What a result has: own and inherited, without the fields."""
    kind = agentstream.RunResultStreaming
    for name in sorted(dir(kind)):
        value = inspect.getattr_static(kind, name)
        if name.startswith("_") or not (inspect.isfunction(value) or isinstance(value, property)):
            continue
        function = value.fget if isinstance(value, property) else value
        module = module_of(function)
        if module and line(value):
            yield row(name, value, module)


def page() -> str:
    """The whole page."""
    sections: dict[str, list[str]] = {title: [] for title in GROUPS}
    aliases: list[str] = []
    for name in sorted(agentstream.__all__, key=str.casefold):
        value = getattr(agentstream, name)
        module = module_of(value)
        if group_of(module):
            sections[group_of(module)].append(row(name, value, module))
        else:
            aliases.append(f"`{name}`")
    parts = [INTRODUCTION]
    for title, rows in sections.items():
        parts.append(f"## {title}\n\n{table(rows)}")
        if title == "Run":
            parts.append(f"## {RESULT}\n\n{table(result_rows())}")
    for title, module in (("`agentstream.mcp`", mcp), ("`agentstream.testing`", testing)):
        rows = []
        for name in sorted(module.__all__, key=str.casefold):
            value = getattr(module, name)
            if module_of(value):
                rows.append(row(name, value, module_of(value)))
            else:
                aliases.append(f"`{name}`")
        parts.append(f"## {title}\n\n{table(rows)}")
    parts.append(f"## Types for annotations\n\n{', '.join(aliases)}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
