"""A `Model` that is written against one record of what is asked."""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from .base import Model, ModelTracing
from .request import ModelRequest

if TYPE_CHECKING:
    from openai.types.responses.response_prompt_param import ResponsePromptParam

    from ..agent_output import AgentOutputSchemaBase
    from ..handoffs import Handoff
    from ..items import ModelResponse, TResponseInputItem, TResponseStreamEvent
    from ..model_settings import ModelSettings
    from ..tools.function_tool import Tool

__all__ = ["RequestModel"]


class RequestModel(Model):
    """Makes a `ModelRequest` of the SDK's ten parameters, in this one place."""

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff[Any, Any]],
        tracing: ModelTracing,
        previous_response_id: str | None = None,
        conversation_id: str | None = None,
        prompt: ResponsePromptParam | None = None,
    ) -> ModelResponse:
        """Answer in one piece; parameters as in `Model.get_response`.

        Raises
        ------
        openai.APIError
            The request failed.
        ModelBehaviorError
            The server answered with a failure, or with what is no answer of its API.
        UserError
            The input, the tools or the tool choice cannot be sent.
        """
        request = ModelRequest(
            system_instructions,
            input,
            model_settings,
            tools,
            output_schema,
            handoffs,
            previous_response_id,
            conversation_id,
            prompt,
        )
        return await self._respond(request, tracing)

    def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff[Any, Any]],
        tracing: ModelTracing,
        previous_response_id: str | None = None,
        conversation_id: str | None = None,
        prompt: ResponsePromptParam | None = None,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """Answer as a stream; parameters as in `Model.get_response`.

        The HTTP response is closed when the stream is: at its end, by ``aclose()``, or when the
        task that awaits it is cancelled.

        Yields
        ------
        openai.types.responses.ResponseStreamEvent
            Those of the Responses API, whichever API was asked. The `response` of the last one
            carries the server's request id as ``_request_id``.

        Raises
        ------
        openai.APIError
            The request failed, or the connection broke, or the server sent an error.
        ModelStreamError
            The stream broke off, or was damaged.
        ModelBehaviorError
            The stream ended with a failure (after its event), or held no answer.
        UserError
            The input, the tools or the tool choice cannot be sent.
        """
        request = ModelRequest(
            system_instructions,
            input,
            model_settings,
            tools,
            output_schema,
            handoffs,
            previous_response_id,
            conversation_id,
            prompt,
        )
        return self._stream(request, tracing)

    @abc.abstractmethod
    async def _respond(self, request: ModelRequest, tracing: ModelTracing) -> ModelResponse:
        """Answer `request` in one piece."""

    @abc.abstractmethod
    def _stream(
        self, request: ModelRequest, tracing: ModelTracing
    ) -> AsyncIterator[TResponseStreamEvent]:
        """Answer `request` as a stream."""
