"""The session of a run: its history before the run, the run's items after each turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..errors import UserError
from ..items import ItemHelpers
from .options import RunOptions, call
from .state import RunState, told_to_model

if TYPE_CHECKING:
    pass


_CALLS: Final[dict[Any, str]] = {
    f"{kind}_call": kind
    for kind in ("function", "custom_tool", "computer", "shell", "local_shell", "apply_patch")
}
_OUTPUTS: Final[dict[Any, str]] = {f"{kind}_call_output": kind for kind in _CALLS.values()}


async def load(state: RunState[Any], options: RunOptions) -> None:
    """Set what the model sees before the run's own items: the session's items and the input.

    Raises
    ------
    UserError
        If the callback that combines history and input gives no list.
    """
    news = ItemHelpers.input_to_new_input_list(state.input)
    session = options.session
    if session is None:
        state.start_with(news)
        return
    limit = _limit(options)
    before = await (session.get_items() if limit is None else session.get_items(limit))
    if hasattr(session, "as_input"):
        before = session.as_input(before)
    stored, before = before, without_halves(before, news)
    combine = options.config.session_input_callback
    together: Any = [*before, *news]
    if combine is not None:
        together = await call(combine, list(before), list(news))
        if not isinstance(together, list):
            raise UserError(
                "session_input_callback must return a list of input items, "
                f"got {type(together).__name__}"
            )
        news = _not_among(stored, together, news)
    await session.add_items(news)
    state.input = together
    state.start_with(together)


def _limit(options: RunOptions) -> int | None:
    settings = getattr(options.session, "session_settings", None)
    override = options.config.session_settings
    if settings is not None and override is not None:
        settings = settings.resolve(override)
    else:
        settings = override or settings
    return settings.limit if settings is not None else None


def _not_among(before: list[Any], together: list[Any], news: list[Any]) -> list[Any]:
    """The items of `together` that the session does not have, however often it is repeated.

    What is equal to a stored item is new only where the input has it, too: a question can be asked
    twice.
    """
    known, awaited = list(before), list(news)
    added = []
    for item in together:
        if item in known:
            known.remove(item)
        elif item in awaited or item not in before:
            if item in awaited:
                awaited.remove(item)
            added.append(item)
    return added


def without_halves(stored: list[Any], news: list[Any]) -> list[Any]:
    """The stored items without calls that have no output, and outputs that have no call.

    An API refuses the half of a pair. The other may be cut off by a limit, wait for an approval, or
    be popped; so the half stays in the store, and is left out of the request. Reasoning that led to
    nothing but such calls goes with them.

    Examples
    --------
    >>> half = {"type": "function_call_output", "call_id": "c", "output": "7"}
    >>> without_halves([half, {"role": "user", "content": "Hi"}], [])
    [{'role': 'user', 'content': 'Hi'}]
    """
    together = [item for item in [*stored, *news] if isinstance(item, dict)]
    calls, outputs = (
        {(kind, item.get("call_id")) for item in together if (kind := kinds.get(item.get("type")))}
        for kinds in (_CALLS, _OUTPUTS)
    )
    whole = calls & outputs
    kept: list[Any] = []
    left_out = False
    for item in reversed(stored):  # reasoning stands before what it led to
        kind = item.get("type") if isinstance(item, dict) else None
        pair = _CALLS.get(kind) or _OUTPUTS.get(kind)
        if pair and (pair, item.get("call_id")) not in whole:
            left_out = left_out or (kind in _CALLS and not (kept and _of_the_model(kept[-1])))
        elif kind != "reasoning" or not left_out:
            kept.append(item)
            left_out = False
    return kept[::-1]


def _of_the_model(item: Any) -> bool:
    """Whether an item is what reasoning may have led to."""
    is_item = isinstance(item, dict)
    return is_item and (item.get("type") in _CALLS or item.get("role") == "assistant")


async def save(state: RunState[Any], options: RunOptions) -> None:
    """Append the items that the session does not have yet."""
    if options.session is None:
        return
    items = state.new_items[state.saved_items :]
    plain = [state.input_item(item) for item in items if told_to_model(item)]
    if plain:
        await options.session.add_items(plain)
    state.saved_items = len(state.new_items)
