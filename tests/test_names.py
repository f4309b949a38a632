"""Every public name of the SDK that agentstream shares is here, and takes what the SDK's takes."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

NAMES = Path(__file__).parents[2] / "shared" / "sdk-names.md"
SUBMODULES = re.compile(r"`agentstream\.([\w.]+?)\.(?:\{([^}]*)\}|(\w+))`")

MADE_BY_THE_RUN = {"RunResult", "RunResultStreaming", "tool_context:ToolContext"}
"""Classes whose objects a user is given; their constructors are each project's own."""

LEFT_OUT: dict[str, dict[str, str]] = {
    "ItemHelpers": {"copy_tool_call_caller()": "programmatic tool calling is not here"},
    "RunConfig": {
        "tool_name_collision_policy": "two tools of one name are an error here, not a warning",
    },
    "RunResultStreaming": {"ensure_sandbox_cleanup_on_completion()": "sandboxes are not here"},
    "RunState": {
        "set_trace()": "hosted tracing is not here",
        "get_tool_use_tracker_snapshot()": "the state is its items; there is no tracker beside",
        "set_tool_use_tracker_snapshot()": "the state is its items; there is no tracker beside",
    },
    "ToolApprovalItem": {"tool_lookup_key": "the SDK's own key of an approval"},
}
"""Name to what of the SDK's is not taken here, and why."""


def listed() -> list[str]:
    """The names in the list: ``Agent``, or ``tool_context:ToolContext`` for a submodule's."""
    if not NAMES.is_file():
        return []
    text = NAMES.read_text(encoding="utf-8").partition("Not here, on purpose")[0]
    names: list[str] = []
    for paragraph in text.split("\n\n")[2:]:
        _, _, rest = paragraph.partition(":")
        for module, several, one in SUBMODULES.findall(rest):
            found = several.split(",") if several else [one]
            names += [f"{module}:{name.strip()}" for name in found]
        rest = re.sub(r"`[^`]*`|\([^)]*\)", "", rest)
        names += re.findall(r"\b[A-Za-z_]\w+\b", rest.replace(" and", ""))
    return sorted(set(names))


def find(package: str, name: str) -> Any:
    """The object of that name in the SDK (``agents``) or here (``agentstream``)."""
    module, _, attribute = name.rpartition(":")
    return getattr(importlib.import_module(f"{package}.{module}".rstrip(".")), attribute)


def test_the_list_of_names_is_read() -> None:
    if not NAMES.is_file():
        pytest.skip("the list of shared names is not here")
    names = listed()
    assert len(names) > 130
    assert {"Agent", "retry_policies", "decorators:tool", "mcp:MCPServerSse"} <= set(names)


@pytest.mark.parametrize("name", listed() or [pytest.param("", marks=pytest.mark.skip)])
def test_a_shared_name_is_here(name: str) -> None:
    assert find("agentstream", name) is not None
    if ":" not in name:
        assert name in importlib.import_module("agentstream").__all__


def public(thing: Any) -> dict[str, inspect.Parameter]:
    """The parameters a user may give, by name."""
    try:
        parameters = inspect.signature(thing).parameters
    except (TypeError, ValueError):  # a TypedDict, an alias of a type
        return {}
    return {name: one for name, one in parameters.items() if not name.startswith("_")}


def methods(thing: Any) -> dict[str, Any]:
    """The public methods that a class has of its own or of a base in the same package."""
    if not inspect.isclass(thing):
        return {}
    package = thing.__module__.partition(".")[0]
    return {
        name: getattr(thing, name)
        for base in thing.__mro__
        if base.__module__.partition(".")[0] == package
        for name, member in vars(base).items()
        if not name.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, (classmethod, staticmethod)))
    }


def same_default(theirs: inspect.Parameter, ours: inspect.Parameter) -> bool:
    """Whether leaving the parameter out means the same; made objects cannot be compared."""
    value = theirs.default
    if value is None or isinstance(value, (str, int, float, bool, tuple)):
        return bool(ours.default == value)
    return (value is theirs.empty) == (ours.default is ours.empty)


def differences(theirs: Any, ours: Any) -> list[str]:
    """What a call written for theirs would miss in ours."""
    wanted, given = public(theirs), public(ours)
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in given.values()):
        return []
    missing: list[str] = []
    if not wanted or any(one.kind is inspect.Parameter.VAR_KEYWORD for one in wanted.values()):
        return []
    for name, one in wanted.items():
        if name not in given:
            missing.append(f"{name}: is missing")
        elif not same_default(one, given[name]):
            missing.append(f"{name}: default {given[name].default!r}, not {one.default!r}")
        elif (
            one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and given[name].kind is not one.kind
        ):
            missing.append(f"{name}: {given[name].kind.description}, not {one.kind.description}")
    extra = [name for name in given if name not in wanted]
    missing += [
        f"{name}: is ours, and a call of theirs does not give it"
        for name in extra
        if given[name].default is inspect.Parameter.empty
    ]
    positions = [
        [name for name, one in parameters.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
        for parameters in (wanted, given)
    ]
    if not missing and positions[1][: len(positions[0])] != positions[0]:
        missing.append(f"order: {positions[1]}, not {positions[0]}")
    return missing


@pytest.mark.parametrize("name", listed() or [pytest.param("", marks=pytest.mark.skip)])
def test_a_shared_name_takes_what_the_sdks_takes(name: str) -> None:
    pytest.importorskip("agents", reason="the oracle, openai-agents, is in the extra 'dev'")
    theirs, ours = find("agents", name), find("agentstream", name)
    missing = [] if name in MADE_BY_THE_RUN else differences(theirs, ours)
    for method, member in methods(theirs).items():
        own = getattr(ours, method, None)
        found = ["missing"] if own is None else differences(member, own)
        missing += [f"{method}(): {one}" for one in found]
    expected = set(LEFT_OUT.get(name, {}))
    assert {one.partition(":")[0] for one in missing} == expected, "\n".join(missing)
