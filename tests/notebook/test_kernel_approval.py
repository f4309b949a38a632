"""A cell that waits for an approval can be interrupted and stopped, in `show`, `chat` and ``%%agent``.

There is no page here: the view is made to believe that one is there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.notebook.kernel import Kernel

SETUP = """
import asyncio
from agentstream import Agent, chat, function_tool, runs, show
from agentstream.notebook.live.widget import AgentView
from agentstream.testing import ScriptedModel, call
get_ipython().run_line_magic("load_ext", "agentstream")

@function_tool(needs_approval=True)
def delete_file(name: str) -> str:
    "Delete a file."
    deleted.append(name)
    return "gone"

deleted, pressed, waiting = [], None, []
cleaner = Agent(
    name="Cleaner", tools=[delete_file],
    model=ScriptedModel(lambda request: call("delete_file", name="a")
                        if request.input[-1].get("role") == "user" else "Tidy."),
)

async def is_there(view, seconds=2):
    waiting.append(view)
    if pressed is not None:
        press = lambda: view._on_message(view, pressed, [])
        asyncio.get_running_loop().call_later(0.1, press)
    return True

AgentView.wait_for_frontend = is_there
c = chat(cleaner)
"""

WAYS = {
    "show": "await show(cleaner, 'Tidy up')",
    "show, events": "async for event in show(cleaner, 'Tidy up'):\n    pass",
    "chat": "await c.send('Tidy up')",
    "magic": "%%agent cleaner\nTidy up",
}
every_way = pytest.mark.parametrize("code", WAYS.values(), ids=WAYS.keys())


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    kernel.run(SETUP, 90)
    yield kernel
    kernel.close()


@every_way
def test_an_interrupt_ends_a_cell_that_waits_for_an_approval(kernel: Kernel, code: str) -> None:
    kernel.run("pressed, deleted[:], waiting[:] = None, [], []")
    running = kernel.send(code, stop_on_error=False)
    time.sleep(1)  # the cell holds the kernel, which can tell nothing before it ends
    queued = kernel.send("print(len(waiting), deleted, runs())")
    began = time.monotonic()
    kernel.manager.interrupt_kernel()
    running.wait(20)
    assert time.monotonic() - began < 5
    assert running.error == "The run was stopped: the cell was interrupted. What arrived is kept."
    assert queued.done().startswith("1 [] ")
    assert kernel.run("print(len(list(runs())), c.state)") == "0 ready"


@every_way
def test_the_stop_button_ends_a_cell_that_waits_for_an_approval(kernel: Kernel, code: str) -> None:
    kernel.run("pressed, deleted[:], waiting[:] = {'kind': 'stop'}, [], []")
    kernel.run(code)
    told = kernel.run("print(len(waiting), deleted, len(list(runs())), c.state)")
    assert told == "1 [] 0 ready"


@every_way
def test_a_cell_that_was_approved_goes_on(kernel: Kernel, code: str) -> None:
    kernel.run("pressed, deleted[:], waiting[:] = {'kind': 'approve'}, [], []")
    kernel.run(
        "_on_message = AgentView._on_message\n"
        "def hear(self, widget, message, buffers):\n"
        "    part = next(p for t in ([self._renderer] if not hasattr(self._renderer, '_renderer') else "
        "[self._renderer._renderer]) for p in t.trace.parts if p.status == 'awaiting_approval')\n"
        "    _on_message(self, widget, {**message, 'approval_id': part.approval.id}, buffers)\n"
        "AgentView._on_message = hear"
    )
    kernel.run(code)
    kernel.run("AgentView._on_message = _on_message")
    assert kernel.run("print(deleted)") == "['a']"
