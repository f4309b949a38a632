"""Faults of the wire: recorded streams that are cut, stalled, broken, damaged at a given event.

The same faults are played at the level of bytes, in this process (`Wire`), and by a real server on
loopback (`serve`). What a reader should have seen is read off the bytes here, by other code than
that under test.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from openai import AsyncOpenAI

from tests.models.test_recorded_streams import FILES, FOLDER, body, recording

__all__ = [
    "FAULTS",
    "STREAMS",
    "Played",
    "Stream",
    "Wire",
    "calls",
    "deltas",
    "has_ended",
    "serve",
    "without_folder",
]

without_folder = f"needs the recorded streams, which are not in the repository: {FOLDER}"
STALL, RESET = "stall", "reset"
ENDS = (STALL, RESET)
Played = list[Any]
"""What a connection brings: bytes, and at the end STALL, RESET, or nothing for its end."""

_MOST_EVENTS = 64
_PER_API = 15


@dataclass(frozen=True)
class Stream:
    """One recorded answer, event by event."""

    name: str
    number: int

    @property
    def api(self) -> str:
        api: str = recording(self.name)["api"]
        return api

    @property
    def blocks(self) -> list[bytes]:
        """The events' bytes, each with the blank line that ends it."""
        parts = re.findall(rb".+?(?:\r?\n\r?\n|\Z)", body(self.name, self.number), re.S)
        return [part for part in parts if part.strip()]

    @property
    def events(self) -> list[int]:
        """The places of events among the blocks: not of comments, nor of [DONE]."""
        return [at for at, block in enumerate(self.blocks) if parsed(block) is not None]

    def __str__(self) -> str:
        return f"{self.name}-{self.number}"


def parsed(block: bytes) -> Any:
    """The JSON of an event; None where there is none, or it cannot be read."""
    lines = [line for line in block.splitlines() if line.startswith(b"data:")]
    try:
        return json.loads(b"\n".join(line[5:].lstrip() for line in lines))
    except ValueError:
        return None


def provider(name: str) -> str:
    first, _, rest = name.partition("-")
    return rest.partition("-")[0] if first == "provider" else first


def chosen() -> list[Stream]:
    """Thirty streams of all providers, both APIs, each of at most 64 events."""
    groups: dict[tuple[str, str], list[Stream]] = {}
    known: set[bytes] = set()
    for path in FILES:
        for number in range(len(recording(path.stem)["calls"])):
            stream = Stream(path.stem, number)
            if body(path.stem, number) in known or not 3 <= len(stream.blocks) <= _MOST_EVENTS:
                continue
            known.add(body(path.stem, number))
            groups.setdefault((stream.api, provider(path.stem)), []).append(stream)
    found: dict[str, list[Stream]] = {"responses": [], "chat": []}
    for turn in range(max(map(len, groups.values()), default=0)):
        for (api, _), streams in sorted(groups.items()):
            if turn < len(streams) and len(found[api]) < _PER_API:
                found[api].append(streams[turn])
    return found["responses"] + found["chat"]


STREAMS = chosen()


# -- the faults --


def cut(blocks: list[bytes], at: int) -> Played:
    return blocks[:at]


def stall(blocks: list[bytes], at: int) -> Played:
    return [*blocks[:at], STALL]


def reset(blocks: list[bytes], at: int) -> Played:
    return [*blocks[:at], RESET]


def truncate(blocks: list[bytes], at: int) -> Played:
    half = blocks[at][: len(blocks[at]) // 2]
    return [*blocks[:at], half] if at % 2 else [*blocks[:at], half, RESET]


def duplicate(blocks: list[bytes], at: int) -> Played:
    return [*blocks[: at + 1], *blocks[at:]]


def reorder(blocks: list[bytes], at: int) -> Played:
    swapped = blocks[at : at + 2][::-1]
    return [*blocks[:at], *swapped, *blocks[at + 2 :]]


def corrupt(blocks: list[bytes], at: int) -> Played:
    """Damage an event so that it cannot be read: a brace is gone, a byte is no UTF-8, a NUL."""
    block = blocks[at]
    brace = block.index(b"{")
    damaged = (
        block[:brace] + block[brace + 1 :],
        block[: brace + 2] + b"\xff\xfe" + block[brace + 2 :],
        block[: brace + 1] + b"\x00" + block[brace + 1 :],
    )[at % 3]
    return [*blocks[:at], damaged, *blocks[at + 1 :]]


FAULTS: dict[str, Callable[[list[bytes], int], Played]] = {
    "cut": cut,
    "stall": stall,
    "reset": reset,
    "truncate": truncate,
    "duplicate": duplicate,
    "reorder": reorder,
    "corrupt": corrupt,
}


# -- what a reader should have seen --


def readable(played: Played) -> list[Any]:
    """The events that can be read, up to what cannot."""
    found = []
    whole = b"".join(piece for piece in played if isinstance(piece, bytes))
    for block in re.split(rb"\r?\n\r?\n", whole):
        if b"data: [DONE]" in block:
            break
        if b"data:" not in block:
            continue
        event = parsed(block)
        if event is None:
            break
        found.append(event)
    return found


def deltas(played: Played, api: str) -> list[str]:
    """The pieces of the answer's text, in the order in which they came."""
    events = [event for event in readable(played) if isinstance(event, dict)]
    if api == "responses":
        known: set[str] = set()
        pieces = []
        for event in events:
            # An event that comes twice, word for word and number for number, is one event.
            told = json.dumps(event, sort_keys=True)
            if event.get("type") == "response.output_text.delta" and told not in known:
                pieces.append(event["delta"])
            known.add(told)
        return [piece for piece in pieces if piece]
    texts = []
    for event in events:
        for choice in event.get("choices") or []:
            content = (choice.get("delta") or {}).get("content")
            if isinstance(content, list):
                content = "".join(part["text"] for part in content if part["type"] == "text")
            texts.append(content or "")
    return [text for text in texts if text]


def calls(played: Played, api: str) -> list[str]:
    """The names of the tools that are called, in the order in which the calls began."""
    names: dict[Any, str] = {}
    for event in readable(played):
        if api == "responses":
            item = event.get("item") or {}
            if item.get("type") == "function_call":
                names[event["output_index"]] = item["name"]
        for choice in event.get("choices") or []:
            for call in (choice.get("delta") or {}).get("tool_calls") or []:
                name = (call.get("function") or {}).get("name") or ""
                names[call.get("index")] = names.get(call.get("index"), "") + name
    return list(names.values())


def has_ended(played: Played, api: str) -> bool:
    """Whether the event has arrived that ends the answer."""
    for event in readable(played):
        kind = event.get("type") if api == "responses" else None
        reasons = [choice.get("finish_reason") for choice in event.get("choices") or []]
        if kind == "response.completed" or any(reasons):
            return True
    return api == "chat" and any(b"[DONE]" in piece for piece in played if piece not in ENDS)


# -- the wire, in this process --


@dataclass
class Wire(httpx2.AsyncBaseTransport):
    """Plays one script for each request; counts the responses that are open."""

    scripts: list[Any] = field(default_factory=list)
    """Of the requests to come: what is played, or a function of the request that says it."""
    requests: list[httpx2.Request] = field(default_factory=list)
    open: int = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        if callable(script):
            script = script(request)
        if isinstance(script, httpx2.Response):
            return script
        if isinstance(script, Exception):
            raise script
        self.open += 1
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=_Body(self, script), request=request)

    def plays(self, client: AsyncOpenAI, *scripts: Any) -> AsyncOpenAI:
        """Have these scripts played for the next requests of the client."""
        self.scripts, self.requests = list(scripts), []
        return client

    def client(self, **options: Any) -> AsyncOpenAI:
        """A client whose requests this wire answers."""
        settings = {"api_key": "none", "base_url": "http://localhost/v1", "max_retries": 0}
        http_client = httpx2.AsyncClient(transport=self)
        return AsyncOpenAI(**{**settings, "http_client": http_client, **options})


class _Body(httpx2.AsyncByteStream):
    def __init__(self, wire: Wire, script: Played) -> None:
        self._wire, self._script, self._closed = wire, script, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._script:
            if piece == RESET:
                raise httpx2.ReadError("the connection was reset")
            if piece == STALL:
                await asyncio.Event().wait()
            yield piece

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._wire.open -= 1


# -- the wire, on loopback --


@asynccontextmanager
async def serve(scripts: list[Any]) -> AsyncIterator[str]:
    """Play one script for each request on a real connection; yields the base URL."""
    left = list(scripts)
    talking: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talking.add(task)
        try:
            await _answer(reader, writer, left.pop(0) if len(left) > 1 else left[0])
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            talking.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()[:2]
        yield f"http://{host}:{port}/v1"
    finally:
        server.close()
        await rounds()
        for task in list(talking):
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
        await server.wait_closed()
        await rounds()


async def rounds() -> None:
    """Let the loop come round a few times; asyncio takes four from accepting to a task."""
    for _ in range(8):
        await asyncio.sleep(0)


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, script: Played
) -> None:
    """Answer one request, in chunks, and close the connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.I)
    await reader.readexactly(int(length[1]) if length else 0)
    kind = b"content-type: text/event-stream\r\nconnection: close"
    writer.write(b"HTTP/1.1 200 OK\r\n%b\r\ntransfer-encoding: chunked\r\n\r\n" % kind)
    for piece in script:
        await writer.drain()
        if piece == STALL:
            await reader.read()  # until the client gives up
            return
        if piece == RESET:
            await asyncio.sleep(0.01)  # a reset overtakes what was sent just before it
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
