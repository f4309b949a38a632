"""The tests' own ground: a real notebook in a real browser, before anything of ours is in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.lab import Notebook

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


def test_a_cells_output_is_seen_while_it_runs(opened: Callable[..., Notebook]) -> None:
    notebook = opened("import time\nprint('first', flush=True)\ntime.sleep(3)\nprint('second')")
    notebook.start(0)
    notebook.wait_for_text(0, "first")
    assert "second" not in notebook.text(0)
    assert notebook.is_running(0)
    notebook.wait_for_end(0)
    assert "second" in notebook.text(0)
    assert notebook.outputs(0)[0]["output_type"] == "stream"


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_a_widget_speaks_with_the_kernel(opened: Callable[..., Notebook], app: str) -> None:
    notebook = opened(COUNTER, "counter.value", app=app)
    notebook.run(0)
    button = notebook.area(0).locator("button.count")
    button.click()
    button.click()
    notebook.wait_for_text(0, "count 42")
    notebook.run(1)
    assert "42" in notebook.text(1)
    assert notebook.watch.away == []


def test_a_running_cell_can_be_interrupted(opened: Callable[..., Notebook]) -> None:
    notebook = opened("import time\nprint('on', flush=True)\ntime.sleep(60)")
    notebook.start(0)
    notebook.wait_for_text(0, "on")
    notebook.interrupt()
    notebook.wait_for_end(0)
    assert "KeyboardInterrupt" in notebook.text(0)


def test_a_saved_notebook_is_reopened_without_a_kernel(opened: Callable[..., Notebook]) -> None:
    notebook = opened("print('kept')")
    notebook.run()
    saved = notebook.save()
    assert saved.cells[0].outputs[0].text == "kept\n"
    notebook.server.shut_down_kernels()
    notebook.open(notebook.path, kernel=False)
    notebook.wait_for_text(0, "kept")
    assert notebook.kernel_status() == ""
    assert notebook.server.kernels() == []


def test_an_output_has_a_view_of_its_own_and_the_page_is_loaded_again(
    opened: Callable[..., Notebook],
) -> None:
    notebook = opened(COUNTER)
    notebook.run()
    view = notebook.new_view(0)
    view.locator("button.count").click()
    notebook.wait_for_text(0, "count 41")
    notebook.theme("JupyterLab Dark")
    notebook.theme("JupyterLab Light")
