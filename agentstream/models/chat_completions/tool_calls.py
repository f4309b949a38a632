"""Tool calls out of streamed fragments, whatever a provider calls `index`, `id` and `name`.

OpenAI sends one entry with index, id and name, then entries with the index and a piece of the
arguments. Others do not, and users report it: the index is missing, None or always 0 (Gemini,
Ollama), the id is missing (Ollama), new in every chunk (vLLM) or the same for several calls, the
name is repeated or comes in pieces, the arguments are None or an object. The law for each entry:

| the entry                                     | belongs to                                |
|-----------------------------------------------|-------------------------------------------|
| has an id, or else an index, seen before      | that call, unless it *starts a new call*  |
| has a name or an id, none of them seen before | a new call                                |
| has neither id, name nor a known index        | the last call                             |

It *starts a new call* if it brings a name and the call so far is whole: its arguments are complete
JSON, or it has another id, or another name of a known tool. Anything that is unfinished goes on.

An id that comes again with a name, after a whole call or at another index, begins a *twin*: only
its arguments tell a further call from one that is sent twice, so it waits for the end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ..._utils.json import read_json

__all__ = ["OpenCall", "ToolCallAssembler", "call_entries", "thought_signature"]

_MARKS: Final = re.compile(r'\\(?:.|$)|["{}\[\]]', re.DOTALL)
# No tool has such a name; joining it piece by piece takes time that grows with its square.
_LONGEST_NAME: Final = 1_000
_ADJOINING: Final = re.compile(r'[}\]]\s*[{\["]')


class OpenCall:
    """One tool call while its arguments arrive; pieces are collected and joined once."""

    def __init__(self, index: int | None, call_id: str, name: str) -> None:
        self.index = index
        self.id = call_id
        self.sent_id = call_id
        """The id as the server sent it, which may be that of other calls, too."""
        self.is_twin = False
        """Whether it may be another call, sent again: it is not announced before the end."""
        self.name = name
        self.parts: list[str] = []
        self.sent = 0  # how many parts have gone out as deltas
        self.output_index: int | None = None
        self.announced = False
        self.provider_data: dict[str, Any] = {}
        self._scan = _JsonScan()
        self._value: tuple[int, Any] = (0, None)  # of so many parts

    def arguments(self) -> str:
        """The arguments as they arrived, freed of repetition."""
        return _deduplicate_arguments("".join(self.parts))

    def is_whole(self) -> bool:
        """Whether the arguments so far are one complete JSON object or array.

        The parts are scanned once in all, however often this is asked.
        """
        return self._scan.covers(self.parts)

    def repeats(self, piece: str) -> bool:
        """Whether the arguments so far say what `piece` says: the call is told once more."""
        if self._value[0] != len(self.parts):  # parsed once, however often this is asked
            self._value = (len(self.parts), _json_value("".join(self.parts)))
        value = self._value[1]
        return value is not None and bool(_json_value(piece) == value)


class ToolCallAssembler:
    """The tool calls of one response, in the order in which they began.

    Parameters
    ----------
    tool_names
        The tools and handoffs that were offered: they tell a name in pieces from a second call.
    new_id
        Makes an id for a call that came without one, or with that of another call.
    """

    def __init__(self, tool_names: frozenset[str], new_id: Callable[[], str]) -> None:
        self.calls: list[OpenCall] = []
        self._names = tool_names
        self._new_id = new_id
        self._by_id: dict[str, OpenCall] = {}
        self._by_index: dict[int, OpenCall] = {}

    def take(self, entry: Mapping[str, Any]) -> OpenCall:
        """Add an entry of `delta.tool_calls` to the call that it belongs to.

        Its fields may be missing, None or of another type. The call has its new piece of arguments,
        if any, at the end of `parts`.
        """
        function = entry.get("function")
        function = function if isinstance(function, Mapping) else {}
        index, call_id = _index(entry.get("index")), _text(entry.get("id"))
        name, piece = _text(function.get("name")), _piece(function.get("arguments"))
        call = self._owner(index, call_id, name)
        is_twin = bool(call and name and self._is_twin(call, call_id, piece, index))
        if is_twin or (call and name and self._starts_new_call(call, call_id, name, piece)):
            call = None
        elif call and name and piece and call.is_whole() and call.repeats(piece):
            piece = ""
        if call is None:
            call = self._open(index, call_id, name)
            call.is_twin = is_twin
        else:
            self._extend(call, index, call_id, name)
        if piece:
            call.parts.append(piece)
        return call

    def settle_twins(self) -> None:
        """Give up the twins that turned out to be a call that was sent twice."""
        kept: dict[tuple[str, ...], OpenCall] = {}
        for call in list(self.calls):
            owner = (call.sent_id, call.name)
            key = (*owner, _canonical(call.arguments()))
            same = (kept.get(key) or (kept.get(owner) if not call.parts else None)) or call
            if call.is_twin and same is not call:
                same.provider_data |= call.provider_data
                self.calls.remove(call)
            else:
                call.is_twin = False
                kept.setdefault(owner, call)
                kept[key] = call

    def settle_id(self, call: OpenCall) -> None:
        """Give a call that has no id one of ours: its output must name the call it answers."""
        if not call.id:
            call.id = self._new_id()

    def _owner(self, index: int | None, call_id: str, name: str) -> OpenCall | None:
        at_index = self._by_index.get(index) if index is not None else None
        if call_id in self._by_id:
            same = at_index is not None and at_index.sent_id == call_id
            return at_index if same else self._by_id[call_id]
        if at_index is not None:
            return at_index
        if not self.calls:
            return None
        last = self.calls[-1]
        if not call_id and not name:
            return last
        if index is not None:
            return None
        # No index at all: an id that is new to a call which has one is another call.
        return None if call_id and last.id else last

    def _is_twin(self, call: OpenCall, call_id: str, piece: str, index: int | None) -> bool:
        if not call_id or call_id != call.sent_id or not call.name:
            return False
        at_other_index = index is not None and self._by_index.get(index) is not call
        if not piece:
            return at_other_index or call.is_whole()
        begins = at_other_index or _json_value(piece) is not None
        return begins and call.is_whole() and not call.repeats(piece)

    def _starts_new_call(self, call: OpenCall, call_id: str, name: str, piece: str) -> bool:
        if not call.name:
            return False
        another_id = bool(call_id and call.id and call_id not in (call.id, call.sent_id))
        if not call.parts:
            return another_id or (
                name != call.name and name in self._names and call.name in self._names
            )
        if not call.is_whole():
            return False
        if another_id or name != call.name:
            return True
        return bool(piece) and not call_id

    def _open(self, index: int | None, call_id: str, name: str) -> OpenCall:
        call = OpenCall(index, call_id, name)
        if call_id in self._by_id:
            call.id = self._new_id()
        self.calls.append(call)
        if call_id:
            self._by_id[call_id] = call
        if index is not None:
            self._by_index[index] = call
        return call

    def _extend(self, call: OpenCall, index: int | None, call_id: str, name: str) -> None:
        if call_id:
            self._by_id.setdefault(call_id, call)
            call.id = call.id or call_id
            call.sent_id = call.sent_id or call_id
        if index is not None:
            self._by_index.setdefault(index, call)
        if name:
            call.name = _merged_name(call.name, name, self._names)


def call_entries(delta: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The entries of `tool_calls`, and the `function_call` that preceded them in the API."""
    entries = delta.get("tool_calls")
    for entry in entries if isinstance(entries, list) else [entries]:
        if isinstance(entry, Mapping):
            yield entry
    if isinstance(delta.get("function_call"), Mapping):
        yield {"function": delta["function_call"]}


def thought_signature(entry: Mapping[str, Any]) -> str | None:
    """Gemini's signature of the thought behind a call, which it wants back.

    Source: https://ai.google.dev/gemini-api/docs/thought-signatures (OpenAI compatibility).
    """
    extra = entry.get("extra_content")
    google = extra.get("google") if isinstance(extra, Mapping) else None
    signature = google.get("thought_signature") if isinstance(google, Mapping) else None
    return signature if isinstance(signature, str) else None


class _JsonScan:
    """Follow the brackets of JSON text that comes in parts, each part read once."""

    def __init__(self) -> None:
        self._read = 0
        self._depth = 0
        self._in_string = False
        self._begun = False
        self._carry = ""  # a backslash at the end of a part

    def covers(self, parts: list[str]) -> bool:
        for part in parts[self._read :]:
            self._follow(self._carry + part)
        self._read = len(parts)
        return self._begun and self._depth <= 0 and not self._in_string

    def _follow(self, text: str) -> None:
        self._carry = ""
        for match in _MARKS.finditer(text):
            mark = match.group()
            if mark == "\\":
                self._carry = mark
            elif mark == '"':
                self._in_string = not self._in_string
            elif not self._in_string and len(mark) == 1:
                self._begun = True
                self._depth += 1 if mark in "{[" else -1


def _merged_name(old: str, new: str, known: frozenset[str]) -> str:
    """Join a name with what came after it: a repetition, the whole name so far, or the rest."""
    if len(old) >= _LONGEST_NAME:
        return old
    if new == old and (old in known or old + new not in known):
        return old
    if new.startswith(old):
        return new
    return next((name for name in (old + new, new, old) if name in known), old + new)


def _deduplicate_arguments(arguments: str) -> str:
    r"""Undo what some servers do to arguments: send them twice, or after an empty object.

    Examples
    --------
    >>> _deduplicate_arguments('{"a":1}{"a":1}'), _deduplicate_arguments('{"a":1}{"b":2}')
    ('{"a":1}', '{"a":1}{"b":2}')
    >>> _deduplicate_arguments(r'{"a":1}"{\"a\": 1}"')  # LiteLLM's last chunk: JSON in JSON
    '{"a":1}'
    """
    if not _ADJOINING.search(arguments) or _json_value(arguments) is not None:
        return arguments
    decoder, position, spans, values = json.JSONDecoder(), 0, [], []
    while position < len(arguments):
        if arguments[position].isspace():
            position += 1
            continue
        try:
            value, end = decoder.raw_decode(arguments, position)
        except (ValueError, RecursionError):
            return arguments  # not ours to repair: the tool's error tells the model
        spans.append(arguments[position:end])
        values.append(_unwrapped(value))
        position = end
    if all(value == values[-1] or value == {} for value in values):
        return next(span for span, value in zip(spans, values, strict=True) if value == values[-1])
    return arguments


def _json_value(text: str) -> Any:
    """The value, None where there is none: no call's arguments are null."""
    try:
        return _unwrapped(read_json(text))
    except ValueError:
        return None


def _unwrapped(value: Any) -> Any:
    """The object in a text that is JSON itself: some servers encode arguments twice."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return read_json(value)
    except ValueError:
        return value


def _canonical(arguments: str) -> str:
    value = _json_value(arguments)
    return arguments if value is None else json.dumps(value, sort_keys=True)


def _index(value: Any) -> int | None:
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _piece(arguments: Any) -> str:
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return json.dumps(arguments, ensure_ascii=False)
