"""What a test of the SDK touches: its public interface, its internals, or a part that is left out.

Found by reading the test: the function, its fixtures, and the helpers that it calls, down to the
names that they take from `agents`. Public is what the API reference of the SDK's documentation
lists (the navigation of its ``mkdocs.yml``) and what its packages export. A test is internal if it

- imports another module, a name with an underscore, or one that the reference does not show,
  which is one without a docstring;
- uses an attribute with an underscore that the SDK's sources have and the test does not define;
- replaces a name in one of the SDK's modules or classes, or in a library, which works only where
  the SDK looks it up there;
- overrides a method with an underscore of one of the SDK's classes.
"""

from __future__ import annotations

import ast
import itertools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from agentstream import _unsupported
from agentstream.compat._modules import part_of

LEFT_OUT_NAMES = {
    "DaprSession": "other sessions",
    "MongoDBSession": "other sessions",
    "ResponseApplyPatchToolCall": "shell and patch tools",
    "SPAN_PROCESSOR_TESTING": "traces of runs",
}

REPOSITORY = "the SDK's own repository"
SAVED_FORM = "the JSON form of a saved run"
_SAVED_KEYS = frozenset(
    "$schemaVersion context.approvals current_step function_tool_approvals generated_items"
    " last_processed_response pending_session_write terminal_unrecoverable".split()
)
"""Keys of the SDK's RunState JSON, which no other dict of its has."""
_OWN_TARGETS = ("tests.", "builtins.", "sys.", "os.")
"""What a test may replace by its dotted name without a guess at what the SDK calls."""
_PATCHES = frozenset({"setattr", "delattr", "patch", "object", "multiple"})
_PRIVATE = re.compile(r"_[a-zA-Z]\w*")


@dataclass(frozen=True)
class Touch:
    """One thing that a test takes from the SDK: what, and why it is not public; "" if it is."""

    name: str
    kind: str  # "public", "internal" or "left out"
    why: str = ""


@dataclass
class Module:
    """A file of tests, or of their helpers."""

    path: Path
    sdk: Sdk

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @cached_property
    def definitions(self) -> dict[str, ast.AST]:
        found: dict[str, ast.AST] = {}
        for node in _top(self.tree):
            for name in _defined(node):
                found.setdefault(name, node)
        return found

    @cached_property
    def imports(self) -> dict[str, tuple[str, str | None]]:
        return _imports(_top(self.tree), self)

    @cached_property
    def own_private(self) -> set[str]:
        """Names with an underscore that this file defines."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                found.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                value = node.value
                if isinstance(value, ast.Name) and value.id == "self":
                    found.add(node.attr)
        return found

    @cached_property
    def autouse(self) -> list[ast.AST]:
        return [
            node
            for node in _top(self.tree)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            and any("autouse" in ast.dump(one) for one in node.decorator_list)
        ]


@dataclass
class Sdk:
    """The unpacked sdist."""

    root: Path
    modules: dict[Path, Module] = field(default_factory=dict)

    def module(self, path: Path) -> Module:
        return self.modules.setdefault(path, Module(path, self))

    @cached_property
    def documented(self) -> set[str]:
        """Modules below `agents` in the navigation of the API reference."""
        text = (self.root / "mkdocs.yml").read_text(encoding="utf-8")
        pages = re.findall(r": ref/(\S+)\.md", text)
        return {
            page.replace("/", ".").removesuffix(".index").removesuffix("index") for page in pages
        }

    @cached_property
    def exported(self) -> dict[str, set[str]]:
        """Package below `agents`, "" for itself, to the names that it exports."""
        source = self.root / "src" / "agents"
        found = {}
        for path in source.rglob("__init__.py"):
            inner = ".".join(path.parent.relative_to(source).parts)
            names = set()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    names.add(node.value)
                elif isinstance(node, ast.ImportFrom) and "agents" not in (node.module or ""):
                    names |= {one.asname or one.name for one in node.names}
            found[inner] = {name for name in names if name.isidentifier()}
        return found

    @cached_property
    def defined(self) -> dict[str, set[str]]:
        """Module below `agents` to what it defines itself."""
        source = self.root / "src" / "agents"
        found = {}
        for path in source.rglob("*.py"):
            parts = path.relative_to(source).with_suffix("").parts
            inner = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found[inner] = {name for node in _top(tree) for name in _defined(node)}
            found[f"{inner}:documented"] = set(_documented(list(_top(tree))))
        return found

    @cached_property
    def private(self) -> set[str]:
        """Names with an underscore that occur in the sources."""
        source = self.root / "src" / "agents"
        text = "\n".join(path.read_text(encoding="utf-8") for path in source.rglob("*.py"))
        return set(re.findall(r"(?<![\w])_[a-zA-Z]\w*", text))

    def touch(self, module: str, name: str | None) -> Touch:
        """What it means to take `name` from ``agents.module``."""
        full = ".".join(one for one in ("agents", module, name) if one)
        inner = ".".join(one for one in (module, name) if one)
        if name is not None and inner in self.defined:  # a submodule
            return self.touch(inner, None)
        part = part_of(inner)
        if module == "testing" and name in self.defined["testing.sandbox"]:
            part = "sandboxes"
        if part is None and name is not None:
            part = LEFT_OUT_NAMES.get(name) or _unsupported._PART_OF.get(name)
        if part is not None:
            return Touch(full, "left out", part)
        if any(one.startswith("_") and not one.startswith("__") for one in inner.split(".")):
            return Touch(full, "internal", "an underscore")
        package = module in self.exported
        if name is None:
            public = not module or module in self.documented or package
            public = public and not module.startswith(("run_internal", "util"))
            return Touch(full, *(("public",) if public else ("internal", "no documented module")))
        if name in self.exported[""] or (package and name in self.exported[module]):
            return Touch(full, "public")
        if module not in self.documented:
            return Touch(full, "internal", "no documented module")
        if not any(name in self.defined.get(f"{one}:documented", ()) for one in self.documented):
            return Touch(full, "internal", "not in the API reference")
        return Touch(full, "public")


def _top(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements of a module, also those inside `if` and `try`."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop(0)
        yield node
        for part in ("body", "orelse", "finalbody") if isinstance(node, (ast.If, ast.Try)) else ():
            waiting[:0] = getattr(node, part, [])
        if isinstance(node, ast.Try):
            waiting[:0] = [one for handler in node.handlers for one in handler.body]


def _defined(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            for one in ast.walk(target):
                if isinstance(one, ast.Name):
                    yield one.id


def _documented(nodes: list[ast.stmt]) -> Iterator[str]:
    """What the API reference shows of a module: what has a docstring."""
    for node, after in itertools.pairwise([*nodes, ast.Pass()]):
        if "__all__" in _defined(node):
            yield from ast.literal_eval(getattr(node, "value"))  # noqa: B009
            continue
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            shown = ast.get_docstring(node) is not None
        elif isinstance(node, ast.ClassDef):
            members = [one for one in node.body if isinstance(one, ast.FunctionDef)]
            shown = ast.get_docstring(node) is not None or any(
                ast.get_docstring(one) for one in members if not one.name.startswith("_")
            )
        else:
            value = getattr(after, "value", None) if isinstance(after, ast.Expr) else None
            shown = isinstance(getattr(value, "value", None), str)
        if shown:
            yield from _defined(node)


def _imports(nodes: Any, module: Module) -> dict[str, tuple[str, str | None]]:
    """Local name to (dotted module, name in it or None)."""
    found: dict[str, tuple[str, str | None]] = {}
    package = module.path.relative_to(module.sdk.root).parent.parts
    for node in nodes:
        if isinstance(node, ast.Import):
            for one in node.names:
                name = one.name if one.asname else one.name.partition(".")[0]
                found[one.asname or name] = (name, None)
                if not one.asname and "." in one.name:
                    found[f"import {one.name}"] = (one.name, None)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            dotted = ".".join([*base, *((node.module,) if node.module else ())])
            for one in node.names:
                found[one.asname or one.name] = (dotted, one.name)
    return found


class Reader:
    """Reads what one test touches."""

    def __init__(self, sdk: Sdk, test: Module) -> None:
        self.sdk, self.test = sdk, test
        self.touches: set[Touch] = set()
        self._seen: set[int] = set()

    def read(self, node: ast.AST, module: Module) -> None:
        if id(node) in self._seen:
            return
        self._seen.add(id(node))
        local = {**module.imports, **_imports(ast.walk(node), module)}
        for name in _imports(ast.walk(node), module).values():
            self._imported(*name)
        # A double that other files share has methods that most of them never call: of these, what
        # happens when the test runs decides.
        if isinstance(node, ast.ClassDef) and module.path != self.test.path:
            return
        if isinstance(node, ast.ClassDef):
            self._overrides(node, local)
        for one in ast.walk(node):
            if isinstance(one, ast.Name):
                self._name(one.id, module, local)
            elif isinstance(one, ast.arg):
                self._name(one.arg, module, {}, fixture=True)
            elif isinstance(one, ast.Attribute):
                self._attribute(one, module, local)
            elif isinstance(one, ast.Call):
                self._call(one, module, local)
            elif isinstance(one, ast.Constant) and one.value in _SAVED_KEYS:
                self.touches.add(Touch(str(one.value), "left out", SAVED_FORM))
            elif isinstance(one, ast.Constant) and one.value == "apply_patch_call":
                self.touches.add(Touch("apply_patch_call", "left out", "shell and patch tools"))
            elif isinstance(one, ast.keyword) and one.arg:
                self._private(one.arg, module)

    def _overrides(self, node: ast.ClassDef, local: dict[str, tuple[str, str | None]]) -> None:
        """What a double of the test's own changes inside a class of the SDK."""
        if not any(self._dotted(base, local) for base in node.bases):
            return
        for method in node.body:
            name = getattr(method, "name", "")
            if _PRIVATE.fullmatch(name) and name in self.sdk.private:
                self.touches.add(Touch(name, "internal", "overrides an underscore"))

    def _name(
        self,
        name: str,
        module: Module,
        local: dict[str, tuple[str, str | None]],
        fixture: bool = False,
    ) -> None:
        if name in LEFT_OUT_NAMES:
            self.touches.add(Touch(name, "left out", LEFT_OUT_NAMES[name]))
        elif name in local:
            target, inner = local[name]
            if target == "agents" and inner is None:
                return  # read by its attributes
            self._imported(target, inner)
        elif name in module.definitions:
            node = module.definitions[name]
            if not fixture or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self.read(node, module)

    def _imported(self, target: str, name: str | None) -> None:
        package, _, inner = target.partition(".")
        if package == "agents":
            if inner or name:
                self.touches.add(self.sdk.touch(inner, name))
        elif package == "tests":
            path = self.sdk.root.joinpath(*target.split("."))
            whole = path.with_suffix(".py")
            if name is not None and (path / f"{name}.py").exists():
                whole, name = path / f"{name}.py", None
            if not whole.exists():
                return
            helper = self.sdk.module(whole)
            if name in helper.definitions:
                self.read(helper.definitions[str(name)], helper)
            elif name in helper.imports:
                self._imported(*helper.imports[str(name)])

    def _dotted(self, node: ast.AST, local: dict[str, tuple[str, str | None]]) -> str | None:
        """The dotted name of a module or of something in `agents`; None if it is neither."""
        if isinstance(node, ast.Name) and node.id in local:
            target, name = local[node.id]
            full = ".".join(one for one in (target, name) if one)
            return full if full.partition(".")[0] == "agents" else None
        if isinstance(node, ast.Attribute):
            base = self._dotted(node.value, local)
            return base and f"{base}.{node.attr}"
        return None

    def _is_module(self, dotted: str | None) -> bool:
        return dotted is not None and dotted.partition(".")[2] in self.sdk.defined

    def _attribute(
        self,
        node: ast.Attribute,
        module: Module,
        local: dict[str, tuple[str, str | None]],
    ) -> None:
        base = self._dotted(node.value, local)
        if base is not None and self._is_module(base):
            self.touches.add(self.sdk.touch(base.partition(".")[2], node.attr))
        else:
            self._private(node.attr, module)

    def _private(self, name: str, module: Module) -> None:
        if _PRIVATE.fullmatch(name) and name in self.sdk.private and name not in module.own_private:
            self.touches.add(Touch(name, "internal", "an underscore"))

    def _call(
        self, node: ast.Call, module: Module, local: dict[str, tuple[str, str | None]]
    ) -> None:
        """What is replaced by name: ``setattr(module, "name", ...)``, ``patch("agents.x.y")``."""
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        texts = [
            one.value
            for one in node.args
            if isinstance(one, ast.Constant) and isinstance(one.value, str)
        ]
        if name in {"getattr", "hasattr", "setattr", "delattr", "object"}:
            for text in texts:
                self._private(text, module)
        if name == "import_module":
            for text in texts:
                self._imported(text, None)
        if name not in _PATCHES or not node.args:
            return
        if texts and texts[0].startswith("agents."):
            self.touches.add(self._patched(texts[0]))
        elif texts and "." in texts[0] and not texts[0].startswith(_OWN_TARGETS):
            self.touches.add(Touch(texts[0], "internal", "replaced"))
        base = self._dotted(node.args[0], local)
        if name != "object" or len(node.args) > 1:
            self._library(node.args[0], texts, local)
        if base is not None and base != "agents" and (texts or self._is_module(base)):
            self.touches.add(Touch(f"{base}.{(texts or ['?'])[0]}", "internal", "replaced"))

    def _library(
        self, target: ast.AST, texts: list[str], local: dict[str, tuple[str, str | None]]
    ) -> None:
        """A function of a module of Python's own: ``patch.object(json, "dumps")``."""
        if not texts or not isinstance(target, ast.Name) or target.id not in local:
            return
        module, name = local[target.id]
        package = module.partition(".")[0]
        if name is None and package in sys.stdlib_module_names - {"builtins", "os", "sys"}:
            self.touches.add(Touch(f"{module}.{texts[0]}", "internal", "replaced"))

    def _patched(self, dotted: str) -> Touch:
        """A target of ``patch("agents.module.Class.method")``."""
        parts = dotted.split(".")[1:]
        for length in range(len(parts), 0, -1):
            module = ".".join(parts[:length])
            if module in self.sdk.defined:
                rest = parts[length:]
                if len(rest) == 1:
                    return Touch(dotted, "internal", "replaced")
                if any(_PRIVATE.fullmatch(one) for one in rest):
                    return Touch(dotted, "internal", "an underscore")
                return self.sdk.touch(module, rest[0] if rest else None)
        return Touch(dotted, "internal", "replaced")


def classify(sdk: Sdk, file: Path) -> dict[str, Touch]:
    """Each test function of a file, as ``name`` or ``Class::name``, to what decides its class."""
    module = sdk.module(file)
    found: dict[str, Touch] = {}
    for node in _top(module.tree):
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            methods = {
                one.name: one
                for one in node.body
                if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))
            }
            for name, method in methods.items():
                if name.startswith("test"):
                    found[f"{node.name}::{name}"] = _decided(sdk, module, method, methods)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith(
            "test"
        ):
            found[node.name] = _decided(sdk, module, node, {})
    return found


def _decided(sdk: Sdk, module: Module, test: Any, methods: dict[str, Any]) -> Touch:
    reader = Reader(sdk, module)
    reader.read(test, module)
    for fixture in module.autouse:
        reader.read(fixture, module)
    waiting = [test]
    while waiting:  # methods and fixtures of the test's own class
        node = waiting.pop()
        names = {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}
        names |= {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}
        for name in names & methods.keys():
            if id(methods[name]) not in reader._seen:
                reader.read(methods[name], module)
                waiting.append(methods[name])
    touches = sorted(reader.touches, key=lambda one: (one.kind, one.why, one.name))
    for kind in ("left out", "internal", "public"):
        for one in touches:
            if one.kind == kind:
                return one
    return Touch("", "left out", REPOSITORY)
