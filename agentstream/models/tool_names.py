"""Names of tools as the APIs take them, and back: letters, digits, ``_`` and ``-``, at most 64.

No digit comes first.

An author may call a tool as they like, and MCP servers do: ``notes.search``, ``find flights``. Only
the request has another name then, and what the model calls by it is given its own name again before
anybody sees it: runs, approvals, traces and recordings know the author's names alone.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Iterable, Sequence
from contextlib import aclosing
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from ..items import raw_field

if TYPE_CHECKING:
    from ..handoffs import Handoff
    from ..tools.function_tool import Tool

__all__ = ["MAX_LENGTH", "ToolNames", "distinct_names", "safe_name"]

MAX_LENGTH: Final = 64
"""Longest name of a function in OpenAI's APIs, in characters."""

# OpenAI's take a digit in front, Gemini's do not.
_FITS: Final = re.compile(rf"[a-zA-Z_][a-zA-Z0-9_-]{{0,{MAX_LENGTH - 1}}}").fullmatch
_FIELDS: Final = ("name", "namespace")


class ToolNames:
    """The names of one request."""

    def __init__(self, names: Iterable[str]) -> None:
        distinct = list(dict.fromkeys(names))
        unfit = [name for name in distinct if not _FITS(name)]
        bases = [_base(name) for name in unfit]
        fit = [name for name in distinct if _FITS(name)] if unfit else ()
        self._sent = dict(zip(unfit, distinct_names(bases, unfit, fit), strict=True))
        self._own = {sent: name for name, sent in self._sent.items()}
        self._names = distinct

    @classmethod
    def of(cls, tools: Sequence[Tool], handoffs: Iterable[Handoff[Any, Any]]) -> ToolNames:
        """The names of a request with these `tools` and `handoffs`."""
        names = [name for tool in tools if (name := getattr(tool, "name", None))]
        spaces = [space for tool in tools if (space := getattr(tool, "_tool_namespace", None))]
        return cls([*names, *spaces, *(each.tool_name for each in handoffs)])

    def all_sent(self) -> frozenset[str]:
        """The names that the model may call."""
        return frozenset(map(self.sent, self._names))

    def sent(self, name: Any) -> Any:
        """The name as it is sent; also of a tool in the conversation that is no longer there."""
        if not isinstance(name, str) or _FITS(name):
            return name
        return self._sent.get(name) or _alone(name)

    def choice(self, name: str) -> str:
        """The tool choice as it is sent; one that names no tool, such as ``crm.find``, as it is."""
        return self._sent.get(name, name)

    def function(self, param: dict[str, Any]) -> dict[str, Any]:
        """A function, or the call of one, with the names as they are sent."""
        changes = {key: self.sent(param[key]) for key in _FIELDS if key in param}
        return (
            param if all(param[key] == name for key, name in changes.items()) else param | changes
        )

    def input(self, items: list[Any]) -> list[Any]:
        """The input of a request of the Responses API with the names as they are sent."""
        return [
            self.function(item)
            if isinstance(item, dict) and item.get("type") == "function_call"
            else item
            for item in items
        ]

    def tools(self, params: list[Any]) -> list[Any]:
        """The tools of such a request with the names as they are sent."""
        return [self._tool(param) for param in params] if self._sent else params

    def _tool(self, param: dict[str, Any]) -> dict[str, Any]:
        kind = param.get("type")
        if kind not in ("function", "namespace"):
            return param
        named = self.function(param)
        return named | {"tools": self.tools(param["tools"])} if kind == "namespace" else named

    def items(self, output: list[Any]) -> list[Any]:
        """Output items with the authors' names."""
        return [self._item(item) for item in output] if self._own else output

    def _item(self, item: Any) -> Any:
        if raw_field(item, "type") != "function_call":
            return item
        fields = {key: raw_field(item, key) for key in _FIELDS}
        own = {key: self._own[name] for key, name in fields.items() if name in self._own}
        return _changed(item, own)

    def batches(self, batches: AsyncGenerator[list[Any], None]) -> AsyncGenerator[list[Any], None]:
        """Events with the authors' names; nothing is between where no name was changed."""
        return self._batches(batches) if self._own else batches

    async def _batches(
        self, batches: AsyncGenerator[list[Any], None]
    ) -> AsyncGenerator[list[Any], None]:
        async with aclosing(batches):
            async for batch in batches:
                yield [self._event(event) for event in batch]

    def _event(self, event: Any) -> Any:
        fields = event.__dict__
        if "delta" in fields:
            return event
        if "item" in fields:
            return _changed(event, {"item": self._item(event.item)})
        if isinstance(output := getattr(fields.get("response"), "output", None), list):
            response = _changed(event.response, {"output": self.items(output)})
            return _changed(event, {"response": response})
        # Not every version of the client knows the name of `function_call_arguments.done`.
        name = getattr(event, "name", None)
        return _changed(event, {"name": self._own[name]}) if name in self._own else event


def _changed(value: Any, changes: dict[str, Any]) -> Any:
    # Not in place: a reader of the stream compares events with those that it has passed on.
    if not changes:
        return value
    if isinstance(value, BaseModel):
        return value.model_copy(update=changes)
    return {**value, **changes} if isinstance(value, dict) else value


@lru_cache(maxsize=1024)
def _alone(name: str) -> str:
    return distinct_names([_base(name)], [name])[0]


def _base(name: str) -> str:
    safe = safe_name(name, "tool")
    return safe if safe[0].isalpha() else f"_{safe}"


def safe_name(name: str, otherwise: str) -> str:
    """`name` in the characters that the APIs take; `otherwise` where nothing is left of it.

    Examples
    --------
    >>> safe_name("notes.search", "tool"), safe_name("検索", "tool")
    ('notes_search', 'tool')
    """
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name).strip("_") or otherwise


def distinct_names(
    bases: Sequence[str], seeds: Sequence[str], taken: Collection[str] = ()
) -> list[str]:
    """Names of at most 64 characters; what would be twice, is taken or too long ends in a hash.

    Examples
    --------
    >>> distinct_names(["a_b", "a_b", "c"], ["a.b", "a b", "c"])
    ['a_b_69f6642c', 'a_b_7dbde935', 'c']
    """
    often = Counter(bases)
    used = set(taken)
    names = []
    for base, seed in zip(bases, seeds, strict=True):
        clash = often[base] > 1 or base in used or len(base) > MAX_LENGTH
        name = _hashed(base, seed) if clash else base
        for attempt in count(1):
            if name not in used:
                break
            name = _hashed(base, f"{seed}\0{attempt}")
        used.add(name)
        names.append(name)
    return names


def _hashed(base: str, seed: str) -> str:
    data = seed.encode("utf-8", "surrogatepass")
    digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()[:8]
    return f"{base[: MAX_LENGTH - 9]}_{digest}"
