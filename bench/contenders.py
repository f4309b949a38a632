"""Who is compared: each reads one answer to its end and says how many events it saw."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Awaitable, Callable
from typing import Any

import jiter
import openai

from agentstream._extras import install_command
from agentstream.models.http.sse import SSESplitter

Reader = Callable[[openai.AsyncOpenAI], Awaitable[int]]


def client(url: str, script: str, *, aiohttp: bool = False) -> openai.AsyncOpenAI:
    """A client that gets the answer of this name, over its default transport or its other one."""
    return openai.AsyncOpenAI(
        api_key="none",
        base_url=f"{url}/{script}/v1",
        http_client=openai.DefaultAioHttpClient() if aiohttp else None,
        timeout=600,  # a loop that is held for seconds would miss 5 seconds to connect
        max_retries=0,
    )


RUNNERS = {"agentstream": "agentstream", "openai-agents": "agents"}
"""The packages that run agents: one program serves both."""

OVER_AIOHTTP = ", aiohttp"
"""Behind the name of a reader: over the `openai` client's other transport, our default."""

OVER_DEFAULT = ", httpx2"
"""Behind agentstream's name: over the `openai` client's default transport, given a client."""


def require_all() -> None:
    """See that what the live view is compared with is installed, before anything is measured.

    Raises
    ------
    SystemExit
        It is not.
    """
    needed = ("chatlas", "ipykernel", "jupyter_client", "zmq")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        raise SystemExit(
            f"The live view is compared in kernels, with chatlas; not installed: "
            f"{', '.join(missing)}. Install it: {install_command('bench')}, or measure without "
            "the view: python -m bench --no-view"
        )


def is_installed(name: str) -> bool:
    """Whether one of `RUNNERS` is here."""
    return importlib.util.find_spec(RUNNERS[name]) is not None


def runner(name: str) -> Any:
    """One of `RUNNERS`, without tracing."""
    api = importlib.import_module(RUNNERS[name])
    api.set_tracing_disabled(True)
    return api


def runners() -> dict[str, Any]:
    """All that are installed, by name."""
    return {name: runner(name) for name in RUNNERS if is_installed(name)}


def look(city: str) -> str:
    """Look at a city."""
    return f"{len(city)} letters"


def speaks_chat(openai_client: openai.AsyncOpenAI) -> bool:
    """Whether the answer that a client gets is one of Chat Completions."""
    return "/chat" in str(openai_client.base_url)


def agent(api: Any, openai_client: openai.AsyncOpenAI, tools: int = 1) -> Any:
    """An agent with `look` and as many tools in all, over this client."""
    names = ["look", *(f"tool_{number}" for number in range(1, tools))]
    functions = [api.function_tool(look, name_override=name) for name in names]
    chat = speaks_chat(openai_client)
    kind = api.OpenAIChatCompletionsModel if chat else api.OpenAIResponsesModel
    model = kind("m", openai_client)
    return api.Agent(name="a", instructions="Be brief.", model=model, tools=functions)


def by_name(api: Any, openai_client: openai.AsyncOpenAI, tools: int = 1) -> Any:
    """The same agent over the client that the package makes for a model given by its name."""
    one = agent(api, openai_client, tools)
    one.model = api.OpenAIProvider(
        api_key="none",
        base_url=str(openai_client.base_url),
        use_responses=not speaks_chat(openai_client),
    ).get_model("m")
    return one


def agents() -> dict[str, Callable[[openai.AsyncOpenAI, int], Any]]:
    """All that make an agent over a client: each package as it is, and over the other transport.

    openai-agents' own client is one for all event loops; a fresh one of its kind stands for it. A
    package is imported when its agent is made: the collector looks at all that is imported.
    """

    def made(how: Callable[..., Any], name: str) -> Callable[[openai.AsyncOpenAI, int], Any]:
        return lambda openai_client, tools: how(runner(name), openai_client, tools)

    found = {}
    for name in filter(is_installed, RUNNERS):
        if name == "agentstream":
            found |= {name: made(by_name, name), name + OVER_DEFAULT: made(agent, name)}
        else:
            found |= {name: made(agent, name), name + OVER_AIOHTTP: made(agent, name)}
    return found


async def stream(api: Any, one: Any, asked: Any = "x", turns: int = 10) -> int:
    """Run an agent and read all events; how many came from the model."""
    count = 0
    async for event in api.Runner.run_streamed(one, asked, max_turns=turns).stream_events():
        count += event.type == "raw_response_event"
    return count


def asked(openai_client: openai.AsyncOpenAI) -> dict[str, Any]:
    """The arguments of a request."""
    said = [{"role": "user", "content": "x"}]
    chat = speaks_chat(openai_client)
    return {"model": "m", "stream": True, **({"messages": said} if chat else {"input": "x"})}


def api_of(openai_client: openai.AsyncOpenAI) -> Any:
    """The client's side of the API that the answer is of."""
    return openai_client.chat.completions if speaks_chat(openai_client) else openai_client.responses


async def read_floor(openai_client: openai.AsyncOpenAI) -> int:
    """Read the body, split the events, parse their JSON: what any reader must do."""
    count = 0
    create = api_of(openai_client).with_streaming_response.create
    async with create(**asked(openai_client)) as response:
        splitter = SSESplitter()
        async for chunk in response.iter_bytes():
            for _, data in splitter.feed(chunk):
                if data != b"[DONE]":
                    jiter.from_json(data)
                    count += 1
    return count


async def read_client(openai_client: openai.AsyncOpenAI) -> int:
    """Read through the official client."""
    count = 0
    async for _ in await api_of(openai_client).create(**asked(openai_client)):
        count += 1
    return count


def readers() -> dict[str, Reader]:
    """All that read a stream of events, the floor first; each takes its client."""

    def running(name: str, make: Callable[[openai.AsyncOpenAI, int], Any]) -> Reader:
        api = runner(name.partition(",")[0])
        return lambda openai_client: stream(api, make(openai_client, 1))

    named = {name: running(name, make) for name, make in agents().items()}
    floors = {"floor": read_floor, "floor" + OVER_AIOHTTP: read_floor}
    return {**floors, **named, "openai client": read_client}
