"""Models that another library asks, LiteLLM or any-llm: Anthropic's, Gemini's, Bedrock's.

The library is asked within this process by a client whose transport answers as a server of Chat
Completions would. So streams, dialects, retries and limits are those of every other chat model.
"""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import AsyncIterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import httpx2
from openai import AsyncOpenAI

from .._extras import install_command
from .._utils.keywords import letting_go
from .._utils.redaction import remember
from .._utils.secrets import SecretStr
from ..exceptions import UserError
from .base import Model, ModelProvider
from .chat_completions.model import OpenAIChatCompletionsModel
from .request import ModelRequest

if TYPE_CHECKING:
    from .chat_completions.reasoning_replay import ShouldReplayReasoningContent

__all__ = ["AnyLLMModel", "AnyLLMProvider", "LitellmModel", "LitellmProvider"]

_DEFAULT_MODEL: Final = "gpt-4.1"
logger = logging.getLogger("agentstream")
_NO_KEY: Final = "in-process"
"""The client's key; nothing is sent with it: the library has its own."""

_OF_HTTP: Final = frozenset(
    "accept accept-encoding connection content-length content-type host idempotency-key".split()
)
"""Headers of the request that never leaves this process, beside the client's ``x-stainless-``."""

_OF_THE_CLIENT: Final = (f"Bearer {_NO_KEY}", "AsyncOpenAI/")
"""What the client's own values of other headers begin with: a program may give them, too."""


class _Library(httpx2.AsyncBaseTransport):
    """Answers requests for Chat Completions by what a library's `acompletion` returns."""

    def __init__(self, library: ModuleType, options: Mapping[str, Any]) -> None:
        self._library, self._options = library, options

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """What a server would answer; the library's errors with the status that they tell."""
        remember(self._options)  # a provider's error may repeat the key
        arguments = json.loads(await request.aread())
        headers = {
            name: value for name, value in request.headers.items() if not _is_own(name, value)
        }
        if headers:
            arguments["extra_headers"] = headers
        try:
            # Looked up now: a program may have wrapped it, as tracers do.
            answer = await self._library.acompletion(**arguments, **self._options)
            if not arguments.get("stream"):
                return httpx2.Response(200, json=_plain(answer))
            chunks = aiter(answer)
            first = await _first(chunks)  # what is wrong with a request is told here by some
        except Exception as error:  # noqa: BLE001 - of a library, and of a provider's behind it
            return _failure(error)
        body = _events(chunks, first)
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)


def _is_own(header: str, value: str) -> bool:
    """Whether a header is of the request within this process, and not for the provider."""
    return (
        header in _OF_HTTP or header.startswith("x-stainless-") or value.startswith(_OF_THE_CLIENT)
    )


async def _events(chunks: AsyncIterator[Any], first: Any) -> AsyncIterator[bytes]:
    try:
        while first is not None:
            yield b"data: " + json.dumps(_plain(first)).encode() + b"\n\n"
            first = await anext(chunks, None)
        yield b"data: [DONE]\n\n"
    except Exception as error:  # noqa: BLE001 - as above
        yield b"data: " + json.dumps(_error_body(error)).encode() + b"\n\n"
    finally:
        await _close(chunks)


async def _first(chunks: AsyncIterator[Any]) -> Any:
    try:
        return await anext(chunks, None)
    except BaseException:  # stopped while the provider thinks, too
        await _close(chunks)
        raise


async def _close(chunks: AsyncIterator[Any]) -> None:
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()


def _plain(answer: Any) -> Any:
    return answer.model_dump(mode="json", exclude_none=True, warnings=False)


def _error_body(error: Exception) -> dict[str, Any]:
    message = str(getattr(error, "message", None) or error) or type(error).__name__
    return {"error": {"message": message, "type": type(error).__name__}}


def _failure(error: Exception) -> httpx2.Response:
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
    named = getattr(response, "headers", None) or {}
    waits = {name: named[name] for name in ("retry-after", "retry-after-ms") if name in named}
    status = status if isinstance(status, int) and 400 <= status < 600 else 500
    return httpx2.Response(status, headers=waits, json=_error_body(error))


class _LibraryModel(OpenAIChatCompletionsModel):
    def __init__(
        self,
        model: str,
        library: tuple[str, str],
        options: dict[str, Any],
        replay: ShouldReplayReasoningContent | None = None,
    ) -> None:
        name, extra = library
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise ImportError(
                f"{type(self).__name__} needs the package {extra!r}. "
                f"Install it with `{install_command(extra)}`."
            ) from error
        set_options = {key: value for key, value in options.items() if value is not None}
        transport = _Library(module, set_options)
        client = AsyncOpenAI(
            api_key=_NO_KEY,
            base_url=f"http://{extra}.invalid/v1",
            http_client=cast(Any, httpx2.AsyncClient(transport=transport)),
        )
        super().__init__(model, client, replay)

    def _arguments(self, request: ModelRequest, *, stream: bool) -> dict[str, Any]:
        """As of every chat model; what the client does not know goes to the library as it is."""
        arguments = super()._arguments(request, stream=stream)
        body = dict(arguments.pop("extra_body", None) or {})
        more = {*(request.settings.extra_args or ()), "extra_query"} - {"extra_headers"}
        beside = {name: arguments.pop(name) for name in more if name in arguments}
        if "timeout" in beside:  # what a client takes may be no JSON
            beside["timeout"] = getattr(beside["timeout"], "read", beside["timeout"])
        self._adapt(request, arguments, beside, body)
        if body:
            beside["extra_body"] = body
        return {**arguments, "extra_body": beside} if beside else arguments

    def _adapt(
        self,
        request: ModelRequest,
        arguments: dict[str, Any],
        beside: dict[str, Any],
        body: dict[str, Any],
    ) -> None:
        """Change what the library takes otherwise.

        There are the `arguments` of the API, those `beside` them that are the library's own, and
        the `body` that goes to the provider unread.
        """


class LitellmModel(_LibraryModel):
    """A model that LiteLLM asks: of Anthropic, Gemini, Bedrock and a hundred others.

    Parameters
    ----------
    model : str
        Its name as LiteLLM has it, such as ``"anthropic/claude-sonnet-4-5"``.
    base_url, api_key : str, optional
        As LiteLLM takes them; by default from the environment, such as `ANTHROPIC_API_KEY`.
    should_replay_reasoning_content : callable, optional
        As of `OpenAIChatCompletionsModel`.

    Raises
    ------
    ImportError
        The package litellm is not installed.

    Examples
    --------
    ::

        agent = Agent(name="Tutor", model=LitellmModel("anthropic/claude-sonnet-4-5"))
    """

    @letting_go
    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        should_replay_reasoning_content: ShouldReplayReasoningContent | None = None,
    ) -> None:
        self.base_url = base_url
        options = {"base_url": base_url, "api_key": api_key and SecretStr(api_key)}
        super().__init__(model, ("litellm", "litellm"), options, should_replay_reasoning_content)

    def _adapt(
        self,
        request: ModelRequest,
        arguments: dict[str, Any],
        beside: dict[str, Any],
        body: dict[str, Any],
    ) -> None:
        # LiteLLM translates the effort for each provider, and would not see it in the body.
        effort = body.pop("reasoning_effort", None)
        if effort is not None and "reasoning_effort" not in arguments:
            beside["reasoning_effort"] = effort
        if arguments.get("tools"):
            # These are the program's own; LiteLLM would look for those of a proxy's MCP servers.
            beside.setdefault("_skip_mcp_handler", True)
        reasoning = request.settings.reasoning
        if reasoning is not None and (reasoning.summary or reasoning.generate_summary):
            logger.warning(
                "LitellmModel does not forward Reasoning.summary: Chat Completions have no such "
                "setting. The effort is sent."
            )


class AnyLLMModel(_LibraryModel):
    """A model that any-llm asks, by the library of its provider.

    Parameters
    ----------
    model : str
        Its name as any-llm has it, such as ``"mistral/mistral-small-latest"``.
    base_url, api_key : str, optional
        As any-llm takes them; by default from the environment.
    api : str, optional
        ``"chat_completions"``, which is what is used.

    Raises
    ------
    ImportError
        The package any-llm-sdk is not installed.
    UserError
        `api` is another one.

    Examples
    --------
    ::

        agent = Agent(name="Tutor", model=AnyLLMModel("mistral/mistral-small-latest"))
    """

    @letting_go
    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        api: Literal["responses", "chat_completions"] | None = None,
    ) -> None:
        if api not in (None, "chat_completions"):
            raise UserError(
                f"AnyLLMModel(api={api!r}): agentstream asks any-llm for Chat Completions, which "
                "every provider has. Leave api out."
            )
        self.base_url = base_url
        options = {"api_base": base_url, "api_key": api_key and SecretStr(api_key)}
        super().__init__(model, ("any_llm", "any-llm"), options)


class LitellmProvider(ModelProvider):
    """Models that LiteLLM asks, by their names; what the prefix ``litellm/`` of a name means."""

    def get_model(self, model_name: str | None) -> Model:
        """The model of that name; one of OpenAI's where there is none."""
        return LitellmModel(model_name or _DEFAULT_MODEL)


class AnyLLMProvider(ModelProvider):
    """Models that any-llm asks, by their names; what the prefix ``any-llm/`` of a name means."""

    @letting_go
    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        api: Literal["responses", "chat_completions"] | None = None,
    ) -> None:
        self._account: Any = (base_url, api_key and SecretStr(api_key), api)

    def get_model(self, model_name: str | None) -> Model:
        """The model of that name; one of OpenAI's where there is none."""
        return AnyLLMModel(model_name or f"openai/{_DEFAULT_MODEL}", *self._account)
