"""One answer of the scripted server: a turn, in the API and the manner that were asked for."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...exceptions import AgentsException, UserError
from ..scripted.model import paced, paced_fragments
from ..scripted.player import play
from ..scripted.shapes import Fault, Pace, RawTurn, ScriptRequest, Turn
from ..scripted.turns import Script
from .chat_chunks import ChatChunks, completion, request_of
from .http import Connection, RecordedRequest


class Broken(Exception):
    """The script breaks the connection here."""


@dataclass
class Call:
    """One request to the model and its timing, in seconds of `time.monotonic`.

    Attributes
    ----------
    request : RecordedRequest
        What was asked.
    started : float
        When it had arrived.
    events : int
        Events (or fragments of recorded bytes) sent so far.
    finished : float or None
        When the answer had been sent whole.
    disconnected : float or None
        When the client closed the connection before that.

    Examples
    --------
    >>> import asyncio
    >>> from agentstream.testing import ScriptedServer
    >>> async def main():
    ...     async with ScriptedServer(["Hello."]) as server:
    ...         await server.client().responses.create(model="any", input="Hi")
    ...         return server.calls[0].request.body["input"]
    >>> asyncio.run(main())
    'Hi'
    """

    request: RecordedRequest
    started: float
    events: int = 0
    finished: float | None = None
    disconnected: float | None = None

    async def until_disconnected(self, seconds: float = 5.0) -> float:
        """Wait until the client has gone and return when, by `time.monotonic`.

        Raises
        ------
        TimeoutError
            The client was still there after `seconds`, or had the whole answer.
        """
        async with asyncio.timeout(seconds):
            # It is set by the server's thread, which no event of this loop can wait for.
            while self.disconnected is None:  # noqa: ASYNC110
                await asyncio.sleep(0.002)
        return self.disconnected


@dataclass
class Answer:
    """One answer on its way: a turn, in the API and the manner that were asked for."""

    call: Call
    connection: Connection
    script: Script
    number: int
    pace: Pace | None

    async def send(self) -> None:
        """Answer, as the script and the request want it."""
        body = self.call.request.body
        request = request_of(body, self.number)
        try:
            turn = await self.next(request)
            if turn.raw is not None:
                await self.send_raw(turn.raw)
            else:
                timed_events = play(turn, request, key=str(self.number), model=self.model)
                events = paced(timed_events, turn.pace or self.pace)
                await (self.stream(events) if body.get("stream") else self.whole(events))
        except UserError as error:
            # A client would try a 500 again; the script will not get better by it.
            await self.refuse(str(error))
        self.call.finished = time.monotonic()

    async def next(self, request: ScriptRequest) -> Turn:
        """Ask the script for the turn; what a user's function raises is told to the client."""
        try:
            return await self.script.next(request)
        except AgentsException:
            raise
        except Exception as error:
            raise UserError(f"Turn {self.number} of the script raised {error!r}.") from error

    async def refuse(self, message: str) -> None:
        """Tell the client why there is no answer; within a stream, break it off."""
        if self.connection.chunked:
            raise Broken(message)
        await self.connection.error(message, 500, headers={"x-should-retry": "false"})

    @property
    def model(self) -> str:
        """The name of the model that was asked for."""
        return str(self.call.request.body.get("model") or "scripted")

    @property
    def is_chat(self) -> bool:
        """Whether Chat Completions was asked."""
        return self.call.request.endpoint.endswith("/chat/completions")

    async def send_raw(self, raw: RawTurn) -> None:
        """Send recorded bytes."""
        await self.connection.start(200, {"content-type": raw.content_type}, None)
        async for fragment in paced_fragments(raw):
            await self.connection.chunk(fragment)
            self.call.events += 1
        await self.connection.end()
        self.connection.chunked = False

    async def stream(self, events: AsyncIterator[Mapping[str, Any] | Fault]) -> None:
        """Send events, or chunks, as they are due."""
        options = self.call.request.body.get("stream_options") or {}
        with_usage = bool(options.get("include_usage"))
        chat = ChatChunks(str(self.number), self.model, with_usage=with_usage)
        async for event in events:
            if isinstance(event, Fault):
                if await self.fault(event):
                    return
                break
            if not self.connection.chunked:
                await self.connection.start(200, {"content-type": "text/event-stream"}, None)
            if self.is_chat:
                for chunk in chat.chunks(event):
                    await self.connection.chunk(sse(chunk))
            else:
                await self.connection.chunk(sse(event, event["type"]))
            self.call.events += 1
        else:
            if self.is_chat:
                await self.connection.chunk(b"data: [DONE]\n\n")
        await self.connection.end()
        self.connection.chunked = False

    async def whole(self, events: AsyncIterator[Mapping[str, Any] | Fault]) -> None:
        """Send the answer when it is whole."""
        last: Mapping[str, Any] = {}
        async for event in events:
            if isinstance(event, Fault):
                if not await self.fault(event):
                    # Cut: a body is announced, and the connection ends within it.
                    await self.connection.start(200, {"content-type": "application/json"}, 100)
                    raise Broken("cut")
                return
            last = event
            self.call.events += 1
        if last["type"] == "error" or (self.is_chat and last["type"] == "response.failed"):
            error = last if last["type"] == "error" else last["response"]["error"]
            await self.connection.error(error["message"], 500, code=error["code"])
            return
        response = last["response"]
        answer = completion(response, str(self.number)) if self.is_chat else response
        await self.connection.json(answer)

    async def fault(self, fault: Fault) -> bool:
        """Let `fault` happen; whether the answer is over. A cut is left to the caller."""
        if fault.kind == "http_error":
            await self.connection.error(
                fault.message, fault.status, code=fault.code, headers=fault.headers
            )
            return True
        if fault.kind == "reset":
            raise Broken("reset")
        if not self.connection.chunked and self.call.request.body.get("stream"):
            await self.connection.start(200, {"content-type": "text/event-stream"}, None)
        return False


def sse(data: Mapping[str, Any], name: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode("utf-8", "replace")
