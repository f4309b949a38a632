"""What `import agentstream` costs, and what the distribution says of itself."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import agentstream

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


def modules_after(statement: str) -> set[str]:
    """Top-level modules that a new interpreter has loaded after `statement`."""
    code = f"{statement}\nimport sys\nfor name in list(sys.modules): sys.stdout.write(name + '\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_import_loads_no_package_that_only_a_part_needs() -> None:
    loaded = modules_after("import agentstream")
    assert "agentstream" in loaded
    assert loaded & HEAVY == set()


def test_importing_every_public_name_loads_no_heavy_package_either() -> None:
    assert modules_after("from agentstream import *") & HEAVY == set()


def test_version_is_the_distributions() -> None:
    project = Path(__file__).parents[1] / "pyproject.toml"
    declared = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    assert agentstream.__version__ == declared["version"]


def test_the_package_is_typed() -> None:
    package = Path(agentstream.__file__).parent
    assert (package / "py.typed").is_file(), "type checkers ignore a package without py.typed"


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
