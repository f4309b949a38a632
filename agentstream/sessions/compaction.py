"""A session whose history OpenAI's Responses API shortens when it has become long."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from itertools import takewhile
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    Protocol,
    TypeAlias,
    TypeGuard,
    get_args,
    runtime_checkable,
)

from typing_extensions import TypedDict

from .._utils.keywords import with_wrapper
from ..exceptions import check_choice
from ..model_settings import TimeLimits
from .base import (
    Session,
    SessionABC,
    SessionSettings,
    everything_in,
    read_limit,
    settings_of_underlying,
)
from .conversations import OpenAIConversationsSession
from .loop_lock import LoopLock

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from ..items import TResponseInputItem
    from ..run_context import RunContextWrapper

OpenAIResponsesCompactionMode: TypeAlias = Literal["previous_response_id", "input", "auto"]

DEFAULT_COMPACTION_THRESHOLD: Final = 10
"""How many items, not counting the user's, are compacted unless the caller decides."""

# An answer holds what is left of the conversation, images and files included.
_LIMITS: Final = TimeLimits(event_bytes=TimeLimits.answer_bytes)
_OPENAI_MODEL: Final = re.compile(r"(openai/)*(ft:)?(gpt-|o\d)")

_HOLDERS: Final[dict[Any, tuple[str, ...]]] = {
    "input_image": ("image_url", "file_id"),
    "input_file": ("file_data", "file_url", "file_id"),
}
"""By type of part, the fields of which one has its content."""

_log = logging.getLogger("agentstream.sessions")


class OpenAIResponsesCompactionArgs(TypedDict, total=False):
    """The arguments of `run_compaction`.

    Attributes
    ----------
    response_id : str
        The last response of the run.
    compaction_mode : {"previous_response_id", "input", "auto"}
        Replaces the session's.
    store : bool
        Whether the API keeps that response; false means that it cannot be found by its id.
    force : bool
        Compact without asking `should_trigger_compaction`.

    Examples
    --------
    >>> OpenAIResponsesCompactionArgs(force=True)
    {'force': True}
    """

    response_id: str
    compaction_mode: OpenAIResponsesCompactionMode
    store: bool
    force: bool


@runtime_checkable
class OpenAIResponsesCompactionAwareSession(Session, Protocol):
    """A session that a run asks to compact itself, after it has stored its last items.

    Examples
    --------
    >>> issubclass(OpenAIResponsesCompactionSession, SessionABC)
    True
    >>> callable(OpenAIResponsesCompactionSession.run_compaction)
    True
    """

    async def run_compaction(self, args: OpenAIResponsesCompactionArgs | None = None) -> None:
        """Compact the history, if it is time to; `args` are about the run's last response."""
        ...


def is_openai_responses_compaction_aware_session(
    session: Session | None,
) -> TypeGuard[OpenAIResponsesCompactionAwareSession]:
    """Whether a run asks `session` to compact itself.

    Examples
    --------
    >>> from agentstream import SQLiteSession
    >>> is_openai_responses_compaction_aware_session(SQLiteSession("ada"))
    False
    """
    return callable(getattr(session, "run_compaction", None))


def is_openai_model_name(model: str) -> bool:
    """Whether a name is that of a model of OpenAI, also a fine-tuned one.

    Examples
    --------
    >>> is_openai_model_name("ft:gpt-4.1:my-org::id"), is_openai_model_name("claude-3")
    (True, False)
    """
    return _OPENAI_MODEL.match(model) is not None


def select_compaction_candidate_items(items: list[TResponseInputItem]) -> list[TResponseInputItem]:
    """The items that count toward the threshold: neither the user's nor compacted already.

    Examples
    --------
    >>> select_compaction_candidate_items([{"role": "user", "content": "Hi"}])
    []
    """
    return [
        item for item in items if item.get("type") != "compaction" and item.get("role") != "user"
    ]


def default_should_trigger_compaction(context: dict[str, Any]) -> bool:
    """Whether there are as many candidates as `DEFAULT_COMPACTION_THRESHOLD`, or more."""
    return len(context["compaction_candidate_items"]) >= DEFAULT_COMPACTION_THRESHOLD


class OpenAIResponsesCompactionSession(SessionABC):
    """A session that shortens its history with ``POST /responses/compact``.

    A run compacts it after it has stored its last items, and waits for that. What the API gives
    back takes the place of the history. When it cannot be stored, the history is restored, and the
    error goes on.

    Parameters
    ----------
    session_id : str
        Name of the conversation.
    underlying_session : Session
        Where the items are kept; not an `OpenAIConversationsSession`.
    client : AsyncOpenAI or None
        Makes the request; None takes the one a run would take.
    model : str
        A model of OpenAI's, which compacts.
    compaction_mode : {"previous_response_id", "input", "auto"}
        What is sent: the id of the last response, or the stored items. ``"auto"`` sends the id
        where the API has kept the response and the response has seen the whole history.
    should_trigger_compaction : callable, optional
        Decides by a dict with the keys ``response_id``, ``compaction_mode``,
        ``compaction_candidate_items`` and ``session_items``. Ten candidates are enough otherwise.
    max_rollback_items : int or None
        A longer history is not compacted, as it could not be held for a restore: a `ValueError`.

    Raises
    ------
    ValueError
        The model is not OpenAI's, the underlying session cannot be compacted, or
        `max_rollback_items` is not positive.

    Examples
    --------
    >>> from agentstream import SQLiteSession
    >>> session = OpenAIResponsesCompactionSession("ada", SQLiteSession("ada"))
    >>> asyncio.run(session.add_items([{"role": "user", "content": "Hello"}]))
    >>> asyncio.run(session.get_items())
    [{'role': 'user', 'content': 'Hello'}]
    """

    session_settings: SessionSettings | None = settings_of_underlying()

    def __init__(
        self,
        session_id: str,
        underlying_session: Session,
        *,
        client: AsyncOpenAI | None = None,
        model: str = "gpt-4.1",
        compaction_mode: OpenAIResponsesCompactionMode = "auto",
        should_trigger_compaction: Callable[[dict[str, Any]], bool] | None = None,
        max_rollback_items: int | None = None,
    ) -> None:
        if isinstance(underlying_session, OpenAIConversationsSession):
            raise ValueError(
                "OpenAIConversationsSession cannot be compacted: the Conversations API manages the "
                "history itself. Give another session, such as SQLiteSession."
            )
        if not is_openai_model_name(model):
            raise ValueError(
                f"Unsupported model for OpenAI responses compaction: {model!r}. Give a model of "
                "OpenAI's, such as 'gpt-4.1'; the agents may use any."
            )
        if max_rollback_items is not None and max_rollback_items <= 0:
            raise ValueError(f"max_rollback_items must be positive, got {max_rollback_items}")
        self.session_id = session_id
        self.underlying_session = underlying_session
        self.model = model
        check_choice("compaction_mode", compaction_mode, get_args(OpenAIResponsesCompactionMode))
        self.compaction_mode: OpenAIResponsesCompactionMode = compaction_mode
        self.should_trigger_compaction = (
            default_should_trigger_compaction
            if should_trigger_compaction is None
            else should_trigger_compaction
        )
        self.max_rollback_items = max_rollback_items
        self._client = client
        self._lock = LoopLock()
        self._response: _Response | None = None
        self._wrapper: RunContextWrapper[Any] | None = None

    @property
    def client(self) -> AsyncOpenAI:
        """The client that makes the request."""
        from ..models.provider import default_openai_client

        return default_openai_client() if self._client is None else self._client

    def remember_response(self, response_id: str, history: list[Any]) -> None:
        """Take note of what a response has seen; a run calls this before `run_compaction`.

        Where the session holds something else when a run ends, as a filter hid a part of it from
        the model or another run has added to it, it is not compacted then.

        Parameters
        ----------
        response_id : str
            The response.
        history : list
            The input items that it has seen, and its own.
        """
        self._response = _Response(response_id, history=list(history))

    async def run_compaction(
        self,
        args: OpenAIResponsesCompactionArgs | None = None,
        *,
        wrapper: RunContextWrapper[Any] | None = None,
    ) -> None:
        """Compact the history, if `should_trigger_compaction` or ``force`` says so.

        Other calls on this object wait until it is done.

        Parameters
        ----------
        args : OpenAIResponsesCompactionArgs, optional
            About the response that the run ended with, and how to compact.
        wrapper : RunContextWrapper, optional
            The run's context: what the request used is added to its usage.

        Raises
        ------
        ValueError
            The mode is ``"previous_response_id"`` and there is no response, or the history is
            longer than `max_rollback_items`.
        """
        args = args or {}
        async with self._lock.here():
            self._wrapper = wrapper
            if response_id := args.get("response_id"):
                if self._response is None or self._response.id != response_id:
                    self._response = _Response(response_id)
                self._response.stored = args.get("store") is not False
            history = await self._whole_history()
            kept, items = self._split(history)
            if not args.get("force") and self._response and not self._response.has_seen(items):
                # A filter, or another run, may keep from the model what the API must not be sent.
                _log.warning(
                    "Session history was retained: the last response of session %r has not seen "
                    "all of it. run_compaction({'force': True}) compacts it all the same.",
                    self.session_id,
                )
                return
            mode = self._mode(args.get("compaction_mode") or self.compaction_mode, history)
            if not args.get("force") and not self.should_trigger_compaction(
                {
                    "response_id": self._response.id if self._response else None,
                    "compaction_mode": mode,
                    "compaction_candidate_items": select_compaction_candidate_items(items),
                    "session_items": list(items),
                }
            ):
                return
            compacted = await self._compact(mode, items, wrapper)
            if await self._whole_history() != history:
                _log.warning(
                    "Session history was retained: session %r was changed by others while it was "
                    "compacted, and what they wrote would be lost.",
                    self.session_id,
                )
                return
            await self._replace(history, [*kept, *compacted])
            self._response = None

    def _mode(self, mode: OpenAIResponsesCompactionMode, history: list[Any]) -> str:
        """What is sent: ``"input"`` or ``"previous_response_id"``.

        Raises
        ------
        ValueError
            There is no response whose id could be sent.
        """
        known = self._response
        if mode == "previous_response_id" and known is None:
            raise ValueError(
                "previous_response_id compaction requires a response_id: none is known since the "
                "history last changed. Give one, or use compaction_mode='input'."
            )
        if mode == "input" or known is None or (mode == "auto" and not known.stored):
            return "input"
        return "previous_response_id" if known.is_of(history) else "input"

    async def _compact(
        self, mode: str, items: list[Any], wrapper: RunContextWrapper[Any] | None
    ) -> list[Any]:
        from ..models.retry.client_retries import guarded_requests
        from ..run.session import without_halves
        from ..usage import usage_of

        client, sent = self.client, dict[str, Any]()
        if mode == "input":
            sent["input"] = [_as_sent(item) for item in without_halves(items, [])]
        elif self._response is not None:
            sent["previous_response_id"] = self._response.id
        with guarded_requests(client, _LIMITS):
            response = await client.responses.compact(model=self.model, **sent)
        usage = getattr(response, "usage", None)
        if wrapper is not None and usage is not None:
            wrapper.usage.add(usage_of(usage))
        return _as_input(response.output)

    async def _whole_history(self) -> list[Any]:
        """The items, also beyond the limit that a run reads.

        Raises
        ------
        ValueError
            There are more than `max_rollback_items`.
        """
        most = self.max_rollback_items
        if most is None:
            return await everything_in(self.underlying_session, **self._named(self._wrapper))
        underlying: Any = self.underlying_session
        items = list(await underlying.get_items(limit=most + 1, **self._named(self._wrapper)))
        if len(items) > most:
            raise ValueError(
                f"The history exceeds max_rollback_items={most}, so it is not compacted: it could "
                "not be restored. Allow more, or compact more often."
            )
        return items

    def _split(self, history: list[Any]) -> tuple[list[Any], list[Any]]:
        """What stays as it is, and what is compacted.

        That is what a run reads, and what the last one has read and added beyond that.
        """
        limit = read_limit(self.underlying_session)
        at = 0 if limit is None else max(len(history) - limit, 0)
        if self._response is not None:
            at -= self._response.seen_before(history[:at], history[at:])
        return history[:at], history[at:]

    async def _replace(self, before: list[Any], after: list[Any]) -> None:
        if _replaces_at_once(self.underlying_session):
            # All or nothing, even if the process ends here.
            await self.underlying_session.replace_items(after)  # type: ignore[attr-defined]
            return
        underlying: Any = self.underlying_session
        named = self._named(self._wrapper)
        try:
            await underlying.clear_session(**named)
            if after:
                await underlying.add_items(after, **named)
        except BaseException as error:
            await _despite_cancellation(self._restore(before, error))
            raise

    async def _restore(self, before: list[Any], why: BaseException) -> None:
        try:
            there = await self._whole_history()
            if there == before:
                return
            underlying: Any = self.underlying_session
            named = self._named(self._wrapper)
            if there:
                await underlying.clear_session(**named)
            if before:
                await underlying.add_items(before, **named)
        except Exception as error:  # noqa: BLE001 - `why` goes on, and tells of this one
            why.add_note(
                f"The {len(before)} items of session {self.session_id!r} could not be restored "
                f"({type(error).__name__}: {error})."
            )
            _log.exception("Session %r could not be restored", self.session_id)

    def _named(self, wrapper: RunContextWrapper[Any] | None) -> dict[str, Any]:
        return with_wrapper(self.underlying_session, wrapper)

    async def get_items(
        self, limit: int | None = None, *, wrapper: RunContextWrapper[Any] | None = None
    ) -> list[TResponseInputItem]:
        """Read the items in order; with `limit` (or the settings' limit) the latest of them.

        A run gives the underlying session its context as `wrapper`, if that takes one.
        """
        return await self.underlying_session.get_items(limit=limit, **self._named(wrapper))

    async def add_items(
        self, items: list[TResponseInputItem], *, wrapper: RunContextWrapper[Any] | None = None
    ) -> None:
        """Append `items`, in order; `wrapper` as in `get_items`."""
        async with self._lock.here():
            await self.underlying_session.add_items(items, **self._named(wrapper))

    async def pop_item(
        self, *, wrapper: RunContextWrapper[Any] | None = None
    ) -> TResponseInputItem | None:
        """Remove and return the latest item or None; `wrapper` as in `get_items`."""
        async with self._lock.here():
            known, self._response = self._response, None  # also if it fails half-way
            item = await self.underlying_session.pop_item(**self._named(wrapper))
            if item is None:
                self._response = known
            return item

    async def clear_session(self, *, wrapper: RunContextWrapper[Any] | None = None) -> None:
        """Remove all items; `wrapper` as in `get_items`."""
        async with self._lock.here():
            self._response = None
            await self.underlying_session.clear_session(**self._named(wrapper))


class _Response:
    """The last response of a run: what the API can be reminded of."""

    def __init__(self, id: str, history: list[Any] | None = None) -> None:
        self.id = id
        self.history = history
        self.stored = True

    def is_of(self, items: list[Any]) -> bool:
        """Whether `items` are what the response has seen, as far as is known."""
        return self.history is None or [_as_sent(item) for item in items] == self.history

    def has_seen(self, items: list[Any]) -> bool:
        """Whether the response has seen each of `items`, in this order, under whatever id.

        Some stores give items ids of their own.
        """
        if self.history is None:
            return True
        seen = map(_without_id, self.history)
        return all(_without_id(item) in seen for item in items)

    def seen_before(self, before: list[Any], items: list[Any]) -> int:
        """How many of the last items `before` the others the response has seen as well."""
        if self.history is None:
            return 0
        seen = iter(list(map(_without_id, reversed(self.history))))
        if not all(_without_id(item) in seen for item in reversed(items)):
            return 0
        return sum(1 for _ in takewhile(lambda item: _without_id(item) in seen, reversed(before)))


def _replaces_at_once(session: Any) -> bool:
    """Whether a session has `replace_items`, and it does what its other methods do.

    A subclass that changes how items are added knows nothing of a method that it inherits.
    """
    owners = type(session).__mro__

    def owner(name: str) -> int:
        return next((at for at, one in enumerate(owners) if name in vars(one)), len(owners))

    others = ("add_items", "clear_session")
    if any(name in getattr(session, "__dict__", {}) for name in others):
        return False
    return owner("replace_items") <= min(owner(name) for name in others)


async def _despite_cancellation(work: Coroutine[Any, Any, None]) -> None:
    """Wait for `work` to end, however often the caller is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with suppress(asyncio.CancelledError):  # the caller raises the error that led here
            await asyncio.shield(task)
    task.result()


def _without_id(item: Any) -> str:
    plain = _as_sent(item)
    if isinstance(plain, dict):
        plain = {name: value for name, value in plain.items() if name != "id"}
    return json.dumps(plain, sort_keys=True, default=str)


def _as_sent(item: Any) -> Any:
    from ..items import input_item

    return input_item(item) if isinstance(item, dict) else item


def _as_input(output: list[Any]) -> list[Any]:
    """The items of a compaction as input items."""
    # warnings: a message of the user's comes in the type of the model's messages.
    items = [
        item if isinstance(item, dict) else item.model_dump(exclude_unset=True, warnings=False)
        for item in output
    ]
    has_reasoning = any(item.get("type") == "reasoning" for item in items)
    return [_replayable(item, has_reasoning) for item in items]


def _replayable(item: dict[str, Any], has_reasoning: bool) -> dict[str, Any]:
    """An item without what the API refuses as input."""
    if item.get("role") == "assistant" and not has_reasoning:
        # The id of a message stands for the reasoning before it, which is gone.
        item = {key: value for key, value in item.items() if key != "id"}
    content = item.get("content")
    if item.get("role") == "user" and isinstance(content, list):
        item = {**item, "content": [_replayable_part(part) for part in content]}
    return item


def _replayable_part(part: Any) -> Any:
    """A part of a message without what the API refuses as input.

    Raises
    ------
    ValueError
        It is an image or a file without its content: no later request with it could succeed.
    """
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in _HOLDERS:
        return part
    # The API writes each field of an image or a file, and refuses those that are empty.
    part = {key: value for key, value in part.items() if value not in (None, "")}
    if not any(name in part for name in _HOLDERS[kind]):
        raise ValueError(
            f"Compaction {kind} item missing {' or '.join(_HOLDERS[kind])}. The history is as it "
            "was; compact again, or without this item."
        )
    return part
