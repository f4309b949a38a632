"""Settings that a program writes as a dict: a name that is none of them is an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from .keywords import nearest

T = TypeVar("T")


def as_settings(kind: type[T], value: Any, what: str, where: str = "") -> T:
    """`value`, if it is a dict as an object of `kind`; anything else as it is.

    Raises
    ------
    TypeError
        A name in the dict is no setting. The message has the one that was probably meant.

    Examples
    --------
    >>> from agentstream import ModelSettings
    >>> as_settings(ModelSettings, {"temperatur": 1}, "model")
    Traceback (most recent call last):
    TypeError: Unknown model settings: temperatur (did you mean 'temperature'?)
    """
    if not isinstance(value, Mapping):
        settings: T = value
        return settings
    known = [field.name for field in fields(kind) if field.init]  # type: ignore[arg-type]
    unknown = sorted(str(name) for name in value if name not in known)
    if unknown:
        listed = ", ".join(_with_near_miss(name, known) for name in unknown)
        raise TypeError(f"Unknown {what} settings{where}: {listed}")
    return kind(**value)


def _with_near_miss(name: str, known: list[str]) -> str:
    close = nearest(name, known)
    if close:
        return f"{name} (did you mean {close!r}?)"
    return f"{name} (there are: {', '.join(sorted(known))})"
