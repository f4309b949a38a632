"""What an agent, a tool and their settings print: what was chosen, and not all that could be."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_origin

from .secrets import wrap_secrets

__all__ = ["chosen_fields", "name_of", "short_repr", "signature_of"]

_LONGEST_VALUE: Final = 80
_LONGEST_SIGNATURE: Final = 160
_MOST_NAMES: Final = 8


def short_repr(value: Any, *, leave_out: tuple[str, ...] = ()) -> str:
    """The ``repr`` of a dataclass: its fields that are not as they are by default, each cut."""
    # Masked here, too: what it holds may have been set or changed since it was made.
    chosen = [
        (name, wrap_secrets(own, under=name) if isinstance(own, (dict, list, tuple)) else own)
        for name, own in chosen_fields(value, leave_out=leave_out)
    ]
    return f"{type(value).__qualname__}({', '.join(f'{k}={_brief(v)}' for k, v in chosen)})"


def chosen_fields(value: Any, *, leave_out: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The fields of a dataclass that are not as they are by default, with their values."""
    for field in dataclasses.fields(value):
        if not field.repr or field.name in leave_out:
            continue
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        own = getattr(value, field.name, default)
        if own is default or (type(own) is type(default) and own == default):
            continue
        yield field.name, own


def _brief(value: Any) -> str:
    """A value in a few words: agents, tools and functions by their names."""
    if isinstance(value, list):
        names = [name_of(one) or _brief(one) for one in value[:_MOST_NAMES]]
        more = [f"and {len(value) - _MOST_NAMES} more"] if len(value) > _MOST_NAMES else []
        return f"[{', '.join(names + more)}]"
    if callable(value) and (name := name_of(value)):
        return name
    if isinstance(value, str) and len(value) > _LONGEST_VALUE:
        # By its own repr, for a text that does not print itself.
        return value.__repr__() if type(value) is not str else repr(value[:_LONGEST_VALUE]) + "…"
    text = repr(value)
    return text if len(text) <= 3 * _LONGEST_VALUE else text[: 3 * _LONGEST_VALUE] + "…"


def name_of(value: Any) -> str | None:
    """The name of an agent, a tool, a function or a type; None where it has none."""
    if get_origin(value) is not None:
        return inspect.formatannotation(value)
    for attribute in ("name", "agent_name", "__name__"):
        name = getattr(value, attribute, None)
        if isinstance(name, str) and name:
            return name
    return None


def signature_of(tool: Any) -> str:
    """How a function tool is called: ``add(a: int, b: int = 3) -> int``.

    Of a Python function its own signature, without the run's context; else what its schema says.
    """
    schema = getattr(tool.on_invoke_tool, "schema", None)
    signature = getattr(schema, "signature", None)
    if isinstance(signature, inspect.Signature):
        text = _of_function(schema, signature)
    else:
        text = _of_schema(tool.params_json_schema)
    cut = len(text) > _LONGEST_SIGNATURE
    return tool.name + (text[:_LONGEST_SIGNATURE] + "…" if cut else text)


def _of_function(schema: Any, signature: inspect.Signature) -> str:
    parameters = list(signature.parameters.values())[1 if schema.takes_context else 0 :]
    plain_parameters = [one.replace(annotation=_Plain.of(one.annotation)) for one in parameters]
    returned = _Plain.of(schema.return_annotation)
    return str(signature.replace(parameters=plain_parameters, return_annotation=returned))


class _Plain:
    """An annotation that is shown as it is written, without quotes."""

    def __init__(self, text: str) -> None:
        self._text = text

    @classmethod
    def of(cls, annotation: Any) -> Any:
        if annotation is inspect.Signature.empty:
            return annotation
        text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        return cls(text)

    def __repr__(self) -> str:
        return self._text


def _of_schema(schema: Any) -> str:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping):
        return "(...)"
    required = schema.get("required") or ()
    rendered = [_parameter(name, one, name in required) for name, one in properties.items()]
    return f"({', '.join(rendered)})"


def _parameter(name: str, schema: Any, is_required: bool) -> str:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    kinds = kind if isinstance(kind, list) else [kind]
    annotation = " | ".join(str(one) for one in kinds if one is not None)
    default = ""
    if isinstance(schema, Mapping) and "default" in schema:
        default = f" = {schema['default']!r}"
    elif not is_required:
        default = " = ..."
    return f"{name}: {annotation}{default}" if annotation else f"{name}{default}"
