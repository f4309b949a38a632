"""The server of the benchmarks: prepared answers over loopback, from a process of its own.

The first part of a path names the answer, so that a client chooses it by its base URL:

- ``/text-5000/v1``: a message of 5,000 tokens, each event in an HTTP chunk of its own;
- ``/text-5000-0-5/v1``: the same, at no pace, with five events in a chunk;
- ``/chat-5000/v1``, ``/chat-5000-0-5/v1``: the same message as Chat Completions;
- ``/tool-500/v1``: a call of ``look``, and once it is answered a message of 500 tokens;
- ``/tool-500-50/v1``: the same, at 50 tokens a second;
- ``/markdown-500-100/v1``: 500 tokens of Markdown, at 100 a second;
- ``/stamped-500-50/v1``, ``/chatstamped-500-50/v1``: each token is the time at which it is sent;
- ``/turns-40/v1``: 40 calls of ``look``, then a message;
- ``/argument-1000000/v1``: a call whose argument has a million bytes, then a message;
- ``/huge-20000000/v1``: a message in one delta of 20 MB;
- ``/row-1/v1``: a structured answer, in one piece unless a stream is asked for.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from . import answers, markdown
from .techniques import END

STAMP = b" " + b"@" * 18
"""A token in whose place the time is sent."""


@cache
def answer(script: str, size: int, calls_done: int) -> list[bytes]:
    """The events of an answer."""
    if script == "row":
        return answers.text([ROW[at : at + 4] for at in range(0, len(ROW), 4)])
    if script == "huge":
        return answers.text(["x" * size])
    if script == "tool" and calls_done == 0:
        return answers.call("look", json.dumps({"city": "Lisbon"}), "call_1")
    if script == "turns" and calls_done < size:
        return answers.call("look", json.dumps({"city": "Lisbon"}), f"call_{calls_done}")
    if script == "argument" and calls_done == 0:
        return answers.call("look", json.dumps({"city": "x" * size}), "call_1")
    if script == "chat":
        return answers.chat(answers.words(size))
    if script.endswith("stamped"):
        make = answers.chat if script.startswith("chat") else answers.text
        return make([STAMP.decode()] * size)
    if script == "markdown":
        return answers.text([*markdown.tokens(size), f"\n\n{END}"])
    return answers.text(answers.words(size if script in ("text", "tool") else 10))


@cache
def body(script: str, size: int, calls_done: int, events: int) -> bytes:
    """A whole answer as an HTTP body, with so many events in a chunk."""
    all_ = answer(script, size, calls_done)
    groups = (all_[at : at + events] for at in range(0, len(all_), events))
    return b"".join(chunk(b"".join(group)) for group in groups)


def chunk(event: bytes) -> bytes:
    """One chunk of an HTTP body."""
    return b"%x\r\n%b\r\n" % (len(event), event)


ROW = json.dumps({"label": "good", "score": 4, "because": "It is what it says."})
"""A structured answer."""


@cache
def whole() -> bytes:
    """The structured answer as a whole HTTP response."""
    last = json.loads(answers.text([ROW])[-1].split(b"data: ", 1)[1])
    content = json.dumps(last["response"]).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(content) + content


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            first, *lines = head.split(b"\r\n")
            fields = dict(line.split(b": ", 1) for line in lines if line)
            lengths = [int(v) for k, v in fields.items() if k.lower() == b"content-length"]
            sent = await reader.readexactly(sum(lengths))
            script, size, *more = first.split(b"/")[1].decode().split("-")
            rate, events = [*map(int, more), *(0, 1)[len(more) :]]
            if script == "row" and b'"stream":true' not in sent.replace(b" ", b""):
                writer.write(whole())
                await writer.drain()
                continue
            asked = (script, int(size), sent.count(b'"function_call_output"'))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
            writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
            if rate:
                await pace(writer, answer(*asked), rate)
            else:
                writer.write(body(*asked, events))
            writer.write(b"0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def pace(writer: asyncio.StreamWriter, events: list[bytes], rate: float) -> None:
    """Write events as they are due, each in a chunk of its own."""
    loop = asyncio.get_running_loop()
    start, sent = loop.time(), 0
    while sent < len(events):
        due = min(len(events), int((loop.time() - start) * rate) + 1)
        writer.write(b"".join(map(chunk, map(stamped, events[sent:due]))))
        sent = due
        await asyncio.sleep(max(0, start + sent / rate - loop.time()))


def stamped(event: bytes) -> bytes:
    """The event with the time in the place of its first stamp; the whole text stays as it is."""
    return event.replace(STAMP, b" %018.6f" % time.monotonic(), 1) if STAMP in event else event


@contextmanager
def server() -> Iterator[str]:
    """Run the server in a process of its own; yield its address."""
    command = [sys.executable, "-m", "bench.loopback"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


async def main() -> None:
    """Listen, say where, and serve until stopped."""
    listener = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(listener.sockets[0].getsockname()[1], flush=True)
    async with listener:
        await listener.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
