"""A scripted HTTP server on loopback that speaks the Responses API and Chat Completions."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, Self

import openai

from ...exceptions import UserError
from ...models.provider import OpenAIProvider
from ..scripted.shapes import Pace
from ..scripted.turns import Script, as_pace
from .batches import ScriptedBatches
from .conversations import Conversations
from .http import Connection, RecordedRequest
from .rate_limits import RateLimits
from .responder import Answer, Broken, Call

STARTING = 10.0  # seconds until a server that has not started is given up
MODEL_ENDPOINTS = ("/responses", "/chat/completions")


class ScriptedServer:
    """Answers the requests of an OpenAI client with the turns of a script.

    Parameters
    ----------
    turns : list or callable
        As for `ScriptedModel`; also `raw` bytes.
    pace : Pace or float, optional
        How fast it streams; None: at once.
    loop : bool
        Whether to begin again after the last turn.
    limits : RateLimits, optional
        Rate limits that requests to the model are held to; beyond them they are refused with 429.
    batches : ScriptedBatches, optional
        How the Batch API behaves.

    Attributes
    ----------
    requests : list of RecordedRequest
        Every request, in order, without its credentials.
    calls : list of Call
        The requests to the model, with what became of them.
    conversations : Conversations
        The conversations kept here.
    batches : ScriptedBatches
        The files and batches kept here.

    Examples
    --------
    >>> import asyncio
    >>> from agentstream.testing import ScriptedServer, say, turn
    >>> async def main():
    ...     async with ScriptedServer([turn(say("It is sunny."))]) as server:
    ...         client = server.client()
    ...         response = await client.responses.create(model="any", input="How is it?")
    ...         return response.output_text, server.requests[0].body["input"]
    >>> asyncio.run(main())
    ('It is sunny.', 'How is it?')
    """

    def __init__(
        self,
        turns: Any = (),
        *,
        pace: Pace | float | None = None,
        loop: bool = False,
        limits: RateLimits | None = None,
        batches: ScriptedBatches | None = None,
    ) -> None:
        self.pace = as_pace(pace)
        self.limits = limits
        self.requests: list[RecordedRequest] = []
        self.calls: list[Call] = []
        self.conversations = Conversations()
        self.batches = batches or ScriptedBatches()
        self.port = 0
        self._script = Script(turns, loop=loop)
        self._clients: list[openai.AsyncOpenAI] = []
        self._thread: threading.Thread | None = None
        self._running: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._stop: asyncio.Event | None = None

    @property
    def base_url(self) -> str:
        """Where the API is, such as ``http://127.0.0.1:40123/v1``."""
        if not self.port:
            raise UserError("The server has not started. Use it in `with ScriptedServer(...):`.")
        return f"http://127.0.0.1:{self.port}/v1"

    def play(self, turns: Any, *, loop: bool = False) -> None:
        """Take `turns` as the script from now on; `loop`: begin again after the last."""
        self._script = Script(turns, loop=loop)

    def client(self, **options: Any) -> openai.AsyncOpenAI:
        """A client of this server, with a dummy key; it does not retry unless told to.

        Parameters
        ----------
        **options
            Of `openai.AsyncOpenAI`.

        Returns
        -------
        openai.AsyncOpenAI
        """
        if "http_client" not in options:
            # No proxy of the environment stands between, and no certificates have to be read.
            options["http_client"] = openai.DefaultAsyncHttpxClient(trust_env=False, verify=False)
        settings = {"base_url": self.base_url, "api_key": "scripted", "max_retries": 0, **options}
        client = openai.AsyncOpenAI(**settings)
        self._clients.append(client)
        return client

    def provider(self, **options: Any) -> OpenAIProvider:
        """A provider of models of this server by their names.

        Parameters
        ----------
        **options
            Those of `client`.
        """
        return OpenAIProvider(openai_client=self.client(**options))

    def start(self) -> Self:
        """Listen, on a port that is free.

        Raises
        ------
        UserError
            It could not listen.
        """
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="scripted-server", daemon=True
        )
        self._thread.start()
        if not self._ready.wait(STARTING):
            raise UserError(f"The scripted server did not start within {STARTING:g} seconds.")
        if self._failure is not None:
            raise UserError("The scripted server could not listen on 127.0.0.1.") from self._failure
        return self

    def close(self) -> None:
        """Stop, and break the connections that are open."""
        if self._running is not None and self._stop is not None and self._thread is not None:
            self._running.call_soon_threadsafe(self._stop.set)
            self._thread.join(STARTING)
        self._thread = self._running = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(self, *error: object) -> None:
        for client in self._clients:
            await client.close()
        self.close()

    async def _serve(self) -> None:
        self._running, self._stop = asyncio.get_running_loop(), asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await self._converse(Connection(reader, writer))
                writer.close()  # sends what is still buffered; abort() would drop it
                await writer.wait_closed()
            except (asyncio.CancelledError, ConnectionError):
                pass  # the server stops, or the client has gone: nobody is left to tell
            finally:
                tasks.discard(task)
                writer.transport.abort()

        try:
            server = await asyncio.start_server(connected, "127.0.0.1", 0)
        except OSError as error:
            self._failure = error
            self._ready.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        async with server:
            await self._stop.wait()
            server.close()
            await _serve_requests()  # a connection that was accepted just now comes to its task
            open_tasks = list(tasks)
            for task in open_tasks:
                task.cancel()
            await asyncio.gather(*open_tasks, return_exceptions=True)
            await _serve_requests()  # what was broken off is closed

    async def _converse(self, connection: Connection) -> None:
        while (request := await connection.request()) is not None:
            self.requests.append(request)
            endpoint = request.endpoint
            if "/conversations" in endpoint:
                status, value = self.conversations.answer(request)
                await connection.json(value, status)
            elif "/files" in endpoint or "/batches" in endpoint:
                status, value = await self.batches.answer(request, self._script, self.calls)
                if isinstance(value, bytes):
                    await connection.start(
                        status, {"content-type": "application/jsonl"}, len(value)
                    )
                    await connection.write(value)
                else:
                    await connection.json(value, status)
            elif request.method == "POST" and endpoint.endswith(MODEL_ENDPOINTS):
                if not isinstance(request.body, dict):
                    await connection.error("The body is not a JSON object.", 400)
                elif not await self._call(request, connection):
                    return
            else:
                await connection.error(
                    f"The scripted server has no {request.method} {endpoint}; it speaks POST "
                    "/v1/responses, /v1/chat/completions, /v1/conversations, /v1/files and "
                    "/v1/batches.",
                    404,
                )

    async def _call(self, request: RecordedRequest, connection: Connection) -> bool:
        """Answer one request to the model; whether the connection can go on."""
        if self.limits is not None:
            verdict = self.limits.decide_for(request.body)
            connection.always = verdict.headers
            if not verdict.allowed:
                await connection.error(verdict.message, 429, code="rate_limit_exceeded")
                return True
        call = Call(request, time.monotonic())
        self.calls.append(call)
        self._script.request_count += 1
        answering = asyncio.create_task(
            Answer(call, connection, self._script, self._script.request_count, self.pace).send()
        )
        watching = asyncio.create_task(connection.gone())
        try:
            await asyncio.wait({answering, watching}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done() and call.finished is None:
                call.disconnected = time.monotonic()
                return False
            await answering
        except (ConnectionError, Broken):
            if call.finished is None and not isinstance(answering.exception(), Broken):
                call.disconnected = time.monotonic()
            return False
        finally:
            answering.cancel()
            watching.cancel()
            await asyncio.gather(answering, watching, return_exceptions=True)
        return True


async def _serve_requests() -> None:
    """Let the loop come round a few times; asyncio takes four from accepting to a task."""
    for _ in range(8):
        await asyncio.sleep(0)
