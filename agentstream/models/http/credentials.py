"""Where requests go, and as whom: keys and base URLs, as the program and the environment say."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, get_args

from openai import OpenAIError

from ..._utils.secrets import SecretStr
from ...exceptions import UserError, check_choice
from .account import Account
from .client_pool import shared_client

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = [
    "Account",
    "client_for",
    "default_api",
    "default_client",
    "set_default_openai_api",
    "set_default_openai_client",
    "set_default_openai_key",
]

OpenAIAPI = Literal["chat_completions", "responses"]

# Servers on one's own machine ask for no key, but the client sends none without one.
_PLACEHOLDER_KEY: Final = "no-key-needed"

_NO_KEY: Final = (
    "There is no OpenAI key and no model to run. Four ways out: "
    "(1) set a key: the environment variable OPENAI_API_KEY, or set_default_openai_key('...'); "
    "(2) point the environment variable OPENAI_BASE_URL at a local server such as llama.cpp, "
    "vLLM or Ollama (then no key is needed); "
    "(3) run a model on this machine, without an account: Agent(..., model=local_model()), with "
    "`from agentstream import local_model`; "
    "(4) run without a model: Agent(..., model=ScriptedModel([...])), with "
    "`from agentstream.testing import ScriptedModel`."
)


class MissingKeyError(UserError, OpenAIError):
    """There is no OpenAI key; also the error that the `openai` client raises for that."""


@dataclass
class _Defaults:
    """What a program has set for all its providers."""

    key: str | None = field(default=None, repr=False)
    client: AsyncOpenAI | None = None
    api: OpenAIAPI = "responses"


_defaults = _Defaults()


def set_default_openai_key(key: str, use_for_tracing: bool = True) -> None:
    """Set the API key for models that you specify by name, instead of ``OPENAI_API_KEY``.

    Parameters
    ----------
    key
        The key. It appears in no output, recording or error.
    use_for_tracing
        Accepted for programs written for the SDK; nothing is traced to a server here.

    Examples
    --------
    Set a key without writing it into the notebook::

        import getpass
        set_default_openai_key(getpass.getpass("Key: "))
    """
    _defaults.key = _hidden(key)


def set_default_openai_client(client: AsyncOpenAI, use_for_tracing: bool = True) -> None:
    """Set the client for models that you specify by name; also `openai.AsyncAzureOpenAI`.

    Parameters
    ----------
    client
        Makes the requests of providers without their own key and base URL.
    use_for_tracing
        Accepted for programs written for the SDK; nothing is traced to a server here.

    Examples
    --------
    ::

        from openai import AsyncAzureOpenAI
        set_default_openai_client(AsyncAzureOpenAI(azure_endpoint="https://...", api_version="..."))
    """
    _defaults.client = client


def set_default_openai_api(api: OpenAIAPI) -> None:
    """Choose the API for models that you specify by name.

    Parameters
    ----------
    api
        ``"responses"`` or, for servers that have no other, ``"chat_completions"``.

    Raises
    ------
    UserError
        There is no such API.

    Examples
    --------
    For a server of your own, such as llama.cpp, before an agent runs::

        set_default_openai_api("chat_completions")
    """
    check_choice("set_default_openai_api", api, get_args(OpenAIAPI))
    _defaults.api = api


def default_api() -> OpenAIAPI:
    """Tell which API the program has chosen for models that are given by name."""
    return _defaults.api


def default_client() -> AsyncOpenAI | None:
    """The client that the program has set for all its models; None where it has set none."""
    return _defaults.client


def client_for(account: Account) -> AsyncOpenAI:
    """Find the client for an account; where it is not given, that of the program's settings.

    Raises
    ------
    UserError
        There is neither a key nor a client nor a base URL.
    """
    if _defaults.client is not None and account == Account():
        return _defaults.client
    return shared_client(_resolved(account))


def _resolved(account: Account) -> Account:
    """Fill in what the program and the environment say, as of now."""
    key = _hidden(account.key or _defaults.key or os.environ.get("OPENAI_API_KEY"))
    base_url = account.base_url or os.environ.get("OPENAI_BASE_URL") or None
    if key is not None:
        # A newline read along with a key would end up, with the key, in the HTTP library's error.
        key = SecretStr(key.strip())
        if not (key.isascii() and key.isprintable()):
            raise UserError(
                "The OpenAI key has characters that no key has, such as a line break or a letter "
                "with an accent. Copy it again, without what stands around it."
            )
    if not key and base_url:
        key = _PLACEHOLDER_KEY
    if not key:
        raise MissingKeyError(_NO_KEY)
    return Account(key, base_url, account.organization, account.project)


def _hidden(key: str | None) -> str | None:
    return None if key is None else SecretStr(key)
