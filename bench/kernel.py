"""A real ipykernel, whose messages are counted as they leave it."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.manager import KernelManager

from . import techniques

REPOSITORY = Path(__file__).parents[1]


@dataclass
class Cost:
    """What a cell cost: seconds of the kernel's processor, and what it sent to its front ends."""

    cpu: float
    messages: int
    sent: int
    text: int


class Kernel:
    """An ipykernel in a process of its own."""

    def __init__(self) -> None:
        self._manager = KernelManager(kernel_name="python3")
        path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
        self._manager.start_kernel(env={**os.environ, "PYTHONPATH": path})
        self._client = self._manager.blocking_client()
        # Read by a socket of our own, which counts bytes as they are and never drops any.
        self._iopub = zmq.Context.instance().socket(zmq.SUB)
        self._iopub.setsockopt(zmq.SUBSCRIBE, b"")
        self._iopub.setsockopt(zmq.RCVHWM, 0)
        self._iopub.connect(self._client._make_url("iopub"))
        self._client.start_channels(iopub=False, stdin=False, hb=False)
        self._client.kernel_info(reply=True, timeout=120)

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._iopub.close(0)

    def run(self, code: str, seconds: float = 600) -> tuple[int, int]:
        """Run a cell to its end; how many messages came, and their bytes."""
        return self._follow(self._client.execute(code), code, seconds)

    def interrupt(self, code: str, after: float) -> float:
        """Interrupt a cell `after` seconds, and wait for its end; when the signal was sent."""
        asked = self._client.execute(code)
        time.sleep(after)
        sent = time.time()
        self._manager.interrupt_kernel()
        with suppress(RuntimeError):  # the cell ends with an error, as it is to do
            self._follow(asked, code, seconds=60)
        self._reply(asked)
        return sent

    def _follow(self, asked: str, code: str, seconds: float) -> tuple[int, int]:
        count = sent = 0
        deadline = time.monotonic() + seconds
        while True:
            if not self._iopub.poll(1000 * max(0.0, deadline - time.monotonic())):
                raise TimeoutError(f"the cell took longer than {seconds:g} s:\n{code}")
            frames = self._iopub.recv_multipart()
            count, sent = count + 1, sent + sum(map(len, frames))
            start = frames.index(b"<IDS|MSG>") + 2
            kind = json.loads(frames[start])["msg_type"]
            if kind == "error":
                raise RuntimeError("\n".join(json.loads(frames[start + 3])["traceback"]))
            if kind != "status" or json.loads(frames[start + 1]).get("msg_id") != asked:
                continue
            if json.loads(frames[start + 3])["execution_state"] == "idle":
                self._reply(asked)
                return count, sent

    def value(self, expression: str) -> Any:
        """A number that the kernel knows."""
        asked = self._client.execute("", silent=True, user_expressions={"x": expression})
        result = self._reply(asked)["content"]["user_expressions"]["x"]
        return float(result["data"]["text/plain"])

    def _reply(self, asked: str) -> Any:
        while True:
            reply = self._client.get_shell_msg(timeout=60)
            if reply["parent_header"].get("msg_id") == asked:
                return reply

    def settle(self) -> None:
        """Read what is still coming: a widget may send a little after its cell has ended."""
        while self._iopub.poll(200):
            self._iopub.recv_multipart()


def measure(technique: str, count: int, rate: float, url: str | None = None) -> Cost:
    """Show `count` tokens in a new kernel, after a short warm-up in the same manner.

    Parameters
    ----------
    technique, count, rate, url
        As for `techniques.setup`.
    """
    with Kernel() as kernel:
        kernel.run(techniques.setup(technique, 600, 0, url))
        kernel.run(techniques.CELLS[technique])
        kernel.run(techniques.setup(technique, count, rate, url))
        kernel.settle()
        before = kernel.value("cpu()")
        messages, sent = kernel.run(techniques.CELLS[technique])
        after = kernel.value("cpu()")
        text = kernel.value("sum(len(token.encode()) for token in TOKENS)")
        return Cost(after - before, messages, sent, int(text))
