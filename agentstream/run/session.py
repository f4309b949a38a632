"""The session of a run: its history before the run, the run's items after each turn."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from typing import Any, Final

from .._utils.aio import uninterrupted
from .._utils.keywords import with_wrapper
from .._utils.redaction import redact
from ..exceptions import UserError
from ..items import ItemHelpers, RunItem
from .options import LoopOptions, call
from .state.run_state import RunState, is_model_visible

logger = logging.getLogger("agentstream")

# By type of item: the kind of pair it is half of. What names the pair is its call_id, if not below.
_CALLS: Final[dict[Any, str]] = {
    f"{kind}_call": kind
    for kind in ("function", "custom_tool", "computer", "shell", "local_shell", "apply_patch")
} | {"mcp_approval_request": "mcp_approval"}
_OUTPUTS: Final[dict[Any, str]] = {
    f"{kind}_call_output": kind for kind in _CALLS.values() if kind != "mcp_approval"
} | {"mcp_approval_response": "mcp_approval"}
_NAMED_BY: Final[dict[Any, tuple[str, ...]]] = {
    "local_shell_call_output": ("call_id", "id"),
    "mcp_approval_request": ("id",),
    "mcp_approval_response": ("approval_request_id",),
}


async def load(state: RunState[Any], options: LoopOptions) -> None:
    """Set what the model sees before the run's own items: the session's items and the input.

    Raises
    ------
    UserError
        If the callback that combines history and input gives no list.
    """
    new_items = ItemHelpers.input_to_new_input_list(state.input)
    session = options.session
    if session is None:
        state.start_with(new_items)
        return
    named = with_wrapper(session, state.context)
    before = await _stored(session, _limit(options), named)
    if hasattr(session, "as_input"):
        before = session.as_input(before)
    state.waiting_ids = _waiting_ids([*before, *new_items])
    stored, before = before, without_halves(before, new_items)
    combine = options.config.session_input_callback
    combined: Any = [*before, *new_items]
    if combine is not None:
        combined = await call(combine, list(before), list(new_items))
        if not isinstance(combined, list):
            raise UserError(
                "session_input_callback must return a list of input items, "
                f"got {type(combined).__name__}"
            )
        new_items = _not_among(stored, combined, new_items)
    await uninterrupted(_begin(state, session, new_items, combined, named))


async def _begin(
    state: RunState[Any],
    session: Any,
    new_items: list[Any],
    history: list[Any],
    named: dict[str, Any],
) -> None:
    await session.add_items(new_items, **named)
    state.start_with(history)
    state.input = list(state.history)


async def _stored(session: Any, limit: int | None, named: dict[str, Any]) -> list[Any]:
    """The session's items, the last `limit` of them; a class may know of no limit."""
    if limit is None:
        return await session.get_items(**named)
    try:
        known = inspect.signature(session.get_items).parameters.values()
    except (TypeError, ValueError):  # it tells nothing of itself
        return await session.get_items(limit=limit, **named)
    if any(each.name == "limit" or each.kind is each.VAR_KEYWORD for each in known):
        return await session.get_items(limit=limit, **named)
    items = await session.get_items(**named)
    return items[max(len(items) - limit, 0) :]


def _limit(options: LoopOptions) -> int | None:
    settings = getattr(options.session, "session_settings", None)
    override = options.config.session_settings
    if settings is not None and override is not None:
        settings = settings.resolve(override)
    else:
        settings = override or settings
    return settings.limit if settings is not None else None


def _not_among(before: list[Any], combined: list[Any], new_items: list[Any]) -> list[Any]:
    """The items of `combined` that the session does not have, however often it is repeated.

    What is equal to a stored item is new only where the input has it, too: a question can be asked
    twice.
    """
    known, awaited = list(before), list(new_items)
    added = []
    for item in combined:
        if item in known:
            known.remove(item)
        elif item in awaited or item not in before:
            if item in awaited:
                awaited.remove(item)
            added.append(item)
    return added


def without_halves(stored: list[Any], new_items: list[Any]) -> list[Any]:
    """The stored items without calls that have no output, and outputs that have no call.

    An API refuses the half of a pair. The other may be cut off by a limit, wait for an approval, or
    be popped; so the half stays in the store, and is left out of the request. Reasoning that led to
    nothing but such calls goes with them.
    """
    halves = _halves([*stored, *new_items])
    return [item for at, item in enumerate(stored) if at not in halves]


def _halves(items: Sequence[Any]) -> set[int]:
    """The places of the halves of pairs among `items`, and of the reasoning that led to them.

    An output belongs to the call before it that it names and that has none yet: models restart
    their call numbers in each answer.
    """
    halves: set[int] = set()
    without_output: dict[Any, list[int]] = {}
    for at, item in enumerate(items):
        kind = _kind(item)
        if pair := _CALLS.get(kind):
            without_output.setdefault(_pair_id(item, pair), []).append(at)
            halves.add(at)
        elif pair := _OUTPUTS.get(kind):
            calls = without_output.get(_pair_id(item, pair))
            halves.add(at) if not calls else halves.remove(calls.pop())
    led_to: Any = None  # the next item that stays
    only_halves = False
    for at in range(len(items) - 1, -1, -1):  # reasoning stands before what it led to
        item = items[at]
        kind = _kind(item)
        if at in halves:
            only_halves = only_halves or (kind in _CALLS and not _of_the_model(led_to))
        elif kind == "reasoning" and only_halves:
            halves.add(at)
        else:
            led_to, only_halves = item, False
    return halves


def _waiting_ids(items: Sequence[Any]) -> frozenset[str]:
    """The ids of calls that have no output yet.

    Another call with such an id, of a model that restarts its call numbers, would be taken for it:
    their outputs could come in any order.
    """
    calls = [items[at] for at in _halves(items) if _kind(items[at]) in _CALLS]
    return frozenset(call["call_id"] for call in calls if isinstance(call.get("call_id"), str))


def _kind(item: Any) -> str | None:
    kind = item.get("type") if isinstance(item, dict) else None
    return kind if isinstance(kind, str) else None  # a store may hold anything


def _pair_id(item: dict[str, Any], pair: str) -> tuple[str, str]:
    fields = _NAMED_BY.get(item["type"], ("call_id",))
    return pair, str(next((item[name] for name in fields if item.get(name)), None))


def _of_the_model(item: Any) -> bool:
    """Whether an item is what reasoning may have led to."""
    if not isinstance(item, dict):
        return False
    return item.get("role") == "assistant" or str(item.get("type")).endswith("_call")


async def save(state: RunState[Any], options: LoopOptions, *, stopped: bool = False) -> None:
    """Append the items that the session does not have yet.

    After a step that failed or was `stopped` it is not known if its open calls will ever be run.
    The session is read by other programs: it is not given calls without an output, until there is
    one. (Calls that wait for a person are given, as the SDK does.)
    """
    if options.session is not None:
        await uninterrupted(_save(state, options.session, stopped))


async def save_after(
    error: BaseException, state: RunState[Any], options: LoopOptions, *, stopped: bool = False
) -> None:
    """Save what the run has reached when it fails with `error`, which is what it is to fail with.

    Where the session fails, too, `error` says so in a note.
    """
    try:
        await save(state, options, stopped=stopped)
    except Exception as problem:
        message = redact(f"{type(problem).__name__}: {problem}")  # of a database: its address
        error.add_note(f"The session could not store what the run had reached by then: {message}")
        logger.warning("The session could not store what a failed run had reached.", exc_info=True)


def leave_out(state: RunState[Any], removed: set[int]) -> None:
    """Keep the items at these places out of the session, and what is half a pair without them."""
    if not removed:
        return
    places = [*state.unsaved, *range(state.saved_items, len(state.new_items))]
    left = [at for at in places if at not in removed]
    halves = _open_places(state, left) - _open_places(state, places)
    state.unsaved = [at for at in left if at not in halves]
    state.saved_items = len(state.new_items)


async def _save(state: RunState[Any], session: Any, stopped: bool) -> None:
    places = [*state.unsaved, *range(state.saved_items, len(state.new_items))]
    halves = _open_places(state, range(len(state.new_items))) if stopped else set()
    items = [state.new_items[at] for at in places if at not in halves]
    plain = [state.input_item(item) for item in items if is_model_visible(item)]
    if plain:
        await session.add_items(plain, **with_wrapper(session, state.context))
    state.unsaved = [at for at in places if at in halves]
    state.saved_items = len(state.new_items)
    if state.unsaved:
        _move_to_end(state, [state.new_items[at] for at in state.unsaved])


def _move_to_end(state: RunState[Any], items: list[RunItem]) -> None:
    """Let the model see `items` last, so that it sees what a session has, in the same order."""
    moved = {id(item) for item in items}
    state.model_items.sort(key=lambda item: id(item) in moved)
    state.rebuild_history()


async def compact(state: RunState[Any], options: LoopOptions, store: bool | None) -> None:
    """Let the session compact its history, if it is one that does.

    That waits for another run where this one does not end with the model's own answer: what came
    after it, such as the outputs of tools, is unknown to the response.

    `store`: the API keeps the responses.
    """
    session: Any = options.session
    if not callable(getattr(session, "run_compaction", None)) or not state.responses:
        return
    response = state.responses[-1]
    raw = state.new_items[-1].raw_item if state.new_items else None
    if response.response_id is None or not any(item is raw for item in response.output):
        return
    if hasattr(session, "remember_response"):
        request, answer = state.last_exchange
        seen = [*request, *map(state.input_item, answer)]
        session.remember_response(response.response_id, seen)
    args: dict[str, Any] = {"response_id": response.response_id}
    if store is not None:
        args["store"] = store
    known = inspect.signature(session.run_compaction).parameters
    named = {"wrapper": state.context} if "wrapper" in known else {}
    await session.run_compaction(args, **named)


def _open_places(state: RunState[Any], among: Sequence[int]) -> set[int]:
    """The places of halves of pairs among some of the run's items."""
    places = [at for at in among if is_model_visible(state.new_items[at])]
    halves = _halves([state.input_item(state.new_items[at]) for at in places])
    return {places[at] for at in halves}
