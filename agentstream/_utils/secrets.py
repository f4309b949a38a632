"""Texts that are sent and never shown: keys in headers, queries and configurations.

A key that is an ordinary text shows up wherever somebody prints what holds it: the ``repr`` of an
agent's settings, a traceback that prints locals. Here the text itself declines: its ``repr`` is
``'***'``, through all copies of the dicts that it is handed on in.
"""

from __future__ import annotations

import re
from typing import Any, Final

from .redaction import is_token, names_secret, names_sent

__all__ = ["SecretStr", "without_credentials", "wrap_secrets"]

_USER: Final = re.compile(r"(\w+://)[^\s/@'\"]+@")
_URL: Final = re.compile(r"\w+://[^\s'\"?#]+")
_SEGMENT: Final = re.compile(r"(?<=[^:/]/)[^/]+")
_QUERY: Final = re.compile(r"([?&][^\s=&'\"]+=)[^\s&#'\"]+")
_FRAGMENT: Final = re.compile(r"(\w+://[^\s#'\"]+#)[^\s'\"]+")


class SecretStr(str):
    """A text as any other, but for its ``repr``.

    Examples
    --------
    >>> {"x-api-key": SecretStr("sk-1")}
    {'x-api-key': '***'}
    >>> f"Bearer {SecretStr('sk-1')}"
    'Bearer sk-1'
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def wrap_secrets(value: Any, *, under: str = "") -> Any:
    """A copy of `value` whose texts under names such as ``api_key`` do not print.

    What is neither a text nor a list, tuple or dict is given back as it is; `under` is its own
    name.

    Examples
    --------
    >>> wrap_secrets({"type": "mcp", "authorization": "sk-1", "headers": {"a": ["b"]}})
    {'type': 'mcp', 'authorization': '***', 'headers': {'a': ['***']}}
    """
    hidden = names_secret(under) or (names_sent(under) and not isinstance(value, str))
    if hidden:
        under = "headers"  # all that stands below
    if isinstance(value, dict):
        return {
            name: wrap_secrets(entry, under=under if hidden else str(name))
            for name, entry in value.items()
        }
    if isinstance(value, (list, tuple)):
        hidden_too = [wrap_secrets(entry, under=under) for entry in value]
        return hidden_too if isinstance(value, list) else tuple(hidden_too)
    if type(value) is str and (hidden or without_credentials(value) != value):
        return SecretStr(value)
    return value


def without_credentials(text: str) -> str:
    """`text` with user, password, query values and fragment of each address masked.

    So is what reads as a secret in its path.
    """
    text = _FRAGMENT.sub(r"\1***", _QUERY.sub(r"\1***", _USER.sub(r"\1***@", text)))
    return _URL.sub(lambda match: _SEGMENT.sub(_masked, match.group()), text)


def _masked(match: re.Match[str]) -> str:
    return "***" if is_token(match.group()) else match.group()
