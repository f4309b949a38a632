"""The Responses API as a `Model`: the client asks, `events` reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openai.types.responses import Response

from ..._utils.warn_once import warn_once
from ...exceptions import ModelBehaviorError, UserError
from ...items import ModelResponse
from ...usage import usage_of
from ..create import create_response
from ..http import warm_up
from ..http.batches import BatchedStream
from ..http.server_error import no_answer
from ..output_items import readable_call
from ..request import ModelRequest, responses_arguments
from ..request_model import RequestModel
from ..retry.attempts import ModelRetryAdvice, ModelRetryAdviceRequest, advice_for
from ..retry.client_retries import ClientRetries
from ..unsent_settings import unsent_in_responses
from .stream import ResumableResponseStream, poll_until_complete, response_failure

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from ...items import TResponseStreamEvent
    from ..base import ModelTracing

__all__ = ["OpenAIResponsesModel"]


class OpenAIResponsesModel(RequestModel):
    """A model with the Responses API, at OpenAI, Azure or a compatible server.

    Parameters
    ----------
    model : str
        The model's name; for Azure the deployment's.
    openai_client : openai.AsyncOpenAI
        Makes the requests, with its key, base URL, retries and timeouts. `AsyncAzureOpenAI`, too.
    model_is_explicit : bool
        Whether the user chose the model; a default is not sent along with a stored prompt.

    Examples
    --------
    >>> from openai import AsyncOpenAI
    >>> client = AsyncOpenAI(base_url="http://localhost:8080/v1", api_key="none")
    >>> OpenAIResponsesModel("gpt-oss-20b", client).model
    'gpt-oss-20b'
    """

    passes_gate = True

    def __init__(
        self, model: str, openai_client: AsyncOpenAI, *, model_is_explicit: bool = True
    ) -> None:
        self.model = model
        self._client = openai_client
        self._model_is_explicit = model_is_explicit

    async def _respond(self, request: ModelRequest, tracing: ModelTracing) -> ModelResponse:
        arguments = self._arguments(request)
        retries = ClientRetries(self._client)
        client = retries.client
        response = await retries.call(
            lambda: create_response(client, retries.extra(arguments)), arguments
        )
        response = await poll_until_complete(response, retries, arguments)
        _check_response(response)
        for item in response.output:
            readable_call(item)
        usage = response.usage
        return ModelResponse(
            output=request.names.items(response.output),
            usage=usage_of(usage),
            response_id=response.id,
            request_id=getattr(response, "_request_id", None),
            raw_usage=usage.model_dump(exclude_unset=True)
            if usage is not None and request.settings.preserve_raw_usage
            else None,
        )

    def _stream(
        self, request: ModelRequest, tracing: ModelTracing
    ) -> BatchedStream[TResponseStreamEvent]:
        warm_up.prebuild()
        batches = ResumableResponseStream(self._client, lambda: self._arguments(request)).batches()
        return BatchedStream(request.names.batches(batches))

    def get_retry_advice(self, request: ModelRetryAdviceRequest) -> ModelRetryAdvice | None:
        """Say what the error's status and headers tell about trying again."""
        return advice_for(request)

    def _arguments(self, request: ModelRequest) -> dict[str, Any]:
        for what, instead in unsent_in_responses(request.settings):
            warn_once(f"{what} {instead}".rstrip())
        arguments = responses_arguments(
            request, self.model, model_is_explicit=self._model_is_explicit
        )
        if "stream" in arguments:
            raise UserError(
                "ModelSettings.extra_args cannot contain 'stream'. "
                "Call Runner.run_streamed() to stream, Runner.run() for the whole answer."
            )
        return arguments


def _check_response(response: Any) -> None:
    if not isinstance(response, Response) or not isinstance(response.output, list):
        raise ModelBehaviorError(
            "The server answered with what is no response of the Responses API: "
            f"{no_answer(response)}. Check the base URL; for a server that has Chat Completions "
            "only, call set_default_openai_api('chat_completions')."
        )
    if response.status in ("failed", "incomplete"):
        raise response_failure(f"response.{response.status}", response)
