"""From a model's name to a model: keys, base URLs, prefixes, and the defaults of a program."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from openai import AsyncOpenAI

from ..errors import UserError
from ..model_settings import default_model_name
from .base import Model, ModelProvider
from .chat import OpenAIChatCompletionsModel
from .responses import OpenAIResponsesModel

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = [
    "MultiProvider",
    "MultiProviderMap",
    "OpenAIProvider",
    "set_default_openai_api",
    "set_default_openai_client",
    "set_default_openai_key",
]

OpenAIAPI = Literal["chat_completions", "responses"]
PrefixMode = Literal["alias", "model_id"]
UnknownPrefixMode = Literal["error", "model_id"]

# Servers on one's own machine ask for no key, but the client sends none without one.
_PLACEHOLDER_KEY: Final = "no-key-needed"

_NO_KEY: Final = (
    "There is no OpenAI key and no model to run. Three ways out: "
    "(1) set a key: the environment variable OPENAI_API_KEY, or set_default_openai_key('...'); "
    "(2) point the environment variable OPENAI_BASE_URL at a local server such as llama.cpp, "
    "vLLM or Ollama (then no key is needed); "
    "(3) run without a server: Agent(..., model=ScriptedModel([...])), with "
    "`from agentstream.testing import ScriptedModel`."
)


@dataclass
class _Defaults:
    """What a program has set for all its providers."""

    key: str | None = field(default=None, repr=False)
    client: AsyncOpenAI | None = None
    api: OpenAIAPI = "responses"


_defaults = _Defaults()


@dataclass(frozen=True)
class _Account:
    """Where requests go, and as whom; equal accounts can share a client."""

    key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    organization: str | None = None
    project: str | None = None


# A client's connections belong to the event loop they were opened on, and break on any other.
_clients: dict[tuple[AbstractEventLoop, _Account], AsyncOpenAI] = {}


def set_default_openai_key(key: str, use_for_tracing: bool = True) -> None:
    """Set the API key of models that are given by name, in place of ``OPENAI_API_KEY``.

    Parameters
    ----------
    key
        The key. It appears in no output, recording or error.
    use_for_tracing
        Accepted for programs written for the SDK; nothing is traced to a server here.
    """
    _defaults.key = key


def set_default_openai_client(client: AsyncOpenAI, use_for_tracing: bool = True) -> None:
    """Set the client of models that are given by name; `openai.AsyncAzureOpenAI`, too.

    Parameters
    ----------
    client
        Makes the requests of providers that are given no key and no base URL of their own.
    use_for_tracing
        Accepted for programs written for the SDK; nothing is traced to a server here.
    """
    _defaults.client = client


def set_default_openai_api(api: OpenAIAPI) -> None:
    """Choose the API for models that are given by name.

    Parameters
    ----------
    api
        ``"responses"`` or, for servers that have no other, ``"chat_completions"``.

    Raises
    ------
    UserError
        There is no such API.
    """
    _check_choice("set_default_openai_api", api, get_args(OpenAIAPI))
    _defaults.api = api


def default_openai_client() -> AsyncOpenAI:
    """Find the client that the program's settings and the environment give, for this event loop.

    Raises
    ------
    UserError
        There is neither a key nor a client nor a base URL.
    """
    return OpenAIProvider()._find_client()


class OpenAIProvider(ModelProvider):
    """Models of OpenAI, or of a server that speaks one of its APIs, by their names.

    Parameters
    ----------
    api_key, base_url, organization, project : str, optional
        The account; by default the client or key set for the program, then the environment.
    openai_client : openai.AsyncOpenAI, optional
        Makes the requests instead; then none of the above may be given.
    use_responses : bool, optional
        Whether to use the Responses API or Chat Completions; by default as set for the program.
    strict_feature_validation : bool
        Chat Completions only: refuse what that API cannot do instead of leaving it out.
    buffer_streamed_tool_calls : bool
        Chat Completions only: deliver a streamed tool call when it is whole.
    websocket_base_url, use_responses_websocket, agent_registration, responses_websocket_options
        Accepted for programs written for the SDK; requests go by HTTP.

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
        self._account = _Account(api_key, base_url, organization, project)
        if openai_client is not None and (self._account != _Account() or websocket_base_url):
            raise UserError(
                "Don't provide api_key, base_url, websocket_base_url, organization, or project if "
                "you provide openai_client"
            )
        self._client = openai_client
        self._responses = _defaults.api == "responses" if use_responses is None else use_responses
        self._strict = strict_feature_validation
        self._buffer = buffer_streamed_tool_calls

    @property
    def agent_registration(self) -> Any:
        """Always None: nothing is registered with a server."""
        return None

    def get_model(self, model_name: str | None) -> Model:
        """Find the model of this name; for None that of ``OPENAI_DEFAULT_MODEL``.

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
        if _defaults.client is not None and self._account == _Account():
            return _defaults.client
        return _shared_client(_resolved(self._account))


def _resolved(account: _Account) -> _Account:
    """Fill in what the program and the environment say, as of now."""
    key = account.key or _defaults.key or os.environ.get("OPENAI_API_KEY")
    base_url = account.base_url or os.environ.get("OPENAI_BASE_URL") or None
    if key is not None:
        # A newline read along with a key would end up, with the key, in the HTTP library's error.
        key = key.strip()
        if not (key.isascii() and key.isprintable()):
            raise UserError(
                "The OpenAI key has characters that no key has, such as a line break or a letter "
                "with an accent. Copy it again, without what stands around it."
            )
    if not key and base_url:
        key = _PLACEHOLDER_KEY
    if not key:
        raise UserError(_NO_KEY)
    return _Account(key, base_url, account.organization, account.project)


def _shared_client(account: _Account) -> AsyncOpenAI:
    """Find or make the client of an account for the running event loop."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return _new_client(account)  # it binds itself to the loop that uses it first
    for entry in [entry for entry in _clients if entry[0].is_closed()]:
        del _clients[entry]
    client = _clients.get((loop, account))
    if client is None or client.is_closed():
        client = _clients[(loop, account)] = _new_client(account)
    return client


def _new_client(account: _Account) -> AsyncOpenAI:
    return AsyncOpenAI(
        api_key=account.key,
        base_url=account.base_url,
        organization=account.organization,
        project=account.project,
    )


class MultiProviderMap:
    """Providers by the prefix that model names carry, as in ``"local/qwen3"``.

    Examples
    --------
    >>> providers = MultiProviderMap()
    >>> providers.add_provider("local", OpenAIProvider(base_url="http://localhost:8080/v1"))
    >>> providers.has_prefix("local")
    True
    """

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
    """Models by name, where a prefix names the provider: ``"gpt-5"``, ``"openai/gpt-5"``.

    Parameters
    ----------
    provider_map : MultiProviderMap, optional
        Providers of your own; they come before the built-in ``openai`` prefix.
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
        Accepted for programs written for the SDK; requests go by HTTP.
    """

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
        prefix_modes, unknown_modes = get_args(PrefixMode), get_args(UnknownPrefixMode)
        _check_choice("MultiProvider openai_prefix_mode", openai_prefix_mode, prefix_modes)
        _check_choice("MultiProvider unknown_prefix_mode", unknown_prefix_mode, unknown_modes)
        self.provider_map = provider_map
        self.openai_provider = OpenAIProvider(
            api_key=openai_api_key,
            base_url=openai_base_url,
            websocket_base_url=openai_websocket_base_url,
            openai_client=openai_client,
            organization=openai_organization,
            project=openai_project,
            use_responses=openai_use_responses,
            strict_feature_validation=openai_strict_feature_validation,
            buffer_streamed_tool_calls=openai_buffer_streamed_tool_calls,
        )
        self._openai_prefix_mode = openai_prefix_mode
        self._unknown_prefix_mode = unknown_prefix_mode

    def get_model(self, model_name: str | None) -> Model:
        """Find the model of this name, with or without a prefix.

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
        raise UserError(
            f"Unknown prefix: {prefix}. Give MultiProvider a provider_map that has it; where "
            f"{model_name!r} is the name of a model, as gateways have it, use "
            "MultiProvider(unknown_prefix_mode='model_id')."
        )

    async def aclose(self) -> None:
        """Close the providers of `provider_map`, each once."""
        providers = self.provider_map.get_mapping().values() if self.provider_map else ()
        for provider in {id(provider): provider for provider in providers}.values():
            await provider.aclose()


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise UserError(f"{name} must be one of: {listed}.")
