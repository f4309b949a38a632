"""The columns of an output type: one for each field, nested ones as ``a.b``."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter
from typing_extensions import is_typeddict

from ..agent_output import AgentOutputSchemaBase
from ..recordings.request_match import to_jsonable

__all__ = ["META", "Columns"]

META: Final = {
    "status": "string",
    "error": "string",
    "error_type": "string",
    "attempts": "Int64",
    "seconds": "Float64",
    "input_tokens": "Int64",
    "cached_tokens": "Int64",
    "output_tokens": "Int64",
    "cost_usd": "float64",
    "source": "string",
}
"""The columns behind those of the output, and their dtypes."""

_DTYPES: Final = {int: "Int64", float: "Float64", bool: "boolean", str: "string"}


@dataclass(frozen=True)
class _Column:
    name: str
    path: tuple[str, ...]
    dtype: str


class Columns:
    """How an output becomes values of columns.

    Parameters
    ----------
    output_type : type or None
        The agent's; None and `str` make one column, ``final_output``.

    Attributes
    ----------
    names, dtypes : list of str
        Of the columns.
    """

    def __init__(self, output_type: Any = None) -> None:
        if isinstance(output_type, AgentOutputSchemaBase):
            output_type = getattr(output_type, "output_type", None)
        self._columns = list(_columns(output_type, (), (output_type,)))
        if not self._columns:
            dtype = _dtype(str if output_type is None else output_type)
            self._columns = [_Column("final_output", (), dtype)]
        self._kind = output_type
        self._adapter: TypeAdapter[Any] | None = None
        self.names = [_free(column.name) for column in self._columns]
        self.dtypes = [column.dtype for column in self._columns]

    def values(self, output: Any) -> tuple[Any, ...]:
        """The values of an output, in the order of the columns."""
        return tuple(_plain_value(_at(output, column.path)) for column in self._columns)

    def output(self, values: tuple[Any, ...]) -> Any:
        """The output that values were made of, as an object of its type where that can be made."""
        if self._columns[0].path == ():
            return self._made(values[0])
        nested: dict[str, Any] = {}
        for column, value in zip(self._columns, values, strict=True):
            at = nested
            for name in column.path[:-1]:
                at = at.setdefault(name, {})
            at[column.path[-1]] = value
        try:
            return self._made(nested)
        except ValueError:
            return self._made(_without_empty(nested))

    def _made(self, to_jsonable: Any) -> Any:
        if self._adapter is None:
            kind = str if self._kind is None else self._kind
            self._adapter = TypeAdapter(kind)
        return self._adapter.validate_python(to_jsonable)


def _without_empty(value: dict[str, Any]) -> dict[str, Any]:
    """Nested values all of which are None were None as a whole."""
    columns: dict[str, Any] = {}
    for name, entry in value.items():
        if isinstance(entry, dict):
            entry = _without_empty(entry)
            is_empty = all(each is None for each in entry.values())
            columns[name] = None if is_empty else entry
        else:
            columns[name] = entry
    return columns


def _columns(kind: Any, path: tuple[str, ...], above: tuple[Any, ...]) -> Iterator[_Column]:
    """The leaves of a type that has fields; none for any other type."""
    for name, field in _fields(kind).items():
        here, inner = (*path, name), _without_none(field)
        # A type that holds itself ends as one column of objects.
        nested = [] if inner in above else list(_columns(inner, here, (*above, inner)))
        yield from nested or [_Column(".".join(here), here, _dtype(inner))]


def _fields(kind: Any) -> dict[str, Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    if is_typeddict(kind):
        return get_type_hints(kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        return {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    return {}


def _without_none(kind: Any) -> Any:
    """The type itself, for ``T | None`` and ``Annotated[T, ...]``."""
    if get_origin(kind) is Annotated:
        return _without_none(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        rest = [each for each in get_args(kind) if each is not types.NoneType]
        if len(rest) == 1:
            return _without_none(rest[0])
    return kind


def _dtype(kind: Any) -> str:
    if get_origin(kind) is Literal:
        kinds = {type(value) for value in get_args(kind)}
        return _DTYPES.get(kinds.pop(), "object") if len(kinds) == 1 else "object"
    if isinstance(kind, type) and issubclass(kind, Enum):
        kinds = {type(each.value) for each in kind}
        return _DTYPES.get(kinds.pop(), "object") if len(kinds) == 1 else "object"
    return _DTYPES.get(kind, "object")


def _at(output: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if output is None:
            return None
        output = output.get(name) if isinstance(output, dict) else getattr(output, name, None)
    return output


def _plain_value(value: Any) -> Any:
    """A value that a cell, and JSON, can hold; models within lists become dicts."""
    is_plain = isinstance(value, str | int | float | bool) and not isinstance(value, Enum)
    return value if value is None or is_plain else to_jsonable(value)


def _free(name: str) -> str:
    """The name of an output's column; one of `META` would be there twice."""
    return f"final_output.{name}" if name in META else name
