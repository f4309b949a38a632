"""Checks the README's comparison: ``python docs/compare.py`` prints what each package does.

Each package that is installed runs in a kernel of its own, against a scripted server on this
machine: a tool that takes half a second, then an answer of two seconds. What is seen are the
messages that the kernel sends to a notebook, and what becomes of the connection. No key, no
network. `tests/bench/test_compare.py` holds the README to it.

    pip install chatlas openai-agents 'pydantic-ai-slim[openai]'  # those that are to be compared
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from agentstream.testing import Pace, ScriptedServer, call, turn

WORDS = "Forty-two. " + "This is the answer to everything, told at length and in peace. " * 7
PATIENCE = 60.0  # seconds for a cell

_SETUP = """
import asyncio, os, time
os.environ.update(OPENAI_API_KEY="none", OPENAI_BASE_URL={url!r}, OPENAI_AGENTS_DISABLE_TRACING="1")
ended = 0.0
def slow_add(a: int, b: int) -> int:
    "Add two numbers."
    global ended
    time.sleep(0.5)
    ended = time.time()
    return a + b
"""


@dataclass
class Package:
    """How a package is asked, as its documentation would.

    Attributes
    ----------
    module : str
        What is imported.
    setup, show, leave, sync : str
        Cells: make an agent (or chat) with the tool; show a run with what the package brings; read
        a stream and leave it at the first text; run from code without ``await``.
    """

    module: str
    setup: str
    show: str
    leave: str
    sync: str


_SDK = """
from {module} import Agent, Runner, function_tool
agent = Agent(name="Adder", tools=[function_tool(slow_add)], model="any")
"""
_SDK_LEAVE = """
async for event in Runner.run_streamed(agent, "2 + 40?").stream_events():
    if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
        break
"""
_SDK_SYNC = 'Runner.run_sync(agent, "2 + 40?").final_output'

PACKAGES = {
    "agentstream": Package(
        "agentstream",
        _SDK.format(module="agentstream") + "from agentstream import show",
        'await show(agent, "2 + 40?");',
        _SDK_LEAVE,
        _SDK_SYNC,
    ),
    "openai-agents": Package(
        "agents",
        _SDK.format(module="agents"),
        'await Runner.run(agent, "2 + 40?")',
        _SDK_LEAVE,
        _SDK_SYNC,
    ),
    "chatlas": Package(
        "chatlas",
        """
from chatlas import ChatOpenAI
chat = ChatOpenAI(model="any", base_url=os.environ["OPENAI_BASE_URL"])
chat.register_tool(slow_add)
""",
        'chat.chat("2 + 40?", echo="all")',
        """
for chunk in chat.stream("2 + 40?"):
    if str(chunk).strip():
        break
del chunk
""",
        'str(chat.chat("2 + 40?", echo="none"))',
    ),
    "pydantic-ai": Package(
        "pydantic_ai",
        """
from pydantic_ai import Agent, FinalResultEvent
agent = Agent("openai-responses:any", tools=[slow_add])
""",
        'await agent.run("2 + 40?")',
        """
async with agent.run_stream_events("2 + 40?") as events:
    async for event in events:
        if isinstance(event, FinalResultEvent):
            break
""",
        'agent.run_sync("2 + 40?").output',
    ),
}


ROWS = {
    "tokens": "Tokens in the cell as they come",
    "tool": "Tool calls in the cell while they run",
    "saved": "The saved notebook shows the answer",
    "break": "`break` stops the run",
    "sync": "Synchronous call in a cell",
}
"""The rows of the README's table that are probed; the others were looked up."""


@dataclass
class Cell:
    """What a notebook was told while a cell ran."""

    outputs: list[tuple[float, str]] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    error: str = ""

    def hear(self, message: dict[str, Any]) -> None:
        """Take a message of the kernel."""
        kind, content = message["msg_type"], message["content"]
        if kind in ("stream", "display_data", "update_display_data", "execute_result", "comm_msg"):
            self.outputs.append((time.time(), json.dumps(content, default=str)))
        if kind == "error":
            self.error = f"{content['ename']}: {content['evalue']}"
        if kind == "clear_output":
            self.kept.clear()
        if kind == "stream":
            self.kept["stream"] = self.kept.get("stream", "") + content["text"]
        elif kind in ("display_data", "update_display_data", "execute_result"):
            shown = content.get("transient", {}).get("display_id", str(len(self.kept)))
            texts = [value for name, value in content["data"].items() if name.startswith("text/")]
            self.kept[shown] = " ".join(texts)


class Kernel:
    """A kernel of its own."""

    def __init__(self) -> None:
        from jupyter_client.manager import start_new_kernel

        self._manager, self._client = start_new_kernel(kernel_name="python3")

    def run(self, code: str) -> Cell:
        """Run a cell."""
        cell = Cell()
        self._client.execute_interactive(code, timeout=PATIENCE, output_hook=cell.hear)
        return cell

    def value(self, expression: str) -> Any:
        """Evaluate something, as JSON."""
        answer = self.run(f"import json; print(json.dumps({expression}))")
        assert not answer.error, answer.error
        return json.loads(answer.kept["stream"])

    def close(self) -> None:
        """End it."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


def probe(name: str) -> dict[str, bool]:
    """What a package does: each key is a row of the README's table (`ROWS`)."""
    package = PACKAGES[name]
    script = [turn(call("slow_add", a=2, b=40)), WORDS]
    with ScriptedServer(script, pace=Pace(60, 0.1), loop=True) as server:
        kernel = Kernel()
        try:
            made = kernel.run(_SETUP.format(url=server.base_url) + package.setup)
            assert not made.error, made.error
            found = _shown(kernel, package)
            found["sync"] = "Forty-two" in str(kernel.run(package.sync).kept)
            server.play(script)
            left = kernel.run(package.leave)
            assert not left.error, left.error
            found["break"] = _was_left(kernel, server)
            return found
        finally:
            kernel.close()


def _was_left(kernel: Kernel, server: ScriptedServer) -> bool:
    """Whether the connection was closed before the answer's end."""
    last, deadline = server.calls[-1], time.monotonic() + PATIENCE
    while last.disconnected is None and last.finished is None and time.monotonic() < deadline:
        kernel.run("await asyncio.sleep(0.1)")  # what goes on in its loop goes on
    return last.disconnected is not None


def _shown(kernel: Kernel, package: Package) -> dict[str, bool]:
    cell = kernel.run(package.show)
    assert not cell.error, cell.error
    ended = kernel.value("ended")
    last = max((at for at, _ in cell.outputs), default=0.0)
    early = [text for at, text in cell.outputs if ended < at < last - 0.3]
    return {
        "tokens": len(set(early)) >= 5,
        "tool": any("slow_add" in text for at, text in cell.outputs if at < ended),
        "saved": any("Forty-two" in text for text in cell.kept.values()),
    }


def installed() -> list[str]:
    """The packages that can be asked here."""
    return [name for name, one in PACKAGES.items() if importlib.util.find_spec(one.module)]


def main() -> None:
    """Print what was found."""
    for name in sys.argv[1:] or installed():
        sys.stdout.write(f"{name}: {probe(name)}\n")


if __name__ == "__main__":
    main()
