"""From a model's name to a model: keys, base URLs, prefixes, and the defaults of a program."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from .._utils.keywords import letting_go
from .._utils.secrets import SecretStr, wrap_secrets
from .._utils.warn_once import warn_without_effect
from ..exceptions import UserError, check_choice
from ..model_settings import default_model_name
from .base import Model, ModelProvider
from .http.credentials import (
    Account,
    client_for,
    default_api,
    set_default_openai_api,
    set_default_openai_client,
    set_default_openai_key,
)
from .responses.model import OpenAIResponsesModel

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = [
    "MultiProvider",
    "MultiProviderMap",
    "OpenAIProvider",
    "default_openai_client",
    "set_default_openai_api",
    "set_default_openai_client",
    "set_default_openai_key",
]

PrefixMode = Literal["alias", "model_id"]
UnknownPrefixMode = Literal["error", "model_id"]


def default_openai_client() -> AsyncOpenAI:
    """Find the client that the program's settings and the environment give, for this event loop.

    Raises
    ------
    UserError
        There is neither a key nor a client nor a base URL.
    """
    return client_for(Account())


class OpenAIProvider(ModelProvider):
    """Finds models of OpenAI, or of a server with one of its APIs, by name.

    Parameters
    ----------
    api_key, base_url, organization, project : str, optional
        The account; by default the client or key set for the program, then the environment.
    openai_client : openai.AsyncOpenAI, optional
        Makes the requests instead; then you cannot pass any of the above.
    use_responses : bool, optional
        Whether to use the Responses API or Chat Completions; by default as set for the program.
    strict_feature_validation : bool
        Chat Completions only: refuse what that API cannot do instead of leaving it out.
    buffer_streamed_tool_calls : bool
        Chat Completions only: deliver a streamed tool call only when it is complete.
    websocket_base_url, use_responses_websocket, agent_registration, responses_websocket_options
        Accepted for programs written for the SDK; requests go by HTTP, and a warning says so once.

    Raises
    ------
    UserError
        Both a client and an account are given.

    Examples
    --------
    >>> provider = OpenAIProvider(base_url="http://localhost:11434/v1", use_responses=False)
    >>> type(provider.get_model("qwen3")).__name__
    'OpenAIChatCompletionsModel'
    """

    @letting_go
    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        websocket_base_url: str | None = None,
        openai_client: AsyncOpenAI | None = None,
        organization: str | None = None,
        project: str | None = None,
        use_responses: bool | None = None,
        use_responses_websocket: bool | None = None,
        strict_feature_validation: bool = False,
        agent_registration: Any = None,
        responses_websocket_options: Any = None,
        buffer_streamed_tool_calls: bool = False,
    ) -> None:
        # Under the same name: a traceback that prints locals shows no key.
        api_key = api_key and SecretStr(api_key)
        base_url = wrap_secrets(base_url)
        self._account = Account(api_key, base_url, organization, project)
        if openai_client is not None and (self._account != Account() or websocket_base_url):
            raise UserError(
                "Don't provide api_key, base_url, websocket_base_url, organization, or project if "
                "you provide openai_client"
            )
        options = {
            "websocket_base_url": websocket_base_url and "...",
            "use_responses_websocket": use_responses_websocket,
            "agent_registration": agent_registration,
            "responses_websocket_options": responses_websocket_options,
        }
        warn_without_effect("OpenAIProvider", options, "requests go by HTTP, to base_url.")
        self._client = openai_client
        self._responses = default_api() == "responses" if use_responses is None else use_responses
        self._strict = strict_feature_validation
        self._buffer = buffer_streamed_tool_calls

    @property
    def agent_registration(self) -> Any:
        """Always None: nothing is registered with a server."""
        return None

    def get_model(self, model_name: str | None) -> Model:
        """Find the model called `model_name`; for None that of ``OPENAI_DEFAULT_MODEL``.

        Raises
        ------
        UserError
            There is neither a key nor a client nor a base URL.
        """
        explicit = model_name is not None
        name = default_model_name() if model_name is None else model_name
        client = self._find_client()
        if self._responses:
            return OpenAIResponsesModel(name, client, model_is_explicit=explicit)
        # Not where the Responses API is used.
        from .chat_completions.model import OpenAIChatCompletionsModel

        return OpenAIChatCompletionsModel(
            name,
            client,
            strict_feature_validation=self._strict,
            buffer_streamed_tool_calls=self._buffer,
        )

    async def aclose(self) -> None:
        """Do nothing: clients are shared by the providers of an event loop, or the user's."""

    def _find_client(self) -> AsyncOpenAI:
        if self._client is not None:
            return self._client
        return client_for(self._account)


class MultiProviderMap:
    """Providers by the prefix that model names carry, as in ``"local/qwen3"``."""

    def __init__(self) -> None:
        self._mapping: dict[str, ModelProvider] = {}

    def has_prefix(self, prefix: str) -> bool:
        """Tell whether a provider has this prefix."""
        return prefix in self._mapping

    def get_mapping(self) -> dict[str, ModelProvider]:
        """Copy the providers by prefix."""
        return dict(self._mapping)

    def set_mapping(self, mapping: Mapping[str, ModelProvider]) -> None:
        """Replace all providers."""
        self._mapping = dict(mapping)

    def get_provider(self, prefix: str) -> ModelProvider | None:
        """Find the provider of this prefix."""
        return self._mapping.get(prefix)

    def add_provider(self, prefix: str, provider: ModelProvider) -> None:
        """Give a provider this prefix, in place of any that has it."""
        self._mapping[prefix] = provider

    def remove_provider(self, prefix: str) -> None:
        """Take the prefix from its provider."""
        del self._mapping[prefix]


class MultiProvider(ModelProvider):
    """Finds models by name; a prefix chooses the provider: ``"gpt-5"``, ``"openai/gpt-5"``.

    Parameters
    ----------
    provider_map : MultiProviderMap, optional
        Your own providers; they have priority over ``openai/``, ``litellm/`` and ``any-llm/``.
    openai_api_key, openai_base_url, openai_client, openai_organization, openai_project,
    openai_use_responses, openai_strict_feature_validation, openai_buffer_streamed_tool_calls
        For the built-in provider; see `OpenAIProvider`.
    openai_prefix_mode : str
        ``"alias"``: ``openai/`` is taken off; ``"model_id"``: it is part of the model's name.
    unknown_prefix_mode : str
        ``"error"``: a prefix without a provider is an error; ``"model_id"``: it is part of the
        model's name, as gateways such as OpenRouter have it.
    openai_use_responses_websocket, openai_websocket_base_url, openai_agent_registration,
    openai_responses_websocket_options
        Accepted for programs written for the SDK; requests go by HTTP, and a warning says so once.

    Examples
    --------
    >>> provider = MultiProvider(openai_base_url="http://127.0.0.1:11434/v1", openai_api_key="none")
    >>> provider.get_model("openai/qwen3").model
    'qwen3'
    """

    @letting_go
    def __init__(
        self,
        *,
        provider_map: MultiProviderMap | None = None,
        openai_api_key: str | None = None,
        openai_base_url: str | None = None,
        openai_client: AsyncOpenAI | None = None,
        openai_organization: str | None = None,
        openai_project: str | None = None,
        openai_use_responses: bool | None = None,
        openai_use_responses_websocket: bool | None = None,
        openai_strict_feature_validation: bool = False,
        openai_websocket_base_url: str | None = None,
        openai_prefix_mode: PrefixMode = "alias",
        unknown_prefix_mode: UnknownPrefixMode = "error",
        openai_agent_registration: Any = None,
        openai_responses_websocket_options: Any = None,
        openai_buffer_streamed_tool_calls: bool = False,
    ) -> None:
        openai_api_key = openai_api_key and SecretStr(openai_api_key)
        openai_base_url = wrap_secrets(openai_base_url)
        prefix_modes, unknown_modes = get_args(PrefixMode), get_args(UnknownPrefixMode)
        check_choice("MultiProvider openai_prefix_mode", openai_prefix_mode, prefix_modes)
        check_choice("MultiProvider unknown_prefix_mode", unknown_prefix_mode, unknown_modes)
        self.provider_map = provider_map
        self.openai_provider = OpenAIProvider(
            api_key=openai_api_key,
            base_url=openai_base_url,
            websocket_base_url=openai_websocket_base_url,
            openai_client=openai_client,
            organization=openai_organization,
            project=openai_project,
            use_responses=openai_use_responses,
            use_responses_websocket=openai_use_responses_websocket,
            agent_registration=openai_agent_registration,
            responses_websocket_options=openai_responses_websocket_options,
            strict_feature_validation=openai_strict_feature_validation,
            buffer_streamed_tool_calls=openai_buffer_streamed_tool_calls,
        )
        self._openai_prefix_mode = openai_prefix_mode
        self._unknown_prefix_mode = unknown_prefix_mode

    def get_model(self, model_name: str | None) -> Model:
        """Find the model called `model_name`, with or without a prefix.

        Raises
        ------
        UserError
            No provider has the prefix, or there is no key; see `OpenAIProvider.get_model`.
        """
        prefix, slash, rest = (model_name or "").partition("/")
        if not slash:
            return self.openai_provider.get_model(model_name)
        provider = self.provider_map.get_provider(prefix) if self.provider_map else None
        if provider is not None:
            return provider.get_model(rest)
        if prefix == "openai" and self._openai_prefix_mode == "alias":
            return self.openai_provider.get_model(rest)
        if prefix == "openai" or self._unknown_prefix_mode == "model_id":
            return self.openai_provider.get_model(model_name)
        if prefix in ("litellm", "any-llm"):
            from .library_models import AnyLLMProvider, LitellmProvider

            library_provider = LitellmProvider() if prefix == "litellm" else AnyLLMProvider()
            return library_provider.get_model(rest)
        raise UserError(
            f"Unknown prefix: {prefix}. Give MultiProvider a provider_map that has it; where "
            f"{model_name!r} is the name of a model, as gateways have it, use "
            "MultiProvider(unknown_prefix_mode='model_id')."
        )

    async def aclose(self) -> None:
        """Close the providers of `provider_map`, each once, also where one cannot be closed.

        Raises
        ------
        Exception
            The first that one of them raised.
        """
        providers = self.provider_map.get_mapping().values() if self.provider_map else ()
        first: Exception | None = None
        for provider in {id(provider): provider for provider in providers}.values():
            try:
                await provider.aclose()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - of a provider that is written elsewhere
                first = first or error
        if first is not None:
            raise first
