"""The import hook that answers for `agents`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

from .. import _lazy, _unsupported
from ..exceptions import UserError
from ._modules import LEFT_OUT_NAMES, TWINS, part_of

SDK: Final = "agents"
SDK_VERSION: Final = "0.24.0"
"""The release whose names and behaviour are followed."""


class _Twin(ModuleType):
    """A module under the SDK's name whose names are agentstream's."""

    __version__ = SDK_VERSION

    def __getattr__(self, name: str) -> Any:
        """A name of agentstream's, or a submodule, imported now.

        Raises
        ------
        AttributeError
            agentstream has no such name.
        ImportError
            The name is one of those that are left to the SDK.
        """
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        inner = f"{self.__name__}.{name}".partition(".")[2]
        package = importlib.import_module("agentstream")
        if name in _lazy.LAZY_IMPORTS:
            value = getattr(package, name)
        elif inner in TWINS:
            return importlib.import_module(f"{SDK}.{inner}")
        else:
            value = self._of_a_twin(name)
        setattr(self, name, value)
        return value

    def _twins(self) -> Iterator[ModuleType]:
        for twin in TWINS.get(self.__name__.partition(".")[2], ()):
            yield importlib.import_module(f"agentstream.{twin}".rstrip("."))

    def _of_a_twin(self, name: str) -> Any:
        if not name.startswith("_"):
            for module in self._twins():
                if hasattr(module, name):
                    return getattr(module, name)
        if _unsupported.is_left_out(name):
            _unsupported.__getattr__(name)
        raise AttributeError(
            f"agentstream answers for {self.__name__!r} and has no {name!r}: docs/agents-sdk.md "
            "says what is left out."
        )

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__all__})

    @property
    def __all__(self) -> list[str]:
        if self.__name__ == SDK:
            return sorted(_lazy.LAZY_IMPORTS)
        names: set[str] = set()
        for module in self._twins():
            public = getattr(module, "__all__", None) or vars(module)
            names |= {name for name in public if not name.startswith("_")}
        return sorted(names)


class _Loader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Twin(spec.name, f"agentstream, under the SDK's name {spec.name}.")

    def exec_module(self, module: ModuleType) -> None:
        """Nothing runs: names are looked up when they are asked for."""


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module of the SDK's.

        Raises
        ------
        ModuleNotFoundError
            agentstream has nothing that could answer for it.
        """
        package, _, inner = fullname.partition(".")
        if package != SDK:
            return None
        if inner and inner not in TWINS:
            # Without its name: `from agents.tool import x` comes here, too, for an x that is not in
            # agents.tool, and drops an error of that name for one that says "unknown location".
            raise ModuleNotFoundError(_why_not(fullname, inner))
        return ModuleSpec(fullname, _Loader(), is_package=True)


def _why_not(fullname: str, inner: str) -> str:
    part = part_of(inner) or LEFT_OUT_NAMES.get(inner.rpartition(".")[2])
    if part is not None:
        why = f"{part} belong to what agentstream leaves to the OpenAI Agents SDK"
    elif any(name.startswith("_") for name in inner.split(".")) or "run_internal" in inner:
        why = "it is internal to the OpenAI Agents SDK, and its names may change in any release"
    else:
        why = "what the OpenAI Agents SDK 0.24 has under that name, if anything, is not documented"
    return (
        f"agentstream answers for {SDK!r} here and has no {fullname!r}: {why}. "
        "Run the program on the SDK itself, without agentstream.compat, if it needs it."
    )


_FINDER: Final = _Finder()


def is_installed() -> bool:
    """Whether ``import agents`` finds agentstream in this process.

    Examples
    --------
    >>> is_installed()
    False
    """
    return _FINDER in sys.meta_path


def install() -> None:
    """Let ``import agents`` find agentstream from now on, in this process.

    Raises
    ------
    UserError
        The SDK itself has been imported: its names cannot be taken back.

    Examples
    --------
    ::

        import agentstream.compat
        agentstream.compat.install()
        from agents import Agent, Runner
    """
    if is_installed():
        return
    loaded = sys.modules.get(SDK)
    if loaded is not None:
        raise UserError(
            f"{SDK!r} has been imported already, from {getattr(loaded, '__file__', 'elsewhere')}. "
            "Call agentstream.compat.install() first; in a notebook, restart the kernel before."
        )
    from ..run_config import set_default_collision_policy

    set_default_collision_policy("warn")
    sys.meta_path.insert(0, _FINDER)
    importlib.invalidate_caches()


def uninstall() -> None:
    """Let ``import agents`` find the SDK again, where it is installed.

    Names that were imported meanwhile stay agentstream's.

    Examples
    --------
    >>> uninstall()
    """
    if is_installed():
        from ..run_config import set_default_collision_policy

        set_default_collision_policy("error")
        sys.meta_path.remove(_FINDER)
    for name in [one for one, module in sys.modules.items() if isinstance(module, _Twin)]:
        del sys.modules[name]
