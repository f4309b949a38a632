"""A filter of the model's input that shortens the outputs of tools in older turns."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..items import raw_field

if TYPE_CHECKING:
    from ..run_config import CallModelData, ModelInputData

_PAYLOADS: Final[dict[Any, tuple[str, ...]]] = {
    "input_text": ("text",),
    "input_image": ("image_url", "file_id"),
    "input_file": ("file_data", "file_url", "file_id", "filename"),
}
_DETAILS: Final = (None, "auto", "high", "low", "original")

# Of a JSON schema: what is written for people, and where further schemas are.
_PROSE: Final = frozenset({"$comment", "description", "examples", "title"})
_NAMED_SCHEMAS: Final = frozenset(
    "$defs definitions dependencies dependentSchemas patternProperties properties".split()
)
_SCHEMAS: Final = frozenset(
    "additionalItems additionalProperties allOf anyOf contains contentSchema else if items not"
    " oneOf prefixItems propertyNames then unevaluatedItems unevaluatedProperties".split()
)


@dataclass
class ToolOutputTrimmer:
    """Shortens long outputs of tools before the last turns, for ``call_model_input_filter``.

    What a run keeps, stores and shows stays whole: only what the model is sent becomes shorter.
    Of the tools that a search has found, what the schemas say for people is left out.

    Parameters
    ----------
    recent_turns : int
        Outputs after this many of the latest user messages stay whole.
    max_output_chars : int
        Outputs that are longer are shortened; of parts, as images are, the characters of their
        contents count.
    preview_chars : int
        How much of the text is left.
    trimmable_tools : str or iterable of str, optional
        Only the outputs of these tools, by ``name`` or ``namespace.name``.

    Raises
    ------
    ValueError
        A number is too small, or `trimmable_tools` are no names.

    Examples
    --------
    >>> from agentstream import RunConfig
    >>> config = RunConfig(call_model_input_filter=ToolOutputTrimmer(trimmable_tools="search"))
    """

    recent_turns: int = 2
    max_output_chars: int = 500
    preview_chars: int = 200
    trimmable_tools: str | Iterable[str] | None = None

    def __post_init__(self) -> None:
        for name, least in (("recent_turns", 1), ("max_output_chars", 1), ("preview_chars", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be >= {least}, got {getattr(self, name)}")
        tools = self.trimmable_tools
        if isinstance(tools, bytes):
            raise ValueError("trimmable_tools must be a string or iterable of strings, got bytes")
        if tools is not None:
            self.trimmable_tools = frozenset([tools] if isinstance(tools, str) else tools)

    def __call__(self, data: CallModelData[Any]) -> ModelInputData:
        """What the model is sent: the input of `data` with shorter outputs; `data` stays as it is.

        Raises
        ------
        TypeError
            `data` is not that of a ``call_model_input_filter``.
        """
        model_data = data.model_data
        items = model_data.input
        recent = self._recent_from(items)
        names = _names(items[:recent])
        old = [self._trimmed(item, names) for item in items[:recent]]
        return type(model_data)(input=[*old, *items[recent:]], instructions=model_data.instructions)

    def _recent_from(self, items: list[Any]) -> int:
        left = self.recent_turns
        for at in range(len(items) - 1, -1, -1):
            if raw_field(items[at], "role") == "user":
                left -= 1
                if left == 0:
                    return at
        return 0

    def _trimmed(self, item: Any, names: dict[Any, tuple[str, ...]]) -> Any:
        if not isinstance(item, dict):
            return item
        if item.get("type") == "tool_search_output":
            return self._searched(item)
        if item.get("type") != "function_call_output":
            return item
        known = names.get(item.get("call_id"), ())
        tools: Any = self.trimmable_tools
        if tools is not None and not tools.intersection(known):
            return item
        output, name = item.get("output"), known[-1] if known else "unknown_tool"
        if isinstance(output, str):
            size, text, dropped = len(output), output, Counter[str]()
        elif isinstance(output, list) and all(_is_part(part) for part in output):
            size = sum(_payload(part) for part in output)
            text = "\n".join(part["text"] for part in output if part["type"] == "input_text")
            dropped = Counter(part["type"] for part in output if part["type"] != "input_text")
        else:
            return item
        if size <= self.max_output_chars:
            return item
        short = self._summary(name, size, text, dropped)
        return {**item, "output": short} if len(short) < size else item

    def _searched(self, item: dict[str, Any]) -> dict[str, Any]:
        """The result of a search for tools: their schemas without prose, or a note of the text."""
        tools: Any = self.trimmable_tools
        if tools is not None and "tool_search" not in tools:
            return item
        for field in ("tools", "results"):
            matches: Any = item.get(field)
            size = len(json.dumps(matches, default=str)) if isinstance(matches, list) else 0
            if size <= self.max_output_chars:
                continue
            if field == "tools":
                short: Any = [self._defined(tool) for tool in matches]
            else:
                text = json.dumps(matches, default=str, ensure_ascii=False)
                short = [{"text": self._summary("tool_search output", size, text, Counter())}]
            return {**item, field: short} if len(json.dumps(short, default=str)) < size else item
        return item

    def _defined(self, tool: Any) -> Any:
        """The definition of a tool, or of a namespace of some, without what is said at length."""
        if not isinstance(tool, dict):
            return tool
        short = dict(tool)
        text = tool.get("description")
        if isinstance(text, str) and len(text) > self.preview_chars:
            short["description"] = f"{text[: self.preview_chars]}..."
        if "parameters" in tool:
            short["parameters"] = _without_prose(tool["parameters"])
        if isinstance(tool.get("tools"), list):
            short["tools"] = [self._defined(each) for each in tool["tools"]]
        return short

    def _whole(self, name: str, size: int, text: str, dropped: Counter[str]) -> str:
        """A summary that says all."""
        preview = text[: self.preview_chars]
        details = [name, f"payload {size} chars"]
        if text:
            details.append(f"preview {len(preview)} chars")
        if dropped:
            details.append(
                "dropped " + ", ".join(f"{n} {kind}" for kind, n in sorted(dropped.items()))
            )
        more = "..." if len(preview) < len(text) else ""
        return f"[Trimmed: {', '.join(details)}]" + (f"\n{preview}{more}" if text else "")

    def _summary(self, name: str, size: int, text: str, dropped: Counter[str]) -> str:
        """The longest summary that `max_output_chars` has room for."""
        limit = self.max_output_chars
        whole = self._whole(name, size, text, dropped)
        if len(whole) <= limit:
            return whole
        if not text:
            kinds = f"[Trimmed: {', '.join(sorted(dropped))}]"
            return kinds if len(kinds) <= limit else "[Trimmed]"[:limit]
        # The text is worth more than what it was.
        head = "[Trimmed]\n"[:limit]
        preview, room = text[: self.preview_chars], limit - len(head)
        more = "..." if len(preview) < len(text) else ""
        if len(preview + more) > room:
            preview = preview[: max(room - 3, 0)]
            more = "..."[: room - len(preview)]
        return head + preview + more


def _names(items: list[Any]) -> dict[Any, tuple[str, ...]]:
    """By id of call, the names of its tool: with its namespace, if it has one, and without."""
    names: dict[Any, tuple[str, ...]] = {}
    for item in items:
        if raw_field(item, "type") != "function_call":
            continue
        name, namespace = raw_field(item, "name"), raw_field(item, "namespace")
        whole = (f"{namespace}.{name}",) if namespace and namespace != name else ()
        names[raw_field(item, "call_id")] = (name, *whole)
    return names


def _is_part(part: Any) -> bool:
    """Whether a part is one that tools give; of another it is not known what may be left out."""
    if not isinstance(part, dict) or part.get("type") not in _PAYLOADS:
        return False
    known = {"type", *_PAYLOADS[part["type"]]}
    if part["type"] == "input_image" and part.get("detail") in _DETAILS:
        known.add("detail")
    return part.keys() <= known and _payload(part) > 0


def _payload(part: dict[str, Any]) -> int:
    values = [part.get(field) for field in _PAYLOADS[part["type"]]]
    return sum(len(value) for value in values if isinstance(value, str))


def _without_prose(schema: Any) -> Any:
    """A JSON schema without what is written for people; names and data stay as they are."""
    if isinstance(schema, list):
        return [_without_prose(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    short = {}
    for key, value in schema.items():
        if key in _NAMED_SCHEMAS and isinstance(value, dict):
            # Of `dependencies` some are lists of names.
            short[key] = {name: _without_prose(each) for name, each in value.items()}
        elif key in _SCHEMAS:
            short[key] = _without_prose(value)
        elif key not in _PROSE:
            short[key] = value
    return short
