"""How long the wire takes for one event, against the official client and the floor.

Run ``python bench/wire.py [stream.json]``: a server on the loopback interface sends the same bytes
to three readers in this process, and the ratios are printed. The floor reads the HTTP body, splits
the events and parses their JSON, as any reader must.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import jiter
from openai import AsyncOpenAI

from agentstream.models.http.sse import SSESplitter
from agentstream.models.responses.events import responses_events

ROUNDS = 7
Reader = Callable[[AsyncOpenAI], Awaitable[int]]


def delta_stream(count: int) -> bytes:
    """`count` text deltas as the OpenAI API sends them."""
    events = []
    for number in range(count):
        data = {
            "type": "response.output_text.delta",
            "item_id": "msg_0ac6a4d9e19151d50169fb7cb6c4b88193b9300f32c048c50b",
            "output_index": 0,
            "content_index": 0,
            "delta": f" word{number}",
            "logprobs": [],
            "obfuscation": "x" * (number % 16),
            "sequence_number": number,
        }
        body = json.dumps(data, separators=(",", ":"))
        events.append(f"event: response.output_text.delta\ndata: {body}\n\n")
    return "".join(events).encode()


@asynccontextmanager
async def server(body: bytes) -> AsyncIterator[str]:
    """Serve `body` in HTTP chunks of about one TLS record; yield the base URL."""
    served: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
            lengths = [int(v) for k, v in fields.items() if k.lower() == b"content-length"]
            await reader.readexactly(sum(lengths))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
            writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
            for start in range(0, len(body), 1400):
                part = body[start : start + 1400]
                writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    await asyncio.gather(*filter(None, served))


async def read_floor(client: AsyncOpenAI) -> int:
    """Read, split and parse only."""
    count = 0
    create = client.responses.with_streaming_response.create
    async with create(model="m", input="x", stream=True) as response:
        splitter = SSESplitter()
        async for chunk in response.iter_bytes():
            for _, data in splitter.feed(chunk):
                jiter.from_json(data)
                count += 1
    return count


async def read_ours(client: AsyncOpenAI) -> int:
    """Read typed events through the wire."""
    count = 0
    create = client.responses.with_streaming_response.create
    async with create(model="m", input="x", stream=True) as response:
        async for _ in responses_events(response.iter_bytes(), response.http_request):
            count += 1
    return count


async def read_client(client: AsyncOpenAI) -> int:
    """Read typed events through the official client."""
    count = 0
    async for _ in await client.responses.create(model="m", input="x", stream=True):
        count += 1
    return count


async def measure(body: bytes) -> dict[str, float]:
    """Microseconds an event for each reader, the best of some rounds."""
    best: dict[str, float] = {}
    readers: dict[str, Reader] = {"floor": read_floor, "ours": read_ours, "client": read_client}
    async with server(body) as url, AsyncOpenAI(api_key="none", base_url=url) as client:
        for _ in range(ROUNDS):
            for name, read in readers.items():
                start = time.perf_counter()
                count = await read(client)
                took = (time.perf_counter() - start) / count * 1e6
                best[name] = min(took, best.get(name, took))
    return best


def main() -> None:
    """Print the table."""
    if len(sys.argv) > 1:
        recording = json.loads(Path(sys.argv[1]).read_text("utf-8"))
        body = "".join(call["sse"] for call in recording["calls"]).encode()
    else:
        body = delta_stream(3000)
    best = asyncio.run(measure(body))
    for name, took in best.items():
        sys.stdout.write(f"{name:7} {took:7.1f} us/event {took / best['floor']:6.2f} x floor\n")


if __name__ == "__main__":
    main()
