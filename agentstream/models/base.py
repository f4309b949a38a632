"""The seam between the run and a model: implement `Model` and any model streams in the cell."""

from __future__ import annotations

import abc
import enum
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from openai.types.responses.response_prompt_param import ResponsePromptParam

    from ..agent_output import AgentOutputSchemaBase
    from ..handoffs import Handoff
    from ..items import ModelResponse, TResponseInputItem, TResponseStreamEvent
    from ..model_settings import ModelSettings
    from ..tools.function_tool import Tool
    from .retry.advice import ModelRetryAdvice, ModelRetryAdviceRequest


class ModelTracing(enum.Enum):
    """An enumeration.

    Examples
    --------
    >>> ModelTracing.DISABLED.is_disabled()
    True
    """

    DISABLED = 0
    ENABLED = 1
    ENABLED_WITHOUT_DATA = 2

    def is_disabled(self) -> bool:
        """Whether no trace is wanted."""
        return self is ModelTracing.DISABLED

    def include_data(self) -> bool:
        """Whether inputs and outputs may be in the trace."""
        return self is ModelTracing.ENABLED


class Model(abc.ABC):
    """A model that answers, whole or as a stream of Responses API events.

    Examples
    --------
    >>> from agentstream import Agent, ModelResponse, Runner, Usage
    >>> from agentstream.testing import ScriptedModel
    >>> class Slow(Model):  # lets another model answer, after a while
    ...     inner = ScriptedModel(["Well ..."])
    ...     async def get_response(self, *args, **options):
    ...         await asyncio.sleep(0.01)
    ...         return await self.inner.get_response(*args, **options)
    ...     def stream_response(self, *args, **options):
    ...         return self.inner.stream_response(*args, **options)
    >>> import asyncio
    >>> asyncio.run(Runner.run(Agent(name="Guide", model=Slow()), "Hello")).final_output
    'Well ...'
    """

    passes_gate: ClassVar[bool] = False
    """Whether its requests go through `RunConfig.gate` one by one, or not at all. If not, each
    call goes through it as a whole."""

    @abc.abstractmethod
    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff[Any, Any]],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> ModelResponse:
        """Answer in one piece.

        Parameters
        ----------
        system_instructions : str or None
            The agent's instructions.
        input : str or list of dict
            The conversation so far, in the Responses API's form.
        model_settings : ModelSettings
            Temperature and the like, the run's merged over the agent's.
        tools : list of Tool
            The tools the model may call.
        output_schema : AgentOutputSchemaBase or None
            The structure the answer must have; None for plain text.
        handoffs : list of Handoff
            The agents the model may hand off to.
        tracing : ModelTracing
            Accepted for the SDK's programs.
        previous_response_id, conversation_id : str or None
            The server's own memory to go on from.
        prompt : dict or None
            A prompt stored with the provider.
        """

    @abc.abstractmethod
    def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff[Any, Any]],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """Answer as a stream; parameters as in `get_response`.

        The stream ends with `response.completed`, `response.incomplete` or `response.failed`,
        whose `response` is the whole answer.
        """

    async def close(self) -> None:
        """Release what the model holds; nothing by default."""
        return None

    def get_retry_advice(self, request: ModelRetryAdviceRequest) -> ModelRetryAdvice | None:
        """What the model knows about trying `request` again after its error; None: nothing."""
        return None


class ModelProvider(abc.ABC):
    """Finds the model for a name.

    Examples
    --------
    >>> from agentstream.testing import ScriptedModel
    >>> class Scripts(ModelProvider):
    ...     def get_model(self, model_name):
    ...         return ScriptedModel([f"I am {model_name}."])
    >>> from agentstream import Agent, RunConfig, Runner
    >>> config = RunConfig(model_provider=Scripts())
    >>> Runner.run_sync(Agent(name="Guide", model="tiny"), "Hi", run_config=config).final_output
    'I am tiny.'
    """

    @abc.abstractmethod
    def get_model(self, model_name: str | None) -> Model:
        """The model called `model_name`; the provider's default for None."""

    async def aclose(self) -> None:
        """Release what the provider holds; nothing by default."""
        return None
