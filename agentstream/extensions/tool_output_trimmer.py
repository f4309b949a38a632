"""A filter of the model's input that shortens the outputs of tools in older turns."""

from __future__ import annotations

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


@dataclass
class ToolOutputTrimmer:
    """Shortens long outputs of tools before the last turns, for ``call_model_input_filter``.

    What a run keeps, stores and shows stays whole: only what the model is sent becomes shorter.

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
        if not isinstance(item, dict) or item.get("type") != "function_call_output":
            return item
        known = names.get(item.get("call_id"), ())
        tools: Any = self.trimmable_tools
        if tools is not None and not tools.intersection(known):
            return item
        output, name = item.get("output"), known[-1] if known else "unknown tool"
        if isinstance(output, str):
            size, text, dropped = len(output), output, ""
        elif isinstance(output, list) and all(_is_part(part) for part in output):
            size = sum(_payload(part) for part in output)
            text = "\n".join(part["text"] for part in output if part["type"] == "input_text")
            dropped = _dropped(output)
        else:
            return item
        if size <= self.max_output_chars:
            return item
        short = self._summary(name, size, text, dropped)
        return {**item, "output": short} if len(short) < size else item

    def _summary(self, name: str, size: int, text: str, dropped: str) -> str:
        preview = text[: self.preview_chars]
        more = "..." if len(preview) < len(text) else ""
        head = f"[Trimmed: {name}, payload {size} chars, preview {len(preview)} chars{dropped}]\n"
        if len(head + preview + more) <= self.max_output_chars:
            return head + preview + more
        # The text is worth more than what it was.
        head = "[Trimmed]\n"[: self.max_output_chars]
        room = max(self.max_output_chars - len(head), 0)
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
    return isinstance(part, dict) and part.get("type") in _PAYLOADS and _payload(part) > 0


def _payload(part: dict[str, Any]) -> int:
    values = [part.get(field) for field in _PAYLOADS[part["type"]]]
    return sum(len(value) for value in values if isinstance(value, str))


def _dropped(output: list[dict[str, Any]]) -> str:
    counts = Counter(part["type"] for part in output if part["type"] != "input_text")
    return "".join(f", dropped {count} {kind}" for kind, count in counts.items())
