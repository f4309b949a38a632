"""What `import agentstream` costs, and what the distribution says of itself."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import agentstream
from agentstream import _run_starter
from agentstream.testing import ScriptedServer, call

HEAVY = {
    "IPython",
    "anywidget",
    "griffe",
    "hypothesis",
    "ipykernel",
    "ipywidgets",
    "markdown_it",
    "mcp",
    "nest_asyncio",
    "nest_asyncio2",
    "nh3",
    "numpy",
    "pandas",
    "pygments",
    "pytest",
}
"""Packages that one part of agentstream needs: a program that does not use it does not wait."""


NOT_OF_A_FIRST_RUN = {
    "agentstream.batch",
    "agentstream.mcp",
    "agentstream.models.chat_completions.model",
    "agentstream.recordings.recorded_model",
    "agentstream.notebook",
    "agentstream.realtime",
    "agentstream.recordings.recorded_run",
    "agentstream.recording",
    "agentstream.repl",
    "agentstream.run.state.serialize",
    "agentstream.sessions",
    "agentstream.trace.dataframes",
    "agentstream.trace.graph",
    "agentstream.trace.timeline.svg",
    "agentstream.trace.timeline",
    "concurrent.futures.process",
    "difflib",
    "multiprocessing",
    "sqlite3",
    "xml",
}
"""Modules of which a run that streams through the Responses API uses nothing."""

FIRST_RUN = """
import asyncio
from openai import AsyncOpenAI
from agentstream import Agent, OpenAIResponsesModel, Runner, function_tool

@function_tool
def look(city: str) -> str:
    return "seen"

async def main():
    client = AsyncOpenAI(api_key="none", base_url="{url}")
    agent = Agent("A", tools=[look], model=OpenAIResponsesModel("m", client))
    async for event in Runner.run_streamed(agent, "hi").stream_events():
        pass
asyncio.run(main())
"""


def modules_after(statement: str) -> set[str]:
    """Top-level packages that a new interpreter has loaded after `statement`."""
    return {name.partition(".")[0] for name in every_module_after(statement)}


def every_module_after(statement: str) -> set[str]:
    """Modules that a new interpreter has loaded after `statement`."""
    code = f"{statement}\nimport sys\nfor name in list(sys.modules): sys.stdout.write(name + '\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split())


def test_import_loads_no_package_that_only_a_part_needs() -> None:
    loaded = modules_after("import agentstream")
    assert "agentstream" in loaded
    assert loaded & (HEAVY | {"openai", "pydantic"}) == set()


@pytest.mark.slow
def test_a_first_run_loads_nothing_that_it_does_not_use() -> None:
    with ScriptedServer([call("look", city="Lisbon"), "Seen."]) as server:
        loaded = every_module_after(FIRST_RUN.format(url=server.base_url))
        assert len(server.requests) == 2
    assert loaded & NOT_OF_A_FIRST_RUN == set()
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()


@pytest.mark.slow
def test_importing_every_public_name_loads_no_heavy_package_either() -> None:
    assert modules_after("from agentstream import *") & HEAVY == set()


def test_version_is_the_distributions() -> None:
    project = Path(__file__).parents[1] / "pyproject.toml"
    declared = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    assert agentstream.__version__ == declared["version"]


def test_the_package_is_typed() -> None:
    package = Path(agentstream.__file__).parent
    assert (package / "py.typed").is_file(), "type checkers ignore a package without py.typed"


@pytest.mark.slow
def test_no_submodule_hides_a_public_name_when_it_is_imported() -> None:
    # `agentstream.trace` is a function of the SDK's and a package of ours.
    modules_after(
        "import agentstream, importlib, pkgutil\n"
        "before = {name: getattr(agentstream, name) for name in agentstream.__all__}\n"
        "for module in pkgutil.iter_modules(agentstream.__path__, 'agentstream.'):\n"
        "    try: importlib.import_module(module.name)\n"
        "    except ImportError as error: assert 'Agents SDK' in str(error), error\n"
        "after = {name: getattr(agentstream, name) for name in agentstream.__all__}\n"
        "assert {name for name in before if before[name] is not after[name]} == set()"
    )


def test_the_package_hands_the_views_what_starts_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _run_starter.run_starter() is agentstream.Runner
    monkeypatch.setattr(_run_starter, "_load", None)
    with pytest.raises(RuntimeError, match="import agentstream"):
        agentstream.show(agentstream.Agent(name="A"), "hi")
