"""Front ends for tests: what known ones can and cannot do, driven over Jupyter's messages.

Each is a client of a real kernel. `Page` shows widgets and answers them; the others lack something.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

from tests.notebook.kernel import Kernel


class FrontEnd:
    """A client that executes cells and keeps what it shows.

    Attributes
    ----------
    cell_metadata : dict
        What its requests say of the cell.
    allow_stdin : bool
        Whether a person sits there.
    updates : bool
        Whether it replaces what it has displayed.
    """

    cell_metadata: ClassVar[dict[str, Any]] = {}
    allow_stdin = True
    updates = True

    def __init__(self, kernel: Kernel) -> None:
        self.client = kernel.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.displays: dict[str, list[dict[str, Any]]] = {}
        self.messages: list[dict[str, Any]] = []
        self.text = ""
        self.errors: list[str] = []
        self.frames = 0

    def close(self) -> None:
        self.client.stop_channels()

    def run(self, code: str, seconds: float = 30, *, more: float = 0) -> FrontEnd:
        """Execute a cell, and go on listening for some time after its end."""
        self.displays, self.text, self.messages, self.errors = {}, "", [], []
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        content |= {"allow_stdin": self.allow_stdin, "stop_on_error": True}
        request = self.client.session.msg(
            "execute_request", content, metadata=dict(self.cell_metadata)
        )
        self.client.shell_channel.send(request)
        self._cell, self._is_idle = request["header"]["msg_id"], False
        deadline = time.monotonic() + seconds
        while not self._is_idle:
            assert time.monotonic() < deadline, "the kernel did not answer in time"
            self._listen()
        until = time.monotonic() + more
        while time.monotonic() < until:
            self._listen()
        return self

    def _listen(self) -> None:
        while self.client.iopub_channel.msg_ready():
            message = self.client.iopub_channel.get_msg(timeout=1)
            self.messages.append(message)
            self.take(message, message["msg_type"], message["content"])
        self.tick()
        time.sleep(0.01)

    def tick(self) -> None:
        """Do what a person does."""

    def take(self, message: Any, kind: str, content: Any) -> None:
        """Take a message in as the front end does."""
        if kind == "stream":
            self.text += content["text"]
        elif kind == "error":
            self.errors.append(f"{content['ename']}: {content['evalue']}")
        elif kind in ("display_data", "execute_result"):
            name = (content.get("transient") or {}).get("display_id", str(len(self.displays)))
            self.displays.setdefault(name, []).append(content["data"])
        elif kind == "update_display_data" and self.updates:
            self.displays.get(content["transient"]["display_id"], []).append(content["data"])
        elif kind == "status" and content["execution_state"] == "idle":
            parent = message["parent_header"].get("msg_id")
            self._is_idle = self._is_idle or parent == self._cell

    def seen(self, mime: str) -> str:
        """What stands there in the end, of this kind."""
        return "\n".join(str(shown[-1].get(mime, "")) for shown in self.displays.values())


class Console(FrontEnd):
    """jupyter console, qtconsole, Spyder: text only, and what was displayed is never replaced."""

    updates = False


class Program(FrontEnd):
    """nbclient, papermill: executes a notebook; nobody is there."""

    allow_stdin = False


class WithoutWidgets(FrontEnd):
    """A notebook that has no widget manager, or does not answer comms: VS Code without its own."""

    cell_metadata: ClassVar[dict[str, Any]] = {"cellId": "cell"}


class RefusingComms(WithoutWidgets):
    """A notebook that closes each comm that is opened: it does not know the target."""

    def take(self, message: Any, kind: str, content: Any) -> None:
        super().take(message, kind, content)
        if kind == "comm_open":
            close = {"comm_id": content["comm_id"], "data": {}}
            self.client.shell_channel.send(self.client.session.msg("comm_close", close))


class WithoutCustomWidgets(WithoutWidgets):
    """Colab as it opens: names its cells in its own way, shows widgets but no custom ones."""

    cell_metadata: ClassVar[dict[str, Any]] = {"colab": {"cell_id": "a1"}}


class Page(WithoutWidgets):
    """A notebook whose page shows the view and answers; `press` is pressed when it is there."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self.press: tuple[float, dict[str, Any]] | None = None
        self._view = ""
        self._since = 0.0

    def say(self, content: dict[str, Any]) -> None:
        data = {"comm_id": self._view, "data": {"method": "custom", "content": content}}
        self.client.shell_channel.send(self.client.session.msg("comm_msg", data))

    def take(self, message: Any, kind: str, content: Any) -> None:
        super().take(message, kind, content)
        if kind == "comm_open" and "_esm" in content["data"].get("state", {}):
            self._view = content["comm_id"]
        elif kind == "comm_msg" and content["data"].get("method") == "custom":
            self.frames += 1
        elif kind == "display_data" and self._view:
            self._since = time.monotonic()
            self.say({"kind": "keyframe", "page": "page"})

    def tick(self) -> None:
        if self.press and self._since and time.monotonic() - self._since > self.press[0]:
            content, self.press = self.press[1], None
            self.say(content)
