"""A page is heard while a cell is executed: in ipykernel 7.4 and later, and before 7.0 by our help."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from agentstream.notebook.comm_messages import _comm_of
from tests.notebook.clients import Page
from tests.notebook.kernel import KERNEL, Kernel
from tests.notebook.test_front_ends import SETUP

ipykernel = pytest.importorskip("ipykernel", reason="the lab extra is not installed")
if KERNEL != "python3" or (7,) <= ipykernel.version_info[:2] < (7, 4):
    pytest.skip("this kernel hears no page while it executes a cell", allow_module_level=True)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    kernel.run(SETUP, 90)
    yield kernel
    kernel.close()


@pytest.fixture
def page(kernel: Kernel) -> Iterator[Page]:
    page = Page(kernel)
    yield page
    page.close()


WAYS: dict[str, str] = {
    "awaited": "r = await show(poet('word ' * 400, seconds=8), 'A line')",
    "events": "shown = show(poet('word ' * 400, seconds=8), 'A line')\nasync for event in shown: pass\nr = shown.result",
    "events without async": "shown = show(poet('word ' * 400, seconds=8), 'A line')\nfor event in shown: pass\nr = shown.result",
    "chat": "c = chat(poet('word ' * 400, seconds=8))\nr = await c.send('A line')",
}


@pytest.mark.parametrize("code", WAYS.values(), ids=WAYS.keys())
def test_stop_is_heard_while_a_cell_waits(page: Page, code: str) -> None:
    if "for event" in code and "async" not in code and ipykernel.version_info[0] >= 7:
        pytest.skip("without await, these kernels hear over subshells only, as JupyterLab asks")
    page.press = (0.5, {"kind": "stop"})
    page.run(f"{code}\nprint(sum(len(p.text) for p in r.trace.parts), 'characters')")
    assert not page.errors
    count = int(page.text.split(" characters")[0].split()[-1])
    assert count < 1500
    assert not page.errors


def test_stop_is_heard_in_a_cell_that_waits_for_an_earlier_run(page: Page) -> None:
    page.run("shown = show(poet('word ' * 400, seconds=8), 'A line')\nshown")
    page.press = (0.5, {"kind": "stop"})
    page.run("r = await shown.result.wait() or shown.result\nprint(len(r.trace.parts[0].text))")
    assert 0 < int(page.text) < 1500


def test_a_call_is_approved_while_a_cell_waits(page: Page) -> None:
    page.run("shown = show(cleaner, 'Tidy up')\nr = None")
    page.run(
        "from agentstream._approvals import approval_id\n"
        "await shown.result.wait()\nprint(approval_id(shown.interruptions[0]))"
    )
    page.press = (0.0, {"kind": "approve", "approval_id": page.text.strip()})
    page.run("await shown\nprint(shown.final_output)")
    assert page.text.strip() == "Tidy."


def test_other_messages_keep_their_order(page: Page) -> None:
    """What is executed later waits; a message to a view does not."""
    page.press = (0.5, {"kind": "stop"})
    client = page.client
    ids: list[str] = []

    def ask() -> None:
        if not ids:
            ids.extend(client.execute(f"print('later', {n})") for n in (1, 2))

    page.tick, pressed = (lambda: (ask(), pressed())), page.tick  # type: ignore[method-assign,assign]
    page.run("r = await show(poet('word ' * 400, seconds=8), 'A line')\nprint('first')", more=1.5)
    assert page.text.split("\n")[:3] == ["first", "later 1", "later 2"]


def wire(kind: str, content: dict[str, Any]) -> list[bytes]:
    parts = [{"msg_type": kind}, {}, {}, content]
    return [b"client", b"<IDS|MSG>", b"signature", *(json.dumps(one).encode() for one in parts)]


@pytest.mark.parametrize(
    ("frames", "comm"),
    [
        (wire("comm_msg", {"comm_id": "a", "data": {}}), "a"),
        (wire("comm_close", {"comm_id": "a"}), None),
        (wire("execute_request", {"code": "1"}), None),
        (wire("comm_msg", {}), None),
        ([b"<IDS|MSG>", b"", b"{"], None),
        ([b"none"], None),
        ([], None),
        (None, None),
        ([b"<IDS|MSG>", b"", b"[]", b"", b"", b""], None),
    ],
)
def test_only_messages_to_a_comm_are_taken_out_of_the_queue(frames: Any, comm: str | None) -> None:
    assert _comm_of(frames) == comm
