"""Writes docs/reference.md, the list of public names, from their docstrings.

    python docs/reference.py

`tests/test_reference.py` holds the page to the code.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_overloads

import agentstream
from agentstream import mcp, testing

PAGE = Path(__file__).with_name("reference.md")

INTRODUCTION = """# Reference

Every public name: its signature with types and defaults, what it does, its parameters and errors.
Examples are where you work: `show?` in a cell, or `help(show)`. Written by `docs/reference.py`; do
not edit.
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

WITH_METHODS = ("Agent", "Chat", "Comparison", "FrameRun", "RecordedRun", "Runner", "recording")
"""Classes whose own methods stand there as well."""


def paragraph(value: Any) -> str:
    """The first paragraph of a docstring, in one line."""
    return in_line((inspect.getdoc(value) or "").partition("\n\n")[0])


def in_line(text: str) -> str:
    """Text of a docstring as one line of Markdown."""
    return " ".join(text.split()).replace("``", "`")


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


def signature(name: str, value: Any) -> str:
    """What it takes, with types and defaults; empty for what is not called."""
    if not (inspect.isroutine(value) or inspect.isclass(value)):
        return ""
    try:
        found = inspect.signature(value)
    except ValueError:
        return ""
    options = [one for each in get_overloads(value) for one in keywords_of(each)]
    parameters = [
        one.replace(annotation=options[0]) if one.kind is one.VAR_KEYWORD and options else one
        for one in found.parameters.values()
        if one.name != "self" and not one.name.startswith("_")
    ]
    if inspect.isclass(value) and [one.name for one in parameters] == ["args", "kwargs"]:
        return ""
    parts, is_named = list[str](), False
    for one in parameters:
        if one.kind is one.KEYWORD_ONLY and not is_named:
            parts.append("*")
        is_named = is_named or one.kind in (one.KEYWORD_ONLY, one.VAR_POSITIONAL)
        parts.append(parameter(one))
    answer = found.return_annotation
    arrow = f" -> {answer}" if inspect.isroutine(value) and isinstance(answer, str) else ""
    whole = f"{name}({', '.join(parts)}){arrow}"
    if len(whole) > 88:
        whole = f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){arrow}"
    return f"```python\n{whole}\n```\n"


def keywords_of(function: Any) -> list[Any]:
    """The annotation of a function's keyword options, if it takes any."""
    parameters = inspect.signature(function).parameters.values()
    return [one.annotation for one in parameters if one.kind is one.VAR_KEYWORD]


def parameter(one: inspect.Parameter) -> str:
    """A parameter with its type and its default."""
    star = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
    kind = one.annotation
    typed = (
        ""
        if kind is one.empty
        else kind
        if isinstance(kind, str)
        else inspect.formatannotation(kind)
    )
    text = f"{star}{one.name}" + (f": {typed}" if typed else "")
    if one.default is one.empty:
        return text
    default = repr(one.default)
    if "<" in default or len(default) > 50:  # made anew for each call, or known to us only
        default = "..."
    return f"{text} = {default}" if typed else f"{text}={default}"


SECTIONS = ("Parameters", "Attributes", "Returns", "Raises")


def details(value: Any) -> str:
    """Parameters, attributes and errors, as their docstring has them."""
    text = inspect.getdoc(value) or ""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}$", text, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    listed = {title: entries(found.get(title, "")) for title in SECTIONS}
    return "\n".join(f"{title}:\n\n{text}" for title, text in listed.items() if text)


def entries(section: str) -> str:
    """The entries of a section of a docstring, as a list."""
    lines = list[str]()
    for entry in re.split(r"\n(?=\S)", section.strip("\n")):
        head, _, body = entry.partition("\n")
        names, _, kind = head.partition(" : ")
        if not body.strip() and not kind:
            continue
        about = f" ({in_line(kind)})" if kind else ""
        text = in_line(textwrap.dedent(body))
        lines.append(f"- `{names.strip()}`{about}" + (f": {text}" if text else ""))
    return "".join(f"{one}\n" for one in lines)


def chapter(name: str, value: Any, module: str, level: str = "###") -> str:
    """What the page says of a name."""
    is_property = isinstance(value, property)
    parts = [
        f"{level} `{name}`\n",
        "" if is_property else signature(name, value),
        f"{paragraph(value)} [source]({source(module)})\n",
        details(value),
    ]
    if name in WITH_METHODS:
        parts += [
            chapter(f"{name}.{method}", getattr(value, method), module, "####")
            for method, one in vars(value).items()
            if not method.startswith("_")
            and callable(getattr(value, method))
            and inspect.getdoc(one)
        ]
    return "\n".join(part for part in parts if part)


def group_of(module: str) -> str:
    """The title under which a module's names stand."""
    fits = [
        (len(prefix), title)
        for title, prefixes in GROUPS.items()
        for prefix in prefixes
        if module == prefix or module.startswith(f"{prefix}.")
    ]
    return max(fits, default=(0, ""))[1]


def result_chapters() -> Iterator[str]:
    """What a result has: own and inherited, without the fields."""
    kind = agentstream.RunResultStreaming
    for name in sorted(dir(kind)):
        value = inspect.getattr_static(kind, name)
        if name.startswith("_") or not (inspect.isfunction(value) or isinstance(value, property)):
            continue
        function = value.fget if isinstance(value, property) else value
        module = module_of(function)
        if module and paragraph(value):
            yield chapter(name, value, module)


def page() -> str:
    """The whole page."""
    sections: dict[str, list[str]] = {title: [] for title in GROUPS}
    aliases: list[str] = []
    for name in sorted(agentstream.__all__, key=str.casefold):
        value = getattr(agentstream, name)
        module = module_of(value)
        if group_of(module):
            sections[group_of(module)].append(chapter(name, value, module))
        else:
            aliases.append(f"`{name}`")
    parts = [INTRODUCTION]
    for title, rows in sections.items():
        parts.append("\n".join([f"## {title}\n", *rows]))
        if title == "Run":
            parts.append("\n".join([f"## {RESULT}\n", *result_chapters()]))
    for title, module in (("`agentstream.mcp`", mcp), ("`agentstream.testing`", testing)):
        rows = []
        for name in sorted(module.__all__, key=str.casefold):
            value = getattr(module, name)
            if module_of(value):
                rows.append(chapter(name, value, module_of(value)))
            else:
                aliases.append(f"`{name}`")
        parts.append("\n".join([f"## {title}\n", *rows]))
    parts.append(f"## Types for annotations\n\n{', '.join(aliases)}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
