"""Imports a public name when it is first used, so that ``import agentstream`` imports nothing else.

All of the package takes half a second of processor time; a program that only replays a recording,
or shows a table, needs a part of it. Where each name lives, `__init__.pyi` says.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re
import sys
from types import ModuleType
from typing import Any, Final

from . import _unsupported
from ._run_starter import set_run_starter
from ._utils.keywords import suggest

_PACKAGE: Final = __name__.rpartition(".")[0]


def _read_stub() -> dict[str, str]:
    try:
        stub = (pkgutil.get_data(_PACKAGE, "__init__.pyi") or b"").decode()
    except OSError as error:
        raise ImportError(
            f"{_PACKAGE}/__init__.pyi is missing, which lists the public names. A program that was "
            f"bundled needs all files of the package: pyinstaller --collect-all {_PACKAGE}."
        ) from error
    lines = re.findall(r"from \.([\w.]+) import \(?\s*(\w+) as \2", stub)
    return {name: module_path for module_path, name in sorted(lines, key=lambda line: line[1])}


LAZY_IMPORTS: Final = _read_stub()
"""The module of each public name, sorted by name."""


def import_name(name: str) -> Any:
    """A public name of the package, or a submodule, imported now.

    Raises
    ------
    AttributeError
        There is no such name.
    ImportError
        The name is one of the SDK's that is left to the SDK.
    """
    module_path = LAZY_IMPORTS.get(name)
    if module_path is not None:
        value = getattr(importlib.import_module(f"{_PACKAGE}.{module_path}"), name)
        setattr(sys.modules[_PACKAGE], name, value)
        return value
    module = f"{_PACKAGE}.{name}"
    is_private = name.startswith("_") or _unsupported.is_left_out(name)
    if not is_private and importlib.util.find_spec(module) is not None:
        # Programs that import the package alone find its modules, too: `agentstream.items`.
        return importlib.import_module(module)
    if _unsupported.is_left_out(name):
        return _unsupported.__getattr__(name)
    hint = "" if name.startswith("_") else suggest(name, LAZY_IMPORTS)
    text = f"module {_PACKAGE!r} has no attribute {name!r}.{hint}"
    raise AttributeError(text, name=None, obj=None)


def list_names() -> list[str]:
    """What ``dir(agentstream)`` lists."""
    return sorted({*vars(sys.modules[_PACKAGE]), *LAZY_IMPORTS})


class Package(ModuleType):
    """The package, in which the function `trace` is not replaced by the module of that name.

    To import a submodule sets it as an attribute of its package, and PEP 562 has no hook for that.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in LAZY_IMPORTS or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


set_run_starter(lambda: import_name("Runner"))
