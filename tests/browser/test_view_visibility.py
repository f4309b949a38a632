"""What no page shows is not sent; what comes into sight is up to date at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.browser.lab import Notebook, until
from tests.browser.runs import LIVE, SETUP, status, wait_for_words, words_of

Open = Callable[..., Notebook]

SHOW = "view = show(poet(4000), 'A poem')\nview"
TALL = "from IPython.display import HTML\nHTML('<p style=\"height: 9000px\">tall</p>')"
FRAMES = "print(view._number)"

# JupyterLab's notebook scrolls in an element of its own.
SCROLL = """where => {
    const scrolls = document.querySelector(".jp-WindowedPanel-outer");
    scrolls.scrollTop = where === "end" ? scrolls.scrollHeight : 0;
}"""


def frames_in_a_second(notebook: Notebook, cell: int = 3) -> int:
    """How many frames the kernel sends meanwhile."""
    before = int(status(notebook, cell))
    time.sleep(1)
    return int(status(notebook, cell)) - before


def scroll(notebook: Notebook, where: str) -> None:
    notebook.page.evaluate(SCROLL, where)


def writing(opened: Open) -> Notebook:
    """A notebook in which a poem is being written; the cells below are far away."""
    notebook = opened(SETUP, SHOW, TALL, FRAMES)
    notebook.start(0, 1, 2)
    wait_for_words(notebook, 1, 10)
    notebook.wait_for_end(2)
    return notebook


def test_a_view_that_is_scrolled_away_is_sent_nothing_and_catches_up(opened: Open) -> None:
    notebook = writing(opened)
    scroll(notebook, "end")
    until(lambda: frames_in_a_second(notebook) == 0, "no more frames")
    before = len(words_of(notebook.text(1)))
    time.sleep(1)
    assert len(words_of(notebook.text(1))) == before
    scroll(notebook, "start")
    came = time.monotonic()
    shown = wait_for_words(notebook, 1, before + 40)
    assert time.monotonic() - came < 2
    assert shown == list(range(len(shown)))
    wait_for_words(notebook, 1, len(shown) + 20)


def test_a_view_is_sent_as_long_as_one_of_its_pages_shows_it(opened: Open, context: Any) -> None:
    notebook = writing(opened)
    notebook.save()
    other = Notebook(context.new_page(), notebook.server)
    other.open(notebook.path, app="notebook")
    other.area(1).locator(LIVE).wait_for()
    scroll(notebook, "end")
    time.sleep(1)
    assert frames_in_a_second(notebook) > 0
    wait_for_words(other, 1, len(words_of(other.text(1))) + 20)
    # The other page is closed, and nobody is left who sees it.
    other.page.close()
    until(lambda: frames_in_a_second(notebook) == 0, "no more frames")
