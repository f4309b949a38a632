"""A session that OpenAI's Conversations API keeps."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from ..model_settings import TimeLimits
from .base import SessionABC, SessionSettings, settings_from
from .loop_lock import LoopLock

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from ..items import TResponseInputItem

# https://platform.openai.com/docs/api-reference/conversations/create-item: "up to 20 items at a
# time".
_ITEMS_PER_REQUEST = 20
# A page of items may hold an image in each.
_LIMITS: Final = TimeLimits(event_bytes=TimeLimits.answer_bytes)


class OpenAIConversationsSession(SessionABC):
    """A session kept by OpenAI's Conversations API.

    Calls on one object are done one after another. Items come back as the server stores them, with
    its ids.

    Parameters
    ----------
    conversation_id : str or None
        An existing conversation; None creates one with the first request.
    openai_client : AsyncOpenAI or None
        The client; None takes the one a run would take: that of `set_default_openai_client`, else
        one made with the key and the base URL of the program or the environment.
    session_settings : SessionSettings, dict or None
        ``limit``: how many of the latest items a run reads.

    Raises
    ------
    UserError
        There is neither a client nor a key to make one.

    Examples
    --------
    >>> import asyncio
    >>> from agentstream.testing import ScriptedServer
    >>> async def main():
    ...     async with ScriptedServer() as server:
    ...         session = OpenAIConversationsSession(openai_client=server.client())
    ...         await session.add_items([{"role": "user", "content": "Hello"}])
    ...         return len(await session.get_items())
    >>> asyncio.run(main())
    1
    """

    def __init__(
        self,
        *,
        conversation_id: str | None = None,
        openai_client: AsyncOpenAI | None = None,
        session_settings: SessionSettings | dict[str, Any] | None = None,
    ) -> None:
        self._session_id = conversation_id
        self.session_settings: SessionSettings | None = settings_from(session_settings)
        self._own_client = openai_client
        _ = self._openai_client  # Without a key, say so now rather than in the middle of a run.
        self._lock = LoopLock()

    @property
    def session_id(self) -> str:
        """The conversation's id.

        Raises
        ------
        ValueError
            There is no conversation yet.
        """
        if self._session_id is None:
            raise ValueError(
                "Session ID not yet available: the conversation is made with the first request. "
                "Call get_items(), or add_items() with a non-empty list, first."
            )
        return self._session_id

    @session_id.setter
    def session_id(self, value: str) -> None:
        self._session_id = value

    @property
    def _openai_client(self) -> AsyncOpenAI:
        from ..models.provider import default_openai_client

        return self._own_client or default_openai_client()

    @contextlib.asynccontextmanager
    async def _requests(self) -> AsyncIterator[AsyncOpenAI]:
        """The client for the requests of one call, which waits for the call before."""
        from ..models.retry.client_retries import guarded_requests

        client = self._openai_client
        async with self._lock.here():
            with guarded_requests(client, _LIMITS):
                yield client

    async def _conversation(self, client: AsyncOpenAI) -> str:
        if self._session_id is None:
            conversation = await client.conversations.create(items=[])
            self._session_id = conversation.id
        return self._session_id

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Read the items in order; with `limit` (or the settings' limit) the latest of them."""
        async with self._requests() as client:
            return await self._get_items(client, self._limit(limit))

    async def _get_items(self, client: AsyncOpenAI, limit: int | None) -> list[Any]:
        if limit == 0:
            return []
        conversation_id = await self._conversation(client)
        order = "asc" if limit is None else "desc"
        items: list[Any] = []
        pages = client.conversations.items.list(conversation_id=conversation_id, order=order)  # type: ignore[arg-type]
        async with contextlib.aclosing(aiter(pages)) as stream:  # type: ignore[type-var]
            async for item in stream:
                items.append(item.model_dump(exclude_unset=True))
                if len(items) == limit:
                    break
        return items if limit is None else items[::-1]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append `items`, in order, in requests of at most 20.

        More than 20 items are several requests, which are not one transaction: when one fails, the
        error's notes say how many items were saved. These are never repeated by the client, as an
        answer that was lost on the way may belong to items that were saved.
        """
        if not items:
            return
        # The server gives items ids of its own and refuses those that it has seen.
        items = [_without_id(item) for item in items]
        async with self._requests() as client:
            conversation_id = await self._conversation(client)
            if len(items) > _ITEMS_PER_REQUEST:
                client = client.with_options(max_retries=0)
            for start in range(0, len(items), _ITEMS_PER_REQUEST):
                batch = items[start : start + _ITEMS_PER_REQUEST]
                try:
                    await client.conversations.items.create(
                        conversation_id=conversation_id, items=batch
                    )
                except Exception as error:
                    error.add_note(
                        f"{start} of {len(items)} items were saved in {conversation_id} before "
                        "this request. Compare with get_items() before you add the rest."
                    )
                    raise

    def as_input(self, items: list[TResponseInputItem]) -> list[TResponseInputItem]:
        """Items of the conversation as a model call takes them.

        The server knows the model's messages by their ids in this conversation; sent outside of it
        they go without.

        Takes the `items` as they are stored.
        """
        return [_without_id(item) if item.get("role") == "assistant" else item for item in items]

    async def pop_item(self) -> TResponseInputItem | None:
        """Remove and return the latest item; None when there is none."""
        async with self._requests() as client:
            latest = await self._get_items(client, 1)
            if not latest:
                return None
            await client.conversations.items.delete(
                str(latest[0]["id"]), conversation_id=await self._conversation(client)
            )
            return latest[0]

    async def clear_session(self) -> None:
        """Delete the conversation; the next call makes a new one."""
        async with self._requests() as client:
            if self._session_id is None:
                return
            await client.conversations.delete(self._session_id)
            self._session_id = None


def _without_id(item: TResponseInputItem) -> TResponseInputItem:
    plain: Any = {key: value for key, value in item.items() if key != "id"}
    return plain
