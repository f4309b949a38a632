"""Names with an underscore that are not ours: which we use, that they are there, what else is done.

A release of a dependency that takes one away fails here, by its name, and not in a user's notebook.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from agentstream.models import create
from agentstream.models.http import bounds
from agentstream.models.retry import client_retries
from agentstream.notebook import ipython
from agentstream.run import sync

ROOT = Path(__file__).parents[1] / "agentstream"

ATTRIBUTES = {
    "_cleanup_kernel": "nbclient: a kernel that is gone is looked after once more, at the exit",
    "_custom_headers": "openai: the headers of a client are not masked in errors",
    "_custom_query": "openai: nor is its query",
    "_exit": "os: documented",
    "_instances": "ipywidgets: a widget counts as shown by itself",
    "_getframe": "sys: CPython; classes that are local to a function are not found without it",
    "_local": "asyncio: it is asked for the loop of a thread, and may make one that nobody closes",
    "_mounts": "httpx2: the passwords of proxies are not masked",
    "_nest_patched": "nest-asyncio: a loop counts as one that does not nest",
    "_platform": "openai: a thread finds out the platform",
    "_proxy_headers": "httpcore2: the passwords of proxies are not masked",
    "_ready": "asyncio: the first nested run of a process may end a loop of Python's own",
    "_request_id": "openai: documented; a response has no id for its service's support",
    "_runtime": "marimo: the run is shown as text",
    "_transport": "httpx2: the passwords of proxies are not masked",
}
"""Attributes, whose they are, and what happens without them."""

MODULES = {
    "_signal": "CPython's signal without its enums: no fallback, part of each CPython",
    "mcp.shared._httpx_utils": "the SDK's default client for MCP over HTTP: no fallback",
    "openai._base_client": "a thread finds out the platform",
    "openai._types": "types of two settings: no fallback",
    "pygments.token._TokenType": "for type checkers",
}
"""Modules, and names in modules."""

INNER = """
    openai:AsyncOpenAI._client ipywidgets.widgets.widget:_instances
    openai._base_client:get_platform openai._types:Body openai._types:Query
    mcp.shared._httpx_utils:create_mcp_http_client _signal:getsignal _signal:signal
    markdown_it.common.utils:isMdAsciiPunct markdown_it.common.utils:isPunctChar
    markdown_it.common.utils:isWhiteSpace markdown_it.common.utils:unescapeAll
    markdown_it.rules_inline.state_inline:Scanned markdown_it.rules_inline:emphasis
    markdown_it.rules_inline:strikethrough markdown_it.rules_block:reference
    markdown_it.rules_core:text_join nbclient:NotebookClient._cleanup_kernel
    marimo._runtime
""".split()
"""Where they are now, beside inner names of markdown-it that have no underscore."""


def names() -> tuple[set[str], set[str]]:
    """Attributes and modules with an underscore that no module of the package defines."""
    own, attributes, modules = set[str](), set[str](), set[str]()
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in ROOT.rglob("*.py")]
    own |= {path.stem for path in ROOT.rglob("*.py")}
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            own.add(node.name)
        elif isinstance(node, ast.Global):
            own.update(node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for each in (each for target in targets for each in ast.walk(target)):
                if isinstance(each, ast.Name):
                    own.add(each.id)
                elif isinstance(each, ast.Attribute) and getattr(each.value, "id", "") == "self":
                    own.add(each.attr)
        match node:
            case ast.Attribute(attr=name):
                attributes.add(name)
            case ast.Call(func=ast.Name("getattr" | "hasattr"), args=[_, ast.Constant(name), *_]):
                attributes.add(str(name))
            case ast.ImportFrom(module=str(module), level=0):
                if module != "__future__" and "._" in f".{module}":
                    modules.add(module)
                modules |= {f"{module}.{one.name}" for one in node.names if one.name[0] == "_"}
            case ast.Import():
                modules |= {one.name for one in node.names if one.name[0] == "_"}
    private = {one for one in attributes if one.startswith("_") and not one.startswith("__")}
    return private - own, modules


@pytest.mark.slow
def test_each_private_name_of_another_package_is_listed_with_its_fallback() -> None:
    attributes, modules = names()
    ours_too = {"_ready"}  # of a result that is to come, and of a loop
    assert attributes | ours_too == set(ATTRIBUTES)
    assert modules == set(MODULES)


@pytest.mark.parametrize("where", INNER)
def test_it_is_there(where: str) -> None:
    module, _, path = where.partition(":")
    pytest.importorskip(module.partition(".")[0])
    found: Any = import_module(module)
    if where == "openai:AsyncOpenAI._client":
        found = AsyncOpenAI(api_key="none")
        path = "_client"
    for name in path.split(".") if path else ():
        found = getattr(found, name)


def test_what_clients_keep_is_where_we_look() -> None:
    client = AsyncOpenAI(api_key="none", default_headers={"x-a": "b"}, default_query={"c": "d"})
    kept: Any = client
    assert kept._custom_headers == {"x-a": "b"}
    assert kept._custom_query == {"c": "d"}
    assert kept._platform is None
    assert set(kept._client.event_hooks) == {"request", "response"}
    proxied: Any = httpx2.AsyncClient(proxy="http://ada:secret@proxy.example:1")
    transport = next(iter(proxied._mounts.values()))
    assert b"proxy-authorization" in {name.lower() for name, _ in transport._pool._proxy_headers}
    assert hasattr(proxied, "_transport")


def test_models_of_pydantic_have_the_slots_that_events_are_made_by() -> None:
    class Event(BaseModel):
        type: str = "a"

    event: Any = Event()
    assert event.__pydantic_fields_set__ == set()
    assert event.__pydantic_extra__ is None
    assert event.__pydantic_private__ is None
    assert Event.__pydantic_validator__.validate_json('{"type": "b"}').type == "b"


async def test_a_loop_has_the_queue_and_one_without_it_works_as_well() -> None:
    assert hasattr(asyncio.get_running_loop(), "_ready") or "uvloop" in sys.modules
    called: list[Any] = []
    bare: Any = SimpleNamespace(call_soon=called.append)
    with sync.preserve_ready_count(bare):
        pass
    assert called == []
    assert sync._nests(bare) is False


def test_without_the_privates_of_a_client_it_works_as_well() -> None:
    bare: Any = SimpleNamespace()
    bounds._remember_proxies(bare)
    assert client_retries._without_a_thread(bare) is bare
    client_retries.remember_client(bare)
    assert vars(bare) == {}


def test_without_the_widgets_that_there_are_a_widget_counts_as_outermost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ipywidgets

    inner = ipywidgets.Button()
    box = ipywidgets.HBox([inner])
    assert ipython.is_inside_another(inner)
    monkeypatch.delattr("ipywidgets.widgets.widget._instances")
    assert not ipython.is_inside_another(inner)
    del box


def test_the_rules_of_markdown_it_take_what_ours_give_them() -> None:
    from markdown_it.rules_block import reference
    from markdown_it.rules_inline.state_inline import Scanned

    assert list(inspect.signature(reference).parameters) == [
        "state", "startLine", "_endLine", "silent",
    ]  # fmt: skip
    assert Scanned._fields == ("can_open", "can_close", "length")


def test_the_header_that_leaves_a_body_to_its_caller_is_the_clients() -> None:
    constants = import_module("openai._constants")
    assert create._UNREAD == {constants.RAW_RESPONSE_HEADER: "stream"}
