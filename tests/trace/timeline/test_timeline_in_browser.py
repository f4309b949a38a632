"""The pictures as a browser lays them out: what Python reckoned is what is there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from agentstream.trace.from_result import fold
from agentstream.trace.graph import Graph
from agentstream.trace.timeline.svg import draw
from agentstream.trace.timeline.timeline import Timeline
from tests.trace.test_graph import office
from tests.trace.timeline.test_timeline import RUNS
from tests.trace.trace_streams import Script, Timed, chain

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

_BOXES = """() => [...document.querySelectorAll('text')].map(element => {
    const box = element.getBBox();
    return [element.textContent, box.x, box.y, box.x + box.width, box.y + box.height];
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


def boxes(browser: Any, svg: str) -> list[list[Any]]:
    page = browser.new_page()
    try:
        page.set_content(f"<body>{svg}</body>")
        return list(page.evaluate(_BOXES))
    finally:
        page.close()


def assert_apart(found: list[list[Any]]) -> None:
    for one, other in combinations(found, 2):
        wide = min(one[3], other[3]) - max(one[1], other[1])
        # A line's box holds room for accents and for letters that go down: lines may touch in it.
        tall = min(one[4], other[4]) - max(one[2], other[2])
        assert wide < 1 or tall < 3, (one, other)


@pytest.mark.parametrize("events", RUNS.values(), ids=RUNS.keys())
def test_no_label_of_a_timeline_covers_another(browser: Any, events: list[Timed]) -> None:
    found = boxes(browser, Timeline(events).svg())
    assert len(found) >= 3
    assert_apart(found)


def test_labels_are_as_wide_as_python_reckoned(browser: Any) -> None:
    drawing = draw(fold(RUNS["rich"]))
    found = boxes(browser, drawing.svg())
    for label, (text, left, _, right, _) in zip(drawing.labels, found, strict=True):
        assert text == label.text
        assert right - left == pytest.approx(label.right - label.left, abs=2.5)


def test_letters_of_every_script_keep_to_their_room(browser: Any) -> None:
    script = Script("東京の旅行ガイド 🗼").begin()
    for number, name in enumerate(("検索する_search", "поиск", "بحث", "🙂🙃", "ﬃŴ" * 9)):
        script.call(name, {}, f"c{number}").start(f"c{number}")
    script.end().wait(0.7)
    for number in range(5):
        script.wait(0.2).result(f"c{number}", "x")
    assert_apart(boxes(browser, Timeline(script.events).svg()))


def test_no_label_of_a_graph_covers_another(browser: Any) -> None:
    assert_apart(boxes(browser, Graph(office(), chain()).svg()))


def test_nothing_is_fetched_and_no_script_runs(browser: Any) -> None:
    script = Script('<img src="https://x.example/a" onerror="window.hit=1">').begin()
    script.call("</text><script>window.hit=1</script>", {}, "c").end().start("c").wait(1)
    script.result("c", "x", "<svg onload=window.hit=1>")
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_content(f"<body>{Timeline(script.events).svg()}</body>")
    page.wait_for_timeout(100)
    assert page.evaluate("window.hit") is None
    assert asked == []
    page.close()
