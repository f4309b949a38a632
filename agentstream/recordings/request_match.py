"""What a model was asked, as plain data: its digest, and what differs between two of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import fields
from difflib import unified_diff
from typing import Any, Final

from pydantic_core import to_jsonable_python

from .._utils.redaction import names_secret
from .._utils.secrets import without_credentials
from ..exceptions import UserError
from ..models.request import ModelRequest
from ..models.responses.tools import tool_params, uses_preview_computer
from .images import without_embedded

RequestDict = dict[str, Any]
"""A request as plain data, without what is unset and without what is nobody's business."""

PRIVATE: Final = frozenset(
    {
        "authorization",
        "created_by",
        "headers",
        "metadata",
        "prompt_cache_key",
        "safety_identifier",
        "user",
    }
)
"""Fields of requests and responses that hold keys, headers, or who asked."""

# Not asked of the model (how the call is made), or likely to hold keys and names.
_UNRECORDED: Final = frozenset(
    {
        "extra_headers",
        "extra_query",
        "include_usage",
        "metadata",
        "preserve_raw_usage",
        "retry",
        "timeout",
    }
)
_FIRST: Final = ("type", "role", "name", "model", "instructions", "input")
_DIFF_LINES = 60
_LINE_LENGTH = 160


def to_jsonable(value: Any) -> Any:
    """`value` as data that JSON can hold; as its text where it cannot be brought to that."""
    try:
        return to_jsonable_python(value, fallback=str, bytes_mode="base64")
    except Exception:  # noqa: BLE001 - a tool may return anything, such as a list within itself
        return str(value)


def request_dict(request: ModelRequest, model: str) -> RequestDict:
    """What `request` asks of `model`."""
    text = request.input
    schema = request.output_schema
    output = None
    if schema is not None and not schema.is_plain_text():
        output = {"name": schema.name(), "schema": schema.json_schema()}
    fields = {
        "model": model,
        "instructions": request.system_instructions,
        "input": [{"role": "user", "content": text}] if isinstance(text, str) else list(text),
        "tools": without_private(to_jsonable(_tools(request, model))),
        "output": output,
        "settings": _settings(request.settings),
        "previous_response_id": request.previous_response_id,
        "conversation_id": request.conversation_id,
        "prompt": request.prompt,
    }
    present = {name: value for name, value in fields.items() if value not in (None, {}, [])}
    return {name: without_embedded(to_jsonable(value)) for name, value in present.items()}


def _tools(request: ModelRequest, model: str) -> list[Any]:
    try:
        return tool_params(
            request.tools,
            request.handoffs,
            preview_computer=uses_preview_computer(model, request.settings.tool_choice),
            prompt=request.prompt is not None,
        )
    except UserError:
        # Tools that the Responses API does not have: a model of one's own may take them.
        names = [{"type": type(tool).__name__, "name": tool.name} for tool in request.tools]
        return names + [{"type": "handoff", "name": each.tool_name} for each in request.handoffs]


def _settings(settings: Any) -> dict[str, Any]:
    values = {
        field.name: without_secrets(to_jsonable(getattr(settings, field.name)))
        for field in fields(settings)
        if field.name not in _UNRECORDED
    }
    return {name: value for name, value in values.items() if value not in (None, {}, [])}


def without_private(value: Any) -> Any:
    """Plain data without the fields in `PRIVATE`."""
    if isinstance(value, list):
        return [without_private(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    # The fields of a tool's parameters are the user's own names, not the API's.
    return {
        name: entry if name in ("parameters", "schema") else without_private(_address(name, entry))
        for name, entry in value.items()
        if name not in PRIVATE
    }


def _address(name: str, value: Any) -> Any:
    is_one = name == "server_url" and isinstance(value, str)
    return without_credentials(value) if is_one else value


def without_secrets(value: Any) -> Any:
    """Settings as plain data without what their names call secret, and without sent headers.

    Left out by name and not masked by value: a replay is asked for with another key, or with none.

    Examples
    --------
    >>> without_secrets({"seed": 1, "api_key": "sk-1", "extra_headers": {"x": "y"}})
    {'seed': 1}
    """
    if isinstance(value, list):
        return [without_secrets(entry) for entry in value]
    if isinstance(value, str):
        return without_credentials(value) if "://" in value else value
    if not isinstance(value, dict):
        return value
    return {
        name: entry if name in ("parameters", "schema") else without_secrets(entry)
        for name, entry in value.items()
        if not (name in PRIVATE or name in _UNRECORDED)
        and not (names_secret(name) and isinstance(entry, (str, dict, list)))
    }


def digest(request: RequestDict) -> str:
    """The same for equal requests, another for others."""
    text = json.dumps(request, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def similarity(one: RequestDict, other: RequestDict) -> int:
    """How much two requests have in common; for finding the one that was meant."""
    same = sum(3 for name in one.keys() & other.keys() if one[name] == other[name])
    first, second = one.get("input", []), other.get("input", [])
    return same + common_start(first, second) - abs(len(first) - len(second))


def common_start(one: list[Any], other: list[Any]) -> int:
    """How many entries two lists have in common at their start."""
    count = 0
    for first, second in zip(one, other, strict=False):
        if first != second:
            break
        count += 1
    return count


def difference(recorded: RequestDict, now: RequestDict, name: str) -> str:
    """A unified diff of two requests, line by line, for a person to read."""
    lines = list(
        unified_diff(list(_lines(recorded)), list(_lines(now)), name, "asked now", n=2, lineterm="")
    )
    if len(lines) > _DIFF_LINES:
        lines[_DIFF_LINES:] = [f"... {len(lines) - _DIFF_LINES} more lines"]
    return "\n".join(lines)


def _lines(value: Any, name: str = "", indent: str = "") -> Iterator[str]:
    """Plain data as indented lines; texts keep their line breaks, so that a diff shows one line."""
    if isinstance(value, (dict, list)) and value:
        if name:
            yield f"{indent}{name}:"
            indent += "  "
        if isinstance(value, dict):
            entries = sorted(value.items(), key=lambda pair: (_rank(pair[0]), pair[0]))
        else:
            entries = [("-", entry) for entry in value]
        for key, entry in entries:
            yield from _lines(entry, str(key), indent)
        return
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    head, *rest = text.split("\n")
    for line in (f"{indent}{name}: {head}", *(f"{indent}  {line}" for line in rest)):
        text_line = line if len(line) <= _LINE_LENGTH else None
        yield line if text_line is not None else _cut(line)


def _rank(name: str) -> int:
    """What a reader looks for first comes first."""
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)


def _cut(line: str) -> str:
    """A long line cut; what is cut off still counts when two are compared."""
    rest = hashlib.sha256(line.encode("utf-8", "replace")).hexdigest()[:6]
    return f"{line[:_LINE_LENGTH]}... ({len(line)} characters, #{rest})"
