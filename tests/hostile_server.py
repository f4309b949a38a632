"""A server that does to a client what a hostile one, or a broken one, does.

As a tool, to look at what a client makes of it::

    python -m tests.hostile_server

It prints a base URL for each fault; give one as ``OPENAI_BASE_URL``. As a fixture::

    async with hostile_server() as server:
        client = AsyncOpenAI(base_url=server.url("endless-line"), api_key="none")
"""

from __future__ import annotations

import asyncio
import json
import sys
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache

__all__ = ["FAULTS", "HostileServer", "hostile_server"]

MUCH = 256 * 1024**2
"""Bytes that are sent where a fault is that there are too many."""

_EVENT_STREAM = "content-type: text/event-stream\r\n"
_JSON = "content-type: application/json\r\n"
_WORD = "before"
"""The text that comes before the fault, which must not be lost."""


def _beginning(chat: bool) -> bytes:
    """The first events of a good answer, which says `_WORD`."""
    if chat:
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        delta = {"index": 0, "delta": {"role": "assistant", "content": _WORD}}
        return b"data: " + json.dumps({**chunk, "choices": [delta]}).encode() + b"\n\n"
    item = {"id": "i", "type": "message", "role": "assistant", "status": "in_progress"}
    place = {"output_index": 0, "item_id": "i", "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    response = {"id": "r", "object": "response", "created_at": 1, "status": "in_progress"}
    response |= {"model": "m", "output": [], "parallel_tool_calls": True, "tools": []}
    events: list[dict[str, object]] = [
        {"type": "response.created", "response": {**response, "tool_choice": "auto"}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **place, "part": part},
        {"type": "response.output_text.delta", **place, "delta": _WORD, "logprobs": []},
    ]
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': at})}\n\n".encode()
        for at, event in enumerate(events)
    )


Body = Iterator[bytes | float]
"""Bytes to send, and seconds to wait."""


def _endless_line(chat: bool) -> Body:
    yield f"HTTP/1.1 200 OK\r\n{_EVENT_STREAM}connection: close\r\n\r\n".encode()
    yield _beginning(chat)
    yield b"data: "
    for _ in range(MUCH // 65_536):
        yield b"x" * 65_536


def _endless_event(chat: bool) -> Body:
    yield f"HTTP/1.1 200 OK\r\n{_EVENT_STREAM}connection: close\r\n\r\n".encode()
    yield _beginning(chat)
    for _ in range(MUCH // 65_536):
        yield b"data: x\n" * 8_192


def _endless_answer(chat: bool) -> Body:
    yield f"HTTP/1.1 200 OK\r\n{_EVENT_STREAM}connection: close\r\n\r\n".encode()
    yield _beginning(chat)
    for _ in range(MUCH // 65_536):
        yield b": nothing\n" * 6_553


@cache  # to pack that much takes a second, and there it is a quarter of a megabyte
def _packed(begin: bytes, wbits: int) -> tuple[bytes, ...]:
    pack = zlib.compressobj(9, wbits=wbits)
    much = (pack.compress(b"x" * 1024**2) for _ in range(MUCH // 1024**2))
    return (pack.compress(begin), *much, pack.flush())


def _bomb(status: str, kind: str, wbits: int, name: str) -> Callable[[bool], Body]:
    def body(chat: bool) -> Body:
        yield (
            f"HTTP/1.1 {status}\r\n{kind}content-encoding: {name}\r\nconnection: close\r\n\r\n"
        ).encode()
        begin = _beginning(chat) + b"data: " if kind is _EVENT_STREAM else b'{"error": "'
        yield from _packed(begin, wbits)

    return body


def _bomb_tail(chat: bool) -> Body:
    pack = zlib.compressobj(9, wbits=31)
    yield (
        f"HTTP/1.1 200 OK\r\n{_EVENT_STREAM}content-encoding: gzip\r\nconnection: close\r\n\r\n"
    ).encode()
    yield pack.compress(_beginning(chat)) + pack.flush()
    for _ in range(MUCH // 65_536):
        yield b"x" * 65_536


def _bomb_empty(status: str, kind: str) -> Callable[[bool], Body]:
    def body(chat: bool) -> Body:
        pack = zlib.compressobj(9, wbits=31)
        yield (
            f"HTTP/1.1 {status}\r\n{kind}content-encoding: gzip\r\nconnection: close\r\n\r\n"
        ).encode()
        yield pack.compress(_beginning(chat)) + pack.flush(zlib.Z_SYNC_FLUSH)
        for _ in range(MUCH // 65_535):  # stored blocks without content
            yield b"\x00\x00\x00\xff\xff" * 13_107

    return body


def _bomb_nested(chat: bool) -> Body:
    names = ",".join(["gzip"] * 1_000)
    yield (
        f"HTTP/1.1 200 OK\r\n{_EVENT_STREAM}content-encoding: {names}\r\nconnection: close\r\n\r\n"
    ).encode()
    yield zlib.compress(_beginning(chat))


def _huge_error(chat: bool) -> Body:
    yield f"HTTP/1.1 400 Bad Request\r\n{_JSON}connection: close\r\n\r\n".encode()
    yield b'{"error": {"message": "'
    for _ in range(MUCH // 65_536):
        yield b"x" * 65_536


def _huge_json(chat: bool) -> Body:
    yield f"HTTP/1.1 200 OK\r\n{_JSON}connection: close\r\n\r\n".encode()
    yield b'{"id": "'
    for _ in range(MUCH // 65_536):
        yield b"x" * 65_536


def _loris(chat: bool) -> Body:
    yield f"HTTP/1.1 200 OK\r\n{_EVENT_STREAM}connection: close\r\n\r\n".encode()
    yield _beginning(chat)
    while True:
        yield b":"
        yield 0.2


_ELSEWHERE = b"{elsewhere}"
"""Stands for the host and port of another server, which is there to be redirected to."""


def _redirect(status: int, place: str = "http://{elsewhere}/v1") -> Callable[[bool], Body]:
    def body(chat: bool) -> Body:
        yield f"HTTP/1.1 {status} Moved\r\nlocation: {place}\r\n".encode()
        yield b"content-length: 0\r\nconnection: close\r\n\r\n"

    return body


def _digits(chat: bool) -> Body:
    yield f"HTTP/1.1 200 OK\r\n{_EVENT_STREAM}connection: close\r\n\r\n".encode()
    yield _beginning(chat)
    yield b'data: {"type": "response.output_text.delta", "sequence_number": '
    yield b"9" * 5_000 + b"}\n\n"


def _retry_after(value: str) -> Callable[[bool], Body]:
    def body(chat: bool) -> Body:
        yield f"HTTP/1.1 429 Too Many Requests\r\n{_JSON}retry-after: {value}\r\n".encode()
        yield b'content-length: 31\r\nconnection: close\r\n\r\n{"error": {"message": "later."}}'

    return body


FAULTS: dict[str, Callable[[bool], Body]] = {
    "endless-line": _endless_line,
    "endless-event": _endless_event,
    "endless-answer": _endless_answer,
    "bomb-gzip": _bomb("200 OK", _EVENT_STREAM, 31, "gzip"),
    "bomb-deflate": _bomb("200 OK", _EVENT_STREAM, 15, "deflate"),
    "bomb-raw-deflate": _bomb("200 OK", _EVENT_STREAM, -15, "deflate"),
    "bomb-error": _bomb("400 Bad Request", _JSON, 31, "gzip"),
    "bomb-json": _bomb("200 OK", _JSON, 31, "gzip"),
    "bomb-tail": _bomb_tail,
    "bomb-empty": _bomb_empty("200 OK", _EVENT_STREAM),
    "bomb-empty-error": _bomb_empty("400 Bad Request", _JSON),
    "bomb-nested": _bomb_nested,
    "huge-error": _huge_error,
    "huge-json": _huge_json,
    "loris": _loris,
    "redirect": _redirect(307),
    "redirect-301": _redirect(301),
    "redirect-302": _redirect(302),
    "redirect-303": _redirect(303),
    "redirect-308": _redirect(308),
    "redirect-no-scheme": _redirect(307, "//{elsewhere}/v1"),
    "redirect-with-user": _redirect(307, "http://127.0.0.1@{elsewhere}/v1"),
    "redirect-twice": _redirect(307, "/redirect/v1"),
    "redirect-within": _redirect(307, "/digits/v1/completions"),
    "redirect-nowhere": _redirect(307, "http://[::1"),
    "redirect-file": _redirect(307, "file:///etc/passwd"),
    "digits": _digits,
    "retry-after-year": _retry_after("Fri, 31 Dec 99999 23:59:59 GMT"),
    "retry-after-digits": _retry_after("9" * 5_000),
    "retry-after-nan": _retry_after("nan"),
    "retry-after-inf": _retry_after("inf"),
    "retry-after-zone": _retry_after("Fri, 31 Dec 2027 23:59:59 +9999999999999999999"),
}


@dataclass
class HostileServer:
    """The server, and what it has done."""

    port: int
    sent: int = 0
    """Bytes that the client has taken, or the system for it."""
    requests: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    """What the client said it would unpack."""
    elsewhere: int = 0
    """The port of the other server."""
    received: list[str] = field(default_factory=list)
    """The requests that the other server got."""

    def url(self, fault: str) -> str:
        """The base URL at which it does this."""
        return f"http://127.0.0.1:{self.port}/{fault}/v1"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            headers = dict(
                line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line
            )
            await reader.readexactly(int(headers.get("content-length", "0")))
            path = head.split(" ")[1]
            self.requests.append(path)
            self.accepted.append(headers.get("accept-encoding", ""))
            for piece in FAULTS[path.split("/")[1]](path.endswith("completions")):
                if isinstance(piece, float):
                    await asyncio.sleep(piece)
                    continue
                place = f"127.0.0.1:{self.elsewhere}".encode()
                writer.write(piece.replace(_ELSEWHERE, place) if len(piece) < 1_000 else piece)
                await writer.drain()
                self.sent += len(piece)
        writer.close()

    async def receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take in a request that was meant for the first server."""
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.received.append(head)
            writer.write(f"HTTP/1.1 200 OK\r\n{_EVENT_STREAM}connection: close\r\n\r\n".encode())
            writer.write(_beginning("completions" in head))
            await writer.drain()
        writer.close()


@asynccontextmanager
async def hostile_server(port: int = 0) -> AsyncIterator[HostileServer]:
    """Serve on loopback until the block ends."""
    hostile = HostileServer(port)
    tasks: set[asyncio.Task[None]] = set()

    def connected(answer: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await answer(reader, writer)
            finally:
                tasks.discard(task)
                writer.close()

        return connected

    server = await asyncio.start_server(connected(hostile.answer), "127.0.0.1", port)
    other = await asyncio.start_server(connected(hostile.receive), "127.0.0.1", 0)
    hostile.port = server.sockets[0].getsockname()[1]
    hostile.elsewhere = other.sockets[0].getsockname()[1]
    try:
        yield hostile
    finally:
        server.close()
        other.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _serve_for_ever() -> None:
    async with hostile_server() as server:
        for fault in FAULTS:
            sys.stdout.write(f"{server.url(fault)}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve_for_ever())
