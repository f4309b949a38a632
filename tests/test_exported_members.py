"""`__init__` is the list of public names and nothing else; `_lazy` says where they live."""

from __future__ import annotations

import ast
from pathlib import Path

import agentstream
from agentstream import _lazy


def imports_for_type_checkers() -> dict[str, str]:
    tree = ast.parse(Path(agentstream.__file__).read_text(encoding="utf-8"))
    return {
        alias.name: node.module or ""
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_what_type_checkers_see_is_what_is_imported_at_first_use() -> None:
    assert imports_for_type_checkers() == _lazy.LAZY_IMPORTS


def test_all_is_sorted_and_holds_every_public_name_of_the_package() -> None:
    assert sorted(_lazy.LAZY_IMPORTS) == sorted(set(agentstream.__all__) - {"__version__"})
    assert agentstream.__all__ == sorted(agentstream.__all__)


def test_each_public_name_is_there_and_listed() -> None:
    for name in agentstream.__all__:
        assert getattr(agentstream, name) is not None
    assert set(agentstream.__all__) <= set(dir(agentstream))


def test_a_module_is_found_by_its_name_alone() -> None:
    assert agentstream.items.__name__ == "agentstream.items"


def test_a_name_that_is_not_there_is_no_attribute() -> None:
    assert not hasattr(agentstream, "nothing_of_this_name")
    assert not hasattr(agentstream, "_repr_html_")
