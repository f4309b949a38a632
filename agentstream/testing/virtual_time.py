"""A service and an event loop without waiting: an hour of rate limits passes in a second."""

from __future__ import annotations

import asyncio
import json
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import httpx2
import openai

from .scripted.turns import Script
from .server.http import RecordedRequest
from .server.rate_limits import RateLimits
from .server.responder import Answer, Call

__all__ = ["VirtualService", "run_in_virtual_time"]

T = TypeVar("T")


def run_in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop whose clock jumps to the next timer instead of waiting for it.

    The clock waits for functions that the loop runs in threads (`asyncio.to_thread`), but neither
    for sockets nor for other threads.

    Parameters
    ----------
    main : coroutine
        What is run; ``asyncio.get_running_loop().time`` is its clock.

    Examples
    --------
    >>> async def main():
    ...     await asyncio.sleep(3600)
    ...     return asyncio.get_running_loop().time()
    >>> run_in_virtual_time(main()) >= 3600
    True
    """
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(main)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = 0.0
        self.in_threads = 0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self.clock

    def run_in_executor(  # type: ignore[override]  # whatever the function takes
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = super().run_in_executor(executor, func, *args)
        self.in_threads += 1
        future.add_done_callback(self._left_thread)
        return future

    def _left_thread(self, _: asyncio.Future[Any]) -> None:
        self.in_threads -= 1

    async def shutdown_default_executor(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - asyncio names it
    ) -> None:
        """Wait for the threads, and have the clock wait with it.

        Since Python 3.12 they have 300 seconds to end, which this clock would jump over.
        """
        self.in_threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self.in_threads -= 1


class _JumpingSelector(selectors.DefaultSelector):
    """Waits no longer than a moment, and moves the loop's clock by the time that was asked for."""

    def __init__(self, loop: _VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or (timeout > 0 and self._loop.in_threads):
            return super().select(0.05)
        ready = super().select(0)
        if not ready and timeout > 0:
            self._loop.clock += timeout
        return ready


class VirtualService:
    """A service behind the openai client, without a network: its limits, its latency, its script.

    Parameters
    ----------
    turns : list or callable
        As for `ScriptedModel`.
    limits : RateLimits, optional
        Checked for each request; a refused one is answered with 429.
    latency : float or callable
        Seconds until an answer begins; a function is given the number of the request.
    loop : bool
        Whether to begin the script again after its last turn.
    fault : callable, optional
        Given the number of the request; returns a status to fail with, or None.

    Attributes
    ----------
    requests : list of dict
        The bodies that were answered.
    request_count : int
        How many requests came.

    Examples
    --------
    >>> from agentstream import Agent, OpenAIResponsesModel, Runner
    >>> async def main():
    ...     service = VirtualService(["Hello."], latency=2)
    ...     guide = Agent(name="Guide", model=OpenAIResponsesModel("any", service.client()))
    ...     return (await Runner.run(guide, "Hi")).final_output
    >>> run_in_virtual_time(main())
    'Hello.'
    """

    def __init__(
        self,
        turns: Any,
        limits: RateLimits | None = None,
        *,
        latency: float | Callable[[int], float] = 0.5,
        loop: bool = False,
        fault: Callable[[int], int | None] | None = None,
    ) -> None:
        self.requests: list[dict[str, Any]] = []
        self.request_count = 0
        self.limits = limits
        self._script = Script(turns, loop=loop)
        self._latency = latency if callable(latency) else lambda number: latency
        self._fault = fault or (lambda number: None)

    def client(self, **options: Any) -> openai.AsyncOpenAI:
        """An openai client of this service, with a key that is none.

        Parameters
        ----------
        **options
            Of `openai.AsyncOpenAI`.
        """
        http_client = httpx2.AsyncClient(transport=_Transport(self))
        settings = {"base_url": "http://virtual/v1", "api_key": "virtual", **options}
        return openai.AsyncOpenAI(http_client=http_client, **settings)

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request to the model.

        Parameters
        ----------
        request : httpx2.Request
            Of the Responses API or Chat Completions.
        """
        self.request_count += 1
        number = self.request_count
        body = json.loads(await request.aread())
        connection = Memory()
        if self.limits is not None:
            verdict = self.limits.decide_for(body)
            connection.always = verdict.headers
            if not verdict.allowed:
                await asyncio.sleep(0.01)
                return connection.refuse(429, verdict.message, "rate_limit_exceeded")
        await asyncio.sleep(self._latency(number))
        status = self._fault(number)
        if status is not None:
            return connection.refuse(status, "A fault of the script.", "fault")
        self.requests.append(body)
        call = Call(RecordedRequest("POST", request.url.path, {}, body), 0.0)
        sender: Any = connection
        self._script.request_count += 1
        await Answer(call, sender, self._script, self._script.request_count, None).send()
        return connection.response()


class Memory:
    """In place of a connection: keeps what is sent."""

    def __init__(self) -> None:
        self.always: Mapping[str, str] = {}
        self.chunked = False
        self._status = 200
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def response(self) -> httpx2.Response:
        """What was sent."""
        headers = {**self.always, **self._headers}
        return httpx2.Response(self._status, headers=headers, content=bytes(self._body))

    @property
    def answer(self) -> tuple[int, Any]:
        """The status and the JSON that were sent."""
        return self._status, json.loads(self._body or b"null")

    def refuse(self, status: int, message: str, code: str) -> httpx2.Response:
        """An error."""
        self._status = status
        self._headers = {"content-type": "application/json"}
        error = {"message": message, "type": "error", "code": code, "param": None}
        self._body += json.dumps({"error": error}).encode()
        return self.response()

    async def start(self, status: int, headers: Mapping[str, str], length: int | None) -> None:
        """Take the status and the headers."""
        self._status, self._headers, self.chunked = status, dict(headers), length is None

    async def chunk(self, data: bytes) -> None:
        """Take a fragment of the body."""
        self._body += data

    async def end(self) -> None:
        """Take the end."""

    async def json(
        self, value: Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Take a whole answer."""
        await self.start(status, {"content-type": "application/json", **(headers or {})}, 0)
        self._body += json.dumps(value).encode()

    async def error(
        self,
        message: str,
        status: int,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Take an error."""
        self.refuse(status, message, code or "error")
        self._headers |= headers or {}


class _Transport(httpx2.AsyncBaseTransport):
    def __init__(self, service: VirtualService) -> None:
        self._service = service

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self._service.answer(request)
