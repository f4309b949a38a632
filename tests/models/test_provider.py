"""From names to models: accounts, defaults, prefixes, and the ways out where there is no key."""

from __future__ import annotations

import asyncio
import traceback
from types import ModuleType
from typing import Any

import agents
import agents.models.multi_provider
import httpx2
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, DefaultAsyncHttpx2Client

import agentstream
from agentstream.exceptions import UserError
from agentstream.models import provider as our_module
from agentstream.models.http import client_pool, credentials
from agentstream.models.provider import (
    MultiProvider,
    MultiProviderMap,
    OpenAIProvider,
    set_default_openai_api,
    set_default_openai_client,
    set_default_openai_key,
)
from agentstream.models.responses.model import OpenAIResponsesModel

SECRET = "sk-secret-1234567890"
CLIENT = AsyncOpenAI(api_key="none", base_url="http://localhost/v1")
LIBS = [agents, agentstream]


@pytest.fixture(autouse=True)
def no_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what a test sets for the whole program."""
    monkeypatch.setattr(credentials, "_defaults", credentials._Defaults())
    monkeypatch.setattr(client_pool, "_clients", {})


def client_of(model: Any) -> Any:
    return model._client


# --- no key


@pytest.mark.parametrize("provider", [OpenAIProvider, MultiProvider])
async def test_without_a_key_the_error_names_the_three_ways_out(provider: Any) -> None:
    with pytest.raises(UserError) as caught:
        provider().get_model("gpt-x")
    message = str(caught.value)
    for way in ("OPENAI_API_KEY", "set_default_openai_key", "OPENAI_BASE_URL", "ScriptedModel"):
        assert way in message


async def test_without_a_key_a_run_fails_at_once_with_the_three_ways_out() -> None:
    agent = agentstream.Agent(name="a")
    with pytest.raises(UserError, match="OPENAI_BASE_URL"):
        await agentstream.Runner.run(agent, "hello")
    result = agentstream.Runner.run_streamed(agent, "hello")
    with pytest.raises(UserError, match="OPENAI_BASE_URL"):
        async for _ in result.stream_events():
            pass


def test_an_empty_key_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", " ")
    with pytest.raises(UserError, match="Four ways out"):
        OpenAIProvider().get_model("gpt-x")


def test_a_local_server_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:8080/v1")
    client = client_of(OpenAIProvider().get_model("gpt-x"))
    assert str(client.base_url) == "http://localhost:8080/v1/"
    assert client.api_key
    own = client_of(OpenAIProvider(base_url="http://localhost:9/v1").get_model("gpt-x"))
    assert str(own.base_url) == "http://localhost:9/v1/"


# --- which client


def test_the_key_comes_from_the_argument_then_the_program_then_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "from-environment\n")
    assert client_of(OpenAIProvider().get_model("m")).api_key == "from-environment"
    set_default_openai_key("from-program")
    assert client_of(OpenAIProvider().get_model("m")).api_key == "from-program"
    assert client_of(OpenAIProvider(api_key="own").get_model("m")).api_key == "own"


def test_the_programs_client_is_used_unless_an_account_is_given() -> None:
    set_default_openai_client(CLIENT)
    assert client_of(OpenAIProvider().get_model("m")) is CLIENT
    assert client_of(MultiProvider().get_model("openai/m")) is CLIENT
    assert client_of(OpenAIProvider(api_key="own").get_model("m")) is not CLIENT
    other = AsyncOpenAI(api_key="none", base_url="http://localhost/v2")
    assert client_of(OpenAIProvider(openai_client=other).get_model("m")) is other


def test_an_azure_client_can_be_the_programs() -> None:
    client = AsyncAzureOpenAI(
        api_key="none", azure_endpoint="https://x.openai.azure.com", api_version="2025-04-01"
    )
    set_default_openai_client(client)
    assert client_of(MultiProvider().get_model(None)) is client


def test_organization_and_project_reach_the_client() -> None:
    provider = OpenAIProvider(api_key="none", organization="org", project="proj")
    client = client_of(provider.get_model("m"))
    assert (client.organization, client.project) == ("org", "proj")


@pytest.mark.parametrize("name", ["api_key", "base_url", "organization", "project"])
@pytest.mark.parametrize("lib", LIBS)
def test_a_client_and_an_account_exclude_each_other(lib: ModuleType, name: str) -> None:
    with pytest.raises(lib.UserError, match="Don't provide api_key"):
        lib.OpenAIProvider(openai_client=CLIENT, **{name: "x"})


async def test_providers_of_one_loop_and_account_share_a_client() -> None:
    first = client_of(OpenAIProvider(api_key="a").get_model("m"))
    assert client_of(MultiProvider(openai_api_key="a").get_model("n")) is first
    assert client_of(OpenAIProvider(api_key="b").get_model("m")) is not first


def test_each_event_loop_has_a_client_of_its_own() -> None:
    async def find() -> Any:
        return client_of(OpenAIProvider(api_key="a").get_model("m"))

    first, second = asyncio.run(find()), asyncio.run(find())
    assert first is not second
    assert first.is_closed()  # with its loop, so that no connection is left open
    assert second.is_closed()
    assert len(client_pool._clients) == 1  # and forgotten


async def test_a_client_that_was_closed_is_replaced() -> None:
    provider = OpenAIProvider(api_key="a")
    client = client_of(provider.get_model("m"))
    await client.close()
    assert client_of(provider.get_model("m")) is not client


async def test_closing_a_provider_leaves_the_clients_open() -> None:
    for lib in LIBS:
        provider = lib.OpenAIProvider(openai_client=CLIENT)
        provider.get_model("m")
        await provider.aclose()
        assert not CLIENT.is_closed()


# --- which model


def test_the_default_model_is_the_sdks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (None, "GPT-Mine"):
        if name is not None:
            monkeypatch.setenv("OPENAI_DEFAULT_MODEL", name)
        models = [lib.OpenAIProvider(openai_client=CLIENT).get_model(None).model for lib in LIBS]
        assert models[0] == models[1]


def test_the_api_is_the_programs_unless_the_provider_says() -> None:
    assert type(OpenAIProvider(api_key="a").get_model("m")) is OpenAIResponsesModel
    set_default_openai_api("chat_completions")
    chat = agentstream.OpenAIChatCompletionsModel
    assert type(OpenAIProvider(api_key="a").get_model("m")) is chat
    assert type(MultiProvider(openai_api_key="a").get_model("m")) is chat
    own = OpenAIProvider(api_key="a", use_responses=True)
    assert type(own.get_model("m")) is OpenAIResponsesModel
    set_default_openai_api("responses")
    assert type(OpenAIProvider(api_key="a").get_model("m")) is OpenAIResponsesModel


def test_an_api_that_does_not_exist_is_refused() -> None:
    api: Any = "chat"
    with pytest.raises(UserError, match="must be 'chat_completions' or 'responses', got 'chat'"):
        set_default_openai_api(api)


NAMES = [None, "", "gpt-4o", "openai/gpt-4o", "openai/foo/bar", "openai/", "foo/bar"]
NAMES += ["foo/bar/baz", "foo", "bar/x", "/x"]


@pytest.mark.pairwise
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("own", [(), ("foo",), ("foo", "openai")])
@pytest.mark.parametrize(
    "modes",
    [{}, {"openai_prefix_mode": "model_id"}, {"unknown_prefix_mode": "model_id"}],
)
def test_a_name_finds_the_model_that_it_finds_in_the_sdk(name: Any, own: Any, modes: Any) -> None:
    found = []
    for lib, maps in ((agents, agents.models.multi_provider), (agentstream, our_module)):

        class Echo(lib.ModelProvider):
            def get_model(self, model_name: str | None) -> Any:
                return f"own:{model_name}"

        mapping = maps.MultiProviderMap()
        for prefix in own:
            mapping.add_provider(prefix, Echo())
        try:
            provider = lib.MultiProvider(provider_map=mapping, openai_client=CLIENT, **modes)
            model = provider.get_model(name)
            found.append(model if isinstance(model, str) else (type(model).__name__, model.model))
        except lib.UserError as error:
            found.append(str(error).partition(".")[0])
    assert found[0] == found[1]


@pytest.mark.parametrize("mode", ["openai_prefix_mode", "unknown_prefix_mode"])
def test_a_mode_that_does_not_exist_is_refused_with_those_that_do(mode: str) -> None:
    for lib in LIBS:
        with pytest.raises(lib.UserError, match=f"MultiProvider {mode} must be .*'model_id'"):
            lib.MultiProvider(**{mode: "zz"})


def test_a_map_can_be_read_and_changed() -> None:
    provider = OpenAIProvider(api_key="a")
    mapping = MultiProviderMap()
    mapping.set_mapping({"a": provider})
    mapping.add_provider("b", provider)
    mapping.remove_provider("a")
    assert mapping.get_mapping() == {"b": provider}
    assert mapping.get_provider("b") is provider
    assert mapping.get_provider("a") is None
    assert not mapping.has_prefix("a")


async def test_closing_closes_each_provider_of_the_map_once() -> None:
    class Counting(OpenAIProvider):
        closed = 0

        async def aclose(self) -> None:
            self.closed += 1

    provider = Counting(api_key="a")
    mapping = MultiProviderMap()
    mapping.set_mapping({"a": provider, "b": provider})
    await MultiProvider(provider_map=mapping).aclose()
    assert provider.closed == 1


def test_options_of_the_sdk_that_mean_nothing_here_are_taken() -> None:
    provider = OpenAIProvider(
        api_key="a", use_responses_websocket=True, agent_registration={"harness_id": "x"}
    )
    assert provider.agent_registration is None
    assert type(provider.get_model("m")) is OpenAIResponsesModel
    multi = MultiProvider(openai_api_key="a", openai_use_responses_websocket=True)
    assert type(multi.get_model("m")) is OpenAIResponsesModel


def test_chat_options_reach_the_chat_model() -> None:
    provider = OpenAIProvider(
        api_key="a",
        use_responses=False,
        strict_feature_validation=True,
        buffer_streamed_tool_calls=True,
    )
    model: Any = provider.get_model("m")
    assert (model._strict, model._buffer) == (True, True)


# --- the key stays a secret


def test_no_repr_shows_a_key() -> None:
    set_default_openai_key(SECRET)
    provider = OpenAIProvider(api_key=SECRET)
    model = provider.get_model("m")
    shown = [provider, MultiProvider(openai_api_key=SECRET), model, credentials._defaults]
    shown += [credentials.Account(SECRET), client_pool._clients, provider.__dict__]
    assert not any(SECRET in repr(each) for each in shown)


@pytest.mark.parametrize("spoiled", [SECRET + "\nsk-other", SECRET + "é", SECRET + "\x00"])
async def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(spoiled: str) -> None:
    provider = OpenAIProvider(api_key=spoiled)
    with pytest.raises(UserError, match="Copy it again") as caught:
        provider.get_model("m")
    assert "secret" not in "".join(traceback.format_exception(caught.value))


async def test_a_refused_key_is_not_in_the_error() -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(401, json={"error": {"message": "Incorrect API key"}})

    http = DefaultAsyncHttpx2Client(transport=httpx2.MockTransport(refuse))
    set_default_openai_client(AsyncOpenAI(api_key=SECRET, http_client=http))
    agent = agentstream.Agent(name="a")
    with pytest.raises(Exception, match="Incorrect API key") as caught:
        await agentstream.Runner.run(agent, "hello")
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in repr(caught.value)
