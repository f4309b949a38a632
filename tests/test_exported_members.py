"""`__init__.pyi` lists the public names and their modules, for type checkers and at run time."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import agentstream
from agentstream import _lazy

STUB = Path(agentstream.__file__).with_suffix(".pyi")


def names_for_type_checkers() -> dict[str, str]:
    return {
        alias.asname: node.module or ""
        for node in ast.parse(STUB.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name and node.level == 1
    }


def test_what_type_checkers_see_is_what_is_imported_at_first_use() -> None:
    assert names_for_type_checkers() == _lazy.LAZY_IMPORTS
    assert len(_lazy.LAZY_IMPORTS) == STUB.read_text(encoding="utf-8").count("from .")


def test_all_is_sorted_and_holds_every_public_name_of_the_package() -> None:
    assert set(_lazy.LAZY_IMPORTS) == set(agentstream.__all__) - {"__version__"}
    assert agentstream.__all__ == sorted(agentstream.__all__)


def test_each_public_name_is_there_and_listed() -> None:
    for name in agentstream.__all__:
        assert getattr(agentstream, name) is not None
    assert set(agentstream.__all__) <= set(dir(agentstream))


def test_a_bundle_that_left_out_the_stub_is_told_what_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pkgutil.get_data", lambda *_: Path("/nowhere/at/all").read_bytes())
    with pytest.raises(ImportError, match=r"__init__\.pyi is missing.*--collect-all agentstream"):
        _lazy._read_stub()


def test_a_completer_offers_the_public_names_and_the_modules_alone() -> None:
    offered = {name for name in dir(agentstream) if not name.startswith("_")}
    modules = {path.stem for path in STUB.parent.iterdir()}
    assert offered <= {*agentstream.__all__, *modules}


def test_the_function_trace_stays_when_the_module_trace_is_imported() -> None:
    importlib.import_module("agentstream.trace")
    assert callable(agentstream.trace)


def test_a_module_is_found_by_its_name_alone() -> None:
    assert agentstream.items.__name__ == "agentstream.items"


def test_a_name_that_is_not_there_is_no_attribute() -> None:
    assert not hasattr(agentstream, "nothing_of_this_name")
    assert not hasattr(agentstream, "_repr_html_")
