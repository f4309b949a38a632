"""The model of a batch: its requests are kept instead of sent, and answered from a file."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from ...exceptions import UserError
from ...models.chat_completions.model import OpenAIChatCompletionsModel
from ...models.responses.model import OpenAIResponsesModel

__all__ = ["Exchange", "batch_model", "exchanging"]


@dataclass
class Exchange:
    """The one request that a row's run makes, and its answer.

    Attributes
    ----------
    answer : mapping or None
        The `response` of a line of the output file: `status_code`, `request_id` and `body`. None:
        the request is wanted, and the run ends where it would be sent.
    body : bytes or None
        The request's body, once it is known.
    """

    answer: Mapping[str, Any] | None = None
    body: bytes | None = None


_exchange: Final = ContextVar[Exchange | None]("agentstream_batch_exchange", default=None)


@contextmanager
def exchanging(exchange: Exchange) -> Iterator[None]:
    """Use an exchange for the requests that runs begun in this block make with a batch's model."""
    token = _exchange.set(exchange)
    try:
        yield
    finally:
        _exchange.reset(token)


def batch_model(model: Any) -> tuple[Any, Any, str]:
    """A copy of a model that sends nothing: its requests go through the current exchange.

    The copy, the client that the original asks with, and the endpoint of its requests.

    Raises
    ------
    UserError
        The model is not asked with an openai client.
    """
    if not isinstance(model, OpenAIResponsesModel | OpenAIChatCompletionsModel):
        raise UserError(
            "map_frame(mode='batch') needs a model of the Responses API or of Chat Completions, "
            f"got {type(model).__name__}: name the model, or ask it row by row, without mode=."
        )
    is_chat = isinstance(model, OpenAIChatCompletionsModel)
    made = copy.copy(model)
    client = model._client
    made._client = client.with_options(
        http_client=httpx2.AsyncClient(transport=_Transport()), max_retries=0
    )
    return made, client, "/v1/chat/completions" if is_chat else "/v1/responses"


class _Transport(httpx2.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange = _exchange.get()
        assert exchange is not None  # this model is used for rows of a batch only
        if exchange.answer is None:
            exchange.body = await request.aread()
            # The run ends here, as one that somebody cancels: nothing has failed.
            raise asyncio.CancelledError
        answer = exchange.answer
        headers = {"content-type": "application/json"}
        if answer.get("request_id"):
            headers["x-request-id"] = str(answer["request_id"])
        content = json.dumps(answer.get("body")).encode("utf-8", "replace")
        status = int(answer.get("status_code") or 200)
        return httpx2.Response(status, headers=headers, content=content, request=request)
