"""Lines of a recording that wait: an output guardrail may withhold what a tool returned."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

Line = dict[str, Any]

_ANSWER_WITHHELD: Final = "a guardrail withheld the output that it led to, and with it the answer"

# Of a run that is withheld: when what took place, and at what cost.
_KEPT_MARKS: Final = frozenset(
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

    def withhold(self, run: int | None, path: tuple[str, ...], message: str) -> None:
        """Take a call's output out of the lines that wait; see `without_output`."""
        entries: list[Hold | Line] = list(self._entries)
        lines = [entry for entry in entries if not isinstance(entry, Hold)]
        kept = iter(without_output(lines, run, path, message))
        self._entries.clear()
        for entry in entries:
            line = entry if isinstance(entry, Hold) else next(kept)
            if line is not None:
                self._entries.append(line)


def without_output(
    lines: list[Line], run: int | None, path: tuple[str, ...], message: str
) -> Iterator[Line | None]:
    """Each of `lines` without a call's output and what an agent said that ran as its tool.

    Parameters
    ----------
    lines : list of dict
        Lines of runs and of model calls.
    run : int or None
        The number of the run.
    path : tuple of str
        The call ids that lead to the call, its own the last.
    message : str
        What stands in the place of the output.

    Yields
    ------
    dict or None
        The line, changed where it has to be; None where nothing of it may stay.
    """
    mine = [line for line in lines if "run" in line and line["run"] == run]
    calls = {line["call"]: line for line in mine if "call" in line and _leads(path, line)}
    begun: set[int] = set()
    for line in lines:
        if "run" not in line:
            call = calls.get(line.get("call"))
            yield _of_call(line, call, begun) if call is not None else line
        elif line["run"] != run:
            yield line
        elif _leads(path, line):
            yield _beneath(line, message)
        elif tuple(line.get("path", ())) == path[:-1]:
            yield _of_tool(line, path[-1], message)
        else:
            yield line


def _leads(path: tuple[str, ...], line: Line) -> bool:
    return tuple(line.get("path", ())[: len(path)]) == path


def _of_call(line: Line, call: Line, begun: set[int]) -> Line | None:
    """A line of a model call without what was asked and answered; its digest stays.

    Its end becomes one of the run (`call` says where it began), which tells what it cost.
    """
    if "request" in line:
        request = dict(line["request"])
        if isinstance(request.get("input"), list):
            request["input"] = list(_emptied(request["input"]))
        return {**line, "request": request}
    if "at" not in line:
        return None
    if line["call"] in begun:
        is_end = line.get("type") in ("response.completed", "response.incomplete")
        return _answered(line, call) if is_end else None
    begun.add(line["call"])
    return {"call": line["call"], "at": line["at"], "error": _ANSWER_WITHHELD}


def _answered(line: Line, call: Line) -> Line:
    response = line.get("response", {})
    used = response.get("usage") or {}
    usage = {"requests": 1} | {name: used[name] for name in _USAGE if name in used}
    mark = {"type": "mark.model_answered", "response_id": response.get("id"), "usage": usage}
    begun = {name: call[name] for name in ("run", "path")}
    return {**begun, "at": round(call["at"] + line["at"], 6), "mark": mark}


def _emptied(items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        known = item if isinstance(item, dict) else {}
        yield {name: known[name] for name in _KEPT_OF_INPUT if name in known}


def _beneath(line: Line, message: str) -> Line | None:
    """A line of the run whose output is withheld."""
    if "call" in line or "agent" in line:
        return line
    mark = line.get("mark", {})
    if mark.get("type") not in _KEPT_MARKS:
        return None
    told = {name: message for name in ("error", "reason") if name in mark}
    return {**line, "mark": {**mark, **told}}


def _of_tool(line: Line, call_id: str, message: str) -> Line | None:
    """A line of the run that made the call."""
    mark, item = line.get("mark", {}), line.get("item", {})
    if mark.get("call_id") == call_id:
        if mark["type"] in ("mark.tool_progressed", "mark.tool_displayed"):
            return None
        if mark["type"] == "mark.tool_finished":
            kept = {name: value for name, value in mark.items() if name in ("type", "call_id")}
            failed = {"error": message} if "error" in mark else {}
            return {**line, "mark": {**kept, **failed, "output": message}}
    raw = item.get("raw", {})
    if item.get("type") == "tool_call_output_item" and raw.get("call_id") == call_id:
        left_out = ("custom_data", "display", "traceback")
        kept = {name: value for name, value in item.items() if name not in left_out}
        return {**line, "item": {**kept, "raw": {**raw, "output": message}, "output": message}}
    return line
