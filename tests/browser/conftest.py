"""One server for all tests, one browser a file, one page a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.lab import CHROMIUM, CHROMIUM_FLAGS, Notebook, Server, missing, until

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder, and give it the time that a browser needs."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Jupyter server that serves JupyterLab and Notebook 7."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    running = Server(tmp_path_factory.mktemp("jupyter"))
    try:
        yield running.start()
    finally:
        running.close()


# Playwright's sync API keeps an event loop running in this thread for as long as it is open, and
# async tests of other files could not run meanwhile: so a browser for each file, not for all.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium without a window."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def context(browser: Any) -> Iterator[Any]:
    """What the pages of a file share: JupyterLab's 10 MB of scripts are read once."""
    shared = browser.new_context(viewport={"width": 1100, "height": 1200})
    yield shared
    shared.close()


@pytest.fixture
def page(context: Any) -> Iterator[Any]:
    """A page of its own for each test."""
    one = context.new_page()
    yield one
    one.close()


@pytest.fixture
def notebook(page: Any, server: Server) -> Iterator[Notebook]:
    """A page that can open notebooks; its kernels end with the test."""
    one = Notebook(page, server)
    yield one
    server.shut_down_kernels(*one.paths or {""})


@pytest.fixture
def opened(notebook: Notebook) -> Callable[..., Notebook]:
    """Open a new notebook of these cells."""

    def open_cells(*cells: str, app: str = "lab") -> Notebook:
        return notebook.open(notebook.server.write(*cells), app=app)

    return open_cells


@pytest.fixture(scope="module")
def shared(context: Any, server: Server) -> Iterator[Notebook]:
    """A notebook that stays open, and its kernel running, for all tests of a file."""
    one = Notebook(context.new_page(), server)
    one.open(server.write("0"))
    yield one
    server.shut_down_kernels(one.path)


@pytest.fixture
def desk(shared: Notebook) -> Iterator[Callable[..., Notebook]]:
    """Lay cells into the shared notebook: as `opened`, without the seconds of a new kernel."""
    shared.watch.clear()
    yield shared.lay
    if not shared.is_free():
        shared.interrupt()
        until(shared.is_free, "the kernel is free")
