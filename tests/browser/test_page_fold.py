"""The page in a browser: frame by frame it is the page that one keyframe makes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import agentstream.notebook
from agentstream.notebook.board import TAIL, Board
from tests.browser.test_js import a_life

VIEW_JS = Path(agentstream.notebook.__file__).with_name("static") / "view.js"

# Renders the messages as a notebook does: a model that hears, and an element that is filled.
PLAY = """async ([source, frames]) => {
    const view = (await import("data:text/javascript," + encodeURIComponent(source))).default;
    const state = {run_id: "one", keyframe: {}, live: true};
    let hear;
    const model = {
        get: name => state[name], send() {}, off() {},
        on: (name, heard) => { if (name === "msg:custom") hear = heard; },
    };
    const end = view.initialize({model});
    const el = document.createElement("div");
    const close = view.render({model, el});
    for (const frame of frames) hear(frame);
    el.normalize();
    const shown = el.innerHTML;
    close();
    end();
    return shown;
}"""


def play(page: Any, frames: list[dict[str, Any]]) -> str:
    return str(page.evaluate(PLAY, [VIEW_JS.read_text(encoding="utf-8"), frames]))


@pytest.mark.parametrize("seed", range(40))
def test_a_browser_shows_after_all_frames_what_one_keyframe_shows(page: Any, seed: int) -> None:
    board = Board()
    told = a_life(board, random.Random(seed), 30)
    by_frames = play(page, [{"n": n, "ops": ops} for n, ops in enumerate(told)])
    by_keyframe = play(page, [{"n": 29, "key": True, "ops": board.keyframe()}])
    assert by_frames == by_keyframe


def test_a_node_that_is_made_and_written_to_in_one_frame_is_written_once(page: Any) -> None:
    board = Board()
    board.put("card", "div", f"<pre>{TAIL}</pre>")
    board.write("card", '{"city":"Lis')
    shown = play(page, [{"n": 0, "ops": board.frame()}])
    assert shown.count("city") == 1
