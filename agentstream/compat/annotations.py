"""Names of the SDK's submodules that programs annotate with, and small functions beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NotRequired

from typing_extensions import TypedDict

from ..models.provider import default_openai_client
from ..run_context import TContext
from ..sessions import SessionSettings

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from ..lifecycle import RunHooks
    from ..run_config import RunConfig, RunErrorHandlers
    from ..sessions import Session

__all__ = [
    "RunOptions",
    "TracingConfig",
    "resolve_session_limit",
    "start_openai_conversations_session",
]


class TracingConfig(TypedDict, total=False):
    """What `RunConfig.tracing` may hold; agentstream sends no traces, and reads none of it."""

    api_key: str
    include_task_and_turn_spans: bool


class RunOptions(TypedDict, Generic[TContext]):
    """What `Runner.run` takes beside agent and input, for programs that pass it on."""

    context: NotRequired[TContext | None]
    max_turns: NotRequired[int | None]
    hooks: NotRequired[RunHooks | None]
    run_config: NotRequired[RunConfig | dict[str, Any] | None]
    previous_response_id: NotRequired[str | None]
    auto_previous_response_id: NotRequired[bool]
    conversation_id: NotRequired[str | None]
    session: NotRequired[Session | None]
    error_handlers: NotRequired[RunErrorHandlers | None]


async def start_openai_conversations_session(openai_client: AsyncOpenAI | None = None) -> str:
    """Begin a conversation that OpenAI's Conversations API keeps; its id."""
    client = openai_client or default_openai_client()
    return (await client.conversations.create(items=[])).id


def resolve_session_limit(
    explicit_limit: int | None, settings: SessionSettings | dict[str, Any] | None
) -> int | None:
    """How many items a session gives: `explicit_limit`, else the limit of `settings`."""
    if explicit_limit is not None or settings is None:
        return explicit_limit
    return SessionSettings(**settings).limit if isinstance(settings, dict) else settings.limit
