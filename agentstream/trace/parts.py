"""What a run is made of: turns, parts, handoffs, guardrails. Plain records that `Trace` fills."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from .._utils.json import read_json
from .text import Text

if TYPE_CHECKING:
    from .state import TraceState

PartKind: TypeAlias = Literal[
    "text",
    "reasoning",
    "refusal",
    "tool",
    "handoff",
    "web_search",
    "file_search",
    "code_interpreter",
    "image_generation",
    "mcp_call",
    "mcp_list_tools",
    "mcp_approval",
    "tool_search",
    "computer",
    "shell",
    "apply_patch",
    "compaction",
    "custom",
]
Status: TypeAlias = Literal[
    "in_progress",  # the model is writing it, or the provider is working on it
    "running",  # written; its function is at work
    "awaiting_approval",
    "completed",
    "incomplete",
    "failed",
    "cancelled",
    "rejected",
    "superseded",  # its model call failed within it and was made again
]
RunStatus: TypeAlias = Literal["running", "paused", "completed", "cancelled", "failed"]

OPEN_STATUSES = frozenset({"in_progress", "running", "awaiting_approval"})

KIND_OF_ITEM: dict[str, PartKind] = {
    "message": "text",
    "reasoning": "reasoning",
    "function_call": "tool",
    "custom_tool_call": "tool",
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "image_generation_call": "image_generation",
    "mcp_call": "mcp_call",
    "mcp_list_tools": "mcp_list_tools",
    "mcp_approval_request": "mcp_approval",
    "tool_search_call": "tool_search",
    "computer_call": "computer",
    "local_shell_call": "shell",
    "shell_call": "shell",
    "apply_patch_call": "apply_patch",
    "compaction": "compaction",
}
"""Item types of the Responses API, and the kind of part each becomes."""


def get(value: Any, name: str, default: Any = None) -> Any:
    """Read a field of an object or of a mapping; None counts as absent.

    What names something is a key of dicts here: where a server put a list or an object in its
    place, its text stands for it.
    """
    attribute = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
    if name in _NAMES and attribute.__hash__ is None:
        return str(attribute)
    return default if attribute is None else attribute


_NAMES = frozenset(
    {"approval_request_id", "call_id", "id", "item_id", "output_index", "status", "type"}
)


_DEEPEST = 20


def to_jsonable(value: Any, depth: int = _DEEPEST) -> Any:
    """Turn a pydantic value into plain JSON data, and leave everything else as it is."""
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        try:
            return dump(exclude_none=True, mode="json", warnings=False)
        except Exception:  # noqa: BLE001 - it may be an object of a tool's, with fields of any type
            return str(value)
    if isinstance(value, (list, tuple)):
        # A list may be within itself.
        return [to_jsonable(one, depth - 1) for one in value] if depth else str(value)
    return value


def output_text(output: Any) -> str:
    """Return a tool's output as text: strings as they are, everything else as JSON.

    Content that is text throughout, as MCP servers give it, is that text.

    Examples
    --------
    >>> output_text({"type": "text", "text": "21.4"})
    '21.4'
    >>> output_text({"celsius": 21.4})
    '{"celsius": 21.4}'
    """
    if isinstance(output, str):
        return output
    value = to_jsonable(output)
    content = value if isinstance(value, list) else [value]
    if content and all(_is_text(one) for one in content):
        return "\n".join(one["text"] for one in content)
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):  # keys that are no text, a list within itself
        return str(value)


def _is_text(value: Any) -> bool:
    """Whether `value` is a content part with a text, and nothing besides."""
    known = isinstance(value, dict) and value.get("type") in ("text", "input_text")
    return known and isinstance(value.get("text"), str)


def parse_arguments(text: str) -> dict[str, Any] | None:
    """Parse a call's arguments; None unless they are a whole JSON object."""
    try:
        parsed = read_json(text)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


COUNTS: Final = ("input", "cached", "output", "reasoning", "total")
"""The tokens of a model call by kind."""


@dataclass(slots=True)
class Turn:
    """One model call.

    Times are seconds since the start of the run. ``usage`` has the keys ``input``, ``cached``,
    ``output``, ``reasoning`` and ``total`` (tokens), and is None when the provider told none.
    """

    index: int
    agent: str | None
    started: float
    model: str | None = None
    response_id: str | None = None
    first_token: float | None = None
    ended: float | None = None
    status: Status = "in_progress"
    error: str | None = None
    usage: dict[str, int] | None = None
    created_at: float | None = None
    service_tier: str | None = None
    version: int = 0
    whole: bool = False
    """Answered in one piece: nobody knows when its first token was there."""
    has_reasoning: bool = False
    """Whether its reasoning could be read; known when it has ended."""

    @property
    def counts(self) -> tuple[int, ...]:
        """Its tokens, in the order of `COUNTS`; zeros where none are told."""
        return tuple(self.usage.get(name, 0) if self.usage else 0 for name in COUNTS)


@dataclass(slots=True)
class Handoff:
    """The run went from one agent to another at ``time``."""

    source: str | None
    target: str
    time: float
    call_id: str | None = None


@dataclass(slots=True)
class Guardrail:
    """A guardrail's check; ``tripped`` is None while it runs."""

    name: str
    stage: str
    agent: str | None
    started: float
    ended: float | None = None
    tripped: bool | None = None
    call_id: str | None = None


@dataclass(slots=True)
class Approval:
    """The wait of one call for a person's decision; ``id`` names the call and no other."""

    requested: float
    decided: float | None = None
    approved: bool | None = None
    id: str | None = None


@dataclass(slots=True)
class Retry:
    """A model call that failed at ``time`` and is made again ``delay`` seconds later.

    ``resumed``: its stream goes on where it broke off. ``lost``: characters that the failed attempt
    had written, which the next one replaces.
    """

    time: float
    turn: int
    attempt: int
    delay: float
    error: str | None = None
    resumed: bool = False
    lost: int = 0


@dataclass(slots=True)
class Silence:
    """A time in which a model sent nothing; ``limit`` is when it is given up.

    With a ``reason`` the request had not left: it waited for a rate limit.
    """

    started: float
    turn: int
    limit: float | None = None
    ended: float | None = None
    reason: str = ""


@dataclass(slots=True, eq=False)
class Part:
    """One piece of a run: a text, a reasoning summary, a tool call, a handoff, ...

    Attributes
    ----------
    index
        Position in ``trace.parts``; it never changes.
    kind
        A call becomes a ``handoff`` only when the run says that it is one; every other kind is
        final.
    version
        Grows with each change; see `Trace.changed_since`.
    started, called, run_started, ended
        Seconds since the start of the run: the model begins to write it, its arguments are whole,
        its function begins, its end. ``run_started`` is None without a `ToolStarted` mark.
    item
        The item as the provider sent it, once it is whole.
    stage
        The step a hosted tool reported last, such as ``"searching"``.
    output
        What a tool returned, as the run gave it.
    display
        What is shown of an output that is a figure, an image or a frame: blocks of plain data.
        Empty for what is text, None where nobody has looked yet.
    told
        What the model gets for an output: text or content parts.
    printed
        What a tool printed and displayed while it ran, as blocks.
    nested
        The trace of the agent that runs as this tool.
    warnings
        What is wrong with a call although it goes on.
    rewrites
        How often ``text`` or ``arguments`` were replaced and not just continued; a view that copies
        text by position starts again when it changes.
    """

    index: int
    kind: PartKind
    item_type: str
    turn: int | None
    agent: str | None
    started: float
    item_id: str | None = None
    call_id: str | None = None
    name: str | None = None
    status: Status = "in_progress"
    called: float | None = None
    run_started: float | None = None
    ended: float | None = None
    body: Text = field(default_factory=Text)
    input: Text = field(default_factory=Text)
    annotations: list[Any] = field(default_factory=list)
    item: Any = None
    image: str | None = None
    output: Any = None
    has_output: bool = False
    display: list[dict[str, Any]] | None = None
    model_output: Any = None
    printed: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    traceback: str | None = None
    progress: tuple[str, float | None] | None = None
    approval: Approval | None = None
    target: str | None = None
    nested: TraceState | None = None
    version: int = 0
    rewrites: int = 0
    section: int = 0
    position: int | None = None
    family: str | None = None
    stage: str | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text written so far."""
        return str(self.body)

    def text_from(self, start: int) -> str:
        """Return the text from character ``start`` on, without copying what lies before."""
        return self.body.since(start)

    @property
    def arguments(self) -> str:
        """The arguments of a call (or the code of an interpreter) written so far, as sent."""
        return str(self.input)

    def arguments_from(self, start: int) -> str:
        """Return the arguments from character ``start`` on."""
        return self.input.since(start)

    @property
    def is_open(self) -> bool:
        """Whether more is to come."""
        return self.status in OPEN_STATUSES


@dataclass(frozen=True, slots=True, eq=False)
class ItemRow:
    """One run item: its part, its type, and its place among all items, nested ones included."""

    part: Part
    type: str
    agent: str | None
    sequence: int
    time: float
