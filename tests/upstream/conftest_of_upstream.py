"""The conftest of the SDK's own test suite, as it is run on agentstream: the import hook of
`agentstream.compat`, and stand-ins for what is internal to the SDK or left to it.

A stand-in raises when it is used, so that a test that reaches into the SDK is told from one that
fails. Outcomes are written to the file named by ``UPSTREAM_OUTCOMES``.
"""

from __future__ import annotations

import ast
import contextlib
import json
import linecache
import os
import re
import sys
from collections.abc import Iterator
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import agentstream.compat
from agentstream.compat import _importer
from agentstream.compat._modules import TWINS, part_of
from agentstream.mcp.client import UNSET

agentstream.compat.install()
os.environ.setdefault("OPENAI_API_KEY", "test_key")


class ReachesInside(BaseException):
    """A test used what is internal to the SDK. No Exception, so that nothing takes it for one."""


class LeftOut(BaseException):
    """A test used what agentstream leaves to the SDK."""


class Missing(BaseException):
    """A test used a public name that agentstream does not have."""


class StandIn:
    """Anything that may be imported and named, and not used."""

    def __init__(self, name: str, kind: type[BaseException]) -> None:
        self.__dict__.update(_name=name, _kind=kind)

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn(f"{self._name}.{name}", self._kind)

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise self._kind(self._name)

    __call__ = __setattr__ = __delattr__ = __instancecheck__ = __subclasscheck__ = _refuse
    __iter__ = __enter__ = __aenter__ = __eq__ = __lt__ = __add__ = __contains__ = _refuse
    __hash__ = object.__hash__

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        def refuse(*_: Any, **__: Any) -> Any:
            raise self._kind(self._name)

        return (type("Base", (), {"__init__": refuse}),)

    def __or__(self, other: Any) -> Any:
        return self

    __ror__ = __getitem__ = __or__


def literal(module: str, name: str) -> Any:
    """The value of a constant in the SDK's sources; None if it is no literal."""
    source = SOURCES.joinpath(*module.split("."))
    path = source / "__init__.py" if source.is_dir() else source.with_suffix(".py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body if path.exists() else ():
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(one, ast.Name) and one.id == name for one in targets):
            with contextlib.suppress(ValueError):
                return ast.literal_eval(node.value)  # type: ignore[attr-defined]
    return None


class StandInModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        inner = self.__name__.partition(".")[2]
        known = literal(self.__name__, name)
        if known is not None:
            return known
        kind = LeftOut if part_of(inner) else ReachesInside
        return StandIn(f"{self.__name__}.{name}", kind)


class StandInLoader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandInModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class StandInFinder(MetaPathFinder):
    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        package, _, inner = fullname.partition(".")
        if package != "agents" or inner in TWINS or inner not in MODULES:
            return None
        return ModuleSpec(fullname, StandInLoader(), is_package=True)


SOURCES = Path(__file__).parent.parent / "src"
MODULES = {
    ".".join(path.relative_to(SOURCES / "agents").with_suffix("").parts).removesuffix(".__init__")
    for path in (SOURCES / "agents").rglob("*.py")
}
"""The SDK's own modules, below `agents`."""

sys.meta_path.insert(0, StandInFinder())

_names = _importer._Twin.__getattr__


def _or_stand_in(module: Any, name: str) -> Any:
    try:
        return _names(module, name)
    except ImportError:
        return StandIn(f"{module.__name__}.{name}", LeftOut)
    except AttributeError:
        if name.startswith("__"):
            raise
        if (module.__name__, name) == ("agents.mcp.server", "_UNSET"):
            return UNSET  # the default of a parameter, which a double passes on
        known = literal(module.__name__, name)
        if known is not None:
            return known
        kind = ReachesInside if name.startswith("_") else Missing
        return StandIn(f"{module.__name__}.{name}", kind)


_importer._Twin.__getattr__ = _or_stand_in  # type: ignore[method-assign]


WORDED: dict[str, str] = {}
"""Test to what an error says in it, where that is not what the SDK says."""

_raises = pytest.raises


class _InOtherWords:
    """`pytest.raises`, which notes a text that does not match, and goes on."""

    def __init__(self, expected: Any, match: Any, options: dict[str, Any]) -> None:
        self.expected, self.match = _raises(expected, **options), match

    def __enter__(self) -> Any:
        self.info = self.expected.__enter__()
        return self.info

    def __exit__(self, *error: Any) -> bool | None:
        is_raised = self.expected.__exit__(*error)
        if is_raised and not re.search(self.match, str(self.info.value)):
            test = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
            WORDED[test] = f"{self.match!r} | {self.info.value}"[:300]
        return is_raised


def _raises_in_any_words(expected: Any, *call: Any, match: Any = None, **options: Any) -> Any:
    if match is None or call:
        more = {} if match is None else {"match": match}
        return _raises(expected, *call, **more, **options)
    return _InOtherWords(expected, match, options)


pytest.raises = _raises_in_any_words  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def no_real_models(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Real models are never asked, as in the suite's own conftest."""
    if request.node.get_closest_marker("allow_call_model_methods"):
        return

    def fail(*_: Any, **__: Any) -> None:
        pytest.fail("Real models should not be used in tests!")

    for kind in (agentstream.OpenAIResponsesModel, agentstream.OpenAIChatCompletionsModel):
        monkeypatch.setattr(kind, "get_response", fail)
        monkeypatch.setattr(kind, "stream_response", fail)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not of the public interface in scope: `scope` has told which is."""
    path = os.environ.get("UPSTREAM_SELECTED")
    if path:
        with open(path, encoding="utf-8") as file:
            selected = set(json.load(file))
        kept = [item for item in items if item.nodeid.partition("[")[0] in selected]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


OUTCOMES: dict[str, tuple[str, str]] = {}
"""Test to its outcome, and the line and the message with which it failed."""


def _kind_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = str(report.longrepr)
    if report.skipped:
        return "skipped"
    private = "has no attribute '_" in text or "does not have the attribute '_" in text
    if private or f"{ReachesInside.__name__}:" in text:
        return "internal"
    if f"{LeftOut.__name__}:" in text:
        return "left out"
    return "failed"


def _where(report: pytest.TestReport | pytest.CollectReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return str(report.longrepr)[-300:]
    line = linecache.getline(crash.path, crash.lineno).strip()
    return f"{os.path.basename(crash.path)}:{crash.lineno}: {line} | {crash.message[:300]}"


def _record(report: pytest.TestReport | pytest.CollectReport) -> None:
    if OUTCOMES.get(report.nodeid, ("passed",))[0] == "passed":
        failed = (_kind_of(report), _where(report))
        passed = ("worded", WORDED[report.nodeid]) if report.nodeid in WORDED else ("passed", "")
        OUTCOMES[report.nodeid] = passed if report.passed else failed


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome != "passed":
        _record(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if not report.passed:
        _record(report)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish() -> Iterator[None]:
    path = os.environ.get("UPSTREAM_OUTCOMES")
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(OUTCOMES, file, indent=0, sort_keys=True)
    return (yield)
