"""Every public name tells what it takes and raises, and shows itself.

What falls short stands in the lists below, which may only shrink: an entry that is no longer needed
is an error, too. That the examples do what they show is held by `tests/test_doctests.py`.
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from typing_extensions import is_protocol, is_typeddict

import agentstream
from agentstream import mcp, testing

MODULES = {"": agentstream, "mcp.": mcp, "testing.": testing}

MADE_BY_A_RUN = {"agentstream.items", "agentstream.stream_events", "agentstream.exceptions"}
"""Modules whose classes nobody makes by hand: an example would only repeat their attributes."""

SPANS = {f"agentstream.tracing.{name}" for name in ("create", "span_data", "spans")}
"""One example serves them all: that of `custom_span`."""

GIVEN_TO_A_FUNCTION_OF_YOURS = """
    AgentHookContext AgentToolStreamEvent CallModelData ComputerToolCustomDataContext
    ComputerToolSafetyCheckData FunctionToolCustomDataContext FunctionToolResult
    GenerateDynamicPromptData
    InputGuardrailResult LocalShellCommandRequest MCPToolApprovalFunctionResult
    MCPToolApprovalRequest ModelInputData ModelRetryAdvice ModelRetryAdviceRequest
    ModelRetryNormalizedError OutputGuardrailBlockedMessageArgs OutputGuardrailResult
    RunErrorData RunErrorHandlerInput
    ToolErrorFormatterArgs ToolInputGuardrailData ToolInputGuardrailResult ToolOutputGuardrailData
    ToolOutputGuardrailResult mcp.MCPToolCustomDataContext mcp.MCPToolMetaContext
    mcp.ToolFilterContext
""".split()

SHOWN_ELSEWHERE = "AgentBase AsyncComputer Computer RecordedRun".split()
"""Their examples stand at what uses or makes them: `Agent`, `ComputerTool`, `load_run`."""

TYPED_DICTS = """
    mcp.MCPServerSseParams mcp.MCPServerStdioParams mcp.MCPServerStreamableHttpParams
    mcp.ToolFilterStatic ImageGenerationToolConfig WebSearchToolImageSettings
""".split()

WITHOUT_AN_EXAMPLE = {*GIVEN_TO_A_FUNCTION_OF_YOURS, *SHOWN_ELSEWHERE, *TYPED_DICTS}

OURS = """
    Agent.graph RunResultBase.to_frame RunResultBase.timeline RunResultBase.to_input_list
    RunResultStreaming.observe RunResultStreaming.resume
    RunResultStreaming.wait RunResultStreaming.cancel RunResultStreaming.stream_events
    Runner.run Runner.run_streamed HandoffInputData.clone SessionSettings.resolve
    Part.with_fields Part.with_id
""".split()
"""Methods that must show themselves: most are additions to what the SDK has."""

UNTOLD_PARAMETERS = {"RecordedRun": "made by `load_run`, not by hand"}
"""Names whose parameters are not told, and why not yet."""

UNTOLD_ERRORS: dict[str, str] = {}
"""Names that raise an error that their docstring does not name, and why not yet."""


def names() -> Iterator[tuple[str, Any]]:
    """The public classes and functions that are made here."""
    for prefix, module in MODULES.items():
        for name in module.__all__:
            value = getattr(module, name)
            is_ours = getattr(value, "__module__", "").startswith("agentstream")
            if is_ours and (inspect.isclass(value) or inspect.isfunction(value)):
                yield prefix + name, value


def methods() -> Iterator[tuple[str, Any]]:
    """Their public methods, by the class that defines them."""
    for _, value in names():
        for base in ours_among(value):
            for name, method in vars(base).items():
                function = getattr(method, "__func__", method)
                if not name.startswith("_") and inspect.isfunction(function):
                    yield f"{base.__name__}.{name}", function


def ours_among(value: Any) -> list[type]:
    """The class and those of its bases that are made here; none for a function."""
    mro = getattr(value, "__mro__", ())
    return [base for base in mro if base.__module__.startswith("agentstream")]


NAMES, METHODS = dict(names()), dict(methods())


def text_of(value: Any) -> str:
    """A docstring; for a class with those of its bases, which tell their part of the parameters."""
    return "\n".join(inspect.getdoc(one) or "" for one in ours_among(value) or [value])


def overridden(name: str) -> str:
    """The docstring of the method that this one stands for, which tells its parameters."""
    kind, _, method = name.partition(".")
    for value in NAMES.values():
        for base in ours_among(value):
            if base.__name__ == kind:
                found = [vars(one).get(method) for one in ours_among(base)[1:]]
                return "\n".join(inspect.getdoc(one) or "" for one in found if one)
    return ""


def untold(value: Any, text: str) -> list[str]:
    """Parameters that a docstring does not name, unless it says where they are told."""
    if re.search(r"\b[Aa]s (in|for|of) `", text) or re.search(r"^As `|[Oo]therwise as `", text):
        return []
    if inspect.isclass(value) and (issubclass(value, enum.Enum) or is_protocol(value)):
        return []  # nobody calls it
    if is_typeddict(value):
        parameters = list(value.__annotations__)
    else:
        parameters = list(inspect.signature(value).parameters)
    told = set(re.findall(r"`+(\w+)", text))
    for line in re.findall(r"^\*{0,2}\w+(?:, \*{0,2}\w+)*(?:,$| :|$)", text, re.MULTILINE):
        told |= set(re.findall(r"\w+", line))
    return [one for one in parameters if one[0] != "_" and one not in told | {"self", "cls"}]


def raised(function: Any) -> set[str]:
    """The errors that a function raises in its own body."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = [
        ast.unparse(node.exc.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
    ]
    return {name for name in calls if name.endswith(("Error", "Exceeded", "Triggered"))}


def shows_itself(value: Any) -> bool:
    text = inspect.getdoc(value) or ""
    return ">>>" in text or "Examples\n--------" in text


def test_every_name_shows_itself() -> None:
    lacking = {
        name
        for name, value in NAMES.items()
        if not shows_itself(value) and value.__module__ not in MADE_BY_A_RUN | SPANS
    }
    assert lacking == WITHOUT_AN_EXAMPLE


def test_what_we_added_shows_itself() -> None:
    assert [name for name in OURS if not shows_itself(METHODS[name])] == []


def test_every_parameter_is_told() -> None:
    lacking = {}
    for name, value in NAMES.items():
        if lost := untold(value, text_of(value)):
            lacking[name] = lost
    for name, function in METHODS.items():
        if lost := untold(function, f"{text_of(function)}\n{overridden(name)}"):
            lacking[name] = lost
    assert {name: lost for name, lost in lacking.items() if name not in UNTOLD_PARAMETERS} == {}
    assert set(UNTOLD_PARAMETERS) <= set(lacking), "these are told now: take them off the list"


def test_every_error_that_is_raised_is_told() -> None:
    functions = {name: value for name, value in NAMES.items() if inspect.isfunction(value)}
    lacking = {}
    for name, function in {**functions, **METHODS}.items():
        text = f"{text_of(function)}\n{overridden(name)}"
        if lost := {error for error in raised(function) if error not in text}:
            lacking[name] = lost
    assert {name: lost for name, lost in lacking.items() if name not in UNTOLD_ERRORS} == {}
    assert set(UNTOLD_ERRORS) <= set(lacking), "these are told now: take them off the list"
