"""What a function that decides on approvals is asked about: arguments as the model wrote them.

Where a default, a conversion or a validator stands between the model's JSON and the tool, the
function would decide on something else than what is run, and to find out would mean to run code of
the program before the call is approved. So these calls are for a person to decide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import from_json

from .._utils.json import encodable_json
from ..exceptions import ModelBehaviorError
from .invoke import Callee, FunctionInvoker

__all__ = ["inspectable_arguments"]

_PLAIN: Final = frozenset(
    "any bool dataclass dataclass-args dataclass-field default definition-ref definitions dict enum"
    " float int list literal model model-field model-fields none nullable str typed-dict"
    " typed-dict-field union".split()
)
"""Kinds of pydantic's core schema that run no code of the program."""

_VALUES: Final = frozenset({"cls", "config", "default", "expected", "members", "metadata"})
"""Keys of a core schema that hold no schema."""

_CODE: Final = ("custom_init", "missing", "pattern", "post_init")
"""Keys of one that make it run code, or an expression, of the program."""


def inspectable_arguments(tool: Callee, text: str) -> dict[str, Any] | None:
    """The arguments of a call, if its tool gets them as the model wrote them; otherwise None.

    Parameters
    ----------
    tool : FunctionTool
        The tool. Of one that was not made of a Python function, only that they are an object.
    text : str
        The model's arguments, as JSON text.
    """
    try:
        written = from_json(encodable_json(text), allow_inf_nan=False)
    except ValueError:
        return None
    if not isinstance(written, dict):
        return None
    invoker = tool.on_invoke_tool
    if isinstance(invoker, FunctionInvoker) and not _reaches(invoker, tool.name, text, written):
        return None
    return written


def _reaches(invoker: FunctionInvoker, name: str, text: str, written: dict[str, Any]) -> bool:
    """Whether the function of `invoker` gets what was `written`."""
    adapter, model = invoker.adapter, invoker.schema.params_pydantic_model
    if not _is_plain(adapter.core_schema if adapter else model.__pydantic_core_schema__):
        return False
    try:
        if adapter is not None:
            taken = adapter.dump_python(adapter.validate_json(encodable_json(text)), by_alias=True)
        else:
            arguments: BaseModel = invoker.parse(name, text)
            invoker.schema.to_call_args(arguments)
            taken = arguments.model_dump(by_alias=True)
    except (ModelBehaviorError, ValueError):
        return False
    return _is_same(written, taken)


def _is_plain(schema: Any) -> bool:
    if isinstance(schema, list | tuple):
        return all(map(_is_plain, schema))
    if not isinstance(schema, Mapping):  # one that is not built yet is no dict
        return True
    kind = schema.get("type")
    if not isinstance(kind, str):  # names to schemas; one may be "type"
        return all(map(_is_plain, schema.values()))
    if kind not in _PLAIN or any(schema.get(key) for key in _CODE):
        return False
    if kind in ("dataclass", "model") and schema["cls"].__new__ is not object.__new__:
        return False  # it is called for the instance
    if schema.get("default_factory") not in (None, list, dict):
        return False
    return all(_is_plain(value) for key, value in schema.items() if key not in _VALUES)


def _is_same(written: Any, taken: Any) -> bool:
    """Whether both are the same JSON; ``1``, ``1.0`` and ``true`` are three values.

    A number beyond a float's range, as ``1e400``, is none that was written.
    """
    if isinstance(taken, Enum):
        taken = taken.value
    if type(written) is not type(taken):
        return False
    if isinstance(written, dict):
        same_keys: bool = written.keys() == taken.keys()
        return same_keys and all(_is_same(value, taken[key]) for key, value in written.items())
    if isinstance(written, list):
        return len(written) == len(taken) and all(map(_is_same, written, taken))
    if isinstance(written, float) and not math.isfinite(written):
        return False
    return bool(written == taken)
