"""A real Jupyter server and a real browser, for tests that look at a notebook as its user does.

The server has its own folders for configuration, data and kernels, listens on loopback only, and
serves JupyterLab and Notebook 7 alike. The page is asked through ``window.jupyterapp`` for what is
in the notebook, and through the DOM for what is on the screen.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat

REPOSITORY = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever a page asks for elsewhere is seen by the test, and goes nowhere.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

PATIENCE = 60.0
"""Seconds to wait for something that a quick machine does in one or two."""

_SETTINGS: dict[str, dict[str, Any]] = {
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}
"""What a user would have set, so that no dialog stands in the way."""


def missing() -> str:
    """Why browser tests cannot run on this machine; empty if they can."""
    if CHROMIUM is None:
        return "no Chromium on this machine"
    for module in ("playwright", "jupyterlab", "notebook", "ipykernel"):
        try:
            __import__(module)
        except ImportError:
            return f"{module} is not installed (pip install -e '.[dev]')"
    return ""


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Wait until `condition` gives something true, and return it."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


class Server:
    """A Jupyter server in a process and a folder of its own.

    Parameters
    ----------
    folder : Path
        Where its notebooks, its configuration and its log go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notebooks = folder / "notebooks"
        self.log = folder / "server.log"
        self._runtime = folder / "runtime"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self._opened = 0

    def start(self) -> Server:
        """Start it, and wait until it answers."""
        for path in (self.notebooks, self._runtime, self.folder / "home"):
            path.mkdir(parents=True, exist_ok=True)
        self._write_kernel_spec()
        for plugin, settings in _SETTINGS.items():
            self.set(plugin, settings)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *self._options()],
                cwd=self.notebooks,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.url = until(self._address, "the server's address").rstrip("/")
        until(self._answers, "the server's first answer")
        return self

    def close(self) -> None:
        """End its kernels and itself."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self.shut_down_kernels()
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)

    def write(self, *cells: str, name: str = "", metadata: dict[str, Any] | None = None) -> str:
        """Write a notebook of code cells; its path on the server."""
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        )
        notebook.metadata.update(metadata or {})
        return self.put(notebook, name)

    def put(self, notebook: Any, name: str = "") -> str:
        """Write `notebook` as it is; its path on the server."""
        self._opened += 1
        path = name or f"test_{self._opened}.ipynb"
        nbformat.write(notebook, self.notebooks / path)
        return path

    def read(self, path: str) -> Any:
        """Read a notebook as it was saved."""
        return nbformat.read(self.notebooks / path, as_version=4)

    def set(self, plugin: str, settings: dict[str, Any]) -> None:
        """Set a plugin's settings, as the settings editor does."""
        path = self.folder / "config/lab/user-settings" / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings), encoding="utf-8")

    def ask(self, method: str, path: str) -> Any:
        """Ask the server's REST API; its answer, None if that is empty."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        try:
            connection.request(method, f"/api/{path}")
            response = connection.getresponse()
            body = response.read()
            assert response.status < 400, (method, path, response.status, body[:200])
            return json.loads(body) if body else None
        finally:
            connection.close()

    def kernels(self, path: str = "") -> list[str]:
        """Ids of the kernels that run, of one notebook or of all."""
        sessions = self.ask("GET", "sessions")
        return [one["kernel"]["id"] for one in sessions if path in ("", one["path"])]

    def interrupt(self, path: str) -> None:
        """Interrupt a notebook's kernel, as the stop button of the notebook's toolbar does."""
        for kernel in self.kernels(path):
            self.ask("POST", f"kernels/{kernel}/interrupt")

    def shut_down_kernels(self, *paths: str) -> None:
        """End the kernels of these notebooks, all if none is named."""
        for session in self.ask("GET", "sessions"):
            if not paths or session["path"] in paths:
                self.ask("DELETE", f"sessions/{session['id']}")

    def _options(self) -> list[str]:
        return [
            "--no-browser",
            "--allow-root",
            "--ServerApp.ip=127.0.0.1",
            "--ServerApp.port=0",
            "--IdentityProvider.token=",
            "--ServerApp.disable_check_xsrf=True",
            "--ServerApp.open_browser=False",
            f"--ServerApp.root_dir={self.notebooks}",
            "--LabApp.extension_manager=readonly",
            "--LabApp.news_url=None",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            # A checker of types that is installed would be a language server, and open dialogs.
            "--LanguageServerManager.autodetect=False",
            "--LabApp.expose_app_in_browser=True",
            "--JupyterNotebookApp.expose_app_in_browser=True",
            # This environment's own extensions (ipywidgets, anywidget), and nobody else's.
            f"--LabApp.labextensions_path={sys.prefix}/share/jupyter/labextensions",
            f"--JupyterNotebookApp.labextensions_path={sys.prefix}/share/jupyter/labextensions",
        ]

    def _environment(self) -> dict[str, str]:
        ours = ("JUPYTER", "IPYTHON", "OPENAI_", "AZURE_OPENAI_", "AGENTSTREAM_", "PYTHON")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return {
            **kept,
            "HOME": str(self.folder / "home"),
            "JUPYTER_CONFIG_DIR": str(self.folder / "config"),
            "JUPYTER_DATA_DIR": str(self.folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(self._runtime),
            "IPYTHONDIR": str(self.folder / "ipython"),
            "PYTHONUNBUFFERED": "1",
        }

    def _write_kernel_spec(self) -> None:
        folder = self.folder / "data/kernels/python3"
        folder.mkdir(parents=True)
        spec = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "Python 3",
            "language": "python",
            "env": {"PYTHONPATH": str(REPOSITORY)},
        }
        (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")

    def _address(self) -> str:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text("utf-8")[-3000:]
        for path in self._runtime.glob("jpserver-*.json"):
            try:
                return str(json.loads(path.read_text("utf-8"))["url"])
            except (ValueError, KeyError):
                return ""  # it is being written
        return ""

    def _answers(self) -> bool:
        try:
            return bool(self.ask("GET", "status"))
        except OSError:
            return False


class Watch:
    """What a page did that it should not: requests elsewhere, dialogs, errors."""

    def __init__(self, page: Any, home: str) -> None:
        self.away: list[str] = []
        self.dialogs: list[str] = []
        self.errors: list[str] = []
        self._home = urlsplit(home).netloc
        page.on("request", lambda request: self._request(request.url))
        page.on("websocket", lambda socket: self._request(socket.url))
        page.on("dialog", self._dialog)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def clear(self) -> None:
        """Forget what was seen."""
        for seen in (self.away, self.dialogs, self.errors):
            seen.clear()

    def _request(self, url: str) -> None:
        address = urlsplit(url)
        if address.scheme not in ("data", "blob", "about") and address.netloc != self._home:
            self.away.append(url)

    def _dialog(self, dialog: Any) -> None:
        if dialog.type == "beforeunload":  # JupyterLab's own, for a notebook that is not saved
            dialog.accept()
            return
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _console(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)


# Not `currentWidget`: an output in a view of its own may be in front.
_PANEL = (
    "([...window.jupyterapp.shell.widgets('main')]"
    ".find(one => one.sessionContext && one.content?.widgets))"
)
_CELL = f"{_PANEL}.content.widgets[i]"


class Notebook:
    """A notebook that is open in a page.

    Parameters
    ----------
    page : playwright.sync_api.Page
        The page.
    server : Server
        The server.
    """

    def __init__(self, page: Any, server: Server) -> None:
        self.page = page
        self.server = server
        self.watch = Watch(page, server.url)
        self.path = ""
        self.paths: set[str] = set()
        page.set_default_timeout(PATIENCE * 1000)

    def open(self, path: str, *, kernel: bool = True, app: str = "lab") -> Notebook:
        """Open a notebook of the server in JupyterLab, or in ``app="notebook"``."""
        self.path = path
        self.paths.add(path)
        if app == "notebook":
            self.page.goto(f"{self.server.url}/notebooks/{path}")
        elif kernel:
            workspace = path.partition(".")[0]
            self.page.goto(f"{self.server.url}/lab/workspaces/{workspace}/tree/{path}")
        else:
            self.page.goto(f"{self.server.url}/lab/workspaces/read_{path.partition('.')[0]}")
            self._settle()
            self.command(
                "docmanager:open",
                path=path,
                factory="Notebook",
                kernelPreference={
                    "shouldStart": False,
                    "canStart": False,
                    "autoStartDefault": False,
                },
            )
        self._settle(path)
        if kernel:
            self._wait_for_kernel()
        return self

    def show(self, path: str) -> Notebook:
        """Open a notebook in the page as it is, which has none open."""
        self.path = path
        self.paths.add(path)
        self.command("docmanager:open", path=path, factory="Notebook")
        self._settle(path)
        self._wait_for_kernel()
        return self

    def lay(self, *cells: str) -> Notebook:
        """Put these cells in place of those that are there; the kernel goes on as it is."""
        self.page.evaluate(
            f"""sources => {{
                const notebook = {_PANEL}.content.model.sharedModel;
                const cells = sources.map(source => ({{cell_type: "code", source}}));
                notebook.transact(() => {{
                    notebook.deleteCellRange(0, notebook.cells.length);
                    notebook.insertCells(0, cells);
                }});
            }}""",
            list(cells),
        )
        shown = self.page.locator(".jp-Notebook .jp-CodeCell")
        until(lambda: shown.count() == self.count() == len(cells), "the new cells")
        return self

    def reload(self) -> Notebook:
        """Load the page again, and wait until the notebook stands."""
        self.page.reload()
        self._settle(self.path)
        return self

    def command(self, name: str, **arguments: Any) -> None:
        """Run a command of the application to its end."""
        self.page.evaluate(
            "async ([name, options]) => { await jupyterapp.commands.execute(name, options); }",
            [name, arguments],
        )

    def start(self, *cells: int) -> None:
        """Run cells without waiting for their end, all if none is named."""
        chosen = list(cells) or list(range(self.count()))
        # Clicking would scroll and focus as a user does, but runs no faster nor otherwise.
        for index in chosen:
            self.page.evaluate(
                f"""i => {{
                    const panel = {_PANEL};
                    panel.content.activeCellIndex = i;
                    panel.content.deselectAll();
                    window.jupyterapp.commands.execute("notebook:run-cell");
                }}""",
                index,
            )

    def run(self, *cells: int, seconds: float = PATIENCE) -> None:
        """Run cells, all if none is named, and wait until the last has ended."""
        before = self.run_count(cells[-1] if cells else self.count() - 1)
        self.start(*cells)
        self.wait_for_end(cells[-1] if cells else self.count() - 1, before, seconds=seconds)

    def wait_for_end(self, cell: int, before: int = 0, seconds: float = PATIENCE) -> None:
        """Wait until a cell has a number above `before` in its brackets, and does not run."""
        until(
            lambda: self.run_count(cell) > before and not self.is_running(cell),
            f"the end of cell {cell}",
            seconds,
        )

    def is_running(self, cell: int) -> bool:
        """Whether a cell runs or waits for its turn: a star in its brackets."""
        return bool(self.page.evaluate(f"i => {_CELL}.model.executionState !== 'idle'", cell))

    def count(self) -> int:
        """How many cells there are."""
        return int(self.page.evaluate(f"() => {_PANEL}.content.widgets.length"))

    def run_count(self, cell: int) -> int:
        """The number in a cell's brackets, 0 while it runs and before."""
        number = self.page.evaluate(f"i => {_CELL}.model.executionCount", cell)
        return int(number or 0)

    def kernel_status(self) -> str:
        """``idle``, ``busy`` or what else the application shows; empty without a kernel."""
        return str(
            self.page.evaluate(f"() => {_PANEL}.sessionContext.session?.kernel?.status ?? ''")
        )

    def is_free(self) -> bool:
        """Whether nothing runs or waits for its turn.

        A widget's message that an awaiting cell lets through leaves the kernel's status idle.
        """
        return self.kernel_status() == "idle" and not any(map(self.is_running, range(self.count())))

    def outputs(self, cell: int) -> list[dict[str, Any]]:
        """A cell's outputs as the notebook's model has them, and as it would save them."""
        return list(self.page.evaluate(f"i => {_CELL}.model.outputs.toJSON()", cell))

    def area(self, cell: int) -> Any:
        """A locator of what is shown below a cell."""
        return (
            self.page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-Cell-outputWrapper")
        )

    def text(self, cell: int) -> str:
        """The text that is shown below a cell."""
        return str(self.area(cell).inner_text())

    def html(self, cell: int) -> str:
        """The elements that are shown below a cell."""
        return str(self.area(cell).inner_html())

    def wait_for_text(self, cell: int, text: str, seconds: float = PATIENCE) -> None:
        """Wait until a cell's output shows `text`."""
        until(lambda: text in self.text(cell), f"{text!r} below cell {cell}", seconds)

    def until(self, condition: str, what: str, seconds: float = PATIENCE) -> None:
        """Wait until a JavaScript function gives something true."""
        until(lambda: self.page.evaluate(condition), what, seconds)

    def interrupt(self) -> None:
        """Interrupt the kernel through the server."""
        self.server.interrupt(self.path)

    def save(self) -> Any:
        """Save the notebook, and read what is on the disk."""
        self.command("docmanager:save")
        return self.server.read(self.path)

    def new_view(self, cell: int) -> Any:
        """Open a cell's output in a panel of its own ("Create New View for Output"); a locator."""
        self.page.evaluate(f"i => {{ {_PANEL}.content.activeCellIndex = i; }}", cell)
        self.area(cell).locator(".jp-OutputArea-output").first.click(button="right")
        self.page.get_by_text("Create New View for Cell Output").click()
        return self.page.locator(".jp-LinkedOutputView")

    def theme(self, name: str) -> None:
        """Change the theme, as the menu does, and wait until it is there."""
        self.command("apputils:change-theme", theme=name)
        self.until(f"() => document.body.dataset.jpThemeName === {name!r}", f"theme {name}")

    def picture(self, path: Path) -> None:
        """Take a picture of the notebook."""
        self.page.locator(".jp-Notebook").screenshot(path=path, animations="disabled")

    def _wait_for_kernel(self) -> None:
        self.until(
            f"() => ['idle', 'busy'].includes({_PANEL}.sessionContext.session?.kernel?.status)",
            "the kernel is ready",
        )

    def _settle(self, path: str = "") -> None:
        self.until("() => Boolean(window.jupyterapp?.started)", "the application")
        self.page.evaluate("async () => { await window.jupyterapp.restored; }")
        if path:
            self.until(
                f"() => Boolean({_PANEL}?.content.widgets.length)",
                f"{path} is open",
            )


def cells_of(notebook: Any) -> Sequence[Any]:
    """The code cells of a saved notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]
