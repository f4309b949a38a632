"""The tests' own ground: a real notebook in a real browser, before anything of ours is in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.lab import Notebook, until

COUNTER = '''
import anywidget, traitlets

class Counter(anywidget.AnyWidget):
    _esm = """
    export default { render({ model, el }) {
        const button = document.createElement("button");
        button.className = "count";
        const show = () => { button.textContent = `count ${model.get("value")}`; };
        button.onclick = () => {
            model.set("value", model.get("value") + 1);
            model.save_changes();
        };
        model.on("change:value", show);
        show();
        el.append(button);
    } };
    """
    value = traitlets.Int(40).tag(sync=True)

counter = Counter()
counter
'''


def test_a_cells_output_is_seen_while_it_runs_and_an_interrupt_ends_it(
    opened: Callable[..., Notebook],
) -> None:
    notebook = opened("import time\nprint('first', flush=True)\ntime.sleep(60)\nprint('second')")
    notebook.start(0)
    notebook.wait_for_text(0, "first")
    assert notebook.is_running(0)
    notebook.interrupt()
    notebook.wait_for_end(0)
    assert "second" not in notebook.text(0).splitlines()
    assert [one["output_type"] for one in notebook.outputs(0)] == ["stream", "error"]


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_a_widget_speaks_with_the_kernel(opened: Callable[..., Notebook], app: str) -> None:
    notebook = opened(COUNTER, "counter.value", app=app)
    notebook.run(0)
    button = notebook.area(0).locator("button.count")
    button.click()
    button.click()
    notebook.wait_for_text(0, "count 42")

    # The page counts by itself and tells the kernel of one click after the other.
    def told() -> bool:
        notebook.run(1)
        return "42" in notebook.text(1)

    until(told, "the kernel has heard of both clicks")
    assert notebook.watch.away == []
