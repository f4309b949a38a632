"""Examples in docstrings do what they show."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import agentstream

REFUSED = {"agentstream.realtime", "agentstream.sandbox", "agentstream.voice"}
"""Importing one of these raises: it is left to the OpenAI Agents SDK."""

MODULES = ["agentstream"] + [
    module.name
    for module in pkgutil.walk_packages(agentstream.__path__, "agentstream.")
    if module.name not in REFUSED
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of(name: str) -> None:
    module = importlib.import_module(name)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)
