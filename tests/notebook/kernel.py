"""A real ipykernel for tests, in a process of its own."""

from __future__ import annotations

import os
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

jupyter_client = pytest.importorskip("jupyter_client", reason="the lab extra is not installed")
pytest.importorskip("ipykernel", reason="the lab extra is not installed")

KERNEL = os.environ.get("AGENTSTREAM_TEST_KERNEL", "python3")
"""What `python -m tests.matrix kernels` sets: these tests pass with other kernels, too."""

REPOSITORY = Path(__file__).parents[2]


class Cell:
    """A cell that was sent to the kernel, and what has come of it."""

    def __init__(
        self, kernel: Kernel, code: str, stop_on_error: bool, metadata: dict[str, Any] | None = None
    ) -> None:
        self._kernel = kernel
        self.text = ""
        self.displayed: list[dict[str, Any]] = []
        self.error = ""
        self.status: str | None = None
        self.idle = False
        client = kernel.client
        content = {"silent": False, "store_history": True, "user_expressions": {}}
        content |= {"code": textwrap.dedent(code), "allow_stdin": False}
        content |= {"stop_on_error": stop_on_error}
        message = client.session.msg("execute_request", content, metadata=metadata)
        client.shell_channel.send(message)
        self.id = message["header"]["msg_id"]

    def wait(self, seconds: float = 30) -> Cell:
        """Wait for the kernel's answer to this cell, and for its last output."""
        self._kernel.listen(lambda: self.status is not None and self.idle, seconds)
        return self

    def done(self, seconds: float = 30) -> str:
        """Wait, see that the cell ended well, and give its output."""
        self.wait(seconds)
        assert self.status == "ok", self.error or self.status
        return self.text.strip()


class Kernel:
    """An ipykernel in a process of its own."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
        keep = {k: v for k, v in os.environ.items() if not k.startswith("OPENAI_")}
        self.manager = jupyter_client.KernelManager(kernel_name=KERNEL)
        self.manager.start_kernel(
            env={**keep, "PYTHONPATH": path, "JUPYTER_PLATFORM_DIRS": "1", "PYTHONWARNINGS": ""}
        )
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.cells: dict[str, Cell] = {}

    def send(
        self, code: str, stop_on_error: bool = True, metadata: dict[str, Any] | None = None
    ) -> Cell:
        """Send a cell without waiting for it; a front end names its cells in the metadata."""
        cell = Cell(self, code, stop_on_error, metadata)
        self.cells[cell.id] = cell
        return cell

    def run(self, code: str, seconds: float = 30, metadata: dict[str, Any] | None = None) -> str:
        """Run a cell to its good end; its output."""
        return self.send(code, metadata=metadata).done(seconds)

    def listen(self, enough: Any, seconds: float) -> None:
        """Take in messages until it is enough."""
        deadline = time.monotonic() + seconds
        while not enough():
            assert time.monotonic() < deadline, "the kernel did not answer in time"
            for channel in (self.client.iopub_channel, self.client.shell_channel):
                while channel.msg_ready():
                    self._take(channel.get_msg(timeout=1))
            time.sleep(0.005)

    def _take(self, message: Any) -> None:
        cell = self.cells.get(message["parent_header"].get("msg_id"))
        if cell is None:
            return
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            cell.text += content["text"]
        elif kind == "display_data":
            cell.displayed.append(content["data"])
        elif kind == "error":
            cell.error = "\n".join(content["traceback"])
        elif kind == "execute_reply":
            cell.status = content["status"]
            cell.error = cell.error or content.get("ename", "")
        elif kind == "status":
            cell.idle = cell.idle or content["execution_state"] == "idle"

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def until(condition: Any, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
