"""Search for input that breaks a reader, guided by coverage; needs `pip install atheris`.

    python -m tests.fuzz.guided wire -max_total_time=600

What comes after the reader's name goes to libFuzzer. It stops at the first exception that no
docstring names, and writes the input that brought it to a file.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["agentstream"]):
    from agentstream import Agent, RecordingError, UserError, load_run
    from agentstream.notebook.markdown.sanitise import sanitise
    from agentstream.notebook.markdown.stream import MarkdownStream, render, to_plain
    from agentstream.run.state.run_state import RunState
    from tests.fuzz.test_recordings import whole
    from tests.fuzz.test_run_state import agents, saved
    from tests.fuzz.test_wire import read_chat_body, read_responses, use


def wire(data: bytes) -> None:
    """The decoder and the readers of both APIs."""
    use(read_responses(data))
    use(read_chat_body(data))


def chat(data: bytes) -> None:
    """One delta of Chat Completions."""
    body = b'data: {"choices": [{"index": 0, "delta": ' + data + b"}]}\n\n"
    use(read_chat_body(body))


def markdown(data: bytes) -> None:
    """Markdown, whole and in pieces."""
    text = data.decode("utf-8", "surrogateescape")
    stream = MarkdownStream()
    for at in range(0, len(text), 7):
        stream.feed(text[at : at + 7])
        assert stream.open.html
    stream.finish()
    assert stream.html == render(text)
    assert "<script" not in sanitise(stream.html)
    assert "\x1b" not in to_plain(text)


def recording(data: bytes) -> None:
    """A recording with a line more."""
    path = Path(tempfile.gettempdir()) / "agentstream-guided.jsonl"
    path.write_bytes(whole() + data)
    with suppress(RecordingError):
        load_run(path).to_frame()


def state(data: bytes) -> None:
    """A saved run with other fields."""
    with suppress(UserError, ValueError):
        fields = json.loads(data)
        changed = {**json.loads(saved()), **(fields if isinstance(fields, dict) else {})}
        asyncio.run(RunState.from_json(agents(), changed))


READERS: dict[str, Callable[[bytes], None]] = {
    "wire": wire,
    "chat": chat,
    "markdown": markdown,
    "recording": recording,
    "state": state,
}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in READERS:
        sys.exit(f"{__doc__}\nReaders: {', '.join(READERS)}")
    Agent(name="warm up")
    atheris.Setup([sys.argv[0], *sys.argv[2:]], READERS[sys.argv[1]])
    atheris.Fuzz()
