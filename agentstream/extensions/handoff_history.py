"""The conversation before a handoff as one message, for the agent that takes over.

The message is text that can be read back: at the next handoff its lines become items again, so that
the history of many handoffs is one flat list. What stands between the markers:

| an item | its line, after its number |
|---|---|
| a message of one line of text | ``role: text``, or ``role (name): text`` |
| any other | the item as JSON |
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from ..handoffs import HandoffHistoryMapper, HandoffInputData
from ..items import ItemHelpers, ToolApprovalItem

if TYPE_CHECKING:
    from ..items import TResponseInputItem

_INTRODUCTION: Final = "The conversation so far, between the user and the agent before you:"
_NOTHING: Final = "(nothing yet)"
_DEFAULT_MARKERS: Final = ("<CONVERSATION HISTORY>", "</CONVERSATION HISTORY>")
_markers = _DEFAULT_MARKERS

# The calls of tools and what led to them; as items of their own they could lose one another.
_SUMMARISED_TYPES: Final = frozenset({"function_call", "function_call_output", "reasoning"})

_RECORD: Final = re.compile(r"(\d+)\. (.*)", re.DOTALL)
_LINE: Final = re.compile(r"(\w+)(?: \(([^():]*)\))?: (.*)", re.DOTALL)


def set_conversation_history_wrappers(*, start: str | None = None, end: str | None = None) -> None:
    """Set the markers around a nested history, for the whole program.

    Parameters
    ----------
    start, end : str, optional
        The markers; None leaves one as it is.

    Examples
    --------
    >>> set_conversation_history_wrappers(start="<history>", end="</history>")
    >>> get_conversation_history_wrappers()
    ('<history>', '</history>')
    >>> reset_conversation_history_wrappers()
    """
    global _markers
    before, after = _markers
    _markers = (before if start is None else start, after if end is None else end)


def reset_conversation_history_wrappers() -> None:
    """Reset the markers around a nested history to their defaults.

    Examples
    --------
    >>> reset_conversation_history_wrappers()
    >>> get_conversation_history_wrappers()
    ('<CONVERSATION HISTORY>', '</CONVERSATION HISTORY>')
    """
    global _markers
    _markers = _DEFAULT_MARKERS


def get_conversation_history_wrappers() -> tuple[str, str]:
    """The markers before and after a nested history.

    Examples
    --------
    >>> get_conversation_history_wrappers()[0]
    '<CONVERSATION HISTORY>'
    """
    return _markers


def nest_handoff_history(
    handoff_input_data: HandoffInputData, *, history_mapper: HandoffHistoryMapper | None = None
) -> HandoffInputData:
    """Give the next agent the conversation so far as one message.

    The message holds what was said, calls and their outputs. Other items, such as a web search of
    the provider's, stay items of their own, in their place. The history of an earlier handoff is
    taken up line by line, not put into the new one as a whole.

    Parameters
    ----------
    handoff_input_data : HandoffInputData
        The conversation at the handoff.
    history_mapper : callable, optional
        Makes the next agent's input from all items; `default_handoff_history_mapper` where not
        given.

    Returns
    -------
    HandoffInputData

    Examples
    --------
    >>> from agentstream import HandoffInputData
    >>> nest_handoff_history(HandoffInputData("Hello?", (), ())).input_history[0]["role"]
    'assistant'
    """
    history = handoff_input_data.input_history
    items = ItemHelpers.input_to_new_input_list(
        history if isinstance(history, str) else list(history)
    )
    earlier = [_plain(item) for item in _flattened(items)]
    before = [_plain(item) for item in _inputs(handoff_input_data.pre_handoff_items)]
    new = [_plain(item) for item in _inputs(handoff_input_data.new_items)]
    if history_mapper is not None:
        nested = history_mapper([*earlier, *before, *new])
    else:
        nested = _in_order(
            [(item, True) for item in earlier]
            + [(item, _is_summarised(item) or item.get("role") == "assistant") for item in before]
            + [(item, _is_summarised(item)) for item in new]
        )
    return handoff_input_data.clone(
        input_history=tuple(nested), pre_handoff_items=(), input_items=()
    )


def _inputs(items: Iterable[Any]) -> Iterable[TResponseInputItem]:
    return (item.to_input_item() for item in items if not isinstance(item, ToolApprovalItem))


def _plain(item: Any) -> Any:
    """The item without what only its server or this program knows of it."""
    return {key: value for key, value in item.items() if key != "created_by"}


def _is_summarised(item: Any) -> bool:
    return item.get("type") in _SUMMARISED_TYPES and not item.get("role")


def _in_order(items: list[tuple[Any, bool]]) -> list[TResponseInputItem]:
    """Messages that tell of the items marked True, and between them the others as they are."""
    nested: list[Any] = []
    pending: list[Any] = []
    for item, is_summarised in items:
        if is_summarised:
            pending.append(item)
            continue
        if pending or not nested:
            nested += default_handoff_history_mapper(pending)
            pending = []
        nested.append(item)
    if pending or not nested:
        nested += default_handoff_history_mapper(pending)
    return nested


def default_handoff_history_mapper(
    transcript: list[TResponseInputItem],
) -> list[TResponseInputItem]:
    """The conversation as one numbered list in one message.

    Parameters
    ----------
    transcript : list of dict
        The conversation's items.

    Returns
    -------
    list of dict
        That one message.

    Examples
    --------
    >>> print(default_handoff_history_mapper([{"role": "user", "content": "Hello?"}])[0]["content"])
    The conversation so far, between the user and the agent before you:
    <CONVERSATION HISTORY>
    1. user: Hello?
    </CONVERSATION HISTORY>
    """
    lines = [f"{number}. {_line(item)}" for number, item in enumerate(transcript, 1)]
    start, end = _markers
    text = "\n".join([_INTRODUCTION, start, *(lines or [_NOTHING]), end])
    return [{"role": "assistant", "content": text}]


def _line(item: Any) -> str:
    role, content, name = item.get("role"), item.get("content"), item.get("name")
    if isinstance(role, str) and (content is None or isinstance(content, str)):
        text_line = f"{role}{f' ({name})' if name else ''}: {content or ''}"
        if not {"\n", "\r"} & set(text_line) and _parsed_line(text_line) is not None:
            return text_line
    known = {key: value for key, value in item.items() if key != "provider_data"}
    return json.dumps(known, ensure_ascii=False, default=str)


def _flattened(items: list[TResponseInputItem]) -> list[Any]:
    """`items`, with those that an earlier message tells of in the place of that message."""
    flat: list[Any] = []
    for item in items:
        nested = _item_in(item)
        flat += [item] if nested is None else nested
    return flat


def _item_in(item: Any) -> list[Any] | None:
    """The items that a message of `default_handoff_history_mapper` tells of; None for any other."""
    content = item.get("content")
    if item.get("role") != "assistant" or not isinstance(content, str):
        return None
    start, end = _markers
    opening, closing = f"{_INTRODUCTION}\n{start}\n", f"\n{end}"
    if not (content.startswith(opening) and content.endswith(closing)):
        return None
    body = content[len(opening) : -len(closing)]
    if body == _NOTHING:
        return []
    items = []
    for number, line in enumerate(body.split("\n"), 1):
        record = _RECORD.fullmatch(line)
        parsed = _item(record[2]) if record and int(record[1]) == number else None
        if parsed is None:
            return None  # Somebody else wrote it, or changed it: it stays the text that it is.
        items.append(parsed)
    return items


def _item(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return _parsed_line(line)
    try:
        item = json.loads(line)
    except ValueError:
        return None
    return item if isinstance(item, dict) else None


def _parsed_line(line: str) -> dict[str, Any] | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    role, name, content = match.groups()
    return {"role": role, **({"name": name} if name else {}), "content": content}
