"""Hosted tools are plain values with the SDK's fields and names."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, get_args

import pytest

import agentstream
from agentstream.tools import hosted

TOOLS: dict[str, tuple[Any, ...]] = {
    "WebSearchTool": (),
    "FileSearchTool": (["vs_1"],),
    "CodeInterpreterTool": ({"type": "code_interpreter", "container": {"type": "auto"}},),
    "ImageGenerationTool": ({"type": "image_generation"},),
    "HostedMCPTool": ({"type": "mcp", "server_label": "s"},),
    "ToolSearchTool": (),
    "LocalShellTool": (print,),
    "ComputerTool": (object(),),
}
VALUES = ["MCPToolApprovalRequest", "ComputerProvider", "ComputerToolSafetyCheckData"]


@pytest.mark.parametrize("name", TOOLS)
def test_name_and_values_are_those_of_the_sdk(name: str) -> None:
    theirs = getattr(pytest.importorskip("agents.tool"), name)(*TOOLS[name])
    ours = getattr(hosted, name)(*TOOLS[name])
    assert ours.name == theirs.name
    assert vars(ours) == vars(theirs)


@pytest.mark.parametrize("name", [*TOOLS, *VALUES, "LocalShellCommandRequest"])
def test_parameters_are_those_of_the_sdk(name: str) -> None:
    theirs = inspect.signature(getattr(pytest.importorskip("agents.tool"), name))
    ours = inspect.signature(getattr(hosted, name))
    assert [(p.name, p.kind, p.default) for p in ours.parameters.values()] == [
        (p.name, p.kind, p.default) for p in theirs.parameters.values()
    ]


def test_every_kind_of_tool_is_a_tool() -> None:
    kinds = {
        getattr(kind, "__name__", None) or kind.__origin__.__name__
        for kind in get_args(agentstream.Tool)
    }
    assert kinds == {*TOOLS, "FunctionTool"}


def test_a_computer_tool_is_equal_to_itself_only() -> None:
    computer = object()
    tool = hosted.ComputerTool(computer)
    assert tool == tool
    assert tool != hosted.ComputerTool(computer)
    assert {tool: 1}[tool] == 1


def test_other_tools_are_equal_by_value() -> None:
    assert hosted.FileSearchTool(["a"]) == hosted.FileSearchTool(["a"])
    changed = dataclasses.replace(hosted.WebSearchTool(), search_context_size="low")
    assert changed.search_context_size == "low"


@pytest.mark.parametrize("name", ["Computer", "AsyncComputer"])
def test_a_computer_needs_the_methods_of_the_sdks(name: str) -> None:
    theirs = getattr(pytest.importorskip("agents.computer"), name)
    ours = getattr(hosted, name)
    assert ours.__abstractmethods__ == theirs.__abstractmethods__
    for method in ours.__abstractmethods__:
        their_parameters = list(inspect.signature(getattr(theirs, method)).parameters)
        assert list(inspect.signature(getattr(ours, method)).parameters) == their_parameters
        asynchronous = inspect.iscoroutinefunction(getattr(ours, method))
        assert asynchronous == (name == "AsyncComputer")


def test_a_computer_says_nothing_of_its_kind_and_size_unless_it_knows() -> None:
    for kind in (hosted.Computer, hosted.AsyncComputer):
        whole = type("Whole", (kind,), dict.fromkeys(kind.__abstractmethods__, lambda self: None))
        assert whole().environment is None
        assert whole().dimensions is None
