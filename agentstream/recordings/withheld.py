"""Lines of a recording that wait: an output guardrail may refuse what a model or a tool said."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

from ..run.refusals import Refusal

Line = dict[str, Any]

# Of a run that is withheld: when what took place, and at what cost.
_KEPT_EVENTS: Final = frozenset(
    f"mark.{name}"
    for name in (
        "run_started",
        "model_called",
        "model_answered",
        "model_retried",
        "model_silent",
        "model_heard",
        "guardrail_started",
        "guardrail_finished",
        "run_cancelled",
        "run_failed",
        "run_finished",
    )
)
_USAGE: Final = (
    "input_tokens",
    "input_tokens_details",
    "output_tokens",
    "output_tokens_details",
    "total_tokens",
)
_NO_TOKENS: Final[dict[str, Any]] = {
    "requests": 1,
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}
_KEPT_OF_INPUT: Final = ("type", "role", "id", "call_id", "name", "status")


class Hold:
    """A place in the order of the lines: those behind it wait until it is released."""

    def __init__(self) -> None:
        self.released = False


class HeldLines:
    """Lines in their order, from the first `Hold` on that is not released."""

    def __init__(self) -> None:
        self._entries: deque[Hold | Line] = deque()

    def __bool__(self) -> bool:
        return bool(self._entries)

    def hold(self) -> Hold:
        """Let the lines that come from now on wait."""
        hold = Hold()
        self._entries.append(hold)
        return hold

    def add(self, line: Line) -> None:
        """Add a line that waits."""
        self._entries.append(line)

    def release(self, hold: Hold) -> list[Line]:
        """End a hold; the lines that wait for none any more."""
        hold.released = True
        free = []
        while self._entries:
            entry = self._entries[0]
            if isinstance(entry, Hold) and not entry.released:
                break
            self._entries.popleft()
            if not isinstance(entry, Hold):
                free.append(entry)
        return free

    def withhold(self, run: int | None, refusal: Refusal) -> None:
        """Take what is refused out of the lines that wait; see `without_refused`."""
        entries: list[Hold | Line] = list(self._entries)
        lines = [entry for entry in entries if not isinstance(entry, Hold)]
        kept = without_refused(lines, run, refusal)
        self._entries.clear()
        for entry in entries:
            self._entries.extend([entry] if isinstance(entry, Hold) else next(kept))


def without_refused(lines: list[Line], run: int | None, refusal: Refusal) -> Iterator[list[Line]]:
    """Each of `lines` without what a guardrail refuses.

    That is a call's output and what an agent said that ran as its tool, or what the model said in
    the last turn of a run.

    Each line is changed where it has to be; nothing of it is left where nothing may stay.
    """
    mine = [line for line in lines if "run" in line and line["run"] == run]
    tool = refusal.tool_path
    if tool is None:
        mine = _last_turn(mine, refusal.path)
        calls = {line["call"]: line for line in mine if "call" in line}
        last = {id(line) for line in mine}
    else:
        calls = {line["call"]: line for line in mine if "call" in line and _leads(tool, line)}
    for line in lines:
        if "run" not in line:
            call = calls.get(line.get("call"))
            yield [line] if call is None else list(_of_call(line, call, refusal))
        elif line["run"] != run:
            yield [line]
        elif tool is None:
            yield _of_answer(line, refusal.message) if id(line) in last else [line]
        elif _leads(tool, line):
            yield _beneath(line, refusal.message)
        elif tuple(line.get("path", ())) == refusal.path:
            yield _of_tool(line, tool[-1], refusal.message)
        else:
            yield [line]


def _last_turn(lines: list[Line], path: tuple[str, ...]) -> list[Line]:
    """The lines of a run since its last model call began."""
    mine = [line for line in lines if tuple(line.get("path", ())) == path]
    began = 0
    for at, line in enumerate(mine):
        if line.get("mark", {}).get("type") == "mark.model_called":
            began = at
    return mine[began:]


def _leads(path: tuple[str, ...], line: Line) -> bool:
    return tuple(line.get("path", ())[: len(path)]) == path


def _of_call(line: Line, call: Line, refusal: Refusal) -> Iterator[Line]:
    """A line of a model call without what was answered; beneath a tool, nor what was asked.

    The digest stays. The answer is the message in its place; that it is, and whose guardrail
    refuses it, is for a replay.
    """
    if "request" in line:
        request = dict(line["request"])
        if refusal.call_id is not None and isinstance(request.get("input"), list):
            request["input"] = list(_emptied(request["input"]))
        yield {**line, "request": request}
        return
    kind = line.get("type")
    number, at = line["call"], line.get("at")
    if "answer" in line or kind == "response.completed":
        response = line.get("answer") or line.get("response") or {}
        used = response.get("usage") or {}
        usage = {name: used[name] for name in _USAGE if used.get(name) is not None}
        id = response.get("response_id") or response.get("id")
        answer: Line = {"output": [_message(refusal.message)], "usage": _NO_TOKENS | usage}
        withheld = refusal.seen_from(tuple(call.get("path", ())))
        if id is not None:
            answer["response_id"] = id
        yield {"call": number, "at": at, "answer": answer, "withheld": withheld}
        if "answer" not in line:  # else the run tells it
            usage = {"requests": 1} | usage
            mark = {"type": "mark.model_answered", "response_id": id, "usage": usage}
            where: Line = {name: call[name] for name in ("run", "path") if name in call}
            yield {**where, "at": round(call["at"] + line["at"], 6), "mark": mark}
    elif "error" in line or kind in ("response.failed", "response.incomplete", "error"):
        yield {"call": number, "at": at, "error": refusal.message}


def _message(text: str) -> dict[str, Any]:
    content = {"type": "output_text", "text": text, "annotations": []}
    about = {"id": "msg_withheld", "type": "message", "role": "assistant", "status": "completed"}
    return {**about, "content": [content]}


def _of_answer(line: Line, message: str) -> list[Line]:
    """A line of the turn whose answer is refused."""
    item = line.get("item", {})
    if item.get("type") == "message_output_item":
        return [{**line, "item": {**item, "raw": _message(message)}}]
    return [] if item.get("type") == "reasoning_item" else [line]


def _emptied(items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        known = item if isinstance(item, dict) else {}
        yield {name: known[name] for name in _KEPT_OF_INPUT if name in known}


def _beneath(line: Line, message: str) -> list[Line]:
    """A line of the run whose output is withheld."""
    if "call" in line or "agent" in line:
        return [line]
    mark = line.get("mark", {})
    if mark.get("type") not in _KEPT_EVENTS:
        return []
    messages = {name: message for name in ("error", "reason") if name in mark}
    return [{**line, "mark": {**mark, **messages}}]


def _of_tool(line: Line, call_id: str, message: str) -> list[Line]:
    """A line of the run that made the call."""
    mark, item = line.get("mark", {}), line.get("item", {})
    if mark.get("call_id") == call_id:
        if mark["type"] in ("mark.tool_progressed", "mark.tool_displayed"):
            return []
        if mark["type"] == "mark.tool_finished":
            kept = {name: value for name, value in mark.items() if name in ("type", "call_id")}
            failed = {"error": message} if "error" in mark else {}
            return [{**line, "mark": {**kept, **failed, "output": message}}]
    raw = item.get("raw", {})
    if item.get("type") == "tool_call_output_item" and raw.get("call_id") == call_id:
        left_out = ("custom_data", "display", "traceback")
        kept = {name: value for name, value in item.items() if name not in left_out}
        new_item = {**kept, "raw": {**raw, "output": message}, "output": message}
        return [{**line, "item": new_item}]
    return [line]
