"""The session of a run: its history before the run, the run's items after each turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..items import ItemHelpers
from .options import RunOptions, call
from .state import RunState, told_to_model

if TYPE_CHECKING:
    from ..items import TResponseInputItem


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
    before = await session.get_items(_limit(options))
    if hasattr(session, "as_input"):
        before = session.as_input(before)
    combine = options.config.session_input_callback
    together: Any = [*before, *news]
    if combine is not None:
        together = await call(combine, list(before), list(news))
        if not isinstance(together, list):
            raise UserError(
                "session_input_callback must return a list of input items, "
                f"got {type(together).__name__}"
            )
        news = _not_among(before, together)
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


def _not_among(
    before: list[TResponseInputItem], together: list[TResponseInputItem]
) -> list[TResponseInputItem]:
    """The items of `together` that the session does not have, each counted once."""
    known = list(before)
    news = []
    for item in together:
        if item in known:
            known.remove(item)
        else:
            news.append(item)
    return news


async def save(state: RunState[Any], options: RunOptions) -> None:
    """Append the items that the session does not have yet."""
    if options.session is None:
        return
    items = state.new_items[state.saved_items :]
    plain = [state.input_item(item) for item in items if told_to_model(item)]
    if plain:
        await options.session.add_items(plain)
    state.saved_items = len(state.new_items)
